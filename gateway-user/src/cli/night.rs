//! `telltale night`: the summary of one day as a message, made for the daemon in a process of its own. Not for people, who
//! have `telltale report`.

use super::Outcome;
use crate::config::{Config, ConfigFlags};
use crate::nightly::report::make;
use jiff::civil::Date;
use std::io::Write;
use std::path::PathBuf;

/// Print the message of a day's summary as JSON, as the daemon has it made
#[derive(Debug, clap::Args)]
#[command(hide = true)]
pub struct Args {
    /// The local day: 2026-11-22
    day: Date,
    /// Configuration file [default: /etc/telltale/telltale.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Database file
    #[arg(long, value_name = "FILE", env = "TELLTALE_DATABASE")]
    database: Option<PathBuf>,
}

/// Runs the command. Nothing found is a day of which nothing was measured.
///
/// # Errors
/// When the configuration, the database or a table cannot be read, or the output not written.
pub fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    let Args { day, config, database } = args;
    let flags = ConfigFlags { config: config.clone(), database: database.clone(), ..ConfigFlags::default() };
    let config = Config::load(&flags)?;
    let Some(message) = make(&config, &config.database, *day)? else { return Ok(Outcome::Nothing) };
    serde_json::to_writer(&mut *out, &message).map_err(std::io::Error::from)?;
    writeln!(out)?;
    Ok(Outcome::Found)
}
