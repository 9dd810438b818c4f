//! Reads rows added up: by their whole key, or by stretches of the calendar. Rows are added by their numbers first, in
//! one pass over the file and without sorting, so that each sum is put into words once.

use super::column::{addr_of, application_of, evidence_of, kind_of, mac_of, marks_of, opened_by_of};
use super::conditions::{Conditions, device_condition, name_condition, peer_condition};
use super::ids::read_network;
use super::reader::Reader;
use anyhow::Context;
use gateway_core::query::buckets::{BucketSum, Buckets};
use gateway_core::query::{Filter, FlowSum, TimeRange};
use gateway_core::row::{Marks, Network, RowKey, RowKind};
use gateway_core::units::{DomainName, Mac, Volume, WallTime};
use rusqlite::types::Value;
use rusqlite::{Row, params_from_iter};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::net::{IpAddr, Ipv4Addr};

/// The key of a row, by number: device, peer, port, protocol, kind, opened_by, name, evidence, marks, application; and
/// the bucket, 0 where there are none.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Key {
    device: i64,
    peer: i64,
    name: i64,
    port: u16,
    protocol: u8,
    kind: u8,
    opened_by: u8,
    evidence: u8,
    marks: u8,
    application: u8,
    bucket: usize,
    /// Is it kept by the hour or day, and reaches out of its bucket?
    is_coarse: bool,
}

/// How much of a row's key is told apart; each tells all that those before it tell.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Detail {
    /// Device and kind.
    Device,
    /// Device, peer, kind, name, and whether that is kept.
    Destination,
    /// Evidence, marks and application too.
    Name,
    /// All of it.
    Row,
}

impl Detail {
    /// The columns it takes. Each one costs, on every row of a year.
    const fn columns(self) -> &'static str {
        match self {
            Self::Device | Self::Destination => COLUMNS[0],
            Self::Name => COLUMNS[1],
            Self::Row => COLUMNS[2],
        }
    }
}

/// Each begins with the one before.
const COLUMNS: [&str; 3] = [
    "device, peer, kind, name, marks, up_bytes, down_bytes, up_packets, down_packets, conversations, interval",
    "device, peer, kind, name, marks, up_bytes, down_bytes, up_packets, down_packets, conversations, interval, \
     evidence, application",
    "device, peer, kind, name, marks, up_bytes, down_bytes, up_packets, down_packets, conversations, interval, \
     evidence, application, port, protocol, opened_by, answer_secs",
];

/// Sums by key. Nobody from outside chooses these numbers to collide, so a quick hash will do.
type Sums = HashMap<Key, Sum, BuildHasherDefault<Quick>>;

/// Multiplies and turns; good for numbers that count up.
#[derive(Default)]
struct Quick(u64);

impl Hasher for Quick {
    fn finish(&self) -> u64 {
        // A product's high bits know all of its factors, its low bits do not, and the table goes by the low ones.
        self.0.rotate_left(26)
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64((*byte).into());
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(5) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

impl std::hash::Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self {
            device,
            peer,
            name,
            port,
            protocol,
            kind,
            opened_by,
            evidence,
            marks,
            application,
            bucket,
            is_coarse,
        } = self;
        let evidence = *evidence | u8::from(*is_coarse) << 7;
        let small = u64::from_le_bytes([*protocol, *kind, *opened_by, evidence, *marks, *application, 0, 0]);
        state.write_u64(small | u64::from(*port) << 48);
        state.write_u64(device.cast_unsigned() << 40 ^ *bucket as u64);
        state.write_u64(name.cast_unsigned());
        state.write_u64(peer.cast_unsigned());
    }
}

struct Sum {
    volume: Volume,
    conversations: u64,
    first_at: i64,
    last_at: i64,
    answer_secs: Option<u32>,
}

/// An interval that rows hang on.
#[derive(Clone, Copy)]
struct Holder {
    began_at: i64,
    ended_at: i64,
    /// When the last drain in it began; only of a run.
    last_began_at: Option<i64>,
}

impl Sum {
    fn of(holder: Holder) -> Self {
        let Holder { began_at, ended_at, .. } = holder;
        Self {
            volume: Volume::default(),
            conversations: 0,
            first_at: began_at,
            last_at: ended_at,
            answer_secs: None,
        }
    }
}

