//! The kernel program on this machine's kernel. Needs root.
#![allow(clippy::unwrap_used, reason = "tests panic on purpose")]

mod agreement;
mod bench;
mod epochs;
#[path = "../fixtures/mod.rs"]
mod fixtures;
mod model;
mod pins;
mod samples;
mod segments;
mod tiers;
mod wire;
