//! `telltale timeline`: volume by hour or day.

use super::ask::{Asked, DatabaseArg, FilterArgs, limit, name_tables};
use super::screen::ScreenArgs;
use super::when::{self, RangeArgs};
use super::{Outcome, csv};
use crate::config::{Config, ConfigFlags};
use gateway_core::query::{Filter, TimeRange};
use gateway_core::report::amount::bytes;
use gateway_core::report::civil::Civil;
use gateway_core::report::json::{JsonRange, VERSION};
use gateway_core::report::table::{Align, Style, Table, clean};
use gateway_core::report::text::Look;
use gateway_core::report::timeline::{Series, State, bar, series, states};
use gateway_core::report::top::{By, TopLine, TopOf, top};
use gateway_core::report::who::NameFacts;
use gateway_core::row::RowKind;
use gateway_core::units::{Volume, WallTime};
use serde::Serialize;
use std::io::Write;

/// Shows volume by hour or day, of all together or of each device, owner and so on. Where nobody measured it says so.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  telltale timeline --day yesterday\n  telltale timeline --last 30d --by day --of device\n  \
    telltale timeline --last 7d --by day --of owner --device \"Redmi Note 8\" --limit 3\n  telltale timeline --last 7d \
    --where 'owner = xiaomi' --csv > xiaomi.csv"
)]
pub struct Args {
    #[command(flatten)]
    database: DatabaseArg,
    /// How long a line is [default: an hour up to 3 days, else a day]
    #[arg(long, value_enum)]
    by: Option<Step>,
    /// A series for each of these instead of one of all together.
    #[arg(long, value_enum)]
    of: Option<Of>,
    /// Series shown, the largest first, 0 for all. JSON and CSV have all unless this is given.
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

#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
enum Step {
    Hour,
    Day,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Of {
    Device,
    Name,
    Network,
    Country,
    Owner,
    Purpose,
}

/// Series on a screen unless asked for more.
const DEFAULT_SERIES: usize = 5;
/// More lines nobody reads, and each is a question to the database.
const MAX_SLOTS: usize = 1_000;
/// Up to this long a range is shown by the hour, nanoseconds.
const HOURLY_NS: u64 = 3 * 86_400 * 1_000_000_000;
/// Cells of the longest bar.
const BAR_CELLS: u64 = 24;

/// Runs the command.
///
/// # Errors
/// If the database cannot be read or the output not written.
pub fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    let path = args.database.path()?;
    let Some(asked) = Asked::of(&path, &args.range)? else { return Ok(Outcome::Nothing) };
    let names = name_tables(&Config::load(&ConfigFlags::default())?, &path)?;
    let wanted = args.filters.wanted();
    args.screen.answer(asked, out, |asked, page| {
        let picked = asked.picked(&wanted)?;
        let slots = slots(asked, args.by)?;
        let facts_of = |name: &_| NameFacts::of(&names, name);
        let devices = asked.reader.devices()?;
        let mut lines: Vec<Vec<TopLine>> = Vec::new();
        for slot in &slots {
            let flows = asked.rows_of(*slot, &picked, &names)?;
            lines.push(match args.of {
                Some(of) => top(of.top(), By::Total, &flows, &devices, &facts_of),
                None => {
                    let routed = flows.iter().filter(|flow| flow.key.kind != RowKind::Local);
                    routed.map(|flow| all_of(flow.volume, flow.conversations)).collect()
                }
            });
        }
        let mut series = series(&lines);
        series.retain(|series| picked.keeps(series.total, series.conversations));
        let counted = asked.reader.counted(asked.range)?;
        let states = states(&slots, &counted, &asked.reader.latest(asked.now)?, asked.now);
        let default = if args.json || args.csv { 0 } else { DEFAULT_SERIES };
        let shown = series.get(..limit(args.limit.unwrap_or(default))).unwrap_or(&series);
        let look = args.screen.look(0);
        let time = Time { slots: &slots, states: &states };
        if args.json {
            print_json(page, asked.range, &picked.filter, &time, shown)?;
        } else if args.csv {
            print_csv(page, &time, shown)?;
        } else {
            for one in shown {
                print_series(page, &look, one, &time, shown)?;
            }
            let more = series.len().saturating_sub(shown.len());
            if more > 0 {
                writeln!(page, "and {more} more (--limit 0 shows all)")?;
            }
            if let Some(remark) = picked.remark().filter(|_| !shown.is_empty()) {
                writeln!(page, "{}", clean(&remark))?;
            }
        }
        series.is_empty().then(|| asked.why_not(&picked, false, &look)).transpose()
    })
}

impl Of {
    fn top(self) -> TopOf {
        match self {
            Self::Device => TopOf::Devices,
            Self::Name => TopOf::Names,
            Self::Network => TopOf::Networks,
            Self::Country => TopOf::Countries,
            Self::Owner => TopOf::Owners,
            Self::Purpose => TopOf::Purposes,
        }
    }
}

fn all_of(volume: Volume, conversations: u64) -> TopLine {
    TopLine { id: None, said: "all together".to_owned(), volume, conversations, device_count: 0 }
}

/// The stretches of the range, up to now.
fn slots(asked: &Asked, by: Option<Step>) -> anyhow::Result<Vec<TimeRange>> {
    let until = asked.range.until.min(asked.now).max(WallTime(asked.range.since.0.saturating_add(1)));
    let range = TimeRange { until, ..asked.range };
    let is_hourly = range.len_ns() <= HOURLY_NS;
    let bounds = match by.unwrap_or(if is_hourly { Step::Hour } else { Step::Day }) {
        Step::Hour => when::hour_bounds(range),
        Step::Day => when::day_bounds(range)?,
    };
    anyhow::ensure!(
        bounds.len() <= MAX_SLOTS,
        "that is {} lines, and a timeline has at most {MAX_SLOTS}: ask --by day, or for less time",
        bounds.len() - 1
    );
    Ok(bounds.windows(2).map(|pair| TimeRange { since: pair[0], until: pair[1] }).collect())
}

struct Time<'a> {
    slots: &'a [TimeRange],
    states: &'a [State],
}

