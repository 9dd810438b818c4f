//! The reading commands as people run them: the binary on a fixture database. `UPDATE_EXPECT=1` rewrites the golden
//! files under `tests/golden`.
#![allow(clippy::unwrap_used, reason = "tests panic on purpose")]

mod fixture;

use fixture::house::House;
use gateway_user::store::Writer;
use std::process::Stdio;

const DAY: [&str; 2] = ["--day", "2020-11-22"];

#[test]
fn the_report_is_as_it_was() {
    let house = House::evening();
    house.check(&["report", DAY[0], DAY[1]], "report.txt");
    house.check(&["report", DAY[0], DAY[1], "--json"], "report.json");
    house.check(
        &["report", "--since", "2020-11-22 18:00", "--until", "2020-11-22T18:02:00+01:00"],
        "report-whole.txt",
    );
    house.check(
        &["report", "--all", "--device", "redmi note 8", "--bytes", "--limit", "1"],
        "report-device.txt",
    );
}

#[test]
fn the_lists_are_as_they_were() {
    let house = House::evening();
    for of in ["devices", "names", "networks", "countries"] {
        house.check(&["top", of, "--all"], &format!("top-{of}.txt"));
    }
    house.check(&["top", "names", "--all", "--by", "up", "--limit", "2", "--json"], "top-names.json");
    house.check(&["top", "networks", "--all", "--csv"], "top-networks.csv");
    house.check(&["flows", "--all"], "flows.txt");
    house.check(&["flows", "--all", "--name", "*.xiaomi.com", "--json"], "flows.json");
    house.check(&["flows", "--all", "--csv"], "flows.csv");
    house.check(&["devices"], "devices.txt");
    house.check(&["devices", "list", "--json"], "devices.json");
    house.check(&["devices", "--csv"], "devices.csv");
}

#[test]
fn doubts_are_shown() {
    let house = House::with(&fixture::doubtful());
    house.check(&["report", "--all"], "doubtful-report.txt");
    house.check(&["report", "--all", "--json"], "doubtful-report.json");
    house.check(&["flows", "--all"], "doubtful-flows.txt");
    let lines = |args: &[&str]| String::from_utf8(house.run(args).stdout).unwrap().lines().count();
    assert_eq!(lines(&["flows", "--all", "--uncovered", "--csv"]), 1 + 4, "by port or not");
    assert_eq!(lines(&["flows", "--all", "--uncovered", "--evidence", "TLS_SNI", "--csv"]), 1 + 1);
    assert_eq!(
        lines(&["flows", "--all", "--application", "doh", "--application", "wireguard", "--csv"]),
        1 + 2
    );
    house.check_line(&["flows", "--all", "--application", "ssh"], 1, "has application ssh");
}

