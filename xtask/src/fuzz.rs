//! `cargo xtask fuzz`: hostile input invented by libFuzzer for every reader and the whole pipeline.
//!
//! Inputs that are found go to `target/fuzz/NAME`; `--keep` puts the smallest set of them that reaches as much into
//! `fuzz/corpus/NAME`, where a plain test replays them (gateway-user/tests/hostile.rs).

use anyhow::{Context as _, Result, bail};
use clap::Args;
use std::collections::VecDeque;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use xtask::tool;

/// The programs that fuzz, as cargo-fuzz builds them.
const BUILT: &str = "fuzz/target/x86_64-unknown-linux-gnu/release";
/// Memory at which an input counts as a find: the readers' bounds are far below; the sanitizer and the fuzzer's own
/// corpus take most of this.
const MAX_RSS_MIB: u32 = 768;
/// Time at which an input counts as a find.
const MAX_INPUT_SECS: u32 = 10;
/// The longest input: a snapshot with its header, or some packets.
const MAX_INPUT_LEN: u32 = 8192;
/// The longest input that is kept: the corpus is part of every clone.
const MAX_KEPT_LEN: u32 = 1024;
/// How many are kept of one target.
const MAX_KEPT: usize = 80;

/// Give every reader hostile input; needs a nightly compiler and cargo-fuzz
#[derive(Debug, Args)]
pub struct Arguments {
    /// Only these targets of fuzz/fuzz_targets, by name
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
    /// How long each target runs
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1440))]
    minutes: u32,
    /// How many run at a time [default: one per CPU]
    #[arg(long)]
    jobs: Option<usize>,
    /// Put the inputs that reach most into fuzz/corpus
    #[arg(long)]
    keep: bool,
}

/// Runs the command.
///
/// # Errors
/// If a target does not build, or something was found.
pub fn run(arguments: &Arguments) -> Result<()> {
    let known = targets()?;
    if let Some(name) = arguments.targets.iter().find(|name| !known.contains(name)) {
        bail!("there is no fuzz target called {name}: there are {}", known.join(", "));
    }
    let wanted = |name: &&String| arguments.targets.is_empty() || arguments.targets.contains(name);
    let names: Vec<&String> = known.iter().filter(wanted).collect();
    build()?;
    let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let found = run_all(&names, arguments.minutes, arguments.jobs.unwrap_or(cpus).max(1))?;
    if arguments.keep && found.is_empty() {
        names.iter().try_for_each(|name| keep(name))?;
    }
    if !found.is_empty() {
        bail!("something was found by {}: see fuzz/artifacts", found.join(", "));
    }
    Ok(())
}

/// The names of the targets, in order.
fn targets() -> Result<Vec<String>> {
    let directory = tool::workspace().join("fuzz/fuzz_targets");
    let files = fs::read_dir(&directory).with_context(|| format!("list {}", directory.display()))?;
    let mut names = Vec::new();
    for file in files {
        names.extend(file?.path().file_stem().map(|stem| stem.to_string_lossy().into_owned()));
    }
    names.sort();
    Ok(names)
}

fn build() -> Result<()> {
    let mut cargo = Command::new("cargo");
    // Not the compiler of this build: cargo's own variables name it.
    for variable in ["CARGO", "RUSTC", "RUSTUP_TOOLCHAIN"] {
        cargo.env_remove(variable);
    }
    cargo.args(["+nightly", "fuzz", "build"]).current_dir(tool::workspace());
    let status = cargo.status().context("start cargo")?;
    if !status.success() {
        bail!(
            "the fuzz targets do not build: see above; they need `rustup toolchain install nightly` and \
             `cargo install cargo-fuzz`"
        );
    }
    Ok(())
}