/// What stands beside a bar, or instead of it.
fn state_words(state: State) -> String {
    match state {
        State::Measured(1_000) => String::new(),
        State::Measured(permille) => format!("{}.{} % measured", permille / 10, permille % 10),
        State::FiledEarlier => "counted with a line above".to_owned(),
        State::NotStoredYet => "not stored yet".to_owned(),
        State::NotMeasured => "not measured".to_owned(),
    }
}

fn print_series(
    out: &mut dyn Write,
    look: &Look<'_>,
    series: &Series,
    time: &Time<'_>,
    all: &[Series],
) -> anyhow::Result<()> {
    let Series { id: _, said, total, conversations: _, by_slot } = series;
    let (up, down) = (bytes(total.up_bytes, look.is_exact), bytes(total.down_bytes, look.is_exact));
    writeln!(out, "{}: {up} up, {down} down", look.paint.styled(&clean(said), Style::Bold))?;
    let greatest =
        all.iter().flat_map(|series| &series.by_slot).map(|volume| volume.bytes()).max().unwrap_or(0);
    let mut table =
        Table::new(&[("from", Align::Left), ("up", Align::Right), ("down", Align::Right), ("", Align::Left)]);
    for ((slot, state), volume) in time.slots.iter().zip(time.states).zip(by_slot) {
        let is_known = matches!(state, State::Measured(_)) || volume.packets() > 0;
        let said = |count| if is_known { bytes(count, look.is_exact) } else { "-".to_owned() };
        let bar = bar(volume.bytes(), greatest, BAR_CELLS);
        let words = state_words(*state);
        table.push(vec![
            look.local(slot.since),
            said(volume.up_bytes),
            said(volume.down_bytes),
            format!("{bar} {words}").trim().to_owned(),
        ]);
    }
    out.write_all(table.render(2, look.width, look.paint).as_bytes())?;
    Ok(())
}

#[derive(Serialize)]
struct JsonTimeline<'a> {
    version: u32,
    range: JsonRange,
    filter: Option<String>,
    slots: Vec<JsonSlot>,
    series: Vec<JsonSeries<'a>>,
}

#[derive(Serialize)]
struct JsonSlot {
    #[serde(flatten)]
    range: JsonRange,
    state: &'static str,
    measured_percent: f64,
}

#[derive(Serialize)]
struct JsonSeries<'a> {
    id: Option<&'a str>,
    text: &'a str,
    total: Volume,
    /// Null where nothing was measured.
    slots: Vec<Option<Volume>>,
}

fn state_word(state: State) -> (&'static str, u16) {
    match state {
        State::Measured(permille) => ("measured", permille),
        State::FiledEarlier => ("filed_earlier", 0),
        State::NotStoredYet => ("not_stored_yet", 0),
        State::NotMeasured => ("not_measured", 0),
    }
}

fn known(state: State, volume: Volume) -> Option<Volume> {
    (matches!(state, State::Measured(_)) || volume.packets() > 0).then_some(volume)
}

fn print_json(
    out: &mut dyn Write,
    range: TimeRange,
    filter: &Filter,
    time: &Time<'_>,
    series: &[Series],
) -> anyhow::Result<()> {
    let slot = |(slot, state): (&TimeRange, &State)| {
        let (state, permille) = state_word(*state);
        JsonSlot { range: (*slot).into(), state, measured_percent: f64::from(permille) / 10.0 }
    };
    let one = |series| {
        let Series { id, said, total, conversations: _, by_slot }: &Series = series;
        let slots = by_slot.iter().zip(time.states).map(|(volume, state)| known(*state, *volume)).collect();
        JsonSeries { id: id.as_deref(), text: said, total: *total, slots }
    };
    let shape = JsonTimeline {
        version: VERSION,
        range: range.into(),
        filter: (!filter.is_empty()).then(|| filter.to_string()),
        slots: time.slots.iter().zip(time.states).map(slot).collect(),
        series: series.iter().map(one).collect(),
    };
    writeln!(out, "{}", serde_json::to_string_pretty(&shape)?)?;
    Ok(())
}

fn print_csv(out: &mut dyn Write, time: &Time<'_>, series: &[Series]) -> anyhow::Result<()> {
    let head =
        ["since", "until", "state", "id", "text", "up_bytes", "down_bytes", "up_packets", "down_packets"];
    csv::line(out, &head.map(str::to_owned))?;
    for Series { id, said, by_slot, .. } in series {
        for ((slot, state), volume) in time.slots.iter().zip(time.states).zip(by_slot) {
            let volume = known(*state, *volume);
            let field = |of: fn(Volume) -> u64| csv::maybe(volume.map(of));
            csv::line(
                out,
                &[
                    Civil::utc(slot.since),
                    Civil::utc(slot.until),
                    state_word(*state).0.to_owned(),
                    csv::maybe(id.as_ref()),
                    said.clone(),
                    field(|v| v.up_bytes),
                    field(|v| v.down_bytes),
                    field(|v| v.up_packets),
                    field(|v| v.down_packets),
                ],
            )?;
        }
    }
    Ok(())
}
