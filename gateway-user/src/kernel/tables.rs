//! The counting tables as the daemon sees them: flip, read the quiet buffer, zero it.
//!
//! The order of the steps is what makes a drain exactly-once. A buffer carries its epoch from the moment before
//! it becomes active until the moment after its last byte is zeroed; an epoch of 0 says that it is clean. So
//! whoever finds a buffer that is neither active nor clean knows that its drain was cut short, and the journal
//! in the database says on which side of the commit.
#![allow(
    unsafe_code,
    reason = "writes single fields of the control record, which the kernel reads at any moment"
)]

use super::{
    geometry::Geometry,
    mapped::{Mapped, write_field},
};
use anyhow::{Context, bail, ensure};
use aya::maps::{MapData, PerCpuHashMap};
use gateway_common::{
    BUFFERS, Control, FlowCounters, FlowKey, FlowSlot, KernelStat, MAX_GATEWAY_MACS, MacAddr, StatBlock,
};
use gateway_core::{drained::DrainedFlow, units::BootTime};

type ExactTable = PerCpuHashMap<MapData, [u64; 4], [u64; 4]>;

/// One set of counting tables.
pub struct Tables {
    geometry: Geometry,
    control: Mapped<Control>,
    fast: Mapped<FlowSlot>,
    coarse: Mapped<FlowSlot>,
    stats: Mapped<StatBlock>,
    exact: [ExactTable; BUFFERS],
}

/// A buffer that is not active and not clean: its counts stand still.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Quiet {
    /// 0 or 1.
    pub buffer: usize,
    /// Its turn.
    pub epoch: u64,
    /// When it became active.
    pub began: BootTime,
    /// When the other one did.
    pub ended: BootTime,
}

/// The maps of one set, open.
pub struct Maps {
    pub control: MapData,
    pub fast: MapData,
    pub coarse: MapData,
    pub stats: MapData,
    pub exact: [MapData; BUFFERS],
}

impl Tables {
    /// Tables over open maps.
    ///
    /// # Errors
    /// When a map cannot be mapped into memory.
    pub fn open(geometry: Geometry, maps: Maps) -> anyhow::Result<Self> {
        let Maps { control, fast, coarse, stats, exact: [exact_0, exact_1] } = maps;
        let exact =
            |map| PerCpuHashMap::try_from(aya::maps::Map::PerCpuHashMap(map)).context("open the exact table");
        Ok(Self {
            geometry,
            control: Mapped::new(control.fd(), 1)?,
            fast: Mapped::new(fast.fd(), geometry.fast_len())?,
            coarse: Mapped::new(coarse.fd(), geometry.coarse_len())?,
            stats: Mapped::new(stats.fd(), geometry.regions())?,
            exact: [exact(exact_0)?, exact(exact_1)?],
        })
    }

    /// The sizes.
    #[must_use]
    pub fn geometry(&self) -> Geometry {
        self.geometry
    }

    fn control(&self) -> anyhow::Result<Control> {
        self.control.read(0).context("read the control record")
    }

    /// Were these tables ever used? New ones must be [`Tables::begin`]-ed first.
    ///
    /// # Errors
    /// Only if the mapping is gone.
    pub fn is_begun(&self) -> anyhow::Result<bool> {
        Ok(self.control()?.table_id != 0)
    }

    /// The number that tells these tables' epochs from all others'.
    ///
    /// # Errors
    /// Only if the mapping is gone.
    pub fn table_id(&self) -> anyhow::Result<u64> {
        Ok(self.control()?.table_id)
    }

    /// Starts new tables with epoch 1 in buffer 0. Before this no program may be attached.
    ///
    /// # Errors
    /// Only if the mapping is gone.
    pub fn begin(&mut self, table_id: u64, now: BootTime) -> anyhow::Result<()> {
        let mut control = self.control()?;
        control.active = 0;
        control.epoch = [1, 0];
        control.began_boot_ns = [now.0, 0];
        // 0 stands for "never begun".
        control.table_id = table_id.max(1);
        ensure!(self.control.write(0, control), "write the control record");
        Ok(())
    }

