//! The beginning of a QUIC conversation (RFC 9000, RFC 9001, RFC 9369): the Initials that a client sends, decrypted.
//!
//! The keys of Initials follow from what stands in the clear in the first of them, so that anybody on the way can
//! read them; what comes after them nobody can, and nothing here tries. A packet counts only if its tag is right, so
//! one that is cut short says nothing. Knows no conversation: which keys to try is for the books.

mod crypto_stream;
mod frames;
mod header;
mod initial;
mod version;

#[cfg(test)]
pub(crate) mod samples;

pub use crypto_stream::{CryptoStream, MAX_CRYPTO_LEN, MAX_PIECES};
pub use frames::{CryptoFrame, crypto_frames};
pub use header::{ConnectionId, Form, InitialPacket, Initials, form, initials, old_google_body};
pub use initial::{InitialKeys, Opened};
pub use version::{Protection, Version};

use super::{Reader, WireError};

/// A number of variable length (RFC 9000 §16): the two highest bits tell how many bytes it has.
fn varint(reader: &mut Reader<'_>, field: &'static str) -> Result<u64, WireError> {
    let first = reader.u8(field)?;
    let rest: usize = match first >> 6 {
        0 => 0,
        1 => 1,
        2 => 3,
        _ => 7,
    };
    let bytes = reader.bytes(field, rest)?;
    Ok(bytes.iter().fold(u64::from(first & 0x3f), |value, byte| (value << 8) | u64::from(*byte)))
}

/// A length of variable length; one that no memory holds is the longest there is, and ends as too long.
fn varint_len(reader: &mut Reader<'_>, field: &'static str) -> Result<usize, WireError> {
    varint(reader, field).map(|len| usize::try_from(len).unwrap_or(usize::MAX))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::unhex;
    use super::*;

    /// The connection ID of the examples in RFC 9001 §A and RFC 9369 §A.
    pub(crate) const RFC_DCID: [u8; 8] = [0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08];

    /// The CRYPTO frame of the examples' client Initial: a hello to example.com.
    pub(crate) const RFC_CRYPTO_FRAME: &str = "
        060040f1010000ed0303ebf8fa56f12939b9584a3896472ec40bb863cfd3e868
        04fe3a47f06a2b69484c00000413011302010000c000000010000e00000b6578
        616d706c652e636f6dff01000100000a00080006001d00170018001000070005
        04616c706e000500050100000000003300260024001d00209370b2c9caa47fba
        baf4559fedba753de171fa71f50f1ce15d43e994ec74d748002b000302030400
        0d0010000e0403050306030203080408050806002d00020101001c0002400100
        3900320408ffffffffffffffff05048000ffff07048000ffff08011001048000
        75300901100f088394c8f03e51570806048000ffff";

    #[test]
    fn numbers_of_variable_length() {
        // RFC 9000 §A.1.
        for (hex, expected) in [
            ("c2197c5eff14e88c", 151_288_809_941_952_652),
            ("9d7f3e7d", 494_878_333),
            ("7bbd", 15_293),
            ("25", 37),
            ("4025", 37),
        ] {
            let bytes = unhex(hex);
            assert_eq!(varint(&mut Reader::new(&bytes), "x"), Ok(expected), "{hex}");
            for len in 0..bytes.len() {
                let ended = varint(&mut Reader::new(&bytes[..len]), "x");
                assert!(matches!(ended, Err(WireError::Truncated { .. })), "{hex} {len}");
            }
        }
    }
}
