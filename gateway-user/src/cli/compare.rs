//! `telltale compare`: two ranges, or two devices, side by side.

use super::ask::{Asked, DatabaseArg, FilterArgs, Wanted, limit, name_tables};
use super::rank::Rank;
use super::screen::ScreenArgs;
use super::when::{self, RangeArgs};
use super::{Outcome, csv};
use crate::config::{Config, ConfigFlags};
use gateway_core::query::{FlowSum, TimeRange};
use gateway_core::report::amount::{bytes, duration, percent};
use gateway_core::report::compare::{Pair, compare, hundredths};
use gateway_core::report::contacted::{Facts, site_words};
use gateway_core::report::json::{JsonRange, VERSION};
use gateway_core::report::table::{Align, Table, clean};
use gateway_core::report::text::Look;
use gateway_core::report::who::NameFacts;
use gateway_core::units::Volume;
use serde::Serialize;
use std::io::Write;

/// Compares two ranges, or two devices, by destination: what is in one alone, and how much more or less it is in the
/// other.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A range is a day (2026-11-01, today, yesterday), FROM..TO (2026-11-01..2026-11-08), or \"last 7d\".\n\n\
    Examples:\n  telltale compare 2026-11-01 yesterday\n  telltale compare 2026-11-01..2026-11-08 \"last 7d\" --device \
    \"Redmi Note 8\"\n  telltale compare --devices \"Redmi Note 8\" Galaxy-A52 --last 7d\n  telltale compare 2026-11-01 \
    yesterday --where 'up > 1MB' --csv > both.csv"
)]
pub struct Args {
    /// The first range; with --devices, the first device.
    a: String,
    /// The second.
    b: String,
    /// Compare two devices in one range.
    #[arg(long)]
    devices: bool,
    #[command(flatten)]
    database: DatabaseArg,
    /// Which come first: those with the most of this in either.
    #[arg(long, value_enum, default_value_t = Rank::Total)]
    sort: Rank,
    /// Destinations shown, 0 for all. JSON and CSV have all unless this is given.
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

/// One of the two.
struct Side {
    /// As it was asked for.
    said: String,
    range: TimeRange,
    /// How much of the range was measured, and how much could be, nanoseconds.
    measured: (u64, u64),
    total: Volume,
}

/// Runs the command.
///
/// # Errors
/// If the database cannot be read or the output not written.
pub fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    let path = args.database.path()?;
    let ranges = match args.devices {
        true => None,
        false => Some([when::range_of(&args.a)?, when::range_of(&args.b)?]),
    };
    let Some(mut asked) = Asked::of(&path, &args.range)? else { return Ok(Outcome::Nothing) };
    let names = name_tables(&Config::load(&ConfigFlags::default())?, &path)?;
    let look = args.screen.look(0);
    let (mut sides, mut rows, mut lines_of) = (Vec::new(), Vec::new(), None);
    for (place, said) in [&args.a, &args.b].into_iter().enumerate() {
        let mut wanted: Wanted = args.filters.wanted();
        match ranges {
            Some(ranges) => asked.range = ranges[place],
            None => wanted.filter.devices = vec![said.parse()?],
        }
        let picked = asked.picked(&wanted)?;
        let flows = asked.rows(&picked, &names)?;
        let measured = asked.coverage()?;
        if measured.measured_ns == 0 && flows.is_empty() || args.devices && flows.is_empty() {
            super::ask::say(&clean(&asked.why_not(&picked, false, &look)?));
            return Ok(Outcome::Nothing);
        }
        let judged = TimeRange { since: asked.range.since, until: measured.stored_until }.len_ns();
        let total = Volume::default();
        sides.push(Side {
            said: said.clone(),
            range: asked.range,
            measured: (measured.measured_ns, judged),
            total,
        });
        rows.push(flows);
        lines_of = Some(picked);
    }
    let (Some(picked), [first, second]) = (lines_of, rows.as_slice()) else { return Ok(Outcome::Nothing) };
    args.screen.answer(asked, out, |asked, page| {
        let facts_of = |name: &_| NameFacts::of(&names, name);
        let mut pairs = compare(first, second, &mut Facts::new(&facts_of));
        // What is asked of lines is asked of either side: the rest of the line is what it is compared with.
        pairs.retain(|pair| {
            let mut found = [&pair.first, &pair.second].into_iter().flatten();
            found.any(|side| picked.keeps(side.volume, side.conversations))
        });
        let most = |pair: &Pair| {
            let sides = [&pair.first, &pair.second].into_iter().flatten();
            sides.map(|side| args.sort.amount(side.volume, side.conversations)).max()
        };
        pairs.sort_by_key(|pair| core::cmp::Reverse(most(pair)));
        for (side, place) in sides.iter_mut().zip([0, 1]) {
            pairs.iter().for_each(|pair| side.total.add(pair.volumes()[place]));
        }
        let default = if args.json || args.csv { 0 } else { DEFAULT_LINES };
        let limit = limit(args.limit.unwrap_or(default));
        let shown = pairs.get(..limit).unwrap_or(&pairs);
        if args.json {
            print_json(page, &sides, shown)?;
        } else if args.csv {
            print_csv(page, shown)?;
        } else if !pairs.is_empty() {
            print_sides(page, &look, &sides)?;
            print_pairs(page, &look, shown, pairs.len() - shown.len(), picked.remark())?;
        }
        let is_nothing = pairs.is_empty();
        let has_rows = |flows: &[FlowSum]| !flows.is_empty();
        is_nothing.then(|| asked.why_not(&picked, has_rows(first) || has_rows(second), &look)).transpose()
    })
}

