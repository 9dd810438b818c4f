//! The pin directory: where maps and links outlive the daemon.
//!
//! `maps-<shape>/` holds one set of maps, its name telling every size; `links/` the hooks: tcx links themselves, and
//! for filters an empty directory as a mark. Several sets exist only while an upgrade moves from one to the other;
//! a `scrap-maps-<shape>/` is being made or removed and holds nothing.

use super::{Geometry, tables::Maps};
use anyhow::{Context, bail, ensure};
use aya::maps::{MapData, MapInfo, MapType};
use gateway_common::{Control, FlowCounters, FlowKey, FlowSlot, StatBlock, map_name};
use nix::{
    mount::MsFlags,
    sys::statfs::{BPF_FS_MAGIC, statfs},
};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

const BPF_F_MMAPABLE: u32 = 1 << 10;

/// A directory on a BPF file system.
#[derive(Clone, Debug)]
pub struct PinDirectory {
    root: PathBuf,
}

/// What a set of pinned maps turned out to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Found {
    /// There is none of this shape.
    Nothing,
    /// All maps are there and have the shape that the directory's name tells.
    Whole,
    /// Not so: the reason.
    Broken(String),
}

impl PinDirectory {
    /// Opens (and if need be makes) the directory; mounts the BPF file system where it is usual and missing.
    ///
    /// # Errors
    /// When the place is on no BPF file system.
    pub fn open(root: &Path) -> anyhow::Result<Self> {
        if !is_on_bpffs(root) && root.starts_with("/sys/fs/bpf") {
            let none: Option<&str> = None;
            nix::mount::mount(Some("bpf"), "/sys/fs/bpf", Some("bpf"), MsFlags::empty(), none)
                .context("mount the BPF file system at /sys/fs/bpf")?;
        }
        if !is_on_bpffs(root) {
            bail!(
                "{} is not on a BPF file system: mount one (mount -t bpf bpf /sys/fs/bpf) and keep pin_dir inside it",
                root.display()
            );
        }
        fs::create_dir_all(root.join("links"))
            .with_context(|| format!("make the pin directory {}", root.display()))?;
        Ok(Self { root: root.to_owned() })
    }

    /// A number that tells this directory from others.
    #[must_use]
    pub fn name_hash(&self) -> u64 {
        super::hold::name_hash(&self.root)
    }

    /// Where a set of maps of this shape is pinned.
    #[must_use]
    pub fn maps(&self, geometry: &Geometry) -> PathBuf {
        self.root.join(geometry.directory_name())
    }

    /// Where a hook is pinned.
    #[must_use]
    pub fn link(&self, ifindex: u32, hook: &str) -> PathBuf {
        self.root.join("links").join(format!("{ifindex}-{hook}"))
    }

    /// A directory that says: there are filters of ours on this interface. A filter itself cannot be pinned.
    #[must_use]
    pub fn filter_mark(&self, ifindex: u32) -> PathBuf {
        self.link(ifindex, "clsact")
    }

    /// The hooks that are pinned or marked, by interface index.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn links(&self) -> anyhow::Result<Vec<(u32, PathBuf)>> {
        let mut links = Vec::new();
        for path in entries(&self.root.join("links"))? {
            let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            if let Some(index) = name.split('-').next().and_then(|i| i.parse().ok()) {
                links.push((index, path));
            }
        }
        Ok(links)
    }

    /// Sets of maps of other shapes, with the shape where this version knows it.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn others(&self, geometry: &Geometry) -> anyhow::Result<Vec<(PathBuf, Option<Geometry>)>> {
        let mut others = Vec::new();
        for path in entries(&self.root)? {
            let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            if name.starts_with("maps-") && name != geometry.directory_name() {
                others.push((path, Geometry::from_directory_name(&name)));
            }
        }
        Ok(others)
    }

    /// Looks at every map of a set. aya would take any map that has the right name.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn check(&self, geometry: &Geometry) -> anyhow::Result<Found> {
        let directory = self.maps(geometry);
        if !directory.exists() || entries(&directory)?.is_empty() {
            return Ok(Found::Nothing);
        }
        for shape in shapes(geometry) {
            let info = match MapInfo::from_pin(directory.join(shape.name)) {
                Ok(info) => info,
                Err(error) => return Ok(Found::Broken(format!("{}: {error}", shape.name))),
            };
            if let Some(difference) = shape.difference(&info) {
                return Ok(Found::Broken(format!("{}: {difference}", shape.name)));
            }
        }
        Ok(Found::Whole)
    }

    /// Opens the tables of a set.
    ///
    /// # Errors
    /// When one is missing.
    pub fn open_tables(&self, geometry: &Geometry) -> anyhow::Result<Maps> {
        let open = |name| self.open_map(geometry, name);
        Ok(Maps {
            control: open(map_name::CONTROL)?,
            fast: open(map_name::FAST)?,
            coarse: open(map_name::COARSE)?,
            stats: open(map_name::STATS)?,
            exact: [open(map_name::EXACT_0)?, open(map_name::EXACT_1)?],
        })
    }

    /// Opens one map of a set.
    ///
    /// # Errors
    /// When it is missing.
    pub fn open_map(&self, geometry: &Geometry, name: &str) -> anyhow::Result<MapData> {
        let path = self.maps(geometry).join(name);
        MapData::from_pin(&path).with_context(|| format!("open the pinned map {}", path.display()))
    }

    /// Where a set of maps is put together. It gets its own name when it is whole, and this one again before it is
    /// taken apart: so a set under its own name is whole, whenever a daemon was killed.
    #[must_use]
    pub fn scrap(&self, geometry: &Geometry) -> PathBuf {
        scrap_of(&self.maps(geometry))
    }

    /// Gives a set that was put together its own name.
    ///
    /// # Errors
    /// When it cannot be renamed.
    pub fn keep_scrap(&self, geometry: &Geometry) -> anyhow::Result<()> {
        let maps = self.maps(geometry);
        fs::rename(scrap_of(&maps), &maps).with_context(|| format!("make {}", maps.display()))
    }

    /// Removes sets that were not put together, or not taken apart, to the end. They hold nothing.
    ///
    /// # Errors
    /// When the directory cannot be read, or a pin not removed.
    pub fn remove_scrap(&self) -> anyhow::Result<()> {
        for path in entries(&self.root)? {
            if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(SCRAP)) {
                remove_set(&path)?;
            }
        }
        Ok(())
    }

    /// Forgets a set of maps. The kernel frees it when the last program and process lets go.
    ///
    /// # Errors
    /// When a pin cannot be removed.
    pub fn remove(&self, maps: &Path) -> anyhow::Result<()> {
        ensure!(maps.starts_with(&self.root), "{} is not in the pin directory", maps.display());
        let scrap = scrap_of(maps);
        fs::rename(maps, &scrap).with_context(|| format!("remove {}", maps.display()))?;
        remove_set(&scrap)
    }

    /// Removes the directory itself where nothing is left in it.
    pub fn remove_if_empty(&self) {
        // Somebody else's pins may be there: then it stays, and that is right.
        let _ = fs::remove_dir(self.root.join("links"));
        let _ = fs::remove_dir(&self.root);
    }
}

