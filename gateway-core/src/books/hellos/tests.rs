use super::*;
use crate::books::SaidBook;
use crate::row::Evidence;
use crate::units::DomainName;
use crate::wire::tls::samples::{openssl, post_quantum};
use proptest::prelude::*;

fn flow(port: u16) -> FlowKey {
    FlowKey { device_port: port, mac_head: 7, ..FlowKey::default() }
}

/// Hellos, and what came of them.
#[derive(Default)]
struct Book {
    hellos: HellosBook,
    said: SaidBook,
}

impl Book {
    fn learn_segment(&mut self, flow: FlowKey, at: BootTime, seq: u32, payload: &[u8]) -> Result<(), Stop> {
        if let Some(said) = self.hellos.learn_segment(flow, at, seq, payload)? {
            self.said.enter(flow, said);
        }
        Ok(())
    }

    fn get(&self, flow: &FlowKey) -> Option<&Said> {
        self.said.get(flow)
    }
}

impl core::ops::Deref for Book {
    type Target = HellosBook;
    fn deref(&self) -> &HellosBook {
        &self.hellos
    }
}

fn name_of(book: &Book) -> Option<&str> {
    book.get(&flow(1)).and_then(|said| said.name.as_ref()).map(DomainName::as_str)
}

/// The pieces of a stream, with their sequence numbers across the number's wrap.
fn pieces(bytes: &[u8], size: usize) -> Vec<(u32, Vec<u8>)> {
    let first = u32::MAX - 700;
    let seq = |n: usize| first.wrapping_add(u32::try_from(n * size).expect("short"));
    bytes.chunks(size).enumerate().map(|(n, piece)| (seq(n), piece.to_vec())).collect()
}

#[test]
fn a_post_quantum_hello_over_three_segments_in_any_order() {
    let whole = post_quantum("data.mistat.rus.xiaomi.com");
    let pieces = pieces(&whole, 600);
    assert_eq!(pieces.len(), 3);
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let mut book = Book::default();
        for (n, at) in order.into_iter().zip(10..) {
            let (seq, bytes) = &pieces[n];
            // Each comes twice.
            assert_eq!(book.learn_segment(flow(1), BootTime(at), *seq, bytes), Ok(()));
            if n != order[2] {
                assert_eq!(book.learn_segment(flow(1), BootTime(at), *seq, bytes), Ok(()));
            }
        }
        let hello = book.get(&flow(1)).expect("named");
        assert_eq!(name_of(&book), Some("data.mistat.rus.xiaomi.com"));
        assert_eq!((hello.evidence, hello.at, hello.is_outer), (Evidence::TlsSni, BootTime(10), true));
        assert_eq!((book.unfinished, book.segments_dropped), (0, 0));
        assert!(book.hellos.begun.get(&flow(1)).is_none(), "nothing is kept of what is complete");
    }
}

#[test]
fn a_gap_names_nobody() {
    let pieces = pieces(&post_quantum("a.example"), 600);
    let mut book = Book::default();
    for n in [0, 2] {
        assert_eq!(book.learn_segment(flow(1), BootTime(1), pieces[n].0, &pieces[n].1), Ok(()));
    }
    assert_eq!(name_of(&book), None);
}

#[test]
fn a_hello_whose_end_was_not_copied_still_names() {
    let mut book = Book::default();
    assert_eq!(book.learn_segment(flow(1), BootTime(1), 5, &openssl()[..300]), Ok(()));
    assert_eq!(name_of(&book), Some("data.mistat.intl.xiaomi.com"));
}

#[test]
fn a_request_head_over_three_segments_in_any_order() {
    let head = b"GET /a/long/way HTTP/1.1\r\nUser-Agent: x\r\nHost: connect.rom.miui.com\r\n\r\n";
    let pieces = pieces(head, 27);
    for order in [[0, 1, 2], [2, 0, 1], [1, 2, 0]] {
        let mut book = Book::default();
        for n in order {
            assert_eq!(name_of(&book), None);
            assert_eq!(book.learn_segment(flow(1), BootTime(1), pieces[n].0, &pieces[n].1), Ok(()));
        }
        assert_eq!(name_of(&book), Some("connect.rom.miui.com"));
        assert_eq!(book.get(&flow(1)).map(|h| h.evidence), Some(Evidence::HttpHost));
    }
}

