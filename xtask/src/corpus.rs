//! `cargo xtask corpus`: captures with independent truth through `telltale replay --flows-json`, scored by the
//! corpus's own scorer.
//!
//! The captures are other people's and lie outside the project: the environment variable [`FOLDER`] names where.

mod corrections;
mod folder;
mod replays;
mod score;

use anyhow::{Context as _, Result};
use folder::Corpus;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;
use xtask::tool;

/// The environment variable that names the corpus.
pub const FOLDER: &str = "TELLTALE_CORPUS";

/// How it went.
pub enum Checked {
    /// There is no corpus; why.
    Skipped(String),
    /// Every bar is reached, or not.
    Scored(bool),
}

/// Runs the command.
///
/// # Errors
/// If a step cannot even be started.
pub fn run() -> Result<ExitCode> {
    Ok(match check()? {
        Checked::Skipped(why) => {
            say(&format!("skipped: {why}"))?;
            ExitCode::SUCCESS
        }
        Checked::Scored(true) => ExitCode::SUCCESS,
        Checked::Scored(false) => ExitCode::FAILURE,
    })
}

/// Replays and scores, if there is a corpus.
///
/// # Errors
/// As [`run`].
pub fn check() -> Result<Checked> {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return Ok(Checked::Skipped(format!(
            "no captures with truth: set {FOLDER} to a folder with pcap/, truth/ and score.py, or with \
             open.tar.zst and score.py"
        )));
    };
    let Some(python) = tool::find("python3") else {
        return Ok(Checked::Skipped("scoring captures: no python3 to run the scorer".to_owned()));
    };
    let place = tool::target_directory().join("corpus");
    fs::create_dir_all(&place).with_context(|| format!("make {}", place.display()))?;
    let corpus = Corpus::open(Path::new(&folder), &place)?;
    let binary = tool::build_telltale()?;

    let begun = Instant::now();
    let bench = replays::Bench::new(&binary, &place)?;
    let out = place.join("out");
    let mut faults = bench.replay_all(&corpus.captures()?, Some(&out))?;
    let captures = corpus.captures()?.len();
    say(&format!("{captures} captures replayed in {:.1} s", begun.elapsed().as_secs_f32()))?;
    let hostile = corpus.hostile()?;
    faults.extend(bench.replay_all(&hostile, None)?);
    say(&format!("{} malformed files replayed", hostile.len()))?;

    let shown = score::run(&python, &corpus.scorer, &corpus.truth, &out, &place.join("score.json"))?;
    say(&format!("\n{}", shown.text.trim_end()))?;
    let corrected = place.join("truth-corrected");
    let corrections = corrections::apply(&corpus.truth, &corrected)?;
    let result = score::run(&python, &corpus.scorer, &corrected, &out, &place.join("score-corrected.json"))?;
    say(&format!("\nwith {corrections} corrections of the truth (xtask/corpus/corrections.jsonl):"))?;
    for bar in result.bars() {
        let word = if bar.is_reached { "good" } else { "BELOW" };
        say(&format!("  {:<28} {:<20} {word}", bar.name, bar.found))?;
        faults.extend((!bar.is_reached).then(|| format!("{}: {}", bar.name, bar.found)));
    }
    for fault in &faults {
        say(&format!("FAULT {fault}"))?;
    }
    Ok(Checked::Scored(faults.is_empty()))
}

fn say(line: &str) -> Result<()> {
    writeln!(std::io::stdout(), "{line}").context("write to the terminal")
}
