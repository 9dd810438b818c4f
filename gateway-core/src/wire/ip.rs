//! How long an IP packet says it is: what follows in the snapshot is padding (IEEE 802.3 fills up to 60 bytes).

use super::{Reader, WireError};

/// Length of an IPv6 header (RFC 8200 §3).
const IPV6_HEADER_LEN: usize = 40;

/// Length of the whole packet from its IP header on; `None` where the header does not say (a super-packet longer
/// than the field can hold).
///
/// # Errors
/// [`WireError`] if the header is cut short or of no known version.
pub fn packet_len(packet: &[u8]) -> Result<Option<usize>, WireError> {
    let mut reader = Reader::new(packet);
    let first = reader.u8("ip.version")?;
    match first >> 4 {
        4 => {
            reader.u8("ip.tos")?;
            let len = reader.u16("ip.total_length")?;
            Ok((len != 0).then_some(usize::from(len)))
        }
        6 => {
            reader.u24("ip6.flow_label")?;
            let len = reader.u16("ip6.payload_length")?;
            Ok((len != 0).then(|| usize::from(len).saturating_add(IPV6_HEADER_LEN)))
        }
        version => Err(WireError::Malformed { field: "ip.version", found: u64::from(version) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_tell_their_length() {
        assert_eq!(packet_len(&[0x45, 0, 0x00, 0x3c]), Ok(Some(60)));
        assert_eq!(packet_len(&[0x60, 0, 0, 0, 0x00, 0x14]), Ok(Some(60)));
        assert_eq!(packet_len(&[0x45, 0, 0, 0]), Ok(None));
        assert_eq!(packet_len(&[0x20]), Err(WireError::Malformed { field: "ip.version", found: 2 }));
        for len in 0..4 {
            assert!(matches!(packet_len(&[0x45, 0, 0, 60][..len]), Err(WireError::Truncated { .. })));
        }
    }
}
