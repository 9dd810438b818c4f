//! Totals of what was measured, as the counting process prints them and the tests read them.

use super::measure::Measured;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Bytes and packets.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Tally {
    /// IP-layer bytes on the wire.
    pub bytes: u64,
    /// IP packets on the wire.
    pub packets: u64,
}

impl Tally {
    fn add(&mut self, bytes: u64, packets: u64) {
        self.bytes += bytes;
        self.packets += packets;
    }
}

/// One direction between the device and the gateway.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct DirectionTotals {
    /// All IP.
    pub all: Tally,
    /// By IP version and protocol, for example `ipv4 udp fragment`.
    pub by_protocol: BTreeMap<String, Tally>,
    /// Frames that are not IP, such as ARP.
    pub not_ip_frames: u64,
}

impl DirectionTotals {
    /// Adds one frame; false if it could not be read.
    pub(crate) fn add(&mut self, measured: Measured) -> bool {
        match measured {
            Measured::Ip { protocol, packets, bytes } => {
                self.all.add(bytes, packets);
                self.by_protocol.entry(protocol.to_string()).or_default().add(bytes, packets);
            }
            Measured::NotIp => self.not_ip_frames += 1,
            Measured::Unreadable => return false,
        }
        true
    }
}

/// Frames through an interface, as one way of counting them says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct FrameCount {
    /// Frames received.
    pub received: u64,
    /// Frames sent.
    pub sent: u64,
}

/// What went between a device and its gateway, counted on the device's own interface.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Totals {
    /// From the device to the gateway.
    pub up: DirectionTotals,
    /// From the gateway to the device.
    pub down: DirectionTotals,
    /// Frames to or from others: multicast, other devices.
    pub other_frames: u64,
    /// Frames between the two that could not be read.
    pub unreadable_frames: u64,
    /// Frames that the socket had no room for.
    pub dropped_frames: u64,
    /// Every frame that the socket saw on the interface.
    pub seen: FrameCount,
    /// Every frame that the interface's own counters saw meanwhile.
    pub interface: FrameCount,
}

impl Totals {
    /// Why these totals may not be the whole truth; empty if they are.
    ///
    /// With receive offload on, the interface counts before packets are joined and the socket after, so only
    /// the frames sent are compared then.
    #[must_use]
    pub fn doubts(&self, receive_offload: bool) -> Vec<String> {
        let Self { unreadable_frames, dropped_frames, seen, interface, .. } = self;
        let mut doubts = Vec::new();
        if *dropped_frames != 0 {
            doubts.push(format!("the counting socket dropped {dropped_frames} frames"));
        }
        if *unreadable_frames != 0 {
            doubts.push(format!("{unreadable_frames} frames could not be read"));
        }
        if seen.sent != interface.sent || (!receive_offload && seen.received != interface.received) {
            doubts.push(format!("the socket saw {seen:?}, the interface {interface:?}"));
        }
        doubts
    }
}