#[test]
fn the_same_ports_again_take_the_new_name() {
    let mut book = Book::default();
    let half = &post_quantum("old.example")[..1000];
    assert_eq!(book.learn_segment(flow(1), BootTime(1), 5, half), Ok(()));
    let new = post_quantum("new.example");
    assert_eq!(book.learn_segment(flow(1), BootTime(2), 90_000, &new), Ok(()));
    assert_eq!(name_of(&book), Some("new.example"));
}

#[test]
fn what_names_nobody_is_told() {
    let mut book = Book::default();
    assert_eq!(book.learn_segment(flow(1), BootTime(1), 5, &post_quantum("192.0.2.1")), Ok(()));
    let said = book.get(&flow(1)).map(|said| (said.name.clone(), said.application));
    assert_eq!(said, Some((None, Application::Tls)));
    let mut lying = openssl();
    lying[43] = 99;
    assert_eq!(book.learn_segment(flow(2), BootTime(1), 5, &lying), Err(Stop::Malformed));
    assert_eq!(name_of(&book), None);
}

#[test]
fn pieces_do_not_stay_for_ever() {
    let mut book = Book::default();
    let half = &post_quantum("a.example")[..600];
    for (port, secs) in [(1, 10), (2, 20)] {
        assert_eq!(book.learn_segment(flow(port), BootTime(secs * SECOND), 5, half), Ok(()));
    }
    book.hellos.give_up(BootTime((10 + STREAM_KEPT_SECS) * SECOND));
    assert_eq!(book.unfinished, 0);
    book.hellos.give_up(BootTime((11 + STREAM_KEPT_SECS) * SECOND));
    assert_eq!(book.unfinished, 1);
    assert!(book.hellos.begun.get(&flow(1)).is_none() && book.hellos.begun.get(&flow(2)).is_some());
}

#[test]
fn bounds_are_kept_and_counted() {
    let mut book = Book::default();
    for n in 0..=u32::try_from(MAX_SEGMENTS).expect("small") {
        assert_eq!(book.segments_dropped, 0);
        assert_eq!(book.learn_segment(flow(1), BootTime(1), n * 10, b"\0no hello"), Ok(()));
    }
    assert_eq!(book.segments_dropped, 1);
    assert_eq!(book.learn_segment(flow(2), BootTime(1), 1, &[0; MAX_STREAM_LEN]), Ok(()));
    assert_eq!(book.segments_dropped, 1);
    assert_eq!(book.learn_segment(flow(3), BootTime(1), 1, &[0; MAX_STREAM_LEN + 1]), Ok(()));
    assert_eq!(book.segments_dropped, 2);
    let mut book = Book::default();
    for port in 0..=u16::try_from(MAX_LOOSE_PER_DEVICE).expect("small") {
        assert_eq!(book.unlike, 0);
        assert_eq!(book.learn_segment(flow(port), BootTime(1), 1, b"\0no hello"), Ok(()));
    }
    assert_eq!((book.unlike, book.unfinished), (1, 0));
    let late = BootTime(STREAM_LASTS_SECS * SECOND + 2);
    assert_eq!(book.learn_segment(flow(9), late, 1, &openssl()), Ok(()));
    assert_eq!((book.unlike, book.unfinished), (2, 0));
    let mut book = Book::default();
    for port in 0..=u16::try_from(MAX_STREAMS_PER_DEVICE).expect("small") {
        assert_eq!(book.unfinished, 0);
        assert_eq!(book.learn_segment(flow(port), BootTime(1), 1, &openssl()[..20]), Ok(()));
    }
    assert_eq!((book.unlike, book.unfinished), (0, 1));
    assert_eq!(book.learn_segment(flow(9), late, 1, &openssl()), Ok(()));
    assert_eq!(book.unfinished, 2);
    for port in 0..=u16::try_from(MAX_READ_PER_DEVICE).expect("small") {
        assert_eq!(book.learn_segment(flow(port), late, 1, &openssl()), Ok(()));
    }
    assert_eq!(book.hellos.read.iter().count(), MAX_READ_PER_DEVICE);
}

