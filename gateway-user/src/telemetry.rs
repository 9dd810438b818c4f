//! What the program says of itself: its log on standard error, and the kernel program's words in it.

use crate::config::Level;
use std::io::IsTerminal;
use tracing::level_filters::LevelFilter;

/// Starts the log. Times are left to whoever collects standard error, unless that is a person's terminal.
pub fn start(level: Level) {
    let filter = match level {
        Level::Off => LevelFilter::OFF,
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
        Level::Trace => LevelFilter::TRACE,
    };
    let is_terminal = std::io::stderr().is_terminal();
    let wants_colour = is_terminal && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    let log = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(filter)
        .with_target(false)
        .with_ansi(wants_colour)
        .without_time();
    // A second start (tests in one process) keeps the first.
    let _ = log.try_init();
}

/// Takes the kernel program's lines into the log.
#[derive(Debug, Default)]
pub struct KernelWords;

impl log::Log for KernelWords {
    fn enabled(&self, _metadata: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let words = record.args();
        match record.level() {
            log::Level::Error => tracing::error!("kernel: {words}"),
            log::Level::Warn => tracing::warn!("kernel: {words}"),
            log::Level::Info => tracing::info!("kernel: {words}"),
            log::Level::Debug => tracing::debug!("kernel: {words}"),
            log::Level::Trace => tracing::trace!("kernel: {words}"),
        }
    }

    fn flush(&self) {}
}
