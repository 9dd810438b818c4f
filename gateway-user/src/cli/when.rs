//! Ranges of time as people give them, and local time. The time zone is the system's (`TZ`, `/etc/localtime`).

use anyhow::{Context, bail};
use gateway_core::query::TimeRange;
use gateway_core::units::WallTime;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ZonedDateTime};

/// Which time. Without any of these: the last 24 hours.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Time (the last 24 hours if none is given)")]
pub struct RangeArgs {
    /// One local day: 2026-11-22, today, yesterday.
    #[arg(long, value_name = "DAY", conflicts_with_all = ["since", "until", "last", "all"])]
    day: Option<String>,
    /// From here: a date, "2026-11-22 18:30", 2026-11-22T18:30:00Z, "2h ago".
    #[arg(long, value_name = "WHEN", conflicts_with_all = ["last", "all"])]
    since: Option<String>,
    /// To here, this moment not included; written as for --since.
    #[arg(long, value_name = "WHEN", conflicts_with_all = ["last", "all"])]
    until: Option<String>,
    /// The last stretch until now: 24h, 7d, "90 min".
    #[arg(long, value_name = "SPAN", conflicts_with = "all")]
    last: Option<String>,
    /// All that the database holds.
    #[arg(long)]
    all: bool,
}

impl RangeArgs {
    /// The range, or everything where none was asked for.
    #[must_use]
    pub fn or_everything(&self) -> Self {
        let Self { day, since, until, last, all } = self.clone();
        let is_asked = day.is_some() || since.is_some() || until.is_some() || last.is_some();
        Self { day, since, until, last, all: all || !is_asked }
    }

    /// The range: its bounds in wall time. A bound that was not given is where the database's data (`extent`) begins,
    /// and now for the end.
    ///
    /// # Errors
    /// One line that says how a time is written, or that the range is empty.
    pub fn resolve(&self, now: &ZonedDateTime, extent: TimeRange) -> anyhow::Result<TimeRange> {
        let Self { day, since, until, last, all } = self;
        let wall_now = wall(now)?;
        let range = if let Some(day) = day {
            day_range(day, now)?
        } else if *all {
            extent
        } else if since.is_some() || until.is_some() {
            let bound = |text: &Option<String>| text.as_deref().map(|text| moment(text, now)).transpose();
            TimeRange {
                since: bound(since)?.unwrap_or(extent.since),
                until: bound(until)?.unwrap_or(wall_now),
            }
        } else {
            let span = last.as_deref().unwrap_or("24h");
            TimeRange { since: wall(&back(now, span)?)?, until: wall_now }
        };
        if range.since >= range.until {
            bail!("the range is empty: its end is not after its start");
        }
        Ok(range)
    }
}

/// A range in one text: a day as for `--day`, `FROM..TO` with times as for `--since`, or `last 7d`.
///
/// # Errors
/// One line that says how it is written, or that the range is empty.
pub fn range_of(text: &str) -> anyhow::Result<TimeRange> {
    let now = now();
    let range = if let Some((since, until)) = text.split_once("..") {
        TimeRange { since: moment(since, &now)?, until: moment(until, &now)? }
    } else if let Some(span) = text.strip_prefix("last ") {
        TimeRange { since: wall(&back(&now, span)?)?, until: wall(&now)? }
    } else {
        day_range(text, &now)
            .context("a range is a day, FROM..TO with two times between which it lies, or \"last 7d\"")?
    };
    anyhow::ensure!(range.since < range.until, "the range {text} is empty: its end is not after its start");
    Ok(range)
}

/// Where the local days of a range begin, and last its end. The first and the last may be cut.
///
/// # Errors
/// For years outside 1677 to 2262.
pub fn day_bounds(range: TimeRange) -> anyhow::Result<Vec<WallTime>> {
    let mut bounds: Vec<_> = days_back(range)?.iter().map(|(_, day)| day.since.max(range.since)).collect();
    bounds.reverse();
    bounds.push(range.until);
    Ok(bounds)
}

/// Now, in the system's time zone.
#[must_use]
pub fn now() -> ZonedDateTime {
    ZonedDateTime::now()
}

