//! Rows to a [`Summary`].

use super::findings::findings;
use super::idle::{Hours, is_in};
use super::input::{Slot, SummaryInput};
use super::model::{DeviceSummary, Measured, Night, NightWatch, PastDays, Place, Site, Summary};
use super::observed::{clock_steps, observed};
use super::past::{MIN_DAYS, Past};
use super::places::{Namer, Places, by_owner, is_routed, largest};
use crate::application::Application;
use crate::query::buckets::BucketSum;
use crate::query::{DeviceInfo, TimeRange};
use crate::report::build::shortfalls;
use crate::report::coverage::{begins_in, coverage};
use crate::report::model::SAMPLE_LOSSES;
use crate::report::who::NameFacts;
use crate::row::{Marks, RowKind};
use crate::units::{DomainName, Mac, Volume};
use std::collections::BTreeMap;

/// Makes the summary. `facts_of` says what the tables know of a name.
#[must_use]
pub fn build(input: &SummaryInput, facts_of: &dyn Fn(&DomainName) -> NameFacts) -> Summary {
    let before = input.days_before.iter().flat_map(|days| &days.sums);
    let names_before = before.filter_map(|sent| sent.name.as_ref());
    let names_now = input.hours.sums.iter().filter_map(|sum| sum.name.as_ref());
    let namer = Namer::of(names_now.chain(names_before), facts_of);
    let slots: Vec<Slot> = input.hours.slots().collect();
    let past = Past::of(input.days_before.as_ref(), &input.counted_before, &namer);
    let range = input.hours.buckets.range();
    let scene = Scene {
        observed: observed(&slots, &input.counted),
        is_observed: observed(&[Slot { range, offset: 0 }], &input.counted) == [true],
        hours: Hours::of(input.hours_before.as_ref(), &input.counted_before),
        slots: &slots,
        past: &past,
        namer: &namer,
        input,
    };
    let mut of_device = BTreeMap::<Mac, Vec<&BucketSum>>::new();
    for sum in &input.hours.sums {
        of_device.entry(sum.device).or_default().push(sum);
    }
    let mut devices: Vec<_> = of_device.iter().map(|(mac, sums)| scene.device(*mac, sums)).collect();
    devices.retain(|device| device.routed.packets() > 0 || device.coarse.packets() > 0);
    devices.sort_by(|a, b| {
        let order = |d: &DeviceSummary| (!d.is_phone, largest(d.routed));
        order(a).cmp(&order(b)).then_with(|| (&a.name, a.mac).cmp(&(&b.name, b.mac)))
    });
    let measured = measured(input, range);
    let mut routed = Volume::default();
    devices.iter().for_each(|device| routed.add(device.routed));
    let mut summary = Summary {
        range,
        measured,
        past: PastDays { days: past.days, observed: past.observed_count() },
        owners_date: input.owners_date.clone(),
        routed,
        devices,
        findings: Vec::new(),
        slots,
    };
    summary.findings = findings(&summary, input, &past);
    summary
}

struct Scene<'a> {
    slots: &'a [Slot],
    observed: Vec<bool>,
    /// What is new cannot be undone by a hole in the range, but what is usual of a day needs the day.
    is_observed: bool,
    hours: Hours,
    past: &'a Past,
    namer: &'a Namer<'a>,
    input: &'a SummaryInput,
}

