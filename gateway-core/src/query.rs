//! What can be asked of the store, as values with parse and print, and the records it answers with.
//!
//! Times arrive resolved: the shell knows the clock and the time zone, this module knows neither. Nothing here
//! knows SQL.

pub mod buckets;
pub mod language;

use crate::application::Application;
use crate::row::{Evidence, Network, RowKey};
use crate::units::{Country, DomainName, Mac, Volume, WallTime};
use core::fmt;
use core::net::{IpAddr, Ipv4Addr};
use core::str::FromStr;
use ipnetwork::IpNetwork;

/// A half-open stretch of the calendar: `since` is in it, `until` is not.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TimeRange {
    /// The first moment in it.
    pub since: WallTime,
    /// The first moment after it.
    pub until: WallTime,
}

impl TimeRange {
    /// All of time.
    pub const EVER: Self = Self { since: WallTime(i64::MIN), until: WallTime(i64::MAX) };

    /// Nanoseconds from its start to its end; 0 if it ends before it starts.
    #[must_use]
    pub fn len_ns(self) -> u64 {
        u64::try_from(i128::from(self.until.0) - i128::from(self.since.0)).unwrap_or(0)
    }

    /// What both have in common, if anything.
    #[must_use]
    pub fn overlap(self, other: Self) -> Option<Self> {
        let since = self.since.max(other.since);
        let until = self.until.min(other.until);
        (since < until).then_some(Self { since, until })
    }
}

/// Picks devices.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DeviceMatch {
    /// The one with this address.
    Mac(Mac),
    /// Those with this label or hostname, whatever its case.
    Called(String),
}

/// Picks names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NameMatch {
    /// This name alone.
    Exact(DomainName),
    /// This name and every name below it; written `*.name` or `.name`.
    Under(DomainName),
}

/// The text does not say what it should.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotAFilter {
    /// No device can be called that.
    #[error("a device is picked by its MAC address, its label or its hostname, not by an empty text")]
    Device,
    /// Not a name of the DNS.
    #[error("a name looks like data.mistat.xiaomi.com, or *.xiaomi.com for it and all below")]
    Name,
    /// Not an AS number.
    #[error("an autonomous system number looks like 45102 or AS45102")]
    Asn,
    /// Not a country code.
    #[error("a country is two letters of ISO 3166, such as SG")]
    Country,
    /// Not a kind of evidence.
    #[error("evidence is one of {}", Evidence::ALL.map(Evidence::word).join(", "))]
    Evidence,
    /// Not a protocol that is recognised.
    #[error("an application is one of {}", Application::ALL.map(Application::word).join(", "))]
    Application,
    /// Not a protocol.
    #[error("a protocol is tcp, udp, icmp, icmpv6, sctp or a number up to 255")]
    Protocol,
}

impl FromStr for DeviceMatch {
    type Err = NotAFilter;
    fn from_str(text: &str) -> Result<Self, NotAFilter> {
        let text = text.trim();
        match text.parse() {
            Ok(mac) => Ok(Self::Mac(mac)),
            Err(_) if text.is_empty() => Err(NotAFilter::Device),
            Err(_) => Ok(Self::Called(text.to_owned())),
        }
    }
}

impl fmt::Display for DeviceMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mac(mac) => mac.fmt(f),
            Self::Called(text) => f.write_str(text),
        }
    }
}

impl DeviceMatch {
    /// Does it pick this device?
    #[must_use]
    pub fn picks(&self, device: &DeviceInfo) -> bool {
        let is_called = |name: &Option<String>, text: &str| {
            name.as_ref().is_some_and(|name| name.eq_ignore_ascii_case(text))
        };
        match self {
            Self::Mac(mac) => device.macs().any(|held| held == *mac),
            Self::Called(text) => core::iter::once(device)
                .chain(&device.merged)
                .any(|one| is_called(&one.label, text) || is_called(&one.hostname, text)),
        }
    }
}

impl NameMatch {
    /// Does it pick this name?
    #[must_use]
    pub fn picks(&self, name: &DomainName) -> bool {
        match self {
            Self::Exact(wanted) => wanted == name,
            Self::Under(wanted) => {
                let below = name.as_str().strip_suffix(wanted.as_str());
                below.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            }
        }
    }
}

impl FromStr for NameMatch {
    type Err = NotAFilter;
    fn from_str(text: &str) -> Result<Self, NotAFilter> {
        let below = text.strip_prefix("*.").or_else(|| text.strip_prefix('.'));
        match below {
            Some(name) => DomainName::parse(name).map(Self::Under),
            None => DomainName::parse(text).map(Self::Exact),
        }
        .ok_or(NotAFilter::Name)
    }
}

