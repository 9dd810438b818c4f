//! The hash that finds a flow its slot: how many flows find none, and whether every bit of the key counts.

use gateway_common::{FlowFlags, FlowKey, PROBES, protocol};
use std::collections::BTreeSet;
use zerocopy::IntoBytes;

const SLOTS: u32 = 16_384;

/// SplitMix64: numbers that look random and are the same on every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn key(&mut self) -> FlowKey {
        let words = [self.next(), self.next(), self.next(), self.next()];
        zerocopy::transmute!(words)
    }
}

/// TCP over IPv4 from one device's port to port 443 of a peer.
fn v4(device: u32, peer: u32, device_port: u32) -> FlowKey {
    FlowKey {
        peer_addr: [0, 0, u32::from_be(0x0000_ffff), peer.to_be()],
        device_addr_low: (0xc0a8_0100 + device).to_be(),
        device_port: (device_port as u16).to_be(),
        peer_port: 443u16.to_be(),
        mac_head: u32::from_ne_bytes([0x7c, 0x03, 0xab, 0x10]),
        mac_tail: u16::from_ne_bytes([0x20, device as u8]),
        protocol: protocol::TCP,
        flags: FlowFlags::VALID,
    }
}

fn v6(device: u32, peer_net: u32, peer_low: u32) -> FlowKey {
    FlowKey {
        peer_addr: [0x2001_0db8u32.to_be(), peer_net.to_be(), 0, peer_low.to_be()],
        flags: FlowFlags::VALID | FlowFlags::IPV6,
        ..v4(device, 0, 50_000)
    }
}

/// What networks look like: a name, and how to make the `i`th flow.
type Pattern = (&'static str, fn(u32) -> FlowKey);

const PATTERNS: [Pattern; 9] = [
    ("one device, one peer after the other", |i| v4(2, 0x0102_0000 + i, 50_000)),
    ("one device, peers in steps of 256", |i| v4(2, 0x0102_0000 + i * 256, 50_000)),
    ("one device, one peer, many ports", |i| v4(2, 0xcb00_7109, 32_768 + i)),
    ("one device, many ports, sixteen peers", |i| v4(2, 0xcb00_7100 + i % 16, 32_768 + i / 16)),
    ("a scan of every port of a peer", |i| FlowKey {
        peer_port: (i as u16).to_be(),
        ..v4(2, 0xcb00_7109, 40_000)
    }),
    ("many devices, one peer each", |i| v4(i % 250, 0x0102_0000 + i / 250, 50_000)),
    ("many devices, many ports", |i| v4(i % 250, 0xcb00_7109, 32_768 + i / 250)),
    ("ipv6 peers one after the other", |i| v6(2, 7, i)),
    ("ipv6 networks one after the other", |i| v6(i % 8, i / 8, 1)),
];

/// How many of `count` flows find no slot of their own within reach.
fn overflow(pattern: fn(u32) -> FlowKey, count: u32, seed: u64) -> u32 {
    let mut is_taken = vec![false; SLOTS as usize];
    let mut without = 0;
    for i in 0..count {
        let hash = pattern(i).hash(seed);
        let free = (0..PROBES)
            .map(|probe| (hash.wrapping_add(probe) & (SLOTS - 1)) as usize)
            .find(|&slot| !is_taken[slot]);
        match free {
            Some(slot) => is_taken[slot] = true,
            None => without += 1,
        }
    }
    without
}

#[test]
fn patterns_make_flows_that_differ() {
    for (name, pattern) in PATTERNS {
        let keys: BTreeSet<FlowKey> = (0..10_000).map(pattern).collect();
        assert_eq!(keys.len(), 10_000, "{name}");
    }
}

/// Bounds, from 200 runs each of these patterns and of random numbers in place of the hash: random numbers lose 1
/// flow of 5 000 and 140 of 10 000 in the median, 6 and 184 at worst. The hash has the same medians and, because it
/// is a sum of products, somewhat longer tails: 12 and 355 at worst.
#[test]
fn nearly_all_flows_find_a_slot() {
    let mut numbers = Numbers(1);
    let seeds: Vec<u64> = (0..25).map(|_| numbers.next()).collect();
    for (name, pattern) in PATTERNS {
        for (count, usually, at_worst) in [(5_000, 5, 25), (10_000, 170, 500)] {
            let mut lost: Vec<u32> = seeds.iter().map(|&seed| overflow(pattern, count, seed)).collect();
            lost.sort_unstable();
            assert!(
                lost[12] <= usually && lost[24] <= at_worst,
                "{name}: {count} flows: {lost:?} have no slot"
            );
        }
    }
}

/// No bit of the key and none of the seed is without effect on the place. A perfect hash changes the low 14 bits in
/// all but one of 16 384 random keys.
#[test]
fn every_bit_of_the_key_moves_the_flow() {
    const KEYS: usize = 2_000;
    let mut numbers = Numbers(2);
    let keys: Vec<FlowKey> = (0..KEYS).map(|_| numbers.key()).collect();
    let seed = numbers.next();
    for bit in 0..256 {
        let stays = keys.iter().filter(|key| {
            let mut other = **key;
            other.as_mut_bytes()[bit / 8] ^= 1 << (bit % 8);
            (key.hash(seed) ^ other.hash(seed)) & (SLOTS - 1) == 0
        });
        let stays = stays.count();
        assert!(stays <= KEYS / 100, "bit {bit} of the key leaves {stays} of {KEYS} flows in place");
    }
    for bit in 0..64 {
        let stays = keys.iter().filter(|k| (k.hash(seed) ^ k.hash(seed ^ (1 << bit))) & (SLOTS - 1) == 0);
        let stays = stays.count();
        assert!(stays <= KEYS / 100, "bit {bit} of the seed leaves {stays} of {KEYS} flows in place");
    }
}
