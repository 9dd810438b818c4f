//! What a report says, before it is put in writing. Plain values, every list in the order it is to be printed.

use super::coverage::{Coverage, Edge};
use super::who::NameFacts;
use crate::application::Application;
use crate::query::TimeRange;
use crate::row::{Evidence, LedgerLine, Marks, Network};
use crate::units::{Country, DomainName, Mac, Volume, WallTime};
use core::net::IpAddr;

/// A summary of what each device exchanged with whom, in a range of time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// The range asked for.
    pub range: TimeRange,
    /// What was asked for within it, in words; empty for everything.
    pub filter: String,
    /// How much of the range was measured, and what crosses its edges.
    pub coverage: Coverage,
    /// How many intervals of the range were counted while the gateway did not know the time.
    pub undated_count: usize,
    /// The intervals without a date that are outside the range.
    pub undated_elsewhere: Option<Undated>,
    /// The oldest and newest date of the tables that networks are from.
    pub tables_dates: Option<(String, String)>,
    /// The date of the table of owners; empty if there is none.
    pub owners_date: String,
    /// The devices with traffic, by volume.
    pub devices: Vec<DeviceReport>,
    /// Devices that are known and had no traffic seen, by name.
    pub unseen: Vec<String>,
    /// Routed volume by the evidence for its name, strongest first; those without volume left out.
    pub evidence: Vec<(Evidence, Volume)>,
    /// Routed volume by what has to be said with its name.
    pub sureness: Sureness,
    /// The ledger of the whole network, whatever the filter.
    pub ledger: Vec<LedgerLine>,
    /// All volume in rows of the whole network, whatever the filter.
    pub stored: Volume,
    /// Why the report is not complete; empty if it is.
    pub shortfalls: Vec<Shortfall>,
}

/// One device's part.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeviceReport {
    /// The device.
    pub mac: Mac,
    /// What to call it.
    pub name: String,
    /// The user's label.
    pub label: Option<String>,
    /// What it calls itself.
    pub hostname: Option<String>,
    /// Its addresses as far as they are known.
    pub addrs: Vec<IpAddr>,
    /// What it exchanged with the world, destinations and unknown peers together.
    pub routed: Volume,
    /// What of it went to peers that the full tables could not hold.
    pub coarse: Volume,
    /// What stayed in the house.
    pub local: Volume,
    /// Where it went, most sent first.
    pub destinations: Vec<Destination>,
    /// Its encrypted DNS and VPNs, by protocol, most bytes first.
    pub hidden: Vec<Hidden>,
}

/// Volume exchanged with the world by what has to be said with its name. One byte may be in several.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sureness {
    /// The name is the outer one of a hello with ECH, or of what looks like one.
    pub outer_names: Volume,
    /// Another name is possible: the DNS had given several, or the device named several hosts in one conversation.
    pub has_rivals: Volume,
    /// The name is by a DNS answer older than its TTL.
    pub stretched: Volume,
    /// There is no name, because several were possible.
    pub undecided: Volume,
    /// No DNS answer had given the device the peer's address before.
    pub uncovered: Volume,
    /// What of that is of protocols whose peers are often given by settings
    /// ([`needs_no_name`](super::sureness::needs_no_name)).
    pub uncovered_by_settings: Volume,
}

/// A peer that hides names: a resolver of encrypted DNS, a VPN.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hidden {
    /// How.
    pub application: Application,
    /// Whose resolver it is, if it speaks encrypted DNS and its operator is known.
    pub operator: Option<&'static str>,
    /// The peer's name, if one is known.
    pub name: Option<DomainName>,
    /// Its addresses, in order.
    pub addrs: Vec<IpAddr>,
    /// How much.
    pub volume: Volume,
    /// How many conversations, counted once per interval that they were alive in.
    pub conversations: u64,
}

/// Who is at the other end.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Who {
    /// A name that the evidence gives.
    Name(DomainName),
    /// Addresses of one network, no name known.
    Network(u32),
    /// An address of no known network, no name known.
    Address(IpAddr),
}

