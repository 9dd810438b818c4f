//! The part of a report's text that accounts for it: what was seen, what of it is in no row, and what is missing.

use super::amount::{duration, several};
use super::model::{Report, SAMPLE_LOSSES, Shortfall};
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
        other => other,
    }
}

pub(super) fn complete_part(out: &mut String, report: &Report, look: &Look<'_>) {
    title(out, "Is this all?", look);
    if report.is_complete() {
        line(
            out,
            "  complete: yes, the whole range was measured, and every byte seen is in a row or in the ledger",
        );
    } else {
        line(out, "  complete: no");
    }
    for shortfall in &report.shortfalls {
        line(out, &format!("  - {}", shortfall_words(shortfall, look)));
        if matches!(shortfall, Shortfall::NotMeasured { .. }) {
            hole_lines(out, report, look);
        }
    }
    for counter in SAMPLE_LOSSES {
        if let Some(lost) = report.ledger.iter().find(|l| l.counter == counter) {
            line(
                out,
                &format!("  note: {} samples were lost ({counter}): names may be missing", lost.packets),
            );
        }
    }
    if let Some(since) = report.pending_since {
        line(out, &format!("  note: what came after {} is not stored yet", look.local(since)));
    }
    if report.undated_count > 0 {
        let intervals = several(report.undated_count, "interval");
        line(
            out,
            &format!("  note: {intervals} counted while the gateway did not know the time: dates are unsure"),
        );
    }
}

fn hole_lines(out: &mut String, report: &Report, look: &Look<'_>) {
    for TimeRange { since, until } in report.holes.iter().take(MAX_HOLES_LISTED) {
        line(out, &format!("      {} to {}", look.local(*since), look.local(*until)));
    }
    let more = report.holes.len().saturating_sub(MAX_HOLES_LISTED);
    if more > 0 {
        line(out, &format!("      and {more} more"));
    }
}

fn shortfall_words(shortfall: &Shortfall, look: &Look<'_>) -> String {
    match *shortfall {
        Shortfall::NotMeasured { count, ns } => {
            format!("not measured: {} in {}", duration(ns), several(count, "gap"))
        }
        Shortfall::NoDevice { packets, bytes } => {
            format!("{packets} packets ({}) could not even be given to a device", look.said(bytes))
        }
        Shortfall::PeerUnknown { bytes } => {
            format!("{} have a device but no peer: the tables were full", look.said(bytes))
        }
        Shortfall::Imbalance { seen, accounted } => {
            format!(
                "the books do not balance: {seen} bytes seen, {accounted} accounted for; please report this"
            )
        }
    }
}
