//! Where a capture's bytes come from: a file or a pipe, plain or compressed with gzip.
//!
//! Knows nothing of packets. Streams: holds its beginning ([`BEGINNING_LEN`] bytes, twice if compressed) until that
//! has been read, and one read buffer, whatever the size of the capture.

use super::capture::CaptureError;
use flate2::read::MultiGzDecoder;
use std::cell::Cell;
use std::fs::File;
use std::hash::Hasher;
use std::io::{self, BufReader, Cursor, Read};
use std::path::Path;
use std::rc::Rc;

/// How much of the capture can be looked at before it is read: some thousand packets.
const BEGINNING_LEN: usize = 1 << 20;
/// How much of the (uncompressed) capture it is known again by: some hundred packets with their times.
const IDENTITY_LEN: usize = 64 << 10;

/// The first bytes of a gzip member (RFC 1952 §2.3.1).
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// A capture's bytes, in order, with the place reached.
pub(super) struct Source {
    reader: BufReader<Box<dyn Read>>,
    /// Bytes given out, uncompressed.
    position: u64,
    /// Bytes taken from the file, as they lie there.
    taken: Rc<Cell<u64>>,
    /// Length of the file, where there is one.
    file_len: Option<u64>,
    /// See [`Source::identity`].
    identity: u64,
    /// See [`Source::take_beginning`].
    beginning: Option<Rc<[u8]>>,
}

impl Source {
    /// Opens a file, or the standard input for `-`.
    pub(super) fn open(path: &Path) -> Result<Self, CaptureError> {
        if path == Path::new("-") {
            return Self::new(Box::new(io::stdin()), None);
        }
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(CaptureError::Directory);
        }
        let file_len = metadata.is_file().then_some(metadata.len());
        Self::new(Box::new(file), file_len)
    }

    /// Reads the beginning, recognises gzip by it, and is ready to read from the start.
    pub(super) fn new(raw: Box<dyn Read>, file_len: Option<u64>) -> Result<Self, CaptureError> {
        let taken = Rc::new(Cell::new(0));
        let mut raw = Rewound::new(Box::new(Counted { inner: raw, taken: Rc::clone(&taken) }));
        let is_gzip = raw.beginning().starts_with(&GZIP_MAGIC);
        if is_gzip {
            raw = Rewound::new(Box::new(MultiGzDecoder::new(raw)));
        }
        let beginning = raw.beginning();
        if beginning.is_empty() {
            return Err(raw.pending.take().map_or(CaptureError::Empty, CaptureError::Read));
        }
        let mut identity = Fnv1a::default();
        identity.write(beginning.get(..IDENTITY_LEN).unwrap_or(&beginning));
        let identity = identity.finish();
        Ok(Self {
            reader: BufReader::new(Box::new(raw)),
            position: 0,
            taken,
            file_len,
            identity,
            beginning: Some(beginning),
        })
    }

    /// Bytes given out so far, uncompressed.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Which part of the file has been taken, in thousandths; `None` for a pipe.
    pub(super) fn progress(&self) -> Option<u64> {
        let len = self.file_len.filter(|len| *len > 0)?;
        Some(self.taken.get().saturating_mul(1000).checked_div(len)?.min(1000))
    }

    /// The beginning of the capture as a source of its own, once: to look at before the whole is read.
    pub(super) fn take_beginning(&mut self) -> Option<Self> {
        let beginning = self.beginning()?;
        self.beginning = None;
        Some(beginning)
    }

    /// The beginning of the capture as a source of its own, as long as nobody has taken it.
    pub(super) fn beginning(&self) -> Option<Self> {
        let beginning = self.beginning.clone()?;
        Some(Self {
            reader: BufReader::new(Box::new(Cursor::new(beginning))),
            position: 0,
            taken: Rc::default(),
            file_len: None,
            identity: self.identity,
            beginning: None,
        })
    }

    /// A number by which the same capture is known again wherever it lies, compressed or not, in a file or a pipe: a
    /// hash of its first [`IDENTITY_LEN`] bytes, uncompressed, which hold the times and contents of its first packets.
    pub(super) fn identity(&self) -> u64 {
        self.identity
    }

    /// Fills `buffer` as far as the capture goes; says how far that was.
    pub(super) fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, CaptureError> {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.reader.read(rest) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed(error)),
            }
        }
        self.position += filled as u64;
        Ok(filled)
    }

    /// Reads `len` bytes into `body`, whose memory grows with what is there and not with what is claimed.
    pub(super) fn body(&mut self, len: usize, body: &mut Vec<u8>) -> Result<(), CaptureError> {
        body.clear();
        let read = (&mut self.reader).take(len as u64).read_to_end(body);
        self.position += body.len() as u64;
        match read {
            Ok(count) if count == len => Ok(()),
            Ok(_) => Err(CaptureError::CutShort { at: self.position }),
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Passes over `len` bytes.
    pub(super) fn skip(&mut self, len: u64) -> Result<(), CaptureError> {
        let skipped = io::copy(&mut (&mut self.reader).take(len), &mut io::sink());
        match skipped {
            Ok(count) => {
                self.position += count;
                if count == len { Ok(()) } else { Err(CaptureError::CutShort { at: self.position }) }
            }
            Err(error) => Err(self.failed(error)),
        }
    }

    /// A compressed capture that ends before its end mark is one that was cut, like any other.
    fn failed(&self, error: io::Error) -> CaptureError {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            CaptureError::CutShort { at: self.position }
        } else {
            CaptureError::Read(error)
        }
    }
}

/// Databases hold its results, so they must be the same for ever; the standard library's hasher may change.
/// FNV-1a, 64 bits (RFC 9923 §2).
pub(super) struct Fnv1a(u64);

impl Default for Fnv1a {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv1a {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Counts what is taken from a reader.
struct Counted {
    inner: Box<dyn Read>,
    taken: Rc<Cell<u64>>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.taken.set(self.taken.get() + count as u64);
        Ok(count)
    }
}

/// A reader whose first bytes have been looked at and are read again. An error met while looking comes when the
/// bytes before it have been read.
struct Rewound {
    /// `None` when it has been read.
    beginning: Option<Cursor<Rc<[u8]>>>,
    pending: Option<io::Error>,
    rest: Box<dyn Read>,
}

impl Rewound {
    fn new(mut rest: Box<dyn Read>) -> Self {
        let mut beginning = Vec::new();
        let pending = (&mut rest).take(BEGINNING_LEN as u64).read_to_end(&mut beginning).err();
        Self { beginning: Some(Cursor::new(beginning.into())), pending, rest }
    }

    fn beginning(&self) -> Rc<[u8]> {
        self.beginning.as_ref().map_or_else(|| Rc::new([]) as Rc<[u8]>, |cursor| Rc::clone(cursor.get_ref()))
    }
}

impl Read for Rewound {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(beginning) = &mut self.beginning {
            let count = beginning.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            self.beginning = None;
        }
        match self.pending.take() {
            Some(error) => Err(error),
            None => self.rest.read(buffer),
        }
    }
}
