//! `telltale replay`: a capture through the same pipeline as live traffic, without a kernel and without root.
//!
//! [`capture`] turns files into frames, [`table`] counts frames as the kernel would, [`feed`] leads one through
//! the other. What becomes of samples and intervals is the business of whoever listens ([`Downstream`]).

pub mod capture;
pub mod conversations;
mod defragment;
mod fragments;
pub mod keep;
mod line;
mod link;
pub mod listing;
mod orient;
mod pcap;
mod pcapng;
mod progress;
mod source;
pub mod table;
mod wifi;

use capture::{Capture, CaptureError, LinkType};
use gateway_core::drained::Drained;
use gateway_core::units::WallTime;
use progress::Progress;
use std::collections::BTreeMap;
use std::hash::Hasher;
use table::{Counted, Rules, Sample, Seen, Table};

/// Who listens to a replay. Samples come in the order of their packets, an interval after all its samples: as
/// from the kernel.
pub trait Downstream {
    /// An IP packet was counted. Comes before the packet's sample.
    fn packet(&mut self, _seen: &Seen<'_>) {}

    /// The head of a packet that may teach something.
    fn sample(&mut self, sample: &Sample<'_>);

    /// An interval is over.
    ///
    /// # Errors
    /// If it cannot be kept; the replay ends there.
    fn drained(&mut self, drained: Drained) -> anyhow::Result<()>;

    /// Something that the ledger must say of the interval that comes next: a counter's name and its events.
    fn note(&mut self, counter: &'static str, events: u64);
}

/// The event in the ledger of the last interval before the place where a capture is cut short or damaged.
pub const CAPTURE_CUT: &str = "capture_cut";
/// In the ledger of the last interval: packets counted in another interval than their times say. See
/// [`table::MAX_JUMPS`].
pub const MISDATED: &str = "misdated";

/// How far a replay came.
#[derive(Debug, Default)]
pub struct Fed {
    /// Frames that were counted.
    pub frames: u64,
    /// Frames that were not, because their kind of link cannot be read, by link type.
    pub unreadable: BTreeMap<LinkType, u64>,
    /// Start of the first interval and end of the last, in order of time; `None` if nothing was counted.
    pub range: Option<(WallTime, WallTime)>,
    /// Why the capture could not be read to its end. What was before has been counted.
    pub cut: Option<CaptureError>,
    /// Frames counted in another interval than their times say, because those had jumped too often. See
    /// [`table::MAX_JUMPS`].
    pub misdated: u64,
}

/// Lets a table see which MAC addresses are routers' before it counts: a router shows itself with the first packet
/// that leaves the house, but it may speak to a device before that.
fn look_ahead(capture: &mut Capture, table: &mut Table) {
    let Some(mut beginning) = capture.take_beginning() else { return };
    // What is wrong with the capture shows itself when it is fed.
    while let Ok(Some(frame)) = beginning.next_frame() {
        table.look_at(&frame);
    }
}

/// Leads a whole capture through a table. A capture that is cut short or damaged is used as far as it goes.
///
/// # Errors
/// If an interval cannot be kept.
pub fn feed(
    capture: &mut Capture,
    table: &mut Table,
    downstream: &mut dyn Downstream,
) -> anyhow::Result<Fed> {
    look_ahead(capture, table);
    let mut fed = Fed::default();
    let mut progress = Progress::new();
    loop {
        progress.show(fed.frames, capture);
        let frame = match capture.next_frame() {
            Ok(Some(frame)) => frame,
            Ok(None) => break,
            Err(error) => {
                fed.cut = Some(error);
                break;
            }
        };
        if !link::is_readable(frame.link) {
            *fed.unreadable.entry(frame.link).or_default() += 1;
            continue;
        }
        if let Some(drained) = table.advance(frame.at) {
            keep(drained, &mut fed, downstream)?;
        }
        if let Ok(Counted { packet, sample }) = table.count_packet(&frame) {
            if let Some(seen) = packet {
                downstream.packet(&seen);
            }
            if let Some(sample) = sample {
                downstream.sample(&sample);
            }
        }
        fed.frames += 1;
    }
    if fed.cut.is_some() {
        downstream.note(CAPTURE_CUT, 1);
    }
    fed.misdated = table.misdated();
    if fed.misdated > 0 {
        downstream.note(MISDATED, fed.misdated);
    }
    if let Some(drained) = table.finish() {
        keep(drained, &mut fed, downstream)?;
    }
    Ok(fed)
}

fn keep(drained: Drained, fed: &mut Fed, downstream: &mut dyn Downstream) -> anyhow::Result<()> {
    let (began, ended) = (drained.interval.began_at, drained.interval.ended_at);
    let (first, last) = fed.range.unwrap_or((began, ended));
    fed.range = Some((first.min(began), last.max(ended)));
    downstream.drained(drained)
}

/// The `boot_id` of a capture's epochs: every replay of the same capture has the same one, so a database takes it
/// once. See [`Capture::identity`].
#[must_use]
pub fn boot_id_of(capture: &Capture) -> String {
    format!("replay:{:016x}", capture.identity())
}

/// The `table_id` of epochs counted by these rules: other rules make other intervals or other devices, and their
/// epochs must not be taken for the same.
#[must_use]
pub fn table_id_of(rules: &Rules) -> u64 {
    let Rules { local, gateway, drain_every_secs, max_conversations } = rules;
    let mut hash = source::Fnv1a::default();
    for network in local {
        hash.write(network.to_string().as_bytes());
        hash.write(b"\n");
    }
    if let Some(gateway) = gateway {
        hash.write(&gateway.0);
    }
    hash.write(&drain_every_secs.to_le_bytes());
    hash.write(&(*max_conversations as u64).to_le_bytes());
    hash.finish()
}
