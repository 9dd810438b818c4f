//! Alerts from the rows of a database to a server that hears them: what is told, that it is told once, and that nothing is
//! told of what is not kept.
#![cfg(feature = "deliver")]
#![allow(clippy::unwrap_used, reason = "tests panic on purpose")]

mod fixture;
#[path = "deliver/server.rs"]
#[allow(dead_code, reason = "each test file uses its part")]
mod server;

use fixture::house::House;
use fixture::{PHONE, REDMI, balance, batch, key, row};
use gateway_core::enrich::names::NameTables;
use gateway_core::privacy::{Level, Privacy};
use gateway_core::row::{Batch, Evidence};
use gateway_core::units::{BootTime, WallTime};
use gateway_user::alert::Checker;
use gateway_user::alert::state::State;
use gateway_user::config::{Config, ConfigFlags};
use gateway_user::deliver::Way;
use gateway_user::deliver::queue::Outbox;
use gateway_user::deliver::worker::Workers;
use serde_json::Value;
use server::{Heard, Mail, http};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

const HOUR_NS: i64 = 3_600 * 1_000_000_000;
/// Midnight of 11 November 2020 in Berlin.
const FIRST: i64 = 1_605_049_200 * 1_000_000_000;
/// Whole days before the one that is looked at, which is the 21st.
const DAYS: i64 = 10;
const TODAY: &str = "2020-11-21T12:00:00";
const NEW: &str = "data.tracker.example";

/// Eleven days by the hour until noon of the last. The phone has one old destination, and at 10 today a new one.
fn days() -> Vec<Batch> {
    (0..DAYS * 24 + 12)
        .map(|hour| {
            let mut batch = batch(hour as u64 + 1);
            let boot = |hour: i64| BootTime((hour * HOUR_NS) as u64 + 1);
            batch.interval.began_boot = boot(hour);
            batch.interval.ended_boot = boot(hour + 1);
            batch.interval.began_at = WallTime(FIRST + hour * HOUR_NS);
            batch.interval.ended_at = WallTime(FIRST + (hour + 1) * HOUR_NS);
            let said = |name| Some((name, Evidence::TlsSni));
            batch.rows = vec![row(key(PHONE, "198.51.100.1", said("www.usual.example")), 1_000, 9_000, 1)];
            if hour == DAYS * 24 + 10 {
                batch.rows.push(row(key(PHONE, "198.51.100.2", said(NEW)), 500_000, 3_000, 2));
                batch.rows.push(row(key(REDMI, "198.51.100.2", said(NEW)), 10, 10, 1));
            }
            balance(&mut batch, &[]);
            batch
        })
        .collect()
}

/// A house with a webhook that listens.
struct Watched {
    house: House,
    heard: Heard,
}

impl Watched {
    fn new(batches: &[Batch], alerts: &str) -> Self {
        let heard = Heard::default();
        let port = http(None, "200 OK", Arc::clone(&heard));
        Self::with_port(batches, alerts, port, heard)
    }

    fn with_port(batches: &[Batch], alerts: &str, port: u16, heard: Heard) -> Self {
        let house = House::with(batches);
        let text = format!(
            "database = \"{}\"\n{alerts}\n[deliver.webhook]\nurl = \"http://127.0.0.1:{port}/in\"\n",
            house.database().display()
        );
        std::fs::write(house.directory.path().join("t.toml"), text).unwrap();
        // As a router's zone is, for the program that checks.
        let program = house.directory.path().join("telltale");
        let script = format!(
            "#!/bin/sh\nTZ=CET-1CEST,M3.5.0,M10.5.0/3 exec {} \"$@\"\n",
            env!("CARGO_BIN_EXE_telltale")
        );
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
        Self { house, heard }
    }

    fn config(&self) -> Config {
        let config = Some(self.house.directory.path().join("t.toml"));
        Config::load(&ConfigFlags { config, ..ConfigFlags::default() }).unwrap()
    }

    fn checker(&self, at: &str) -> Checker {
        Checker {
            program: self.house.directory.path().join("telltale"),
            file: Some(self.house.directory.path().join("t.toml")),
            database: self.house.database(),
            at: Some(at.parse().unwrap()),
        }
    }

    /// A daemon's life: one check; then all that was queued has arrived. Answers all that arrived so far.
    fn turn(&self, at: &str) -> Vec<Value> {
        let workers = Workers::start(&self.config()).unwrap();
        self.checker(at).turn(&workers).unwrap();
        let outbox = Outbox::beside(&self.house.database());
        wait_until(&|| outbox.waiting(Way::Webhook).unwrap().is_empty());
        let heard = self.heard.lock().unwrap();
        heard.iter().map(|r| serde_json::from_str(r.split_once("\r\n\r\n").unwrap().1).unwrap()).collect()
    }
}

fn wait_until(is_so: &dyn Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < end, "not in time");
        std::thread::yield_now();
    }
}

const NEW_DESTINATION: &str = "[[alert]]\nkind = \"new_destination\"\nmin_up = \"100kB\"\n";

