//! By what lines are put in order.

use gateway_core::report::top::By;
use gateway_core::units::Volume;

/// What counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Rank {
    /// Bytes both ways.
    Total,
    /// Bytes from the devices.
    Up,
    /// Bytes to the devices.
    Down,
    /// Packets both ways.
    Packets,
    /// Conversations.
    Conversations,
}

impl Rank {
    /// As the core has it.
    #[must_use]
    pub fn by(self) -> By {
        match self {
            Self::Total => By::Total,
            Self::Up => By::Up,
            Self::Down => By::Down,
            Self::Packets => By::Packets,
            Self::Conversations => By::Conversations,
        }
    }

    /// How much of it there is.
    #[must_use]
    pub fn amount(self, volume: Volume, conversations: u64) -> u64 {
        self.by().amount(volume, conversations)
    }
}
