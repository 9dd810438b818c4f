//! `telltale completions`: what a shell needs to complete our commands.

use super::complete::asking;
use super::{Cli, Outcome};
use clap::CommandFactory;
use clap_complete::Shell;
use std::io::Write;

/// Prints completions for a shell. In bash, zsh and fish they know the devices and owners by asking this program.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  telltale completions bash > /usr/share/bash-completion/completions/telltale"
)]
pub struct Args {
    /// The shell.
    shell: Shell,
}

/// Runs the command.
///
/// # Errors
/// If the output cannot be written.
pub fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    // Into memory first: the generator panics where the output goes away.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "telltale", &mut script);
    let script = String::from_utf8(script)?;
    out.write_all(asking(args.shell, &script).as_bytes())?;
    Ok(Outcome::Found)
}
