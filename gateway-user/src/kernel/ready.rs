//! Waiting for a ring of the kernel to have something in it.
#![allow(unsafe_code, reason = "tokio asks its caller to promise that a descriptor stays what it is")]

use anyhow::Context;
use std::os::fd::{AsFd, OwnedFd};
use tokio::io::{Interest, unix::AsyncFd};

/// A second handle of a ring, to wait on while the first one is read from.
///
/// # Errors
/// When the descriptor cannot be duplicated or watched.
pub fn readable(ring: &impl AsFd) -> anyhow::Result<AsyncFd<OwnedFd>> {
    let handle = ring.as_fd().try_clone_to_owned().context("wait for the kernel")?;
    // SAFETY: the `AsyncFd` owns the descriptor: it stays open, and the same, for as long as that lives.
    unsafe { AsyncFd::register_with_interest(handle, Interest::READABLE) }
        .map_err(std::io::Error::from)
        .context("wait for the kernel")
}
