//! How large the kernel's tables are, and how that is written in a directory's name.
//!
//! Pinned maps are reused only by a program that agrees with every number here: aya itself would take any map of
//! the right name.

use anyhow::Context;
use gateway_common::{ABI_VERSION, BUFFERS};

/// Sizes of the kernel's tables.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Geometry {
    /// CPUs that may ever come up: each has its own part of every table.
    pub cpus: u32,
    /// Slots per CPU and buffer in the fast table; a power of two.
    pub fast_slots: u32,
    /// Cells per CPU and buffer in the coarse table; a power of two.
    pub coarse_cells: u32,
    /// Entries per buffer in the exact table.
    pub exact_entries: u32,
    /// Bytes of the ring for DNS, DHCP and mDNS samples; a power of two.
    pub ring_names_bytes: u32,
    /// Bytes of the ring for TLS and HTTP samples; a power of two.
    pub ring_hellos_bytes: u32,
}

impl Geometry {
    /// How many CPUs the kernel may ever bring up.
    ///
    /// # Errors
    /// When sysfs does not say.
    pub fn possible_cpus() -> anyhow::Result<u32> {
        let cpus = aya::util::nr_cpus()
            .map_err(|(path, error)| error.to_string() + " in " + path)
            .map_err(anyhow::Error::msg)
            .context("count the possible CPUs")?;
        u32::try_from(cpus).context("count the possible CPUs")
    }

    /// The directory's name under the pin directory: version and every size.
    #[must_use]
    pub fn directory_name(&self) -> String {
        let Self { cpus, fast_slots, coarse_cells, exact_entries, ring_names_bytes, ring_hellos_bytes } =
            self;
        format!(
            "maps-v{ABI_VERSION}-{cpus}-{fast_slots}-{coarse_cells}-{exact_entries}-{ring_names_bytes}-{ring_hellos_bytes}"
        )
    }

    /// The sizes that a directory's name tells; `None` if it is another version's, or no such name.
    #[must_use]
    pub fn from_directory_name(name: &str) -> Option<Self> {
        let sizes = name.strip_prefix(&format!("maps-v{ABI_VERSION}-"))?;
        let mut sizes = sizes.split('-').map(str::parse::<u32>);
        let mut next = || sizes.next()?.ok();
        let geometry = Self {
            cpus: next()?,
            fast_slots: next()?,
            coarse_cells: next()?,
            exact_entries: next()?,
            ring_names_bytes: next()?,
            ring_hellos_bytes: next()?,
        };
        (sizes.next().is_none() && geometry.directory_name() == name).then_some(geometry)
    }

    /// `[buffer][cpu]` pairs.
    #[must_use]
    pub fn regions(&self) -> u32 {
        BUFFERS as u32 * self.cpus
    }

    /// Elements of the fast table.
    #[must_use]
    pub fn fast_len(&self) -> u32 {
        self.regions() * self.fast_slots
    }

    /// Elements of the coarse table.
    #[must_use]
    pub fn coarse_len(&self) -> u32 {
        self.regions() * self.coarse_cells
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_geometry_survives_its_directory_name() {
        let geometry = Geometry {
            cpus: 4,
            fast_slots: 4096,
            coarse_cells: 1024,
            exact_entries: 8192,
            ring_names_bytes: 1 << 17,
            ring_hellos_bytes: 1 << 18,
        };
        assert_eq!(Geometry::from_directory_name(&geometry.directory_name()), Some(geometry));
        for bad in [
            "",
            "maps-v0-4-4096-1024-8192-131072-262144",
            "maps-v1-4-4096",
            "links",
            "maps-v1-4-4096-1024-8192-1-2-3",
        ] {
            assert_eq!(Geometry::from_directory_name(bad), None, "{bad}");
        }
    }
}
