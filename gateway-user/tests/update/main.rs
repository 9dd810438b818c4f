//! `telltale update` against a real HTTPS server on this machine, and against everything that can go wrong on the way.
#![cfg(all(feature = "https", any(feature = "tables-full", feature = "tables-small")))]
#![allow(clippy::unwrap_used, reason = "tests panic on purpose")]

mod faults;
mod house;
mod places;
mod registries;
mod server;
#[path = "../../src/tables/tests/writer.rs"]
#[allow(dead_code, reason = "not every value is written here")]
mod writer;

use house::{EMBEDDED, House, NETWORKS, date, days, later, said};
use server::{Reply, Server, honest};

#[test]
fn a_fresh_table_is_fetched_and_then_not_again() {
    let new = later(2);
    let server = Server::of(new.clone());
    let house = House::new(&server.ca, &server.url("/networks.bin.zst?key=secret"));
    let text = house.check(
        &[],
        &format!(
            "networks: {} -> {}, networks.bin.zst, {} bytes, from https://localhost:{}/networks.bin.zst\n",
            date(0),
            date(2),
            new.len(),
            server.port
        ),
    );
    assert!(text.contains("owners: no source configured\n"), "{text}");
    assert!(text.contains("the daemon reads the new table of networks at its next start\n"), "{text}");
    assert_eq!(house.files(), [NETWORKS]);
    assert_eq!((house.table(NETWORKS), house.mode(NETWORKS)), (new, 0o644));

    let text = house.check(&[], &format!("networks: already fresh, of {} (", date(2)));
    assert!(!text.contains("daemon") && !text.contains("secret"), "{text}");
    let asked = server.asked();
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[0].path, "/networks.bin.zst?key=secret");
    assert_eq!(asked[1].header("if-none-match"), Some("\"one\""));
    let records = String::from_utf8(house.table("sources.json")).unwrap();
    assert!(!records.contains("secret"), "a key in a URL is its owner's: {records}");

    // A table that was changed meanwhile is not what the server's tag is about.
    house.put(NETWORKS, b"damaged");
    house.check(&["--table", "networks"], &format!("-> {}", date(2)));
    assert_eq!(server.asked()[2].header("if-none-match"), None);
}

#[test]
fn the_json_has_the_same() {
    let server = Server::of(later(2));
    let house = House::new(&server.ca, &server.url("/t"));
    let text = house.check(&["--json", "--table", "networks"], "");
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let file = &json["tables"][0]["files"][0];
    assert_eq!(json["version"], 1);
    assert_eq!(json["tables"][0]["table"], "networks");
    assert_eq!(
        (&file["status"], &file["file"]),
        (&serde_json::json!("updated"), &serde_json::json!(NETWORKS))
    );
    assert_eq!((file["old_date"].as_str(), file["new_date"].as_str()), (Some(&*date(0)), Some(&*date(2))));
    let text = house.check(&["--json", "--table", "networks"], "\"fresh\"");
    assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
}

#[test]
fn a_check_fetches_nothing() {
    let server = Server::of(later(2));
    let house = House::new(&server.ca, &server.url("/t"));
    house.check(&["--check"], "networks: there is something to fetch (https://localhost:");
    assert_eq!(house.files(), [""; 0]);
    house.check(&[], "networks.bin.zst");
    said(&house.run(&["--check"]), 1, "networks: already fresh");
}

#[test]
fn the_table_before_comes_back_and_goes_again() {
    let (first, second) = (later(1), later(2));
    let served = (first.clone(), second.clone());
    let server = Server::start(move |asked, number| match number {
        0 => honest(&served.0, "\"1\"", asked),
        _ => honest(&served.1, "\"2\"", asked),
    });
    let house = House::new(&server.ca, &server.url("/t"));
    let refused = house.run(&["--rollback"]);
    let error = String::from_utf8(refused.stderr).unwrap();
    assert!(error.starts_with("telltale: no earlier table is kept in ") && refused.status.code() == Some(2));
    house.check(&[], &date(1));
    house.check(&[], &format!("{} -> {}", date(1), date(2)));
    assert_eq!(house.files(), [NETWORKS.to_owned(), format!("{NETWORKS}.previous")]);
    house.check(&["--rollback"], &format!("networks: {} -> {}, {NETWORKS}, rolled back", date(2), date(1)));
    assert_eq!(house.table(NETWORKS), first);
    house.check(&["--rollback", "--table", "networks"], &format!("{} -> {}", date(1), date(2)));
    assert_eq!(house.table(NETWORKS), second);
    assert_eq!(house.files(), [NETWORKS.to_owned(), format!("{NETWORKS}.previous")]);
    // One that is damaged is not brought back.
    house.put(&format!("{NETWORKS}.previous"), &first[..1000]);
    let refused = house.run(&["--rollback"]);
    let error = String::from_utf8(refused.stderr).unwrap();
    assert!(error.contains("roll back the table of networks: the earlier table is not whole: "), "{error}");
    assert_eq!(house.table(NETWORKS), second);
}

#[test]
fn an_older_table_is_taken_only_if_that_is_said() {
    let (new, old, oldest) = (later(2), later(1), later(-10));
    let server =
        Server::start(move |asked, number| honest([&new, &old, &old, &oldest][number], "\"x\"", asked));
    let house = House::new(&server.ca, &server.url("/t"));
    house.check(&[], &date(2));
    house.configure(&format!("retries = 0\nnetworks = [{:?}]\n", server.url("/other")));
    let words = format!("what came is of {}, older than the one in force, of {}", date(1), date(2));
    house.check_refused(&[], &words);
    house.check(&["--allow-older"], &format!("{} -> {}", date(2), date(1)));
    // The embedded table counts too, where there is no other.
    std::fs::remove_file(house.tables().join(NETWORKS)).unwrap();
    let words = format!("older than the one in the program, of {}, which stays in use", date(0));
    house.check_refused(&["--allow-older"], &words);
}