#[test]
fn a_hello_in_pieces_of_one_byte() {
    let whole = with_name_first("a.example");
    let (head, rest) = whole.split_at(40);
    let mut book = Book::default();
    let mut pieces = pieces(head, 1);
    let next = pieces[39].0.wrapping_add(1);
    pieces.push((next, rest.to_vec()));
    for order in [false, true] {
        book.said = SaidBook::default();
        book.hellos = HellosBook::default();
        if order {
            pieces.reverse();
        }
        for (seq, bytes) in &pieces {
            assert_eq!(book.learn_segment(flow(1), BootTime(1), *seq, bytes), Ok(()));
        }
        assert_eq!(name_of(&book), Some("a.example"));
        assert_eq!(book.segments_dropped, 0);
    }
}

/// A hello with nothing but a name.
fn with_name_first(name: &str) -> Vec<u8> {
    let mut hello = post_quantum(name);
    // Cut the key share off: the name's extension follows it.
    let share = 5 + 4 + 2 + 32 + 1 + 4 + 2;
    hello.drain(share + 2..share + 2 + 4 + 1222);
    for (place, less) in [(3, 1226_u16), (7, 1226), (share, 1226)] {
        let len = u16::from_be_bytes([hello[place], hello[place + 1]]) - less;
        hello[place..place + 2].copy_from_slice(&len.to_be_bytes());
    }
    hello
}

#[test]
fn a_piece_that_overtook_the_beginning_is_found() {
    // What is in the middle of a hello may look like the beginning of one.
    let mut whole = openssl();
    let inner = [22, 3, 1, 0, 60, 1];
    whole[44..50].copy_from_slice(&inner);
    let (head, tail) = whole.split_at(44);
    let mut book = Book::default();
    assert_eq!(book.learn_segment(flow(1), BootTime(1), 144, tail), Err(Stop::Malformed));
    for (seq, bytes) in [(100, head), (144, tail)] {
        assert_eq!(book.learn_segment(flow(1), BootTime(2), seq, bytes), Ok(()));
    }
    assert_eq!(name_of(&book), Some("data.mistat.intl.xiaomi.com"));
}

#[test]
fn a_hello_after_plain_text_counts() {
    for plain in ["EHLO me.example\r\nSTARTTLS\r\n", "CONNECT b.example:443 HTTP/1.1\r\n\r\n", "\u{5}\u{1}\0"]
    {
        let (hello, mut book) = (openssl(), Book::default());
        let len = u32::try_from(plain.len()).expect("short");
        assert_eq!(book.learn_segment(flow(1), BootTime(1), 100, plain.as_bytes()), Ok(()));
        for (seq, bytes) in [(100 + len, &hello[..200]), (300 + len, &hello[200..])] {
            assert_eq!(book.learn_segment(flow(1), BootTime(2), seq, bytes), Ok(()));
        }
        assert_eq!(name_of(&book), Some("data.mistat.intl.xiaomi.com"), "{plain:?}");
        let proxied = plain.starts_with("CONNECT");
        let expected = if proxied { Application::HttpProxy } else { Application::Tls };
        assert_eq!(book.get(&flow(1)).map(|said| said.application), Some(expected));
    }
}

#[test]
fn each_kind_of_beginning_tells_its_protocol() {
    for (stream, name, application) in [
        ("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n", Some("a.example"), Application::Http),
        ("CONNECT a.example:443 HTTP/1.1\r\n\r\n", Some("a.example"), Application::HttpProxy),
        ("GET http://a.example/ HTTP/1.1\r\n\r\n", Some("a.example"), Application::HttpProxy),
        ("GET / HTTP/1.0\r\n\r\n", None, Application::Http),
        (
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\x0b\x01\x04\0\0\0\x01\x01\x09a.example",
            Some("a.example"),
            Application::H2c,
        ),
        ("SSH-2.0-OpenSSH_9.9\r\n", None, Application::Ssh),
        ("SSH-1.99-x\r\n", None, Application::Ssh),
    ] {
        let mut book = Book::default();
        assert_eq!(book.learn_segment(flow(1), BootTime(1), 5, stream.as_bytes()), Ok(()), "{stream:?}");
        assert_eq!(name_of(&book), name, "{stream:?}");
        assert_eq!(book.get(&flow(1)).map(|said| said.application), Some(application), "{stream:?}");
    }
    let mut book = Book::default();
    assert_eq!(book.learn_segment(flow(1), BootTime(1), 5, b"220 ready\r\n"), Ok(()));
    assert_eq!(book.learn_segment(flow(1), BootTime(1), 15, b"SSH-1.5-x\r\n"), Ok(()));
    assert_eq!(book.get(&flow(1)), None);
}

