//! What Telltale stored against the truth, device by device.

use super::{V4, V6, both, certain, household, make_every_kind, queue_losses};
use std::path::Path;
use xtask::lab::traffic::{Traffic, TrafficServer};
use xtask::lab::truth::{Tally, Truth};
use xtask::lab::{Device, Household, Offloads, TelltaleOptions, play_evening, run_telltale};
use xtask::tool;

/// Runs the traffic under Telltale and compares every device's volume. Returns the run's database by a look at
/// it before it goes.
#[track_caller]
fn compare(household: &Household, offloads: Offloads, traffic: impl FnOnce()) -> Ledger {
    household.set_offloads(offloads).unwrap();
    let binary = tool::build_telltale().unwrap();
    let directory = household.run().directory().join(format!("{offloads:?}"));
    std::fs::create_dir_all(&directory).unwrap();
    let database = directory.join("telltale.db");
    let lost = queue_losses();
    household.wait_until_quiet().unwrap();
    let truths: Vec<_> = household.devices().iter().map(|d| Truth::begin(household, d).unwrap()).collect();
    let telltale = run_telltale(household, &TelltaleOptions::new(binary, &database)).unwrap();
    traffic();
    household.wait_until_quiet().unwrap();
    let stopped = telltale.terminate().unwrap();
    stopped.check().unwrap();
    let totals: Vec<_> = truths.into_iter().map(|t| certain(t.end().unwrap(), offloads)).collect();
    assert_eq!(queue_losses(), lost, "the machine lost packets between two links: this comparison is void");
    let database = open(&database);
    for (device, totals) in household.devices().iter().zip(&totals) {
        let name = device.spec.hostname;
        assert_eq!(stored(&database, device), both(totals), "{name}, {offloads:?}; the truth:\n{totals:#?}");
    }
    Ledger::read(&database)
}

/// The ledger of all intervals together.
#[derive(Debug)]
struct Ledger {
    seen_bytes: u64,
    stored_bytes: u64,
    coarse_packets: u64,
    lost_bytes: u64,
}

/// The counters of volume that is seen and stands in no row.
const LOSSES: &str = "'bridged', 'group', 'arp', 'eapol', 'llc', 'pppoe_control', 'other_ethertype', 'malformed', \
                      'nobody', 'excluded'";

impl Ledger {
    fn read(database: &rusqlite::Connection) -> Self {
        let one =
            |sql: &str| database.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap().cast_unsigned();
        Self {
            seen_bytes: one("SELECT coalesce(sum(bytes), 0) FROM ledger WHERE counter = 'seen'"),
            stored_bytes: one("SELECT coalesce(sum(up_bytes + down_bytes), 0) FROM flow"),
            coarse_packets: one(
                "SELECT coalesce(sum(up_packets + down_packets), 0) FROM flow WHERE kind = 2",
            ),
            lost_bytes: one(&format!(
                "SELECT coalesce(sum(bytes), 0) FROM ledger WHERE counter IN ({LOSSES})"
            )),
        }
    }

    #[track_caller]
    fn check_balance(&self) {
        assert_eq!(self.seen_bytes, self.stored_bytes + self.lost_bytes, "{self:?}");
        assert!(self.stored_bytes > 0, "{self:?}");
    }
}

