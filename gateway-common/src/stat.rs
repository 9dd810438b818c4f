//! Every counter that the kernel keeps besides the flows themselves.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

macro_rules! kernel_stats {
    ($($(#[$doc:meta])* $variant:ident = $index:literal => $name:literal,)*) => {
        /// Index of a kernel counter in a [`StatBlock`]. A number once given is never given again.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(usize)]
        pub enum KernelStat { $($(#[$doc])* $variant = $index,)* }

        impl KernelStat {
            /// Every counter, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name it is stored and printed under.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

kernel_stats! {
    /// Packets that passed a hook, as they were on the wire. The law: seen = flows (fast, exact and coarse) +
    /// nobody + bridged + group + every non-IP class + malformed, for packets and for bytes.
    SeenPackets = 0 => "seen_packets",
    /// Bytes of the same: IP-layer bytes of IP packets, bytes behind the Ethernet header of all others.
    SeenBytes = 1 => "seen_bytes",
    /// Packets neither to nor from the gateway's own MAC: they stay on the LAN.
    BridgedPackets = 2 => "bridged_packets",
    /// Bytes of the same.
    BridgedBytes = 3 => "bridged_bytes",
    /// Broadcast and multicast packets.
    GroupPackets = 4 => "group_packets",
    /// Bytes of the same.
    GroupBytes = 5 => "group_bytes",
    /// ARP packets (RFC 826).
    ArpPackets = 6 => "arp_packets",
    /// Bytes of the same.
    ArpBytes = 7 => "arp_bytes",
    /// EAPOL packets (IEEE 802.1X).
    EapolPackets = 8 => "eapol_packets",
    /// Bytes of the same.
    EapolBytes = 9 => "eapol_bytes",
    /// IEEE 802.3 frames with a length in place of a type: spanning tree, LLC.
    LlcPackets = 10 => "llc_packets",
    /// Bytes of the same.
    LlcBytes = 11 => "llc_bytes",
    /// PPPoE discovery, and PPPoE sessions that carry no IP (RFC 2516).
    PppoeControlPackets = 12 => "pppoe_control_packets",
    /// Bytes of the same.
    PppoeControlBytes = 13 => "pppoe_control_bytes",
    /// Any other EtherType.
    OtherEthertypePackets = 14 => "other_ethertype_packets",
    /// Bytes of the same.
    OtherEthertypeBytes = 15 => "other_ethertype_bytes",
    /// Packets that say they are IP and are not: cut headers, wrong version, impossible lengths.
    MalformedPackets = 16 => "malformed_packets",
    /// Bytes of the same.
    MalformedBytes = 17 => "malformed_bytes",
    /// Packets counted in the exact table because the fast one had no room near their place.
    ExactPackets = 18 => "exact_packets",
    /// Bytes of the same.
    ExactBytes = 19 => "exact_bytes",
    /// Packets counted per device only, because both tables were full. Their peers are lost, their bytes are not.
    CoarsePackets = 20 => "coarse_packets",
    /// Bytes of the same.
    CoarseBytes = 21 => "coarse_bytes",
    /// Packets counted for nobody: even the device cells were full.
    NobodyPackets = 22 => "nobody_packets",
    /// Bytes of the same.
    NobodyBytes = 23 => "nobody_bytes",
    /// Packets that an offload had merged, before they were counted as the segments they were.
    SuperPackets = 24 => "super_packets",
    /// Super-packets whose number of segments the kernel did not say; it was computed from the segment size.
    SegmentsComputed = 25 => "segments_computed",
    /// Packets that took the slow way through the program: the first of a flow, a sample, or anything but a plain
    /// TCP or UDP packet in one piece.
    UnplainPackets = 26 => "unplain_packets",
    /// Samples given to the names ring.
    NamesSampled = 27 => "names_sampled",
    /// Samples lost because the names ring was full.
    NamesDropped = 28 => "names_dropped",
    /// Samples given to the hellos ring.
    HellosSampled = 29 => "hellos_sampled",
    /// Samples lost because the hellos ring was full. The next packet of the flow tries again.
    HellosDropped = 30 => "hellos_dropped",
    /// Two CPUs entered one flow into the exact table at once; the second looked again and added.
    InsertRaces = 31 => "insert_races",
    /// Slots of the fast table that were taken. When it nears the size of the table, it is time to drain.
    FastSlots = 32 => "fast_slots",
}

/// The counters of one buffer on one CPU.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct StatBlock {
    /// Indexed by [`KernelStat`].
    pub counts: [u64; 40],
}

impl Default for StatBlock {
    fn default() -> Self {
        Self { counts: [0; 40] }
    }
}

impl StatBlock {
    /// One counter.
    #[must_use]
    pub fn get(&self, stat: KernelStat) -> u64 {
        self.counts[stat as usize]
    }

    /// Adds to one counter.
    #[inline(always)]
    pub fn add(&mut self, stat: KernelStat, amount: u64) {
        self.counts[stat as usize] = self.counts[stat as usize].wrapping_add(amount);
    }

    /// Adds another block, counter by counter.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(other.counts) {
            *mine = mine.wrapping_add(theirs);
        }
    }
}

const _: () = assert!(size_of::<StatBlock>() == 320);
const _: () = assert!(KernelStat::ALL.len() == 33);
