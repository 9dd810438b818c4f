//! What every way of writing a summary says in the same words.

use super::model::{
    DeviceSummary, Finding, FindingKind, Night, NightWatch, OwnerGroup, Place, Site, Summary, Usual,
};
use crate::privacy::kept_owner;
use crate::query::TimeRange;
use crate::report::account::shortfall_words;
use crate::report::amount::{human_bytes, percent, several};
use crate::report::sureness::application_words;
use crate::report::table::clean;
use crate::report::text::{Look, NOT_KEPT};
use crate::row::Network;

/// What is measured and what cannot be, in every summary.
pub const NEVER_SEEN: &str =
    "Traffic that the network hardware forwards past the kernel is not seen and is not in this percentage.";

/// A destination.
#[must_use]
pub fn site_words(place: &Place) -> String {
    match &place.site {
        Site::Name(name) if kept_owner(name).is_some() => match &place.owner {
            Some(owner) => format!("{} (only the owner is kept)", clean(owner)),
            None => name.to_string(),
        },
        Site::Name(name) => name.to_string(),
        Site::Network(asn) => {
            let organisation = place.networks.iter().find_map(|n| n.organisation.as_deref());
            let whose = organisation.map(|o| format!(" {}", clean(o))).unwrap_or_default();
            format!("unnamed addresses of AS{asn}{whose}")
        }
        Site::Unknown => "unnamed addresses of unknown networks".to_owned(),
        Site::Withheld => NOT_KEPT.to_owned(),
    }
}

/// An owner.
#[must_use]
pub fn owner_words(group: &OwnerGroup) -> String {
    let Some(owner) = &group.owner else { return "owner unknown".to_owned() };
    let country = group.country.map(|country| format!(" ({country})")).unwrap_or_default();
    format!("{}{country}", clean(owner))
}

