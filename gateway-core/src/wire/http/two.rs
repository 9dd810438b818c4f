//! HTTP/2 with prior knowledge (RFC 9113 §3.3): the preface, and the header block of the first request.

use super::hpack::{Decoder, MAX_FIELDS};
use super::{Request, name_of};
use crate::wire::{Reader, WireError};

/// What a device sends first (RFC 9113 §3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// As much of it as nothing else begins with.
const PREFACE_BEGINNING_LEN: usize = 14;

/// Frame types and flags (RFC 9113 §6).
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;
/// The longest frame before the peer has allowed longer ones (RFC 9113 §4.2).
const MAX_FRAME_LEN: u32 = 1 << 14;

/// Do these bytes begin with the preface, as far as they go?
#[must_use]
pub fn looks_like_preface(stream: &[u8]) -> bool {
    stream.len() >= PREFACE_BEGINNING_LEN && stream.iter().zip(PREFACE).all(|(found, wanted)| found == wanted)
}

/// Reads the first request from the beginning of a TCP stream: what the bytes so far say, and whether they hold its
/// header block whole. A block that is cut short may have its host already; what follows can only speak against it.
/// What is found in a malformed one is not to be believed.
pub fn read(stream: &[u8]) -> (Request, Result<(), WireError>) {
    let mut block = Vec::new();
    let ended = join_header_block(stream, &mut block);
    if let Err(error @ WireError::Malformed { .. }) = ended {
        return (Request::default(), Err(error));
    }
    let mut request = Request::default();
    let mut cut = Reader::new(&block);
    let read = match ended {
        Ok(()) => cut.part("http2.header_block", block.len()).and_then(|b| read_fields(b, &mut request)),
        Err(_) => read_fields(cut, &mut request),
    };
    match (read, ended) {
        (Err(error @ WireError::Malformed { .. }), _) => (request, Err(error)),
        (read, ended) => (request, ended.and(read)),
    }
}

struct FrameHeader {
    len: u32,
    kind: u8,
    flags: u8,
    stream: u32,
}

fn read_frame_header(reader: &mut Reader<'_>) -> Result<FrameHeader, WireError> {
    let len = reader.u24("http2.frame_len")?;
    let kind = reader.u8("http2.frame_type")?;
    let flags = reader.u8("http2.frame_flags")?;
    let stream = reader.u32("http2.frame_stream")? & 0x7fff_ffff;
    if len > MAX_FRAME_LEN {
        return Err(WireError::Malformed { field: "http2.frame_len", found: u64::from(len) });
    }
    Ok(FrameHeader { len, kind, flags, stream })
}

/// Joins the header block of the first request from its HEADERS and CONTINUATION frames; as much as there is, if it
/// is not complete.
fn join_header_block(stream: &[u8], block: &mut Vec<u8>) -> Result<(), WireError> {
    let malformed = |found: u8| WireError::Malformed { field: "http2.frame_type", found: u64::from(found) };
    let mut reader = Reader::new(stream);
    let preface = reader.array::<24>("http2.preface")?;
    if preface != *PREFACE {
        return Err(WireError::Malformed { field: "http2.preface", found: 0 });
    }
    let first = read_frame_header(&mut reader)?;
    if (first.kind, first.stream) != (SETTINGS, 0) {
        return Err(malformed(first.kind));
    }
    reader.part("http2.settings", usize::try_from(first.len).unwrap_or(usize::MAX))?;
    let mut open: Option<u32> = None;
    loop {
        let FrameHeader { len, kind, flags, stream } = read_frame_header(&mut reader)?;
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        let mut content = reader.part("http2.frame", len)?;
        match (kind, open) {
            // A device's own streams have odd numbers (§5.1.1).
            (HEADERS, None) if stream % 2 == 1 => {
                let fragment = headers_fragment(&mut content, flags, len)?;
                block.extend_from_slice(fragment);
                open = Some(stream);
            }
            (CONTINUATION, Some(opened)) if stream == opened => block.extend_from_slice(content.rest()),
            (HEADERS | CONTINUATION, _) | (_, Some(_)) => return Err(malformed(kind)),
            (_, None) => continue,
        }
        if flags & END_HEADERS != 0 && is_whole(content) {
            return Ok(());
        }
    }
}

