//! Where a device may have an address from that no DNS answer gave it.

use super::{EARLIER_ANSWER_EXPLAINS_NS, Input, Part, PartKey};
use crate::application::Application;
use crate::query::{FlowSum, TimeRange};
use crate::report::coverage::stretches;
use crate::report::sureness::{application_words, is_by_port_alone, needs_no_name, peers_words};
use crate::report::text::Look;
use crate::units::{DomainName, Volume, WallTime};
use core::net::IpAddr;
use gateway_common::protocol;
use std::collections::{BTreeMap, BTreeSet};

/// Places that hide questions which are listed, most.
const MAX_LISTED: usize = 5;

/// Ways in which the device may have come by an address that no DNS answer gave it: those for which something speaks,
/// then those that nothing here can tell.
pub(super) fn where_else_it_asked(part: &Part, input: &Input, look: &Look<'_>) -> Vec<String> {
    let PartKey { application, protocol, .. } = part.key;
    if needs_no_name(application) || matches!(protocol, protocol::ICMP | protocol::ICMPV6) {
        return vec![often_by_settings(application)];
    }
    let mut said: Vec<_> = hiding_places(part, input, look);
    if let Some(began) = counting_began(part, input) {
        said.push(format!(
            "Counting began, or began again, at {}: the device may have asked before.",
            look.local(began)
        ));
    }
    if input.lost_answers > 0 {
        let lost = usize::try_from(input.lost_answers).unwrap_or(usize::MAX);
        let were = if lost == 1 { "question or answer was" } else { "questions or answers were" };
        said.push(format!("{lost} {were} lost or not believed in this range: the answer may be among them."));
    }
    if matches!(application, Application::Stun | Application::Dtls) {
        said.push(
            "The address of such a peer usually comes from another server, not from the DNS.".to_owned(),
        );
    }
    let it = if said.is_empty() { "It" } else { "Otherwise it" };
    said.push(format!(
        "{it} may have the address from a program, from another server, or from a resolver whose answers do not pass \
         the gateway."
    ));
    said
}

/// Why no answer is no surprise, and what speaks against taking that for granted.
fn often_by_settings(application: Application) -> String {
    let often = "Settings, DHCP or discovery often give the address of such a peer, without the DNS";
    if is_by_port_alone(application) {
        format!(
            "{often}; but only the port speaks for {}, and it may be anything.",
            application_words(application)
        )
    } else {
        format!("{often}.")
    }
}

/// Where the unbroken measured stretch begins that holds the part's first sight; `None` if that is so long before it
/// that no earlier answer explains anything.
fn counting_began(part: &Part, input: &Input) -> Option<WallTime> {
    let first = input.counted.first()?.range.since;
    let until = part.seen.until;
    let stretches = stretches(&input.counted, TimeRange { since: first, until });
    let began =
        stretches.iter().rev().map(|stretch| stretch.since).find(|since| *since <= part.seen.since)?;
    let counted_ns = TimeRange { since: began, until: part.seen.since }.len_ns();
    (counted_ns < EARLIER_ANSWER_EXPLAINS_NS).then_some(began)
}

/// The device's encrypted DNS and VPNs; not this conversation itself.
fn hiding_places(part: &Part, input: &Input, look: &Look<'_>) -> Vec<String> {
    type Place<'a> = (Application, Option<&'a DomainName>);
    let mut places = BTreeMap::<Place<'_>, (Volume, BTreeSet<IpAddr>)>::new();
    // What began after the part had ended told it nothing.
    let is_another = |flow: &&FlowSum| {
        flow.key.device == part.key.device
            && flow.first_at < part.seen.until
            && !part.peers.iter().any(|(addr, _)| *addr == flow.key.peer)
    };
    for flow in input.hiding.iter().filter(is_another) {
        let place = (flow.key.application, flow.key.name.as_ref());
        let (volume, addrs) = places.entry(place).or_default();
        volume.add(flow.volume);
        addrs.extend(Some(flow.key.peer).filter(|addr| !addr.is_unspecified()));
    }
    let said = |((application, name), (volume, addrs)): (Place<'_>, (Volume, BTreeSet<IpAddr>))| {
        let addrs: Vec<_> = addrs.into_iter().collect();
        let with = peers_words(name, &addrs);
        let (words, bytes) = (application_words(application), look.said(volume.bytes()));
        let may =
            if application.is_vpn() { "it may have asked through that" } else { "it may have asked there" };
        format!("The device spoke {words} with {with} in this range ({bytes}): {may}.")
    };
    places.into_iter().take(MAX_LISTED).map(said).collect()
}
