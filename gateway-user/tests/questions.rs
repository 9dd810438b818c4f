//! The filter language and the commands that answer the next question, on a real database.
#![allow(clippy::unwrap_used, reason = "tests panic on purpose")]

mod fixture;

use fixture::house::House;
use fixture::{EVENING, LAPTOP, MINUTE_NS, REDMI, addr, balance, batch, key, row};
use gateway_core::row::{Batch, Evidence, Network};
use gateway_core::units::{BootTime, Country, WallTime};

const HOUR_NS: u64 = 60 * MINUTE_NS;
/// From the evening of [`EVENING`], 18:00 in Berlin, back to midnight.
const TO_MIDNIGHT_NS: i64 = 18 * 3_600_000_000_000;

fn out(house: &House, args: &[&str]) -> String {
    let output = house.run(args);
    assert!(output.status.success(), "{args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn json(house: &House, args: &[&str]) -> serde_json::Value {
    serde_json::from_slice(&house.run(args).stdout).unwrap()
}

/// Rows of each hour of `days` days from 2020-11-22 00:00 in Berlin. The Redmi is busy by day and quiet from 0 to 6;
/// what it has at 3 o'clock is for `night.example`. The laptop has the same every hour. On the last day at 10 the Redmi
/// meets `data.mistat.intl.xiaomi.com`.
fn days(days: u64, is_missing: impl Fn(u64) -> bool) -> Vec<Batch> {
    let drain = |hour: u64| {
        let mut drain = batch(1 + hour);
        let (began, ended) = (hour * HOUR_NS, (hour + 1) * HOUR_NS);
        let wall = |boot: u64| WallTime(EVENING - TO_MIDNIGHT_NS + boot.cast_signed());
        drain.interval.began_boot = BootTime(began);
        drain.interval.ended_boot = BootTime(ended);
        drain.interval.began_at = wall(began);
        drain.interval.ended_at = wall(ended);
        let told = |name| Some((name, Evidence::TlsSni));
        let (name, up) = match hour % 24 {
            3 => ("night.example", 1_000),
            0..6 => ("quiet.example", 10),
            _ => ("day.example", 100_000),
        };
        drain.rows = vec![
            row(key(LAPTOP, "198.51.100.8", told("www.example")), 50_000, 70_000, 2),
            row(key(REDMI, "198.51.100.7", told(name)), up, 2 * up, 1),
        ];
        if hour == 24 * (days - 1) + 10 {
            let key = key(REDMI, "47.241.1.5", told("data.mistat.intl.xiaomi.com"));
            drain.rows.push(row(key, 5_000_000, 40_000, 3));
        }
        drain.rows.sort_by(|a, b| a.key.cmp(&b.key));
        let network = Network {
            asn: Some(45_102),
            organisation: Some("Alibaba (US) Technology Co., Ltd.".into()),
            country: Country::parse("SG"),
            ..Network::default()
        };
        drain.networks = vec![(addr("47.241.1.5"), network)];
        balance(&mut drain, &[]);
        drain
    };
    (0..24 * days).filter(|hour| !is_missing(*hour)).map(drain).collect()
}

fn month() -> House {
    let house = House::with(&days(10, |_| false));
    house.writer().set_label(REDMI, Some("Redmi Note 8")).unwrap();
    house
}

#[test]
fn a_question_picks_rows_and_lines() {
    let house = House::evening();
    let names = |question: &str| -> Vec<String> {
        let json = json(&house, &["top", "names", "--all", "--json", "--where", question]);
        let lines = json["lines"].as_array().unwrap();
        lines.iter().map(|line| line["id"].as_str().unwrap_or("-").to_owned()).collect()
    };
    let mistat = "data.mistat.intl.xiaomi.com";
    assert_eq!(names("device = 'redmi note 8' and country = SG"), [mistat]);
    assert_eq!(names("evidence = dns or country = RU"), ["tracking.rus.miui.com", "-", mistat]);
    assert_eq!(names("up > 50kB and down < 1MB"), [mistat, "tracking.rus.miui.com"]);
    assert_eq!(names("not named and device != 'redmi note 8'"), ["-"]);
    if cfg!(feature = "tables-full") {
        assert_eq!(names("device = \"Redmi Note 8\" and owner = xiaomi and up > 100kB"), [mistat]);
        assert_eq!(names("purpose = telemetry and owner != xiaomi"), [""; 0]);
    }
    // A part of the rows is still a part of the whole.
    let text = out(&house, &["top", "names", "--all", "--where", "up > 800kB"]);
    assert!(text.contains("only such that up > 800kB") && !text.contains("100.0 %"), "{text}");
}

#[test]
fn a_question_goes_through_reports_and_rows() {
    let house = House::evening();
    let report = out(&house, &["report", "--all", "--where", "up > 100kB"]);
    assert!(report.contains("Only such that up > 100kB") && report.contains("xiaomi.com"), "{report}");
    assert!(!report.contains("www.google.com") && !report.contains("tracking.rus"), "{report}");
    // Two rows of one destination are one line.
    let both = json(&house, &["report", "--all", "--json", "--where", "up = 810000"]);
    assert_eq!(both.pointer("/devices/0/destinations/0/up_bytes").unwrap(), 810_000);
    assert_eq!(both["filter"], "such that up = 810000");
    let rows = json(&house, &["flows", "--all", "--json", "--where", "up = 800000"]);
    assert_eq!(rows["flows"].as_array().unwrap().len(), 1);
    if cfg!(feature = "tables-full") {
        let owned =
            json(&house, &["flows", "--all", "--json", "--owner", "xiaomi", "--purpose", "telemetry"]);
        let names: Vec<_> =
            owned["flows"].as_array().unwrap().iter().map(|flow| flow["name"].as_str()).collect();
        assert!(!names.is_empty() && names.iter().all(|name| name.unwrap().ends_with("i.com")), "{names:?}");
    }
}

#[test]
fn a_question_without_an_answer_says_so() {
    let house = House::evening();
    house.check_line(&["top", "names", "--all", "--where", "up > 1TB"], 1, "is such that up > 1TB");
    house.check_line(
        &["report", "--all", "--device", "ada", "--where", "country = FR"],
        1,
        "has device ada, such that country = FR",
    );
    house.check_line(&["flows", "--all", "--where", "device = toaster"], 1, "no device is called toaster");
}

#[test]
fn a_mistake_is_marked_and_exits_2() {
    let house = House::new();
    for command in [&["top", "names"][..], &["flows"], &["report"]] {
        let output = house.run(&[command, &["--where", "port = 443 and contry = SG"]].concat());
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        let marked = "\n  port = 443 and contry = SG\n                 ^^^^^^\n";
        assert!(said.contains(marked) && said.contains("there is no \"contry\" to ask about"), "{said}");
    }
    let output = house.run(&["flows", "--purpose", "spying"]);
    assert!(String::from_utf8(output.stderr).unwrap().contains("a purpose is one of"));
}

#[test]
fn night_is_the_quiet_hours_of_each_device() {
    let house = month();
    let day = ["--day", "2020-12-01"];
    let args = ["top", "names", day[0], day[1], "--json", "--where"];
    let of = |question: &str| -> Vec<(String, u64)> {
        let json = json(&house, &[&args[..], &[question]].concat());
        let lines = json["lines"].as_array().unwrap().iter();
        lines.map(|l| (l["id"].as_str().unwrap().to_owned(), l["up_bytes"].as_u64().unwrap())).collect()
    };
    // Twelve hours of the laptop, for which no hour is quiet: 21 to 9; the Redmi is quiet from 0 to 6.
    let expected = [("www.example", 12 * 50_000), ("night.example", 1_000), ("quiet.example", 50)];
    assert_eq!(of("night"), expected.map(|(name, up)| (name.to_owned(), up)));
    assert_eq!(of("device = 'Redmi Note 8' and night and up > 500"), [("night.example".to_owned(), 1_000)]);
    let by_day = of("not night and device = 'Redmi Note 8'");
    let expected = [("day.example", 18 * 100_000), ("data.mistat.intl.xiaomi.com", 5_000_000)];
    assert_eq!(by_day, expected.map(|(name, up)| (name.to_owned(), up)));
    let text = out(&house, &["top", "names", day[0], day[1], "--where", "night"]);
    let said = "night: Redmi Note 8 00:00 to 06:00, learned; other devices 21:00 to 09:00";
    assert!(text.contains(said), "{text}");
}

#[test]
fn what_is_new_is_listed_and_what_cannot_be_said_is_said() {
    let house = month();
    let last = json(&house, &["new", "--day", "2020-12-01", "--json"]);
    let lines = last["new"].as_array().unwrap();
    assert_eq!(lines.len(), 1, "{last}");
    let line = lines.first().unwrap();
    assert_eq!(line["first_seen"], "2020-12-01T09:00:00Z");
    assert_eq!((&line["device_name"], &line["up_bytes"]), (&"Redmi Note 8".into(), &5_000_000.into()));
    assert_eq!((&line["country"], &line["asn"]), (&"SG".into(), &45_102.into()));
    assert_eq!(line["names"], serde_json::json!(["data.mistat.intl.xiaomi.com"]));
    let remark = "the database has 9 days before, of 30 asked for; 9 of them measured";
    assert_eq!(last["remarks"], serde_json::json!([remark]));
    let text = out(&house, &["new", "--day", "2020-12-01", "--days", "9"]);
    assert!(text.contains("2020-12-01 10:00 +01:00  Redmi Note 8") && !text.contains("asked for"), "{text}");
    if cfg!(feature = "tables-full") {
        assert!(text.contains("  xiaomi.com   Xiaomi "), "{text}");
    }
    let csv = out(&house, &["new", "--day", "2020-12-01", "--csv"]);
    assert_eq!(csv.lines().count(), 2);
    house.check_line(
        &["new", "--day", "2020-11-30", "--days", "7"],
        1,
        "no new destination from 2020-11-30 00:00 +01:00 to 2020-12-01 00:00 +01:00",
    );
    house.check_line(
        &["new", "--day", "2020-11-24", "--device", "Redmi Note 8"],
        1,
        "nothing can be said of Redmi Note 8: it was there on 2 measured days, and 7 are needed (--days asks for fewer)",
    );
    house.check_line(&["new", "--day", "2020-11-24", "--days", "2"], 1, "no new destination from");
    house.check_line(&["new", "--day", "2020-11-20"], 1, "nothing was measured");
    house.check_line(&["new", "--day", "2020-12-01", "--where", "up > 1GB"], 1, "no new destination");
}

#[test]
fn a_timeline_shows_what_was_measured_and_says_what_was_not() {
    let house = House::with(&days(2, |hour| (29..32).contains(&hour)));
    let text = out(&house, &["timeline", "--day", "2020-11-23", "--where", "device = 7c:03:ab:12:34:56"]);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 2 + 24 + 1, "{text}");
    assert!(lines[2 + 3].starts_with("  2020-11-23 03:00 +01:00    1.0 kB    2.0 kB  ▏"), "{text}");
    for hour in 5..8 {
        assert!(lines[2 + hour].ends_with("-         -  not measured"), "{text}");
    }
    assert!(lines[2 + 10].ends_with("████████████████████████"), "{text}");
    let shape =
        json(&house, &["timeline", "--day", "2020-11-23", "--by", "hour", "--of", "device", "--json"]);
    assert_eq!(shape.pointer("/slots/5/state").unwrap(), "not_measured");
    assert_eq!(shape.pointer("/series/0/slots/5").unwrap(), &serde_json::Value::Null);
    assert_eq!(shape.pointer("/series/0/slots/9/up_bytes").unwrap(), 100_000);
    assert_eq!(shape.pointer("/series/1/id").unwrap(), "00:1b:21:0a:0b:0c");
    let by_day = out(&house, &["timeline", "--all", "--by", "day", "--csv"]);
    let lines: Vec<_> = by_day.lines().collect();
    assert_eq!(lines.len(), 3, "{by_day}");
    let up = 24 * 50_000 + 18 * 100_000 + 5 * 10 + 1_000;
    assert!(lines[1].contains(&format!(",measured,,all together,{up},")), "{by_day}");
    house.check_line(&["timeline", "--day", "2020-11-20"], 1, "nothing was measured");
    house.check_line(&["timeline", "--since", "2015-01-01", "--by", "hour"], 2, "at most 1000");
}

