//! `[summary]`: when the summary of each day is written by itself, and how many are kept.

use jiff::civil::Time;
use serde::Deserialize;

/// After the night, before breakfast.
const DEFAULT_AT: Time = Time::constant(6, 30, 0, 0);
/// Two months: this one and the one before are always whole.
const DEFAULT_KEEP: u32 = 62;
/// Fewer than the days that are caught up with would be written again as soon as they are removed.
const MIN_KEEP: u32 = 7;
/// Ten years.
const MAX_KEEP: u32 = 3660;

/// The checked section.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SummaryConfig {
    /// The local time at which the day before is written; `None` is never.
    pub at: Option<Time>,
    /// How many days are kept as files.
    pub keep: u32,
}

impl Default for SummaryConfig {
    fn default() -> Self {
        Self { at: Some(DEFAULT_AT), keep: DEFAULT_KEEP }
    }
}

/// The section as written. Unknown keys are refused.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSummary {
    at: Option<At>,
    keep: Option<Keep>,
}

impl SummaryConfig {
    pub(super) fn checked(raw: RawSummary) -> Self {
        let RawSummary { at, keep } = raw;
        Self {
            at: at.map_or(Some(DEFAULT_AT), |At(at)| at),
            keep: keep.map_or(DEFAULT_KEEP, |Keep(keep)| keep),
        }
    }
}

/// `at`: `"06:30"` or `"never"`.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct At(Option<Time>);

impl TryFrom<String> for At {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        if text == "never" {
            return Ok(Self(None));
        }
        let bad = || format!("{text:?} is not a time of day such as \"06:30\", nor \"never\"");
        let (hour, minute) = text.split_once(':').ok_or_else(bad)?;
        let two = |digits: &str| match digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit()) {
            true => digits.parse::<i8>().map_err(|_| bad()),
            false => Err(bad()),
        };
        Time::new(two(hour)?, two(minute)?, 0, 0).map(|at| Self(Some(at))).map_err(|_| bad())
    }
}

#[derive(Debug, Deserialize)]
#[serde(try_from = "i64")]
struct Keep(u32);

impl TryFrom<i64> for Keep {
    type Error = String;
    fn try_from(keep: i64) -> Result<Self, String> {
        u32::try_from(keep)
            .ok()
            .filter(|keep| (MIN_KEEP..=MAX_KEEP).contains(keep))
            .map(Self)
            .ok_or_else(|| format!("{keep} is not between {MIN_KEEP} and {MAX_KEEP} days"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic on purpose")]
    use super::*;

    fn parse(text: &str) -> Result<SummaryConfig, String> {
        toml::from_str(text).map(SummaryConfig::checked).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn a_time_of_day_or_never() {
        assert_eq!(parse("").unwrap(), SummaryConfig::default());
        assert_eq!(parse("at = \"never\"").unwrap().at, None);
        let expected = SummaryConfig { at: Some(Time::constant(23, 5, 0, 0)), keep: 7 };
        assert_eq!(parse("at = \"23:05\"\nkeep = 7").unwrap(), expected);
    }

    #[test]
    fn impossible_values_are_refused() {
        for text in ["24:00", "6:30", "06:60", "0630", "06:30:00", "", "+6:30", "é:é"] {
            let error = parse(&format!("at = {text:?}")).unwrap_err();
            assert!(error.contains("is not a time of day such as \"06:30\""), "{text}: {error}");
        }
        assert!(parse("keep = 6").unwrap_err().contains("6 is not between 7 and 3660 days"));
    }
}