fn open(database: &Path) -> rusqlite::Connection {
    rusqlite::Connection::open_with_flags(database, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap()
}

/// What the database holds of a device: up, then down.
fn stored(database: &rusqlite::Connection, device: &Device) -> [Tally; 2] {
    let sql = "SELECT coalesce(sum(up_bytes), 0), coalesce(sum(up_packets), 0), coalesce(sum(down_bytes), 0),
               coalesce(sum(down_packets), 0)
               FROM flow JOIN device ON device.id = flow.device WHERE mac = ?1";
    let numbers = database.query_row(sql, [device.spec.mac.as_slice()], |row| {
        Ok([0, 1, 2, 3].map(|column| row.get::<_, i64>(column).map(i64::cast_unsigned)))
    });
    let [up_bytes, up_packets, down_bytes, down_packets] = numbers.unwrap().map(Result::unwrap);
    [Tally { bytes: up_bytes, packets: up_packets }, Tally { bytes: down_bytes, packets: down_packets }]
}

fn compare_every_kind(mtu: u32, offloads: Offloads) {
    let household = household(mtu);
    let _server = TrafficServer::start(&household).unwrap();
    compare(&household, offloads, || {
        for device in household.devices() {
            make_every_kind(&household, device);
        }
    })
    .check_balance();
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn every_kind_of_traffic_is_stored_to_the_byte_without_offloads() {
    compare_every_kind(1500, Offloads::None);
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn every_kind_of_traffic_is_stored_to_the_byte_with_send_offloads() {
    compare_every_kind(1500, Offloads::Send);
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn every_kind_of_traffic_is_stored_to_the_byte_with_all_offloads() {
    compare_every_kind(1500, Offloads::SendAndReceive);
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn jumbo_packets_are_stored_to_the_byte() {
    compare_every_kind(9000, Offloads::None);
    compare_every_kind(9000, Offloads::Send);
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn ten_thousand_flows_are_stored_to_the_byte() {
    let household = household(1500);
    let _server = TrafficServer::start(&household).unwrap();
    let ledger = compare(&household, Offloads::Send, || {
        for (role, to) in [("redmi", V4), ("phone2", V6)] {
            let device = household.device(role).unwrap();
            Traffic::Udp { to, flows: 10_000, size: 10, count: 1 }.make_on(&household, device).unwrap();
            Traffic::Tcp { to, flows: 2_000, up: 300, down: 3_000 }.make_on(&household, device).unwrap();
        }
    });
    ledger.check_balance();
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn a_flood_that_overflows_the_tables_keeps_every_devices_volume() {
    let household = household(1500);
    let ledger = compare(&household, Offloads::Send, || {
        let device = household.device("laptop").unwrap();
        for v6 in [false, true] {
            Traffic::Flood { v6, flows: 200_000 }.make_on(&household, device).unwrap();
        }
    });
    ledger.check_balance();
    assert!(ledger.coarse_packets > 0, "the flood did not overflow the tables: {ledger:?}");
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn an_evening_is_stored_to_the_byte_with_its_names() {
    let household = household(1500);
    let mut names = Vec::new();
    let ledger = compare(&household, Offloads::Send, || {
        play_evening(&household).unwrap();
    });
    ledger.check_balance();
    let directory = household.run().directory().join(format!("{:?}", Offloads::Send));
    let database = open(&directory.join("telltale.db"));
    let mut query = database
        .prepare("SELECT DISTINCT text FROM flow JOIN name ON name.id = flow.name JOIN device ON device.id = flow.device WHERE mac = ?1")
        .unwrap();
    super::columns::check(&tool::build_telltale().unwrap(), &directory.join("telltale.db"));
    let redmi = household.device("redmi").unwrap();
    let mut rows = query.query([redmi.spec.mac.as_slice()]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        names.push(row.get::<_, String>(0).unwrap());
    }
    for expected in ["data.mistat.intl.xiaomi.com", "data.mistat.rus.xiaomi.com", "sa.api.intl.miui.com"] {
        assert!(names.iter().any(|name| name == expected), "{expected} is not among {names:?}");
    }
    // DNS over TLS and HTTPS, NTP, STUN, WireGuard: recognised, by their numbers, on the device that spoke them.
    for (role, application) in [("laptop", 7), ("laptop", 9), ("phone2", 13), ("phone2", 14), ("phone2", 16)]
    {
        let mac = household.device(role).unwrap().spec.mac;
        let sql = "SELECT coalesce(sum(up_bytes), 0) FROM flow JOIN device ON device.id = flow.device
                   WHERE mac = ?1 AND application = ?2";
        let up: i64 = database.query_row(sql, (mac.as_slice(), application), |row| row.get(0)).unwrap();
        assert!(up > 0, "{role} spoke protocol {application}, and no row says so");
    }
}
