//! The books, read straight from the database and held against the truth.

use super::household::{DEVICES, House};
use super::load::Said;
use gateway_core::row::LedgerLine;
use gateway_core::units::{Mac, Volume};
use rusqlite::Connection;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A database.
pub struct Books {
    db: Connection,
}

/// One stored interval.
struct Drain {
    origin: i64,
    epoch: i64,
    began: i64,
    ended: i64,
}

impl Books {
    /// Opens it.
    pub fn open(path: &Path) -> Self {
        Self { db: Connection::open(path).unwrap() }
    }

    /// Everything a device has exchanged.
    pub fn volume_of(&self, device: Mac) -> Volume {
        let sums = ["up_bytes", "down_bytes", "up_packets", "down_packets"]
            .map(|column| format!("COALESCE(SUM({column}), 0)"))
            .join(", ");
        let query = format!("SELECT {sums} FROM flow JOIN device ON device.id = flow.device WHERE mac = ?");
        let sums = self.db.query_row(&query, [&device.0[..]], |row| {
            let sum = |column| row.get::<_, i64>(column).map(i64::cast_unsigned);
            Ok(Volume { up_bytes: sum(0)?, down_bytes: sum(1)?, up_packets: sum(2)?, down_packets: sum(3)? })
        });
        sums.unwrap()
    }

    /// Name and evidence of the rows with a service's port, by interval.
    pub fn names_at(&self, port: u16) -> Vec<(String, u8)> {
        let query = "SELECT text, evidence FROM flow JOIN name ON name.id = flow.name WHERE port = ? ORDER BY interval";
        let mut statement = self.db.prepare(query).unwrap();
        statement
            .query_map([port], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap()
            .map(Result::unwrap)
            .collect()
    }

    /// A counter over all intervals: packets and bytes.
    pub fn counted(&self, counter: &str) -> (i64, i64) {
        let sums = "SELECT COALESCE(SUM(packets), 0), COALESCE(SUM(bytes), 0) FROM ledger WHERE counter = ?";
        self.db.query_row(sums, [counter], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
    }

    /// How many intervals there are.
    pub fn interval_count(&self) -> usize {
        self.drains().len()
    }

    /// The numbers of the tables that the intervals came from.
    pub fn table_ids(&self) -> BTreeSet<i64> {
        let mut statement = self.db.prepare("SELECT table_id FROM origin").unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    /// The laws of the books themselves, whatever the truth is.
    #[track_caller]
    pub fn check_themselves(&self) {
        let is_whole: String = self.db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(is_whole, "ok");
        assert_eq!(self.counted("imbalance"), (0, 0), "books that do not balance");
        self.check_balance();
        self.check_time();
    }

    /// Seen = rows + named losses, in every interval.
    pub fn check_balance(&self) {
        let losses = LedgerLine::IS_LOSS.map(|name| format!("'{name}'")).join(", ");
        let query = format!(
            "SELECT epoch,
                (SELECT packets FROM ledger WHERE interval = i.id AND counter = 'seen'),
                (SELECT COALESCE(SUM(up_packets + down_packets), 0) FROM flow WHERE interval = i.id)
                + (SELECT COALESCE(SUM(packets), 0) FROM ledger WHERE interval = i.id AND counter IN ({losses})),
                (SELECT bytes FROM ledger WHERE interval = i.id AND counter = 'seen'),
                (SELECT COALESCE(SUM(up_bytes + down_bytes), 0) FROM flow WHERE interval = i.id)
                + (SELECT COALESCE(SUM(bytes), 0) FROM ledger WHERE interval = i.id AND counter IN ({losses}))
             FROM interval AS i"
        );
        let mut statement = self.db.prepare(&query).unwrap();
        let mut rows = statement.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let number = |column| row.get::<_, i64>(column).unwrap();
            let epoch = number(0);
            assert_eq!((number(1), number(3)), (number(2), number(4)), "seen = accounted for, epoch {epoch}");
        }
    }

    /// No epoch twice, no moment twice, no moment missing. Tables that took over from others may overlap with
    /// them, because both count while the hooks move.
    fn check_time(&self) {
        let mut last_of: BTreeMap<i64, Drain> = BTreeMap::new();
        for drain in self.drains() {
            assert!(drain.began <= drain.ended, "epoch {} ends before it begins", drain.epoch);
            if let Some(last) = last_of.get(&drain.origin) {
                assert!(last.epoch < drain.epoch, "epochs {} and {} in time", last.epoch, drain.epoch);
                assert_eq!(last.ended, drain.began, "between epochs {} and {}", last.epoch, drain.epoch);
            }
            last_of.insert(drain.origin, drain);
        }
        let drains = self.drains();
        let mut covered = drains.first().map_or(0, |first| first.ended);
        for drain in &drains {
            assert!(drain.began <= covered, "nobody counted before epoch {}", drain.epoch);
            covered = covered.max(drain.ended);
        }
    }

    /// Every interval, in the order of time.
    fn drains(&self) -> Vec<Drain> {
        let query =
            "SELECT origin, epoch, began_boot_ns, ended_boot_ns FROM interval ORDER BY began_boot_ns, epoch";
        let mut statement = self.db.prepare(query).unwrap();
        let drains = statement.query_map([], |row| {
            Ok(Drain { origin: row.get(0)?, epoch: row.get(1)?, began: row.get(2)?, ended: row.get(3)? })
        });
        drains.unwrap().map(Result::unwrap).collect()
    }
}

/// Rows = truth = what the senders say, to the byte and packet, for each device, up and down, and nothing lost
/// under any name.
#[track_caller]
pub fn check(house: &House, said: &Said) {
    check_sum_of(house, &[Books::open(&house.database())], said);
}

/// The same where the intervals are spread over several databases.
#[track_caller]
pub fn check_sum_of(house: &House, books: &[Books], said: &Said) {
    house.check_ports();
    for books in books {
        books.check_themselves();
        for counter in LedgerLine::IS_LOSS {
            assert_eq!(books.counted(counter), (0, 0), "losses under the name {counter}");
        }
    }
    for (number, mac) in DEVICES.into_iter().enumerate() {
        let mut stored = Volume::default();
        books.iter().for_each(|books| stored.add(books.volume_of(mac)));
        let truth = house.truth(number);
        assert_eq!(said[number], truth, "device {number}: said = truth");
        assert_eq!(stored, truth, "device {number}: stored = truth");
        assert!(truth.up_packets > 0 && truth.down_packets > 0, "there was no load");
    }
}
