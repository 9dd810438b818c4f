//! The household against its own truth: what a device's interface says, what tcpdump says, and what Telltale says
//! must be equal to the byte.

#![allow(clippy::unwrap_used, reason = "tests panic on purpose")]

mod capture;
mod columns;
mod daemon;
mod telltale;
mod truth;

use std::net::IpAddr;
use xtask::lab::traffic::{Traffic, ping};
use xtask::lab::truth::{Tally, Totals};
use xtask::lab::{Device, Household, HouseholdOptions, Offloads, TRAFFIC_SERVER_V4, TRAFFIC_SERVER_V6};

const V4: IpAddr = IpAddr::V4(TRAFFIC_SERVER_V4);
const V6: IpAddr = IpAddr::V6(TRAFFIC_SERVER_V6);

/// A household where nothing but the test's own traffic goes between a device and the gateway.
fn household(mtu: u32) -> Household {
    let options = HouseholdOptions { mtu, ..HouseholdOptions::new(env!("CARGO_BIN_EXE_xtask")) };
    let household = Household::build(options).expect("the household comes up");
    household.pin_neighbours().expect("neighbours are pinned");
    household
}

/// Refuses totals that may not be the whole truth.
#[track_caller]
fn certain(totals: Totals, offloads: Offloads) -> Totals {
    let doubts = totals.doubts(offloads == Offloads::SendAndReceive);
    assert!(doubts.is_empty(), "the truth is not exact: {doubts:?}\n{totals:#?}");
    totals
}

/// Up, then down.
fn both(totals: &Totals) -> [Tally; 2] {
    [totals.up.all, totals.down.all]
}

/// Packets that the machine's own queues between virtual links had no room for. Any makes a comparison void: the
/// packet was counted on one side of the loss only.
fn queue_losses() -> u64 {
    let text = std::fs::read_to_string("/proc/net/softnet_stat").unwrap();
    text.lines().map(|line| u64::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap()).sum()
}

/// Every kind of traffic that must be counted to the byte, small enough to run for every setting of the links.
fn make_every_kind(household: &Household, device: &Device) {
    for to in [V4, V6] {
        for traffic in [
            Traffic::Tcp { to, flows: 1, up: 8 << 20, down: 0 },
            Traffic::Tcp { to, flows: 1, up: 0, down: 8 << 20 },
            Traffic::Tcp { to, flows: 20, up: 1, down: 1 },
            Traffic::Udp { to, flows: 1, size: 0, count: 20 },
            Traffic::Udp { to, flows: 10, size: 1, count: 10 },
            Traffic::Udp { to, flows: 3, size: 1452, count: 30 },
            Traffic::Udp { to, flows: 2, size: 8900, count: 20 },
            Traffic::Udp { to, flows: 2, size: 20_000, count: 20 },
        ] {
            traffic.make_on(household, device).unwrap_or_else(|e| panic!("{traffic:?}: {e:#}"));
        }
        ping(device, to, 56, 10).expect("ping");
        ping(device, to, 4000, 10).expect("ping with fragments");
    }
}
