//! A capture file as a stream of frames: classic pcap in its four byte orders and resolutions, pcapng, either of
//! them compressed with gzip. What kind it is, its content says and not its name.
//!
//! Knows where a frame begins and ends, when it was caught and on which kind of link; nothing of what is in it.

use super::pcap::Pcap;
use super::pcapng::Pcapng;
use super::source::{Fnv1a, Source};
use anyhow::Context;
use gateway_core::units::WallTime;
use std::hash::Hasher;
use std::io::{self, Read};
use std::path::Path;

/// The longest frame that is believed. tcpdump writes at most 262 144 bytes of a packet, and a super-packet of
/// "BIG TCP" may have 512 KiB; a longer one is a damaged length. Ends the capture as
/// [`CaptureError::Malformed`].
pub const MAX_FRAME_LEN: u32 = 1 << 20;

/// Why a capture cannot be opened, or cannot be read any further. Everything before that place has been given out.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The file cannot be read at all, or not beyond here.
    #[error(transparent)]
    Read(#[from] io::Error),
    /// A directory was named.
    #[error("it is a directory; name a capture file")]
    Directory,
    /// There is not one byte in it.
    #[error("not a pcap or pcapng file: it is empty")]
    Empty,
    /// Its first bytes are those of no capture.
    #[error("not a pcap or pcapng file")]
    NotACapture,
    /// It ends in the middle of something.
    #[error("cut short at byte {at}; everything before was used")]
    CutShort {
        /// Where it ends (uncompressed).
        at: u64,
    },
    /// It goes on with something that nobody writes.
    #[error("damaged at byte {at} ({what} {found}); everything before was used")]
    Malformed {
        /// Where (uncompressed).
        at: u64,
        /// What is impossible.
        what: &'static str,
        /// What was found there.
        found: u64,
    },
    /// Packets on a kind of link that this program does not read.
    #[error(
        "link type {0} cannot be read; capture on an Ethernet interface, or with `tcpdump -i any`, which writes type 113 or 276"
    )]
    UnreadableLink(u16),
}

/// A kind of link, by its number in the registry of the Tcpdump group
/// (<https://www.tcpdump.org/linktypes.html>). A number without a name here is still a number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LinkType(pub u16);

impl LinkType {
    /// IEEE 802.3 Ethernet.
    pub const ETHERNET: Self = Self(1);
}

/// One captured frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Frame<'a> {
    /// When it was caught.
    pub at: WallTime,
    /// Its length on the wire; at least that of `bytes`.
    pub wire_len: u32,
    /// On what kind of link.
    pub link: LinkType,
    /// As much of it as was kept, from the link's header on.
    pub bytes: &'a [u8],
}

/// An open capture.
pub struct Capture {
    format: Format,
    /// See [`Capture::identity`].
    identity: u64,
}

enum Format {
    Pcap(Pcap),
    Pcapng(Pcapng),
}

impl Format {
    /// Recognises the format by its first bytes.
    fn begin(mut source: Source) -> Result<Self, CaptureError> {
        let mut magic = [0; 4];
        let filled = source.fill(&mut magic)?;
        if filled < magic.len() {
            return Err(CaptureError::NotACapture);
        }
        if Pcapng::MAGIC == magic {
            return Ok(Self::Pcapng(Pcapng::begin(source)?));
        }
        match Pcap::begin(source, magic)? {
            Some(pcap) => Ok(Self::Pcap(pcap)),
            None => Err(CaptureError::NotACapture),
        }
    }

    fn next_frame(&mut self) -> Result<Option<Frame<'_>>, CaptureError> {
        match self {
            Self::Pcap(pcap) => pcap.next_frame(),
            Self::Pcapng(pcapng) => pcapng.next_frame(),
        }
    }
}

impl std::fmt::Debug for Capture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Capture").field("position", &self.source().position()).finish_non_exhaustive()
    }
}

/// Opens a capture file, or the standard input for `-`.
///
/// # Errors
/// If the file cannot be read or is no capture.
pub fn open(path: &Path) -> anyhow::Result<Capture> {
    Source::open(path)
        .and_then(Capture::begin)
        .with_context(|| format!("read the capture {}", path.display()))
}

impl Capture {
    /// A capture from any reader, as from a pipe.
    ///
    /// # Errors
    /// If what comes is no capture.
    pub fn from_reader(reader: Box<dyn Read>) -> Result<Self, CaptureError> {
        Source::new(reader, None).and_then(Self::begin)
    }

