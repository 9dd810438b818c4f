//! Gathers what a summary is made from out of the database. What it says is decided in `gateway-core`.

pub mod gather;
