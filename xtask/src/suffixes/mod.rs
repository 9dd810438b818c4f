//! `cargo xtask suffixes`: the table of public suffixes, from the list of <https://publicsuffix.org>.
//!
//! The table is the list in another form, under the list's licence, the Mozilla Public License 2.0; see NOTICE.

mod list;
mod punycode;

use anyhow::{Context, ensure};
use clap::Args;
use gateway_core::enrich::suffixes::SuffixTable;
use list::List;
use std::path::PathBuf;
use xtask::tool;

/// The strongest level that needs no more memory to unpack than to hold the result.
const ZSTD_LEVEL: i32 = 19;

/// Fewer rules are not the list: it has grown past ten thousand.
const MIN_RULES: usize = 9_000;

/// Build the embedded table of public suffixes.
#[derive(Debug, Args)]
pub struct SuffixesArgs {
    /// The list as published: public_suffix_list.dat
    list: PathBuf,
    /// Where the table goes.
    #[arg(long, value_name = "FILE", default_value = "gateway-user/data/suffixes.bin.zst")]
    out: PathBuf,
}

/// Builds the table and writes it.
///
/// # Errors
/// Whatever cannot be read, understood or written, by its name.
pub fn run(args: &SuffixesArgs) -> anyhow::Result<()> {
    let SuffixesArgs { list: path, out } = args;
    let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    let List { date, rules } =
        list::parse(&text).with_context(|| format!("understand {}", path.display()))?;
    ensure!(rules.len() >= MIN_RULES, "{} has only {} rules", path.display(), rules.len());
    let source = format!("Public Suffix List of {date}, https://publicsuffix.org/list/, MPL-2.0, modified");
    let table = SuffixTable::new(&source, date, &rules)?;
    let bytes = table.seal()?;
    let packed = zstd::encode_all(bytes.as_slice(), ZSTD_LEVEL).context("compress the table")?;
    ensure!(SuffixTable::open(&packed)? == table, "the packed table is not the table");
    let out = tool::workspace().join(out);
    std::fs::write(&out, &packed).with_context(|| format!("write {}", out.display()))?;
    eprintln!("{}: {} bytes, {} unpacked", out.display(), packed.len(), bytes.len());
    eprintln!("  in memory     {} bytes", table.memory_bytes());
    eprintln!("  rules         {} for {} names, as of {date}", rules.len(), table.rule_count());
    Ok(())
}
