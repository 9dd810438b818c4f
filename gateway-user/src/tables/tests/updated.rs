//! Which of the embedded and the updated tables is used, and what is said of one that is not.

use super::*;
use crate::tables::update::slot::Slot;
use gateway_core::enrich::envelope::TableDate;
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

/// With this table embedded and these files in place, 8.8.8.8 is this organisation's in this country, and so much is
/// said about files that are not used.
#[track_caller]
fn check_used(
    embedded: Option<&[u8]>,
    files: &Files,
    (organisation, country): (&str, &str),
    said: &[&str],
) -> Box<dyn Networks + Send + Sync> {
    let Loaded { networks, warnings } = super::super::load(embedded, Some(files.0.path()), &[]).unwrap();
    assert_eq!(warnings.len(), said.len(), "{warnings:?}");
    for (warning, said) in warnings.iter().zip(said) {
        assert!(warning.contains(said) && !warning.contains('\n'), "{warning}");
    }
    let network = networks.network_of("8.8.8.8".parse().unwrap()).unwrap_or_default();
    assert_eq!(network.organisation.as_deref().unwrap_or_default(), organisation);
    assert_eq!(network.country, Country::parse(country));
    networks
}

#[test]
fn a_newer_table_is_used_and_an_older_one_is_not() {
    let (files, embedded) = (Files::new(), table(SEPTEMBER, "Embedded"));
    check_used(Some(&embedded), &files, ("Embedded", "SG"), &[]);
    check_used(None, &files, ("", ""), &[]);
    let path = files.write(Slot::Networks.file_name(), &table(NEWER, "Updated"));
    assert_eq!(check_used(Some(&embedded), &files, ("Updated", "SG"), &[]).as_of(), "2026-10-01");
    check_used(None, &files, ("Updated", "SG"), &[]);
    let embedded = table(TableDate(NEWER.0 + 1), "Embedded");
    let said = format!("{}: it is of 2026-10-01, which is older than 2026-10-02;", path.display());
    check_used(Some(&embedded), &files, ("Embedded", "SG"), &[&said]);
}

#[test]
fn updated_mmdb_files_are_used_where_they_are_newer() {
    let (files, embedded) = (Files::new(), table(SEPTEMBER, "Embedded"));
    let asn = mmdb("DBIP-ASN-Lite", OCTOBER, &[("8.8.8.0/24", maxmind_asn(64496, "From a file"))]);
    let country = |seconds| mmdb("DBIP-Country-Lite", seconds, &[("8.8.8.0/24", maxmind_country("DE"))]);
    files.write(Slot::NetworksAsn.file_name(), &asn);
    let path = files.write(Slot::NetworksCountry.file_name(), &country(OCTOBER));
    let networks = check_used(Some(&embedded), &files, ("From a file", "DE"), &[]);
    assert_eq!(networks.as_of(), "2026-10-01");
    // What the files do not say of a system the table says.
    let network = networks.network_of("8.8.8.8".parse().unwrap()).unwrap();
    assert_eq!((network.registered, network.marks), (Country::parse("CN"), NetworkMarks::CLOUD));
    // A file that cannot be used leaves its question to the table.
    let old = country(OCTOBER - 86_400 * 90);
    let cut = country(OCTOBER);
    for (bytes, why) in [
        (&old[..], "is older than 2026-09-01; the table of 2026-09-01 answers in its place"),
        (b"nothing", "is not an MMDB file"),
        (&cut[..cut.len() / 2], "is not an MMDB file"),
        (&table(NEWER, "Updated"), "is not an MMDB file"),
    ] {
        files.write(Slot::NetworksCountry.file_name(), bytes);
        let said = format!("refuse the table of networks {}: ", path.display());
        check_used(Some(&embedded), &files, ("From a file", "SG"), &[&said]);
        check_used(Some(&embedded), &files, ("From a file", "SG"), &[why]);
    }
    // Systems where countries belong: what a file is about it says itself, whatever its name.
    files.write(Slot::NetworksCountry.file_name(), &asn);
    check_used(Some(&embedded), &files, ("From a file", "SG"), &[]);
    // A table that is newer than the files is asked instead of them.
    files.write(Slot::NetworksCountry.file_name(), &country(OCTOBER));
    files.write(Slot::Networks.file_name(), &table(TableDate(NEWER.0 + 1), "Updated"));
    let older = "which is older than 2026-10-02; the table of 2026-10-02 answers in its place";
    check_used(Some(&embedded), &files, ("Updated", "SG"), &[older, older]);
}
