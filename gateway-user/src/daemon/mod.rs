//! `telltale run`: count until told to stop.
//!
//! One task owns the pipeline and the tables and hears of everything as an event: time to drain, samples waiting,
//! ports that came or went, a signal. SQLite has a thread of its own. Stopping drains once more and, unless
//! asked, leaves the hooks counting: the next start takes over what they counted meanwhile.

mod drain;
mod ports;

pub use drain::{Drainer, Step, Watch};

use crate::{
    config::{Config, table_sizes, total_memory_bytes},
    journal::Journal,
    kernel::{
        Attachments, Geometry, Hold, Kernel, KernelLog, LoadOptions, Loaded, PinDirectory, Tables, readable,
        return_free_memory,
    },
    leases::Leases,
    links::{self, Discovery},
    privacy::Levels,
    tables::{self, embedded, update::slot::directory_of},
    telemetry::KernelWords,
};
use anyhow::Context;
use aya_log::EbpfLogger;
use gateway_common::SampleHeader;
use gateway_core::enrich::Networks;
use gateway_core::enrich::envelope::TableKind;
use gateway_core::pipeline::{Pipeline, PipelineConfig};
use std::{os::fd::OwnedFd, time::Duration};
use tokio::{
    io::unix::AsyncFd,
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
    time::{Instant, MissedTickBehavior, interval_at},
};

/// Above this share of taken slots the drain does not wait for its time.
const FILL_TO_DRAIN: f64 = 0.6;
/// How often the fill is looked at.
const FILL_CHECK_EVERY: Duration = Duration::from_secs(1);
/// Samples taken from a ring at one turn, so that a flood of them keeps nobody waiting.
const SAMPLES_PER_TURN: u64 = 256;

/// What `telltale run` adds to the configuration.
#[derive(Default)]
pub struct RunOptions {
    /// Unhook every port at the end, instead of leaving the hooks to count.
    pub detaches_at_exit: bool,
    /// Do not try tcx.
    pub is_tcx_off: bool,
    /// Called after each step of a drain.
    pub watch: Option<Watch>,
    /// Drain this often, whatever the configuration says: tests have no seconds to wait.
    pub drain_every: Option<Duration>,
}

/// The daemon, ready to count.
pub struct Daemon {
    config: Config,
    options: RunOptions,
    kernel: Kernel,
    attachments: Attachments,
    drainer: Drainer,
    levels: Levels,
    ports: watch::Receiver<Discovery>,
    log: Option<KernelLogReader>,
    stop: Stop,
    /// The failure that was said last, until a drain succeeds.
    said: Option<String>,
    _hold: Hold,
}

impl Daemon {
    /// Opens everything, hooks the ports and finishes what an earlier daemon left. Counting has begun when this
    /// returns.
    ///
    /// # Errors
    /// Whatever a person must act on: no privileges, no BPF, no such interface, no database.
    pub async fn start(config: Config, mut options: RunOptions) -> anyhow::Result<Self> {
        // Alone before all: opening the database may bring it up to date, under the eyes of a daemon of an older
        // version. Then the database: without it there is no use in hooking anything.
        let hold = Hold::take(&config.pin_dir)?;
        let journal = Journal::open(&config.database, config.keep)?;
        let ports = links::follow(config.interfaces.clone()).await?;
        let pins = PinDirectory::open(&config.pin_dir)?;
        let log = KernelLog::from_word(config.kernel_log.word()).unwrap_or_default();
        let load = LoadOptions { geometry: geometry_of(&config)?, wants_samples: config.sampling, log };
        let Loaded { mut kernel, left_over, notes } = Kernel::load(&pins, &load)?;
        for note in notes {
            tracing::warn!("{note}");
        }
        // After the kernel: the loader's own needs, which are larger, are then free again.
        let networks = networks_of(&config)?;
        journal.set_tables_date(networks.as_of()).await?;
        if !kernel.tables.is_begun()? {
            kernel.tables.begin(Tables::new_table_id(), crate::clock::now()?.boot)?;
        }
        let log = match log.is_on() {
            true => Some(KernelLogReader::new(kernel.logger(KernelWords)?)?),
            false => None,
        };
        let mut levels = Levels::new(&config)?;
        let mut pipeline = pipeline_of(&config);
        pipeline.set_privacy(levels.now()?);
        let watch = options.watch.take().unwrap_or_else(|| Box::new(|_| {}));
        let mut drainer = Drainer::new(pipeline, networks, journal, watch)?;
        drainer.leases = Leases::new(&config.leases);
        drainer.remember(&kernel.tables).await?;
        let attachments = Attachments::new(options.is_tcx_off);
        // Before it says that it counts: whoever asks it to stop from then on is heard.
        let stop = Stop::listen()?;
        let mut daemon = Self {
            config,
            options,
            kernel,
            attachments,
            drainer,
            levels,
            ports,
            log,
            stop,
            said: None,
            _hold: hold,
        };
        daemon.hook_ports()?;
        daemon.say_ready();
        daemon.take_waiting_samples();
        daemon.drainer.finish_left_over(&mut daemon.kernel.tables).await?;
        for (path, mut tables) in left_over {
            drain_whole(&mut daemon.drainer, &mut tables).await?;
            daemon.kernel.pins.remove(&path)?;
            tracing::info!("the tables have a new shape; what the old ones held is stored");
        }
        return_free_memory();
        Ok(daemon)
    }

