//! The corpus's scorer and the bars.

use anyhow::{Context as _, Result};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use xtask::tool;

/// Of each hundred this many must be right, at least: conversations exact to the byte, and names.
const MIN_PERCENT: u64 = 99;
/// The same for names by the DNS alone, of which some are refused on purpose: where the device was told several names
/// for an address and time does not tell which of them it means, the truth takes any of them for right.
const MIN_PERCENT_BY_DNS: u64 = 95;
/// What names are by, and how many of a hundred must be right.
const SOURCES: [(&str, u64); 4] = [
    ("tls_sni", MIN_PERCENT),
    ("quic_sni", MIN_PERCENT),
    ("http_host", MIN_PERCENT),
    ("dns", MIN_PERCENT_BY_DNS),
];
/// The scorer's word for conversations of which the truth knows no name.
const UNEXPECTED: &str = "(no expectation)";

/// What the scorer found.
pub struct Score {
    /// As it prints it.
    pub text: String,
    numbers: Numbers,
}

/// As it writes it.
#[derive(Deserialize)]
struct Numbers {
    /// How many conversations, by `class/result`.
    counts: BTreeMap<String, u64>,
    /// How many names, by source and result.
    names: BTreeMap<String, BTreeMap<String, u64>>,
}

/// Something that must hold.
pub struct Bar {
    pub name: String,
    pub found: String,
    pub is_reached: bool,
}

/// Compares `out` with the truth.
///
/// # Errors
/// If the scorer fails.
pub fn run(python: &Path, scorer: &Path, truth: &Path, out: &Path, numbers: &Path) -> Result<Score> {
    let mut command = tool::command(python, [scorer, truth, out]);
    let text = tool::run(command.arg("--json").arg(numbers))?;
    let written = fs::read(numbers).with_context(|| format!("read {}", numbers.display()))?;
    let numbers = serde_json::from_slice(&written).context("understand what the scorer wrote")?;
    Ok(Score { text, numbers })
}

impl Score {
    /// Every bar, in a fixed order.
    pub fn bars(&self) -> Vec<Bar> {
        let Numbers { counts, names } = &self.numbers;
        let plain = counts.iter().filter(|(class, _)| class.starts_with("plain/"));
        let of_plain = plain.map(|(_, count)| *count).sum();
        let exact = counts.get("plain/exact").copied().unwrap_or(0);
        let mut bars = vec![share("conversations exact", exact, of_plain, MIN_PERCENT)];
        let named = |source: &str, result: &str| {
            names.get(source).and_then(|results| results.get(result)).copied().unwrap_or(0)
        };
        let (mut right, mut all) = (0, 0);
        for (source, min_percent) in SOURCES {
            let results = ["right", "mislabel", "alt", "wrong", "missing"];
            let of_source = results.iter().map(|result| named(source, result)).sum();
            bars.push(share(&format!("names by {source}"), named(source, "right"), of_source, min_percent));
            right += named(source, "right");
            all += of_source;
        }
        bars.push(share("names", right, all, MIN_PERCENT));
        let wrong = names.keys().map(|source| named(source, "wrong")).sum();
        bars.push(none("names wrong", wrong));
        bars.push(none("names spurious", named(UNEXPECTED, "spurious")));
        bars
    }
}

fn share(name: &str, right: u64, all: u64, min_percent: u64) -> Bar {
    let is_reached = all > 0 && right * 100 >= all * min_percent;
    Bar { name: name.to_owned(), found: format!("{right} of {all}"), is_reached }
}

fn none(name: &str, count: u64) -> Bar {
    Bar { name: name.to_owned(), found: count.to_string(), is_reached: count == 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_shares_of_what_the_scorer_counted() {
        let counts = [("plain/exact", 99), ("plain/absent", 1), ("flag:tunnel/absent", 50)];
        let names = [
            ("tls_sni", "right", 98),
            ("tls_sni", "missing", 2),
            ("dns", "right", 95),
            ("dns", "missing", 5),
            ("http_host", "right", 99),
            ("http_host", "mislabel", 1),
            (UNEXPECTED, "bonus", 5),
            (UNEXPECTED, "spurious", 1),
        ];
        let mut numbers = Numbers {
            counts: counts.map(|(class, count)| (class.to_owned(), count)).into(),
            names: BTreeMap::new(),
        };
        for (source, result, count) in names {
            numbers.names.entry(source.to_owned()).or_default().insert(result.to_owned(), count);
        }
        let bars = Score { text: String::new(), numbers }.bars();
        let found: Vec<_> = bars.iter().map(|bar| (bar.found.as_str(), bar.is_reached)).collect();
        let expected = [
            ("99 of 100", true),
            ("98 of 100", false),
            ("0 of 0", false),
            ("99 of 100", true),
            ("95 of 100", true),
            ("292 of 300", false),
            ("0", true),
            ("1", false),
        ];
        assert_eq!(found, expected);
    }
}
