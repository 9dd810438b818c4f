#![allow(clippy::unwrap_used, reason = "tests panic on purpose")]
use super::*;
