//! Lists that the user brings: names that somebody else has something to say about, and in JSON whose they are.
//!
//! A list is read as what it is: lines that cannot be understood are counted, and the rest stands. Names keep to
//! what the form means: in `hosts` and plain lists a name is itself and nothing below it, in adblock and JSON it is
//! itself and all below. Reads no file; `text` and `json` say what the bytes of a list mean.

mod json;
mod text;

use super::envelope::TableDate;
use super::name_index::{NameIndex, NameIndexBuilder};
use super::owners::{Owner, Ownership, Purpose, Source};
use crate::units::{Country, DomainName};
use std::collections::BTreeMap;

/// Names of all lists together: about 13 MB. What comes after is dropped, and counted.
pub const MAX_LIST_NAMES: usize = 500_000;

/// The longest list that is read, in bytes: half a million names as adblock rules take a third of it.
pub const MAX_LIST_LEN: usize = 48 << 20;

/// The form a list is written in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum ListFormat {
    /// Whichever of the others most of its first lines fit.
    #[default]
    Auto,
    /// Lines of a hosts file: `0.0.0.0 name`.
    Hosts,
    /// A name a line; `*.name` covers all below it as well.
    Domains,
    /// Adblock rules, of which only `||name^` is taken.
    Adblock,
    /// Telltale's own form, or AdGuard's `trackers.json`.
    Json,
}

/// What a list is called, and how it is to be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListHead {
    /// Its name, as printed.
    pub name: String,
    /// Where it is, as printed.
    pub place: String,
    /// The day it is of.
    pub date: TableDate,
    /// Its form.
    pub format: ListFormat,
}

/// What became of a list's lines, or of a JSON list's objects.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ListCounts {
    /// Rules that say nothing of a whole name (adblock's cosmetic rules, options and exceptions), and names of
    /// this machine itself (`localhost`).
    pub ignored: usize,
    /// Those that could not be understood.
    pub bad: usize,
    /// The first of those, counted from 1.
    pub first_bad: Option<usize>,
    /// Names above [`MAX_LIST_NAMES`].
    pub dropped: usize,
}

/// Why a list was refused.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ListError {
    /// Larger than [`MAX_LIST_LEN`].
    #[error("it is larger than {MAX_LIST_LEN} bytes")]
    TooLarge,
    /// Not one line could be understood.
    #[error("none of its {lines} lines is a name in the form of {form}; say which `format` it has")]
    NoName {
        /// How many lines have something in them.
        lines: usize,
        /// The form it was read in.
        form: &'static str,
    },
    /// Not JSON, or not of a form that is read.
    #[error("it is no list in JSON: line {line}, column {column}")]
    Json {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
}

impl ListFormat {
    /// Its word in the configuration.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Hosts => "hosts",
            Self::Domains => "domains",
            Self::Adblock => "adblock",
            Self::Json => "json",
        }
    }
}

/// The rule stands for its name alone, or for all below it as well.
const NAME_ITSELF: u8 = 1;
const ALL_BELOW: u8 = 2;

/// What a JSON list adds to a name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
struct Detail {
    owner: Option<u16>,
    purpose: Option<Purpose>,
    note: Option<Box<str>>,
}

/// A list ready to be asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NameList {
    format: ListFormat,
    date: TableDate,
    counts: ListCounts,
    /// The list itself, as what proves its rules.
    sources: [Source; 1],
    owners: Vec<Owner>,
    details: Vec<Detail>,
    /// Name → one byte of how much it covers, then the place of its detail plus one.
    names: NameIndex<3>,
}

/// What a list says of a name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Listing<'t> {
    /// The list's name.
    pub list: &'t str,
    /// The day the list is of.
    pub date: TableDate,
    /// The rule: the name itself, or one that it lies below.
    pub rule: &'t str,
    /// Whose the name is, where the list says so.
    pub owner: Option<&'t Owner>,
    /// What the name is for, where the list says so.
    pub purpose: Option<Purpose>,
    /// What else the list calls it: the tracker in AdGuard's.
    pub note: Option<&'t str>,
}

impl NameList {
    /// A list from its bytes, of which at most `max_names` names are kept.
    ///
    /// # Errors
    /// [`ListError`]
    pub fn parse(head: ListHead, bytes: &[u8], max_names: usize) -> Result<Self, ListError> {
        if bytes.len() > MAX_LIST_LEN {
            return Err(ListError::TooLarge);
        }
        let ListHead { name, place, date, format } = head;
        let format = if format == ListFormat::Auto { text::guess(bytes) } else { format };
        let mut gathered = Gathered::new(max_names);
        match format {
            ListFormat::Json => json::read(bytes, &mut gathered)?,
            ListFormat::Auto | ListFormat::Domains => text::read(bytes, text::domains, &mut gathered),
            ListFormat::Hosts => text::read(bytes, text::hosts, &mut gathered),
            ListFormat::Adblock => text::read(bytes, text::adblock, &mut gathered),
        }
        let Gathered { names, counts, lines, owners, details, .. } = gathered;
        if names.len() == 0 && lines > 0 && counts.bad == lines {
            return Err(ListError::NoName { lines, form: format.word() });
        }
        Ok(Self {
            format,
            date,
            counts,
            sources: [Source { title: name.into(), place: place.into(), read: Some(date) }],
            owners,
            details,
            names: names.finish(join),
        })
    }

