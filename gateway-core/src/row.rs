//! What leaves the pipeline: the records that everything downstream (store, reports, exports) reads.
//!
//! A [`Batch`] is one drained interval, whole: its rows, its ledger and what was learned. The store writes it in
//! one transaction together with its [`EpochId`], which is what makes a drain exactly-once.

use crate::application::Application;
use crate::units::{BootTime, ClockPair, Country, DomainName, Mac, Volume, WallTime};
use core::net::{IpAddr, Ipv4Addr};
use gateway_common::FlowKey;

/// Names one buffer-full of counts for ever: which boot, which set of kernel maps, which turn.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct EpochId {
    /// The kernel's boot id, or a name of its own for a replayed capture.
    pub boot_id: String,
    /// The kernel maps' own number.
    pub table_id: u64,
    /// The turn; counts from 1.
    pub epoch: u64,
}

/// When an interval began and ended, half-open, on both clocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Interval {
    /// Start on the steady clock.
    pub began_boot: BootTime,
    /// End on the steady clock.
    pub ended_boot: BootTime,
    /// Start on the calendar.
    pub began_at: WallTime,
    /// End on the calendar.
    pub ended_at: WallTime,
    /// False while the gateway does not know the time (no clock battery, no NTP yet): such intervals are
    /// re-anchored by a later one of the same boot that does.
    pub is_clock_set: bool,
}

impl Interval {
    /// An interval placed on the calendar by a pair of clocks read at its drain. A calendar before
    /// `clock_floor` (the day this program was built, say) is taken for a clock that was never set.
    #[must_use]
    pub fn anchored(
        began_boot: BootTime,
        ended_boot: BootTime,
        clocks: ClockPair,
        clock_floor: WallTime,
    ) -> Self {
        Self {
            began_boot,
            ended_boot,
            began_at: clocks.wall_of(began_boot),
            ended_at: clocks.wall_of(ended_boot),
            is_clock_set: clocks.wall >= clock_floor,
        }
    }
}

/// Why a row has its name. Ordered: a stronger evidence is greater.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Evidence {
    /// No name is known.
    None = 0,
    /// The device had asked its DNS for this name and got this address.
    Dns = 1,
    /// The device named the host in a plain HTTP request (Host, RFC 9110 §7.2).
    HttpHost = 2,
    /// The device named the server in a QUIC Initial (RFC 9001 over RFC 6066 §3).
    QuicSni = 3,
    /// The device named the server in a TLS ClientHello (RFC 6066 §3).
    TlsSni = 4,
}

impl Evidence {
    /// Every evidence, weakest first.
    pub const ALL: [Self; 5] = [Self::None, Self::Dns, Self::HttpHost, Self::QuicSni, Self::TlsSni];

    /// The word it is stored and printed as.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Dns => "dns",
            Self::HttpHost => "http_host",
            Self::QuicSni => "quic_sni",
            Self::TlsSni => "tls_sni",
        }
    }

    /// From its number, as stored.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}

/// What must be said together with a name, or with its absence: a set.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Marks(u8);

impl Marks {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// The hello carried an encrypted inner one (ECH, RFC 9849) or noise that looks like one: the name is the outer
    /// one, which may belong to whoever hosts the site.
    pub const OUTER_NAME: Self = Self(1);
    /// Another name is possible. A name by the DNS: others that it gave this device for the address still vouched, and
    /// the one asked for last was taken. A name that the device said: it said another one in the same conversation
    /// ([`Said::has_others`]), and the bytes of all of them are under this one.
    pub const HAS_RIVALS: Self = Self(1 << 1);
    /// The DNS answer behind the name was older than its TTL, and within the time that programs are known to use one
    /// nevertheless, or that the address record in it holds longer than its aliases.
    pub const STRETCHED: Self = Self(1 << 2);
    /// The DNS had given this device the peer's address before the conversation began.
    pub const COVERED: Self = Self(1 << 3);
    /// It had not, as far as the gateway can see: a hard-coded address, an encrypted DNS, a VPN. Neither of the two is
    /// set where the beginning was not seen or the peer began.
    pub const UNCOVERED: Self = Self(1 << 4);
    /// Several names vouched that time does not tell apart, so none was taken.
    pub const UNDECIDED: Self = Self(1 << 5);
    /// The device has a privacy level ([`crate::privacy`]): the name is shortened or left away, so is the address.
    pub const WITHHELD: Self = Self(1 << 6);

