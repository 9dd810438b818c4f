//! The files of owners as written: TOML → structs that know their lines.

use anyhow::{Context, anyhow, ensure};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;
use toml::Spanned;

/// One file.
#[derive(Debug)]
pub struct File {
    /// Its name, for complaints.
    pub name: String,
    /// Its text, for line numbers.
    text: String,
    /// What is in it.
    pub raw: RawFile,
}

/// A file as written. Unknown keys are refused.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawFile {
    /// Sources by their key.
    #[serde(default)]
    pub source: BTreeMap<String, Spanned<RawSource>>,
    /// Owners in the order of the file.
    #[serde(default)]
    pub owner: Vec<RawOwner>,
}

/// What proves something.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawSource {
    /// What it is.
    pub title: String,
    /// A URL, or what else leads there.
    #[serde(rename = "where")]
    pub place: String,
    /// The day it was looked at, or that of the copy that was, `YYYY-MM-DD`; without it nobody did.
    pub read: Option<String>,
}

/// A company.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawOwner {
    /// Its key.
    pub id: Spanned<String>,
    /// Its name, as printed.
    pub name: String,
    /// ISO 3166-1 alpha-2.
    pub country: Option<Spanned<String>>,
    /// A city.
    pub seat: Option<String>,
    /// Key of the owning company.
    pub parent: Option<Spanned<String>>,
    /// Key of what proves country and seat; without it they are general knowledge.
    pub source: Option<Spanned<String>>,
    /// What it owns.
    #[serde(default)]
    pub rules: Vec<RawRule>,
}

/// Names of one purpose by one source.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawRule {
    /// A word of `Purpose`.
    pub purpose: Spanned<String>,
    /// Key of what proves that the names are the owner's.
    pub source: Spanned<String>,
    /// Key of what proves the purpose; without it that is general knowledge.
    pub purpose_source: Option<Spanned<String>>,
    /// Of names that are public suffixes: are the names below them the customers'? They are, unless it is denied.
    pub customers: Option<Spanned<bool>>,
    /// Names that cover themselves and all below.
    pub names: Vec<Spanned<String>>,
}

impl File {
    /// A file from its text.
    ///
    /// # Errors
    /// With the line of what cannot be understood.
    pub fn parse(name: &str, text: &str) -> anyhow::Result<Self> {
        let raw = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(0, |span| line_of(text, span.start));
            let message = error.message().lines().collect::<Vec<_>>().join(", ");
            anyhow!("{name}:{line}: {message}")
        })?;
        Ok(Self { name: name.to_owned(), text: text.to_owned(), raw })
    }

    /// The line on which something stands.
    pub fn line<T>(&self, it: &Spanned<T>) -> usize {
        line_of(&self.text, it.span().start)
    }
}

fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|&byte| byte == b'\n').count() + 1
}

/// Every `.toml` of a directory, by name.
///
/// # Errors
/// Where one cannot be read or understood, or there is none.
pub fn files(from: &Path) -> anyhow::Result<Vec<File>> {
    let list = std::fs::read_dir(from).with_context(|| format!("list {}", from.display()))?;
    let mut paths = list.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<Vec<_>>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    ensure!(!paths.is_empty(), "{} has no .toml file", from.display());
    paths
        .iter()
        .map(|path| {
            let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            File::parse(&name, &text)
        })
        .collect()
}
