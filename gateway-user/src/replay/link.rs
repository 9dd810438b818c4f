//! Every kind of link made into Ethernet, so that one packet reader reads them all.
//!
//! A frame of a link without Ethernet addresses gets made-up ones, locally administered, from its IP addresses:
//! `02:04:` and the four bytes of an IPv4 address, `02:06:` and the four bytes into which an IPv6 address is
//! folded. So one address is one device, the same in both directions; a device with two addresses is two. Even
//! the Linux cooked kinds get made-up addresses, although they know the sender's: a device must be the same when
//! it receives. A multicast or broadcast packet gets the group address that Ethernet would use (RFC 1112 §6.4,
//! RFC 2464 §7).

use super::capture::LinkType;
use super::wifi::{self, Wifi};

/// Link types that can be read (<https://www.tcpdump.org/linktypes.html>).
mod number {
    pub(super) const NULL: u16 = 0;
    pub(super) const PPP: u16 = 9;
    /// Raw IP as libpcap numbers it inside, on most systems and on OpenBSD; some writers put it into files.
    pub(super) const DLT_RAW: u16 = 12;
    pub(super) const DLT_RAW_OPENBSD: u16 = 14;
    pub(super) const PPP_HDLC: u16 = 50;
    pub(super) const PPP_ETHER: u16 = 51;
    pub(super) const RAW: u16 = 101;
    pub(super) const IEEE802_11: u16 = 105;
    pub(super) const LOOP: u16 = 108;
    pub(super) const LINUX_SLL: u16 = 113;
    pub(super) const IEEE802_11_RADIOTAP: u16 = 127;
    pub(super) const IPV4: u16 = 228;
    pub(super) const IPV6: u16 = 229;
    pub(super) const NFLOG: u16 = 239;
    pub(super) const LINUX_SLL2: u16 = 276;
}

const ETHERNET_LEN: usize = 14;
const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
/// PPP in Ethernet without PPPoE (IANA "IEEE 802 Numbers"); stands for PPP packets that are not IP.
const ETHERTYPE_PPP: u16 = 0x880b;
const ETHERTYPE_PPPOE_SESSION: u16 = 0x8864;
const ETHERTYPE_VLAN: u16 = 0x8100;
const ETHERTYPE_QINQ: u16 = 0x88a8;
const ETHERTYPE_OLD_QINQ: u16 = 0x9100;
const ETHERTYPE_MPLS: u16 = 0x8847;
const ETHERTYPE_MPLS_MULTICAST: u16 = 0x8848;
/// Below this the field is an IEEE 802.3 length, not a type.
const FIRST_ETHERTYPE: u16 = 0x0600;
/// The most that an IEEE 802.3 length may say.
const MAX_LENGTH: u16 = 1500;
/// IEEE 802 local experimental; stands for what is neither IP nor said to be anything.
const ETHERTYPE_EXPERIMENTAL: u16 = 0x88b5;

/// The address of nobody in particular: locally administered, and not one made from an IP address.
const NOBODY: [u8; 6] = [0x02, 0, 0, 0, 0, 0];
const BROADCAST: [u8; 6] = [0xff; 6];

/// Can frames of this kind of link be read?
pub(super) fn is_readable(link: LinkType) -> bool {
    let LinkType(number) = link;
    let is_made_ethernet = matches!(
        number,
        number::NULL
            | number::PPP
            | number::DLT_RAW
            | number::DLT_RAW_OPENBSD
            | number::PPP_HDLC
            | number::PPP_ETHER
            | number::RAW
            | number::IEEE802_11
            | number::LOOP
            | number::LINUX_SLL
            | number::IEEE802_11_RADIOTAP
            | number::IPV4
            | number::IPV6
            | number::NFLOG
            | number::LINUX_SLL2
    );
    link == LinkType::ETHERNET || is_made_ethernet
}

/// Have frames of this kind of link Ethernet addresses of their own?
pub(super) fn has_addresses(link: LinkType) -> bool {
    matches!(link, LinkType::ETHERNET | LinkType(number::IEEE802_11 | number::IEEE802_11_RADIOTAP))
}

/// A frame from the Ethernet header on.
pub(super) struct EthernetFrame<'a> {
    pub(super) bytes: &'a [u8],
    /// Length on the wire, had the wire been Ethernet.
    pub(super) wire_len: u32,
}

