//! How far a long replay is, for whoever waits at a terminal. The clock only paces what is printed.

use super::capture::Capture;
use crate::clock;
use gateway_core::units::BootTime;
use std::io::{IsTerminal, Write};

/// What takes less needs no progress. Nanoseconds, as all times here.
const SILENT_FOR_NS: u64 = 1_000_000_000;
const SHOWN_EVERY_NS: u64 = 200_000_000;
/// The clock is looked at once for so many frames.
const FRAMES_PER_LOOK: u64 = 1 << 12;

/// One line on the terminal, written over and over, and wiped at the end.
pub(super) struct Progress {
    /// When to write next; `None` where nobody looks.
    next: Option<BootTime>,
    is_shown: bool,
}

impl Progress {
    pub(super) fn new() -> Self {
        let began = clock::now().ok().filter(|_| std::io::stderr().is_terminal());
        let next = began.map(|clocks| BootTime(clocks.boot.0.saturating_add(SILENT_FOR_NS)));
        Self { next, is_shown: false }
    }

    /// Shows how far it is, if it is time.
    pub(super) fn show(&mut self, frames: u64, capture: &Capture) {
        let Some(next) = self.next.filter(|_| frames.is_multiple_of(FRAMES_PER_LOOK)) else { return };
        let Ok(now) = clock::now() else { return };
        if now.boot < next {
            return;
        }
        self.next = Some(BootTime(now.boot.0.saturating_add(SHOWN_EVERY_NS)));
        self.is_shown = true;
        let mut stderr = std::io::stderr();
        // A terminal that cannot be written to is no reason to stop counting.
        let _ = match capture.progress() {
            Some(thousandths) => {
                let (whole, tenth) = (thousandths / 10, thousandths % 10);
                write!(stderr, "\r{frames} packets, {whole}.{tenth} % of the capture ")
            }
            None => write!(stderr, "\r{frames} packets "),
        };
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.is_shown {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