impl fmt::Display for NameMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => name.fmt(f),
            Self::Under(name) => write!(f, "*.{name}"),
        }
    }
}

/// An AS number from `45102` or `AS45102`.
///
/// # Errors
/// [`NotAFilter::Asn`] for anything else.
pub fn parse_asn(text: &str) -> Result<u32, NotAFilter> {
    let digits = match text.get(..2) {
        Some(prefix) if prefix.eq_ignore_ascii_case("as") => text.get(2..).unwrap_or(""),
        _ => text,
    };
    let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| digits.parse().ok()).flatten().ok_or(NotAFilter::Asn)
}

/// A country from its two letters.
///
/// # Errors
/// [`NotAFilter::Country`] for anything else.
pub fn parse_country(text: &str) -> Result<Country, NotAFilter> {
    Country::parse(text).ok_or(NotAFilter::Country)
}

/// An evidence from its word, whatever its case.
///
/// # Errors
/// [`NotAFilter::Evidence`] for any other word.
pub fn parse_evidence(text: &str) -> Result<Evidence, NotAFilter> {
    Evidence::ALL.into_iter().find(|e| e.word().eq_ignore_ascii_case(text.trim())).ok_or(NotAFilter::Evidence)
}

/// A recognised protocol from its word, whatever its case.
///
/// # Errors
/// [`NotAFilter::Application`] for any other word.
pub fn parse_application(text: &str) -> Result<Application, NotAFilter> {
    let is_it = |application: &Application| application.word().eq_ignore_ascii_case(text.trim());
    Application::ALL.into_iter().find(is_it).ok_or(NotAFilter::Application)
}

/// Names of IP protocols (IANA "Assigned Internet Protocol Numbers") that are printed as words.
const PROTOCOL_WORDS: [(u8, &str); 8] = [
    (1, "icmp"),
    (6, "tcp"),
    (17, "udp"),
    (47, "gre"),
    (50, "esp"),
    (58, "icmpv6"),
    (132, "sctp"),
    (136, "udplite"),
];

/// A protocol from its word or number.
///
/// # Errors
/// [`NotAFilter::Protocol`] for anything else.
pub fn parse_protocol(text: &str) -> Result<u8, NotAFilter> {
    PROTOCOL_WORDS
        .into_iter()
        .find(|(_, word)| word.eq_ignore_ascii_case(text))
        .map(|(number, _)| number)
        .or_else(|| text.parse().ok())
        .ok_or(NotAFilter::Protocol)
}

/// A protocol's word, or its number where it has none here.
#[must_use]
pub fn protocol_word(number: u8) -> String {
    PROTOCOL_WORDS
        .into_iter()
        .find(|(n, _)| *n == number)
        .map_or_else(|| number.to_string(), |(_, word)| word.to_owned())
}

/// Which rows are wanted. An empty list asks for nothing in particular; several entries of one list are joined
/// by "or", the lists by "and".
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Filter {
    /// Devices.
    pub devices: Vec<DeviceMatch>,
    /// Names.
    pub names: Vec<NameMatch>,
    /// Networks, by autonomous system number.
    pub asns: Vec<u32>,
    /// Countries of the peers.
    pub countries: Vec<Country>,
    /// Why a row has its name.
    pub evidence: Vec<Evidence>,
    /// Protocols that were recognised.
    pub applications: Vec<Application>,
    /// Only with the world, and only where the DNS had not given the device the peer's address before: the rows that a
    /// report counts as uncovered.
    pub is_uncovered: bool,
    /// IP protocols.
    pub protocols: Vec<u8>,
    /// Ports of the service.
    pub ports: Vec<u16>,
    /// Where the peers' addresses are.
    pub peers: Vec<IpNetwork>,
    /// What is asked beyond this in the [`language`], in its words; empty if nothing. The store does not ask it: whoever
    /// reads the rows does.
    pub question: String,
}

impl Filter {
    /// Does it ask for nothing in particular?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for Filter {
    /// As a person would say it: `device Redmi Note 8, country SG or RU`. Empty for an empty filter.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn words<T>(items: &[T], print: impl Fn(&T) -> String) -> String {
            items.iter().map(print).collect::<Vec<_>>().join(" or ")
        }
        let Self { devices, names, asns, countries, evidence, .. } = self;
        let Self { applications, is_uncovered, protocols, ports, peers, question, .. } = self;
        let parts = [
            ("device", words(devices, ToString::to_string)),
            ("name", words(names, ToString::to_string)),
            ("network", words(asns, |asn| format!("AS{asn}"))),
            ("country", words(countries, ToString::to_string)),
            ("evidence", words(evidence, |e| e.word().to_owned())),
            ("application", words(applications, |a| a.word().to_owned())),
            ("no DNS answer", if *is_uncovered { "before it".to_owned() } else { String::new() }),
            ("protocol", words(protocols, |p| protocol_word(*p))),
            ("port", words(ports, ToString::to_string)),
            ("peer", words(peers, ToString::to_string)),
            ("such that", question.clone()),
        ];
        let said: Vec<_> =
            parts.iter().filter(|(_, v)| !v.is_empty()).map(|(k, v)| format!("{k} {v}")).collect();
        f.write_str(&said.join(", "))
    }
}

