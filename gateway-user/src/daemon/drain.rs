//! One drain, step by step, exactly once.
//!
//! flip → grace → read → commit → zero. Killed between any two, the next start finds a buffer that is neither
//! active nor clean and asks the journal whether its interval is in the database: then it is only zeroed,
//! otherwise it is read and written as if nothing had happened.

use crate::{
    clock,
    journal::Journal,
    kernel::{GracePeriod, Quiet, Tables},
    leases::Leases,
};
use gateway_core::{
    drained::Drained,
    enrich::Networks,
    pipeline::Pipeline,
    privacy::Level,
    row::{Batch, EpochId, Interval, LedgerLine},
};
use std::{collections::BTreeMap, sync::Arc};

/// The steps of a drain, each named when it is done.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Step {
    /// The kernel counts into the other buffer.
    Flip,
    /// No program can still be writing to the quiet one.
    Grace,
    /// The quiet buffer is read and its rows are made.
    Read,
    /// The interval is in the database.
    Commit,
    /// The quiet buffer is clean again.
    Zero,
}

/// Called after each step: tests kill the daemon there.
pub type Watch = Box<dyn FnMut(Step) + Send>;

/// What a drain needs besides the tables.
pub struct Drainer {
    /// Names and rows.
    pub pipeline: Pipeline,
    /// What the gateway's DHCP server has written down.
    pub leases: Leases,
    networks: Box<dyn Networks + Send + Sync>,
    journal: Journal,
    grace: GracePeriod,
    boot_id: String,
    watch: Watch,
    /// An interval that could not be written yet; its counts are still in the quiet buffer too.
    unwritten: Option<(EpochId, Arc<Batch>)>,
    /// Events of the interval that is running, for its ledger.
    events: BTreeMap<&'static str, u64>,
}

impl Drainer {
    /// Ready to drain.
    ///
    /// # Errors
    /// When the kernel has no way to wait for running programs, or does not tell its boot id.
    pub fn new(
        pipeline: Pipeline,
        networks: Box<dyn Networks + Send + Sync>,
        journal: Journal,
        watch: Watch,
    ) -> anyhow::Result<Self> {
        let (grace, boot_id) = (GracePeriod::choose()?, clock::boot_id()?);
        Ok(Self {
            pipeline,
            leases: Leases::default(),
            networks,
            journal,
            grace,
            boot_id,
            watch,
            unwritten: None,
            events: BTreeMap::new(),
        })
    }

    /// Tells the pipeline what the daemon before this one knew. Names are worth that, and nothing else hangs on it:
    /// what cannot be read is said, and counting goes on.
    ///
    /// # Errors
    /// When the tables or the clocks cannot be read.
    pub async fn remember(&mut self, tables: &Tables) -> anyhow::Result<()> {
        match self.journal.memory(&self.boot_id, tables.table_id()?, clock::now()?).await {
            Ok(memory) => {
                let (answers, conversations) = (memory.answers.len(), memory.conversations.len());
                tracing::debug!("remembering {answers} answers of the DNS and {conversations} conversations");
                self.pipeline.restore(memory);
            }
            Err(error) => tracing::warn!("{error:#}; names of before are not known"),
        }
        Ok(())
    }

    /// Keeps the conversations that are under way, for the daemon that starts next. To be called after the last drain.
    ///
    /// # Errors
    /// When the tables cannot be read.
    pub async fn keep(&self, tables: &Tables) -> anyhow::Result<()> {
        let conversations = self.pipeline.open_conversations();
        if let Err(error) = self.journal.keep(&self.boot_id, tables.table_id()?, conversations).await {
            tracing::warn!("{error:#}; the next start does not know them");
        }
        Ok(())
    }

    /// Adds events to the ledger of the interval that is running.
    pub fn note(&mut self, counter: &'static str, count: u64) {
        if count > 0 {
            *self.events.entry(counter).or_default() += count;
        }
    }