/// Is all of a frame's content here?
fn is_whole(mut content: Reader<'_>) -> bool {
    let left = content.rest().len();
    content.bytes("http2.frame", left).is_ok() && content.is_finished()
}

/// The part of a HEADERS frame that is of the block (RFC 9113 §6.2).
fn headers_fragment<'a>(content: &mut Reader<'a>, flags: u8, len: usize) -> Result<&'a [u8], WireError> {
    let mut taken = 0_usize;
    if flags & PADDED != 0 {
        taken = usize::from(content.u8("http2.pad_len")?).saturating_add(1);
    }
    if flags & PRIORITY != 0 {
        content.array::<5>("http2.priority")?;
        taken = taken.saturating_add(5);
    }
    let Some(wanted) = len.checked_sub(taken) else {
        return Err(WireError::Malformed {
            field: "http2.pad_len",
            found: u64::try_from(taken).unwrap_or(0),
        });
    };
    let rest = content.rest();
    Ok(rest.get(..wanted).unwrap_or(rest))
}

fn read_fields(mut block: Reader<'_>, request: &mut Request) -> Result<(), WireError> {
    let malformed = |field| WireError::Malformed { field, found: 2 };
    let mut decoder = Decoder::new();
    let (mut authority, mut host): (Option<Vec<u8>>, Option<Vec<u8>>) = (None, None);
    let (mut is_connect, mut has_path, mut has_regular) = (false, false, false);
    let mut ended = Ok(());
    for _ in 0..MAX_FIELDS {
        let (name, value) = match decoder.next_field(&mut block) {
            Ok(Some(field)) => field,
            Ok(None) => break,
            Err(error) => {
                ended = Err(error);
                break;
            }
        };
        let is_pseudo = name.first() == Some(&b':');
        // §8.3: those with a colon stand before all others, and none of them twice.
        if is_pseudo && has_regular {
            return Err(malformed("http2.pseudo_field"));
        }
        has_regular |= !is_pseudo;
        match name.as_slice() {
            b":authority" if authority.is_some() => return Err(malformed("http2.authority")),
            b":authority" => authority = Some(value),
            b"host" if host.is_some() => return Err(malformed("http2.host")),
            b"host" => host = Some(value),
            b":method" => is_connect = value == b"CONNECT",
            b":path" => has_path = true,
            _ => {}
        }
    }
    // §8.3.1: a server should refuse a request whose two hosts differ, and not all do.
    if authority.as_ref().zip(host.as_ref()).is_some_and(|(a, h)| !a.eq_ignore_ascii_case(h)) {
        return Err(malformed("http2.host"));
    }
    request.host = authority.or(host).and_then(|authority| name_of(&authority));
    // §8.5: a plain CONNECT has no path; one for a protocol of its own (RFC 8441) has, and is for the peer.
    request.is_for_proxy = is_connect && !has_path;
    ended
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::DomainName;
    use crate::wire::unhex;
    use proptest::prelude::*;

    fn frame(kind: u8, flags: u8, stream: u32, content: &[u8]) -> Vec<u8> {
        let len = u32::try_from(content.len()).expect("short").to_be_bytes();
        [&len[1..], &[kind, flags], &stream.to_be_bytes(), content].concat()
    }

    fn opening(frames: &[Vec<u8>]) -> Vec<u8> {
        let settings = frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100]);
        [PREFACE.to_vec(), settings, frame(8, 0, 0, &[0, 1, 0, 0]), frames.concat()].concat()
    }

    /// RFC 7541 Appendix C.4.1: `www.example.com`.
    fn block() -> Vec<u8> {
        unhex("828684418cf1e3c2e5f23a6ba0ab90f4ff")
    }

    fn literal(name: &str, value: &str) -> Vec<u8> {
        let string = |text: &str| [&[u8::try_from(text.len()).expect("short")], text.as_bytes()].concat();
        [vec![0], string(name), string(value)].concat()
    }

    #[track_caller]
    fn check(stream: &[u8], host: Option<&str>, is_for_proxy: bool) {
        assert!(looks_like_preface(stream));
        let (request, ended) = read(stream);
        assert_eq!(request.host.as_ref().map(DomainName::as_str), host);
        assert_eq!((request.is_for_proxy, ended), (is_for_proxy, Ok(())));
        for len in 0..stream.len() {
            let (request, ended) = read(&stream[..len]);
            assert!(matches!(ended, Err(WireError::Truncated { .. })), "{len}: {ended:?}");
            let name = request.host.as_ref().map(DomainName::as_str);
            assert!(name.is_none() || name == host, "{len}: never half a name");
        }
    }

    #[track_caller]
    fn check_malformed(stream: &[u8], field: &str) {
        match read(stream) {
            (_, Err(WireError::Malformed { field: found, .. })) => assert_eq!(found, field),
            other => panic!("{field}: {other:?}"),
        }
    }

    #[test]
    fn the_first_request_names_its_authority() {
        let name = Some("www.example.com");
        check(&opening(&[frame(HEADERS, END_HEADERS, 1, &block())]), name, false);
        let padded = [&[3, 0, 0, 0, 0, 16], block().as_slice(), &[0, 0, 0]].concat();
        check(&opening(&[frame(HEADERS, END_HEADERS | PADDED | PRIORITY, 3, &padded)]), name, false);
        let whole = block();
        let (head, tail) = whole.split_at(9);
        let split = [
            frame(HEADERS, 0, 1, head),
            frame(CONTINUATION, 0, 1, &[]),
            frame(CONTINUATION, END_HEADERS, 1, tail),
        ];
        check(&opening(&split), name, false);
        let host = [block(), literal("host", "WWW.example.com")].concat();
        check(&opening(&[frame(HEADERS, END_HEADERS, 1, &host)]), name, false);
        let host_only = [unhex("828684"), literal("host", "a.example:8080")].concat();
        check(&opening(&[frame(HEADERS, END_HEADERS, 1, &host_only)]), Some("a.example"), false);
    }

    #[test]
    fn a_connect_is_for_a_proxy_and_an_address_is_no_name() {
        let connect = [literal(":method", "CONNECT"), literal(":authority", "a.example:443")].concat();
        check(&opening(&[frame(HEADERS, END_HEADERS, 1, &connect)]), Some("a.example"), true);
        let address = [unhex("828684"), literal(":authority", "127.0.0.1:8080")].concat();
        check(&opening(&[frame(HEADERS, END_HEADERS, 1, &address)]), None, false);
    }

    #[test]
    fn where_readers_differ_nobody_is_named() {
        let headers = |more: Vec<u8>| opening(&[frame(HEADERS, END_HEADERS, 1, &[block(), more].concat())]);
        check_malformed(&headers(literal("host", "b.example")), "http2.host");
        check_malformed(&headers(literal(":authority", "www.example.com")), "http2.authority");
        let late = [literal("a", "b"), literal(":path", "/")].concat();
        check_malformed(&headers(late), "http2.pseudo_field");
        check_malformed(&headers(vec![0x80]), "hpack.index");
    }

    #[test]
    fn frames_out_of_place_are_refused() {
        let headers = frame(HEADERS, 0, 1, &block());
        check_malformed(&opening(&[frame(HEADERS, END_HEADERS, 2, &block())]), "http2.frame_type");
        check_malformed(&opening(&[headers.clone(), frame(CONTINUATION, 4, 3, &[])]), "http2.frame_type");
        check_malformed(&opening(&[headers, frame(8, 0, 0, &[0; 4])]), "http2.frame_type");
        check_malformed(&opening(&[frame(HEADERS, PADDED, 1, &[9, 0])]), "http2.pad_len");
        check_malformed(&opening(&[frame(0, 0, 1, &[0; 16_385])]), "http2.frame_len");
        check_malformed(&[PREFACE.to_vec(), frame(HEADERS, 4, 1, &block())].concat(), "http2.frame_type");
        assert!(!looks_like_preface(b"PRI * HTTP/2.0\r\n\r\nXX"));
        assert!(!looks_like_preface(b"PRI * "));
    }

    #[test]
    fn fields_beyond_the_bound_are_not_read() {
        let many = [block(), vec![0x82; MAX_FIELDS], vec![0x80]].concat();
        let (request, ended) = read(&opening(&[frame(HEADERS, END_HEADERS, 1, &many)]));
        assert_eq!((request.host.is_some(), ended), (true, Ok(())));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..300), kind in 0..10_u8, flags: u8) {
            let _ = read(&bytes);
            let _ = read(&opening(core::slice::from_ref(&bytes)));
            let _ = read(&opening(&[frame(kind, flags, 1, &bytes)]));
        }
    }
}