#[test]
fn a_request_with_a_wrong_first_line_names_its_host_when_it_is_whole() {
    for head in [
        "OPTIONS HTTP/1.1\r\nUser-Agent: x\r\nHost: www.a.example\r\n\r\n",
        "OPTIONS\r\nUser-Agent: x\r\nHost: www.a.example\r\n\r\n",
        "GET /HTTP/1.1\r\nUser-Agent: x\r\nHost: www.a.example\r\n\r\n",
    ] {
        for size in [5, 12, 27, 100] {
            let pieces = pieces(head.as_bytes(), size);
            let mut book = Book::default();
            for (n, (seq, bytes)) in pieces.iter().enumerate() {
                assert_eq!(name_of(&book), None, "{n} of {head:?} in pieces of {size}");
                assert_eq!(book.learn_segment(flow(1), BootTime(n as u64), *seq, bytes), Ok(()));
            }
            assert_eq!(name_of(&book), Some("www.a.example"), "{head:?} in pieces of {size}");
            let said = book.get(&flow(1)).expect("said");
            assert_eq!((said.application, said.at), (Application::Http, BootTime(0)));
            assert_eq!((book.unfinished, book.unlike), (0, 0));
            let mut turned = Book::default();
            for (seq, bytes) in pieces.iter().rev() {
                let _ = turned.learn_segment(flow(1), BootTime(1), *seq, bytes);
            }
            assert_eq!(name_of(&turned), Some("www.a.example"), "{head:?} in pieces of {size}, turned round");
        }
    }
}

#[test]
fn what_only_a_later_piece_looks_like_is_no_request() {
    let (mail, inner) = ("220 hello\r\n", "OPTIONS\r\nHost: a.example\r\n\r\n");
    let mut book = Book::default();
    assert_eq!(book.learn_segment(flow(1), BootTime(1), 10, mail.as_bytes()), Ok(()));
    let next = 10 + u32::try_from(mail.len()).expect("short");
    assert_eq!(book.learn_segment(flow(1), BootTime(1), next, inner.as_bytes()), Ok(()));
    assert_eq!(book.get(&flow(1)), None);
}

/// Pieces of one stream, at their places, and the name that is left.
#[track_caller]
fn check_copies(copies: &[(u32, &[u8])], name: Option<&str>, contradictory: u64) {
    let mut book = Book::default();
    for (seq, bytes) in copies {
        assert_eq!(book.learn_segment(flow(1), BootTime(u64::from(*seq)), *seq, bytes), Ok(()));
    }
    assert_eq!((name_of(&book), book.contradictory), (name, contradictory));
}

#[test]
fn copies_that_agree_change_nothing() {
    let hello = post_quantum("a.example");
    let (name, a, b, c) = (Some("a.example"), &hello[..700], &hello[600..1200], &hello[1100..]);
    check_copies(&[(10, a), (610, b), (1110, c)], name, 0);
    check_copies(&[(1110, c), (10, a), (10, &hello), (610, b), (10, a)], name, 0);
    check_copies(&[(10, &hello), (10, a), (1110, c), (10 + 1800, b"more")], name, 0);
}

#[test]
fn copies_that_differ_name_nobody() {
    let (one, other) = (post_quantum("a.example"), post_quantum("b.example"));
    let cut = 1000;
    // Before it was read, after it was, and in what is sent again.
    check_copies(&[(10, &one[..cut]), (910, &other[900..]), (910, &one[900..])], None, 1);
    let place = 10 + u32::try_from(one.len()).expect("short") - 300;
    check_copies(&[(place, &one[one.len() - 300..]), (10, &other)], None, 1);
    check_copies(&[(10, &one), (10, &other)], None, 1);
    check_copies(&[(10, &one), (10, &other), (10, &one), (10, &other[..cut]), (10, &one)], None, 1);
    check_copies(
        &[(1010, &one[1000..]), (1010, &other[1000..]), (10, &one[..cut]), (1010, &one[1000..])],
        None,
        1,
    );
}

