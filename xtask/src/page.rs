//! `cargo xtask page`: the HTML of the golden summaries in a real browser, in light, dark, narrow and print.
//!
//! Errors, requests, what axe-core says (`page/view.rs`), and the shape of what is drawn (`page/shape.js`). Pictures and
//! PDFs are left in `target/page/`, to be looked at.

mod axe;
mod browser;
mod view;

use anyhow::{Context as _, Result};
use browser::Browser;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use view::VIEWS;
use xtask::tool;

/// Where the golden pages are, from the root of the workspace.
const GOLDEN: &str = "gateway-core/tests/summary/golden";

/// How it went.
pub enum Checked {
    /// Something needed is not here; what, and the remedy.
    Skipped(String),
    /// Every page is good, or not.
    Looked(bool),
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
        Checked::Looked(true) => ExitCode::SUCCESS,
        Checked::Looked(false) => ExitCode::FAILURE,
    })
}

/// Opens every golden page in every view, if there is a browser.
///
/// # Errors
/// As [`run`].
pub fn check() -> Result<Checked> {
    let Some(chromium) = browser::find() else {
        return Ok(Checked::Skipped(
            "pages in a browser: no Chromium; run apt-get install chromium".to_owned(),
        ));
    };
    let place = tool::target_directory().join("page");
    fs::create_dir_all(&place).with_context(|| format!("make {}", place.display()))?;
    let axe = match axe::source(&place) {
        Ok(source) => source,
        Err(why) => return Ok(Checked::Skipped(format!("pages in a browser: {why:#}"))),
    };
    let mut browser = Browser::start(&chromium, &place.join("profile"))?;
    let mut is_good = true;
    for page in pages()? {
        for view in &VIEWS {
            let faults = view.look(&mut browser, &page, &axe, &place)?;
            let name = page.file_stem().unwrap_or_default().to_string_lossy();
            let word = if faults.is_empty() { "good" } else { "BAD" };
            say(&format!("{name:<10} {:<8} {word}", view.name))?;
            for fault in &faults {
                say(&format!("  {fault}"))?;
            }
            is_good &= faults.is_empty();
        }
    }
    say(&format!("pictures are in {}", place.display()))?;
    Ok(Checked::Looked(is_good))
}

/// The golden pages, by name.
fn pages() -> Result<Vec<PathBuf>> {
    let golden = tool::workspace().join(GOLDEN);
    let files = fs::read_dir(&golden).with_context(|| format!("list {}", golden.display()))?;
    let mut pages = Vec::new();
    for file in files {
        let path = file?.path();
        pages.extend((path.extension() == Some("html".as_ref())).then_some(path));
    }
    pages.sort();
    anyhow::ensure!(!pages.is_empty(), "no pages in {}", golden.display());
    Ok(pages)
}

/// The address of a file.
fn address(path: &Path) -> String {
    format!("file://{}", path.display())
}

fn say(line: &str) -> Result<()> {
    writeln!(std::io::stdout(), "{line}").context("write to the terminal")
}
