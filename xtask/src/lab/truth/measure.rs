//! One frame's head → which way it goes and how many IP bytes and packets it is on the wire. Pure.
//!
//! Written apart from the product's reader on purpose, and by another rule: a super-packet is cut by the segment
//! size that the kernel's virtio header gives, not by the kernel's own number of segments.

use std::fmt;

/// The virtio network header that an `AF_PACKET` socket puts before each frame (virtio 1.2, 5.1.6), as far as
/// it matters here.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Segmentation {
    /// `gso_type` without its ECN bit; 0 for a frame that is one packet.
    pub kind: u8,
    /// `gso_size`: payload bytes of each segment but the last.
    pub size: u16,
}

/// Length of the virtio network header.
pub const VIRTIO_HEADER_LEN: usize = 10;

impl Segmentation {
    const ECN: u8 = 0x80;
    const TCP_V4: u8 = 1;
    const TCP_V6: u8 = 4;
    const UDP_SEGMENTS: u8 = 5;

    /// Takes the header off a received buffer.
    #[must_use]
    pub fn split_from(buffer: &[u8]) -> Option<(Self, &[u8])> {
        let (header, frame) = buffer.split_first_chunk::<VIRTIO_HEADER_LEN>()?;
        let [_flags, kind, _, _, size_low, size_high, ..] = *header;
        Some((Self { kind: kind & !Self::ECN, size: u16::from_ne_bytes([size_low, size_high]) }, frame))
    }
}

/// IP version and protocol, for totals that help to find a difference.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Protocol {
    /// 4 or 6.
    pub version: u8,
    /// IP protocol number of the transport.
    pub number: u8,
    /// Is it a fragment, first or later?
    pub is_fragment: bool,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.number {
            1 | 58 => "icmp".to_owned(),
            6 => "tcp".to_owned(),
            17 => "udp".to_owned(),
            number => number.to_string(),
        };
        let fragment = if self.is_fragment { " fragment" } else { "" };
        write!(f, "ipv{} {name}{fragment}", self.version)
    }
}

/// What one frame amounts to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Measured {
    /// An IP packet, or a super-packet of several.
    Ip {
        /// What it carries.
        protocol: Protocol,
        /// IP packets on the wire.
        packets: u64,
        /// IP bytes on the wire, headers of every packet included.
        bytes: u64,
    },
    /// ARP and other frames that are not IP.
    NotIp,
    /// Too short or contradicts itself: no statement is possible, and the count is not exact.
    Unreadable,
}

/// Destination and source MAC address of a frame.
#[must_use]
pub fn macs(frame: &[u8]) -> Option<([u8; 6], [u8; 6])> {
    let (destination, rest) = frame.split_first_chunk()?;
    let (source, _) = rest.split_first_chunk()?;
    Some((*destination, *source))
}

/// Measures a frame from its head; `frame_len` is its whole length.
#[must_use]
pub fn measure(head: &[u8], frame_len: usize, segmentation: Segmentation) -> Measured {
    let mut ethertype_at = 12;
    let mut ethertype = be16(head, ethertype_at);
    // VLAN tags (IEEE 802.1Q and 802.1ad) that are still in the frame.
    while matches!(ethertype, Some(0x8100 | 0x88a8 | 0x9100)) {
        ethertype_at += 4;
        ethertype = be16(head, ethertype_at);
    }
    let ip_at = ethertype_at + 2;
    let ip = match ethertype {
        Some(0x0800) => ipv4(head, ip_at),
        Some(0x86dd) => ipv6(head, ip_at),
        Some(_) => return Measured::NotIp,
        None => return Measured::Unreadable,
    };
    ip.and_then(|ip| ip.count(head, frame_len.checked_sub(ip_at)?, ip_at, segmentation))
        .unwrap_or(Measured::Unreadable)
}

/// What the IP header says.
struct IpHeader {
    protocol: Protocol,
    /// From its first byte to the transport header.
    header_len: usize,
    /// The length it states; `None` where it states 0, as super-packets above 64 KiB do.
    stated_len: Option<usize>,
}

