//! Names on the wire, compressed or not (RFC 1035 §4.1.4).

use crate::units::DomainName;
use crate::wire::{Reader, WireError, text};

/// How many pointers one name may follow. Real encoders need one, nested ones a few; every pointer must lead
/// backwards besides, so that no chain can close. A name that wants more is malformed, and counted as such.
pub const MAX_POINTERS: usize = 16;

/// The longest name on the wire: 255 octets with its length bytes (RFC 1035 §2.3.4).
const MAX_WIRE_LEN: usize = 255;

/// Reads a name at the reader's place. `message` is the whole message, which pointers count from. A sound name
/// whose labels are not letters, digits, `-` and `_`, and the root, are `None`.
pub(super) fn read<'a>(message: &'a [u8], reader: &mut Reader<'a>) -> Result<Option<DomainName>, WireError> {
    let mut segment_start = message.len().saturating_sub(reader.rest().len());
    let mut jumped: Option<Reader<'a>> = None;
    let mut pointers = 0_usize;
    let mut name = Text::default();
    let mut is_plain = true;
    loop {
        let cursor = jumped.as_mut().unwrap_or(&mut *reader);
        let len = cursor.u8("dns.label")?;
        match len {
            0 => break,
            1..=63 => {
                let label = cursor.bytes("dns.label", usize::from(len))?;
                // A dot or worse within a label must not come out as a border between two.
                is_plain &= label.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
                name.push(label)?;
            }
            0xc0..=0xff => {
                let low = cursor.u8("dns.pointer")?;
                let target = usize::from(u16::from_be_bytes([len & 0x3f, low]));
                pointers = pointers.saturating_add(1);
                if target >= segment_start || pointers > MAX_POINTERS {
                    return Err(WireError::Malformed { field: "dns.pointer", found: length(target) });
                }
                segment_start = target;
                jumped = Some(Reader::new(message.get(target..).unwrap_or_default()));
            }
            _ => return Err(WireError::Malformed { field: "dns.label", found: u64::from(len) }),
        }
    }
    Ok(if is_plain { text::host_name(name.bytes()) } else { None })
}

/// A name's labels with dots between, in place: one that is not kept costs no memory from the heap.
struct Text {
    bytes: [u8; MAX_WIRE_LEN],
    len: usize,
}

impl Default for Text {
    fn default() -> Self {
        Self { bytes: [0; MAX_WIRE_LEN], len: 0 }
    }
}

impl Text {
    fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// Adds a label, and the dot before it.
    fn push(&mut self, label: &[u8]) -> Result<(), WireError> {
        let start = if self.len == 0 { 0 } else { self.len.saturating_add(1) };
        let end = start.saturating_add(label.len());
        let Some(place) = self.bytes.get_mut(start..end) else {
            return Err(WireError::Malformed { field: "dns.name_len", found: length(end) });
        };
        place.copy_from_slice(label);
        if let Some(dot) = self.bytes.get_mut(self.len..start).and_then(<[u8]>::first_mut) {
            *dot = b'.';
        }
        self.len = end;
        Ok(())
    }
}

fn length(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::super::unhex;
    use super::*;

    #[track_caller]
    fn check(hex: &str, at: usize, expected: Result<Option<&str>, WireError>) {
        let bytes = unhex(hex);
        let found = read(&bytes, &mut Reader::new(&bytes[at..]));
        assert_eq!(found.as_ref().map(|n| n.as_ref().map(DomainName::as_str)), expected.as_ref().map(|n| *n));
        for len in at..bytes.len() {
            let _ = read(&bytes[..len], &mut Reader::new(&bytes[at..len]));
        }
    }

    #[test]
    fn plain_and_compressed_names() {
        check("01 61 02 6d 69 03 63 6f 6d 00", 0, Ok(Some("a.mi.com")));
        check("02 6d 69 03 63 6f 6d 00 01 61 c0 00", 8, Ok(Some("a.mi.com")));
        check("03 63 6f 6d 00 02 6d 69 c0 00 01 61 c0 05", 10, Ok(Some("a.mi.com")));
        check("00", 0, Ok(None));
    }

    #[test]
    fn labels_that_are_no_name() {
        check("03 61 2e 62 03 63 6f 6d 00", 0, Ok(None)); // "a.b" as one label
        check("02 1b 5b 00", 0, Ok(None));
        check("01 31 01 32 01 33 01 34 00", 0, Ok(None)); // 1.2.3.4
    }

    #[test]
    fn hostile_compression_ends() {
        let pointer = |found| Err(WireError::Malformed { field: "dns.pointer", found });
        check("c0 00", 0, pointer(0)); // to itself
        check("c0 02 c0 00", 2, pointer(2)); // to each other
        check("01 61 c0 00", 0, pointer(0)); // to the label before
        check("00 c0 10", 1, pointer(0x10)); // forwards
        check("41 61", 0, Err(WireError::Malformed { field: "dns.label", found: 0x41 }));
        // A staircase of pointers, each two bytes before the last.
        let mut stairs = vec![0, 0];
        for step in 0..200_u16 {
            stairs.extend((0xc000 | (step * 2)).to_be_bytes());
        }
        let last = stairs.len() - 2;
        let found = read(&stairs, &mut Reader::new(&stairs[last..]));
        assert!(matches!(found, Err(WireError::Malformed { field: "dns.pointer", .. })));
    }

    #[test]
    fn a_name_has_at_most_255_octets() {
        let mut long = Vec::new();
        for _ in 0..5 {
            long.push(63);
            long.extend([b'a'; 63]);
        }
        long.push(0);
        let found = read(&long, &mut Reader::new(&long));
        assert!(matches!(found, Err(WireError::Malformed { field: "dns.name_len", .. })));
    }
}
