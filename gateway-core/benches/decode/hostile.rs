//! What samples cost that are made to cost much. A device can send them at any rate, so each must cost so little that
//! the rest of the house is still served: `cargo bench -p gateway-core --bench decode -- hostile`.

use super::{Sample, key, port, quic, resolver, sample, server};
use gateway_common::{Direction, SampleKind, protocol};
use gateway_core::pipeline::{Pipeline, PipelineConfig};
use std::time::Instant;

/// Conversations of each kind.
const CONVERSATIONS: u32 = 40;
/// Each sample is timed this often; the best turn counts, the machine being shared.
const ROUNDS: usize = 20;
/// The most pieces of one beginning that are kept, and the most bytes of it.
const PIECES: usize = 48;
const LONGEST: usize = 17 * 1024;

/// Makes the samples of one conversation.
type Make = fn(u32) -> Vec<Sample>;

const KINDS: [(&str, Make); 13] = [
    ("random bytes, TCP", random_tcp),
    ("random bytes, one by one", random_bytes),
    ("hello, one by one, backwards", hello_backwards),
    ("hello in records of a byte", hello_in_records),
    ("48 request lines without end", endless_lines),
    ("48 request lines", many_lines),
    ("48 lines and no request", almost_lines),
    ("48 pieces of a long head", long_head),
    ("48 hellos that break off", many_hellos),
    ("HPACK that unfolds", hpack_bomb),
    ("DNS, most compressed", dns_compressed),
    ("QUIC, 4 Initials of noise", quic_noise),
    ("random bytes, UDP", random_udp),
];

/// Times each kind, sample by sample: the mean of all, and the costliest.
pub fn time_all() {
    println!("{:<30} {:>8} {:>10} {:>10}", "kind", "samples", "µs, mean", "µs, most");
    for (name, make) in KINDS {
        let samples: Vec<Sample> = (0..CONVERSATIONS).flat_map(make).collect();
        let mut best = vec![f64::INFINITY; samples.len()];
        for _ in 0..ROUNDS {
            let mut pipeline = Pipeline::new(PipelineConfig::default());
            for ((header, bytes), best) in samples.iter().zip(&mut best) {
                let began = Instant::now();
                pipeline.handle_sample(header, bytes);
                *best = best.min(began.elapsed().as_secs_f64() * 1e6);
            }
        }
        let mean = best.iter().sum::<f64>() / best.len() as f64;
        let most = best.iter().copied().fold(0.0, f64::max);
        println!("{name:<30} {:>8} {mean:>10.1} {most:>10.1}", samples.len());
    }
}

/// Bytes that look random, and are always the same.
fn noise(seed: u32, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 11) as u8
    };
    (0..len).map(|_| next()).collect()
}

/// The pieces of a stream, the last one first.
fn backwards(n: u32, stream: &[u8], piece_len: usize) -> Vec<Sample> {
    let key = server(n, protocol::TCP);
    let pieces = stream.chunks(piece_len).enumerate();
    let mut samples: Vec<Sample> = pieces
        .map(|(at, piece)| {
            sample(SampleKind::OPENING, Direction::Up, key, 1 + (at * piece_len) as u32, piece)
        })
        .collect();
    samples.reverse();
    samples
}

/// As many pieces as are kept, each beginning with this, filled up with a letter to what is kept in all.
fn filled(n: u32, beginning: &[u8], end: &[u8]) -> Vec<Sample> {
    let piece_len = LONGEST / PIECES;
    let mut piece = beginning.to_vec();
    piece.resize(piece_len - end.len(), b'a');
    piece.extend(end);
    backwards(n, &piece.repeat(PIECES), piece_len)
}

fn random_tcp(n: u32) -> Vec<Sample> {
    backwards(n, &noise(n, 12 * 1400), 1400)
}

fn random_bytes(n: u32) -> Vec<Sample> {
    backwards(n, &noise(n, 40), 1)
}

fn hello_backwards(n: u32) -> Vec<Sample> {
    let hello = super::messages::record(&super::messages::hello(n, 1216));
    // All but the last 39 bytes come first.
    let (long, short) = hello.split_at(hello.len() - 39);
    let mut samples = vec![sample(SampleKind::TLS, Direction::Up, server(n, protocol::TCP), 1, long)];
    let mut rest = backwards(n, short, 1);
    for (at, (_, bytes)) in rest.iter_mut().rev().enumerate() {
        let seq = 1 + (long.len() + at) as u32;
        *bytes = sample(SampleKind::OPENING, Direction::Up, server(n, protocol::TCP), seq, &short[at..=at]).1;
    }
    samples.extend(rest);
    samples
}

