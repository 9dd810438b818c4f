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
pub use header::{ConnectionId, Form, InitialPacket, Initials, form, initials};
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
mod tests {
    use super::super::unhex;
    use super::*;

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