    /// Tells the kernel the gateway's own MAC addresses.
    ///
    /// # Errors
    /// When there are more than [`MAX_GATEWAY_MACS`].
    pub fn set_gateway_macs(&mut self, macs: &[MacAddr]) -> anyhow::Result<()> {
        if macs.len() > MAX_GATEWAY_MACS {
            bail!(
                "the gateway has {} MAC addresses on its LAN side; at most {MAX_GATEWAY_MACS} can be watched: name fewer interfaces",
                macs.len()
            );
        }
        let control = self.control.element(0).context("write the control record")?.as_ptr();
        // Addresses first, then how many count, so that no packet meets half a list. What is left over from a
        // longer list is cleared, because the kernel looks at the first place without asking the count.
        for place in 0..MAX_GATEWAY_MACS {
            let words = macs.get(place).map_or([0, 0], |&[a, b, c, d, e, f]| {
                [u32::from_ne_bytes([a, b, c, d]), u32::from(u16::from_ne_bytes([e, f]))]
            });
            // SAFETY: a field of the mapped control record.
            unsafe { write_field(&raw mut (*control).gateway_macs[place], words) };
        }
        // SAFETY: as above.
        unsafe { write_field(&raw mut (*control).mac_count, macs.len() as u32) };
        Ok(())
    }

    /// Turns the kernel to the other buffer, which must be clean. The grace period must pass before the quiet
    /// buffer is read. `at_least` is the least epoch to give: one more than the journal has.
    ///
    /// # Errors
    /// When the other buffer still waits for its drain.
    pub fn flip(&mut self, now: BootTime, at_least: u64) -> anyhow::Result<Quiet> {
        if let Some(Quiet { epoch, .. }) = self.quiet()? {
            bail!("the other buffer still holds epoch {epoch}");
        }
        let control = self.control()?;
        let active = control.active as usize & 1;
        let next = 1 - active;
        let epoch = (control.epoch[active] + 1).max(at_least);
        let record = self.control.element(0).context("write the control record")?.as_ptr();
        // SAFETY: fields of the mapped control record. The new buffer is marked before it can be written to.
        unsafe {
            write_field(&raw mut (*record).began_boot_ns[next], now.0);
            write_field(&raw mut (*record).epoch[next], epoch);
            write_field(&raw mut (*record).active, next as u32);
        }
        self.quiet()?.context("find the buffer that was just turned from")
    }

    /// The buffer that waits for its drain, if there is one.
    ///
    /// # Errors
    /// Only if the mapping is gone.
    pub fn quiet(&self) -> anyhow::Result<Option<Quiet>> {
        let control = self.control()?;
        let active = control.active as usize & 1;
        let buffer = 1 - active;
        let quiet = Quiet {
            buffer,
            epoch: control.epoch[buffer],
            began: BootTime(control.began_boot_ns[buffer]),
            ended: BootTime(control.began_boot_ns[active]),
        };
        // A buffer that has begun after the active one was marked for a flip that never came: it is still clean,
        // and its time is the active one's.
        Ok((quiet.epoch != 0 && quiet.began <= quiet.ended).then_some(quiet))
    }

    /// Reads a quiet buffer: every conversation once, and the counters summed over CPUs.
    ///
    /// # Errors
    /// When the kernel refuses to read the exact table.
    pub fn read(&self, quiet: Quiet) -> anyhow::Result<(Vec<DrainedFlow>, StatBlock)> {
        let mut flows = Vec::new();
        for index in self.fast_range(quiet) {
            push_slot(&mut flows, self.fast.read(index));
        }
        for index in self.coarse_range(quiet) {
            push_slot(&mut flows, self.coarse.read(index));
        }
        for entry in self.exact[quiet.buffer].iter() {
            let (key, values) = entry.context("read the exact table")?;
            let key: FlowKey = zerocopy::transmute!(key);
            let mut flow = DrainedFlow { key, ..DrainedFlow::default() };
            for value in values.iter() {
                let counters: FlowCounters = zerocopy::transmute!(*value);
                flow.absorb(counters);
            }
            flows.push(flow);
        }
        Ok((summed(flows), self.stats_of(quiet.buffer)))
    }