#[test]
fn a_new_destination_is_told_once_even_over_a_restart() {
    let watched = Watched::new(&days(), NEW_DESTINATION);
    assert!(watched.turn("2020-11-21T10:00:00").is_empty(), "not yet");
    let told = watched.turn(TODAY);
    assert_eq!(told.len(), 1);
    let raised = told[0]["data"]["raised"].as_array().unwrap();
    assert_eq!(raised.len(), 1, "the other device sent less than 100 kB: {told:?}");
    assert_eq!(
        (&raised[0]["destination"], &raised[0]["up_bytes"]),
        (&Value::from("tracker.example"), &Value::from(500_000))
    );
    assert_eq!(raised[0]["device"], PHONE.to_string());
    assert!(told[0]["text"].as_str().unwrap().contains("First contact with tracker.example"), "{told:?}");
    assert_eq!(told[0]["priority"], "high");
    // Each turn is a daemon of its own.
    for at in ["2020-11-21T12:05:00", "2020-11-21T23:00:00", "2020-11-22T00:10:00", "2020-11-22T08:00:00"] {
        assert_eq!(watched.turn(at).len(), 1, "{at}");
    }
    let state = std::fs::read_to_string(State::file(&watched.house.database())).unwrap();
    assert!(!state.contains("tracker") && !state.contains(&PHONE.to_string()), "{state}");
    // Without what was noted it is told again: the test is not blind.
    std::fs::remove_file(State::file(&watched.house.database())).unwrap();
    assert_eq!(watched.turn(TODAY).len(), 2);
}

#[test]
fn what_began_after_the_last_check_before_midnight_is_told_after_it() {
    let watched = Watched::new(&days(), NEW_DESTINATION);
    assert!(watched.turn("2020-11-21T10:00:00").is_empty());
    let told = watched.turn("2020-11-22T00:03:00");
    assert_eq!(told.len(), 1);
    assert_eq!(told[0]["data"]["raised"][0]["in"], "2020-11-21");
    assert_eq!(watched.turn("2020-11-22T00:08:00").len(), 1);
}

#[test]
fn what_is_known_and_what_is_of_another_device_is_not_told() {
    let known = "[[known]]\ndomain = \"tracker.example\"\nreason = \"mine\"\ndate = \"2020-11-01\"\n";
    assert!(Watched::new(&days(), &format!("{NEW_DESTINATION}{known}")).turn(TODAY).is_empty());
    let other = format!("{NEW_DESTINATION}device = \"{REDMI}\"\n");
    assert!(Watched::new(&days(), &other).turn(TODAY).is_empty());
    let this = format!("{NEW_DESTINATION}device = \"{PHONE}\"\n{known}device = \"{REDMI}\"\n");
    assert_eq!(Watched::new(&days(), &this).turn(TODAY).len(), 1, "known of another device");
}

#[test]
fn a_device_whose_names_are_not_kept_raises_no_name() {
    let alerts =
        "[[alert]]\nkind = \"new_destination\"\n[[alert]]\nkind = \"quota\"\nof = \"up\"\nsize = \"100kB\"\n";
    let told_at = |level: Level| {
        let privacy =
            Privacy::new(Level::Full, BTreeMap::from([(PHONE, level)]), Arc::new(NameTables::default()));
        let mut batches = days();
        batches.iter_mut().for_each(|batch| privacy.apply(batch));
        let told = Watched::new(&batches, alerts).turn(TODAY);
        let text = serde_json::to_string(&told).unwrap();
        (told.len(), text.contains(NEW), text.contains("tracker.example"))
    };
    assert_eq!(told_at(Level::Full), (2, false, true));
    assert_eq!(told_at(Level::Totals), (1, false, false), "the quota alone");
    assert_eq!(told_at(Level::LeaveOut), (0, false, false));
}

#[test]
fn a_quota_is_told_once_a_day_or_a_month() {
    let day = "[[alert]]\nkind = \"quota\"\nsize = \"400kB\"\nof = \"up\"\n";
    let watched = Watched::new(&days(), day);
    assert!(watched.turn("2020-11-20T23:30:00").is_empty());
    let told = watched.turn(TODAY);
    assert_eq!(told.len(), 1);
    // Twelve hours of a kilobyte and the half megabyte.
    assert_eq!(told[0]["data"]["raised"][0]["bytes"], 512_000);
    assert_eq!(watched.turn("2020-11-21T13:00:00").len(), 1);
    let month = "[[alert]]\nkind = \"quota\"\nper = \"month\"\nsize = \"1MB\"\n";
    let watched = Watched::new(&days(), month);
    assert!(watched.turn("2020-11-15T03:00:00").is_empty());
    assert_eq!(watched.turn("2020-11-16T12:00:00").len(), 1);
    assert_eq!(watched.turn(TODAY).len(), 1);
}

