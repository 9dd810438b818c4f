//! The counting process: an `AF_PACKET` socket on a device's interface, read until standard input ends.
//!
//! `unsafe` comes only from nix's macro for socket options that nix itself does not have.

use super::measure::{Segmentation, VIRTIO_HEADER_LEN, macs, measure};
use super::tally::{FrameCount, Totals};
use anyhow::{Context as _, Result, bail};
use nix::errno::Errno;
use nix::net::if_::if_nametoindex;
use nix::sys::socket::sockopt::{RcvBufForce, ReceiveTimeout};
use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, getsockopt, recvmsg, setsockopt, socket,
};
use nix::sys::time::{TimeVal, TimeValLike as _};
use std::fs;
use std::io::{IoSliceMut, Read as _, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

mod options {
    #![allow(unsafe_code, missing_docs, reason = "nix's macro calls setsockopt and getsockopt")]
    use nix::{getsockopt_impl, setsockopt_impl, sockopt_impl};

    // linux/socket.h and linux/if_packet.h; the libc crate lacks them.
    const SOL_PACKET: i32 = 263;
    const PACKET_STATISTICS: i32 = 6;
    const PACKET_VNET_HDR: i32 = 15;

    sockopt_impl!(
        /// Each frame comes with its virtio header (packet(7)).
        PacketVnetHdr, SetOnly, SOL_PACKET, PACKET_VNET_HDR, bool
    );
    sockopt_impl!(
        /// `struct tpacket_stats`: frames that came, and those of them for which there was no room.
        PacketStatistics, GetOnly, SOL_PACKET, PACKET_STATISTICS, [u32; 2]
    );
}

/// Room for frames that wait to be read, bytes. A whole flood fits, so the reader may fall behind.
const RECEIVE_BUFFER: usize = 512 << 20;

/// Enough of a frame for every header that is read.
const HEAD_LEN: usize = 512;

/// How often a reader with nothing to read looks whether it shall end, milliseconds.
const LOOK_AROUND_MS: i64 = 20;

/// `PACKET_OUTGOING` of linux/if_packet.h.
const PACKET_OUTGOING: u8 = 4;

/// Printed on standard output once every frame from then on is counted.
pub(crate) const READY: &str = "counting";

/// Counts frames between this machine and `gateway_mac` on `interface` in the current network namespace until
/// standard input ends, then prints [`Totals`] as JSON.
///
/// # Errors
/// If there is no such interface, or the caller may not open packet sockets.
pub fn count_until_end_of_input(interface: &str, gateway_mac: [u8; 6]) -> Result<()> {
    let socket = open_socket()?;
    let mut counter = Counter::new(interface, gateway_mac)?;
    let before = interface_frames(interface)?;
    let is_over = AtomicBool::new(false);
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{READY}").and_then(|()| stdout.flush()).context("tell that counting has begun")?;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // An error ends the wait as well as an end does.
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
            is_over.store(true, Ordering::Release);
        });
        counter.read(&socket, &is_over)
    })?;
    let after = interface_frames(interface)?;
    let mut totals = counter.totals;
    totals.interface =
        FrameCount { received: after.received - before.received, sent: after.sent - before.sent };
    let [_, dropped] = getsockopt(&socket, options::PacketStatistics).context("read the socket's losses")?;
    totals.dropped_frames = u64::from(dropped);
    let json = serde_json::to_string(&totals).context("write the totals as JSON")?;
    writeln!(stdout, "{json}").context("print the totals")
}

fn open_socket() -> Result<OwnedFd> {
    // Of all interfaces; frames of others are left out by the index that comes with each.
    let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::EthAll)
        .context("open a packet socket, which only root may")?;
    setsockopt(&socket, options::PacketVnetHdr, &true).context("ask for virtio headers")?;
    setsockopt(&socket, RcvBufForce, &RECEIVE_BUFFER).context("enlarge the socket's buffer")?;
    setsockopt(&socket, ReceiveTimeout, &TimeVal::milliseconds(LOOK_AROUND_MS)).context("set a time limit")?;
    Ok(socket)
}

struct Counter {
    index: usize,
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
        Ok(Self { index: index as usize, own_mac, gateway_mac, totals: Totals::default() })
    }

    /// Reads until `is_over` and nothing waits.
    fn read(&mut self, socket: &OwnedFd, is_over: &AtomicBool) -> Result<()> {
        let mut buffer = [0; VIRTIO_HEADER_LEN + HEAD_LEN];
        loop {
            let was_over = is_over.load(Ordering::Acquire);
            let mut parts = [IoSliceMut::new(&mut buffer)];
            // With MSG_TRUNC the length is the frame's own, however little of it fits.
            let received = match recvmsg::<LinkAddr>(socket.as_raw_fd(), &mut parts, None, MsgFlags::MSG_TRUNC) {
                Ok(message) => message.address.map(|from| (message.bytes, from)),
                Err(Errno::EAGAIN) if was_over => return Ok(()),
                Err(Errno::EAGAIN | Errno::EINTR) => continue,
                Err(error) => return Err(error).context("read from the packet socket"),
            };
            let Some((len, from)) = received else { bail!("a frame came without its interface") };
            if from.ifindex() == self.index {
                self.add(&buffer, len, from.pkttype() == PACKET_OUTGOING);
            }
        }
    }

    fn add(&mut self, buffer: &[u8], len: usize, is_outgoing: bool) {
        let totals = &mut self.totals;
        *(if is_outgoing { &mut totals.seen.sent } else { &mut totals.seen.received }) += 1;
        let received = buffer.get(..len).unwrap_or(buffer);
        let (Some((segmentation, head)), Some(frame_len)) =
            (Segmentation::split_from(received), len.checked_sub(VIRTIO_HEADER_LEN))
        else {
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
        if !direction.add(measure(head, frame_len, segmentation)) {
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