/// A network with where it is registered.
#[must_use]
pub fn network_words(network: &Network) -> String {
    let number = network.asn.map(|asn| format!("AS{asn}"));
    let organisation = network.organisation.as_deref().map(clean);
    let registered = network.registered.map(|country| format!("(registered in {country})"));
    [number, organisation, registered].into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// All networks of a destination.
#[must_use]
pub fn networks_words(place: &Place) -> String {
    place.networks.iter().map(network_words).collect::<Vec<_>>().join(", ")
}

/// The countries of its addresses; anycast makes them doubtful.
#[must_use]
pub fn countries_words(place: &Place) -> String {
    let one = |(country, is_doubtful): &(crate::units::Country, bool)| {
        format!("{country}{}", if *is_doubtful { "?" } else { "" })
    };
    place.countries.iter().map(one).collect::<Vec<_>>().join(" ")
}

/// `01:00 to 06:00`.
#[must_use]
pub fn night_window(watch: &NightWatch) -> String {
    format!("{:02}:00 to {:02}:00", watch.window.0, watch.window.1)
}

/// What happened in the quiet hours, or why none are known.
#[must_use]
pub fn night_words(device: &DeviceSummary) -> String {
    match &device.night {
        Night::Unknown(why) => format!("Quiet hours unknown: {why}."),
        Night::Known(watch) if watch.hours == 0 => {
            format!("None of its quiet hours ({}) is in this range.", night_window(watch))
        }
        Night::Known(watch) => {
            let gap = match watch.hours.saturating_sub(watch.measured_hours) {
                0 => String::new(),
                missing => {
                    format!(" {missing} of these {} were not measured well.", several(watch.hours, "hour"))
                }
            };
            let new = if device.can_be_new { format!(", {} new", watch.new_places) } else { String::new() };
            format!(
                "In its quiet hours ({}, learned from {}): {}{new}, {} up, {} down.{gap}",
                night_window(watch),
                several(watch.days, "day"),
                several(watch.places, "destination"),
                human_bytes(watch.volume.up_bytes),
                human_bytes(watch.volume.down_bytes),
            )
        }
    }
}

/// An amount beside the usual.
#[must_use]
pub fn usual_words(usual: &Usual) -> String {
    format!(
        "usually {} ({} to {} on {} days)",
        human_bytes(usual.median),
        human_bytes(usual.range.0),
        human_bytes(usual.range.1),
        usual.days
    )
}

/// What a device exchanged, hid and left unnamed, line by line.
#[must_use]
pub fn device_lines(device: &DeviceSummary, summary: &Summary) -> Vec<String> {
    let usual = device.upload.as_ref().map(|usual| format!("; upload {}", usual_words(usual)));
    let mut lines = vec![
        format!(
            "{} up, {} down{}.",
            human_bytes(device.routed.up_bytes),
            human_bytes(device.routed.down_bytes),
            usual.unwrap_or_default()
        ),
        night_words(device),
    ];
    for (application, volume) in &device.hidden {
        lines.push(format!(
            "Uses {}: {} up, {} down.",
            application_words(*application),
            human_bytes(volume.up_bytes),
            human_bytes(volume.down_bytes)
        ));
    }
    if let Some(place) = device.places().find(|place| place.site == Site::Withheld) {
        let share = percent(place.volume.bytes(), device.routed.bytes());
        lines.push(format!("The names of {share} of its bytes are not kept (privacy level)."));
    }
    if device.unnamed.bytes() > 0 {
        let share = percent(device.unnamed.bytes(), device.routed.bytes());
        lines.push(format!("{share} of its bytes ({}) have no name.", human_bytes(device.unnamed.bytes())));
    }
    if device.coarse.bytes() > 0 {
        let bytes = human_bytes(device.coarse.bytes());
        lines.push(format!("{bytes} more have no known destination: the tables were full."));
    }
    if !device.can_be_new {
        lines.push(format!(
            "New destinations cannot be told: it was there on {} of the {} before, and 7 are needed.",
            device.past_days,
            several(summary.past.observed, "observed day"),
        ));
    }
    lines
}

/// The percentage.
#[must_use]
pub fn coverage_percent(summary: &Summary) -> String {
    match summary.measured.permille {
        None => "nothing to judge yet".to_owned(),
        Some(permille) => format!("{}.{} %", permille / 10, permille % 10),
    }
}

/// Why it is not all, and what makes it unsure.
#[must_use]
pub fn coverage_causes(summary: &Summary, look: &Look<'_>) -> Vec<String> {
    let measured = &summary.measured;
    let mut causes: Vec<String> = measured.shortfalls.iter().map(|s| shortfall_words(s, look)).collect();
    for TimeRange { since, until } in measured.coverage.holes.iter().take(10) {
        causes.push(format!("gap from {} to {}", look.local(*since), look.local(*until)));
    }
    if let Some(since) = measured.coverage.pending_since {
        causes.push(format!("what came after {} is not stored yet", look.local(since)));
    }
    if measured.clock_steps > 0 {
        causes.push(format!("the clock was set {} while counting", several(measured.clock_steps, "time")));
    }
    if measured.undated > 0 {
        causes.push(format!("{} counted before the time was known", several(measured.undated, "interval")));
    }
    if measured.samples_lost > 0 {
        causes.push(format!("{} samples were lost: names may be missing", measured.samples_lost));
    }
    causes
}

/// What a reader should know who reads no further.
#[must_use]
pub fn sentence(summary: &Summary) -> String {
    let count = |wanted: fn(FindingKind) -> bool| {
        summary.findings.iter().filter(|f| f.known.is_none() && wanted(f.kind)).count()
    };
    let coverage = coverage_percent(summary);
    if summary.measured.coverage.measured_ns == 0 {
        return "Nothing of this range was measured.".to_owned();
    }
    if summary.routed.packets() == 0 {
        return format!("No traffic with the world was seen; {coverage} of the range was measured.");
    }
    let new = count(|kind| kind == FindingKind::NewDestination);
    let grown = count(|kind| matches!(kind, FindingKind::MoreUpload | FindingKind::MoreToDestination));
    let compared = if summary.devices.iter().any(|device| device.can_be_new) {
        format!("{}, {} that grew", several(new, "new destination"), several(grown, "upload"))
    } else {
        "nothing is known yet to compare it with".to_owned()
    };
    format!(
        "{} sent {} and received {}; {compared}; {coverage} of the range was measured.",
        several(summary.devices.len(), "device"),
        human_bytes(summary.routed.up_bytes),
        human_bytes(summary.routed.down_bytes),
    )
}

/// A finding's first line: its severity, device and figures.
#[must_use]
pub fn finding_words(finding: &Finding) -> String {
    let device = finding.device.as_ref().map(|(_, name)| format!("{}: ", clean(name))).unwrap_or_default();
    format!("{device}{}", finding.said)
}

/// What was there to compare with.
#[must_use]
pub fn past_words(summary: &Summary) -> String {
    format!(
        "Compared with {} before, {} of them observed (at least 80 % measured).",
        several(summary.past.days, "day"),
        summary.past.observed
    )
}
