//! The headers of QUIC packets, as far as they stand in the clear (RFC 8999, RFC 9000 §17.2), and the walk over the
//! packets of one datagram (RFC 9000 §12.2).

use super::version::{Protection, Version};
use super::{WireError, varint_len};
use crate::wire::Reader;

/// The longest connection ID of the versions that are read here (RFC 9000 §17.2).
pub const MAX_CONNECTION_ID_LEN: usize = 20;
/// Set in the first byte of a long header (RFC 8999 §5.1).
const LONG_HEADER: u8 = 0x80;
/// What a packet has at least behind where its number begins: four bytes of number and content, and the sample that
/// its header is protected by (RFC 9001 §5.4.2).
const MIN_PROTECTED_LEN: usize = 20;

/// The name that one end gives a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ConnectionId {
    len: u8,
    bytes: [u8; MAX_CONNECTION_ID_LEN],
}

impl ConnectionId {
    /// From its bytes; `None` if they are too many.
    #[must_use]
    pub fn parse(id: &[u8]) -> Option<Self> {
        let mut bytes = [0; MAX_CONNECTION_ID_LEN];
        bytes.get_mut(..id.len())?.copy_from_slice(id);
        Some(Self { len: u8::try_from(id.len()).ok()?, bytes })
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

/// What a datagram begins with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// A packet that tells its version.
    Long(Version),
    /// A packet of a QUIC that Google spoke before the IETF's.
    Google,
    /// A packet of a connection that is set up, or no QUIC.
    Other,
}

/// What this datagram begins with.
///
/// # Errors
/// [`WireError::Truncated`] if it ends before that can be told.
pub fn form(datagram: &[u8]) -> Result<Form, WireError> {
    let mut reader = Reader::new(datagram);
    if reader.u8("quic.first_byte")? & LONG_HEADER == 0 {
        return Ok(if old_google_body(datagram).is_some() { Form::Google } else { Form::Other });
    }
    let version = Version(reader.u32("quic.version")?);
    Ok(if version.is_google() { Form::Google } else { Form::Long(version) })
}

/// What follows the public header that Google's versions had up to Q043: flags that promise a connection ID of eight
/// bytes and a version, then both (draft-hamilton-early-deployment-quic-00 §5.1). `None` if there is no such header.
#[must_use]
pub fn old_google_body(datagram: &[u8]) -> Option<&[u8]> {
    let [flags, _, _, _, _, _, _, _, _, a, b, c, d, body @ ..] = datagram else { return None };
    let is_google = flags & 0xc9 == 0x09 && Version(u32::from_be_bytes([*a, *b, *c, *d])).is_google();
    is_google.then_some(body)
}

/// An Initial, still protected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InitialPacket<'a> {
    /// How it is protected.
    pub protection: Protection,
    /// The connection ID it is sent to.
    pub dcid: ConnectionId,
    /// Does it carry a token: from a Retry, or from an earlier connection (RFC 9000 §8.1)?
    pub has_token: bool,
    /// The packet from its first byte to its last.
    pub(super) bytes: &'a [u8],
    /// Where in it the packet number begins.
    pub(super) pn_offset: usize,
}

/// The Initials of one datagram, in order. Other packets with a long header are stepped over by their lengths; what
/// follows a packet without one, or is sent to another connection ID, is left alone as RFC 9000 §12.2 has it.
#[derive(Clone, Debug)]
pub struct Initials<'a> {
    rest: &'a [u8],
    dcid: Option<ConnectionId>,
}

/// The Initials of this datagram.
#[must_use]
pub fn initials(datagram: &[u8]) -> Initials<'_> {
    Initials { rest: datagram, dcid: None }
}

impl<'a> Iterator for Initials<'a> {
    type Item = Result<InitialPacket<'a>, WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let datagram = core::mem::take(&mut self.rest);
            if datagram.first()? & LONG_HEADER == 0 {
                return None;
            }
            match read_long(datagram) {
                Ok(Some(Long { dcid, initial, rest })) => {
                    if *self.dcid.get_or_insert(dcid) != dcid {
                        return None;
                    }
                    self.rest = rest;
                    if let Some(initial) = initial {
                        return Some(Ok(initial));
                    }
                }
                Ok(None) => return None,
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

struct Long<'a> {
    dcid: ConnectionId,
    initial: Option<InitialPacket<'a>>,
    rest: &'a [u8],
}

/// The first packet, which has a long header; `None` if it is of a kind or version that has no length to go by.
fn read_long(datagram: &[u8]) -> Result<Option<Long<'_>>, WireError> {
    let mut reader = Reader::new(datagram);
    let first_byte = reader.u8("quic.first_byte")?;
    let Some(protection) = Version(reader.u32("quic.version")?).protection() else { return Ok(None) };
    let dcid = read_connection_id(&mut reader, "quic.dcid")?;
    read_connection_id(&mut reader, "quic.scid")?;
    // The fixed bit below is not looked at: who has agreed to may send it as he likes (RFC 9287 §3).
    let kind = (first_byte >> 4) & 0b11;
    if kind == protection.retry_bits() {
        return Ok(None);
    }
    let is_initial = kind == protection.initial_bits();
    let token_len = if is_initial { varint_len(&mut reader, "quic.token_len")? } else { 0 };
    reader.bytes("quic.token", token_len)?;
    let len = varint_len(&mut reader, "quic.length")?;
    let pn_offset = datagram.len().saturating_sub(reader.rest().len());
    if !is_initial && reader.rest().len() < len {
        return Ok(None); // Cut short, and nothing of it would be read.
    }
    reader.bytes("quic.packet", len)?;
    let rest = reader.rest();
    let bytes = datagram.get(..datagram.len().saturating_sub(rest.len())).unwrap_or_default();
    if is_initial && len < MIN_PROTECTED_LEN {
        return Err(WireError::Malformed { field: "quic.length", found: len.try_into().unwrap_or(u64::MAX) });
    }
    let initial =
        is_initial.then_some(InitialPacket { protection, dcid, has_token: token_len > 0, bytes, pn_offset });
    Ok(Some(Long { dcid, initial, rest }))
}

