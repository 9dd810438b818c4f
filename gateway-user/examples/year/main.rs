//! Fills a database with a made-up year of a household, by the code that the daemon writes with, and measures what
//! reading and writing cost. `cargo xtask year` runs it.
#![allow(clippy::print_stdout, reason = "printing is what it is for")]

mod household;

use anyhow::Context as _;
use clap::Parser;
use gateway_core::query::buckets::Buckets;
use gateway_core::query::{Filter, TimeRange};
use gateway_core::units::WallTime;
use gateway_user::config::Preset;
use gateway_user::store::{Ladder, Reader, Upkeep, Writer};
use household::{HOUR, Household, SEC};
use jiff::tz::TimeZone;
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// 2025-10-31T23:00:00Z: a midnight in Berlin.
const SINCE: i64 = 1_761_951_600 * SEC as i64;
const ZONE: &str = "CET-1CEST,M3.5.0,M10.5.0/3";

/// A made-up year of a household, and what it costs to keep
#[derive(Parser)]
#[command(name = "cargo xtask year")]
struct Arguments {
    /// The database to fill; it must not exist
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// How many devices
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=200))]
    devices: u64,
    /// How many days
    #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u64).range(2..))]
    days: u64,
    /// The same number makes the same year
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Seconds between drains in the last days; before them an hour, which is what is kept of them
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    drain_every_secs: u64,
    /// How many last days are drained that often
    #[arg(long, default_value_t = 8)]
    fine_days: u64,
    /// Measure the database of an earlier call, which had the same number of days
    #[arg(long)]
    only_measure: bool,
    /// Days for which each drain is kept
    #[arg(long, default_value_t = Ladder::default().raw_days)]
    raw_days: u32,
    /// Days for which each hour is kept
    #[arg(long, default_value_t = Ladder::default().hourly_days)]
    hourly_days: u32,
    /// Drain and keep as the configuration's preset "router" does
    #[arg(long, conflicts_with_all = ["drain_every_secs", "raw_days", "hourly_days"])]
    router: bool,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let Arguments { out, devices, days, seed, drain_every_secs, fine_days, .. } = &arguments;
    if arguments.only_measure {
        return measure(out, *days);
    }
    anyhow::ensure!(!out.exists(), "{} is there already; name another file", out.display());
    let (ladder, drain_every_secs) = if arguments.router {
        (Preset::Router.keep(), &u64::from(Preset::Router.drain_every_secs()))
    } else {
        let Arguments { raw_days, hourly_days, .. } = arguments;
        (Ladder { raw_days, hourly_days, ..Ladder::default() }, drain_every_secs)
    };
    let house = Household { seed: *seed, devices: *devices, since: SINCE };
    let zone = TimeZone::posix(ZONE)?;
    let mut writer = Writer::open(out)?;
    let mut turn = 0;
    let mut upkeep = Slowest::default();
    let mut drains = Slowest::default();
    let mut rows = 0;
    let mut wrote = (written()?, 0);
    for day in 0..*days {
        let is_fine = day + fine_days >= *days;
        if is_fine && wrote.1 == 0 {
            wrote = (written()?, day + 1);
        }
        let every = if is_fine { drain_every_secs * SEC } else { HOUR };
        for batch in house.day(day, every, &mut turn) {
            rows += batch.rows.len();
            drains.time(|| writer.append(&batch))?;
            while upkeep.time(|| writer.upkeep(&ladder, &zone, batch.interval.ended_at))? != Upkeep::Nothing {
            }
        }
    }
    drop(writer);
    let fine_from = wrote.1.saturating_sub(1);
    let per_day = (written()? - wrote.0) as f64 / (days - fine_from) as f64 / 1e6;
    println!("{devices} devices, {days} days: {rows} rows in {turn} drains");
    println!("written to files: {per_day:.1} MB a day, over the last {} days", days - fine_from);
    println!("slowest drain {:?}, slowest step of the upkeep {:?}", drains.0, upkeep.0);
    measure(out, *days)
}

/// The longest of many.
#[derive(Default)]
struct Slowest(Duration);

impl Slowest {
    fn time<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let done = work();
        self.0 = self.0.max(began.elapsed());
        done
    }
}

/// Bytes that this process has given to the kernel to write.
fn written() -> anyhow::Result<u64> {
    let text = std::fs::read_to_string("/proc/self/io").context("read how much was written")?;
    let line = text.lines().find_map(|line| line.strip_prefix("wchar: "));
    Ok(line.context("find how much was written")?.trim().parse()?)
}

fn measure(path: &Path, days: u64) -> anyhow::Result<()> {
    let size = std::fs::metadata(path)?.len();
    println!("database: {:.1} MB", size as f64 / 1e6);
    let db = rusqlite::Connection::open(path)?;
    let mut statement = db.prepare(
        "SELECT grain, COUNT(DISTINCT i.id), COUNT(*) FROM interval i JOIN flow f ON f.interval = i.id GROUP BY grain",
    )?;
    let counts = statement
        .query_map([], |row| Ok((row.get::<_, u8>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?)))?;
    for found in counts {
        let (grain, lines, rows) = found?;
        println!("  grain {grain}: {rows} rows in {lines} intervals");
    }
    let at = |day: u64| WallTime(SINCE.saturating_add_unsigned(day * 24 * HOUR));
    let range = |since, until| TimeRange { since: at(since), until: at(until) };
    let days_of = |since, until| Buckets::between((since..=until).map(at).collect()).context("make days");
    let yesterday = range(days - 1, days);
    let hours = Buckets::between((0..=24).map(|h| WallTime(at(days - 1).0 + (h * HOUR) as i64)).collect())
        .context("make hours")?;
    let all = Filter::default();
    cold(path, "flows of all days (top)", |r| Ok(r.flows(range(0, days), &all)?.len()))?;
    cold(path, "flows of yesterday", |r| Ok(r.flows(yesterday, &all)?.len()))?;
    cold(path, "yesterday by the hour", |r| Ok(r.bucketed(&hours, &all)?.len()))?;
    let month = days_of(days.saturating_sub(31), days - 1)?;
    cold(path, "30 earlier days by the day", |r| Ok(r.bucketed(&month, &all)?.len()))?;
    let nights = Buckets::between(
        (0..=14 * 24).map(|h| WallTime(at(days.saturating_sub(15)).0 + (h * HOUR) as i64)).collect(),
    )
    .context("make hours")?;
    cold(path, "the same with two weeks by the hour (summary)", |r| {
        Ok(r.before(&month, Some(&nights), &all)?.days.len())
    })?;
    let year = days_of(0, days)?;
    cold(path, "all days by the day", |r| Ok(r.bucketed(&year, &all)?.len()))
}

/// Times a question to a file of which the kernel has nothing in memory.
fn cold(path: &Path, what: &str, ask: impl FnOnce(&Reader) -> anyhow::Result<usize>) -> anyhow::Result<()> {
    let file = File::open(path)?;
    file.sync_all()?;
    posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED)?;
    let began = Instant::now();
    let reader = Reader::open(path)?.context("find the database")?;
    let sums = ask(&reader)?;
    println!("{what}: {:.0} ms, {sums} sums", began.elapsed().as_secs_f64() * 1e3);
    Ok(())
}
