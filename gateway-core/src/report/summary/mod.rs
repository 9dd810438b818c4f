//! The summary of a day, a night or any range: per device what went where, what is new, what grew, what happened in its
//! quiet hours, and how much of the range was measured. [`build`](build::build) makes the model; the other modules put
//! it in writing.
//!
//! Every claim has a rule with numbers, and the rule is printed with the claim. Where the days before were measured too
//! thinly for a rule, nothing is claimed and that is said. The same rows give the same bytes.

pub mod build;
pub mod csv;
mod findings;
pub mod html;
pub mod idle;
pub mod input;
pub mod json;
pub mod markdown;
pub mod model;
pub(crate) mod observed;
mod past;
mod places;
pub mod text;
pub mod words;
