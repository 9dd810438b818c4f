//! What the kernel copies: the head of a packet that may teach a name or a device.

use crate::FlowKey;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The most bytes of one packet that are copied. A post-quantum ClientHello is 1.7 to 2.1 KB in TCP and two or three
/// datagrams of some 1300 bytes in QUIC, and a super-packet made by an offload may hold it whole.
pub const SNAPSHOT_LEN: usize = 4096;

/// Which way a packet went, seen from the device.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Direction {
    /// From the device.
    Up = 0,
    /// To the device.
    Down = 1,
}

/// Why a packet was copied. A number without a name here is still a number.
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
#[repr(transparent)]
pub struct SampleKind(pub u8);

impl SampleKind {
    /// UDP port 53, either way (RFC 1035).
    pub const DNS: Self = Self(1);
    /// DHCPv4 or DHCPv6 (RFC 2131, RFC 8415).
    pub const DHCP: Self = Self(2);
    /// Multicast DNS or LLMNR (RFC 6762, RFC 4795).
    pub const MDNS: Self = Self(3);
    /// A TCP segment that begins or goes on with a TLS handshake record (RFC 8446 §5.1).
    pub const TLS: Self = Self(4);
    /// A TCP segment that begins or goes on with the head of an HTTP/1 request (RFC 9112 §3), or with the preface of
    /// HTTP/2 (RFC 9113 §3.4).
    pub const HTTP: Self = Self(5);
    /// A UDP datagram from the device that begins with a QUIC long header (RFC 8999 §5.1).
    pub const QUIC: Self = Self(6);
    /// A TCP segment of a conversation with port 53 of the peer, either way (RFC 7766).
    pub const DNS_TCP: Self = Self(7);
    /// The first datagram of a UDP conversation that begins like a protocol which has no name to tell: STUN, DTLS,
    /// WireGuard, OpenVPN.
    pub const DATAGRAM: Self = Self(8);
    /// One of the first TCP segments of a conversation that was seen to open, whatever is in it: it may be a later
    /// piece of a hello that overtook the first one, or a piece too short to tell.
    pub const OPENING: Self = Self(9);

    /// Does it go to the ring of names? Otherwise it goes to the ring of hellos.
    #[inline(always)]
    #[must_use]
    pub const fn is_for_names(self) -> bool {
        matches!(self, Self::DNS | Self::DHCP | Self::MDNS | Self::DNS_TCP)
    }
}

/// Stands before every snapshot in a sample ring. The snapshot begins with the Ethernet header.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct SampleHeader {
    /// Nanoseconds of `CLOCK_BOOTTIME` at the hook.
    pub boot_ns: u64,
    /// The conversation. For multicast packets the group is the peer.
    pub key: FlowKey,
    /// Length of the packet as the hook saw it, from the Ethernet header on; an offloaded super-packet is one.
    pub wire_len: u32,
    /// Interface index of the hook.
    pub ifindex: u32,
    /// How many bytes of the packet follow this header: at most [`SNAPSHOT_LEN`].
    pub captured_len: u16,
    /// Where the IP header begins in the snapshot.
    pub l3_offset: u16,
    /// Where the transport header begins in the snapshot.
    pub l4_offset: u16,
    /// Where the transport payload begins in the snapshot.
    pub payload_offset: u16,
    /// Why it was copied.
    pub kind: SampleKind,
    /// [`Direction`] as a number.
    pub direction: u8,
    /// Payload bytes of each of the packets that an offload merged into this one; 0 if nothing was merged.
    pub segment_len: u16,
    /// Zero.
    pub reserved: [u8; 4],
}

const _: () = assert!(size_of::<SampleHeader>() == 64);
const _: () = assert!(core::mem::offset_of!(SampleHeader, segment_len) == 58);
const _: () = assert!(core::mem::offset_of!(SampleHeader, key) == 8);
const _: () = assert!(core::mem::offset_of!(SampleHeader, wire_len) == 40);
const _: () = assert!(core::mem::offset_of!(SampleHeader, captured_len) == 48);
const _: () = assert!(core::mem::offset_of!(SampleHeader, kind) == 56);
