//! The tables that are part of this program: which ones is for the features `tables-full` and `tables-small` to say,
//! and for them alone. NOTICE has the sources and licences.

use gateway_core::enrich::envelope::{TableDate, TableKind, date_of};

/// A table as it lies in the program, packed; `None` in a program built without tables.
///
/// `cargo xtask geo`, `vendors`, `owners` and `suffixes` make them. Networks and makers come whole, or as what fits a
/// router; owners and suffixes are the same in both.
#[cfg(any(feature = "tables-full", feature = "tables-small"))]
#[must_use]
pub fn packed(kind: TableKind) -> Option<&'static [u8]> {
    Some(match kind {
        #[cfg(feature = "tables-full")]
        TableKind::Networks => include_bytes!("../../data/networks-full.bin.zst"),
        #[cfg(not(feature = "tables-full"))]
        TableKind::Networks => include_bytes!("../../data/networks-small.bin.zst"),
        #[cfg(feature = "tables-full")]
        TableKind::Vendors => include_bytes!("../../data/vendors.bin.zst"),
        #[cfg(not(feature = "tables-full"))]
        TableKind::Vendors => include_bytes!("../../data/vendors-small.bin.zst"),
        TableKind::Owners => include_bytes!("../../data/owners.bin.zst"),
        TableKind::Suffixes => include_bytes!("../../data/suffixes.bin.zst"),
    })
}

/// A table as it lies in the program, packed: this program was built without.
#[cfg(not(any(feature = "tables-full", feature = "tables-small")))]
#[must_use]
pub fn packed(_kind: TableKind) -> Option<&'static [u8]> {
    None
}

/// The date of a table of this program; `None` where there is none.
#[must_use]
pub fn date(kind: TableKind) -> Option<TableDate> {
    date_of(packed(kind)?, kind).ok()
}
