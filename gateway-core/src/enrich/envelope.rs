//! What every table file of Telltale's begins with, whatever is in it: which kind of table, how old, whole or not.
//!
//! Little-endian whatever the machine; the file is this, compressed as one Zstandard frame (RFC 8878).
//!
//! ```text
//! magic     8 bytes  "TELLTABL"
//! kind      u16      1 networks, 2 owners, 3 vendors of MAC prefixes, 4 public suffixes
//! version   u16      of the body's form
//! date      u32      of the data, in days since 1970-01-01
//! checksum  u32      CRC-32 (IEEE 802.3) of the header up to here, then of length and body
//! length    u32      of the body in bytes
//! body
//! ```
//!
//! Knows nothing of what a body means. Imports nothing of the crate's.

use core::fmt;
use ruzstd::decoding::StreamingDecoder;
use std::io::Read;

/// The longest body that is unpacked. The largest table there is takes 6 MiB; what claims more is no table.
pub const MAX_BODY_LEN: u32 = 32 << 20;

/// The widest window that a frame may ask for: what the decoder keeps of what it has unpacked.
const MAX_WINDOW_LEN: u64 = 8 << 20;

const MAGIC: &[u8; 8] = b"TELLTABL";
const HEADER_LEN: usize = 24;

/// What a table is about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u16)]
pub enum TableKind {
    /// Address → autonomous system, organisation, country.
    Networks = 1,
    /// Name → owner, purpose.
    Owners = 2,
    /// Prefix of a MAC address → maker.
    Vendors = 3,
    /// The public suffixes, under which names are registered.
    Suffixes = 4,
}

impl TableKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Networks, Self::Owners, Self::Vendors, Self::Suffixes];

    fn from_number(number: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|&kind| kind as u16 == number)
    }
}

impl fmt::Display for TableKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Networks => "networks",
            Self::Owners => "owners",
            Self::Vendors => "vendors of MAC prefixes",
            Self::Suffixes => "public suffixes",
        })
    }
}

/// The day a table's data is of: days since 1970-01-01. Prints as `YYYY-MM-DD`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct TableDate(pub u32);

impl fmt::Display for TableDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The Gregorian calendar repeats every 400 years, 146 097 days; counted from 1 March of the year 0, so that
        // a leap day ends its year.
        let days = u64::from(self.0) + 719_468;
        let (era, day) = (days / 146_097, days % 146_097);
        let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153;
        let (month, day) = (month, day - (153 * month + 2) / 5 + 1);
        let (month, next_year) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
        write!(f, "{:04}-{month:02}-{day:02}", era * 400 + year + next_year)
    }
}

/// Why bytes are not a table, or not the one asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TableError {
    /// Not a Zstandard frame around the magic.
    #[error("this is not a table of Telltale's")]
    NotATable,
    /// A table of another kind.
    #[error("this is a table of {found}, where one of {wanted} belongs")]
    WrongKind {
        /// What it is.
        found: TableKind,
        /// What was asked for.
        wanted: TableKind,
    },
    /// A kind that this program does not know.
    #[error("this is a table of the unknown kind {found}, where one of {wanted} belongs")]
    UnknownKind {
        /// Its number.
        found: u16,
        /// What was asked for.
        wanted: TableKind,
    },
    /// Written by another version of this program.
    #[error(
        "the table has format {found}, this program reads {known}; get one that fits with `telltale update`"
    )]
    UnknownVersion {
        /// The version it has.
        found: u16,
        /// The version this program reads.
        known: u16,
    },
    /// The bytes end too early.
    #[error("the table is cut short, at its {field}")]
    Truncated {
        /// What was being read.
        field: &'static str,
    },
    /// The bytes are not what was written.
    #[error("the table is damaged: its checksum does not match")]
    Checksum,
    /// The frame around the table is damaged or cut short, or something stands behind it.
    #[error("the table is damaged or cut short: it cannot be unpacked")]
    Packed,
    /// The bytes are here, and no honest writer wrote them.
    #[error("the table has the impossible value {found:#x} at its {field}")]
    Malformed {
        /// What was being read.
        field: &'static str,
        /// What was there.
        found: u64,
    },
    /// Its body is longer than [`MAX_BODY_LEN`].
    #[error("the table is larger than {MAX_BODY_LEN} bytes")]
    TooLarge,
}

