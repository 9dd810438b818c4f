//! The command line: one file per subcommand. Each says what to print; none decides anything about traffic.
//!
//! Exit codes, for every command: 0 found (or done), 1 nothing found, 2 failed.

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Tells what the phones on a network send, to whom, and how much.
#[derive(Debug, Parser)]
#[command(name = "telltale", version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// x
    X,
}

/// How a command that did not fail ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// There was an answer, or the work is done. Exit code 0.
    Found,
    /// The answer is empty; the command has said why. Exit code 1.
    Nothing,
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli.command) {
        Ok(Outcome::Found) => ExitCode::SUCCESS,
        Ok(Outcome::Nothing) => ExitCode::from(1),
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("telltale: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(command: Command) -> anyhow::Result<Outcome> {
    match command { Command::X => Ok(Outcome::Found) }
}

/// Did the reader of our output go away (`telltale flows | head`)? That is no failure.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
    })
}
