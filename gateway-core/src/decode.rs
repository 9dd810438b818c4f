//! One sample → what it proves, or why it proves nothing. Believes no offset: a sample's header is the kernel's,
//! but a sample can also come from a capture file, and the bytes are a stranger's.

use crate::fact::{Asker, Fact};
use crate::row::DeviceFact;
use crate::units::{BootTime, Mac};
use crate::wire::dhcp::{self, DhcpMessageType};
use crate::wire::{WireError, dns, ip, tcp, text};
use core::net::IpAddr;
use gateway_common::{Direction, FlowKey, SampleHeader, SampleKind, protocol};
use ipnetwork::IpNetwork;

/// UDP port of the DNS (RFC 1035 §4.2.1).
const DNS_PORT: u16 = 53;
/// UDP port of DHCP servers (RFC 2131 §4.1).
const DHCP_SERVER_PORT: u16 = 67;

/// Why a sample taught nothing although it was taken to teach.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Stop {
    /// The snapshot ended before what matters.
    CutShort,
    /// No honest sender wrote these bytes.
    Malformed,
    /// All was read, and it names nobody: no such name, an address in place of a name, a hello without one.
    Nameless,
    /// Somebody spoke of a device who has no say in it: DHCP for another device, or from outside the house.
    Untrusted,
    /// A kind of sample that nothing here reads.
    UnreadKind,
}

impl Stop {
    /// Every reason, in order.
    pub const ALL: [Self; 5] =
        [Self::CutShort, Self::Malformed, Self::Nameless, Self::Untrusted, Self::UnreadKind];

    /// The ledger line it is counted under.
    #[must_use]
    pub const fn counter(self) -> &'static str {
        match self {
            Self::CutShort => "samples_cut_short",
            Self::Malformed => "samples_malformed",
            Self::Nameless => "samples_nameless",
            Self::Untrusted => "samples_untrusted",
            Self::UnreadKind => "samples_unread_kind",
        }
    }
}

impl From<WireError> for Stop {
    fn from(error: WireError) -> Self {
        match error {
            WireError::Truncated { .. } => Self::CutShort,
            WireError::Malformed { .. } => Self::Malformed,
        }
    }
}

/// What a sample proves; `None` if it is sound and simply teaches nothing (a question, a peer's half).
/// `local` are the prefixes of the house: only from there does a DHCP server have a say.
///
/// # Errors
/// [`Stop`] for the reason why it could not teach.
pub fn decode<'a>(
    header: &SampleHeader,
    snapshot: &'a [u8],
    local: &[IpNetwork],
) -> Result<Option<Fact<'a>>, Stop> {
    let is_up = match header.direction {
        d if d == Direction::Up as u8 => true,
        d if d == Direction::Down as u8 => false,
        _ => return Err(Stop::Malformed),
    };
    let packet = packet_of(header, snapshot)?;
    let payload = packet.get(usize::from(header.payload_offset)..).ok_or(Stop::CutShort)?;
    match header.kind {
        SampleKind::DNS => decode_dns(header, is_up, payload),
        SampleKind::DHCP if header.key.is_ipv6() => Err(Stop::UnreadKind),
        SampleKind::DHCP if is_up => decode_dhcp_up(header, payload),
        SampleKind::DHCP => decode_dhcp_down(header, payload, local),
        // Who answers names nobody: only what the device itself says tells whom it means.
        SampleKind::TLS
        | SampleKind::HTTP
        | SampleKind::OPENING
        | SampleKind::QUIC
        | SampleKind::DATAGRAM
            if !is_up || payload.is_empty() =>
        {
            Ok(None)
        }
        SampleKind::TLS | SampleKind::HTTP | SampleKind::OPENING => decode_opening(header, packet, payload),
        SampleKind::QUIC => Ok(Some(Fact::QuicDatagram {
            flow: header.key,
            at: BootTime(header.boot_ns),
            payload,
            segment_len: usize::from(header.segment_len),
        })),
        SampleKind::DATAGRAM => {
            Ok(Some(Fact::Datagram { flow: header.key, at: BootTime(header.boot_ns), payload }))
        }
        _ => Err(Stop::UnreadKind),
    }
}

/// The snapshot up to where the IP packet ends by its own account: what follows is padding.
fn packet_of<'a>(header: &SampleHeader, snapshot: &'a [u8]) -> Result<&'a [u8], Stop> {
    let captured = snapshot.get(..usize::from(header.captured_len)).unwrap_or(snapshot);
    let l3_offset = usize::from(header.l3_offset);
    let len = ip::packet_len(captured.get(l3_offset..).ok_or(Stop::CutShort)?)?;
    let end = len.map_or(captured.len(), |len| l3_offset.saturating_add(len));
    Ok(captured.get(..end).unwrap_or(captured))
}