/// The rows of a range that share a key, added up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FlowSum {
    /// What they share.
    pub key: RowKey,
    /// The peer's network, as a table said when its rows were written.
    pub network: Network,
    /// How much.
    pub volume: Volume,
    /// How many conversations, counted once per interval that they were alive in.
    pub conversations: u64,
    /// Start of the first interval with such a row.
    pub first_at: WallTime,
    /// End of the last interval with such a row.
    pub last_at: WallTime,
    /// Seconds from the oldest DNS answer behind the name to the beginning of its conversation.
    pub oldest_answer_secs: Option<u32>,
}

impl FlowSum {
    /// Adds the sum of other rows with the same key; always true, for lists that are joined.
    pub fn add(&mut self, other: &Self) -> bool {
        let Self { key: _, network: _, volume, conversations, first_at, last_at, oldest_answer_secs } = other;
        self.volume.add(*volume);
        self.conversations = self.conversations.saturating_add(*conversations);
        self.first_at = self.first_at.min(*first_at);
        self.last_at = self.last_at.max(*last_at);
        self.oldest_answer_secs = self.oldest_answer_secs.max(*oldest_answer_secs);
        true
    }
}

/// What is known of a device.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeviceInfo {
    /// Its address; a device is its MAC.
    pub mac: Mac,
    /// What the user calls it.
    pub label: Option<String>,
    /// What it calls itself.
    pub hostname: Option<String>,
    /// Where the hostname comes from, for example `dhcp`.
    pub hostname_source: Option<String>,
    /// DHCP vendor class (option 60).
    pub vendor_class: Option<String>,
    /// Which options it asks a DHCP server for (option 55), in its order.
    pub parameter_list: Option<String>,
    /// Addresses it was seen to hold, in order.
    pub addrs: Vec<IpAddr>,
    /// Start of the first interval it was seen in; `None` while no such interval has a date.
    pub first_seen: Option<WallTime>,
    /// End of the last interval it was seen in.
    pub last_seen: Option<WallTime>,
    /// The further MAC addresses that the user says are this device's, each as it is known by itself. What is said
    /// above is of all of them.
    pub merged: Vec<Self>,
}

impl DeviceInfo {
    /// A device of which nothing but the address is known.
    #[must_use]
    pub fn unknown(mac: Mac) -> Self {
        Self {
            mac,
            label: None,
            hostname: None,
            hostname_source: None,
            vendor_class: None,
            parameter_list: None,
            addrs: Vec::new(),
            first_seen: None,
            last_seen: None,
            merged: Vec::new(),
        }
    }

    /// The device together with those that the user merged into it: what it does not say itself they say.
    #[must_use]
    pub fn with(mut self, merged: Vec<Self>) -> Self {
        for part in &merged {
            let Self { mac: _, label, hostname, hostname_source, vendor_class, parameter_list, .. } = part;
            let Self { addrs, first_seen, last_seen, merged: _, .. } = part;
            if self.label.is_none() {
                self.label.clone_from(label);
            }
            if self.hostname.is_none() {
                self.hostname.clone_from(hostname);
                self.hostname_source.clone_from(hostname_source);
            }
            if self.vendor_class.is_none() {
                self.vendor_class.clone_from(vendor_class);
            }
            if self.parameter_list.is_none() {
                self.parameter_list.clone_from(parameter_list);
            }
            self.addrs.extend(addrs);
            self.first_seen = [self.first_seen, *first_seen].into_iter().flatten().min();
            self.last_seen = self.last_seen.max(*last_seen);
        }
        self.addrs.sort_unstable();
        self.addrs.dedup();
        self.merged = merged;
        self
    }

    /// Its MAC address and those merged into it.
    pub fn macs(&self) -> impl Iterator<Item = Mac> + '_ {
        core::iter::once(self.mac).chain(self.merged.iter().map(|part| part.mac))
    }

    /// What to call it: the user's label, else its hostname, else `unnamed` with its address.
    #[must_use]
    pub fn display_name(&self) -> String {
        self.label
            .as_ref()
            .or(self.hostname.as_ref())
            .cloned()
            .unwrap_or_else(|| format!("unnamed {}", self.mac))
    }
}

