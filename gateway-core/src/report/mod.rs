//! Rows to a report that people read: [`build`](build::build) makes the model, `text` and `json` put it in writing.
//!
//! The same rows give the same bytes: everything is ordered, by volume and then by name. Nothing here reads a
//! clock or knows the time zone; the shell passes both in. What was not measured is said to be so and never shown
//! as a zero, and a device "contacted" a name, no more: what was in the packets nobody here has seen.

pub mod account;
pub mod amount;
pub mod build;
pub mod civil;
pub mod compare;
pub mod contacted;
pub mod coverage;
pub mod csv;
pub mod explain;
pub mod json;
pub mod known;
pub mod model;
pub mod new;
pub mod summary;
pub mod sureness;
pub mod table;
pub mod text;
pub mod timeline;
pub mod top;
pub mod who;
