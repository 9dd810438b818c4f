//! Telltale's decisions. Same input, same output: no clock, socket, file, environment, thread or randomness.
//!
//! In order of dependency: [`units`] → `wire` (bytes → structs) → `decode` (sample → facts) → `books` (what we
//! believe) → `enrich` (address → network) → `recognise` (first bytes, ports, peer → protocol) → `attribute`
//! (conversation → name with its evidence) → `ledger` (what is in no row) → `pipeline` (owns the books; drained
//! counts in, batches out) → [`row`] (what leaves) → `query`, `report` (rows → text).
#![forbid(unsafe_code)]

pub mod application;
pub mod attribute;
pub mod books;
pub mod decode;
pub mod drained;
pub mod enrich;
pub mod fact;
pub mod ledger;
pub mod pipeline;
pub mod privacy;
pub mod query;
pub mod recognise;
pub mod report;
pub mod row;
pub mod units;
pub mod wire;
