//! The capture format of blocks (draft-ietf-opsawg-pcapng): sections, each with a byte order and interfaces of
//! its own; packets in enhanced, simple and obsolete packet blocks. Every other block is passed over.

use super::capture::{ByteOrder, CaptureError, Fields, Frame, LinkType, MAX_FRAME_LEN, wall_time};
use super::source::Source;
use gateway_core::units::WallTime;

/// A block's type and length before its body, and the length again behind it.
const BLOCK_FRAME_LEN: u32 = 12;
/// The longest body of a block that this program reads: a frame with room for its options.
const MAX_BODY_LEN: u32 = MAX_FRAME_LEN + (64 << 10);
/// A section has as many interfaces as 16 bits can name in an obsolete packet block; more are a damaged file.
const MAX_INTERFACES: usize = 1 << 16;

/// Block types (draft-ietf-opsawg-pcapng §11.1).
mod block {
    pub(super) const INTERFACE: u32 = 1;
    pub(super) const OBSOLETE_PACKET: u32 = 2;
    pub(super) const SIMPLE_PACKET: u32 = 3;
    pub(super) const ENHANCED_PACKET: u32 = 6;
    pub(super) const SECTION: u32 = 0x0a0d_0d0a;
}

/// Options of an interface block (§4.2).
mod option {
    pub(super) const END: u16 = 0;
    pub(super) const TIME_RESOLUTION: u16 = 9;
    pub(super) const TIME_OFFSET: u16 = 14;
}

/// What an interface block says of the packets that name it.
#[derive(Clone, Copy)]
struct Interface {
    link: LinkType,
    /// The most bytes kept of a packet; 0 = no limit.
    snap_len: u32,
    /// Units of time per second.
    per_second: u128,
    /// Seconds to add to every time.
    offset_secs: i64,
}

/// A capture in blocks, being read.
pub(super) struct Pcapng {
    source: Source,
    order: ByteOrder,
    interfaces: Vec<Interface>,
    body: Vec<u8>,
    /// Simple packet blocks carry no time: they get that of the packet before.
    last_at: WallTime,
}

/// A packet block taken apart; the frame itself is `frame_at..frame_at + kept_len` of the body.
struct PacketBlock {
    interface: Interface,
    at: WallTime,
    wire_len: u32,
    frame_at: usize,
    kept_len: u32,
}

impl Pcapng {
    /// The type of the section block: the same in either byte order.
    pub(super) const MAGIC: [u8; 4] = block::SECTION.to_be_bytes();

    /// Reads the first section block, of which the type is already read.
    pub(super) fn begin(source: Source) -> Result<Self, CaptureError> {
        let mut begun = Self {
            source,
            order: ByteOrder::Little,
            interfaces: Vec::new(),
            body: Vec::new(),
            last_at: WallTime::default(),
        };
        let mut len = [0; 4];
        if begun.source.fill(&mut len)? < len.len() {
            return Err(CaptureError::CutShort { at: begun.source.position() });
        }
        begun.section(len)?;
        Ok(begun)
    }

    pub(super) fn source(&self) -> &Source {
        &self.source
    }

    pub(super) fn source_mut(&mut self) -> &mut Source {
        &mut self.source
    }

