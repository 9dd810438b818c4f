//! Whose a name is, and what for: the curated table, name → owner and purpose, with the rule and the source of each.
//!
//! A rule is a name that covers itself and everything below it; the longest wins. The table knows nothing of public
//! suffixes, so what a rule says of names that belong to a platform's customers is sorted out in
//! [`names`](super::names), which is what callers ask. Reads no file; `format` says what the bytes of a table mean.

mod format;
mod purpose;

pub use format::FORMAT_VERSION;
pub use purpose::Purpose;

use super::envelope::{TableDate, TableError};
use super::name_index::{NameIndex, NameIndexBuilder};
use super::suffixes::SuffixTable;
use crate::units::{Country, DomainName};
use std::collections::BTreeSet;

/// A chain of parents longer than this is a mistake; it also ends the walk along a circle.
const MAX_PARENTS: usize = 8;

/// An organisation that names belong to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Owner {
    /// Its key: `a`–`z`, `0`–`9` and `-`; empty for an owner that a user's list names.
    pub id: Box<str>,
    /// Its name, as printed.
    pub name: Box<str>,
    /// The country of its seat, if that is known.
    pub country: Option<Country>,
    /// The city of its seat, if that is known.
    pub seat: Option<Box<str>>,
    /// Place of the owning company in the list of owners.
    pub(crate) parent: Option<u16>,
    /// Place of what proves country and seat in the list of sources; `None`: general knowledge.
    pub(crate) source: Option<u16>,
}

/// What proves a rule, or where an owner's seat is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Source {
    /// What it is.
    pub title: Box<str>,
    /// Where it is: a URL, or a file of this machine.
    pub place: Box<str>,
    /// The day it was looked at, or that of the copy that was; `None`: nobody did, it is general knowledge.
    pub read: Option<TableDate>,
}

/// What a rule claims: one owner, one purpose, by one source.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Claim {
    pub(crate) owner: u16,
    pub(crate) purpose: Purpose,
    pub(crate) source: u16,
    pub(crate) purpose_source: Option<u16>,
    pub(crate) has_customers: bool,
}

/// May a company's suffix lie at or below a rule? As long as nobody has looked, it may.
const MAY_HOST: u8 = 1;
const HOSTS_NOBODY: u8 = 0;

/// What the longest rule says.
pub(crate) struct Longest<'t> {
    pub(crate) ownership: Ownership<'t>,
    /// Labels of the rule.
    pub(crate) labels: usize,
    /// May the name be a customer's?
    pub(crate) may_host: bool,
}

/// Whose a name is, and who says so.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ownership<'t> {
    /// The owner.
    pub owner: &'t Owner,
    /// What the name is for.
    pub purpose: Purpose,
    /// The rule that says so: the name itself, or one that it lies below.
    pub rule: &'t str,
    /// What proves that the name is the owner's.
    pub source: &'t Source,
    /// What proves the purpose; `None` where it is general knowledge, or not known.
    pub purpose_source: Option<&'t Source>,
    /// The user's list that says so; `None` for the curated table.
    pub list: Option<&'t str>,
    /// Are names below a rule that is a public suffix the customers'?
    pub(crate) has_customers: bool,
    pub(crate) owners: &'t [Owner],
    pub(crate) sources: &'t [Source],
}

impl<'t> Ownership<'t> {
    /// The company that owns the owner, the one that owns that, and so on.
    pub fn parents(&self) -> impl Iterator<Item = &'t Owner> + use<'t> {
        parents(self.owners, self.owner)
    }

    /// What proves country and seat of the owner; `None` where they are general knowledge. What a user's list says is
    /// proved by the list.
    #[must_use]
    pub fn owner_source(&self) -> Option<&'t Source> {
        if self.list.is_some() {
            return Some(self.source);
        }
        self.sources.get(usize::from(self.owner.source?))
    }
}

fn parents<'t>(owners: &'t [Owner], owner: &'t Owner) -> impl Iterator<Item = &'t Owner> + use<'t> {
    let above = move |owner: &'t Owner| owners.get(usize::from(owner.parent?));
    core::iter::successors(above(owner), move |owner| above(owner)).take(MAX_PARENTS)
}

/// What a table is made from. Places are places in these lists.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct OwnerParts {
    /// The newest day on which a source was read.
    pub as_of: TableDate,
    /// Every source.
    pub sources: Vec<Source>,
    /// Every owner with the places of its parent and of what proves its seat.
    pub owners: Vec<(Owner, Option<usize>, Option<usize>)>,
    /// Every rule.
    pub rules: Vec<RuleParts>,
}

/// A rule, as a table is made from it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RuleParts {
    /// Place of the owner.
    pub owner: usize,
    /// What the names are for.
    pub purpose: Purpose,
    /// Place of what proves whose the names are.
    pub source: usize,
    /// Place of what proves the purpose; `None`: general knowledge.
    pub purpose_source: Option<usize>,
    /// Of names that are public suffixes: are the names below them the customers'? Elsewhere without meaning.
    pub has_customers: bool,
    /// Names that cover themselves and all below.
    pub names: Vec<DomainName>,
}

/// A table ready to be asked.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct OwnerTable {
    as_of: TableDate,
    sources: Vec<Source>,
    owners: Vec<Owner>,
    claims: Vec<Claim>,
    /// Name → place of its claim, and whether customers may have names below it.
    names: NameIndex<3>,
}

impl Owner {
    /// An owner; where parent and source are found is told to the table.
    #[must_use]
    pub fn new(id: &str, name: &str, country: Option<Country>, seat: Option<&str>) -> Self {
        Self {
            id: id.into(),
            name: name.into(),
            country,
            seat: seat.map(Into::into),
            parent: None,
            source: None,
        }
    }
}

