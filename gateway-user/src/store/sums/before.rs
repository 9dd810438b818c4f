//! The days before a summary: what was usual, in one pass over them.

use super::Sum;
use super::key::{Key, NO_PEER, Quick, Small, Sums};
use super::scan::Places;
use super::words::Words;
use crate::store::column::{application_of, marks_of};
use crate::store::reader::Reader;
use anyhow::Context;
use gateway_core::query::Filter;
use gateway_core::query::buckets::{BucketSum, Buckets, Sent};
use gateway_core::row::RowKind;
use gateway_core::units::Volume;
use std::collections::HashMap;
use std::hash::BuildHasherDefault;

/// What the days before had, in no order.
#[derive(Debug, Default)]
pub struct Before {
    /// What was sent where, by day.
    pub days: Vec<Sent>,
    /// By hour and device. Bytes alone.
    pub hours: Vec<BucketSum>,
}

/// By key without a bucket: the days, in the order of the rows.
type Days = HashMap<Key, Vec<(usize, u64)>, BuildHasherDefault<Quick>>;

impl Reader {
    /// What was exchanged with the world on some days, and by the hours of some of them, as far as a filter picks it.
    /// `hours`, if any, lie within the days. Rows that are kept by the day alone are in no hour.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn before(&self, days: &Buckets, hours: Option<&Buckets>, filter: &Filter) -> anyhow::Result<Before> {
        let (in_days, in_hours) = (Places::of(days), hours.map(Places::of));
        let place = |holder| {
            let hour = in_hours.as_ref().and_then(|places| places.of_rows(holder));
            let (day, _) = in_days.of_rows(holder)?;
            Some((day, hour.and_then(|(hour, is_coarse)| (!is_coarse).then_some(hour))))
        };
        let (mut by_day, mut by_hour) = (Days::default(), Sums::default());
        let columns = format!(
            "device, CASE name WHEN 0 THEN peer ELSE {NO_PEER} END, name, {}, up_bytes, down_bytes",
            Small::of_usual()
        );
        self.each_row(days.range(), filter, &columns, place, |(day, hour), holder, row| {
            let key = Key::read(row)?;
            if ![RowKind::Flow as u8, RowKind::LaterFragments as u8].contains(&key.small.kind()) {
                return Ok(());
            }
            let (up_bytes, down_bytes) = (row.get::<_, i64>(5)?, row.get::<_, i64>(6)?);
            let (up_bytes, down_bytes) = (up_bytes.cast_unsigned(), down_bytes.cast_unsigned());
            let sent = by_day.entry(key).or_default();
            match sent.last_mut() {
                Some((of, sum)) if *of == day => *sum = sum.saturating_add(up_bytes),
                _ => sent.push((day, up_bytes)),
            }
            if let Some(bucket) = hour {
                let key = Key { peer: NO_PEER, name: 0, small: Small(0), bucket, ..key };
                let volume = Volume { up_bytes, down_bytes, up_packets: 0, down_packets: 0 };
                by_hour.entry(key).or_insert_with(|| Sum::of(holder)).volume.add(volume);
            }
            Ok(())
        })
        .context("read the days before")?;
        let mut words = Words::of(self)?;
        let days = by_day.into_iter().map(|(key, by_bucket)| self.sent(&mut words, &key, by_bucket));
        let days = days.collect::<anyhow::Result<_>>().context("read the days before")?;
        let hours = by_hour.iter().map(|(key, sum)| self.bucket_sum(&mut words, key, sum));
        let hours = hours.collect::<anyhow::Result<_>>().context("read the days before")?;
        Ok(Before { days, hours })
    }

    fn sent(&self, words: &mut Words, key: &Key, by_bucket: Vec<(usize, u64)>) -> anyhow::Result<Sent> {
        Ok(Sent {
            device: words.device(key.device)?,
            name: words.name(self, key.name)?,
            network: words.network(self, key.peer)?,
            marks: marks_of(key.small.marks())?,
            application: application_of(key.small.application())?,
            by_bucket,
        })
    }
}
