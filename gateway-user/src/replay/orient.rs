//! Which end of a packet is the device? On the gateway the hook knows; a capture must be asked.
//!
//! In this order: the gateway's MAC address, if it was given, by exactly the kernel's rule; else the end whose
//! address is in a local network while the other's is not; else the end whose MAC address has not been seen to
//! carry foreign addresses, as a router's does; else the end that sent the conversation's first packet, unless
//! that shows itself to be an answer (to a TCP SYN, of DNS or DHCP). Once decided, a conversation stays as it is.
//!
//! Where conversations are listed ([`Orienter::by_initiator`]) nobody asks for devices: the end that began is seen as
//! the device, whatever its addresses, by the MAC address that its IP address had first; and a TCP SYN of the other
//! end shows that the other one begins now.

use gateway_common::{Direction, FlowKey, FlowState, MacAddr, SampleKind, protocol};
use gateway_core::units::Mac;
use gateway_ebpf::{OtherEnd, Packet, other_end, worth};
use ipnetwork::IpNetwork;
use std::collections::HashMap;
use std::net::IpAddr;

/// How many conversations between two local (or two foreign) ends are remembered at least, for twice as many at
/// most: each is 48 bytes, and a household has some thousands. One that was forgotten is decided anew by its next
/// packet.
const MAX_REMEMBERED: usize = 1 << 17;

/// How many MAC addresses may be known as routers'. A LAN has one or two; a capture with more was not taken on a
/// LAN, and then more would not help.
const MAX_ROUTERS: usize = 16;

const TCP_SYN: u8 = 0x02;
const TCP_ACK: u8 = 0x10;

/// The two ends of a packet, as sent.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Ends {
    source: ([u8; 16], u16),
    destination: ([u8; 16], u16),
    protocol: u8,
}

impl Ends {
    /// Of a packet, as read from both its sides: the peer of one reading is the sender, that of the other the
    /// receiver.
    fn of(sent: &Packet, received: &Packet) -> Self {
        Self {
            source: (received.key.peer_addr_bytes(), received.key.peer_port()),
            destination: (sent.key.peer_addr_bytes(), sent.key.peer_port()),
            protocol: sent.key.protocol,
        }
    }

    /// The same conversation, seen in the packets of the other end.
    fn turned(self) -> Self {
        Self { source: self.destination, destination: self.source, protocol: self.protocol }
    }

    /// The two addresses alone: what a later fragment knows.
    fn addresses(self) -> Self {
        Self { source: (self.source.0, 0), destination: (self.destination.0, 0), protocol: 0 }
    }
}

/// What is remembered of a conversation.
#[derive(Clone, Copy)]
struct Known {
    /// A TCP SYN, or an answer to one, has shown who began.
    is_beginning_seen: bool,
}

/// How far a packet goes; the kernel's three cases.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// Between a device and the gateway: routed, or for the gateway itself.
    Gateway,
    /// Broadcast or multicast.
    Group,
    /// Between two devices of the LAN.
    Bridged,
}

/// How far a packet goes, and on which side the device is.
pub(super) struct Orientation {
    pub(super) reach: Reach,
    pub(super) direction: Direction,
    /// Who the device is, where its IP address says so and not the frame: between routers MAC addresses differ by
    /// direction, copies of a packet from both sides of a router have different ones, and captures that were
    /// rewritten or damaged may have any.
    pub(super) device: Option<MacAddr>,
}

impl Orientation {
    /// The packet as the device's side sees it.
    pub(super) fn choose(&self, sent: Packet, received: Packet) -> Packet {
        let mut packet = match self.direction {
            Direction::Up => sent,
            Direction::Down => received,
        };
        if let Some([a, b, c, d, e, f]) = self.device {
            packet.key.mac_head = u32::from_ne_bytes([a, b, c, d]);
            packet.key.mac_tail = u16::from_ne_bytes([e, f]);
        }
        packet
    }
}

/// Decides on which side the device is, and remembers it.
pub(super) struct Orienter {
    local: Vec<IpNetwork>,
    gateway: Option<Mac>,
    /// MAC addresses that have carried foreign addresses.
    routers: Vec<MacAddr>,
    /// Conversations by the ends of the device's packets, in two generations: when the young one is full it
    /// becomes the old one, and the old one is forgotten.
    young: HashMap<Ends, Known>,
    old: HashMap<Ends, Known>,
    /// MAC addresses by IP addresses, where the end that began is the device.
    first_macs: HashMap<[u8; 16], MacAddr>,
    is_by_initiator: bool,
}

