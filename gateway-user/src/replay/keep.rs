//! What becomes of a replay: samples and intervals through the pipeline into a database, as the daemon does it.

use super::Downstream;
use super::table::Sample;
use crate::store::{Appended, Writer};
use anyhow::Context;
use gateway_core::drained::Drained;
use gateway_core::enrich::Networks;
use gateway_core::pipeline::Pipeline;

/// Leads samples and intervals through a pipeline and keeps what comes out.
pub struct Keeper {
    pipeline: Pipeline,
    networks: Box<dyn Networks + Send + Sync>,
    writer: Writer,
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
        Self { pipeline, networks, writer, kept: Kept::default() }
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
    /// If the books do not balance, or the database cannot be written.
    fn drained(&mut self, drained: Drained) -> anyhow::Result<()> {
        let batch = self.pipeline.handle_drain(drained, self.networks.as_ref());
        batch.check_conservation().with_context(|| format!("count the interval {}", batch.epoch.epoch))?;
        match self.writer.append(&batch)? {
            Appended::Stored => self.kept.stored += 1,
            Appended::AlreadyThere => self.kept.already_there += 1,
        }
        Ok(())
    }
}
