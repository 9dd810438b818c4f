//! Kernel tables as memory of this process: the shared, writable mapping of an mmap-able BPF array.
#![allow(unsafe_code, reason = "shared memory with the kernel has no safe form")]

use anyhow::{Context, ensure};
use std::{
    io,
    marker::PhantomData,
    os::fd::{AsFd, AsRawFd},
    ptr::{self, NonNull},
};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// A BPF array of `T`, mapped. Elements are read and written one at a time and volatile, because the kernel
/// program may write others, and the daemon's own settings are read by it, at any moment.
pub struct Mapped<T> {
    start: NonNull<T>,
    len: usize,
    mapped_bytes: usize,
    _elements: PhantomData<T>,
}

// SAFETY: the mapping belongs to this value alone and has no thread affinity.
unsafe impl<T: Send> Send for Mapped<T> {}

impl<T: FromBytes + IntoBytes + Immutable + Copy> Mapped<T> {
    /// Maps `len` elements of the array behind `map`.
    ///
    /// # Errors
    /// When the kernel refuses the mapping.
    pub fn new(map: impl AsFd, len: u32) -> anyhow::Result<Self> {
        let len = len as usize;
        // The kernel lays array elements out at multiples of eight bytes.
        ensure!(
            size_of::<T>().is_multiple_of(8),
            "elements of a mapped array have a size that is a multiple of 8"
        );
        let page = page_len();
        let mapped_bytes = (len * size_of::<T>()).next_multiple_of(page);
        // SAFETY: a fresh shared mapping at an address of the kernel's choosing; the result is checked.
        let address = unsafe {
            libc::mmap(
                ptr::null_mut(),
                mapped_bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                map.as_fd().as_raw_fd(),
                0,
            )
        };
        if address == libc::MAP_FAILED {
            return Err(io::Error::last_os_error()).context("map a kernel table into memory");
        }
        let start = NonNull::new(address.cast::<T>()).context("map a kernel table into memory")?;
        Ok(Self { start, len, mapped_bytes, _elements: PhantomData })
    }

    /// Reads one element. Elements beyond the end read as `None`.
    pub fn read(&self, index: usize) -> Option<T> {
        // SAFETY: within the mapping, aligned (page start, element size a multiple of 8); every bit pattern is a
        // `T`; volatile because the kernel may be writing.
        (index < self.len).then(|| unsafe { self.start.as_ptr().add(index).read_volatile() })
    }

    /// Writes one element; false beyond the end.
    pub fn write(&mut self, index: usize, value: T) -> bool {
        if index >= self.len {
            return false;
        }
        // SAFETY: within the mapping and aligned, as above.
        unsafe { self.start.as_ptr().add(index).write_volatile(value) };
        true
    }

    /// The address of element `index`, for the fields that must be written alone.
    pub fn element(&self, index: usize) -> Option<NonNull<T>> {
        // SAFETY: within the mapping.
        (index < self.len).then(|| unsafe { self.start.add(index) })
    }
}

/// Writes one field of an element that the kernel program reads at any moment.
///
/// # Safety
/// `field` must point into a live [`Mapped`], aligned for `F`.
pub unsafe fn write_field<F>(field: *mut F, value: F) {
    // The fences keep the order of the drain's steps: what was written before is there before, for every CPU.
    std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
    // SAFETY: the caller's promise.
    unsafe { field.write_volatile(value) };
    std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
}

impl<T> Drop for Mapped<T> {
    fn drop(&mut self) {
        // SAFETY: exactly the mapping made in `new`; nothing borrows from it beyond `self`.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.mapped_bytes) };
    }
}

fn page_len() -> usize {
    // SAFETY: a plain call.
    let len = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(len).unwrap_or(4096)
}