    /// Counts until SIGTERM or SIGINT, then drains once more.
    ///
    /// # Errors
    /// When the last drain cannot be stored: its counts stay in the kernel for the next start.
    pub async fn run(mut self) -> anyhow::Result<()> {
        let every = Duration::from_secs(u64::from(self.config.drain_every_secs));
        let every = self.options.drain_every.unwrap_or(every);
        let mut drain_time = interval_at(Instant::now() + every, every);
        drain_time.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut fill_time = interval_at(Instant::now() + FILL_CHECK_EVERY, FILL_CHECK_EVERY);
        fill_time.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let names = readable(&self.kernel.names)?;
        let hellos = readable(&self.kernel.hellos)?;
        loop {
            tokio::select! {
                biased;
                () = self.stop.asked() => break,
                changed = self.ports.changed() => {
                    changed.context("follow the network interfaces")?;
                    self.follow_ports();
                }
                _ = drain_time.tick() => self.drain_or_say().await,
                _ = fill_time.tick() => if self.kernel.tables.fill() > FILL_TO_DRAIN {
                    self.drain_or_say().await;
                },
                // Both rings at every turn: a flood in one must not starve the other.
                ready = names.readable() => {
                    let mut ready = ready.context("wait for samples")?;
                    self.take_hellos(SAMPLES_PER_TURN);
                    if self.take_names(SAMPLES_PER_TURN) < SAMPLES_PER_TURN {
                        ready.clear_ready();
                    }
                }
                ready = hellos.readable() => {
                    let mut ready = ready.context("wait for samples")?;
                    if self.take_hellos(SAMPLES_PER_TURN) < SAMPLES_PER_TURN {
                        ready.clear_ready();
                    }
                }
                () = KernelLogReader::flush(&mut self.log) => {}
            }
        }
        self.end().await
    }

    async fn end(mut self) -> anyhow::Result<()> {
        tracing::info!("stopping: draining once more");
        self.look_after_hooks();
        if self.options.detaches_at_exit {
            self.attachments.detach_all(&self.kernel.pins)?;
        }
        self.drain().await.context("drain once more (the counts stay in the kernel for the next start)")?;
        if !self.options.detaches_at_exit {
            self.drainer.keep(&self.kernel.tables).await?;
        }
        if self.options.detaches_at_exit {
            let maps = self.kernel.pins.maps(&self.kernel.tables.geometry());
            self.kernel.pins.remove(&maps)?;
            self.kernel.pins.remove_if_empty();
        } else if self.attachments.ports().next().is_some() {
            tracing::info!(
                "the hooks go on counting; the next start takes over (telltale detach removes them)"
            );
        }
        self.drainer.close();
        Ok(())
    }

    /// One drain: the samples of the interval are learned from before its rows are made.
    async fn drain(&mut self) -> anyhow::Result<()> {
        let quiet = self.drainer.turn(&mut self.kernel.tables).await?;
        self.take_waiting_samples();
        self.follow_labels();
        self.drainer.finish(&mut self.kernel.tables, quiet).await?;
        return_free_memory();
        Ok(())
    }

    /// A label that was given or taken changes levels from this drain on. While it cannot be read, they stay.
    fn follow_labels(&mut self) {
        if !self.levels.follow_labels() {
            return;
        }
        match self.levels.now() {
            Ok(privacy) => self.drainer.pipeline.set_privacy(privacy),
            Err(error) => tracing::debug!("look the labels of [privacy] up: {error:#}"),
        }
    }

    /// Says a failure once, and again only when it is another one: a full disk must not fill the log too.
    async fn drain_or_say(&mut self) {
        self.look_after_hooks();
        match self.drain().await {
            Ok(()) => self.said = None,
            Err(error) => {
                let words = format!("{error:#}");
                if self.said.as_ref() != Some(&words) {
                    tracing::error!(
                        "{words}; every byte is still counted and it is tried again at each drain, but peers are lost once the tables are full"
                    );
                    self.said = Some(words);
                }
            }
        }
    }

    /// Takes what waits in both rings now. A producer that is faster than this daemon cannot keep it here: no more
    /// is taken than the rings can hold.
    fn take_waiting_samples(&mut self) {
        let Geometry { ring_names_bytes, ring_hellos_bytes, .. } = self.kernel.tables.geometry();
        let most = |ring_bytes: u32| u64::from(ring_bytes) / size_of::<SampleHeader>() as u64;
        self.take_names(most(ring_names_bytes));
        self.take_hellos(most(ring_hellos_bytes));
    }

