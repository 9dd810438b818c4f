//! As much of a TCP header as putting segments in order needs (RFC 9293 §3.1).

use super::{Reader, WireError};

/// The shortest TCP header: five 32-bit words.
const MIN_HEADER_LEN: u8 = 20;

/// A TCP header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TcpHeader {
    /// Sequence number of the first byte of payload (of the SYN, if set).
    pub seq: u32,
    /// Length of the header with its options: where the payload begins.
    pub header_len: u8,
    /// Does it carry SYN? Then the payload begins one number later.
    pub is_syn: bool,
}

/// Reads a TCP header.
///
/// # Errors
/// [`WireError`] if it is cut short or shorter than it can be.
pub fn read(segment: &[u8]) -> Result<TcpHeader, WireError> {
    let mut reader = Reader::new(segment);
    reader.u32("tcp.ports")?;
    let seq = reader.u32("tcp.seq")?;
    reader.u32("tcp.ack")?;
    let offset = reader.u8("tcp.data_offset")?;
    let flags = reader.u8("tcp.flags")?;
    let header_len = (offset >> 4).saturating_mul(4);
    if header_len < MIN_HEADER_LEN {
        return Err(WireError::Malformed { field: "tcp.data_offset", found: u64::from(header_len) });
    }
    Ok(TcpHeader { seq, header_len, is_syn: flags & 0x02 != 0 })
}

#[cfg(test)]
mod tests {
    use super::super::unhex;
    use super::*;

    #[test]
    fn a_segment_with_options() {
        let bytes = unhex(
            "d4 31 01 bb 9f 10 c4 02 1b 22 33 44 80 18 01 f6 00 00 00 00 01 01 08 0a 00 00 00 01 00 00 00 02",
        );
        assert_eq!(read(&bytes), Ok(TcpHeader { seq: 0x9f10_c402, header_len: 32, is_syn: false }));
        for len in 0..14 {
            assert!(matches!(read(&bytes[..len]), Err(WireError::Truncated { .. })), "{len}");
        }
        let mut short = bytes;
        short[12] = 0x40;
        assert_eq!(read(&short), Err(WireError::Malformed { field: "tcp.data_offset", found: 16 }));
    }
}
