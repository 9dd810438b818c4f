//! The rings that bring samples up from the kernel.

use anyhow::Context;
use aya::maps::{Map, MapData, RingBuf};
use gateway_common::SampleHeader;
use std::os::fd::{AsFd, BorrowedFd};
use zerocopy::FromBytes;

/// One ring of samples.
pub struct SampleRing {
    ring: RingBuf<MapData>,
}

/// How a turn at a ring went.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sampled {
    /// Samples handed on.
    pub samples: u64,
    /// Records too short for their header: a fault of the program, never of a packet.
    pub broken: u64,
}

impl SampleRing {
    /// A ring over its map.
    ///
    /// # Errors
    /// When it cannot be mapped into memory.
    pub fn open(map: MapData) -> anyhow::Result<Self> {
        Ok(Self { ring: RingBuf::try_from(Map::RingBuf(map)).context("open a sample ring")? })
    }

    /// Hands every waiting sample on, at most `limit` of them, so that a flood of samples cannot keep the daemon
    /// from its drains.
    pub fn take(&mut self, limit: u64, mut handle: impl FnMut(&SampleHeader, &[u8])) -> Sampled {
        let mut sampled = Sampled::default();
        while sampled.samples + sampled.broken < limit {
            let Some(record) = self.ring.next() else { break };
            match SampleHeader::read_from_prefix(&record) {
                Ok((header, snapshot)) => {
                    let captured = usize::from(header.captured_len).min(snapshot.len());
                    handle(&header, snapshot.get(..captured).unwrap_or_default());
                    sampled.samples += 1;
                }
                Err(_) => sampled.broken += 1,
            }
        }
        sampled
    }
}

impl AsFd for SampleRing {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ring.as_fd()
    }
}
