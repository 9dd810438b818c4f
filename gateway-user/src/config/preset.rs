//! `preset`: defaults for a kind of machine. Every setting that it makes can be made otherwise.

use crate::store::Ladder;
use serde::Deserialize;

/// For which kind of machine the defaults are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// A computer with a disk.
    #[default]
    Standard,
    /// A router with some hundred megabytes of flash that wears out.
    Router,
}

impl Preset {
    /// Seconds between drains. On a router four writes an hour: each rewrites pages, however little is new.
    #[must_use]
    pub const fn drain_every_secs(self) -> u32 {
        match self {
            Self::Standard => super::DEFAULT_DRAIN_EVERY_SECS,
            Self::Router => 900,
        }
    }

    /// How long rows are kept, and how fine.
    #[must_use]
    pub fn keep(self) -> Ladder {
        match self {
            Self::Standard => Ladder::default(),
            Self::Router => Ladder { raw_days: 2, hourly_days: 14, daily_days: 366, max_bytes: 64 << 20 },
        }
    }
}