/// What the DNS told a device of an address, the latest time; as much of it as is still kept.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct ToldAnswer {
    /// Who asked.
    pub device: Mac,
    /// The name that was asked for.
    pub name: DomainName,
    /// The address in the answer.
    pub addr: IpAddr,
    /// The IPv4 address it asked from; `None` over IPv6.
    pub asker_ipv4: Option<Ipv4Addr>,
    /// The CNAMEs on the way, in order.
    pub chain: Vec<DomainName>,
    /// The shortest TTL of the chain.
    pub ttl_secs: u32,
    /// When it passed, the first time of a row of answers of which each came while the one before vouched; `None` if
    /// the gateway did not know the time.
    pub answered_at: Option<WallTime>,
    /// Until when the last of them vouches, its TTL stretched.
    pub vouches_until: Option<WallTime>,
}

impl ToldAnswer {
    /// Could it have vouched at some moment of a range? Without a date nobody can tell, and so it could.
    #[must_use]
    pub fn may_vouch_in(&self, range: TimeRange) -> bool {
        self.answered_at.is_none_or(|at| at < range.until)
            && self.vouches_until.is_none_or(|until| until >= range.since)
    }
}

/// One counted interval, as the journal has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Counted {
    /// Which boot and which tables counted it: intervals of one origin that touch on the steady clock have no
    /// gap between them, whatever the calendar did.
    pub origin: i64,
    /// Start and end on the steady clock, nanoseconds.
    pub boot_ns: (u64, u64),
    /// Start and end on the calendar.
    pub range: TimeRange,
    /// Was the calendar known?
    pub is_clock_set: bool,
    /// IP-layer bytes in its rows, where it crosses an edge of the range asked for; 0 otherwise, to save adding up
    /// what nobody asks for.
    pub row_bytes: u64,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic on purpose")]
    use super::*;

    #[test]
    fn matches_survive_text() {
        for text in ["7c:03:ab:12:34:56", "Redmi Note 8"] {
            assert_eq!(text.parse::<DeviceMatch>().unwrap().to_string(), text);
        }
        for (text, printed) in [("Data.Xiaomi.com.", "data.xiaomi.com"), (".mi.com", "*.mi.com")] {
            let name: NameMatch = text.parse().unwrap();
            assert_eq!(name.to_string(), printed);
            assert_eq!(printed.parse::<NameMatch>().unwrap(), name);
        }
        for evidence in Evidence::ALL {
            assert_eq!(parse_evidence(evidence.word()), Ok(evidence));
            assert_eq!(parse_evidence(&evidence.word().to_uppercase()), Ok(evidence));
        }
        for application in Application::ALL {
            assert_eq!(parse_application(application.word()), Ok(application));
            assert_eq!(parse_application(&application.word().to_uppercase()), Ok(application));
        }
        for number in 0..=255 {
            assert_eq!(parse_protocol(&protocol_word(number)), Ok(number));
        }
    }

    #[test]
    fn nonsense_is_refused() {
        assert_eq!(" ".parse::<DeviceMatch>(), Err(NotAFilter::Device));
        for bad in ["", "*", "*.", "a b", "*.*.com"] {
            assert_eq!(bad.parse::<NameMatch>(), Err(NotAFilter::Name), "{bad:?}");
        }
        for bad in ["", "AS", "ASx", "-1", "+1", "4294967296", "aé"] {
            assert_eq!(parse_asn(bad), Err(NotAFilter::Asn), "{bad:?}");
        }
        assert_eq!(parse_evidence("tls"), Err(NotAFilter::Evidence));
        assert_eq!(parse_asn("as45102"), Ok(45_102));
        assert_eq!(parse_protocol("256"), Err(NotAFilter::Protocol));
        assert_eq!(parse_country("S"), Err(NotAFilter::Country));
    }

    #[test]
    fn a_filter_says_what_it_asks() {
        let filter = Filter {
            devices: vec!["Redmi Note 8".parse().unwrap()],
            countries: vec![parse_country("sg").unwrap(), parse_country("RU").unwrap()],
            ports: vec![443],
            ..Filter::default()
        };
        assert_eq!(filter.to_string(), "device Redmi Note 8, country SG or RU, port 443");
        assert!(Filter::default().is_empty() && Filter::default().to_string().is_empty());
    }

    #[test]
    fn ranges_overlap_half_open() {
        let range = |a, b| TimeRange { since: WallTime(a), until: WallTime(b) };
        assert_eq!(range(0, 10).overlap(range(10, 20)), None);
        assert_eq!(range(0, 10).overlap(range(5, 20)), Some(range(5, 10)));
        assert_eq!(range(5, 0).len_ns(), 0);
        assert_eq!(TimeRange::EVER.len_ns(), u64::MAX);
    }
}
