//! axe-core, the accessibility checker: fetched with npm when it is first wanted, and the same bytes every time.

use anyhow::{Context as _, Result, ensure};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use xtask::tool;

const VERSION: &str = "4.14.1";
/// SHA-256 of its `axe.min.js`.
const SHA256: &str = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c";

/// Its source, from `place` or, the first time, from the registry that npm is set to.
///
/// # Errors
/// If there is none in `place` and it cannot be fetched, or if it is not what it should be; the message names the
/// remedy.
pub fn source(place: &Path) -> Result<String> {
    let file = place.join(format!("axe-{VERSION}.min.js"));
    if !file.is_file() {
        fetch(place, &file)?;
    }
    let source = fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
    let mut sum = String::new();
    Sha256::digest(&source).iter().for_each(|byte| {
        let _ = write!(sum, "{byte:02x}");
    });
    ensure!(sum == SHA256, "{} is not axe-core {VERSION}: remove it and try again", file.display());
    Ok(source)
}

fn fetch(place: &Path, file: &Path) -> Result<()> {
    ensure!(tool::find("npm").is_some(), "no npm to fetch axe-core with; run apt-get install npm");
    let mut npm = tool::command("npm", ["pack", "--silent", &format!("axe-core@{VERSION}")]);
    let remedy = "fetch axe-core: is there a connection, and is npm's registry right?";
    tool::run(npm.current_dir(place)).context(remedy)?;
    let archive = format!("axe-core-{VERSION}.tgz");
    tool::run(tool::command("tar", ["-xzf", &archive, "package/axe.min.js"]).current_dir(place))?;
    fs::rename(place.join("package/axe.min.js"), file).context("keep axe-core")
}
