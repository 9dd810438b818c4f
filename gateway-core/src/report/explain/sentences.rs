//! The sentences of an explanation.

use super::ways::where_else_it_asked;
use super::{Explanation, Input, Part, Subject, is_under, name_of};
use crate::application::Application;
use crate::query::{NameMatch, ToldAnswer, protocol_word};
use crate::report::amount::{duration, several};
use crate::report::sureness::{application_words, is_by_port_alone};
use crate::report::text::{Look, addr_words};
use crate::row::{Evidence, Marks, Network, OpenedBy, RowKind};
use crate::units::{DomainName, Volume};
use std::collections::{BTreeMap, BTreeSet};

const NANOS_PER_SEC: u64 = 1_000_000_000;
/// Names or peers that a sentence lists; more are only counted.
const MAX_LISTED: usize = 5;

/// Everything about one part: what was exchanged, why it has its name, what else it could have been.
pub(super) fn of(part: &Part, input: &Input, look: &Look<'_>) -> Vec<String> {
    let mut said = vec![exchanged(part, input, look)];
    match part.key.kind {
        RowKind::Local => said.push("The peer is in the house, or is the gateway itself.".to_owned()),
        RowKind::Coarse => said.push(
            "The kernel's tables were full: who the peers were is not known, and so there is no name."
                .to_owned(),
        ),
        RowKind::Flow | RowKind::LaterFragments => {}
    }
    if part.key.kind == RowKind::Coarse {
        return said;
    }
    match (&part.key.name, part.key.evidence) {
        (Some(name), Evidence::Dns) => said.extend(named_by_dns(part, name, input, look)),
        (Some(name), evidence) => {
            said.extend(named_by_itself(part, name, evidence));
            said.extend(coverage(part, input, look));
        }
        (None, _) => said.extend(unnamed(part, input, look)),
    }
    said.extend(other_names(part, input));
    said
}

fn exchanged(part: &Part, input: &Input, look: &Look<'_>) -> String {
    let key = &part.key;
    let device = &part.device_name;
    let peers = match part.peers.as_slice() {
        _ if key.kind == RowKind::Coarse => "unknown peers".to_owned(),
        [(addr, network), others @ ..] if !others.is_empty() => {
            format!(
                "{} addresses (most with {}{})",
                others.len() + 1,
                addr_words(*addr),
                network_words(network)
            )
        }
        peers => peers
            .iter()
            .map(|(addr, network)| format!("{}{}", addr_words(*addr), network_words(network)))
            .collect(),
    };
    let service = match (key.kind, key.port) {
        (RowKind::LaterFragments, _) => format!("{} fragments", protocol_word(key.protocol)),
        (_, 0) => protocol_word(key.protocol),
        (_, port) if key.opened_by == OpenedBy::Peer => {
            format!("port {port}/{} of the device", protocol_word(key.protocol))
        }
        (_, port) => format!("port {port}/{}", protocol_word(key.protocol)),
    };
    let spoke = match key.application {
        Application::Unknown => String::new(),
        application => format!(", {}", protocol_words(application)),
    };
    // They are counted in every interval that they were alive in: of more than one, the sum is no number of them.
    let times = if part.conversations == 0 || !is_of_one_interval(part, input) {
        String::new()
    } else {
        let count = usize::try_from(part.conversations).unwrap_or(usize::MAX);
        format!(", in {}", several(count, "conversation"))
    };
    let Volume { up_bytes, down_bytes, .. } = part.volume;
    format!(
        "{device} exchanged {} up and {} down with {peers}, {service}{spoke}{times}, between {} and {}.",
        look.said(up_bytes),
        look.said(down_bytes),
        look.local(part.seen.since),
        look.local(part.seen.until)
    )
}

