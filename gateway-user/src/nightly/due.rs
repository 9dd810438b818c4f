//! Which days are due. Pure: the time is told, and what is done already.

use jiff::civil::{Date, Time};
use jiff::{Timestamp, ToSpan, ZonedDateTime};
use std::collections::BTreeSet;

/// Days that are caught up with after the gateway was off: a week. What is older was asked for by nobody since.
pub(super) const CATCH_UP_DAYS: i64 = 7;

/// The moment from which on a day's summary is due: the configured time on the day after. Where clocks skip that
/// time, as long after midnight as without the skip; where it comes twice, the first.
fn due_at(day: Date, at: Time, now: &ZonedDateTime) -> Option<Timestamp> {
    let next = day.tomorrow().ok()?;
    Some(next.to_datetime(at).to_zoned_datetime(now.time_zone().clone()).ok()?.timestamp())
}

/// The days whose summary is due and not done, the oldest first.
pub(super) fn due(now: &ZonedDateTime, at: Time, done: &BTreeSet<Date>) -> Vec<Date> {
    let today = now.date();
    (1..=CATCH_UP_DAYS)
        .rev()
        .filter_map(|ago| today.checked_sub(ago.days()).ok())
        .filter(|day| !done.contains(day))
        .filter(|day| due_at(*day, at, now).is_some_and(|due| due <= now.timestamp()))
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic on purpose")]
    use super::*;
    use jiff::tz::TimeZone;

    /// Central Europe; Lord Howe, half an hour; Chile, where clocks change at midnight; a zone without; Saint John's.
    const ZONES: [&str; 5] = [
        "CET-1CEST,M3.5.0,M10.5.0/3",
        "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0",
        "<-04>4<-03>,M9.1.6/24,M4.1.6/24",
        "<+0545>-5:45",
        "NST3:30NDT,M3.2.0,M11.1.0",
    ];

    fn at(text: &str) -> Time {
        text.parse().unwrap()
    }

    fn local(zone: &str, time: &str) -> ZonedDateTime {
        let zone = TimeZone::posix(zone).unwrap();
        time.parse::<jiff::civil::DateTime>().unwrap().to_zoned_datetime(zone).unwrap()
    }

    #[test]
    fn over_a_year_every_local_day_is_written_once() {
        for zone in ZONES {
            for time in ["00:00", "00:30", "01:45", "02:30", "06:30", "23:59"] {
                let mut now = local(zone, "2026-01-01T12:00");
                let end = local(zone, "2027-01-02T12:00");
                let mut done: BTreeSet<Date> = due(&now, at(time), &BTreeSet::new()).into_iter().collect();
                let mut made = Vec::new();
                while now < end {
                    now = now.checked_add(10.minutes()).unwrap();
                    for day in due(&now, at(time), &done) {
                        assert!(day < now.date(), "a day is over before it is written");
                        assert!(done.insert(day), "twice");
                        made.push(day);
                    }
                }
                let expected: Vec<Date> = "2025-12-31"
                    .parse::<Date>()
                    .unwrap()
                    .series(1.day())
                    .skip_while(|day| *day < made[0])
                    .take_while(|day| *day <= *made.last().unwrap())
                    .collect();
                assert_eq!(made, expected, "{zone} {time}");
                assert!(made.len() >= 365, "{zone} {time}: {}", made.len());
            }
        }
    }

    #[test]
    fn the_time_that_clocks_skip_and_the_one_that_comes_twice() {
        let berlin = ZONES[0];
        let due_time =
            |day: &str, now: &ZonedDateTime| due_at(day.parse().unwrap(), at("02:30"), now).unwrap();
        let spring = local(berlin, "2026-03-29T12:00");
        assert_eq!(due_time("2026-03-28", &spring).to_string(), "2026-03-29T01:30:00Z");
        let autumn = local(berlin, "2026-10-25T12:00");
        assert_eq!(due_time("2026-10-24", &autumn).to_string(), "2026-10-25T00:30:00Z");
    }

    #[test]
    fn after_two_weeks_off_a_week_is_caught_up_with_the_oldest_first() {
        let now = local(ZONES[0], "2026-11-22T06:29");
        let days = due(&now, at("06:30"), &BTreeSet::new());
        assert_eq!(days.first().map(Date::to_string).as_deref(), Some("2026-11-15"));
        assert_eq!(
            days.last().map(Date::to_string).as_deref(),
            Some("2026-11-20"),
            "yesterday is not due yet"
        );
        let later = local(ZONES[0], "2026-11-22T06:30");
        assert_eq!(due(&later, at("06:30"), &days.into_iter().collect()), ["2026-11-21".parse().unwrap()]);
    }

    #[test]
    fn a_clock_that_jumps_makes_no_doubles_and_no_standstill() {
        let zone = ZONES[0];
        let mut done = BTreeSet::new();
        let mut made = Vec::new();
        // Right, years ahead, right again, back a day, right again.
        for time in [
            "2026-11-22T07:00",
            "2031-05-05T07:00",
            "2026-11-22T08:00",
            "2026-11-21T07:00",
            "2026-11-23T07:00",
        ] {
            for day in due(&local(zone, time), at("06:30"), &done) {
                // Nothing was measured in 2031, so that nothing is written.
                if day.year() == 2026 {
                    assert!(done.insert(day));
                    made.push(day.to_string());
                }
            }
        }
        assert_eq!(made.last().map(String::as_str), Some("2026-11-22"));
        // Seven, one more from a week before the day it went back to, and the last.
        assert_eq!(made.len(), 9);
    }
}
