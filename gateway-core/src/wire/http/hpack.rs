//! Header compression (RFC 7541), of the first header block of a connection only.
//!
//! Written here because the crates that decode it on its own are not kept (`httlib-hpack` and `hpack` have had no
//! release for years), take a block whole or not at all, and set no bound on what a few bytes may unfold to; and
//! those that are kept are private parts of HTTP servers.

use super::huffman;
use crate::wire::{Reader, WireError};
use std::collections::VecDeque;

/// How many fields of a block are read. The ones that name the host stand first (RFC 9113 §8.3).
pub(super) const MAX_FIELDS: usize = 128;
/// To how many bytes the fields of a block may unfold: one byte may stand for a whole entry. Servers refuse heads
/// beyond 8 to 16 KiB.
const MAX_UNFOLDED_LEN: usize = 16 * 1024;
/// The size of the dynamic table as long as nobody says otherwise (RFC 9113 §6.5.2). A server may have allowed more;
/// what a larger table would still hold is missing here then, and names nobody.
const MAX_TABLE_SIZE: usize = 4096;
/// What an entry costs beyond its texts (RFC 7541 §4.1).
const ENTRY_OVERHEAD: usize = 32;
/// The longest integer: its prefix and four bytes, 28 bits. No honest one in a block of this size is longer.
const MAX_INTEGER_SHIFT: u32 = 28;

/// A name and its value.
pub(super) type Field = (Vec<u8>, Vec<u8>);

/// What a connection's decoder remembers.
#[derive(Clone, Debug)]
pub(super) struct Decoder {
    /// The youngest first.
    table: VecDeque<Field>,
    size: usize,
    max_size: usize,
    /// How many bytes have been unfolded.
    unfolded: usize,
}

impl Decoder {
    pub(super) fn new() -> Self {
        Self { table: VecDeque::new(), size: 0, max_size: MAX_TABLE_SIZE, unfolded: 0 }
    }

    /// The next field; `None` at the end of a block that is here whole.
    pub(super) fn next_field(&mut self, block: &mut Reader<'_>) -> Result<Option<Field>, WireError> {
        loop {
            if block.is_finished() {
                return Ok(None);
            }
            let first = block.u8("hpack.field")?;
            // §6.1 to §6.3, by the highest bits.
            match first {
                0x80.. => {
                    let index = integer(block, first, 7)?;
                    return self.unfold(index).map(Some);
                }
                0x40.. => {
                    let field = self.literal(block, first, 6)?;
                    self.insert(&field);
                    return Ok(Some(field));
                }
                0x20.. => {
                    let size = integer(block, first, 5)?;
                    self.max_size = size.min(MAX_TABLE_SIZE);
                    self.evict(0);
                }
                _ => return self.literal(block, first, 4).map(Some),
            }
        }
    }

    /// An entry, as a field.
    fn unfold(&mut self, index: usize) -> Result<Field, WireError> {
        let field = self.entry(index)?;
        self.note_unfolded(&field)?;
        Ok(field)
    }

    fn note_unfolded(&mut self, (name, value): &Field) -> Result<(), WireError> {
        self.unfolded = self.unfolded.saturating_add(name.len()).saturating_add(value.len());
        if self.unfolded > MAX_UNFOLDED_LEN {
            return Err(malformed("hpack.unfolded", self.unfolded));
        }
        Ok(())
    }

    fn literal(&mut self, block: &mut Reader<'_>, first: u8, prefix: u32) -> Result<Field, WireError> {
        let index = integer(block, first, prefix)?;
        let name = if index == 0 { string(block)? } else { self.entry(index)?.0 };
        let field = (name, string(block)?);
        self.note_unfolded(&field)?;
        Ok(field)
    }

    /// §2.3.3: the static table, and behind it the dynamic one.
    fn entry(&self, index: usize) -> Result<Field, WireError> {
        let place = index.checked_sub(1).ok_or(malformed("hpack.index", index))?;
        if let Some((name, value)) = STATIC_TABLE.get(place) {
            return Ok((name.as_bytes().to_vec(), value.as_bytes().to_vec()));
        }
        let place = place.saturating_sub(STATIC_TABLE.len());
        self.table.get(place).cloned().ok_or(malformed("hpack.index", index))
    }

    fn insert(&mut self, field: &Field) {
        let cost = cost_of(field);
        self.evict(cost);
        // What is larger than the table empties it, and is not kept (§4.4).
        if cost <= self.max_size {
            self.size = self.size.saturating_add(cost);
            self.table.push_front(field.clone());
        }
    }

    /// Makes room for so much.
    fn evict(&mut self, room: usize) {
        while self.size.saturating_add(room) > self.max_size {
            let Some(oldest) = self.table.pop_back() else { break };
            self.size = self.size.saturating_sub(cost_of(&oldest));
        }
    }
}

fn cost_of((name, value): &Field) -> usize {
    name.len().saturating_add(value.len()).saturating_add(ENTRY_OVERHEAD)
}

fn malformed(field: &'static str, found: usize) -> WireError {
    WireError::Malformed { field, found: u64::try_from(found).unwrap_or(u64::MAX) }
}

