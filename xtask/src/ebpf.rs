//! `cargo xtask ebpf`: the kernel objects from their source.
//!
//! They are committed, because people who package a router's programs, and newcomers, have no BPF toolchain. So
//! everybody must be able to make the same bytes and see that they are the same.

#[path = "../../gateway-ebpf/fingerprint.rs"]
mod fingerprint;
mod object;
mod toolchain;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use fingerprint::{OBJECTS, PREBUILT, RECORD};
use object::TARGETS;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use toolchain::{Toolchain, Unavailable};
use xtask::tool;

/// Begins the record's line that tells the toolchain.
const MADE_WITH: &str = "# Made with ";

/// Build the kernel objects that the daemon embeds.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Write nothing: fail unless the committed objects are what the source gives
    #[arg(long, conflicts_with = "bench_only")]
    check: bool,
    /// Build only the programs that `cargo xtask bench` compares with, below the target directory
    #[arg(long)]
    bench_only: bool,
}

/// What a check came to.
#[derive(Debug)]
pub enum Checked {
    /// The committed objects are what the source gives.
    Same,
    /// The toolchain that made the committed objects cannot be had here: why.
    Skipped(String),
}

/// Runs the command.
///
/// # Errors
/// If the toolchain is not there, something does not build, or a check fails.
pub fn run(arguments: &Arguments) -> Result<()> {
    let Arguments { check: wants_check, bench_only } = *arguments;
    let mut out = std::io::stdout();
    if wants_check {
        match check()? {
            Checked::Same => writeln!(out, "the committed kernel objects are what their source gives")?,
            Checked::Skipped(why) => writeln!(out, "skipped: {why}")?,
        }
        return Ok(());
    }
    if bench_only {
        writeln!(out, "{}", build_bench()?.display())?;
        return Ok(());
    }
    let toolchain = Toolchain::find_or_install(&mut say)?;
    let prebuilt = tool::workspace().join(PREBUILT);
    fs::create_dir_all(&prebuilt).with_context(|| format!("make {}", prebuilt.display()))?;
    for (name, bytes) in build(&toolchain)? {
        let path = prebuilt.join(name);
        fs::write(&path, &bytes).with_context(|| format!("write {}", path.display()))?;
        writeln!(out, "{PREBUILT}/{name}: {} bytes", bytes.len())?;
    }
    let record = format!(
        "# What these objects were made from: see ../fingerprint.rs. `cargo xtask ebpf` writes this file.\n\
         {MADE_WITH}{}\n{}",
        toolchain.versions(),
        fingerprint::lines(tool::workspace())?
    );
    let path = prebuilt.join(RECORD);
    fs::write(&path, record).with_context(|| format!("write {}", path.display()))
}

/// Builds the programs that the bench compares with, and returns the object.
///
/// # Errors
/// As [`run`].
pub fn build_bench() -> Result<PathBuf> {
    object::link(&Toolchain::find_or_install(&mut say)?, "bench", TARGETS[0])
}

/// Rebuilds the objects and compares.
///
/// # Errors
/// If they differ from the committed ones or do not build.
pub fn check() -> Result<Checked> {
    if !fingerprint::is_fresh(tool::workspace())? {
        bail!("the kernel objects are older than their source: run cargo xtask ebpf");
    }
    let toolchain = match Toolchain::find_or_install(&mut say) {
        Err(e) if e.is::<Unavailable>() => return Ok(Checked::Skipped(format!("{e:#}"))),
        found => found?,
    };
    let record = tool::workspace().join(PREBUILT).join(RECORD);
    let record = fs::read_to_string(&record).with_context(|| format!("read {}", record.display()))?;
    let made_with =
        record.lines().find_map(|line| line.strip_prefix(MADE_WITH)).unwrap_or("an unknown toolchain");
    if made_with != toolchain.versions() {
        let here = toolchain.versions();
        return Ok(Checked::Skipped(format!("they were made with {made_with}; here is {here}")));
    }
    for (name, bytes) in build(&toolchain)? {
        let path = tool::workspace().join(PREBUILT).join(name);
        let committed = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
        if committed != bytes {
            bail!("{} is not what its source gives: run cargo xtask ebpf", path.display());
        }
    }
    Ok(Checked::Same)
}

/// The objects by name.
fn build(toolchain: &Toolchain) -> Result<Vec<(&'static str, Vec<u8>)>> {
    let objects = OBJECTS.into_iter().zip(TARGETS);
    objects
        .map(|(name, target)| Ok((name, object::finish(&object::link(toolchain, "tap", target)?)?)))
        .collect()
}

fn say(message: &str) {
    // If this cannot be written there is no one to tell.
    let _ = writeln!(std::io::stderr(), "{message}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn write(workspace: &Path, path: &str, content: &str) {
        let path = workspace.join(path);
        fs::create_dir_all(path.parent().expect("below the workspace")).expect("a directory");
        fs::write(path, content).expect("a file");
    }

    /// A workspace whose record fits.
    fn workspace() -> tempfile::TempDir {
        let directory = tempfile::tempdir().expect("a directory");
        let root = directory.path();
        for source in fingerprint::SOURCES {
            let file = if source.ends_with(".toml") { source.to_owned() } else { format!("{source}/lib.rs") };
            write(root, &file, "one\ntwo\n");
        }
        for object in OBJECTS {
            write(root, &format!("{PREBUILT}/{object}"), object);
        }
        let lines = fingerprint::lines(root).expect("all files are there");
        write(root, &format!("{PREBUILT}/{RECORD}"), &format!("# for people\n{lines}"));
        assert!(fingerprint::is_fresh(root).expect("all files are there"));
        directory
    }

    #[track_caller]
    fn check(path: &str, content: &str, is_fresh: bool) {
        let directory = workspace();
        write(directory.path(), path, content);
        assert_eq!(fingerprint::is_fresh(directory.path()).expect("all files are there"), is_fresh, "{path}");
    }

    #[test]
    fn objects_older_than_their_source_are_found() {
        check("gateway-ebpf/src/lib.rs", "one\ntwo", false);
        check("gateway-ebpf/src/new/mod.rs", "", false);
        check("gateway-common/Cargo.toml", "three", false);
        check("gateway-core/src/lib.rs", "not a source of the objects", true);
        // Another checkout's line ends are no change.
        check("gateway-common/src/lib.rs", "one\r\ntwo\r\n", true);
        check("gateway-common/src/lib.rs", "one\rtwo\n", false);
    }

    #[test]
    fn an_object_from_elsewhere_is_found() {
        check(&format!("{PREBUILT}/{}", OBJECTS[1]), "another", false);
        check(&format!("{PREBUILT}/{RECORD}"), "# nothing\n", false);
        let directory = workspace();
        fs::remove_file(directory.path().join(PREBUILT).join(OBJECTS[0])).expect("it was there");
        let error = fingerprint::is_fresh(directory.path()).expect_err("it is gone").to_string();
        assert!(error.contains(OBJECTS[0]), "{error}");
    }
}