    fn begin(source: Source) -> Result<Self, CaptureError> {
        let mut identity = Fnv1a::default();
        identity.write(&source.identity().to_le_bytes());
        // The first packet may lie behind the hashed bytes, if the file begins with pages of comments.
        let beginning = source.beginning().and_then(|beginning| Format::begin(beginning).ok());
        if let Some(mut beginning) = beginning
            && let Ok(Some(first)) = beginning.next_frame()
        {
            identity.write(&first.at.0.to_le_bytes());
        }
        Ok(Self { format: Format::begin(source)?, identity: identity.finish() })
    }

    /// The next frame; `None` at the end.
    ///
    /// # Errors
    /// If the capture is cut short or damaged here: it cannot be read any further.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, CaptureError> {
        self.format.next_frame()
    }

    /// Which part of the file has been read, in thousandths; `None` for a pipe.
    #[must_use]
    pub fn progress(&self) -> Option<u64> {
        self.source().progress()
    }

    /// The beginning of this capture (1 MiB) as a capture of its own, to look at before the whole is read; it is
    /// cut somewhere. There is only one.
    #[must_use]
    pub fn take_beginning(&mut self) -> Option<Self> {
        let source = match &mut self.format {
            Format::Pcap(pcap) => pcap.source_mut(),
            Format::Pcapng(pcapng) => pcapng.source_mut(),
        };
        source.take_beginning().and_then(|source| Self::begin(source).ok())
    }

    /// A number by which the same capture is known again, wherever it lies, whatever it is called, compressed or not,
    /// in a file or a pipe: a hash of its first 64 KiB (uncompressed) and of the time of its first packet. Captures
    /// that share this beginning are taken for the same one; [`super::keep`] refuses the rest of one that has grown.
    /// A capture that was shorter than 64 KiB is another one when it has grown.
    #[must_use]
    pub fn identity(&self) -> u64 {
        self.identity
    }

    fn source(&self) -> &Source {
        match &self.format {
            Format::Pcap(pcap) => pcap.source(),
            Format::Pcapng(pcapng) => pcapng.source(),
        }
    }
}

/// In which order a file has the bytes of a number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ByteOrder {
    Little,
    Big,
}

impl ByteOrder {
    pub(super) fn u16(self, bytes: [u8; 2]) -> u16 {
        match self {
            Self::Little => u16::from_le_bytes(bytes),
            Self::Big => u16::from_be_bytes(bytes),
        }
    }

    pub(super) fn u32(self, bytes: [u8; 4]) -> u32 {
        match self {
            Self::Little => u32::from_le_bytes(bytes),
            Self::Big => u32::from_be_bytes(bytes),
        }
    }

    pub(super) fn u64(self, bytes: [u8; 8]) -> u64 {
        match self {
            Self::Little => u64::from_le_bytes(bytes),
            Self::Big => u64::from_be_bytes(bytes),
        }
    }
}

/// The fields of a record, read one by one; may run out, cannot run past.
pub(super) struct Fields<'a> {
    rest: &'a [u8],
    order: ByteOrder,
}

impl<'a> Fields<'a> {
    pub(super) fn new(rest: &'a [u8], order: ByteOrder) -> Self {
        Self { rest, order }
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*head)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(|bytes| self.order.u16(bytes))
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(|bytes| self.order.u32(bytes))
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(|bytes| self.order.u64(bytes))
    }

    pub(super) fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(head)
    }

    pub(super) fn rest(self) -> &'a [u8] {
        self.rest
    }
}

/// Both clocks' worth of a time stamp: `units` of 1/`per_second` s since 1970, moved by whole seconds. What does
/// not fit the calendar stays at its edge.
pub(super) fn wall_time(units: u64, per_second: u128, offset_secs: i64) -> WallTime {
    const NANOS: i128 = 1_000_000_000;
    let nanos = (u128::from(units).saturating_mul(NANOS.unsigned_abs())).checked_div(per_second).unwrap_or(0);
    let moved = i128::try_from(nanos).unwrap_or(i128::MAX).saturating_add(i128::from(offset_secs) * NANOS);
    WallTime(i64::try_from(moved).unwrap_or(if moved < 0 { i64::MIN } else { i64::MAX }))
}
