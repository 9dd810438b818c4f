//! A summary as text for a terminal.

use super::model::{DeviceSummary, Summary};
use super::words::{
    NEVER_SEEN, countries_words, coverage_causes, coverage_percent, device_lines, finding_words,
    networks_words, owner_words, past_words, sentence, site_words,
};
use crate::report::amount::percent;
use crate::report::table::{Align, Style, Table, clean, wrapped};
use crate::report::text::{Look, line, title};

/// Eight heights of a bar, lowest first.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A bar per hour, for two days and the hours that clocks may add: never cut.
const HOURS_WIDTH: usize = 50;

/// Puts a summary in writing.
#[must_use]
pub fn text(summary: &Summary, look: &Look<'_>) -> String {
    let mut out = String::new();
    line(
        &mut out,
        &look.paint.styled(&format!("Telltale summary, {}", look.span(summary.range)), Style::Dim),
    );
    for part in wrapped(&sentence(summary), look.width) {
        line(&mut out, &look.paint.styled(&part, Style::Bold));
    }
    findings_part(&mut out, summary, look);
    for device in &summary.devices {
        device_part(&mut out, device, summary, look);
    }
    title(&mut out, "Coverage", look);
    said(&mut out, &format!("{} of this range was measured.", coverage_percent(summary)), look);
    for cause in coverage_causes(summary, look) {
        said(&mut out, &format!("- {cause}"), look);
    }
    said(&mut out, NEVER_SEEN, look);
    said(&mut out, &past_words(summary), look);
    out
}

fn said(out: &mut String, text: &str, look: &Look<'_>) {
    for part in wrapped(text, look.width.map(|width| width.saturating_sub(2))) {
        line(out, &format!("  {part}"));
    }
}

fn findings_part(out: &mut String, summary: &Summary, look: &Look<'_>) {
    title(out, "Findings", look);
    if summary.findings.is_empty() {
        said(out, "None by the rules. That is no proof that nothing happened.", look);
    }
    for finding in &summary.findings {
        said(out, &format!("[{}] {}", finding.severity.word(), finding_words(finding)), look);
        match &finding.known {
            None => said(out, &format!("  May be innocent: {}", finding.innocent), look),
            Some(known) => {
                said(out, &format!("  Known since {}: {}", clean(&known.date), clean(&known.reason)), look);
            }
        }
        said(out, &format!("  {}", finding.id), look);
    }
}

fn device_part(out: &mut String, device: &DeviceSummary, summary: &Summary, look: &Look<'_>) {
    let kind = if device.is_phone { ", phone" } else { "" };
    title(out, &format!("{} ({}{kind})", clean(&device.name), device.mac), look);
    for part in device_lines(device, summary) {
        said(out, &part, look);
    }
    let right = Align::Right;
    let mut table = Table::new(&[
        ("destination", Align::Name(20)),
        ("up", right),
        ("down", right),
        ("of upload", right),
        ("conn.", right),
        ("country", Align::Beneath(7)),
        ("hours", Align::Beneath(HOURS_WIDTH)),
        ("purpose", Align::Beneath(9)),
        ("network", Align::Beneath(20)),
    ]);
    let count = device.places().count();
    for group in &device.owners {
        table.note(&owner_words(group));
        for place in &group.places {
            let new = if place.is_new { "NEW " } else { "" };
            let unsure = if place.is_unsure && !place.names.is_empty() { " (unsure)" } else { "" };
            table.push(vec![
                format!("{new}{}{unsure}", site_words(place)),
                look.bytes(place.volume.up_bytes),
                look.bytes(place.volume.down_bytes),
                percent(place.volume.up_bytes, device.routed.up_bytes),
                place.conversations.to_string(),
                countries_words(place),
                bars(&place.hours),
                place.purposes.join(", "),
                networks_words(place),
            ]);
        }
    }
    if count > 0 {
        out.push_str(&table.render(2, look.width, look.paint));
    }
}

/// A bar per hour; ranges of more than two days are left to the other formats.
pub(super) fn bars(hours: &[u64]) -> String {
    if hours.len() > HOURS_WIDTH {
        return String::new();
    }
    let most = hours.iter().copied().max().unwrap_or(0);
    let bar = |bytes: &u64| {
        if *bytes == 0 {
            return '·';
        }
        let step = u128::from(*bytes) * 7 / u128::from(most.max(1));
        BARS.get(usize::try_from(step).unwrap_or(7)).copied().unwrap_or('█')
    };
    hours.iter().map(bar).collect()
}
