//! `telltale db`: looks after the database as a whole.

use super::Outcome;
use super::ask::{DatabaseArg, say};
use crate::store::{self, Forgotten, Reader, Rows, Status};
use anyhow::{Context, bail, ensure};
use gateway_core::query::{DeviceMatch, Filter, NameMatch};
use gateway_core::report::amount::bytes;
use serde::Serialize;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

/// Looks after the database: what is in it, shrinking, copying, checking, forgetting.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  telltale db status
  telltale db verify --json
  telltale db backup /media/usb/telltale.db
  telltale db forget 'Redmi Note 8'
  telltale db forget '*.example.com' --yes")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// What the database holds, and how large it is
    #[command(after_help = "Examples:\n  telltale db status\n  telltale db status --json")]
    Status(Read),
    /// Checks the file, and that every byte that was seen is accounted for; exit code 2 if not
    #[command(after_help = "Examples:\n  telltale db verify")]
    Verify(Read),
    /// Writes the file anew, without free pages; needs room for a second copy
    #[command(after_help = "Examples:\n  telltale db vacuum")]
    Vacuum {
        #[command(flatten)]
        database: DatabaseArg,
    },
    /// Copies the database while it is being written
    #[command(after_help = "Examples:\n  telltale db backup /media/usb/telltale.db")]
    Backup {
        /// The copy; it must not exist
        #[arg(value_name = "FILE")]
        target: PathBuf,
        #[command(flatten)]
        database: DatabaseArg,
    },
    /// Removes all that is known of a device or of a name, for good
    #[command(after_help = "Examples:
  telltale db forget 'Redmi Note 8'              its rows, names, addresses, answers
  telltale db forget 7c:03:ab:12:34:56 --yes
  telltale db forget data.mistat.xiaomi.com      what any device had under this name
  telltale db forget '*.xiaomi.com'              the same for it and all below

How much it was stays in the ledger, as \"forgotten\". A device that goes on talking is known again.")]
    Forget {
        /// A device (label, hostname or MAC address), or a name; a device is looked for first
        #[arg(value_name = "DEVICE|NAME")]
        what: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        database: DatabaseArg,
    },
}

#[derive(Debug, clap::Args)]
struct Read {
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: DatabaseArg,
}

/// Runs the command.
///
/// # Errors
/// If the database cannot be read or written, or is not whole.
pub fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    match &args.command {
        Command::Status(read) => status(read, out),
        Command::Verify(read) => verify(read, out),
        Command::Vacuum { database } => {
            let path = database.path()?;
            open(&path)?;
            let before = size(&path);
            store::vacuum(&path)?;
            writeln!(
                out,
                "{}: {} before, {} now",
                path.display(),
                bytes(before, false),
                bytes(size(&path), false)
            )?;
            Ok(Outcome::Found)
        }
        Command::Backup { target, database } => {
            store::backup(&database.path()?, target)?;
            writeln!(out, "{}: {}", target.display(), bytes(size(target), false))?;
            Ok(Outcome::Found)
        }
        Command::Forget { what, yes, database } => forget(&database.path()?, what, *yes, out),
    }
}

fn open(path: &Path) -> anyhow::Result<Reader> {
    Reader::open(path)?
        .with_context(|| format!("find a database at {}: `telltale run` makes it", path.display()))
}

fn size(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |file| file.len())
}

fn status(read: &Read, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    let path = read.database.path()?;
    let status = open(&path)?.status()?;
    if read.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&status)?)?;
        return Ok(Outcome::Found);
    }
    let Status { schema, bytes: used, free_bytes, rows, expired_intervals } = status;
    writeln!(out, "{}", path.display())?;
    writeln!(out, "  size      {}, of which {} are free", bytes(used, false), bytes(free_bytes, false))?;
    writeln!(out, "  schema    {schema}")?;
    for (what, Rows { intervals, rows }) in ["by drain", "by hour", "by day"].into_iter().zip(rows) {
        writeln!(out, "  {what:<9} {rows} rows in {intervals} intervals")?;
    }
    if expired_intervals > 0 {
        writeln!(out, "  expired   {expired_intervals} intervals of which the ledger alone is kept")?;
    }
    Ok(Outcome::Found)
}

#[derive(Serialize)]
struct Verified {
    is_whole: bool,
    faults: Vec<String>,
}

fn verify(read: &Read, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    let path = read.database.path()?;
    let faults = open(&path)?.faults()?;
    if read.json {
        let verified = Verified { is_whole: faults.is_empty(), faults: faults.clone() };
        writeln!(out, "{}", serde_json::to_string_pretty(&verified)?)?;
    } else {
        for fault in &faults {
            writeln!(out, "{fault}")?;
        }
    }
    if !faults.is_empty() {
        out.flush()?;
        bail!("the database {} is not whole: {} faults", path.display(), faults.len());
    }
    if !read.json {
        writeln!(out, "{}: whole, and every byte that was seen is accounted for", path.display())?;
    }
    Ok(Outcome::Found)
}

fn forget(path: &Path, what: &str, yes: bool, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    let reader = open(path)?;
    let device: DeviceMatch = what.parse()?;
    let is_device = reader.devices()?.iter().any(|known| device.picks(known));
    let name = what.parse::<NameMatch>().ok();
    let filter = match (&name, is_device) {
        (_, true) => Filter { devices: vec![device.clone()], ..Filter::default() },
        (Some(name), false) => Filter { names: vec![name.clone()], ..Filter::default() },
        (None, false) => {
            say(&format!("there is no device {what:?}, and it is no name: nothing is forgotten"));
            return Ok(Outcome::Nothing);
        }
    };
    let volume: u64 =
        reader.flows(gateway_core::query::TimeRange::EVER, &filter)?.iter().map(|f| f.volume.bytes()).sum();
    // It would keep the log from being emptied.
    drop(reader);
    if !yes {
        ensure!(
            std::io::stdin().is_terminal(),
            "forget {what}: what is forgotten is gone for good; say --yes where nobody can be asked"
        );
        write!(out, "Forget {filter}, with {} of traffic, for good? [y/N] ", bytes(volume, false))?;
        out.flush()?;
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer).context("read the answer")?;
        if !matches!(answer.trim(), "y" | "Y" | "yes") {
            say("nothing is forgotten");
            return Ok(Outcome::Nothing);
        }
    }
    let done = match name {
        Some(name) if !is_device => store::forget_name(path, &name)?,
        _ => store::forget_device(path, &device)?,
    };
    if done == Forgotten::default() {
        say(&format!("nothing is known of {what}"));
        return Ok(Outcome::Nothing);
    }
    let Forgotten { devices, names, rows } = done;
    writeln!(out, "forgotten: {devices} devices, {names} names, {rows} rows ({})", bytes(volume, false))?;
    Ok(Outcome::Found)
}