fn hello_in_records(n: u32) -> Vec<Sample> {
    let hello = super::messages::hello(n, 1216);
    let records: Vec<u8> = hello.iter().flat_map(|byte| [22, 3, 1, 0, 1, *byte]).collect();
    backwards(n, &records, records.len().div_ceil(40))
}

fn endless_lines(n: u32) -> Vec<Sample> {
    filled(n, b"GET /", b"")
}

fn many_lines(n: u32) -> Vec<Sample> {
    filled(n, b"GET / HTTP/1.1\r\n", b":")
}

fn almost_lines(n: u32) -> Vec<Sample> {
    filled(n, b"GET /\r\na:", b"\r\n")
}

fn long_head(n: u32) -> Vec<Sample> {
    let head = [b"GET / HTTP/1.1\r\n".as_slice(), &b"a:\r\n".repeat((LONGEST - 100) / 4)].concat();
    backwards(n, &head, head.len().div_ceil(PIECES))
}

fn many_hellos(n: u32) -> Vec<Sample> {
    filled(n, &[22, 3, 1, 0x3f, 0xff, 1, 0, 0x3f, 0xff, 3, 3], &[])
}

fn hpack_bomb(n: u32) -> Vec<Sample> {
    // An entry as long as the table has room for (RFC 7541 §4.1), and each byte behind it stands for it.
    let value_len = 4096 - 32 - 1 - 127;
    let mut block = vec![0x40, 1, b'a', 0x7f];
    block.extend([(value_len & 0x7f | 0x80) as u8, (value_len >> 7) as u8]);
    block.extend(vec![b'b'; value_len + 127]);
    block.extend([0xbe; 200]);
    let mut stream = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    stream.extend([0, (block.len() >> 8) as u8, block.len() as u8, 1, 4, 0, 0, 0, 1]);
    stream.extend(block);
    backwards(n, &stream, stream.len().div_ceil(40))
}

fn dns_compressed(n: u32) -> Vec<Sample> {
    // A name of 16 pointers, each to the one before it, and as many records as the snapshot has room for, each an
    // alias of that name to itself.
    let question = super::messages::dns_question(n);
    let mut asked = question.clone();
    asked[10..12].fill(0);
    asked.truncate(question.len() - 11);
    let mut answer = asked.clone();
    answer[2..4].copy_from_slice(&[0x81, 0x80]);
    let mut last = 12_u16;
    let mut count = 0_u16;
    while answer.len() < 3900 {
        let at = answer.len() as u16 + 12;
        answer.extend([(0xc000 | last).to_be_bytes()[0], (0xc000 | last).to_be_bytes()[1]]);
        answer.extend([0, 5, 0, 1, 0, 0, 0, 60, 0, 2]);
        answer.extend((0xc000 | last).to_be_bytes());
        count += 1;
        last = if count.is_multiple_of(14) { 12 } else { at };
    }
    answer[6..8].copy_from_slice(&count.to_be_bytes());
    vec![
        sample(SampleKind::DNS, Direction::Up, resolver(n), n, &asked),
        sample(SampleKind::DNS, Direction::Down, resolver(n), n, &answer),
    ]
}

fn quic_noise(n: u32) -> Vec<Sample> {
    let id = (u64::from(n) << 32 | 0xbad).to_be_bytes();
    let key = key(n, [203, 1, 0, 1], port(n), 443, protocol::UDP);
    // Four that open, so that the next is tried as well, and hold no hello.
    let initial = quic::Initial::to(&id);
    let datagram: Vec<u8> =
        (0..4).flat_map(|pn| quic::Initial { pn, ..initial }.seal(&quic::crypto(4000, &[7; 250]))).collect();
    let mut damaged = initial.seal(&[0; 1160]);
    let last = damaged.len() - 1;
    damaged[last] ^= 1;
    vec![
        sample(SampleKind::QUIC, Direction::Up, key, 0, &datagram),
        sample(SampleKind::QUIC, Direction::Up, key, 0, &damaged),
        sample(
            SampleKind::QUIC,
            Direction::Up,
            key,
            0,
            &[&[0xc0, 0, 0, 0, 1], noise(n, 1195).as_slice()].concat(),
        ),
    ]
}

fn random_udp(n: u32) -> Vec<Sample> {
    let key = key(n, [203, 1, 0, 2], port(n), 3478, protocol::UDP);
    vec![sample(SampleKind::DATAGRAM, Direction::Up, key, 0, &noise(n, 1200))]
}
