//! Is a file that came a table, whole, of the right kind, and one that says what is known to be so? All of it is
//! looked at before it takes the place of another.

use super::super::embedded;
use super::super::mmdb::MmdbFile;
use super::slot::{Slot, word};
use anyhow::{Context, anyhow, bail};
use flate2::read::MultiGzDecoder;
use gateway_core::enrich::Networks;
use gateway_core::enrich::envelope::{self, TableDate, TableKind};
use gateway_core::enrich::owners::OwnerTable;
use gateway_core::enrich::suffixes::SuffixTable;
use gateway_core::enrich::table::NetworkTable;
use gateway_core::enrich::vendors::VendorTable;
use gateway_core::row::Network;
use gateway_core::units::{Country, DomainName};
use jiff::civil::Date;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

/// RFC 8878 §3.1.1, RFC 1952 §2.3.1.
const ZSTANDARD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// What an MMDB file has before its last part, within so many bytes of its end (the format's own words).
const MMDB: &[u8] = b"\xab\xcd\xefMaxMind.com";
const MMDB_TAIL_LEN: usize = 128 * 1024;

/// The longest file that is unpacked. City tables, the largest there are, take half of it.
pub(super) const MAX_UNPACKED_LEN: u64 = 256 << 20;

/// Addresses whose network and country have not changed for a decade: a table that says otherwise is not one of the
/// Internet's. Google's resolver, in the United States by every source; Cloudflare's, which is everywhere.
const KNOWN: [(Ipv4Addr, u32, Option<Country>); 2] =
    [(Ipv4Addr::new(8, 8, 8, 8), 15_169, Some(Country(*b"US"))), (Ipv4Addr::new(1, 1, 1, 1), 13_335, None)];

/// What a good file is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Checked {
    pub(super) slot: Slot,
    pub(super) date: Date,
}

/// Looks at all of a file.
pub(super) fn check(path: &Path, wanted: TableKind) -> anyhow::Result<Checked> {
    let bytes = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
    if bytes.starts_with(&ZSTANDARD) {
        return check_table(&bytes, wanted);
    }
    let tail = bytes.len().saturating_sub(MMDB_TAIL_LEN);
    let has_metadata = bytes.get(tail..).unwrap_or_default().windows(MMDB.len()).any(|w| w == MMDB);
    if has_metadata && wanted == TableKind::Networks {
        drop(bytes);
        return check_mmdb(path);
    }
    let is_page = bytes.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'<');
    match (is_page, has_metadata, wanted) {
        (true, ..) => bail!("what came is a web page and no table; is there a login page in the way?"),
        (_, true, _) => bail!("what came is an MMDB file, where a table of {} belongs", word(wanted)),
        (.., TableKind::Networks) => bail!("what came is neither a table of Telltale's nor an MMDB file"),
        _ => bail!("what came is not a table of Telltale's"),
    }
}

fn check_table(bytes: &[u8], wanted: TableKind) -> anyhow::Result<Checked> {
    let date = civil(envelope::date_of(bytes, wanted)?)?;
    match wanted {
        TableKind::Networks => {
            let table = NetworkTable::unpack(bytes)?;
            check_known(|addr| table.network_of(addr), true, true)?;
        }
        TableKind::Owners => check_owners(&OwnerTable::open(bytes)?)?,
        TableKind::Suffixes => check_suffixes(&SuffixTable::open(bytes)?)?,
        TableKind::Vendors => _ = VendorTable::open(bytes)?,
    }
    Ok(Checked { slot: Slot::of_kind(wanted), date })
}

fn check_mmdb(path: &Path) -> anyhow::Result<Checked> {
    let file = MmdbFile::open(path)?;
    file.verify()?;
    let (systems, countries) = (file.gives_systems(), file.gives_countries());
    check_known(
        |addr| {
            let mut network = Network::default();
            file.fill(addr, &mut network);
            Some(network)
        },
        systems,
        countries,
    )?;
    let slot = match (systems, countries) {
        (true, false) => Slot::NetworksAsn,
        (false, _) => Slot::NetworksCountry,
        (true, true) => Slot::NetworksBoth,
    };
    Ok(Checked { slot, date: civil(file.built_on())? })
}

