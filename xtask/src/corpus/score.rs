//! The corpus's scorer and the bars.

use anyhow::{Context as _, Result};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use xtask::tool;

/// Of each hundred this many must be right, at least: conversations exact to the byte, and names of each source.
const MIN_PERCENT: u64 = 99;
const SOURCES: [&str; 4] = ["tls_sni", "quic_sni", "http_host", "dns"];
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
        let mut bars = vec![share("conversations exact", exact, of_plain)];
        let named = |source: &str, result: &str| {
            names.get(source).and_then(|results| results.get(result)).copied().unwrap_or(0)
        };
        for source in SOURCES {
            let results = ["right", "mislabel", "alt", "wrong", "missing"];
            let all = results.iter().map(|result| named(source, result)).sum();
            bars.push(share(&format!("names by {source}"), named(source, "right"), all));
        }
        let wrong = names.keys().map(|source| named(source, "wrong")).sum();
        bars.push(none("names wrong", wrong));
        bars.push(none("names spurious", named(UNEXPECTED, "spurious")));
        bars
    }
}

fn share(name: &str, right: u64, all: u64) -> Bar {
    let is_reached = all > 0 && right * 100 >= all * MIN_PERCENT;
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
            ("dns", "right", 1),
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
            ("1 of 1", true),
            ("0", true),
            ("1", false),
        ];
        assert_eq!(found, expected);
    }
}
