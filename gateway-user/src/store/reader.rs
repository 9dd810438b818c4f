//! Reads the database: a filter in, rows out. Opens the file read-only; changes nothing, ever.
//!
//! An interval belongs to the range that it began in, whole: days side by side hold every row once.

use super::column::{
    AddrBytes, addr_of, application_of, evidence_of, kind_of, mac_of, marks_of, opened_by_of,
};
use super::ids::read_network;
use super::open;
use anyhow::Context;
use gateway_core::query::{Counted, DeviceInfo, DeviceMatch, Filter, FlowSum, NameMatch, TimeRange};
use gateway_core::report::coverage::LATEST;
use gateway_core::report::model::Undated;
use gateway_core::row::{Alias, LedgerLine, Marks, RowKey, RowKind};
use gateway_core::units::{DomainName, Mac, Volume, WallTime};
use ipnetwork::IpNetwork;
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};
use std::collections::BTreeMap;
use std::path::Path;

/// The one that reads. It sees the database as it was at its first question, so that all answers fit together,
/// whatever is written meanwhile; for news, open another.
#[derive(Debug)]
pub struct Reader {
    db: Connection,
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
                   FROM interval WHERE began_at <= ? ORDER BY began_at DESC LIMIT ?";
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

    /// The rows of a range that a filter picks, those with one key added up, ordered by key.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn flows(&self, range: TimeRange, filter: &Filter) -> anyhow::Result<Vec<FlowSum>> {
        let mut wanted = Conditions::default();
        wanted.add("i.began_at >= ? AND i.began_at < ?", [range.since.0.into(), range.until.0.into()]);
        wanted.any("f.evidence = ?", filter.evidence.iter().map(|e| [Value::from(*e as u8)]));
        wanted.any("f.application = ?", filter.applications.iter().map(|a| [Value::from(*a as u8)]));
        if filter.is_uncovered {
            wanted.add("f.marks & ? <> 0", [Value::from(Marks::UNCOVERED.number())]);
            wanted.any(
                "f.kind = ?",
                [RowKind::Flow, RowKind::LaterFragments].map(|k| [Value::from(k as u8)]).into_iter(),
            );
        }
        wanted.any("f.protocol = ?", filter.protocols.iter().map(|p| [Value::from(*p)]));
        wanted.any("f.port = ?", filter.ports.iter().map(|p| [Value::from(*p)]));
        let inner = wanted.sql();
        wanted.parts.clear();
        wanted.each(&filter.devices, device_condition);
        wanted.each(&filter.names, name_condition);
        wanted.any("p.asn = ?", filter.asns.iter().map(|a| [Value::from(*a)]));
        wanted.any("p.country = ?", filter.countries.iter().map(|c| [Value::from(c.to_string())]));
        wanted.each(&filter.peers, peer_condition);
        let outer = wanted.sql();
        // Added up by number first, so that each sum is put into words once.
        let sql = format!(
            "SELECT d.mac, p.addr, s.port, s.protocol, s.kind, s.opened_by, n.text, s.evidence, \
             p.asn, p.organisation, p.country, p.registered_country, p.network_marks, s.ub, s.db, s.up, s.dp, \
             s.conversations, s.first_at, s.last_at, \
             s.marks, s.application, s.answer_secs \
             FROM (SELECT f.device, f.peer, f.port, f.protocol, f.kind, f.opened_by, f.name, f.evidence, \
             f.marks, f.application, MAX(f.answer_secs) AS answer_secs, \
             SUM(up_bytes) AS ub, SUM(down_bytes) AS db, SUM(up_packets) AS up, SUM(down_packets) AS dp, \
             SUM(conversations) AS conversations, MIN(i.began_at) AS first_at, MAX(i.ended_at) AS last_at \
             FROM interval i JOIN flow f ON f.interval = i.id WHERE {inner} \
             GROUP BY f.device, f.peer, f.port, f.protocol, f.kind, f.opened_by, f.name, f.evidence, \
             f.marks, f.application) s \
             JOIN device m ON m.id = s.device JOIN device d ON d.id = COALESCE(m.merged_into, m.id) \
             JOIN peer p ON p.id = s.peer JOIN name n ON n.id = s.name \
             WHERE {outer}"
        );
        let mut flows = self.all(&sql, wanted.values, read_flow).context("read the rows")?;
        flows.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        // Merged devices have rows of their own.
        flows.dedup_by(|next, sum| next.key == sum.key && sum.add(next));
        Ok(flows)
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

/// A WHERE clause in the making, and the values for its question marks in order.
#[derive(Default)]
pub(super) struct Conditions {
    parts: Vec<String>,
    pub(super) values: Vec<Value>,
}

impl Conditions {
    fn add<const N: usize>(&mut self, sql: &str, values: [Value; N]) {
        self.parts.push(sql.to_owned());
        self.values.extend(values);
    }

