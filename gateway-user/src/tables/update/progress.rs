//! How far a long download is, for whoever waits at a terminal. The clock only paces what is printed.

use crate::clock;
use std::io::{IsTerminal, Write};

/// What takes less needs no progress. Nanoseconds, as all times here.
const SILENT_FOR_NS: u64 = 1_000_000_000;
const SHOWN_EVERY_NS: u64 = 200_000_000;

/// One line on the terminal, written over and over, and wiped at the end.
pub(super) struct Progress {
    total: Option<u64>,
    /// When it began and when to write next; `None` where nobody looks.
    pace: Option<Pace>,
    is_shown: bool,
}

struct Pace {
    began: u64,
    next: u64,
    /// Bytes that were there at the beginning.
    first: Option<u64>,
}

impl Progress {
    pub(super) fn new(total: Option<u64>) -> Self {
        let now = clock::now().ok().filter(|_| std::io::stderr().is_terminal());
        let pace = now.map(|now| Pace {
            began: now.boot.0,
            next: now.boot.0.saturating_add(SILENT_FOR_NS),
            first: None,
        });
        Self { total, pace, is_shown: false }
    }

    /// Shows that `bytes` are here, if it is time.
    pub(super) fn show(&mut self, bytes: u64) {
        let Some(pace) = &mut self.pace else { return };
        let first = *pace.first.get_or_insert(bytes);
        let Ok(now) = clock::now() else { return };
        if now.boot.0 < pace.next {
            return;
        }
        pace.next = now.boot.0.saturating_add(SHOWN_EVERY_NS);
        self.is_shown = true;
        let millis = now.boot.0.saturating_sub(pace.began) / 1_000_000;
        let rate = bytes.saturating_sub(first).saturating_mul(1000) / millis.max(1);
        let of = self.total.map_or(String::new(), |total| format!(" of {}", megabytes(total)));
        // A terminal that cannot be written to is no reason to stop.
        let _ = write!(std::io::stderr(), "\r\x1b[K{}{of} MB, {} kB/s ", megabytes(bytes), rate / 1000);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.is_shown {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

/// With one digit after the point.
pub(super) fn megabytes(bytes: u64) -> String {
    let tenths = bytes.saturating_add(50_000) / 100_000;
    format!("{}.{}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn megabytes_have_one_digit() {
        for (bytes, shown) in [(0, "0.0"), (49_999, "0.0"), (50_000, "0.1"), (9_511_026, "9.5")] {
            assert_eq!(megabytes(bytes), shown);
        }
    }
}