fn run_all(names: &[&String], minutes: u32, jobs: usize) -> Result<Vec<String>> {
    let mut out = std::io::stdout();
    let mut waiting: VecDeque<&String> = names.iter().copied().collect();
    let (mut running, mut found) = (Vec::new(), Vec::new());
    while !(waiting.is_empty() && running.is_empty()) {
        while running.len() < jobs
            && let Some(name) = waiting.pop_front()
        {
            writeln!(out, "{name}: {minutes} min, log in {}", log_of(name).display())?;
            running.push((name, start(name, minutes)?));
        }
        std::thread::sleep(Duration::from_millis(300));
        let mut still = Vec::new();
        for (name, mut child) in running {
            match child.try_wait()? {
                None => still.push((name, child)),
                Some(status) => {
                    let log = String::from_utf8_lossy(&fs::read(log_of(name))?).into_owned();
                    let last = log.lines().rfind(|line| line.contains("DONE") || line.contains("ERROR"));
                    let verdict = if status.success() { "nothing found" } else { "FOUND SOMETHING" };
                    writeln!(out, "{name}: {verdict}; {}", last.unwrap_or("no word of how it went"))?;
                    if !status.success() {
                        found.push(name.clone());
                    }
                }
            }
        }
        running = still;
    }
    Ok(found)
}

fn found_of(name: &str) -> PathBuf {
    tool::target_directory().join("fuzz").join(name)
}

fn log_of(name: &str) -> PathBuf {
    tool::target_directory().join("fuzz").join(format!("{name}.log"))
}

fn corpus_of(name: &str) -> PathBuf {
    tool::workspace().join("fuzz/corpus").join(name)
}

fn program(name: &str) -> Command {
    Command::new(tool::workspace().join(BUILT).join(name))
}

fn make(directory: &Path) -> Result<()> {
    fs::create_dir_all(directory).with_context(|| format!("make the directory {}", directory.display()))
}

fn start(name: &str, minutes: u32) -> Result<Child> {
    let artifacts = tool::workspace().join("fuzz/artifacts").join(name);
    make(&found_of(name))?;
    make(&artifacts)?;
    let log = fs::File::create(log_of(name)).with_context(|| format!("write the log of {name}"))?;
    program(name)
        .arg(format!("-max_total_time={}", minutes * 60))
        .arg(format!("-rss_limit_mb={MAX_RSS_MIB}"))
        .arg(format!("-timeout={MAX_INPUT_SECS}"))
        .arg(format!("-max_len={MAX_INPUT_LEN}"))
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .args(["-print_final_stats=1", "-verbosity=1"])
        .args([found_of(name), corpus_of(name)])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .with_context(|| format!("start the fuzz target {name}"))
}

/// Puts what reaches most into the corpus, in place of what is there: the least set of inputs that covers all that
/// was reached, and of a large one [`MAX_KEPT`] of every size.
fn keep(name: &str) -> Result<()> {
    let chosen = found_of(&format!("{name}-chosen"));
    if chosen.exists() {
        fs::remove_dir_all(&chosen).with_context(|| format!("remove {}", chosen.display()))?;
    }
    make(&chosen)?;
    let mut merge = program(name);
    merge.args(["-set_cover_merge=1", &format!("-max_len={MAX_KEPT_LEN}")]);
    merge.arg(&chosen).args([corpus_of(name), found_of(name)]);
    tool::run(&mut merge).with_context(|| format!("merge what {name} found"))?;
    let mut inputs = Vec::new();
    for input in fs::read_dir(&chosen)? {
        let input = input?;
        inputs.push((input.metadata()?.len(), input.path()));
    }
    inputs.sort();
    let step = inputs.len().div_ceil(MAX_KEPT).max(1);
    fs::remove_dir_all(corpus_of(name))?;
    make(&corpus_of(name))?;
    for (_, path) in inputs.iter().step_by(step) {
        let file = path.file_name().context("an input without a name")?;
        fs::copy(path, corpus_of(name).join(file)).with_context(|| format!("keep {}", path.display()))?;
    }
    Ok(())
}