fn read_connection_id(reader: &mut Reader<'_>, field: &'static str) -> Result<ConnectionId, WireError> {
    let len = reader.u8(field)?;
    if usize::from(len) > MAX_CONNECTION_ID_LEN {
        return Err(WireError::Malformed { field, found: u64::from(len) });
    }
    let id = reader.bytes(field, usize::from(len))?;
    ConnectionId::parse(id).ok_or(WireError::Malformed { field, found: u64::from(len) })
}

#[cfg(test)]
mod tests {
    use super::super::super::unhex;
    use super::*;

    /// Which Initials there are: length, where the number begins, whether there is a token.
    #[track_caller]
    fn check(hex: &str, expected: &[Result<(usize, usize, bool), WireError>]) {
        let bytes = unhex(hex);
        let found: Vec<_> = initials(&bytes)
            .map(|initial| initial.map(|i| (i.bytes.len(), i.pn_offset, i.has_token)))
            .collect();
        assert_eq!(found, expected);
        for len in 0..bytes.len() {
            // An Initial is whole or it is not there.
            let whole = initials(&bytes[..len]).filter_map(Result::ok).count();
            assert!(whole <= expected.len());
        }
    }

    const INITIAL: &str = "c0 00000001 02 a1a2 00 00 4014 0102030405060708090a0b0c0d0e0f1011121314";
    const HANDSHAKE: &str = "e0 00000001 02 a1a2 00 03 010203";

    #[test]
    fn the_packets_of_a_datagram() {
        check(INITIAL, &[Ok((32, 12, false))]);
        check(&INITIAL.repeat(2), &[Ok((32, 12, false)), Ok((32, 12, false))]);
        check(&[HANDSHAKE, INITIAL, "0000"].concat(), &[Ok((32, 12, false))]);
        let retry = "f0 00000001 02 a1a2 00 aabb";
        check(&[retry, INITIAL].concat(), &[]);
        let other = INITIAL.replace("a1a2", "a1a3");
        check(&[INITIAL, &other].concat(), &[Ok((32, 12, false))]);
        check(&["41", INITIAL].concat(), &[]);
        let with_token = INITIAL.replace("00 00 4014", "00 01 ff 4014");
        check(&with_token, &[Ok((33, 13, true))]);
        // In version 2 these bits say 0-RTT, and others say Initial.
        let second = INITIAL.replace("00000001", "6b3343cf");
        check(&second, &[]);
        check(&second.replace("c0 ", "d0 "), &[Ok((32, 12, false))]);
    }

    #[test]
    fn what_no_honest_sender_wrote() {
        let malformed = |field, found| [Err(WireError::Malformed { field, found })];
        check("c0 00000001 15", &malformed("quic.dcid", 21));
        check("c0 00000001 00 15", &malformed("quic.scid", 21));
        check(&INITIAL.replace("4014", "4013"), &malformed("quic.length", 19));
        let missing = 2;
        check(
            &INITIAL.replace("4014", "4016"),
            &[Err(WireError::Truncated { field: "quic.packet", missing })],
        );
    }

    #[test]
    fn what_a_datagram_begins_with() {
        for (hex, expected) in [
            ("c3 00000001", Ok(Form::Long(Version::V1))),
            ("c3 51303436", Ok(Form::Google)),
            ("0d 0102030405060708 51303433 01", Ok(Form::Google)),
            ("09 0102030405060708 51303335 01", Ok(Form::Google)),
            ("0d 0102030405060708 52303433 01", Ok(Form::Other)),
            ("4d 0102030405060708 51303433 01", Ok(Form::Other)),
            ("0d", Ok(Form::Other)),
            ("c3 0000", Err(WireError::Truncated { field: "quic.version", missing: 2 })),
            ("", Err(WireError::Truncated { field: "quic.first_byte", missing: 1 })),
        ] {
            assert_eq!(form(&unhex(hex)), expected, "{hex}");
        }
    }
}