/// A zoned time in nanoseconds since 1970.
///
/// # Errors
/// For years outside 1677 to 2262.
pub fn wall(at: &ZonedDateTime) -> anyhow::Result<WallTime> {
    let ns = at.timestamp().as_nanosecond();
    i64::try_from(ns).map(WallTime).ok().context("times from 1678 to 2261 can be asked for")
}

/// Seconds that local clocks are ahead of UTC at a moment.
#[must_use]
pub fn offset_of(at: WallTime) -> i32 {
    Timestamp::from_nanosecond(at.0.into()).map_or(0, |at| TimeZone::system().to_offset(at).seconds())
}

/// The local date of a moment, as `--day` takes it.
#[must_use]
pub fn local_date(at: WallTime) -> String {
    gateway_core::report::civil::Civil::of(at, offset_of(at)).date()
}

/// The local days that a range touches, the latest first, each with its own range.
///
/// # Errors
/// For years outside 1677 to 2262.
pub fn days_back(range: TimeRange) -> anyhow::Result<Vec<(String, TimeRange)>> {
    let local = |at: WallTime| {
        Timestamp::from_nanosecond(at.0.into())
            .map(|at| TimeZone::system().to_datetime(at))
            .context("place a moment")
    };
    let first = local(range.since)?.date();
    let mut date = local(WallTime(range.until.0.saturating_sub(1)))?.date();
    let now = now();
    let mut days = Vec::new();
    while date >= first {
        days.push((date.to_string(), day_range(&date.to_string(), &now)?));
        date = date.yesterday()?;
    }
    Ok(days)
}

/// Where the local hours of a range begin, and last its end. The first and the last may be cut. A local hour that the
/// clocks repeat or skip is there as often as it is lived.
#[must_use]
pub fn hour_bounds(range: TimeRange) -> Vec<WallTime> {
    const HOUR_NS: i64 = 3_600_000_000_000;
    let mut bounds = vec![range.since];
    let mut at = range.since;
    while at < range.until {
        let local = at.0.saturating_add(i64::from(offset_of(at)) * 1_000_000_000);
        at = WallTime(at.0.saturating_add(HOUR_NS - local.rem_euclid(HOUR_NS)));
        bounds.push(at.min(range.until));
    }
    bounds
}

/// The bounds of the `count` whole local days before the day that a moment is in.
///
/// # Errors
/// For years outside 1677 to 2262.
pub fn days_before(at: WallTime, count: usize) -> anyhow::Result<Vec<WallTime>> {
    let now = now();
    let moment = Timestamp::from_nanosecond(at.0.into()).context("place a moment")?;
    let mut date = TimeZone::system().to_datetime(moment).date();
    let mut bounds = vec![day_range(&date.to_string(), &now)?.since];
    for _ in 0..count {
        date = date.yesterday()?;
        bounds.push(day_range(&date.to_string(), &now)?.since);
    }
    bounds.reverse();
    Ok(bounds)
}

/// The latest night that has begun: 21:00 to 09:00 local time.
///
/// # Errors
/// For years outside 1677 to 2262.
pub fn last_night() -> anyhow::Result<TimeRange> {
    let now = now();
    let hour =
        |date: Date, hour: i8| wall(&date.at(hour, 0, 0, 0).to_zoned_datetime(now.time_zone().clone())?);
    let evening = if now.hour() >= 21 { now.date() } else { now.date().yesterday()? };
    Ok(TimeRange { since: hour(evening, 21)?, until: hour(evening.tomorrow()?, 9)? })
}

fn day_range(text: &str, now: &ZonedDateTime) -> anyhow::Result<TimeRange> {
    let date = match text {
        "today" => now.date(),
        "yesterday" => now.date().yesterday()?,
        _ => text
            .parse::<Date>()
            .ok()
            .with_context(|| format!("a day is written 2026-11-22, today or yesterday, not {text:?}"))?,
    };
    let start_of = |date: Date| wall(&date.to_zoned_datetime(now.time_zone().clone())?.start_of_day()?);
    Ok(TimeRange { since: start_of(date)?, until: start_of(date.tomorrow()?)? })
}