/// One destination of a device.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Destination {
    /// Who.
    pub who: Who,
    /// How much.
    pub volume: Volume,
    /// How many conversations, counted once per interval that they were alive in.
    pub conversations: u64,
    /// Why it has its name, with the marks of any part of it and the bytes of each evidence, most bytes first.
    pub evidence: Vec<(Evidence, Marks, u64)>,
    /// Whose name it is, and who says so; nothing where it has no name.
    pub facts: NameFacts,
    /// The networks its addresses are in (country left out), most bytes first.
    pub networks: Vec<Network>,
    /// The countries its addresses are in, most bytes first; the flag: is it an anycast address's, which is in many?
    pub countries: Vec<(Country, bool)>,
    /// Where there is no name, the addresses, most bytes first.
    pub unnamed_addrs: Vec<IpAddr>,
    /// CNAMEs of the name that lie in another domain, in order.
    pub aliases: Vec<DomainName>,
}

/// Intervals that were counted while the gateway did not know the time, and that none of their boot has dated since.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Undated {
    /// How many.
    pub count: u64,
    /// Where they are kept: from the first's start to the last's end, on a calendar that was not set.
    pub kept_at: TimeRange,
}

/// A reason why a report does not hold all there was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shortfall {
    /// Time that nobody measured: number of stretches, nanoseconds.
    NotMeasured {
        /// How many stretches.
        count: usize,
        /// How long together.
        ns: u64,
    },
    /// Even the per-device cells were full: packets and bytes of no device.
    NoDevice {
        /// Packets.
        packets: u64,
        /// IP-layer bytes.
        bytes: u64,
    },
    /// The tables were full: the volume is with its device, its peers are unknown.
    PeerUnknown {
        /// IP-layer bytes.
        bytes: u64,
    },
    /// Intervals, each counted in one piece, that cross an edge of the range by far: no one knows how much of them
    /// belongs on which side.
    Straddles {
        /// Which edge: before the start, their rows are filed outside; across the end, inside.
        edge: Edge,
        /// How many.
        count: usize,
        /// IP-layer bytes in their rows, of all devices.
        bytes: u64,
        /// From the first's start to the last's end.
        interval: TimeRange,
    },
    /// Intervals in which a port of the LAN was not hooked, or none was.
    Unhooked {
        /// How many.
        intervals: u64,
    },
    /// Rows and ledger do not add up to what was seen.
    Imbalance {
        /// Packets and bytes that the hooks saw.
        seen: (u64, u64),
        /// Packets and bytes in rows and named losses.
        accounted: (u64, u64),
    },
    /// A replayed capture was cut: what comes behind the cut is not there.
    CaptureCut,
    /// Intervals did not add up when they were drained, by so much together.
    ImbalanceAtDrains {
        /// Packets.
        packets: u64,
        /// IP-layer bytes.
        bytes: u64,
    },
}

impl Report {
    /// Is all there that was there to be measured, for the whole range, to its end?
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.complete_until().is_some_and(|until| until >= self.range.until)
    }

    /// Up to when nothing is missing: the range's end, or an earlier moment where the rest is not stored yet or still
    /// to come. `None` if something is missing before that.
    #[must_use]
    pub fn complete_until(&self) -> Option<WallTime> {
        self.shortfalls.is_empty().then_some(self.coverage.stored_until)
    }

    /// Routed volume of all devices in the report.
    #[must_use]
    pub fn routed(&self) -> Volume {
        let mut total = Volume::default();
        for device in &self.devices {
            total.add(device.routed);
        }
        total
    }
}

/// Samples that were lost: names may be missing for them.
pub const SAMPLE_LOSSES: [&str; 2] = ["names_dropped", "hellos_dropped"];

/// Questions and answers of the DNS that were lost, forgotten for want of room, or not believed: an address may have
/// been asked for in one of them.
pub const ANSWER_LOSSES: [&str; 4] =
    ["names_dropped", "names_evicted", "questions_evicted", "answers_unasked"];