    /// Every mark, with the word it is printed as.
    pub const ALL: [(Self, &'static str); 7] = [
        (Self::OUTER_NAME, "outer_name"),
        (Self::HAS_RIVALS, "has_rivals"),
        (Self::STRETCHED, "stretched"),
        (Self::COVERED, "covered"),
        (Self::UNCOVERED, "uncovered"),
        (Self::UNDECIDED, "undecided"),
        (Self::WITHHELD, "withheld"),
    ];

    /// Both together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// All of `other`'s?
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The word of each that is set.
    pub fn words(self) -> impl Iterator<Item = &'static str> {
        Self::ALL.into_iter().filter(move |(mark, _)| self.has(*mark)).map(|(_, word)| word)
    }

    /// As it is stored.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// From its number, as stored; `None` if it has a mark that this program does not know.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        if number < 1 << 7 { Some(Self(number)) } else { None }
    }
}

/// Who began the conversations of a row.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum OpenedBy {
    /// Not seen, or the protocol does not say.
    Unknown = 0,
    /// The device.
    Device = 1,
    /// The peer.
    Peer = 2,
}

/// What kind of row this is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum RowKind {
    /// Traffic between a device and a peer.
    Flow = 0,
    /// Fragments without ports (IPv4 offset > 0, IPv6 fragment header).
    LaterFragments = 1,
    /// Only the device is known: the tables that hold peers were full. The peer is the unspecified address.
    Coarse = 2,
    /// Traffic that stays in the house: the peer is the gateway itself or another local network.
    Local = 3,
}

/// What must be said of a network, beside whose it is: a set.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct NetworkMarks(u8);

impl NetworkMarks {
    /// Nothing is known that must be said.
    pub const NONE: Self = Self(0);
    /// Content delivery: it serves what others publish, from many places.
    pub const CDN: Self = Self(1);
    /// The same address is announced in many places at once (RFC 4786): it is in no one country.
    pub const ANYCAST: Self = Self(1 << 1);
    /// A cloud or hoster: its machines are rented out.
    pub const CLOUD: Self = Self(1 << 2);

    /// Every mark, with the word it is printed as.
    pub const ALL: [(Self, &'static str); 3] =
        [(Self::CDN, "cdn"), (Self::ANYCAST, "anycast"), (Self::CLOUD, "cloud")];

    /// Both together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// All of `other`'s?
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Is a country for such an address one of many?
    #[must_use]
    pub const fn country_is_doubtful(self) -> bool {
        self.has(Self::ANYCAST)
    }

    /// The word of each that is set.
    pub fn words(self) -> impl Iterator<Item = &'static str> {
        Self::ALL.into_iter().filter(move |(mark, _)| self.has(*mark)).map(|(_, word)| word)
    }

    /// As it is stored.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// From its number, as stored; `None` if it has a mark that this program does not know.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        if number < 1 << 3 { Some(Self(number)) } else { None }
    }
}

/// Whose network an address is in, and where, as a table said on a date.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Network {
    /// Autonomous system number.
    pub asn: Option<u32>,
    /// The organisation that announces the address.
    pub organisation: Option<String>,
    /// The country the address is in. Doubtful where the marks say so.
    pub country: Option<Country>,
    /// The country in which the operator of the autonomous system has registered it: paper, not place.
    pub registered: Option<Country>,
    /// What must be said with it.
    pub marks: NetworkMarks,
}

/// What tells one row of an interval from another.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RowKey {
    /// The device.
    pub device: Mac,
    /// The other party.
    pub peer: IpAddr,
    /// The service's port: the peer's, or the device's own where the peer opened the conversation. 0 = none.
    pub port: u16,
    /// IP protocol number.
    pub protocol: u8,
    /// Kind of row.
    pub kind: RowKind,
    /// Who opened.
    pub opened_by: OpenedBy,
    /// The name, if one is known.
    pub name: Option<DomainName>,
    /// Why it has that name.
    pub evidence: Evidence,
    /// What must be said with it.
    pub marks: Marks,
    /// The protocol that was recognised.
    pub application: Application,
}

