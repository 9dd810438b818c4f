//! The days before a summary: what was usual, in one pass over them.

use super::Sum;
use super::key::{Key, NO_PEER, Small, Sums};
use super::scan::Places;
use super::words::Words;
use crate::store::reader::Reader;
use anyhow::Context;
use gateway_core::query::Filter;
use gateway_core::query::buckets::{BucketSum, Buckets};
use gateway_core::row::RowKind;
use gateway_core::units::Volume;

/// What the days before had, in no order.
#[derive(Debug, Default)]
pub struct Before {
    /// By day, device, application and destination: the name, or where there is none the network. Bytes alone; how
    /// names are known is left out, and of the marks all but [`Marks::WITHHELD`](gateway_core::row::Marks::WITHHELD).
    pub days: Vec<BucketSum>,
    /// By hour and device. Bytes alone.
    pub hours: Vec<BucketSum>,
}

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
            Some((in_days.of_rows(holder)?, hour.filter(|(_, is_coarse)| !is_coarse)))
        };
        let (mut by_day, mut by_hour) = (Sums::default(), Sums::default());
        let columns = format!(
            "device, name, CASE name WHEN 0 THEN peer ELSE {NO_PEER} END, {}, up_bytes, down_bytes",
            Small::of_usual()
        );
        self.each_row(days.range(), filter, &columns, place, |((day, is_coarse), hour), holder, row| {
            let small = Small(row.get(4)?);
            if ![RowKind::Flow as u8, RowKind::LaterFragments as u8].contains(&small.kind()) {
                return Ok(());
            }
            let device = row.get(1)?;
            let bytes = |column| row.get::<_, i64>(column).map(i64::cast_unsigned);
            let volume =
                Volume { up_bytes: bytes(5)?, down_bytes: bytes(6)?, up_packets: 0, down_packets: 0 };
            let key = Key { device, peer: row.get(3)?, name: row.get(2)?, small, bucket: day, is_coarse };
            by_day.entry(key).or_insert_with(|| Sum::of(holder)).volume.add(volume);
            if let Some((bucket, is_coarse)) = hour {
                let key = Key { device, peer: NO_PEER, name: 0, small: Small(0), bucket, is_coarse };
                by_hour.entry(key).or_insert_with(|| Sum::of(holder)).volume.add(volume);
            }
            Ok(())
        })
        .context("read the days before")?;
        let mut words = Words::of(self)?;
        let mut worded = |sums: Sums| {
            let sums = sums.iter().map(|(key, sum)| self.bucket_sum(&mut words, key, sum));
            sums.collect::<anyhow::Result<Vec<_>>>().context("read the days before")
        };
        Ok(Before { days: worded(by_day)?, hours: worded(by_hour)? })
    }
}