fn print_sides(out: &mut dyn Write, look: &Look<'_>, sides: &[Side]) -> anyhow::Result<()> {
    for (letter, side) in ["A", "B"].into_iter().zip(sides) {
        let Side { said, range, measured: (ns, judged), total } = side;
        let (up, down) = (bytes(total.up_bytes, look.is_exact), bytes(total.down_bytes, look.is_exact));
        writeln!(
            out,
            "{letter}: {}, {}: {up} up, {down} down; {} of {} measured",
            clean(said),
            look.span(*range),
            percent(*ns, *judged),
            duration(*judged)
        )?;
    }
    if let [a, b] = sides
        && a.measured.0 != b.measured.0
    {
        writeln!(
            out,
            "A was measured for {}, B for {}: amounts are as counted, not per hour",
            duration(a.measured.0),
            duration(b.measured.0)
        )?;
    }
    writeln!(out)?;
    Ok(())
}

/// B beside A in words.
fn ratio(pair: &Pair) -> String {
    let [a, b] = pair.volumes().map(Volume::bytes);
    match (&pair.first, &pair.second, hundredths(a, b)) {
        (None, _, _) => "only in B".to_owned(),
        (_, None, _) => "only in A".to_owned(),
        (_, _, Some(hundredths)) => format!("{}.{:02} ×", hundredths / 100, hundredths % 100),
        (_, _, None) => "-".to_owned(),
    }
}

fn print_pairs(
    out: &mut dyn Write,
    look: &Look<'_>,
    pairs: &[Pair],
    more: usize,
    remark: Option<String>,
) -> anyhow::Result<()> {
    let mut table = Table::new(&[
        ("destination", Align::Cut(16)),
        ("owner", Align::Cut(8)),
        ("up in A", Align::Right),
        ("in B", Align::Right),
        ("down in A", Align::Right),
        ("in B", Align::Right),
        ("B to A", Align::Right),
    ]);
    for pair in pairs {
        let sides = [&pair.first, &pair.second];
        let said = |of: fn(Volume) -> u64| {
            sides.map(|side| side.as_ref().map_or("-".to_owned(), |s| bytes(of(s.volume), look.is_exact)))
        };
        let ([up_a, up_b], [down_a, down_b]) = (said(|v| v.up_bytes), said(|v| v.down_bytes));
        let owner = pair.owner.clone().unwrap_or_else(|| "-".to_owned());
        table.push(vec![site_words(&pair.site), owner, up_a, up_b, down_a, down_b, ratio(pair)]);
    }
    if more > 0 {
        table.note(&format!("and {more} more (--limit 0 shows all)"));
    }
    remark.iter().for_each(|remark| table.note(remark));
    out.write_all(table.render(0, look.width, look.paint).as_bytes())?;
    Ok(())
}

#[derive(Serialize)]
struct JsonCompare<'a> {
    version: u32,
    a: JsonSide<'a>,
    b: JsonSide<'a>,
    destinations: Vec<JsonPair<'a>>,
}

#[derive(Serialize)]
struct JsonSide<'a> {
    asked: &'a str,
    range: JsonRange,
    measured_seconds: u64,
    judged_seconds: u64,
    total: Volume,
}

#[derive(Serialize)]
struct JsonPair<'a> {
    destination: String,
    owner: Option<&'a str>,
    /// Null where it is not there.
    a: Option<Volume>,
    b: Option<Volume>,
    b_to_a: Option<f64>,
}

fn b_to_a(pair: &Pair) -> Option<f64> {
    let [a, b] = pair.volumes().map(Volume::bytes);
    let hundredths = hundredths(a, b).filter(|_| pair.second.is_some())?;
    Some(hundredths as f64 / 100.0)
}

fn print_json(out: &mut dyn Write, sides: &[Side], pairs: &[Pair]) -> anyhow::Result<()> {
    let [a, b] = sides else { return Ok(()) };
    let side = |side| {
        let Side { said, range, measured: (ns, judged), total }: &Side = side;
        let (measured_seconds, judged_seconds) = (ns / 1_000_000_000, judged / 1_000_000_000);
        JsonSide { asked: said, range: (*range).into(), measured_seconds, judged_seconds, total: *total }
    };
    let pair = |pair| {
        let Pair { site, owner, first, second }: &Pair = pair;
        JsonPair {
            destination: site_words(site),
            owner: owner.as_deref(),
            a: first.as_ref().map(|side| side.volume),
            b: second.as_ref().map(|side| side.volume),
            b_to_a: b_to_a(pair),
        }
    };
    let destinations = pairs.iter().map(pair).collect();
    let shape = JsonCompare { version: VERSION, a: side(a), b: side(b), destinations };
    writeln!(out, "{}", serde_json::to_string_pretty(&shape)?)?;
    Ok(())
}

fn print_csv(out: &mut dyn Write, pairs: &[Pair]) -> anyhow::Result<()> {
    let head = ["destination", "owner", "a_up_bytes", "a_down_bytes", "b_up_bytes", "b_down_bytes", "b_to_a"];
    csv::line(out, &head.map(str::to_owned))?;
    for pair in pairs {
        let Pair { site, owner, first, second } = pair;
        let field = |side: &Option<gateway_core::report::contacted::Contacted>, of: fn(Volume) -> u64| {
            csv::maybe(side.as_ref().map(|side| of(side.volume)))
        };
        csv::line(
            out,
            &[
                site_words(site),
                csv::maybe(owner.as_ref()),
                field(first, |v| v.up_bytes),
                field(first, |v| v.down_bytes),
                field(second, |v| v.up_bytes),
                field(second, |v| v.down_bytes),
                csv::maybe(b_to_a(pair).map(|ratio| format!("{ratio:.2}"))),
            ],
        )?;
    }
    Ok(())
}
