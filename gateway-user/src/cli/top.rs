//! `telltale top`: rankings.

use super::alert::{AlertArgs, Line};
use super::ask::{Asked, DatabaseArg, FilterArgs, Picked, limit, name_tables};
use super::rank::Rank;
use super::screen::ScreenArgs;
use super::when::RangeArgs;
use super::{Outcome, csv};
use crate::config::{Config, ConfigFlags};
use gateway_core::enrich::names::NameTables;
use gateway_core::report::amount::{bytes, percent};
use gateway_core::report::json::{JsonRange, VERSION};
use gateway_core::report::table::{Align, Table};
use gateway_core::report::text::{COARSE_WORDS, Look};
use gateway_core::report::top::{By, TopLine, TopOf, top};
use gateway_core::report::who::NameFacts;
use gateway_core::row::RowKind;
use gateway_core::units::{DomainName, Volume};
use serde::Serialize;
use std::io::Write;

/// Ranks devices, names, networks, countries, owners or purposes by what was exchanged with them.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  telltale top names --device \"Redmi Note 8\" --by up\n  telltale top countries \
    --last 7d --limit 5\n  telltale top owners --by up\n  telltale top purposes --device \"Redmi Note 8\"\n  telltale top \
    names --where 'owner = xiaomi and up > 1MB and night'\n  telltale top owners --day today --alert 'up > 1GB'\n  telltale top networks --csv > networks.csv"
)]
pub struct Args {
    /// What to rank.
    #[arg(value_enum)]
    of: Of,
    #[command(flatten)]
    database: DatabaseArg,
    /// What counts.
    #[arg(long, visible_alias = "sort", value_enum, default_value_t = Rank::Total)]
    by: Rank,
    /// Places shown, 0 for all.
    #[arg(long, default_value_t = 20)]
    limit: usize,
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
    #[command(flatten)]
    alert: AlertArgs,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Of {
    Devices,
    Names,
    Networks,
    Countries,
    Owners,
    Purposes,
}

/// Runs the command.
///
/// # Errors
/// If the database cannot be read or the output not written.
pub fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    let path = args.database.path()?;
    let Some(asked) = Asked::of(&path, &args.range)? else { return Ok(Outcome::Nothing) };
    let wanted = args.filters.wanted();
    let names = if matches!(args.of, Of::Owners | Of::Purposes) || wanted.question.needs_names() {
        name_tables(&Config::load(&ConfigFlags::default())?, &path)?
    } else {
        NameTables::default()
    };
    let (of, title) = match args.of {
        Of::Devices => (TopOf::Devices, "device"),
        Of::Names => (TopOf::Names, "name"),
        Of::Networks => (TopOf::Networks, "network"),
        Of::Countries => (TopOf::Countries, "country"),
        Of::Owners => (TopOf::Owners, "owner"),
        Of::Purposes => (TopOf::Purposes, "purpose"),
    };
    let by = args.by.by();
    if let Some(alert) = &args.alert.alert {
        let picked = asked.picked(&wanted)?;
        let flows = asked.destinations(&picked, &names)?;
        let facts_of = |name: &DomainName| NameFacts::of(&names, name);
        let lines = top(of, by, &flows, &asked.reader.devices()?, &facts_of).into_iter();
        let kept = lines.filter(|line| picked.keeps(line.volume, line.conversations));
        let lines: Vec<_> = kept
            .map(|TopLine { said, volume, conversations, .. }| Line { said, volume, conversations })
            .collect();
        return alert.ring(&asked, &picked, &lines, &args.screen.look(0), out);
    }
    args.screen.answer(asked, out, |asked, page| {
        let picked = asked.picked(&wanted)?;
        let flows = asked.destinations(&picked, &names)?;
        let facts_of = |name: &DomainName| NameFacts::of(&names, name);
        let mut lines = top(of, by, &flows, &asked.reader.devices()?, &facts_of);
        let total = lines.iter().map(|line| line.amount(by)).sum();
        let is_all_local = lines.is_empty() && !flows.is_empty();
        lines.retain(|line| picked.keeps(line.volume, line.conversations));
        let limit = limit(args.limit);
        let look = args.screen.look(0);
        let shown = lines.get(..limit).unwrap_or(&lines);
        if args.json {
            print_json(page, asked, title, &picked, shown)?;
        } else if args.csv {
            print_csv(page, title, shown)?;
        } else if !lines.is_empty() {
            let coarse = flows.iter().filter(|f| f.key.kind == RowKind::Coarse).map(|f| f.volume.bytes());
            let remark = picked.remark();
            let ranking = Ranking {
                title,
                by,
                lines: &lines,
                limit,
                total,
                coarse: coarse.sum(),
                remark: remark.as_deref(),
            };
            print_text(page, &look, &ranking)?;
        }
        lines.is_empty().then(|| asked.why_not(&picked, is_all_local, &look)).transpose()
    })
}