    pub(super) fn next_frame(&mut self) -> Result<Option<Frame<'_>>, CaptureError> {
        loop {
            let began = self.source.position();
            let mut head = [0; 8];
            match self.source.fill(&mut head)? {
                0 => return Ok(None),
                8 => {}
                _ => return Err(CaptureError::CutShort { at: self.source.position() }),
            }
            let [t0, t1, t2, t3, len @ ..] = head;
            let kind = self.order.u32([t0, t1, t2, t3]);
            if kind == block::SECTION {
                self.section(len)?;
                continue;
            }
            let body_len = self.body_len(len, began)?;
            match kind {
                block::INTERFACE => {
                    self.read_body(body_len, len, began)?;
                    self.interface(began)?;
                }
                block::ENHANCED_PACKET | block::SIMPLE_PACKET | block::OBSOLETE_PACKET => {
                    self.read_body(body_len, len, began)?;
                    let packet = self.packet(kind).map_err(|(what, found)| malformed(began, what, found))?;
                    self.last_at = packet.at;
                    let end = packet.frame_at + packet.kept_len as usize;
                    return Ok(Some(Frame {
                        at: packet.at,
                        wire_len: packet.wire_len.max(packet.kept_len),
                        link: packet.interface.link,
                        bytes: self.body.get(packet.frame_at..end).unwrap_or_default(),
                    }));
                }
                _ => {
                    self.source.skip(u64::from(body_len))?;
                    self.check_trailer(len, began)?;
                }
            }
        }
    }

    /// A section begins (§4.1): it sets the byte order and forgets the interfaces.
    fn section(&mut self, len: [u8; 4]) -> Result<(), CaptureError> {
        let began = self.source.position().saturating_sub(8);
        let mut order_magic = [0; 4];
        if self.source.fill(&mut order_magic)? < order_magic.len() {
            return Err(CaptureError::CutShort { at: self.source.position() });
        }
        self.order = match u32::from_le_bytes(order_magic) {
            0x1a2b_3c4d => ByteOrder::Little,
            0x4d3c_2b1a => ByteOrder::Big,
            other => return Err(malformed(began, "byte-order magic", u64::from(other))),
        };
        self.interfaces.clear();
        let rest = self.body_len(len, began)?.checked_sub(4);
        let rest = rest.ok_or_else(|| malformed(began, "block length", u64::from(self.order.u32(len))))?;
        self.source.skip(u64::from(rest))?;
        self.check_trailer(len, began)
    }

    /// The length of a block's body by the block's length (§3.1).
    fn body_len(&self, len: [u8; 4], began: u64) -> Result<u32, CaptureError> {
        let len = self.order.u32(len);
        match len.checked_sub(BLOCK_FRAME_LEN) {
            Some(body_len) if len.is_multiple_of(4) => Ok(body_len),
            _ => Err(malformed(began, "block length", u64::from(len))),
        }
    }

    /// Reads a body and the length behind it.
    fn read_body(&mut self, body_len: u32, len: [u8; 4], began: u64) -> Result<(), CaptureError> {
        if body_len > MAX_BODY_LEN {
            return Err(malformed(began, "block length", u64::from(body_len)));
        }
        self.source.body(body_len as usize, &mut self.body)?;
        self.check_trailer(len, began)
    }

    /// The length behind a block must be that before it: else the reader has lost its way.
    fn check_trailer(&mut self, len: [u8; 4], began: u64) -> Result<(), CaptureError> {
        let mut trailer = [0; 4];
        if self.source.fill(&mut trailer)? < trailer.len() {
            return Err(CaptureError::CutShort { at: self.source.position() });
        }
        if trailer == len {
            return Ok(());
        }
        Err(malformed(began, "block length at its end", u64::from(self.order.u32(trailer))))
    }

    /// An interface is described (§4.2).
    fn interface(&mut self, began: u64) -> Result<(), CaptureError> {
        if self.interfaces.len() >= MAX_INTERFACES {
            return Err(malformed(began, "number of interfaces", MAX_INTERFACES as u64 + 1));
        }
        let interface = read_interface(&self.body, self.order)
            .ok_or_else(|| malformed(began, "interface block length", self.body.len() as u64))?;
        self.interfaces.push(interface);
        Ok(())
    }

    /// A packet block (§4.3, §4.4, appendix A), taken apart; or what in it is impossible.
    fn packet(&self, kind: u32) -> Result<PacketBlock, (&'static str, u64)> {
        let cut = ("packet block length", self.body.len() as u64);
        let mut fields = Fields::new(&self.body, self.order);
        let (interface, units, kept_len, wire_len) = if kind == block::SIMPLE_PACKET {
            let wire_len = fields.u32().ok_or(cut)?;
            (0, None, wire_len, wire_len)
        } else {
            let interface = if kind == block::ENHANCED_PACKET {
                fields.u32()
            } else {
                fields.u32().map(|both| match self.order {
                    // Two 16-bit fields, the interface first and a drop count behind.
                    ByteOrder::Little => both & 0xffff,
                    ByteOrder::Big => both >> 16,
                })
            };
            let mut next = || fields.u32().ok_or(cut);
            let (high, low, kept_len, wire_len) = (next()?, next()?, next()?, next()?);
            (interface.ok_or(cut)?, Some(u64::from(high) << 32 | u64::from(low)), kept_len, wire_len)
        };
        let unknown = ("interface number", u64::from(interface));
        let interface = *self.interfaces.get(interface as usize).ok_or(unknown)?;
        let frame_at = self.body.len() - fields.rest().len();
        let room = u32::try_from(self.body.len() - frame_at).unwrap_or(u32::MAX);
        let kept_len = match units {
            Some(_) => kept_len,
            // A simple packet block does not say how much it keeps: all, up to the interface's limit.
            None if interface.snap_len == 0 => kept_len.min(room),
            None => kept_len.min(interface.snap_len).min(room),
        };
        if kept_len > room || kept_len > MAX_FRAME_LEN {
            return Err(("frame length", u64::from(kept_len)));
        }
        let at =
            units.map_or(self.last_at, |units| wall_time(units, interface.per_second, interface.offset_secs));
        Ok(PacketBlock { interface, at, wire_len, frame_at, kept_len })
    }
}

fn malformed(at: u64, what: &'static str, found: u64) -> CaptureError {
    CaptureError::Malformed { at, what, found }
}

/// The body of an interface block; `None` if it is too short.
fn read_interface(body: &[u8], order: ByteOrder) -> Option<Interface> {
    let mut fields = Fields::new(body, order);
    let (link, _reserved, snap_len) = (fields.u16()?, fields.u16()?, fields.u32()?);
    let mut interface = Interface { link: LinkType(link), snap_len, per_second: 1_000_000, offset_secs: 0 };
    // Options may be missing or cut; then the defaults hold.
    while let (Some(code), Some(len)) = (fields.u16(), fields.u16()) {
        let Some(value) = fields.bytes(usize::from(len)) else { break };
        match (code, value) {
            (option::END, _) => break,
            (option::TIME_RESOLUTION, &[resolution]) => interface.per_second = units_per_second(resolution),
            (option::TIME_OFFSET, value) => {
                let offset = Fields::new(value, order).u64().unwrap_or_default();
                interface.offset_secs = offset.cast_signed();
            }
            _ => {}
        }
        if fields.bytes(usize::from(len).next_multiple_of(4) - usize::from(len)).is_none() {
            break;
        }
    }
    Some(interface)
}

/// `if_tsresol`: a negative power of ten, or of two if the top bit is set.
fn units_per_second(resolution: u8) -> u128 {
    let power = u32::from(resolution & 0x7f);
    let base: u128 = if resolution & 0x80 == 0 { 10 } else { 2 };
    base.saturating_pow(power)
}
