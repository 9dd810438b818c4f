//! Every kind of table, and everything that can be wrong with a file of it.
#![allow(clippy::unwrap_used, reason = "tests panic on purpose")]

use super::*;
use gateway_core::enrich::envelope;
use gateway_core::enrich::owners::OwnerTable;
use gateway_core::enrich::suffixes::SuffixTable;
use gateway_core::enrich::table::NetworkTable;
use gateway_core::enrich::vendors::VendorTable;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

/// A real table of each kind, the small one where there are two.
fn file_of(kind: TableKind) -> &'static [u8] {
    match kind {
        TableKind::Networks => include_bytes!("../../../data/networks-small.bin.zst"),
        TableKind::Owners => include_bytes!("../../../data/owners.bin.zst"),
        TableKind::Vendors => include_bytes!("../../../data/vendors-small.bin.zst"),
        TableKind::Suffixes => include_bytes!("../../../data/suffixes.bin.zst"),
    }
}

/// Opens a table as the program does, and tells its date.
fn opened(kind: TableKind, packed: &[u8]) -> Result<TableDate, TableError> {
    match kind {
        TableKind::Networks => NetworkTable::unpack(packed).map(|table| table.date()),
        TableKind::Owners => OwnerTable::open(packed).map(|table| table.as_of()),
        TableKind::Vendors => VendorTable::open(packed).map(|table| table.as_of()),
        TableKind::Suffixes => SuffixTable::open(packed).map(|table| table.as_of()),
    }
}

fn packed(kind: TableKind, version: u16, date: TableDate, body: &[u8]) -> Vec<u8> {
    compress_to_vec(&*envelope::seal(kind, version, date, body).unwrap(), CompressionLevel::Fastest)
}

/// The table of this kind with another date, so many days from its own.
fn dated(kind: TableKind, days: i32) -> Vec<u8> {
    let table = envelope::open(file_of(kind), kind).unwrap();
    packed(kind, table.version, TableDate(table.date.0.checked_add_signed(days).unwrap()), &table.body)
}

struct Case {
    kind: TableKind,
    updates: tempfile::TempDir,
}

