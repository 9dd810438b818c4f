//! `cargo xtask year`: a made-up year of a household in a database, and what it costs to write and to read it.

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use std::ffi::OsString;
use std::process::Command;

/// Fill a database with a made-up year of a household, and measure what that costs
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cargo xtask year --out /tmp/year.db
  cargo xtask year --out /tmp/year.db --only-measure
  cargo xtask year --out /tmp/flash.db --days 20 --fine-days 14 --router     what flash has to take
  cargo xtask year -- --help                     all that can be set")]
pub struct Arguments {
    /// Handed to the program that does it, gateway-user/examples/year
    #[arg(value_name = "ARGUMENT", trailing_var_arg = true, allow_hyphen_values = true)]
    handed_on: Vec<OsString>,
}

/// Runs the command.
///
/// # Errors
/// If the program does not build, or fails.
pub fn run(arguments: &Arguments) -> Result<()> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["run", "--quiet", "--release", "--package", "gateway-user", "--example", "year", "--"]);
    let status = cargo.args(&arguments.handed_on).status().context("run cargo")?;
    ensure!(status.success(), "the year was not made: {status}");
    Ok(())
}