/// A table that is whole, of the right kind, and not yet understood.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Envelope {
    /// The version of the body's form.
    pub version: u16,
    /// The day its data is of.
    pub date: TableDate,
    /// What the kind of table defines.
    pub body: Vec<u8>,
}

impl Envelope {
    /// Refuses a body in another form than the one this program reads.
    ///
    /// # Errors
    /// [`TableError::UnknownVersion`]
    pub fn check_version(&self, known: u16) -> Result<(), TableError> {
        if self.version == known {
            Ok(())
        } else {
            Err(TableError::UnknownVersion { found: self.version, known })
        }
    }
}

/// Unpacks a table file. Takes the memory of the body, and while it unpacks that of the frame's window.
///
/// # Errors
/// [`TableError`]: any prefix, any changed bit, another kind and any other bytes are refused.
pub fn open(packed: &[u8], wanted: TableKind) -> Result<Envelope, TableError> {
    let mut rest = packed;
    let mut decoder = StreamingDecoder::new_with_max_window_size(&mut rest, MAX_WINDOW_LEN)
        .map_err(|_| TableError::NotATable)?;
    let header = Header::read(&mut decoder, wanted)?;
    let mut body = vec![0; header.body_len()?];
    decoder.read_exact(&mut body).map_err(|_| TableError::Packed)?;
    if decoder.read(&mut [0]).map_err(|_| TableError::Packed)? != 0 {
        return Err(TableError::Malformed { field: "end", found: header.length.into() });
    }
    drop(decoder);
    // Behind its last block the frame has a checksum of its own, which the decoder has taken; nothing follows.
    if !rest.is_empty() {
        return Err(TableError::Packed);
    }
    if header.checksum != checksum(header, &body) {
        return Err(TableError::Checksum);
    }
    Ok(Envelope { version: header.version, date: header.date, body })
}

/// The date a table file claims, without unpacking it: what it is worth shows when it is opened.
///
/// # Errors
/// [`TableError`], as far as the first 24 bytes tell.
pub fn date_of(packed: &[u8], wanted: TableKind) -> Result<TableDate, TableError> {
    let mut decoder = StreamingDecoder::new_with_max_window_size(packed, MAX_WINDOW_LEN)
        .map_err(|_| TableError::NotATable)?;
    Ok(Header::read(&mut decoder, wanted)?.date)
}

/// The bytes of a table file before they are compressed.
///
/// # Errors
/// [`TableError::TooLarge`]: it would not be read again.
pub fn seal(kind: TableKind, version: u16, date: TableDate, body: &[u8]) -> Result<Vec<u8>, TableError> {
    let length = u32::try_from(body.len()).map_err(|_| TableError::TooLarge)?;
    let mut header = Header { kind: kind as u16, version, date, checksum: 0, length };
    header.body_len()?;
    header.checksum = checksum(header, body);
    let mut bytes = Vec::with_capacity(HEADER_LEN + body.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&header.before_checksum());
    bytes.extend_from_slice(&header.checksum.to_le_bytes());
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(body);
    Ok(bytes)
}

/// What stands between the magic and the body.
#[derive(Clone, Copy)]
struct Header {
    kind: u16,
    version: u16,
    date: TableDate,
    checksum: u32,
    length: u32,
}

impl Header {
    fn read(from: &mut impl Read, wanted: TableKind) -> Result<Self, TableError> {
        let magic: [u8; 8] = array(from)?;
        if magic != *MAGIC {
            return Err(TableError::NotATable);
        }
        let header = Self {
            kind: u16::from_le_bytes(array(from)?),
            version: u16::from_le_bytes(array(from)?),
            date: TableDate(u32::from_le_bytes(array(from)?)),
            checksum: u32::from_le_bytes(array(from)?),
            length: u32::from_le_bytes(array(from)?),
        };
        match TableKind::from_number(header.kind) {
            Some(found) if found == wanted => Ok(header),
            Some(found) => Err(TableError::WrongKind { found, wanted }),
            None => Err(TableError::UnknownKind { found: header.kind, wanted }),
        }
    }

