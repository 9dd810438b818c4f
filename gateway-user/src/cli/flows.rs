//! `telltale flows`: the rows themselves, those of a range with one key added up.

use super::ask::{Asked, DatabaseArg, FilterArgs, Picked, limit, name_tables};
use super::rank::Rank;
use super::screen::ScreenArgs;
use super::when::RangeArgs;
use super::{Outcome, csv};
use crate::config::{Config, ConfigFlags};
use gateway_core::application::Application;
use gateway_core::enrich::names::NameTables;
use gateway_core::query::{DeviceInfo, FlowSum, protocol_word};
use gateway_core::report::amount::bytes;
use gateway_core::report::civil::Civil;
use gateway_core::report::json::{JsonRange, VERSION, kind_word};
use gateway_core::report::sureness::{evidence_cell, legend, shown_marks};
use gateway_core::report::table::{Align, Table};
use gateway_core::report::text::{COARSE_WORDS, Look, NOT_KEPT};
use gateway_core::row::{Marks, OpenedBy, RowKind};
use gateway_core::units::{DomainName, Mac, Volume};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write;

/// Lists who exchanged what with whom: one line per device, peer, port, protocol and name.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  telltale flows --country RU --country SG\n  telltale flows --name '*.xiaomi.com' \
    --last 7d\n  telltale flows --evidence none --port 443 --json\n  telltale flows --uncovered\n  telltale flows --where 'not named and up > 100kB and country != DE'\n  telltale flows --day yesterday --csv > flows.csv"
)]
pub struct Args {
    #[command(flatten)]
    database: DatabaseArg,
    /// Which come first: those with the most of this.
    #[arg(long, value_enum, default_value_t = Rank::Total)]
    sort: Rank,
    /// Lines shown, largest first, 0 for all. JSON and CSV have all unless this is given.
    #[arg(long)]
    limit: Option<usize>,
    /// Print JSON.
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Print comma-separated values.
    #[arg(long)]
    csv: bool,
    #[command(flatten)]
    screen: ScreenArgs,
    #[command(flatten)]
    range: RangeArgs,
    #[command(flatten)]
    filters: FilterArgs,
}

/// Lines on a screen unless asked for more.
const DEFAULT_LINES: usize = 50;

/// Runs the command.
///
/// # Errors
/// If the database cannot be read or the output not written.
pub fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    let path = args.database.path()?;
    let Some(asked) = Asked::of(&path, &args.range)? else { return Ok(Outcome::Nothing) };
    let wanted = args.filters.wanted();
    let names = if wanted.question.needs_names() {
        name_tables(&Config::load(&ConfigFlags::default())?, &path)?
    } else {
        NameTables::default()
    };
    args.screen.answer(asked, out, |asked, page| {
        let picked = asked.picked(&wanted)?;
        let mut flows = asked.rows(&picked, &names)?;
        flows.retain(|flow| picked.keeps(flow.volume, flow.conversations));
        // They come in order of their keys, and this sort keeps that among equals.
        flows.sort_by_key(|flow| std::cmp::Reverse(args.sort.amount(flow.volume, flow.conversations)));
        let devices = asked.reader.devices()?.into_iter();
        let devices: BTreeMap<Mac, String> =
            devices.map(|device: DeviceInfo| (device.mac, device.display_name())).collect();
        let default = if args.json || args.csv { 0 } else { DEFAULT_LINES };
        let limit = limit(args.limit.unwrap_or(default));
        let shown = flows.get(..limit).unwrap_or(&flows);
        let look = args.screen.look(0);
        if args.json {
            let flows = shown.iter().map(|flow| Shape::of(flow, &devices)).collect();
            let filter = (!picked.filter.is_empty()).then(|| picked.filter.to_string());
            let shape = JsonFlows { version: VERSION, range: asked.range.into(), filter, flows };
            writeln!(page, "{}", serde_json::to_string_pretty(&shape)?)?;
        } else if args.csv {
            csv::line(page, &CSV_HEAD.map(str::to_owned))?;
            for flow in shown {
                csv::line(page, &csv_fields(Shape::of(flow, &devices)))?;
            }
        } else if !flows.is_empty() {
            let list =
                List { flows: shown, more: flows.len() - shown.len(), devices: &devices, picked: &picked };
            print_text(page, &look, &list)?;
        }
        flows.is_empty().then(|| asked.why_not(&picked, false, &look)).transpose()
    })
}

