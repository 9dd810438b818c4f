//! `cargo xtask lab`: the household, held for people to walk through.
#![allow(clippy::print_stdout, reason = "a command's output")]

use anyhow::{Context as _, Result};
use nix::sys::signal::{SigSet, Signal};
use std::time::Instant;
use xtask::lab::{Household, HouseholdOptions, packages};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Leave the household in place and return; the next run of the lab removes it
    #[arg(long)]
    keep: bool,
    /// Largest packet on every link, bytes
    #[arg(long, default_value_t = 1500, value_parser = clap::value_parser!(u32).range(1280..=9000))]
    mtu: u32,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    packages::install_missing(|line| println!("{line}"))?;
    let begun = Instant::now();
    let xtask = std::env::current_exe().context("find this program")?;
    let options = HouseholdOptions { mtu: arguments.mtu, ..HouseholdOptions::new(xtask) };
    let mut household = Household::build(options)?;
    println!("the household is up after {:.1} s; enter it as root with", begun.elapsed().as_secs_f32());
    describe(&household);
    if arguments.keep {
        household.keep();
        println!("it stays until the next cargo xtask lab, demo or test");
        return Ok(());
    }
    println!("Ctrl-C removes it");
    // Blocked only now: the programs started before must not inherit it.
    let signals = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP]);
    signals.thread_block().context("hold signals back")?;
    let signal = signals.wait().context("wait for a signal")?;
    drop(household);
    println!("removed after {signal}");
    Ok(())
}

fn describe(household: &Household) {
    println!("  ip netns exec {:<16} sh   # gateway: br-lan (lan1, lan2), wan", household.gateway().name());
    println!("  ip netns exec {:<16} sh   # servers at real-world addresses", household.internet().name());
    for device in household.devices() {
        println!(
            "  ip netns exec {:<16} sh   # {}: {}, {}",
            device.namespace.name(),
            device.spec.hostname,
            device.addr_v4,
            device.addr_v6
        );
    }
    println!("to keep the machine's own mounts, /sys/fs/bpf among them:");
    println!("  nsenter --net={} sh", household.gateway().path().display());
}
