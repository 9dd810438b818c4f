//! The reader for nearly every packet there is: untagged, TCP or UDP, no options, no fragments, nothing merged.
//!
//! One check of length, then loads at fixed offsets. Where it answers, it answers what [`crate::read_packet`]
//! would; where it does not, that one must be asked.

use crate::{Frame, Packet, PacketBytes, Window};
use gateway_common::{Direction, FlowFlags, FlowKey, protocol};

const ETHERNET_LEN: usize = 14;
const UDP_LEN: usize = 8;
const TCP_LEN: usize = 20;
const IPV4_LEN: usize = 20;
const IPV6_LEN: usize = 40;

/// The Ethernet, IP and shortest transport header of a packet that may be plain IPv4.
pub const IPV4_HEAD: usize = ETHERNET_LEN + IPV4_LEN + UDP_LEN;

/// The same of IPv6.
pub const IPV6_HEAD: usize = ETHERNET_LEN + IPV6_LEN + UDP_LEN;

/// Reads a plain IPv4 packet; `None` for any other. `direction` as for [`crate::read_packet`].
#[inline(always)]
pub fn read_quick_ipv4(
    head: &impl Window<IPV4_HEAD>,
    bytes: &(impl PacketBytes + ?Sized),
    frame: &Frame,
    direction: Direction,
) -> Option<Packet> {
    // A fragment leaves this path, the first one too. "Don't fragment" is a flag of its own.
    let is_fragment = u16::from_be(head.u16::<20>()) & 0x3fff != 0;
    if u16::from_be(head.u16::<12>()) != 0x0800 || head.u8::<14>() != 0x45 || is_fragment {
        return None;
    }
    let (source, destination) = (head.u32::<26>(), head.u32::<30>());
    let (device_addr_low, peer_addr) = match direction {
        Direction::Up => (source, destination),
        Direction::Down => (destination, source),
    };
    let total_len = u32::from(u16::from_be(head.u16::<16>()));
    let key = FlowKey {
        peer_addr: [0, 0, u32::from_be(0x0000_ffff), peer_addr],
        device_addr_low,
        protocol: head.u8::<23>(),
        flags: FlowFlags::VALID,
        ..mac_of(head, direction)
    };
    transport(bytes, frame, direction, key, IPV4_LEN, total_len)
}

/// Reads a plain IPv6 packet; `None` for any other.
#[inline(always)]
pub fn read_quick_ipv6(
    head: &impl Window<IPV6_HEAD>,
    bytes: &(impl PacketBytes + ?Sized),
    frame: &Frame,
    direction: Direction,
) -> Option<Packet> {
    let payload_len = u16::from_be(head.u16::<18>());
    if u16::from_be(head.u16::<12>()) != 0x86dd || head.u8::<14>() >> 4 != 6 || payload_len == 0 {
        return None;
    }
    let source = [head.u32::<22>(), head.u32::<26>(), head.u32::<30>(), head.u32::<34>()];
    let destination = [head.u32::<38>(), head.u32::<42>(), head.u32::<46>(), head.u32::<50>()];
    let (device, peer_addr) = match direction {
        Direction::Up => (source, destination),
        Direction::Down => (destination, source),
    };
    let key = FlowKey {
        peer_addr,
        device_addr_low: device[3],
        protocol: head.u8::<20>(),
        flags: FlowFlags::VALID | FlowFlags::IPV6,
        ..mac_of(head, direction)
    };
    transport(bytes, frame, direction, key, IPV6_LEN, IPV6_LEN as u32 + u32::from(payload_len))
}

/// The address of the end that is not the device's, as [`gateway_common::Control::gateway_macs`] holds it.
#[inline(always)]
pub fn other_mac<const N: usize>(head: &impl Window<N>, direction: Direction) -> [u32; 2] {
    let opposite = match direction {
        Direction::Up => Direction::Down,
        Direction::Down => Direction::Up,
    };
    let FlowKey { mac_head, mac_tail, .. } = mac_of(head, opposite);
    [mac_head, u32::from(mac_tail)]
}

/// A key with nothing in it but the device's MAC.
#[inline(always)]
fn mac_of<const N: usize>(head: &impl Window<N>, direction: Direction) -> FlowKey {
    let (mac_head, mac_tail) = match direction {
        Direction::Up => (head.u32::<6>(), head.u16::<10>()),
        Direction::Down => (crate::headers::joined(head.u16::<0>(), head.u16::<2>()), head.u16::<4>()),
    };
    FlowKey { mac_head, mac_tail, ..FlowKey::default() }
}

#[inline(always)]
fn transport(
    bytes: &(impl PacketBytes + ?Sized),
    frame: &Frame,
    direction: Direction,
    mut key: FlowKey,
    l3_len: usize,
    total_len: u32,
) -> Option<Packet> {
    let l4 = ETHERNET_LEN + l3_len;
    let (source, destination, l4_len, tcp_flags) = match key.protocol {
        protocol::TCP => {
            let tcp = bytes.window::<TCP_LEN>(l4)?;
            let word = u16::from_be(tcp.u16::<12>());
            let l4_len = u32::from(word >> 12) * 4;
            // An impossible one: what was just read may lie behind the packet's end.
            if l4_len < TCP_LEN as u32 {
                return None;
            }
            (tcp.u16::<0>(), tcp.u16::<2>(), l4_len, word as u8)
        }
        protocol::UDP => {
            let udp = bytes.window::<UDP_LEN>(l4)?;
            (udp.u16::<0>(), udp.u16::<2>(), UDP_LEN as u32, 0)
        }
        _ => return None,
    };
    (key.device_port, key.peer_port) = match direction {
        Direction::Up => (source, destination),
        Direction::Down => (destination, source),
    };
    let header_len = l3_len as u32 + l4_len;
    if total_len < header_len || ETHERNET_LEN as u32 + total_len > frame.len {
        return None;
    }
    Some(Packet {
        key,
        bytes: u64::from(total_len),
        packets: 1,
        l3_offset: ETHERNET_LEN,
        l4_offset: l4,
        payload_offset: l4 + l4_len as usize,
        payload_len: total_len - header_len,
        tcp_flags,
        is_segments_computed: false,
    })
}