impl IpHeader {
    fn count(&self, head: &[u8], room: usize, ip_at: usize, segmentation: Segmentation) -> Option<Measured> {
        let Self { protocol, header_len, stated_len } = *self;
        let ip_len = match stated_len {
            Some(len) => len,
            None if segmentation.kind != 0 => room,
            None => return None,
        };
        if ip_len < header_len || ip_len > room {
            return None;
        }
        if segmentation.kind == 0 {
            return Some(Measured::Ip { protocol, packets: 1, bytes: ip_len as u64 });
        }
        let transport_len = match (segmentation.kind, protocol.number) {
            (Segmentation::TCP_V4 | Segmentation::TCP_V6, 6) => {
                usize::from(*head.get(ip_at + header_len + 12)? >> 4) * 4
            }
            (Segmentation::UDP_SEGMENTS, 17) => 8,
            _ => return None,
        };
        let headers = header_len + transport_len;
        let payload = ip_len.checked_sub(headers)?;
        let size = usize::from(segmentation.size);
        if size == 0 {
            return None;
        }
        let packets = payload.div_ceil(size).max(1) as u64;
        Some(Measured::Ip { protocol, packets, bytes: ip_len as u64 + (packets - 1) * headers as u64 })
    }
}

fn ipv4(head: &[u8], at: usize) -> Option<IpHeader> {
    let first = *head.get(at)?;
    let header_len = usize::from(first & 0xf) * 4;
    if first >> 4 != 4 || header_len < 20 {
        return None;
    }
    let stated = usize::from(be16(head, at + 2)?);
    let is_fragment = be16(head, at + 6)? & 0x3fff != 0;
    let protocol = Protocol { version: 4, number: *head.get(at + 9)?, is_fragment };
    Some(IpHeader { protocol, header_len, stated_len: (stated != 0).then_some(stated) })
}

