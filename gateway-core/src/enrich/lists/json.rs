//! Lists in JSON: Telltale's own form, and the trackers of AdGuard's.
//!
//! Own form: `[{"name": "data.example.net", "owner": "Example", "country": "DE", "purpose": "telemetry"}]`, all but
//! the name optional. AdGuard's: an object with `trackerDomains` (name → tracker), `trackers` (their names and
//! categories) and `categories` (words); it names trackers, which are no owners, so none is taken from it.

use super::text::is_of_the_world;
use super::{ALL_BELOW, Detail, Gathered, ListError, NAME_ITSELF};
use crate::enrich::owners::Purpose;
use crate::units::{Country, DomainName};
use core::fmt;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;

/// Longest owner or note in characters; a longer one makes the object a bad one.
const MAX_TEXT_CHARS: usize = 100;

/// Reads the whole text: an object at a time for our own form, which may be long.
pub(super) fn read(bytes: &[u8], gathered: &mut Gathered) -> Result<(), ListError> {
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let read = Reader { gathered }.deserialize(&mut json).and_then(|()| json.end());
    read.map_err(|error| ListError::Json { line: error.line(), column: error.column() })
}

/// An object of our own form.
#[derive(Deserialize)]
struct Entry {
    name: String,
    owner: Option<String>,
    country: Option<String>,
    purpose: Option<String>,
}

/// A tracker of AdGuard's. There is more, which is not read.
#[derive(Deserialize)]
struct Tracker {
    name: String,
    #[serde(rename = "categoryId")]
    category: Option<u32>,
}

struct Reader<'g> {
    gathered: &'g mut Gathered,
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of objects with a name, or an object with trackerDomains")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(entry) = list.next_element::<Entry>()? {
            self.gathered.lines += 1;
            if take_entry(&entry, self.gathered).is_none() {
                self.gathered.bad();
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut categories: BTreeMap<String, String> = BTreeMap::new();
        let mut trackers: BTreeMap<String, Tracker> = BTreeMap::new();
        let mut names: Option<BTreeMap<String, String>> = None;
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "categories" => categories = map.next_value()?,
                "trackers" => trackers = map.next_value()?,
                "trackerDomains" => names = Some(map.next_value()?),
                _ => drop(map.next_value::<serde::de::IgnoredAny>()?),
            }
        }
        for (name, id) in names.ok_or_else(|| A::Error::missing_field("trackerDomains"))? {
            self.gathered.lines += 1;
            let tracker = trackers.get(&id);
            let category = tracker.and_then(|t| categories.get(&t.category?.to_string()));
            let detail = Detail {
                owner: None,
                purpose: category.and_then(|word| purpose_of_category(word)),
                note: tracker.map(|t| t.name.as_str()).filter(|name| is_printable(name)).map(Into::into),
            };
            if take(&name, detail, self.gathered).is_none() {
                self.gathered.bad();
            }
        }
        Ok(())
    }
}

/// `None` where any part of it is not what it should be: half a claim is none.
fn take_entry(entry: &Entry, gathered: &mut Gathered) -> Option<()> {
    let Entry { name, owner, country, purpose } = entry;
    let country = country.as_deref().map(|code| Country::parse(code).ok_or(())).transpose().ok()?;
    let purpose = purpose.as_deref().map(|word| Purpose::from_word(word).ok_or(())).transpose().ok()?;
    if owner.as_deref().is_some_and(|owner| !is_printable(owner)) || (country.is_some() && owner.is_none()) {
        return None;
    }
    DomainName::parse(name)?;
    let owner = match owner {
        Some(owner) => Some(gathered.owner(owner, country)?),
        None => None,
    };
    take(name, Detail { owner, purpose, note: None }, gathered)
}

fn take(name: &str, detail: Detail, gathered: &mut Gathered) -> Option<()> {
    let name = DomainName::parse(name).filter(is_of_the_world)?;
    let place = if detail == Detail::default() { 0 } else { gathered.detail(detail)? };
    gathered.name(&name, NAME_ITSELF | ALL_BELOW, place);
    Some(())
}

/// Is it a text that may stand on a terminal?
fn is_printable(text: &str) -> bool {
    !text.trim().is_empty() && text.chars().count() <= MAX_TEXT_CHARS && !text.chars().any(char::is_control)
}

/// AdGuard's categories that mean the same as one of our purposes; the others say nothing.
fn purpose_of_category(word: &str) -> Option<Purpose> {
    match word {
        "advertising" | "pornvertising" => Some(Purpose::Advertising),
        "site_analytics" | "mobile_analytics" => Some(Purpose::Analytics),
        "social_media" => Some(Purpose::Social),
        "cdn" => Some(Purpose::Cdn),
        "hosting" => Some(Purpose::Hosting),
        _ => None,
    }
}
