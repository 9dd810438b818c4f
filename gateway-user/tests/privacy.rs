//! Privacy levels from the configuration to the bytes of the database file, and what reports say of such devices.
#![allow(clippy::unwrap_used, reason = "tests panic on purpose")]

mod fixture;

use fixture::house::House;
use fixture::wire::{self, PEER, PHONE_ADDR, flow_key};
use fixture::{PHONE, batch};
use gateway_common::{FlowState, KernelStat, StatBlock};
use gateway_core::drained::{Drained, DrainedFlow};
use gateway_core::enrich::NoNetworks;
use gateway_core::pipeline::{Pipeline, PipelineConfig};
use gateway_core::query::TimeRange;
use gateway_core::row::Batch;
use gateway_user::config::{Config, ConfigFlags};
use gateway_user::privacy::Levels;
use gateway_user::store::{Reader, Writer};
use std::path::Path;

const TLS_NAME: &str = "tls-secret.miui.com";
const DNS_NAME: &str = "dns-secret.xiaomi.com";

/// Runs three minutes of the phone through the pipeline into a database: a hello, a DNS answer, a late hello, a stop in
/// good order. `text` is the configuration.
fn run(text: &str) -> House {
    let house = House::new();
    let file = house.directory.path().join("t.toml");
    std::fs::write(&file, text).unwrap();
    let flags =
        ConfigFlags { config: Some(file), database: Some(house.database()), ..ConfigFlags::default() };
    let config = Config::load(&flags).unwrap();
    house.writer().set_label(PHONE, Some("Anna's phone")).unwrap();
    let privacy = Levels::new(&config).unwrap().now().unwrap();
    let mut pipeline = Pipeline::new(PipelineConfig { privacy, ..PipelineConfig::default() });
    let mut writer = Writer::open(&house.database()).unwrap();
    let at = |turn: u64, secs: u64| batch(turn).interval.began_boot.0 + secs * 1_000_000_000;
    for (turn, ports) in [(1, &[5000_u16, 5001, 5002][..]), (2, &[5000, 5003]), (3, &[5000])] {
        match turn {
            1 => {
                for (header, bytes) in wire::question_and_answer(at(1, 5), DNS_NAME, 300) {
                    pipeline.handle_sample(&header, &bytes);
                }
                let (header, bytes) = wire::hello(5000, at(1, 10), TLS_NAME);
                pipeline.handle_sample(&header, &bytes);
            }
            2 => {
                // After the first drain: names what was counted in it.
                let (header, bytes) = wire::hello(5002, at(1, 59), TLS_NAME);
                pipeline.handle_sample(&header, &bytes);
            }
            _ => {}
        }
        let flows: Vec<_> = ports
            .iter()
            .map(|port| DrainedFlow {
                key: flow_key(*port, 443, 6),
                up_bytes: 1000,
                down_bytes: 9000,
                up_packets: 10,
                down_packets: 10,
                opened: FlowState::OPENED_BY_DEVICE,
                first_boot_ms: Some((at(turn, 9) / 1_000_000) as u32),
            })
            .collect();
        let mut stats = StatBlock::default();
        stats.add(KernelStat::SeenPackets, flows.len() as u64 * 20);
        stats.add(KernelStat::SeenBytes, flows.len() as u64 * 10_000);
        let Batch { epoch, interval, .. } = batch(turn);
        let batch = pipeline.handle_drain(Drained { epoch, interval, flows, stats }, &NoNetworks);
        batch.check_conservation().unwrap();
        writer.append(&batch).unwrap();
    }
    let under_way = pipeline.open_conversations();
    let epoch = batch(1).epoch;
    writer.keep_conversations(&epoch.boot_id, epoch.table_id, &under_way).unwrap();
    house
}

/// In the file, or in what SQLite keeps beside it.
fn holds(house: &House, what: &[u8]) -> bool {
    let read = |ending: &str| {
        let path = format!("{}{ending}", house.database().display());
        if Path::new(&path).exists() { std::fs::read(&path).unwrap() } else { Vec::new() }
    };
    ["", "-wal", "-shm", "-journal"]
        .map(read)
        .iter()
        .any(|file| file.windows(what.len()).any(|part| part == what))
}

