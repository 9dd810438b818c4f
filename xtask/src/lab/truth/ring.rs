//! A packet socket whose frames are copied into a shared ring at the moment they pass.
//!
//! A plain packet socket would not do: what it queues shares memory with the packet, which goes on through the
//! virtual cables and may be rewritten by the gateway before anyone reads it (IPv4 fragments are: translated
//! addresses were read where the device's own had been sent).
//!
//! The lab's only `unsafe` code: nix has no packet rings.
#![allow(unsafe_code, reason = "mmap and the memory it shares with the kernel")]

use super::measure::VIRTIO_HEADER_LEN;
use anyhow::{Context as _, Result, bail};
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, getsockopt, setsockopt, socket};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

mod options {
    #![allow(missing_docs, reason = "nix's macro writes the items")]
    use nix::{getsockopt_impl, setsockopt_impl, sockopt_impl};

    // linux/socket.h and linux/if_packet.h.
    const SOL_PACKET: i32 = 263;
    const PACKET_RX_RING: i32 = 5;
    const PACKET_STATISTICS: i32 = 6;
    const PACKET_VERSION: i32 = 10;
    const PACKET_VNET_HDR: i32 = 15;

    sockopt_impl!(
        /// Layout of the ring.
        PacketVersion, SetOnly, SOL_PACKET, PACKET_VERSION, u32
    );
    sockopt_impl!(
        /// Each frame comes with its virtio header (packet(7)).
        PacketVnetHdr, SetOnly, SOL_PACKET, PACKET_VNET_HDR, bool
    );
    sockopt_impl!(
        /// `struct tpacket_req`: block size, blocks, frame size, frames.
        PacketRxRing, SetOnly, SOL_PACKET, PACKET_RX_RING, [u32; 4]
    );
    sockopt_impl!(
        /// `struct tpacket_stats`: frames that came, and those of them for which there was no room.
        PacketStatistics, GetOnly, SOL_PACKET, PACKET_STATISTICS, [u32; 2]
    );
}

/// `TPACKET_V2` of linux/if_packet.h.
const VERSION: u32 = 1;
/// `TP_STATUS_USER`: the frame is the reader's until it writes `TP_STATUS_KERNEL`, 0.
const OWNED_BY_READER: u32 = 1;
/// `PACKET_OUTGOING`.
const OUTGOING: u8 = 4;

/// One frame's place, bytes: 32 of `struct tpacket2_hdr`, 20 of `struct sockaddr_ll`, and enough of the frame for
/// every header that is read.
const SLOT_LEN: usize = 512;
/// Places. A flood is read while it comes; this is what the reader may fall behind.
const SLOTS: usize = 1 << 17;
const BLOCK_LEN: usize = 1 << 16;

/// One frame as it passed.
#[derive(Debug)]
pub(super) struct Passed {
    /// Index of the interface.
    pub(super) interface: u32,
    /// Was it sent (or received)?
    pub(super) is_outgoing: bool,
    /// Length of the whole frame.
    pub(super) frame_len: usize,
    slot: [u8; SLOT_LEN],
    begins_at: usize,
    ends_at: usize,
}

impl Passed {
    fn from_slot(slot: [u8; SLOT_LEN]) -> Option<Self> {
        let u32_at = |at: usize| slot.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes);
        let mac_at = usize::from(u16::from_ne_bytes(slot.get(12..14)?.try_into().ok()?));
        let begins_at = mac_at.checked_sub(VIRTIO_HEADER_LEN)?;
        let ends_at = (mac_at + u32_at(8)? as usize).min(SLOT_LEN);
        let (interface, is_outgoing) = (u32_at(36)?, *slot.get(42)? == OUTGOING);
        Some(Self { interface, is_outgoing, frame_len: u32_at(4)? as usize, slot, begins_at, ends_at })
    }

    /// The virtio header and the head of the frame.
    pub(super) fn bytes(&self) -> &[u8] {
        self.slot.get(self.begins_at..self.ends_at).unwrap_or(&[])
    }
}

/// The socket and its ring, mapped.
pub(super) struct Ring {
    socket: OwnedFd,
    memory: NonNull<u8>,
    next: usize,
}

impl Ring {
    /// Begins to copy the frames of every interface in the network namespace.
    pub(super) fn open() -> Result<Self> {
        let socket =
            socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::EthAll)
                .context("open a packet socket, which only root may")?;
        setsockopt(&socket, options::PacketVersion, &VERSION).context("choose the ring's layout")?;
        setsockopt(&socket, options::PacketVnetHdr, &true).context("ask for virtio headers")?;
        let sizes = [BLOCK_LEN, SLOTS * SLOT_LEN / BLOCK_LEN, SLOT_LEN, SLOTS].map(|size| size as u32);
        setsockopt(&socket, options::PacketRxRing, &sizes).context("make the ring")?;
        let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED);
        // SAFETY: a fresh mapping at an address of the kernel's choice; its result is checked below.
        let memory = unsafe {
            libc::mmap(std::ptr::null_mut(), SLOTS * SLOT_LEN, protection, flags, socket.as_raw_fd(), 0)
        };
        if memory == libc::MAP_FAILED {
            bail!("map the ring: {}", std::io::Error::last_os_error());
        }
        let memory = NonNull::new(memory.cast()).context("map the ring")?;
        Ok(Self { socket, memory, next: 0 })
    }

    /// The next frame, if one has passed.
    pub(super) fn next(&mut self) -> Result<Option<Passed>> {
        // SAFETY: `next` is below SLOTS, so the whole place lies in the mapping, which lives as long as `self`.
        let place = unsafe { self.memory.as_ptr().add(self.next * SLOT_LEN) };
        // SAFETY: a place begins with its status, a u32, at a multiple of SLOT_LEN of a page's beginning, and
        // kernel and reader both treat it as atomic.
        let status = unsafe { AtomicU32::from_ptr(place.cast()) };
        if status.load(Ordering::Acquire) & OWNED_BY_READER == 0 {
            return Ok(None);
        }
        let mut slot = [0; SLOT_LEN];
        // SAFETY: the place is the reader's until the status is written, so the kernel does not write to it now;
        // `slot` is memory of our own.
        unsafe { std::ptr::copy_nonoverlapping(place, slot.as_mut_ptr(), SLOT_LEN) };
        status.store(0, Ordering::Release);
        self.next = (self.next + 1) % SLOTS;
        Passed::from_slot(slot).context("understand a frame's place in the ring").map(Some)
    }

    /// Frames since the last call for which there was no room.
    pub(super) fn dropped(&self) -> Result<u64> {
        let [_, dropped] =
            getsockopt(&self.socket, options::PacketStatistics).context("read the socket's losses")?;
        Ok(u64::from(dropped))
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: the mapping that `open` made, unmapped once; nothing borrowed from it outlives a call.
        unsafe { libc::munmap(self.memory.as_ptr().cast(), SLOTS * SLOT_LEN) };
    }
}
