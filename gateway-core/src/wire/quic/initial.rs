//! The protection of Initials (RFC 9001 §5): keys from a connection ID, header protection, AES-128-GCM.

use super::header::{ConnectionId, InitialPacket};
use super::version::Protection;
use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::aes::Aes128;
use aes_gcm::aes::cipher::BlockCipherEncrypt;
use aes_gcm::{Aes128Gcm, Nonce};
use hkdf::Hkdf;
use sha2::Sha256;

/// Length of the tag at the end of a packet.
const TAG_LEN: usize = 16;
/// How far behind the beginning of the packet number the sample stands that the header is protected by: as if the
/// number had its full length (RFC 9001 §5.4.2).
const SAMPLE_DISTANCE: usize = 4;
/// The bits of the first byte that are protected in a long header, and those of them that tell the number's length.
const PROTECTED_BITS: u8 = 0x0f;
const PN_LEN_BITS: u8 = 0x03;

/// The keys of a client's Initials. They are no secret: whoever sees the first Initial can make them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InitialKeys {
    protection: Protection,
    dcid: ConnectionId,
    key: [u8; 16],
    iv: [u8; 12],
    header_key: [u8; 16],
}

/// A packet whose tag was right.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Opened {
    /// Its number.
    pub packet_number: u64,
    /// Its frames.
    pub payload: Vec<u8>,
}

impl InitialKeys {
    /// The keys of a client whose first Initial was sent to this connection ID (RFC 9001 §5.2). `None` stands for a
    /// length that HKDF refuses, and the lengths here it does not.
    #[must_use]
    pub fn of_client(protection: Protection, dcid: ConnectionId) -> Option<Self> {
        let common = Hkdf::<Sha256>::new(Some(protection.salt()), dcid.as_bytes());
        let client = Hkdf::<Sha256>::from_prk(&expand::<32>(&common, b"tls13 client in")?).ok()?;
        let [key, iv, header_key] = protection.labels();
        Some(Self {
            protection,
            dcid,
            key: expand(&client, key)?,
            iv: expand(&client, iv)?,
            header_key: expand(&client, header_key)?,
        })
    }

    /// The connection ID that they come from.
    #[must_use]
    pub fn dcid(&self) -> ConnectionId {
        self.dcid
    }

    /// How what they open is protected.
    #[must_use]
    pub fn protection(&self) -> Protection {
        self.protection
    }

    /// Takes the protection off a packet. `expected` is the number after the largest that was opened with these keys.
    /// `None` if the tag is wrong: damaged, cut, or under other keys.
    #[must_use]
    pub fn open(&self, packet: &InitialPacket<'_>, expected: u64) -> Option<Opened> {
        let mut bytes = packet.bytes.to_vec();
        let (header, protected) = bytes.split_at_mut_checked(packet.pn_offset)?;
        let sample = protected.get(SAMPLE_DISTANCE..)?.first_chunk::<16>()?;
        let mut mask = (*sample).into();
        Aes128::new(&self.header_key.into()).encrypt_block(&mut mask);
        let (first_mask, pn_mask) = mask.split_first()?;
        let first_byte = header.first_mut()?;
        *first_byte ^= first_mask & PROTECTED_BITS;
        let pn_len = usize::from(*first_byte & PN_LEN_BITS).saturating_add(1);
        let mut truncated = 0_u32;
        for (byte, mask) in protected.iter_mut().zip(pn_mask).take(pn_len) {
            *byte ^= mask;
            truncated = (truncated << 8) | u32::from(*byte);
        }
        let packet_number = full_number(expected, truncated, pn_len);
        let payload_offset = packet.pn_offset.saturating_add(pn_len);
        let (header, sealed) = bytes.split_at_mut_checked(payload_offset)?;
        let (payload, tag) = sealed.split_last_chunk_mut::<TAG_LEN>()?;
        let nonce = Nonce::from(self.nonce(packet_number));
        let cipher = Aes128Gcm::new(&self.key.into());
        cipher.decrypt_inout_detached(&nonce, header, payload.into(), &(*tag).into()).ok()?;
        let payload_end = bytes.len().saturating_sub(TAG_LEN);
        bytes.truncate(payload_end);
        bytes.drain(..payload_offset);
        Some(Opened { packet_number, payload: bytes })
    }

    /// The IV, with the packet number mixed into its end (RFC 9001 §5.3).
    fn nonce(&self, packet_number: u64) -> [u8; 12] {
        let mut nonce = self.iv;
        if let Some(end) = nonce.last_chunk_mut::<8>() {
            *end = (u64::from_be_bytes(*end) ^ packet_number).to_be_bytes();
        }
        nonce
    }
}

/// HKDF-Expand-Label without a context (RFC 8446 §7.1).
fn expand<const N: usize>(secret: &Hkdf<Sha256>, label: &[u8]) -> Option<[u8; N]> {
    let mut output = [0; N];
    let output_len = u16::try_from(N).ok()?.to_be_bytes();
    let label_len = [u8::try_from(label.len()).ok()?];
    secret.expand_multi_info(&[&output_len, &label_len, label, &[0]], &mut output).ok()?;
    Some(output)
}

