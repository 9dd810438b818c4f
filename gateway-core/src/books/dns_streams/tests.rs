use super::*;
use crate::wire::dns::samples::ANSWER;
use crate::wire::unhex;
use proptest::prelude::*;

/// Sequence numbers wrap within the test's streams.
const START: u32 = u32::MAX - 40;

fn flow(port: u16) -> FlowKey {
    FlowKey { device_port: port, mac_head: 7, ..FlowKey::default() }
}

fn secs(secs: u64) -> BootTime {
    BootTime(secs * SECOND)
}

fn piece(offset: usize, payload: &[u8]) -> Segment<'_> {
    let seq = START.wrapping_add(u32::try_from(offset).expect("short"));
    Segment { flow: flow(1), is_up: false, at: secs(1), seq, is_first: false, payload, is_cut: false }
}

fn syn() -> Segment<'static> {
    Segment { is_first: true, ..piece(0, &[]) }
}

/// The answer under a number of its own.
fn message(id: u8) -> Vec<u8> {
    let mut message = unhex(ANSWER);
    message[1] = id;
    message
}

fn stream_of(messages: &[Vec<u8>]) -> Vec<u8> {
    let framed = |message: &Vec<u8>| {
        [&u16::try_from(message.len()).expect("short").to_be_bytes()[..], message].concat()
    };
    messages.iter().flat_map(framed).collect()
}

fn pieces(stream: &[u8], size: usize) -> Vec<Segment<'_>> {
    stream.chunks(size).enumerate().map(|(n, bytes)| piece(n * size, bytes)).collect()
}

fn learn_all<'a>(book: &mut DnsStreamsBook, segments: impl IntoIterator<Item = Segment<'a>>) -> Vec<Vec<u8>> {
    segments.into_iter().flat_map(|segment| book.learn(&segment)).collect()
}

#[test]
fn pieces_of_every_size_make_the_messages() {
    let messages = [message(1), message(2), message(3)];
    let stream = stream_of(&messages);
    for size in 1..=stream.len() {
        for begin in [Some(syn()), None] {
            let mut book = DnsStreamsBook::default();
            let is_seen_to_open = begin.is_some();
            let found = learn_all(&mut book, begin.into_iter().chain(pieces(&stream, size)));
            assert_eq!(found, messages, "{size} {is_seen_to_open}");
            assert_eq!(book.gaps, 0, "{size}");
            let kept: usize = book.streams.iter().map(|(_, stream)| stream.pieces.len()).sum();
            assert_eq!(kept, 0, "nothing is kept of what is whole");
        }
    }
}

#[test]
fn a_length_by_itself_and_a_message_behind_it() {
    let messages = [message(1), message(2)];
    let stream = stream_of(&messages);
    let len = messages[0].len();
    let cuts = [0, 2, len + 2, len + 4, 2 * len + 4];
    let segments = || cuts.windows(2).map(|cut| piece(cut[0], &stream[cut[0]..cut[1]]));
    assert_eq!(learn_all(&mut DnsStreamsBook::default(), segments()), messages);
    // From the first message's body on nobody knows where a message begins; from the second's length on one does.
    assert_eq!(learn_all(&mut DnsStreamsBook::default(), segments().skip(1)), messages[1..]);
}

#[test]
fn order_repetition_and_overlap_change_nothing() {
    let messages = [message(1), message(2), message(3)];
    let stream = stream_of(&messages);
    let parts = pieces(&stream, 90);
    assert_eq!(parts.len(), 4);
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [1, 0, 3, 2], [2, 0, 3, 1]] {
        let mut book = DnsStreamsBook::default();
        let twice = order.into_iter().flat_map(|n| [parts[n], parts[n]]);
        assert_eq!(learn_all(&mut book, [syn()].into_iter().chain(twice)), messages, "{order:?}");
        assert_eq!(book.gaps, 0);
    }
    let overlapping = [(0, 100), (50, 150), (20, 60), (140, stream.len()), (0, stream.len())];
    let segments = overlapping.map(|(from, to)| piece(from, &stream[from..to]));
    assert_eq!(learn_all(&mut DnsStreamsBook::default(), segments), messages);
}

