//! Captures in, counts and names out: the readers, the table and `telltale replay` itself.
#![allow(clippy::unwrap_used, reason = "tests panic on purpose")]

mod capture;
mod cli;
mod feed;
mod listing;
mod recorded;
mod table;
mod writer;
