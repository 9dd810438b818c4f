//! The record layer (RFC 8446 §5.1): one handshake message may be spread over several records.

use crate::wire::{Reader, WireError};

/// Record type of handshake messages.
const HANDSHAKE: u8 = 22;
/// The most bytes of plain text in one record.
const MAX_RECORD_LEN: u16 = 1 << 14;

/// Do these bytes begin like the record of a ClientHello, as far as they go?
#[must_use]
pub fn looks_like_hello(stream: &[u8]) -> bool {
    let [kind, major, _, _, _, message, ..] = stream else {
        return matches!(stream, [HANDSHAKE] | [HANDSHAKE, 3, ..]);
    };
    (*kind, *major, *message) == (HANDSHAKE, 3, 1)
}

/// The bytes of the first handshake message, joined from as many records as it takes; all there are, if it is
/// not complete.
pub(super) fn join_first_message(stream: &[u8]) -> Result<Vec<u8>, WireError> {
    let mut reader = Reader::new(stream);
    let mut joined = Vec::new();
    while !is_complete(&joined) && (joined.is_empty() || !reader.is_empty()) {
        let header = read_header(&mut reader);
        let len = match header {
            Ok(len) => len,
            // Between two records the stream may simply not go on yet.
            Err(WireError::Truncated { .. }) if !joined.is_empty() => break,
            Err(error) => return Err(error),
        };
        let part = reader.part("tls.record", usize::from(len))?;
        if part.is_empty() {
            break;
        }
        joined.extend_from_slice(part.rest());
    }
    Ok(joined)
}

fn read_header(reader: &mut Reader<'_>) -> Result<u16, WireError> {
    let kind = reader.u8("tls.content_type")?;
    if kind != HANDSHAKE {
        return Err(WireError::Malformed { field: "tls.content_type", found: u64::from(kind) });
    }
    let version = reader.u16("tls.record_version")?;
    if version >> 8 != 3 {
        return Err(WireError::Malformed { field: "tls.record_version", found: u64::from(version) });
    }
    let len = reader.u16("tls.record_len")?;
    if len == 0 || len > MAX_RECORD_LEN {
        return Err(WireError::Malformed { field: "tls.record_len", found: u64::from(len) });
    }
    Ok(len)
}

fn is_complete(message: &[u8]) -> bool {
    let [_, a, b, c, body @ ..] = message else { return false };
    let wanted = u32::from_be_bytes([0, *a, *b, *c]);
    usize::try_from(wanted).is_ok_and(|wanted| body.len() >= wanted)
}