/// A table that knows nobody is no gain.
fn check_owners(table: &OwnerTable) -> anyhow::Result<()> {
    if table.rule_count() == 0 {
        bail!("what came cannot be right: it knows the owner of no name");
    }
    Ok(())
}

/// Names are registered under `co.uk` since 1996.
fn check_suffixes(table: &SuffixTable) -> anyhow::Result<()> {
    let name = DomainName::parse("www.example.co.uk");
    if name.as_ref().and_then(|name| table.registrable(name)) != Some("example.co.uk") {
        bail!("what came cannot be right: it does not know that names are registered under co.uk");
    }
    Ok(())
}

fn check_known(
    network_of: impl Fn(IpAddr) -> Option<Network>,
    systems: bool,
    countries: bool,
) -> anyhow::Result<()> {
    for (addr, asn, country) in KNOWN {
        let found = network_of(addr.into()).unwrap_or_default();
        if systems && found.asn != Some(asn) {
            let found = found.asn.map_or("nobody's".to_owned(), |asn| format!("AS{asn}'s"));
            bail!("what came cannot be right: it says that {addr} is {found}, and it is AS{asn}'s");
        }
        if let Some(country) = country.filter(|country| countries && found.country != Some(*country)) {
            bail!("what came cannot be right: it does not say that {addr} is in {country}");
        }
    }
    Ok(())
}

/// The date of what answers the questions of this slot now; `None` if nothing does.
pub(super) fn date_in_force(slot: Slot, directory: &Path) -> Option<Date> {
    let dates = slot.rivals().filter_map(|rival| date_in_place(rival, directory));
    dates.chain(embedded_date(slot.kind())).max()
}

/// The date of a table that is in place; `None` if there is none, or none that is whole.
pub(super) fn date_in_place(slot: Slot, directory: &Path) -> Option<Date> {
    let path = slot.path(directory);
    if slot.is_mmdb() {
        return civil(MmdbFile::open(&path).ok()?.built_on()).ok();
    }
    let envelope = envelope::open(&std::fs::read(path).ok()?, slot.kind()).ok()?;
    civil(envelope.date).ok()
}

fn civil(date: TableDate) -> anyhow::Result<Date> {
    date.to_string().parse().with_context(|| format!("the table has the impossible date {date}"))
}

/// The date of the table of this kind that is part of the program; `None` in a build without.
pub(super) fn embedded_date(kind: TableKind) -> Option<Date> {
    civil(embedded::date(kind)?).ok()
}

/// Unpacks a gzip file (RFC 1952) to `to`; returns whether it was one. Its checksums are checked on the way.
pub(super) fn gunzip(from: &Path, to: &Path) -> anyhow::Result<bool> {
    let mut packed = File::open(from).with_context(|| format!("read {}", from.display()))?;
    let mut magic = [0; 2];
    let len = packed.read(&mut magic)?;
    if magic.get(..len) != Some(&GZIP) {
        return Ok(false);
    }
    let packed = File::open(from).with_context(|| format!("read {}", from.display()))?;
    let mut unpacked = MultiGzDecoder::new(io::BufReader::new(packed)).take(MAX_UNPACKED_LEN + 1);
    let mut file = File::create(to).with_context(|| format!("write {}", to.display()))?;
    let mut chunk = vec![0; 64 * 1024];
    let mut sum = 0_u64;
    loop {
        let len = match unpacked.read(&mut chunk) {
            Ok(0) => break,
            Ok(len) => len,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(anyhow!("what came is damaged or cut short: {error}")),
        };
        sum = sum.saturating_add(len as u64);
        if sum > MAX_UNPACKED_LEN {
            bail!("what came unpacks to more than {MAX_UNPACKED_LEN} bytes");
        }
        file.write_all(chunk.get(..len).unwrap_or_default()).map_err(super::fetch::write_error)?;
    }
    Ok(true)
}

