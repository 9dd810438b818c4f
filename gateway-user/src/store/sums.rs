//! Reads rows added up: by their whole key, or by stretches of the calendar. Rows are added by their numbers first, in
//! one pass over the file and without sorting, so that each sum is put into words once.

mod before;
mod key;
mod scan;
mod words;

pub use before::Before;

use key::{Detail, Key, Quick, Sums};
use scan::{Holder, Places};
use words::Words;

use super::column::{application_of, evidence_of, kind_of, marks_of, opened_by_of};
use super::conditions::{Conditions, device_condition, name_condition, peer_condition};
use super::reader::{Reader, read_volume};
use super::usual::gaps;
use anyhow::Context;
use gateway_core::query::buckets::{BucketSum, Buckets};
use gateway_core::query::{Filter, FlowSum, TimeRange};
use gateway_core::row::{Marks, RowKey, RowKind};
use gateway_core::units::{DomainName, Volume, WallTime};
use rusqlite::types::Value;
use std::collections::{HashMap, HashSet};
use std::hash::BuildHasherDefault;

/// What is added up.
struct Sum {
    volume: Volume,
    conversations: u64,
    first_at: i64,
    last_at: i64,
    answer_secs: Option<u32>,
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
        let mut words = Words::of(self)?;
        let found = sums.iter().map(|(key, sum)| self.bucket_sum(&mut words, key, sum));
        found.collect::<anyhow::Result<_>>().context("read the rows by time")
    }

    /// What each device, by its number and not as merged, exchanged under each name of the world; in no order.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub(super) fn by_device_and_name(
        &self,
        range: TimeRange,
    ) -> anyhow::Result<Vec<(i64, Option<DomainName>, Volume)>> {
        let mut sums = HashMap::<_, Volume, BuildHasherDefault<Quick>>::default();
        let columns = format!("device, {}, up_bytes, down_bytes, up_packets, down_packets", routed_name());
        self.each_row(
            range,
            &Filter::default(),
            &columns,
            |_| Some(()),
            |(), _, row| {
                let key: (i64, i64) = (row.get(1)?, row.get(2)?);
                sums.entry(key).or_default().add(read_volume(row, 3)?);
                Ok(())
            },
        )?;
        let mut words = Words::of(self)?;
        let of = |((device, name), volume)| Ok((device, words.name(self, name)?, volume));
        sums.into_iter().map(of).collect()
    }

    /// The names under which each device, by its number, had contact with the world; in no order, each once.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub(super) fn devices_and_names(&self, range: TimeRange) -> anyhow::Result<Vec<(i64, DomainName)>> {
        let mut found = HashSet::<(i64, i64), BuildHasherDefault<Quick>>::default();
        let kept = self.usual_days(range)?;
        for (id, _) in &kept {
            let sql = "SELECT DISTINCT device, name FROM usual_sent WHERE day = ? AND name <> 0";
            found.extend(self.all::<(i64, i64)>(sql, [(*id).into()], |row| Ok((row.get(0)?, row.get(1)?)))?);
        }
        for gap in gaps(range, &kept) {
            let columns = format!("device, {}", routed_name());
            self.each_row(
                gap,
                &Filter::default(),
                &columns,
                |_| Some(()),
                |(), _, row| {
                    found.insert((row.get(1)?, row.get(2)?));
                    Ok(())
                },
            )?;
        }
        let mut words = Words::of(self)?;
        let named = found.into_iter().filter(|(_, name)| *name != 0);
        let worded = named.map(|(device, name)| Ok(words.name(self, name)?.map(|name| (device, name))));
        worded.filter_map(anyhow::Result::transpose).collect()
    }

    fn add_up_in(&self, buckets: &Buckets, filter: &Filter, detail: Detail) -> anyhow::Result<Sums> {
        let places = Places::of(buckets);
        self.add_up(buckets.range(), filter, |holder| places.of_rows(holder), detail)
            .context("read the rows by time")
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
        let mut sums = Sums::default();
        self.each_row(range, filter, &detail.columns(), place, |(bucket, is_coarse), holder, row| {
            let key = Key { bucket, is_coarse, ..Key::read(row)? };
            let sum = sums.entry(key).or_insert_with(|| Sum::of(holder));
            sum.volume.add(read_volume(row, 5)?);
            let conversations = row.get::<_, i64>(9)?.cast_unsigned();
            sum.conversations = sum.conversations.saturating_add(conversations);
            sum.first_at = sum.first_at.min(holder.began_at);
            sum.last_at = sum.last_at.max(holder.ended_at);
            if detail == Detail::Row {
                sum.answer_secs = sum.answer_secs.max(row.get(10)?);
            }
            Ok(())
        })?;
        Ok(sums)
    }

    fn flow(&self, words: &mut Words, key: &Key, sum: &Sum) -> anyhow::Result<FlowSum> {
        let (peer, network) = words.peer(self, key.peer)?;
        Ok(FlowSum {
            key: RowKey {
                device: words.device(key.device)?,
                peer,
                port: key.small.port(),
                protocol: key.small.protocol(),
                kind: kind_of(key.small.kind())?,
                opened_by: opened_by_of(key.small.opened_by())?,
                name: words.name(self, key.name)?,
                evidence: evidence_of(key.small.evidence())?,
                marks: marks_of(key.small.marks())?,
                application: application_of(key.small.application())?,
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
            evidence: evidence_of(key.small.evidence())?,
            marks: marks_of(key.small.marks())?,
            application: application_of(key.small.application())?,
            kind: kind_of(key.small.kind())?,
            network: words.network(self, key.peer)?,
            volume: sum.volume,
            conversations: sum.conversations,
            is_coarse: key.is_coarse,
        })
    }
}

/// A row's name if it is of the world.
fn routed_name() -> String {
    format!("IIF(kind IN ({}, {}), name, 0)", RowKind::Flow as u8, RowKind::LaterFragments as u8)
}

fn order(sum: &BucketSum) -> impl Ord + '_ {
    let BucketSum { bucket, device, name, evidence, marks, application, kind, network, .. } = sum;
    (bucket, device, name, evidence, marks, application, *kind as u8, network)
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
