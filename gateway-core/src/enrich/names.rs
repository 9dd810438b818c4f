//! All that is known of a name: whose it is by the user's lists and by the curated table, under which suffix it was
//! registered, and which lists have it.
//!
//! This is what reports ask. It keeps one mistake from being made: a name below a suffix that a company gives to
//! its customers (`someone.github.io`) is not that company's, so nothing that a rule says of the company is said of it.

use super::envelope::TableDate;
use super::lists::{Listing, NameList};
use super::owners::{OwnerTable, Ownership};
use super::suffixes::{Suffix, SuffixTable};
use crate::units::DomainName;

/// Everything that says something of names. The default knows nothing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct NameTables {
    /// The curated table.
    pub owners: OwnerTable,
    /// The public suffixes.
    pub suffixes: SuffixTable,
    /// The user's lists, those that win first.
    pub lists: Vec<NameList>,
}

/// How much is known of whose a name is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing<'t, 'n> {
    /// It is somebody's.
    Owned(Ownership<'t>),
    /// It is a customer's of a platform: whose is not known.
    Hosted(Hosting<'t, 'n>),
    /// Nothing is known.
    Unknown,
}

/// Where a name of unknown owner is hosted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hosting<'t, 'n> {
    /// The suffix that the platform gives to its customers, `github.io` say.
    pub suffix: &'n str,
    /// What the curated table says of that suffix: whose platform it is.
    pub platform: Option<Ownership<'t>>,
}

impl NameTables {
    /// Whose a name is. A user's list that names an owner wins over the curated table, the first list over the next.
    #[must_use]
    pub fn standing_of<'t, 'n>(&'t self, name: &'n DomainName) -> Standing<'t, 'n> {
        if let Some(given) = self.lists.iter().find_map(|list| list.ownership_of(name.as_str())) {
            return Standing::Owned(given);
        }
        let rule = self.owners.longest_rule(name.as_str());
        // A rule for the very name, or for all of a customer's names, is about the customer.
        if let Some((ownership, _)) = rule
            && ownership.rule.len() == name.as_str().len()
        {
            return Standing::Owned(ownership);
        }
        let hosted = self.suffixes.private_suffix_above(name);
        match (rule, hosted) {
            (Some((ownership, labels)), Some(suffix))
                if is_about_owner(&ownership, labels, suffix.split('.').count()) =>
            {
                Standing::Owned(ownership)
            }
            (rule, Some(suffix)) => {
                Standing::Hosted(Hosting { suffix, platform: rule.map(|(platform, _)| platform) })
            }
            (Some((ownership, _)), None) => Standing::Owned(ownership),
            (None, None) => Standing::Unknown,
        }
    }

    /// Whose a name is; `None` where that is not known, hosted names included.
    #[must_use]
    pub fn ownership_of(&self, name: &DomainName) -> Option<Ownership<'_>> {
        match self.standing_of(name) {
            Standing::Owned(ownership) => Some(ownership),
            Standing::Hosted(_) | Standing::Unknown => None,
        }
    }

    /// Which lists have a name, in their order.
    #[must_use]
    pub fn listings_of(&self, name: &DomainName) -> Vec<Listing<'_>> {
        self.lists.iter().filter_map(|list| list.listing_of(name)).collect()
    }

    /// The registrable domain, the private section understood; `None` for a name that is itself a suffix.
    #[must_use]
    pub fn registrable<'n>(&self, name: &'n DomainName) -> Option<&'n str> {
        self.suffixes.registrable(name)
    }

    /// The public suffix of a name.
    #[must_use]
    pub fn suffix_of<'n>(&self, name: &'n DomainName) -> Suffix<'n> {
        self.suffixes.suffix_of(name)
    }

    /// The day of the curated table; `None` where there is none.
    #[must_use]
    pub fn as_of(&self) -> Option<TableDate> {
        (self.owners.rule_count() > 0).then(|| self.owners.as_of())
    }

    /// Roughly how many bytes of memory all of it takes.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let lists: usize = self.lists.iter().map(NameList::memory_bytes).sum();
        self.owners.memory_bytes() + self.suffixes.memory_bytes() + lists
    }
}

/// Is a rule about the owner of a name below a company's suffix? If it is longer than the suffix; if it is the suffix,
/// where a source says that nobody else has names there.
fn is_about_owner(ownership: &Ownership<'_>, rule_labels: usize, suffix_labels: usize) -> bool {
    rule_labels > suffix_labels || (rule_labels == suffix_labels && !ownership.has_customers)
}

#[cfg(test)]
mod tests;
