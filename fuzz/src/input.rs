//! Choices and pieces taken from the fuzzer's bytes; where they end, zeros follow.

use super::samples;
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
    let (mut header, bytes) = samples::sample(kind, direction, key, boot_ns, seq, input.piece(4000));
    header.segment_len = segment_len;
    (header, bytes)
}