#[test]
fn too_little_of_a_day_is_told_when_the_day_is_over() {
    let coverage = "[[alert]]\nkind = \"coverage\"\nfloor_percent = 90\n";
    let mut batches = days();
    // Four hours of the 20th are missing.
    batches
        .retain(|batch| !(9 * 24 + 3..9 * 24 + 7).contains(&((batch.interval.began_at.0 - FIRST) / HOUR_NS)));
    let watched = Watched::new(&batches, coverage);
    assert!(watched.turn("2020-11-20T23:00:00").is_empty(), "the day before was whole");
    assert!(watched.turn("2020-11-21T00:30:00").is_empty(), "its last drain may be to come");
    let told = watched.turn("2020-11-21T02:00:00");
    assert_eq!((told.len(), &told[0]["data"]["raised"][0]["coverage_percent"]), (1, &Value::from(83.3)));
    assert_eq!(watched.turn(TODAY).len(), 1);
    assert!(Watched::new(&days(), coverage).turn(TODAY).is_empty());
    assert_eq!(Watched::new(&days(), coverage).turn("2020-11-25T12:00:00").len(), 1, "nothing at all");
}

#[test]
fn a_server_that_is_away_holds_up_nothing_and_a_crash_loses_nothing() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let watched = Watched::with_port(&days(), NEW_DESTINATION, port, Heard::default());
    let workers = Workers::start(&watched.config()).unwrap();
    let outbox = Outbox::beside(&watched.house.database());
    // A crash of the check: nothing is noted, so that the next check tells it.
    let mut broken = watched.checker(TODAY);
    broken.program = watched.house.directory.path().join("crash");
    std::fs::write(&broken.program, "#!/bin/sh\nkill -ABRT $$\n").unwrap();
    std::fs::set_permissions(&broken.program, std::fs::Permissions::from_mode(0o700)).unwrap();
    let error = format!("{:#}", broken.turn(&workers).unwrap_err());
    assert!(error.starts_with("the program that checks alerts crashed"), "{error}");
    assert!(outbox.waiting(Way::Webhook).unwrap().is_empty());
    watched.checker(TODAY).turn(&workers).unwrap();
    wait_until(&|| outbox.books(Way::Webhook).failure.is_some());
    assert_eq!(outbox.waiting(Way::Webhook).unwrap().len(), 1, "it waits");
    watched.checker(TODAY).turn(&workers).unwrap();
    assert_eq!(outbox.waiting(Way::Webhook).unwrap().len(), 1, "once");
}

#[test]
fn an_alert_goes_out_on_its_ways_alone() {
    let mails = Heard::default();
    let mail = Mail { heard: Arc::clone(&mails), ..Mail::default() }.start();
    let email = format!(
        "{NEW_DESTINATION}ways = [\"email\"]\n[deliver.email]\nhost = \"localhost\"\nport = {mail}\ntls = \"none\"\n\
         from = \"gate@home.test\"\nto = [\"a@x.test\"]\n"
    );
    let watched = Watched::new(&days(), &email);
    let workers = Workers::start(&watched.config()).unwrap();
    watched.checker(TODAY).turn(&workers).unwrap();
    let outbox = Outbox::beside(&watched.house.database());
    wait_until(&|| outbox.books(Way::Email).delivered == 1);
    let mails = mails.lock().unwrap();
    let letter = mails.iter().find(|said| said.contains("Subject: ")).unwrap();
    // " new destination tracker.example", as a subject of more than a line is encoded.
    assert!(letter.contains("IG5ldyBkZXN0aW5hdGlvbiB0cmFja2VyLmV4YW1wbGU="), "{letter}");
    assert_eq!((outbox.books(Way::Webhook).delivered, watched.heard.lock().unwrap().len()), (0, 0));
}

#[test]
fn the_command_lists_what_was_told_and_tries_the_ways() {
    let watched = Watched::new(&days(), NEW_DESTINATION);
    let file = watched.house.directory.path().join("t.toml");
    let run = |args: &[&str]| {
        let output = watched.house.command(args).arg("--config").arg(&file).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, said) = run(&["alerts"]);
    assert_eq!(code, Some(0));
    assert!(said.contains("quiet: nothing told") && said.contains("not checked yet"), "{said}");
    watched.turn(TODAY);
    let (_, said) = run(&["alerts", "list"]);
    assert!(
        said.contains(
            "    last told 2020-11-21 12:00; 1 in two months\nchecked 2020-11-21 12:00, next 2020-11-21 12:05"
        ),
        "{said}"
    );
    let shapes: Value = serde_json::from_str(&run(&["alerts", "--json"]).1).unwrap();
    assert_eq!(shapes["alerts"][0]["last_told_at"], "2020-11-21T11:00:00Z");
    assert_eq!(
        (run(&["alerts", "test"]), watched.heard.lock().unwrap().len()),
        ((Some(0), "webhook: delivered\n".into()), 2)
    );
    watched.house.check_line(&["alerts"], 1, "no alert is configured: docs/alerts.md");
    let help = watched.house.run(&["alerts", "--help"]);
    assert!(!String::from_utf8(help.stdout).unwrap().contains("check  "), "not for people");
}