impl Orienter {
    pub(super) fn new(local: Vec<IpNetwork>, gateway: Option<Mac>) -> Self {
        Self {
            local,
            gateway,
            routers: Vec::new(),
            young: HashMap::new(),
            old: HashMap::new(),
            first_macs: HashMap::new(),
            is_by_initiator: false,
        }
    }

    /// Takes the end that began for the device, and every packet for routed.
    pub(super) fn by_initiator() -> Self {
        Self { is_by_initiator: true, ..Self::new(Vec::new(), None) }
    }

    /// Orients a packet. `sent` and `received` are the packet as read from its sender's and its receiver's side.
    pub(super) fn orient(&mut self, bytes: &[u8], sent: &Packet, received: &Packet) -> Orientation {
        if self.is_by_initiator {
            let direction = self.since_the_beginning(bytes, sent, received);
            let Ends { source, destination, .. } = Ends::of(sent, received);
            let device = match direction {
                Direction::Up => self.first_mac_of(source.0, sent.key.device_mac()),
                Direction::Down => self.first_mac_of(destination.0, received.key.device_mac()),
            };
            return Orientation { reach: Reach::Gateway, direction, device: Some(device) };
        }
        if let Some(gateway) = self.gateway {
            return by_gateway(bytes, gateway);
        }
        // Which of the MAC addresses is the gateway's, nobody knows: all that is sent to one is taken for routed.
        if other_end(bytes, Direction::Up) == Some(OtherEnd::Group) {
            return Orientation { reach: Reach::Group, direction: group_direction(&sent.key), device: None };
        }
        Orientation { reach: Reach::Gateway, direction: self.by_addresses(sent, received), device: None }
    }

    /// Takes note of a router: the MAC address at the foreign end of a packet between a local and a foreign
    /// address. For links with addresses of their own.
    pub(super) fn learn(&mut self, bytes: &[u8], sent: &Packet, received: &Packet) {
        let is_group = bytes.first().is_some_and(|first| first & 1 != 0);
        let (source, destination) = (received.key.peer(), sent.key.peer());
        let foreign_end = match (self.is_local(source), self.is_local(destination)) {
            _ if is_group => return,
            (true, false) => received.key.device_mac(),
            (false, true) => sent.key.device_mac(),
            _ => return,
        };
        if self.routers.len() < MAX_ROUTERS && !self.routers.contains(&foreign_end) {
            self.routers.push(foreign_end);
        }
    }

    fn by_addresses(&mut self, sent: &Packet, received: &Packet) -> Direction {
        // The peer of one reading is the sender, that of the other the receiver.
        let (source, destination) = (received.key.peer(), sent.key.peer());
        match (self.is_local(source), self.is_local(destination)) {
            (true, false) => Direction::Up,
            (false, true) => Direction::Down,
            _ => self.by_history(sent, received),
        }
    }

    /// The direction of a packet of which just one end is a router.
    fn by_routers(&self, sent: &Packet, received: &Packet) -> Option<Direction> {
        let is_router = |packet: &Packet| self.routers.contains(&packet.key.device_mac());
        match (is_router(sent), is_router(received)) {
            (false, true) => Some(Direction::Up),
            (true, false) => Some(Direction::Down),
            _ => None,
        }
    }

    fn by_history(&mut self, sent: &Packet, received: &Packet) -> Direction {
        let ends = Ends::of(sent, received);
        let known = if sent.key.is_later_fragment() { ends.addresses() } else { ends };
        if self.recall(known).is_some() {
            return Direction::Up;
        }
        if self.recall(known.turned()).is_some() {
            return Direction::Down;
        }
        let by_first_packet = || if is_answer(sent) { Direction::Down } else { Direction::Up };
        let direction = self.by_routers(sent, received).unwrap_or_else(by_first_packet);
        let from_device = match direction {
            Direction::Up => ends,
            Direction::Down => ends.turned(),
        };
        let known = Known { is_beginning_seen: false };
        self.remember(from_device, known);
        if self.recall(ends.addresses()).is_none() && self.recall(ends.turned().addresses()).is_none() {
            self.remember(from_device.addresses(), known);
        }
        direction
    }

