//! Why a flow has its name, and what else it could have been: rows and what the DNS told, put into sentences.
//!
//! A part is what one device exchanged under one name for one reason. Every sentence says what was seen or what
//! follows from it; a guess says that it is one, and is only made where something speaks for it.

mod json;
mod sentences;
mod subject;
mod ways;

pub use json::json;
pub use subject::{NotASubject, Subject, host_of_url};

use super::amount::several;
use super::sureness::shown_marks;
use super::table::{Style, cells_of, clean, wrapped};
use super::text::{Look, line};
use crate::application::Application;
use crate::query::{Counted, DeviceInfo, FlowSum, NameMatch, TimeRange, ToldAnswer};
use crate::row::{Alias, Evidence, Marks, Network, OpenedBy, RowKind};
use crate::units::{DomainName, Mac, Volume};
use core::cmp::Reverse;
use core::net::IpAddr;
use std::collections::BTreeMap;

/// An answer is believed for a day (nanoseconds) at most, so that one from before counting began explains no more than
/// that.
pub const EARLIER_ANSWER_EXPLAINS_NS: u64 = 86_400_000_000_000;

/// All that an explanation is made from, as the store answers it.
#[derive(Clone, Debug)]
pub struct Input {
    /// What is asked.
    pub subject: Subject,
    /// The range asked for.
    pub range: TimeRange,
    /// All devices.
    pub devices: Vec<DeviceInfo>,
    /// The rows that the subject picks.
    pub flows: Vec<FlowSum>,
    /// The rows of the range that are encrypted DNS or a VPN.
    pub hiding: Vec<FlowSum>,
    /// What the DNS told of the names and addresses that matter, and of others, by device and name.
    pub answers: Vec<ToldAnswer>,
    /// CNAMEs.
    pub aliases: Vec<Alias>,
    /// The intervals that touch the range or the [`EARLIER_ANSWER_EXPLAINS_NS`] before it, by their start.
    pub counted: Vec<Counted>,
    /// How many questions and answers of the DNS were lost or not believed in the range.
    pub lost_answers: u64,
}

/// The answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Explanation {
    /// What was asked.
    pub subject: Subject,
    /// In which range.
    pub range: TimeRange,
    /// What devices exchanged, most bytes first.
    pub parts: Vec<Part>,
    /// What else is known of the subject.
    pub remarks: Vec<String>,
    /// What the DNS told of the subject and may have vouched in the range, by device and name.
    pub answers: Vec<ToldAnswer>,
}

/// What one device exchanged under one name, for one reason.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part {
    /// What tells it apart.
    pub key: PartKey,
    /// What to call the device.
    pub device_name: String,
    /// The peers and whose they are, most bytes first.
    pub peers: Vec<(IpAddr, Network)>,
    /// How much.
    pub volume: Volume,
    /// How many conversations, counted once per interval that they were alive in.
    pub conversations: u64,
    /// From the start of the first interval with such a row to the end of the last.
    pub seen: TimeRange,
    /// Seconds from the oldest DNS answer behind the name to the beginning of its conversation.
    pub oldest_answer_secs: Option<u32>,
    /// All of it in words: what was exchanged first, then why it has its name.
    pub sentences: Vec<String>,
}

/// What tells one part from another: a row's key without the peer.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct PartKey {
    /// The device.
    pub device: Mac,
    /// The name, if one is known.
    pub name: Option<DomainName>,
    /// Why it has that name.
    pub evidence: Evidence,
    /// What must be said with it: the marks of the rows that are worth showing.
    pub marks: Marks,
    /// The protocol that was recognised.
    pub application: Application,
    /// The service's port; 0 = none.
    pub port: u16,
    /// IP protocol number.
    pub protocol: u8,
    /// Who opened.
    pub opened_by: OpenedBy,
    /// Kind of row.
    pub kind: RowKind,
}

impl Explanation {
    /// Is there nothing to say?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty() && self.remarks.is_empty()
    }
}

/// Explains.
#[must_use]
pub fn explain(input: &Input, look: &Look<'_>) -> Explanation {
    let mut parts = parts(input);
    for part in &mut parts {
        part.sentences = sentences::of(part, input, look);
    }
    let is_wanted =
        |answer: &&ToldAnswer| is_about(answer, &input.subject) && answer.may_vouch_in(input.range);
    let answers = input.answers.iter().filter(is_wanted).cloned().collect();
    let mut explanation = Explanation {
        subject: input.subject.clone(),
        range: input.range,
        parts,
        remarks: Vec::new(),
        answers,
    };
    explanation.remarks = sentences::remarks(&explanation, input, look);
    explanation
}

