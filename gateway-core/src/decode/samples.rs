//! Samples as the kernel makes them, for tests, the bench and the fuzzer, which include this file.

use gateway_common::{Direction, FlowKey, SampleHeader, SampleKind, protocol};

/// Ethernet, IP, UDP or TCP, payload, padding to 60 bytes; addresses and ports as the key has them. Of an IPv6 address
/// the device's end has the four bytes that a key keeps.
pub fn sample(
    kind: SampleKind,
    direction: Direction,
    key: FlowKey,
    boot_ns: u64,
    seq: u32,
    payload: &[u8],
) -> (SampleHeader, Vec<u8>) {
    let [l3_len, l4_len] =
        [if key.is_ipv6() { 40 } else { 20 }, if key.protocol == protocol::TCP { 20 } else { 8 }];
    let len = l4_len + u16::try_from(payload.len()).expect("short");
    let device = (device_addr(&key), key.device_port());
    let peer = (key.peer_addr_bytes(), key.peer_port());
    let (from, to) = if direction == Direction::Up { (device, peer) } else { (peer, device) };
    let mut bytes = vec![0; 12];
    if key.is_ipv6() {
        bytes.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
        bytes.extend(len.to_be_bytes());
        bytes.extend([key.protocol, 64]);
        bytes.extend([from.0, to.0].concat());
    } else {
        bytes.extend([0x08, 0x00, 0x45, 0x00]);
        bytes.extend((l3_len + len).to_be_bytes());
        bytes.extend([0, 0, 0x40, 0, 64, key.protocol, 0, 0]);
        bytes.extend([&from.0[12..], &to.0[12..]].concat());
    }
    bytes.extend(from.1.to_be_bytes());
    bytes.extend(to.1.to_be_bytes());
    if key.protocol == protocol::TCP {
        bytes.extend(seq.to_be_bytes());
        bytes.extend([0, 0, 0, 0, 0x50, 0x18, 0xff, 0xff, 0, 0, 0, 0]);
    } else {
        bytes.extend(len.to_be_bytes());
        bytes.extend([0, 0]);
    }
    bytes.extend(payload);
    bytes.resize(bytes.len().max(60), 0);
    let header = SampleHeader {
        boot_ns,
        key,
        wire_len: u32::try_from(bytes.len()).expect("short"),
        ifindex: 2,
        captured_len: u16::try_from(bytes.len()).expect("short"),
        l3_offset: 14,
        l4_offset: 14 + l3_len,
        payload_offset: 14 + l3_len + l4_len,
        kind,
        direction: direction as u8,
        segment_len: 0,
        reserved: [0; 4],
    };
    (header, bytes)
}

fn device_addr(key: &FlowKey) -> [u8; 16] {
    let mut addr = [0; 16];
    addr[..2].copy_from_slice(&[0x20, 0x01]);
    addr[12..].copy_from_slice(&key.device_addr_low.to_ne_bytes());
    addr
}