fn is_of_one_interval(part: &Part, input: &Input) -> bool {
    let from = input.counted.partition_point(|counted| counted.range.since < part.seen.since);
    let begun = input.counted.iter().skip(from).take_while(|counted| counted.range.since == part.seen.since);
    begun.into_iter().any(|counted| counted.range.until == part.seen.until)
}

fn network_words(network: &Network) -> String {
    let Network { asn, organisation, country, registered: _, marks: _ } = network;
    let whose = organisation.clone().or(asn.map(|asn| format!("AS{asn}")));
    let words: Vec<_> = whose.into_iter().chain(country.map(|country| country.to_string())).collect();
    if words.is_empty() { String::new() } else { format!(" ({})", words.join(", ")) }
}

/// A protocol, and whether only a port speaks for it.
fn protocol_words(application: Application) -> String {
    let words = application_words(application);
    if is_by_port_alone(application) { format!("{words} by its port") } else { words.to_owned() }
}

fn named_by_itself(part: &Part, name: &DomainName, evidence: Evidence) -> Vec<String> {
    let is_proxied = part.key.application == Application::HttpProxy;
    let where_it_said = match evidence {
        // Which of the two is not kept: both ask another for what lies behind it.
        Evidence::HttpHost if is_proxied => {
            "in a request to an HTTP proxy (CONNECT, RFC 9110 section 9.3.6, or a target with its scheme, RFC 9112 \
             section 3.2.2)"
        }
        Evidence::HttpHost => "in plain HTTP (Host, RFC 9110 section 7.2)",
        Evidence::QuicSni => "in the ClientHello of a QUIC Initial (RFC 9001; RFC 6066 section 3)",
        _ if is_proxied => {
            "in the TLS ClientHello (RFC 6066 section 3) that followed a request to an HTTP proxy"
        }
        _ => "in the TLS ClientHello (RFC 6066 section 3)",
    };
    let mut said = vec![format!("It named the server itself: {name}, {where_it_said}.")];
    if is_proxied {
        said.push(
            "The name is of what lies behind the proxy; the address, its network and its country are the proxy's."
                .to_owned(),
        );
    }
    if part.key.marks.has(Marks::OUTER_NAME) {
        said.push(
            "The hello carried an encrypted one as well (ECH, RFC 9849), or noise that looks like it. If it was real, \
             this is an outer name: it belongs to whoever hosts the site, and the site's own name is hidden from \
             everyone on the way."
                .to_owned(),
        );
    }
    if part.key.marks.has(Marks::HAS_RIVALS) {
        said.push(
            "In the same conversation it named another host as well: the last one is shown, with the bytes of all of \
             them."
                .to_owned(),
        );
    }
    said
}

/// What the DNS said of the address of a part that named its server itself.
fn coverage(part: &Part, input: &Input, look: &Look<'_>) -> Vec<String> {
    let marks = part.key.marks;
    if marks.has(Marks::COVERED) {
        let Some(name) = &part.key.name else { return Vec::new() };
        let told = latest_answer(part, name, input);
        return vec![match told {
            None if part.key.application == Application::HttpProxy => {
                format!("The DNS had told it {} before, the proxy's.", this_address(part))
            }
            Some(answer) => format!(
                "The DNS had told it {} before; the latest for that name: {}.",
                this_address(part),
                answer_words(answer, part, look)
            ),
            None => {
                format!("The DNS had told it {} before; no answer for that name is kept.", this_address(part))
            }
        }];
    }
    if marks.has(Marks::UNCOVERED) {
        let mut said = vec![format!(
            "No DNS answer that the gateway saw had given it {} before. The name does not depend on that.",
            this_address(part)
        )];
        said.extend(where_else_it_asked(part, input, look));
        return said;
    }
    Vec::new()
}

