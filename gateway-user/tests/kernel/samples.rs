//! The rings: exactly the samples that the library finds worth copying, and what happens when there is no room.

use crate::{
    agreement::runnable,
    bench::{Bench, from_port, options, roomy, stay_on},
    fixtures::{Fixture, conversations, conversations::Conversation, named},
    model::{Model, ModelSample, differences},
};
use gateway_common::{KernelStat, SampleKind};
use gateway_user::kernel::{Geometry, LoadOptions, SampleRing, Sampled};

/// The least ring there is: a page.
const PAGE: u32 = 4096;

fn tiny_rings() -> LoadOptions {
    options(Geometry { ring_names_bytes: PAGE, ring_hellos_bytes: PAGE, ..roomy() }, true)
}

/// Everything that waits in a ring, in the model's words.
fn taken(ring: &mut SampleRing) -> Vec<ModelSample> {
    let (mut samples, mut last_boot_ns) = (Vec::new(), 0);
    let sampled = ring.take(u64::MAX, |header, snapshot| {
        assert!(header.boot_ns > last_boot_ns, "samples come in order");
        last_boot_ns = header.boot_ns;
        // BPF_PROG_TEST_RUN lends the packet the loopback interface.
        assert_eq!((header.ifindex, header.reserved), (1, [0; 4]));
        assert_eq!(usize::from(header.captured_len), snapshot.len());
        samples.push(ModelSample {
            kind: header.kind,
            direction: header.direction,
            key: header.key,
            wire_len: header.wire_len,
            offsets: [header.l3_offset, header.l4_offset, header.payload_offset],
            segment_len: header.segment_len,
            snapshot: snapshot.to_vec(),
        });
    });
    assert_eq!(sampled, Sampled { samples: samples.len() as u64, broken: 0 });
    samples
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn the_rings_hold_what_is_worth_copying_and_nothing_else() {
    stay_on(0);
    let mut bench = Bench::new("samples");
    let (mut model, mut hello_count) = (Model::default(), 0);
    for fixture in runnable() {
        // Most TCP fixtures are one flow, of which only the first payload is looked at, until a drain.
        if !Model::of([&fixture]).hellos.is_empty() {
            hello_count += 1;
            bench.drain();
            model = Model::default();
        }
        bench.send(&fixture, 1);
        model.count(&fixture);
        let names = taken(&mut bench.kernel.names);
        let hellos = taken(&mut bench.kernel.hellos);
        assert_eq!(names, std::mem::take(&mut model.names), "{}", fixture.name);
        assert_eq!(hellos, std::mem::take(&mut model.hellos), "{}", fixture.name);
    }
    assert_eq!(hello_count, 8, "hellos and requests among the fixtures");
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn conversations_are_sampled_as_written() {
    stay_on(0);
    let mut bench = Bench::new("conversations");
    let mut wrong = Vec::new();
    for Conversation { name, packets, .. } in conversations::all() {
        let mut model = Model::default();
        for (at, (fixture, expected)) in packets.iter().enumerate() {
            bench.send(fixture, 1);
            model.count(fixture);
            let mut found = taken(&mut bench.kernel.names);
            found.extend(taken(&mut bench.kernel.hellos));
            let kinds: Vec<SampleKind> = found.iter().map(|sample| sample.kind).collect();
            if kinds != expected.iter().copied().collect::<Vec<_>>() {
                wrong.push(format!("{name}: packet {at}: {kinds:?}, expected {expected:?}"));
            }
            let mut modelled = std::mem::take(&mut model.names);
            modelled.append(&mut model.hellos);
            assert_eq!(found, modelled, "{name}: packet {at}");
        }
        let differences = differences(&bench.drain(), &model.counts());
        assert!(differences.is_empty(), "{name}:\n{}", differences.join("\n"));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn a_full_names_ring_drops_and_counts() {
    stay_on(0);
    let mut bench = Bench::with("full-names", &tiny_rings());
    let question = named("dns question");
    for round in 0..2 {
        bench.send(&question, 200);
        let waiting = taken(&mut bench.kernel.names).len() as u64;
        // Header of the ring, header of the sample, 47 bytes of frame; in eights.
        assert!((20..=4096 / 120).contains(&waiting), "round {round}: {waiting}");
        let (flows, stats) = bench.drain();
        assert_eq!(stats.get(KernelStat::NamesSampled), waiting);
        assert_eq!(stats.get(KernelStat::NamesDropped), 200 - waiting);
        assert_eq!(flows.values().map(|f| f.up_packets).sum::<u64>(), 200, "counted all the same");
    }
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn a_full_hellos_ring_costs_a_packet_and_not_a_name() {
    stay_on(0);
    let mut bench = Bench::with("full-hellos", &tiny_rings());
    let hello = named("tls hello in one piece");
    let flow = |i: u16| from_port(&hello, 40_000 + i);
    for i in 0..20 {
        bench.send(&flow(i), 1);
    }
    let waiting = taken(&mut bench.kernel.hellos).len();
    assert!((4..=6).contains(&waiting), "{waiting}");
    // What found no room is sent again, and what did is not.
    for i in 0..20 {
        bench.send(&flow(i), 1);
        let again = taken(&mut bench.kernel.hellos).len();
        assert_eq!(again, usize::from(usize::from(i) >= waiting), "flow {i}");
    }
    let (_, stats) = bench.drain();
    assert_eq!(stats.get(KernelStat::HellosSampled), 20);
    assert_eq!(stats.get(KernelStat::HellosDropped), 20 - waiting as u64);

    // In the middle of a hello: the second piece finds no room, so it is still the second piece that is sought.
    let [first, second] =
        ["tls hello's first piece", "tls hello's second piece"].map(|name| from_port(&named(name), 50_000));
    bench.send(&first, 1);
    for i in 0..4 {
        bench.send(&from_port(&named("tls hello in one piece"), 51_000 + i), 1);
    }
    bench.send(&second, 3);
    let (_, stats) = bench.drain();
    assert_eq!(stats.get(KernelStat::HellosDropped), 3, "the pieces found no room");
    taken(&mut bench.kernel.hellos);
}

/// Each of these conversations has nothing but packets that are copied until a bound is reached. A ring full for some
/// of them takes nothing off the bound.
#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn a_full_ring_does_not_use_up_what_a_flow_may_have_copied() {
    stay_on(0);
    let mut bench = Bench::with("bounds", &tiny_rings());
    for (name, bound) in
        [("dns over tcp", 64), ("quic, and nobody answers", 10), ("a hello in too many segments", 40)]
    {
        let all = conversations::all();
        let talk = all.iter().find(|talk| talk.name == name).expect("a conversation");
        let sampled: Vec<&Fixture> = talk.packets.iter().filter_map(|(f, kind)| kind.and(Some(f))).collect();
        assert_eq!(sampled.len(), bound, "{name}");
        let first = sampled[0];
        bench.send(first, 200);
        let found_room = waiting_of(&mut bench);
        assert!((1..bound).contains(&found_room), "{name}: {found_room}");
        for _ in found_room..bound {
            bench.send(first, 1);
            assert_eq!(waiting_of(&mut bench), 1, "{name}: tried again");
        }
        bench.send(first, 1);
        assert_eq!(waiting_of(&mut bench), 0, "{name}: enough");
        let (_, stats) = bench.drain();
        let lost = stats.get(KernelStat::NamesDropped) + stats.get(KernelStat::HellosDropped);
        let copied = stats.get(KernelStat::NamesSampled) + stats.get(KernelStat::HellosSampled);
        assert_eq!(copied, bound as u64, "{name}");
        assert!(lost > 100, "{name}: {lost}");
    }
}

/// How many samples wait in both rings; takes them.
fn waiting_of(bench: &mut Bench) -> usize {
    taken(&mut bench.kernel.names).len() + taken(&mut bench.kernel.hellos).len()
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn without_sampling_nothing_is_copied_and_all_is_counted() {
    stay_on(0);
    let mut bench = Bench::with("unsampled", &options(roomy(), false));
    let fixtures: Vec<Fixture> = runnable();
    for fixture in &fixtures {
        bench.send(fixture, 1);
    }
    assert!(taken(&mut bench.kernel.names).is_empty() && taken(&mut bench.kernel.hellos).is_empty());
    let (flows, stats) = bench.drain();
    for stat in [
        KernelStat::NamesSampled,
        KernelStat::NamesDropped,
        KernelStat::HellosSampled,
        KernelStat::HellosDropped,
    ] {
        assert_eq!(stats.get(stat), 0, "{}", stat.name());
    }
    assert_eq!(flows, Model::of(&fixtures).counts().0);
}