impl OwnerTable {
    /// A table from its parts.
    ///
    /// # Errors
    /// [`TableError::Malformed`] where a place points past its list, a name is given twice or parents run in a
    /// circle; [`TableError::TooLarge`] above 65 535 sources, owners or claims.
    pub fn new(parts: OwnerParts) -> Result<Self, TableError> {
        let OwnerParts { as_of, sources, owners, rules } = parts;
        let (source_count, owner_count) = (sources.len(), owners.len());
        let owners = owners
            .into_iter()
            .map(|(owner, parent, source)| {
                let parent = parent.map(|at| place(at, owner_count, "owner's parent")).transpose()?;
                let source = source.map(|at| place(at, source_count, "owner's source")).transpose()?;
                Ok(Owner { parent, source, ..owner })
            })
            .collect::<Result<Vec<_>, TableError>>()?;
        if let Some(owner) = owners.iter().find(|owner| parents(&owners, owner).count() == MAX_PARENTS) {
            return Err(TableError::Malformed {
                field: "owner's parent",
                found: owner.parent.map_or(0, u64::from),
            });
        }
        let mut claims: Vec<Claim> = Vec::with_capacity(rules.len());
        let mut names = NameIndexBuilder::<3>::default();
        for RuleParts { owner, purpose, source, purpose_source, has_customers, names: covered } in rules {
            let at = u16::try_from(claims.len()).map_err(|_| TableError::TooLarge)?;
            claims.push(Claim {
                owner: place(owner, owner_count, "rule's owner")?,
                purpose,
                source: place(source, source_count, "rule's source")?,
                purpose_source: purpose_source
                    .map(|at| place(at, source_count, "purpose's source"))
                    .transpose()?,
                has_customers,
            });
            for name in covered {
                let [low, high] = at.to_le_bytes();
                names.push(name.as_str(), [low, high, MAY_HOST]).ok_or(TableError::TooLarge)?;
            }
        }
        let given = names.len();
        let names = names.finish(|_, _| ());
        if names.len() != given {
            let found = (given - names.len()) as u64;
            return Err(TableError::Malformed { field: "names given twice", found });
        }
        Ok(Self { as_of, sources, owners, claims, names })
    }

    /// What the longest rule says of a name, whoever's customer it may be.
    pub(crate) fn longest_rule(&self, name: &str) -> Option<Longest<'_>> {
        let mut longest = None;
        self.names.walk(name, |found| longest = Some(found));
        let found = longest?;
        let [.., hosts] = found.value;
        let ownership = self.ownership(found.text(), found.value)?;
        Some(Longest { ownership, labels: found.labels, may_host: hosts == MAY_HOST })
    }

    /// Marks the rules that no suffix of a company's lies at or below: of their names no suffix needs to be looked up.
    pub(crate) fn learn_suffixes(&mut self, suffixes: &SuffixTable) {
        let mut hosting: BTreeSet<Vec<u8>> = BTreeSet::new();
        for suffix in suffixes.private_names() {
            self.names.walk(suffix, |found| {
                hosting.insert(found.text().as_bytes().to_vec());
            });
        }
        self.names.revalue(|name, [low, high, _]| {
            [low, high, if hosting.contains(name) { MAY_HOST } else { HOSTS_NOBODY }]
        });
    }

    fn ownership<'t>(&'t self, rule: &'t str, value: [u8; 3]) -> Option<Ownership<'t>> {
        let [low, high, _] = value;
        let claim = self.claims.get(usize::from(u16::from_le_bytes([low, high])))?;
        Some(Ownership {
            owner: self.owners.get(usize::from(claim.owner))?,
            purpose: claim.purpose,
            rule,
            source: self.sources.get(usize::from(claim.source))?,
            purpose_source: claim.purpose_source.and_then(|at| self.sources.get(usize::from(at))),
            list: None,
            has_customers: claim.has_customers,
            owners: &self.owners,
            sources: &self.sources,
        })
    }

    /// The newest day on which one of its sources was read.
    #[must_use]
    pub fn as_of(&self) -> TableDate {
        self.as_of
    }

    /// Every owner, in the table's order.
    pub fn owners(&self) -> impl Iterator<Item = &Owner> {
        self.owners.iter()
    }

    /// Every rule, ordered by its name.
    #[must_use]
    pub fn rules(&self) -> Vec<Ownership<'_>> {
        let mut rules: Vec<_> =
            self.names.iter().filter_map(|(name, value)| self.ownership(name, value)).collect();
        rules.sort_unstable_by_key(|ownership| ownership.rule);
        rules
    }

    /// How many names have a rule.
    #[must_use]
    pub fn rule_count(&self) -> usize {
        self.names.len()
    }

    /// How many sources it has.
    #[must_use]
    pub fn source_count(&self) -> usize {
        self.sources.len()
    }

    /// Roughly how many bytes of memory it takes.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let text = |text: &str| text.len();
        let sources: usize = self.sources.iter().map(|s| text(&s.title) + text(&s.place)).sum();
        let owners: usize =
            self.owners.iter().map(|o| text(&o.id) + text(&o.name) + o.seat.as_deref().map_or(0, text)).sum();
        sources
            + owners
            + self.sources.capacity() * size_of::<Source>()
            + self.owners.capacity() * size_of::<Owner>()
            + self.claims.capacity() * size_of::<Claim>()
            + self.names.memory_bytes()
    }
}

fn place(at: usize, len: usize, field: &'static str) -> Result<u16, TableError> {
    if at >= len {
        return Err(TableError::Malformed { field, found: at as u64 });
    }
    u16::try_from(at).map_err(|_| TableError::TooLarge)
}

#[cfg(test)]
mod tests;
