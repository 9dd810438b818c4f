//! Why reading stopped.

/// Cut short is not wrong: sampled packets end early by design.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum WireError {
    /// The snapshot ended first. Expected: the kernel copies only the head of a packet.
    #[error("{field}: cut short, {missing} more bytes needed")]
    Truncated {
        /// What was being read.
        field: &'static str,
        /// How many bytes more it needs.
        missing: usize,
    },
    /// The bytes are here, and no honest sender wrote them.
    #[error("{field}: impossible value {found:#x}")]
    Malformed {
        /// What was being read.
        field: &'static str,
        /// What stood there; for a length that does not fit, that length.
        found: u64,
    },
}
