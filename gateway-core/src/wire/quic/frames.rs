//! The frames of an Initial (RFC 9000 §19): those that carry the handshake, and the few others that may be there.

use super::{WireError, varint, varint_len};
use crate::wire::Reader;

const PADDING: u8 = 0x00;
const PING: u8 = 0x01;
const ACK: u8 = 0x02;
const ACK_WITH_ECN: u8 = 0x03;
const CRYPTO: u8 = 0x06;
const CONNECTION_CLOSE: u8 = 0x1c;

/// A piece of the handshake.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CryptoFrame<'a> {
    /// Where in the stream of handshake messages it begins.
    pub offset: u64,
    /// Its bytes.
    pub data: &'a [u8],
}

/// The CRYPTO frames of an Initial's payload, in order.
///
/// # Errors
/// [`WireError::Malformed`] for a frame that an Initial may not have (RFC 9000 §12.4), or one that goes past the end.
pub fn crypto_frames(payload: &[u8]) -> Result<Vec<CryptoFrame<'_>>, WireError> {
    // It was authenticated, so it is whole.
    let mut reader = Reader::new(payload).part("quic.payload", payload.len())?;
    let mut frames = Vec::new();
    while !reader.is_empty() {
        match reader.u8("quic.frame_type")? {
            PADDING => skip_padding(&mut reader)?,
            PING => {}
            kind @ (ACK | ACK_WITH_ECN) => skip_ack(&mut reader, kind == ACK_WITH_ECN)?,
            CRYPTO => {
                let offset = varint(&mut reader, "quic.crypto_offset")?;
                let len = varint_len(&mut reader, "quic.crypto_len")?;
                frames.push(CryptoFrame { offset, data: reader.bytes("quic.crypto_data", len)? });
            }
            CONNECTION_CLOSE => {
                varint(&mut reader, "quic.error_code")?;
                varint(&mut reader, "quic.error_frame_type")?;
                let len = varint_len(&mut reader, "quic.error_reason_len")?;
                reader.bytes("quic.error_reason", len)?;
            }
            kind => return Err(WireError::Malformed { field: "quic.frame_type", found: u64::from(kind) }),
        }
    }
    Ok(frames)
}

/// A client pads its first datagram to 1200 bytes, mostly in one run.
fn skip_padding(reader: &mut Reader<'_>) -> Result<(), WireError> {
    let rest = reader.rest();
    let len = rest.iter().position(|byte| *byte != PADDING).unwrap_or(rest.len());
    reader.bytes("quic.padding", len).map(drop)
}

fn skip_ack(reader: &mut Reader<'_>, has_ecn: bool) -> Result<(), WireError> {
    varint(reader, "quic.ack_largest")?;
    varint(reader, "quic.ack_delay")?;
    let more_ranges = varint(reader, "quic.ack_range_count")?;
    varint(reader, "quic.ack_first_range")?;
    // A count that is too high runs out of bytes.
    for _ in 0..more_ranges {
        varint(reader, "quic.ack_gap")?;
        varint(reader, "quic.ack_range")?;
    }
    if has_ecn {
        for field in ["quic.ack_ect0", "quic.ack_ect1", "quic.ack_ce"] {
            varint(reader, field)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::super::unhex;
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(hex: &str, expected: Result<&[(u64, &[u8])], &'static str>) {
        let bytes = unhex(hex);
        let found = crypto_frames(&bytes);
        let found: Result<Vec<_>, _> = match &found {
            Ok(frames) => Ok(frames.iter().map(|f| (f.offset, f.data)).collect()),
            Err(WireError::Malformed { field, .. }) => Err(*field),
            Err(other) => panic!("{other:?}"),
        };
        assert_eq!(found, expected.map(<[_]>::to_vec));
    }

    #[test]
    fn the_frames_of_an_initial() {
        check("", Ok(&[]));
        check("0000 01 00", Ok(&[]));
        check("06 00 02 6869 0000 06 4400 01 21 00", Ok(&[(0, b"hi"), (0x400, b"!")]));
        check("02 03 4001 01 00 01 02 06 01 01 78", Ok(&[(1, b"x")]));
        check("03 03 01 00 00 01 02 03 06 01 01 78", Ok(&[(1, b"x")]));
        check("1c 4001 06 02 6e6f 01 06 00 00", Ok(&[(0, b"")]));
    }

    #[test]
    fn what_no_initial_has() {
        check("08 00", Err("quic.frame_type"));
        check("1d 00 00", Err("quic.frame_type"));
        check("4006 00 01 78", Err("quic.frame_type"));
        check("06 00 03 6869", Err("quic.crypto_data"));
        check("06", Err("quic.crypto_offset"));
        check("06 00 ffffffffffffffff 00", Err("quic.crypto_data"));
        check("02 00 00 bfffffff 00 00 00", Err("quic.ack_gap"));
        check("1c 00 00 05 6e6f", Err("quic.error_reason"));
    }

    proptest! {
        #[test]
        fn any_payload_is_survived(bytes in proptest::collection::vec(0..32_u8, 0..300)) {
            let _ = crypto_frames(&bytes);
        }
    }
}