/// The SHA-256 (FIPS 180-4) of a file, in hexadecimal.
pub(super) fn sha256_of(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut chunk = vec![0; 64 * 1024];
    loop {
        match file.read(&mut chunk)? {
            0 => break,
            len => hash.update(chunk.get(..len).unwrap_or_default()),
        }
    }
    Ok(hex(&hash.finalize()))
}

/// The SHA-256 of a text, in hexadecimal.
pub(super) fn sha256_of_text(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The hash of `name` in a published list: `HASH` alone, or lines of `HASH  NAME` as sha256sum writes them.
pub(super) fn published_hash(text: &str, name: &str) -> Option<String> {
    let is_hash = |word: &&str| word.len() == 64 && word.bytes().all(|b| b.is_ascii_hexdigit());
    let mut lines = text.lines().map(str::split_whitespace).filter_map(|mut words| {
        let hash = words.next().filter(is_hash)?;
        Some((hash, words.next().map(|name| name.trim_start_matches('*'))))
    });
    lines
        .find(|(_, of)| of.is_none_or(|of| of.rsplit('/').next() == Some(name)))
        .map(|(hash, _)| hash.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic on purpose")]
    use super::*;

    #[test]
    fn a_hash_is_found_alone_and_by_name() {
        let (a, b) = ("ab".repeat(32), "CD".repeat(32));
        assert_eq!(published_hash(&format!("{a}\n"), "t.gz").unwrap(), a);
        let list = format!("# sums\n{b}  other.gz\n{a} *dir/t.gz\n");
        assert_eq!(published_hash(&list, "t.gz").unwrap(), a);
        assert_eq!(published_hash(&list, "none.gz"), None);
        assert_eq!(published_hash("<html>", "t.gz"), None);
        assert_eq!(sha256_of_text("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[cfg(any(feature = "tables-full", feature = "tables-small"))]
    #[test]
    fn the_embedded_table_passes_and_every_damage_does_not() {
        let good = embedded::packed(TableKind::Networks).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("t");
        let checked = |bytes: &[u8], kind| {
            std::fs::write(&path, bytes).unwrap();
            check(&path, kind).map_err(|error| format!("{error:#}"))
        };
        let Checked { slot, date } = checked(good, TableKind::Networks).unwrap();
        assert_eq!((slot, Some(date)), (Slot::Networks, embedded_date(TableKind::Networks)));
        let mut damaged = good.to_vec();
        *damaged.get_mut(good.len() / 2).unwrap() ^= 1;
        assert!(checked(&damaged, TableKind::Networks).is_err());
        for len in [0, 1, 3, 4, 5, 100, good.len() - 1] {
            assert!(checked(&good[..len], TableKind::Networks).is_err(), "{len}");
        }
        for (bytes, kind, words) in [
            (good, TableKind::Owners, "this is a table of networks, where one of owners belongs"),
            (b" <html>", TableKind::Owners, "web page"),
            (b"hello", TableKind::Networks, "neither a table of Telltale's nor an MMDB file"),
            (b"hello", TableKind::Vendors, "not a table of Telltale's"),
            (MMDB, TableKind::Vendors, "an MMDB file, where a table of vendors belongs"),
        ] {
            let error = checked(bytes, kind).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn a_table_of_another_internet_is_refused() {
        let network = |asn, country| Network { asn, country, ..Network::default() };
        let us = Some(Country(*b"US"));
        assert!(check_known(|_| Some(network(Some(15_169), us)), false, true).is_ok());
        let error = check_known(|_| Some(network(Some(15_169), us)), true, true).unwrap_err();
        assert!(error.to_string().contains("1.1.1.1 is AS15169's, and it is AS13335's"), "{error}");
        let error = check_known(|_| None, true, true).unwrap_err();
        assert!(error.to_string().contains("8.8.8.8 is nobody's"), "{error}");
        let error = check_known(|_| None, false, true).unwrap_err();
        assert!(error.to_string().contains("8.8.8.8 is in US"), "{error}");
    }
}
