//! How sure the names of a report are, and what hides names: encrypted DNS and VPNs.

use super::amount::percent;
use super::model::{Hidden, Report, Sureness};
use super::table::{Align, Table};
use super::text::{Look, title};
use crate::application::Application;
use crate::enrich::resolvers::resolver_of;
use crate::query::FlowSum;
use crate::row::{Evidence, Marks, RowKey, RowKind};
use crate::units::{DomainName, Mac, Volume};
use core::net::IpAddr;
use std::collections::{BTreeMap, BTreeSet};

/// The marks that a cell of evidence shows, with what each means.
pub const LEGEND: [(Marks, &str, &str); 6] = [
    (
        Marks::OUTER_NAME,
        "(outer)",
        "the clear name of a hello with ECH, or what looks like it: it may be the host's, not the site's",
    ),
    (
        Marks::HAS_RIVALS,
        "?",
        "another name is possible: the DNS or the device itself gave several, and the last is shown",
    ),
    (Marks::STRETCHED, "(old)", "the DNS answer was older than its TTL, though not too old to be used"),
    (Marks::UNDECIDED, "several?", "the DNS had given several names, and nothing tells which is meant"),
    (Marks::UNCOVERED, "*", "no DNS answer that the gateway saw had given the device this address before"),
    (
        Marks::WITHHELD,
        "private",
        "names and addresses are shortened or not kept: the device has a privacy level",
    ),
];

/// An evidence with its marks, in a cell: `TLS (outer)`, `DNS?`, `-*`.
#[must_use]
pub fn evidence_cell(evidence: Evidence, marks: Marks) -> String {
    let word = match evidence {
        Evidence::None if marks.has(Marks::WITHHELD) => return "private".to_owned(),
        Evidence::None if marks.has(Marks::UNDECIDED) => "several?",
        Evidence::None => "-",
        Evidence::Dns => "DNS",
        Evidence::HttpHost => "HTTP",
        Evidence::QuicSni => "QUIC",
        Evidence::TlsSni => "TLS",
    };
    let mut cell = word.to_owned();
    for (mark, sign) in [
        (Marks::HAS_RIVALS, "?"),
        (Marks::OUTER_NAME, " (outer)"),
        (Marks::STRETCHED, " (old)"),
        (Marks::UNCOVERED, "*"),
        (Marks::WITHHELD, " (private)"),
    ] {
        if marks.has(mark) {
            cell.push_str(sign);
        }
    }
    cell
}

/// Those lines of the legend that these marks need.
pub fn legend(marks: impl Iterator<Item = Marks>) -> impl Iterator<Item = String> {
    let all = marks.fold(Marks::NONE, Marks::with);
    LEGEND
        .into_iter()
        .filter(move |(mark, ..)| all.has(*mark))
        .map(|(_, sign, what)| format!("{sign}  {what}"))
}

/// A protocol as people call it.
#[must_use]
pub const fn application_words(application: Application) -> &'static str {
    match application {
        Application::Unknown => "a protocol that was not recognised",
        Application::Tls => "TLS",
        Application::Quic => "QUIC",
        Application::Http => "HTTP",
        Application::H2c => "HTTP/2 in the clear",
        Application::HttpProxy => "an HTTP proxy",
        Application::Dns => "DNS",
        Application::Dot => "DNS over TLS",
        Application::Doq => "DNS over QUIC",
        Application::Doh => "DNS over HTTPS",
        Application::Mdns => "multicast DNS",
        Application::Llmnr => "LLMNR",
        Application::Dhcp => "DHCP",
        Application::Ntp => "NTP",
        Application::Stun => "STUN",
        Application::Dtls => "DTLS",
        Application::WireGuard => "WireGuard",
        Application::OpenVpn => "OpenVPN",
        Application::Ipsec => "IPsec",
        Application::Tunnel => "a tunnel",
        Application::Ssh => "SSH",
        Application::Icmp => "ICMP",
        Application::Ssdp => "SSDP",
        Application::GoogleQuic => "QUIC of Google's own",
    }
}

/// Is its peer often given by the network's or the device's settings, or by discovery, and not by the DNS? DNS itself
/// (its address has to be known before anything can be asked), DHCP, NTP (RFC 2132 §8.3 hands out its addresses),
/// discovery by multicast, and ICMP. That is a reason why there is no answer, and none to leave bytes out: whoever
/// wants to may send anything over such a protocol's port.
#[must_use]
pub const fn needs_no_name(application: Application) -> bool {
    application.is_encrypted_dns()
        || matches!(
            application,
            Application::Dns
                | Application::Mdns
                | Application::Llmnr
                | Application::Dhcp
                | Application::Ntp
                | Application::Ssdp
                | Application::Icmp
        )
}

/// Is it recognised by its port and by nothing that was said? See [`recognise`](crate::recognise).
#[must_use]
pub const fn is_by_port_alone(application: Application) -> bool {
    matches!(
        application,
        Application::Dns
            | Application::Mdns
            | Application::Llmnr
            | Application::Dhcp
            | Application::Ntp
            | Application::Ssdp
    )
}

