//! What is copied of a conversation, and that the search always comes to an end.

use crate::fixtures::{Fixture, conversations, conversations::Conversation};
use gateway_common::{
    Direction::{self, Down, Up},
    FlowCounters, FlowState, SampleKind,
};
use gateway_ebpf::{Frame, Outcome, Packet, count_into, fresh, is_sought, read_packet, worth};
use proptest::prelude::*;

fn read(fixture: &Fixture) -> Packet {
    let &Fixture { frame_len, gso_segs, gso_size, .. } = fixture;
    let frame = Frame { len: frame_len, gso_segs, gso_size };
    match read_packet(&fixture.frame[..], &frame, fixture.direction) {
        Outcome::Ip(packet) => packet,
        Outcome::Skip(..) => panic!("conversations are IP"),
    }
}

/// Counts a packet as the kernel does, and says why its head is copied.
fn step(counters: &mut FlowCounters, fixture: &Fixture) -> Option<SampleKind> {
    let packet = read(fixture);
    count_into(counters, &packet, fixture.direction);
    let verdict = worth(&fixture.frame[..], &packet, fixture.direction, Some(counters.state));
    if let Some(verdict) = verdict {
        assert!(is_sought(&packet, fixture.direction, counters.state), "the quick way has to ask");
        counters.state = verdict.state;
    }
    verdict?.kind
}

#[test]
fn conversations_are_sampled_as_written() {
    let mut wrong = Vec::new();
    for Conversation { name, packets, .. } in conversations::all() {
        let mut counters = fresh(0);
        for (at, (fixture, expected)) in packets.iter().enumerate() {
            let before = counters.state;
            let found = step(&mut counters, fixture);
            if found != *expected {
                wrong.push(format!("{name}: packet {at}: {found:?}, expected {expected:?}; {before:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn without_a_state_only_the_name_ports_are_sampled() {
    for Conversation { name, packets, .. } in conversations::all() {
        for (fixture, _) in packets {
            let packet = read(&fixture);
            assert_eq!(worth(&fixture.frame[..], &packet, fixture.direction, None), None, "{name}");
        }
    }
}

#[test]
fn a_segment_cut_by_the_capture_is_judged_by_what_is_there() {
    for Conversation { name, packets, .. } in conversations::all() {
        for (fixture, _) in packets {
            let packet = read(&fixture);
            for len in 34..fixture.frame.len().min(80) {
                let state = FlowState { opened: FlowState::OPENED_BY_DEVICE, ..FlowState::default() };
                let verdict = worth(&fixture.frame[..len], &packet, fixture.direction, Some(state));
                let is_quic = verdict.is_some_and(|v| v.kind == Some(SampleKind::QUIC));
                assert!(!is_quic || len >= 42 + 8, "{name} cut to {len}");
            }
        }
    }
}

/// A packet with this payload, in both directions.
fn packet(is_tcp: bool, direction: Direction, peer_port: u16, payload: &[u8], seq: u32) -> Fixture {
    use crate::fixtures::frame::{patched, tcp_v4, udp_v4};
    let frame = if is_tcp {
        let frame = patched(tcp_v4(direction, 0x18, payload), 38, &seq.to_be_bytes());
        patched(frame, if direction == Up { 36 } else { 34 }, &peer_port.to_be_bytes())
    } else {
        udp_v4(direction, 50_000, peer_port, payload)
    };
    let told = crate::fixtures::v4(0, 0);
    Fixture::ip("any", direction, frame, told)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    /// Every payload moves the search on, and no flow gives more copies than the bounds allow.
    #[test]
    fn the_search_comes_to_an_end(
        payloads in prop::collection::vec(
            (prop::sample::select(vec![
                vec![22, 3], vec![22, 3, 1, 2, 0, 1, 0, 1, 0xfc], b"GET / ".to_vec(), b"CONNECT a".to_vec(),
                vec![0xc3, 0, 0, 0, 1, 8], vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42], vec![],
            ]), prop::collection::vec(any::<u8>(), 1..20), any::<u32>()),
            1..8,
        ),
        is_tcp in any::<bool>(), is_opened in any::<bool>(), is_dns in any::<bool>(),
        is_up in any::<bool>(),
    ) {
        let mut counters = fresh(0);
        counters.state.opened = u8::from(is_opened);
        let peer_port = if is_dns && is_tcp { 53 } else { 443 };
        let direction = if is_up { Up } else { Down };
        let (mut copies, mut looks) = (0, 0);
        for (head, rest, seq) in payloads.iter().cycle().take(200) {
            let payload = [&head[..], rest].concat();
            let fixture = packet(is_tcp, direction, peer_port, &payload, *seq);
            let parsed = read(&fixture);
            let is_looked_at = is_sought(&parsed, direction, counters.state);
            let before = counters.state;
            copies += u32::from(step(&mut counters, &fixture).is_some());
            looks += u32::from(is_looked_at);
            prop_assert!(!is_looked_at || counters.state.hello_stage != before.hello_stage);
        }
        let bound = match (is_tcp, peer_port) {
            (true, 53) => 64,
            (true, _) => 8 + 41,
            (false, _) => 10,
        };
        prop_assert!(copies <= bound, "{copies} copies");
        prop_assert!(looks <= bound + 1, "{looks} looks");
        prop_assert!(is_up || peer_port == 53 || looks == 0);
    }
}
