//! What every reading command shares: which database, which rows, and what to say when there are none.

mod filter;
mod night;
mod rows;

pub use filter::{DeviceArg, FilterArgs, QuestionArgs, Wanted};
pub use rows::Picked;

use super::Outcome;
use super::when::{self, RangeArgs};
use crate::config::{Config, ConfigFlags};
use crate::store::Reader;
use crate::tables::{
    self, embedded,
    owners::{self, Loaded},
    update::slot::directory_of,
};
use gateway_core::enrich::Networks;
use gateway_core::enrich::envelope::TableKind;
use gateway_core::enrich::names::NameTables;
use gateway_core::query::{DeviceMatch, Filter, FlowSum, TimeRange};
use gateway_core::report::account::reaching_in_words;
use gateway_core::report::coverage::{Coverage, coverage};
use gateway_core::report::text::Look;
use gateway_core::units::WallTime;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Which database.
#[derive(Debug, clap::Args)]
pub struct DatabaseArg {
    /// The database file [default: the configuration's, else /var/lib/telltale/telltale.db]
    #[arg(long, value_name = "FILE", env = "TELLTALE_DATABASE")]
    database: Option<PathBuf>,
}

impl DatabaseArg {
    /// The file that was named, or the one that `telltale run` writes by its configuration.
    ///
    /// # Errors
    /// When the configuration is there and cannot be understood.
    pub fn path(&self) -> anyhow::Result<PathBuf> {
        match &self.database {
            Some(path) => Ok(path.clone()),
            None => Ok(Config::load(&ConfigFlags::default())?.database),
        }
    }

    /// The same, by a configuration that is read already.
    #[must_use]
    pub fn path_or(&self, config: &Config) -> PathBuf {
        self.database.clone().unwrap_or_else(|| config.database.clone())
    }
}

/// A question put to a database that has data.
#[derive(Debug)]
pub struct Asked {
    /// The database.
    pub reader: Reader,
    /// The range asked for.
    pub range: TimeRange,
    /// When it was asked.
    pub now: WallTime,
    /// When the database's data is from.
    pub extent: TimeRange,
}

impl Asked {
    /// Opens the database and resolves the range; `None`, after saying why on standard error, if there is no data at
    /// all.
    ///
    /// # Errors
    /// If the database cannot be read, or the range is nonsense.
    pub fn of(database: &Path, range: &RangeArgs) -> anyhow::Result<Option<Self>> {
        let now = when::now();
        // Nonsense is nonsense, data or not.
        range.resolve(&now, TimeRange::EVER)?;
        let Some(reader) = open(database)? else { return Ok(None) };
        let Some(extent) = reader.extent()? else {
            say(&format!("the database {} holds no drain yet: `telltale run` fills it", database.display()));
            return Ok(None);
        };
        let range = range.resolve(&now, extent)?;
        let now = when::wall(&now)?;
        Ok(Some(Self { reader, range, now, extent }))
    }