fn decode_dns<'a>(header: &SampleHeader, is_up: bool, payload: &[u8]) -> Result<Option<Fact<'a>>, Stop> {
    // Only a server's answer teaches. An "answer" from the device's own port 53 could claim anything.
    if is_up || header.key.protocol != protocol::UDP || header.key.peer_port() != DNS_PORT {
        return Ok(None);
    }
    // What is sent to a group answers nobody.
    if is_group(&header.key) {
        return Ok(None);
    }
    let message = dns::read(payload)?;
    match (message.answered(), message.ended_early) {
        (Some(answered), _) => Ok(Some(Fact::NameAnswered {
            asker: Asker::of(&header.key),
            at: BootTime(header.boot_ns),
            answered,
        })),
        (None, Some(error)) => Err(error.into()),
        (None, None) => Err(Stop::Nameless),
    }
}

fn decode_dhcp_up<'a>(header: &SampleHeader, payload: &[u8]) -> Result<Option<Fact<'a>>, Stop> {
    let message = dhcp::read(payload)?;
    let tells = [DhcpMessageType::DISCOVER, DhcpMessageType::REQUEST, DhcpMessageType::INFORM];
    if !tells.contains(&message.message_type) {
        return Ok(None);
    }
    // A device speaks for itself: a message sent for another one would put words into its mouth.
    if message.chaddr != header.key.device_mac() {
        return Err(Stop::Untrusted);
    }
    let hostname = message.host_name.and_then(text::printable);
    Ok(Some(Fact::DeviceSeen(DeviceFact {
        device: Mac(message.chaddr),
        hostname_source: hostname.is_some().then_some("dhcp"),
        hostname,
        vendor_class: message.vendor_class.and_then(text::printable),
        parameter_list: None,
        addr: message.held.map(IpAddr::V4),
    })))
}

fn decode_dhcp_down<'a>(
    header: &SampleHeader,
    payload: &[u8],
    local: &[IpNetwork],
) -> Result<Option<Fact<'a>>, Stop> {
    let message = dhcp::read(payload)?;
    let is_grant = message.message_type == DhcpMessageType::ACK;
    let Some(given) = message.given.filter(|_| is_grant) else { return Ok(None) };
    // A server that has a say stands in the house, and sends a grant to the device it is for, or to all
    // (RFC 2131 §4.1). Anything else is a stranger who writes into what is known of a device.
    let is_ours = is_group(&header.key) || message.chaddr == header.key.device_mac();
    let is_from_server = header.key.peer_port() == DHCP_SERVER_PORT;
    let is_local = local.iter().any(|prefix| prefix.contains(header.key.peer()));
    if !(is_from_server && is_local && is_ours) {
        return Err(Stop::Untrusted);
    }
    Ok(Some(Fact::DeviceSeen(DeviceFact {
        device: Mac(message.chaddr),
        hostname: None,
        hostname_source: None,
        vendor_class: None,
        parameter_list: None,
        addr: Some(IpAddr::V4(given)),
    })))
}

/// Is the device's end of this key a group (IEEE 802: the lowest bit of the first byte)?
fn is_group(key: &FlowKey) -> bool {
    let [first, ..] = key.device_mac();
    first & 1 != 0
}

