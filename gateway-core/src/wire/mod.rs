//! Bytes → structs. Imports [`crate::units`] only; knows no time, no device, no book.
//!
//! Everything here reads what strangers wrote. It never indexes a slice, never overflows, never trusts a length,
//! and tells bytes that were cut short ([`WireError::Truncated`], expected: the kernel copies only the head of a
//! packet) from bytes that no honest sender wrote ([`WireError::Malformed`]). No name gets out that is not a
//! [`crate::units::DomainName`], and an address in place of a name is no name.
// Tests may index: there a panic is the point.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

pub mod dhcp;
pub mod dns;
mod error;
pub mod http;
pub mod ip;
pub mod quic;
mod reader;
pub mod tcp;
pub mod text;
pub mod tls;

pub use error::WireError;
pub use reader::Reader;

/// Bytes from hexadecimal text with any white space in it.
#[cfg(test)]
pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| u8::try_from(c.to_digit(16).expect("a hexadecimal digit")).expect("below 16"))
        .collect();
    let (pairs, odd) = digits.as_chunks::<2>();
    assert!(odd.is_empty(), "an odd number of digits");
    pairs.iter().map(|[high, low]| (high << 4) | low).collect()
}