    /// The rows of the range that a filter picks.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn flows(&self, filter: &Filter) -> anyhow::Result<Vec<FlowSum>> {
        self.reader.flows(self.range, filter)
    }

    /// How much of the range is covered.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn coverage(&self) -> anyhow::Result<Coverage> {
        self.coverage_of(self.range)
    }

    /// How much of another range is covered.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn coverage_of(&self, range: TimeRange) -> anyhow::Result<Coverage> {
        let Self { reader, now, .. } = self;
        Ok(coverage(&reader.counted(range)?, &reader.latest(*now)?, range, *now))
    }

    /// Why there are no rows to show; `is_all_local` if there are rows, and all of traffic in the house.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn why_nothing(
        &self,
        filter: &Filter,
        is_all_local: bool,
        look: &Look<'_>,
    ) -> anyhow::Result<String> {
        let Self { reader, range, extent, .. } = self;
        let span = look.span(*range);
        let coverage = self.coverage()?;
        if reader.counted(*range)?.is_empty() {
            if let Some(since) = coverage.pending_since {
                let last = if since > range.since { since } else { extent.until };
                return Ok(format!(
                    "nothing of {span} is stored yet: the last drain was at {}",
                    look.local(last)
                ));
            }
            let day = when::local_date(WallTime(extent.until.0.saturating_sub(1)));
            return Ok(format!(
                "nothing was measured from {span}; the database has data from {}: try --day {day} or --all",
                look.span(*extent)
            ));
        }
        if let Some(unknown) = self.unknown_device(filter)? {
            return Ok(unknown);
        }
        let reaching_in = coverage.reaching_in();
        let nothing = if is_all_local {
            format!("only traffic that stayed in the house was seen from {span}: `telltale flows` lists it")
        } else if !filter.is_empty() {
            let only_asks = Filter { question: filter.question.clone(), ..Filter::default() } == *filter;
            format!("no row from {span} {} {filter}", if only_asks { "is" } else { "has" })
        } else if reaching_in.is_some() {
            format!("no row is filed under {span}")
        } else {
            format!("no traffic of any device was seen from {span}, though it was measured")
        };
        Ok(match reaching_in {
            Some((interval, bytes)) => {
                format!("{nothing}; but {}", reaching_in_words(interval, bytes, look))
            }
            None => nothing,
        })
    }

    fn unknown_device(&self, filter: &Filter) -> anyhow::Result<Option<String>> {
        if filter.devices.is_empty() {
            return Ok(None);
        }
        let known = self.reader.devices()?;
        let is_known = |wanted: &&DeviceMatch| known.iter().any(|device| wanted.picks(device));
        if filter.devices.iter().any(|wanted| is_known(&wanted)) {
            return Ok(None);
        }
        let names: Vec<_> = filter.devices.iter().map(ToString::to_string).collect();
        Ok(Some(format!(
            "no device is called {}: `telltale devices` lists those that are known",
            names.join(" or ")
        )))
    }

    /// Does a question ask for devices of which none is known?
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn is_unknown(&self, picked: &Picked) -> anyhow::Result<bool> {
        Ok(self.unknown_device(&picked.store)?.is_some())
    }

    /// Why a question has no answer, as [`Asked::why_nothing`] says it of a filter.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn why_not(&self, picked: &Picked, is_all_local: bool, look: &Look<'_>) -> anyhow::Result<String> {
        if !self.reader.counted(self.range)?.is_empty()
            && let Some(unknown) = self.unknown_device(&picked.store)?
        {
            return Ok(unknown);
        }
        self.why_nothing(&picked.filter, is_all_local, look)
    }
}

/// Renders a whole answer from what is read of a database, lets go of it, and only then writes: who pages through the
/// answer for an hour must not keep an hour's log of writes from being folded into the database. `render` returns why
/// there is nothing to show, if so; that goes to standard error.
///
/// # Errors
/// What `render` fails with, or if the output cannot be written.
pub fn answer<T>(
    source: T,
    out: &mut dyn Write,
    render: impl FnOnce(&T, &mut Vec<u8>) -> anyhow::Result<Option<String>>,
) -> anyhow::Result<Outcome> {
    let mut page = Vec::new();
    let why_nothing = render(&source, &mut page)?;
    drop(source);
    out.write_all(&page)?;
    let Some(why) = why_nothing else { return Ok(Outcome::Found) };
    out.flush()?;
    say(&why);
    Ok(Outcome::Nothing)
}

/// The tables that say whose a name is, with the user's lists. What cannot be used is said on standard error.
///
/// # Errors
/// If the program's own tables are damaged.
pub fn name_tables(config: &Config, database: &Path) -> anyhow::Result<NameTables> {
    let Loaded { tables, warnings, notes: _ } = owners::load(&directory_of(database), &config.lists)?;
    warnings.iter().for_each(|warning| say(warning));
    Ok(tables)
}

/// The network tables in force, with what is wrong with updated ones said on standard error.
///
/// # Errors
/// If a file of the user's cannot be read.
pub fn network_tables(config: &Config, database: &Path) -> anyhow::Result<Box<dyn Networks + Send + Sync>> {
    let tables::Loaded { networks, warnings } = tables::load(
        embedded::packed(TableKind::Networks),
        Some(&directory_of(database)),
        &config.network_tables,
    )?;
    warnings.iter().for_each(|warning| say(warning));
    Ok(networks)
}

/// Opens a database to read; `None`, after saying what to run on standard error, if there is none.
///
/// # Errors
/// If there is one and it cannot be read.
pub fn open(database: &Path) -> anyhow::Result<Option<Reader>> {
    let reader = Reader::open(database)?;
    if reader.is_none() {
        say(&format!(
            "there is no database {} yet: `telltale run` makes one on the gateway, `telltale replay FILE.pcap` \
             from a capture",
            database.display()
        ));
    }
    Ok(reader)
}

/// One line on standard error.
pub fn say(line: &str) {
    eprintln!("telltale: {line}");
}

/// A limit where 0 means none.
#[must_use]
pub fn limit(asked: usize) -> usize {
    if asked == 0 { usize::MAX } else { asked }
}