fn named_by_dns(part: &Part, name: &DomainName, input: &Input, look: &Look<'_>) -> Vec<String> {
    let marks = part.key.marks;
    let how_long = part.oldest_answer_secs.map_or_else(
        || "before the conversation began".to_owned(),
        |secs| {
            let most = if part.conversations > 1 { "at most " } else { "" };
            format!("{most}{} before the conversation began", duration(u64::from(secs) * NANOS_PER_SEC))
        },
    );
    let mut said = vec![format!(
        "Nothing that it said names the server. The DNS had told the device {} for {name}, {how_long}.",
        this_address(part)
    )];
    if let Some(answer) = latest_answer(part, name, input) {
        said.push(format!("The latest such answer: {}.", answer_words(answer, part, look)));
    }
    if marks.has(Marks::STRETCHED) {
        said.push(
            "An answer was older than its TTL by then, though not older than programs are known to use one."
                .to_owned(),
        );
    }
    if marks.has(Marks::HAS_RIVALS) {
        said.push(
            "Other names that the DNS gave for it still vouched then; the one asked for last was taken, and another is \
             possible."
                .to_owned(),
        );
    }
    said
}

/// Why there is no name: only what the evidence allows.
fn unnamed(part: &Part, input: &Input, look: &Look<'_>) -> Vec<String> {
    let (key, marks) = (&part.key, part.key.marks);
    if marks.has(Marks::WITHHELD) {
        return vec!["No name is kept: the device has a privacy level in the configuration.".to_owned()];
    }
    if key.kind == RowKind::LaterFragments {
        return vec![
            "These are later fragments of packets: they carry no ports, so that nobody can tell of which \
             conversation they are."
                .to_owned(),
        ];
    }
    let mut said = vec![why_it_said_nothing(key.application, key.protocol)];
    if key.kind == RowKind::Local {
        return said;
    }
    if key.opened_by == OpenedBy::Peer {
        said.push("The peer opened it: the device did not have to ask the DNS for who calls.".to_owned());
    } else if marks.has(Marks::UNDECIDED) {
        said.push(format!(
            "The DNS had told the device {} for several names, and nothing tells which of them is meant; none was \
             taken.",
            this_address(part)
        ));
    } else if marks.has(Marks::UNCOVERED) {
        said.push(format!(
            "No DNS answer that the gateway saw had given the device {} before.",
            this_address(part)
        ));
        said.extend(where_else_it_asked(part, input, look));
    } else if marks.has(Marks::COVERED) {
        said.push(format!(
            "The DNS had told the device {} before, and no name of it was taken.",
            this_address(part)
        ));
    } else {
        said.push(
            "It was under way when it was first counted, or was counted by an earlier version: what the DNS had told \
             before is not known."
                .to_owned(),
        );
    }
    said
}

fn why_it_said_nothing(application: Application, protocol: u8) -> String {
    match application {
        Application::Unknown => format!(
            "What it said first was not seen, or is in no protocol over {} of which this program reads a host.",
            protocol_word(protocol).to_uppercase()
        ),
        Application::Tls
        | Application::Quic
        | Application::Dtls
        | Application::Dot
        | Application::Doq
        | Application::Doh
        | Application::GoogleQuic => {
            format!("It spoke {}, and no server's name was read in it.", application_words(application))
        }
        Application::Http | Application::H2c | Application::HttpProxy => {
            format!("It spoke {}, and no host was read in it.", application_words(application))
        }
        other if is_by_port_alone(other) => {
            format!("By its port it spoke {}, which names no host.", application_words(other))
        }
        other => format!("It spoke {}, which names no host.", application_words(other)),
    }
}

/// Other names that the DNS gave the device for the same peers.
fn other_names(part: &Part, input: &Input) -> Option<String> {
    let mut names = BTreeMap::<&DomainName, bool>::new();
    for answer in answers_to(part, input).filter(|answer| Some(&answer.name) != part.key.name.as_ref()) {
        let vouched = names.entry(&answer.name).or_default();
        *vouched |= answer.may_vouch_in(part.seen);
    }
    if names.is_empty() {
        return None;
    }
    let listed = |(name, vouched): (&&DomainName, &bool)| {
        format!("{name} ({})", if *vouched { "vouched at some time of it" } else { "did not vouch then" })
    };
    let more = names.len().saturating_sub(MAX_LISTED);
    let mut words: Vec<_> = names.iter().take(MAX_LISTED).map(listed).collect();
    if more > 0 {
        words.push(format!("and {more} more"));
    }
    Some(format!(
        "Other names that the DNS gave the device for {}: {}.",
        this_address(part),
        words.join(", ")
    ))
}