#[test]
fn a_name_is_taken_back_when_a_copy_differs() {
    let (one, other) = (post_quantum("a.example"), post_quantum("b.example"));
    let mut book = Book::default();
    assert_eq!(book.learn_segment(flow(1), BootTime(1), 10, &one[..1400]), Ok(()));
    assert_eq!(name_of(&book), Some("a.example"));
    assert_eq!(book.learn_segment(flow(1), BootTime(2), 10, &other), Ok(()));
    assert_eq!((name_of(&book), book.contradictory), (None, 1));
    // Another conversation over the same ports is believed again.
    assert_eq!(book.learn_segment(flow(1), BootTime(3), 900_000, &other), Ok(()));
    assert_eq!(name_of(&book), Some("b.example"));
}

#[test]
fn a_name_is_taken_back_when_the_rest_speaks_against_it() {
    let mut book = Book::default();
    let (first, second) = ("GET / HTTP/1.1\r\nHost: a.example\r\n", "Host: b.example\r\n\r\n");
    assert_eq!(book.learn_segment(flow(1), BootTime(1), 10, first.as_bytes()), Ok(()));
    assert_eq!(name_of(&book), Some("a.example"));
    let next = 10 + u32::try_from(first.len()).expect("short");
    assert_eq!(book.learn_segment(flow(1), BootTime(2), next, second.as_bytes()), Ok(()));
    assert_eq!(name_of(&book), None);
}

proptest! {
    #[test]
    fn any_pieces_are_survived(
        pieces in proptest::collection::vec(
            (0..3_u16, any::<u32>(), proptest::collection::vec(any::<u8>(), 0..40)), 0..40)
    ) {
        let mut book = Book::default();
        for (port, seq, mut bytes) in pieces {
            let _ = book.learn_segment(flow(port), BootTime(0), seq % 200, &bytes);
            bytes.splice(0..0, [22, 3, 1, 0, 60, 1]);
            let _ = book.learn_segment(flow(port), BootTime(0), seq, &bytes);
        }
    }

    #[test]
    fn any_cut_and_any_order_gives_the_one_name(
        size in 240..900_usize, order in Just((0..8_usize).collect::<Vec<_>>()).prop_shuffle()
    ) {
        let pieces = pieces(&post_quantum("one.example"), size);
        let mut book = Book::default();
        for n in order {
            if let Some((seq, bytes)) = pieces.get(n) {
                let _ = book.learn_segment(flow(1), BootTime(0), *seq, bytes);
            }
        }
        prop_assert_eq!(name_of(&book), Some("one.example"));
    }

    #[test]
    fn copies_that_overlap_give_the_one_name(
        cuts in proptest::collection::vec((0..1500_usize, 200..800_usize), 0..12),
        turns in Just((0..24_usize).collect::<Vec<_>>()).prop_shuffle()
    ) {
        let whole = post_quantum("one.example");
        let mut copies = pieces(&whole, 500);
        for (start, len) in cuts {
            let bytes = whole.get(start..).unwrap_or_default();
            let seq = copies[0].0.wrapping_add(u32::try_from(start).expect("short"));
            copies.push((seq, bytes[..len.min(bytes.len())].to_vec()));
        }
        let mut book = Book::default();
        for turn in turns {
            if let Some((seq, bytes)) = copies.get(turn) {
                prop_assert_eq!(book.learn_segment(flow(1), BootTime(0), *seq, bytes), Ok(()));
            }
        }
        prop_assert_eq!((name_of(&book), book.contradictory), (Some("one.example"), 0));
    }

    #[test]
    fn damage_in_one_copy_never_gives_another_name(
        size in 100..600_usize, at in 0..1563_usize, value: u8,
        order in Just((0..40_usize).collect::<Vec<_>>()).prop_shuffle()
    ) {
        let whole = post_quantum("one.example");
        let mut damaged = whole.clone();
        damaged[at % whole.len()] = value;
        let mut copies = pieces(&whole, size);
        copies.extend(pieces(&damaged, size + 50));
        let mut book = Book::default();
        for n in order {
            if let Some((seq, bytes)) = copies.get(n) {
                let _ = book.learn_segment(flow(1), BootTime(0), *seq, bytes);
            }
        }
        if damaged != whole {
            prop_assert_eq!(name_of(&book), None, "whichever came first");
        }
    }
}