#[test]
fn both_directions_and_all_conversations_are_apart() {
    let (mut book, stream) = (DnsStreamsBook::default(), stream_of(&[message(1)]));
    let (head, tail) = stream.split_at(30);
    assert_eq!(learn_all(&mut book, [syn(), piece(0, head)]), [] as [Vec<u8>; 0]);
    let other = Segment { flow: flow(2), ..piece(30, tail) };
    let upward = Segment { is_up: true, ..piece(30, tail) };
    assert_eq!(learn_all(&mut book, [other, upward]), [] as [Vec<u8>; 0]);
    assert_eq!(learn_all(&mut book, [piece(30, tail)]), [message(1)]);
}

#[test]
fn a_gap_is_given_up_and_counted_and_nothing_is_made_up() {
    let messages = [message(1), message(2), message(3), message(4)];
    let stream = stream_of(&messages);
    let len = stream.len() / 4;
    let mut book = DnsStreamsBook::default();
    let later =
        |second, from: usize, to: usize| Segment { at: secs(second), ..piece(from, &stream[from..to]) };
    // The end of the first message and the beginning of the second are lost.
    let found = learn_all(&mut book, [syn(), later(1, 0, len - 9), later(2, len + 9, 2 * len)]);
    assert_eq!(found, [] as [Vec<u8>; 0]);
    assert_eq!(
        book.learn(&later(2 + GAP_LASTS_SECS, 2 * len, 3 * len)),
        [] as [Vec<u8>; 0],
        "it may come yet"
    );
    assert_eq!(book.gaps, 0);
    let found = book.learn(&later(3 + GAP_LASTS_SECS, 3 * len, 4 * len));
    assert_eq!(found, [messages[0][..len - 11].to_vec(), message(3), message(4)]);
    assert_eq!(book.gaps, 1);
}

#[test]
fn what_comes_late_fills_the_gap() {
    let stream = stream_of(&[message(1), message(2)]);
    let mut book = DnsStreamsBook::default();
    let at = |second, segment| Segment { at: secs(second), ..segment };
    let parts = pieces(&stream, 70);
    assert_eq!(parts.len(), 3);
    let found = learn_all(&mut book, [syn(), parts[1], at(1 + GAP_LASTS_SECS, parts[0]), parts[2]]);
    assert_eq!((found, book.gaps), (vec![message(1), message(2)], 0));
}

#[test]
fn a_segment_that_was_not_copied_whole_gives_what_is_there() {
    let messages = [message(1), message(2)];
    let stream = stream_of(&messages);
    let len = stream.len() / 2;
    let mut book = DnsStreamsBook::default();
    // The copy ends within the first message, the segment with it.
    let cut = Segment { is_cut: true, ..piece(0, &stream[..len - 10]) };
    assert_eq!(learn_all(&mut book, [syn(), cut]), [messages[0][..len - 12].to_vec()]);
    assert_eq!(
        book.learn(&piece(len, &stream[len..])),
        [message(2)],
        "its length tells where the next begins"
    );
    assert_eq!(book.gaps, 0);
}

#[test]
fn a_message_too_long_to_keep_is_given_as_far_as_it_is_kept() {
    let mut long = message(1);
    long.resize(MAX_MESSAGE_LEN + 5000, 0);
    let stream = stream_of(&[long.clone(), message(2)]);
    let mut book = DnsStreamsBook::default();
    let found = learn_all(&mut book, [syn()].into_iter().chain(pieces(&stream, 1000)));
    assert_eq!(found.len(), 2);
    assert!(long.starts_with(&found[0]) && found[0].len() >= MAX_MESSAGE_LEN);
    assert_eq!((&found[1], book.gaps), (&message(2), 0));
}

