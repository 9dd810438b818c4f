//! `telltale new`: destinations that a device meets for the first time.

use super::ask::{Asked, DatabaseArg, FilterArgs, Picked, limit, name_tables};
use super::rank::Rank;
use super::screen::ScreenArgs;
use super::when::{self, RangeArgs};
use super::{Outcome, csv};
use crate::config::{Config, ConfigFlags};
use gateway_core::query::buckets::Buckets;
use gateway_core::query::{DeviceInfo, Filter, TimeRange};
use gateway_core::report::amount::{bytes, several};
use gateway_core::report::civil::Civil;
use gateway_core::report::contacted::{Facts, site_words};
use gateway_core::report::json::{JsonRange, VERSION};
use gateway_core::report::new::{MIN_DAYS, NewLine, News, new};
use gateway_core::report::summary::input::Sums;
use gateway_core::report::table::{Align, Table, clean};
use gateway_core::report::text::Look;
use gateway_core::report::who::NameFacts;
use gateway_core::units::{Mac, Volume};
use serde::Serialize;
use std::io::Write;

/// Lists destinations that a device had no contact with on the days before: registrable names, and networks of addresses
/// without a name.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  telltale new\n  telltale new --day yesterday --device \"Redmi Note 8\"\n  telltale new \
    --last 7d --days 60 --where 'country in (RU, CN)'\n  telltale new --day yesterday --csv > new.csv"
)]
pub struct Args {
    #[command(flatten)]
    database: DatabaseArg,
    /// How many days before the range count as known.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=400))]
    days: u16,
    /// Which come first: those with the most of this [default: the earliest]
    #[arg(long, value_enum)]
    sort: Option<Rank>,
    /// Lines shown, 0 for all.
    #[arg(long, default_value_t = 0)]
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
}

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
        let facts_of = |name: &_| NameFacts::of(&names, name);
        let flows = asked.rows(&picked, &names)?;
        let (before, counted) = before(asked, usize::from(args.days), &picked)?;
        let wanted_days = usize::from(args.days);
        let mut news = new(&flows, before.as_ref(), &counted, wanted_days, &mut Facts::new(&facts_of));
        news.lines.retain(|line| picked.keeps(line.contacted.volume, line.contacted.conversations));
        if let Some(sort) = args.sort {
            news.lines.sort_by_key(|line| {
                core::cmp::Reverse(sort.amount(line.contacted.volume, line.contacted.conversations))
            });
        }
        let look = args.screen.look(0);
        let known = asked.reader.devices()?;
        let shown = news.lines.get(..limit(args.limit)).unwrap_or(&news.lines);
        let shapes: Vec<_> = shown.iter().map(|line| Shape::of(line, &known)).collect();
        let remarks = remarks(&news, wanted_days, &known);
        if args.json {
            let filter = (!picked.filter.is_empty()).then(|| picked.filter.to_string());
            let range = asked.range.into();
            let shape =
                JsonNew { version: VERSION, range, filter, days: news.days, remarks: &remarks, new: shapes };
            writeln!(page, "{}", serde_json::to_string_pretty(&shape)?)?;
        } else if args.csv {
            csv::line(page, &CSV_HEAD.map(str::to_owned))?;
            shapes.iter().try_for_each(|shape| csv::line(page, &shape.csv()))?;
        } else if !shapes.is_empty() {
            let remarks: Vec<_> = remarks.iter().cloned().chain(picked.remark()).collect();
            print_text(page, &look, shown, &known, &remarks)?;
        }
        if !news.lines.is_empty() {
            return Ok(None);
        }
        if flows.is_empty() {
            return asked.why_not(&picked, false, &look).map(Some);
        }
        let nothing = format!("no new destination from {}", look.span(asked.range));
        Ok(Some(clean(&core::iter::once(nothing).chain(remarks).collect::<Vec<_>>().join("; "))))
    })
}

/// The rows of the whole local days before the range, from where the database begins, and their intervals.
fn before(
    asked: &Asked,
    days: usize,
    picked: &Picked,
) -> anyhow::Result<(Option<Sums>, Vec<gateway_core::query::Counted>)> {
    let bounds = when::days_before(asked.range.since, days)?;
    let first = bounds.partition_point(|bound| *bound <= asked.extent.since).saturating_sub(1);
    let bounds: Vec<_> = bounds.into_iter().skip(first).collect();
    let Some(buckets) = Buckets::between(bounds.clone()) else { return Ok((None, Vec::new())) };
    // All that the devices did: what is known to them is known, whatever is asked now.
    let filter = Filter { devices: picked.filter.devices.clone(), ..Filter::default() };
    let sums = asked.reader.bucketed(&buckets, &filter)?;
    let TimeRange { since, until } = buckets.range();
    let counted = asked.reader.counted(TimeRange { since, until })?;
    let offsets = bounds.iter().map(|at| when::offset_of(*at)).collect();
    Ok((Some(Sums { buckets, offsets, sums }), counted))
}

