//! `cargo xtask geo`: the embedded network tables, from DB-IP's and IPtoASN's files.
//!
//! The same files always give the same bytes: nothing here reads a clock, and no order depends on a hash.

mod choose;
mod marks;
mod read;
mod registered;
mod steps;

use anyhow::{Context, ensure};
use clap::Args;
use gateway_core::enrich::envelope::TableDate;
use gateway_core::enrich::table::{NetworkTable, System, SystemEntry, TableParts};
use gateway_core::row::NetworkMarks;
use gateway_core::units::Country;
use read::{Range, Ranges};
use std::collections::BTreeSet;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

/// Nothing above it makes the tables smaller.
const ZSTD_LEVEL: i32 = 19;

/// The window in bits: a MiB, which is what unpacking takes beside the table. A wider one saves 1 %.
const ZSTD_WINDOW_LOG: u32 = 20;

/// Build the embedded network tables (address → system, organisation, registered country, country) from MMDB files.
#[derive(Debug, Args)]
pub struct GeoArgs {
    /// DB-IP ASN Lite, as .mmdb or .mmdb.xz.
    #[arg(long, value_name = "FILE")]
    asn: PathBuf,
    /// DB-IP Country Lite, as .mmdb or .mmdb.xz.
    #[arg(long, value_name = "FILE")]
    country: PathBuf,
    /// IPtoASN's countries, as .mmdb or .mmdb.xz: where the operators are registered.
    #[arg(long, value_name = "FILE")]
    registered: PathBuf,
    /// Another list to measure the registered countries against, IPv4 as lines of FIRST,LAST,CODE; for example
    /// asn-country-ipv4.csv of the npm package @ip-location-db/asn-country (the registries' own statistics).
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    /// Where the tables go.
    #[arg(long, value_name = "DIRECTORY", default_value = "gateway-user/data")]
    out: PathBuf,
}

/// All that the tables are made from.
struct Sources {
    systems: Ranges<(u32, String)>,
    countries: Ranges<String>,
    /// Where each of the systems is registered.
    registered: Vec<Option<Country>>,
    /// What is known of each of the systems beside that.
    marks: Vec<NetworkMarks>,
    registered_on: TableDate,
}

/// How much of the world a table has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Size {
    /// All of it.
    Full,
    /// What fits a router: the systems that [`choose`] keeps, and not the finest IPv6 countries.
    Small,
}

/// Builds the tables and writes them.
///
/// # Errors
/// Whatever cannot be read, understood or written, by its name.
pub fn run(args: &GeoArgs) -> anyhow::Result<()> {
    let GeoArgs { asn, country, registered, against, out } = args;
    let systems = read::systems(&read::open(asn)?)?;
    ensure!(!systems.v4.is_empty(), "{} has no autonomous systems; give the ASN file", asn.display());
    let countries = read::countries(&read::open(country)?)?;
    ensure!(!countries.v4.is_empty(), "{} has no countries; give the country file", country.display());
    let file = read::countries(&read::open(registered)?)?;
    ensure!(!file.v4.is_empty(), "{} has no countries; give IPtoASN's file", registered.display());
    let sources = Sources::new(systems, countries, &file)?;
    if let Some(against) = against {
        check_agreement(&sources, against)?;
    }
    write(&sources, Size::Full, &out.join("networks-full.bin.zst"))?;
    write(&sources, Size::Small, &out.join("networks-small.bin.zst"))
}

/// So many of the systems that both lists know must be registered in the same country, in percent.
const MIN_AGREEMENT: usize = 95;

fn check_agreement(sources: &Sources, against: &Path) -> anyhow::Result<()> {
    let other = read::countries_csv(against)?;
    let (both, agree) = registered::agreement(&sources.systems, &sources.registered, &other);
    let shown = against.display();
    eprintln!("{shown}: of {both} systems that both know, {agree} are registered in the same country");
    ensure!(agree * 100 >= both * MIN_AGREEMENT, "{shown} agrees on less than {MIN_AGREEMENT} %");
    Ok(())
}