struct Ranking<'a> {
    title: &'static str,
    by: By,
    lines: &'a [TopLine],
    limit: usize,
    /// What all lines have together, those included that the question leaves out.
    total: u64,
    /// Bytes of rows without a peer among them.
    coarse: u64,
    /// What was asked.
    remark: Option<&'a str>,
}

fn print_text(out: &mut dyn Write, look: &Look<'_>, ranking: &Ranking<'_>) -> anyhow::Result<()> {
    let Ranking { title, by, lines, limit, total, coarse, remark } = *ranking;
    let right = Align::Right;
    let share = match by {
        By::Total => "of all",
        By::Up => "of all up",
        By::Down => "of all down",
        By::Packets => "of all packets",
        By::Conversations => "of all conv.",
    };
    let mut table = Table::new(&[
        (title, Align::Name(20)),
        ("up", right),
        ("down", right),
        (share, right),
        ("conv.", right),
        ("devices", right),
    ]);
    for line in lines.iter().take(limit) {
        let TopLine { id: _, said, volume, conversations, device_count } = line;
        table.push(vec![
            said.clone(),
            bytes(volume.up_bytes, look.is_exact),
            bytes(volume.down_bytes, look.is_exact),
            percent(line.amount(by), total),
            conversations.to_string(),
            device_count.to_string(),
        ]);
    }
    if lines.len() > limit {
        table.note(&format!("and {} more (--limit 0 shows all)", lines.len() - limit));
    }
    if coarse > 0 {
        let coarse = bytes(coarse, look.is_exact);
        table.note(&format!("{coarse} of this: {COARSE_WORDS}"));
    }
    if let Some(remark) = remark {
        table.note(remark);
    }
    out.write_all(table.render(0, look.width, look.paint).as_bytes())?;
    Ok(())
}

#[derive(Serialize)]
struct JsonTop<'a> {
    version: u32,
    range: JsonRange,
    filter: Option<String>,
    of: &'a str,
    lines: Vec<JsonLine<'a>>,
}

#[derive(Serialize)]
struct JsonLine<'a> {
    id: Option<&'a str>,
    text: &'a str,
    #[serde(flatten)]
    volume: Volume,
    conversations: u64,
    devices: usize,
}

fn print_json(
    out: &mut dyn Write,
    asked: &Asked,
    of: &str,
    picked: &Picked,
    lines: &[TopLine],
) -> anyhow::Result<()> {
    let line = |line| {
        let TopLine { id, said, volume, conversations, device_count }: &TopLine = line;
        JsonLine {
            id: id.as_deref(),
            text: said,
            volume: *volume,
            conversations: *conversations,
            devices: *device_count,
        }
    };
    let lines = lines.iter().map(line).collect();
    let filter = (!picked.filter.is_empty()).then(|| picked.filter.to_string());
    let top = JsonTop { version: VERSION, range: asked.range.into(), filter, of, lines };
    writeln!(out, "{}", serde_json::to_string_pretty(&top)?)?;
    Ok(())
}

fn print_csv(out: &mut dyn Write, title: &str, lines: &[TopLine]) -> anyhow::Result<()> {
    let head =
        ["id", title, "up_bytes", "down_bytes", "up_packets", "down_packets", "conversations", "devices"];
    csv::line(out, &head.map(str::to_owned))?;
    for TopLine { id, said, volume, conversations, device_count } in lines {
        let Volume { up_bytes, down_bytes, up_packets, down_packets } = volume;
        csv::line(
            out,
            &[
                csv::maybe(id.as_ref()),
                said.clone(),
                up_bytes.to_string(),
                down_bytes.to_string(),
                up_packets.to_string(),
                down_packets.to_string(),
                conversations.to_string(),
                device_count.to_string(),
            ],
        )?;
    }
    Ok(())
}
