//! The part of a report's text that accounts for it: what was seen, what of it is in no row, and what is missing.

use super::amount::{duration, several};
use super::coverage::{Edge, Straddle};
use super::model::{Report, SAMPLE_LOSSES, Shortfall, Undated};
use super::table::{Align, Table};
use super::text::{Look, line, title};
use crate::query::TimeRange;
use crate::row::LedgerLine;

/// Holes that are listed one by one; more are only counted.
const MAX_HOLES_LISTED: usize = 10;

pub(super) fn ledger_part(out: &mut String, report: &Report, look: &Look<'_>) {
    let of_all = if report.filter.is_empty() { "" } else { " (of the whole network)" };
    title(out, &format!("Ledger{of_all}"), look);
    let mut table = Table::new(&[("", Align::Left), ("packets", Align::Right), ("bytes", Align::Right)]);
    let find = |counter: &str| report.ledger.iter().find(|l| l.counter == counter);
    let mut push = |what: String, packets: u64, bytes: Option<u64>| {
        table.push(vec![what, packets.to_string(), bytes.map_or_else(|| "-".to_owned(), |b| look.bytes(b))]);
    };
    if let Some(LedgerLine { packets, bytes, .. }) = find("seen") {
        push("seen".to_owned(), *packets, *bytes);
    }
    push("in rows".to_owned(), report.stored.packets(), Some(report.stored.bytes()));
    for counter in LedgerLine::IS_LOSS {
        if let Some(LedgerLine { packets, bytes, .. }) = find(counter) {
            push(format!("not in rows: {}", loss_words(counter)), *packets, *bytes);
        }
    }
    let is_else = |l: &&LedgerLine| l.counter != "seen" && !LedgerLine::IS_LOSS.contains(&l.counter.as_str());
    for LedgerLine { counter, packets, bytes } in report.ledger.iter().filter(is_else) {
        push(format!("of note: {counter}"), *packets, *bytes);
    }
    out.push_str(&table.render(2, look.width, look.paint));
}

/// What a named loss is.
fn loss_words(counter: &str) -> &str {
    match counter {
        "bridged" => "bridged between devices",
        "group" => "broadcast and multicast",
        "arp" => "ARP",
        "eapol" => "EAPOL (Wi-Fi log-in)",
        "llc" => "LLC, spanning tree",
        "pppoe_control" => "PPPoE control",
        "other_ethertype" => "other EtherTypes",
        "malformed" => "malformed",
        "nobody" => "no room even for the device",
        "excluded" => "excluded by the configuration",
        "left_out" => "devices left out (privacy level)",
        "expired" => "kept once, too old now",
        "forgotten" => "forgotten because you asked",
        other => other,
    }
}

pub(super) fn complete_part(out: &mut String, report: &Report, look: &Look<'_>) {
    title(out, "Is this all?", look);
    line(out, &format!("  {}", verdict(report, look)));
    for shortfall in &report.shortfalls {
        line(out, &format!("  - {}", shortfall_words(shortfall, look)));
        if matches!(shortfall, Shortfall::NotMeasured { .. }) {
            hole_lines(out, report, look);
        }
    }
    for note in notes(report, look) {
        line(out, &format!("  note: {note}"));
    }
}

fn verdict(report: &Report, look: &Look<'_>) -> String {
    match report.complete_until() {
        None => "complete: no".to_owned(),
        // A packet that is bridged passes two ports or more: "once" would be wrong for it.
        Some(_) if report.is_complete() => {
            "complete: yes, the whole range was measured, and all that was seen is in a row or in the ledger (what is \
             bridged between devices is seen at each port it passes)"
                .to_owned()
        }
        Some(until) if until > report.range.since => {
            format!("complete up to {}: what comes after is not stored yet", look.local(until))
        }
        Some(_) => "complete: no, nothing of this range is stored yet".to_owned(),
    }
}

