//! `cargo xtask test`: everything that can be checked on this machine, and plainly what could not.

mod leftovers;
mod pass;
mod tally;

use crate::{corpus, ebpf, page, tidy};
use anyhow::{Context as _, Result};
use clap::Args;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;
use tally::{Said, Tally};
use xtask::lab::packages;
use xtask::tool;

/// The reason of an ignored test begins so if it takes too long for every day.
const SLOW: &str = "slow";

/// Check everything; the last line is the sum
#[derive(Debug, Args)]
pub struct Arguments {
    /// Also run the tests that are ignored as slow
    #[arg(long)]
    all: bool,
}

/// Runs the command.
///
/// # Errors
/// If a step cannot even be started. A step that fails is told by the exit code.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let mut tally = Tally::default();
    let mut out = std::io::stdout();
    command_step(&mut tally, "format", &["fmt", "--all", "--check"])?;

    heading("house rules")?;
    let begun = Instant::now();
    let is_tidy = tidy::run(&mut out)?;
    tally.step("house rules", is_tidy, begun.elapsed());

    let clippy = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
    command_step(&mut tally, "clippy", &clippy)?;
    let bare = [
        "clippy",
        "--package",
        "gateway-user",
        "--no-default-features",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ];
    command_step(&mut tally, "clippy, without tables and HTTPS", &bare)?;

    heading("tests")?;
    let begun = Instant::now();
    let said = pass::run(&[], &[])?;
    tally.tests("tests", &said, begun.elapsed());

    root_tests(&mut tally, said.ignored, arguments.all)?;

    if arguments.all {
        for (name, features) in
            [("tests with the small tables", "https,tables-small"), ("tests without tables", "")]
        {
            let test = [
                "test",
                "--quiet",
                "--package",
                "gateway-user",
                "--no-default-features",
                "--features",
                features,
            ];
            command_step(&mut tally, name, &test)?;
        }
    }

    heading("kernel objects")?;
    let begun = Instant::now();
    match ebpf::check() {
        Ok(ebpf::Checked::Skipped(why)) => tally.skip(1, &format!("rebuilding the kernel objects: {why}")),
        Ok(ebpf::Checked::Same) => tally.step("kernel objects", true, begun.elapsed()),
        Err(e) => {
            writeln!(out, "{e:#}")?;
            tally.step("kernel objects", false, begun.elapsed());
        }
    }
    heading("captures with truth")?;
    let begun = Instant::now();
    match corpus::check()? {
        corpus::Checked::Skipped(why) => tally.skip(1, &why),
        corpus::Checked::Scored(is_good) => tally.step("captures with truth", is_good, begun.elapsed()),
    }
    page_step(&mut tally, arguments.all)?;
    write!(out, "\n{tally}")?;
    Ok(if tally.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The pages in a browser, if all is wanted.
fn page_step(tally: &mut Tally, is_wanted: bool) -> Result<()> {
    if !is_wanted {
        tally.skip(1, "slow: cargo xtask page looks at the pages in a browser");
        return Ok(());
    }
    heading("pages in a browser")?;
    let begun = Instant::now();
    match page::check()? {
        page::Checked::Skipped(why) => tally.skip(1, &why),
        page::Checked::Looked(is_good) => tally.step("pages in a browser", is_good, begun.elapsed()),
    }
    Ok(())
}

/// The tests that the plain run ignored, as far as this machine can run them.
fn root_tests(tally: &mut Tally, ignored: Vec<(String, String)>, wants_slow: bool) -> Result<()> {
    let (skipped, wanted): (Vec<_>, Vec<_>) =
        ignored.into_iter().partition(|(_, reason)| reason.starts_with(SLOW) && !wants_slow);
    for (_, reason) in &skipped {
        tally.skip(1, reason);
    }
    if wanted.is_empty() {
        return Ok(());
    }
    if let Err(why) = can_count() {
        tally.skip(u32::try_from(wanted.len())?, &format!("tests in the kernel: {why:#}"));
        return Ok(());
    }
    heading("tests in the kernel")?;
    let begun = Instant::now();
    let mut arguments = vec!["--ignored", "--test-threads=1", "--exact"];
    for (name, _) in &skipped {
        arguments.extend(["--skip", name]);
    }
    leftovers::remove()?;
    // One at a time: they share the machine's queues and both its cores. No documentation: an example that is not
    // to be run is ignored too.
    let said = pass::run(&["--lib", "--bins", "--tests"], &arguments);
    // Whatever became of them.
    leftovers::remove()?;
    let said: Said = said?;
    tally.tests("tests in the kernel", &said, begun.elapsed());
    Ok(())
}

/// Can this machine run the tests that need the kernel and the lab's programs?
fn can_count() -> Result<()> {
    anyhow::ensure!(nix::unistd::geteuid().is_root(), "only root may load a kernel program");
    // Root in a container may have less than root's rights: CAP_NET_ADMIN is bit 12, CAP_SYS_ADMIN bit 21.
    let status = fs::read_to_string("/proc/self/status").context("read /proc/self/status")?;
    let rights = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let rights =
        u64::from_str_radix(rights.unwrap_or_default().trim(), 16).context("read this process's rights")?;
    let needed = 1 << 12 | 1 << 21;
    anyhow::ensure!(rights & needed == needed, "this container has no CAP_NET_ADMIN and CAP_SYS_ADMIN");
    let systems = fs::read_to_string("/proc/filesystems").context("read /proc/filesystems")?;
    let has_bpf = systems.lines().any(|line| line.split_whitespace().last() == Some("bpf"));
    anyhow::ensure!(has_bpf, "this kernel has no BPF file system");
    packages::install_missing(|message| {
        // If this cannot be written there is no one to tell.
        let _ = writeln!(std::io::stderr(), "{message}");
    })?;
    mount_bpffs()
}

fn mount_bpffs() -> Result<()> {
    let mounts = fs::read_to_string("/proc/mounts").context("read /proc/mounts")?;
    if mounts.lines().any(|line| line.split(' ').nth(1) == Some("/sys/fs/bpf")) {
        return Ok(());
    }
    anyhow::ensure!(Path::new("/sys/fs/bpf").is_dir(), "this kernel has no /sys/fs/bpf");
    tool::run(&mut tool::command("mount", ["-t", "bpf", "bpf", "/sys/fs/bpf"])).map(drop)
}

fn command_step(tally: &mut Tally, name: &str, arguments: &[&str]) -> Result<()> {
    heading(name)?;
    let begun = Instant::now();
    let status = cargo(arguments).status().context("start cargo")?;
    tally.step(name, status.success(), begun.elapsed());
    Ok(())
}

fn heading(name: &str) -> Result<()> {
    writeln!(std::io::stdout(), "\n== {name}").context("write to the terminal")
}

/// Cargo in the workspace, under the profile `lab` where it compiles: the lab runs what was built for it, and this
/// program was, so that nothing is compiled twice.
fn cargo(arguments: &[&str]) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let (verb, rest) = arguments.split_first().unwrap_or((&"", &[]));
    cargo.arg(verb).current_dir(tool::workspace());
    if *verb != "fmt" {
        cargo.args(["--profile", "lab"]);
    }
    cargo.args(rest);
    cargo
}
