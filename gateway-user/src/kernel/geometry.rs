//! How large the kernel's tables are, and how that is written in a directory's name.
//!
//! Pinned maps are reused only by a program that agrees with every number here: aya itself would take any map of
//! the right name.

use anyhow::Context;
use gateway_common::{ABI_VERSION, BUFFERS};

/// The CPUs that may ever come up, as a list of numbers and ranges ("0,2-3").
const POSSIBLE_CPUS: &str = "/sys/devices/system/cpu/possible";

/// Sizes of the kernel's tables.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Geometry {
    /// One more than the highest number of a CPU that may ever come up: each number has its own part of the fast,
    /// coarse and statistics tables.
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
    /// Places for the CPUs that the kernel may ever bring up: one more than the highest number among them, because
    /// the kernel program finds its part of a table by the CPU's number, and numbers may have gaps.
    ///
    /// # Errors
    /// When sysfs does not say.
    pub fn possible_cpus() -> anyhow::Result<u32> {
        let list = std::fs::read_to_string(POSSIBLE_CPUS)
            .with_context(|| format!("read the possible CPUs from {POSSIBLE_CPUS}"))?;
        cpu_places(&list).with_context(|| format!("understand {POSSIBLE_CPUS}, which says {:?}", list.trim()))
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

/// One more than the highest number in a list of CPUs as sysfs writes it; `None` if it is no such list.
fn cpu_places(list: &str) -> Option<u32> {
    let mut places = 0;
    for range in list.trim().split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        if first > last {
            return None;
        }
        places = places.max(last.checked_add(1)?);
    }
    Some(places)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_reach_to_the_highest_cpu() {
        for (list, places) in
            [("0\n", 1), ("0-3\n", 4), ("0,2-3\n", 4), ("0-1,8-9,4", 10), ("5,2", 6), ("0-255", 256)]
        {
            assert_eq!(cpu_places(list), Some(places), "{list}");
        }
        for bad in ["", "\n", "a", "0-", "-3", "3-0", "0,,1", "0-4294967295", "99999999999", "0-1-2"] {
            assert_eq!(cpu_places(bad), None, "{bad:?}");
        }
        assert!(Geometry::possible_cpus().is_ok_and(|cpus| cpus > 0));
    }

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
