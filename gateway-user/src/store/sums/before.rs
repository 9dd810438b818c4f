//! The days before a summary: what was usual, from the days that are kept and, for the others, in one pass over them.

use super::key::{Key, NO_PEER, Quick, Small};
use super::scan::Places;
use super::words::Words;
use crate::store::column::{application_of, marks_of};
use crate::store::reader::Reader;
use crate::store::usual::gaps;
use anyhow::Context;
use gateway_core::application::Application;
use gateway_core::query::buckets::{BucketSum, Buckets, Sent};
use gateway_core::query::{Filter, TimeRange};
use gateway_core::row::{Evidence, Marks, Network, RowKind};
use gateway_core::units::Volume;
use std::collections::HashMap;
use std::hash::BuildHasherDefault;

/// What the days before had, in no order.
#[derive(Debug, Default)]
pub struct Before {
    /// What was sent where, by day; of networks their number alone.
    pub days: Vec<Sent>,
    /// By hour and device. Bytes alone.
    pub hours: Vec<BucketSum>,
}

/// A destination: device, name, the network's number or -1, and the small columns.
type Destination = (i64, i64, i64, i64);

/// By device and place of the hour.
type Hours = HashMap<(i64, i64), Volume, BuildHasherDefault<Quick>>;

/// What is added up on the way.
#[derive(Default)]
struct Usual {
    days: HashMap<Destination, Vec<(usize, u64)>, BuildHasherDefault<Quick>>,
    hours: Hours,
}

impl Usual {
    fn sent(&mut self, destination: Destination, day: usize, up_bytes: u64) {
        let days = self.days.entry(destination).or_default();
        match days.last_mut() {
            Some((of, sum)) if *of == day => *sum = sum.saturating_add(up_bytes),
            _ => days.push((day, up_bytes)),
        }
    }

    fn exchanged(&mut self, device: i64, hour: usize, volume: Volume) {
        self.hours.entry((device, hour as i64)).or_default().add(volume);
    }
}

impl Reader {
    /// What was exchanged with the world on some days, and by the hours of some of them, as far as a filter picks it.
    /// `hours`, if any, lie within the days. Rows that are kept by the day alone are in no hour.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn before(&self, days: &Buckets, hours: Option<&Buckets>, filter: &Filter) -> anyhow::Result<Before> {
        let mut words = Words::of(self)?;
        let mut usual = Usual::default();
        let mut kept = Vec::new();
        if filter.is_empty() {
            kept = self.usual_days(days.range())?;
            kept.retain(|(_, day)| days.iter().any(|bucket| bucket == *day));
        }
        self.add_kept(&kept, days, hours, &mut usual).context("read the days that are kept")?;
        for gap in gaps(days.range(), &kept) {
            self.add_rows(gap, (days, hours), filter, (&mut words, &mut usual))
                .context("read the days before")?;
        }
        let hour = |((device, bucket), volume): ((i64, i64), Volume)| {
            Ok(BucketSum {
                bucket: usize::try_from(bucket)?,
                device: words.device(device)?,
                name: None,
                evidence: Evidence::None,
                marks: Marks::default(),
                application: Application::Unknown,
                kind: RowKind::Flow,
                network: Network::default(),
                volume,
                conversations: 0,
                is_coarse: false,
            })
        };
        let hours = usual.hours.into_iter().map(hour).collect::<anyhow::Result<_>>()?;
        let sent = |((device, name, asn, small), by_bucket)| {
            Ok(Sent {
                device: words.device(device)?,
                name: words.name(self, name)?,
                network: Network { asn: u32::try_from(asn).ok(), ..Network::default() },
                marks: marks_of(Small(small).marks())?,
                application: application_of(Small(small).application())?,
                by_bucket,
            })
        };
        let days = usual.days.into_iter().map(sent).collect::<anyhow::Result<_>>();
        Ok(Before { days: days.context("read the days before")?, hours })
    }

    fn add_kept(
        &self,
        kept: &[(i64, TimeRange)],
        days: &Buckets,
        hours: Option<&Buckets>,
        usual: &mut Usual,
    ) -> anyhow::Result<()> {
        for (id, range) in kept {
            let day = days.place_of(range.since).context("place a day")?;
            let sql = format!(
                "SELECT device, name, asn, {}, up_bytes FROM usual_sent WHERE day = ?",
                Small::OF_KEPT
            );
            let mut statement = self.db.prepare_cached(&sql)?;
            let mut rows = statement.query([id])?;
            while let Some(row) = rows.next()? {
                let destination = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
                usual.sent(destination, day, row.get::<_, i64>(4)?.cast_unsigned());
            }
            let Some(hours) = hours.filter(|hours| hours.range().overlap(*range).is_some()) else { continue };
            let sql = "SELECT device, began_at, up_bytes, down_bytes FROM usual_hour WHERE day = ?";
            let mut statement = self.db.prepare_cached(sql)?;
            let mut rows = statement.query([id])?;
            while let Some(row) = rows.next()? {
                let Some(hour) = hours.place_of(gateway_core::units::WallTime(row.get(1)?)) else { continue };
                let (up_bytes, down_bytes) = (row.get::<_, i64>(2)?, row.get::<_, i64>(3)?);
                let (up_bytes, down_bytes) = (up_bytes.cast_unsigned(), down_bytes.cast_unsigned());
                let volume = Volume { up_bytes, down_bytes, ..Volume::default() };
                usual.exchanged(row.get(0)?, hour, volume);
            }
        }
        Ok(())
    }

    fn add_rows(
        &self,
        range: TimeRange,
        (days, hours): (&Buckets, Option<&Buckets>),
        filter: &Filter,
        (words, usual): (&mut Words, &mut Usual),
    ) -> anyhow::Result<()> {
        let (in_days, in_hours) = (Places::of(days), hours.map(Places::of));
        let place = |holder| {
            let hour = in_hours.as_ref().and_then(|places| places.of_rows(holder));
            let (day, _) = in_days.of_rows(holder)?;
            Some((day, hour.and_then(|(hour, is_coarse)| (!is_coarse).then_some(hour))))
        };
        let columns = format!(
            "device, CASE name WHEN 0 THEN peer ELSE {NO_PEER} END, name, {}, up_bytes, down_bytes",
            Small::of_usual()
        );
        let mut by_peer = Usual::default();
        self.each_row(range, filter, &columns, place, |(day, hour), _, row| {
            let Key { device, peer, name, small, .. } = Key::read(row)?;
            if ![RowKind::Flow as u8, RowKind::LaterFragments as u8].contains(&small.kind()) {
                return Ok(());
            }
            let (up_bytes, down_bytes) = (row.get::<_, i64>(5)?, row.get::<_, i64>(6)?);
            let (up_bytes, down_bytes) = (up_bytes.cast_unsigned(), down_bytes.cast_unsigned());
            by_peer.sent((device, name, peer, small.without_kind().0), day, up_bytes);
            if let Some(hour) = hour {
                usual.exchanged(device, hour, Volume { up_bytes, down_bytes, ..Volume::default() });
            }
            Ok(())
        })?;
        by_peer.days.into_iter().try_for_each(|((device, name, peer, small), sent)| {
            let asn = words.network(self, peer)?.asn.map_or(-1, i64::from);
            sent.into_iter().for_each(|(day, bytes)| usual.sent((device, name, asn, small), day, bytes));
            Ok(())
        })
    }
}