fn decode_opening<'a>(
    header: &SampleHeader,
    packet: &[u8],
    payload: &'a [u8],
) -> Result<Option<Fact<'a>>, Stop> {
    let tcp = tcp::read(packet.get(usize::from(header.l4_offset)..).ok_or(Stop::CutShort)?)?;
    let seq = tcp.seq.wrapping_add(u32::from(tcp.is_syn));
    Ok(Some(Fact::OpeningSegment { flow: header.key, at: BootTime(header.boot_ns), seq, payload }))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::wire::dhcp::tests::message as dhcp_message;
    use crate::wire::dns::samples::ANSWER;
    use crate::wire::tls::samples::openssl;
    use crate::wire::unhex;
    use gateway_common::{FlowFlags, MacAddr};
    use proptest::prelude::*;

    pub(crate) const PHONE: MacAddr = [0x7c, 0x03, 0xab, 0x11, 0x22, 0x33];

    /// The prefixes of the house.
    pub(crate) fn house() -> Vec<IpNetwork> {
        vec!["192.168.0.0/16".parse().expect("a prefix")]
    }

    /// An IPv4 conversation's key.
    pub(crate) fn key(
        mac: MacAddr,
        peer: [u8; 4],
        device_port: u16,
        peer_port: u16,
        protocol: u8,
    ) -> FlowKey {
        let [a, b, c, d, e, f] = mac;
        FlowKey {
            peer_addr: [0, 0, 0xffff_u32.to_be(), u32::from_ne_bytes(peer)],
            device_addr_low: u32::from_ne_bytes([192, 168, 1, 23]),
            device_port: device_port.to_be(),
            peer_port: peer_port.to_be(),
            mac_head: u32::from_ne_bytes([a, b, c, d]),
            mac_tail: u16::from_ne_bytes([e, f]),
            protocol,
            flags: FlowFlags::VALID,
        }
    }

    /// A sample as the kernel makes it: Ethernet, IPv4, UDP or TCP, payload, padding to 60 bytes.
    pub(crate) fn sample(
        kind: SampleKind,
        direction: Direction,
        key: FlowKey,
        boot_ns: u64,
        seq: u32,
        payload: &[u8],
    ) -> (SampleHeader, Vec<u8>) {
        let l4_len: u16 = if key.protocol == protocol::TCP { 20 } else { 8 };
        let total = 20 + l4_len + u16::try_from(payload.len()).expect("short");
        let mut bytes = vec![0; 12];
        bytes.extend([0x08, 0x00, 0x45, 0x00]);
        bytes.extend(total.to_be_bytes());
        bytes.extend([0, 0, 0x40, 0, 64, key.protocol, 0, 0]);
        bytes.extend([192, 168, 1, 23, 192, 168, 1, 1]);
        bytes.extend(key.device_port().to_be_bytes());
        bytes.extend(key.peer_port().to_be_bytes());
        if key.protocol == protocol::TCP {
            bytes.extend(seq.to_be_bytes());
            bytes.extend([0, 0, 0, 0, 0x50, 0x18, 0xff, 0xff, 0, 0, 0, 0]);
        } else {
            bytes.extend((total - 20).to_be_bytes());
            bytes.extend([0, 0]);
        }
        bytes.extend(payload);
        bytes.resize(bytes.len().max(60), 0);
        let header = SampleHeader {
            boot_ns,
            key,
            wire_len: u32::try_from(bytes.len()).expect("short"),
            ifindex: 2,
            captured_len: u16::try_from(bytes.len()).expect("short"),
            l3_offset: 14,
            l4_offset: 34,
            payload_offset: 34 + l4_len,
            kind,
            direction: direction as u8,
            segment_len: 0,
            reserved: [0; 4],
        };
        (header, bytes)
    }

    fn all_samples() -> Vec<(SampleHeader, Vec<u8>)> {
        let resolver = key(PHONE, [192, 168, 1, 1], 41_000, 53, protocol::UDP);
        let server = key(PHONE, [47, 241, 10, 5], 50_000, 443, protocol::TCP);
        let lease = key(PHONE, [255, 255, 255, 255], 68, 67, protocol::UDP);
        let request = dhcp_message(1, PHONE, [0; 4], [0; 4], b"\x35\x01\x03\x0c\x05Redmi\xff");
        vec![
            sample(SampleKind::DNS, Direction::Down, resolver, 5, 0, &unhex(ANSWER)),
            sample(SampleKind::TLS, Direction::Up, server, 6, 77, &openssl()),
            sample(
                SampleKind::HTTP,
                Direction::Up,
                server,
                7,
                1,
                b"GET / HTTP/1.1\r\nHost: a.mi.com\r\n\r\n",
            ),
            sample(SampleKind::DHCP, Direction::Up, lease, 8, 0, &request),
        ]
    }

    #[test]
    fn each_kind_proves_something() {
        let samples = all_samples();
        let facts: Vec<_> =
            samples.iter().map(|(h, b)| decode(h, b, &house()).expect("sound").expect("a fact")).collect();
        let [
            Fact::NameAnswered { asker, at: BootTime(5), answered },
            Fact::OpeningSegment { seq: 77, payload, .. },
            Fact::OpeningSegment { seq: 1, .. },
            Fact::DeviceSeen(device_fact),
        ] = facts.as_slice()
        else {
            panic!("{facts:?}")
        };
        assert_eq!((asker.device, answered.addrs.len()), (Mac(PHONE), 2));
        assert_eq!(asker.ipv4, Some([192, 168, 1, 23].into()));
        assert_eq!(payload.len(), 517);
        assert_eq!(device_fact.hostname.as_deref(), Some("Redmi"));
    }

    #[test]
    fn only_answers_to_the_device_teach() {
        let question = key(PHONE, [192, 168, 1, 1], 41_000, 53, protocol::UDP);
        let (header, bytes) = sample(SampleKind::DNS, Direction::Up, question, 5, 0, &unhex(ANSWER));
        assert_eq!(decode(&header, &bytes, &house()), Ok(None));
        let server_at_home = key(PHONE, [203, 0, 113, 7], 53, 41_000, protocol::UDP);
        let (header, bytes) = sample(SampleKind::DNS, Direction::Down, server_at_home, 5, 0, &unhex(ANSWER));
        assert_eq!(decode(&header, &bytes, &house()), Ok(None));
    }

    #[test]
    fn an_answer_to_a_group_teaches_nobody() {
        let group = key([0xff; 6], [192, 168, 1, 1], 41_000, 53, protocol::UDP);
        let (header, bytes) = sample(SampleKind::DNS, Direction::Down, group, 5, 0, &unhex(ANSWER));
        assert_eq!(decode(&header, &bytes, &house()), Ok(None));
    }

    #[test]
    fn a_device_speaks_only_for_itself() {
        let lease = key(PHONE, [255, 255, 255, 255], 68, 67, protocol::UDP);
        let other = dhcp_message(1, [2, 0, 0, 0, 0, 9], [0; 4], [0; 4], b"\x35\x01\x03\x0c\x03bad\xff");
        let (header, bytes) = sample(SampleKind::DHCP, Direction::Up, lease, 1, 0, &other);
        assert_eq!(decode(&header, &bytes, &house()), Err(Stop::Untrusted));
    }

    #[test]
    fn a_grant_comes_from_the_server_only() {
        let lease = key(PHONE, [192, 168, 1, 1], 68, 67, protocol::UDP);
        let ack = dhcp_message(2, PHONE, [0; 4], [192, 168, 1, 23], b"\x35\x01\x05\xff");
        let (header, bytes) = sample(SampleKind::DHCP, Direction::Down, lease, 1, 0, &ack);
        let Ok(Some(Fact::DeviceSeen(fact))) = decode(&header, &bytes, &house()) else { panic!("no fact") };
        assert_eq!(fact.addr.map(|a| a.to_string()).as_deref(), Some("192.168.1.23"));
        let (header, bytes) = sample(SampleKind::DHCP, Direction::Up, lease, 1, 0, &ack);
        assert_eq!(decode(&header, &bytes, &house()), Ok(None));
    }

    #[test]
    fn a_grant_is_believed_from_the_house_and_for_its_receiver_only() {
        let broadcast = [0xff; 6];
        let other = [2, 0, 0, 0, 0, 9];
        for (to, from, from_port, chaddr, is_believed) in [
            (PHONE, [192, 168, 1, 1], 67, PHONE, true),
            (broadcast, [192, 168, 1, 1], 67, PHONE, true),
            (PHONE, [192, 168, 1, 1], 67, other, false),
            (PHONE, [203, 0, 113, 7], 67, PHONE, false),
            (broadcast, [203, 0, 113, 7], 67, PHONE, false),
            (PHONE, [192, 168, 1, 1], 68, PHONE, false),
        ] {
            let ack = dhcp_message(2, chaddr, [0; 4], [192, 168, 1, 66], b"\x35\x01\x05\xff");
            let grant = key(to, from, 68, from_port, protocol::UDP);
            let (header, bytes) = sample(SampleKind::DHCP, Direction::Down, grant, 1, 0, &ack);
            match decode(&header, &bytes, &house()) {
                Ok(Some(Fact::DeviceSeen(fact))) => assert!(is_believed && fact.device == Mac(PHONE)),
                found => assert!(!is_believed && found == Err(Stop::Untrusted), "{from:?} {found:?}"),
            }
        }
    }

    #[test]
    fn padding_is_no_payload() {
        let server = key(PHONE, [47, 241, 10, 5], 50_000, 443, protocol::TCP);
        let (header, bytes) = sample(SampleKind::TLS, Direction::Up, server, 6, 77, &[0x16]);
        assert_eq!(bytes.len(), 60);
        let Ok(Some(Fact::OpeningSegment { payload, .. })) = decode(&header, &bytes, &house()) else {
            panic!("no fact")
        };
        assert_eq!(payload, [0x16]);
    }

    #[test]
    fn every_prefix_is_survived() {
        for (header, bytes) in all_samples() {
            for len in 0..bytes.len() {
                let _ = decode(&header, &bytes[..len], &house());
            }
        }
    }

    proptest! {
        #[test]
        fn hostile_offsets_and_bytes_are_survived(
            l3: u16, l4: u16, payload: u16, captured: u16, kind in 0..7_u8, direction in 0..3_u8,
            bytes in proptest::collection::vec(any::<u8>(), 0..400),
        ) {
            for (small, port) in [(true, 53), (false, 53), (true, 443)] {
                let squeeze = |offset: u16| if small { offset % 80 } else { offset };
                let header = SampleHeader {
                    key: key(PHONE, [1, 2, 3, 4], 68, port, protocol::UDP),
                    l3_offset: squeeze(l3),
                    l4_offset: squeeze(l4),
                    payload_offset: squeeze(payload),
                    captured_len: captured,
                    kind: SampleKind(kind),
                    direction,
                    ..SampleHeader::default()
                };
                let _ = decode(&header, &bytes, &house());
            }
        }
    }
}
