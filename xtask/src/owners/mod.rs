//! `cargo xtask owners`: the table of owners, from the files in `gateway-user/data/owners`.
//!
//! The files are checked first, all of them, so that one run tells everything that is wrong. The same files always
//! give the same bytes: nothing here reads a clock.

mod build;
mod check;
mod countries;
mod read;

use anyhow::{Context, bail, ensure};
use clap::Args;
use gateway_core::enrich::owners::{OwnerParts, OwnerTable, Purpose};
use gateway_core::enrich::suffixes::SuffixTable;
use std::collections::BTreeMap;
use std::path::PathBuf;
use xtask::tool;

/// The strongest level that needs no more memory to unpack than to hold the result.
const ZSTD_LEVEL: i32 = 19;

/// Build the embedded table of owners from its TOML files.
#[derive(Debug, Args)]
pub struct OwnersArgs {
    /// Checks the files, and that the table is theirs; writes nothing.
    #[arg(long)]
    check: bool,
    /// Where the files are.
    #[arg(long, value_name = "DIRECTORY", default_value = "gateway-user/data/owners")]
    from: PathBuf,
    /// Where the table goes.
    #[arg(long, value_name = "FILE", default_value = "gateway-user/data/owners.bin.zst")]
    out: PathBuf,
    /// The table of public suffixes, which no rule may claim.
    #[arg(long, value_name = "FILE", default_value = "gateway-user/data/suffixes.bin.zst")]
    suffixes: PathBuf,
}

/// Checks the files, and writes the table or compares it.
///
/// # Errors
/// Whatever cannot be read or written, and everything that is wrong with the files, a line each.
pub fn run(args: &OwnersArgs) -> anyhow::Result<()> {
    let OwnersArgs { check, from, out, suffixes } = args;
    let root = tool::workspace();
    let (out, suffixes) = (root.join(out), root.join(suffixes));
    let parts = parts_of(&root.join(from), &suffixes)?;
    let sealed = parts.seal()?;
    let table = OwnerTable::new(parts.clone()).context("make the table")?;
    eprint!("{}", told(&parts, &table));
    if *check {
        let committed = std::fs::read(&out).with_context(|| format!("read {}", out.display()))?;
        let committed = zstd::decode_all(committed.as_slice()).context("unpack the table")?;
        ensure!(committed == sealed, "{} is not of these files; run `cargo xtask owners`", out.display());
        return Ok(());
    }
    let packed = zstd::encode_all(sealed.as_slice(), ZSTD_LEVEL).context("compress the table")?;
    ensure!(OwnerTable::open(&packed)? == table, "the packed table is not the table");
    std::fs::write(&out, &packed).with_context(|| format!("write {}", out.display()))?;
    eprintln!("{}: {} bytes, {} unpacked", out.display(), packed.len(), sealed.len());
    eprintln!("  in memory     {} bytes", table.memory_bytes());
    Ok(())
}

/// What the files come to.
fn parts_of(from: &std::path::Path, suffixes: &std::path::Path) -> anyhow::Result<OwnerParts> {
    let suffixes = std::fs::read(suffixes).with_context(|| format!("read {}", suffixes.display())).and_then(
        |bytes| SuffixTable::open(&bytes).with_context(|| format!("understand {}", suffixes.display())),
    )?;
    let files = read::files(from)?;
    let mut complaints = check::complaints(&files, &suffixes);
    if complaints.is_empty() {
        return build::parts(&files);
    }
    complaints.sort();
    let lines: Vec<String> = complaints.iter().map(ToString::to_string).collect();
    bail!("{} faults in the files of owners\n{}", lines.len(), lines.join("\n"))
}

/// What the table has, in lines.
fn told(parts: &OwnerParts, table: &OwnerTable) -> String {
    let mut by_purpose: BTreeMap<Purpose, usize> = BTreeMap::new();
    let rules = table.rules();
    for rule in &rules {
        *by_purpose.entry(rule.purpose).or_default() += 1;
    }
    let owners = parts.owners.len();
    let located = parts.owners.iter().filter(|(owner, ..)| owner.country.is_some()).count();
    let seats = parts.owners.iter().filter(|(.., source)| source.is_some()).count();
    let mut text = format!(
        "{} rules of {owners} owners ({located} with a country), {} sources, as of {}\n  looked up: {seats} seats, {} purposes\n",
        rules.len(),
        parts.sources.len(),
        parts.as_of,
        rules.iter().filter(|rule| rule.purpose_source.is_some()).count(),
    );
    text += &format!("  {:<20}{}\n", "repeat a shorter", build::repeating(&rules));
    for (purpose, count) in by_purpose {
        text += &format!("  {:<20}{count}\n", purpose.word());
    }
    text
}

#[cfg(test)]
mod tests;