struct List<'a> {
    flows: &'a [FlowSum],
    /// How many are not shown.
    more: usize,
    devices: &'a BTreeMap<Mac, String>,
    picked: &'a Picked,
}

fn print_text(out: &mut dyn Write, look: &Look<'_>, list: &List<'_>) -> anyhow::Result<()> {
    let List { flows, more, devices, picked } = *list;
    let mut table = Table::new(&[
        ("device", Align::Cut(12)),
        ("contacted", Align::Name(28)),
        ("peer", Align::Beneath(39)),
        ("service", Align::Beneath(11)),
        ("up", Align::Right),
        ("down", Align::Right),
        ("conv.", Align::Right),
        ("evidence", Align::Beneath(8)),
        ("network", Align::Beneath(16)),
        ("country", Align::Beneath(7)),
    ]);
    for flow in flows {
        table.push(text_cells(flow, devices, look));
    }
    if more > 0 {
        table.note(&format!("and {more} more (--limit 0 shows all)"));
    }
    if flows.iter().any(|flow| flow.key.kind == RowKind::Coarse) {
        table.note(COARSE_WORDS);
    }
    for line in legend(flows.iter().map(|flow| shown_marks(&flow.key))) {
        table.note(&line);
    }
    if let Some(remark) = picked.remark() {
        table.note(&remark);
    }
    out.write_all(table.render(0, look.width, look.paint).as_bytes())?;
    Ok(())
}

fn text_cells(flow: &FlowSum, devices: &BTreeMap<Mac, String>, look: &Look<'_>) -> Vec<String> {
    let FlowSum { key, network, volume, conversations, .. } = flow;
    let peer = match key.kind {
        RowKind::Coarse => "unknown: tables were full".to_owned(),
        // At a privacy level, or a row that is kept by the day.
        _ if key.peer.is_unspecified() => "not kept".to_owned(),
        RowKind::Flow | RowKind::LaterFragments | RowKind::Local => key.peer.to_string(),
    };
    let protocol = protocol_word(key.protocol);
    let service = match (key.kind, key.port) {
        _ if key.marks.has(Marks::WITHHELD) && key.protocol == 0 => "-".to_owned(),
        (RowKind::LaterFragments, _) => format!("{protocol} fragments"),
        (_, 0) => protocol,
        // The port is the device's own where the peer opened.
        (_, port) if key.opened_by == OpenedBy::Peer => format!("{protocol}/{port} of the device"),
        (_, port) => format!("{protocol}/{port}"),
    };
    let service = match key.application {
        Application::Unknown => service,
        application => format!("{service} {}", application.word()),
    };
    let organisation = network.organisation.as_deref().unwrap_or_default();
    let network_words = network.asn.map_or_else(String::new, |asn| format!("AS{asn} "));
    let dash = |text: String| if text.is_empty() { "-".to_owned() } else { text };
    let contacted = match (&key.name, key.kind) {
        (None, RowKind::Flow | RowKind::LaterFragments) if key.marks.has(Marks::WITHHELD) => {
            NOT_KEPT.to_owned()
        }
        (None, RowKind::Local) => "(in the house)".to_owned(),
        (Some(name), RowKind::Local) => format!("{name} (in the house)"),
        (name, _) => dash(name.as_ref().map_or_else(String::new, ToString::to_string)),
    };
    vec![
        device_name(devices, key.device),
        contacted,
        peer,
        service,
        bytes(volume.up_bytes, look.is_exact),
        bytes(volume.down_bytes, look.is_exact),
        if key.kind == RowKind::Coarse { "?".to_owned() } else { conversations.to_string() },
        evidence_cell(key.evidence, shown_marks(key)),
        dash(format!("{network_words}{organisation}").trim_end().to_owned()),
        dash(network.country.map_or_else(String::new, |c| c.to_string())),
    ]
}

