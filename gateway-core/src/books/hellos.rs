//! The beginnings of TCP conversations that are not whole yet: pieces of TLS hellos and of HTTP request heads.

use super::aged::{Aged, Limits};
use crate::application::Application;
use crate::decode::Stop;
use crate::row::{Evidence, Said};
use crate::units::BootTime;
use crate::wire::{WireError, http, tls};
use gateway_common::FlowKey;

/// How many hellos of one device may be in pieces at once: a browser opens some dozens of conversations in one
/// breath.
pub const MAX_STREAMS_PER_DEVICE: usize = 64;
/// How many in all; with [`MAX_STREAM_LEN`] some 2 MiB at worst.
pub const MAX_STREAMS: usize = 256;
/// The longest hello that is put together. Post-quantum hellos have 1.7 to 2.1 KB; two key shares and a resumed
/// session's ticket leave room below this.
pub const MAX_STREAM_LEN: usize = 8192;
/// How many pieces are kept of one hello. The kernel copies up to five segments; a capture may have a hello cut
/// into many small ones, and the search for its pieces is done anew for each.
pub const MAX_SEGMENTS: usize = 32;
/// How long the pieces of one hello may be apart: a lost segment is sent again after 1 s, 3 s, 7 s (RFC 6298 §2).
pub const STREAM_LASTS_SECS: u64 = 15;
/// How old pieces may be that are still kept at a drain: as long as they last, and time for samples of that moment
/// to be read from a ring that lags. They are what a person sent, and stay no longer than they are of use.
pub const STREAM_KEPT_SECS: u64 = 60;

const SECOND: u64 = 1_000_000_000;

/// Pieces of the beginning of one TCP stream, in the order they came.
#[derive(Clone, Debug)]
struct Stream {
    began_at: BootTime,
    segments: Vec<(u32, Vec<u8>)>,
}

/// Hellos in pieces.
#[derive(Clone, Debug)]
pub struct HellosBook {
    streams: Aged<FlowKey, Stream>,
    /// Hellos in pieces given up: for want of room, or because the rest did not come in time.
    pub unfinished: u64,
    /// Pieces left out because a hello had too many or too long ones.
    pub segments_dropped: u64,
}

impl Default for HellosBook {
    fn default() -> Self {
        Self {
            streams: Aged::new(Limits { per_device: MAX_STREAMS_PER_DEVICE, in_all: MAX_STREAMS }),
            unfinished: 0,
            segments_dropped: 0,
        }
    }
}

impl HellosBook {
    /// Enters a piece of what a device sends first. `Some`: what the pieces so far say; later ones may say more.
    ///
    /// # Errors
    /// [`Stop`] if the hello or request is neither.
    pub fn learn_segment(
        &mut self,
        flow: FlowKey,
        at: BootTime,
        seq: u32,
        payload: &[u8],
    ) -> Result<Option<Said>, Stop> {
        let mut stream = self.stream_of(&flow, at);
        if !stream.add(seq, payload) {
            self.segments_dropped = self.segments_dropped.saturating_add(1);
        }
        let Some(joined) = stream.join() else {
            self.keep(flow, stream);
            return Ok(None);
        };
        let (said, ended) = read_opening(&joined, stream.began_at);
        match ended {
            Ok(()) => Ok(Some(said)),
            Err(WireError::Malformed { .. }) => Err(Stop::Malformed),
            // The name, or word that it is an outer one only, may be still to come.
            Err(WireError::Truncated { .. }) => {
                self.keep(flow, stream);
                Ok(said.name.is_some().then_some(said))
            }
        }
    }

    /// Lets go of pieces whose rest did not come, and counts them.
    pub fn give_up(&mut self, now: BootTime) {
        let kept_for = STREAM_KEPT_SECS.saturating_mul(SECOND);
        let given_up = self.streams.remove_where(|stream| now.since(stream.began_at) > kept_for);
        self.unfinished = self.unfinished.saturating_add(given_up);
    }

    fn keep(&mut self, flow: FlowKey, stream: Stream) {
        self.unfinished = self.unfinished.saturating_add(self.streams.insert(flow, stream));
    }

    fn stream_of(&mut self, flow: &FlowKey, at: BootTime) -> Stream {
        let new = || Stream { began_at: at, segments: Vec::new() };
        let Some(stream) = self.streams.remove(flow) else { return new() };
        if at.since(stream.began_at) > STREAM_LASTS_SECS.saturating_mul(SECOND) {
            self.unfinished = self.unfinished.saturating_add(1);
            return new();
        }
        stream
    }
}

