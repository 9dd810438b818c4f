//! `telltale update`: fresh tables, and back.

use super::Outcome;
use crate::config::{Config, ConfigFlags};
use crate::tables::update::slot::word;
use crate::tables::update::{self, Change, Options, Report};
use gateway_core::enrich::envelope::TableKind;
use serde::Serialize;
use std::fmt::Write as _;
use std::io::Write;
use std::path::PathBuf;

/// Fetch fresh tables of networks, owners, vendors and public suffixes; nothing is fetched without being asked
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  telltale update                                every table that has a source
  telltale update --check                        is there anything newer? (exit code 0 yes, 1 no)
  telltale update --table networks --from https://example.net/networks.bin.zst
  telltale update --table networks --from ./GeoLite2-ASN.mmdb
  telltale update --rollback --table networks    back to the one before

Tables lie in the directory tables beside the database; the daemon reads networks at its next start.
Every file is checked before it takes the place of another, and the one before is kept.
Exit codes: 0 updated or already fresh, 2 failed; with --check: 0 something newer is there, 1 not.")]
pub struct Args {
    /// Configuration file [default: /etc/telltale/telltale.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Database file, beside which the tables lie
    #[arg(long, value_name = "FILE", env = "TELLTALE_DATABASE")]
    database: Option<PathBuf>,
    /// Only say whether there is something newer
    #[arg(long, conflicts_with = "rollback")]
    check: bool,
    /// Bring back the table before; a second time undoes it
    #[arg(long, conflicts_with = "from")]
    rollback: bool,
    /// Which table
    #[arg(long, value_name = "TABLE", default_value = "all")]
    table: Which,
    /// A URL or a file in place of the configured sources; needs --table
    #[arg(long, value_name = "URL|FILE")]
    from: Option<String>,
    /// Certificates (PEM) to trust in place of the compiled-in ones
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Proxy for HTTPS [default: HTTPS_PROXY, but for the hosts in NO_PROXY]
    #[arg(long, value_name = "URL")]
    proxy: Option<String>,
    /// Program and arguments, parted by spaces, that write what is at a URL to standard output
    #[arg(long, value_name = "COMMAND")]
    fetch_cmd: Option<String>,
    /// Also fetch by plain HTTP, where anybody on the way can change what comes
    #[arg(long)]
    allow_http: bool,
    /// Also take a table that is older than the one in force
    #[arg(long)]
    allow_older: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// `--table`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
enum Which {
    Networks,
    Owners,
    Vendors,
    Suffixes,
    All,
}

impl Which {
    fn kinds(self) -> Vec<TableKind> {
        match self {
            Self::Networks => vec![TableKind::Networks],
            Self::Owners => vec![TableKind::Owners],
            Self::Vendors => vec![TableKind::Vendors],
            Self::Suffixes => vec![TableKind::Suffixes],
            Self::All => Vec::new(),
        }
    }
}

/// Fetches, checks or rolls back, and says what became of each table.
///
/// # Errors
/// When a table could not be brought up to date; the tables in force stay.
pub fn run(args: &Args, out: &mut impl Write) -> anyhow::Result<Outcome> {
    let (file, database) = (args.config.clone(), args.database.clone());
    let mut config = Config::load(&ConfigFlags { config: file, database, ..ConfigFlags::default() })?;
    let given = &mut config.update;
    if let Some(ca) = &args.ca {
        given.ca = Some(ca.clone());
    }
    if let Some(proxy) = &args.proxy {
        given.proxy = Some(proxy.clone());
    }
    if let Some(command) = &args.fetch_cmd {
        given.fetch_cmd = command.split_whitespace().map(str::to_owned).collect();
    }
    let options = Options {
        tables: args.table.kinds(),
        from: args.from.clone(),
        allows_http: args.allow_http,
        allows_older: args.allow_older,
        is_check: args.check,
    };
    let reports =
        if args.rollback { update::roll_back(&config, &options)? } else { update::run(&config, &options)? };
    if args.json {
        let shape = Shape { version: 1, tables: reports.iter().map(TableShape::of).collect() };
        serde_json::to_writer_pretty(&mut *out, &shape).map_err(std::io::Error::from)?;
        writeln!(out)?;
    } else {
        for report in &reports {
            for outcome in report.result.iter().flatten() {
                writeln!(out, "{}: {}", word(report.table), sentence(outcome))?;
            }
        }
        // Other tables are asked when a report is made.
        if reports.iter().any(|report| report.table == TableKind::Networks && changes(report)) {
            writeln!(out, "the daemon reads the new table of networks at its next start")?;
        }
    }
    out.flush()?;
    conclude(reports, args.check)
}

fn changes(report: &Report) -> bool {
    let is_change =
        |o: &update::Outcome| matches!(o, update::Outcome::Updated(_) | update::Outcome::RolledBack { .. });
    report.result.iter().flatten().any(is_change)
}

/// Every failure on a line of its own, the last as the error of the command.
fn conclude(reports: Vec<Report>, is_check: bool) -> anyhow::Result<Outcome> {
    let is_available = |report: &Report| {
        report.result.iter().flatten().any(|o| matches!(o, update::Outcome::Available { .. }))
    };
    let is_any_available = reports.iter().any(is_available);
    let mut failures = reports.into_iter().filter_map(|report| report.result.err());
    if let Some(last) = failures.next_back() {
        for failure in failures {
            eprintln!("telltale: {failure:#}");
        }
        return Err(last);
    }
    Ok(if is_check && !is_any_available { Outcome::Nothing } else { Outcome::Found })
}

fn sentence(outcome: &update::Outcome) -> String {
    match outcome {
        update::Outcome::NoSource => "no source configured".to_owned(),
        update::Outcome::Fresh { from, date: Some(date) } => format!("already fresh, of {date} ({from})"),
        update::Outcome::Fresh { from, date: None } => format!("already fresh ({from})"),
        update::Outcome::Available { from } => format!("there is something to fetch ({from})"),
        update::Outcome::Updated(Change { file, old, new, len, from }) => {
            let mut text = String::new();
            match old {
                Some(old) => _ = write!(text, "{old} -> {new}"),
                None => _ = write!(text, "now of {new}"),
            }
            _ = write!(text, ", {file}, {len} bytes, from {from}");
            text
        }
        update::Outcome::RolledBack { file, old, new } => {
            let shown =
                |date: &Option<jiff::civil::Date>| date.map_or("none".to_owned(), |date| date.to_string());
            format!("{} -> {}, {file}, rolled back", shown(old), shown(new))
        }
    }
}

/// The JSON, whose fields are documented in docs/update.md.
#[derive(Serialize)]
struct Shape {
    version: u32,
    tables: Vec<TableShape>,
}

#[derive(Serialize)]
struct TableShape {
    table: &'static str,
    error: Option<String>,
    files: Vec<FileShape>,
}

#[derive(Default, Serialize)]
struct FileShape {
    status: &'static str,
    file: Option<&'static str>,
    old_date: Option<String>,
    new_date: Option<String>,
    bytes: Option<u64>,
    from: Option<String>,
}

impl TableShape {
    fn of(report: &Report) -> Self {
        Self {
            table: word(report.table),
            error: report.result.as_ref().err().map(|error| format!("{error:#}")),
            files: report.result.iter().flatten().map(FileShape::of).collect(),
        }
    }
}

impl FileShape {
    fn of(outcome: &update::Outcome) -> Self {
        let text = |date: &Option<jiff::civil::Date>| date.map(|date| date.to_string());
        match outcome {
            update::Outcome::NoSource => Self { status: "no_source", ..Self::default() },
            update::Outcome::Fresh { from, date } => {
                Self { status: "fresh", new_date: text(date), from: Some(from.clone()), ..Self::default() }
            }
            update::Outcome::Available { from } => {
                Self { status: "available", from: Some(from.clone()), ..Self::default() }
            }
            update::Outcome::Updated(Change { file, old, new, len, from }) => Self {
                status: "updated",
                file: Some(file),
                old_date: text(old),
                new_date: Some(new.to_string()),
                bytes: Some(*len),
                from: Some(from.clone()),
            },
            update::Outcome::RolledBack { file, old, new } => Self {
                status: "rolled_back",
                file: Some(file),
                old_date: text(old),
                new_date: text(new),
                ..Self::default()
            },
        }
    }
}
