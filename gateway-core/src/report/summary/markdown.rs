//! A summary as Markdown (CommonMark with tables). What devices and packets say cannot become markup.

use super::model::{DeviceSummary, Summary};
use super::words::{
    NEVER_SEEN, countries_words, coverage_causes, coverage_percent, device_lines, finding_words,
    networks_words, owner_words, past_words, sentence, site_words,
};
use crate::report::amount::{human_bytes, percent};
use crate::report::table::clean;
use crate::report::text::{Look, line};

/// Characters that CommonMark reads as markup, and its tables' bar.
const MARKUP: &str = "\\`*_{}[]()#+-!|~";

/// Puts a summary in writing.
#[must_use]
pub fn markdown(summary: &Summary, look: &Look<'_>) -> String {
    let mut out = String::new();
    line(&mut out, &format!("# Telltale summary, {}\n", escaped(&look.span(summary.range))));
    line(&mut out, &format!("**{}**\n", escaped(&sentence(summary))));
    line(&mut out, "## Findings\n");
    if summary.findings.is_empty() {
        line(&mut out, "None by the rules. That is no proof that nothing happened.");
    }
    for finding in &summary.findings {
        let said = escaped(&finding_words(finding));
        let after = finding.known.as_ref().map_or_else(
            || format!("May be innocent: {}", escaped(finding.innocent)),
            |known| format!("Known since {}: {}", escaped(&known.date), escaped(&known.reason)),
        );
        line(&mut out, &format!("- **{}** {said} {after} `{}`", finding.severity.word(), finding.id));
    }
    for device in &summary.devices {
        device_part(&mut out, device, summary);
    }
    line(&mut out, "\n## Coverage\n");
    line(&mut out, &format!("{} of this range was measured.\n", escaped(&coverage_percent(summary))));
    for cause in coverage_causes(summary, look) {
        line(&mut out, &format!("- {}", escaped(&cause)));
    }
    line(&mut out, &format!("\n{} {}", escaped(NEVER_SEEN), escaped(&past_words(summary))));
    out
}

fn device_part(out: &mut String, device: &DeviceSummary, summary: &Summary) {
    let kind = if device.is_phone { ", phone" } else { "" };
    line(out, &format!("\n## {} ({}{kind})\n", escaped(&device.name), device.mac));
    for part in device_lines(device, summary) {
        line(out, &format!("- {}", escaped(&part)));
    }
    line(out, "\n| owner | destination | up | down | of upload | conn. | country | purpose | network |");
    line(out, "|---|---|--:|--:|--:|--:|---|---|---|");
    for (group, place) in device.owners.iter().flat_map(|group| group.places.iter().map(move |p| (group, p)))
    {
        let new = if place.is_new { "**new** " } else { "" };
        let cells = [
            escaped(&owner_words(group)),
            format!("{new}{}", escaped(&site_words(place))),
            human_bytes(place.volume.up_bytes),
            human_bytes(place.volume.down_bytes),
            escaped(&percent(place.volume.up_bytes, device.routed.up_bytes)),
            place.conversations.to_string(),
            escaped(&countries_words(place)),
            escaped(&place.purposes.join(", ")),
            escaped(&networks_words(place)),
        ];
        line(out, &format!("| {} |", cells.join(" | ")));
    }
}

/// Text that Markdown shows as it is, in one line.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in clean(text).chars() {
        match c {
            // As references they are harmless even to a reader that takes this for HTML.
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            _ if MARKUP.contains(c) => out.extend(['\\', c]),
            _ => out.push(c),
        }
    }
    out
}