fn write(sources: &Sources, size: Size, out: &Path) -> anyhow::Result<()> {
    let (table, blanked) = build(sources, size)?;
    check_sentinels(&table)?;
    check_truth(&table, sources, size)?;
    let bytes = table.seal()?;
    let mut encoder = zstd::Encoder::new(Vec::new(), ZSTD_LEVEL)?;
    encoder.window_log(ZSTD_WINDOW_LOG)?;
    encoder.write_all(&bytes)?;
    let packed = encoder.finish().context("compress the table")?;
    let unpacked = NetworkTable::unpack(&packed)?;
    ensure!(unpacked == table, "the packed table is not the table");
    std::fs::write(out, &packed).with_context(|| format!("write {}", out.display()))?;

    let [systems_v4, systems_v6, countries_v4, countries_v6] = table.range_counts();
    eprintln!("{}: {} bytes, {} unpacked", out.display(), packed.len(), bytes.len());
    eprintln!("  in memory     {} bytes", unpacked.memory_bytes());
    eprintln!("  systems       {} in {systems_v4} IPv4 and {systems_v6} IPv6 ranges", table.system_count());
    let registered = kept_systems(sources, size).filter(|(_, system)| system.registered.is_some()).count();
    eprintln!("  registered    {registered} of them in a country that is known");
    eprintln!("  countries     {countries_v4} IPv4 and {countries_v6} IPv6 ranges");
    eprintln!("  left unknown  {blanked} IPv6 /32s that are in many countries");
    Ok(())
}

impl Sources {
    fn new(
        systems: Ranges<(u32, String)>,
        countries: Ranges<String>,
        file: &Ranges<String>,
    ) -> anyhow::Result<Self> {
        let registered = registered::by_system(&systems, file);
        let marks: anyhow::Result<Vec<_>> = systems
            .values
            .iter()
            .map(|(number, organisation)| marks::of_system(*number, organisation))
            .collect();
        Ok(Self { registered, marks: marks?, registered_on: file.built_on, systems, countries })
    }

    fn as_of(&self) -> String {
        let (systems, countries) = (self.systems.built_on, self.countries.built_on);
        if systems == countries {
            format!("{systems}, registered {}", self.registered_on)
        } else {
            format!("ASN {systems}, country {countries}, registered {}", self.registered_on)
        }
    }
}

/// The systems that a table of this size has, by number, and where each is in the file's list.
fn kept_systems(sources: &Sources, size: Size) -> impl Iterator<Item = (usize, SystemEntry)> {
    let systems = &sources.systems;
    let mut addrs = vec![0_u64; systems.values.len()];
    for range in &systems.v4 {
        if let Some(sum) = addrs.get_mut(range.value as usize) {
            *sum += u64::from(range.last - range.first) + 1;
        }
    }
    let said = systems.values.iter().zip(&addrs).zip(sources.registered.iter().zip(&sources.marks));
    let mut kept: Vec<(usize, SystemEntry)> = said
        .enumerate()
        .filter(|(_, (((_, organisation), addrs), (_, marks)))| {
            size == Size::Full || *marks != &NetworkMarks::NONE || choose::is_kept(organisation, **addrs)
        })
        .map(|(place, (((number, organisation), _), (registered, marks)))| {
            let (organisation, registered, marks) = (organisation.clone(), *registered, *marks);
            (place, SystemEntry { number: *number, organisation, registered, marks })
        })
        .collect();
    kept.sort_unstable_by_key(|(_, system)| system.number);
    kept.into_iter()
}

