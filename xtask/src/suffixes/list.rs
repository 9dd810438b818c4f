//! The list's text → its rules, names in punycode.

use super::punycode;
use anyhow::{Context, ensure};
use gateway_core::enrich::envelope::TableDate;
use gateway_core::enrich::suffixes::{RuleKind, Section, SuffixRule};
use gateway_core::units::DomainName;
use jiff::civil::Date;

/// The list as read.
pub struct List {
    /// The day of its version.
    pub date: TableDate,
    /// Its rules in their order.
    pub rules: Vec<SuffixRule>,
}

/// Reads the form described at <https://publicsuffix.org/list/>: a rule a line, up to the first white space; comments
/// begin with `//`, and four of them mark the sections.
pub fn parse(text: &str) -> anyhow::Result<List> {
    let version =
        text.lines().find_map(|line| line.strip_prefix("// VERSION: ")).context("find its version")?;
    let day: Date =
        version.get(..10).and_then(|day| day.parse().ok()).context("read the day of its version")?;
    let days = day.since(Date::constant(1970, 1, 1))?.get_days();
    let mut section = None;
    let mut rules = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        if let Some(comment) = line.strip_prefix("//") {
            match comment.trim() {
                "===BEGIN ICANN DOMAINS===" => section = Some(Section::Icann),
                "===BEGIN PRIVATE DOMAINS===" => section = Some(Section::Private),
                "===END ICANN DOMAINS===" | "===END PRIVATE DOMAINS===" => section = None,
                _ => {}
            }
            continue;
        }
        let Some(text) = line.split_whitespace().next() else { continue };
        let section = section.with_context(|| format!("line {number}: a rule outside both sections"))?;
        rules.push(rule(text, section).with_context(|| format!("line {number}: {text:?} is no rule"))?);
    }
    ensure!(section.is_none(), "it is cut short: its last section does not end");
    Ok(List { date: TableDate(u32::try_from(days)?), rules })
}

fn rule(text: &str, section: Section) -> Option<SuffixRule> {
    let (kind, bare) = match (text.strip_prefix("*."), text.strip_prefix('!')) {
        (Some(bare), _) => (RuleKind::Wildcard, bare),
        (_, Some(bare)) => (RuleKind::Exception, bare),
        _ => (RuleKind::Exact, text),
    };
    let labels: Option<Vec<String>> = bare.split('.').map(punycode::label).collect();
    Some(SuffixRule { name: DomainName::parse(&labels?.join("."))?, kind, section })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic on purpose")]
    use super::*;

    const TEXT: &str = "// VERSION: 2026-10-22_08-36-41_UTC\n// ===BEGIN ICANN DOMAINS===\n\n// ck\n*.ck\n!www.ck\n公司.cn x\n\
        // ===END ICANN DOMAINS===\n// ===BEGIN PRIVATE DOMAINS===\ngithub.io\n// ===END PRIVATE DOMAINS===\n";

    #[test]
    fn every_kind_of_rule_is_read() {
        let list = parse(TEXT).unwrap();
        let rules: Vec<_> = list.rules.iter().map(|r| (r.name.as_str(), r.kind, r.section)).collect();
        let expected = [
            ("ck", RuleKind::Wildcard, Section::Icann),
            ("www.ck", RuleKind::Exception, Section::Icann),
            ("xn--55qx5d.cn", RuleKind::Exact, Section::Icann),
            ("github.io", RuleKind::Exact, Section::Private),
        ];
        assert_eq!(rules, expected);
        assert_eq!(list.date.to_string(), "2026-10-22");
    }

    #[test]
    fn what_is_not_the_list_is_refused() {
        assert!(parse("com\n").is_err());
        assert!(parse("// VERSION: 2026-10-22_x\ncom\n").is_err(), "a rule outside the sections");
        let cut = TEXT.split("// ===END PRIVATE").next().unwrap();
        assert!(parse(cut).is_err());
        assert!(parse(&TEXT.replace("github.io", "a..b")).is_err());
    }
}
