//! The stream of handshake messages, put together from CRYPTO frames in whatever order they come (RFC 9000 §19.6).

use super::WireError;
use core::ops::Range;

/// How much of the stream is kept. Post-quantum hellos have 1.7 to 2.1 KB; two key shares and a resumed session's
/// ticket leave room below this.
pub const MAX_CRYPTO_LEN: usize = 8192;
/// How many pieces with gaps between them are kept. Browsers cut a hello into some dozens of frames on purpose, so
/// that nobody on the way gets used to finding it in one.
pub const MAX_PIECES: usize = 64;

/// The beginning of a stream of handshake messages.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CryptoStream {
    bytes: Vec<u8>,
    /// Which of the bytes are known. No two of these touch.
    known: Vec<Range<usize>>,
}

impl CryptoStream {
    /// Enters a piece. What does not fit the bounds is left out: it is missing then, as if it had not come.
    ///
    /// # Errors
    /// [`WireError::Malformed`] if it contradicts what is known: what was sent may not change (RFC 9000 §2.2).
    pub fn add(&mut self, offset: u64, data: &[u8]) -> Result<(), WireError> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(MAX_CRYPTO_LEN);
        let end = start.saturating_add(data.len()).min(MAX_CRYPTO_LEN);
        let new = start..end;
        let data = data.get(..new.len()).unwrap_or_default();
        if data.is_empty() {
            return Ok(());
        }
        for known in &self.known {
            let both = known.start.max(start)..known.end.min(end);
            let as_sent = data.get(both.start.saturating_sub(start)..both.end.saturating_sub(start));
            if !both.is_empty() && self.bytes.get(both) != as_sent {
                return Err(WireError::Malformed { field: "quic.crypto_data", found: offset });
            }
        }
        if !self.note(new.clone()) {
            return Ok(());
        }
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        if let Some(place) = self.bytes.get_mut(new) {
            place.copy_from_slice(data);
        }
        Ok(())
    }

    /// Notes that these bytes are known; `false` if that would be a piece too many.
    fn note(&mut self, new: Range<usize>) -> bool {
        let Range { mut start, mut end } = new;
        let count = self.known.len();
        self.known.retain(|known| {
            let touches = known.start <= end && known.end >= start;
            if touches {
                start = start.min(known.start);
                end = end.max(known.end);
            }
            !touches
        });
        if self.known.len() == count && count >= MAX_PIECES {
            return false;
        }
        self.known.push(start..end);
        true
    }

    /// The stream from its beginning to the first gap.
    #[must_use]
    pub fn beginning(&self) -> &[u8] {
        let first = self.known.iter().find(|known| known.start == 0);
        first.and_then(|known| self.bytes.get(known.clone())).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn pieces_join_and_gaps_wait() {
        let mut stream = CryptoStream::default();
        for (offset, data, expected) in [
            (3, "lo", ""),
            (0, "h", "h"),
            (6, "world", "h"),
            (0, "hel", "hello"),
            (2, "llo w", "hello world"),
            (11, "", "hello world"),
            (0, "hello world", "hello world"),
        ] {
            assert_eq!(stream.add(offset, data.as_bytes()), Ok(()));
            assert_eq!(stream.beginning(), expected.as_bytes());
        }
        assert_eq!((stream.known.len(), stream.known.first()), (1, Some(&(0..11))));
    }

    #[test]
    fn what_was_sent_does_not_change() {
        let mut stream = CryptoStream::default();
        assert_eq!(stream.add(2, b"llo"), Ok(()));
        let ended = stream.add(0, b"hexl");
        assert_eq!(ended, Err(WireError::Malformed { field: "quic.crypto_data", found: 0 }));
        assert_eq!(stream.beginning(), b"");
    }

    #[test]
    fn bounds_are_kept() {
        let mut stream = CryptoStream::default();
        for offset in [u64::MAX, 1 << 62, MAX_CRYPTO_LEN as u64] {
            assert_eq!(stream.add(offset, b"far"), Ok(()));
        }
        assert_eq!(stream, CryptoStream::default());
        assert_eq!(stream.add(MAX_CRYPTO_LEN as u64 - 1, b"ab"), Ok(()));
        assert_eq!(stream.bytes.len(), MAX_CRYPTO_LEN);
        for n in 0..2 * MAX_PIECES as u64 {
            assert_eq!(stream.add(n * 2, b"x"), Ok(()));
            assert!(stream.known.len() <= MAX_PIECES);
        }
        // What fills a gap is taken even then.
        assert_eq!(stream.add(1, b"y"), Ok(()));
        assert_eq!((stream.beginning(), stream.known.len()), (&b"xyx"[..], MAX_PIECES - 1));
    }

    proptest! {
        #[test]
        fn any_cut_any_order_and_any_overlap_give_the_one_stream(
            cuts in proptest::collection::vec((0..200_usize, 1..40_usize), 0..40)
        ) {
            let whole: Vec<u8> = (0..240).collect();
            let mut stream = CryptoStream::default();
            let mut is_known = [false; 240];
            for (start, len) in cuts {
                prop_assert_eq!(stream.add(start as u64, &whole[start..start + len]), Ok(()));
                is_known[start..start + len].fill(true);
                let expected = is_known.iter().take_while(|known| **known).count();
                prop_assert_eq!(stream.beginning(), &whole[..expected]);
            }
        }
    }
}
