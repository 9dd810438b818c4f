//! The four columns of the story behind this project: whose a name is, whose network its address is in, in which
//! country, and which device contacted it. What they must say is here, and nowhere in the program but its tables.

use serde_json::Value;
use std::path::Path;
use xtask::tool;

/// Each name with its purpose, and the country its address is in.
const CONTACTED: [(&str, &str, &str); 3] = [
    ("data.mistat.intl.xiaomi.com", "telemetry", "SG"),
    ("tracking.intl.miui.com", "telemetry", "SG"),
    ("data.mistat.rus.xiaomi.com", "telemetry", "RU"),
];

/// Asks the report about the phone called Redmi-Note-8.
#[track_caller]
pub(super) fn check(binary: &Path, database: &Path) {
    let mut report = tool::command(binary, ["report", "--all", "--json", "--database"]);
    let report: Value = serde_json::from_str(&tool::run(report.arg(database)).unwrap()).unwrap();
    let devices = report["devices"].as_array().unwrap();
    let phone =
        devices.iter().find(|device| device["hostname"] == "Redmi-Note-8").expect("the phone is there");
    let destinations = phone["destinations"].as_array().unwrap();
    for (name, purpose, country) in CONTACTED {
        let line = destinations.iter().find(|line| line["name"] == name).expect("it was contacted");
        let owner = &line["owner"];
        assert_eq!((&owner["name"], &owner["country"]), (&"Xiaomi".into(), &"CN".into()), "{line:#}");
        assert_eq!(owner["purpose"], purpose, "{line:#}");
        let [network] = line["networks"].as_array().unwrap().as_slice() else {
            panic!("one network: {line:#}")
        };
        assert_eq!(
            (&network["asn"], &network["registered_country"]),
            (&45102.into(), &"CN".into()),
            "{line:#}"
        );
        assert!(network["organisation"].as_str().unwrap().contains("Alibaba"), "{line:#}");
        let [of_address] = line["countries"].as_array().unwrap().as_slice() else {
            panic!("one country: {line:#}")
        };
        assert_eq!(of_address["country"], country, "{line:#}");
    }
}