/// What a reader should know that makes nothing incomplete.
fn notes(report: &Report, look: &Look<'_>) -> Vec<String> {
    let mut notes = Vec::new();
    for Straddle { edge, interval, bytes, .. } in report.coverage.straddles.iter().filter(|s| s.is_small) {
        let said = look.said(*bytes);
        let span = look.span(*interval);
        notes.push(match edge {
            Edge::Start => {
                format!("{said} of the interval {span} are filed before this range, where it began")
            }
            Edge::End => format!("{said} of the interval {span} are filed in this range, where it began"),
        });
    }
    for counter in SAMPLE_LOSSES {
        if let Some(lost) = report.ledger.iter().find(|l| l.counter == counter) {
            notes.push(format!("{} samples were lost ({counter}): names may be missing", lost.packets));
        }
    }
    if let (Some(since), None) = (report.coverage.pending_since, report.complete_until()) {
        notes.push(format!("what came after {} is not stored yet", look.local(since)));
    }
    if report.undated_count > 0 {
        let intervals = several(report.undated_count, "interval");
        notes.push(format!("{intervals} counted while the gateway did not know the time: dates are unsure"));
    }
    if let Some(Undated { count, kept_at }) = report.undated_elsewhere {
        notes.push(format!(
            "{} counted while the gateway did not know the time, and dated by nothing since, {} not in this range: \
             kept at {}",
            several(usize::try_from(count).unwrap_or(usize::MAX), "interval"),
            if count == 1 { "is" } else { "are" },
            look.span(kept_at)
        ));
    }
    notes
}

/// What an interval that began earlier has of this range.
#[must_use]
pub fn reaching_in_words(interval: TimeRange, bytes: u64, look: &Look<'_>) -> String {
    format!(
        "{} of an interval {}, counted while nobody drained, are filed under the range where it began",
        look.said(bytes),
        look.span(interval)
    )
}

fn hole_lines(out: &mut String, report: &Report, look: &Look<'_>) {
    for TimeRange { since, until } in report.coverage.holes.iter().take(MAX_HOLES_LISTED) {
        line(out, &format!("      {} to {}", look.local(*since), look.local(*until)));
    }
    let more = report.coverage.holes.len().saturating_sub(MAX_HOLES_LISTED);
    if more > 0 {
        line(out, &format!("      and {more} more"));
    }
}

pub(super) fn shortfall_words(shortfall: &Shortfall, look: &Look<'_>) -> String {
    match *shortfall {
        Shortfall::NotMeasured { count, ns } => {
            format!("not measured: {} in {}", duration(ns), several(count, "gap"))
        }
        Shortfall::NoDevice { packets, bytes } => {
            format!("{packets} packets ({}) could not even be given to a device", look.said(bytes))
        }
        Shortfall::PeerUnknown { bytes } => {
            format!(
                "{} have a device but no peer: the tables were full; they may include traffic in the house",
                look.said(bytes)
            )
        }
        Shortfall::Straddles { edge: Edge::Start, count: 1, bytes, interval } => {
            format!("{}: some of it may belong here", reaching_in_words(interval, bytes, look))
        }
        Shortfall::Straddles { edge: Edge::Start, count, bytes, interval } => format!(
            "{} of {count} intervals {}, counted while nobody drained, are filed under the ranges where they began: \
             some of it may belong here",
            look.said(bytes),
            look.span(interval)
        ),
        Shortfall::Straddles { edge: Edge::End, count, bytes, interval } => format!(
            "{} in this report are of {} {}, counted while nobody drained: filed here, where it began; some of it \
             may belong after this range",
            look.said(bytes),
            several(count, "interval"),
            look.span(interval)
        ),
        Shortfall::Unhooked { intervals } => format!(
            "{} had a LAN port that was not hooked (or no port at all): what passed there is not counted",
            several(usize::try_from(intervals).unwrap_or(usize::MAX), "interval")
        ),
        Shortfall::Imbalance { seen, accounted } => format!(
            "the books do not balance: {} packets ({} bytes) seen, {} packets ({} bytes) accounted for; please report \
             this",
            seen.0, seen.1, accounted.0, accounted.1
        ),
        Shortfall::CaptureCut => {
            "a capture that was replayed is cut: what was behind the cut is not here".to_owned()
        }
        Shortfall::ImbalanceAtDrains { packets, bytes } => format!(
            "intervals did not balance when they were drained, by {packets} packets ({bytes} bytes); please report this"
        ),
    }
}
