//! Nanoseconds per look-up of a name's owner and suffix in the embedded tables, and what half a million names of a
//! list cost.
//!
//! `cargo bench -p gateway-user --bench owners`
#![allow(clippy::print_stdout, reason = "a bench prints its result")]

use anyhow::Context;
use gateway_core::enrich::envelope::TableDate;
use gateway_core::enrich::lists::{ListFormat, ListHead, MAX_LIST_NAMES, NameList};
use gateway_core::units::DomainName;
use gateway_user::tables::owners;
use std::fmt::Write as _;
use std::hint::black_box;
use std::time::Instant;

/// Every contender is timed this often by turns; the best turn counts, the machine being shared.
const ROUNDS: usize = 400;

/// Look-ups a turn: few enough to be done before another process gets its turn.
const ASKED: usize = 3_000;

fn main() -> anyhow::Result<()> {
    let began = Instant::now();
    let tables = owners::embedded()?;
    println!(
        "unpack both tables: {} ms; {} rules of owners in {} bytes of memory, {} suffixes in {} bytes",
        began.elapsed().as_millis(),
        tables.owners().rule_count(),
        tables.owners().memory_bytes(),
        tables.suffixes().rule_count(),
        tables.suffixes().memory_bytes()
    );
    let rules: Vec<String> = tables.owners().rules().iter().map(|rule| rule.rule.to_owned()).collect();
    let known = names(rules.iter().cloned());
    let below = names(rules.iter().map(|rule| format!("api-2.eu.{rule}")));
    let unknown = names((0..3000).map(|n| format!("cdn-{n}.assets.some-site-{}.com", n * 7919 % 3001)));
    for (what, asked) in
        [("a rule's own name", &known), ("two labels below a rule", &below), ("unknown", &unknown)]
    {
        let mut best = [f64::INFINITY; 2];
        for _ in 0..ROUNDS {
            let [owner, suffix] = &mut best;
            *owner = owner.min(nanoseconds(asked, |name| tables.ownership_of(name).is_some()));
            *suffix = suffix.min(nanoseconds(asked, |name| tables.registrable(name).is_some()));
        }
        let [owner, suffix] = best;
        println!("{what}: owner {owner:.0} ns, registrable domain {suffix:.0} ns");
    }
    let mut text = String::new();
    for n in 0..MAX_LIST_NAMES {
        writeln!(text, "0.0.0.0 tracker{n}.site{}.example", n % 9973).context("write a list")?;
    }
    let head =
        ListHead { name: "bench".into(), place: String::new(), date: TableDate(0), format: ListFormat::Auto };
    let began = Instant::now();
    let list = NameList::parse(head, text.as_bytes(), MAX_LIST_NAMES)?;
    println!(
        "a list of {} names, {} bytes: read in {} ms, {} bytes of memory",
        list.name_count(),
        text.len(),
        began.elapsed().as_millis(),
        list.memory_bytes()
    );
    let asked =
        names((0..MAX_LIST_NAMES).step_by(37).map(|n| format!("tracker{n}.site{}.example", n % 9973)));
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        best = best.min(nanoseconds(&asked, |name| list.listing_of(name).is_some()));
    }
    println!("in that list: {best:.0} ns");
    Ok(())
}

fn names(texts: impl Iterator<Item = String>) -> Vec<DomainName> {
    texts.filter_map(|text| DomainName::parse(&text)).collect()
}

fn nanoseconds(names: &[DomainName], ask: impl Fn(&DomainName) -> bool) -> f64 {
    let began = Instant::now();
    for name in names.iter().cycle().take(ASKED) {
        black_box(ask(black_box(name)));
    }
    began.elapsed().as_secs_f64() * 1e9 / ASKED as f64
}
