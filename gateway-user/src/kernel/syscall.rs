//! The calls for which no library has a safe form: `membarrier(2)`, a little of `bpf(2)`, and giving memory back.
#![allow(unsafe_code, reason = "raw system calls")]

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
};

/// Waits until no CPU is inside a program that started before the call (`MEMBARRIER_CMD_GLOBAL`, which is
/// `synchronize_rcu`).
///
/// # Errors
/// `EINVAL` or `ENOSYS` where the kernel has no such call or runs with `nohz_full`.
pub fn membarrier_global() -> io::Result<()> {
    const MEMBARRIER_CMD_GLOBAL: libc::c_int = 1;
    // SAFETY: no pointers are passed.
    let result = unsafe { libc::syscall(libc::SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Gives free memory back to the system, which glibc would keep. Starting takes more than running: the loader
/// reads the kernel's type information where there is any.
pub fn return_free_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: no pointers are passed; whether anything was given back does not matter.
    unsafe {
        libc::malloc_trim(0);
    }
}

const BPF_MAP_CREATE: libc::c_int = 0;
const BPF_MAP_UPDATE_ELEM: libc::c_int = 2;
const BPF_LINK_DETACH: libc::c_int = 34;
const BPF_MAP_TYPE_ARRAY: u32 = 2;
const BPF_MAP_TYPE_ARRAY_OF_MAPS: u32 = 12;

/// The head of `union bpf_attr` for `BPF_MAP_CREATE` (linux/bpf.h).
#[repr(C)]
struct MapCreate {
    map_type: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    map_flags: u32,
    inner_map_fd: u32,
}

/// The head of `union bpf_attr` for `BPF_MAP_UPDATE_ELEM`.
#[repr(C, align(8))]
struct MapUpdate {
    map_fd: u32,
    padding: u32,
    key: u64,
    value: u64,
    flags: u64,
}

fn bpf<T>(command: libc::c_int, attributes: &mut T) -> io::Result<libc::c_long> {
    // SAFETY: `attributes` is a live, initialised prefix of `union bpf_attr` of the length given.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, &raw mut *attributes, size_of::<T>()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// The head of `union bpf_attr` for `BPF_LINK_DETACH`.
#[repr(C)]
struct LinkDetach {
    link_fd: u32,
}

/// Takes a link off what it is attached to, before the call returns (Linux 5.9).
///
/// # Errors
/// When it is off already.
pub fn detach_link(link: BorrowedFd<'_>) -> io::Result<()> {
    let mut attributes = LinkDetach { link_fd: link.as_raw_fd().unsigned_abs() };
    bpf(BPF_LINK_DETACH, &mut attributes).map(|_| ())
}

fn create_map(mut attributes: MapCreate) -> io::Result<OwnedFd> {
    let fd = bpf(BPF_MAP_CREATE, &mut attributes)?;
    let fd = i32::try_from(fd).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
    // SAFETY: the kernel has just given us this descriptor and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A map of maps whose update waits for every running program, as the kernel does since 4.20 (commit
/// 1ae80cf31938, "bpf: wait for running BPF programs when updating map-in-map").
pub struct MapOfMaps {
    outer: OwnedFd,
    inner: OwnedFd,
}

impl MapOfMaps {
    /// Makes it.
    ///
    /// # Errors
    /// When the kernel refuses a map.
    pub fn new() -> io::Result<Self> {
        let plain = MapCreate {
            map_type: BPF_MAP_TYPE_ARRAY,
            key_size: 4,
            value_size: 4,
            max_entries: 1,
            map_flags: 0,
            inner_map_fd: 0,
        };
        let inner = create_map(plain)?;
        let outer = create_map(MapCreate {
            map_type: BPF_MAP_TYPE_ARRAY_OF_MAPS,
            key_size: 4,
            value_size: 4,
            max_entries: 1,
            map_flags: 0,
            inner_map_fd: inner.as_raw_fd().unsigned_abs(),
        })?;
        Ok(Self { outer, inner })
    }

    /// Updates it, which waits.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn wait(&self) -> io::Result<()> {
        let key = 0u32;
        let value = self.inner.as_raw_fd();
        let mut attributes = MapUpdate {
            map_fd: self.outer.as_raw_fd().unsigned_abs(),
            padding: 0,
            key: (&raw const key).addr() as u64,
            value: (&raw const value).addr() as u64,
            flags: 0,
        };
        // The addresses stay valid: `key` and `value` live until the call returns.
        bpf(BPF_MAP_UPDATE_ELEM, &mut attributes).map(|_| ())
    }
}
