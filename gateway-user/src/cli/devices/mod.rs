//! `telltale devices`: who is in the house, what it is, and what the user calls it.

mod known;
mod list;
mod shape;
mod show;
mod words;

use super::Outcome;
use super::ask::{DatabaseArg, answer, open, say};
use crate::store::{Merged, Reader, Writer};
use anyhow::bail;
use clap::Subcommand;
use gateway_core::enrich::kind::{Confidence, DeviceKind};
use gateway_core::query::{DeviceInfo, DeviceMatch};
use gateway_core::report::text::Look;
use gateway_core::units::Mac;
use known::{Household, Known};
use shape::JsonDevices;
use std::io::Write;
use std::path::Path;

/// Lists the devices that were seen and what they are, labels and merges them.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(
    after_help = "Examples:\n  telltale devices\n  telltale devices show \"Redmi Note 8\"\n  telltale devices label 7c:03:ab:12:34:56 \"Redmi Note 8\"\n  \
    telltale devices label RedmiNote8 --clear\n  \
    telltale devices merge 7c:03:ab:12:34:56 da:a1:19:01:02:03"
)]
pub struct Args {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Lists the devices that were seen.
    List(ListArgs),
    Show(ShowArgs),
    Label(LabelArgs),
    Merge(MergeArgs),
    Unmerge(UnmergeArgs),
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    #[command(flatten)]
    database: DatabaseArg,
    /// Print JSON.
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Print comma-separated values.
    #[arg(long)]
    csv: bool,
}

/// Shows all that is known of a device, and why.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  telltale devices show \"Redmi Note 8\"\n  telltale devices show 7c:03:ab:12:34:56 --json"
)]
struct ShowArgs {
    /// The device: its MAC address, hostname or label.
    device: DeviceMatch,
    #[command(flatten)]
    database: DatabaseArg,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Says that two MAC addresses are one device: from then on everything counts them as one. `telltale devices` tells
/// which may be. Nothing is rewritten; unmerge takes it back.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  telltale devices merge \"Redmi Note 8\" da:a1:19:01:02:03")]
struct MergeArgs {
    /// The device that stays, with its name.
    into: DeviceMatch,
    /// The one that becomes a part of it.
    other: DeviceMatch,
    #[command(flatten)]
    database: DatabaseArg,
}

/// Takes a merged MAC address out of its device again; of the device itself, all that were merged into it.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  telltale devices unmerge da:a1:19:01:02:03\n  telltale devices unmerge \"Redmi Note 8\""
)]
struct UnmergeArgs {
    /// The MAC address, or the device by its name.
    device: DeviceMatch,
    #[command(flatten)]
    database: DatabaseArg,
}

/// Gives a device a name of yours, which every report then uses.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  telltale devices label 7c:03:ab:12:34:56 \"Redmi Note 8\"\n  \
    telltale devices label \"Redmi Note 8\" --clear")]
struct LabelArgs {
    /// The device: its MAC address, hostname or present label.
    device: DeviceMatch,
    /// What you call it.
    #[arg(required_unless_present = "clear", value_parser = label_text)]
    label: Option<String>,
    /// Take the label away.
    #[arg(long, conflicts_with = "label")]
    clear: bool,
    #[command(flatten)]
    database: DatabaseArg,
}

/// Longest label, in characters: it has to fit into a line beside its numbers.
const MAX_LABEL_CHARS: usize = 64;

fn label_text(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("a label has at least one letter; --clear takes one away".to_owned());
    }
    if text.chars().count() > MAX_LABEL_CHARS {
        return Err(format!("a label has at most {MAX_LABEL_CHARS} characters"));
    }
    if text.chars().any(char::is_control) {
        return Err("a label is one line of printable text".to_owned());
    }
    Ok(text.to_owned())
}

/// The devices that are telephones, as far as is known; not on a hint alone.
///
/// # Errors
/// If the database cannot be read.
pub fn phones(reader: &Reader, database: &Path) -> anyhow::Result<std::collections::BTreeSet<Mac>> {
    let is_phone = |known: &Known| {
        let sure = known.verdict.as_ref().filter(|verdict| verdict.confidence > Confidence::Hint);
        sure.is_some_and(|verdict| verdict.kind == Some(DeviceKind::Phone))
    };
    let devices = Household::kinds(reader, database)?.devices;
    Ok(devices.iter().filter(|known| is_phone(known)).map(|known| known.device.mac).collect())
}

/// Runs the command.
///
/// # Errors
/// If the database cannot be read or written, or the output not written.
pub fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    match &args.action {
        None => list(&args.list, out),
        Some(Action::List(args)) => list(args, out),
        Some(Action::Show(args)) => show(args, out),
        Some(Action::Label(args)) => label(args, out),
        Some(Action::Merge(args)) => merge(args, out),
        Some(Action::Unmerge(args)) => unmerge(args, out),
    }
}

fn list(args: &ListArgs, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    let database = args.database.path()?;
    let Some(reader) = open(&database)? else { return Ok(Outcome::Nothing) };
    answer(reader, out, |reader, page| {
        let household = Household::read(reader, &database)?;
        if args.json {
            let shown: Vec<_> = household.devices.iter().collect();
            writeln!(page, "{}", serde_json::to_string_pretty(&JsonDevices::of(&household, &shown))?)?;
        } else if args.csv {
            list::print_csv(page, &household)?;
        } else if !household.devices.is_empty() {
            list::print_text(page, &household)?;
        }
        let nobody = "no device was seen yet: `telltale doctor` tells whether this machine can see any";
        Ok(household.devices.is_empty().then(|| nobody.to_owned()))
    })
}

