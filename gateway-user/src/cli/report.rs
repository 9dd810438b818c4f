//! `telltale report`: what each device exchanged with whom, in a page.

use super::Outcome;
use super::alert::{AlertArgs, Line};
use super::ask::{Asked, DatabaseArg, DeviceArg, Picked, QuestionArgs, Wanted, limit, name_tables};
use super::rank::Rank;
use super::screen::ScreenArgs;
use super::when::RangeArgs;
use crate::config::{Config, ConfigFlags};
use core::cmp::Reverse;
use gateway_core::enrich::names::NameTables;
use gateway_core::query::FlowSum;
use gateway_core::report::build::{Input, build, who_of};
use gateway_core::report::json::json;
use gateway_core::report::model::{DeviceReport, Report};
use gateway_core::report::text::{Look, text};
use gateway_core::report::who::NameFacts;
use gateway_core::row::RowKind;
use gateway_core::units::Volume;
use std::collections::BTreeMap;
use std::io::Write;

/// Prints the summary of a day or any range: what each device sent, to whom, and how much.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  telltale report\n  telltale report --day yesterday\n  telltale report --last 7d \
    --device \"Redmi Note 8\"\n  telltale report --where 'purpose = telemetry and up > 10kB'\n  telltale report --device \"Redmi Note 8\" --day today --alert 'up > 1GB'\n  telltale report --day 2026-11-22 --json > evidence.json"
)]
pub struct Args {
    #[command(flatten)]
    database: DatabaseArg,
    #[command(flatten)]
    device: DeviceArg,
    #[command(flatten)]
    question: QuestionArgs,
    /// Which come first, of devices and of each one's destinations: those with the most of this.
    #[arg(long, value_enum, default_value_t = Rank::Up)]
    sort: Rank,
    /// Destinations shown per device, 0 for all; the others are added up.
    #[arg(long, default_value_t = DESTINATIONS)]
    limit: usize,
    /// Print JSON, with every destination.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    screen: ScreenArgs,
    #[command(flatten)]
    range: RangeArgs,
    #[command(flatten)]
    alert: AlertArgs,
}

/// Destinations shown per device unless asked for more: a household's report stays within a few pages.
const DESTINATIONS: usize = 15;

/// Runs the command.
///
/// # Errors
/// If the database cannot be read or the output not written.
pub fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    let path = args.database.path()?;
    let Some(asked) = Asked::of(&path, &args.range)? else { return Ok(Outcome::Nothing) };
    let names = name_tables(&Config::load(&ConfigFlags::default())?, &path)?;
    let wanted = args.question.wanted(args.device.filter());
    let look = args.screen.look(limit(args.limit));
    if let Some(alert) = &args.alert.alert {
        let picked = asked.picked(&wanted)?;
        let devices = make(&asked, &names, &picked)?.devices;
        let line = |device: &DeviceReport| Line {
            said: device.name.clone(),
            volume: device.routed,
            conversations: device.destinations.iter().map(|d| d.conversations).sum(),
        };
        return alert.ring(&asked, &picked, &devices.iter().map(line).collect::<Vec<_>>(), &look, out);
    }
    args.screen.answer(asked, out, |asked, page| print(asked, &names, &wanted, args, &look, page))
}

fn print(
    asked: &Asked,
    names: &NameTables,
    wanted: &Wanted,
    args: &Args,
    look: &Look<'_>,
    page: &mut Vec<u8>,
) -> anyhow::Result<Option<String>> {
    let picked = asked.picked(wanted)?;
    let mut report = make(asked, names, &picked)?;
    // They are by upload already, and by the rest among equals.
    if args.sort != Rank::Up {
        sort(&mut report, args.sort);
    }
    let was_measured = !asked.reader.counted(asked.range)?.is_empty();
    // A range that nobody measured has no report; one that was measured and quiet has.
    if args.json {
        page.extend_from_slice(json(&report)?.as_bytes());
    } else if was_measured && (picked.filter.is_empty() || !report.devices.is_empty()) {
        page.extend_from_slice(text(&report, look).as_bytes());
    }
    report.devices.is_empty().then(|| asked.why_not(&picked, false, look)).transpose()
}

fn sort(report: &mut Report, by: Rank) {
    let conversations = |device: &DeviceReport| device.destinations.iter().map(|d| d.conversations).sum();
    report.devices.sort_by_key(|device| Reverse(by.amount(device.routed, conversations(device))));
    for device in &mut report.devices {
        device.destinations.sort_by_key(|d| Reverse(by.amount(d.volume, d.conversations)));
    }
}

/// The report that answers a question.
///
/// # Errors
/// If the database cannot be read.
pub fn make(asked: &Asked, names: &NameTables, picked: &Picked) -> anyhow::Result<Report> {
    let Asked { reader, range, now, extent: _ } = asked;
    let input = Input {
        range: *range,
        now: *now,
        filter: picked.filter.clone(),
        counted: reader.counted(*range)?,
        latest: reader.latest(*now)?,
        undated_elsewhere: reader.undated_elsewhere(*range)?,
        unhooked_intervals: reader.unhooked_intervals(*range)?,
        devices: reader.devices()?,
        flows: kept(asked.rows(picked, names)?, picked),
        stored: reader.stored(*range)?,
        ledger: reader.ledger(*range)?,
        aliases: reader.aliases()?,
        tables_dates: reader.tables_dates()?,
        owners_date: names.as_of().map(|date| date.to_string()).unwrap_or_default(),
    };
    Ok(build(input, &|name| NameFacts::of(names, name)))
}

/// The rows of the lines that meet what is asked of lines. A report's lines are the destinations of each device; what
/// stayed in the house and what has no peer is on none of them.
fn kept(mut flows: Vec<FlowSum>, picked: &Picked) -> Vec<FlowSum> {
    if !picked.asks_of_lines() {
        return flows;
    }
    flows.retain(|flow| matches!(flow.key.kind, RowKind::Flow | RowKind::LaterFragments));
    let line_of = |flow: &FlowSum| (flow.key.device, who_of(flow));
    let mut lines = BTreeMap::<_, (Volume, u64)>::new();
    for flow in &flows {
        let (volume, conversations) = lines.entry(line_of(flow)).or_default();
        volume.add(flow.volume);
        *conversations = conversations.saturating_add(flow.conversations);
    }
    lines.retain(|_, (volume, conversations)| picked.keeps(*volume, *conversations));
    flows.retain(|flow| lines.contains_key(&line_of(flow)));
    flows
}
