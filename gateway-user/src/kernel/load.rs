//! Bringing the program and its tables into the kernel, or taking over those that a daemon before us left.

use super::{Found, Geometry, OBJECT, PinDirectory, SampleRing, Tables};
use anyhow::Context;
use aya::{Ebpf, EbpfLoader, programs::SchedClassifier};
use aya_log::EbpfLogger;
use gateway_common::map_name;
use std::{
    fmt,
    hash::{BuildHasher, Hasher, RandomState},
    path::{Path, PathBuf},
};

/// How much the kernel program says. Chosen at load: what is off is not even in the loaded program.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct KernelLog(Option<aya_log::Level>);

impl KernelLog {
    /// The words that stand for the levels, quietest first.
    pub const WORDS: [&'static str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

    /// From its word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        use aya_log::Level;
        Some(Self(match word {
            "off" => None,
            "error" => Some(Level::Error),
            "warn" => Some(Level::Warn),
            "info" => Some(Level::Info),
            "debug" => Some(Level::Debug),
            "trace" => Some(Level::Trace),
            _ => return None,
        }))
    }

    /// Is anything to be said?
    #[must_use]
    pub fn is_on(self) -> bool {
        self.0.is_some()
    }
}

/// What to load.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// Sizes of the tables.
    pub geometry: Geometry,
    /// Copy samples?
    pub wants_samples: bool,
    /// What the kernel program says.
    pub log: KernelLog,
}

/// The loaded program and its tables.
pub struct Kernel {
    pub(super) ebpf: Ebpf,
    /// The counting tables.
    pub tables: Tables,
    /// DNS, DHCP and mDNS samples.
    pub names: SampleRing,
    /// TLS and HTTP samples.
    pub hellos: SampleRing,
    /// Where everything is pinned.
    pub pins: PinDirectory,
}

/// What came of loading.
pub struct Loaded {
    /// Ready to be attached.
    pub kernel: Kernel,
    /// Tables of another shape, left by a daemon with other settings: to be drained and forgotten once the hooks
    /// count into the new ones.
    pub left_over: Vec<(PathBuf, Tables)>,
    /// Things a person should know: sets of maps that could not be used.
    pub notes: Vec<String>,
}

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kernel").field("pins", &self.pins).finish_non_exhaustive()
    }
}

impl Kernel {
    /// Loads the program. Tables of the same shape that are pinned already are taken over with all that they
    /// hold.
    ///
    /// # Errors
    /// When the kernel refuses: the message says what a person can do.
    pub fn load(pins: &PinDirectory, options: &LoadOptions) -> anyhow::Result<Loaded> {
        let LoadOptions { geometry, wants_samples, log } = options;
        let mut notes = Vec::new();
        pins.remove_scrap()?;
        let found = pins.check(geometry)?;
        if let Found::Broken(why) = &found {
            notes.push(format!(
                "pinned tables could not be used and are made anew; what they held is lost ({why})"
            ));
            pins.remove(&pins.maps(geometry))?;
        }
        let mut left_over = Vec::new();
        for (path, shape) in pins.others(geometry)? {
            let tables = shape.filter(|g| pins.check(g).is_ok_and(|f| f == Found::Whole));
            if let Some(shape) = tables {
                let tables = Tables::open(shape, pins.open_tables(&shape)?)?;
                if tables.is_begun()? {
                    left_over.push((path, tables));
                } else {
                    // Made by somebody who was killed, or only came to detach: nothing was ever counted into it.
                    pins.remove(&path)?;
                }
            } else {
                notes.push(format!(
                    "tables were found that cannot be read, of another version of telltale or broken; what they held since their last drain is lost ({})",
                    path.display()
                ));
                pins.remove(&path)?;
            }
        }
        let is_new = found != Found::Whole;
        let directory = if is_new { pins.scrap(geometry) } else { pins.maps(geometry) };
        let mut ebpf = load_object(&directory, geometry, *wants_samples, *log)?;
        for name in [map_name::PROGRAM_INGRESS, map_name::PROGRAM_EGRESS] {
            program(&mut ebpf, name)?.load().with_context(|| format!("load the kernel program {name}"))?;
        }
        if is_new {
            pins.keep_scrap(geometry)?;
        }
        let kernel = Self {
            ebpf,
            tables: Tables::open(*geometry, pins.open_tables(geometry)?)?,
            names: SampleRing::open(pins.open_map(geometry, map_name::RING_NAMES)?)?,
            hellos: SampleRing::open(pins.open_map(geometry, map_name::RING_HELLOS)?)?,
            pins: pins.clone(),
        };
        Ok(Loaded { kernel, left_over, notes })
    }

