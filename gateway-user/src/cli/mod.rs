//! The command line: one file per subcommand. Each says what to print; none decides anything about traffic.
//!
//! Exit codes, for every command: 0 found (or done), 1 nothing found, 2 failed; 3 where an `--alert` was passed.

pub mod alert;
mod alerts;
pub mod ask;
mod compare;
mod complete;
pub mod completions;
pub mod csv;
mod db;
pub mod deliver;
pub mod devices;
mod doctor;
pub mod explain;
pub mod flows;
pub mod man;
mod new;
mod night;
pub mod rank;
pub mod replay;
pub mod report;
mod run;
pub mod screen;
mod sql;
mod summary;
mod timeline;
pub mod top;
mod update;
pub mod when;
mod who;

use clap::{Parser, Subcommand};
use std::io::{BufWriter, Write};
use std::process::ExitCode;

/// Tells what the phones on a network send, to whom, and how much.
#[derive(Debug, Parser)]
#[command(name = "telltale", version, max_term_width = 100, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 found or done, 1 nothing found (the reason is on standard error), 2 failed, 3 an --alert was \
    passed.";

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::RunArgs),
    Replay(replay::Args),
    Report(report::Args),
    Summary(summary::Args),
    Top(top::Args),
    Flows(flows::Args),
    New(new::Args),
    Timeline(timeline::Args),
    Compare(compare::Args),
    Explain(explain::Args),
    Who(who::Args),
    Devices(devices::Args),
    Sql(sql::Args),
    Db(db::Args),
    Update(update::Args),
    Deliver(deliver::Args),
    Alerts(alerts::Args),
    Doctor(doctor::DoctorArgs),
    Detach(run::DetachArgs),
    Completions(completions::Args),
    Complete(complete::Args),
    Man(man::Args),
    Night(night::Args),
}

/// How a command that did not fail ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// There was an answer, or the work is done. Exit code 0.
    Found,
    /// The answer is empty; the command has said why. Exit code 1.
    Nothing,
    /// An alert was passed. Exit code 3.
    Passed,
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli.command) {
        Ok(Outcome::Found) => ExitCode::SUCCESS,
        Ok(Outcome::Nothing) => ExitCode::from(1),
        Ok(Outcome::Passed) => ExitCode::from(3),
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            // Whoever closed standard error wants to hear nothing; the exit code still tells.
            let _ = writeln!(std::io::stderr(), "telltale: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(command: Command) -> anyhow::Result<Outcome> {
    // Errors of writing come out of `write_all` and `flush`, not out of a panicking macro.
    let mut out = BufWriter::new(std::io::stdout().lock());
    let outcome = match command {
        Command::Run(args) => run::run(&args)?,
        Command::Detach(args) => run::detach(&args)?,
        Command::Doctor(args) => doctor::run(&args)?,
        Command::Deliver(args) => deliver::run(&args, &mut out)?,
        Command::Alerts(args) => alerts::run(&args, &mut out)?,
        Command::Update(args) => update::run(&args, &mut out)?,
        Command::Replay(args) => replay::run(&args, &mut out)?,
        Command::Report(args) => report::run(&args, &mut out)?,
        Command::Summary(args) => summary::run(&args, &mut out)?,
        Command::Top(args) => top::run(&args, &mut out)?,
        Command::Flows(args) => flows::run(&args, &mut out)?,
        Command::New(args) => new::run(&args, &mut out)?,
        Command::Timeline(args) => timeline::run(&args, &mut out)?,
        Command::Compare(args) => compare::run(&args, &mut out)?,
        Command::Explain(args) => explain::run(&args, &mut out)?,
        Command::Who(args) => who::run(&args, &mut out)?,
        Command::Devices(args) => devices::run(&args, &mut out)?,
        Command::Sql(args) => sql::run(&args, &mut out)?,
        Command::Db(args) => db::run(&args, &mut out)?,
        Command::Completions(args) => completions::run(&args, &mut out)?,
        Command::Complete(args) => complete::run(&args, &mut out)?,
        Command::Man(args) => man::run(&args, &mut out)?,
        Command::Night(args) => night::run(&args, &mut out)?,
    };
    out.flush()?;
    Ok(outcome)
}

/// Did the reader of our output go away (`telltale flows | head`)? That is no failure.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
    })
}
