//! The pinned tables, looked at and meddled with from beside the daemon.

use super::household::House;
use aya::maps::{Array, Map, MapData, PerCpuHashMap};
use gateway_common::{BUFFERS, Control, FlowSlot, StatBlock, map_name};
use std::fs;
use std::path::PathBuf;

type Words<const N: usize> = Array<MapData, [u64; N]>;
const CONTROL_WORDS: usize = size_of::<Control>() / 8;
const SLOT_WORDS: usize = size_of::<FlowSlot>() / 8;
const STAT_WORDS: usize = size_of::<StatBlock>() / 8;

/// One set of pinned tables, held open: they outlive their pins for as long as this lives.
pub struct Pinned {
    control: Words<CONTROL_WORDS>,
    slots: [Words<SLOT_WORDS>; 2],
    stats: Words<STAT_WORDS>,
    exact: [PerCpuHashMap<MapData, [u64; 4], [u64; 4]>; BUFFERS],
}

impl Pinned {
    /// Opens the only set there is.
    pub fn open(house: &House) -> Self {
        let sets: Vec<PathBuf> = fs::read_dir(&house.pin_dir)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("maps-"))
            .collect();
        let [set] = sets.as_slice() else { panic!("one set of tables, not {sets:?}") };
        let open = |name| MapData::from_pin(set.join(name)).unwrap();
        let exact = |name| PerCpuHashMap::try_from(Map::PerCpuHashMap(open(name))).unwrap();
        Self {
            control: Array::try_from(Map::Array(open(map_name::CONTROL))).unwrap(),
            slots: [map_name::FAST, map_name::COARSE]
                .map(|name| Array::try_from(Map::Array(open(name))).unwrap()),
            stats: Array::try_from(Map::Array(open(map_name::STATS))).unwrap(),
            exact: [map_name::EXACT_0, map_name::EXACT_1].map(exact),
        }
    }

    /// The control record.
    pub fn control(&self) -> Control {
        zerocopy::transmute!(self.control.get(&0, 0).unwrap())
    }

    /// The buffer that is not active.
    pub fn quiet(&self) -> usize {
        1 - self.control().active as usize
    }

    /// Is the quiet buffer still marked with its epoch?
    pub fn is_quiet_marked(&self) -> bool {
        self.control().epoch[self.quiet()] != 0
    }

    /// Leaves the tables as a daemon does that is killed when it has zeroed every other part of the quiet buffer.
    pub fn zero_half(&mut self) {
        let buffer = self.quiet();
        for table in &mut self.slots {
            let half = table.len() / 2;
            for index in (buffer as u32 * half..(buffer as u32 + 1) * half).step_by(2) {
                table.set(index, [0; SLOT_WORDS], 0).unwrap();
            }
        }
        let keys: Vec<[u64; 4]> = self.exact[buffer].keys().map(Result::unwrap).collect();
        for key in keys.iter().step_by(2) {
            self.exact[buffer].remove(key).unwrap();
        }
        let cpus = self.stats.len() / 2;
        self.stats.set(buffer as u32 * cpus, [0; STAT_WORDS], 0).unwrap();
    }

    /// Leaves the tables as a daemon does that is killed when it has marked the clean buffer and not yet turned to
    /// it.
    pub fn flip_half(&mut self) {
        let mut control = self.control();
        let (active, next) = (control.active as usize, self.quiet());
        assert_eq!(control.epoch[next], 0, "the quiet buffer is clean");
        control.began_boot_ns[next] = gateway_user::clock::now().unwrap().boot.0;
        control.epoch[next] = control.epoch[active] + 1;
        let words: [u64; CONTROL_WORDS] = zerocopy::transmute!(control);
        self.control.set(0, words, 0).unwrap();
    }

    /// Packets that these tables hold and nobody has stored.
    pub fn held_packets(&self) -> u64 {
        self.stats.iter().map(|block| block.unwrap()[0]).sum()
    }
}