/// What is not said, and why.
fn remarks(news: &News, wanted_days: usize, known: &[DeviceInfo]) -> Vec<String> {
    let News { unsure, unjudged, days, observed, .. } = news;
    let mut remarks = Vec::new();
    if *days < wanted_days {
        remarks.push(format!(
            "the database has {} before, of {wanted_days} asked for; {observed} of them measured",
            several(*days, "day")
        ));
    }
    for (mac, there) in unjudged {
        remarks.push(format!(
            "nothing can be said of {}: it was there on {}, and {} are needed (--days asks for fewer)",
            name_of(*mac, known),
            several(*there, "measured day"),
            MIN_DAYS.min(wanted_days)
        ));
    }
    if *unsure > 0 {
        remarks
            .push(format!("{} left out: no row of theirs has a sure name", several(*unsure, "destination")));
    }
    remarks
}

fn name_of(mac: Mac, known: &[DeviceInfo]) -> String {
    let found = known.iter().find(|device| device.mac == mac).map(DeviceInfo::display_name);
    found.unwrap_or_else(|| DeviceInfo::unknown(mac).display_name())
}

fn print_text(
    out: &mut dyn Write,
    look: &Look<'_>,
    lines: &[NewLine],
    known: &[DeviceInfo],
    remarks: &[String],
) -> anyhow::Result<()> {
    let mut table = Table::new(&[
        ("first seen", Align::Left),
        ("device", Align::Cut(12)),
        ("destination", Align::Cut(20)),
        ("owner", Align::Cut(8)),
        ("up", Align::Right),
        ("down", Align::Right),
        ("network", Align::Cut(10)),
        ("country", Align::Left),
    ]);
    let dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    for NewLine { device, site, contacted } in lines {
        let network = contacted.network.as_ref().map(|(asn, organisation)| {
            format!("AS{asn} {}", organisation.as_deref().unwrap_or_default()).trim_end().to_owned()
        });
        table.push(vec![
            look.local(contacted.first_at),
            name_of(*device, known),
            site_words(site),
            dash(contacted.owner.clone()),
            bytes(contacted.volume.up_bytes, look.is_exact),
            bytes(contacted.volume.down_bytes, look.is_exact),
            dash(network),
            dash(contacted.country.map(|country| country.to_string())),
        ]);
    }
    remarks.iter().for_each(|remark| table.note(remark));
    out.write_all(table.render(0, look.width, look.paint).as_bytes())?;
    Ok(())
}

#[derive(Serialize)]
struct JsonNew<'a> {
    version: u32,
    range: JsonRange,
    filter: Option<String>,
    days: usize,
    remarks: &'a [String],
    new: Vec<Shape>,
}

/// A first contact as programs get it.
#[derive(Serialize)]
struct Shape {
    first_seen: String,
    device: String,
    device_name: String,
    destination: String,
    names: Vec<String>,
    owner: Option<String>,
    purpose: Option<&'static str>,
    asn: Option<u32>,
    organisation: Option<String>,
    country: Option<String>,
    #[serde(flatten)]
    volume: Volume,
    conversations: u64,
}

impl Shape {
    fn of(line: &NewLine, known: &[DeviceInfo]) -> Self {
        let NewLine { device, site, contacted } = line;
        let (asn, organisation) = contacted.network.clone().unzip();
        Self {
            first_seen: Civil::utc(contacted.first_at),
            device: device.to_string(),
            device_name: name_of(*device, known),
            destination: site_words(site),
            names: contacted.names.iter().map(ToString::to_string).collect(),
            owner: contacted.owner.clone(),
            purpose: contacted.purpose,
            asn,
            organisation: organisation.flatten(),
            country: contacted.country.map(|country| country.to_string()),
            volume: contacted.volume,
            conversations: contacted.conversations,
        }
    }

    fn csv(&self) -> [String; 15] {
        let Self { first_seen, device, device_name, destination, names, owner, purpose, .. } = self;
        let Self { asn, organisation, country, volume, conversations, .. } = self;
        let Volume { up_bytes, down_bytes, up_packets, down_packets } = volume;
        [
            first_seen.clone(),
            device.clone(),
            device_name.clone(),
            destination.clone(),
            names.join(" "),
            csv::maybe(owner.as_ref()),
            csv::maybe(*purpose),
            csv::maybe(*asn),
            csv::maybe(organisation.as_ref()),
            csv::maybe(country.as_ref()),
            up_bytes.to_string(),
            down_bytes.to_string(),
            up_packets.to_string(),
            down_packets.to_string(),
            conversations.to_string(),
        ]
    }
}

const CSV_HEAD: [&str; 15] = [
    "first_seen",
    "device",
    "device_name",
    "destination",
    "names",
    "owner",
    "purpose",
    "asn",
    "organisation",
    "country",
    "up_bytes",
    "down_bytes",
    "up_packets",
    "down_packets",
    "conversations",
];