fn level(level: &str) -> String {
    format!("[privacy.device]\n\"anna's PHONE\" = \"{level}\"\n")
}

fn sums(house: &House) -> (u64, u64, u64) {
    let reader = Reader::open(&house.database()).unwrap().unwrap();
    let ledger = reader.ledger(TimeRange::EVER).unwrap();
    let of = |counter: &str| ledger.iter().find(|l| l.counter == counter).and_then(|l| l.bytes).unwrap_or(0);
    (of("seen"), reader.stored(TimeRange::EVER).unwrap().bytes(), of("left_out"))
}

#[test]
fn what_a_level_does_not_keep_is_not_in_the_files() {
    let peer: std::net::Ipv4Addr = PEER.parse().unwrap();
    let found = |text: &str| {
        let house = run(text);
        let names = [TLS_NAME, DNS_NAME, "miui.com", "xiaomi.com"].map(|name| holds(&house, name.as_bytes()));
        (names, holds(&house, &peer.octets()), sums(&house))
    };
    let all = 60_000;
    assert_eq!(found(""), ([true; 4], true, (all, all, 0)));
    let registrable = ([false, false, true, true], false, (all, all, 0));
    assert_eq!(found(&level("registrable")), registrable);
    let nothing = [false; 4];
    assert_eq!(found(&level("owners")), (nothing, false, (all, all, 0)));
    assert_eq!(found(&level("totals")), (nothing, false, (all, all, 0)));
    assert_eq!(found(&level("leave_out")), (nothing, false, (all, 0, all)));
    assert_eq!(found("[privacy]\ndefault = \"totals\"\n"), (nothing, false, (all, all, 0)));
    // The device's own address is not kept of one that is left out.
    assert!(!holds(&run(&format!("[privacy.device]\n\"{PHONE}\" = \"leave_out\"\n")), &PHONE_ADDR));
}

#[test]
fn an_address_wins_over_a_label_and_a_label_covers_what_is_merged() {
    let text = format!("{}\"{PHONE}\" = \"full\"\n", level("totals"));
    assert!(holds(&run(&text), TLS_NAME.as_bytes()));
    let house = House::evening();
    let file = house.directory.path().join("t.toml");
    std::fs::write(&file, "[privacy.device]\n\"redmi note 8\" = \"totals\"\nnobody = \"leave_out\"\n")
        .unwrap();
    let flags =
        ConfigFlags { config: Some(file), database: Some(house.database()), ..ConfigFlags::default() };
    let mut levels = Levels::new(&Config::load(&flags).unwrap()).unwrap();
    let words = |levels: &mut Levels| {
        let privacy = levels.now().unwrap();
        [fixture::REDMI, PHONE].map(|mac| privacy.level_of(mac).word())
    };
    assert_eq!(words(&mut levels), ["totals", "full"]);
    house.writer().merge(fixture::REDMI, PHONE).unwrap();
    let merged = words(&mut levels);
    house.writer().set_label(fixture::REDMI, None).unwrap();
    assert_eq!((merged, words(&mut levels)), (["totals", "totals"], ["full", "full"]));
}

#[test]
fn reports_say_that_names_are_not_kept() {
    let house = run(&level("totals"));
    let said = |args: &[&str]| String::from_utf8(house.run(args).stdout).unwrap();
    for command in ["report", "summary", "flows"] {
        let said = said(&[command, "--day", "2020-11-22"]);
        assert!(said.contains("names not kept (privacy level)"), "{command}: {said}");
        assert!(!said.contains("0.0.0.0") && !said.contains("unnamed addresses"), "{command}: {said}");
    }
    assert!(said(&["flows", "--day", "2020-11-22", "--json"]).contains("withheld"));
    let owners = run(&level("owners"));
    if cfg!(feature = "tables-full") {
        let said = String::from_utf8(owners.run(&["summary", "--day", "2020-11-22"]).stdout).unwrap();
        assert!(said.contains("Xiaomi (only the owner is kept)"), "{said}");
    }
    let left_out = run(&level("leave_out"));
    let said = String::from_utf8(left_out.run(&["report", "--day", "2020-11-22"]).stdout).unwrap();
    assert!(said.contains("devices left out (privacy level)"), "{said}");
}
