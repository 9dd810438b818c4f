//! The tables that say whose a name is: the embedded ones or what `telltale update` brought, and the user's lists.
//!
//! Reads files. What cannot be used is refused with one line, and the last good table stays in use: a report of
//! names without owners is worth more than none.

use super::{choice, embedded, lists};
use crate::config::ListConfig;
use anyhow::Context;
use gateway_core::enrich::envelope::{TableError, TableKind};
use gateway_core::enrich::names::NameTables;
use gateway_core::enrich::owners::OwnerTable;
use gateway_core::enrich::suffixes::SuffixTable;
use std::path::Path;

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
    let owners = open_embedded(TableKind::Owners, OwnerTable::open)?;
    let suffixes = open_embedded(TableKind::Suffixes, SuffixTable::open)?;
    Ok(NameTables::new(owners, suffixes, Vec::new()))
}

fn open_embedded<T: Default>(
    kind: TableKind,
    open: impl FnOnce(&[u8]) -> Result<T, TableError>,
) -> anyhow::Result<T> {
    let table = embedded::packed(kind).map(open).transpose();
    Ok(table.with_context(|| format!("read the embedded table of {kind}"))?.unwrap_or_default())
}

/// The tables in force, of those in this program and those in the directory of updates; and the lists.
///
/// # Errors
/// A damaged program file. Whatever is wrong with other files is a warning.
pub fn load(updates: &Path, lists: &[ListConfig]) -> anyhow::Result<Loaded> {
    let mut warnings = Vec::new();
    let (kind, updates) = (TableKind::Owners, Some(updates));
    let owners = choice::in_force(kind, embedded::packed(kind), updates, OwnerTable::open, &mut warnings)?;
    let kind = TableKind::Suffixes;
    let suffixes = choice::in_force(kind, embedded::packed(kind), updates, SuffixTable::open, &mut warnings)?;
    let (lists, notes) = lists::load(lists, &mut warnings);
    let tables = NameTables::new(owners.unwrap_or_default(), suffixes.unwrap_or_default(), lists);
    Ok(Loaded { tables, warnings, notes })
}

#[cfg(test)]
mod tests;