#[test]
fn two_ranges_and_two_devices_are_compared() {
    let house = month();
    let shape = json(
        &house,
        &["compare", "2020-11-22", "2020-12-01", "--json", "--where", "device = 'Redmi Note 8'"],
    );
    let of = |name: &str| {
        let found = shape["destinations"].as_array().unwrap().iter();
        found.into_iter().find(|line| line["destination"].as_str().unwrap().ends_with(name)).unwrap().clone()
    };
    assert_eq!(of("day.example")["b_to_a"], 1.0);
    assert_eq!(of("xiaomi.com")["a"], serde_json::Value::Null);
    assert_eq!(of("xiaomi.com").pointer("/b/up_bytes").unwrap(), 5_000_000);
    assert_eq!(shape.pointer("/a/measured_seconds").unwrap(), 86_400);
    let text = out(&house, &["compare", "2020-11-22..2020-11-24", "2020-12-01"]);
    assert!(text.contains("A: 2020-11-22..2020-11-24, ") && text.contains("only in B"), "{text}");
    assert!(text.contains("A was measured for 2 d, B for "), "{text}");
    let devices = [
        "compare",
        "--devices",
        "Redmi Note 8",
        "00:1b:21:0a:0b:0c",
        "--day",
        "2020-12-01",
        "--csv",
        "--limit",
        "1",
    ];
    let csv = out(&house, &devices);
    assert_eq!(csv.lines().count(), 2, "{csv}");
    assert!(
        csv.lines().nth(1).unwrap().ends_with(",5400000,3600000,,,") || csv.contains("day.example"),
        "{csv}"
    );
    house.check_line(&["compare", "2020-11-20", "2020-12-01"], 1, "nothing was measured from 2020-11-20");
    house.check_line(
        &["compare", "--devices", "Redmi Note 8", "toaster", "--all"],
        1,
        "no device is called toaster",
    );
    house.check_line(&["compare", "soon", "later"], 2, "a range is a day, FROM..TO");
    house.check_line(&["compare", "2020-12-01..2020-11-01", "today"], 2, "is empty");
}

