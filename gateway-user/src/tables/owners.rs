//! The tables that say whose a name is: the embedded ones or what `telltale update` brought, and the user's lists.
//!
//! Reads files. What cannot be used is refused with one line, and the last good table stays in use: a report of
//! names without owners is worth more than none.

use super::lists;
use crate::config::ListConfig;
use anyhow::Context;
use gateway_core::enrich::envelope::{self, TableDate, TableKind};
use gateway_core::enrich::names::NameTables;
use gateway_core::enrich::owners::OwnerTable;
use gateway_core::enrich::suffixes::SuffixTable;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

/// Made by `cargo xtask owners` from `data/owners`.
#[cfg(any(feature = "tables-full", feature = "tables-small"))]
static OWNERS: &[u8] = include_bytes!("../../data/owners.bin.zst");

/// Made by `cargo xtask suffixes`; see NOTICE for its source and licence.
#[cfg(any(feature = "tables-full", feature = "tables-small"))]
static SUFFIXES: &[u8] = include_bytes!("../../data/suffixes.bin.zst");

/// The file of owners in the directory of updates.
pub const OWNERS_FILE: &str = "owners.bin.zst";
/// The file of public suffixes there.
pub const SUFFIXES_FILE: &str = "suffixes.bin.zst";

/// The largest file that is read: a table of 32 MiB, compressed.
const MAX_FILE_LEN: u64 = 32 << 20;

/// Tables, and a line for everything that could not be used.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Loaded {
    /// What knows the names.
    pub tables: NameTables,
    /// What is wrong and what to do, a line each, for people to read.
    pub warnings: Vec<String>,
    /// What became of each list, a line each; for logs, it names no name.
    pub notes: Vec<String>,
}

/// The tables that are part of this program, without lists. Empty in a build without data sets.
///
/// # Errors
/// A damaged program file.
pub fn embedded() -> anyhow::Result<NameTables> {
    Ok(NameTables::new(embedded_owners()?, embedded_suffixes()?, Vec::new()))
}

#[cfg(any(feature = "tables-full", feature = "tables-small"))]
fn embedded_owners() -> anyhow::Result<OwnerTable> {
    OwnerTable::open(OWNERS).context("read the embedded table of owners")
}

#[cfg(not(any(feature = "tables-full", feature = "tables-small")))]
fn embedded_owners() -> anyhow::Result<OwnerTable> {
    Ok(OwnerTable::default())
}

#[cfg(any(feature = "tables-full", feature = "tables-small"))]
fn embedded_suffixes() -> anyhow::Result<SuffixTable> {
    SuffixTable::open(SUFFIXES).context("read the embedded table of public suffixes")
}

#[cfg(not(any(feature = "tables-full", feature = "tables-small")))]
fn embedded_suffixes() -> anyhow::Result<SuffixTable> {
    Ok(SuffixTable::default())
}

/// Where updated tables lie: beside the database.
#[must_use]
pub fn updates_beside(database: &Path) -> PathBuf {
    database.parent().unwrap_or(Path::new("")).join("tables")
}

/// The tables in force: of embedded and updated ones the newer, and the lists.
///
/// # Errors
/// A damaged program file. Whatever is wrong with other files is a warning.
pub fn load(updates: &Path, lists: &[ListConfig]) -> anyhow::Result<Loaded> {
    let (mut owners, mut suffixes) = (embedded_owners()?, embedded_suffixes()?);
    let mut warnings = Vec::new();
    let place = Place { path: updates.join(OWNERS_FILE), kind: TableKind::Owners, have: owners.as_of() };
    if let Some(newer) = place.newer(OwnerTable::open, &mut warnings) {
        owners = newer;
    }
    let place =
        Place { path: updates.join(SUFFIXES_FILE), kind: TableKind::Suffixes, have: suffixes.as_of() };
    if let Some(newer) = place.newer(SuffixTable::open, &mut warnings) {
        suffixes = newer;
    }
    let (lists, notes) = lists::load(lists, &mut warnings);
    Ok(Loaded { tables: NameTables::new(owners, suffixes, lists), warnings, notes })
}

/// A file that may hold a newer table.
struct Place {
    path: PathBuf,
    kind: TableKind,
    /// The day of the table that is there already.
    have: TableDate,
}

impl Place {
    /// The file's table where it is newer and sound; else `None`, with a warning unless there is no file or it has the
    /// same day.
    fn newer<T>(
        &self,
        open: impl FnOnce(&[u8]) -> Result<T, envelope::TableError>,
        warnings: &mut Vec<String>,
    ) -> Option<T> {
        let Self { path, kind, have } = self;
        let stays = if have.0 == 0 { "no table".to_owned() } else { format!("the embedded one of {have}") };
        let mut refuse = |why: String| {
            let what = path.display();
            warnings.push(format!("refuse the table of {kind} {what}: {why}; {stays} is used instead"));
        };
        let bytes = match read_bounded(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return None,
            Err(error) => {
                refuse(error.to_string());
                return None;
            }
        };
        match envelope::date_of(&bytes, *kind) {
            Ok(date) if date == *have => return None,
            Ok(date) if date < *have => {
                refuse(format!("it is older, of {date}"));
                return None;
            }
            Ok(_) => {}
            Err(error) => {
                refuse(error.to_string());
                return None;
            }
        }
        open(&bytes).map_err(|error| refuse(error.to_string())).ok()
    }
}

fn read_bounded(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(MAX_FILE_LEN + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|len| len > MAX_FILE_LEN) {
        return Err(std::io::Error::other(format!("it is larger than {MAX_FILE_LEN} bytes")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