    fn stats_of(&self, buffer: usize) -> StatBlock {
        let mut sum = StatBlock::default();
        for index in self.region_range(buffer) {
            if let Some(block) = self.stats.read(index) {
                sum.merge(&block);
            }
        }
        sum
    }

    /// The largest share of any CPU's fast slots that the active buffer has taken, 0 to 1. Read while the kernel
    /// writes: good for deciding when to drain, not for adding up.
    #[must_use]
    pub fn fill(&self) -> f64 {
        let Ok(control) = self.control() else { return 0.0 };
        let slots = self.region_range(control.active as usize & 1);
        let taken = slots.filter_map(|i| self.stats.read(i)).map(|b| b.get(KernelStat::FastSlots)).max();
        taken.unwrap_or(0) as f64 / f64::from(self.geometry.fast_slots)
    }

    /// Zeroes a quiet buffer and says so. Cut short and begun again, it does the same.
    ///
    /// # Errors
    /// When the kernel refuses to empty the exact table.
    pub fn zero(&mut self, quiet: Quiet) -> anyhow::Result<()> {
        let Quiet { buffer, .. } = quiet;
        for index in self.fast_range(quiet) {
            clear_slot(&mut self.fast, index);
        }
        for index in self.coarse_range(quiet) {
            clear_slot(&mut self.coarse, index);
        }
        let exact = &mut self.exact[buffer];
        let keys: Vec<[u64; 4]> = exact.keys().collect::<Result<_, _>>().context("list the exact table")?;
        for key in &keys {
            exact.remove(key).context("empty the exact table")?;
        }
        for index in self.region_range(buffer) {
            self.stats.write(index, StatBlock::default());
        }
        let record = self.control.element(0).context("write the control record")?.as_ptr();
        // SAFETY: a field of the mapped control record. Last of all: now the buffer is clean.
        unsafe { write_field(&raw mut (*record).epoch[buffer], 0) };
        Ok(())
    }

    fn region_range(&self, buffer: usize) -> std::ops::Range<usize> {
        let cpus = self.geometry.cpus as usize;
        buffer * cpus..(buffer + 1) * cpus
    }

    fn fast_range(&self, quiet: Quiet) -> std::ops::Range<usize> {
        let len = self.geometry.cpus as usize * self.geometry.fast_slots as usize;
        quiet.buffer * len..(quiet.buffer + 1) * len
    }

    fn coarse_range(&self, quiet: Quiet) -> std::ops::Range<usize> {
        let len = self.geometry.cpus as usize * self.geometry.coarse_cells as usize;
        quiet.buffer * len..(quiet.buffer + 1) * len
    }
}

fn push_slot(flows: &mut Vec<DrainedFlow>, slot: Option<FlowSlot>) {
    if let Some(FlowSlot { key, counters }) = slot
        && key.flags != 0
    {
        flows.push(DrainedFlow::of(key, counters));
    }
}

fn clear_slot(table: &mut Mapped<FlowSlot>, index: usize) {
    // Pages that were never written stay untouched.
    if table.read(index).is_some_and(|slot| slot != FlowSlot::default()) {
        table.write(index, FlowSlot::default());
    }
}

/// One flow per key: several CPUs, tiers and slots may have counted parts of it.
fn summed(mut flows: Vec<DrainedFlow>) -> Vec<DrainedFlow> {
    flows.sort_unstable_by_key(|flow| flow.key);
    flows.dedup_by(|part, sum| {
        let is_same = part.key == sum.key;
        if is_same {
            sum.merge(part);
        }
        is_same
    });
    flows
}