#[test]
fn a_flow_a_name_and_an_address_are_explained() {
    let house = House::with(&fixture::doubtful());
    for (subject, golden) in [
        ("47.241.1.5:443", "explain-flow.txt"),
        ("shop.example", "explain-name.txt"),
        ("RedmiNote8-Redmi/120.92.96.155", "explain-address.txt"),
        ("cloudflare-ech.com", "explain-outer.txt"),
        ("203.0.113.11", "explain-undecided.txt"),
        ("unused.example", "explain-unused.txt"),
    ] {
        house.check(&["explain", subject, "--all"], golden);
    }
    house.check(&["explain", "203.0.113.9:443", "--all", "--json"], "explain.json");
    house.check_line(&["explain", "nobody.example", "--all"], 1, "no row from");
    house.check_line(&["explain", "ada/47.241.1.5", "--all"], 1, "no device is called ada");
    house.check_line(&["explain", "47.241.1.5", "--day", "2020-11-20"], 1, "nothing was measured");
    let output = house.run(&["explain", "nobody.example", "--all", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(serde_json::from_slice::<serde_json::Value>(&output.stdout).is_ok());
    assert_eq!(house.run(&["explain", "a b"]).status.code(), Some(2));
    House::new().check_line(&["explain", "a.example"], 1, "there is no database");
    let refused = String::from_utf8(house.run(&["flows", "--evidence", "tls"]).stderr).unwrap();
    assert!(refused.contains("evidence is one of none, dns, http_host, quic_sni, tls_sni"), "{refused}");
}

#[test]
fn what_was_meant_instead_is_said() {
    let house = House::with(&fixture::doubtful());
    for (subject, expected) in [
        ("2001:db8::1:443", "for port 443 of 2001:db8::1 write [2001:db8::1]:443"),
        (
            "redminote8-redmi",
            "redminote8-redmi is a device: `telltale flows --device redminote8-redmi` lists",
        ),
        ("192.168.1.20", "192.168.1.20 is an address of RedmiNote8-Redmi: `telltale flows --device"),
    ] {
        let output = house.run(&["explain", subject, "--all"]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("no row from") && said.contains(expected), "{said}");
    }
    let label = &["devices", "label", "RedmiNote8-Redmi", "Redmi Note 8"];
    assert!(house.run(label).status.success());
    house.check_line(
        &["explain", "redmi note 8"],
        1,
        "redmi note 8 is a device: `telltale flows --device \"redmi note 8\"` lists what it exchanged",
    );
    house.check_line(&["explain", "7c:03:ab:12:34:56"], 2, "is a device: `telltale flows --device 7c:03:ab");
    house.check_line(
        &["explain", "2001:db8::1:50000"],
        2,
        "in brackets where a port follows: [2001:db8::1]:50000",
    );
    let of_url = house.run(&["explain", "https://shop.example/cart?id=7", "--all"]);
    assert_eq!(of_url.status.code(), Some(0));
    assert_eq!(of_url.stdout, house.run(&["explain", "shop.example", "--all"]).stdout);
    let said = String::from_utf8(of_url.stderr).unwrap();
    assert!(said.contains("explaining shop.example: of a URL"), "{said}");
}

#[test]
fn an_empty_answer_is_explained() {
    let house = House::new();
    let reading: [&[&str]; 5] =
        [&["report"], &["top", "names"], &["flows"], &["devices"], &["devices", "label", "ada", "x"]];
    for args in reading {
        house.check_line(args, 1, "there is no database");
    }
    assert!(!house.database().exists(), "looking must not make a database");
    drop(Writer::open(&house.database()).unwrap());
    house.check_line(&["report"], 1, "holds no drain yet");
    house.check_line(&["devices"], 1, "no device was seen yet");
    let house = House::evening();
    for args in [["report", "--day=2020-11-20"], ["flows", "--day=2020-11-20"]] {
        house.check_line(
            &args,
            1,
            "nothing was measured from 2020-11-20 00:00 +01:00 to 2020-11-21 00:00 +01:00; the database has data from \
             2020-11-22 18:00 +01:00 to 2020-11-22 19:03 +01:00: try --day 2020-11-22",
        );
    }
    house.check_line(&["flows", "--all", "--device", "toaster"], 1, "no device is called toaster");
    house.check_line(&["report", "--all", "--device", "toaster"], 1, "no device is called toaster");
    house.check_line(&["top", "names", "--all", "--country", "FR"], 1, "has country FR");
    house.check_line(&["devices", "label", "toaster", "x"], 1, "no device is called toaster");
}

#[test]
fn an_empty_answer_is_still_json_or_csv() {
    let output = House::evening().run(&["flows", "--all", "--country", "FR", "--csv"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 1);
    let output = House::evening().run(&["flows", "--all", "--country", "FR", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json.pointer("/flows").and_then(|f| f.as_array()).map(Vec::len), Some(0));
}

#[test]
fn failures_are_one_line_and_exit_2() {
    let house = House::new();
    house.check_line(&["report", "--day", "22.11."], 2, "a day is written");
    house.check_line(&["report", "--since", "now", "--until", "yesterday"], 2, "the range is empty");
    house.check_line(&["report", "--database", "/proc"], 2, "directory");
    std::fs::write(house.database(), "no database at all, only text\n".repeat(9)).unwrap();
    for args in
        [&["report"][..], &["top", "names"], &["flows"], &["devices"], &["devices", "label", "a", "b"]]
    {
        house.check_line(args, 2, "not an SQLite file");
    }
    for args in
        [&["report", "--evidence"][..], &["flows", "--country", "Singapore"], &["top"], &["flows", "--day"]]
    {
        assert_eq!(house.run(args).status.code(), Some(2), "{args:?}");
    }
}

#[test]
fn a_label_is_set_shown_and_cleared() {
    let house = House::evening();
    let said = |args: &[&str]| {
        let output = house.run(args);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(
        said(&["devices", "label", "ADA", "Ada's laptop"]),
        "00:1b:21:0a:0b:0c is now called Ada's laptop\n"
    );
    assert!(said(&["devices"]).contains("Ada's laptop"));
    assert!(said(&["top", "devices", "--all"]).contains("Ada's laptop"));
    assert_eq!(
        said(&["devices", "label", "Ada's laptop", "--clear"]),
        "00:1b:21:0a:0b:0c has no label now\n"
    );
    assert!(!said(&["devices"]).contains("Ada's laptop"));
    for bad in ["", "a\u{1b}[31mb", &"x".repeat(65)] {
        assert_eq!(house.run(&["devices", "label", "ada", bad]).status.code(), Some(2), "{bad:?}");
    }
    said(&["devices", "label", "da:a1:19:01:02:03", "ada"]);
    house.check_line(&["devices", "label", "ada", "x"], 2, "2 devices are called ada");
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let house = House::evening();
    for args in [&["flows", "--all", "--json"][..], &["completions", "bash"], &["man"], &["report", "--all"]]
    {
        let mut child = house.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{args:?}: {output:?}");
    }
}

#[test]
fn a_full_disk_is_a_failure() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = House::evening().command(&["flows", "--all"]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("No space left"), "{output:?}");
}

#[test]
fn manual_pages_and_completions_are_made() {
    let house = House::new();
    let directory = house.directory.path().join("man1");
    assert!(house.run(&["man", directory.to_str().unwrap()]).status.success());
    let page = std::fs::read_to_string(directory.join("telltale-report.1")).unwrap();
    assert!(page.contains("Redmi Note 8"));
    assert!(String::from_utf8_lossy(&house.run(&["man"]).stdout).contains("telltale"));
    for shell in ["bash", "zsh", "fish"] {
        assert!(String::from_utf8_lossy(&house.run(&["completions", shell]).stdout).contains("countries"));
    }
}

#[test]
fn the_same_rows_print_the_same_bytes() {
    let (one, other) = (House::evening(), House::evening());
    let args = ["report", "--all", "--json"];
    assert_eq!(one.run(&args).stdout, other.run(&args).stdout);
    assert_eq!(one.run(&args).stdout, one.run(&args).stdout);
}