/// The name's beginning of what is not a whole set.
const SCRAP: &str = "scrap-";

fn scrap_of(maps: &Path) -> PathBuf {
    let name = maps.file_name().unwrap_or_default().to_string_lossy();
    maps.with_file_name(format!("{SCRAP}{name}"))
}

fn remove_set(directory: &Path) -> anyhow::Result<()> {
    for pin in entries(directory)? {
        fs::remove_file(&pin).with_context(|| format!("remove the pinned map {}", pin.display()))?;
    }
    fs::remove_dir(directory).with_context(|| format!("remove {}", directory.display()))
}

fn entries(directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let read = fs::read_dir(directory).with_context(|| format!("list {}", directory.display()))?;
    let mut paths = read
        .map(|entry| entry.map(|e| e.path()))
        .collect::<io::Result<Vec<_>>>()
        .with_context(|| format!("list {}", directory.display()))?;
    paths.sort();
    Ok(paths)
}

/// Is this path, or the nearest of its parents that exists, on a BPF file system?
fn is_on_bpffs(path: &Path) -> bool {
    let nearest = path.ancestors().find(|p| p.exists());
    nearest.and_then(|p| statfs(p).ok()).is_some_and(|s| s.filesystem_type() == BPF_FS_MAGIC)
}

struct Shape {
    name: &'static str,
    map_type: MapType,
    key_len: usize,
    value_len: usize,
    entries: u32,
    flags: u32,
}

impl Shape {
    fn difference(&self, info: &MapInfo) -> Option<String> {
        let type_differs = !matches!(info.map_type(), Ok(found) if found == self.map_type);
        let found =
            (info.key_size() as usize, info.value_size() as usize, info.max_entries(), info.map_flags());
        let wanted = (self.key_len, self.value_len, self.entries, self.flags);
        (type_differs || found != wanted).then(|| {
            format!(
                "key, value, entries and flags are {found:?} and should be {wanted:?}, or the type differs"
            )
        })
    }
}

fn shapes(geometry: &Geometry) -> [Shape; 8] {
    let array = |name, value_len, entries| Shape {
        name,
        map_type: MapType::Array,
        key_len: 4,
        value_len,
        entries,
        flags: BPF_F_MMAPABLE,
    };
    let exact = |name| Shape {
        name,
        map_type: MapType::PerCpuHash,
        key_len: size_of::<FlowKey>(),
        value_len: size_of::<FlowCounters>(),
        entries: geometry.exact_entries,
        flags: 0,
    };
    let ring = |name, entries| Shape {
        name,
        map_type: MapType::RingBuf,
        key_len: 0,
        value_len: 0,
        entries,
        flags: 0,
    };
    [
        array(map_name::CONTROL, size_of::<Control>(), 1),
        array(map_name::FAST, size_of::<FlowSlot>(), geometry.fast_len()),
        array(map_name::COARSE, size_of::<FlowSlot>(), geometry.coarse_len()),
        array(map_name::STATS, size_of::<StatBlock>(), geometry.regions()),
        exact(map_name::EXACT_0),
        exact(map_name::EXACT_1),
        ring(map_name::RING_NAMES, geometry.ring_names_bytes),
        ring(map_name::RING_HELLOS, geometry.ring_hellos_bytes),
    ]
}
