//! `cargo xtask vendors`: the tables of MAC prefixes, from the IEEE's registry in the form of a `manuf` file.
//!
//! The same file always gives the same bytes: nothing here reads a clock, and no order depends on a hash.

mod choose;
mod name;
mod read;

use anyhow::{Context, ensure};
use clap::Args;
use gateway_core::enrich::envelope::TableDate;
use gateway_core::enrich::vendors::{Assignment, PrefixLen, Vendor, VendorTable};
use gateway_core::units::Mac;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The strongest level that needs no more memory to unpack than to hold the result.
const ZSTD_LEVEL: i32 = 19;

/// Builds the embedded tables of MAC prefixes (who made a network interface) from a list of the IEEE's registry.
#[derive(Debug, Args)]
pub struct VendorsArgs {
    /// The list: lines of prefix, short name and full name with tabs between (`manuf.txt` of the Python package pymanuf).
    #[arg(value_name = "FILE")]
    list: PathBuf,
    /// The day the list is of.
    #[arg(long, value_name = "YYYY-MM-DD")]
    date: jiff::civil::Date,
    /// Where the whole table goes.
    #[arg(long, value_name = "FILE", default_value = "gateway-user/data/vendors.bin.zst")]
    out: PathBuf,
    /// Where the small table goes.
    #[arg(long, value_name = "FILE", default_value = "gateway-user/data/vendors-small.bin.zst")]
    small_out: PathBuf,
}

/// Builds both tables and writes them.
///
/// # Errors
/// Whatever cannot be read, understood or written, by its name.
pub fn run(args: &VendorsArgs) -> anyhow::Result<()> {
    let VendorsArgs { list, date, out, small_out } = args;
    let text = std::fs::read_to_string(list).with_context(|| format!("read {}", list.display()))?;
    let registry =
        spelled_alike(read::list(&text).with_context(|| format!("understand {}", list.display()))?);
    let kept = choose::vendors(&registry);
    for (path, assignments) in [(out, whole(&registry)), (small_out, small(&registry, &kept))] {
        let table = table_of(*date, assignments)?;
        check_truth(&table, &registry)?;
        check_sentinels(&table)?;
        write(&table, path)?;
    }
    Ok(())
}

/// Every block that somebody has. What is nobody's is left out unless it is a part of a block that is somebody's.
fn whole(registry: &[Assignment]) -> Vec<Assignment> {
    narrowed(registry, |_| true)
}

/// The blocks of the vendors that are kept.
fn small(registry: &[Assignment], kept: &[String]) -> Vec<Assignment> {
    narrowed(registry, |vendor| kept.binary_search_by(|known| known.as_str().cmp(vendor)).is_ok())
}

/// The blocks of the vendors that are wanted, and the parts of these that are another's, as nobody's: a block must not
/// answer for a part that was given away.
fn narrowed(registry: &[Assignment], is_wanted: impl Fn(&str) -> bool) -> Vec<Assignment> {
    let mut kept = BTreeMap::<(PrefixLen, u64), bool>::new();
    let mut found = Vec::new();
    // Larger blocks first.
    for block in registry {
        let vendor = block.vendor.clone().filter(|vendor| is_wanted(vendor));
        let wider = [PrefixLen::Medium, PrefixLen::Large].into_iter().filter(|wider| *wider < block.len);
        let inside = wider
            .filter_map(|wider| {
                kept.get(&(wider, block.prefix >> (block.len.bits() - wider.bits()))).copied()
            })
            .next();
        // The next wider block says what is said without this one.
        if vendor.is_some() || inside == Some(true) {
            kept.insert((block.len, block.prefix), vendor.is_some());
            found.push(Assignment { vendor, ..block.clone() });
        }
    }
    found
}

