#![allow(clippy::unwrap_used, reason = "tests panic on purpose")]

use super::*;
use gateway_core::units::Country;
use std::path::Path;
use tempfile::TempDir;
use writer::{Value, map, mmdb, text};

#[cfg(any(feature = "tables-full", feature = "tables-small"))]
mod check_list;
mod updated;
mod writer;

/// 2026-10-01T00:00:00Z.
const OCTOBER: u64 = 1_790_812_800;

struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

#[track_caller]
fn check(tables: &dyn Networks, addr: &str, asn: Option<u32>, organisation: Option<&str>, country: &str) {
    let network = tables.network_of(addr.parse().unwrap()).unwrap_or_default();
    let found = (network.asn, network.organisation.as_deref());
    assert_eq!(found, (asn, organisation), "{addr}");
    assert_eq!(network.country, Country::parse(country), "{addr}");
}

/// The tables with these files of the user's, and no updated ones.
fn load(mmdb: &[PathBuf]) -> anyhow::Result<Box<dyn Networks + Send + Sync>> {
    let Loaded { networks, warnings } = super::load(embedded::packed(TableKind::Networks), None, mmdb)?;
    assert!(warnings.is_empty(), "{warnings:?}");
    Ok(networks)
}

#[track_caller]
fn error_of(path: &Path) -> String {
    match load(&[path.to_owned()]) {
        Ok(_) => panic!("{} was taken for a table", path.display()),
        Err(error) => format!("{error:#}"),
    }
}

fn maxmind_asn(number: u32, organisation: &str) -> Value {
    map(vec![
        ("autonomous_system_number", Value::U32(number)),
        ("autonomous_system_organization", text(organisation)),
    ])
}

fn maxmind_country(code: &str) -> Value {
    map(vec![
        ("country", map(vec![("iso_code", text(code)), ("names", map(vec![("en", text("A name"))]))])),
        ("registered_country", map(vec![("iso_code", text("CN"))])),
        ("traits", map(vec![("is_anycast", Value::Bool(code == "US"))])),
    ])
}

#[cfg(any(feature = "tables-full", feature = "tables-small"))]
#[test]
fn files_in_maxminds_layout() {
    let files = Files::new();
    let networks =
        [("8.8.8.0/24", maxmind_asn(15169, "Google LLC")), ("2001:db8::/32", maxmind_asn(64496, ""))];
    let asn = files.write("asn.mmdb", &mmdb("GeoLite2-ASN", OCTOBER, &networks));
    let networks = [("8.0.0.0/9", maxmind_country("US")), ("9.0.0.0/8", maxmind_country("ZZ"))];
    let country = files.write("country.mmdb", &mmdb("GeoLite2-Country", OCTOBER + 86_400, &networks));
    let tables = load(&[asn, country]).unwrap();
    assert_eq!(tables.as_of(), "ASN 2026-10-01, country 2026-10-02");
    check(&*tables, "8.8.8.8", Some(15169), Some("Google LLC"), "US");
    check(&*tables, "::ffff:8.8.8.8", Some(15169), Some("Google LLC"), "US");
    check(&*tables, "8.8.9.8", None, None, "US");
    check(&*tables, "2001:db8::1", Some(64496), None, "");
    // The country is unknown, though the embedded table knows; the file says where the block is registered.
    check(&*tables, "9.1.1.1", None, None, "");
    let network = tables.network_of("8.8.9.8".parse().unwrap()).unwrap();
    assert_eq!((network.registered, network.marks), (Country::parse("CN"), NetworkMarks::ANYCAST));
}

#[cfg(any(feature = "tables-full", feature = "tables-small"))]
#[test]
fn a_file_in_ipinfos_layouts_gives_both() {
    let lite = map(vec![
        ("asn", text("AS15169")),
        ("as_name", text("Google LLC")),
        ("as_domain", text("google.com")),
        ("country", text("United States")),
        ("country_code", text("US")),
    ]);
    let country_asn =
        map(vec![("asn", text("AS15169")), ("as_name", text("Google LLC")), ("country", text("US"))]);
    let grouped = map(vec![
        ("as", map(vec![("asn", text("AS15169")), ("name", text("Google LLC"))])),
        ("geo", map(vec![("country_code", text("US"))])),
    ]);
    for (kind, value) in [
        ("ipinfo bundle_lite.mmdb", lite),
        ("ipinfo generic_country_asn.mmdb", country_asn),
        ("ipinfo core.mmdb", grouped),
    ] {
        let files = Files::new();
        let path = files.write("x.mmdb", &mmdb(kind, OCTOBER, &[("8.8.8.0/24", value)]));
        let tables = load(&[path]).unwrap();
        assert_eq!(tables.as_of(), "2026-10-01");
        check(&*tables, "8.8.8.8", Some(15169), Some("Google LLC"), "US");
        check(&*tables, "1.2.3.4", None, None, "");
        // What the file does not say of the system the embedded table says.
        let network = tables.network_of("8.8.8.8".parse().unwrap()).unwrap();
        assert_eq!(
            (network.registered, network.marks),
            (Country::parse("US"), NetworkMarks::ANYCAST),
            "{kind}"
        );
    }
}