impl Case {
    fn new(kind: TableKind) -> Self {
        Self { kind, updates: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> std::path::PathBuf {
        Slot::of_kind(self.kind).path(self.updates.path())
    }

    /// The date of the table in force, in days from the embedded one's, and what is said.
    fn in_force(&self) -> (i64, Vec<String>) {
        let mut warnings = Vec::new();
        let open = |packed: &[u8]| opened(self.kind, packed);
        let embedded = Some(file_of(self.kind));
        let date = in_force(self.kind, embedded, Some(self.updates.path()), open, &mut warnings).unwrap();
        let own = date_of(file_of(self.kind), self.kind).unwrap();
        (i64::from(date.unwrap().0) - i64::from(own.0), warnings)
    }

    /// The embedded table stays in use, and exactly one line names the file, what is wrong and what to do.
    #[track_caller]
    fn check_refused(&self, file: &[u8], expected: &str) {
        std::fs::write(self.path(), file).unwrap();
        let (days, warnings) = self.in_force();
        let [warning] = &warnings[..] else { panic!("{}: {warnings:?}", self.kind) };
        let begin = format!("refuse the table of {} {}: ", self.kind, self.path().display());
        let end = format!("or replace it with `telltale update --table {}`)", word(self.kind));
        assert!(warning.starts_with(&begin) && warning.ends_with(&end), "{warning}");
        assert!(
            warning.contains(expected) && warning.contains("; the one in this program, of "),
            "{warning}"
        );
        assert!(!warning.contains('\n'), "{warning}");
        assert_eq!(days, 0, "{warning}");
    }
}

#[test]
fn a_table_that_is_not_older_is_used() {
    for kind in TableKind::ALL {
        let case = Case::new(kind);
        assert_eq!(case.in_force(), (0, vec![]), "{kind}: no file");
        std::fs::write(case.path(), dated(kind, 0)).unwrap();
        assert_eq!(case.in_force(), (0, vec![]), "{kind}: of the same day");
        std::fs::write(case.path(), dated(kind, 1)).unwrap();
        assert_eq!(case.in_force(), (1, vec![]), "{kind}: newer");
    }
}

#[test]
fn what_is_wrong_with_a_file_is_one_line_and_the_embedded_table_stays() {
    for (kind, other) in TableKind::ALL.into_iter().zip(TableKind::ALL.into_iter().cycle().skip(1)) {
        let case = Case::new(kind);
        let good = dated(kind, 1);
        case.check_refused(&dated(kind, -1), "which is older than");
        case.check_refused(&good[..good.len() / 2], "damaged or cut short");
        case.check_refused(&good[..good.len() - 1], "cut short");
        let mut damaged = good.clone();
        let middle = damaged.len() / 2;
        damaged[middle] ^= 0x20;
        case.check_refused(&damaged, "damaged");
        case.check_refused(b"", "not a table of Telltale's");
        case.check_refused(b"<html>not found</html>", "not a table of Telltale's");
        let kinds = format!("a table of {other}, where one of {kind} belongs");
        case.check_refused(file_of(other), &kinds);
        let envelope = envelope::open(file_of(kind), kind).unwrap();
        let later = TableDate(envelope.date.0 + 1);
        case.check_refused(&packed(kind, 99, later, &envelope.body), "format 99");
        case.check_refused(&packed(kind, envelope.version, later, &[0xff; 100]), "the table ");
        std::fs::File::create(case.path()).unwrap().set_len(MAX_FILE_LEN + 1).unwrap();
        let (days, warnings) = case.in_force();
        assert!(days == 0 && warnings.len() == 1 && warnings[0].contains("longer than"), "{warnings:?}");
        std::fs::remove_file(case.path()).unwrap();
        std::fs::create_dir(case.path()).unwrap();
        let (days, warnings) = case.in_force();
        assert!(days == 0 && warnings.len() == 1 && warnings[0].contains("directory"), "{warnings:?}");
    }
}

#[test]
fn the_last_good_table_is_the_one_before_the_damaged_one() {
    for kind in TableKind::ALL {
        let case = Case::new(kind);
        let previous = Slot::of_kind(kind).previous(case.updates.path());
        std::fs::write(case.path(), b"").unwrap();
        std::fs::write(&previous, dated(kind, 1)).unwrap();
        let (days, warnings) = case.in_force();
        assert!(days == 1 && warnings.len() == 1, "{warnings:?}");
        assert!(warnings[0].contains("; the one before it, of "), "{warnings:?}");
        std::fs::write(&previous, dated(kind, -1)).unwrap();
        case.check_refused(b"", "not a table of Telltale's");
    }
}

#[test]
fn a_program_without_tables_has_what_an_update_brought() {
    for kind in TableKind::ALL {
        let case = Case::new(kind);
        let ask = |warnings: &mut Vec<String>| {
            let open = |packed: &[u8]| opened(kind, packed);
            in_force(kind, None, Some(case.updates.path()), open, warnings).unwrap()
        };
        let mut warnings = Vec::new();
        assert_eq!((ask(&mut warnings), warnings.len()), (None, 0), "{kind}");
        std::fs::write(case.path(), b"<html>").unwrap();
        assert_eq!(ask(&mut warnings), None, "{kind}");
        assert!(warnings.len() == 1 && warnings[0].contains("; there is no other ("), "{warnings:?}");
        std::fs::write(case.path(), file_of(kind)).unwrap();
        assert!(ask(&mut warnings).is_some() && warnings.len() == 1, "{kind}: {warnings:?}");
    }
}

#[test]
fn a_damaged_program_file_is_an_error() {
    for kind in TableKind::ALL {
        let open = |packed: &[u8]| opened(kind, packed);
        let error = in_force(kind, Some(b"nothing"), None, open, &mut Vec::new()).unwrap_err();
        assert!(format!("{error:#}").starts_with(&format!("read the embedded table of {kind}: ")), "{error}");
    }
}
