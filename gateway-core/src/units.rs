//! Words of measure that the whole crate shares. Imports nothing of the crate; knows no packet and no file.

use core::fmt;
use serde::{Deserialize, Serialize};

/// Nanoseconds since boot, sleep included (`CLOCK_BOOTTIME`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct BootTime(pub u64);

impl BootTime {
    /// Nanoseconds from `earlier` to this; 0 if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Nanoseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct WallTime(pub i64);

/// Both clocks, read at one moment. The only road from one to the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClockPair {
    /// The steady clock.
    pub boot: BootTime,
    /// The calendar clock.
    pub wall: WallTime,
}

impl ClockPair {
    /// The calendar time of a moment on the steady clock.
    #[must_use]
    pub fn wall_of(self, moment: BootTime) -> WallTime {
        let since = i128::from(moment.0) - i128::from(self.boot.0);
        let wall = i128::from(self.wall.0) + since;
        WallTime(i64::try_from(wall).unwrap_or(if wall < 0 { i64::MIN } else { i64::MAX }))
    }
}

/// A MAC address; identifies a device.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// Was this address made up by the device (IEEE 802 locally administered bit) rather than by its maker?
    #[must_use]
    pub fn is_locally_administered(self) -> bool {
        let Self([first, ..]) = self;
        first & 0x02 != 0
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self([a, b, c, d, e, g]) = self;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// The text was not a MAC address.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a MAC address has six bytes in hexadecimal, such as 7c:03:ab:12:34:56")]
pub struct NotAMac;

impl core::str::FromStr for Mac {
    type Err = NotAMac;
    fn from_str(text: &str) -> Result<Self, NotAMac> {
        let mut bytes = [0; 6];
        let mut parts = text.split([':', '-']);
        for byte in &mut bytes {
            let part = parts
                .next()
                .filter(|p| p.len() == 2 && p.bytes().all(|b| b.is_ascii_hexdigit()))
                .ok_or(NotAMac)?;
            *byte = u8::from_str_radix(part, 16).map_err(|_| NotAMac)?;
        }
        parts.next().is_none().then_some(Self(bytes)).ok_or(NotAMac)
    }
}

/// A name as it is asked for in the DNS: lower case, no final dot, letters, digits, `-`, `_` and `.` only
/// (RFC 1035 §2.3.1, with the underscore that real names use). Anything else is refused at the door, so no stored
/// or printed name can carry a control character.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
pub struct DomainName(String);

impl DomainName {
    /// Longest name in text form (RFC 1035 §2.3.4 less the root).
    pub const MAX_LEN: usize = 253;

    /// A name from its text in any case, with or without a final dot; `None` if it is not one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_suffix('.').unwrap_or(text);
        let label_is_sound = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        (text.len() <= Self::MAX_LEN && text.split('.').all(label_is_sound))
            .then(|| Self(text.to_ascii_lowercase()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An ISO 3166-1 alpha-2 country code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Country(pub [u8; 2]);

impl Country {
    /// From two ASCII letters; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match *text.as_bytes() {
            [a, b] if a.is_ascii_alphabetic() && b.is_ascii_alphabetic() => {
                Some(Self([a.to_ascii_uppercase(), b.to_ascii_uppercase()]))
            }
            _ => None,
        }
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self([a, b]) = self;
        write!(f, "{}{}", char::from(*a), char::from(*b))
    }
}

/// Up and down, bytes and packets, of anything that can be added up.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Volume {
    /// IP-layer bytes from the device.
    pub up_bytes: u64,
    /// IP-layer bytes to the device.
    pub down_bytes: u64,
    /// Packets from the device.
    pub up_packets: u64,
    /// Packets to the device.
    pub down_packets: u64,
}

impl Volume {
    /// Bytes both ways.
    #[must_use]
    pub fn bytes(self) -> u64 {
        self.up_bytes.saturating_add(self.down_bytes)
    }

    /// Packets both ways.
    #[must_use]
    pub fn packets(self) -> u64 {
        self.up_packets.saturating_add(self.down_packets)
    }

    /// Adds another volume.
    pub fn add(&mut self, other: Self) {
        let Self { up_bytes, down_bytes, up_packets, down_packets } = other;
        self.up_bytes = self.up_bytes.saturating_add(up_bytes);
        self.down_bytes = self.down_bytes.saturating_add(down_bytes);
        self.up_packets = self.up_packets.saturating_add(up_packets);
        self.down_packets = self.down_packets.saturating_add(down_packets);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mac_survives_text() {
        let mac = Mac([0x7c, 3, 0xab, 0x12, 0, 0xff]);
        assert_eq!(mac.to_string().parse(), Ok(mac));
        for bad in [
            "",
            "7c:03:ab:12:00",
            "7c:03:ab:12:00:ff:00",
            "7c:03:ab:12:00:f",
            "7c:03:ab:12:00:zz",
            "7c:03:ab:12:00:+f",
        ] {
            assert_eq!(bad.parse::<Mac>(), Err(NotAMac), "{bad}");
        }
    }

    #[test]
    fn a_domain_name_is_clean_or_refused() {
        assert_eq!(
            DomainName::parse("Data.MIstat.Xiaomi.COM.").map(|n| n.to_string()).as_deref(),
            Some("data.mistat.xiaomi.com")
        );
        for bad in
            ["", ".", "a..b", "a b.com", "a\u{1b}[31m.com", "é.com", &"a".repeat(64), &["a"; 128].join(".")]
        {
            assert_eq!(DomainName::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn the_clocks_meet_at_the_pair() {
        let pair = ClockPair { boot: BootTime(1_000), wall: WallTime(50_000) };
        assert_eq!(pair.wall_of(BootTime(400)), WallTime(49_400));
        assert_eq!(pair.wall_of(BootTime(1_600)), WallTime(50_600));
        assert_eq!(pair.wall_of(BootTime(u64::MAX)), WallTime(i64::MAX));
    }
}