#[cfg(any(feature = "tables-full", feature = "tables-small"))]
#[test]
fn what_no_file_is_about_comes_from_the_embedded_table() {
    let files = Files::new();
    let bytes = mmdb("GeoLite2-Country", OCTOBER, &[("8.8.8.0/24", maxmind_country("DE"))]);
    let tables = load(&[files.write("country.mmdb", &bytes)]).unwrap();
    assert_eq!(tables.as_of(), "ASN 2026-09-01, country 2026-10-01");
    check(&*tables, "8.8.8.8", Some(15169), Some("Google LLC"), "DE");
    check(&*tables, "1.1.1.1", Some(13335), Some("Cloudflare, Inc."), ""); // The file does not know where.
}

#[cfg(any(feature = "tables-full", feature = "tables-small"))]
#[test]
fn the_country_in_a_file_of_systems_is_not_where_an_address_is() {
    let files = Files::new();
    let value =
        map(vec![("asn", Value::U32(45102)), ("name", text("Alibaba")), ("country_code", text("CN"))]);
    let tables =
        load(&[files.write("asn.mmdb", &mmdb("ip-to-asn", OCTOBER, &[("8.209.0.0/19", value)]))]).unwrap();
    check(&*tables, "8.209.0.1", Some(45102), Some("Alibaba"), "RU");
    let network = tables.network_of("8.209.0.1".parse().unwrap()).unwrap();
    assert_eq!((network.registered, network.marks), (Country::parse("CN"), NetworkMarks::CLOUD));
}

#[cfg(any(feature = "tables-full", feature = "tables-small"))]
#[test]
fn the_first_file_that_knows_wins() {
    let files = Files::new();
    let one = files.write("1.mmdb", &mmdb("a-country", OCTOBER, &[("8.8.8.0/24", maxmind_country("DE"))]));
    let two = files.write("2.mmdb", &mmdb("b-country", OCTOBER, &[("8.8.0.0/16", maxmind_country("FR"))]));
    let tables = load(&[one, two]).unwrap();
    check(&*tables, "8.8.8.8", Some(15169), Some("Google LLC"), "DE");
    assert_eq!(tables.network_of("8.8.1.1".parse().unwrap()).unwrap().country, Country::parse("FR"));
}

#[test]
fn what_is_no_table_is_named_in_one_line() {
    let files = Files::new();
    let readme = files.write("README.md", b"# Not a table\n");
    let said = error_of(&readme);
    assert!(said.starts_with(&format!("{} is not an MMDB file", readme.display())), "{said}");
    let other = map(vec![("connection_type", text("Cable/DSL"))]);
    let other = files.write("c.mmdb", &mmdb("GeoIP2-Connection-Type", OCTOBER, &[("8.8.8.0/24", other)]));
    let said = error_of(&other);
    assert!(said.contains("GeoIP2-Connection-Type") && said.contains("neither countries nor"), "{said}");
    let missing = files.0.path().join("missing.mmdb");
    let said = error_of(&missing);
    assert!(said.starts_with(&format!("read the MMDB file {}", missing.display())), "{said}");
    for said in [error_of(&readme), error_of(&other), error_of(&missing), error_of(files.0.path())] {
        assert!(!said.contains('\n'), "{said}");
    }
}

#[test]
fn a_file_that_is_cut_or_changed_never_panics() {
    let files = Files::new();
    let networks = [("8.8.8.0/24", maxmind_country("US")), ("2001:db8::/32", maxmind_country("DE"))];
    let bytes = mmdb("GeoLite2-Country", OCTOBER, &networks);
    let ask = |bytes: &[u8]| {
        if let Ok(file) = MmdbFile::open(&files.write("x.mmdb", bytes)) {
            for addr in ["8.8.8.8", "1.1.1.1", "2001:db8::1", "ffff::"] {
                file.fill(addr.parse().unwrap(), &mut Network::default());
            }
        }
    };
    assert!(MmdbFile::open(&files.write("x.mmdb", &bytes)).is_ok());
    for len in 0..bytes.len() {
        ask(&bytes[..len]);
    }
    for position in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[position] ^= 0x81;
        ask(&changed);
    }
}

#[cfg(not(any(feature = "tables-full", feature = "tables-small")))]
#[test]
fn a_program_without_a_table_knows_nothing_and_says_so() {
    let tables = load(&[]).unwrap();
    assert_eq!((tables.network_of("8.8.8.8".parse().unwrap()), tables.as_of()), (None, ""));
    let files = Files::new();
    let country = [("8.8.8.0/24", maxmind_country("DE"))];
    let tables = load(&[files.write("country.mmdb", &mmdb("GeoLite2-Country", OCTOBER, &country))]).unwrap();
    assert_eq!(tables.as_of(), "ASN none, country 2026-10-01");
    check(&*tables, "8.8.8.8", None, None, "DE");
}