#[test]
fn a_copy_that_cannot_be_read_is_remembered_and_a_readable_one_is_held_against_it() {
    let whole = post_quantum("one.example");
    // The length of the session identifier (RFC 8446 §4.1.2): 32 at most.
    let mut damaged = whole.clone();
    damaged[43] = 200;
    let mut book = Book::default();
    assert_eq!(book.learn_segment(flow(1), BootTime(1), 5, &damaged), Err(Stop::Malformed));
    assert_eq!(book.learn_segment(flow(1), BootTime(2), 5, &damaged), Ok(()), "it is an error once");
    assert_eq!(book.learn_segment(flow(1), BootTime(3), 5, &whole), Ok(()));
    assert_eq!((name_of(&book), book.contradictory), (None, 1));
    // Ports are used again: another conversation may name itself.
    assert_eq!(book.learn_segment(flow(1), BootTime(4), 1 << 30, &whole), Ok(()));
    assert_eq!(name_of(&book), Some("one.example"));
}

#[test]
fn what_was_taken_for_a_beginning_is_read_anew_when_something_comes_before_it() {
    let post = b"POST /notes HTTP/1.1\r\nHost: notes.example\r\n\r\n".as_slice();
    let body = b"GET / HTTP/1.1\r\nHost: inside.example\r\n\r\n".as_slice();
    let behind = 70 + u32::try_from(post.len()).expect("short");
    let mut book = Book::default();
    assert_eq!(book.learn_segment(flow(1), BootTime(1), behind, body), Ok(()));
    assert_eq!(name_of(&book), Some("inside.example"), "nothing else is known yet");
    let (early, late) = post.split_at(30);
    let late_seq = 70 + 30;
    assert_eq!(book.learn_segment(flow(1), BootTime(2), 70, early), Ok(()));
    assert_eq!(name_of(&book), Some("inside.example"));
    assert_eq!(book.learn_segment(flow(1), BootTime(3), late_seq, late), Ok(()));
    let said = book.get(&flow(1)).expect("named");
    assert_eq!((name_of(&book), said.has_others), (Some("notes.example"), false));
}

#[test]
fn what_follows_a_hello_is_not_kept_as_the_piece_of_one() {
    let (mut book, whole) = (Book::default(), openssl());
    assert_eq!(book.learn_segment(flow(1), BootTime(1), 5, &whole), Ok(()));
    let next = 5 + u32::try_from(whole.len()).expect("short");
    assert_eq!(book.learn_segment(flow(1), BootTime(2), next, &[20, 3, 3, 0, 1, 1, 23, 3, 3]), Ok(()));
    assert!(book.loose.get(&flow(1)).is_none());
    // Elsewhere such bytes may be a later piece of a hello that is still to come.
    assert_eq!(book.learn_segment(flow(2), BootTime(2), next, &[20, 3, 3, 0, 1, 1, 23, 3, 3]), Ok(()));
    assert!(book.loose.get(&flow(2)).is_some());
    assert_eq!(name_of(&book), Some("data.mistat.intl.xiaomi.com"));
}

#[test]
fn a_piece_costs_one_reading_of_a_run_and_none_if_it_is_not_new() {
    let read = || opening::READ.with(|read| read.replace(0));
    let piece = [b"GET / HTTP/1.1\r\n".as_slice(), &b"a\r\n".repeat(100)].concat();
    let mut book = Book::default();
    read();
    for n in 0..40 {
        let seq = n * u32::try_from(piece.len()).expect("short");
        assert_eq!(book.learn_segment(flow(1), BootTime(1), seq, &piece), Ok(()));
        assert_eq!(read(), 1, "of piece {n} only the beginning of all");
        assert_eq!(book.learn_segment(flow(1), BootTime(1), seq, &piece), Ok(()));
        assert_eq!(read(), 0, "piece {n} again");
    }
    assert_eq!(book.learn_segment(flow(1), BootTime(1), 16_700, &[b'b'; MAX_STREAM_LEN]), Ok(()));
    assert_eq!((book.segments_dropped, read()), (1, 0));
    // Each in a run of its own.
    for n in 0..40 {
        assert_eq!(book.learn_segment(flow(2), BootTime(1), n * 100, b"GET / HTTP/1.1\r\n"), Ok(()));
        assert!(read() <= 4, "of piece {n}");
    }
}
