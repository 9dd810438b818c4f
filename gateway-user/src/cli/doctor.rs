//! `telltale doctor`: can this machine count? Looks and changes nothing.
//!
//! Each check is a pure function from what was found to a verdict, tested without any machine; the finding is done
//! here and in the submodules' `look` functions. Exit code 0 when the machine can count, warnings or not; 2 when it
//! cannot. A warning costs numbers or speed and says which; a problem stops the counting and says what to do.

mod check;
mod machine;
mod network;
mod night;
mod place;

use crate::cli::Outcome;
use crate::config::{Config, ConfigFlags};
use crate::links::{self, Discovery, Selection, Snapshot};
use anyhow::{Context, bail};
use check::{Check, Verdict};
use serde::Serialize;
use std::io::Write;

/// Can this machine count? Looks at kernel, privileges, interfaces, offloads, clock and disk; changes nothing
#[derive(Debug, clap::Args)]
pub struct DoctorArgs {
    #[command(flatten)]
    config: ConfigFlags,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// All findings.
#[derive(Debug, Serialize)]
struct Report {
    /// No check found a problem.
    can_count: bool,
    checks: Vec<Check>,
    ports: Vec<PortLine>,
    passed_over: Vec<PassedOver>,
}

/// A port, as printed.
#[derive(Debug, Serialize)]
struct PortLine {
    name: String,
    network: String,
    gateway_macs: Vec<String>,
    also_carries: Vec<String>,
    why: String,
}

/// An interface left out, as printed.
#[derive(Debug, Serialize)]
struct PassedOver {
    name: String,
    why: String,
}

/// Runs the checks and prints them.
///
/// # Errors
/// When the configuration cannot be read, the output not written, or the machine cannot count.
pub fn run(args: &DoctorArgs) -> anyhow::Result<Outcome> {
    let config = Config::load(&args.config)?;
    let report = examine(&config)?;
    let mut out = std::io::stdout().lock();
    if args.json {
        serde_json::to_writer_pretty(&mut out, &report).map_err(std::io::Error::from)?;
        writeln!(out)?;
    } else {
        print(&report, &mut out)?;
    }
    out.flush()?;
    if report.can_count {
        return Ok(Outcome::Found);
    }
    let problems: Vec<&str> =
        report.checks.iter().filter(|c| c.verdict == Verdict::Problem).map(|c| c.name).collect();
    bail!("this machine cannot count yet, because of: {}", problems.join(", "));
}

/// Refuses, in one line with its remedy, where this machine or our privileges can never count.
///
/// # Errors
/// When that is so.
pub fn refuse_if_hopeless() -> anyhow::Result<()> {
    match machine::hindrance() {
        Some(check) => bail!("{}: {}", check.finding, check.remedy.unwrap_or_default()),
        None => Ok(()),
    }
}

fn examine(config: &Config) -> anyhow::Result<Report> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let snapshot = runtime.context("start the event loop")?.block_on(links::read_snapshot());
    let found = snapshot.as_ref().map(|snapshot| find(snapshot, &config.interfaces));
    let (ports_check, discovery) = network::interfaces(&found);

    let mut checks = machine::look();
    checks.push(place::bpffs(&place::look_at_pins(&config.pin_dir)));
    checks.push(ports_check);
    checks.extend(discovery.ports.iter().filter_map(network::shared_port));
    let below = snapshot.as_ref().map(|s| network::names_below(s, &discovery.ports)).unwrap_or_default();
    checks.push(network::offload(&network::look_at_offload(), &below));
    checks.extend(network::look_at_neighbours(&discovery.ports));
    checks.extend(place::look_at_clock(&config.database)?);
    checks.push(place::database(&place::look_at_database(&config.database)));
    checks.extend(night::look(&config.database));

    let Discovery { ports, passed_over, own_prefixes: _ } = discovery;
    Ok(Report {
        can_count: checks.iter().all(|c| c.verdict != Verdict::Problem),
        checks,
        ports: ports.into_iter().map(port_line).collect(),
        passed_over: passed_over.into_iter().map(|(name, why)| PassedOver { name, why }).collect(),
    })
}

/// The discovery, or what is wrong with the names that were asked for.
fn find(snapshot: &Snapshot, selection: &Selection) -> Result<Discovery, links::SelectionError> {
    links::check_named(snapshot, selection).map(|()| links::decide(snapshot, selection))
}

fn port_line(port: links::Port) -> PortLine {
    let links::Port { index: _, name, mac: _, gateway_macs, network, also_carries, why } = port;
    let gateway_macs = gateway_macs.iter().map(|mac| gateway_core::units::Mac(*mac).to_string()).collect();
    PortLine { name, network, gateway_macs, also_carries, why }
}

/// Findings start in this column.
const COLUMN: usize = 22;

fn print(report: &Report, out: &mut impl Write) -> std::io::Result<()> {
    for check in &report.checks {
        writeln!(out, "{:<8} {:<12} {}", check.verdict.word(), check.name, check.finding)?;
        if let Some(remedy) = &check.remedy {
            writeln!(out, "{:COLUMN$}{remedy}", "")?;
        }
    }
    if !report.ports.is_empty() {
        writeln!(out, "\nCounted on:")?;
    }
    for port in &report.ports {
        writeln!(out, "  {:<15} {}; the gateway is {}", port.name, port.why, port.gateway_macs.join(", "))?;
    }
    if !report.passed_over.is_empty() {
        writeln!(out, "\nPassed over:")?;
    }
    for PassedOver { name, why } in &report.passed_over {
        writeln!(out, "  {name:<15} {why}")?;
    }
    let warnings = report.checks.iter().filter(|c| c.verdict == Verdict::Warning).count();
    let conclusion = match (report.can_count, warnings) {
        (true, 0) => "This machine can count.".to_owned(),
        (true, 1) => "This machine can count, with one warning.".to_owned(),
        (true, n) => format!("This machine can count, with {n} warnings."),
        (false, _) => "This machine cannot count yet.".to_owned(),
    };
    writeln!(out, "\n{conclusion}")
}
