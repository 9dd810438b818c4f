//! How large the kernel's tables are on this machine. They are held for good, so they follow its memory.

use anyhow::{Context, bail};
use gateway_common::{BUFFERS, FlowCounters, FlowSlot};

/// Fewest slots the fast table may be given: two neighbourhoods of probes. Tests overflow it on purpose.
pub const MIN_FAST_SLOTS: u32 = 2 * gateway_common::PROBES;
/// Most slots per CPU: 8 MiB for each CPU's two buffers. A drain looks at every slot.
pub const MAX_FAST_SLOTS: u32 = 1 << 16;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// Part of the memory that all tables and rings take together at most.
const MEMORY_SHARE: u64 = 32;
/// And this at most, however much memory there is: what a house's traffic never fills is no use to a large server.
const MAX_BYTES: u64 = 64 * MIB;

/// What the tables are not shrunk below: with less, a busy minute would be counted per device only. Several hundred
/// CPUs come to more than the bounds above even so.
const FLOOR_FAST_SLOTS: u32 = 256;
const FLOOR_COARSE_CELLS: u32 = 64;
const FLOOR_EXACT_ENTRIES: u32 = 1024;

/// What the kernel adds to an entry of a hash table: its head, its bucket, its pointer to the CPUs' values.
const EXACT_ENTRY_OVERHEAD: u64 = 110;

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
    let mut sizes = TableSizes {
        fast_slots_per_cpu: slots,
        coarse_cells_per_cpu: cells,
        exact_entries: exact,
        ring_names_bytes: names_kib * KIB as u32,
        ring_hellos_bytes: hellos_kib * KIB as u32,
    };
    sizes.fit(cpus, (total_memory_bytes / MEMORY_SHARE).min(MAX_BYTES));
    sizes.fast_slots_per_cpu = override_slots.unwrap_or(sizes.fast_slots_per_cpu);
    sizes
}

impl TableSizes {
    /// What the kernel holds for good with these sizes.
    #[must_use]
    pub fn bytes(&self, cpus: usize) -> u64 {
        let Self { fast_slots_per_cpu, coarse_cells_per_cpu, exact_entries, .. } = *self;
        let cpus = cpus as u64;
        let slots = (u64::from(fast_slots_per_cpu) + u64::from(coarse_cells_per_cpu)) * cpus;
        let entry = size_of::<FlowCounters>() as u64 * cpus + EXACT_ENTRY_OVERHEAD;
        BUFFERS as u64 * (slots * size_of::<FlowSlot>() as u64 + u64::from(exact_entries) * entry)
            + u64::from(self.ring_names_bytes)
            + u64::from(self.ring_hellos_bytes)
    }

    /// Halves the fast table, then the coarse, then the exact one, until all is within `budget` bytes or at its
    /// floor; what a later halving freed beyond need goes back to the fast table, where counting is cheapest.
    fn fit(&mut self, cpus: usize, budget: u64) {
        let wanted = self.fast_slots_per_cpu;
        let tables: [(fn(&mut Self) -> &mut u32, u32); 3] = [
            (|sizes| &mut sizes.fast_slots_per_cpu, FLOOR_FAST_SLOTS),
            (|sizes| &mut sizes.coarse_cells_per_cpu, FLOOR_COARSE_CELLS),
            (|sizes| &mut sizes.exact_entries, FLOOR_EXACT_ENTRIES),
        ];
        for (table, floor) in tables {
            while self.bytes(cpus) > budget && *table(self) > floor {
                *table(self) /= 2;
            }
        }
        while self.fast_slots_per_cpu < wanted {
            let larger = Self { fast_slots_per_cpu: self.fast_slots_per_cpu * 2, ..*self };
            if larger.bytes(cpus) > budget {
                break;
            }
            *self = larger;
        }
    }
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
        check(16 * 1024, 128, 1024, 64, 4096, (256, 512));
        check(64 * 1024, 256, 512, 64, 2048, (256, 512));
        check(120, 2, 1024, 512, 2048, (64, 128));
        for cpus in [2, 4] {
            check(4096, cpus, 16_384, 1024, 8192, (256, 512));
        }
    }

    #[test]
    fn all_tables_together_are_a_modest_share_of_the_memory() {
        for mib in [58, 120, 245, 490, 980, 3_700, 16_384, 65_536, 1 << 20] {
            for cpus in [1, 2, 4, 8, 16, 32, 64, 128, 256] {
                let sizes = table_sizes(mib * MIB, cpus, None);
                let is_at_floor = sizes.fast_slots_per_cpu == FLOOR_FAST_SLOTS
                    && sizes.coarse_cells_per_cpu == FLOOR_COARSE_CELLS
                    && sizes.exact_entries == FLOOR_EXACT_ENTRIES;
                let is_bounded = sizes.bytes(cpus) <= (mib * MIB / 32).min(64 * MIB);
                assert!(is_bounded || is_at_floor, "{mib} MiB, {cpus} CPUs: {}", sizes.bytes(cpus));
                assert!(is_bounded || mib < 1024, "{mib} MiB, {cpus} CPUs: {}", sizes.bytes(cpus));
            }
        }
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
                        sizes.coarse_cells_per_cpu <= 1024 && (1024..=8192).contains(&sizes.exact_entries)
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
