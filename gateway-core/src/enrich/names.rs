//! All that is known of a name: whose it is by the user's lists and by the curated table, under which suffix it was
//! registered, and which lists have it.
//!
//! This is what reports ask. It keeps one mistake from being made: a name below a suffix that a company gives to
//! its customers (`someone.github.io`) is not that company's, so nothing that a rule says of the company is said of it.

use super::envelope::TableDate;
use super::lists::{Listing, NameList};
use super::owners::{Longest, OwnerTable, Ownership};
use super::suffixes::{Suffix, SuffixTable};
use crate::units::DomainName;

/// Everything that says something of names. The default knows nothing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct NameTables {
    owners: OwnerTable,
    suffixes: SuffixTable,
    /// Those that win first.
    lists: Vec<NameList>,
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
    /// All that is known of names. Of the lists the first wins.
    #[must_use]
    pub fn new(mut owners: OwnerTable, suffixes: SuffixTable, lists: Vec<NameList>) -> Self {
        owners.learn_suffixes(&suffixes);
        Self { owners, suffixes, lists }
    }

    /// The curated table.
    #[must_use]
    pub fn owners(&self) -> &OwnerTable {
        &self.owners
    }

    /// The public suffixes.
    #[must_use]
    pub fn suffixes(&self) -> &SuffixTable {
        &self.suffixes
    }

    /// The user's lists, those that win first.
    #[must_use]
    pub fn lists(&self) -> &[NameList] {
        &self.lists
    }

    /// Whose a name is. A user's list that names an owner wins over the curated table, the first list over the next.
    #[must_use]
    pub fn standing_of<'t, 'n>(&'t self, name: &'n DomainName) -> Standing<'t, 'n> {
        match self.owned_or_hosted(name) {
            Some(Ok(ownership)) => Standing::Owned(ownership),
            Some(Err(hosting)) => Standing::Hosted(hosting),
            None => match self.suffixes.private_suffix_above(name) {
                Some(suffix) => Standing::Hosted(Hosting { suffix, platform: None }),
                None => Standing::Unknown,
            },
        }
    }

    /// What lists and rules say; `None` where they say nothing.
    fn owned_or_hosted<'t, 'n>(
        &'t self,
        name: &'n DomainName,
    ) -> Option<Result<Ownership<'t>, Hosting<'t, 'n>>> {
        if let Some(given) = self.lists.iter().find_map(|list| list.ownership_of(name.as_str())) {
            return Some(Ok(given));
        }
        let Longest { ownership, labels, may_host } = self.owners.longest_rule(name.as_str())?;
        // A rule for the very name is about it.
        if !may_host || ownership.rule.len() == name.as_str().len() {
            return Some(Ok(ownership));
        }
        Some(match self.suffixes.private_suffix_above(name) {
            Some(suffix) if !is_about_owner(&ownership, labels, suffix.split('.').count()) => {
                Err(Hosting { suffix, platform: Some(ownership) })
            }
            _ => Ok(ownership),
        })
    }

    /// Whose a name is; `None` where that is not known, hosted names included.
    #[must_use]
    pub fn ownership_of(&self, name: &DomainName) -> Option<Ownership<'_>> {
        self.owned_or_hosted(name)?.ok()
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
