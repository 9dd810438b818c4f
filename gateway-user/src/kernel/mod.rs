//! The kernel's side of the work: load the programs, attach them, read their tables, bring up their samples.
//!
//! `unsafe` lives in `mapped` and `tables` (memory shared with the kernel), `syscall` (two calls no library offers)
//! and `ready` (a promise to tokio), nowhere else. Nothing
//! here knows a name or a row; what comes out is [`gateway_core::drained::Drained`].

mod attach;
mod geometry;
mod grace;
mod hold;
mod load;
mod mapped;
mod object;
mod pins;
mod ready;
mod samples;
mod syscall;
mod tables;

pub use attach::{Attachments, HookKind};
pub use geometry::Geometry;
pub use grace::GracePeriod;
pub use hold::Hold;
pub use load::{Kernel, KernelLog, LoadOptions, Loaded};
pub use object::OBJECT;
pub use pins::{Found, PinDirectory};
pub use ready::readable;
pub use samples::{SampleRing, Sampled};
pub use syscall::return_free_memory;
pub use tables::{Quiet, Tables};
