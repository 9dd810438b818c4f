//! `telltale deliver`: does a way out work, and what waits?

use super::Outcome;
use super::ask::say;
use crate::config::{Config, ConfigFlags};
use crate::deliver::queue::Outbox;
use crate::deliver::{Message, Priority, Way, send};
use anyhow::bail;
use serde::Serialize;
use std::io::Write;
use std::path::PathBuf;

/// Try the ways on which summaries go out, and see what waits
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    Test(TestArgs),
    Status(StatusArgs),
}

/// Send a test message now, past the queue, on every way or on one
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  telltale deliver test                          on every way that is configured
  telltale deliver test email --config /etc/telltale/telltale.toml

Run it as the user the daemon runs as: it reads the same files of secrets.
Exit codes: 0 every way took it, 1 no way is configured, 2 a way did not take it.")]
struct TestArgs {
    /// Only on this way
    way: Option<Way>,
    #[command(flatten)]
    config: FileArg,
}

/// Show what waits on each way, what was delivered and what was dropped
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  telltale deliver status
  telltale deliver status --json

Exit codes: 0 shown, 1 no way is configured and nothing waits, 2 failed.")]
struct StatusArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Database file, beside which the queue lies
    #[arg(long, value_name = "FILE", env = "TELLTALE_DATABASE")]
    database: Option<PathBuf>,
    #[command(flatten)]
    config: FileArg,
}

#[derive(Debug, clap::Args)]
struct FileArg {
    /// Configuration file [default: /etc/telltale/telltale.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl FileArg {
    fn load(&self, database: Option<PathBuf>) -> anyhow::Result<Config> {
        Config::load(&ConfigFlags { config: self.config.clone(), database, ..ConfigFlags::default() })
    }
}

/// Runs the command.
///
/// # Errors
/// When the configuration or the queue cannot be read, the output not written, or a way does not take the message.
pub fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    match &args.action {
        Action::Test(args) => test(args, out),
        Action::Status(args) => status(args, out),
    }
}

const NO_WAY: &str = "no way is configured: docs/deliver.md shows what to write below [deliver]";

fn test(args: &TestArgs, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    let config = args.config.load(None)?.deliver;
    let ways = args.way.map_or_else(|| Way::wanted(&config), |way| vec![way]);
    if ways.is_empty() {
        say(NO_WAY);
        return Ok(Outcome::Nothing);
    }
    let message = test_message();
    let mut failed = Vec::new();
    for way in ways {
        match send(way, &config, &message) {
            Ok(()) => writeln!(out, "{}: delivered", way.word())?,
            Err(failure) => {
                writeln!(out, "{}: {failure}", way.word())?;
                failed.push(way.word());
            }
        }
        out.flush()?;
    }
    if !failed.is_empty() {
        bail!("the test message was not delivered by: {}", failed.join(", "));
    }
    Ok(Outcome::Found)
}

fn test_message() -> Message {
    let text = "This is a test. Umlauts arrive whole: äöü. Summaries will come this way.\n";
    Message {
        id: format!("test-{}", jiff::Timestamp::now().as_second()),
        subject: "Telltale: a test".to_owned(),
        text: text.to_owned(),
        html: Some(format!(
            "<!DOCTYPE html><html lang=\"en\"><meta charset=\"utf-8\"><p>{}</p></html>\n",
            text.trim()
        )),
        json: "{\"test\":true}".to_owned(),
        priority: Priority::Normal,
        figures: None,
    }
}

/// A way's state, as JSON.
#[derive(Serialize)]
struct Line {
    way: &'static str,
    is_configured: bool,
    waiting: usize,
    waiting_bytes: u64,
    waiting_since: Option<String>,
    delivered: u64,
    delivered_at: Option<String>,
    dropped_full: u64,
    dropped_old: u64,
    dropped_unwanted: u64,
    dropped_broken: u64,
    failure: Option<String>,
}

fn status(args: &StatusArgs, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    let config = args.config.load(args.database.clone())?;
    let time = |secs: i64| jiff::Timestamp::from_second(secs).map(|at| at.to_string()).ok();
    let mut lines = Vec::new();
    for (way, (books, waiting)) in Outbox::beside(&config.database).all()? {
        let is_configured = way.is_wanted(&config.deliver);
        if !is_configured && waiting.is_empty() && books == crate::deliver::queue::Books::default() {
            continue;
        }
        lines.push(Line {
            way: way.word(),
            is_configured,
            waiting: waiting.len(),
            waiting_bytes: waiting.iter().map(|waiting| waiting.len).sum(),
            waiting_since: waiting.first().and_then(|waiting| time(waiting.since)),
            delivered: books.delivered,
            delivered_at: books.delivered_at.and_then(time),
            dropped_full: books.dropped_full,
            dropped_old: books.dropped_old,
            dropped_unwanted: books.dropped_unwanted,
            dropped_broken: books.dropped_broken,
            failure: books.failure,
        });
    }
    if args.json {
        serde_json::to_writer_pretty(&mut *out, &lines).map_err(std::io::Error::from)?;
        writeln!(out)?;
    } else {
        lines.iter().try_for_each(|line| print(line, out))?;
    }
    if lines.is_empty() {
        say(NO_WAY);
        return Ok(Outcome::Nothing);
    }
    Ok(Outcome::Found)
}

fn print(line: &Line, out: &mut dyn Write) -> std::io::Result<()> {
    let Line { way, is_configured, waiting, waiting_bytes, waiting_since, delivered, delivered_at, .. } =
        line;
    write!(out, "{way:<8} {waiting} waiting")?;
    if let Some(since) = waiting_since {
        write!(out, " ({waiting_bytes} bytes, since {since})")?;
    }
    write!(out, ", {delivered} delivered")?;
    if let Some(at) = delivered_at {
        write!(out, ", last at {at}")?;
    }
    for (count, word) in [
        (line.dropped_full, "dropped_full"),
        (line.dropped_old, "dropped_old"),
        (line.dropped_unwanted, "dropped_unwanted"),
        (line.dropped_broken, "dropped_broken"),
    ] {
        if count > 0 {
            write!(out, ", {word} {count}")?;
        }
    }
    writeln!(out, "{}", if *is_configured { "" } else { "; not in the configuration any more" })?;
    match &line.failure {
        Some(failure) => writeln!(out, "         the last attempt: {failure}"),
        None => Ok(()),
    }
}
