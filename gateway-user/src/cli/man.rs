//! `telltale man`: the manual pages, made from the same words as `--help`.

use super::{Cli, Outcome};
use anyhow::Context;
use clap::CommandFactory;
use std::io::Write;
use std::path::PathBuf;

/// Prints the manual page, or writes one page per command into a directory.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  telltale man | man -l -\n  telltale man /usr/local/share/man/man1")]
pub struct Args {
    /// Where to write the pages; without it the main page goes to standard output.
    directory: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// If the pages cannot be written.
pub fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    match &args.directory {
        Some(directory) => {
            std::fs::create_dir_all(directory)
                .with_context(|| format!("make the directory {}", directory.display()))?;
            clap_mangen::generate_to(Cli::command(), directory)
                .with_context(|| format!("write the manual pages to {}", directory.display()))?;
        }
        None => clap_mangen::Man::new(Cli::command()).render(&mut &mut *out)?,
    }
    Ok(Outcome::Found)
}
