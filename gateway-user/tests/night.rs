//! The summary that the daemon has made for each night: the same as what `telltale summary` says of the day.
#![allow(clippy::unwrap_used, reason = "tests panic on purpose")]

mod fixture;

use fixture::house::House;
use gateway_user::nightly::report::maker;
use jiff::civil::{Date, date};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

#[test]
fn a_nights_message_says_what_the_summary_of_the_day_says() {
    let house = House::evening();
    let made = house.run(&["night", "2020-11-22"]);
    assert!(made.status.success(), "{made:?}");
    let message: Value = serde_json::from_slice(&made.stdout).unwrap();
    let printed = |args: &[&str]| {
        let output = house.run(args);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(message["text"], printed(&["summary", "--day", "2020-11-22"]));
    let json = printed(&["summary", "--day", "2020-11-22", "--format", "json"]);
    assert_eq!(message["json"], json);
    assert_eq!(message["id"], "summary-2020-11-22");
    // The numbers for MQTT are the summary's.
    let report: Value = serde_json::from_str(&json).unwrap();
    let (devices, figures) = (report["devices"].as_array().unwrap(), &message["figures"]["devices"]);
    assert!(!devices.is_empty());
    assert_eq!(figures.as_array().unwrap().len(), devices.len());
    for (device, figure) in devices.iter().zip(figures.as_array().unwrap()) {
        assert_eq!(device["mac"], figure["mac"]);
        assert_eq!(device["routed"]["up_bytes"], figure["up_bytes"]);
        assert_eq!(device["routed"]["down_bytes"], figure["down_bytes"]);
    }
}

#[test]
fn a_day_without_measurement_has_no_summary_and_people_are_not_offered_the_command() {
    let house = House::evening();
    let made = house.run(&["night", "2020-11-20"]);
    assert_eq!((made.status.code(), made.stdout.len()), (Some(1), 0), "{made:?}");
    let help = String::from_utf8(house.run(&["--help"]).stdout).unwrap();
    assert!(help.contains("deliver") && !help.contains("night"), "{help}");
    house.check_line(&["night", "2020-11-22", "--config", "/no/such/file"], 2, "read the configuration");
}

/// The evening is of this day in every zone but those at the date line.
const DAY: Date = date(2020, 11, 22);

#[test]
fn the_daemon_has_it_made_by_the_program() {
    let house = House::evening();
    let file = house.directory.path().join("t.toml");
    std::fs::write(&file, "log = \"warn\"\n").unwrap();
    let make = maker(env!("CARGO_BIN_EXE_telltale").into(), Some(file.clone()), house.database());
    let message = make(DAY).unwrap().unwrap();
    assert_eq!(message.id, "summary-2020-11-22");
    assert_eq!(make(date(2020, 11, 19)).unwrap(), None);
    std::fs::write(&file, "no = 1\n").unwrap();
    let error = format!("{:#}", make(DAY).unwrap_err());
    assert!(error.starts_with("understand the configuration ") && !error.contains('\n'), "{error}");
}

#[test]
fn a_program_that_crashes_is_a_line_and_not_the_end_of_the_daemon() {
    let house = House::evening();
    let with = |script: &str| {
        let program = house.directory.path().join("program");
        std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
        let made = maker(program, None, house.database())(DAY);
        format!("{:#}", made.unwrap_err())
    };
    assert!(with("kill -ABRT $$").starts_with("the program that makes the summary of 2020-11-22 crashed"));
    assert_eq!(with("echo telltale: no room >&2; exit 2"), "no room");
    assert!(with("echo nonsense").starts_with("read the summary"));
    let none = maker(Path::new("/no/such/program").into(), None, house.database())(DAY);
    assert!(format!("{:#}", none.unwrap_err()).starts_with("start the program"));
}