    fn body_len(self) -> Result<usize, TableError> {
        let len = Some(self.length).filter(|&len| len <= MAX_BODY_LEN).ok_or(TableError::TooLarge)?;
        usize::try_from(len).map_err(|_| TableError::TooLarge)
    }

    fn before_checksum(self) -> [u8; 8] {
        let ([a, b], [c, d]) = (self.kind.to_le_bytes(), self.version.to_le_bytes());
        let [e, f, g, h] = self.date.0.to_le_bytes();
        [a, b, c, d, e, f, g, h]
    }
}

fn array<const N: usize>(from: &mut impl Read) -> Result<[u8; N], TableError> {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes).map_err(|_| TableError::Packed)?;
    Ok(bytes)
}

fn checksum(header: Header, body: &[u8]) -> u32 {
    let crc = crc32(u32::MAX, MAGIC);
    let crc = crc32(crc, &header.before_checksum());
    let crc = crc32(crc, &header.length.to_le_bytes());
    !crc32(crc, body)
}

/// CRC-32 as in IEEE 802.3: reflected, polynomial 0x04C11DB7. Begin with all ones and complement the end.
fn crc32(crc: u32, bytes: &[u8]) -> u32 {
    let (chunks, rest) = bytes.as_chunks::<8>();
    let crc = chunks.iter().fold(crc, |crc, &[a, b, c, d, e, f, g, h]| {
        let [p, q, r, s] = crc.to_le_bytes();
        CRC_OF[7][usize::from(a ^ p)]
            ^ CRC_OF[6][usize::from(b ^ q)]
            ^ CRC_OF[5][usize::from(c ^ r)]
            ^ CRC_OF[4][usize::from(d ^ s)]
            ^ CRC_OF[3][usize::from(e)]
            ^ CRC_OF[2][usize::from(f)]
            ^ CRC_OF[1][usize::from(g)]
            ^ CRC_OF[0][usize::from(h)]
    });
    rest.iter().fold(crc, |crc, &byte| {
        let [low, ..] = crc.to_le_bytes();
        (crc >> 8) ^ CRC_OF[0][usize::from(low ^ byte)]
    })
}

