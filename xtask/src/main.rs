//! `cargo xtask`: builds, tests and tries Telltale; ships nothing. One file per command.

mod bench;
mod corpus;
mod demo;
mod ebpf;
mod fuzz;
mod geo;
mod hold;
mod owners;
mod page;
mod suffixes;
mod test;
mod tidy;
mod vendors;
mod year;

use clap::{Parser, Subcommand};
use std::io::Write as _;
use std::process::ExitCode;
use xtask::lab;

/// Helps people build, test and try Telltale
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measures what counting costs; ratios count, nanoseconds are this machine's
    Bench(bench::Arguments),
    /// Scores replays of captures whose truth is known, in the folder that TELLTALE_CORPUS names
    Corpus,
    /// Shows Telltale at work: an evening in a household of network namespaces, and the summary of it (root)
    Demo(demo::Arguments),
    /// Builds the household of network namespaces and holds it until Ctrl-C (root)
    Lab(hold::Arguments),
    /// Builds the kernel objects that the daemon embeds
    Ebpf(ebpf::Arguments),
    /// Gives every reader hostile input; needs a nightly compiler and cargo-fuzz
    Fuzz(fuzz::Arguments),
    /// Builds the embedded network table (address to ASN, organisation, country) from MMDB files
    Geo(geo::GeoArgs),
    /// Builds the embedded table of owners (name to company and purpose) from its TOML files
    Owners(owners::OwnersArgs),
    /// Looks at the golden HTML pages in a real browser: light, dark, narrow, print
    Page,
    /// Builds the embedded table of public suffixes from the published list
    Suffixes(suffixes::SuffixesArgs),
    /// Checks everything that this machine can check; the last line is the sum
    Test(test::Arguments),
    /// Checks the house rules that a program can check
    Tidy,
    /// Makes traffic inside a namespace of the lab
    Traffic {
        #[command(subcommand)]
        kind: Traffic,
    },
    /// Counts what a device's own interface exchanges with the gateway, until standard input ends
    Truth {
        /// The device's interface, in the current network namespace
        interface: String,
        /// The gateway's MAC address
        #[arg(long, value_parser = parse_mac)]
        gateway_mac: [u8; 6],
    },
    /// Builds the embedded tables of MAC prefixes (who made a network interface) from the IEEE's registry
    Vendors(vendors::VendorsArgs),
    /// Fills a database with a made-up year of a household, and measures what that costs
    Year(year::Arguments),
    /// Removes a run of the lab when standard input ends
    #[command(name = lab::run::CLEANER_COMMAND, hide = true)]
    LabCleaner {
        /// The run's name
        run: String,
    },
}

#[derive(Subcommand)]
enum Traffic {
    /// Answers all kinds of traffic until standard input ends
    Serve,
    #[command(flatten)]
    Make(lab::traffic::Traffic),
}

fn main() -> ExitCode {
    match run(CommandLine::parse().command) {
        Ok(code) => code,
        Err(error) => {
            // If even this cannot be written there is no one to tell.
            let _ = writeln!(std::io::stderr(), "xtask: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    let done = match command {
        Command::Test(arguments) => return test::run(&arguments),
        Command::Corpus => return corpus::run(),
        Command::Page => return page::run(),
        Command::Tidy => {
            let is_tidy = tidy::run(&mut std::io::stdout())?;
            return Ok(if is_tidy { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Lab(arguments) => hold::run(&arguments),
        Command::Ebpf(arguments) => ebpf::run(&arguments),
        Command::Fuzz(arguments) => fuzz::run(&arguments),
        Command::Geo(arguments) => geo::run(&arguments),
        Command::Owners(arguments) => owners::run(&arguments),
        Command::Suffixes(arguments) => suffixes::run(&arguments),
        Command::Traffic { kind: Traffic::Serve } => lab::traffic::serve_until_end_of_input(),
        Command::Traffic { kind: Traffic::Make(traffic) } => {
            let sent = serde_json::to_string(&traffic.make()?)?;
            Ok(writeln!(std::io::stdout(), "{sent}")?)
        }
        Command::Truth { interface, gateway_mac } => {
            lab::truth::count_until_end_of_input(&interface, gateway_mac)
        }
        Command::Vendors(arguments) => vendors::run(&arguments),
        Command::Year(arguments) => year::run(&arguments),
        Command::LabCleaner { run } => lab::run::clean_at_end_of_input(&run),
    };
    done.map(|()| ExitCode::SUCCESS)
}

fn parse_mac(text: &str) -> Result<[u8; 6], String> {
    let bytes: Option<Vec<u8>> = text.split(':').map(|part| u8::from_str_radix(part, 16).ok()).collect();
    bytes
        .and_then(|b| b.try_into().ok())
        .ok_or_else(|| "a MAC address looks like 7c:03:ab:5e:08:01".to_owned())
}
