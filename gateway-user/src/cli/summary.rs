//! `telltale summary`: the page for the morning.

use super::Outcome;
use super::ask::{Asked, DatabaseArg, DeviceArg, answer, name_tables};
use super::screen::ScreenArgs;
use super::when::{self, RangeArgs};
use crate::config::{Config, ConfigFlags};
use crate::summary::{Aids, summary_of};
use anyhow::Context;
use gateway_core::report::summary::model::Summary;
use gateway_core::report::summary::{csv, html, json, markdown, text};
use gateway_core::report::text::Look;
use std::io::Write;
use std::path::PathBuf;

/// Prints per phone what went where, what is new, what grew, what happened in its quiet hours, and how much of the
/// range was measured.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  telltale summary --day yesterday\n  telltale summary --night\n  telltale summary --day \
    2026-11-22 --format html --output summary.html\n\nOnly a whole day (--day) is compared with the days before."
)]
pub struct Args {
    #[command(flatten)]
    database: DatabaseArg,
    #[command(flatten)]
    device: DeviceArg,
    /// The latest night that has begun: 21:00 to 09:00 local time.
    #[arg(long, conflicts_with_all = ["day", "since", "until", "last", "all"])]
    night: bool,
    /// How to write it.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Write to this file instead of standard output.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    screen: ScreenArgs,
    #[command(flatten)]
    range: RangeArgs,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
enum Format {
    Text,
    Markdown,
    Html,
    Json,
    Csv,
}

/// A year, by hour, is as much as a page can say.
const MAX_RANGE_NS: u64 = 366 * 86_400 * 1_000_000_000;

/// Runs the command.
///
/// # Errors
/// If the database cannot be read or the output not written.
pub fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    let config = Config::load(&ConfigFlags::default())?;
    let path = args.database.path()?;
    let Some(mut asked) = Asked::of(&path, &args.range)? else { return Ok(Outcome::Nothing) };
    if args.night {
        asked.range = when::last_night()?;
    }
    anyhow::ensure!(
        asked.range.len_ns() <= MAX_RANGE_NS,
        "a summary is of at most 366 days: give --last 30d or --since and --until"
    );
    let names = name_tables(&config, &path)?;
    let filter = args.device.filter();
    let look = args.screen.look(usize::MAX);
    let mut page = Vec::new();
    let outcome = answer(asked, &mut page, |asked, page| {
        let summary =
            summary_of(asked, Aids { database: &path, names: &names, known: &config.known }, &filter)?;
        let summary = summary.filter(|summary| filter.is_empty() || !summary.devices.is_empty());
        if let Some(summary) = &summary {
            write(page, summary, args.format, &look)?;
        }
        let is_nothing = summary.is_none();
        is_nothing.then(|| asked.why_nothing(&filter, false, &look)).transpose()
    })?;
    match &args.output {
        None => args.screen.show(&page, out)?,
        Some(file) => {
            std::fs::write(file, &page)
                .with_context(|| format!("write the summary to {}", file.display()))?;
        }
    }
    Ok(outcome)
}

fn write(page: &mut Vec<u8>, summary: &Summary, format: Format, look: &Look<'_>) -> anyhow::Result<()> {
    match format {
        Format::Text => page.extend(text::text(summary, look).into_bytes()),
        Format::Markdown => page.extend(markdown::markdown(summary, look).into_bytes()),
        Format::Html => page.extend(html::html(summary, look).into_bytes()),
        Format::Json => page.extend(json::json(summary)?.into_bytes()),
        Format::Csv => page.extend(csv::csv(summary).into_bytes()),
    }
    Ok(())
}
