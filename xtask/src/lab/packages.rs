//! The programs that the lab runs, the Debian packages they come in, and how to get them.

use super::household::check_root;
use crate::need::{self, Need, Sign};
use crate::tool;
use anyhow::{Context as _, Result, bail};

/// A program and the Debian package that brings it.
const PROGRAMS: [Need; 13] = [
    (Sign::Program("ip"), "iproute2"),
    (Sign::Program("nft"), "nftables"),
    (Sign::Program("dnsmasq"), "dnsmasq-base"),
    (Sign::Program("nginx"), "nginx"),
    (Sign::Program("busybox"), "busybox"),
    (Sign::Program("curl"), "curl"),
    (Sign::Program("dig"), "bind9-dnsutils"),
    (Sign::Program("openssl"), "openssl"),
    (Sign::Program("ping"), "iputils-ping"),
    (Sign::Program("ethtool"), "ethtool"),
    (Sign::Program("nsenter"), "util-linux"),
    (Sign::Program("mount"), "mount"),
    (Sign::Program("tcpdump"), "tcpdump"),
];

/// The packages whose programs are not on this machine, in order.
#[must_use]
pub fn missing() -> Vec<&'static str> {
    need::missing(&PROGRAMS)
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
    need::install(&missing, say)?;
    if missing.contains(&"nginx") && std::path::Path::new("/run/systemd/system").exists() {
        // The lab starts its own; the package's service would sit on port 80 of this machine.
        tool::run(&mut tool::command("systemctl", ["disable", "--now", "nginx"]))
            .context("stop the service that came with the package nginx")?;
    }
    check()
}