/// What a link's own header says.
struct Payload<'a> {
    ethertype: u16,
    bytes: &'a [u8],
    /// The link says that everybody gets it.
    is_broadcast: bool,
    /// Destination and source, where the link has them for both.
    addresses: Option<([u8; 6], [u8; 6])>,
}

/// Makes frames of any readable link into Ethernet, in one buffer.
#[derive(Default)]
pub(super) struct Normaliser {
    buffer: Vec<u8>,
}

impl Normaliser {
    /// The frame as Ethernet; `None` if this kind of link cannot be read. A frame that ends within its link
    /// header becomes one that ends within its Ethernet header: the packet reader counts it as malformed.
    pub(super) fn ethernet<'a>(
        &'a mut self,
        link: LinkType,
        bytes: &'a [u8],
        wire_len: u32,
    ) -> Option<EthernetFrame<'a>> {
        if link == LinkType::ETHERNET {
            return Some(EthernetFrame { bytes, wire_len });
        }
        if !is_readable(link) {
            return None;
        }
        self.buffer.clear();
        let Some(payload) = payload_of(link, bytes) else {
            return Some(EthernetFrame { bytes: &[], wire_len: ETHERNET_LEN as u32 });
        };
        let (destination, source) = payload.addresses.unwrap_or_else(|| made_up(&payload));
        self.buffer.extend_from_slice(&destination);
        self.buffer.extend_from_slice(&source);
        self.buffer.extend_from_slice(&payload.ethertype.to_be_bytes());
        self.buffer.extend_from_slice(payload.bytes);
        let link_header_len = (bytes.len() - payload.bytes.len()) as u32;
        let wire_len = wire_len.saturating_sub(link_header_len).saturating_add(ETHERNET_LEN as u32);
        Some(EthernetFrame { bytes: &self.buffer, wire_len })
    }
}

/// Takes the link's header off; `None` if it is not all there.
fn payload_of(link: LinkType, bytes: &[u8]) -> Option<Payload<'_>> {
    let plain = |ethertype, bytes| Some(Payload { ethertype, bytes, is_broadcast: false, addresses: None });
    match link.0 {
        // The header is an address family, in the byte order of the machine (NULL) or the network (LOOP). Only
        // IP is of interest, and IP says its version itself.
        number::NULL | number::LOOP => {
            let (_family, ip) = bytes.split_first_chunk::<4>()?;
            plain(by_version(ip)?, ip)
        }
        number::PPP | number::PPP_HDLC => {
            // The HDLC address and control bytes may be there or not (RFC 1661 §6.6, RFC 1662 §3.1).
            let ppp = bytes.strip_prefix(&[0xff, 0x03]).unwrap_or(bytes);
            // The protocol number may be compressed to one odd byte (RFC 1661 §6.5).
            let (protocol, payload) = match ppp.split_first()? {
                (short, payload) if short & 1 == 1 => (u16::from(*short), payload),
                _ => ppp.split_first_chunk::<2>().map(|(long, rest)| (u16::from_be_bytes(*long), rest))?,
            };
            match protocol {
                0x0021 => plain(ETHERTYPE_IPV4, payload),
                0x0057 => plain(ETHERTYPE_IPV6, payload),
                // RFC 3032 §4.3.
                0x0281 => plain(ETHERTYPE_MPLS, payload),
                0x0283 => plain(ETHERTYPE_MPLS_MULTICAST, payload),
                _ => plain(ETHERTYPE_PPP, ppp),
            }
        }
        number::IEEE802_11 => wireless(wifi::read(bytes, false)?),
        number::IEEE802_11_RADIOTAP => wireless(wifi::with_radiotap(bytes)?),
        number::NFLOG => {
            let packet = nflog(bytes)?;
            plain(by_version(packet)?, packet)
        }
        number::PPP_ETHER => plain(ETHERTYPE_PPPOE_SESSION, bytes),
        number::LINUX_SLL => {
            let (&[_, kind, _, _, _, _, _, _, _, _, _, _, _, _, p0, p1], rest) =
                bytes.split_first_chunk::<16>()?;
            cooked(kind, u16::from_be_bytes([p0, p1]), rest)
        }
        number::LINUX_SLL2 => {
            let (&[p0, p1, _, _, _, _, _, _, _, _, kind, _, _, _, _, _, _, _, _, _], rest) =
                bytes.split_first_chunk::<20>()?;
            cooked(kind, u16::from_be_bytes([p0, p1]), rest)
        }
        _ => plain(by_version(bytes)?, bytes),
    }
}

