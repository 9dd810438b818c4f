//! Frame → flow key, IP-layer bytes and packets as they were on the wire; or the reason why there is none.
//!
//! Looks through what [`crate::layers`] knows; respects the IPv4 header length; walks up to [`MAX_EXTENSIONS`] IPv6
//! extension headers (RFC 8200 §4); takes ports only from the first fragment; undoes the merging that offloads did.
//! Tunnels are not entered: the tunnel is the flow.

use crate::PacketBytes;
use crate::layers::{ETHERNET_LEN, Network, network_header};
use gateway_common::{Direction, FlowFlags, FlowKey, KernelStat, protocol};

/// IPv6 extension headers looked through. RFC 8200 names fewer; an endless chain is an attack.
const MAX_EXTENSIONS: usize = 8;

/// IPv6 Hop-by-Hop Options as a next header (RFC 8200 §4.3).
const HOP_BY_HOP: u8 = 0;
/// Type and length of the jumbo payload option (RFC 2675 §2).
const JUMBO_OPTION: u16 = 0xc204;
/// What is known of a frame besides its bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Frame {
    /// Length from the Ethernet header on, of which perhaps only the head can be read.
    pub len: u32,
    /// How many wire packets an offload merged into this one; 0 if it does not say.
    pub gso_segs: u32,
    /// Payload bytes of each of those; 0 if nothing was merged.
    pub gso_size: u32,
}

/// An IP packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Packet {
    /// Its conversation, from the device's side.
    pub key: FlowKey,
    /// IP-layer bytes on the wire (IPFIX octetDeltaCount): total lengths, repeated headers of merged packets
    /// included, Ethernet padding not.
    pub bytes: u64,
    /// Packets on the wire.
    pub packets: u32,
    /// Where the IP header begins.
    pub l3_offset: usize,
    /// Where the transport header begins.
    pub l4_offset: usize,
    /// Where the transport payload begins.
    pub payload_offset: usize,
    /// How many bytes of payload there are, by the IP length.
    pub payload_len: u32,
    /// TCP flags (RFC 9293 §3.1); 0 for other protocols.
    pub tcp_flags: u8,
    /// Was the number of segments computed because nobody said it?
    pub is_segments_computed: bool,
}

/// What a frame turned out to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// IP, and sound enough to count.
    Ip(Packet),
    /// Not IP or not sound: the counter of packets to bump, and the bytes. The counter of bytes is the next.
    Skip(KernelStat, u64),
}

/// The end of a frame that is not the device's, by its Ethernet address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OtherEnd {
    /// Broadcast or multicast.
    Group,
    /// One station: the gateway, or another device of the LAN. First four bytes of the address, then the last
    /// two, as [`gateway_common::Control::gateway_macs`] holds them.
    Station([u32; 2]),
}

/// Whom a frame is for ([`Direction::Up`]) or from ([`Direction::Down`]; a group is always the receiver).
#[inline(always)]
pub fn other_end(bytes: &(impl PacketBytes + ?Sized), direction: Direction) -> Option<OtherEnd> {
    let first = bytes.u16_at(0)?;
    if u16::from_be(first) & 0x0100 != 0 {
        return Some(OtherEnd::Group);
    }
    let (head, tail) = match direction {
        Direction::Up => (joined(first, bytes.u16_at(2)?), bytes.u16_at(4)?),
        Direction::Down => (bytes.u32_at(6)?, bytes.u16_at(10)?),
    };
    Some(OtherEnd::Station([head, u32::from(tail)]))
}

/// Reads a frame. `direction` says on which side the device is: its sender ([`Direction::Up`]) or its receiver.
#[inline(always)]
pub fn read_packet(bytes: &(impl PacketBytes + ?Sized), frame: &Frame, direction: Direction) -> Outcome {
    let Some(ethertype) = bytes.u16_at(12) else {
        return Outcome::Skip(KernelStat::MalformedPackets, 0);
    };
    let packet = match network_header(bytes, u16::from_be(ethertype)) {
        Network::Ipv4(offset) => ipv4(bytes, frame, direction, offset),
        Network::Ipv6(offset) => ipv6(bytes, frame, direction, offset),
        Network::Other(stat) => return Outcome::Skip(stat, behind_ethernet(frame)),
    };
    match packet {
        Some(packet) => Outcome::Ip(packet),
        None => Outcome::Skip(KernelStat::MalformedPackets, behind_ethernet(frame)),
    }
}

#[inline(always)]
fn behind_ethernet(frame: &Frame) -> u64 {
    u64::from(frame.len).saturating_sub(ETHERNET_LEN as u64)
}