/// Is it with the world, and its peer known?
fn is_outside(key: &RowKey) -> bool {
    matches!(key.kind, RowKind::Flow | RowKind::LaterFragments)
}

/// The marks of a row that are worth showing: that no DNS answer covers it is one only with the world, where nothing
/// in the house gives a peer its address.
#[must_use]
pub fn shown_marks(key: &RowKey) -> Marks {
    if is_outside(key) { key.marks } else { without_uncovered(key.marks) }
}

/// The marks but [`Marks::UNCOVERED`].
#[must_use]
pub fn without_uncovered(marks: Marks) -> Marks {
    let is_other = |mark: &Marks| marks.has(*mark) && *mark != Marks::UNCOVERED;
    Marks::ALL.into_iter().map(|(mark, _)| mark).filter(is_other).fold(Marks::NONE, Marks::with)
}

pub(super) fn sureness(flows: &[FlowSum]) -> Sureness {
    let mut sure = Sureness::default();
    for flow in flows.iter().filter(|flow| is_outside(&flow.key)) {
        let (marks, volume) = (shown_marks(&flow.key), flow.volume);
        for (is_so, sum) in [
            (marks.has(Marks::OUTER_NAME), &mut sure.outer_names),
            (marks.has(Marks::HAS_RIVALS), &mut sure.has_rivals),
            (marks.has(Marks::STRETCHED), &mut sure.stretched),
            (marks.has(Marks::UNDECIDED), &mut sure.undecided),
            (marks.has(Marks::UNCOVERED), &mut sure.uncovered),
        ] {
            if is_so {
                sum.add(volume);
            }
        }
        if marks.has(Marks::UNCOVERED) && needs_no_name(flow.key.application) {
            sure.uncovered_by_settings.add(volume);
        }
    }
    sure
}

/// Every device's encrypted DNS and VPNs, by protocol, most bytes first; peers by name, those without by address.
pub(super) fn hidden(flows: &[FlowSum]) -> BTreeMap<Mac, Vec<Hidden>> {
    type Who<'a> = (Option<&'a DomainName>, Option<IpAddr>);
    let mut sums = BTreeMap::<(Mac, Application, Who<'_>), (Volume, u64, BTreeSet<IpAddr>)>::new();
    for flow in flows.iter().filter(|flow| is_outside(&flow.key)) {
        let key = &flow.key;
        if !key.application.is_encrypted_dns() && !key.application.is_vpn() {
            continue;
        }
        let name = key.name.as_ref();
        let who = (name, name.is_none().then_some(key.peer));
        let (volume, conversations, addrs) = sums.entry((key.device, key.application, who)).or_default();
        volume.add(flow.volume);
        *conversations = conversations.saturating_add(flow.conversations);
        // A row that is kept by the day has none.
        addrs.extend(Some(key.peer).filter(|addr| !addr.is_unspecified()));
    }
    let mut devices = BTreeMap::<Mac, Vec<Hidden>>::new();
    for ((device, application, (name, _)), (volume, conversations, addrs)) in sums {
        let resolver = |addr: &IpAddr| resolver_of(name, *addr);
        let operator = addrs.iter().find_map(resolver).filter(|_| application.is_encrypted_dns());
        let (name, addrs) = (name.cloned(), addrs.into_iter().collect());
        let hidden = Hidden { application, operator, name, addrs, volume, conversations };
        devices.entry(device).or_default().push(hidden);
    }
    for hidden in devices.values_mut() {
        hidden.sort_by_key(|h| (h.application, core::cmp::Reverse(h.volume.bytes())));
    }
    devices
}

/// Peers in a cell or a sentence: the name with its address, or the first address and how many more.
#[must_use]
pub fn peers_words(name: Option<&DomainName>, addrs: &[IpAddr]) -> String {
    let addrs = match addrs {
        [] => String::new(),
        [addr] => addr.to_string(),
        [addr, others @ ..] => format!("{addr} +{}", others.len()),
    };
    match name {
        Some(name) if addrs.is_empty() => name.to_string(),
        Some(name) => format!("{name} ({addrs})"),
        None if addrs.is_empty() => "address not kept".to_owned(),
        None => addrs,
    }
}

