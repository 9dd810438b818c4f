//! Privacy levels: what leaves the pipeline for devices of each level, and that no byte is lost.
#![allow(clippy::expect_used, reason = "tests panic on purpose")]

use gateway_core::application::Application;
use gateway_core::enrich::names::NameTables;
use gateway_core::privacy::{LEFT_OUT, Level, Privacy, kept_owner};
use gateway_core::row::{
    Alias, Answer, Batch, DeviceFact, EpochId, Evidence, FlowRow, Interval, LateName, LedgerLine, Marks,
    Network, OpenedBy, RowKey, RowKind,
};
use gateway_core::units::{BootTime, DomainName, Mac, Volume, WallTime};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

const SECRET: &str = "secret.tracker.example";
const DEVICE: Mac = Mac([2, 0, 0, 0, 0, 1]);
const OTHER: Mac = Mac([2, 0, 0, 0, 0, 2]);

fn name(text: &str) -> DomainName {
    DomainName::parse(text).expect("a name")
}

fn peer(last: u8) -> IpAddr {
    IpAddr::from([203, 0, 113, last])
}

fn key(device: Mac, last: u8, said: Option<&str>) -> RowKey {
    RowKey {
        device,
        peer: peer(last),
        port: 443,
        protocol: 6,
        kind: RowKind::Flow,
        opened_by: OpenedBy::Device,
        name: said.map(name),
        evidence: if said.is_some() { Evidence::TlsSni } else { Evidence::None },
        marks: Marks::COVERED,
        application: Application::Unknown,
    }
}

fn row(key: RowKey, up_bytes: u64) -> FlowRow {
    let volume = Volume { up_bytes, down_bytes: 1, up_packets: 1, down_packets: 1 };
    FlowRow { key, volume, conversations: 1, oldest_answer_secs: None }
}

fn batch() -> Batch {
    let epoch = EpochId { boot_id: "b".to_owned(), table_id: 1, epoch: 1 };
    let rows: Vec<_> = [DEVICE, OTHER]
        .into_iter()
        .flat_map(|device| {
            let coarse = RowKey { kind: RowKind::Coarse, peer: IpAddr::from([0; 4]), ..key(device, 0, None) };
            [row(coarse, 7), row(key(device, 1, None), 10), row(key(device, 2, Some(SECRET)), 20)]
        })
        .chain([row(key(DEVICE, 3, Some("www.tracker.example")), 40)])
        .collect();
    let mut sum = Volume::default();
    rows.iter().for_each(|row| sum.add(row.volume));
    let answer = |device| Answer {
        device,
        asker_ipv4: None,
        addr: peer(2),
        name: name(SECRET),
        chain: Vec::new(),
        answered_at: BootTime(1),
        vouches_until: BootTime(2),
        ttl_secs: 60,
    };
    let late = |device| LateName {
        epoch: epoch.clone(),
        from: key(device, 1, None),
        name: name(SECRET),
        evidence: Evidence::TlsSni,
        marks: Marks::NONE,
        application: Application::Unknown,
        answer_secs: None,
        volume: Volume { up_bytes: 5, ..Volume::default() },
    };
    let fact = |device| DeviceFact {
        device,
        hostname: Some("annas-phone".to_owned()),
        hostname_source: Some("dhcp"),
        vendor_class: None,
        parameter_list: None,
        addr: None,
    };
    let both = [DEVICE, OTHER];
    Batch {
        interval: Interval {
            began_boot: BootTime(0),
            ended_boot: BootTime(1),
            began_at: WallTime(0),
            ended_at: WallTime(1),
            is_clock_set: true,
        },
        ledger: vec![LedgerLine {
            counter: "seen".to_owned(),
            packets: sum.packets(),
            bytes: Some(sum.bytes()),
        }],
        networks: (1..4).map(|last| (peer(last), Network::default())).collect(),
        devices: both.map(fact).to_vec(),
        aliases: both.map(|device| Alias { device, name: name(SECRET), alias: name("cdn.example") }).to_vec(),
        answers: both.map(answer).to_vec(),
        late_names: both.map(late).to_vec(),
        rows,
        epoch,
    }
}

/// The batch with `DEVICE` at a level.
fn at(level: Level) -> Batch {
    let privacy =
        Privacy::new(Level::Full, BTreeMap::from([(DEVICE, level)]), Arc::new(NameTables::default()));
    let mut batch = batch();
    privacy.apply(&mut batch);
    batch
}

fn of_device(batch: &Batch) -> Vec<&FlowRow> {
    batch.rows.iter().filter(|row| row.key.device == DEVICE).collect()
}