/// Names that differ in capitals and legal form only are one vendor, in the spelling that most prefixes have.
fn spelled_alike(mut registry: Vec<Assignment>) -> Vec<Assignment> {
    let mut spellings = BTreeMap::<String, BTreeMap<String, usize>>::new();
    for vendor in registry.iter_mut().filter_map(|block| block.vendor.as_mut()) {
        *vendor = name::without_legal_form(vendor);
        *spellings.entry(vendor.to_lowercase()).or_default().entry(vendor.clone()).or_default() += 1;
    }
    let most = |spellings: &BTreeMap<String, usize>| {
        spellings.iter().max_by_key(|(_, count)| **count).map(|(spelling, _)| spelling.clone())
    };
    let chosen: BTreeMap<&String, Option<String>> =
        spellings.iter().map(|(folded, spellings)| (folded, most(spellings))).collect();
    for vendor in registry.iter_mut().filter_map(|block| block.vendor.as_mut()) {
        if let Some(Some(spelling)) = chosen.get(&vendor.to_lowercase()) {
            vendor.clone_from(spelling);
        }
    }
    registry
}

fn table_of(date: jiff::civil::Date, assignments: Vec<Assignment>) -> anyhow::Result<VendorTable> {
    let days = date.since(jiff::civil::date(1970, 1, 1))?.get_days();
    let date = TableDate(u32::try_from(days).context("a date after 1970")?);
    let source = "IEEE Registration Authority, public listing of MA-L, MA-M and MA-S, by pymanuf";
    Ok(VendorTable::new(source, date, assignments)?)
}

/// A table may say less than the registry, and never anything else: asked at both ends of every block.
fn check_truth(table: &VendorTable, registry: &[Assignment]) -> anyhow::Result<()> {
    let owners: BTreeMap<(PrefixLen, u64), Option<&str>> =
        registry.iter().map(|block| ((block.len, block.prefix), block.vendor.as_deref())).collect();
    for block in registry {
        let free = 48 - block.len.bits();
        let first = block.prefix << free;
        for bits in [first, first | ((1 << free) - 1)] {
            let [_, _, mac @ ..] = bits.to_be_bytes();
            let longest = [PrefixLen::Small, PrefixLen::Medium, PrefixLen::Large]
                .into_iter()
                .find_map(|len| owners.get(&(len, bits >> (48 - len.bits()))))
                .copied()
                .flatten();
            let said = table.vendor_of(Mac(mac)).name();
            ensure!(
                said.is_none() || said == longest,
                "{} is {longest:?}'s, and the table says {said:?}",
                Mac(mac)
            );
        }
    }
    Ok(())
}

/// Prefixes whose makers are known from their devices: a list that gets them wrong is not the one meant.
fn check_sentinels(table: &VendorTable) -> anyhow::Result<()> {
    for (mac, maker) in [([0x7c, 0x03, 0xab, 0, 0, 1], "Xiaomi"), ([0x00, 0x1b, 0x21, 0, 0, 1], "Intel")] {
        let mac = Mac(mac);
        let found = table.vendor_of(mac);
        ensure!(
            matches!(found, Vendor::Known(name) if name.starts_with(maker)),
            "{mac} is {maker}'s, and the list says {found:?}"
        );
    }
    Ok(())
}

fn write(table: &VendorTable, out: &Path) -> anyhow::Result<()> {
    let bytes = table.encode()?;
    let packed = zstd::encode_all(bytes.as_slice(), ZSTD_LEVEL).context("compress the table")?;
    ensure!(VendorTable::open(&packed)? == *table, "the packed table is not the table");
    std::fs::write(out, &packed).with_context(|| format!("write {}", out.display()))?;
    let [large, medium, small] = table.prefix_counts();
    eprintln!("{}: {} bytes, {} unpacked", out.display(), packed.len(), bytes.len());
    eprintln!("  in memory  {} bytes", table.memory_bytes());
    eprintln!("  prefixes   {large} of 24 bits, {medium} of 28, {small} of 36");
    eprintln!("  names      {}", table.name_count());
    Ok(())
}

#[cfg(test)]
mod tests;
