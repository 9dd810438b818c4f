//! `telltale alerts`: what is watched, what was told, and do the ways work?

use super::Outcome;
use super::ask::say;
use crate::alert::state::State;
use crate::alert::{check, pause, words};
use crate::config::{AlertConfig, Config, ConfigFlags};
use crate::deliver::{Message, Priority, Way, send};
use anyhow::bail;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};
use serde::Serialize;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

/// Show what is watched and when it was last told, or try the ways of the alerts
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  telltale alerts                what is watched, what was told last, when the next check is
  telltale alerts --json
  telltale alerts test           a test message now, on every way that an alert uses

Exit codes: 0 shown or delivered, 1 no alert is configured, 2 failed.")]
pub struct Args {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    List(ListArgs),
    Test(FileArgs),
    #[command(hide = true)]
    Check(CheckArgs),
}

/// List the alerts of the configuration
#[derive(Debug, clap::Args)]
struct ListArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    files: FileArgs,
}

/// Send a test message now, past the queue, on every way that an alert uses
#[derive(Debug, clap::Args)]
struct FileArgs {
    /// Database file, beside which it is kept what was told
    #[arg(long, value_name = "FILE", env = "TELLTALE_DATABASE")]
    database: Option<PathBuf>,
    /// Configuration file [default: /etc/telltale/telltale.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Check once and print what is to be told as JSON, as the daemon has it made
#[derive(Debug, clap::Args)]
struct CheckArgs {
    /// As of this local time
    #[arg(long)]
    at: Option<DateTime>,
    #[command(flatten)]
    files: FileArgs,
}

impl FileArgs {
    fn load(&self) -> anyhow::Result<Config> {
        let flags = ConfigFlags {
            config: self.config.clone(),
            database: self.database.clone(),
            ..ConfigFlags::default()
        };
        Config::load(&flags)
    }
}

/// Runs the command.
///
/// # Errors
/// When the configuration, the database or what was told cannot be read, the output not written, or a way does not take
/// the test.
pub fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    match &args.action {
        None => list(&args.list, out),
        Some(Action::List(args)) => list(args, out),
        Some(Action::Test(args)) => test(args, out),
        Some(Action::Check(args)) => check_now(args, out),
    }
}

const NO_ALERT: &str = "no alert is configured: docs/alerts.md shows what to write";

/// An alert, as JSON.
#[derive(Serialize)]
struct Shape {
    alert: String,
    ways: Vec<&'static str>,
    told: usize,
    last_told_at: Option<String>,
}

/// All of them, as JSON.
#[derive(Serialize)]
struct Shapes {
    version: u32,
    alerts: Vec<Shape>,
    checked_at: Option<String>,
    next_check_at: Option<String>,
    failure: Option<String>,
}

fn list(args: &ListArgs, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    let config = args.files.load()?;
    let state = State::read(&config.database)?;
    let zone = TimeZone::system();
    let time = |secs: i64| {
        let at = Timestamp::from_second(secs).ok()?;
        Some(match args.json {
            true => at.to_string(),
            false => at.to_zoned_datetime(zone.clone()).strftime("%Y-%m-%d %H:%M").to_string(),
        })
    };
    let next = state.checked_at.map(|at| {
        let pause = pause(Duration::from_millis(state.took_ms));
        at.saturating_add(i64::try_from(pause.as_secs()).unwrap_or(i64::MAX))
    });
    let shapes = Shapes {
        version: 1,
        alerts: config.alerts.iter().map(|alert| shape(alert, &config, &state, &time)).collect(),
        checked_at: state.checked_at.and_then(time),
        next_check_at: next.and_then(time),
        failure: state.failure,
    };
    if args.json {
        serde_json::to_writer_pretty(&mut *out, &shapes).map_err(std::io::Error::from)?;
        writeln!(out)?;
    } else if !shapes.alerts.is_empty() {
        print(&shapes, out)?;
    }
    if shapes.alerts.is_empty() {
        say(NO_ALERT);
        return Ok(Outcome::Nothing);
    }
    Ok(Outcome::Found)
}

fn shape(alert: &AlertConfig, config: &Config, state: &State, time: &dyn Fn(i64) -> Option<String>) -> Shape {
    let (last, told) = state.last(alert);
    Shape {
        alert: words(alert),
        ways: ways_of(alert, config).into_iter().map(Way::word).collect(),
        told,
        last_told_at: last.and_then(time),
    }
}

fn ways_of(alert: &AlertConfig, config: &Config) -> Vec<Way> {
    if alert.ways.is_empty() { Way::wanted(&config.deliver) } else { alert.ways.clone() }
}

fn print(shapes: &Shapes, out: &mut dyn Write) -> std::io::Result<()> {
    for Shape { alert, ways, told, last_told_at } in &shapes.alerts {
        writeln!(out, "{alert}")?;
        match last_told_at {
            Some(at) => writeln!(out, "    last told {at}; {told} in two months")?,
            None => writeln!(out, "    quiet: nothing told in two months")?,
        }
        if ways.is_empty() {
            writeln!(out, "    goes nowhere: no way is configured below [deliver]")?;
        }
    }
    match (&shapes.checked_at, &shapes.next_check_at) {
        (Some(at), Some(next)) => writeln!(out, "checked {at}, next {next} while the daemon runs")?,
        _ => writeln!(out, "not checked yet: telltale run does")?,
    }
    match &shapes.failure {
        Some(failure) => writeln!(out, "the last check failed: {failure}"),
        None => Ok(()),
    }
}

fn test(args: &FileArgs, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    let config = args.load()?;
    let mut ways: Vec<_> = config.alerts.iter().flat_map(|alert| ways_of(alert, &config)).collect();
    ways.sort();
    ways.dedup();
    if ways.is_empty() {
        say(match config.alerts.is_empty() {
            true => NO_ALERT,
            false => "no way is configured: docs/deliver.md shows what to write below [deliver]",
        });
        return Ok(Outcome::Nothing);
    }
    let message = Message {
        id: format!("alert-test-{}", Timestamp::now().as_second()),
        subject: "Telltale: a test of the alerts".to_owned(),
        text: "This is a test. Nothing happened. Alerts will come this way.\n".to_owned(),
        html: None,
        json: "{\"test\":true}".to_owned(),
        priority: Priority::High,
        figures: None,
    };
    let mut failed = Vec::new();
    for way in ways {
        match send(way, &config.deliver, &message) {
            Ok(()) => writeln!(out, "{}: delivered", way.word())?,
            Err(failure) => {
                writeln!(out, "{}: {failure}", way.word())?;
                failed.push(way.word());
            }
        }
        out.flush()?;
    }
    if !failed.is_empty() {
        bail!("the test was not delivered by: {}", failed.join(", "));
    }
    Ok(Outcome::Found)
}

fn check_now(args: &CheckArgs, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    let config = args.files.load()?;
    let now = match args.at {
        Some(at) => at.to_zoned_datetime(TimeZone::system())?,
        None => ZonedDateTime::now(),
    };
    let checked = check::check(&config, &now, State::read(&config.database)?)?;
    serde_json::to_writer(&mut *out, &checked).map_err(std::io::Error::from)?;
    writeln!(out)?;
    Ok(Outcome::Found)
}