fn device_name(devices: &BTreeMap<Mac, String>, mac: Mac) -> String {
    devices.get(&mac).cloned().unwrap_or_else(|| DeviceInfo::unknown(mac).display_name())
}

#[derive(Serialize)]
struct JsonFlows {
    version: u32,
    range: JsonRange,
    filter: Option<String>,
    flows: Vec<Shape>,
}

/// A row as programs get it.
#[derive(Serialize)]
struct Shape {
    device: String,
    device_name: String,
    kind: &'static str,
    peer: Option<String>,
    port: Option<u16>,
    protocol: u8,
    opened_by: Option<&'static str>,
    name: Option<String>,
    evidence: &'static str,
    marks: Vec<&'static str>,
    application: &'static str,
    answer_secs: Option<u32>,
    asn: Option<u32>,
    organisation: Option<String>,
    country: Option<String>,
    #[serde(flatten)]
    volume: Volume,
    conversations: Option<u64>,
    first_at: String,
    last_at: String,
}

impl Shape {
    fn of(flow: &FlowSum, devices: &BTreeMap<Mac, String>) -> Self {
        let FlowSum { key, network, volume, conversations, first_at, last_at, oldest_answer_secs } = flow;
        Self {
            device: key.device.to_string(),
            device_name: device_name(devices, key.device),
            kind: kind_word(key.kind),
            peer: (key.kind != RowKind::Coarse && !key.peer.is_unspecified()).then(|| key.peer.to_string()),
            port: (key.port != 0).then_some(key.port),
            protocol: key.protocol,
            opened_by: match key.opened_by {
                OpenedBy::Unknown => None,
                OpenedBy::Device => Some("device"),
                OpenedBy::Peer => Some("peer"),
            },
            name: key.name.as_ref().map(DomainName::to_string),
            evidence: key.evidence.word(),
            marks: shown_marks(key).words().collect(),
            application: key.application.word(),
            answer_secs: *oldest_answer_secs,
            asn: network.asn,
            organisation: network.organisation.clone(),
            country: network.country.map(|c| c.to_string()),
            volume: *volume,
            conversations: (key.kind != RowKind::Coarse).then_some(*conversations),
            first_at: Civil::utc(*first_at),
            last_at: Civil::utc(*last_at),
        }
    }
}

const CSV_HEAD: [&str; 22] = [
    "device",
    "device_name",
    "kind",
    "peer",
    "port",
    "protocol",
    "opened_by",
    "name",
    "evidence",
    "marks",
    "application",
    "answer_secs",
    "asn",
    "organisation",
    "country",
    "up_bytes",
    "down_bytes",
    "up_packets",
    "down_packets",
    "conversations",
    "first_at",
    "last_at",
];

fn csv_fields(shape: Shape) -> [String; 22] {
    let Shape { device, device_name, kind, peer, port, protocol, opened_by, name, evidence, marks, .. } =
        shape;
    let Shape { application, answer_secs, .. } = shape;
    let Shape { asn, organisation, country, volume, conversations, first_at, last_at, .. } = shape;
    let Volume { up_bytes, down_bytes, up_packets, down_packets } = volume;
    [
        device,
        device_name,
        kind.to_owned(),
        csv::maybe(peer),
        csv::maybe(port),
        protocol.to_string(),
        csv::maybe(opened_by),
        csv::maybe(name),
        evidence.to_owned(),
        marks.join(" "),
        application.to_owned(),
        csv::maybe(answer_secs),
        csv::maybe(asn),
        csv::maybe(organisation),
        csv::maybe(country),
        up_bytes.to_string(),
        down_bytes.to_string(),
        up_packets.to_string(),
        down_packets.to_string(),
        csv::maybe(conversations),
        first_at,
        last_at,
    ]
}