/// The number that ends in these bytes and is nearest to the one expected (RFC 9000 §A.3).
fn full_number(expected: u64, truncated: u32, pn_len: usize) -> u64 {
    let span = match pn_len {
        1 => 1_u64 << 8,
        2 => 1 << 16,
        3 => 1 << 24,
        _ => 1 << 32,
    };
    let half = span >> 1;
    let candidate = (expected & !span.saturating_sub(1)) | u64::from(truncated);
    if candidate.saturating_add(half) <= expected {
        candidate.saturating_add(span)
    } else if candidate > expected.saturating_add(half) {
        candidate.checked_sub(span).unwrap_or(candidate)
    } else {
        candidate
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::unhex;
    use super::super::header::initials;
    use super::super::samples::{self, Initial};
    use super::super::tests::{RFC_CRYPTO_FRAME, RFC_DCID};
    use super::*;

    fn dcid() -> ConnectionId {
        ConnectionId::parse(&RFC_DCID).expect("short")
    }

    #[test]
    fn the_keys_of_the_rfcs() {
        for (protection, key, iv, header_key) in [
            // RFC 9001 §A.1.
            (
                Protection::V1,
                "1f369613dd76d5467730efcbe3b1a22d",
                "fa044b2f42a3fd3b46fb255c",
                "9f50449e04a0e810283a1e9933adedd2",
            ),
            // RFC 9369 §A.1.
            (
                Protection::V2,
                "8b1a0bc121284290a29e0971b5cd045d",
                "91f73e2351d8fa91660e909f",
                "45b95e15235d6f45a6b19cbcb0294ba9",
            ),
        ] {
            let keys = InitialKeys::of_client(protection, dcid()).expect("keys");
            assert_eq!(keys.key, *unhex(key));
            assert_eq!(keys.iv, *unhex(iv));
            assert_eq!(keys.header_key, *unhex(header_key));
        }
    }

    #[test]
    fn the_packets_of_the_rfcs() {
        // RFC 9001 §A.2 and RFC 9369 §A.2: 1200 bytes, of which these are the first and the last; those last are the
        // tag over all of it.
        for (version, first, last) in [
            (
                1,
                "c000000001088394c8f03e5157080000449e7b9aec34d1b1c98dd7689fb8ec11d242b123dc9bd8bab936b47d92ec356c",
                "e221af44860018ab0856972e194cd934",
            ),
            (
                0x6b33_43cf,
                "d76b3343cf088394c8f03e5157080000449ea0c95e82ffe67b6abcdb4298b485dd04de806071bf03dceebfa162e75d6c",
                "a18b2faa745b6fe189cf772a9f84cbfc",
            ),
        ] {
            let mut payload = unhex(RFC_CRYPTO_FRAME);
            payload.resize(1162, 0);
            let initial = Initial { version, pn: 2, pn_len: 4, ..Initial::to(&RFC_DCID) };
            let bytes = initial.seal(&payload);
            assert_eq!(bytes.len(), 1200);
            assert_eq!(bytes[..48], *unhex(first));
            assert_eq!(bytes[1184..], *unhex(last));
            let packet = initials(&bytes).next().expect("one").expect("sound");
            let keys = InitialKeys::of_client(packet.protection, packet.dcid).expect("keys");
            assert_eq!(keys.open(&packet, 0), Some(Opened { packet_number: 2, payload }));
            assert_eq!((keys.dcid(), keys.protection()), (packet.dcid, packet.protection));
        }
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let initial = Initial { token: b"token", ..Initial::to(&RFC_DCID) };
        let bytes = initial.seal(&samples::crypto(0, b"hello, whoever reads this"));
        let keys = InitialKeys::of_client(Protection::V1, dcid()).expect("keys");
        let opens = |bytes: &[u8]| {
            initials(bytes).filter_map(Result::ok).any(|packet| keys.open(&packet, 0).is_some())
        };
        assert!(opens(&bytes));
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1 << bit;
                assert!(!opens(&damaged), "byte {at}, bit {bit}");
            }
        }
    }

    #[test]
    fn a_number_is_the_one_nearest_to_what_is_expected() {
        for (expected, truncated, pn_len, full) in [
            (0xa82f_30eb, 0x9b32, 2, 0xa82f_9b32), // RFC 9000 §A.3.
            (0, 0, 1, 0),
            (0, 0xff, 1, 0xff),
            (0xff, 0, 1, 0x100),
            (0x100, 0xff, 1, 0xff),
            (0, u32::MAX, 4, u64::from(u32::MAX)),
            (u64::MAX, 0, 4, u64::MAX),
        ] {
            assert_eq!(full_number(expected, truncated, pn_len), full, "{expected:#x} {truncated:#x}");
        }
    }
}
