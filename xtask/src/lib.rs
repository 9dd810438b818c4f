//! The parts of `cargo xtask` that tests use too.
//!
//! Ships nothing: the household of network namespaces, its traffic, and a count of that traffic which shares no
//! code with the product, so that the two may be compared.

pub mod lab;
pub mod need;
pub mod tool;