fn show(args: &ShowArgs, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    let database = args.database.path()?;
    let Some(reader) = open(&database)? else { return Ok(Outcome::Nothing) };
    answer(reader, out, |reader, page| {
        let household = Household::read(reader, &database)?;
        let shown: Vec<_> =
            household.devices.iter().filter(|known| args.device.picks(&known.device)).collect();
        if args.json {
            writeln!(page, "{}", serde_json::to_string_pretty(&JsonDevices::of(&household, &shown))?)?;
        } else {
            for (place, known) in shown.iter().enumerate() {
                if place > 0 {
                    writeln!(page)?;
                }
                show::print_text(page, &household, known)?;
            }
        }
        Ok(shown.is_empty().then(|| not_known(&args.device)))
    })
}

/// What a device is and by what it is told, and why, line by line; for the dossier on it.
///
/// # Errors
/// If the database cannot be read.
pub fn remarks(reader: &Reader, database: &Path, mac: Mac, look: &Look<'_>) -> anyhow::Result<Vec<String>> {
    let household = Household::read(reader, database)?;
    let Some(known) = household.devices.iter().find(|known| known.device.macs().any(|held| held == mac))
    else {
        return Ok(Vec::new());
    };
    let lines = show::identity(&household, known, look).into_iter();
    let mut remarks: Vec<_> = lines.map(|(head, text)| format!("{head}: {text}")).collect();
    let shared = known.shared.iter().flat_map(|shared| shared.because.clone());
    let verdict = known.verdict.iter().flat_map(|verdict| &verdict.because);
    let verdict = verdict.map(|because| {
        let against = if because.is_against { "against it: " } else { "" };
        format!("{against}{} ({})", because.says, because.source)
    });
    remarks.extend(shared.chain(verdict).map(|because| format!("because: {because}")));
    Ok(remarks)
}

fn not_known(device: &DeviceMatch) -> String {
    format!("no device is called {device}: `telltale devices` lists those that are known")
}

/// The one device that is meant; `None`, and it is said, if there is none.
fn one_of(reader: &Reader, device: &DeviceMatch) -> anyhow::Result<Option<DeviceInfo>> {
    let mut picked = reader.devices()?.into_iter().filter(|known| device.picks(known));
    match (picked.next(), picked.count()) {
        (None, _) => {
            say(&not_known(device));
            Ok(None)
        }
        (one, 0) => Ok(one),
        (_, more) => bail!("{} devices are called {device}: say which by its MAC address", more + 1),
    }
}

fn merge(args: &MergeArgs, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    let database = args.database.path()?;
    let Some(reader) = open(&database)? else { return Ok(Outcome::Nothing) };
    let Some(into) = one_of(&reader, &args.into)? else { return Ok(Outcome::Nothing) };
    let Some(other) = one_of(&reader, &args.other)? else { return Ok(Outcome::Nothing) };
    drop(reader);
    match Writer::open(&database)?.merge(into.mac, other.mac)? {
        Merged::Now => {
            writeln!(out, "{} is now a part of {} ({})", other.mac, into.display_name(), into.mac)?;
            writeln!(out, "`telltale devices unmerge {}` takes it back", other.mac)?;
            Ok(Outcome::Found)
        }
        Merged::Before => {
            say("they are one device already");
            Ok(Outcome::Nothing)
        }
        Merged::NeverSeen(mac) => bail!("merge {mac}: it was never seen"),
    }
}

fn unmerge(args: &UnmergeArgs, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    let database = args.database.path()?;
    let Some(reader) = open(&database)? else { return Ok(Outcome::Nothing) };
    let mac = match &args.device {
        DeviceMatch::Mac(mac) => *mac,
        called @ DeviceMatch::Called(_) => match one_of(&reader, called)? {
            Some(device) => device.mac,
            None => return Ok(Outcome::Nothing),
        },
    };
    drop(reader);
    let count = Writer::open(&database)?.unmerge(mac)?;
    if count == 0 {
        say(&format!("{mac} is merged with nobody"));
        return Ok(Outcome::Nothing);
    }
    writeln!(
        out,
        "{} for itself again",
        if count == 1 { "1 MAC address stands".to_owned() } else { format!("{count} MAC addresses stand") }
    )?;
    Ok(Outcome::Found)
}

fn label(args: &LabelArgs, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    let LabelArgs { device, label, clear: _, database } = args;
    let Some(reader) = open(&database.path()?)? else { return Ok(Outcome::Nothing) };
    let picked: Vec<_> = reader.devices()?.into_iter().filter(|known| device.picks(known)).collect();
    drop(reader);
    let macs: Vec<Mac> = match (picked.as_slice(), device) {
        // A label that is taken away is taken from its parts too, or one of theirs would come forth.
        ([one], _) if label.is_none() => one.macs().collect(),
        ([one], _) => vec![one.mac],
        // A device may get its label before it is first seen.
        ([], DeviceMatch::Mac(mac)) => vec![*mac],
        ([], DeviceMatch::Called(name)) => {
            say(&format!("no device is called {name}: `telltale devices` lists those that are known"));
            return Ok(Outcome::Nothing);
        }
        (several, _) => {
            bail!("{} devices are called {device}: say which by its MAC address", several.len())
        }
    };
    let mut writer = Writer::open(&database.path()?)?;
    for mac in &macs {
        writer.set_label(*mac, label.as_deref())?;
    }
    let Some(mac) = macs.first() else { return Ok(Outcome::Nothing) };
    match label {
        Some(label) => writeln!(out, "{mac} is now called {label}")?,
        None => writeln!(out, "{mac} has no label now")?,
    }
    Ok(Outcome::Found)
}