fn ipv6(head: &[u8], at: usize) -> Option<IpHeader> {
    const FIXED_LEN: usize = 40;
    if *head.get(at)? >> 4 != 6 {
        return None;
    }
    let stated = usize::from(be16(head, at + 4)?);
    let mut number = *head.get(at + 6)?;
    let mut header_len = FIXED_LEN;
    let mut is_fragment = false;
    // RFC 8200, 4: hop-by-hop, routing, destination options; 4.5: fragment.
    loop {
        let extension = at + header_len;
        match number {
            0 | 43 | 60 => header_len += (usize::from(*head.get(extension + 1)?) + 1) * 8,
            44 => {
                is_fragment = true;
                header_len += 8;
                // What follows in a later fragment is payload, whatever it looks like.
                if be16(head, extension + 2)? & 0xfff8 != 0 {
                    number = *head.get(extension)?;
                    break;
                }
            }
            _ => break,
        }
        number = *head.get(extension)?;
    }
    let protocol = Protocol { version: 6, number, is_fragment };
    Some(IpHeader { protocol, header_len, stated_len: (stated != 0).then_some(stated + FIXED_LEN) })
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2)?.try_into().ok().map(u16::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unhex(text: &str) -> Vec<u8> {
        let digits: String = text.split_whitespace().collect();
        (0..digits.len())
            .step_by(2)
            .map(|i| u8::from_str_radix(&digits[i..i + 2], 16).expect("hex"))
            .collect()
    }

    const MACS: &str = "9483c4770001 7c03ab5e0801";

    #[track_caller]
    fn check(frame: &str, frame_len: usize, segmentation: Segmentation, expected: Option<(&str, u64, u64)>) {
        let head = unhex(&format!("{MACS} {frame}"));
        let found = match measure(&head, frame_len, segmentation) {
            Measured::Ip { protocol, packets, bytes } => Some((protocol.to_string(), packets, bytes)),
            _ => None,
        };
        assert_eq!(found, expected.map(|(name, packets, bytes)| (name.to_owned(), packets, bytes)));
        for len in 0..head.len() {
            let _ = measure(&head[..len], frame_len, segmentation); // Any prefix may fail; none may panic.
        }
    }

    const ONE: Segmentation = Segmentation { kind: 0, size: 0 };
    const TCP4: &str = "0800 45000000 00000000 40060000 c0a84d64 a1754724  9c4001bb 00000001 00000002 8010 ffff 0000 0000 0101080a 00000001 00000002";

    fn tcp4(total_len: u16) -> String {
        TCP4.replacen("45000000", &format!("4500{total_len:04x}"), 1)
    }

    #[test]
    fn padding_is_not_ip() {
        check(
            "0800 4500001d 00000000 40110000 c0a84d64 08080808 9c400035 0009 0000 78",
            60,
            ONE,
            Some(("ipv4 udp", 1, 29)),
        );
    }

    #[test]
    fn vlan_tags_are_stepped_over() {
        check(&format!("8100000a {}", tcp4(52)), 70, ONE, Some(("ipv4 tcp", 1, 52)));
        check(&format!("88a80001 8100000a {}", tcp4(52)), 74, ONE, Some(("ipv4 tcp", 1, 52)));
    }

    #[test]
    fn a_super_packet_is_cut_by_its_segment_size() {
        let size = Segmentation { kind: 1, size: 1448 };
        // 32 bytes of TCP header with timestamps: 52 bytes of headers in each packet.
        check(&tcp4(52 + 1448 * 3), 14 + 52 + 1448 * 3, size, Some(("ipv4 tcp", 3, 3 * 1500)));
        check(&tcp4(52 + 1448 * 3 + 1), 15 + 52 + 1448 * 3, size, Some(("ipv4 tcp", 4, 3 * 1500 + 53)));
        check(&tcp4(52 + 1448), 14 + 1500, size, Some(("ipv4 tcp", 1, 1500)));
        check(&tcp4(52 + 1448), 14 + 1500, Segmentation { size: 0, ..size }, None);
        check(&tcp4(52 + 1448), 14 + 1500, Segmentation { kind: 3, ..size }, None);
    }

    #[test]
    fn a_length_of_zero_is_the_frames_own_in_a_super_packet_only() {
        let size = Segmentation { kind: 1, size: 1448 };
        check(&tcp4(0), 14 + 52 + 1448 * 100, size, Some(("ipv4 tcp", 100, 150_000)));
        check(&tcp4(0), 14 + 52 + 1448, ONE, None);
    }

    #[test]
    fn fragments_are_packets_of_their_own() {
        check(
            "0800 450005dc 12342000 40110000 c0a84d64 08080808 9c400035",
            1514,
            ONE,
            Some(("ipv4 udp fragment", 1, 1500)),
        );
        check(
            "0800 450000dc 123400b9 40110000 c0a84d64 08080808",
            234,
            ONE,
            Some(("ipv4 udp fragment", 1, 220)),
        );
        let v6 = "86dd 60000000 05b02c40 20010db8007700000000000000000064 20010db8beef00000000000000000007";
        check(&format!("{v6} 11000001 00000001"), 1510, ONE, Some(("ipv6 udp fragment", 1, 1496)));
        // A later fragment whose payload must not be read as headers.
        check(&format!("{v6} 000005a9 00000001 3cff"), 1510, ONE, Some(("ipv6 0 fragment", 1, 1496)));
    }

    #[test]
    fn extension_headers_belong_to_every_segment() {
        let tcp6 = "86dd 60000000 0b7c0040 20010db8007700000000000000000064 20010db8beef00000000000000000007
                    0600010400000000 9c4001bb 00000001 00000002 5010 ffff 0000 0000";
        let size = Segmentation { kind: 4, size: 1456 };
        // 0x0b7c = 8 of options, 20 of TCP, 2912 of payload.
        check(tcp6, 14 + 40 + 0xb7c, size, Some(("ipv6 tcp", 2, 40 + 0xb7c + 68)));
    }

    #[test]
    fn nonsense_is_told_apart_from_silence() {
        assert_eq!(measure(&unhex(&format!("{MACS} 0806 0001")), 42, ONE), Measured::NotIp);
        check("0800 65000020", 60, ONE, None);
        check(&tcp4(1500), 60, ONE, None);
        assert_eq!(measure(&[], 0, ONE), Measured::Unreadable);
    }

    #[test]
    fn the_virtio_header_comes_off() {
        let buffer = unhex("01 81 4200 a805 2200 1000 aabb");
        let (segmentation, rest) = Segmentation::split_from(&buffer).expect("header");
        assert_eq!((segmentation.kind, rest), (1, &[0xaa, 0xbb][..]));
        #[cfg(target_endian = "little")]
        assert_eq!(segmentation.size, 1448);
        assert_eq!(Segmentation::split_from(&buffer[..9]), None);
    }
}
