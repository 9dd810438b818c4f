//! What is worth knowing of a summary: each with a rule, its figures, and why it may be innocent.

use super::input::{Known, SummaryInput};
use super::model::{DeviceSummary, Finding, FindingKind, Place, Severity, Summary, Usual};
use super::past::Past;
use super::words::{night_window, site_words};
use crate::report::amount::{human_bytes, several};
use crate::report::sureness::application_words;
use crate::units::Mac;
use sha2::{Digest, Sha256};

/// Below so much coverage, tenths of a percent, the figures cannot be relied on.
pub const ACT_PERMILLE: u16 = 800;
/// Below so much they have a gap that matters.
pub const LOOK_PERMILLE: u16 = 950;
/// A new destination is worth a look from so many bytes up.
pub const NEW_LOOK_BYTES: u64 = 1_000_000;

pub(super) fn findings(summary: &Summary, input: &SummaryInput, past: &Past) -> Vec<Finding> {
    let mut found: Vec<Finding> = coverage_finding(summary).into_iter().collect();
    for device in &summary.devices {
        of_device(&mut found, device, summary, input, past);
    }
    for finding in &mut found {
        if let Some(known) = input.known.iter().find(|known| known.id == finding.id) {
            finding.known = Some(known.clone());
        }
    }
    found.sort_by(|a, b| {
        let order = |f: &Finding| (f.known.is_some(), f.severity, f.kind);
        order(a).cmp(&order(b)).then_with(|| (&a.device, &a.subject).cmp(&(&b.device, &b.subject)))
    });
    found
}

/// A finding's id: its kind and ten digits of a hash of what it is about.
fn id_of(kind: FindingKind, device: Option<Mac>, subject: &str) -> String {
    let device = device.map(|mac| mac.to_string()).unwrap_or_default();
    let hash = Sha256::digest(format!("{}\n{device}\n{subject}", kind.word()));
    let digits: String = hash.iter().take(5).map(|byte| format!("{byte:02x}")).collect();
    format!("{}:{digits}", kind.word())
}

fn finding(
    kind: FindingKind,
    severity: Severity,
    device: Option<&DeviceSummary>,
    subject: String,
    said: String,
) -> Finding {
    Finding {
        id: id_of(kind, device.map(|d| d.mac), &subject),
        kind,
        severity,
        device: device.map(|d| (d.mac, d.name.clone())),
        subject,
        said,
        innocent: innocent(kind),
        known: None,
    }
}

/// Why a finding may be innocent.
const fn innocent(kind: FindingKind) -> &'static str {
    match kind {
        FindingKind::LowCoverage => {
            "The gateway may have been off, restarted or updated. What was not measured is unknown, not zero."
        }
        FindingKind::MoreUpload => {
            "A backup, photographs, a video call or a large message from the user look the same from here."
        }
        FindingKind::MoreToDestination => {
            "An app that is used more, a backup or an upload that the user started look the same from here."
        }
        FindingKind::NewDestination => {
            "A new app, an update, a page that was opened for the first time, or a service that moved to another name \
             look the same from here."
        }
        FindingKind::Hides => {
            "Encrypted DNS and tunnels protect from onlookers, and many systems and browsers use them by default."
        }
        FindingKind::NewDevice => {
            "A guest, a new thing in the house, or a known device that made itself a new address look the same from here."
        }
    }
}

fn coverage_finding(summary: &Summary) -> Option<Finding> {
    let permille = summary.measured.permille.unwrap_or(0);
    if permille >= LOOK_PERMILLE {
        return None;
    }
    let severity = if permille < ACT_PERMILLE { Severity::Act } else { Severity::Look };
    let said = match summary.measured.permille {
        None => "Nothing of this range could be judged yet.".to_owned(),
        Some(_) => format!("Only {}.{} % of this range was measured.", permille / 10, permille % 10),
    };
    Some(finding(FindingKind::LowCoverage, severity, None, String::new(), said))
}

fn of_device(
    found: &mut Vec<Finding>,
    device: &DeviceSummary,
    summary: &Summary,
    input: &SummaryInput,
    past: &Past,
) {
    let info = input.devices.iter().find(|info| info.mac == device.mac);
    let first_seen = info.and_then(|info| info.first_seen);
    let is_first = first_seen.is_some_and(|at| at >= summary.range.since && at < summary.range.until);
    // Where the gateway itself has no days before, every device is new to it, and that says nothing.
    if is_first && summary.past.observed > 0 && !past.was_there(device.mac) {
        let said = format!("Never seen before, in {}.", several(summary.past.observed, "observed day"));
        found.push(finding(FindingKind::NewDevice, Severity::Look, Some(device), String::new(), said));
    }
    if let Some(usual) = device.upload.filter(|usual| usual.has_grown) {
        let said = format!("Sent {}", grown_words(&usual));
        found.push(finding(FindingKind::MoreUpload, Severity::Look, Some(device), String::new(), said));
    }
    for place in device.places() {
        if place.is_new {
            let mut finding = new_place(device, place, summary);
            let entry = input.known_places.iter().find(|entry| entry.covers(info, place));
            finding.known = entry.map(|entry| Known {
                id: finding.id.clone(),
                reason: entry.reason.clone(),
                date: entry.date.clone(),
            });
            found.push(finding);
        }
        if let Some(usual) = place.upload.filter(|usual| usual.has_grown) {
            let subject = site_words(place);
            let said = format!("Sent {subject} {}", grown_words(&usual));
            found.push(finding(FindingKind::MoreToDestination, Severity::Look, Some(device), subject, said));
        }
    }
    for (application, volume) in &device.hidden {
        if device.can_be_new && !past.hidden.contains(&(device.mac, *application)) {
            let subject = application_words(*application).to_owned();
            let said = format!(
                "Uses {subject} for the first time in {} with it there: {} up, {} down.",
                several(device.past_days, "observed day"),
                human_bytes(volume.up_bytes),
                human_bytes(volume.down_bytes)
            );
            found.push(finding(FindingKind::Hides, Severity::Look, Some(device), subject, said));
        }
    }
}

fn grown_words(usual: &Usual) -> String {
    format!(
        "{}; on {} comparable days the median was {} ({} to {}). Counted as grown: more than on any of these days, at \
         least 3 times their median and at least 1 MB more.",
        human_bytes(usual.now),
        usual.days,
        human_bytes(usual.median),
        human_bytes(usual.range.0),
        human_bytes(usual.range.1)
    )
}

fn new_place(device: &DeviceSummary, place: &Place, summary: &Summary) -> Finding {
    let is_at_night = place.at_night.packets() > 0;
    let is_much = place.volume.up_bytes >= NEW_LOOK_BYTES;
    let severity = if is_much || is_at_night { Severity::Look } else { Severity::Note };
    let subject = site_words(place);
    let night = match (&device.night, is_at_night) {
        (super::model::Night::Known(watch), true) => {
            format!(
                ", {} up in its quiet hours ({})",
                human_bytes(place.at_night.up_bytes),
                night_window(watch)
            )
        }
        _ => String::new(),
    };
    let said = format!(
        "First contact with {subject} in {} with it there, of {} looked at: {} up, {} down in {}{night}.",
        several(device.past_days, "observed day"),
        summary.past.days,
        human_bytes(place.volume.up_bytes),
        human_bytes(place.volume.down_bytes),
        several(usize::try_from(place.conversations).unwrap_or(usize::MAX), "connection"),
    );
    finding(FindingKind::NewDestination, severity, Some(device), subject, said)
}
