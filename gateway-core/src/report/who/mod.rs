//! The dossier: who is behind a name, an address, a network, an owner or a device. Whose name it is, whose network,
//! which country and which device stay columns of their own, each with its source and date, because they differ.

mod facts;
mod json;
mod model;
mod text;

pub use json::json;
pub(super) use json::{JsonFacts, facts_shape};
pub use model::{
    Dates, DayLine, DeviceLine, Dossier, Listed, NameFacts, NameLine, NetworkLine, NobodyIsCalled, Owned,
    Registered, Source, Subject,
};
pub use text::{owned_words, text};

use crate::query::{DeviceInfo, DeviceMatch, Filter, FlowSum, NameMatch};
use crate::row::{Network, RowKind};
use crate::units::{Country, DomainName, Mac, Volume, WallTime};
use core::cmp::Reverse;
use core::net::IpAddr;
use ipnetwork::IpNetwork;
use std::collections::BTreeMap;

/// Finds out what a text means: a device by what it is called, else an address, a network, a name, an owner.
///
/// # Errors
/// [`NobodyIsCalled`] if it is none of these.
pub fn subject_of(
    text: &str,
    devices: &[DeviceInfo],
    owner_called: &dyn Fn(&str) -> Option<String>,
) -> Result<Subject, NobodyIsCalled> {
    let text = text.trim();
    if let Ok(wanted) = text.parse::<DeviceMatch>() {
        let mut picked = devices.iter().filter(|device| wanted.picks(device));
        if let (Some(one), None) = (picked.next(), picked.next()) {
            return Ok(Subject::Device(one.mac));
        }
    }
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    if let Ok(addr) = bare.parse() {
        return Ok(Subject::Address(addr));
    }
    let number =
        text.get(..2).filter(|as_| as_.eq_ignore_ascii_case("as")).and_then(|_| text.get(2..)?.parse().ok());
    if let Some(asn) = number {
        return Ok(Subject::System(asn));
    }
    if let Some(owner) = owner_called(text) {
        return Ok(Subject::Owner(owner));
    }
    let name = text.strip_prefix("*.").unwrap_or(text);
    DomainName::parse(name)
        .filter(|name| name.as_str().contains('.'))
        .map(Subject::Name)
        .ok_or_else(|| NobodyIsCalled(text.to_owned()))
}

impl Subject {
    /// The rows that it is about; an owner's are chosen by [`Input::flows`] later.
    #[must_use]
    pub fn filter(&self) -> Filter {
        match self {
            Self::Name(name) => Filter { names: vec![NameMatch::Under(name.clone())], ..Filter::default() },
            Self::Address(addr) => Filter { peers: vec![IpNetwork::from(*addr)], ..Filter::default() },
            Self::System(asn) => Filter { asns: vec![*asn], ..Filter::default() },
            Self::Device(mac) => Filter { devices: vec![DeviceMatch::Mac(*mac)], ..Filter::default() },
            Self::Owner(_) => Filter::default(),
        }
    }
}

/// All that a dossier is made from.
pub struct Input<'a> {
    /// About whom.
    pub subject: Subject,
    /// The rows of [`Subject::filter`].
    pub flows: Vec<FlowSum>,
    /// The rows of every name, for sister names; empty if none are wanted.
    pub all: Vec<FlowSum>,
    /// The same rows as `flows`, by local date, the latest first.
    pub days: Vec<(String, Vec<FlowSum>)>,
    /// All devices.
    pub devices: Vec<DeviceInfo>,
    /// What the tables know of a name.
    pub facts_of: &'a dyn Fn(&DomainName) -> NameFacts,
    /// The network of an address by the tables in force.
    pub network_of: &'a dyn Fn(IpAddr) -> Option<Network>,
    /// Facts about a device that fit no column.
    pub remarks: Vec<String>,
    /// Who registered the subject's domain, if that is known.
    pub registered: Option<Registered>,
    /// Dates of the tables.
    pub dates: Dates,
}

/// Makes the dossier.
#[must_use]
pub fn dossier(input: Input<'_>) -> Dossier {
    let Input { subject, flows, all, days, devices, facts_of, network_of, remarks, registered, dates } =
        input;
    let is_wanted = |flow: &&FlowSum| {
        let is_routed = matches!(flow.key.kind, RowKind::Flow | RowKind::LaterFragments);
        let is_owned = match &subject {
            Subject::Owner(owner) => {
                let facts = flow.key.name.as_ref().map(facts_of);
                facts.and_then(|f| f.owned).is_some_and(|o| o.owner == *owner)
            }
            _ => true,
        };
        is_routed && is_owned
    };
    let wanted: Vec<_> = flows.iter().filter(is_wanted).collect();
    let facts = match &subject {
        Subject::Name(name) => Some(facts_of(name)),
        _ => None,
    };
    let names = names_of(wanted.iter().copied(), facts_of);
    let owner = facts.as_ref().and_then(|f| f.owned.as_ref()).map(|o| o.owner.clone());
    let sisters = match (&owner, &subject) {
        (Some(owner), Subject::Name(name)) => {
            let routed = all.iter().filter(|f| matches!(f.key.kind, RowKind::Flow | RowKind::LaterFragments));
            let mut sisters = names_of(routed.filter(|f| f.key.name.is_some()), facts_of);
            sisters.retain(|line| {
                let is_theirs = line.facts.owned.as_ref().is_some_and(|o| o.owner == *owner);
                is_theirs && line.name.as_ref().is_some_and(|other| !is_under(other, name))
            });
            sisters
        }
        _ => Vec::new(),
    };
    Dossier {
        title: title_of(&subject, &devices),
        remarks,
        facts,
        registered,
        network: match subject {
            Subject::Address(addr) => network_of(addr),
            _ => None,
        },
        names,
        networks: networks_of(&wanted),
        countries: countries_of(&wanted),
        devices: devices_of(&wanted, &devices),
        days: days_of(&days, &devices, &is_wanted),
        sisters,
        dates,
        subject,
    }
}

