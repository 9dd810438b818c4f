//! What becomes of a replay that lists its conversations: through the same pipeline as live traffic, and line by line
//! to whoever reads.

use super::Downstream;
use super::conversations::{Conversations, Listed};
use super::line::Line;
use super::table::{Sample, Seen};
use anyhow::Context;
use gateway_core::drained::Drained;
use gateway_core::enrich::NoNetworks;
use gateway_core::pipeline::Pipeline;
use gateway_core::report::sureness::without_uncovered;
use ipnetwork::IpNetwork;
use std::io::Write;
use std::net::IpAddr;

/// Leads samples and intervals through a pipeline and writes the conversations as JSON Lines.
pub struct Lister<'a> {
    pipeline: Pipeline,
    conversations: Conversations,
    excluded: Vec<IpNetwork>,
    local: Vec<IpNetwork>,
    out: &'a mut dyn Write,
    written: Written,
}

/// What was written, in lines.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Written {
    /// Written.
    pub lines: u64,
    /// Not written, because an end is in a network that the configuration excludes.
    pub excluded: u64,
}

impl<'a> Lister<'a> {
    /// Writes to `out`, but nothing of the networks that are `excluded`. `conversations` are as bounded as they are
    /// made.
    #[must_use]
    pub fn new(
        mut pipeline: Pipeline,
        conversations: Conversations,
        excluded: Vec<IpNetwork>,
        out: &'a mut dyn Write,
    ) -> Self {
        pipeline.keep_attributed();
        Self { pipeline, conversations, excluded, local: Vec::new(), out, written: Written::default() }
    }

    /// These networks are in the house: that no DNS answer gave an address of theirs is not worth a mark, as it is not
    /// in a report.
    #[must_use]
    pub fn with_local(self, local: Vec<IpNetwork>) -> Self {
        Self { local, ..self }
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn finish(mut self) -> anyhow::Result<Written> {
        let left = self.conversations.finish();
        self.write(&left)?;
        self.out.flush().context("write the conversations")?;
        Ok(self.written)
    }

    fn write(&mut self, listed: &[Listed]) -> anyhow::Result<()> {
        for conversation in listed {
            if self.is_excluded(conversation.source.0) || self.is_excluded(conversation.destination.0) {
                self.written.excluded += 1;
                continue;
            }
            let mut line =
                serde_json::to_vec(&Line::of(conversation)).context("write a conversation as JSON")?;
            line.push(b'\n');
            self.out.write_all(&line).context("write the conversations")?;
            self.written.lines += 1;
        }
        Ok(())
    }

    fn is_excluded(&self, addr: IpAddr) -> bool {
        self.excluded.iter().any(|network| network.contains(addr))
    }
}

impl Downstream for Lister<'_> {
    fn packet(&mut self, seen: &Seen<'_>) {
        self.conversations.count(seen);
    }

    fn sample(&mut self, sample: &Sample<'_>) {
        self.pipeline.handle_sample(&sample.header, sample.snapshot);
    }

    /// # Errors
    /// If the books do not balance, or a line cannot be written.
    fn drained(&mut self, drained: Drained) -> anyhow::Result<()> {
        let batch = self.pipeline.handle_drain(drained, &NoNetworks);
        batch.check_conservation().with_context(|| format!("count the interval {}", batch.epoch.epoch))?;
        for (key, mut attribution) in self.pipeline.take_attributed() {
            if is_group(key.peer()) || self.local.iter().any(|network| network.contains(key.peer())) {
                attribution.marks = without_uncovered(attribution.marks);
            }
            self.conversations.name(&key, attribution);
        }
        let leaving = self.conversations.end_interval();
        self.write(&leaving)
    }

    /// The ledger is for rows; what matters here, the caller hears from [`super::Fed`].
    fn note(&mut self, _counter: &'static str, _events: u64) {}
}

/// Multicast or broadcast: many, and none of them asked for.
fn is_group(addr: IpAddr) -> bool {
    match addr {
        IpAddr::V4(v4) => v4.is_multicast() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_multicast(),
    }
}