fn volume(rows: &[&FlowRow]) -> u64 {
    rows.iter().map(|row| row.volume.bytes()).sum()
}

#[test]
fn the_law_holds_at_every_level_and_other_devices_stay_as_they_are() {
    let before = batch();
    for level in Level::ALL {
        let after = at(level);
        assert_eq!(after.check_conservation(), Ok(()), "{level:?}");
        let others = |batch: &Batch| -> Vec<FlowRow> {
            batch.rows.iter().filter(|row| row.key.device == OTHER).cloned().collect()
        };
        assert_eq!(others(&after), others(&before), "{level:?}");
        assert!(after.rows.is_sorted_by(|a, b| a.key < b.key), "ordered, no key twice");
        if level != Level::LeaveOut {
            assert_eq!(volume(&of_device(&after)), volume(&of_device(&before)), "{level:?}");
        }
    }
}

#[test]
fn a_stricter_device_leaves_no_name_and_no_address() {
    for level in [Level::Registrable, Level::Owners, Level::Totals, Level::LeaveOut] {
        let mut after = at(level);
        let is_of = |mac: Mac| mac == DEVICE;
        after.rows.retain(|row| is_of(row.key.device));
        after.answers.retain(|answer| is_of(answer.device));
        after.aliases.retain(|alias| is_of(alias.device));
        after.late_names.retain(|late| is_of(late.from.device));
        after.networks.clear();
        let all = format!("{after:?}");
        assert!(!all.contains("secret") && !all.contains("cdn.example"), "{level:?}: {all}");
        assert!(!all.contains("203.0.113"), "{level:?}: {all}");
        assert_eq!(after.answers.len() + after.aliases.len(), 0);
    }
    // The peer of the device alone is not looked up for nobody; that of both stays.
    let networks: Vec<_> = at(Level::Totals).networks.into_iter().map(|(peer, _)| peer).collect();
    assert_eq!(networks, [peer(1), peer(2)]);
}

#[test]
fn registrable_names_stay_and_the_rows_of_one_are_one() {
    let after = at(Level::Registrable);
    let rows = of_device(&after);
    let named: Vec<_> = rows.iter().filter(|row| row.key.name.is_some()).collect();
    let [one] = named.as_slice() else { panic!("{rows:?}") };
    assert_eq!(one.key.name, Some(name("tracker.example")));
    assert_eq!((one.volume.up_bytes, one.conversations, one.key.evidence), (60, 2, Evidence::TlsSni));
    assert!(rows.iter().all(|row| row.key.marks.has(Marks::WITHHELD)));
    let late: Vec<_> = after.late_names.iter().filter(|late| late.from.device == DEVICE).collect();
    let [late] = late.as_slice() else { panic!("{late:?}") };
    assert_eq!(late.name, name("tracker.example"));
    assert!(rows.iter().any(|row| row.key == late.from), "it mends the row that is stored");
}

#[test]
fn totals_are_one_row_for_each_kind_and_have_no_late_names() {
    let after = at(Level::Totals);
    let kinds: Vec<_> = of_device(&after).iter().map(|row| (row.key.kind, row.volume.up_bytes)).collect();
    assert_eq!(kinds, [(RowKind::Flow, 70), (RowKind::Coarse, 7)]);
    assert!(of_device(&after).iter().all(|row| row.key.port == 0 && row.key.protocol == 0));
    assert!(after.late_names.iter().all(|late| late.from.device == OTHER));
    assert!(after.devices.iter().any(|fact| fact.device == DEVICE), "what it calls itself stays");
}

#[test]
fn who_is_left_out_is_a_line_of_the_ledger_and_nothing_else() {
    let after = at(Level::LeaveOut);
    assert_eq!((of_device(&after).len(), after.devices.len()), (0, 1));
    let before = batch();
    let bytes = volume(&of_device(&before));
    assert_eq!(after.ledger_of(LEFT_OUT), (8, bytes));
    assert!(after.ledger.is_sorted_by(|a, b| a.counter < b.counter));
}

#[test]
fn a_name_that_nobody_owns_is_not_kept_and_kept_owners_are_told_from_names() {
    let after = at(Level::Owners);
    assert!(of_device(&after).iter().all(|row| row.key.name.is_none() && row.key.evidence == Evidence::None));
    assert_eq!(kept_owner(&name("xiaomi.owner.alt")), Some("xiaomi"));
    assert_eq!(kept_owner(&name("owner.alt.example")), None);
}
