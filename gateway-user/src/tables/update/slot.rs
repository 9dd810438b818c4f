//! The names of updated tables in their directory, beside the database.

use gateway_core::enrich::envelope::TableKind;
use std::path::{Path, PathBuf};

/// A file that an update may put in place.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Slot {
    /// A network table of our own form.
    Networks,
    /// An MMDB file with systems only.
    NetworksAsn,
    /// An MMDB file with countries only.
    NetworksCountry,
    /// An MMDB file with both.
    NetworksBoth,
    /// The owners of names.
    Owners,
    /// The makers of devices.
    Vendors,
    /// The public suffixes.
    Suffixes,
}

impl Slot {
    /// Every slot.
    pub const ALL: [Self; 7] = [
        Self::Networks,
        Self::NetworksAsn,
        Self::NetworksCountry,
        Self::NetworksBoth,
        Self::Owners,
        Self::Vendors,
        Self::Suffixes,
    ];

    /// The slot for a table of our own form.
    #[must_use]
    pub fn of_kind(kind: TableKind) -> Self {
        match kind {
            TableKind::Networks => Self::Networks,
            TableKind::Owners => Self::Owners,
            TableKind::Vendors => Self::Vendors,
            TableKind::Suffixes => Self::Suffixes,
        }
    }

    /// What the file is about.
    #[must_use]
    pub fn kind(self) -> TableKind {
        match self {
            Self::Networks | Self::NetworksAsn | Self::NetworksCountry | Self::NetworksBoth => {
                TableKind::Networks
            }
            Self::Owners => TableKind::Owners,
            Self::Vendors => TableKind::Vendors,
            Self::Suffixes => TableKind::Suffixes,
        }
    }

    /// Is it MMDB, and not our own form?
    #[must_use]
    pub fn is_mmdb(self) -> bool {
        matches!(self, Self::NetworksAsn | Self::NetworksCountry | Self::NetworksBoth)
    }

    /// Its name in the directory.
    #[must_use]
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Networks => "networks.bin.zst",
            Self::NetworksAsn => "networks-asn.mmdb",
            Self::NetworksCountry => "networks-country.mmdb",
            Self::NetworksBoth => "networks.mmdb",
            Self::Owners => "owners.bin.zst",
            Self::Vendors => "vendors.bin.zst",
            Self::Suffixes => "suffixes.bin.zst",
        }
    }

    /// Its path.
    #[must_use]
    pub fn path(self, directory: &Path) -> PathBuf {
        directory.join(self.file_name())
    }

    /// The path of the one before it.
    #[must_use]
    pub fn previous(self, directory: &Path) -> PathBuf {
        directory.join(format!("{}.previous", self.file_name()))
    }

    /// The slots that answer the same questions, itself among them.
    pub(super) fn rivals(self) -> impl Iterator<Item = Self> {
        let is_rival = move |other: &Self| match self {
            Self::NetworksAsn => *other != Self::NetworksCountry,
            Self::NetworksCountry => *other != Self::NetworksAsn,
            _ => true,
        };
        Self::ALL.into_iter().filter(move |other| other.kind() == self.kind() && is_rival(other))
    }

    /// The slots whose files go when one comes here: it answers all that they do.
    pub(super) fn displaces(self) -> impl Iterator<Item = Self> {
        self.rivals().filter(move |other| match self {
            // A file of one half leaves the other half to those that have it.
            Self::NetworksAsn | Self::NetworksCountry => false,
            _ => *other != self,
        })
    }
}

/// The word for a kind of table in commands and configuration.
#[must_use]
pub fn word(kind: TableKind) -> &'static str {
    match kind {
        TableKind::Networks => "networks",
        TableKind::Owners => "owners",
        TableKind::Vendors => "vendors",
        TableKind::Suffixes => "suffixes",
    }
}

/// Where updated tables lie: `tables` beside the database.
#[must_use]
pub fn directory_of(database: &Path) -> PathBuf {
    database.parent().unwrap_or(Path::new("")).join("tables")
}

/// The MMDB files that updates have put in place, systems before countries.
#[must_use]
pub fn mmdb_files(directory: &Path) -> Vec<PathBuf> {
    let slots = Slot::ALL.into_iter().filter(|slot| slot.is_mmdb());
    slots.map(|slot| slot.path(directory)).filter(|path| path.exists()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn updates_lie_beside_the_database() {
        let directory = directory_of(Path::new("/var/lib/telltale/telltale.db"));
        assert_eq!(directory, Path::new("/var/lib/telltale/tables"));
        assert_eq!(directory_of(Path::new("t.db")), Path::new("tables"));
    }

    #[test]
    fn half_a_table_displaces_nothing() {
        let of = |slots: &mut dyn Iterator<Item = Slot>| slots.collect::<Vec<_>>();
        use Slot::{Networks, NetworksAsn, NetworksBoth, NetworksCountry, Owners};
        assert_eq!(of(&mut NetworksAsn.rivals()), [Networks, NetworksAsn, NetworksBoth]);
        assert_eq!(of(&mut NetworksCountry.displaces()), []);
        assert_eq!(of(&mut Networks.displaces()), [NetworksAsn, NetworksCountry, NetworksBoth]);
        assert_eq!(of(&mut NetworksBoth.displaces()), [Networks, NetworksAsn, NetworksCountry]);
        assert_eq!((of(&mut Owners.rivals()), of(&mut Owners.displaces())), (vec![Owners], vec![]));
    }
}
