//! The independent count: what a device's own interface sent to its gateway and had from it.
//!
//! A child process inside the device's namespace counts frames on a packet socket; see [`count_until_end_of_input`].
//! It shares no code and no rule for super-packets with the product.

mod counter;
mod measure;
mod ring;
mod tally;

pub use counter::count_until_end_of_input;
pub use measure::{Measured, Protocol, Segmentation, macs, measure};
pub use tally::{DirectionTotals, FrameCount, Tally, Totals};

use super::devices::{Device, mac_text};
use super::household::{GATEWAY_MAC, Household};
use crate::tool;
use anyhow::{Context as _, Result, bail};
use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Stdio};

/// A running count on one device. Dropping it ends the count without a result.
#[derive(Debug)]
pub struct Truth {
    process: Child,
    output: BufReader<ChildStdout>,
}

impl Truth {
    /// Begins to count; every frame after this returns is in.
    ///
    /// # Errors
    /// If the counting process cannot be started or does not come so far.
    pub fn begin(household: &Household, device: &Device) -> Result<Self> {
        let mut command = tool::command(household.xtask(), ["truth", device.spec.interface, "--gateway-mac"]);
        command.arg(mac_text(GATEWAY_MAC)).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = device.namespace.spawn(&mut command)?;
        let output = process.stdout.take().context("take the counting process's output")?;
        let mut truth = Self { process, output: BufReader::new(output) };
        let mut line = String::new();
        truth.output.read_line(&mut line).context("wait until counting has begun")?;
        if line.trim() != counter::READY {
            bail!("the counting process on {} did not begin: see its message above", device.spec.role);
        }
        Ok(truth)
    }

    /// Ends the count and returns what was counted.
    ///
    /// # Errors
    /// If the counting process fails.
    pub fn end(mut self) -> Result<Totals> {
        drop(self.process.stdin.take());
        let mut line = String::new();
        self.output.read_line(&mut line).context("read the totals")?;
        serde_json::from_str(&line).context("understand the totals of the counting process")
    }
}

impl Drop for Truth {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        // Whoever wanted its result has asked for it.
        let _ = self.process.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_survive_their_own_json() {
        let mut totals = Totals { other_frames: 3, ..Totals::default() };
        let protocol = Protocol { version: 6, number: 17, is_fragment: true };
        assert!(totals.up.add(Measured::Ip { protocol, packets: 2, bytes: 2000 }));
        assert!(totals.up.add(Measured::NotIp));
        assert!(!totals.down.add(Measured::Unreadable));
        let json = serde_json::to_string(&totals).expect("JSON");
        assert_eq!(serde_json::from_str::<Totals>(&json).expect("totals"), totals);
        assert_eq!(totals.up.by_protocol.get("ipv6 udp fragment").map(|t| t.bytes), Some(2000));
    }

    #[test]
    fn every_kind_of_loss_is_a_doubt() {
        assert!(Totals::default().doubts(false).is_empty());
        for doubtful in [
            Totals { dropped_frames: 1, ..Totals::default() },
            Totals { unreadable_frames: 1, ..Totals::default() },
            Totals { seen: FrameCount { received: 0, sent: 1 }, ..Totals::default() },
        ] {
            assert_eq!(doubtful.doubts(true).len(), 1, "{doubtful:?}");
        }
        let received = Totals { seen: FrameCount { received: 1, sent: 0 }, ..Totals::default() };
        assert_eq!((received.doubts(false).len(), received.doubts(true).len()), (1, 0));
    }
}
