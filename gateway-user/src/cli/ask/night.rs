//! Which hours are night: of each device its quiet hours, as a summary learns them; of those that have none 21:00 to
//! 09:00, as `telltale summary --night` takes it.

use super::Asked;
use crate::cli::when;
use crate::store::Reader;
use crate::summary::gather::{NIGHTS_BEFORE, device_sums};
use gateway_core::query::{DeviceInfo, DeviceMatch, Filter, FlowSum, TimeRange};
use gateway_core::report::civil::Civil;
use gateway_core::report::summary::idle::{Hours, is_in};
use gateway_core::units::{Mac, WallTime};
use std::collections::BTreeMap;

/// The night of a device that has no quiet hours: the first hour, and the first that is day again.
const USUAL: (u8, u8) = (21, 9);
/// Rows that were counted, or are kept, in one for longer than this cannot be told apart by the hour, nanoseconds.
const COARSE_NS: u64 = 2 * 3_600 * 1_000_000_000;

/// The nights of the devices that are asked for.
#[derive(Debug)]
pub(super) struct Nights {
    /// The devices by their hours.
    of: BTreeMap<(u8, u8), Vec<Mac>>,
    words: String,
}

impl Nights {
    /// Learns from the days before the range; where the database does not reach that far back, from the last days up to
    /// the range's end.
    pub(super) fn learn(asked: &Asked, devices: &[DeviceInfo], filter: &Filter) -> anyhow::Result<Self> {
        let Asked { reader, range, extent, .. } = asked;
        let before = when::days_before(range.since, NIGHTS_BEFORE)?;
        let has_days = before.get(NIGHTS_BEFORE / 2).is_some_and(|since| *since >= extent.since);
        let until = WallTime(range.until.min(extent.until).0.max(range.since.0));
        let bounds = if has_days { before } else { when::days_before(until, NIGHTS_BEFORE)? };
        let hours = learned(reader, bounds, filter)?;
        let (mut of, mut said, mut usual) = (BTreeMap::<_, Vec<_>>::new(), Vec::new(), 0);
        let is_wanted = |device: &&DeviceInfo| {
            filter.devices.is_empty() || filter.devices.iter().any(|d| d.picks(device))
        };
        for device in devices.iter().filter(is_wanted) {
            let window = hours.window(device.mac).map(|(window, _)| window);
            if let Ok(window) = window {
                said.push(format!("{} {}, learned", device.display_name(), clock(window)));
            } else {
                usual += 1;
            }
            of.entry(window.unwrap_or(USUAL)).or_default().push(device.mac);
        }
        if usual > 0 {
            let whose = if said.is_empty() { "" } else { "other devices " };
            said.push(format!("{whose}{}", clock(USUAL)));
        }
        let mut words = format!("night: {}", said.join("; "));
        if reader.counted(*range)?.iter().any(|c| c.range.len_ns() > COARSE_NS) {
            words.push_str(
                "; what is kept or was counted for many hours in one is taken to be of when it began",
            );
        }
        Ok(Self { of, words })
    }

    /// Whose night is when.
    pub(super) fn words(&self) -> &str {
        &self.words
    }

    /// The rows that began in the nights of a range, or those that began between them.
    pub(super) fn flows(
        &self,
        reader: &Reader,
        range: TimeRange,
        filter: &Filter,
        wants_night: bool,
    ) -> anyhow::Result<Vec<FlowSum>> {
        let mut flows = Vec::new();
        for (window, macs) in &self.of {
            let devices = macs.iter().copied().map(DeviceMatch::Mac).collect();
            let filter = Filter { devices, ..filter.clone() };
            for stretch in stretches(range, *window, wants_night) {
                flows.extend(reader.flows(stretch, &filter)?);
            }
        }
        flows.sort_by(|a, b| a.key.cmp(&b.key).then_with(|| a.network.cmp(&b.network)));
        flows.dedup_by(|next, sum| next.key == sum.key && next.network == sum.network && sum.add(next));
        Ok(flows)
    }
}

fn learned(reader: &Reader, bounds: Vec<WallTime>, filter: &Filter) -> anyhow::Result<Hours> {
    let (Some(since), Some(until)) = (bounds.first().copied(), bounds.last().copied()) else {
        return Ok(Hours::of(None, &[]));
    };
    let range = TimeRange { since, until };
    // Of all that a device exchanges, not of what is asked about it.
    let whole = Filter { devices: filter.devices.clone(), ..Filter::default() };
    let sums = device_sums(reader, when::hour_bounds(range), &whole)?;
    Ok(Hours::of(sums.as_ref(), &reader.counted(range)?))
}

/// The stretches of a range whose hours are in a window, or are not.
fn stretches(range: TimeRange, window: (u8, u8), is_wanted: bool) -> Vec<TimeRange> {
    let bounds = when::hour_bounds(range);
    let mut stretches: Vec<TimeRange> = Vec::new();
    for pair in bounds.windows(2) {
        let [since, until] = *pair else { continue };
        if is_in(window, Civil::of(since, when::offset_of(since)).hour()) != is_wanted {
            continue;
        }
        match stretches.last_mut() {
            Some(last) if last.until == since => last.until = until,
            _ => stretches.push(TimeRange { since, until }),
        }
    }
    stretches
}

fn clock((first, end): (u8, u8)) -> String {
    format!("{first:02}:00 to {end:02}:00")
}