#[test]
fn an_alert_rings_by_its_exit_code() {
    let house = month();
    let of = |args: &[&str]| {
        let output = house.run(args);
        let (said, why) =
            (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        (output.status.code().unwrap(), said, why)
    };
    let report = ["report", "--day", "2020-12-01", "--device", "Redmi Note 8", "--alert"];
    let with = |alert| of(&[&report[..], &[alert]].concat());
    let (code, said, why) = with("up > 5MB");
    assert_eq!((code, why.as_str(), said.lines().count()), (3, "", 1), "{said}");
    assert!(said.starts_with("Redmi Note 8: 6.8 MB up, ") && said.ends_with(": up > 5MB\n"), "{said}");
    assert_eq!(with("up > 1GB"), (0, String::new(), String::new()));
    let (code, said, _) = of(&["top", "names", "--all", "--alert", "up > 5MB or conversations > 400"]);
    assert_eq!((code, said.lines().count()), (3, 2), "{said}");
    let (code, _, why) =
        of(&["report", "--since", "2020-11-20", "--until", "2020-11-23", "--alert", "up > 1GB"]);
    assert!(code == 0 && why.contains("nothing passes up > 1GB, but 2 d of "), "{why}");
    house.check_line(&["report", "--day", "2020-11-20", "--alert", "up > 1GB"], 1, "nothing was measured");
    house.check_line(
        &["top", "names", "--all", "--device", "toaster", "--alert", "up > 1"],
        1,
        "no device is",
    );
    for wrong in ["country = SG", "up > 1 and night", "", "up"] {
        assert_eq!(with(wrong).0, 2, "{wrong}");
    }
}

#[test]
fn lines_are_in_the_order_that_is_asked_for() {
    let house = month();
    let first = |args: &[&str]| {
        let json = json(&house, args);
        let (lines, field) = match args[0] {
            "top" => (&json["lines"], "text"),
            "flows" => (&json["flows"], "name"),
            "compare" => (&json["destinations"], "destination"),
            _ => (&json["devices"][0]["destinations"], "name"),
        };
        lines[0][field].as_str().unwrap_or_default().to_owned()
    };
    for command in [&["top", "names"][..], &["flows"], &["compare", "2020-11-22", "2020-12-01"]] {
        let of = |sort| {
            first(
                &[command, &["--json", "--sort", sort][..]]
                    .concat()
                    .into_iter()
                    .chain((command[0] != "compare").then_some(["--day", "2020-12-01"]).into_iter().flatten())
                    .collect::<Vec<_>>(),
            )
        };
        assert!(of("up").ends_with("xiaomi.com"), "{command:?}");
        assert_eq!(
            (of("down"), of("conversations")),
            ("day.example".into(), "www.example".into()),
            "{command:?}"
        );
    }
    let report = |sort| {
        let json = json(&house, &["report", "--day", "2020-12-01", "--json", "--sort", sort]);
        json["devices"][0]["mac"].as_str().unwrap_or_default().to_owned()
    };
    assert_ne!(report("up"), report("conversations"));
}
