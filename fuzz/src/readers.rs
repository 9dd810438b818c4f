//! One function per reader.

use super::input::{self, Input};
use super::sealed;
use gateway_common::{Direction, FlowKey};
use gateway_core::books::{HellosBook, QuicBook, SaidBook};
use gateway_core::recognise;
use gateway_core::row::Said;
use gateway_core::units::{BootTime, DomainName};
use gateway_core::wire::dhcp::{v4, v6};
use gateway_core::wire::http::{Request, one, two};
use gateway_core::wire::{WireError, dns as dns_wire, quic as quic_wire, tls as tls_wire};
use gateway_ebpf::{Frame, Outcome, read_packet};

/// The input's first two bytes choose where the rest is cut short.
fn cut(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let (place, whole) = data.split_first_chunk::<2>()?;
    let len = usize::from(u16::from_be_bytes(*place)) % (whole.len() + 1);
    Some((whole, whole.get(..len)?))
}

/// A message cut short says what the whole one says, as far as it goes.
pub fn dns(data: &[u8]) {
    let Some((whole, part)) = cut(data) else { return };
    let (Ok(whole), Ok(part)) = (dns_wire::read(whole), dns_wire::read(part)) else { return };
    assert!(part.answers.len() <= whole.answers.len());
    assert!(part.answers.iter().zip(&whole.answers).all(|(a, b)| a == b), "{part:?} {whole:?}");
    for message in [whole, part] {
        if let Some(answered) = message.answered() {
            assert!(answered.addrs.iter().all(|answered| !answered.addr.is_unspecified()));
        }
    }
}

/// A hello cut short names whom the whole one names, or nobody.
pub fn tls(data: &[u8]) {
    let Some((whole, part)) = cut(data) else { return };
    let ((complete, ended), (begun, _)) = (tls_wire::read(whole), tls_wire::read(part));
    if ended.is_ok() && begun.server_name.is_some() {
        assert_eq!(begun.server_name, complete.server_name);
    }
}

/// Pieces in any order say in the end what the stream says, or what stands in it where a piece begins (a piece that
/// comes first may be a request of its own), or nothing. On the way as well, unless the rest speaks against it.
pub fn openings(data: &[u8]) {
    let mut input = Input::new(data);
    let first = u32::from(input.short()) << 16;
    let cuts = [input.short(), input.short(), input.short()].map(usize::from);
    let order = usize::from(input.byte());
    let stream = input.rest();
    let flow = FlowKey::default();
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut % (stream.len() + 1)).collect();
    places.extend([0, stream.len()]);
    places.sort_unstable();
    places.dedup();
    let said_from = |place: &usize| {
        let rest = stream.get(*place..).unwrap_or_default();
        HellosBook::default().learn_segment(flow, BootTime(1), first, rest)
    };
    let all_said: Vec<_> = places.iter().map(said_from).collect();
    let is_said = |name: &DomainName| {
        all_said.iter().any(|said| matches!(said, Ok(Some(said)) if said.name.as_ref() == Some(name)))
    };
    let is_clear = all_said.iter().all(|said| !matches!(said, Err(_) | Ok(Some(Said { name: None, .. }))));
    let mut pieces: Vec<(usize, &[u8])> =
        places.windows(2).filter_map(|w| Some((w[0], stream.get(w[0]..w[1])?))).collect();
    let count = pieces.len().max(1);
    pieces.rotate_left(order % count);
    if order & 0x80 != 0 {
        pieces.reverse();
    }
    let (mut book, mut names) = (HellosBook::default(), SaidBook::default());
    for (place, piece) in pieces {
        let seq = first.wrapping_add(u32::try_from(place).unwrap_or(0));
        if let Ok(Some(said)) = book.learn_segment(flow, BootTime(1), seq, piece) {
            names.enter(flow, said);
        }
        let named = names.get(&flow).and_then(|said| said.name.as_ref());
        assert!(!is_clear || named.is_none_or(is_said), "on the way {named:?}: {all_said:?}");
    }
    let named = names.get(&flow).and_then(|said| said.name.as_ref());
    assert!(named.is_none_or(is_said), "in the end {named:?}: {all_said:?}");
}