#[test]
fn a_monthly_file_of_db_ip_is_found_in_the_month_before() {
    use writer::{Value, map, mmdb, text};
    let epoch = days(1) * 86_400;
    let system = |n| {
        map(vec![("autonomous_system_number", Value::U32(n)), ("autonomous_system_organization", text("A"))])
    };
    let us = || map(vec![("country", map(vec![("iso_code", text("US"))]))]);
    let asn = mmdb("DBIP-ASN-Lite", epoch, &[("1.1.1.0/24", system(13_335)), ("8.8.8.0/24", system(15_169))]);
    let country = mmdb("DBIP-Country-Lite", epoch, &[("8.0.0.0/8", us())]);
    let packed = |bytes: &[u8]| {
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut gz, bytes).unwrap();
        gz.finish().unwrap()
    };
    let served = (packed(&asn), packed(&country));
    let this_month = jiff::Timestamp::now().strftime("%Y-%m").to_string();
    let server = Server::start(move |asked, _| {
        if asked.path.contains(&this_month) {
            return Reply::status(404);
        }
        let (asn, country) = &served;
        honest(if asked.path.starts_with("/asn-20") { asn } else { country }, "\"m\"", asked)
    });
    let house = House::new(&server.ca, "");
    let url = |name| server.url(&format!("/{name}-{{YYYY-MM}}.mmdb.gz"));
    house.configure(&format!("retries = 0\nnetworks = [{:?}, {:?}]\n", url("asn"), url("country")));
    let text = house.check(&[], "networks-asn.mmdb");
    assert!(text.contains(&format!("-> {}, networks-country.mmdb", date(1))), "{text}");
    assert_eq!(house.files(), ["networks-asn.mmdb", "networks-country.mmdb"]);
    assert_eq!((house.table("networks-asn.mmdb"), house.table("networks-country.mmdb")), (asn, country));
    let slots = gateway_user::tables::update::slot::mmdb_files(&house.tables());
    assert_eq!(
        slots,
        [house.tables().join("networks-asn.mmdb"), house.tables().join("networks-country.mmdb")]
    );
    let text = house.check(&[], &format!("networks: already fresh, of {}", date(1)));
    assert_eq!(text.matches("already fresh").count(), 2);
    // A table of our own form takes their place, and a step back brings them again.
    let other = Server::of(later(2));
    let house_of_other = house.path("other.pem");
    std::fs::write(&house_of_other, &other.ca).unwrap();
    let from = other.url("/t");
    house
        .check(&["--table", "networks", "--from", &from, "--ca", house_of_other.to_str().unwrap()], NETWORKS);
    assert_eq!(house.files(), ["networks-asn.mmdb.previous", "networks-country.mmdb.previous", NETWORKS]);
    house.check(&["--rollback"], "networks-asn.mmdb, rolled back");
    assert_eq!(
        house.files(),
        ["networks-asn.mmdb", "networks-country.mmdb", &format!("{NETWORKS}.previous")]
    );
}

#[test]
fn a_file_and_a_program_are_sources_too() {
    let new = later(2);
    let house = House::new("", "https://localhost:1/t");
    std::fs::write(house.path("ca.pem"), "").unwrap();
    let file = house.path("new.bin.zst");
    std::fs::write(&file, &new).unwrap();
    let plain =
        |section: &str| std::fs::write(house.path("telltale.toml"), format!("[update]\n{section}")).unwrap();
    plain("");
    house.check(&["--table", "networks", "--from", file.to_str().unwrap()], &format!("-> {}", date(2)));
    house.check(&["--table", "networks", "--from", file.to_str().unwrap()], "already fresh");
    assert!(file.exists(), "a file that is given stays where it is");
    std::fs::remove_dir_all(house.tables()).unwrap();

    let url = "https://localhost:1/t";
    plain(&format!(
        "networks = [{url:?}]\nfetch_cmd = [\"sh\", \"-c\", 'test \"$0\" = {url} && cat {}']",
        file.display()
    ));
    house.check(&["--table", "networks"], &format!("-> {}, networks.bin.zst", date(2)));
    assert_eq!(house.table(NETWORKS), new);
    house.check_refused(&["--table", "networks", "--check"], "cannot tell whether there is something newer");
    plain(&format!(
        "retries = 0\nnetworks = [{url:?}]\nfetch_cmd = [\"sh\", \"-c\", 'echo no way >&2; exit 3']"
    ));
    house.check_refused(&[], "the program sh ended with exit status: 3: no way");
    plain(&format!(
        "retries = 0\nstall_secs = 1\nnetworks = [{url:?}]\nfetch_cmd = [\"sh\", \"-c\", 'exec sleep 60']"
    ));
    house.check_refused(&[], "the program sh sends nothing");
    house.check_refused(&["--fetch-cmd", "/no/such/program -x"], "start the program /no/such/program: ");
    plain("");
    let text = house.run(&["--table", "owners"]);
    let error = String::from_utf8(text.stderr).unwrap();
    assert!(
        error.starts_with("telltale: update the table of owners: no source configured for owners: "),
        "{error}"
    );
    assert_eq!(house.table(NETWORKS), new);
    assert_ne!(new, EMBEDDED);
}
