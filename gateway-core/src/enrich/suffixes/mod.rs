//! Public suffixes: under which endings names are registered by people who have nothing to do with each other.
//!
//! `co.uk` is one by the registry's will (the list's ICANN section), `github.io` by that of a company which gives the
//! names below it to its customers (the private section). What is registered is the suffix and one label more. The
//! algorithm is that of <https://publicsuffix.org/list/>: exceptions first, then the rule with most labels, and
//! without a rule the last label. Reads no file; `format` says what the bytes of a table mean.

mod format;

pub use format::FORMAT_VERSION;

use super::envelope::{TableDate, TableError};
use super::name_index::{NameIndex, NameIndexBuilder};
use crate::units::DomainName;

/// Who made a suffix one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Section {
    /// A registry.
    Icann,
    /// A company, for its customers.
    Private,
}

/// What a rule says of the name it is written with.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum RuleKind {
    /// `name`: it is a suffix.
    Exact,
    /// `*.name`: whatever is one label longer is a suffix.
    Wildcard,
    /// `!name`: it is none, whatever the wildcard above it says.
    Exception,
}

/// One rule of the list.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SuffixRule {
    /// The name, without the mark of its kind.
    pub name: DomainName,
    /// What is said of it.
    pub kind: RuleKind,
    /// By whom.
    pub section: Section,
}

impl SuffixRule {
    /// The bit of the rule's kind and section.
    fn bit(kind: RuleKind, section: Section) -> u8 {
        let bit = match kind {
            RuleKind::Exact => 1,
            RuleKind::Wildcard => 2,
            RuleKind::Exception => 4,
        };
        match section {
            Section::Icann => bit,
            Section::Private => bit << 3,
        }
    }
}

/// Every bit that a rule may have.
const ALL_BITS: u8 = 0b11_1111;
/// Those of the private section.
const PRIVATE_BITS: u8 = 0b11_1000;

/// The public suffix of a name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Suffix<'n> {
    /// The suffix.
    pub text: &'n str,
    /// Who made it one; `None` where no rule speaks of the name and its last label is taken for one.
    pub section: Option<Section>,
    /// The suffix and one label more: what was registered. `None` where the name is itself a suffix.
    pub registrable: Option<&'n str>,
}

/// A table ready to be asked.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SuffixTable {
    rules: NameIndex<1>,
    source: String,
    as_of: TableDate,
}

impl SuffixTable {
    /// A table of these rules.
    ///
    /// # Errors
    /// [`TableError::TooLarge`]: more than 4 GiB of names.
    pub fn new(source: &str, as_of: TableDate, rules: &[SuffixRule]) -> Result<Self, TableError> {
        let mut names = NameIndexBuilder::<1>::default();
        for SuffixRule { name, kind, section } in rules {
            names.push(name.as_str(), [SuffixRule::bit(*kind, *section)]).ok_or(TableError::TooLarge)?;
        }
        Ok(Self { rules: names.finish(join), source: source.to_owned(), as_of })
    }

    /// The registrable domain: the public suffix, the private section included, and one label more. `None` where the
    /// name is itself a suffix.
    #[must_use]
    pub fn registrable<'n>(&self, name: &'n DomainName) -> Option<&'n str> {
        self.suffix_of(name).registrable
    }

    /// The public suffix of a name. Without a table, and for names under no rule, that is the last label.
    #[must_use]
    pub fn suffix_of<'n>(&self, name: &'n DomainName) -> Suffix<'n> {
        let name = name.as_str();
        let (mut longest, mut section, mut is_excepted) = (1, None, false);
        self.rules.walk(name, |rule| {
            let [bits] = rule.value;
            for by in [Section::Icann, Section::Private] {
                let has = |kind| bits & SuffixRule::bit(kind, by) != 0;
                if is_excepted {
                    return;
                }
                if has(RuleKind::Exception) {
                    (longest, section, is_excepted) = (rule.labels - 1, Some(by), true);
                }
                // Of two rules for one ending the registry's is the older: it stays.
                if has(RuleKind::Exact) && (rule.labels > longest || section.is_none()) {
                    (longest, section) = (rule.labels, Some(by));
                }
                if has(RuleKind::Wildcard) && rule.len() < name.len() && rule.labels + 1 > longest {
                    (longest, section) = (rule.labels + 1, Some(by));
                }
            }
        });
        let (text, registrable) = endings(name, longest);
        Suffix { text, section, registrable }
    }

    /// The suffix that a company made one and the name lies below; `None` for a name of the suffix itself, and where
    /// the registry's suffix is the longest.
    #[must_use]
    pub fn private_suffix_above<'n>(&self, name: &'n DomainName) -> Option<&'n str> {
        let Suffix { text, section, registrable } = self.suffix_of(name);
        (section == Some(Section::Private) && registrable.is_some()).then_some(text)
    }

    /// The day of the list.
    #[must_use]
    pub fn as_of(&self) -> TableDate {
        self.as_of
    }

    /// Which list it is, with its licence, for print.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Every rule, ordered by name.
    #[must_use]
    pub fn rules(&self) -> Vec<SuffixRule> {
        const KINDS: [RuleKind; 3] = [RuleKind::Exact, RuleKind::Wildcard, RuleKind::Exception];
        let mut rules = Vec::new();
        for (name, [bits]) in self.rules.iter() {
            for section in [Section::Icann, Section::Private] {
                for kind in KINDS.into_iter().filter(|kind| bits & SuffixRule::bit(*kind, section) != 0) {
                    rules.extend(DomainName::parse(name).map(|name| SuffixRule { name, kind, section }));
                }
            }
        }
        rules.sort();
        rules
    }

    /// Names that the private section has a rule for.
    pub(crate) fn private_names(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().filter(|(_, [bits])| bits & PRIVATE_BITS != 0).map(|(name, _)| name)
    }

    /// How many names have a rule.
    #[must_use]
    pub fn rule_count(&self) -> usize {
        self.rules.len()
    }

    /// Bytes of memory it takes.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.rules.memory_bytes() + self.source.capacity()
    }
}

/// A name may have several rules: `*.ck` and `ck`, say.
fn join(first: &mut [u8; 1], later: [u8; 1]) {
    for (bits, more) in first.iter_mut().zip(later) {
        *bits |= more;
    }
}

/// The last so many labels of a name, and one more; `None` where it has no more.
fn endings(name: &str, labels: usize) -> (&str, Option<&str>) {
    let mut dots = name.bytes().enumerate().rev().filter(|&(_, byte)| byte == b'.').map(|(at, _)| at + 1);
    let Some(start) = dots.nth(labels.saturating_sub(1)) else { return (name, None) };
    let more = dots.next().unwrap_or(0);
    (name.get(start..).unwrap_or(name), name.get(more..))
}

#[cfg(test)]
mod tests;
