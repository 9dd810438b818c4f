//! Which connections are made, from which device, when, and what must be said of each.
//!
//! Names and addresses are laid out so that a name in the wrong place shows: every address serves many names, every
//! name is met at many addresses, the DNS tells each device another name for one address, and what is told of an
//! address by the DNS is never what a hello to it says.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use xtask::lab::DEVICES;

/// Addresses of each IP version that all servers answer at.
const ADDRESSES: u32 = 24;
const FIRST_V4: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 20);
const FIRST_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xbeef, 0, 0, 0, 0, 0x20);

/// The name of each such address is asked for over TCP only.
const OVER_TCP: u32 = 4;

/// Names of each kind on each device.
const NAMES: u32 = 40;
/// Local ports are given out one by one from here, so that no two connections share one.
const FIRST_PORT: u16 = 10_000;

/// Connections a second.
pub const PACE: u32 = 200;

/// nginx: OpenSSL.
pub const NGINX_TLS_PORT: u16 = 443;
pub const HTTP_PORT: u16 = 80;
/// The servers of this program.
pub const RUSTLS_PORT: u16 = 8443;
pub const QUIC_PORT: u16 = 443;
pub const OPAQUE_PORT: u16 = 7000;

/// Numbers as the database has them.
pub mod number {
    pub const DNS: u8 = 1;
    pub const HTTP_HOST: u8 = 2;
    pub const QUIC_SNI: u8 = 3;
    pub const TLS_SNI: u8 = 4;
    pub const OUTER_NAME: u8 = 1;
    pub const UNKNOWN: u8 = 0;
    pub const TLS: u8 = 1;
    pub const QUIC: u8 = 2;
    pub const HTTP: u8 = 3;
    pub const TCP: u8 = 6;
    pub const UDP: u8 = 17;
}

/// A kind of connection.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// TLS 1.3 with a post-quantum key share, agreed on.
    Tls13,
    /// TLS 1.2 only.
    Tls12,
    /// TLS 1.3 with an encrypted inner hello.
    Ech,
    /// TLS 1.3 with noise that looks like one.
    EchGrease,
    /// QUIC v1 with a post-quantum key share.
    Quic,
    /// The first flight of QUIC v2.
    QuicV2,
    /// HTTP/1.1 in the clear.
    Http,
    /// TLS without a name, after a question over UDP.
    Nameless,
    /// Bytes of no protocol over TCP, after a question over TCP.
    OpaqueTcp,
    /// The same over UDP, after a question over UDP.
    OpaqueUdp,
}

/// The kinds take turns in this order.
const TURNS: [Kind; 20] = [
    Kind::Tls13,
    Kind::Quic,
    Kind::Http,
    Kind::Tls12,
    Kind::Nameless,
    Kind::Tls13,
    Kind::Ech,
    Kind::Tls13,
    Kind::OpaqueTcp,
    Kind::Quic,
    Kind::Tls12,
    Kind::Http,
    Kind::QuicV2,
    Kind::Tls13,
    Kind::OpaqueUdp,
    Kind::EchGrease,
    Kind::Quic,
    Kind::Http,
    Kind::Tls12,
    Kind::Tls13,
];

impl Kind {
    /// The kinds that name themselves and ask nobody.
    pub const SELF_NAMED: [Self; 7] =
        [Self::Tls13, Self::Tls12, Self::Ech, Self::EchGrease, Self::Quic, Self::QuicV2, Self::Http];

    fn word(self) -> &'static str {
        match self {
            Self::Tls13 => "tls13",
            Self::Tls12 => "tls12",
            Self::Ech => "outer",
            Self::EchGrease => "grease",
            Self::Quic => "quic",
            Self::QuicV2 => "quic2",
            Self::Http => "http",
            Self::Nameless | Self::OpaqueTcp | Self::OpaqueUdp => "told",
        }
    }

    /// The n-th address that connections of this kind go to. What is asked for over TCP is asked for in no other way.
    fn address(self, n: u32) -> u32 {
        let is_asked_over_tcp = |n: &u32| (n / 2).is_multiple_of(OVER_TCP);
        let mut all = (0..2 * ADDRESSES).filter(|n| match self {
            Self::OpaqueTcp => is_asked_over_tcp(n),
            Self::Nameless | Self::OpaqueUdp => !is_asked_over_tcp(n),
            _ => true,
        });
        let count = all.clone().count();
        all.nth(n as usize % count).expect("an address")
    }

    /// Protocol, port, evidence, application and the mark of an outer name.
    fn truth(self) -> (u8, u16, u8, u8, u8) {
        use number::{DNS, HTTP, HTTP_HOST, OUTER_NAME, QUIC, QUIC_SNI, TCP, TLS, TLS_SNI, UDP, UNKNOWN};
        match self {
            Self::Tls13 => (TCP, RUSTLS_PORT, TLS_SNI, TLS, 0),
            Self::Tls12 => (TCP, NGINX_TLS_PORT, TLS_SNI, TLS, 0),
            Self::Ech | Self::EchGrease => (TCP, RUSTLS_PORT, TLS_SNI, TLS, OUTER_NAME),
            Self::Quic | Self::QuicV2 => (UDP, QUIC_PORT, QUIC_SNI, QUIC, 0),
            Self::Http => (TCP, HTTP_PORT, HTTP_HOST, HTTP, 0),
            Self::Nameless => (TCP, NGINX_TLS_PORT, DNS, TLS, 0),
            Self::OpaqueTcp => (TCP, OPAQUE_PORT, DNS, UNKNOWN, 0),
            Self::OpaqueUdp => (UDP, OPAQUE_PORT, DNS, UNKNOWN, 0),
        }
    }
}

