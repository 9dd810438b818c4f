//! The only crate that touches the world: kernel, disk, network, clock, terminal. Decisions belong in
//! `gateway-core`.

pub mod cli;
pub mod store;
