//! Tables that are too small: detail is lost step by step, volume never.

use crate::{
    bench::{Bench, from_device, from_port, options, roomy, stay_on},
    fixtures::{Fixture, frame::PHONE, named},
};
use aya::maps::{Map, PerCpuHashMap, PerCpuValues};
use gateway_common::{
    FlowCounters, FlowFlags, FlowKey, FlowSlot, KernelStat, MAX_SLOT_PACKETS, MacAddr, map_name, protocol,
};
use gateway_core::drained::DrainedFlow;
use gateway_user::kernel::{Geometry, LoadOptions};
use std::collections::BTreeMap;

fn small(fast_slots: u32, exact_entries: u32, coarse_cells: u32) -> LoadOptions {
    options(Geometry { fast_slots, exact_entries, coarse_cells, ..roomy() }, true)
}

fn packets(flow: &DrainedFlow) -> u64 {
    flow.up_packets + flow.down_packets
}

fn bytes(flow: &DrainedFlow) -> u64 {
    flow.up_bytes + flow.down_bytes
}

/// Packets and bytes by device.
fn by_device<'a>(flows: impl IntoIterator<Item = &'a DrainedFlow>) -> BTreeMap<MacAddr, (u64, u64)> {
    let mut totals = BTreeMap::<MacAddr, (u64, u64)>::new();
    for flow in flows {
        let total = totals.entry(flow.key.device_mac()).or_default();
        total.0 += packets(flow);
        total.1 += bytes(flow);
    }
    totals
}

