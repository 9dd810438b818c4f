//! `telltale run` and `telltale detach`.

use super::{Outcome, doctor};
use crate::{
    alert::Alerts,
    config::{Config, ConfigFlags, DEFAULT_FILE},
    daemon::{self, Daemon, RunOptions},
    deliver::worker::Workers,
    nightly::Nights,
    tables::update,
    telemetry,
};
use anyhow::Context;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Count what the phones on this network send, until told to stop
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  telltale run                                   find the LAN, count, keep it in the default database
  telltale run --interface br-lan --log debug    count on one network
  telltale run --database /tmp/t.db --drain-every-secs 5

Stop it with Ctrl-C or SIGTERM: it drains once more. The hooks stay in the kernel and go on
counting, so that a restart or an upgrade misses nothing; telltale detach removes them.")]
pub struct RunArgs {
    #[command(flatten)]
    flags: ConfigFlags,
    #[command(flatten)]
    places: PlaceFlags,
    /// Seconds between drains, 1 to 3600
    #[arg(long, value_name = "SECS", value_parser = clap::value_parser!(u32).range(1..=3600))]
    drain_every_secs: Option<u32>,
    /// Unhook every port at the end, instead of leaving the hooks to count
    #[arg(long)]
    detach_at_exit: bool,
    /// Hook by clsact even where the kernel has tcx
    #[arg(long)]
    no_tcx: bool,
}

/// Remove the hooks from the kernel, after storing what they have counted
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  telltale detach                                after the daemon was stopped for good")]
pub struct DetachArgs {
    #[command(flatten)]
    flags: ConfigFlags,
    #[command(flatten)]
    places: PlaceFlags,
}

#[derive(Debug, clap::Args)]
struct PlaceFlags {
    /// Directory on a BPF file system where maps and hooks are pinned
    #[arg(long, value_name = "DIR")]
    pin_dir: Option<PathBuf>,
}

impl PlaceFlags {
    fn apply(&self, config: &mut Config) {
        if let Some(pin_dir) = &self.pin_dir {
            config.pin_dir.clone_from(pin_dir);
        }
    }
}

/// Runs the daemon in the foreground.
///
/// # Errors
/// Whatever keeps it from counting.
pub fn run(args: &RunArgs) -> anyhow::Result<Outcome> {
    let mut config = Config::load(&args.flags)?;
    args.places.apply(&mut config);
    if let Some(secs) = args.drain_every_secs {
        config.drain_every_secs = secs;
    }
    doctor::refuse_if_hopeless()?;
    telemetry::start(config.log);
    if args.flags.config.is_none() && !Path::new(DEFAULT_FILE).exists() {
        tracing::info!("there is no {DEFAULT_FILE}: using the defaults");
    }
    update::every::start(&config, args.flags.config.as_deref()).context("start the thread that updates")?;
    let options = RunOptions {
        detaches_at_exit: args.detach_at_exit,
        is_tcx_off: args.no_tcx,
        ..RunOptions::default()
    };
    runtime()?.block_on(async {
        // Only once it counts: another daemon that runs is the one that writes and delivers.
        let daemon = Daemon::start(config.clone(), options).await?;
        let workers = Arc::new(Workers::start(&config).context("start the threads that deliver")?);
        let file = args.flags.config.as_deref();
        let _nights = Nights::start(&config, file, Arc::clone(&workers))
            .context("start the thread that writes summaries")?;
        let _alerts = Alerts::start(&config, file, workers).context("start the thread that checks alerts")?;
        daemon.run().await
    })?;
    Ok(Outcome::Found)
}

/// Removes hooks and maps.
///
/// # Errors
/// When what was counted cannot be stored: then nothing is removed that holds counts.
pub fn detach(args: &DetachArgs) -> anyhow::Result<Outcome> {
    let mut config = Config::load(&args.flags)?;
    args.places.apply(&mut config);
    doctor::refuse_if_hopeless()?;
    telemetry::start(config.log);
    if runtime()?.block_on(daemon::detach(&config))? {
        return Ok(Outcome::Found);
    }
    eprintln!("telltale: nothing is pinned at {}", config.pin_dir.display());
    Ok(Outcome::Nothing)
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context("start the event loop")
}