/// A connection to make.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Planned {
    pub number: u32,
    pub kind: Kind,
    pub role: &'static str,
    pub local_port: u16,
    pub peer: SocketAddr,
    pub name: String,
}

impl Planned {
    /// When, from the beginning of the run.
    pub fn due(&self) -> Duration {
        Duration::from_secs(1) * self.number / PACE
    }

    pub fn connection(&self) -> Connection {
        let (protocol, ..) = self.kind.truth();
        Connection { role: self.role, protocol, local_port: self.local_port, peer: self.peer }
    }

    pub fn expected(&self) -> Expected {
        let (_, _, evidence, application, outer) = self.kind.truth();
        Expected { name: self.name.clone(), evidence, application, outer }
    }
}

/// What tells one connection from all others of the run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Connection {
    pub role: &'static str,
    pub protocol: u8,
    pub local_port: u16,
    pub peer: SocketAddr,
}

/// What must be said of a connection.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Expected {
    pub name: String,
    pub evidence: u8,
    pub application: u8,
    pub outer: u8,
}

/// All connections of a run with what must be said of them.
pub type Truth = BTreeMap<Connection, Expected>;

/// The n-th address, of both IP versions in turn.
fn address(n: u32) -> IpAddr {
    let host = n / 2 % ADDRESSES;
    if n.is_multiple_of(2) {
        IpAddr::V4(Ipv4Addr::from_bits(FIRST_V4.to_bits() + host))
    } else {
        IpAddr::V6(Ipv6Addr::from_bits(FIRST_V6.to_bits() + u128::from(host)))
    }
}

/// Is this one of the addresses that the run's connections go to?
pub fn is_of_the_run(peer: IpAddr) -> bool {
    (0..2 * ADDRESSES).any(|n| address(n) == peer)
}

/// What the DNS tells a device of the n-th address.
fn told_name(role: &str, n: u32) -> String {
    let version = if n.is_multiple_of(2) { "v4" } else { "v6" };
    format!("told{}.{version}.{role}.names.example", n / 2 % ADDRESSES)
}

/// Every name that the DNS knows.
pub fn hosts() -> Vec<(String, IpAddr)> {
    let all = DEVICES.iter().flat_map(|spec| (0..2 * ADDRESSES).map(|n| (spec.role, n)));
    all.map(|(role, n)| (told_name(role, n), address(n))).collect()
}

/// A name with its IPv4 address that a program on this device may look up by itself.
pub fn told_v4(role: &str, n: u32) -> (String, IpAddr) {
    let at = 2 * (n * OVER_TCP + 1);
    (told_name(role, at), address(at))
}

/// `count` connections of all kinds, from the `first` on.
pub fn plan(first: u32, count: u32) -> Vec<Planned> {
    plan_of(&TURNS, first, count)
}

/// The same of chosen kinds.
pub fn plan_of(turns: &[Kind], first: u32, count: u32) -> Vec<Planned> {
    let (mut plan, mut turns_of) = (Vec::new(), BTreeMap::new());
    for number in 0..count {
        let own = first + number;
        let kind = turns[number as usize % turns.len()];
        let role = DEVICES[own as usize % DEVICES.len()].role;
        let turn: &mut u32 = turns_of.entry((kind, role)).or_default();
        // Steps without a common divisor, so that addresses and names meet in every way.
        let at = kind.address(*turn * 7 + kind as u32 * 5 + own % 3);
        let name = match kind.word() {
            "told" => told_name(role, at),
            word => format!("{word}-{}.{role}.names.example", *turn % NAMES),
        };
        *turn += 1;
        let (_, port, ..) = kind.truth();
        let local_port = FIRST_PORT + u16::try_from(own).expect("so many ports");
        plan.push(Planned { number, kind, role, local_port, peer: SocketAddr::new(address(at), port), name });
    }
    plan
}

#[test]
fn a_plan_mixes_everything_with_everything() {
    let plan = plan(0, 12_000);
    let connections: BTreeMap<_, _> = plan.iter().map(|p| (p.connection(), p.expected())).collect();
    assert_eq!(connections.len(), plan.len());
    let mut names = BTreeMap::<_, std::collections::BTreeSet<_>>::new();
    for planned in &plan {
        names.entry((planned.role, planned.kind, planned.peer)).or_default().insert(&planned.name);
    }
    for kind in TURNS {
        for (role, peers) in DEVICES.map(|spec| {
            (spec.role, names.iter().filter(move |((role, k, _), _)| (*role, *k) == (spec.role, kind)))
        }) {
            let peers: Vec<_> = peers.collect();
            assert!(peers.len() > 8, "{kind:?} of {role} goes to {} addresses only", peers.len());
            let has_several = peers.iter().any(|(_, names)| names.len() > 1);
            assert_eq!(has_several, kind.word() != "told", "{kind:?} of {role}");
        }
    }
    let told = hosts();
    for planned in plan.iter().filter(|p| p.kind.word() == "told") {
        assert!(told.contains(&(planned.name.clone(), planned.peer.ip())), "{planned:?}");
    }
}
