//! The programs that the lab runs, the Debian packages they come in, and how to get them.

use super::household::check_root;
use crate::tool;
use anyhow::{Context as _, Result, bail};
use std::collections::BTreeSet;

/// A program and the Debian package that brings it.
const PROGRAMS: [(&str, &str); 13] = [
    ("ip", "iproute2"),
    ("nft", "nftables"),
    ("dnsmasq", "dnsmasq-base"),
    ("nginx", "nginx"),
    ("busybox", "busybox"),
    ("curl", "curl"),
    ("dig", "bind9-dnsutils"),
    ("openssl", "openssl"),
    ("ping", "iputils-ping"),
    ("ethtool", "ethtool"),
    ("nsenter", "util-linux"),
    ("mount", "mount"),
    ("tcpdump", "tcpdump"),
];

/// The packages whose programs are not on this machine, in order.
#[must_use]
pub fn missing() -> Vec<&'static str> {
    let missing: BTreeSet<_> = PROGRAMS
        .iter()
        .filter(|(program, _)| tool::find(program).is_none())
        .map(|(_, package)| *package)
        .collect();
    missing.into_iter().collect()
}

/// May the lab be built here?
///
/// # Errors
/// If the caller is not root or programs are missing; the message says which and how to get them.
pub fn check() -> Result<()> {
    check_root()?;
    let missing = missing();
    if !missing.is_empty() {
        bail!("the lab needs packages that are not installed: run apt-get install {}", missing.join(" "));
    }
    Ok(())
}

/// Installs what is missing with apt-get, telling `say` first.
///
/// # Errors
/// If something is missing and the caller is not root, there is no apt-get, or it fails; the message says
/// exactly what is missing.
pub fn install_missing(say: impl FnOnce(&str)) -> Result<()> {
    let missing = missing();
    if missing.is_empty() {
        return check_root();
    }
    let list = missing.join(" ");
    check_root().with_context(|| format!("install the missing packages {list}"))?;
    if tool::find("apt-get").is_none() {
        bail!("no apt-get here: install what brings these Debian packages' programs: {list}");
    }
    say(&format!("installing with apt-get: {list}"));
    // Others may hold apt's lock for a while.
    let apt = |args: &[&str]| {
        let mut apt = tool::command("apt-get", ["-qq", "-o", "DPkg::Lock::Timeout=300"]);
        tool::run(apt.args(args).env("DEBIAN_FRONTEND", "noninteractive"))
    };
    apt(&["update"]).and_then(|_| {
        let mut args = vec!["install", "--yes", "--no-install-recommends"];
        args.extend(&missing);
        apt(&args)
    })?;
    if missing.contains(&"nginx") && std::path::Path::new("/run/systemd/system").exists() {
        // The lab starts its own; the package's service would sit on port 80 of this machine.
        tool::run(&mut tool::command("systemctl", ["disable", "--now", "nginx"]))
            .context("stop the service that came with the package nginx")?;
    }
    check()
}