fn build(sources: &Sources, size: Size) -> anyhow::Result<(NetworkTable, usize)> {
    let Sources { systems, countries, registered_on, .. } = sources;
    let mut places: Vec<Option<u32>> = vec![None; systems.values.len()];
    let mut entries = Vec::new();
    for (place, entry) in kept_systems(sources, size) {
        if let Some(slot) = places.get_mut(place) {
            *slot = Some(u32::try_from(entries.len())?);
        }
        entries.push(entry);
    }
    let codes: Vec<Option<Country>> = countries.values.iter().map(|code| known_country(code)).collect();
    let registered = entries.iter().filter_map(|system| system.registered);
    let list: BTreeSet<Country> = codes.iter().copied().flatten().chain(registered).collect();
    let list: Vec<Country> = list.into_iter().collect();
    let place_of = |country: Country| list.binary_search(&country).ok().and_then(|p| u32::try_from(p).ok());
    let code_places: Vec<Option<u32>> = codes.iter().map(|code| place_of((*code)?)).collect();

    let systems_v6 = renamed(&systems.v6, &places);
    let countries_v6 = steps::from_ranges(&renamed(&countries.v6, &code_places));
    let (countries_v6, blanked) = match size {
        Size::Full => (countries_v6, 0),
        Size::Small => steps::coarsened(&countries_v6, &systems_v6),
    };
    let (anycast_v4, anycast_v6) = marks::anycast()?;
    let table = NetworkTable::new(&TableParts {
        date: systems.built_on.min(countries.built_on),
        source: format!(
            "IP Geolocation by DB-IP, https://db-ip.com, CC BY 4.0, modified; registered countries by IPtoASN, \
             https://iptoasn.com, PDDL 1.0, {registered_on}, joined by system"
        ),
        as_of: sources.as_of(),
        systems: entries,
        systems_v4: steps::from_ranges(&renamed(&systems.v4, &places)),
        systems_v6: steps::from_ranges(&systems_v6),
        countries_v4: steps::from_ranges(&renamed(&countries.v4, &code_places)),
        countries_v6,
        countries: list,
        anycast_v4,
        anycast_v6,
    })?;
    Ok((table, blanked))
}

/// The ranges whose values are kept, by their new places.
fn renamed<K: Copy>(ranges: &[Range<K>], places: &[Option<u32>]) -> Vec<Range<K>> {
    let place = |old: u32| places.get(old as usize).copied().flatten();
    ranges.iter().filter_map(|r| Some(Range { value: place(r.value)?, ..*r })).collect()
}

/// Addresses whose owners have not changed in decades: a file that gets them wrong is not the one meant.
fn check_sentinels(table: &NetworkTable) -> anyhow::Result<()> {
    for (addr, number) in [(Ipv4Addr::new(8, 8, 8, 8), 15169), (Ipv4Addr::new(1, 1, 1, 1), 13335)] {
        let found = table.find(addr.into()).system.map(System::number);
        ensure!(found == Some(number), "the ASN file puts {addr} into {found:?}, not AS{number}");
    }
    let found = table.find(Ipv4Addr::new(8, 8, 8, 8).into()).country;
    ensure!(found == Some(Country(*b"US")), "the country file puts 8.8.8.8 into {found:?}, not US");
    Ok(())
}

/// The small table may say less than the files, and neither anything else: asked at both ends of every range.
fn check_truth(table: &NetworkTable, sources: &Sources, size: Size) -> anyhow::Result<()> {
    let Sources { systems, countries, registered, .. } = sources;
    let said = |addr: IpAddr, value: u32| {
        let place = value as usize;
        let (number, organisation) = systems.values.get(place).context("find the system of a range")?;
        let registered = registered.get(place).copied().flatten();
        let Some(found) = table.find(addr).system else {
            ensure!(size == Size::Small, "{addr} is in AS{number}, not unknown");
            return Ok(());
        };
        let is_true = found.number() == *number
            && found.organisation().unwrap_or_default() == organisation
            && found.registered() == registered;
        ensure!(is_true, "{addr} is in AS{number} of {organisation}, not in {found:?}");
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
        ends.into_iter().try_for_each(|addr| said(addr, value, size == Size::Small))?;
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