    /// `sql` for any of the entries; nothing if there are none.
    fn any<const N: usize>(&mut self, sql: &'static str, entries: impl Iterator<Item = [Value; N]>) {
        let entries: Vec<_> = entries.map(|values| (sql, values.to_vec())).collect();
        self.alternatives(entries);
    }

    /// A condition of its own for each entry.
    pub(super) fn each<T>(&mut self, entries: &[T], condition: impl Fn(&T) -> (&'static str, Vec<Value>)) {
        self.alternatives(entries.iter().map(condition).collect());
    }

    fn alternatives(&mut self, entries: Vec<(&'static str, Vec<Value>)>) {
        if entries.is_empty() {
            return;
        }
        let (sql, values): (Vec<_>, Vec<_>) = entries.into_iter().unzip();
        self.parts.push(format!("({})", sql.join(" OR ")));
        self.values.extend(values.into_iter().flatten());
    }

    pub(super) fn sql(&self) -> String {
        if self.parts.is_empty() { "1".to_owned() } else { self.parts.join(" AND ") }
    }
}

pub(super) fn device_condition(device: &DeviceMatch) -> (&'static str, Vec<Value>) {
    match device {
        DeviceMatch::Mac(mac) => {
            let sql = "d.mac = ? OR d.id IN (SELECT merged_into FROM device WHERE mac = ?)";
            (sql, vec![mac.0.to_vec().into(); 2])
        }
        DeviceMatch::Called(text) => {
            let sql = "d.label = ? COLLATE NOCASE OR d.hostname = ? COLLATE NOCASE OR d.id IN (SELECT merged_into \
                       FROM device WHERE label = ? COLLATE NOCASE OR hostname = ? COLLATE NOCASE)";
            (sql, vec![text.clone().into(); 4])
        }
    }
}

fn name_condition(name: &NameMatch) -> (&'static str, Vec<Value>) {
    match name {
        NameMatch::Exact(name) => ("n.text = ?", vec![name.to_string().into()]),
        NameMatch::Under(name) => {
            let below = format!(".{name}");
            let len = i64::try_from(below.len()).unwrap_or(i64::MAX);
            (
                "n.text = ? OR substr(n.text, ?) = ?",
                vec![name.to_string().into(), (-len).into(), below.into()],
            )
        }
    }
}

pub(super) fn peer_condition(prefix: &IpNetwork) -> (&'static str, Vec<Value>) {
    let [first, last] = [prefix.network(), prefix.broadcast()].map(|a| AddrBytes::of(a).as_slice().to_vec());
    let len = i64::try_from(first.len()).unwrap_or(i64::MAX);
    ("length(p.addr) = ? AND p.addr BETWEEN ? AND ?", vec![len.into(), first.into(), last.into()])
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

fn read_flow(row: &Row<'_>) -> rusqlite::Result<FlowSum> {
    let name = row.get_ref(6)?.as_str()?;
    Ok(FlowSum {
        key: RowKey {
            device: mac_of(row.get_ref(0)?.as_blob()?)?,
            peer: addr_of(row.get_ref(1)?.as_blob()?)?,
            port: row.get(2)?,
            protocol: row.get(3)?,
            kind: kind_of(row.get(4)?)?,
            opened_by: opened_by_of(row.get(5)?)?,
            name: DomainName::parse(name),
            evidence: evidence_of(row.get(7)?)?,
            marks: marks_of(row.get(20)?)?,
            application: application_of(row.get(21)?)?,
        },
        network: read_network(row, 8)?,
        volume: read_volume(row, 13)?,
        conversations: row.get::<_, i64>(17)?.cast_unsigned(),
        first_at: WallTime(row.get(18)?),
        last_at: WallTime(row.get(19)?),
        oldest_answer_secs: row.get(22)?,
    })
}
