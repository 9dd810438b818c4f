//! `cargo xtask geo`: the embedded network table, from DB-IP's files.
//!
//! The same files always give the same bytes: nothing here reads a clock, and no order depends on a hash.

mod choose;
mod read;
mod steps;

use anyhow::{Context, ensure};
use clap::Args;
use gateway_core::enrich::envelope::TableDate;
use gateway_core::enrich::table::{AsEntry, NetworkTable, TableParts};
use gateway_core::units::Country;
use read::{Range, Ranges};
use std::cmp::Reverse;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

/// The strongest level that needs no more memory to unpack than to hold the result.
const ZSTD_LEVEL: i32 = 19;

/// Build the embedded network table (address → ASN, organisation, country) from MMDB files.
#[derive(Debug, Args)]
pub struct GeoArgs {
    /// DB-IP ASN Lite, as .mmdb or .mmdb.xz.
    #[arg(long, value_name = "FILE")]
    asn: PathBuf,
    /// DB-IP Country Lite, as .mmdb or .mmdb.xz.
    #[arg(long, value_name = "FILE")]
    country: PathBuf,
    /// Where the table goes.
    #[arg(long, value_name = "FILE", default_value = "gateway-user/data/networks.bin.zst")]
    out: PathBuf,
}

/// Builds the table and writes it.
///
/// # Errors
/// Whatever cannot be read, understood or written, by its name.
pub fn run(args: &GeoArgs) -> anyhow::Result<()> {
    let GeoArgs { asn, country, out } = args;
    let systems = read::systems(&read::open(asn)?)?;
    ensure!(!systems.v4.is_empty(), "{} has no autonomous systems; give the ASN file", asn.display());
    let countries = read::countries(&read::open(country)?)?;
    ensure!(!countries.v4.is_empty(), "{} has no countries; give the country file", country.display());

    let (table, blanked) = build(&systems, &countries)?;
    check_sentinels(&table)?;
    check_truth(&table, &systems, &countries)?;
    let bytes = table.seal()?;
    let packed = zstd::encode_all(bytes.as_slice(), ZSTD_LEVEL).context("compress the table")?;
    ensure!(NetworkTable::unpack(&packed)? == table, "the packed table is not the table");
    std::fs::write(out, &packed).with_context(|| format!("write {}", out.display()))?;

    let [systems_v4, systems_v6, countries_v4, countries_v6] = table.range_counts();
    eprintln!("{}: {} bytes, {} unpacked", out.display(), packed.len(), bytes.len());
    eprintln!("  in memory     {} bytes", table.memory_bytes());
    eprintln!("  systems       {} in {systems_v4} IPv4 and {systems_v6} IPv6 ranges", table.system_count());
    eprintln!("  countries     {countries_v4} IPv4 and {countries_v6} IPv6 ranges");
    eprintln!("  left unknown  {blanked} IPv6 /32s that are in many countries");
    Ok(())
}

fn build(
    systems: &Ranges<(u32, String)>,
    countries: &Ranges<String>,
) -> anyhow::Result<(NetworkTable, usize)> {
    let mut addrs = vec![0_u64; systems.values.len()];
    for range in &systems.v4 {
        if let Some(sum) = addrs.get_mut(range.value as usize) {
            *sum += u64::from(range.last - range.first) + 1;
        }
    }
    let kept: Vec<Option<AsEntry>> = systems
        .values
        .iter()
        .zip(&addrs)
        .map(|((number, organisation), &addrs)| {
            choose::is_kept(organisation, addrs)
                .then(|| AsEntry { number: *number, organisation: organisation.clone() })
        })
        .collect();
    let systems = ranked(&kept, &systems.v4, &systems.v6, systems.built_on);
    let known: Vec<Option<Country>> = countries.values.iter().map(|code| known_country(code)).collect();
    let countries = ranked(&known, &countries.v4, &countries.v6, countries.built_on);
    let countries_v6 = steps::from_ranges(&countries.v6);
    let (countries_v6, blanked) = steps::coarsened(&countries_v6, &systems.v6);
    let table = NetworkTable::new(TableParts {
        date: systems.built_on.min(countries.built_on),
        source: "IP Geolocation by DB-IP, https://db-ip.com, CC BY 4.0, modified".into(),
        as_of: if systems.built_on == countries.built_on {
            systems.built_on.to_string()
        } else {
            format!("ASN {}, country {}", systems.built_on, countries.built_on)
        },
        systems_v4: steps::from_ranges(&systems.v4),
        systems_v6: steps::from_ranges(&systems.v6),
        countries_v4: steps::from_ranges(&countries.v4),
        countries_v6,
        systems: systems.values,
        countries: countries.values,
    })?;
    Ok((table, blanked))
}