fn answers_to<'a>(part: &'a Part, input: &'a Input) -> impl Iterator<Item = &'a ToldAnswer> {
    let is_of_part = |answer: &&ToldAnswer| {
        answer.device == part.key.device && part.peers.iter().any(|(addr, _)| *addr == answer.addr)
    };
    input.answers.iter().filter(is_of_part)
}

/// The latest answer for this name that had begun to vouch when the part was seen last.
fn latest_answer<'a>(part: &'a Part, name: &DomainName, input: &'a Input) -> Option<&'a ToldAnswer> {
    let had_begun = |answer: &&ToldAnswer| answer.answered_at.is_none_or(|at| at < part.seen.until);
    answers_to(part, input)
        .filter(|answer| answer.name == *name)
        .filter(had_begun)
        .max_by_key(|answer| answer.answered_at)
}

fn this_address(part: &Part) -> &'static str {
    if part.peers.len() == 1 { "this address" } else { "these addresses" }
}

fn answer_words(answer: &ToldAnswer, part: &Part, look: &Look<'_>) -> String {
    let ToldAnswer { addr, chain, ttl_secs, answered_at, vouches_until, .. } = answer;
    let when = match (answered_at, vouches_until) {
        (Some(at), Some(until)) => format!("at {}, vouching until {}", look.local(*at), look.local(*until)),
        _ => "at a time not known".to_owned(),
    };
    let of = if part.peers.len() == 1 { String::new() } else { format!("{addr} ") };
    format!("{of}{when}, TTL {ttl_secs} s{}", chain_words(chain))
}

fn chain_words(chain: &[DomainName]) -> String {
    if chain.is_empty() {
        return String::new();
    }
    let names: Vec<_> = chain.iter().map(DomainName::as_str).collect();
    format!(", by way of {}", names.join(", "))
}

/// What is known of the subject besides the rows: what devices were told and made no use of, and other names of it.
pub(super) fn remarks(explanation: &Explanation, input: &Input, look: &Look<'_>) -> Vec<String> {
    let mut said = BTreeSet::new();
    for answer in &explanation.answers {
        let is_used = |part: &Part| {
            part.key.device == answer.device && part.peers.iter().any(|(addr, _)| *addr == answer.addr)
        };
        if explanation.parts.iter().any(is_used) {
            continue;
        }
        let ToldAnswer { device, name, addr, chain, ttl_secs, answered_at, .. } = answer;
        let when = answered_at.map_or_else(String::new, |at| format!(" at {}", look.local(at)));
        said.insert(format!(
            "The DNS told {} {addr} for {name}{when} (TTL {ttl_secs} s{}); no row here is of that.",
            name_of(*device, &input.devices),
            chain_words(chain)
        ));
    }
    let Subject::Name(wanted) = &explanation.subject else { return said.into_iter().collect() };
    for alias in &input.aliases {
        let device = name_of(alias.device, &input.devices);
        match wanted {
            NameMatch::Exact(name) if alias.name == *name => {
                said.insert(format!("The DNS told {device} that {name} is also {}.", alias.alias));
            }
            _ if is_under(&alias.alias, wanted) && !is_under(&alias.name, wanted) => {
                said.insert(format!(
                    "The DNS told {device} that {} is also {}: such traffic is listed under {}.",
                    alias.name, alias.alias, alias.name
                ));
            }
            _ => {}
        }
    }
    said.into_iter().collect()
}
