//! `cargo xtask bench`: what a packet costs in the kernel and a flow in the daemon, on this machine.

use crate::ebpf;
use anyhow::{Context as _, Result, bail};
use clap::Args;
use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};
use xtask::tool;

/// Where `--write` puts the figures.
const DOCUMENT: &str = "docs/measurements.md";
/// Around the part of the document that is ours.
const BEGIN: &str = "<!-- written by cargo xtask bench --write: begin -->";
const END: &str = "<!-- written by cargo xtask bench --write: end -->";
/// The bench that runs in the kernel.
const IN_THE_KERNEL: &str = "kernel_cost";

/// Measure what counting costs; ratios count, nanoseconds are this machine's
#[derive(Debug, Args)]
pub struct Arguments {
    /// Only these benches of gateway-core/benches and gateway-user/benches, by name
    #[arg(value_name = "BENCH")]
    names: Vec<String>,
    /// How many rounds the kernel's programs take turns
    #[arg(long, default_value_t = 11, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Put the figures into docs/measurements.md
    #[arg(long, conflicts_with = "names")]
    write: bool,
}

/// Runs the command.
///
/// # Errors
/// If a bench does not build or fails, or, with `--write`, one could not run.
pub fn run(arguments: &Arguments) -> Result<()> {
    let Arguments { names, rounds, write } = arguments;
    let known = benches()?;
    if let Some(name) = names.iter().find(|name| !known.iter().any(|(_, known)| known == *name)) {
        let known: Vec<&str> = known.iter().map(|(_, name)| &**name).collect();
        bail!("there is no bench called {name}: there are {}", known.join(", "));
    }
    let mut out = std::io::stdout();
    let mut figures = String::new();
    for (package, name) in known.iter().filter(|(_, name)| names.is_empty() || names.contains(name)) {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["bench", "--quiet", "--package", package, "--bench", name]);
        if name == IN_THE_KERNEL {
            if !nix::unistd::geteuid().is_root() {
                if *write || !names.is_empty() {
                    bail!("{name} loads programs into the kernel: run this as root");
                }
                writeln!(out, "skipped {name}: only root may load programs into the kernel")?;
                continue;
            }
            cargo.env("TELLTALE_BENCH_OBJECT", ebpf::build_bench()?);
            cargo.env("TELLTALE_BENCH_ROUNDS", rounds.to_string());
        }
        let said = figures_of(&mut cargo)?;
        writeln!(out, "== {name}\n{said}")?;
        figures += &format!("## {name}\n\n```text\n{}\n```\n\n", said.trim_end());
    }
    if *write {
        let path = tool::workspace().join(DOCUMENT);
        let document = fs::read_to_string(&path).unwrap_or_else(|_| "# Measurements\n".to_owned());
        let section = format!("{}\n\n{figures}", machine());
        fs::write(&path, replaced(&document, &section)?)
            .with_context(|| format!("write {}", path.display()))?;
        writeln!(out, "written to {DOCUMENT}")?;
    }
    Ok(())
}

/// Every bench by its package and name, in order of the names. A bench is a file, or a directory with its parts.
fn benches() -> Result<Vec<(&'static str, String)>> {
    let mut benches = Vec::new();
    for package in ["gateway-core", "gateway-user"] {
        let directory = tool::workspace().join(package).join("benches");
        let entries = fs::read_dir(&directory).with_context(|| format!("read {}", directory.display()))?;
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        benches.extend(names.map(|name| (package, name.strip_suffix(".rs").unwrap_or(&name).to_owned())));
    }
    benches.sort_by(|a, b| a.1.cmp(&b.1));
    Ok(benches)
}

/// What a bench prints; what it says on standard error goes to the terminal as it comes.
fn figures_of(bench: &mut Command) -> Result<String> {
    let output = bench.current_dir(tool::workspace()).stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.with_context(|| format!("start {}", tool::shown(bench)))?;
    if !output.status.success() {
        bail!("{}: {}: see its message above", tool::shown(bench), output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The document with our part of it replaced, or added at the end.
fn replaced(document: &str, section: &str) -> Result<String> {
    let ours = format!("{BEGIN}\n\n{}\n\n{END}", section.trim());
    match (document.split_once(BEGIN), document.split_once(END)) {
        (Some((before, _)), Some((_, after))) => Ok(format!("{before}{ours}{after}")),
        (None, None) => Ok(format!("{}\n\n{ours}\n", document.trim_end())),
        _ => bail!("{DOCUMENT} has only one of the two lines that {BEGIN} is one of: remove it"),
    }
}

/// When and on what the figures were taken.
fn machine() -> String {
    let day = jiff::Timestamp::now().strftime("%Y-%m-%d");
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let kernel = read("/proc/sys/kernel/osrelease");
    let cpuinfo = read("/proc/cpuinfo");
    let cpu = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cpu = cpu.map_or("a CPU that does not tell its name", |(_, name)| name);
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    format!("Taken on {day} with `cargo xtask bench`: {cpus} × {cpu}, Linux {}.", kernel.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_part_of_the_document_changes() {
        let first = replaced("# M\n\nBy hand.\n", "one").expect("no mark yet");
        assert!(first.starts_with("# M\n\nBy hand.\n") && first.contains("one"), "{first}");
        let second = replaced(&format!("{first}More by hand.\n"), "two").expect("both marks");
        assert_eq!(second, format!("{}More by hand.\n", first.replace("one", "two")));
        assert!(replaced(BEGIN, "x").is_err());
    }

    #[test]
    fn the_benches_are_there() {
        let benches = benches().expect("directories");
        for bench in [("gateway-user", IN_THE_KERNEL), ("gateway-core", "decode")] {
            assert!(benches.contains(&(bench.0, bench.1.to_owned())), "{benches:?}");
        }
    }
}
