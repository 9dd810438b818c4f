//! What the kernel counts: one slot per conversation, seen from the device.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// An IEEE 802 MAC address.
pub type MacAddr = [u8; 6];

/// How many neighbouring slots a key may use in an open-addressed table.
pub const PROBES: u32 = 8;

/// A slot whose packet count has reached this takes no more; the flow goes on in the next free slot, and the
/// drain adds the two. Keeps the 32-bit counters from wrapping when nobody drains for days.
pub const MAX_SLOT_PACKETS: u32 = 1 << 31;

/// IP protocol numbers that the kernel side tells apart (IANA "Assigned Internet Protocol Numbers").
pub mod protocol {
    /// ICMP for IPv4 (RFC 792).
    pub const ICMP: u8 = 1;
    /// TCP (RFC 9293).
    pub const TCP: u8 = 6;
    /// UDP (RFC 768).
    pub const UDP: u8 = 17;
    /// ICMPv6 (RFC 4443).
    pub const ICMPV6: u8 = 58;
    /// SCTP (RFC 9260).
    pub const SCTP: u8 = 132;
    /// UDP-Lite (RFC 3828).
    pub const UDPLITE: u8 = 136;
    /// Stands for "any other" in coarse cells only (255 is reserved by IANA).
    pub const OTHER: u8 = 255;
}

/// Bits of [`FlowKey::flags`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FlowFlags;

impl FlowFlags {
    /// Set in every key, so that a slot of zeroes never equals one.
    pub const VALID: u8 = 1;
    /// The packet was IPv6; otherwise IPv4.
    pub const IPV6: u8 = 1 << 1;
    /// A fragment other than the first: it carries no ports.
    pub const LATER_FRAGMENT: u8 = 1 << 2;
    /// A per-device cell: peer, ports and device address are gone, the volume is exact.
    pub const COARSE: u8 = 1 << 3;
    /// The IPv6 header chain ended in a header this program does not walk; `protocol` names it.
    pub const UNKNOWN_EXTENSION: u8 = 1 << 4;
}

/// One conversation, named from the device's side: both of its directions share the key.
///
/// Addresses, ports and MAC are held as the packet had them in memory (network byte order), so that the kernel
/// copies them without swapping; use the accessors to read them.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Debug,
    Default,
    FromBytes,
    IntoBytes,
    Immutable,
    KnownLayout,
)]
#[repr(C, align(8))]
pub struct FlowKey {
    /// The peer's address in network byte order; IPv4 as `::ffff:a.b.c.d` (RFC 4291 §2.5.5.2).
    pub peer_addr: [u32; 4],
    /// The last four bytes of the device's address, in network byte order. The MAC tells devices apart; these
    /// tell apart the conversations of one device's several addresses.
    pub device_addr_low: u32,
    /// The device's port, network byte order; 0 where the protocol has none.
    pub device_port: u16,
    /// The peer's port, network byte order; 0 where the protocol has none.
    pub peer_port: u16,
    /// The first four bytes of the device's MAC address.
    pub mac_head: u32,
    /// The last two bytes of the device's MAC address.
    pub mac_tail: u16,
    /// IP protocol number of the transport header.
    pub protocol: u8,
    /// [`FlowFlags`].
    pub flags: u8,
}

impl FlowKey {
    /// The peer's address, IPv4 unmapped.
    #[must_use]
    pub fn peer(&self) -> IpAddr {
        let addr = Ipv6Addr::from(self.peer_addr_bytes());
        match addr.to_ipv4_mapped() {
            Some(v4) if !self.is_ipv6() => IpAddr::V4(v4),
            _ => IpAddr::V6(addr),
        }
    }

    /// The device's address where the key holds it whole (IPv4 only).
    #[must_use]
    pub fn device_ipv4(&self) -> Option<Ipv4Addr> {
        (!self.is_ipv6() && !self.is_coarse()).then(|| Ipv4Addr::from(self.device_addr_low.to_ne_bytes()))
    }

    /// The peer's address as 16 bytes in network order.
    #[must_use]
    pub fn peer_addr_bytes(&self) -> [u8; 16] {
        zerocopy::transmute!(self.peer_addr)
    }

    /// The device's MAC address.
    #[must_use]
    pub fn device_mac(&self) -> MacAddr {
        let [a, b, c, d] = self.mac_head.to_ne_bytes();
        let [e, f] = self.mac_tail.to_ne_bytes();
        [a, b, c, d, e, f]
    }

    /// The device's port in host order.
    #[must_use]
    pub fn device_port(&self) -> u16 {
        u16::from_be(self.device_port)
    }

    /// The peer's port in host order.
    #[must_use]
    pub fn peer_port(&self) -> u16 {
        u16::from_be(self.peer_port)
    }

    /// Is this a conversation over IPv6?
    #[must_use]
    pub fn is_ipv6(&self) -> bool {
        self.flags & FlowFlags::IPV6 != 0
    }

    /// Is this a per-device cell without a peer?
    #[must_use]
    pub fn is_coarse(&self) -> bool {
        self.flags & FlowFlags::COARSE != 0
    }

