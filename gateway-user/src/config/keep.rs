//! `[keep]`: how long rows are kept, and how fine.

use crate::store::Ladder;
use serde::Deserialize;

/// Ten years: more is a mistake in writing.
const MAX_DAYS: u32 = 3_650;
/// Less than this holds no week of a household.
const MIN_MEGABYTES: u32 = 8;

/// The section as written. Unknown keys are refused.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawKeep {
    raw_days: Option<Days>,
    hourly_days: Option<Days>,
    daily_days: Option<Days>,
    max_megabytes: Option<Megabytes>,
}

#[derive(Debug, Deserialize)]
#[serde(try_from = "u32")]
struct Days(u32);

impl TryFrom<u32> for Days {
    type Error = String;
    fn try_from(days: u32) -> Result<Self, String> {
        match (1..=MAX_DAYS).contains(&days) {
            true => Ok(Self(days)),
            false => Err(format!("{days} is not between 1 and {MAX_DAYS}")),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(try_from = "u32")]
struct Megabytes(u32);

impl TryFrom<u32> for Megabytes {
    type Error = String;
    fn try_from(megabytes: u32) -> Result<Self, String> {
        match megabytes >= MIN_MEGABYTES {
            true => Ok(Self(megabytes)),
            false => Err(format!("{megabytes} is less than {MIN_MEGABYTES}")),
        }
    }
}

impl RawKeep {
    /// With `default` for what is not written.
    pub(super) fn checked(self, default: Ladder) -> Ladder {
        let Self { raw_days, hourly_days, daily_days, max_megabytes } = self;
        let days = |given: Option<Days>, default| given.map_or(default, |Days(days)| days);
        let max_bytes = max_megabytes.map_or(default.max_bytes, |Megabytes(count)| u64::from(count) << 20);
        Ladder {
            raw_days: days(raw_days, default.raw_days),
            hourly_days: days(hourly_days, default.hourly_days),
            daily_days: days(daily_days, default.daily_days),
            max_bytes,
        }
    }
}
