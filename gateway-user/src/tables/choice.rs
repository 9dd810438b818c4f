//! Which table is in force: the one in this program, or an updated one beside the database. One rule for every kind.
//!
//! An updated table counts unless it is older than the one in this program. What is damaged, cut short, of another
//! kind or older is refused with one line, and what was good before stays in use.

use super::update::slot::{Slot, word};
use anyhow::{Context, bail};
use gateway_core::enrich::envelope::{TableDate, TableError, TableKind, date_of};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

/// The largest file that is read as a table: the largest there is has 3 MiB, and what is longer is none.
const MAX_FILE_LEN: u64 = 16 << 20;

/// The table of a kind that is in force: of the one in this program and those in the directory of updates the last
/// good one; `None` where there is none at all. Why a file was refused is added to `warnings`.
///
/// # Errors
/// A damaged program file.
pub(super) fn in_force<T>(
    kind: TableKind,
    embedded: Option<&[u8]>,
    updates: Option<&Path>,
    open: impl Fn(&[u8]) -> Result<T, TableError>,
    warnings: &mut Vec<String>,
) -> anyhow::Result<Option<T>> {
    let damaged = || format!("read the embedded table of {kind}");
    let have = embedded.map(|packed| date_of(packed, kind)).transpose().with_context(damaged)?;
    if let Some(updates) = updates {
        let slot = Slot::of_kind(kind);
        let path = slot.path(updates);
        match read(&path, kind, have, &open) {
            Ok(None) => {}
            Ok(Some((_, table))) => return Ok(Some(table)),
            Err(why) => {
                let previous = read(&slot.previous(updates), kind, have, &open).ok().flatten();
                let stays = match (&previous, have) {
                    (Some((date, _)), _) => format!("the one before it, of {date}, is used"),
                    (None, Some(have)) => format!("the one in this program, of {have}, is used"),
                    (None, None) => "there is no other".to_owned(),
                };
                warnings.push(refusal(kind, &path, &why, &stays));
                if let Some((_, table)) = previous {
                    return Ok(Some(table));
                }
            }
        }
    }
    embedded.map(open).transpose().with_context(damaged)
}

/// The line about a file that is not used.
pub(super) fn refusal(kind: TableKind, path: &Path, why: &anyhow::Error, stays: &str) -> String {
    let path = path.display();
    let word = word(kind);
    format!(
        "refuse the table of {kind} {path}: {why:#}; {stays} (remove the file, or replace it with `telltale update \
         --table {word}`)"
    )
}

/// Fails for a table that is older than the one there is.
pub(super) fn is_recent(date: TableDate, have: Option<TableDate>) -> anyhow::Result<()> {
    match have {
        Some(have) if date < have => bail!("it is of {date}, which is older than {have}"),
        _ => Ok(()),
    }
}

/// A file's table and its date; `None` if there is no file.
fn read<T>(
    path: &Path,
    kind: TableKind,
    have: Option<TableDate>,
    open: impl Fn(&[u8]) -> Result<T, TableError>,
) -> anyhow::Result<Option<(TableDate, T)>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let mut packed = Vec::new();
    file.take(MAX_FILE_LEN + 1).read_to_end(&mut packed)?;
    if packed.len() as u64 > MAX_FILE_LEN {
        bail!("it is longer than {MAX_FILE_LEN} bytes, and no table is");
    }
    let date = date_of(&packed, kind)?;
    // Whole first: a damaged file has no date to speak of.
    let table = open(&packed)?;
    is_recent(date, have)?;
    Ok(Some((date, table)))
}

#[cfg(test)]
mod tests;
