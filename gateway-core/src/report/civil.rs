//! Moments as people write them. Proleptic Gregorian calendar, no leap seconds (as POSIX time has none).

use crate::units::WallTime;
use core::fmt;

const NS: i64 = 1_000_000_000;
const DAY_SECS: i64 = 86_400;

/// A moment on the calendar of some place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Civil {
    year: i64,
    month: i64,
    day: i64,
    second_of_day: i64,
    offset_secs: i32,
}

impl Civil {
    /// The moment where clocks are `offset_secs` ahead of UTC. Parts of a second are dropped.
    #[must_use]
    pub fn of(at: WallTime, offset_secs: i32) -> Self {
        let local = at.0.div_euclid(NS) + i64::from(offset_secs);
        let (year, month, day) = date_of(local.div_euclid(DAY_SECS));
        Self { year, month, day, second_of_day: local.rem_euclid(DAY_SECS), offset_secs }
    }

    /// In UTC, as RFC 3339 has it: `2026-11-22T13:03:05Z`.
    #[must_use]
    pub fn utc(at: WallTime) -> String {
        let Self { year, month, day, second_of_day: s, .. } = Self::of(at, 0);
        format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", s / 3600, s / 60 % 60, s % 60)
    }

    /// The hour that local clocks show, 0 to 23.
    #[must_use]
    pub fn hour(&self) -> u8 {
        u8::try_from(self.second_of_day / 3_600).unwrap_or(0)
    }

    /// The day of the week, 0 for Monday.
    #[must_use]
    pub fn weekday(at: WallTime, offset_secs: i32) -> u8 {
        let days = (at.0.div_euclid(NS) + i64::from(offset_secs)).div_euclid(DAY_SECS);
        // 1970-01-01 was a Thursday.
        u8::try_from((days + 3).rem_euclid(7)).unwrap_or(0)
    }

    /// The date alone: `2026-11-22`.
    #[must_use]
    pub fn date(&self) -> String {
        format!("{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

impl fmt::Display for Civil {
    /// `2026-11-22 14:03 +01:00`, with seconds where there are any.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = self.second_of_day;
        write!(f, "{} {:02}:{:02}", self.date(), s / 3600, s / 60 % 60)?;
        if s % 60 != 0 {
            write!(f, ":{:02}", s % 60)?;
        }
        let minutes = self.offset_secs.unsigned_abs() / 60;
        let sign = if self.offset_secs < 0 { '-' } else { '+' };
        write!(f, " {sign}{:02}:{:02}", minutes / 60, minutes % 60)
    }
}

/// Year, month and day of a number of days since 1970-01-01. Counts in eras of 400 years (146 097 days) that begin
/// on a 1 March, so that the leap day is the last of its year.
fn date_of(days: i64) -> (i64, i64, i64) {
    let since_march_0000 = days + 719_468;
    let era = since_march_0000.div_euclid(146_097);
    let day_of_era = since_march_0000.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(secs: i64, offset: i32, utc: &str, local: &str) {
        let at = WallTime(secs * NS + 5);
        assert_eq!(Civil::utc(at), utc);
        assert_eq!(Civil::of(at, offset).to_string(), local);
    }

    #[test]
    fn moments_are_written_as_people_do() {
        check(0, 0, "1970-01-01T00:00:00Z", "1970-01-01 00:00 +00:00");
        check(-1, 3600, "1969-12-31T23:59:59Z", "1970-01-01 00:59:59 +01:00");
        check(951_782_400, -12_600, "2000-02-29T00:00:00Z", "2000-02-28 20:30 -03:30");
        check(4_107_542_399, 0, "2100-02-28T23:59:59Z", "2100-02-28 23:59:59 +00:00");
        check(4_107_542_400, 0, "2100-03-01T00:00:00Z", "2100-03-01 00:00 +00:00");
    }

    #[test]
    fn the_ends_of_time_can_be_written() {
        assert_eq!(Civil::utc(WallTime(i64::MIN)), "1677-09-21T00:12:43Z");
        assert_eq!(Civil::utc(WallTime(i64::MAX)), "2262-04-11T23:47:16Z");
    }

    #[test]
    fn days_follow_each_other() {
        let mut last = date_of(-150_001);
        for day in -150_000..150_000 {
            let (y, m, d) = date_of(day);
            let is_next = (y, m, d) == (last.0, last.1, last.2 + 1)
                || (d == 1 && ((y, m) == (last.0, last.1 + 1) || (y, m, last.1) == (last.0 + 1, 1, 12)));
            assert!(is_next, "{last:?} then {:?}", (y, m, d));
            last = (y, m, d);
        }
    }
}
