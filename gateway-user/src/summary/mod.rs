//! A summary out of the database: gathers what it is made from. What it says is decided in `gateway-core`.

pub mod gather;

use crate::cli::ask::Asked;
use crate::cli::devices;
use crate::config::KnownConfig;
use gateway_core::enrich::names::NameTables;
use gateway_core::query::Filter;
use gateway_core::report::summary::build::build;
use gateway_core::report::summary::model::Summary;
use gateway_core::report::who::NameFacts;
use gather::{Beside, gather};
use std::path::Path;

/// What a summary is made with, besides the rows.
#[derive(Clone, Copy, Debug)]
pub struct Aids<'a> {
    /// The database, for what lies beside it.
    pub database: &'a Path,
    /// What is known of names.
    pub names: &'a NameTables,
    /// What the user knows of.
    pub known: &'a KnownConfig,
}

/// The summary of what was asked for; `None` if nothing was measured then.
///
/// # Errors
/// If the database cannot be read.
pub fn summary_of(asked: &Asked, aids: Aids<'_>, filter: &Filter) -> anyhow::Result<Option<Summary>> {
    let Aids { database, names, known } = aids;
    let beside = Beside {
        phones: devices::phones(&asked.reader, database)?,
        owners_date: names.as_of().map(|date| date.to_string()).unwrap_or_default(),
        known: known.clone(),
    };
    let input = gather(&asked.reader, asked.range, asked.now, filter, beside)?;
    let summary = build(&input, &|name| NameFacts::of(names, name));
    Ok((!input.counted.is_empty()).then_some(summary))
}