/// IPv4 (RFC 791 §3.1). `None`: not an honest header.
#[inline(always)]
fn ipv4(
    bytes: &(impl PacketBytes + ?Sized),
    frame: &Frame,
    direction: Direction,
    l3: usize,
) -> Option<Packet> {
    let version_ihl = bytes.u8_at(l3)?;
    let header_len = usize::from(version_ihl & 0x0f) * 4;
    if version_ihl >> 4 != 4 || header_len < 20 {
        return None;
    }
    let on_wire = frame.len.checked_sub(l3 as u32)?;
    let total_len = match u32::from(u16::from_be(bytes.u16_at(l3 + 2)?)) {
        // A super-packet over 64 KiB (or one of an old driver) leaves the field empty.
        0 => on_wire,
        // What lies behind is Ethernet padding; what the field claims beyond the wire was never there.
        len => len.min(on_wire),
    };
    if total_len < header_len as u32 {
        return None;
    }
    let is_later_fragment = u16::from_be(bytes.u16_at(l3 + 6)?) & 0x1fff != 0;
    let protocol = bytes.u8_at(l3 + 9)?;
    let (source, destination) = (bytes.u32_at(l3 + 12)?, bytes.u32_at(l3 + 16)?);
    let (device_addr, peer_addr) = match direction {
        Direction::Up => (source, destination),
        Direction::Down => (destination, source),
    };
    let key = FlowKey {
        peer_addr: [0, 0, u32::from_be(0x0000_ffff), peer_addr],
        device_addr_low: device_addr,
        protocol,
        flags: FlowFlags::VALID | if is_later_fragment { FlowFlags::LATER_FRAGMENT } else { 0 },
        ..FlowKey::default()
    };
    let l4 = l3 + header_len;
    finish(bytes, frame, direction, key, Lengths { l3, l4, total_len, on_wire, inserted: 0 })
}

/// IPv6 (RFC 8200 §3). `None`: not an honest header.
#[inline(always)]
fn ipv6(
    bytes: &(impl PacketBytes + ?Sized),
    frame: &Frame,
    direction: Direction,
    l3: usize,
) -> Option<Packet> {
    if bytes.u8_at(l3)? >> 4 != 6 {
        return None;
    }
    let on_wire = frame.len.checked_sub(l3 as u32)?;
    let payload_len = u32::from(u16::from_be(bytes.u16_at(l3 + 4)?));
    // A jumbogram (RFC 2675) or a super-packet over 64 KiB leaves the field empty.
    let total_len =
        if payload_len == 0 && on_wire > 0xffff { on_wire } else { (40 + payload_len).min(on_wire) };
    let (device, peer) = match direction {
        Direction::Up => (l3 + 8, l3 + 24),
        Direction::Down => (l3 + 24, l3 + 8),
    };
    let peer_addr =
        [bytes.u32_at(peer)?, bytes.u32_at(peer + 4)?, bytes.u32_at(peer + 8)?, bytes.u32_at(peer + 12)?];
    let device_addr_low = bytes.u32_at(device + 12)?;
    let chain = extensions(bytes, bytes.u8_at(l3 + 6)?, l3 + 40);
    let key = FlowKey {
        peer_addr,
        device_addr_low,
        protocol: chain.protocol,
        flags: FlowFlags::VALID | FlowFlags::IPV6 | chain.flags,
        ..FlowKey::default()
    };
    // A merged packet over 64 KiB gets a jumbo option from Linux (struct hop_jumbo_hdr in net/ipv6.h), which takes it
    // out again before the wire.
    let is_inserted = frame.gso_size > 0
        && payload_len == 0
        && bytes.u8_at(l3 + 6) == Some(HOP_BY_HOP)
        && bytes.u16_at(l3 + 42) == Some(JUMBO_OPTION.to_be());
    let inserted = if is_inserted { 8 } else { 0 };
    finish(bytes, frame, direction, key, Lengths { l3, l4: chain.offset, total_len, on_wire, inserted })
}

struct Chain {
    protocol: u8,
    offset: usize,
    flags: u8,
}