/// One record: what one device exchanged with one peer's port under one name in one interval.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FlowRow {
    /// What tells it apart.
    pub key: RowKey,
    /// How much.
    pub volume: Volume,
    /// How many conversations (5-tuples) it sums up.
    pub conversations: u64,
    /// Seconds from the oldest DNS answer behind the name to the beginning of its conversation; `None` if no name is
    /// by the DNS.
    pub oldest_answer_secs: Option<u32>,
}

/// A line of an interval's loss ledger: a named counter with packets and bytes, zero lines left out. `seen` is
/// one of them; for each interval: seen = rows + the lines of [`LedgerLine::IS_LOSS`] among these.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct LedgerLine {
    /// The counter's name, for example `bridged`.
    pub counter: String,
    /// Packets, or events where `bytes` is `None`.
    pub packets: u64,
    /// IP-layer bytes, where the counter has them.
    pub bytes: Option<u64>,
}

impl LedgerLine {
    /// The counters that stand for volume which is seen and not in any row: the named losses.
    pub const IS_LOSS: [&'static str; 13] = [
        "bridged",
        "group",
        "arp",
        "eapol",
        "llc",
        "pppoe_control",
        "other_ethertype",
        "malformed",
        "nobody",
        "excluded",
        "left_out",
        "expired",
        "forgotten",
    ];

    /// Those of them that the store adds: rows were there, and were removed for want of room or age, or because somebody
    /// asked.
    pub const IS_REMOVED: [&'static str; 2] = ["expired", "forgotten"];
}

/// What was learned of a device.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct DeviceFact {
    /// The device.
    pub device: Mac,
    /// What it calls itself, cleaned for print.
    pub hostname: Option<String>,
    /// Where the hostname comes from, for example `dhcp`.
    pub hostname_source: Option<&'static str>,
    /// DHCP vendor class (option 60; in DHCPv6 option 16), cleaned for print.
    pub vendor_class: Option<String>,
    /// Which options it asks a DHCPv4 server for (option 55), in its order: `1,3,6,15`. Kinds of device differ in it.
    pub parameter_list: Option<String>,
    /// An address it holds.
    pub addr: Option<IpAddr>,
}

/// Names one peer's place in a chain: the device asked for `name`, the DNS told it that it is also `alias`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Alias {
    /// Who was told.
    pub device: Mac,
    /// The name that was asked for.
    pub name: DomainName,
    /// A CNAME on the way to the address.
    pub alias: DomainName,
}

/// What the DNS told a device of an address: kept so that names outlive the daemon, and can be explained.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// Who asked.
    pub device: Mac,
    /// The IPv4 address it asked from; `None` over IPv6.
    pub asker_ipv4: Option<Ipv4Addr>,
    /// The address in the answer.
    pub addr: IpAddr,
    /// The name that was asked for.
    pub name: DomainName,
    /// The CNAMEs on the way, in order.
    pub chain: Vec<DomainName>,
    /// When it passed, the first time of an unbroken row of equal answers.
    pub answered_at: BootTime,
    /// Until when it vouches, its shortest TTL stretched.
    pub vouches_until: BootTime,
    /// The shortest TTL of the chain in the latest of them.
    pub ttl_secs: u32,
}

/// A conversation that was under way when the daemon stopped.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OpenConversation {
    /// Which.
    pub flow: FlowKey,
    /// [`gateway_common::FlowState`] `opened`, ORed over its intervals.
    pub opened: u8,
    /// What it said of itself, if anything.
    pub said: Option<Said>,
    /// What the DNS had told of its peer before it began.
    pub told: Told,
    /// What the device said before this was said in another conversation over the same ports.
    pub said_since: BootTime,
    /// The end of the last interval in which it had packets.
    pub last_seen: BootTime,
}

/// What a conversation said of itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Said {
    /// The host it named, if any.
    pub name: Option<DomainName>,
    /// How; [`Evidence::None`] without a name.
    pub evidence: Evidence,
    /// Is the name the outer one of a hello with ECH?
    pub is_outer: bool,
    /// Did the conversation name another host as well: requests to a proxy do, and QUIC connections that share their
    /// ports? Whom its bytes are for is not told apart.
    pub has_others: bool,
    /// The protocol it speaks.
    pub application: Application,
    /// When.
    pub at: BootTime,
}

