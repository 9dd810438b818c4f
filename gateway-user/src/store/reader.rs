//! Reads the database: a filter in, rows out. Opens the file read-only; changes nothing, ever.
//!
//! An interval belongs to the range that it began in, whole: days side by side hold every row once.

use super::column::{addr_of, mac_of};
use super::open;
use anyhow::Context;
use gateway_core::query::{Counted, DeviceInfo, TimeRange};
use gateway_core::report::coverage::LATEST;
use gateway_core::report::model::Undated;
use gateway_core::row::{Alias, LedgerLine};
use gateway_core::units::{DomainName, Mac, Volume, WallTime};
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};
use std::collections::BTreeMap;
use std::path::Path;

/// The one that reads. It sees the database as it was at its first question, so that all answers fit together,
/// whatever is written meanwhile; for news, open another.
#[derive(Debug)]
pub struct Reader {
    pub(super) db: Connection,
}

impl Reader {
    /// Opens the database at `path`; `None` if there is none yet.
    ///
    /// # Errors
    /// One line with the path: it cannot be read, is no SQLite file, is another program's, or has a schema that this
    /// program does not read.
    pub fn open(path: &Path) -> anyhow::Result<Option<Self>> {
        let Some(db) = open::for_reading(path)? else { return Ok(None) };
        db.execute_batch("BEGIN").context("begin to read")?;
        Ok(Some(Self { db }))
    }