    /// Does this hold fragments that carried no ports?
    #[must_use]
    pub fn is_later_fragment(&self) -> bool {
        self.flags & FlowFlags::LATER_FRAGMENT != 0
    }

    /// The key of the device's coarse cell for this packet: device, IP version and a class of protocol.
    #[inline(always)]
    #[must_use]
    pub fn coarse(&self) -> Self {
        let class = match self.protocol {
            protocol::TCP => protocol::TCP,
            protocol::UDP => protocol::UDP,
            protocol::ICMP | protocol::ICMPV6 => protocol::ICMP,
            _ => protocol::OTHER,
        };
        Self {
            mac_head: self.mac_head,
            mac_tail: self.mac_tail,
            protocol: class,
            flags: (self.flags & FlowFlags::IPV6) | FlowFlags::VALID | FlowFlags::COARSE,
            ..Self::default()
        }
    }

    /// A seeded hash of the whole key. The seed is drawn at load, so that nobody outside can choose keys that
    /// collide.
    ///
    /// The four words are spread and multiplied side by side (a CPU does that in the time of one), then summed:
    /// each multiplier is odd, so each step loses nothing of its word; the upper half of the sum is kept, where
    /// every bit of every word has come to bear.
    #[inline(always)]
    #[must_use]
    pub fn hash(&self, seed: u64) -> u32 {
        // Odd, from the golden ratio and from SplitMix64's and Murmur3's finalisers.
        const MULTIPLIERS: [u64; 4] =
            [0x9E37_79B9_7F4A_7C15, 0xBF58_476D_1CE4_E5B9, 0x94D0_49BB_1331_11EB, 0xFF51_AFD7_ED55_8CCD];
        let words: [u64; 4] = zerocopy::transmute!(*self);
        let spread = |word: u64, multiplier: u64| (word ^ (word >> 32)).wrapping_mul(multiplier);
        let sum = spread(words[0] ^ seed, MULTIPLIERS[0])
            .wrapping_add(spread(words[1] ^ seed, MULTIPLIERS[1]))
            .wrapping_add(spread(words[2] ^ seed, MULTIPLIERS[2]))
            .wrapping_add(spread(words[3] ^ seed, MULTIPLIERS[3]));
        ((sum ^ (sum >> 15)) >> 32) as u32
    }
}

/// What one slot knows besides volume. Never needed for counting.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct FlowState {
    /// [`FlowState::OPENED_BY_DEVICE`], [`FlowState::OPENED_BY_PEER`].
    pub opened: u8,
    /// How far the search for what the conversation says of itself has come: 0 not begun,
    /// [`FlowState::HELLO_DONE`] over, else as `gateway_ebpf::worth` counts.
    pub hello_stage: u8,
    /// Where the hello or request head ends that is being copied: its TCP sequence number in units of 128 bytes,
    /// rounded up, the low eight bits.
    pub hello_end: u8,
    /// TCP flags of all packets of both directions, ORed.
    pub tcp_flags: u8,
}

impl FlowState {
    /// The device sent a TCP SYN without ACK.
    pub const OPENED_BY_DEVICE: u8 = 1;
    /// The peer sent a TCP SYN without ACK.
    pub const OPENED_BY_PEER: u8 = 2;
    /// No more of this conversation's payload is worth copying, in this interval and on this CPU.
    pub const HELLO_DONE: u8 = 255;
}

/// What is counted per conversation in one interval on one CPU.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct FlowCounters {
    /// IP-layer bytes from the device (IPFIX octetDeltaCount), as they were on the wire.
    pub up_bytes: u64,
    /// IP-layer bytes to the device.
    pub down_bytes: u64,
    /// Packets from the device, as they were on the wire.
    pub up_packets: u32,
    /// Packets to the device.
    pub down_packets: u32,
    /// When the slot was taken: milliseconds of `CLOCK_BOOTTIME`, low 32 bits.
    pub first_boot_ms: u32,
    /// See [`FlowState`].
    pub state: FlowState,
}

/// One slot of the fast and of the coarse table: exactly one cache line.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C, align(8))]
pub struct FlowSlot {
    /// All zero while the slot is free.
    pub key: FlowKey,
    /// Counted by one CPU only.
    pub counters: FlowCounters,
}

const _: () = assert!(size_of::<FlowKey>() == 32);
const _: () = assert!(core::mem::offset_of!(FlowKey, device_addr_low) == 16);
const _: () = assert!(core::mem::offset_of!(FlowKey, mac_head) == 24);
const _: () = assert!(core::mem::offset_of!(FlowKey, flags) == 31);
const _: () = assert!(size_of::<FlowState>() == 4);
const _: () = assert!(size_of::<FlowCounters>() == 32);
const _: () = assert!(core::mem::offset_of!(FlowCounters, up_packets) == 16);
const _: () = assert!(core::mem::offset_of!(FlowCounters, state) == 28);
const _: () = assert!(size_of::<FlowSlot>() == 64);
const _: () = assert!(core::mem::offset_of!(FlowSlot, counters) == 32);
