//! The Huffman code of HPACK (RFC 7541 §5.2 and Appendix B).

use crate::wire::WireError;

/// How many symbols have a code of 1, 2, … 30 bits. The code is canonical: those of one length follow each other,
/// ordered by symbol, and begin where the shorter ones end.
const SYMBOLS_OF_LEN: [u16; 30] =
    [0, 0, 0, 0, 10, 26, 32, 6, 0, 5, 3, 2, 6, 2, 3, 0, 0, 0, 3, 8, 13, 26, 29, 12, 4, 15, 19, 29, 0, 4];

/// The symbols in order of their codes. The last code is the end of a string, which is never sent.
#[rustfmt::skip]
const SYMBOLS: [u8; 256] = [
    48, 49, 50, 97, 99, 101, 105, 111, 115, 116, 32, 37, 45, 46, 47, 51, 52, 53, 54, 55, 56, 57, 61, 65,
    95, 98, 100, 102, 103, 104, 108, 109, 110, 112, 114, 117, 58, 66, 67, 68, 69, 70, 71, 72, 73, 74, 75,
    76, 77, 78, 79, 80, 81, 82, 83, 84, 85, 86, 87, 89, 106, 107, 113, 118, 119, 120, 121, 122, 38, 42, 44,
    59, 88, 90, 33, 34, 40, 41, 63, 39, 43, 124, 35, 62, 0, 36, 64, 91, 93, 126, 94, 125, 60, 96, 123, 92,
    195, 208, 128, 130, 131, 162, 184, 194, 224, 226, 153, 161, 167, 172, 176, 177, 179, 209, 216, 217,
    227, 229, 230, 129, 132, 133, 134, 136, 146, 154, 156, 160, 163, 164, 169, 170, 173, 178, 181, 185,
    186, 187, 189, 190, 196, 198, 228, 232, 233, 1, 135, 137, 138, 139, 140, 141, 143, 147, 149, 150, 151,
    152, 155, 157, 158, 165, 166, 168, 174, 175, 180, 182, 183, 188, 191, 197, 231, 239, 9, 142, 144, 145,
    148, 159, 171, 206, 215, 225, 236, 237, 199, 207, 234, 235, 192, 193, 200, 201, 202, 205, 210, 213,
    218, 219, 238, 240, 242, 243, 255, 203, 204, 211, 212, 214, 221, 222, 223, 241, 244, 245, 246, 247,
    248, 250, 251, 252, 253, 254, 2, 3, 4, 5, 6, 7, 8, 11, 12, 14, 15, 16, 17, 18, 19, 20, 21, 23, 24, 25,
    26, 27, 28, 29, 30, 31, 127, 220, 249, 10, 13, 22,
];

/// The bits that may follow the last symbol: fewer than a byte, all of them ones.
const MAX_PADDING_BITS: u32 = 7;

/// The text behind a string in this code.
///
/// # Errors
/// [`WireError::Malformed`] for a code that is none, the code for the end, or a wrong padding.
pub(super) fn decode(coded: &[u8]) -> Result<Vec<u8>, WireError> {
    let malformed = |code: u32| WireError::Malformed { field: "hpack.huffman", found: u64::from(code) };
    let mut text = Vec::with_capacity(coded.len());
    let mut bits = coded.iter().flat_map(|byte| (0..8_u32).rev().map(move |n| (u32::from(*byte) >> n) & 1));
    loop {
        // The first code of this length, and the place of its symbol.
        let (mut code, mut first, mut place) = (0_u32, 0_u32, 0_usize);
        let mut is_all_ones = true;
        let mut read_bits = 0_u32;
        let symbol = 'symbol: {
            for count in SYMBOLS_OF_LEN {
                let Some(bit) = bits.next() else { break 'symbol None };
                read_bits = read_bits.saturating_add(1);
                is_all_ones &= bit == 1;
                code = (code << 1) | bit;
                first <<= 1;
                let after = code.saturating_sub(first);
                if after < u32::from(count) {
                    let after = usize::try_from(after).unwrap_or(usize::MAX);
                    break 'symbol Some(SYMBOLS.get(place.saturating_add(after)).copied());
                }
                first = first.saturating_add(u32::from(count));
                place = place.saturating_add(usize::from(count));
            }
            return Err(malformed(code));
        };
        match symbol {
            Some(Some(symbol)) => text.push(symbol),
            Some(None) => return Err(malformed(code)),
            None if read_bits <= MAX_PADDING_BITS && is_all_ones => return Ok(text),
            None => return Err(malformed(code)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::unhex;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[track_caller]
    fn check(hex: &str, expected: Option<&str>) {
        assert_eq!(decode(&unhex(hex)).ok().as_deref(), expected.map(str::as_bytes));
    }

    #[test]
    fn the_examples_of_the_rfc() {
        // RFC 7541 Appendices C.4 and C.6.
        check("f1e3c2e5f23a6ba0ab90f4ff", Some("www.example.com"));
        check("a8eb10649cbf", Some("no-cache"));
        check("25a849e95bb8e8b4bf", Some("custom-value"));
        check("9d29ad171863c78f0b97c8e9ae82ae43d3", Some("https://www.example.com"));
        check(
            "94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
            Some("foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"),
        );
        check("", Some(""));
    }

    #[test]
    fn wrong_padding_and_the_end_are_refused() {
        check("07", Some("0"));
        check("00", None); // Two symbols' worth of zeros, and three of them left over.
        check("07ff", None); // A whole byte of padding.
        check("ffffffff", None); // The end.
    }

    #[test]
    fn the_code_is_complete_and_has_each_symbol_once() {
        let room: u64 =
            SYMBOLS_OF_LEN.iter().zip(1..).map(|(count, len)| u64::from(*count) << (30 - len)).sum();
        assert_eq!(room, 1 << 30);
        assert_eq!(SYMBOLS.iter().collect::<BTreeSet<_>>().len(), 256);
        assert_eq!(SYMBOLS_OF_LEN.iter().sum::<u16>(), 257);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            if let Ok(text) = decode(&bytes) {
                prop_assert!(text.len() <= bytes.len() * 8 / 5);
            }
        }
    }
}