    /// From the start of the first dated interval to the end of the last; of the undated ones while there are no
    /// others; `None` if nothing was ever counted.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn extent(&self) -> anyhow::Result<Option<TimeRange>> {
        let of = |is_clock_set: bool| {
            let sql =
                "SELECT MIN(began_at), MAX(MAX(ended_at, began_at + 1)) FROM interval WHERE is_clock_set = ?";
            self.db.query_row(sql, [is_clock_set], |row| read_range(row, 0))
        };
        let read = || Ok::<_, rusqlite::Error>(of(true)?.or(of(false)?));
        read().context("read when the database's data is from")
    }

    /// The intervals that have any time in common with a range, by their start.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn counted(&self, range: TimeRange) -> anyhow::Result<Vec<Counted>> {
        let sql = "SELECT origin, began_boot_ns, ended_boot_ns, began_at, ended_at, is_clock_set, \
                   CASE WHEN began_at < ?1 OR ended_at > ?2 THEN \
                   (SELECT SUM(up_bytes + down_bytes) FROM flow WHERE interval = i.id) END FROM interval i \
                   WHERE began_at < ?2 AND (ended_at > ?1 OR began_at >= ?1) ORDER BY began_at, id";
        self.all(sql, [range.since.0.into(), range.until.0.into()], read_counted)
            .context("read the journal of drains")
    }

    /// The last intervals that began by a moment, latest first: they tell how often the tables are drained.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn latest(&self, now: WallTime) -> anyhow::Result<Vec<Counted>> {
        let sql = "SELECT origin, began_boot_ns, ended_boot_ns, began_at, ended_at, is_clock_set, NULL \
                   FROM interval WHERE began_at <= ? AND grain = 0 ORDER BY began_at DESC LIMIT ?";
        let count = i64::try_from(LATEST).unwrap_or(i64::MAX);
        self.all(sql, [now.0.into(), count.into()], read_counted).context("read the last drains")
    }

    /// The intervals without a date that did not begin in a range.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn undated_elsewhere(&self, range: TimeRange) -> anyhow::Result<Option<Undated>> {
        let sql = "SELECT COUNT(*), MIN(began_at), MAX(ended_at) FROM interval \
                   WHERE is_clock_set = 0 AND NOT (began_at >= ? AND began_at < ?)";
        let read = |row: &Row<'_>| {
            let count = row.get::<_, i64>(0)?.cast_unsigned();
            Ok(read_range(row, 1)?.map(|kept_at| Undated { count, kept_at }))
        };
        self.db
            .query_row(sql, [range.since.0, range.until.0], read)
            .context("look for intervals without a date")
    }

    /// How many intervals of a range had a port of the LAN that was not hooked, or none at all.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn unhooked_intervals(&self, range: TimeRange) -> anyhow::Result<u64> {
        let sql = "SELECT COUNT(DISTINCT i.id) FROM interval i JOIN ledger l ON l.interval = i.id \
                   WHERE i.began_at >= ? AND i.began_at < ? \
                   AND l.counter IN ('unhooked_ports', 'no_ports') AND l.packets > 0";
        self.db
            .query_row(sql, [range.since.0, range.until.0], |row| row.get::<_, i64>(0))
            .map(i64::cast_unsigned)
            .context("count the intervals with unhooked ports")
    }

    /// All devices, by MAC address.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn devices(&self) -> anyhow::Result<Vec<DeviceInfo>> {
        self.read_devices().context("read the devices")
    }

    fn read_devices(&self) -> anyhow::Result<Vec<DeviceInfo>> {
        let mut addrs: BTreeMap<i64, Vec<_>> = BTreeMap::new();
        let held = self.all("SELECT device, addr FROM device_addr", [], |row| {
            Ok((row.get(0)?, addr_of(row.get_ref(1)?.as_blob()?)?))
        })?;
        for (device, addr) in held {
            addrs.entry(device).or_default().push(addr);
        }
        let sql = "SELECT id, mac, label, hostname, hostname_source, vendor_class, first_seen, last_seen, parameter_list, merged_into FROM device \
                   ORDER BY mac";
        let read = |row: &Row<'_>| {
            let id: i64 = row.get(0)?;
            let mut addrs = addrs.remove(&id).unwrap_or_default();
            addrs.sort_unstable();
            let device = DeviceInfo {
                mac: mac_of(row.get_ref(1)?.as_blob()?)?,
                label: row.get(2)?,
                hostname: row.get(3)?,
                hostname_source: row.get(4)?,
                vendor_class: row.get(5)?,
                parameter_list: row.get(8)?,
                addrs,
                first_seen: row.get::<_, Option<i64>>(6)?.map(WallTime),
                last_seen: row.get::<_, Option<i64>>(7)?.map(WallTime),
                merged: Vec::new(),
            };
            Ok((id, row.get(9)?, device))
        };
        let found: Vec<(i64, Option<i64>, DeviceInfo)> = self.all(sql, [], read)?;
        let mut parts = BTreeMap::<i64, Vec<DeviceInfo>>::new();
        let mut devices = Vec::new();
        for (id, merged_into, device) in found {
            match merged_into {
                Some(head) => parts.entry(head).or_default().push(device),
                None => devices.push((id, device)),
            }
        }
        let whole = |(id, device): (i64, DeviceInfo)| device.with(parts.remove(&id).unwrap_or_default());
        Ok(devices.into_iter().map(whole).collect())
    }

    /// All volume in rows of a range.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn stored(&self, range: TimeRange) -> anyhow::Result<Volume> {
        let sql = "SELECT SUM(up_bytes), SUM(down_bytes), SUM(up_packets), SUM(down_packets) \
                   FROM interval i JOIN flow f ON f.interval = i.id WHERE i.began_at >= ? AND i.began_at < ?";
        let read = |row: &Row<'_>| read_volume(row, 0);
        self.db.query_row(sql, [range.since.0, range.until.0], read).context("add the rows up")
    }

    /// The ledger of a range, added up by counter, ordered by counter.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn ledger(&self, range: TimeRange) -> anyhow::Result<Vec<LedgerLine>> {
        let sql = "SELECT counter, SUM(packets), SUM(bytes) FROM interval i JOIN ledger l ON l.interval = i.id \
                   WHERE i.began_at >= ? AND i.began_at < ? GROUP BY counter ORDER BY counter";
        self.all(sql, [range.since.0.into(), range.until.0.into()], |row| {
            Ok(LedgerLine {
                counter: row.get(0)?,
                packets: row.get::<_, i64>(1)?.cast_unsigned(),
                bytes: row.get::<_, Option<i64>>(2)?.map(i64::cast_unsigned),
            })
        })
        .context("read the ledger")
    }

    /// Every CNAME ever learned, in order.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn aliases(&self) -> anyhow::Result<Vec<Alias>> {
        let sql = "SELECT DISTINCT d.mac, n.text, a.text FROM alias JOIN device m ON m.id = alias.device \
                   JOIN device d ON d.id = COALESCE(m.merged_into, m.id) \
                   JOIN name n ON n.id = alias.name JOIN name a ON a.id = alias.alias ORDER BY 1, 2, 3";
        let told: Vec<(Mac, String, String)> = self
            .all(sql, [], |row| Ok((mac_of(row.get_ref(0)?.as_blob()?)?, row.get(1)?, row.get(2)?)))
            .context("read the aliases")?;
        let parse = |(device, name, alias): (Mac, String, String)| {
            Some(Alias { device, name: DomainName::parse(&name)?, alias: DomainName::parse(&alias)? })
        };
        Ok(told.into_iter().filter_map(parse).collect())
    }

    /// The oldest and the newest date of the tables that peers' networks are from.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn tables_dates(&self) -> anyhow::Result<Option<(String, String)>> {
        let (oldest, newest): (Option<String>, Option<String>) = self
            .db
            .query_row("SELECT MIN(as_of), MAX(as_of) FROM peer", [], |row| Ok((row.get(0)?, row.get(1)?)))
            .context("read the dates of the network tables")?;
        Ok(oldest.zip(newest))
    }

    pub(super) fn one<T>(
        &self,
        sql: &str,
        values: impl IntoIterator<Item = Value>,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        self.db.prepare_cached(sql)?.query_row(params_from_iter(values), read)
    }

    pub(super) fn all<T>(
        &self,
        sql: &str,
        values: impl IntoIterator<Item = Value>,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> anyhow::Result<Vec<T>> {
        let mut statement = self.db.prepare_cached(sql)?;
        let rows = statement.query_map(params_from_iter(values), read)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

/// From two columns of a query that has one line; `None` where there was nothing to take the least or greatest of.
fn read_range(row: &Row<'_>, first: usize) -> rusqlite::Result<Option<TimeRange>> {
    let (since, until) = (row.get::<_, Option<i64>>(first)?, row.get::<_, Option<i64>>(first + 1)?);
    Ok(since.zip(until).map(|(a, b)| TimeRange { since: WallTime(a), until: WallTime(b) }))
}

fn read_counted(row: &Row<'_>) -> rusqlite::Result<Counted> {
    Ok(Counted {
        origin: row.get(0)?,
        boot_ns: (row.get::<_, i64>(1)?.cast_unsigned(), row.get::<_, i64>(2)?.cast_unsigned()),
        range: TimeRange { since: WallTime(row.get(3)?), until: WallTime(row.get(4)?) },
        is_clock_set: row.get(5)?,
        row_bytes: row.get::<_, Option<i64>>(6)?.unwrap_or(0).cast_unsigned(),
    })
}

pub(super) fn read_volume(row: &Row<'_>, first: usize) -> rusqlite::Result<Volume> {
    let at = |column: usize| -> rusqlite::Result<u64> {
        Ok(row.get::<_, Option<i64>>(first + column)?.unwrap_or(0).cast_unsigned())
    };
    Ok(Volume { up_bytes: at(0)?, down_bytes: at(1)?, up_packets: at(2)?, down_packets: at(3)? })
}
