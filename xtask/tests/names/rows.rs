//! What Telltale stored of the run, and whether it is the truth: every byte of every connection under its name.

use super::clients::HIDDEN;
use super::plan::{Connection, Expected, Truth, is_of_the_run, number};
use super::witness::{Volume, add};
use rusqlite::{Connection as Database, OpenFlags};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use xtask::lab::Household;

/// What the rows of one device, protocol, peer and service say.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Key {
    role: &'static str,
    protocol: u8,
    service: SocketAddr,
    name: Option<String>,
    evidence: u8,
    application: u8,
    outer: u8,
}

/// Volume and number of conversations.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Sum {
    volume: Volume,
    conversations: u64,
}

impl Key {
    /// The name, if there is one.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    fn of(connection: &Connection, expected: &Expected) -> Self {
        let Connection { role, protocol, peer, .. } = *connection;
        let Expected { name, evidence, application, outer } = expected.clone();
        Self { role, protocol, service: peer, name: Some(name), evidence, application, outer }
    }
}

/// What the rows should say.
pub fn expected(truth: &Truth, witnessed: &BTreeMap<Connection, Volume>) -> BTreeMap<Key, Sum> {
    let mut rows = BTreeMap::<Key, Sum>::new();
    for (connection, expected) in truth {
        let volume = witnessed.get(connection).unwrap_or_else(|| panic!("{connection:?} did not happen"));
        let sum = rows.entry(Key::of(connection, expected)).or_default();
        add(&mut sum.volume, *volume);
        sum.conversations += 1;
    }
    for connection in witnessed.keys().filter(|c| is_of_the_run(c.peer.ip())) {
        assert!(truth.contains_key(connection), "nobody planned {connection:?}");
    }
    rows
}

/// A database of a run.
pub struct Stored(Database);

impl Stored {
    pub fn open(path: &Path) -> Self {
        Self(Database::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap())
    }

    /// The rows of the run's connections from an interval on.
    pub fn rows(&self, household: &Household, from: i64) -> BTreeMap<Key, Sum> {
        let mut query = self.0.prepare(
            "SELECT device.mac, peer.addr, port, protocol, name.text, evidence, application, marks & ?1, opened_by,
                    kind, sum(up_bytes), sum(up_packets), sum(down_bytes), sum(down_packets), sum(conversations)
             FROM flow JOIN device ON device.id = flow.device JOIN peer ON peer.id = flow.peer
                       JOIN name ON name.id = flow.name
             WHERE protocol IN (6, 17) AND interval >= ?2 GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10",
        );
        let query = query.as_mut().unwrap();
        let mut found = query.query([i64::from(number::OUTER_NAME), from]).unwrap();
        let mut rows = BTreeMap::<Key, Sum>::new();
        while let Some(row) = found.next().unwrap() {
            let Some(peer) = address(row.get_ref(1).unwrap().as_blob().unwrap()) else { continue };
            if !is_of_the_run(peer) {
                continue;
            }
            let mac = row.get_ref(0).unwrap().as_blob().unwrap();
            let device = household.devices().iter().find(|d| d.spec.mac == mac).expect("a device of the lab");
            let name: String = row.get(4).unwrap();
            let key = Key {
                role: device.spec.role,
                protocol: row.get(3).unwrap(),
                service: SocketAddr::new(peer, row.get(2).unwrap()),
                name: Some(name).filter(|name| !name.is_empty()),
                evidence: row.get(5).unwrap(),
                application: row.get(6).unwrap(),
                outer: row.get(7).unwrap(),
            };
            assert_eq!(row.get::<_, u8>(9).unwrap(), 0, "not a flow: {key:?}");
            let sum = rows.entry(key).or_default();
            add(&mut sum.volume, [10, 11, 12, 13].map(|at| count(row, at)));
            sum.conversations += count(row, 14);
        }
        rows
    }

