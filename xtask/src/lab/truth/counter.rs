//! The counting process: frames of a device's interface, read until standard input ends.

use super::measure::{Segmentation, macs, measure};
use super::ring::{Passed, Ring};
use super::tally::{FrameCount, Totals};
use anyhow::{Context as _, Result};
use nix::net::if_::if_nametoindex;
use std::fs;
use std::io::{Read as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long the reader rests when nothing has passed. The ring holds far more than passes meanwhile.
const REST: Duration = Duration::from_millis(2);

/// Printed on standard output once every frame from then on is counted.
pub(crate) const READY: &str = "counting";

/// Counts frames between this machine and `gateway_mac` on `interface` in the current network namespace until
/// standard input ends, then prints [`Totals`] as JSON.
///
/// # Errors
/// If there is no such interface, or the caller may not open packet sockets.
pub fn count_until_end_of_input(interface: &str, gateway_mac: [u8; 6]) -> Result<()> {
    let mut counter = Counter::new(interface, gateway_mac)?;
    let (mut ring, before) = open_between_frames(interface)?;
    let is_over = AtomicBool::new(false);
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{READY}").and_then(|()| stdout.flush()).context("tell that counting has begun")?;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // An error ends the wait as well as an end does.
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
            is_over.store(true, Ordering::Release);
        });
        counter.read(&mut ring, &is_over)
    })?;
    let after = counter.read_to_rest(&mut ring, interface)?;
    let mut totals = counter.totals;
    totals.interface =
        FrameCount { received: after.received - before.received, sent: after.sent - before.sent };
    totals.dropped_frames = ring.dropped()?;
    let json = serde_json::to_string(&totals).context("write the totals as JSON")?;
    writeln!(stdout, "{json}").context("print the totals")
}

/// How often a moment without a frame is sought before the two counts are taken as they are.
const ATTEMPTS: u32 = 200;

/// Opens the ring in a moment in which the interface's counters stand still, and returns them: a frame that
/// passes between the two, such as a bridge's multicast report, would be in one count and not in the other.
fn open_between_frames(interface: &str) -> Result<(Ring, FrameCount)> {
    let mut attempt = 1;
    loop {
        let before = interface_frames(interface)?;
        let mut ring = Ring::open()?;
        std::thread::sleep(REST);
        let stood_still = ring.next()?.is_none() && interface_frames(interface)? == before;
        if stood_still {
            return Ok((ring, before));
        }
        anyhow::ensure!(attempt < ATTEMPTS, "{interface} is never still for {REST:?}, so no count can begin");
        attempt += 1;
    }
}

struct Counter {
    index: u32,
    own_mac: [u8; 6],
    gateway_mac: [u8; 6],
    totals: Totals,
}

impl Counter {
    fn new(interface: &str, gateway_mac: [u8; 6]) -> Result<Self> {
        let index = if_nametoindex(interface).with_context(|| format!("find the interface {interface}"))?;
        let own_mac = nix::ifaddrs::getifaddrs()
            .context("list the interfaces")?
            .filter(|a| a.interface_name == interface)
            .find_map(|a| a.address?.as_link_addr()?.addr())
            .with_context(|| format!("find the MAC address of {interface}"))?;
        Ok(Self { index, own_mac, gateway_mac, totals: Totals::default() })
    }

    /// Reads what still comes until the interface's counters stand still with nothing waiting, and returns them.
    /// An interface that is never still gives the last ones, and the totals tell the difference.
    fn read_to_rest(&mut self, ring: &mut Ring, interface: &str) -> Result<FrameCount> {
        let mut last = interface_frames(interface)?;
        for _ in 0..ATTEMPTS {
            std::thread::sleep(REST);
            let was_empty = self.read_waiting(ring)? == 0;
            let now = interface_frames(interface)?;
            if was_empty && now == last {
                break;
            }
            last = now;
        }
        Ok(last)
    }

    /// Reads what waits, and returns how many frames that was.
    fn read_waiting(&mut self, ring: &mut Ring) -> Result<u64> {
        let mut frames = 0;
        while let Some(passed) = ring.next()? {
            frames += 1;
            if passed.interface == self.index {
                self.add(&passed);
            }
        }
        Ok(frames)
    }

    /// Reads until `is_over` and nothing waits.
    fn read(&mut self, ring: &mut Ring, is_over: &AtomicBool) -> Result<()> {
        loop {
            let was_over = is_over.load(Ordering::Acquire);
            self.read_waiting(ring)?;
            if was_over {
                return Ok(());
            }
            std::thread::sleep(REST);
        }
    }

    fn add(&mut self, passed: &Passed) {
        let totals = &mut self.totals;
        *(if passed.is_outgoing { &mut totals.seen.sent } else { &mut totals.seen.received }) += 1;
        let Some((segmentation, head)) = Segmentation::split_from(passed.bytes()) else {
            totals.unreadable_frames += 1;
            return;
        };
        let Some((destination, source)) = macs(head) else {
            totals.unreadable_frames += 1;
            return;
        };
        let direction = if (source, destination) == (self.own_mac, self.gateway_mac) {
            &mut totals.up
        } else if (source, destination) == (self.gateway_mac, self.own_mac) {
            &mut totals.down
        } else {
            totals.other_frames += 1;
            return;
        };
        if !direction.add(measure(head, passed.frame_len, segmentation)) {
            totals.unreadable_frames += 1;
        }
    }
}

/// The interface's own counters. /proc/net is of the caller's namespace, where /sys is of the mount's.
fn interface_frames(interface: &str) -> Result<FrameCount> {
    let path = "/proc/self/net/dev";
    let text = fs::read_to_string(path).with_context(|| format!("read {path}"))?;
    frames_in(&text, interface).with_context(|| format!("find {interface} in {path}"))
}

/// Second number of the receive half and of the transmit half: packets.
fn frames_in(text: &str, interface: &str) -> Option<FrameCount> {
    let line = text.lines().find_map(|line| line.trim_start().strip_prefix(interface)?.strip_prefix(':'))?;
    let numbers: Vec<u64> = line.split_whitespace().map_while(|w| w.parse().ok()).collect();
    Some(FrameCount { received: *numbers.get(1)?, sent: *numbers.get(9)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interfaces_counters_are_read_by_name() {
        let text = "Inter-|   Receive                                                |  Transmit\n \
                    face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n\
                    wlan00:   1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n\
                     wlan0: 126960 12345 0 0 0 0 0 0 126961 678 0 0 0 0 0 0\n";
        assert_eq!(frames_in(text, "wlan0"), Some(FrameCount { received: 12345, sent: 678 }));
        assert_eq!(frames_in(text, "wlan"), None);
        for len in 0..text.len() {
            frames_in(&text[..len], "wlan0");
        }
    }
}