fn is_about(answer: &ToldAnswer, subject: &Subject) -> bool {
    match subject {
        Subject::Name(NameMatch::Exact(name)) => answer.name == *name,
        Subject::Name(under @ NameMatch::Under(_)) => is_under(&answer.name, under),
        Subject::Flow { addr, .. } | Subject::Address { addr, .. } => answer.addr == *addr,
    }
}

fn is_under(name: &DomainName, wanted: &NameMatch) -> bool {
    match wanted {
        NameMatch::Exact(exact) => name == exact,
        NameMatch::Under(above) => {
            let below = name.as_str().strip_suffix(above.as_str());
            below.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        }
    }
}

fn parts(input: &Input) -> Vec<Part> {
    let mut parts = BTreeMap::<PartKey, (Part, BTreeMap<IpAddr, (Network, u64)>)>::new();
    for flow in &input.flows {
        let key = PartKey {
            device: flow.key.device,
            name: flow.key.name.clone(),
            evidence: flow.key.evidence,
            marks: shown_marks(&flow.key),
            application: flow.key.application,
            port: flow.key.port,
            protocol: flow.key.protocol,
            opened_by: flow.key.opened_by,
            kind: flow.key.kind,
        };
        let (part, peers) =
            parts.entry(key).or_insert_with_key(|key| (empty(key, flow, input), BTreeMap::new()));
        part.volume.add(flow.volume);
        part.conversations = part.conversations.saturating_add(flow.conversations);
        part.seen.since = part.seen.since.min(flow.first_at);
        part.seen.until = part.seen.until.max(flow.last_at);
        part.oldest_answer_secs = part.oldest_answer_secs.max(flow.oldest_answer_secs);
        let (_, bytes) = peers.entry(flow.key.peer).or_insert_with(|| (flow.network.clone(), 0));
        *bytes = bytes.saturating_add(flow.volume.bytes());
    }
    let mut parts: Vec<_> = parts
        .into_values()
        .map(|(mut part, peers)| {
            let mut peers: Vec<_> = peers.into_iter().collect();
            peers.sort_by_key(|(_, (_, bytes))| Reverse(*bytes));
            part.peers = peers.into_iter().map(|(addr, (network, _))| (addr, network)).collect();
            part
        })
        .collect();
    parts.sort_by_key(|part| Reverse(part.volume.bytes()));
    parts
}

fn empty(key: &PartKey, flow: &FlowSum, input: &Input) -> Part {
    Part {
        key: key.clone(),
        device_name: name_of(key.device, &input.devices),
        peers: Vec::new(),
        volume: Volume::default(),
        conversations: 0,
        seen: TimeRange { since: flow.first_at, until: flow.last_at },
        oldest_answer_secs: None,
        sentences: Vec::new(),
    }
}

fn name_of(device: Mac, devices: &[DeviceInfo]) -> String {
    let known = devices.iter().find(|known| known.mac == device);
    known.map_or_else(|| DeviceInfo::unknown(device).display_name(), DeviceInfo::display_name)
}

/// Puts an explanation in writing, at most so many parts.
#[must_use]
pub fn text(explanation: &Explanation, max_parts: usize, look: &Look<'_>) -> String {
    let Explanation { subject, range, parts, remarks, answers: _ } = explanation;
    let mut out = String::new();
    paragraph(&mut out, ("", ""), Style::Dim, &format!("{subject}, {}", look.span(*range)), look);
    for part in parts.iter().take(max_parts) {
        let mut sentences = part.sentences.iter();
        if let Some(first) = sentences.next() {
            line(&mut out, "");
            paragraph(&mut out, ("", ""), Style::Bold, first, look);
        }
        sentences.for_each(|sentence| paragraph(&mut out, ("  ", "    "), Style::Plain, sentence, look));
    }
    let more = parts.len().saturating_sub(max_parts);
    if more > 0 {
        line(&mut out, &format!("\nand {} (--limit 0 shows all)", several(more, "smaller part")));
    }
    if !remarks.is_empty() {
        line(&mut out, "");
    }
    remarks.iter().for_each(|remark| paragraph(&mut out, ("", "  "), Style::Plain, remark, look));
    out
}

/// A text in as many lines as the screen's width makes of it, the first and the others with margins of their own; in
/// one where nothing needs cutting.
fn paragraph(out: &mut String, (first, others): (&str, &str), style: Style, text: &str, look: &Look<'_>) {
    let width = look.width.map(|width| width.saturating_sub(cells_of(others)));
    let mut margin = first;
    for part in wrapped(&clean(text), width) {
        line(out, &format!("{margin}{}", look.paint.styled(&part, style)));
        margin = others;
    }
}

#[cfg(test)]
mod tests;
