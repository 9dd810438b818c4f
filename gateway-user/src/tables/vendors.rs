//! The table of MAC prefixes: the one that is part of this program, or a newer one beside the database.

use super::update::slot::directory_of;
use super::{choice, embedded};
use anyhow::Context;
use gateway_core::enrich::envelope::TableKind;
use gateway_core::enrich::vendors::VendorTable;
use std::path::Path;

/// The table that is part of this program; `None` if it was built without.
///
/// # Errors
/// A damaged program file.
pub fn embedded() -> anyhow::Result<Option<VendorTable>> {
    embedded::packed(TableKind::Vendors)
        .map(|packed| VendorTable::open(packed).context("read the embedded table of MAC prefixes"))
        .transpose()
}

/// The table in force beside this database, and a line about each file that was refused.
///
/// # Errors
/// A damaged program file.
pub fn load(database: &Path) -> anyhow::Result<(Option<VendorTable>, Vec<String>)> {
    let (packed, updates) = (embedded::packed(TableKind::Vendors), directory_of(database));
    let mut warnings = Vec::new();
    let table =
        choice::in_force(TableKind::Vendors, packed, Some(&updates), VendorTable::open, &mut warnings)?;
    Ok((table, warnings))
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
        for (bytes, (packed, memory)) in
            [(embedded::packed(TableKind::Vendors).unwrap(), FULL), (small, SMALL)]
        {
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
}