impl Reader {
    /// The rows of a range that a filter picks, those with one key added up, ordered by key and network. Where the
    /// address is no longer kept it is `0.0.0.0`.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn flows(&self, range: TimeRange, filter: &Filter) -> anyhow::Result<Vec<FlowSum>> {
        let mut flows = self.read_flows(range, filter, Detail::Row)?;
        flows.sort_unstable_by(|a, b| a.key.cmp(&b.key).then_with(|| a.network.cmp(&b.network)));
        // Merged devices have rows of their own.
        flows.dedup_by(|next, sum| next.key == sum.key && next.network == sum.network && sum.add(next));
        Ok(flows)
    }

    /// The same for questions about destinations alone, in no order: ports, protocols, who opened, evidence and
    /// application are left out, and of the marks all but [`Marks::WITHHELD`]. A year is read in half the time.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn destinations(&self, range: TimeRange, filter: &Filter) -> anyhow::Result<Vec<FlowSum>> {
        self.read_flows(range, filter, Detail::Destination)
    }

    fn read_flows(&self, range: TimeRange, filter: &Filter, detail: Detail) -> anyhow::Result<Vec<FlowSum>> {
        let sums = self.add_up(range, filter, |_| Some((0, false)), detail).context("read the rows")?;
        let mut words = Words::of(self)?;
        let flows = sums.iter().map(|(key, sum)| self.flow(&mut words, key, sum));
        flows.collect::<anyhow::Result<_>>().context("read the rows")
    }

    /// The rows that began in each bucket and that a filter picks, added up by device, name, evidence, marks,
    /// application, kind and network; ordered by bucket and these. Rows that are kept by the day or hour alone are in
    /// the bucket where that began, and say so ([`BucketSum::is_coarse`]).
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn bucketed(&self, buckets: &Buckets, filter: &Filter) -> anyhow::Result<Vec<BucketSum>> {
        let sums = self.add_up_in(buckets, filter, Detail::Name)?;
        let mut words = Words::of(self)?;
        let found = sums.iter().map(|(key, sum)| self.bucket_sum(&mut words, key, sum));
        let mut found: Vec<_> = found.collect::<anyhow::Result<_>>().context("read the rows by time")?;
        found.sort_by(|a, b| order(a).cmp(&order(b)));
        found.dedup_by(|next, sum| {
            let is_same = order(next) == order(sum);
            if is_same {
                sum.volume.add(next.volume);
                sum.conversations = sum.conversations.saturating_add(next.conversations);
                sum.is_coarse |= next.is_coarse;
            }
            is_same
        });
        Ok(found)
    }

    /// The same by device and kind alone: no names, no networks, nothing of how they are known; in no order.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn bucketed_by_device(&self, buckets: &Buckets, filter: &Filter) -> anyhow::Result<Vec<BucketSum>> {
        let sums = self.add_up_in(buckets, filter, Detail::Device)?;
        let words = Words::of(self)?;
        let of = |(key, sum): (&Key, &Sum)| {
            Ok(BucketSum {
                bucket: key.bucket,
                device: words.device(key.device)?,
                name: None,
                evidence: evidence_of(0)?,
                marks: Marks::default(),
                application: application_of(0)?,
                kind: kind_of(key.kind)?,
                network: Network::default(),
                volume: sum.volume,
                conversations: sum.conversations,
                is_coarse: key.is_coarse,
            })
        };
        sums.iter().map(of).collect::<anyhow::Result<_>>().context("read the rows by time")
    }

    fn add_up_in(&self, buckets: &Buckets, filter: &Filter, detail: Detail) -> anyhow::Result<Sums> {
        let ends: Vec<i64> = buckets.iter().map(|bucket| bucket.until.0).collect();
        let place = |holder: Holder| {
            let bucket = buckets.place_of(WallTime(holder.began_at))?;
            let until = ends.get(bucket).copied()?;
            Some((bucket, holder.last_began_at.is_some_and(|at| at >= until)))
        };
        self.add_up(buckets.range(), filter, place, detail).context("read the rows by time")
    }

    /// The stretches in which a bound of this range lies and which are kept whole: an answer about the range has all
    /// of what began in it, and nothing of what began before. Empty where the range can be answered to the drain.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn coarsened(&self, range: TimeRange) -> anyhow::Result<Vec<TimeRange>> {
        let sql = "SELECT began_at, ended_at FROM (SELECT began_at, ended_at, \
                   began_at + last_began_boot_ns - began_boot_ns AS last FROM interval WHERE grain > 0) \
                   WHERE (began_at < ?1 AND last >= ?1) OR (began_at < ?2 AND last >= ?2) ORDER BY 1, 2";
        self.all(sql, [range.since.0.into(), range.until.0.into()], |row| {
            Ok(TimeRange { since: WallTime(row.get(0)?), until: WallTime(row.get(1)?) })
        })
        .context("look for rows that are kept by the hour or day")
    }

    fn add_up(
        &self,
        range: TimeRange,
        filter: &Filter,
        place: impl Fn(Holder) -> Option<(usize, bool)>,
        detail: Detail,
    ) -> anyhow::Result<Sums> {
        let wanted = conditions(filter);
        let holders = self.holders(range)?;
        let (Some(first), Some(last)) = (holders.keys().min().copied(), holders.keys().max().copied()) else {
            return Ok(Sums::default());
        };
        // Rows lie in the order of their intervals' numbers. Where most of a stretch is wanted it is read through.
        let is_dense = last.abs_diff(first) / 2 <= holders.len() as u64;
        let (which, bounds) = match is_dense {
            true => ("BETWEEN ? AND ?", [first, last]),
            false => (
                "IN (SELECT id FROM interval WHERE began_at >= ? AND began_at < ?)",
                [range.since.0, range.until.0],
            ),
        };
        let sql =
            format!("SELECT {} FROM flow f WHERE interval {which} AND {}", detail.columns(), wanted.sql());
        let mut statement = self.db.prepare_cached(&sql)?;
        let values = bounds.map(Value::from).into_iter().chain(wanted.values);
        let mut rows = statement.query(params_from_iter(values))?;
        let mut sums = Sums::default();
        let mut at = None;
        while let Some(row) = rows.next()? {
            let id: i64 = row.get(10)?;
            let found = match at {
                Some((of, found)) if of == id => found,
                _ => holders.get(&id).and_then(|holder| Some((*holder, place(*holder)?))),
            };
            at = Some((id, found));
            let Some((holder, (bucket, is_coarse))) = found else { continue };
            let key = Key { bucket, is_coarse, ..read_key(row, detail)? };
            let sum = sums.entry(key).or_insert_with(|| Sum::of(holder));
            sum.volume.add(Volume {
                up_bytes: row.get::<_, i64>(5)?.cast_unsigned(),
                down_bytes: row.get::<_, i64>(6)?.cast_unsigned(),
                up_packets: row.get::<_, i64>(7)?.cast_unsigned(),
                down_packets: row.get::<_, i64>(8)?.cast_unsigned(),
            });
            let conversations = row.get::<_, i64>(9)?.cast_unsigned();
            sum.conversations = sum.conversations.saturating_add(conversations);
            sum.first_at = sum.first_at.min(holder.began_at);
            sum.last_at = sum.last_at.max(holder.ended_at);
            if detail == Detail::Row {
                sum.answer_secs = sum.answer_secs.max(row.get(16)?);
            }
        }
        Ok(sums)
    }

    /// The intervals of a range by their numbers.
    fn holders(&self, range: TimeRange) -> anyhow::Result<HashMap<i64, Holder>> {
        let sql = "SELECT id, began_at, ended_at, began_at + last_began_boot_ns - began_boot_ns FROM interval \
                   WHERE began_at >= ? AND began_at < ?";
        let found = self.all(sql, [range.since.0.into(), range.until.0.into()], |row| {
            Ok((
                row.get(0)?,
                Holder { began_at: row.get(1)?, ended_at: row.get(2)?, last_began_at: row.get(3)? },
            ))
        });
        Ok(found?.into_iter().collect())
    }

    fn flow(&self, words: &mut Words, key: &Key, sum: &Sum) -> anyhow::Result<FlowSum> {
        let (peer, network) = words.peer(self, key.peer)?;
        Ok(FlowSum {
            key: RowKey {
                device: words.device(key.device)?,
                peer,
                port: key.port,
                protocol: key.protocol,
                kind: kind_of(key.kind)?,
                opened_by: opened_by_of(key.opened_by)?,
                name: words.name(self, key.name)?,
                evidence: evidence_of(key.evidence)?,
                marks: marks_of(key.marks)?,
                application: application_of(key.application)?,
            },
            network,
            volume: sum.volume,
            conversations: sum.conversations,
            first_at: WallTime(sum.first_at),
            last_at: WallTime(sum.last_at),
            oldest_answer_secs: sum.answer_secs,
        })
    }

    fn bucket_sum(&self, words: &mut Words, key: &Key, sum: &Sum) -> anyhow::Result<BucketSum> {
        Ok(BucketSum {
            bucket: key.bucket,
            device: words.device(key.device)?,
            name: words.name(self, key.name)?,
            evidence: evidence_of(key.evidence)?,
            marks: marks_of(key.marks)?,
            application: application_of(key.application)?,
            kind: kind_of(key.kind)?,
            network: words.peer(self, key.peer)?.1,
            volume: sum.volume,
            conversations: sum.conversations,
            is_coarse: key.is_coarse,
        })
    }
}