fn looks_like_opening(bytes: &[u8]) -> bool {
    tls::looks_like_hello(bytes) || http::looks_like_request(bytes)
}

/// What the beginning of a stream says so far, and whether it holds its hello or request head whole.
fn read_opening(stream: &[u8], at: BootTime) -> (Said, Result<(), WireError>) {
    let nothing =
        Said { name: None, evidence: Evidence::None, is_outer: false, application: Application::Unknown, at };
    if http::looks_like_request(stream) {
        let said = Said { application: Application::Http, ..nothing };
        return match http::host(stream) {
            Ok(Some(name)) => (Said { name: Some(name), evidence: Evidence::HttpHost, ..said }, Ok(())),
            Ok(None) => (said, Ok(())),
            Err(error) => (said, Err(error)),
        };
    }
    let (hello, ended) = tls::read(stream);
    let evidence = if hello.server_name.is_some() { Evidence::TlsSni } else { Evidence::None };
    let is_outer = hello.has_ech && hello.server_name.is_some();
    (Said { name: hello.server_name, evidence, is_outer, application: Application::Tls, ..nothing }, ended)
}

impl Stream {
    /// Keeps a piece; `false` if there is no room for it. One that came before is not kept twice.
    fn add(&mut self, seq: u32, payload: &[u8]) -> bool {
        if self.segments.iter().any(|(s, bytes)| *s == seq && bytes.len() >= payload.len()) {
            return true;
        }
        let held: usize = self.segments.iter().map(|(_, bytes)| bytes.len()).sum();
        if self.segments.len() >= MAX_SEGMENTS || held.saturating_add(payload.len()) > MAX_STREAM_LEN {
            return false;
        }
        self.segments.push((seq, payload.to_vec()));
        true
    }

    /// The bytes from the beginning of a hello or request up to the first gap; `None` while no piece looks like a beginning.
    /// The latest beginning counts: the same ports may have been used before.
    fn join(&self) -> Option<Vec<u8>> {
        let (start, _) = self.segments.iter().rev().find(|(_, bytes)| looks_like_opening(bytes))?;
        let place = |seq: u32| usize::try_from(seq.wrapping_sub(*start)).unwrap_or(usize::MAX);
        let mut pieces: Vec<(usize, &[u8])> = self
            .segments
            .iter()
            .map(|(seq, bytes)| (place(*seq), bytes.as_slice()))
            .filter(|(offset, _)| *offset < MAX_STREAM_LEN)
            .collect();
        pieces.sort_by_key(|(offset, _)| *offset);
        let mut joined = Vec::new();
        for (offset, bytes) in pieces {
            // What overlaps was here already; what leaves a gap has to wait.
            let Some(seen) = joined.len().checked_sub(offset) else { break };
            joined.extend_from_slice(bytes.get(seen..).unwrap_or_default());
        }
        Some(joined)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::books::SaidBook;
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
        fn learn_segment(
            &mut self,
            flow: FlowKey,
            at: BootTime,
            seq: u32,
            payload: &[u8],
        ) -> Result<(), Stop> {
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
            assert!(book.streams.get(&flow(1)).is_none(), "nothing is kept of what is complete");
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
        assert!(book.streams.get(&flow(1)).is_none() && book.streams.get(&flow(2)).is_some());
    }

    #[test]
    fn bounds_are_kept_and_counted() {
        let mut book = Book::default();
        for n in 0..=u32::try_from(MAX_SEGMENTS).expect("small") {
            assert_eq!(book.learn_segment(flow(1), BootTime(1), n * 10, b"no hello"), Ok(()));
        }
        assert_eq!(book.segments_dropped, 1);
        assert_eq!(book.learn_segment(flow(2), BootTime(1), 1, &[0; MAX_STREAM_LEN + 1]), Ok(()));
        assert_eq!(book.segments_dropped, 2);
        for port in 2..=u16::try_from(MAX_STREAMS_PER_DEVICE).expect("small") + 1 {
            assert_eq!(book.learn_segment(flow(port), BootTime(1), 1, b"no hello"), Ok(()));
        }
        assert_eq!(book.unfinished, 1);
        let late = BootTime((STREAM_LASTS_SECS + 1) * 1_000_000_000 + 2);
        assert_eq!(book.learn_segment(flow(9), late, 1, &openssl()), Ok(()));
        assert_eq!(book.unfinished, 2);
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
    }
}
