//! The classic capture format (draft-ietf-opsawg-pcap): one header, then records. Microseconds or nanoseconds,
//! either byte order, and the variant with longer record headers that some Linux distributions wrote.

use super::capture::{ByteOrder, CaptureError, Fields, Frame, LinkType, MAX_FRAME_LEN};
use super::source::Source;
use gateway_core::units::WallTime;

/// The rest of the file header, behind the magic number.
const FILE_HEADER_LEN: usize = 20;
/// A record's header: seconds, fraction, kept length, length on the wire.
const RECORD_HEADER_LEN: usize = 16;
/// The same with interface, protocol, packet type and padding behind it ("modified pcap").
const LONG_RECORD_HEADER_LEN: usize = 24;

/// A classic capture, being read.
pub(super) struct Pcap {
    source: Source,
    order: ByteOrder,
    per_second: u32,
    record_header_len: usize,
    link: LinkType,
    body: Vec<u8>,
}

impl Pcap {
    /// Reads the file header; `None` if `magic` is not one of this format's.
    pub(super) fn begin(mut source: Source, magic: [u8; 4]) -> Result<Option<Self>, CaptureError> {
        const MICROS: u32 = 1_000_000;
        const NANOS: u32 = 1_000_000_000;
        let known = [ByteOrder::Little, ByteOrder::Big].into_iter().find_map(|order| {
            let (per_second, record_header_len) = match order.u32(magic) {
                0xa1b2_c3d4 => (MICROS, RECORD_HEADER_LEN),
                0xa1b2_3c4d => (NANOS, RECORD_HEADER_LEN),
                0xa1b2_cd34 => (MICROS, LONG_RECORD_HEADER_LEN),
                _ => return None,
            };
            Some((order, per_second, record_header_len))
        });
        let Some((order, per_second, record_header_len)) = known else { return Ok(None) };

        let mut header = [0; FILE_HEADER_LEN];
        if source.fill(&mut header)? < header.len() {
            return Err(CaptureError::CutShort { at: source.position() });
        }
        let [.., a, b, c, d] = header;
        // The upper half holds the length of a frame check sequence, which the packet reader never looks at.
        let link = LinkType((order.u32([a, b, c, d]) & 0xffff) as u16);
        if !super::link::is_readable(link) {
            return Err(CaptureError::UnreadableLink(link.0));
        }
        Ok(Some(Self { source, order, per_second, record_header_len, link, body: Vec::new() }))
    }

    pub(super) fn source(&self) -> &Source {
        &self.source
    }

    pub(super) fn source_mut(&mut self) -> &mut Source {
        &mut self.source
    }

    pub(super) fn next_frame(&mut self) -> Result<Option<Frame<'_>>, CaptureError> {
        let began = self.source.position();
        let mut header = [0; LONG_RECORD_HEADER_LEN];
        let header = header.get_mut(..self.record_header_len).unwrap_or_default();
        match self.source.fill(header)? {
            0 => return Ok(None),
            filled if filled < header.len() => {
                return Err(CaptureError::CutShort { at: self.source.position() });
            }
            _ => {}
        }
        let mut fields = Fields::new(header, self.order);
        let mut next = || fields.u32().unwrap_or_default();
        let (seconds, fraction, kept_len, wire_len) = (next(), next(), next(), next());
        if kept_len > MAX_FRAME_LEN {
            let found = u64::from(kept_len);
            return Err(CaptureError::Malformed { at: began, what: "frame length", found });
        }
        self.source.body(kept_len as usize, &mut self.body)?;
        let fraction_nanos = i64::from(fraction) * (1_000_000_000 / i64::from(self.per_second));
        Ok(Some(Frame {
            at: WallTime(i64::from(seconds) * 1_000_000_000 + fraction_nanos),
            wire_len: wire_len.max(kept_len),
            link: self.link,
            bytes: &self.body,
        }))
    }
}
