//! Bytes that strangers call names → words that are fit to keep and to print.

use crate::units::DomainName;
use core::net::IpAddr;

/// The longest text kept of what a device says of itself. A host name has at most 63 octets (RFC 1035 §2.3.4);
/// vendor classes stay below it in practice.
pub const MAX_TEXT_CHARS: usize = 64;

/// A host's name, or `None` if the bytes are an address or no name at all.
///
/// A name whose last label begins like a number is an address in some notation (`1.2.3.4`, `127.1`, `0x7f.1`;
/// the WHATWG URL standard's "ends in a number"), and no top-level domain is one.
#[must_use]
pub fn host_name(bytes: &[u8]) -> Option<DomainName> {
    let text = core::str::from_utf8(bytes).ok()?;
    if text.parse::<IpAddr>().is_ok() {
        return None;
    }
    let name = DomainName::parse(text)?;
    let last = name.as_str().rsplit('.').next().unwrap_or_default();
    let is_hexadecimal = last.strip_prefix("0x").is_some_and(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
    (!is_hexadecimal && !last.bytes().all(|b| b.is_ascii_digit())).then_some(name)
}

/// Text fit to print: letters and digits of any script and ASCII's visible signs; everything that could move a
/// cursor, change a direction or hide is left out. `None` if nothing remains.
#[must_use]
pub fn printable(bytes: &[u8]) -> Option<String> {
    let text: String = String::from_utf8_lossy(bytes)
        .chars()
        .filter(|c| c.is_alphanumeric() || c.is_ascii_graphic() || *c == ' ')
        .take(MAX_TEXT_CHARS)
        .collect();
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_no_name() {
        for bad in
            ["192.0.2.1", "192.0.2.1.", "127.1", "0x7f.1", "a.0x7f", "2001:db8::1", "::1", "", "a b", "a\0b"]
        {
            assert_eq!(host_name(bad.as_bytes()), None, "{bad:?}");
        }
        assert_eq!(host_name(&[0xff, 0xfe]), None);
        for good in ["api.io.mi.com", "1.1.1.1.in-addr.arpa", "router", "3g.cn"] {
            assert_eq!(host_name(good.as_bytes()).map(|n| n.to_string()).as_deref(), Some(good));
        }
    }

    #[test]
    fn printed_text_cannot_drive_a_terminal() {
        assert_eq!(printable(b"RedmiNote8-Redmi").as_deref(), Some("RedmiNote8-Redmi"));
        assert_eq!(
            printable("Lena\u{202e}'s\u{1b}[31m Teléfono\n".as_bytes()).as_deref(),
            Some("Lena's[31m Teléfono")
        );
        assert_eq!(printable(b"\x00\x07 "), None);
        assert_eq!(printable(&[b'x'; 300]).map(|t| t.len()), Some(MAX_TEXT_CHARS));
    }
}