fn order(sum: &BucketSum) -> impl Ord + '_ {
    let BucketSum { bucket, device, name, evidence, marks, application, kind, network, .. } = sum;
    (bucket, device, name, evidence, marks, application, *kind as u8, network)
}

fn read_key(row: &Row<'_>, detail: Detail) -> rusqlite::Result<Key> {
    let marks: u8 = row.get(4)?;
    let mut key = Key {
        device: row.get(0)?,
        peer: row.get(1)?,
        kind: row.get(2)?,
        name: row.get(3)?,
        marks: marks & Marks::WITHHELD.number(),
        evidence: 0,
        application: 0,
        port: 0,
        protocol: 0,
        opened_by: 0,
        bucket: 0,
        is_coarse: false,
    };
    if detail == Detail::Device {
        key = Key { peer: 0, name: 0, marks: 0, ..key };
    }
    if detail >= Detail::Name {
        key = Key { marks, evidence: row.get(11)?, application: row.get(12)?, ..key };
    }
    if detail == Detail::Row {
        key = Key { port: row.get(13)?, protocol: row.get(14)?, opened_by: row.get(15)?, ..key };
    }
    Ok(key)
}

/// What a filter asks of a row of `flow`.
fn conditions(filter: &Filter) -> Conditions {
    let mut wanted = Conditions::default();
    wanted.any("f.evidence = ?", filter.evidence.iter().map(|e| [Value::from(*e as u8)]));
    wanted.any("f.application = ?", filter.applications.iter().map(|a| [Value::from(*a as u8)]));
    if filter.is_uncovered {
        wanted.add("f.marks & ? <> 0", [Value::from(Marks::UNCOVERED.number())]);
        let with_the_world = [RowKind::Flow, RowKind::LaterFragments];
        wanted.any("f.kind = ?", with_the_world.map(|k| [Value::from(k as u8)]).into_iter());
    }
    wanted.any("f.protocol = ?", filter.protocols.iter().map(|p| [Value::from(*p)]));
    wanted.any("f.port = ?", filter.ports.iter().map(|p| [Value::from(*p)]));
    let mut devices = Conditions::default();
    devices.each(&filter.devices, device_condition);
    wanted.among(
        "f.device IN (SELECT m.id FROM device m JOIN device d ON d.id = COALESCE(m.merged_into, m.id) WHERE",
        devices,
    );
    let mut names = Conditions::default();
    names.each(&filter.names, name_condition);
    wanted.among("f.name IN (SELECT n.id FROM name n WHERE", names);
    let mut peers = Conditions::default();
    peers.any("p.asn = ?", filter.asns.iter().map(|a| [Value::from(*a)]));
    peers.any("p.country = ?", filter.countries.iter().map(|c| [Value::from(c.to_string())]));
    peers.each(&filter.peers, peer_condition);
    wanted.among("f.peer IN (SELECT p.id FROM peer p WHERE", peers);
    wanted
}