/// The payload of a Linux cooked frame: packet type 1 is broadcast; the protocol is an EtherType, or a small
/// number for frames of IEEE 802.3, which have a length in its place.
fn cooked(kind: u8, protocol: u16, bytes: &[u8]) -> Option<Payload<'_>> {
    const TO_EVERYBODY: u8 = 1;
    let len = u16::try_from(bytes.len()).unwrap_or(MAX_LENGTH).min(MAX_LENGTH);
    let ethertype = if protocol < FIRST_ETHERTYPE { len } else { protocol };
    Some(Payload { ethertype, bytes, is_broadcast: kind == TO_EVERYBODY, addresses: None })
}

fn wireless(frame: Wifi<'_>) -> Option<Payload<'_>> {
    let Wifi::Data(data) = frame else {
        let ethertype = ETHERTYPE_EXPERIMENTAL;
        return Some(Payload { ethertype, bytes: &[], is_broadcast: false, addresses: None });
    };
    let wifi::Data { destination, source, ethertype, payload } = data;
    Some(Payload { ethertype, bytes: payload, is_broadcast: false, addresses: Some((destination, source)) })
}

/// The packet that netfilter logged: one of the attributes (`NFULA_PAYLOAD`) behind a header of four bytes
/// (<https://www.tcpdump.org/linktypes/LINKTYPE_NFLOG.html>). Their lengths are in the byte order of the machine, and
/// only one of the orders leads from one attribute to the next.
fn nflog(bytes: &[u8]) -> Option<&[u8]> {
    let attributes = bytes.get(4..)?;
    nflog_payload(attributes, u16::from_le_bytes).or_else(|| nflog_payload(attributes, u16::from_be_bytes))
}

fn nflog_payload(mut rest: &[u8], number: fn([u8; 2]) -> u16) -> Option<&[u8]> {
    const NFULA_PAYLOAD: u16 = 9;
    loop {
        let (&[l0, l1, k0, k1], value) = rest.split_first_chunk::<4>()?;
        let value_len = usize::from(number([l0, l1])).checked_sub(4)?;
        if number([k0, k1]) == NFULA_PAYLOAD {
            // The last attribute, and the capture may have cut it.
            return Some(value.get(..value_len).unwrap_or(value));
        }
        rest = value.get(value_len.next_multiple_of(4)..)?;
    }
}

/// The EtherType of what begins like IP; `None` if there is not one byte.
fn by_version(ip: &[u8]) -> Option<u16> {
    Some(match ip.first()? >> 4 {
        4 => ETHERTYPE_IPV4,
        6 => ETHERTYPE_IPV6,
        _ => ETHERTYPE_EXPERIMENTAL,
    })
}

/// Destination and source addresses for a packet that has none: from its IP addresses, which may stand behind tags.
fn made_up(payload: &Payload<'_>) -> ([u8; 6], [u8; 6]) {
    let (ethertype, ip) = behind_tags(payload.ethertype, payload.bytes);
    let at = |offset: usize| ip.get(offset..);
    let (destination, source) = match ethertype {
        ETHERTYPE_IPV4 => {
            let made = |offset| at(offset).and_then(<[u8]>::first_chunk).map_or(NOBODY, |a| of_ipv4(*a));
            (made(16), made(12))
        }
        ETHERTYPE_IPV6 => {
            let made = |offset| at(offset).and_then(<[u8]>::first_chunk).map_or(NOBODY, |a| of_ipv6(*a));
            (made(24), made(8))
        }
        _ => (NOBODY, NOBODY),
    };
    (if payload.is_broadcast { BROADCAST } else { destination }, source)
}

/// Looks behind VLAN tags, MPLS labels (RFC 3032) and a PPPoE session for the network header.
fn behind_tags(mut ethertype: u16, mut bytes: &[u8]) -> (u16, &[u8]) {
    let by_version = |ip| (by_version(ip).unwrap_or(ETHERTYPE_EXPERIMENTAL), ip);
    loop {
        match ethertype {
            ETHERTYPE_VLAN | ETHERTYPE_QINQ | ETHERTYPE_OLD_QINQ => {
                let Some((&[_, _, high, low], rest)) = bytes.split_first_chunk::<4>() else {
                    return (ethertype, bytes);
                };
                (ethertype, bytes) = (u16::from_be_bytes([high, low]), rest);
            }
            ETHERTYPE_MPLS | ETHERTYPE_MPLS_MULTICAST => {
                let Some((&[_, _, bottom, _], rest)) = bytes.split_first_chunk::<4>() else {
                    return (ethertype, bytes);
                };
                bytes = rest;
                if bottom & 1 == 1 {
                    return by_version(bytes);
                }
            }
            // The addresses are behind its header and the PPP protocol number, which may be one byte.
            ETHERTYPE_PPPOE_SESSION => {
                let header_len = if bytes.get(6).is_some_and(|first| first & 1 == 1) { 7 } else { 8 };
                return by_version(bytes.get(header_len..).unwrap_or_default());
            }
            _ => return (ethertype, bytes),
        }
    }
}

fn of_ipv4(addr: [u8; 4]) -> [u8; 6] {
    let [a, b, c, d] = addr;
    match a {
        224..=239 => [0x01, 0x00, 0x5e, b & 0x7f, c, d],
        255 if addr == [255; 4] => BROADCAST,
        _ => [0x02, 0x04, a, b, c, d],
    }
}

fn of_ipv6(addr: [u8; 16]) -> [u8; 6] {
    let mut folded = [0; 4];
    for (i, byte) in addr.into_iter().enumerate() {
        if let Some(place) = folded.get_mut(i % 4) {
            *place ^= byte.rotate_left((i / 4) as u32);
        }
    }
    let [a, b, c, d] = folded;
    match addr {
        [0xff, .., w, x, y, z] => [0x33, 0x33, w, x, y, z],
        _ => [0x02, 0x06, a, b, c, d],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A packet of 20 bytes from 192.168.1.7 to `destination`.
    fn ipv4(destination: [u8; 4]) -> Vec<u8> {
        let mut packet = vec![0x45, 0, 0, 20, 0, 0, 0, 0, 64, 17, 0, 0, 192, 168, 1, 7];
        packet.extend_from_slice(&destination);
        packet
    }

    #[track_caller]
    fn check(link: u16, header: &[u8], payload: &[u8], expected: Option<(&[u8], u16)>) {
        let mut frame = header.to_vec();
        frame.extend_from_slice(payload);
        let mut normaliser = Normaliser::default();
        let found = normaliser.ethernet(LinkType(link), &frame, frame.len() as u32 + 5);
        let expected = expected.map(|(destination, ethertype)| {
            let mut bytes = destination.to_vec();
            bytes.extend_from_slice(match ethertype {
                ETHERTYPE_IPV4 | ETHERTYPE_PPPOE_SESSION => &[2, 4, 192, 168, 1, 7],
                _ => &NOBODY,
            });
            bytes.extend_from_slice(&ethertype.to_be_bytes());
            bytes.extend_from_slice(payload);
            let wire_len = bytes.len() as u32 + 5;
            (bytes, wire_len)
        });
        assert_eq!(found.map(|f| (f.bytes.to_vec(), f.wire_len)), expected);
        for len in 0..frame.len() {
            let _ = normaliser.ethernet(LinkType(link), frame.get(..len).unwrap_or_default(), 60);
        }
    }

    #[test]
    fn every_readable_link_becomes_ethernet() {
        let peer: &[u8] = &[2, 4, 198, 51, 100, 9];
        let packet = ipv4([198, 51, 100, 9]);
        let sll = |kind| [0, kind, 0, 1, 0, 6, 9, 9, 9, 9, 9, 9, 0, 0, 8, 0];
        let sll2 = [8, 0, 0, 0, 0, 0, 0, 2, 0, 1, 4, 6, 9, 9, 9, 9, 9, 9, 0, 0];
        for raw in [12, 14, 101, 228] {
            check(raw, &[], &packet, Some((peer, 0x0800)));
        }
        check(0, &[2, 0, 0, 0], &packet, Some((peer, 0x0800)));
        check(108, &[0, 0, 0, 2], &packet, Some((peer, 0x0800)));
        check(9, &[0, 0x21], &packet, Some((peer, 0x0800)));
        check(50, &[0xff, 3, 0, 0x21], &packet, Some((peer, 0x0800)));
        check(9, &[], &[0xc0, 0x21, 1, 1, 0, 4], Some((&NOBODY, 0x880b)));
        check(113, &sll(0), &packet, Some((peer, 0x0800)));
        check(113, &sll(1), &packet, Some((&BROADCAST, 0x0800)));
        check(276, &sll2, &packet, Some((peer, 0x0800)));
        let mut session = vec![0x11, 0, 0, 1, 0, 22, 0, 0x21];
        session.extend_from_slice(&packet);
        check(51, &[], &session, Some((peer, 0x8864)));
        check(147, &[], &packet, None);
    }

    #[test]
    fn compressed_ppp_and_logged_packets_are_read() {
        let peer: &[u8] = &[2, 4, 198, 51, 100, 9];
        let packet = ipv4([198, 51, 100, 9]);
        check(9, &[0x21], &packet, Some((peer, 0x0800)));
        check(50, &[0xff, 3, 0x21], &packet, Some((peer, 0x0800)));
        check(9, &[], &[0xc1, 0x21], Some((&NOBODY, 0x880b)));
        let len = 4 + packet.len() as u8;
        let mut little = vec![2, 0, 0, 5, 6, 0, 10, 0, b'x', 0, 0, 0];
        little.extend([len, 0, 9, 0]);
        check(239, &little, &packet, Some((peer, 0x0800)));
        let mut big = vec![2, 0, 0, 5, 0, 6, 0, 10, b'x', 0, 0, 0];
        big.extend([0, len, 0, 9]);
        check(239, &big, &packet, Some((peer, 0x0800)));
    }

    #[test]
    fn addresses_are_made_from_what_stands_behind_tags() {
        let peer: &[u8] = &[2, 4, 198, 51, 100, 9];
        let packet = ipv4([198, 51, 100, 9]);
        let sll = |protocol: [u8; 2]| [&[0, 0, 0, 1, 0, 6, 9, 9, 9, 9, 9, 9, 0, 0], &protocol[..]].concat();
        for (ethertype, tags) in [
            (ETHERTYPE_VLAN, &[0, 7, 8, 0][..]),
            (ETHERTYPE_QINQ, &[0, 7, 0x81, 0, 0, 9, 8, 0]),
            (ETHERTYPE_MPLS, &[0, 1, 0, 64, 0, 2, 1, 64]),
            (ETHERTYPE_VLAN, &[0, 7, 0x88, 0x64, 0x11, 0, 0, 1, 0, 22, 0, 0x21]),
            (ETHERTYPE_PPPOE_SESSION, &[0x11, 0, 0, 1, 0, 21, 0x21]),
        ] {
            let frame = [&sll(ethertype.to_be_bytes())[..], tags, &packet].concat();
            let mut normaliser = Normaliser::default();
            let made = normaliser.ethernet(LinkType(113), &frame, frame.len() as u32).expect("readable");
            let expected = [peer, &[2, 4, 192, 168, 1, 7], &ethertype.to_be_bytes(), tags, &packet].concat();
            assert_eq!(made.bytes, expected);
        }
        // A frame of IEEE 802.3: its length, where the cooked header has a small number.
        let frame = [&sll([0, 4])[..], &[0x42, 0x42, 3]].concat();
        let mut normaliser = Normaliser::default();
        let made = normaliser.ethernet(LinkType(113), &frame, 60).expect("readable");
        assert_eq!(made.bytes.get(12..), Some(&[0, 3, 0x42, 0x42, 3][..]));
    }

    #[test]
    fn a_frame_from_the_air_keeps_its_addresses() {
        let packet = ipv4([198, 51, 100, 9]);
        let mut frame = vec![8, 1, 0, 0, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 4, 4, 4, 4, 4, 4, 0, 0];
        frame.extend([0xaa, 0xaa, 3, 0, 0, 0, 8, 0]);
        frame.extend(&packet);
        let mut normaliser = Normaliser::default();
        let made = normaliser.ethernet(LinkType(105), &frame, frame.len() as u32).expect("readable");
        assert_eq!(made.bytes, [&[4; 6][..], &[2; 6], &[8, 0], &packet].concat());
        assert_eq!(made.wire_len as usize, made.bytes.len());
    }

    #[test]
    fn groups_get_the_addresses_of_groups() {
        check(101, &[], &ipv4([224, 0, 0, 251]), Some((&[0x01, 0, 0x5e, 0, 0, 251], 0x0800)));
        check(101, &[], &ipv4([255; 4]), Some((&BROADCAST, 0x0800)));
        let addr = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xfb];
        assert_eq!(of_ipv6(addr), [0x33, 0x33, 0, 0, 0, 0xfb]);
    }

    #[test]
    fn neighbouring_ipv6_addresses_are_different_devices() {
        let addr = |last| [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last];
        assert_ne!(of_ipv6(addr(1)), of_ipv6(addr(2)));
    }
}
