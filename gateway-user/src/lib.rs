//! The only crate that touches the world: kernel, disk, network, clock, terminal. Decisions belong in
//! `gateway-core`.
#![deny(unsafe_code)]

pub mod alert;
pub mod cli;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod deliver;
pub mod journal;
pub mod kernel;
pub mod leases;
pub mod links;
pub mod nightly;
pub mod privacy;
pub mod rdap;
pub mod replay;
pub mod store;
pub mod summary;
pub mod tables;
pub mod telemetry;
