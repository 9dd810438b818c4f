//! Writes packets and captures, so that the tests know what is in them without asking the code under test.

use std::io::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

/// A device's, the gateway's and a stranger's MAC address.
pub const DEVICE: [u8; 6] = [0x7c, 0x03, 0xab, 0, 0, 1];
pub const GATEWAY: [u8; 6] = [0x02, 0xaa, 0, 0, 0, 1];
pub const OTHER_DEVICE: [u8; 6] = [0x7c, 0x03, 0xab, 0, 0, 2];

pub const DEVICE_V4: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 20);
pub const ROUTER_V4: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 1);
pub const PEER_V4: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 9);
pub const DEVICE_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0x20);
pub const PEER_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 9);

pub const UDP: u8 = 17;
pub const TCP: u8 = 6;
pub const SYN: u8 = 2;
pub const ACK: u8 = 16;

/// One captured frame, as a test thinks of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Caught {
    /// Nanoseconds since 1970.
    pub at: u64,
    pub wire_len: u32,
    pub bytes: Vec<u8>,
}

impl Caught {
    pub fn whole(at: u64, bytes: Vec<u8>) -> Self {
        Self { at, wire_len: bytes.len() as u32, bytes }
    }
}

pub fn ethernet(destination: [u8; 6], source: [u8; 6], ethertype: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = [destination, source].concat();
    frame.extend(ethertype.to_be_bytes());
    frame.extend(payload);
    frame
}

pub fn ipv4(source: Ipv4Addr, destination: Ipv4Addr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let len = 20 + payload.len() as u16;
    let mut packet = vec![0x45, 0];
    packet.extend(len.to_be_bytes());
    packet.extend([0, 1, 0, 0, 64, protocol, 0, 0]);
    packet.extend(source.octets());
    packet.extend(destination.octets());
    packet.extend(payload);
    packet
}

pub fn ipv6(source: Ipv6Addr, destination: Ipv6Addr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend((payload.len() as u16).to_be_bytes());
    packet.extend([protocol, 64]);
    packet.extend(source.octets());
    packet.extend(destination.octets());
    packet.extend(payload);
    packet
}

pub fn udp(source: u16, destination: u16, payload: &[u8]) -> Vec<u8> {
    let len = 8 + payload.len() as u16;
    let mut datagram = [source, destination, len, 0].map(u16::to_be_bytes).concat();
    datagram.extend(payload);
    datagram
}

pub fn tcp(source: u16, destination: u16, flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut segment = [source, destination].map(u16::to_be_bytes).concat();
    segment.extend([0, 0, 0, 1, 0, 0, 0, 1, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    segment.extend(payload);
    segment
}

/// From the device to the peer, over IPv4.
pub fn up(transport: u8, payload: &[u8]) -> Vec<u8> {
    ethernet(GATEWAY, DEVICE, 0x0800, &ipv4(DEVICE_V4, PEER_V4, transport, payload))
}

/// From the peer to the device, over IPv4.
pub fn down(transport: u8, payload: &[u8]) -> Vec<u8> {
    ethernet(DEVICE, GATEWAY, 0x0800, &ipv4(PEER_V4, DEVICE_V4, transport, payload))
}

/// In which byte order a file is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    Little,
    Big,
}

impl Order {
    pub fn u16(self, number: u16) -> [u8; 2] {
        if self == Self::Little { number.to_le_bytes() } else { number.to_be_bytes() }
    }
    pub fn u32(self, number: u32) -> [u8; 4] {
        if self == Self::Little { number.to_le_bytes() } else { number.to_be_bytes() }
    }
    pub fn u64(self, number: u64) -> [u8; 8] {
        if self == Self::Little { number.to_le_bytes() } else { number.to_be_bytes() }
    }
}

/// Which of the classic kinds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Micros,
    Nanos,
    Modified,
}

/// A classic capture.
pub fn pcap(order: Order, kind: Kind, link: u32, frames: &[Caught]) -> Vec<u8> {
    let (magic, unit) = match kind {
        Kind::Micros => (0xa1b2_c3d4, 1_000),
        Kind::Nanos => (0xa1b2_3c4d, 1),
        Kind::Modified => (0xa1b2_cd34, 1_000),
    };
    let mut file = order.u32(magic).to_vec();
    file.extend(order.u16(2));
    file.extend(order.u16(4));
    file.extend([0; 8]);
    file.extend(order.u32(262_144));
    file.extend(order.u32(link));
    for Caught { at, wire_len, bytes } in frames {
        let (seconds, fraction) = (at / 1_000_000_000, at % 1_000_000_000 / unit);
        for field in [seconds as u32, fraction as u32, bytes.len() as u32, *wire_len] {
            file.extend(order.u32(field));
        }
        if kind == Kind::Modified {
            file.extend([0; 8]);
        }
        file.extend(bytes);
    }
    file
}

/// A pcapng block with its two lengths, its body padded.
pub fn block(order: Order, kind: u32, body: &[u8]) -> Vec<u8> {
    let padded = body.len().next_multiple_of(4);
    let len = order.u32(padded as u32 + 12);
    let mut block = order.u32(kind).to_vec();
    block.extend(len);
    block.extend(body);
    block.resize(8 + padded, 0);
    block.extend(len);
    block
}

pub fn section(order: Order) -> Vec<u8> {
    let mut body = order.u32(0x1a2b_3c4d).to_vec();
    body.extend(order.u16(1));
    body.extend(order.u16(0));
    body.extend([0xff; 8]);
    block(order, 0x0a0d_0d0a, &body)
}

/// An interface block; `resolution` and `offset_secs` become options where given.
pub fn interface(
    order: Order,
    link: u16,
    snap_len: u32,
    resolution: Option<u8>,
    offset_secs: Option<i64>,
) -> Vec<u8> {
    let mut body = order.u16(link).to_vec();
    body.extend([0; 2]);
    body.extend(order.u32(snap_len));
    // An option with a length that needs padding comes first: the name of the interface.
    body.extend([order.u16(2), order.u16(3)].concat());
    body.extend(*b"lan\0");
    if let Some(resolution) = resolution {
        body.extend([order.u16(9), order.u16(1)].concat());
        body.extend([resolution, 0, 0, 0]);
    }
    if let Some(offset) = offset_secs {
        body.extend([order.u16(14), order.u16(8)].concat());
        body.extend(order.u64(offset as u64));
    }
    body.extend([0; 4]);
    block(order, 1, &body)
}

/// An enhanced packet block; the time is in units of the interface.
pub fn enhanced(order: Order, interface: u32, units: u64, wire_len: u32, bytes: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    for field in [interface, (units >> 32) as u32, units as u32, bytes.len() as u32, wire_len] {
        body.extend(order.u32(field));
    }
    body.extend(bytes);
    body.resize(body.len().next_multiple_of(4), 0);
    // A comment, as Wireshark adds them.
    body.extend([order.u16(1), order.u16(2)].concat());
    body.extend(*b"hi\0\0");
    body.extend([0; 4]);
    block(order, 6, &body)
}

pub fn obsolete(order: Order, interface: u16, units: u64, wire_len: u32, bytes: &[u8]) -> Vec<u8> {
    let mut body = [order.u16(interface), order.u16(7)].concat();
    for field in [(units >> 32) as u32, units as u32, bytes.len() as u32, wire_len] {
        body.extend(order.u32(field));
    }
    body.extend(bytes);
    block(order, 2, &body)
}

pub fn simple(order: Order, wire_len: u32, bytes: &[u8]) -> Vec<u8> {
    let mut body = order.u32(wire_len).to_vec();
    body.extend(bytes);
    block(order, 3, &body)
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
