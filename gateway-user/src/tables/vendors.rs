//! The table of MAC prefixes: the one that is part of this program, or a newer one beside the database.

use anyhow::Context;
use gateway_core::enrich::envelope::MAX_BODY_LEN;
use gateway_core::enrich::vendors::VendorTable;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

/// Made by `cargo xtask vendors`; see NOTICE for its source.
#[cfg(feature = "tables-full")]
static EMBEDDED: Option<&[u8]> = Some(include_bytes!("../../data/vendors.bin.zst"));
#[cfg(all(feature = "tables-small", not(feature = "tables-full")))]
static EMBEDDED: Option<&[u8]> = Some(include_bytes!("../../data/vendors-small.bin.zst"));
#[cfg(not(any(feature = "tables-full", feature = "tables-small")))]
static EMBEDDED: Option<&[u8]> = None;

/// The file that a fetched table has, in the directory `tables` beside the database.
pub const FILE: &str = "vendors.bin.zst";

/// The table that is part of this program; `None` if it was built without.
///
/// # Errors
/// A damaged program file.
pub fn embedded() -> anyhow::Result<Option<VendorTable>> {
    EMBEDDED
        .map(|bytes| VendorTable::open(bytes).context("read the embedded table of MAC prefixes"))
        .transpose()
}

/// The newer of the embedded table and the one beside the database, if there is one; and why that one was refused, if
/// it was.
///
/// # Errors
/// A damaged program file.
pub fn load(database: &Path) -> anyhow::Result<(Option<VendorTable>, Option<anyhow::Error>)> {
    let embedded = embedded()?;
    let path = beside(database);
    match read(&path) {
        Ok(None) => Ok((embedded, None)),
        Ok(Some(found)) => {
            let is_older = embedded.as_ref().is_some_and(|embedded| embedded.as_of() > found.as_of());
            Ok((if is_older { embedded } else { Some(found) }, None))
        }
        Err(error) => Ok((embedded, Some(error.context(format!("read the table {}", path.display()))))),
    }
}

fn beside(database: &Path) -> PathBuf {
    database.parent().unwrap_or(Path::new("")).join("tables").join(FILE)
}

fn read(path: &Path) -> anyhow::Result<Option<VendorTable>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut bytes = Vec::new();
    // No table's file is longer than its body may be.
    file.take(u64::from(MAX_BODY_LEN)).read_to_end(&mut bytes)?;
    Ok(Some(VendorTable::open(&bytes)?))
}

#[cfg(all(test, feature = "tables-full"))]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic on purpose")]
    use super::*;
    use gateway_core::enrich::vendors::Vendor;

    /// What both tables may take: of the program, and of memory.
    const FULL: (usize, usize) = (420_000, 900_000);
    const SMALL: (usize, usize) = (60_000, 200_000);

    #[test]
    fn both_tables_are_sound_and_within_their_bounds() {
        let small: &[u8] = include_bytes!("../../data/vendors-small.bin.zst");
        for (bytes, (packed, memory)) in [(EMBEDDED.unwrap(), FULL), (small, SMALL)] {
            let table = VendorTable::open(bytes).unwrap();
            assert!(
                bytes.len() <= packed && table.memory_bytes() <= memory,
                "{} {}",
                bytes.len(),
                table.memory_bytes()
            );
            for (mac, starts) in [("7c:03:ab:12:34:56", "Xiaomi"), ("00:1b:21:0a:0b:0c", "Intel")] {
                let name = table.vendor_of(mac.parse().unwrap()).name().unwrap();
                assert!(name.starts_with(starts), "{mac} {name}");
            }
            assert_eq!(table.vendor_of("da:a1:19:01:02:03".parse().unwrap()), Vendor::Randomised);
            // A block that the registry has given away in parts.
            assert_eq!(table.vendor_of("00:1b:c5:ff:ff:ff".parse().unwrap()), Vendor::Unknown);
        }
    }

    #[test]
    fn a_damaged_table_is_refused_in_one_line_and_the_embedded_one_stays() {
        let directory = tempfile::tempdir().unwrap();
        let database = directory.path().join("telltale.db");
        let date = |database| load(database).unwrap().0.unwrap().as_of();
        let known = date(&database);
        std::fs::create_dir(directory.path().join("tables")).unwrap();
        let path = beside(&database);
        let mut damaged = EMBEDDED.unwrap().to_vec();
        damaged[1000] ^= 1;
        for bad in
            [&damaged[..], &EMBEDDED.unwrap()[..9_000], b"", include_bytes!("../../data/networks.bin.zst")]
        {
            std::fs::write(&path, bad).unwrap();
            let (table, complaint) = load(&database).unwrap();
            let complaint = format!("{:#}", complaint.unwrap());
            assert!(complaint.contains("vendors.bin.zst") && !complaint.contains('\n'), "{complaint}");
            assert_eq!(table.unwrap().as_of(), known);
        }
    }
}