    fn take_names(&mut self, limit: u64) -> u64 {
        let Self { kernel, drainer, .. } = self;
        let taken = kernel.names.take(limit, |header, bytes| drainer.pipeline.handle_sample(header, bytes));
        drainer.note("samples_broken", taken.broken);
        taken.samples + taken.broken
    }

    fn take_hellos(&mut self, limit: u64) -> u64 {
        let Self { kernel, drainer, .. } = self;
        let taken = kernel.hellos.take(limit, |header, bytes| drainer.pipeline.handle_sample(header, bytes));
        drainer.note("samples_broken", taken.broken);
        taken.samples + taken.broken
    }
}

/// What knows the networks; what is wrong with an updated table is in the log.
fn networks_of(config: &Config) -> anyhow::Result<Box<dyn Networks + Send + Sync>> {
    let updates = directory_of(&config.database);
    let tables::Loaded { networks, warnings } =
        tables::load(embedded::packed(TableKind::Networks), Some(&updates), &config.network_tables)?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    Ok(networks)
}

/// Unhooks every port, stores what the kernel still holds, and removes all that is pinned.
///
/// # Errors
/// When something cannot be stored: then it stays in the kernel.
pub async fn detach(config: &Config) -> anyhow::Result<bool> {
    if !config.pin_dir.exists() {
        return Ok(false);
    }
    let _hold = Hold::take(&config.pin_dir)?;
    let pins = PinDirectory::open(&config.pin_dir)?;
    let geometry = geometry_of(config)?;
    let networks = networks_of(config)?;
    let journal = Journal::open(&config.database, config.keep)?;
    journal.set_tables_date(networks.as_of()).await?;
    let mut pipeline = pipeline_of(config);
    pipeline.set_privacy(Levels::new(config)?.now()?);
    // Through the loader, which checks every pinned map before it is trusted.
    let load = LoadOptions { geometry, wants_samples: false, log: KernelLog::default() };
    let Loaded { mut kernel, left_over, notes } = Kernel::load(&pins, &load)?;
    for note in notes {
        tracing::warn!("{note}");
    }
    Attachments::detach_where(&pins, |_| true)?;
    let mut drainer = Drainer::new(pipeline, networks, journal, Box::new(|_| {}))?;
    if kernel.tables.is_begun()? {
        drainer.remember(&kernel.tables).await?;
        let Kernel { names, hellos, tables, .. } = &mut kernel;
        for ring in [names, hellos] {
            ring.take(u64::MAX, |header, bytes| drainer.pipeline.handle_sample(header, bytes));
        }
        drain_whole(&mut drainer, tables).await?;
    }
    pins.remove(&pins.maps(&geometry))?;
    for (path, mut tables) in left_over {
        drain_whole(&mut drainer, &mut tables).await?;
        pins.remove(&path)?;
    }
    pins.remove_if_empty();
    drainer.close();
    Ok(true)
}

/// Stores both buffers of tables that nothing counts into any more.
async fn drain_whole(drainer: &mut Drainer, tables: &mut Tables) -> anyhow::Result<()> {
    let quiet = drainer.turn(tables).await?;
    drainer.finish(tables, quiet).await
}

fn pipeline_of(config: &Config) -> Pipeline {
    Pipeline::new(PipelineConfig {
        local: config.local_networks.clone(),
        excluded: config.excluded_networks.clone(),
        ..PipelineConfig::default()
    })
}

fn geometry_of(config: &Config) -> anyhow::Result<Geometry> {
    let cpus = Geometry::possible_cpus()?;
    let sizes = table_sizes(total_memory_bytes()?, cpus as usize, config.fast_slots_per_cpu);
    Ok(Geometry {
        cpus,
        fast_slots: sizes.fast_slots_per_cpu,
        coarse_cells: sizes.coarse_cells_per_cpu,
        exact_entries: sizes.exact_entries,
        ring_names_bytes: sizes.ring_names_bytes,
        ring_hellos_bytes: sizes.ring_hellos_bytes,
    })
}

/// The kernel program's words and the handle to wait for them on.
struct KernelLogReader {
    words: EbpfLogger<KernelWords>,
    handle: AsyncFd<OwnedFd>,
}

impl KernelLogReader {
    fn new(words: EbpfLogger<KernelWords>) -> anyhow::Result<Self> {
        Ok(Self { handle: readable(&words)?, words })
    }

    /// Hands on what the kernel program has said; never done if nobody listens.
    async fn flush(log: &mut Option<Self>) {
        let Some(Self { words, handle }) = log else { return std::future::pending().await };
        if let Ok(mut ready) = handle.readable().await {
            words.flush();
            ready.clear_ready();
        }
    }
}

/// SIGTERM and SIGINT.
struct Stop {
    term: Signal,
    int: Signal,
}

impl Stop {
    fn listen() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("listen for signals");
        Ok(Self { term: listen(SignalKind::terminate())?, int: listen(SignalKind::interrupt())? })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.int.recv() => {}
        }
    }
}