fn mac(device: u16) -> MacAddr {
    let ([a, b, c, d, ..], [e, f]) = (PHONE, device.to_be_bytes());
    [a, b, c, d, e, f]
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn three_tiers_add_up_and_devices_stay_exact() {
    stay_on(0);
    let mut bench = Bench::with("tiers", &small(64, 32, 16));
    let (up, down) = (named("tcp4 up"), named("tcp4 down"));
    let udp = named("two datagrams");
    let mut sent = BTreeMap::<MacAddr, (u64, u64)>::new();
    for i in 0..400u16 {
        let device = 1 + i % 3;
        // 45 bytes up, 90 down in two packets, and every fifth flow a super-packet of two datagrams.
        bench.send(&from_device(&from_port(&up, 1000 + i), device), 1);
        bench.send(&from_device(&from_port(&down, 1000 + i), device), 2);
        let total = sent.entry(mac(device)).or_default();
        *total = (total.0 + 3, total.1 + 135);
        if i % 5 == 0 {
            bench.send(&from_device(&from_port(&udp, 1000 + i), device), 1);
            *total = (total.0 + 2, total.1 + 2456);
        }
    }
    let fill = bench.kernel.tables.fill();
    let (flows, stats) = bench.drain();
    assert_eq!(by_device(flows.values()), sent);
    let fast_slots = stats.get(KernelStat::FastSlots);
    assert!((50..=64).contains(&fast_slots), "{fast_slots}");
    assert_eq!(fill, fast_slots as f64 / 64.0);

    let (coarse, detailed): (Vec<_>, Vec<_>) = flows.values().partition(|f| f.key.is_coarse());
    assert_eq!(detailed.len() as u64, fast_slots + 32, "both tables are full");
    assert_eq!(coarse.len(), 3 * 2, "devices and protocols");
    let coarse_packets: u64 = coarse.iter().copied().map(packets).sum();
    let coarse_bytes: u64 = coarse.iter().copied().map(bytes).sum();
    assert_eq!(stats.get(KernelStat::CoarsePackets), coarse_packets);
    assert_eq!(stats.get(KernelStat::CoarseBytes), coarse_bytes);
    assert!(stats.get(KernelStat::ExactPackets) >= 32 && stats.get(KernelStat::ExactBytes) >= 32 * 135);
    assert_eq!((stats.get(KernelStat::NobodyPackets), stats.get(KernelStat::NobodyBytes)), (0, 0));

    // The other buffer is as empty as the first one was, and the first is again.
    for _ in 0..2 {
        bench.send(&up, 1);
        let (flows, stats) = bench.drain();
        assert_eq!((flows.len(), stats.get(KernelStat::FastSlots)), (1, 1));
        assert_eq!(stats.get(KernelStat::ExactPackets) + stats.get(KernelStat::CoarsePackets), 0);
    }
}

/// Fills the fast table and the one entry of the exact table with flows of a device that nobody asks about.
fn fill_up(bench: &mut Bench) {
    let filler = from_device(&named("udp4 down"), 0xffff);
    for i in 0..600 {
        bench.send(&from_port(&filler, 20_000 + i), 1);
    }
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn coarse_cells_keep_device_version_and_class() {
    stay_on(0);
    let mut bench = Bench::with("cells", &small(64, 1, 64));
    fill_up(&mut bench);
    for name in
        ["tcp4 up", "tcp6 down", "udp4 up", "udp6 down", "icmp up", "icmpv6 down", "gre4", "sctp4 up", "esp6"]
    {
        bench.send(&named(name), 10);
    }
    let (flows, _) = bench.drain();
    let cells: BTreeMap<(bool, u8), (u64, u64)> = flows
        .values()
        .filter(|f| f.key.is_coarse() && f.key.device_mac() == PHONE)
        .map(|f| {
            let FlowKey { peer_addr, device_addr_low, device_port, peer_port, .. } = f.key;
            assert_eq!((peer_addr, device_addr_low, device_port, peer_port), ([0; 4], 0, 0, 0));
            ((f.key.is_ipv6(), f.key.protocol), (f.up_bytes, f.down_bytes))
        })
        .collect();
    let expected = BTreeMap::from([
        ((false, protocol::TCP), (450, 0)),
        ((false, protocol::UDP), (330, 0)),
        ((false, protocol::ICMP), (320, 0)),
        ((false, protocol::OTHER), (320 + 370, 0)),
        ((true, protocol::TCP), (0, 650)),
        ((true, protocol::UDP), (0, 530)),
        ((true, protocol::ICMP), (0, 520)),
        ((true, protocol::OTHER), (0, 520)),
    ]);
    // A flow or two may have found one of the last fast slots; then its cell lacks exactly that flow.
    let detailed = flows.values().filter(|f| !f.key.is_coarse() && f.key.device_mac() == PHONE).count();
    assert_eq!(detailed, 0, "the fast table was not full");
    assert_eq!(cells, expected);
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn beyond_the_last_cell_packets_are_nobodys_and_counted() {
    stay_on(0);
    let mut bench = Bench::with("nobody", &small(64, 1, 4));
    fill_up(&mut bench);
    let up = named("tcp4 up");
    for device in 1..=10 {
        bench.send(&from_device(&up, device), 7);
    }
    bench.send(&from_device(&named("dns question"), 11), 3);
    let (flows, stats) = bench.drain();
    let cells = flows.values().filter(|f| f.key.is_coarse()).count();
    assert_eq!(cells, 4, "the filler's and three others");
    let devices = by_device(flows.values());
    let nobody = stats.get(KernelStat::NobodyPackets);
    assert_eq!(nobody, (10 - 3) * 7 + 3);
    assert_eq!(stats.get(KernelStat::NobodyBytes), (10 - 3) * 7 * 45 + 3 * 33);
    for device in 1..=3 {
        assert_eq!(devices.get(&mac(device)), Some(&(7, 7 * 45)), "the first come have their cell");
    }
    // Names are learned even then.
    assert_eq!(stats.get(KernelStat::NamesSampled), 3);
}

/// The slots of all CPUs and both buffers that hold this key.
fn slots_of(bench: &Bench, key: FlowKey) -> Vec<u32> {
    let fast = bench.array::<[u64; 8]>(map_name::FAST);
    let holds = |index: &u32| {
        let slot: FlowSlot = zerocopy::transmute!(fast.get(index, 0).unwrap());
        slot.key == key
    };
    (0..fast.len()).filter(holds).collect()
}

fn key_of(bench: &mut Bench, fixture: &Fixture) -> FlowKey {
    bench.send(fixture, 1);
    let (flows, _) = bench.drain();
    *flows.keys().next().unwrap()
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn a_slot_that_has_counted_its_most_hands_on_to_another() {
    stay_on(0);
    let mut bench = Bench::new("ceiling");
    let down = named("tcp4 down");
    let key = key_of(&mut bench, &down);
    bench.send(&down, 1);
    let [index] = slots_of(&bench, key)[..] else { panic!("one slot") };
    let mut fast = bench.array::<[u64; 8]>(map_name::FAST);
    let mut slot: FlowSlot = zerocopy::transmute!(fast.get(&index, 0).unwrap());
    slot.counters.down_packets = MAX_SLOT_PACKETS - 1;
    slot.counters.down_bytes = 1 << 40;
    fast.set(index, words(slot), 0).unwrap();
    // The first of these is the slot's last; a super-packet goes by the same rule.
    bench.send(&down, 3);
    bench.send(&named("two tcp segments"), 1);
    assert_eq!(slots_of(&bench, key).len(), 2);
    let quiet = bench.flip();
    let (flows, stats) = bench.kernel.tables.read(quiet).unwrap();
    let [flow] = flows[..] else { panic!("the two are one: {flows:?}") };
    assert_eq!((flow.key, flow.up_packets), (key, 0));
    assert_eq!(flow.down_packets, u64::from(MAX_SLOT_PACKETS) - 1 + 3 + 2);
    assert_eq!(flow.down_bytes, (1 << 40) + 3 * 45 + 3000);
    assert_eq!(stats.get(KernelStat::FastSlots), 2);
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn an_exact_entry_that_has_counted_its_most_hands_on_to_the_device() {
    stay_on(0);
    let mut bench = Bench::with("exact-ceiling", &small(64, 8, 64));
    let mut fast = bench.array::<[u64; 8]>(map_name::FAST);
    let taken =
        FlowSlot { key: FlowKey { flags: FlowFlags::VALID, ..FlowKey::default() }, ..FlowSlot::default() };
    for index in 0..fast.len() {
        fast.set(index, words(taken), 0).unwrap();
    }
    let down = named("tcp4 down");
    bench.send(&down, 1);
    let map = bench.kernel.pins.open_map(&bench.kernel.tables.geometry(), map_name::EXACT_0).unwrap();
    let mut exact = PerCpuHashMap::<_, [u64; 4], [u64; 4]>::try_from(Map::PerCpuHashMap(map)).unwrap();
    let key = exact.keys().next().unwrap().unwrap();
    let held = exact.get(&key, 0).unwrap();
    let values = held.iter().map(|value| {
        let mut counters: FlowCounters = zerocopy::transmute!(*value);
        // The values of CPUs that counted nothing stay as they are.
        if counters.down_packets == 1 {
            counters.down_packets = MAX_SLOT_PACKETS - 1;
        }
        zerocopy::transmute!(counters)
    });
    let values = PerCpuValues::try_from(values.collect::<Vec<[u64; 4]>>()).unwrap();
    exact.insert(key, values, 0).unwrap();
    bench.send(&down, 3);
    let quiet = bench.flip();
    let (flows, stats) = bench.kernel.tables.read(quiet).unwrap();
    let found: Vec<_> = flows
        .iter()
        .filter(|f| f.key.device_mac() == PHONE)
        .map(|f| (f.key.is_coarse(), f.down_packets))
        .collect();
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found.contains(&(false, u64::from(MAX_SLOT_PACKETS))) && found.contains(&(true, 2)), "{found:?}");
    assert_eq!((stats.get(KernelStat::ExactPackets), stats.get(KernelStat::CoarsePackets)), (2, 2));
}

fn words(slot: FlowSlot) -> [u64; 8] {
    zerocopy::transmute!(slot)
}
