//! Samples a second that one core decodes and learns, through the pipeline's own door: each kind alone, and a mix as
//! a household has it. Then the mix for longer, to see that the books stay within their bounds.
//! `cargo bench -p gateway-core --bench decode`. The bar is 200 000 samples a second for the mix.
#![allow(clippy::print_stdout, reason = "a bench prints its result")]
#![allow(clippy::disallowed_methods, reason = "a bench reads the clock")]

mod hostile;
mod messages;
#[path = "../../src/wire/quic/samples.rs"]
mod quic;
#[path = "../../src/decode/samples.rs"]
mod samples;

use gateway_common::{Direction, FlowFlags, FlowKey, SampleHeader, SampleKind, StatBlock, protocol};
use gateway_core::drained::{Drained, DrainedFlow};
use gateway_core::enrich::NoNetworks;
use gateway_core::pipeline::{Pipeline, PipelineConfig};
use gateway_core::row::{Batch, EpochId, Evidence, Interval};
use gateway_core::units::{BootTime, WallTime};
use std::time::Instant;

/// Devices of the household.
const DEVICES: u32 = 40;
/// Conversations whose samples are made beforehand; each has its own ports, name and connection ID.
const CONVERSATIONS: u32 = 2_000;
/// Each kind is timed this often; the best turn counts, the machine being shared.
const ROUNDS: u64 = 40;
/// Rounds of the long run.
const LONG_ROUNDS: u32 = 60;
const SECOND: u64 = 1_000_000_000;

/// A sample as the kernel makes it.
type Sample = (SampleHeader, Vec<u8>);

/// How samples of one kind are made for a conversation.
struct Kind {
    name: &'static str,
    make: fn(u32) -> Vec<Sample>,
    /// How many conversations of a hundred have these in the mix.
    share: u32,
    /// How the conversations that these samples are of are named, where they are.
    evidence: Evidence,
}

const KINDS: [Kind; 9] = [
    Kind { name: "DNS answer", make: dns_answer, share: 100, evidence: Evidence::None },
    Kind { name: "DNS question", make: dns_question, share: 100, evidence: Evidence::None },
    Kind { name: "TLS hello, whole", make: tls_whole, share: 30, evidence: Evidence::TlsSni },
    Kind { name: "TLS hello, two segments", make: tls_split, share: 30, evidence: Evidence::TlsSni },
    Kind { name: "QUIC, one datagram", make: quic_one, share: 15, evidence: Evidence::QuicSni },
    Kind { name: "QUIC, two datagrams", make: quic_two, share: 20, evidence: Evidence::QuicSni },
    Kind { name: "HTTP head", make: http_head, share: 5, evidence: Evidence::HttpHost },
    Kind { name: "DHCP", make: dhcp_request, share: 2, evidence: Evidence::None },
    Kind { name: "mDNS", make: mdns_answer, share: 20, evidence: Evidence::None },
];

fn main() {
    if std::env::args().any(|arg| arg == "hostile") {
        return hostile::time_all();
    }
    println!("{:<26} {:>8} {:>12} {:>10}", "kind", "samples", "samples/s", "ns/sample");
    for kind in &KINDS {
        let samples: Vec<Sample> = (0..CONVERSATIONS).flat_map(kind.make).collect();
        time(kind.name, &samples);
        check(kind);
    }
    time("the mix", &mix(0));
    stay();
}

/// Samples of conversations that no other round has.
fn mix(round: u32) -> Vec<Sample> {
    let mut mix = Vec::new();
    for n in round * CONVERSATIONS..(round + 1) * CONVERSATIONS {
        for kind in KINDS.iter().filter(|kind| n * 37 % 100 < kind.share) {
            mix.extend((kind.make)(n));
        }
    }
    mix
}

/// The best of some rounds, each with a pipeline that knows nothing yet.
fn time(name: &str, samples: &[Sample]) {
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        let mut pipeline = Pipeline::new(PipelineConfig::default());
        let began = Instant::now();
        for (header, bytes) in samples {
            pipeline.handle_sample(header, bytes);
        }
        best = best.min(began.elapsed().as_secs_f64() / samples.len() as f64);
    }
    println!("{name:<26} {:>8} {:>12.0} {:>10.0}", samples.len(), 1.0 / best, best * 1e9);
}

/// What is timed must be the real thing: the samples of one conversation name it.
fn check(kind: &Kind) {
    if kind.evidence == Evidence::None {
        return;
    }
    let samples = (kind.make)(1);
    let mut pipeline = Pipeline::new(PipelineConfig::default());
    for (header, bytes) in &samples {
        pipeline.handle_sample(header, bytes);
    }
    let flow = DrainedFlow { key: samples[0].0.key, up_packets: 1, up_bytes: 1, ..DrainedFlow::default() };
    let batch = drain(&mut pipeline, 0, vec![flow]);
    let row = &batch.rows[0].key;
    let name = row.name.as_ref().map(|name| name.as_str());
    assert_eq!((row.evidence, name), (kind.evidence, Some(messages::name(1).as_str())), "{}", kind.name);
}

/// Ever new conversations, with a drain after each round: does what the books hold stay bounded?
fn stay() {
    let mut pipeline = Pipeline::new(PipelineConfig::default());
    println!(
        "{:>8} {:>10} {:>14} {:>16} {:>16}",
        "rounds", "samples", "resident KiB", "names evicted", "hellos evicted"
    );
    let (mut samples, mut names, mut hellos) = (0, 0, 0);
    for round in 1..=LONG_ROUNDS {
        let mut mix = mix(round);
        for (header, bytes) in &mut mix {
            header.boot_ns = u64::from(round) * SECOND;
            pipeline.handle_sample(header, bytes);
        }
        samples += mix.len();
        let batch = drain(&mut pipeline, u64::from(round), Vec::new());
        let count =
            |counter| batch.ledger.iter().find(|line| line.counter == counter).map_or(0, |line| line.packets);
        names += count("names_evicted");
        hellos += count("hellos_evicted");
        if [1, 5, 10, 20, 40, LONG_ROUNDS].contains(&round) {
            println!("{round:>8} {samples:>10} {:>14} {names:>16} {hellos:>16}", resident_kib());
        }
    }
}