/// An integer whose first `prefix` bits are the last ones of `first` (§5.1).
fn integer(block: &mut Reader<'_>, first: u8, prefix: u32) -> Result<usize, WireError> {
    let mask = u8::MAX >> 8_u32.saturating_sub(prefix);
    let mut value = usize::from(first & mask);
    if first & mask != mask {
        return Ok(value);
    }
    for shift in (0..MAX_INTEGER_SHIFT).step_by(7) {
        let byte = block.u8("hpack.integer")?;
        value = value.saturating_add(usize::from(byte & 0x7f) << shift);
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(malformed("hpack.integer", value))
}

/// A string, coded or plain (§5.2).
fn string(block: &mut Reader<'_>) -> Result<Vec<u8>, WireError> {
    let first = block.u8("hpack.string")?;
    let len = integer(block, first, 7)?;
    let bytes = block.bytes("hpack.string", len)?;
    if first & 0x80 == 0 { Ok(bytes.to_vec()) } else { huffman::decode(bytes) }
}

/// RFC 7541 Appendix A.
const STATIC_TABLE: [(&str, &str); 61] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::unhex;
    use proptest::prelude::*;

    fn fields(decoder: &mut Decoder, block: &[u8]) -> Result<Vec<(String, String)>, WireError> {
        let mut block = Reader::new(block).part("block", block.len())?;
        let mut found = Vec::new();
        while let Some((name, value)) = decoder.next_field(&mut block)? {
            let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
            found.push((text(name), text(value)));
        }
        Ok(found)
    }

    /// Requests of one connection, each with its fields and the table's size after it.
    #[track_caller]
    fn check(blocks: &[(&str, &str, usize)]) {
        let mut decoder = Decoder::new();
        for (hex, expected, size) in blocks {
            let found = fields(&mut decoder, &unhex(hex)).expect("sound");
            let found: Vec<String> = found.iter().map(|(name, value)| format!("{name}={value}")).collect();
            assert_eq!((found.join(" ").as_str(), decoder.size), (*expected, *size));
        }
    }

    #[test]
    fn the_examples_of_the_rfc() {
        let first = ":method=GET :scheme=http :path=/ :authority=www.example.com";
        let second = format!("{first} cache-control=no-cache");
        let third =
            ":method=GET :scheme=https :path=/index.html :authority=www.example.com custom-key=custom-value";
        // RFC 7541 Appendix C.3, plain.
        check(&[
            ("828684410f7777772e6578616d706c652e636f6d", first, 57),
            ("828684be58086e6f2d6361636865", &second, 110),
            ("828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565", third, 164),
        ]);
        // Appendix C.4, coded.
        check(&[
            ("828684418cf1e3c2e5f23a6ba0ab90f4ff", first, 57),
            ("828684be5886a8eb10649cbf", &second, 110),
            ("828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf", third, 164),
        ]);
        // Appendix C.2: not indexed, never indexed.
        check(&[
            ("040c2f73616d706c652f70617468", ":path=/sample/path", 0),
            ("100870617373776f726406736563726574", "password=secret", 0),
        ]);
    }

    #[test]
    fn the_table_forgets_the_oldest() {
        let mut decoder = Decoder::new();
        let sized = |size: &str, rest: &str| unhex(&format!("{size}{rest}"));
        // Room for one entry: :authority of one letter costs 43.
        assert_eq!(fields(&mut decoder, &sized("3f19", "41016141 0162")).map(|f| f.len()), Ok(2));
        assert_eq!((decoder.table.len(), decoder.size), (1, 43));
        assert_eq!(fields(&mut decoder, &unhex("be")), Ok(vec![(":authority".to_owned(), "b".to_owned())]));
        assert_eq!(
            fields(&mut decoder, &unhex("bf")),
            Err(WireError::Malformed { field: "hpack.index", found: 63 })
        );
        assert_eq!(fields(&mut decoder, &unhex("20")), Ok(vec![]));
        assert_eq!((decoder.table.len(), decoder.size), (0, 0));
        assert_eq!(fields(&mut decoder, &unhex("410161")).map(|f| f.len()), Ok(1));
        assert_eq!(decoder.size, 0, "larger than the table");
    }

    #[test]
    fn bounds_are_kept() {
        for (hex, field) in
            [("80", "hpack.index"), ("ffffffffffffffff7f", "hpack.integer"), ("4105616263", "hpack.string")]
        {
            let Err(WireError::Malformed { field: found, .. }) = fields(&mut Decoder::new(), &unhex(hex))
            else {
                panic!("{hex}")
            };
            assert_eq!(found, field, "{hex}");
        }
        assert_eq!(integer(&mut Reader::new(&unhex("9a0a")), 0x1f, 5), Ok(1337), "RFC 7541 Appendix C.1.2");
    }

    #[test]
    fn a_block_unfolds_to_no_more_than_a_head_may_be() {
        // An entry of 4001 bytes, and one byte for each time it comes again.
        let entry = [unhex("400178 7fa11e"), vec![b'a'; 4000]].concat();
        let times = |n| fields(&mut Decoder::new(), &[entry.clone(), vec![0xbe; n]].concat());
        assert_eq!(times(3).map(|fields| fields.len()), Ok(4));
        assert_eq!(times(4), Err(WireError::Malformed { field: "hpack.unfolded", found: 20_005 }));
        // A larger table is not kept, whatever size is said.
        let large = [unhex("3fe1ff03 400178 7fa120"), vec![b'a'; 4256], vec![0xbe]].concat();
        let ended = fields(&mut Decoder::new(), &large);
        assert_eq!(ended, Err(WireError::Malformed { field: "hpack.index", found: 62 }));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived_within_bounds(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut decoder = Decoder::new();
            let _ = fields(&mut decoder, &bytes);
            prop_assert!(decoder.size <= decoder.max_size && decoder.max_size <= MAX_TABLE_SIZE);
            prop_assert_eq!(decoder.size, decoder.table.iter().map(cost_of).sum::<usize>());
        }
    }
}
