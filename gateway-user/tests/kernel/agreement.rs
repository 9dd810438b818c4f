//! One reader, compiled twice: the loaded program and the host library must agree on every frame.

use crate::{
    bench::{Bench, Counts, cpus, from_port, stay_on, try_run},
    fixtures::{self, Fixture, named},
    model::{Model, differences},
};
use gateway_common::{KernelStat, map_name};

/// What `BPF_PROG_TEST_RUN` refuses, and why. `wire` sends those that a wire can carry over one.
pub const REFUSED: [(&str, &str); 8] = [
    ("cut before the type", "no interface carries less than an Ethernet header"),
    ("cut behind the type", "the kernel wants a whole IPv4 header of a test packet"),
    ("cut in the ipv4 length", "the same"),
    ("cut in the ipv4 header", "the same"),
    ("ipv6 and nothing of it", "the kernel wants a whole IPv6 header of a test packet"),
    ("cut in the ipv6 addresses", "the same"),
    ("cut in the last byte of the ipv6 header", "the same"),
    ("jumbo frame", "a test packet is no longer than a page"),
];

/// Frames that are longer than their bytes at hand cannot be run at all.
fn is_runnable(fixture: &Fixture) -> bool {
    let is_refused = REFUSED.iter().any(|(name, _)| *name == fixture.name);
    !is_refused && fixture.frame_len as usize == fixture.frame.len()
}

pub fn runnable() -> Vec<Fixture> {
    fixtures::all().into_iter().filter(is_runnable).collect()
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn the_program_reads_every_frame_as_the_library_does() {
    let mut bench = Bench::new("alone");
    // Moved to another CPU between two packets, a flow would rightly take two slots.
    stay_on(cpus()[0]);
    let mut wrong = Vec::new();
    for fixture in runnable() {
        // The first takes the slow way, because the flow is new; the others whichever there is.
        bench.send(&fixture, 1);
        bench.send(&fixture, 2);
        let found = bench.drain();
        let expected = Model::of([&fixture, &fixture, &fixture]).counts();
        let differences = differences(&found, &expected);
        if !differences.is_empty() {
            wrong.push(format!("{}:\n{}", fixture.name, differences.join("\n")));
        }
        bench.kernel.names.take(u64::MAX, |_, _| ());
        bench.kernel.hellos.take(u64::MAX, |_, _| ());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn what_cannot_be_tried_this_way_is_known() {
    let mut bench = Bench::new("refused");
    let program = bench.kernel.program(map_name::PROGRAM_INGRESS).unwrap();
    for (name, why) in REFUSED {
        // A kernel that takes one of these after all makes the test better: take it off the list.
        assert!(try_run(program, &named(name), 1).is_err(), "{name} can be run, although {why}");
    }
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn what_all_cpus_counted_is_added_up() {
    let mut bench = Bench::new("merge");
    let fixtures = runnable();
    let cpus = cpus();
    for round in 0..2 {
        let mut expected = Counts::default();
        for &cpu in &cpus {
            stay_on(cpu);
            for fixture in &fixtures {
                bench.send(fixture, 1);
            }
            // Every CPU has slots and a state of its own.
            add(&mut expected, Model::of(&fixtures).counts());
        }
        let differences = differences(&bench.drain(), &expected);
        assert!(differences.is_empty(), "round {round} on {} CPUs:\n{}", cpus.len(), differences.join("\n"));
        bench.kernel.names.take(u64::MAX, |_, _| ());
        bench.kernel.hellos.take(u64::MAX, |_, _| ());
    }
}

fn add(sum: &mut Counts, part: Counts) {
    sum.1.merge(&part.1);
    for (key, flow) in part.0 {
        let slot = sum.0.entry(key).or_default();
        slot.key = key;
        slot.up_bytes += flow.up_bytes;
        slot.down_bytes += flow.down_bytes;
        slot.up_packets += flow.up_packets;
        slot.down_packets += flow.down_packets;
        slot.opened |= flow.opened;
    }
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn plain_packets_go_the_quick_way() {
    let mut bench = Bench::new("quick");
    let slow_packets = |counts: Counts| counts.1.get(KernelStat::UnplainPackets);
    for name in ["tcp4 down", "tcp6 down", "udp4 up", "udp6 up", "udp4 down", "udp6 down"] {
        bench.send(&named(name), 1000);
        assert_eq!(slow_packets(bench.drain()), 1, "{name}: all but the first");
    }
    // An upload's first payloads are looked at; none of them begins a hello, so the search is over.
    bench.send(&named("tls application data"), 1000);
    assert_eq!(slow_packets(bench.drain()), 8, "no hello");
    for name in [
        "icmp up",
        "vlan ipv4",
        "two tcp segments",
        "to another device",
        "dns question",
        "tcp4 syn with an option",
    ] {
        bench.send(&named(name), 10);
        assert_eq!(slow_packets(bench.drain()), 10, "{name}");
    }
}

/// A kernel gives up after a million instructions. Older ones recognise fewer paths as the same, so there must be room.
#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn the_verifier_has_room_to_spare() {
    let mut bench = Bench::new("verifier");
    for name in [map_name::PROGRAM_INGRESS, map_name::PROGRAM_EGRESS] {
        let info = bench.kernel.program(name).unwrap().info().unwrap();
        let count = info.verified_instruction_count().expect("a kernel that tells");
        assert!((1000..200_000).contains(&count), "{name}: the verifier went through {count} instructions");
    }
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn every_gateway_address_is_the_gateways() {
    let mut bench = Bench::new("macs");
    let all: Vec<[u8; 6]> = (1..=16).map(|i| [2, i, 3, 4, 5, 6 + i]).collect();
    let to = |mac: [u8; 6]| {
        let mut fixture = from_port(&named("udp4 up"), 40_000 + u16::from(mac[1]));
        fixture.frame[..6].copy_from_slice(&mac);
        fixture
    };
    bench.kernel.tables.set_gateway_macs(&all).unwrap();
    for &mac in &all {
        bench.send(&to(mac), 2);
    }
    let (flows, stats) = bench.drain();
    assert_eq!((flows.len(), stats.get(KernelStat::BridgedPackets)), (16, 0));

    // A shorter list forgets the rest, and an address of zeroes is nobody's.
    bench.kernel.tables.set_gateway_macs(&all[..3]).unwrap();
    for &mac in &all {
        bench.send(&to(mac), 2);
    }
    bench.send(&to([0; 6]), 2);
    let (flows, stats) = bench.drain();
    assert_eq!((flows.len(), stats.get(KernelStat::BridgedPackets)), (3, 2 * 14));

    let too_many = [all.clone(), vec![[4; 6]]].concat();
    let refusal = bench.kernel.tables.set_gateway_macs(&too_many).unwrap_err().to_string();
    assert!(refusal.contains("17 MAC addresses"), "{refusal}");
}
