//! How large the kernel's tables are on this machine. They are held for good, so they follow its memory.

use anyhow::{Context, bail};
use gateway_common::{BUFFERS, FlowSlot};

/// Fewest slots the fast table may be given: two neighbourhoods of probes. Tests overflow it on purpose.
pub const MIN_FAST_SLOTS: u32 = 2 * gateway_common::PROBES;
/// Most slots per CPU: 8 MiB for each CPU's two buffers. A drain looks at every slot.
pub const MAX_FAST_SLOTS: u32 = 1 << 16;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// Part of the memory that the fast table takes at most, on machines with very many CPUs.
const FAST_TABLE_SHARE: u64 = 64;

/// The sizes of the kernel's tables and rings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TableSizes {
    /// Slots per CPU and buffer of the fast table, of 64 bytes; a power of two.
    pub fast_slots_per_cpu: u32,
    /// Cells per CPU and buffer of the coarse table, of 64 bytes; a power of two.
    pub coarse_cells_per_cpu: u32,
    /// Entries per buffer of the exact table, each with 32 bytes per CPU and about 110 of its own.
    pub exact_entries: u32,
    /// Bytes of the names ring: a power of two and a multiple of every page size.
    pub ring_names_bytes: u32,
    /// Bytes of the hellos ring, likewise.
    pub ring_hellos_bytes: u32,
}

/// The sizes for a machine. The steps lie an eighth below the round figure, because the kernel keeps some of the
/// memory and firmware more: a "512 MB" router says 490.
#[must_use]
pub fn table_sizes(total_memory_bytes: u64, cpus: usize, override_slots: Option<u32>) -> TableSizes {
    let is_at_least = |mib: u64| total_memory_bytes >= mib * MIB / 8 * 7;
    let (slots, cells, exact, names_kib, hellos_kib) = if is_at_least(4096) {
        (16_384, 1024, 8192, 256, 512)
    } else if is_at_least(512) {
        (8192, 1024, 4096, 128, 256)
    } else if is_at_least(256) {
        (4096, 512, 4096, 64, 128)
    } else {
        (1024, 512, 2048, 64, 128)
    };
    TableSizes {
        fast_slots_per_cpu: override_slots.unwrap_or_else(|| fitting(slots, total_memory_bytes, cpus)),
        coarse_cells_per_cpu: cells,
        exact_entries: exact,
        ring_names_bytes: names_kib * KIB as u32,
        ring_hellos_bytes: hellos_kib * KIB as u32,
    }
}

/// Halves the slots until all CPUs' together are a modest share of the memory.
fn fitting(mut slots: u32, total_memory_bytes: u64, cpus: usize) -> u32 {
    let bytes_of = |slots: u32| (BUFFERS * size_of::<FlowSlot>() * cpus) as u64 * u64::from(slots);
    while slots > 256 && bytes_of(slots) > total_memory_bytes / FAST_TABLE_SHARE {
        slots /= 2;
    }
    slots
}

/// The memory of this machine in bytes.
///
/// # Errors
/// When `/proc/meminfo` cannot be read or says nothing of it.
pub fn total_memory_bytes() -> anyhow::Result<u64> {
    const MEMINFO: &str = "/proc/meminfo";
    let text = std::fs::read_to_string(MEMINFO).with_context(|| format!("read {MEMINFO}"))?;
    let Some(kib) = mem_total_kib(&text) else { bail!("find MemTotal in {MEMINFO}") };
    Ok(kib.saturating_mul(KIB))
}

fn mem_total_kib(meminfo: &str) -> Option<u64> {
    let rest = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic on purpose")]
    use super::*;

    #[track_caller]
    fn check(mib: u64, cpus: usize, slots: u32, cells: u32, exact: u32, rings_kib: (u32, u32)) {
        let sizes = table_sizes(mib * MIB, cpus, None);
        let TableSizes {
            fast_slots_per_cpu,
            coarse_cells_per_cpu,
            exact_entries,
            ring_names_bytes,
            ring_hellos_bytes,
        } = sizes;
        assert_eq!(
            (fast_slots_per_cpu, coarse_cells_per_cpu, exact_entries),
            (slots, cells, exact),
            "{mib} MiB"
        );
        assert_eq!((ring_names_bytes >> 10, ring_hellos_bytes >> 10), rings_kib, "{mib} MiB");
    }

    #[test]
    fn sizes_follow_the_memory() {
        check(58, 1, 1024, 512, 2048, (64, 128));
        check(120, 2, 1024, 512, 2048, (64, 128));
        check(245, 4, 4096, 512, 4096, (64, 128));
        check(490, 4, 8192, 1024, 4096, (128, 256));
        check(3_700, 4, 16_384, 1024, 8192, (256, 512));
        check(24_105, 2, 16_384, 1024, 8192, (256, 512));
    }

    #[test]
    fn many_cpus_do_not_eat_the_memory() {
        check(3_700, 64, 4096, 1024, 8192, (256, 512));
        check(200, 256, 256, 512, 2048, (64, 128));
    }

    #[test]
    fn every_size_is_one_the_kernel_takes() {
        for shift in 20..44 {
            for memory in [(1_u64 << shift) - 1, 1 << shift, (1 << shift) * 7 / 8] {
                for cpus in [1, 2, 4, 12, 255] {
                    let sizes = table_sizes(memory, cpus, None);
                    assert!(
                        sizes.fast_slots_per_cpu.is_power_of_two()
                            && sizes.coarse_cells_per_cpu.is_power_of_two()
                    );
                    assert!((MIN_FAST_SLOTS..=MAX_FAST_SLOTS).contains(&sizes.fast_slots_per_cpu));
                    assert!(
                        sizes.coarse_cells_per_cpu <= 1024 && (2048..=8192).contains(&sizes.exact_entries)
                    );
                    for ring in [sizes.ring_names_bytes, sizes.ring_hellos_bytes] {
                        assert!(ring.is_power_of_two() && ring % 65_536 == 0, "pages have up to 64 KiB");
                    }
                }
            }
        }
    }

    #[test]
    fn an_override_wins() {
        assert_eq!(table_sizes(4096 * MIB, 2, Some(64)).fast_slots_per_cpu, 64);
    }

    #[test]
    fn memory_is_read_from_meminfo() {
        assert_eq!(mem_total_kib("MemTotal:       24683520 kB\nMemFree: 1 kB\n"), Some(24_683_520));
        assert_eq!(mem_total_kib("MemFree: 1 kB\n"), None);
        assert_eq!(mem_total_kib("MemTotal: kB\n"), None);
        assert!(total_memory_bytes().unwrap() > 16 * MIB);
    }
}
