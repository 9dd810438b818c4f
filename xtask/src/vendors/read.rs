//! Reads the list: `7C:03:AB` or `00:55:DA:10:00:00/28`, a tab, a short name or nothing, a tab, the full name.

use anyhow::{Context, ensure};
use gateway_core::enrich::vendors::{Assignment, PrefixLen};

/// How the list says that a block is in parts, or that its owner wants no name there.
const NOBODY: [&str; 2] = ["IEEE Registration Authority", "Private"];

/// Every block of the list, larger ones first, then in the order of their prefixes. Made-up and group prefixes, of
/// which the registry has a few from before 1990, are left out: no address with them is a maker's today.
///
/// # Errors
/// The first line that is not one, by its number.
pub(super) fn list(text: &str) -> anyhow::Result<Vec<Assignment>> {
    let mut found = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let block = block(line).with_context(|| format!("understand line {number}"))?;
        let first_byte = block.prefix >> (block.len.bits() - 8);
        if first_byte & 0x03 == 0 {
            found.push(block);
        }
    }
    found.sort();
    let before = found.len();
    found.dedup_by_key(|block| (block.len, block.prefix));
    ensure!(before == found.len(), "{} prefixes are there twice", before - found.len());
    Ok(found)
}

fn block(line: &str) -> anyhow::Result<Assignment> {
    let mut fields = line.split('\t');
    let prefix = fields.next().context("find the prefix")?;
    let name = fields.next_back().context("find the name")?.trim();
    let (digits, bits) = prefix.split_once('/').unwrap_or((prefix, "24"));
    let len = match bits {
        "24" => PrefixLen::Large,
        "28" => PrefixLen::Medium,
        "36" => PrefixLen::Small,
        other => anyhow::bail!("a prefix of {other} bits"),
    };
    let digits: String = digits.chars().filter(|digit| *digit != ':').collect();
    ensure!(matches!(digits.len(), 6 | 12), "the prefix {prefix:?} has neither 3 nor 6 bytes");
    let value = u64::from_str_radix(&digits, 16).with_context(|| format!("read the prefix {prefix:?}"))?;
    let given = u32::try_from(digits.len() * 4)?;
    ensure!(given >= len.bits(), "the prefix {prefix:?} is shorter than it says");
    let vendor = (!name.is_empty() && !NOBODY.contains(&name)).then(|| name.to_owned());
    Ok(Assignment { len, prefix: value >> (given - len.bits()), vendor })
}
