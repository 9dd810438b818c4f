//! Choices and pieces taken from the fuzzer's bytes; where they end, zeros follow.

use gateway_common::{Direction, FlowFlags, FlowKey, SampleHeader, SampleKind, protocol};

/// Reads choices from the front of the input.
pub(crate) struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    pub(crate) fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.rest.split_first() else { return 0 };
        self.rest = rest;
        *first
    }

    pub(crate) fn short(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    /// A piece whose length its first two bytes say, at most `max`.
    pub(crate) fn piece(&mut self, max: usize) -> &'a [u8] {
        let wanted = usize::from(self.short()).min(max).min(self.rest.len());
        let (piece, rest) = self.rest.split_at(wanted);
        self.rest = rest;
        piece
    }

    pub(crate) fn rest(self) -> &'a [u8] {
        self.rest
    }
}

/// Ports at which something is read.
const PORTS: [u16; 16] =
    [53, 67, 68, 80, 123, 443, 546, 547, 853, 1194, 3478, 5353, 5355, 8080, 51820, 40_000];
/// Peers: servers, a neighbour, the gateway, a group.
const PEERS: [[u8; 4]; 6] =
    [[47, 241, 10, 5], [8, 8, 8, 8], [1, 1, 1, 1], [192, 168, 1, 1], [192, 168, 1, 9], [224, 0, 0, 251]];

/// A conversation out of few, so that pieces meet.
pub(crate) fn key(input: &mut Input<'_>) -> FlowKey {
    let [device, peer, ports, shape] = [input.byte(), input.byte(), input.byte(), input.byte()];
    let peer = PEERS[usize::from(peer) % PEERS.len()];
    let [peer_port, device_port] = [ports >> 4, ports & 15].map(|n| PORTS[usize::from(n) % PORTS.len()]);
    let is_ipv6 = shape & 0x80 != 0;
    let protocols = [protocol::TCP, protocol::UDP, protocol::ICMP, 47];
    FlowKey {
        peer_addr: [0, 0, if is_ipv6 { 0x2001 } else { 0xffff_u32.to_be() }, u32::from_ne_bytes(peer)],
        device_addr_low: u32::from_ne_bytes([192, 168, 1, 20 + device % 4]),
        device_port: device_port.to_be(),
        peer_port: peer_port.to_be(),
        mac_head: u32::from_ne_bytes([2, 0, 0, device % 4]),
        mac_tail: 1,
        protocol: protocols[usize::from(shape & 3)],
        flags: FlowFlags::VALID | if is_ipv6 { FlowFlags::IPV6 } else { 0 },
    }
}

/// A sample of a kind and a direction with this payload, as the kernel would make it: Ethernet, IP, TCP or UDP.
pub(crate) fn sample(input: &mut Input<'_>, key: FlowKey, boot_ns: u64) -> (SampleHeader, Vec<u8>) {
    let kind = SampleKind(input.byte() % 11);
    let direction = if input.byte() & 1 == 0 { Direction::Up } else { Direction::Down };
    let seq = u32::from(input.short());
    let segment_len = if input.byte() < 32 { input.short() } else { 0 };
    let payload = input.piece(4000);
    let l4_len = if key.protocol == protocol::TCP { 20 } else { 8 };
    let (device, peer) = (key.device_addr_low.to_ne_bytes(), key.peer_addr[3].to_ne_bytes());
    let (source, destination) = if direction == Direction::Up { (device, peer) } else { (peer, device) };
    let mut bytes = vec![0; 14];
    let l3_len = if key.is_ipv6() { 40 } else { 20 };
    let len = u16::try_from(l4_len + payload.len()).unwrap_or(u16::MAX);
    if key.is_ipv6() {
        bytes.extend([0x60, 0, 0, 0]);
        bytes.extend(len.to_be_bytes());
        bytes.extend([key.protocol, 64]);
        for addr in [source, destination] {
            bytes.extend([0x20, 0x01, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
            bytes.extend(addr);
        }
    } else {
        bytes.extend([0x45, 0]);
        bytes.extend((len + 20).to_be_bytes());
        bytes.extend([0, 0, 0, 0, 64, key.protocol, 0, 0]);
        bytes.extend(source);
        bytes.extend(destination);
    }
    bytes.extend([0; 4]);
    if key.protocol == protocol::TCP {
        bytes.extend(seq.to_be_bytes());
        bytes.extend([0, 0, 0, 0, 0x50, 0x18, 0, 0, 0, 0, 0, 0]);
    } else {
        bytes.extend([0; 4]);
    }
    bytes.extend(payload);
    let l4_offset = 14 + l3_len;
    let header = SampleHeader {
        boot_ns,
        key,
        wire_len: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
        ifindex: 1,
        captured_len: u16::try_from(bytes.len()).unwrap_or(u16::MAX),
        l3_offset: 14,
        l4_offset,
        payload_offset: l4_offset + u16::try_from(l4_len).unwrap_or(0),
        kind,
        direction: direction as u8,
        segment_len,
        reserved: [0; 4],
    };
    (header, bytes)
}