/// Walks IPv6 extension headers (RFC 8200 §4.1): hop-by-hop, routing, destination options, fragment, mobility.
/// Anything else ends the walk, AH and ESP too: what is behind them is not for the router to read.
#[inline(always)]
fn extensions(bytes: &(impl PacketBytes + ?Sized), first: u8, start: usize) -> Chain {
    const ROUTING: u8 = 43;
    const FRAGMENT: u8 = 44;
    const DESTINATION: u8 = 60;
    const MOBILITY: u8 = 135;
    let mut chain = Chain { protocol: first, offset: start, flags: 0 };
    for _ in 0..MAX_EXTENSIONS {
        let len = match chain.protocol {
            HOP_BY_HOP | ROUTING | DESTINATION | MOBILITY => match bytes.u8_at(chain.offset + 1) {
                Some(eights) => (usize::from(eights) + 1) * 8,
                None => break,
            },
            FRAGMENT => match bytes.u16_at(chain.offset + 2) {
                Some(field) if u16::from_be(field) & 0xfff8 != 0 => {
                    // Only the first fragment has the headers that come next.
                    chain.protocol = bytes.u8_at(chain.offset).unwrap_or(FRAGMENT);
                    chain.offset += 8;
                    chain.flags |= FlowFlags::LATER_FRAGMENT;
                    return chain;
                }
                Some(_) => 8,
                None => break,
            },
            _ => return chain,
        };
        let Some(next) = bytes.u8_at(chain.offset) else { break };
        chain.protocol = next;
        chain.offset += len;
    }
    if matches!(chain.protocol, HOP_BY_HOP | ROUTING | FRAGMENT | DESTINATION | MOBILITY) {
        chain.flags |= FlowFlags::UNKNOWN_EXTENSION;
    }
    chain
}

struct Lengths {
    l3: usize,
    l4: usize,
    /// IP total length, made honest.
    total_len: u32,
    /// Bytes from the IP header to the end of the frame.
    on_wire: u32,
    /// Bytes of the headers that the kernel has put in and that no wire carries.
    inserted: u32,
}

/// Adds ports, the device's MAC and the lengths.
#[inline(always)]
fn finish(
    bytes: &(impl PacketBytes + ?Sized),
    frame: &Frame,
    direction: Direction,
    mut key: FlowKey,
    lengths: Lengths,
) -> Option<Packet> {
    let Lengths { l3, l4, total_len, on_wire, inserted } = lengths;
    let has_merged = frame.gso_size > 0;
    // Offloads leave no padding, and the length field may lag behind: the frame itself is the measure.
    let total_len = if has_merged { on_wire } else { total_len };
    let end = l3 as u32 + total_len;
    let mut l4_len = 0;
    let mut tcp_flags = 0;
    // Only where the IP length leaves room: padding is not a transport header.
    let is_whole = key.flags & (FlowFlags::LATER_FRAGMENT | FlowFlags::UNKNOWN_EXTENSION) == 0;
    let has_ports =
        matches!(key.protocol, protocol::TCP | protocol::UDP | protocol::SCTP | protocol::UDPLITE);
    if is_whole && has_ports && l4 as u32 + 4 <= end {
        if let (Some(source), Some(destination)) = (bytes.u16_at(l4), bytes.u16_at(l4 + 2)) {
            (key.device_port, key.peer_port) = match direction {
                Direction::Up => (source, destination),
                Direction::Down => (destination, source),
            };
        }
        match key.protocol {
            protocol::TCP => {
                // Data offset and flags (RFC 9293 §3.1), with the same care.
                if l4 as u32 + 14 <= end
                    && let Some(word) = bytes.u16_at(l4 + 12)
                {
                    let word = u16::from_be(word);
                    l4_len = usize::from(word >> 12) * 4;
                    tcp_flags = word as u8;
                }
            }
            protocol::SCTP => l4_len = 12,
            _ => l4_len = 8,
        }
    }
    (key.mac_head, key.mac_tail) = match direction {
        Direction::Up => (bytes.u32_at(6)?, bytes.u16_at(10)?),
        Direction::Down => (joined(bytes.u16_at(0)?, bytes.u16_at(2)?), bytes.u16_at(4)?),
    };
    let payload_offset = l4 + l4_len;
    let payload_len = end.saturating_sub(payload_offset as u32);
    let mut packet = Packet {
        key,
        bytes: u64::from(total_len - inserted),
        packets: 1,
        l3_offset: l3,
        l4_offset: l4,
        payload_offset,
        payload_len,
        tcp_flags,
        is_segments_computed: false,
    };
    if has_merged {
        unmerge(&mut packet, frame, inserted);
    }
    Some(packet)
}

/// Counts a super-packet as the packets it was: each of them carried the headers again.
#[inline(always)]
fn unmerge(packet: &mut Packet, frame: &Frame, inserted: u32) {
    let segments = if frame.gso_segs > 0 {
        frame.gso_segs
    } else {
        packet.is_segments_computed = true;
        packet.payload_len.div_ceil(frame.gso_size.max(1)).max(1)
    };
    let headers = packet.payload_offset - packet.l3_offset - inserted as usize;
    packet.packets = segments;
    packet.bytes += u64::from(segments - 1) * headers as u64;
}

/// Four bytes in memory order from two pairs: the destination MAC is aligned to two bytes only.
#[inline(always)]
pub(crate) fn joined(first: u16, second: u16) -> u32 {
    if cfg!(target_endian = "little") {
        u32::from(first) | u32::from(second) << 16
    } else {
        u32::from(first) << 16 | u32::from(second)
    }
}
