//! The wait between turning the kernel to the other buffer and reading the quiet one.

use super::syscall::{MapOfMaps, membarrier_global};
use anyhow::Context;

/// A way to wait until no program can still be writing to the buffer that was active before the call.
pub enum GracePeriod {
    /// `membarrier(2)`.
    Membarrier,
    /// The update of a map of maps.
    MapOfMaps(MapOfMaps),
}

impl std::fmt::Debug for GracePeriod {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

impl GracePeriod {
    /// Picks the way that this kernel has.
    ///
    /// # Errors
    /// When it has neither.
    pub fn choose() -> anyhow::Result<Self> {
        if membarrier_global().is_ok() {
            return Ok(Self::Membarrier);
        }
        let map = MapOfMaps::new().context("find a way to wait for running BPF programs")?;
        map.wait().context("find a way to wait for running BPF programs")?;
        Ok(Self::MapOfMaps(map))
    }

    /// Waits.
    ///
    /// # Errors
    /// When the kernel refuses what it allowed before.
    pub fn wait(&self) -> anyhow::Result<()> {
        match self {
            Self::Membarrier => membarrier_global(),
            Self::MapOfMaps(map) => map.wait(),
        }
        .context("wait for running BPF programs")
    }

    /// The word for it in `doctor`.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Membarrier => "membarrier",
            Self::MapOfMaps(_) => "map of maps",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[ignore = "needs root: cargo xtask test runs it"]
    fn both_ways_work_where_bpf_does() {
        GracePeriod::choose().expect("a way").wait().expect("waits");
        MapOfMaps::new().expect("a map of maps").wait().expect("waits");
    }
}