#[test]
fn another_stream_over_the_same_ports_is_taken_up() {
    let stream = stream_of(&[message(1), message(2)]);
    let mut book = DnsStreamsBook::default();
    let far = |payload| Segment { seq: START.wrapping_add(1 << 30), ..piece(0, payload) };
    assert_eq!(learn_all(&mut book, [syn(), piece(0, &stream[..20])]), [] as [Vec<u8>; 0]);
    assert_eq!(book.learn(&far(&stream)), [message(1), message(2)]);
    assert_eq!(book.gaps, 1);
    let anew = Segment { is_first: true, seq: 5, ..piece(0, &[]) };
    assert_eq!(learn_all(&mut book, [anew, Segment { seq: 5, ..piece(0, &stream) }]).len(), 2);
}

#[test]
fn bounds_are_kept_and_counted() {
    let stream = stream_of(&[message(1)]);
    let mut book = DnsStreamsBook::default();
    let opened = |port| Segment { flow: flow(port), ..syn() };
    for port in 0..=u16::try_from(MAX_STREAMS_PER_DEVICE).expect("small") {
        learn_all(&mut book, [opened(port), Segment { flow: flow(port), ..piece(0, &stream[..9]) }]);
    }
    assert_eq!(book.gaps, 1);
    book.give_up(secs(1 + STREAM_LASTS_SECS));
    assert_eq!(book.gaps, 1);
    book.give_up(secs(2 + STREAM_LASTS_SECS));
    assert_eq!(book.gaps, 1 + MAX_STREAMS_PER_DEVICE as u64);
    assert_eq!(book.streams.iter().count(), 0);
    // Pieces behind a gap.
    let behind = |n: usize| piece(10 + 10 * n, &[0xff; 5]);
    learn_all(&mut book, [syn()].into_iter().chain((0..2 * MAX_PIECES).map(behind)));
    assert_eq!(book.gaps, 2 + MAX_STREAMS_PER_DEVICE as u64, "one gap, however much is behind it");
    for n in 0..10 {
        book.learn(&piece(5000 + n * 5000, &[0xff; 4000]));
    }
    for (_, stream) in book.streams.iter() {
        let held: usize = stream.pieces.iter().map(|piece| piece.bytes.len()).sum();
        assert!(held <= MAX_STREAM_LEN && stream.pieces.len() <= MAX_PIECES);
    }
}

proptest! {
    #[test]
    fn any_cut_and_any_order_gives_the_messages_once(
        size in 60..400_usize,
        order in Just((0..6_usize).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let messages = [message(1), message(2), message(3)];
        let stream = stream_of(&messages);
        let parts = pieces(&stream, size);
        let mut book = DnsStreamsBook::default();
        let found = learn_all(&mut book, [syn()].into_iter().chain(order.iter().filter_map(|n| parts.get(*n)).copied()));
        prop_assert_eq!(found, messages);
    }

    #[test]
    fn any_segments_are_survived_and_bounded(
        segments in prop::collection::vec(
            (0..3_u16, any::<bool>(), 0..400_u32, any::<bool>(), any::<bool>(), 0..20_u64,
             prop::collection::vec(any::<u8>(), 0..60)), 0..80),
        far in any::<u32>(),
    ) {
        let mut book = DnsStreamsBook::default();
        for (port, is_up, seq, is_first, is_far, at, payload) in &segments {
            let seq = if *is_far { far } else { *seq };
            let (is_first, is_cut) = (*is_first && seq % 7 == 0, seq % 5 == 0);
            let segment =
                Segment { flow: flow(*port), is_up: *is_up, at: secs(*at), seq, is_first, payload, is_cut };
            book.learn(&segment);
            for (_, stream) in book.streams.iter() {
                let held: usize = stream.pieces.iter().map(|piece| piece.bytes.len()).sum();
                prop_assert!(held <= MAX_STREAM_LEN && stream.pieces.len() <= MAX_PIECES);
                prop_assert!(stream.pieces.iter().all(|piece| !piece.bytes.is_empty()));
            }
        }
    }
}