/// The values that are kept, those with most ranges first, because small indices take fewer bytes; and the ranges
/// that point to them.
fn ranked<T: Clone + Ord>(
    kept: &[Option<T>],
    v4: &[Range<u32>],
    v6: &[Range<u64>],
    built_on: TableDate,
) -> Ranges<T> {
    let mut counts = vec![0_usize; kept.len()];
    for value in v4.iter().map(|r| r.value).chain(v6.iter().map(|r| r.value)) {
        if let Some(count) = counts.get_mut(value as usize) {
            *count += 1;
        }
    }
    let mut order: Vec<(Reverse<usize>, &T, usize)> = kept
        .iter()
        .zip(&counts)
        .enumerate()
        .filter_map(|(old, (value, &count))| Some((Reverse(count), value.as_ref()?, old)))
        .collect();
    order.sort_unstable();
    let mut renamed: Vec<Option<u32>> = vec![None; kept.len()];
    for (new, (_, _, old)) in (0_u32..).zip(&order) {
        if let Some(slot) = renamed.get_mut(*old) {
            *slot = Some(new);
        }
    }
    let rename = |old: u32| renamed.get(old as usize).copied().flatten();
    Ranges {
        values: order.into_iter().map(|(_, value, _)| value.clone()).collect(),
        v4: v4.iter().filter_map(|r| Some(Range { value: rename(r.value)?, ..*r })).collect(),
        v6: v6.iter().filter_map(|r| Some(Range { value: rename(r.value)?, ..*r })).collect(),
        built_on,
    }
}

/// Addresses whose owners have not changed in decades: a file that gets them wrong is not the one meant.
fn check_sentinels(table: &NetworkTable) -> anyhow::Result<()> {
    for (addr, number) in [(Ipv4Addr::new(8, 8, 8, 8), 15169), (Ipv4Addr::new(1, 1, 1, 1), 13335)] {
        let found = table.find(addr.into()).system.map(|s| s.number);
        ensure!(found == Some(number), "the ASN file puts {addr} into {found:?}, not AS{number}");
    }
    let found = table.find(Ipv4Addr::new(8, 8, 8, 8).into()).country;
    ensure!(found == Some(Country(*b"US")), "the country file puts 8.8.8.8 into {found:?}, not US");
    Ok(())
}

/// The table may say less than the files, and never anything else: asked at both ends of every range.
fn check_truth(
    table: &NetworkTable,
    systems: &Ranges<(u32, String)>,
    countries: &Ranges<String>,
) -> anyhow::Result<()> {
    let said = |addr: IpAddr, value: u32| {
        let (number, _) = systems.values.get(value as usize).context("find the system of a range")?;
        let found = table.find(addr).system;
        ensure!(found.is_none_or(|s| s.number == *number), "{addr} is in AS{number}, not in {found:?}");
        Ok(())
    };
    for (ends, value) in systems.v4.iter().map(|r| (ends_v4(r), r.value)) {
        ends.into_iter().try_for_each(|addr| said(addr, value))?;
    }
    for (ends, value) in systems.v6.iter().map(|r| (ends_v6(r), r.value)) {
        ends.into_iter().try_for_each(|addr| said(addr, value))?;
    }
    let said = |addr: IpAddr, value: u32, may_be_unknown: bool| {
        let code = countries.values.get(value as usize).context("find the country of a range")?;
        let (found, known) = (table.find(addr).country, known_country(code));
        let is_true = found == known || (may_be_unknown && found.is_none());
        ensure!(is_true, "{addr} is in {known:?}, not in {found:?}");
        Ok(())
    };
    for (ends, value) in countries.v4.iter().map(|r| (ends_v4(r), r.value)) {
        ends.into_iter().try_for_each(|addr| said(addr, value, false))?;
    }
    for (ends, value) in countries.v6.iter().map(|r| (ends_v6(r), r.value)) {
        ends.into_iter().try_for_each(|addr| said(addr, value, true))?;
    }
    Ok(())
}

fn ends_v4(range: &Range<u32>) -> [IpAddr; 2] {
    [range.first, range.last].map(|key| Ipv4Addr::from_bits(key).into())
}

fn ends_v6(range: &Range<u64>) -> [IpAddr; 2] {
    // All ones behind the key: no such address is IPv4 inside IPv6.
    [range.first, range.last]
        .map(|key| Ipv6Addr::from_bits(u128::from(key) << 64 | u128::from(u64::MAX)).into())
}

/// "ZZ" is how the source says that it does not know (ISO 3166-1 leaves it to users).
fn known_country(code: &str) -> Option<Country> {
    Country::parse(code).filter(|country| country.0 != *b"ZZ")
}

#[cfg(test)]
mod tests;