impl Said {
    /// A conversation of this protocol that names nobody.
    #[must_use]
    pub const fn nobody(application: Application, at: BootTime) -> Self {
        let evidence = Evidence::None;
        Self { name: None, evidence, is_outer: false, has_others: false, application, at }
    }
}

/// What the DNS had told a device of a peer when a conversation with it began.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Told {
    /// The name to take, if there is one.
    pub name: Option<DomainName>,
    /// What must be said with it.
    pub marks: Marks,
    /// Seconds from the answer to the conversation's beginning.
    pub answer_secs: Option<u32>,
}

/// What a restarted daemon remembers.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Memory {
    /// Answers that may still vouch, oldest first.
    pub answers: Vec<Answer>,
    /// Conversations that were under way.
    pub conversations: Vec<OpenConversation>,
}

/// Volume of an earlier interval that got its name late: move it from the row that it is in to the one it belongs in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LateName {
    /// The interval to mend.
    pub epoch: EpochId,
    /// The row the volume is in now.
    pub from: RowKey,
    /// The name it gets.
    pub name: DomainName,
    /// Why.
    pub evidence: Evidence,
    /// What must be said with it.
    pub marks: Marks,
    /// The protocol that was recognised.
    pub application: Application,
    /// Seconds from the DNS answer behind the name to the conversation's beginning; `None` if it is not by the DNS.
    pub answer_secs: Option<u32>,
    /// How much of the row it is.
    pub volume: Volume,
}

/// One drained interval, whole.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Batch {
    /// Its place in the journal of drains.
    pub epoch: EpochId,
    /// When.
    pub interval: Interval,
    /// Rows, ordered by key, no key twice.
    pub rows: Vec<FlowRow>,
    /// The ledger, ordered by counter.
    pub ledger: Vec<LedgerLine>,
    /// The network of every peer in `rows` that a table knows, as of `tables_date`.
    pub networks: Vec<(IpAddr, Network)>,
    /// What was learned of devices.
    pub devices: Vec<DeviceFact>,
    /// CNAMEs learned.
    pub aliases: Vec<Alias>,
    /// What the DNS told devices, new or prolonged since the last drain.
    pub answers: Vec<Answer>,
    /// Names for earlier intervals.
    pub late_names: Vec<LateName>,
}

impl Batch {
    /// Packets and bytes in rows.
    #[must_use]
    pub fn stored(&self) -> Volume {
        let mut total = Volume::default();
        for row in &self.rows {
            total.add(row.volume);
        }
        total
    }

    /// One ledger line's packets and bytes; zero where there is none.
    #[must_use]
    pub fn ledger_of(&self, counter: &str) -> (u64, u64) {
        self.ledger
            .iter()
            .find(|l| l.counter == counter)
            .map_or((0, 0), |l| (l.packets, l.bytes.unwrap_or(0)))
    }

    /// The law of conservation, for this interval: how many packets and bytes are seen and neither in a row nor
    /// in a named loss (or the other way round). `Ok` when it holds.
    ///
    /// # Errors
    /// [`Imbalance`] with both sides.
    pub fn check_conservation(&self) -> Result<(), Imbalance> {
        let (seen_packets, seen_bytes) = self.ledger_of("seen");
        let stored = self.stored();
        let (mut packets, mut bytes) = (stored.packets(), stored.bytes());
        for counter in LedgerLine::IS_LOSS {
            let (p, b) = self.ledger_of(counter);
            packets = packets.saturating_add(p);
            bytes = bytes.saturating_add(b);
        }
        if (packets, bytes) == (seen_packets, seen_bytes) {
            return Ok(());
        }
        Err(Imbalance { seen_packets, seen_bytes, accounted_packets: packets, accounted_bytes: bytes })
    }
}

/// The books do not balance.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "the books do not balance: seen {seen_packets} packets, {seen_bytes} bytes; accounted for {accounted_packets} packets, {accounted_bytes} bytes"
)]
pub struct Imbalance {
    /// Packets the hooks saw.
    pub seen_packets: u64,
    /// Bytes the hooks saw.
    pub seen_bytes: u64,
    /// Packets in rows and named losses.
    pub accounted_packets: u64,
    /// Bytes in rows and named losses.
    pub accounted_bytes: u64,
}