fn is_under(name: &DomainName, above: &DomainName) -> bool {
    let below = name.as_str().strip_suffix(above.as_str());
    below.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn title_of(subject: &Subject, devices: &[DeviceInfo]) -> String {
    match subject {
        Subject::Device(mac) => {
            let known = devices.iter().find(|device| device.mac == *mac);
            known.map_or_else(|| mac.to_string(), |device| format!("{} ({mac})", device.display_name()))
        }
        other => other.to_string(),
    }
}

/// Most sent first, then most received; equals keep their order.
fn most_sent(volume: Volume) -> (Reverse<u64>, Reverse<u64>) {
    (Reverse(volume.up_bytes), Reverse(volume.down_bytes))
}

fn names_of<'f>(
    flows: impl Iterator<Item = &'f FlowSum>,
    facts_of: &dyn Fn(&DomainName) -> NameFacts,
) -> Vec<NameLine> {
    let mut sums = BTreeMap::<Option<&DomainName>, Volume>::new();
    for flow in flows {
        sums.entry(flow.key.name.as_ref()).or_default().add(flow.volume);
    }
    let line = |(name, volume): (Option<&DomainName>, Volume)| NameLine {
        name: name.cloned(),
        facts: name.map(facts_of).unwrap_or_default(),
        volume,
    };
    let mut lines: Vec<_> = sums.into_iter().map(line).collect();
    lines.sort_by_key(|line| most_sent(line.volume));
    lines
}

fn networks_of(flows: &[&FlowSum]) -> Vec<NetworkLine> {
    let mut sums = BTreeMap::<Network, (BTreeMap<IpAddr, u64>, Volume)>::new();
    for flow in flows {
        let (addrs, volume) = sums.entry(Network { country: None, ..flow.network.clone() }).or_default();
        // A row that is kept by the day has no address any more.
        if !flow.key.peer.is_unspecified() {
            let bytes = addrs.entry(flow.key.peer).or_default();
            *bytes = bytes.saturating_add(flow.volume.bytes());
        }
        volume.add(flow.volume);
    }
    let line = |(network, (addrs, volume)): (Network, (BTreeMap<IpAddr, u64>, Volume))| {
        let mut addrs: Vec<_> = addrs.into_iter().collect();
        addrs.sort_by_key(|(_, bytes)| Reverse(*bytes));
        NetworkLine { network, addrs: addrs.into_iter().map(|(addr, _)| addr).collect(), volume }
    };
    let mut lines: Vec<_> = sums.into_iter().map(line).collect();
    lines.sort_by_key(|line| most_sent(line.volume));
    lines
}

fn countries_of(flows: &[&FlowSum]) -> Vec<(Option<Country>, bool, Volume)> {
    let mut sums = BTreeMap::<(Option<Country>, bool), Volume>::new();
    for flow in flows {
        let is_doubtful = flow.network.marks.country_is_doubtful();
        sums.entry((flow.network.country, is_doubtful)).or_default().add(flow.volume);
    }
    let mut lines: Vec<_> =
        sums.into_iter().map(|((country, doubt), volume)| (country, doubt, volume)).collect();
    lines.sort_by_key(|(_, _, volume)| most_sent(*volume));
    lines
}

fn devices_of(flows: &[&FlowSum], devices: &[DeviceInfo]) -> Vec<DeviceLine> {
    let mut sums = BTreeMap::<Mac, (Volume, WallTime, WallTime)>::new();
    for flow in flows {
        let sum = sums.entry(flow.key.device).or_insert((Volume::default(), flow.first_at, flow.last_at));
        sum.0.add(flow.volume);
        sum.1 = sum.1.min(flow.first_at);
        sum.2 = sum.2.max(flow.last_at);
    }
    let line = |(mac, (volume, first_at, last_at)): (Mac, (Volume, WallTime, WallTime))| DeviceLine {
        mac,
        name: name_of(mac, devices),
        volume,
        first_at,
        last_at,
    };
    let mut lines: Vec<_> = sums.into_iter().map(line).collect();
    lines.sort_by_key(|line| most_sent(line.volume));
    lines
}

fn days_of(
    days: &[(String, Vec<FlowSum>)],
    devices: &[DeviceInfo],
    is_wanted: &dyn Fn(&&FlowSum) -> bool,
) -> Vec<DayLine> {
    let mut lines = Vec::new();
    for (day, flows) in days {
        let wanted: Vec<_> = flows.iter().filter(is_wanted).collect();
        lines.extend(devices_of(&wanted, devices).into_iter().map(|line| DayLine {
            day: day.clone(),
            device: line.name,
            volume: line.volume,
        }));
    }
    lines
}

fn name_of(mac: Mac, devices: &[DeviceInfo]) -> String {
    let known = devices.iter().find(|device| device.mac == mac);
    known.map_or_else(|| DeviceInfo::unknown(mac).display_name(), DeviceInfo::display_name)
}

#[cfg(test)]
mod tests;