/// A request head cut short names whom the whole one names, or nobody, unless the rest speaks against it.
pub fn http(data: &[u8]) {
    let Some((whole, part)) = cut(data) else { return };
    for (is_head, read) in [
        (
            one::looks_like_request as fn(&[u8]) -> bool,
            one::read as fn(&[u8]) -> (Request, Result<(), WireError>),
        ),
        (two::looks_like_preface, two::read),
    ] {
        let _ = (is_head(whole), is_head(part));
        let ((complete, ended), (begun, _)) = (read(whole), read(part));
        if ended.is_ok() && begun.host.is_some() {
            assert_eq!(begun.host, complete.host);
        }
    }
}

/// DHCP cut short says what the whole message says, as far as it goes.
pub fn dhcp(data: &[u8]) {
    let Some((whole, part)) = cut(data) else { return };
    if let (Ok(complete), Ok(begun)) = (v6::read(whole), v6::read(part)) {
        assert_eq!(begun.kind, complete.kind);
        assert!(complete.addrs.len() <= v6::MAX_ADDRS && begun.addrs.len() <= complete.addrs.len());
    }
    if let (Ok(complete), Ok(begun)) = (v4::read(whole), v4::read(part)) {
        assert_eq!((begun.chaddr, begun.given), (complete.chaddr, complete.given));
    }
}

/// Datagrams, each with its length before it: as they are, or sealed as a client's Initials, so that hostile frames
/// and hellos lie behind good keys.
pub fn quic(data: &[u8]) {
    const VERSIONS: [u32; 4] = [1, 0x6b33_43cf, 0xff00_001d, 0xff00_0016];
    let mut input = Input::new(data);
    let mut book = QuicBook::default();
    let flow = input::key(&mut input);
    for at in 1.. {
        if input.is_over() {
            break;
        }
        let [shape, pn] = [input.byte(), input.byte()];
        let mut datagram = input.piece(3000).to_vec();
        if let Ok(frames) = quic_wire::crypto_frames(&datagram) {
            assert!(frames.iter().all(|frame| frame.data.len() <= datagram.len()));
        }
        if shape & 1 != 0 {
            let ids = [[shape >> 4; 8], [shape >> 6; 8]];
            let version = VERSIONS[usize::from(shape >> 1 & 3)];
            let [dcid, keys_from] = [&ids[0][..], &ids[usize::from(shape >> 3 & 1)][..]];
            let initial =
                sealed::Initial { version, keys_from, pn: u32::from(pn), ..sealed::Initial::to(dcid) };
            if pn >= 0x80 {
                datagram = sealed::crypto(u64::from(pn - 0x80) * 16, &datagram);
            }
            datagram.resize(datagram.len().max(20), 0);
            datagram = initial.seal(&datagram);
        }
        let _ = book.learn_datagram(flow, BootTime(at), &datagram);
    }
    book.give_up(BootTime(u64::MAX));
}

/// A protocol is recognised or not; what is recognised names nobody.
pub fn datagram(data: &[u8]) {
    if let Some(said) = recognise::datagram(data, BootTime(1)) {
        assert_eq!((said.name, said.evidence as u8), (None, 0));
    }
}

/// A frame is read from both sides alike, and no byte is counted that was not there.
pub fn packet(data: &[u8]) {
    let mut input = Input::new(data);
    let longer = u32::from(input.short());
    let (gso_segs, gso_size) = (u32::from(input.byte()), u32::from(input.short()));
    let bytes = input.rest();
    let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX).saturating_add(longer);
    for frame in [Frame { len, gso_segs: 0, gso_size: 0 }, Frame { len, gso_segs, gso_size }] {
        let [up, down] =
            [Direction::Up, Direction::Down].map(|direction| read_packet(bytes, &frame, direction));
        match (up, down) {
            (Outcome::Ip(up), Outcome::Ip(down)) => {
                assert_eq!((up.bytes, up.packets, up.l4_offset), (down.bytes, down.packets, down.l4_offset));
                assert_eq!(
                    (up.key.device_port, up.key.peer_port),
                    (down.key.peer_port, down.key.device_port)
                );
                assert!(up.packets >= 1 && up.l3_offset <= up.l4_offset && up.l4_offset <= up.payload_offset);
                if frame.gso_size == 0 {
                    assert!(up.bytes <= u64::from(frame.len), "{up:?} {frame:?}");
                }
            }
            (Outcome::Skip(up, n), Outcome::Skip(down, m)) => assert_eq!((up, n), (down, m)),
            (up, down) => panic!("{up:?} {down:?}"),
        }
    }
}