    /// The kernel program's own words, to be read when its ring is readable.
    ///
    /// # Errors
    /// When the ring cannot be opened.
    pub fn logger<L: log::Log>(&mut self, sink: L) -> anyhow::Result<EbpfLogger<L>> {
        EbpfLogger::init_with_logger(&mut self.ebpf, sink).context("open the kernel program's log")
    }

    /// One of the two programs, loaded.
    ///
    /// # Errors
    /// When the object has no such program.
    pub fn program(&mut self, name: &str) -> anyhow::Result<&mut SchedClassifier> {
        program(&mut self.ebpf, name)
    }
}

pub(super) fn program<'a>(ebpf: &'a mut Ebpf, name: &str) -> anyhow::Result<&'a mut SchedClassifier> {
    let program = ebpf.program_mut(name).with_context(|| format!("find the kernel program {name}"))?;
    program.try_into().with_context(|| format!("find the kernel program {name}"))
}

fn load_object(
    directory: &Path,
    geometry: &Geometry,
    wants_samples: bool,
    log: KernelLog,
) -> anyhow::Result<Ebpf> {
    std::fs::create_dir_all(directory).with_context(|| format!("make {}", directory.display()))?;
    // Kernels before 5.11 charge maps to this limit; later ones do not look at it.
    let _ = nix::sys::resource::setrlimit(
        nix::sys::resource::Resource::RLIMIT_MEMLOCK,
        nix::sys::resource::RLIM_INFINITY,
        nix::sys::resource::RLIM_INFINITY,
    );
    let (slot_mask, cell_mask, cpus) = (geometry.fast_slots - 1, geometry.coarse_cells - 1, geometry.cpus);
    let (seed, sampling) = (random(), u32::from(wants_samples));
    let log_level = log.0.map_or(0, |level| level as u8);
    let mut loader = EbpfLoader::new();
    loader
        .override_global(map_name::SLOT_MASK, &slot_mask, true)
        .override_global(map_name::CELL_MASK, &cell_mask, true)
        .override_global(map_name::CPU_COUNT, &cpus, true)
        .override_global(map_name::HASH_SEED, &seed, true)
        .override_global(map_name::SAMPLING, &sampling, true)
        .override_global(aya_log::LEVEL, &log_level, true)
        .map_max_entries(map_name::FAST, geometry.fast_len())
        .map_max_entries(map_name::COARSE, geometry.coarse_len())
        .map_max_entries(map_name::STATS, geometry.regions())
        .map_max_entries(map_name::EXACT_0, geometry.exact_entries)
        .map_max_entries(map_name::EXACT_1, geometry.exact_entries)
        .map_max_entries(map_name::RING_NAMES, geometry.ring_names_bytes)
        .map_max_entries(map_name::RING_HELLOS, geometry.ring_hellos_bytes);
    if !log.is_on() {
        // The ring of the log exists in any case; unused it need not be large.
        loader.map_max_entries("AYA_LOGS", 1 << 14);
    }
    for name in map_name::PINNED {
        loader.map_pin_path(name, directory.join(name));
    }
    loader.load(OBJECT).context("load the kernel program (telltale doctor tells what this machine lacks)")
}

/// A number that nobody outside can guess: the standard library draws it from the system.
pub(super) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

impl Tables {
    /// A number for a new set of tables.
    #[must_use]
    pub fn new_table_id() -> u64 {
        // The journal keeps it as a signed number.
        random() >> 1
    }
}