fn moment(text: &str, now: &ZonedDateTime) -> anyhow::Result<WallTime> {
    let text = text.trim();
    if text == "now" {
        return wall(now);
    }
    if matches!(text, "today" | "yesterday") {
        return Ok(day_range(text, now)?.since);
    }
    if let Some(span) = text.strip_suffix("ago") {
        return wall(&back(now, span)?);
    }
    if let Ok(at) = text.parse::<Timestamp>() {
        return wall(&at.to_zoned_datetime(TimeZone::UTC));
    }
    let local = text.parse::<DateTime>().ok().with_context(|| {
        format!("a time is written 2026-11-22, \"2026-11-22 18:30\", 2026-11-22T18:30:00Z or \"2h ago\", not {text:?}")
    })?;
    wall(&local.to_zoned_datetime(now.time_zone().clone())?)
}

fn back(now: &ZonedDateTime, span: &str) -> anyhow::Result<ZonedDateTime> {
    let parsed = span.trim().parse::<Span>().ok().filter(|s| s.is_positive());
    let span = parsed
        .with_context(|| format!("a stretch of time is written 24h, 7d or \"90 min\", not {span:?}"))?;
    let earlier = now.checked_sub(span).ok().context("that is too long ago")?;
    // Whoever asks for a month back must not fall over the end of the calendar.
    anyhow::ensure!(earlier.year() > 1677, "that is too long ago");
    Ok(earlier)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A Sunday evening in Berlin; the clocks went back on 25 October.
    fn now() -> ZonedDateTime {
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").expect("a zone");
        "2026-11-22T17:30:00Z".parse::<Timestamp>().expect("a time").to_zoned_datetime(zone)
    }

    fn extent() -> TimeRange {
        TimeRange { since: WallTime(0), until: WallTime(1) }
    }

    #[track_caller]
    fn check(args: RangeArgs, expected: (&str, &str)) {
        let range = args.resolve(&now(), extent()).expect("a range");
        let utc = gateway_core::report::civil::Civil::utc;
        assert_eq!((utc(range.since).as_str(), utc(range.until).as_str()), expected);
    }

    fn text(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn ranges_as_people_give_them() {
        let day = |d| RangeArgs { day: text(d), ..RangeArgs::default() };
        check(day("2026-11-22"), ("2026-11-21T23:00:00Z", "2026-11-22T23:00:00Z"));
        check(day("yesterday"), ("2026-11-20T23:00:00Z", "2026-11-21T23:00:00Z"));
        // The day on which the clocks go back has 25 hours.
        check(day("2026-10-25"), ("2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"));
        check(RangeArgs::default(), ("2026-11-21T17:30:00Z", "2026-11-22T17:30:00Z"));
        let last = |l| RangeArgs { last: text(l), ..RangeArgs::default() };
        check(last("90 min"), ("2026-11-22T16:00:00Z", "2026-11-22T17:30:00Z"));
        check(last("7d"), ("2026-11-15T17:30:00Z", "2026-11-22T17:30:00Z"));
        let both = |s, u| RangeArgs { since: text(s), until: text(u), ..RangeArgs::default() };
        check(both("2026-11-20", "2026-11-21 06:15"), ("2026-11-19T23:00:00Z", "2026-11-21T05:15:00Z"));
        check(both("2026-11-20T12:00:00+03:00", "2h ago"), ("2026-11-20T09:00:00Z", "2026-11-22T15:30:00Z"));
        check(
            RangeArgs { until: text("today"), ..RangeArgs::default() },
            ("1970-01-01T00:00:00Z", "2026-11-21T23:00:00Z"),
        );
        check(
            RangeArgs { all: true, ..RangeArgs::default() },
            ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"),
        );
    }

    #[test]
    fn nonsense_is_refused_in_one_line() {
        for args in [
            RangeArgs { day: text("22.11.2026"), ..RangeArgs::default() },
            RangeArgs { since: text("soon"), ..RangeArgs::default() },
            RangeArgs { since: text("now"), until: text("2h ago"), ..RangeArgs::default() },
            RangeArgs { last: text("-2h"), ..RangeArgs::default() },
            RangeArgs { last: text("900 years"), ..RangeArgs::default() },
            RangeArgs { last: text(""), ..RangeArgs::default() },
        ] {
            let error = args.resolve(&now(), extent()).expect_err("no range");
            assert!(!format!("{error:#}").contains('\n'));
        }
    }
}