    /// A counter of the ledger over all intervals: packets, or how many times.
    pub fn counter(&self, counter: &str) -> u64 {
        let sql = "SELECT coalesce(sum(packets), 0) FROM ledger WHERE counter = ?1";
        self.0.query_row(sql, [counter], |row| Ok(count(row, 0))).unwrap()
    }

    /// The last interval whose ledger has this counter.
    pub fn last_interval_with(&self, counter: &str) -> Option<i64> {
        let sql = "SELECT max(interval) FROM ledger WHERE counter = ?1";
        self.0.query_row(sql, [counter], |row| row.get(0)).unwrap()
    }

    /// The ledger's counters of samples, in a line each.
    pub fn ledger(&self) -> String {
        let sql = "SELECT counter, sum(packets) FROM ledger WHERE bytes IS NULL GROUP BY 1 ORDER BY 1";
        let mut query = self.0.prepare(sql).unwrap();
        let line =
            |row: &rusqlite::Row<'_>| Ok(format!("  {} {}\n", row.get::<_, String>(0)?, count(row, 1)));
        query.query_map([], line).unwrap().map(Result::unwrap).collect()
    }

    /// No name from inside an encrypted hello is known.
    #[track_caller]
    pub fn check_nothing_hidden(&self) {
        let sql = "SELECT count(*) FROM name WHERE text LIKE '%' || ?1 || '%'";
        assert_eq!(self.0.query_row(sql, [HIDDEN], |row| Ok(count(row, 0))).unwrap(), 0);
    }
}

fn count(row: &rusqlite::Row<'_>, column: usize) -> u64 {
    row.get::<_, i64>(column).unwrap().cast_unsigned()
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from);
    v4.or_else(|| <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from))
}

/// Refuses any difference but one: a conversation that goes on over the end of an interval is counted in both.
#[track_caller]
pub fn compare(stored: &BTreeMap<Key, Sum>, expected: &BTreeMap<Key, Sum>, ledger: &str) {
    let volumes = |rows: &BTreeMap<Key, Sum>| -> BTreeMap<Key, Volume> {
        rows.iter().map(|(key, sum)| (key.clone(), sum.volume)).collect()
    };
    let (have, want) = (volumes(stored), volumes(expected));
    let missing = want.iter().filter(|(key, volume)| have.get(key) != Some(volume));
    let wrong = have.iter().filter(|(key, volume)| want.get(key) != Some(volume));
    let (missing, wrong): (Vec<_>, Vec<_>) = (missing.collect(), wrong.collect());
    let some = |list: &[(&Key, &Volume)]| -> String {
        list.iter().take(12).map(|(key, volume)| format!("  {key:?} {volume:?}\n")).collect()
    };
    assert!(
        missing.is_empty() && wrong.is_empty(),
        "{} rows should be there and are not or have another volume:\n{}{} are there and should not:\n{}ledger:\n{ledger}",
        missing.len(),
        some(&missing),
        wrong.len(),
        some(&wrong),
    );
    for (key, sum) in expected {
        assert!(stored[key].conversations >= sum.conversations, "{key:?}");
    }
}

/// Refuses a wrong name; none at all is permitted where a sample was lost. Every byte must be there nevertheless.
/// Returns how many conversations have no name.
#[track_caller]
pub fn compare_names_given(stored: &BTreeMap<Key, Sum>, expected: &BTreeMap<Key, Sum>) -> u64 {
    let (mut nameless, mut have, mut want) = (0, BTreeMap::new(), BTreeMap::new());
    let service = |key: &Key| (key.role, key.protocol, key.service);
    for (key, sum) in stored {
        assert!(key.name.is_none() || expected.contains_key(key), "a wrong name: {key:?}");
        nameless += if key.name.is_none() { sum.conversations } else { 0 };
        add(have.entry(service(key)).or_default(), sum.volume);
    }
    for (key, sum) in expected {
        add(want.entry(service(key)).or_default(), sum.volume);
    }
    assert_eq!(have, want);
    nameless
}
