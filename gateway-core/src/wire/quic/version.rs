//! Versions of QUIC, and what of their Initials differs.

/// A version as it stands in a long header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Version(pub u32);

/// What an Initial's keys and type bits depend on: versions that share it can be read alike.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protection {
    /// draft-ietf-quic-tls-21 and 22.
    Draft22,
    /// draft-ietf-quic-tls-23 to 28.
    Draft23,
    /// draft-ietf-quic-tls-29 to 32.
    Draft29,
    /// draft-ietf-quic-tls-33 and 34, and RFC 9001 §5.2.
    V1,
    /// RFC 9369 §3.3.
    V2,
}

impl Version {
    /// RFC 9000.
    pub const V1: Self = Self(1);
    /// RFC 9369.
    pub const V2: Self = Self(0x6b33_43cf);
    /// What a server answers to a version it does not know (RFC 9000 §17.2.1).
    pub const NEGOTIATION: Self = Self(0);

    /// How its Initials are protected; `None` if they cannot be read here.
    #[must_use]
    pub fn protection(self) -> Option<Protection> {
        match self.0 {
            1 | 0xff00_0021..=0xff00_0022 => Some(Protection::V1),
            0x6b33_43cf => Some(Protection::V2),
            0xff00_001d..=0xff00_0020 => Some(Protection::Draft29),
            // Meta's own versions kept the salts of the drafts that they grew from (mvfst, FizzCryptoFactory.cpp).
            0xff00_0017..=0xff00_001c | 0xface_b002 | 0xface_b00e => Some(Protection::Draft23),
            0xff00_0016 | 0xface_b001 => Some(Protection::Draft22),
            _ => None,
        }
    }

    /// Is it one of those that are sent only to be refused (RFC 9000 §15)?
    #[must_use]
    pub const fn is_greased(self) -> bool {
        self.0 & 0x0f0f_0f0f == 0x0a0a_0a0a
    }

    /// Is it one of Google's own from before the IETF's: `Q` or `T` and three digits, the first of them 0?
    #[must_use]
    pub fn is_google(self) -> bool {
        let [maker, zero, tens, ones] = self.0.to_be_bytes();
        matches!(maker, b'Q' | b'T') && zero == b'0' && tens.is_ascii_digit() && ones.is_ascii_digit()
    }
}

impl Protection {
    /// The salt that the connection ID is mixed with.
    pub(super) const fn salt(self) -> &'static [u8; 20] {
        match self {
            Self::Draft22 => {
                b"\x7f\xbc\xdb\x0e\x7c\x66\xbb\xe9\x19\x3a\x96\xcd\x21\x51\x9e\xbd\x7a\x02\x64\x4a"
            }
            Self::Draft23 => {
                b"\xc3\xee\xf7\x12\xc7\x2e\xbb\x5a\x11\xa7\xd2\x43\x2b\xb4\x63\x65\xbe\xf9\xf5\x02"
            }
            Self::Draft29 => {
                b"\xaf\xbf\xec\x28\x99\x93\xd2\x4c\x9e\x97\x86\xf1\x9c\x61\x11\xe0\x43\x90\xa8\x99"
            }
            Self::V1 => b"\x38\x76\x2c\xf7\xf5\x59\x34\xb3\x4d\x17\x9a\xe6\xa4\xc8\x0c\xad\xcc\xbb\x7f\x0a",
            Self::V2 => b"\x0d\xed\xe3\xde\xf7\x00\xa6\xdb\x81\x93\x81\xbe\x6e\x26\x9d\xcb\xf9\xbd\x2e\xd9",
        }
    }

    /// The labels of key, IV and header protection key, with TLS's prefix (RFC 8446 §7.1).
    pub(super) const fn labels(self) -> [&'static [u8]; 3] {
        match self {
            Self::V2 => [b"tls13 quicv2 key", b"tls13 quicv2 iv", b"tls13 quicv2 hp"],
            _ => [b"tls13 quic key", b"tls13 quic iv", b"tls13 quic hp"],
        }
    }

    /// The type bits of an Initial in the first byte (RFC 9000 §17.2, RFC 9369 §3.2).
    pub(super) const fn initial_bits(self) -> u8 {
        match self {
            Self::V2 => 0b01,
            _ => 0b00,
        }
    }

    /// The type bits of a Retry, the one long packet that has no length.
    pub(super) const fn retry_bits(self) -> u8 {
        match self {
            Self::V2 => 0b00,
            _ => 0b11,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_that_are_read_and_others() {
        for (number, expected) in [
            (1, Some(Protection::V1)),
            (0x6b33_43cf, Some(Protection::V2)),
            (0xff00_0015, None),
            (0xff00_0016, Some(Protection::Draft22)),
            (0xff00_0017, Some(Protection::Draft23)),
            (0xff00_001c, Some(Protection::Draft23)),
            (0xff00_001d, Some(Protection::Draft29)),
            (0xff00_0020, Some(Protection::Draft29)),
            (0xff00_0021, Some(Protection::V1)),
            (0xff00_0022, Some(Protection::V1)),
            (0xff00_0023, None),
            (0, None),
            (2, None),
        ] {
            assert_eq!(Version(number).protection(), expected, "{number:#x}");
        }
        assert!(Version(0x1a2a_3a4a).is_greased() && !Version::V1.is_greased());
        for (text, is_google) in [(b"Q043", true), (b"Q050", true), (b"T051", true), (b"Q1XX", false)] {
            assert_eq!(Version(u32::from_be_bytes(*text)).is_google(), is_google);
        }
    }
}
