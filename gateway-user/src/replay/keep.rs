//! What becomes of a replay: samples and intervals through the pipeline into a database, as the daemon does it.

use super::Downstream;
use super::table::Sample;
use crate::store::{Appended, Writer};
use anyhow::{Context, ensure};
use gateway_core::drained::Drained;
use gateway_core::enrich::Networks;
use gateway_core::pipeline::Pipeline;
use gateway_core::row::LedgerLine;

/// Leads samples and intervals through a pipeline and keeps what comes out.
pub struct Keeper {
    pipeline: Pipeline,
    networks: Box<dyn Networks + Send + Sync>,
    writer: Writer,
    /// What the ledger of the next interval must say besides.
    notes: Vec<LedgerLine>,
    kept: Kept,
}

/// What was kept, in intervals.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Kept {
    /// Written into the database now.
    pub stored: u64,
    /// Written there by an earlier replay of the same capture, and not once more.
    pub already_there: u64,
}

impl Keeper {
    /// Keeps in the database of `writer`, with networks as `networks` knows them.
    #[must_use]
    pub fn new(pipeline: Pipeline, networks: Box<dyn Networks + Send + Sync>, mut writer: Writer) -> Self {
        writer.set_tables_date(Some(networks.as_of()).filter(|date| !date.is_empty()));
        Self { pipeline, networks, writer, notes: Vec::new(), kept: Kept::default() }
    }

    /// Closes the database and says what is in it.
    #[must_use]
    pub fn finish(self) -> Kept {
        self.kept
    }
}

impl Downstream for Keeper {
    fn sample(&mut self, sample: &Sample<'_>) {
        self.pipeline.handle_sample(&sample.header, sample.snapshot);
    }

    /// # Errors
    /// If the books do not balance, or the database cannot be written, or has this interval with other counts: then
    /// the capture has grown since it was counted there, or is another one with the same beginning. Nothing of it is
    /// added.
    fn drained(&mut self, drained: Drained) -> anyhow::Result<()> {
        let mut batch = self.pipeline.handle_drain(drained, self.networks.as_ref());
        batch.check_conservation().with_context(|| format!("count the interval {}", batch.epoch.epoch))?;
        batch.ledger.append(&mut self.notes);
        match self.writer.append(&batch)? {
            Appended::Stored => self.kept.stored += 1,
            Appended::AlreadyThere => {
                let seen = batch.ledger.iter().find(|line| line.counter == "seen");
                let seen = seen.map(|line| (line.packets, line.bytes.unwrap_or(0)));
                // What is added up with others by now cannot be compared.
                let stored = self.writer.seen(&batch.epoch)?;
                ensure!(
                    stored.is_none() || stored == seen,
                    "add to what the database has of this capture: its interval {} is there with other counts, so \
                     the capture has grown since, or is another one that begins alike; choose another database",
                    batch.epoch.epoch
                );
                self.kept.already_there += 1;
            }
        }
        Ok(())
    }

    fn note(&mut self, counter: &'static str, events: u64) {
        self.notes.push(LedgerLine { counter: counter.to_owned(), packets: events, bytes: None });
    }
}