    /// The MAC address that this IP address had when it was first seen.
    fn first_mac_of(&mut self, addr: [u8; 16], mac: MacAddr) -> MacAddr {
        if self.first_macs.len() >= MAX_REMEMBERED && !self.first_macs.contains_key(&addr) {
            return mac;
        }
        *self.first_macs.entry(addr).or_insert(mac)
    }

    /// Seen from the end that began. Of a TCP conversation that was under way when the capture began, the end that
    /// says hello is the one that began, even if the other spoke first here.
    fn since_the_beginning(&mut self, bytes: &[u8], sent: &Packet, received: &Packet) -> Direction {
        let ends = Ends::of(sent, received);
        if self.recall(ends).is_some() {
            return Direction::Up;
        }
        if let Some(Known { is_beginning_seen }) = self.recall(ends.turned()) {
            if !is_opening(sent) && (is_beginning_seen || !is_hello(bytes, sent)) {
                return Direction::Down;
            }
            self.forget(ends.turned());
        } else if is_answer(sent) {
            self.remember(ends.turned(), Known { is_beginning_seen: true });
            return Direction::Down;
        }
        self.remember(ends, Known { is_beginning_seen: is_opening(sent) });
        Direction::Up
    }

    fn is_local(&self, addr: IpAddr) -> bool {
        self.local.iter().any(|network| network.contains(addr))
    }

    fn recall(&mut self, ends: Ends) -> Option<Known> {
        if let Some(known) = self.young.get(&ends) {
            return Some(*known);
        }
        let known = *self.old.get(&ends)?;
        self.remember(ends, known);
        Some(known)
    }

    fn remember(&mut self, ends: Ends, known: Known) {
        if self.young.len() >= MAX_REMEMBERED {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(ends, known);
    }

    fn forget(&mut self, ends: Ends) {
        self.young.remove(&ends);
        self.old.remove(&ends);
    }
}

/// The kernel's rule. There the hook says the direction; here it is the side that is not the gateway. A group
/// frame that the gateway sends goes down, any other comes up.
fn by_gateway(bytes: &[u8], gateway: Mac) -> Orientation {
    let is_sender = bytes.get(6..12) == Some(gateway.0.as_slice());
    let direction = if is_sender { Direction::Down } else { Direction::Up };
    let Mac([a, b, c, d, e, f]) = gateway;
    let gateway = [u32::from_ne_bytes([a, b, c, d]), u32::from(u16::from_ne_bytes([e, f]))];
    let reach = match other_end(bytes, direction) {
        Some(OtherEnd::Group) => Reach::Group,
        Some(OtherEnd::Station(mac)) if mac == gateway => Reach::Gateway,
        _ => Reach::Bridged,
    };
    Orientation { reach, direction, device: None }
}

/// Broadcast and multicast: what a DHCP server sends goes to a device, all else comes from one.
fn group_direction(sent: &FlowKey) -> Direction {
    if is_lease(sent) { Direction::Down } else { Direction::Up }
}

/// Is this first packet of a conversation an answer, so that its receiver began? The one who answers a SYN is not
/// the one who sent it; a lease goes to where the (broadcast) request came from; port 53 answers.
fn is_answer(sent: &Packet) -> bool {
    match sent.key.protocol {
        protocol::TCP => sent.tcp_flags & (TCP_SYN | TCP_ACK) == TCP_SYN | TCP_ACK,
        protocol::UDP => is_lease(&sent.key) || (sent.key.device_port() == 53 && sent.key.peer_port() != 53),
        _ => false,
    }
}

/// A TCP SYN that answers none?
fn is_opening(sent: &Packet) -> bool {
    sent.key.protocol == protocol::TCP && sent.tcp_flags & (TCP_SYN | TCP_ACK) == TCP_SYN
}

/// A TCP segment that begins like a TLS hello or an HTTP request?
fn is_hello(bytes: &[u8], sent: &Packet) -> bool {
    // As the sampling judges it, of a conversation that nothing is known of.
    let verdict = || worth(bytes, sent, Direction::Up, Some(FlowState::default()));
    let is_hello = |kind| matches!(kind, SampleKind::TLS | SampleKind::HTTP);
    sent.key.protocol == protocol::TCP && verdict().and_then(|verdict| verdict.kind).is_some_and(is_hello)
}

/// From a DHCP server to a client (RFC 2131 §4.1, RFC 8415 §7.2)?
fn is_lease(sent: &FlowKey) -> bool {
    sent.protocol == protocol::UDP && matches!((sent.device_port(), sent.peer_port()), (67, 68) | (547, 546))
}
