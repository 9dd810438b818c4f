//! Which of the embedded and the updated tables is used, and what is said of one that is not.

use super::*;
use gateway_core::enrich::envelope::{self, TableDate, TableKind};
use gateway_core::enrich::table::{Step, SystemEntry, TableParts};

const SEPTEMBER: TableDate = TableDate(20_697);
/// The day of [`super::OCTOBER`].
const NEWER: TableDate = TableDate(20_727);

/// A table in which 8.0.0.0/8 is a system of this name, and in SG.
fn table(date: TableDate, organisation: &str) -> Vec<u8> {
    let known = |start| vec![Step { start, value: Some(0) }, Step { start: start + (1 << 24), value: None }];
    let table = NetworkTable::new(&TableParts {
        date,
        as_of: date.to_string(),
        systems: vec![SystemEntry {
            number: 64496,
            organisation: organisation.into(),
            registered: Country::parse("CN"),
            marks: NetworkMarks::CLOUD,
        }],
        countries: vec![Country(*b"CN"), Country(*b"SG")],
        systems_v4: known(8 << 24),
        countries_v4: vec![Step { start: 8 << 24, value: Some(1) }, Step { start: 9 << 24, value: None }],
        ..TableParts::default()
    });
    pack(&table.unwrap().seal().unwrap())
}

/// A frame of one raw block (RFC 8878 section 3.1.1): single segment, the content's size in four bytes.
fn pack(bytes: &[u8]) -> Vec<u8> {
    let len = u32::try_from(bytes.len()).unwrap();
    let block = (len << 3 | 1).to_le_bytes();
    [&[0x28, 0xb5, 0x2f, 0xfd, 0xa0][..], &len.to_le_bytes(), &block[..3], bytes].concat()
}

#[track_caller]
fn check_used(embedded: Option<&[u8]>, files: &Files, organisation: &str) -> Box<dyn Networks + Send + Sync> {
    let Loaded { networks, warnings } = super::super::load(embedded, Some(files.0.path()), &[]).unwrap();
    assert!(warnings.is_empty(), "{warnings:?}");
    let network = networks.network_of("8.8.8.8".parse().unwrap()).unwrap_or_default();
    assert_eq!(network.organisation.as_deref().unwrap_or_default(), organisation);
    networks
}

/// The embedded one stays, and one line says why.
#[track_caller]
fn check_refused(embedded: &[u8], files: &Files, expected: &str) {
    let Loaded { networks, warnings } =
        super::super::load(Some(embedded), Some(files.0.path()), &[]).unwrap();
    let [warning] = &warnings[..] else { panic!("{warnings:?}") };
    assert!(warning.contains(expected) && !warning.contains('\n'), "{warning}");
    let network = networks.network_of("8.8.8.8".parse().unwrap()).unwrap();
    assert_eq!(network.organisation.as_deref(), Some("Embedded"));
}

#[test]
fn a_newer_table_is_used() {
    let (files, embedded) = (Files::new(), table(SEPTEMBER, "Embedded"));
    check_used(Some(&embedded), &files, "Embedded");
    files.write(UPDATED_TABLE, &table(NEWER, "Updated"));
    assert_eq!(check_used(Some(&embedded), &files, "Updated").as_of(), "2026-10-01");
    // The same day: it was asked for.
    files.write(UPDATED_TABLE, &table(SEPTEMBER, "Updated"));
    check_used(Some(&embedded), &files, "Updated");
}

#[test]
fn a_program_without_a_table_knows_nothing_until_it_has_one() {
    let files = Files::new();
    assert_eq!(check_used(None, &files, "").as_of(), "");
    files.write(UPDATED_TABLE, &table(SEPTEMBER, "Updated"));
    check_used(None, &files, "Updated");
    let missing = files.0.path().join("missing");
    assert!(super::super::load(None, Some(&missing), &[]).unwrap().warnings.is_empty());
}

#[test]
fn a_bad_or_older_table_is_refused_in_one_line() {
    let (files, embedded) = (Files::new(), table(NEWER, "Embedded"));
    let good = table(NEWER, "Updated");
    files.write(UPDATED_TABLE, &table(SEPTEMBER, "Updated"));
    check_refused(&embedded, &files, "it is of 2026-09-01, the one in this program of 2026-10-01");
    files.write(UPDATED_TABLE, &good[..good.len() - 1]);
    check_refused(&embedded, &files, "cannot be unpacked");
    let mut damaged = good.clone();
    *damaged.last_mut().unwrap() ^= 1;
    files.write(UPDATED_TABLE, &damaged);
    check_refused(&embedded, &files, "checksum does not match");
    files.write(UPDATED_TABLE, b"# Not a table\n");
    check_refused(&embedded, &files, "not a table of Telltale's");
    let owners = envelope::seal(TableKind::Owners, 1, NEWER, b"").unwrap();
    files.write(UPDATED_TABLE, &pack(&owners));
    check_refused(&embedded, &files, "a table of owners, where one of networks belongs");
    let later = envelope::seal(TableKind::Networks, 99, NEWER, b"").unwrap();
    files.write(UPDATED_TABLE, &pack(&later));
    check_refused(&embedded, &files, "format 99");
    std::fs::File::create(files.0.path().join(UPDATED_TABLE)).unwrap().set_len(17 << 20).unwrap();
    check_refused(&embedded, &files, "17825792 bytes");
}

#[test]
fn updated_mmdb_files_are_used_where_they_are_newer() {
    let (files, embedded) = (Files::new(), table(SEPTEMBER, "Embedded"));
    let asn = [("8.8.8.0/24", maxmind_asn(64496, "From a file"))];
    files.write("networks-asn.mmdb", &mmdb("DBIP-ASN-Lite", OCTOBER, &asn));
    let country = [("8.8.8.0/24", maxmind_country("DE"))];
    files.write("networks-country.mmdb", &mmdb("DBIP-Country-Lite", OCTOBER, &country));
    let networks = check_used(Some(&embedded), &files, "From a file");
    assert_eq!(networks.as_of(), "2026-10-01");
    check(&*networks, "8.8.8.8", Some(64496), Some("From a file"), "DE");
    // What the files do not say of a system the table says.
    let network = networks.network_of("8.8.8.8".parse().unwrap()).unwrap();
    assert_eq!((network.registered, network.marks), (Country::parse("CN"), NetworkMarks::CLOUD));
    files.write("networks-country.mmdb", &mmdb("DBIP-Country-Lite", OCTOBER - 86_400 * 90, &country));
    check_refused(&embedded, &files, "networks-country.mmdb");
    files.write("networks-country.mmdb", b"nothing");
    check_refused(&embedded, &files, "networks-country.mmdb is not an MMDB file");
    // A table that is newer than the files is asked instead of them.
    files.write("networks-country.mmdb", &mmdb("DBIP-Country-Lite", OCTOBER, &country));
    files.write(UPDATED_TABLE, &table(TableDate(NEWER.0 + 1), "Updated"));
    check_used(Some(&embedded), &files, "Updated");
}