fn drain(pipeline: &mut Pipeline, epoch: u64, flows: Vec<DrainedFlow>) -> Batch {
    let interval = Interval {
        began_boot: BootTime(epoch * SECOND),
        ended_boot: BootTime((epoch + 2) * SECOND),
        began_at: WallTime(0),
        ended_at: WallTime(1),
        is_clock_set: true,
    };
    let epoch = EpochId { boot_id: "bench".to_owned(), table_id: 1, epoch };
    pipeline.handle_drain(Drained { epoch, interval, flows, stats: StatBlock::default() }, &NoNetworks)
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

fn dns_answer(n: u32) -> Vec<Sample> {
    vec![sample(SampleKind::DNS, Direction::Down, resolver(n), n, &messages::dns_answer(n))]
}

fn dns_question(n: u32) -> Vec<Sample> {
    vec![sample(SampleKind::DNS, Direction::Up, resolver(n), n, &messages::dns_question(n))]
}

fn tls_whole(n: u32) -> Vec<Sample> {
    vec![sample(
        SampleKind::TLS,
        Direction::Up,
        server(n, protocol::TCP),
        1,
        &messages::record(&messages::hello(n, 32)),
    )]
}

fn tls_split(n: u32) -> Vec<Sample> {
    let stream = messages::record(&messages::hello(n, 1216));
    let (first, second) = stream.split_at(1400);
    let key = server(n, protocol::TCP);
    vec![
        sample(SampleKind::TLS, Direction::Up, key, 1, first),
        sample(SampleKind::OPENING, Direction::Up, key, 1401, second),
    ]
}

fn quic_one(n: u32) -> Vec<Sample> {
    quic_datagrams(n, &messages::hello(n, 32), &[])
}

fn quic_two(n: u32) -> Vec<Sample> {
    let hello = messages::hello(n, 1216);
    let (first, second) = hello.split_at(1100);
    quic_datagrams(n, first, second)
}

/// A hello in one datagram or two, of 1200 bytes each, and the Initial that acknowledges the server's, as clients
/// send it.
fn quic_datagrams(n: u32, first: &[u8], second: &[u8]) -> Vec<Sample> {
    let dcid = (u64::from(n) << 32 | 0x5eed).to_be_bytes();
    let key = server(n, protocol::UDP);
    let initial = quic::Initial::to(&dcid);
    let mut payloads = vec![quic::crypto(0, first)];
    if !second.is_empty() {
        payloads.push(quic::crypto(first.len() as u64, second));
    }
    let mut datagrams: Vec<Vec<u8>> = (0..)
        .zip(payloads)
        .map(|(pn, mut payload)| {
            payload.resize(1162, 0);
            quic::Initial { pn, ..initial }.seal(&payload)
        })
        .collect();
    datagrams.push(quic::Initial { dcid: b"servers", pn: 2, ..initial }.seal(&[2, 1, 0, 0, 1, 0, 0, 0]));
    datagrams.iter().map(|datagram| sample(SampleKind::QUIC, Direction::Up, key, 0, datagram)).collect()
}

fn http_head(n: u32) -> Vec<Sample> {
    vec![sample(SampleKind::HTTP, Direction::Up, server(n, protocol::TCP), 1, &messages::http_head(n))]
}

fn dhcp_request(n: u32) -> Vec<Sample> {
    let key = key(n, [255; 4], 68, 67, protocol::UDP);
    vec![sample(SampleKind::DHCP, Direction::Up, key, 0, &messages::dhcp_request(key.device_mac()))]
}

fn mdns_answer(n: u32) -> Vec<Sample> {
    let key = key(n, [224, 0, 0, 251], 5353, 5353, protocol::UDP);
    vec![sample(SampleKind::MDNS, Direction::Up, key, 0, &messages::mdns_answer(n))]
}

fn resolver(n: u32) -> FlowKey {
    key(n, [192, 168, 1, 1], port(n), 53, protocol::UDP)
}

fn server(n: u32, protocol: u8) -> FlowKey {
    let [_, _, high, low] = n.to_be_bytes();
    key(n, [203, 0, high, low], port(n), 443, protocol)
}

fn port(n: u32) -> u16 {
    20_000 + u16::try_from(n % 40_000).expect("below 40 000")
}

fn key(n: u32, peer: [u8; 4], device_port: u16, peer_port: u16, protocol: u8) -> FlowKey {
    let device = u8::try_from(n % DEVICES).expect("below 40");
    FlowKey {
        peer_addr: [0, 0, 0xffff_u32.to_be(), u32::from_ne_bytes(peer)],
        device_addr_low: u32::from_ne_bytes([192, 168, 1, 10 + device]),
        device_port: device_port.to_be(),
        peer_port: peer_port.to_be(),
        mac_head: u32::from_ne_bytes([0x7c, 0x03, 0xab, 0]),
        mac_tail: u16::from_ne_bytes([1, device]),
        protocol,
        flags: FlowFlags::VALID,
    }
}

/// A sample, all of one moment.
fn sample(kind: SampleKind, direction: Direction, key: FlowKey, seq: u32, payload: &[u8]) -> Sample {
    samples::sample(kind, direction, key, SECOND, seq, payload)
}
