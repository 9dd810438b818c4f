//! The record layer (RFC 8446 §5.1): one handshake message may be spread over several records.

use crate::wire::{Reader, WireError};

/// Record type of handshake messages.
const HANDSHAKE: u8 = 22;
/// The most bytes of plain text in one record.
const MAX_RECORD_LEN: u16 = 1 << 14;

/// Do these bytes begin with the record of a ClientHello? Six bytes tell: with fewer, nothing is known. The version
/// may be that of SSL 3.0 to TLS 1.3, whatever is then agreed on (RFC 8446 §5.1 and Appendix D.1). The hello of
/// SSL 2.0 (RFC 5246 Appendix E.2), which can name nobody, does not begin like this.
#[must_use]
pub fn looks_like_hello(stream: &[u8]) -> bool {
    matches!(stream, [HANDSHAKE, 3, 0..=4, _, _, 1, ..])
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
    if !(0x0300..=0x0304).contains(&version) {
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
