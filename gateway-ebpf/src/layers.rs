//! What stands between Ethernet and IP: up to three tags (VLANs, and what switches put in front of them), LLC with SNAP,
//! a PPPoE session (RFC 2516), an MPLS label stack (RFC 3032). Looked through, never counted.

use crate::{PacketBytes, Window};
use gateway_common::KernelStat;

pub(crate) const ETHERNET_LEN: usize = 14;
/// Tags looked through inside the frame. The outermost VLAN tag is usually gone into the packet's metadata.
const MAX_TAGS: usize = 3;
/// MPLS labels looked through. Networks that carry IP use one to three.
const MAX_LABELS: usize = 4;

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_ARP: u16 = 0x0806;
const ETHERTYPE_VLAN: u16 = 0x8100;
const ETHERTYPE_IPV6: u16 = 0x86dd;
const ETHERTYPE_PPPOE_DISCOVERY: u16 = 0x8863;
const ETHERTYPE_PPPOE_SESSION: u16 = 0x8864;
const ETHERTYPE_EAPOL: u16 = 0x888e;
const ETHERTYPE_QINQ: u16 = 0x88a8;
const ETHERTYPE_OLD_QINQ: u16 = 0x9100;
/// E-TAG of a bridge port extender (IEEE 802.1BR).
const ETHERTYPE_E_TAG: u16 = 0x893f;
/// The tag of a security group that Cisco's switches add: version, length, option, group.
const ETHERTYPE_CISCO_METADATA: u16 = 0x8909;
/// The tag of a virtual interface that Cisco's adapters add.
const ETHERTYPE_VN_TAG: u16 = 0x8926;
/// MPLS, to one and to many (RFC 3032 §5).
const ETHERTYPE_MPLS: u16 = 0x8847;
const ETHERTYPE_MPLS_MULTICAST: u16 = 0x8848;
/// Sub-network access protocol, unnumbered, of the organisation zero: an EtherType follows (RFC 1042).
const SNAP: [u16; 3] = [0xaaaa, 0x0300, 0x0000];
/// Below this the field is an IEEE 802.3 length, not a type.
const FIRST_ETHERTYPE: u16 = 0x0600;

/// What stands behind the layers.
pub(crate) enum Network {
    /// An IPv4 header, here.
    Ipv4(usize),
    /// An IPv6 header, here.
    Ipv6(usize),
    /// No IP: the counter it belongs to.
    Other(KernelStat),
}

/// Looks through tags, SNAP, PPPoE and MPLS for the network header.
#[inline(always)]
pub(crate) fn network_header(bytes: &(impl PacketBytes + ?Sized), ethertype: u16) -> Network {
    let malformed = Network::Other(KernelStat::MalformedPackets);
    let (mut ethertype, mut offset) = (ethertype, ETHERNET_LEN);
    for _ in 0..MAX_TAGS {
        // What a tag's own type announces; the next type stands at its end.
        let tag_len = match ethertype {
            ETHERTYPE_VLAN | ETHERTYPE_QINQ | ETHERTYPE_OLD_QINQ => 4,
            ETHERTYPE_VN_TAG => 6,
            ETHERTYPE_E_TAG | ETHERTYPE_CISCO_METADATA => 8,
            _ => break,
        };
        offset += tag_len;
        let Some(inner) = bytes.u16_at(offset - 2) else { return malformed };
        ethertype = u16::from_be(inner);
    }
    if ethertype < FIRST_ETHERTYPE {
        match snap_type(bytes, offset) {
            Some(inner) => ethertype = inner,
            None => return Network::Other(KernelStat::LlcPackets),
        }
        offset += 8;
    }
    match ethertype {
        ETHERTYPE_IPV4 => Network::Ipv4(offset),
        ETHERTYPE_IPV6 => Network::Ipv6(offset),
        ETHERTYPE_PPPOE_SESSION => behind_pppoe(bytes, offset),
        ETHERTYPE_MPLS | ETHERTYPE_MPLS_MULTICAST => behind_labels(bytes, offset),
        ETHERTYPE_PPPOE_DISCOVERY => Network::Other(KernelStat::PppoeControlPackets),
        ETHERTYPE_ARP => Network::Other(KernelStat::ArpPackets),
        ETHERTYPE_EAPOL => Network::Other(KernelStat::EapolPackets),
        short if short < FIRST_ETHERTYPE => Network::Other(KernelStat::LlcPackets),
        _ => Network::Other(KernelStat::OtherEthertypePackets),
    }
}

/// The EtherType behind an IEEE 802.3 length and a SNAP header; `None` for any other LLC.
#[inline(always)]
fn snap_type(bytes: &(impl PacketBytes + ?Sized), offset: usize) -> Option<u16> {
    let header = bytes.window::<8>(offset)?;
    let words = [header.u16::<0>(), header.u16::<2>(), header.u16::<4>()].map(u16::from_be);
    (words == SNAP).then(|| u16::from_be(header.u16::<6>()))
}

/// Behind the PPPoE header stands the PPP protocol: two bytes, or one odd byte from a sender that saves
/// (RFC 1661 §6.5). IPv4 and IPv6 are RFC 1332 §2 and RFC 5072 §3.
#[inline(always)]
fn behind_pppoe(bytes: &(impl PacketBytes + ?Sized), offset: usize) -> Network {
    let Some(first) = bytes.u8_at(offset + 6) else {
        return Network::Other(KernelStat::MalformedPackets);
    };
    let (ppp_protocol, offset) = if first & 1 == 1 {
        (u16::from(first), offset + 7)
    } else {
        let Some(both) = bytes.u16_at(offset + 6) else {
            return Network::Other(KernelStat::MalformedPackets);
        };
        (u16::from_be(both), offset + 8)
    };
    match ppp_protocol {
        0x0021 => Network::Ipv4(offset),
        0x0057 => Network::Ipv6(offset),
        _ => Network::Other(KernelStat::PppoeControlPackets),
    }
}

/// Behind the label that says it is the last one. Labels do not say what they carry (RFC 3032 §2.2): the first four
/// bits do, of IP; whatever begins otherwise is no IP (RFC 4928 §3).
#[inline(always)]
fn behind_labels(bytes: &(impl PacketBytes + ?Sized), offset: usize) -> Network {
    const BOTTOM_OF_STACK: u8 = 1;
    let malformed = Network::Other(KernelStat::MalformedPackets);
    let mut offset = offset;
    for _ in 0..MAX_LABELS {
        let Some(last_bits) = bytes.u8_at(offset + 2) else { return malformed };
        offset += 4;
        if last_bits & BOTTOM_OF_STACK != 0 {
            return match bytes.u8_at(offset).map(|first| first >> 4) {
                Some(4) => Network::Ipv4(offset),
                Some(6) => Network::Ipv6(offset),
                Some(_) => Network::Other(KernelStat::OtherEthertypePackets),
                None => malformed,
            };
        }
    }
    Network::Other(KernelStat::OtherEthertypePackets)
}