impl Scene<'_> {
    fn device(&self, mac: Mac, sums: &[&BucketSum]) -> DeviceSummary {
        let window = self.hours.window(mac);
        let info = self.input.devices.iter().find(|device| device.mac == mac);
        let mut places = Places::default();
        let (mut routed, mut coarse, mut unnamed) = (Volume::default(), Volume::default(), Volume::default());
        let mut hours = vec![(0u64, 0u64); self.slots.len()];
        let mut hidden = BTreeMap::<Application, Volume>::new();
        for sum in sums {
            if sum.kind == RowKind::Coarse {
                coarse.add(sum.volume);
            }
            if !is_routed(sum.kind) {
                continue;
            }
            let slot = self.slots.get(sum.bucket);
            let is_night =
                matches!((&window, slot), (Ok((window, _)), Some(slot)) if is_in(*window, slot.hour()));
            places.add(sum, is_night, self.namer);
            routed.add(sum.volume);
            if sum.name.is_none() && !sum.marks.has(Marks::WITHHELD) {
                unnamed.add(sum.volume);
            }
            if let Some((up, down)) = hours.get_mut(sum.bucket) {
                *up = up.saturating_add(sum.volume.up_bytes);
                *down = down.saturating_add(sum.volume.down_bytes);
            }
            if sum.application.is_encrypted_dns() || sum.application.is_vpn() {
                hidden.entry(sum.application).or_default().add(sum.volume);
            }
        }
        let can_be_new = self.past.day_count(mac) >= MIN_DAYS;
        let mut places = places.finish(self.slots.len());
        for place in &mut places {
            self.compare(mac, place, can_be_new);
        }
        let compared = self.input.is_whole_day && self.is_observed;
        DeviceSummary {
            mac,
            name: info.map_or_else(|| format!("unnamed {mac}"), DeviceInfo::display_name),
            is_phone: self.input.phones.contains(&mac),
            routed,
            coarse,
            unnamed,
            hours,
            hidden: hidden.into_iter().collect(),
            past_days: self.past.day_count(mac),
            can_be_new,
            upload: compared.then(|| self.past.upload(mac, routed.up_bytes)).flatten(),
            night: self.night(window, &places),
            owners: by_owner(places),
        }
    }

    fn compare(&self, mac: Mac, place: &mut Place, can_be_new: bool) {
        let is_named = matches!(place.site, Site::Name(_)) && !place.is_unsure;
        place.is_new = can_be_new && is_named && !self.past.has_met(mac, &place.site);
        // What has just appeared has no usual day.
        if self.input.is_whole_day && self.is_observed && is_named && !place.is_new {
            place.upload = self.past.upload_to(mac, &place.site, place.volume.up_bytes);
        }
    }

    fn night(&self, window: Result<((u8, u8), usize), &'static str>, places: &[Place]) -> Night {
        let (window, days) = match window {
            Ok(window) => window,
            Err(why) => return Night::Unknown(why),
        };
        let at_night = places.iter().filter(|place| place.at_night.packets() > 0);
        let mut volume = Volume::default();
        at_night.clone().for_each(|place| volume.add(place.at_night));
        let in_window = self.slots.iter().zip(&self.observed).filter(|(slot, _)| is_in(window, slot.hour()));
        Night::Known(NightWatch {
            window,
            days,
            volume,
            places: at_night.clone().count(),
            new_places: at_night.filter(|place| place.is_new).count(),
            hours: in_window.clone().count(),
            measured_hours: in_window.filter(|(_, is_observed)| **is_observed).count(),
        })
    }
}

fn measured(input: &SummaryInput, range: TimeRange) -> Measured {
    let coverage = coverage(&input.counted, &input.latest, range, input.now);
    let mut coarse = Volume::default();
    let coarse_rows = input.hours.sums.iter().filter(|sum| sum.kind == RowKind::Coarse);
    coarse_rows.for_each(|sum| coarse.add(sum.volume));
    let count = |counter: &str| {
        let line = input.ledger.iter().find(|line| line.counter == counter);
        line.map_or((0, 0), |line| (line.packets, line.bytes.unwrap_or(0)))
    };
    let judged = TimeRange { since: range.since, until: coverage.stored_until }.len_ns();
    // Of the bytes, those that have neither a device nor a peer are as good as not measured.
    let (lost, seen) = (count("nobody").1.saturating_add(coarse.bytes()), count("seen").1);
    let kept = if seen == 0 { 1_000 } else { part_permille(seen.saturating_sub(lost), seen) };
    let permille = (judged > 0).then(|| part_permille(coverage.measured_ns, judged) * kept / 1_000);
    Measured {
        permille: permille.and_then(|permille| u16::try_from(permille).ok()),
        shortfalls: shortfalls(&coverage, coarse, &input.ledger, input.stored, input.unhooked_intervals),
        coverage,
        clock_steps: clock_steps(&input.counted),
        undated: input.counted.iter().filter(|c| !c.is_clock_set && begins_in(c, range)).count(),
        samples_lost: SAMPLE_LOSSES.into_iter().map(|counter| count(counter).0).sum(),
    }
}

/// Rounded down: what is not all is never 100 %.
fn part_permille(part: u64, whole: u64) -> u64 {
    let permille = u128::from(part) * 1_000 / u128::from(whole.max(1));
    u64::try_from(permille.min(1_000)).unwrap_or(1_000)
}