/// What the numbers stand for, as far as it was asked.
struct Words {
    devices: HashMap<i64, Mac>,
    names: HashMap<i64, Option<DomainName>>,
    peers: HashMap<i64, (IpAddr, Network)>,
}

impl Words {
    fn of(reader: &Reader) -> anyhow::Result<Self> {
        let sql = "SELECT m.id, d.mac FROM device m JOIN device d ON d.id = COALESCE(m.merged_into, m.id)";
        let devices = reader
            .all(sql, [], |row| Ok((row.get(0)?, mac_of(row.get_ref(1)?.as_blob()?)?)))
            .context("read the devices")?;
        Ok(Self { devices: devices.into_iter().collect(), names: HashMap::new(), peers: HashMap::new() })
    }

    fn device(&self, id: i64) -> anyhow::Result<Mac> {
        self.devices.get(&id).copied().with_context(|| format!("find the device {id} of a row"))
    }

    fn name(&mut self, reader: &Reader, id: i64) -> anyhow::Result<Option<DomainName>> {
        if let Some(name) = self.names.get(&id) {
            return Ok(name.clone());
        }
        let read = |row: &Row<'_>| Ok(DomainName::parse(row.get_ref(0)?.as_str()?));
        let name = reader.one("SELECT text FROM name WHERE id = ?", [id.into()], read)?;
        self.names.insert(id, name.clone());
        Ok(name)
    }

    fn peer(&mut self, reader: &Reader, id: i64) -> anyhow::Result<(IpAddr, Network)> {
        if let Some(peer) = self.peers.get(&id) {
            return Ok(peer.clone());
        }
        let sql = "SELECT addr, asn, organisation, country, registered_country, network_marks FROM peer WHERE id = ?";
        let peer = reader.one(sql, [id.into()], |row| {
            let addr = row.get_ref(0)?.as_blob_or_null()?.map(addr_of).transpose()?;
            Ok((addr.unwrap_or(Ipv4Addr::UNSPECIFIED.into()), read_network(row, 1)?))
        })?;
        self.peers.insert(id, peer.clone());
        Ok(peer)
    }
}