    /// What the list says of a name: its longest rule that covers it.
    #[must_use]
    pub fn listing_of(&self, name: &DomainName) -> Option<Listing<'_>> {
        let (rule, detail) = self.longest(name.as_str(), |_| true)?;
        Some(Listing {
            list: &self.source().title,
            date: self.date,
            rule,
            owner: detail.and_then(|d| self.owners.get(usize::from(d.owner?))),
            purpose: detail.and_then(|d| d.purpose),
            note: detail.and_then(|d| d.note.as_deref()),
        })
    }

    /// Whose the list says a name is: by its longest rule that names an owner.
    pub(crate) fn ownership_of(&self, name: &str) -> Option<Ownership<'_>> {
        if self.owners.is_empty() {
            return None;
        }
        let (rule, detail) = self.longest(name, |detail| detail.is_some_and(|d| d.owner.is_some()))?;
        let detail = detail?;
        let source = self.source();
        Some(Ownership {
            owner: self.owners.get(usize::from(detail.owner?))?,
            purpose: detail.purpose.unwrap_or(Purpose::Service),
            rule,
            source,
            purpose_source: detail.purpose.and(Some(source)),
            list: Some(&source.title),
            has_customers: false,
            owners: &self.owners,
            sources: &self.sources,
        })
    }

    fn longest(&self, name: &str, fits: impl Fn(Option<&Detail>) -> bool) -> Option<(&str, Option<&Detail>)> {
        let mut longest = None;
        self.names.walk(name, |found| {
            let [covers, low, high] = found.value;
            let detail = usize::from(u16::from_le_bytes([low, high]))
                .checked_sub(1)
                .and_then(|at| self.details.get(at));
            if (covers & ALL_BELOW != 0 || found.len() == name.len()) && fits(detail) {
                longest = Some((found, detail));
            }
        });
        longest.map(|(found, detail)| (found.text(), detail))
    }

    fn source(&self) -> &Source {
        let [source] = &self.sources;
        source
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.source().title
    }

    /// The day it is of.
    #[must_use]
    pub fn date(&self) -> TableDate {
        self.date
    }

    /// The form it was read in.
    #[must_use]
    pub fn format(&self) -> ListFormat {
        self.format
    }

    /// What became of its lines.
    #[must_use]
    pub fn counts(&self) -> ListCounts {
        self.counts
    }

    /// How many different names it has.
    #[must_use]
    pub fn name_count(&self) -> usize {
        self.names.len()
    }

    /// Roughly how many bytes of memory it takes.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.names.memory_bytes()
            + self.owners.capacity() * size_of::<Owner>()
            + self.details.capacity() * size_of::<Detail>()
    }
}

/// Of a name given twice the wider rule stands, and what the first says of it.
fn join(first: &mut [u8; 3], later: [u8; 3]) {
    let ([covers, low, high], [more, later_low, later_high]) = (*first, later);
    let (low, high) = if (low, high) == (0, 0) { (later_low, later_high) } else { (low, high) };
    *first = [covers | more, low, high];
}

/// What is read from a list, while it is.
struct Gathered {
    names: NameIndexBuilder<3>,
    max_names: usize,
    counts: ListCounts,
    /// Lines or objects met.
    lines: usize,
    owners: Vec<Owner>,
    owner_places: BTreeMap<(Box<str>, Option<Country>), u16>,
    details: Vec<Detail>,
    detail_places: BTreeMap<Detail, u16>,
}

impl Gathered {
    fn new(max_names: usize) -> Self {
        Self {
            names: NameIndexBuilder::default(),
            max_names: max_names.min(MAX_LIST_NAMES),
            counts: ListCounts::default(),
            lines: 0,
            owners: Vec::new(),
            owner_places: BTreeMap::new(),
            details: Vec::new(),
            detail_places: BTreeMap::new(),
        }
    }

    fn bad(&mut self) {
        self.counts.bad += 1;
        self.counts.first_bad.get_or_insert(self.lines);
    }

    fn name(&mut self, name: &DomainName, covers: u8, detail: u16) {
        let [low, high] = detail.to_le_bytes();
        if self.names.len() >= self.max_names || self.names.push(name.as_str(), [covers, low, high]).is_none()
        {
            self.counts.dropped += 1;
        }
    }

    /// The place of a detail plus one; `None` when there are 65 535 others.
    fn detail(&mut self, detail: Detail) -> Option<u16> {
        if let Some(&at) = self.detail_places.get(&detail) {
            return Some(at);
        }
        let at = u16::try_from(self.details.len() + 1).ok()?;
        self.details.push(detail.clone());
        self.detail_places.insert(detail, at);
        Some(at)
    }

    /// The place of an owner; `None` when there are 65 536 others.
    fn owner(&mut self, name: &str, country: Option<Country>) -> Option<u16> {
        let key = (Box::from(name), country);
        if let Some(&at) = self.owner_places.get(&key) {
            return Some(at);
        }
        let at = u16::try_from(self.owners.len()).ok()?;
        self.owners.push(Owner::new("", name, country, None));
        self.owner_places.insert(key, at);
        Some(at)
    }
}

#[cfg(test)]
mod tests;
