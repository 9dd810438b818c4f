//! What must be on the machine, the Debian packages that bring it, and how to get them.

use crate::tool;
use anyhow::{Result, bail};
use std::collections::BTreeSet;
use std::path::Path;

/// How to see that a package is there.
#[derive(Clone, Copy, Debug)]
pub enum Sign {
    /// A program is on the path.
    Program(&'static str),
    /// A file is at this place.
    File(&'static str),
}

/// Something that must be there, and the Debian package that brings it.
pub type Need = (Sign, &'static str);

/// The packages whose sign is not on this machine, in order.
#[must_use]
pub fn missing(needs: &[Need]) -> Vec<&'static str> {
    let is_there = |sign: &Sign| match sign {
        Sign::Program(program) => tool::find(program).is_some(),
        Sign::File(file) => Path::new(file).exists(),
    };
    let missing: BTreeSet<_> =
        needs.iter().filter(|(sign, _)| !is_there(sign)).map(|(_, package)| *package).collect();
    missing.into_iter().collect()
}

/// Installs packages with apt-get, telling `say` first. Does nothing if there are none to install.
///
/// # Errors
/// If the caller is not root, there is no apt-get, or it fails; the message says exactly what is missing.
pub fn install(packages: &[&str], say: impl FnOnce(&str)) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    let list = packages.join(" ");
    if !nix::unistd::geteuid().is_root() {
        bail!("packages are missing and only root may install them: run apt-get install {list}");
    }
    if tool::find("apt-get").is_none() {
        bail!("no apt-get here: install what brings the contents of these Debian packages: {list}");
    }
    say(&format!("installing with apt-get: {list}"));
    // Others may hold apt's lock for a while.
    let apt = |args: &[&str]| {
        let mut apt = tool::command("apt-get", ["-qq", "-o", "DPkg::Lock::Timeout=300"]);
        tool::run(apt.args(args).env("DEBIAN_FRONTEND", "noninteractive"))
    };
    let install: Vec<_> =
        ["install", "--yes", "--no-install-recommends"].iter().chain(packages).copied().collect();
    apt(&["update"]).and_then(|_| apt(&install)).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_missing_is_named_and_once() {
        let needs = [
            (Sign::Program("sh"), "dash"),
            (Sign::File("/"), "base-files"),
            (Sign::Program("no-such-program-anywhere"), "b"),
            (Sign::File("/no-such-file-anywhere"), "a"),
            (Sign::Program("no-such-program-either"), "b"),
        ];
        assert_eq!(missing(&needs), ["a", "b"]);
        assert!(install(&[], |said| panic!("{said}")).is_ok());
    }
}