/// What a byte does to the checksum when `n` zero bytes follow it, by `n`: eight bytes are taken at a time.
static CRC_OF: [[u32; 256]; 8] = {
    const REFLECTED: u32 = 0xEDB8_8320;
    let mut tables = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ REFLECTED } else { crc >> 1 };
            bit += 1;
        }
        tables[0][byte] = crc;
        byte += 1;
    }
    let mut zeros = 1;
    while zeros < 8 {
        let mut byte = 0;
        while byte < 256 {
            let before = tables[zeros - 1][byte];
            tables[zeros][byte] = (before >> 8) ^ tables[0][(before & 0xff) as usize];
            byte += 1;
        }
        zeros += 1;
    }
    tables
};

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic on purpose")]

    use super::*;
    use proptest::prelude::*;
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};

    fn packed(bytes: &[u8]) -> Vec<u8> {
        compress_to_vec(bytes, CompressionLevel::Fastest)
    }

    fn sealed() -> Vec<u8> {
        seal(TableKind::Networks, 3, TableDate(20_697), b"what the table says").unwrap()
    }

    #[test]
    fn what_was_sealed_is_opened() {
        let file = packed(&sealed());
        let found = open(&file, TableKind::Networks).unwrap();
        let body = b"what the table says".to_vec();
        assert_eq!(found, Envelope { version: 3, date: TableDate(20_697), body });
        assert_eq!(found.check_version(3), Ok(()));
        assert_eq!(found.check_version(2), Err(TableError::UnknownVersion { found: 3, known: 2 }));
        assert_eq!(date_of(&file, TableKind::Networks), Ok(TableDate(20_697)));
        let empty = packed(&seal(TableKind::Owners, 1, TableDate(0), b"").unwrap());
        assert_eq!(open(&empty, TableKind::Owners).unwrap().body, b"");
    }

    #[test]
    fn another_kind_is_refused() {
        let file = packed(&sealed());
        let error = TableError::WrongKind { found: TableKind::Networks, wanted: TableKind::Owners };
        assert_eq!(open(&file, TableKind::Owners), Err(error));
        assert_eq!(error.to_string(), "this is a table of networks, where one of owners belongs");
        let mut bytes = sealed();
        bytes[8] = 77;
        let error = TableError::UnknownKind { found: 77, wanted: TableKind::Networks };
        assert_eq!(open(&packed(&bytes), TableKind::Networks), Err(error));
    }

    #[test]
    fn every_prefix_is_refused() {
        let bytes = sealed();
        for len in 0..bytes.len() {
            assert!(open(&packed(&bytes[..len]), TableKind::Networks).is_err(), "the first {len} bytes");
        }
        let file = packed(&bytes);
        for len in 0..file.len() {
            assert!(open(&file[..len], TableKind::Networks).is_err(), "the first {len} packed bytes");
        }
    }

    #[test]
    fn every_changed_byte_is_refused() {
        let bytes = sealed();
        for position in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[position] ^= 0x10;
            let error = open(&packed(&damaged), TableKind::Networks).unwrap_err();
            match position {
                0..8 => assert_eq!(error, TableError::NotATable),
                8..10 => assert!(matches!(error, TableError::UnknownKind { .. })),
                20..24 => {} // A wrong length: too long is cut short, too short leaves bytes behind.
                _ => assert_eq!(error, TableError::Checksum),
            }
        }
    }

    #[test]
    fn what_stands_behind_a_table_is_refused() {
        let mut bytes = sealed();
        let mut file = packed(&bytes);
        file.push(0);
        assert_eq!(open(&file, TableKind::Networks), Err(TableError::Packed));
        bytes.push(0);
        let error = TableError::Malformed { field: "end", found: 19 };
        assert_eq!(open(&packed(&bytes), TableKind::Networks), Err(error));
    }

    #[test]
    fn a_bomb_is_not_unpacked() {
        let mut bytes = sealed();
        bytes[20..24].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(open(&packed(&bytes), TableKind::Networks), Err(TableError::TooLarge));
        let body = vec![0; usize::try_from(MAX_BODY_LEN).unwrap() + 1];
        let sealed = seal(TableKind::Networks, 1, TableDate(0), &body);
        assert_eq!(sealed, Err(TableError::TooLarge));
    }

    #[test]
    fn the_checksum_is_the_well_known_one() {
        assert_eq!(!crc32(u32::MAX, b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn days_are_dates() {
        for (days, text) in [
            (0, "1970-01-01"),
            (58, "1970-02-28"),
            (59, "1970-03-01"),
            (11_016, "2000-02-29"),
            (11_017, "2000-03-01"),
            (20_697, "2026-09-01"),
            (47_540, "2100-02-28"),
            (47_541, "2100-03-01"),
        ] {
            assert_eq!(TableDate(days).to_string(), text);
        }
    }

    #[test]
    fn every_error_is_one_line() {
        let errors = [
            TableError::NotATable,
            TableError::UnknownVersion { found: 9, known: 1 },
            TableError::Truncated { field: "names" },
            TableError::Checksum,
            TableError::Packed,
            TableError::Malformed { field: "names", found: 9 },
            TableError::TooLarge,
        ];
        for error in errors {
            assert!(!error.to_string().contains('\n') && !error.to_string().ends_with('.'), "{error}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = open(&bytes, TableKind::Networks);
            let _ = open(&packed(&bytes), TableKind::Networks);
        }
    }
}
