//! `telltale update`: fresh tables from their sources into the directory beside the database.
//!
//! Nothing is fetched unless somebody asks or `[update] every` is set. A file that came is looked at as a whole before
//! it takes the place of another; whatever fails, the tables in force stay. docs/update.md tells it to people.

mod address;
mod check;
pub mod every;
pub(crate) mod fetch;
#[cfg(feature = "https")]
pub(crate) mod https;
mod part;
mod place;
mod program;
mod progress;
mod record;
pub mod slot;
mod work;

use crate::clock;
use crate::config::{Config, UpdateConfig};
use anyhow::{Context, bail};
use check::{check, date_in_place};
use fetch::Fetcher;
use gateway_core::enrich::envelope::TableKind;
use jiff::Timestamp;
use jiff::civil::Date;
use place::Place;
use record::Records;
use slot::{Slot, word};
use work::Update;

/// Asks for single short answers over HTTPS, with the certificates, the proxy, the program and the patience of
/// `[update]`.
pub struct Client(Fetcher);

impl Client {
    /// A client with these settings.
    ///
    /// # Errors
    /// A proxy or certificates that cannot be used.
    pub fn new(config: &UpdateConfig) -> anyhow::Result<Self> {
        Ok(Self(Fetcher::new(config, false)?))
    }

    /// The answer at a URL, of a kind (RFC 9110 §12.5.1) and of at most `limit` bytes; `None` where there is none.
    /// Never from anywhere but HTTPS: URLs may be what a stranger wrote.
    ///
    /// # Errors
    /// Whatever kept it from an answer.
    pub fn get(&self, url: &str, accept: &'static str, limit: u64) -> anyhow::Result<Option<Vec<u8>>> {
        if !url.starts_with("https://") {
            bail!("{} is not HTTPS", address::shown(url));
        }
        self.0.bytes(url, Some(accept), limit)
    }
}

/// What to do beyond the configuration.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Options {
    /// Which tables; empty = all.
    pub tables: Vec<TableKind>,
    /// A URL or file in place of the configured sources; then `tables` has one table.
    pub from: Option<String>,
    /// Also fetch by plain HTTP.
    pub allows_http: bool,
    /// Also take a table that is older than the one in force.
    pub allows_older: bool,
    /// Only say whether there is something newer.
    pub is_check: bool,
}

/// What became of one file of a table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// Its name in the directory.
    pub file: &'static str,
    /// The date of what was in force before, if anything was.
    pub old: Option<Date>,
    /// Its date.
    pub new: Date,
    /// Its length in bytes, as it lies on the disk.
    pub len: u64,
    /// Where it came from, without what may be secret.
    pub from: String,
}

/// What became of one source or file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Nobody has said where this table comes from.
    NoSource,
    /// What is in force is what there is.
    Fresh {
        /// Where it was asked for.
        from: String,
        /// The date of what is in force.
        date: Option<Date>,
    },
    /// There is something to fetch.
    Available {
        /// Where.
        from: String,
    },
    /// A new file is in place.
    Updated(Change),
    /// The file before is in force again.
    RolledBack {
        /// Its name in the directory.
        file: &'static str,
        /// The date of what was in force; `None` = the embedded table.
        old: Option<Date>,
        /// The date of what is; `None` = the embedded table.
        new: Option<Date>,
    },
}

/// What became of one table.
#[derive(Debug)]
pub struct Report {
    /// Which.
    pub table: TableKind,
    /// What became of its files, or why nothing did.
    pub result: anyhow::Result<Vec<Outcome>>,
}

/// Fetches what there is and puts it in place.
///
/// # Errors
/// When nothing can be begun: another update is under way, no directory, an impossible setting. What becomes of each
/// table is in its report.
pub fn run(config: &Config, options: &Options) -> anyhow::Result<Vec<Report>> {
    if options.from.is_some() && options.tables.len() != 1 {
        bail!("--from is about one table: say which with --table");
    }
    let place = Place::enter(&config.database)?;
    let records = Records::read(place.path());
    let fetcher = Fetcher::new(&config.update, options.allows_http)?;
    let mut update = Update { config: &config.update, options, fetcher, place, records, today: today()? };
    let reports: Vec<Report> = tables_of(options)
        .into_iter()
        .map(|table| {
            let result = update.table(table).with_context(|| format!("update the table of {}", word(table)));
            Report { table, result }
        })
        .collect();
    let is_full = !options.is_check && options.from.is_none() && options.tables.is_empty();
    if is_full && reports.iter().all(|report| report.result.is_ok()) {
        update.records.updated_at = Some(clock::now()?.wall.0 / 1_000_000_000);
        update.records.write(update.place.path())?;
    }
    Ok(reports)
}

/// Exchanges tables with the ones before them; a second time undoes the first.
///
/// # Errors
/// As [`run`].
pub fn roll_back(config: &Config, options: &Options) -> anyhow::Result<Vec<Report>> {
    let place = Place::enter(&config.database)?;
    let mut reports = Vec::new();
    for table in tables_of(options) {
        let result =
            roll_back_table(&place, table).with_context(|| format!("roll back the table of {}", word(table)));
        reports.push(Report { table, result });
    }
    let is_nothing = |report: &Report| matches!(&report.result, Ok(outcomes) if outcomes.is_empty());
    if reports.iter().all(is_nothing) {
        bail!("no earlier table is kept in {}", place.path().display());
    }
    reports.retain(|report| !is_nothing(report));
    Ok(reports)
}

fn roll_back_table(place: &Place, table: TableKind) -> anyhow::Result<Vec<Outcome>> {
    let has_previous = |slot: &Slot| slot.previous(place.path()).exists();
    let slots: Vec<Slot> = Slot::ALL.into_iter().filter(|slot| slot.kind() == table).collect();
    if !slots.iter().any(|slot| has_previous(slot) || slot.path(place.path()).exists()) {
        return Ok(Vec::new());
    }
    for slot in slots.iter().filter(|slot| has_previous(slot)) {
        check(&slot.previous(place.path()), table).context("the earlier table is not whole")?;
    }
    let mut outcomes = Vec::new();
    for slot in slots {
        let old = date_in_place(slot, place.path());
        place.exchange(slot)?;
        let new = date_in_place(slot, place.path());
        if old.is_some() || new.is_some() {
            outcomes.push(Outcome::RolledBack { file: slot.file_name(), old, new });
        }
    }
    Ok(outcomes)
}

fn tables_of(options: &Options) -> Vec<TableKind> {
    if options.tables.is_empty() { TableKind::ALL.to_vec() } else { options.tables.clone() }
}

fn today() -> anyhow::Result<Date> {
    let wall = clock::now()?.wall;
    let now = Timestamp::from_nanosecond(wall.0.into()).context("read the calendar clock")?;
    Ok(jiff::tz::Offset::UTC.to_datetime(now).date())
}
