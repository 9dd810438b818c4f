//! Nanoseconds per look-up of both network tables, and of MMDB files on the same addresses in the same run.
//!
//! `cargo bench -p gateway-user --bench lookup -- ASN.mmdb COUNTRY.mmdb`
#![allow(clippy::print_stdout, reason = "a bench prints its result")]

use anyhow::Context;
use gateway_core::enrich::Networks;
use gateway_core::enrich::table::{NetworkTable, System};
use gateway_core::units::Mac;
use gateway_user::tables;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// More than any cache of the processor holds tables for.
const ADDRS: usize = 200_000;
/// So many are asked in one go, which is shorter than what the scheduler gives a process on a busy machine.
const AT_ONCE: usize = 2_000;
/// Every contender is timed this often by turns; of each part the best turn counts, the machine being shared.
const ROUNDS: usize = 15;

static TABLES: [(&str, &[u8]); 2] = [
    ("full", include_bytes!("../data/networks-full.bin.zst")),
    ("small", include_bytes!("../data/networks-small.bin.zst")),
];

fn main() -> anyhow::Result<()> {
    // Cargo passes `--bench`; what is no flag is a path.
    let paths: Vec<PathBuf> =
        std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).map(PathBuf::from).collect();
    let files = if paths.is_empty() {
        None
    } else {
        Some(tables::load(None, None, &paths).context("open the MMDB files")?.networks)
    };
    for (size, packed) in TABLES {
        let (table, unpacked_in) = unpack(packed)?;
        println!(
            "{size} table: {} bytes packed, {} ms to unpack, {} bytes of memory",
            packed.len(),
            unpacked_in.as_millis(),
            table.memory_bytes()
        );
        // Addresses come from the fuller source, so that what the table leaves out is seen.
        let source: &dyn Networks = files.as_deref().map_or(&table, |files| files);
        for (family, addrs) in [("IPv4", v4_addrs(source)), ("IPv6", v6_addrs(source))] {
            let find = nanoseconds(&addrs, |addr| {
                let found = table.find(addr);
                (found.system.map(System::number), found.country)
            });
            let network_of = nanoseconds(&addrs, |addr| table.network_of(addr));
            println!(
                "  {family}: find {find:.0} ns, network_of (copies the organisation) {network_of:.0} ns"
            );
            if let Some(files) = &files {
                let mmdb = nanoseconds(&addrs, |addr| files.network_of(addr));
                println!("  {family}: network_of by maxminddb {mmdb:.0} ns");
                compare(&addrs, &table, files.as_ref());
            }
        }
    }
    vendors()
}

/// Who made an interface: random addresses, of which few are in the table, and such as are.
fn vendors() -> anyhow::Result<()> {
    let began = Instant::now();
    let Some(table) = tables::vendors::embedded()? else { return Ok(()) };
    let unpacked_ms = began.elapsed().as_millis();
    println!(
        "unpack the embedded table of MAC prefixes: {unpacked_ms} ms, {} bytes of memory",
        table.memory_bytes()
    );
    let mut state = 3;
    let mut draw = |_| {
        let [_, _, first, rest @ ..] = next(&mut state).to_be_bytes();
        let [b, c, d, e, f] = rest;
        Mac([first & !3, b, c, d, e, f])
    };
    let drawn: Vec<Mac> = (0..64 * ADDRS).map(&mut draw).collect();
    let known: Vec<Mac> =
        drawn.iter().copied().filter(|mac| table.vendor_of(*mac).name().is_some()).take(ADDRS).collect();
    for (what, macs) in [("any address", drawn.get(..ADDRS).unwrap_or(&drawn)), ("known ones", &known)] {
        let mut best = f64::INFINITY;
        for _ in 0..ROUNDS {
            let began = Instant::now();
            for &mac in macs {
                black_box(table.vendor_of(black_box(mac)));
            }
            best = best.min(began.elapsed().as_secs_f64() * 1e9 / macs.len() as f64);
        }
        println!("MAC: {what} {best:.0} ns");
    }
    Ok(())
}

/// The table, and the best time of some in which it was unpacked.
fn unpack(packed: &[u8]) -> anyhow::Result<(NetworkTable, Duration)> {
    let timed = || {
        let began = Instant::now();
        let table = NetworkTable::unpack(packed).context("unpack the table");
        table.map(|table| (table, began.elapsed()))
    };
    let mut best = timed()?;
    for _ in 1..ROUNDS {
        let again = timed()?;
        if again.1 < best.1 {
            best = again;
        }
    }
    Ok(best)
}

fn nanoseconds<T>(addrs: &[IpAddr], ask: impl Fn(IpAddr) -> T) -> f64 {
    let mut best = vec![f64::INFINITY; addrs.len().div_ceil(AT_ONCE)];
    for _ in 0..ROUNDS {
        for (part, best) in addrs.chunks(AT_ONCE).zip(&mut best) {
            let began = Instant::now();
            for &addr in part {
                black_box(ask(black_box(addr)));
            }
            *best = best.min(began.elapsed().as_secs_f64() * 1e9 / part.len() as f64);
        }
    }
    best.iter().sum::<f64>() / best.len() as f64
}

/// How often the two agree: a look-up that is quick and wrong is worth nothing.
fn compare(addrs: &[IpAddr], table: &NetworkTable, files: &dyn Networks) {
    let (mut other_country, mut no_country, mut other_system, mut no_system) = (0, 0, 0, 0);
    for &addr in addrs {
        let ours = table.network_of(addr).unwrap_or_default();
        let theirs = files.network_of(addr).unwrap_or_default();
        match ours.country {
            country if country == theirs.country => {}
            None => no_country += 1,
            Some(_) => other_country += 1,
        }
        match ours.asn {
            asn if asn == theirs.asn => {}
            None => no_system += 1,
            Some(_) => other_system += 1,
        }
    }
    println!(
        "  of {} addresses: country differs {other_country}, is left out {no_country}; system differs {other_system}, is left out {no_system}",
        addrs.len()
    );
}

/// Addresses anywhere that are in some country. The generator is SplitMix64, with a fixed seed.
fn v4_addrs(source: &dyn Networks) -> Vec<IpAddr> {
    let mut state = 1;
    known(source, || Ipv4Addr::from_bits(next(&mut state) as u32).into())
}

/// Addresses in the three blocks (2400::/12, 2600::/12, 2a00::/12) that hold most of what is given out.
fn v6_addrs(source: &dyn Networks) -> Vec<IpAddr> {
    let mut state = 2;
    known(source, || {
        let block: u128 = [0x240, 0x260, 0x2a0][(next(&mut state) % 3) as usize];
        let low = u128::from(next(&mut state)) << 64 | u128::from(next(&mut state));
        Ipv6Addr::from_bits(block << 116 | low >> 12).into()
    })
}

fn known(source: &dyn Networks, mut draw: impl FnMut() -> IpAddr) -> Vec<IpAddr> {
    let mut addrs = Vec::with_capacity(ADDRS);
    while addrs.len() < ADDRS {
        let addr = draw();
        if source.network_of(addr).is_some_and(|network| network.country.is_some()) {
            addrs.push(addr);
        }
    }
    addrs
}

fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