    /// Turns the kernel to a clean buffer and waits until the other one stands still. A buffer that an earlier
    /// drain left is finished first.
    ///
    /// # Errors
    /// When the earlier interval still cannot be written, or the kernel refuses.
    pub async fn turn(&mut self, tables: &mut Tables) -> anyhow::Result<Quiet> {
        self.finish_left_over(tables).await?;
        let last = self.journal.last_epoch(&self.boot_id, tables.table_id()?).await?;
        let quiet = tables.flip(clock::now()?.boot, last.unwrap_or(0) + 1)?;
        (self.watch)(Step::Flip);
        self.grace.wait()?;
        (self.watch)(Step::Grace);
        Ok(quiet)
    }

    /// Finishes the drain that a killed daemon (or a full disk) cut short, if there is one.
    ///
    /// # Errors
    /// As for [`Drainer::finish`].
    pub async fn finish_left_over(&mut self, tables: &mut Tables) -> anyhow::Result<()> {
        if let Some(quiet) = tables.quiet()? {
            self.grace.wait()?;
            self.finish(tables, quiet).await?;
        }
        Ok(())
    }

    /// Stores a quiet buffer and cleans it. The samples of its interval should have been learned from before.
    ///
    /// # Errors
    /// When the database refuses: the interval is kept, in memory and in the buffer, and tried again next time.
    pub async fn finish(&mut self, tables: &mut Tables, quiet: Quiet) -> anyhow::Result<()> {
        let table_id = tables.table_id()?;
        let epoch = EpochId { boot_id: self.boot_id.clone(), table_id, epoch: quiet.epoch };
        if !self.journal.is_drained(epoch.clone()).await? {
            let batch = match self.unwritten.take() {
                Some((of, batch)) if of == epoch => batch,
                _ => Arc::new(self.read(tables, quiet, epoch.clone())?),
            };
            (self.watch)(Step::Read);
            if let Err(error) = self.journal.append(Arc::clone(&batch)).await {
                self.unwritten = Some((epoch, batch));
                return Err(error.context(format!("store the interval {}", quiet.epoch)));
            }
            (self.watch)(Step::Commit);
        }
        tables.zero(quiet)?;
        (self.watch)(Step::Zero);
        Ok(())
    }

    fn read(&mut self, tables: &Tables, quiet: Quiet, epoch: EpochId) -> anyhow::Result<Batch> {
        let (flows, stats) = tables.read(quiet)?;
        let interval = Interval::anchored(quiet.began, quiet.ended, clock::now()?, clock::CLOCK_FLOOR);
        let drained = Drained { epoch, interval, flows, stats };
        let mut batch = self.pipeline.handle_drain(drained, self.networks.as_ref());
        self.leases.tell(&mut batch);
        let privacy = self.pipeline.privacy();
        batch.devices.retain(|fact| privacy.level_of(fact.device) != Level::LeaveOut);
        if let Err(imbalance) = batch.check_conservation() {
            // Never silent: it goes into the log and, by name, into the ledger of the interval.
            tracing::error!("interval {}: {imbalance}", quiet.epoch);
            let packets = imbalance.seen_packets.abs_diff(imbalance.accounted_packets);
            let bytes = Some(imbalance.seen_bytes.abs_diff(imbalance.accounted_bytes));
            batch.ledger.push(LedgerLine { counter: "imbalance".to_owned(), packets, bytes });
        }
        for (counter, packets) in std::mem::take(&mut self.events) {
            batch.ledger.push(LedgerLine { counter: counter.to_owned(), packets, bytes: None });
        }
        batch.ledger.sort();
        tracing::debug!(
            "interval {}: {} rows, {} bytes",
            quiet.epoch,
            batch.rows.len(),
            batch.stored().bytes()
        );
        Ok(batch)
    }

    /// Closes the database.
    pub fn close(self) {
        self.journal.close();
    }
}
