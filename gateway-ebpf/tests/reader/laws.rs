//! Laws of the reader, tried on arbitrary bytes and on frames with a few bytes changed.

use crate::fixtures;
use gateway_common::{
    Direction::{self, Down, Up},
    FlowFlags, FlowState, protocol,
};
use gateway_ebpf::{
    Frame, IPV4_HEAD, IPV6_HEAD, OtherEnd, Outcome, Packet, PacketBytes, names_sample, other_end, other_mac,
    read_packet, read_quick_ipv4, read_quick_ipv6,
};
use proptest::{prelude::*, sample::Index};

/// What the quick readers say, as the kernel asks them: only of packets that nothing has merged.
fn quick(bytes: &[u8], frame: &Frame, direction: Direction) -> Option<(Packet, [u32; 2])> {
    if let Some(head) = bytes.window::<IPV4_HEAD>(0)
        && let Some(packet) = read_quick_ipv4(&head, bytes, frame, direction)
    {
        return Some((packet, other_mac(&head, direction)));
    }
    let head = bytes.window::<IPV6_HEAD>(0)?;
    Some((read_quick_ipv6(&head, bytes, frame, direction)?, other_mac(&head, direction)))
}

fn check_laws(bytes: &[u8], frame: &Frame, direction: Direction) -> Result<(), TestCaseError> {
    let outcome = read_packet(bytes, frame, direction);
    let unmerged = Frame { gso_segs: 0, gso_size: 0, ..*frame };
    if let Some((packet, mac)) = quick(bytes, &unmerged, direction) {
        prop_assert_eq!(read_packet(bytes, &unmerged, direction), Outcome::Ip(packet));
        if let Some(OtherEnd::Station(other)) = other_end(bytes, direction) {
            prop_assert_eq!(mac, other);
        }
    }
    let Outcome::Ip(packet) = outcome else { return Ok(()) };
    prop_assert!(packet.key.flags & FlowFlags::VALID != 0);
    prop_assert!(packet.key.flags & FlowFlags::COARSE == 0);
    prop_assert!(packet.packets >= 1);
    prop_assert!(packet.l3_offset <= packet.l4_offset && packet.l4_offset <= packet.payload_offset);
    prop_assert!(
        packet.payload_offset < usize::from(u16::MAX),
        "a sample header holds the offset in 16 bits"
    );
    prop_assert!(packet.payload_len <= frame.len);
    if frame.gso_size == 0 {
        prop_assert_eq!(packet.packets, 1);
        prop_assert!(packet.bytes <= u64::from(frame.len) - 14);
    }
    let _ = names_sample(&packet, direction);
    Ok(())
}

fn direction() -> impl Strategy<Value = Direction> {
    prop_oneof![Just(Up), Just(Down)]
}

/// Some fixture's bytes with a few others in them, perhaps cut, in a frame that may say anything about itself.
fn nearly_a_frame() -> impl Strategy<Value = Vec<u8>> {
    let all: Vec<Vec<u8>> = fixtures::all().into_iter().map(|f| f.frame).filter(|f| !f.is_empty()).collect();
    let patches = prop::collection::vec((any::<Index>(), any::<u8>()), 0..6);
    (any::<Index>(), patches, prop::option::of(any::<Index>())).prop_map(move |(which, patches, cut)| {
        let mut frame = which.get(&all).clone();
        // Most of what decides stands at the front.
        let front = frame.len().min(90);
        for (at, value) in patches {
            frame[at.index(front)] = value;
        }
        frame.truncate(cut.map_or(frame.len(), |c| c.index(frame.len())));
        frame
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn laws_hold_for_frames_with_faults(bytes in nearly_a_frame(), direction in direction()) {
        check_laws(&bytes, &Frame { len: bytes.len() as u32, gso_segs: 0, gso_size: 0 }, direction)?;
    }

    #[test]
    fn laws_hold_where_the_frame_is_longer_than_its_bytes(
        bytes in nearly_a_frame(),
        more in prop_oneof![0u32..2000, 0u32..300_000],
        gso_segs in prop_oneof![Just(0u32), 1u32..=65_535],
        gso_size in prop_oneof![Just(0u32), 1u32..=65_535],
        direction in direction(),
    ) {
        check_laws(&bytes, &Frame { len: bytes.len() as u32 + more, gso_segs, gso_size }, direction)?;
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        len in any::<u32>(), gso_segs in any::<u32>(), gso_size in any::<u32>(),
        direction in direction(),
    ) {
        let _ = read_packet(&bytes[..], &Frame { len, gso_segs, gso_size }, direction);
        let _ = quick(&bytes, &Frame { len, gso_segs, gso_size }, direction);
        let _ = other_end(&bytes[..], direction);
    }
}

#[test]
fn the_quick_way_is_the_usual_way() {
    let all = fixtures::all();
    let quick_ones: Vec<&str> = all
        .iter()
        .filter(|f| f.gso_size == 0)
        .filter(|f| {
            let frame = Frame { len: f.frame_len, gso_segs: 0, gso_size: 0 };
            quick(&f.frame, &frame, f.direction).is_some()
        })
        .map(|f| f.name)
        .collect();
    for name in
        ["tcp4 up", "tcp4 down", "tcp6 up", "tcp6 down", "udp4 up", "udp4 down", "udp6 up", "udp6 down"]
    {
        assert!(quick_ones.contains(&name), "{name} took the slow way");
    }
    for name in [
        "ipv4 router alert",
        "ipv4 first fragment",
        "vlan ipv4",
        "icmp up",
        "hop-by-hop",
        "total length of zero",
    ] {
        assert!(!quick_ones.contains(&name), "{name} took the quick way");
    }
}

#[test]
fn counters_add_up_and_remember_who_opened() {
    use gateway_ebpf::{count_into, fresh};
    let read = |name| {
        let fixture = fixtures::named(name);
        let frame = Frame { len: fixture.frame_len, gso_segs: fixture.gso_segs, gso_size: fixture.gso_size };
        match read_packet(&fixture.frame[..], &frame, fixture.direction) {
            Outcome::Ip(packet) => (packet, fixture.direction),
            Outcome::Skip(..) => panic!("{name} is IP"),
        }
    };
    let mut counters = fresh(7);
    assert_eq!(counters.first_boot_ms, 7);
    counters.state.hello_stage = FlowState::HELLO_DONE;
    for name in ["tcp4 up", "tcp4 down", "two tcp segments"] {
        let (packet, direction) = read(name);
        assert_eq!(packet.key.protocol, protocol::TCP);
        count_into(&mut counters, &packet, direction);
    }
    assert_eq!((counters.up_bytes, counters.up_packets), (45, 1));
    assert_eq!((counters.down_bytes, counters.down_packets), (45 + 3000, 3));
    assert_eq!((counters.state.opened, counters.state.tcp_flags), (0, 0x18));
    assert_eq!(counters.state.hello_stage, FlowState::HELLO_DONE);
    // The answer to a SYN opens nothing; the SYN does, and begins the search for a hello anew.
    let (packet, direction) = read("tcp4 syn and ack");
    count_into(&mut counters, &packet, direction);
    assert_eq!((counters.state.opened, counters.state.hello_stage), (0, FlowState::HELLO_DONE));
    let (packet, direction) = read("tcp4 syn with an option");
    count_into(&mut counters, &packet, direction);
    assert_eq!((counters.state.opened, counters.state.hello_stage), (FlowState::OPENED_BY_DEVICE, 0));
    count_into(&mut counters, &packet, Down);
    assert_eq!(counters.state.opened, FlowState::OPENED_BY_DEVICE | FlowState::OPENED_BY_PEER);
}
