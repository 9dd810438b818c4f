//! `lists`: files of names that somebody else has something to say about.

use gateway_core::enrich::envelope::TableDate;
use gateway_core::enrich::lists::ListFormat;
use jiff::civil::Date;
use serde::Deserialize;
use std::path::PathBuf;

/// Longest name of a list in characters: it stands in tables.
const MAX_NAME_CHARS: usize = 60;

/// A list of names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListConfig {
    /// The file.
    pub path: PathBuf,
    /// Its name, as printed.
    pub name: String,
    /// The day it is of; `None` is the day the file was changed.
    pub date: Option<TableDate>,
    /// Its form.
    pub format: ListFormat,
}

/// All lists, checked together.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Vec<RawList>")]
pub(super) struct Lists(pub(super) Vec<ListConfig>);

/// A list as written. Unknown keys are refused.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawList {
    path: PathBuf,
    name: Option<String>,
    date: Option<Day>,
    #[serde(default)]
    format: Format,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    #[default]
    Auto,
    Hosts,
    Domains,
    Adblock,
    Json,
}

impl From<Format> for ListFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Auto => Self::Auto,
            Format::Hosts => Self::Hosts,
            Format::Domains => Self::Domains,
            Format::Adblock => Self::Adblock,
            Format::Json => Self::Json,
        }
    }
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
struct Day(TableDate);

impl TryFrom<String> for Day {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let days = text
            .parse::<Date>()
            .ok()
            .and_then(|day| day.since(Date::constant(1970, 1, 1)).ok())
            .and_then(|since| u32::try_from(since.get_days()).ok());
        days.map(|days| Self(TableDate(days)))
            .ok_or_else(|| format!("{text:?} is not a day such as \"2026-11-20\""))
    }
}

impl TryFrom<Vec<RawList>> for Lists {
    type Error = String;
    fn try_from(raw: Vec<RawList>) -> Result<Self, String> {
        let mut lists: Vec<ListConfig> = Vec::with_capacity(raw.len());
        for RawList { path, name, date, format } in raw {
            let name = match name {
                Some(name) => name,
                None => path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            };
            let is_printable = !name.trim().is_empty() && !name.chars().any(char::is_control);
            if !is_printable || name.chars().count() > MAX_NAME_CHARS {
                return Err(format!(
                    "{name:?} cannot be the name of a list: 1 to {MAX_NAME_CHARS} characters"
                ));
            }
            if lists.iter().any(|list| list.name == name) {
                return Err(format!("two lists have the name {name:?}; give each a `name` of its own"));
            }
            lists.push(ListConfig { path, name, date: date.map(|Day(date)| date), format: format.into() });
        }
        Ok(Self(lists))
    }
}