pub(super) fn sure_part(out: &mut String, report: &Report, look: &Look<'_>) {
    let Sureness { outer_names, has_rivals, stretched, undecided, .. } = report.sureness;
    let Sureness { uncovered, uncovered_by_settings, .. } = report.sureness;
    let total = report.routed().bytes();
    let mut table = Table::new(&[
        ("of all bytes", Align::Name(30)),
        ("up", Align::Right),
        ("down", Align::Right),
        ("share", Align::Right),
    ]);
    for (what, volume) in [
        ("(outer) an outer name: ECH may hide the site behind it", outer_names),
        ("?       another name is possible; the last was taken", has_rivals),
        ("(old)   the DNS answer was older than its TTL", stretched),
        ("several? without a name, because several were possible", undecided),
        ("*       to addresses in no DNS answer seen before", uncovered),
        ("        of these: DNS, DHCP, NTP, ICMP and discovery", uncovered_by_settings),
    ] {
        if volume.packets() > 0 {
            let share = percent(volume.bytes(), total);
            table.push(vec![
                what.to_owned(),
                look.bytes(volume.up_bytes),
                look.bytes(volume.down_bytes),
                share,
            ]);
        }
    }
    if uncovered_by_settings.packets() > 0 {
        table.note("settings or DHCP often give the addresses of the last line; a port is no proof of what went there");
    }
    if !table.is_empty() {
        title(out, "How sure (telltale explain tells more of a name, an address or a flow)", look);
        out.push_str(&table.render(2, look.width, look.paint));
    }
}

pub(super) fn hidden_part(out: &mut String, report: &Report, look: &Look<'_>) {
    let mut table = Table::new(&[
        ("device", Align::Name(16)),
        ("spoke", Align::Left),
        ("with", Align::Beneath(24)),
        ("up", Align::Right),
        ("down", Align::Right),
        ("conv.", Align::Right),
    ]);
    for device in &report.devices {
        for Hidden { application, operator, name, addrs, volume, conversations } in &device.hidden {
            let peers = peers_words(name.as_ref(), addrs);
            table.push(vec![
                device.name.clone(),
                application_words(*application).to_owned(),
                operator.map_or_else(|| peers.clone(), |operator| format!("{operator}: {peers}")),
                look.bytes(volume.up_bytes),
                look.bytes(volume.down_bytes),
                conversations.to_string(),
            ]);
        }
    }
    if !table.is_empty() {
        title(out, "Encrypted DNS and VPNs: what hides names", look);
        out.push_str(&table.render(2, look.width, look.paint));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::{Network, OpenedBy};
    use crate::units::WallTime;

    fn flow(application: Application, kind: RowKind, marks: Marks) -> FlowSum {
        FlowSum {
            key: RowKey {
                device: Mac([2, 0, 0, 0, 0, 1]),
                peer: IpAddr::from([203, 0, 113, 9]),
                port: 123,
                protocol: 17,
                kind,
                opened_by: OpenedBy::Unknown,
                name: None,
                evidence: Evidence::None,
                marks,
                application,
            },
            network: Network::default(),
            volume: Volume { up_bytes: 100, up_packets: 1, ..Volume::default() },
            conversations: 1,
            first_at: WallTime(0),
            last_at: WallTime(1),
            oldest_answer_secs: None,
        }
    }

    #[test]
    fn a_port_hides_nothing_from_what_is_uncovered() {
        let flows: Vec<_> = Application::ALL
            .into_iter()
            .map(|application| flow(application, RowKind::Flow, Marks::UNCOVERED))
            .collect();
        let sure = sureness(&flows);
        assert_eq!(sure.uncovered.up_bytes, 100 * Application::ALL.len() as u64);
        let by_settings = Application::ALL.into_iter().filter(|a| needs_no_name(*a)).count() as u64;
        assert_eq!(sure.uncovered_by_settings.up_bytes, 100 * by_settings);
        assert!(
            by_settings > 0 && Application::ALL.iter().all(|a| !is_by_port_alone(*a) || needs_no_name(*a))
        );
        let elsewhere = [
            flow(Application::Ntp, RowKind::Local, Marks::UNCOVERED),
            flow(Application::Ntp, RowKind::Flow, Marks::COVERED),
        ];
        assert_eq!(sureness(&elsewhere), Sureness::default());
        let both = Marks::UNCOVERED.with(Marks::OUTER_NAME);
        assert_eq!(shown_marks(&flow(Application::Dns, RowKind::Flow, both).key), both);
        assert_eq!(shown_marks(&flow(Application::Dns, RowKind::Local, both).key), Marks::OUTER_NAME);
    }

    #[test]
    fn a_cell_says_how_sure() {
        let both = Marks::COVERED.with(Marks::HAS_RIVALS);
        for (evidence, marks, cell) in [
            (Evidence::TlsSni, Marks::COVERED, "TLS"),
            (Evidence::TlsSni, Marks::OUTER_NAME, "TLS (outer)"),
            (Evidence::Dns, both, "DNS?"),
            (Evidence::Dns, both.with(Marks::STRETCHED), "DNS? (old)"),
            (Evidence::QuicSni, Marks::UNCOVERED, "QUIC*"),
            (Evidence::None, Marks::UNCOVERED, "-*"),
            (Evidence::None, Marks::COVERED.with(Marks::UNDECIDED), "several?"),
        ] {
            assert_eq!(evidence_cell(evidence, marks), cell);
        }
        let lines: Vec<_> = legend([both, Marks::UNCOVERED].into_iter()).collect();
        assert_eq!(lines.len(), 2);
        assert!(lines.iter().zip(["?  ", "*  "]).all(|(line, sign)| line.starts_with(sign)), "{lines:?}");
    }
}
