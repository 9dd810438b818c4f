//! The whole of Telltale's thinking: samples and drained counts in, batches out.
//!
//! It owns the books. A sample is decoded into a fact and learned at once; a drain turns counts into rows, each
//! named by what the books hold then, and balances the ledger. The road of a byte never depends on a sample: a
//! book that is full or wrong costs a name, not a count.

use crate::application::Application;
use crate::attribute::{self, Attribution, Beginning};
use crate::books::{
    AliasesBook, Conversation, ConversationsBook, DevicesBook, DnsStreamsBook, HellosBook, NamesBook,
    QuestionsBook, QuicBook, SaidBook, Verdict,
};
use crate::decode::{Stop, decode, dns_message};
use crate::drained::{Drained, DrainedFlow};
use crate::enrich::Networks;
use crate::fact::{Asker, Fact};
use crate::ledger::Ledger;
use crate::recognise;
use crate::row::{
    Answer, Batch, EpochId, Evidence, FlowRow, Interval, LateName, Marks, Memory, Network, OpenConversation,
    OpenedBy, RowKey, RowKind, Said, Told,
};
use crate::units::{BootTime, Mac, Volume};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use gateway_common::{FlowKey, FlowState, SampleHeader, protocol};
use ipnetwork::IpNetwork;
use std::collections::{BTreeMap, BTreeSet};

/// How many conversations of an interval that said nothing of themselves wait for a late name. Names come late only around a drain, for
/// conversations begun in the interval's last moments; some 2 MiB at worst.
pub const MAX_AWAITING: usize = 8192;

/// How long after the end of an interval a datagram still speaks for what was counted in it: a first QUIC packet that
/// was lost is sent again after 1 s, and after 3 s (RFC 9002 §6.2).
pub const LATE_DATAGRAM_SECS: u64 = 4;

const SECOND: u64 = 1_000_000_000;

/// What the pipeline has to know of the network it stands in.
#[derive(Clone, Debug, Default)]
pub struct PipelineConfig {
    /// Prefixes of the house: traffic with these peers stays in it.
    pub local: Vec<IpNetwork>,
    /// Prefixes whose traffic is kept out of the rows; its volume is in the ledger.
    pub excluded: Vec<IpNetwork>,
}

/// Books and what is left of the last interval.
#[derive(Clone, Debug, Default)]
pub struct Pipeline {
    config: PipelineConfig,
    questions: QuestionsBook,
    dns_streams: DnsStreamsBook,
    names: NamesBook,
    hellos: HellosBook,
    quic: QuicBook,
    said: SaidBook,
    conversations: ConversationsBook,
    devices: DevicesBook,
    aliases: AliasesBook,
    stops: BTreeMap<Stop, u64>,
    awaiting: Option<Awaiting>,
    not_awaited: u64,
    names_ambiguous: u64,
    /// What each conversation was attributed since the last [`Pipeline::take_attributed`]; `None` if nobody asks.
    attributed: Option<Vec<(FlowKey, Attribution)>>,
}

/// The conversations of one interval that have not said who they are for.
#[derive(Clone, Debug)]
struct Awaiting {
    epoch: EpochId,
    interval: Interval,
    flows: BTreeMap<FlowKey, Silent>,
}

/// One of them: all that naming it later needs.
#[derive(Clone, Debug)]
struct Silent {
    row: RowKey,
    volume: Volume,
    /// What the DNS had told of its peer, as it was known then.
    told: Told,
    /// `None` if that was settled in an interval before.
    beginning: Option<Beginning>,
    opened: u8,
    said_since: BootTime,
}

/// Rows being added up.
#[derive(Default)]
struct Rows {
    rows: BTreeMap<RowKey, FlowRow>,
    excluded: Volume,
    silent: BTreeMap<FlowKey, Silent>,
}

impl Pipeline {
    /// A pipeline that has learned nothing yet.
    #[must_use]
    pub fn new(config: PipelineConfig) -> Self {
        Self { config, ..Self::default() }
    }

    /// From now on [`Pipeline::take_attributed`] has what each conversation was attributed, one by one: for a replay,
    /// which lists them. Rows sum conversations up, and a daemon has no use for more.
    pub fn keep_attributed(&mut self) {
        self.attributed.get_or_insert_default();
    }

    /// What was attributed since the last call: a conversation with every host that it named, then once for each
    /// interval that it had packets in, and late names. Call it after every drain, for nothing else bounds it. Empty without
    /// [`Pipeline::keep_attributed`], and without the conversations that are not in any row.
    pub fn take_attributed(&mut self) -> Vec<(FlowKey, Attribution)> {
        self.attributed.as_mut().map(core::mem::take).unwrap_or_default()
    }

    /// From now on these peers stay in the house. The gateway's own addresses change while it runs.
    pub fn set_local(&mut self, local: Vec<IpNetwork>) {
        self.config.local = local;
    }

    /// Learns what one sample proves. A sample that arrives before the drain of its interval names that
    /// interval's row; one that arrives after names it late.
    pub fn handle_sample(&mut self, header: &SampleHeader, snapshot: &[u8]) {
        let decoded = decode(header, snapshot, &self.config.local);
        let learned = decoded.and_then(|fact| fact.map_or(Ok(()), |fact| self.learn(fact)));
        self.count_stop(learned);
    }

    fn count_stop(&mut self, learned: Result<(), Stop>) {
        if let Err(stop) = learned {
            let count = self.stops.entry(stop).or_default();
            *count = count.saturating_add(1);
        }
    }

    fn learn(&mut self, fact: Fact<'_>) -> Result<(), Stop> {
        match fact {
            Fact::NameAsked { flow, at, id, question } => self.questions.ask(flow, at, id, question),
            Fact::NameAnswered { flow, at, id, question, message } => {
                let verdict = self.questions.hear(flow, at, (id, &question), || message.answered());
                let Verdict::Believed(answered) = verdict else {
                    return Ok(()); // The book counts what is not believed.
                };
                let answered =
                    answered.ok_or_else(|| message.ended_early.map_or(Stop::Nameless, Stop::from))?;
                let asker = Asker::of(&flow);
                self.names.learn(asker, at, &answered);
                self.aliases.learn(asker.device, &answered);
            }
            Fact::DnsSegment(segment) => {
                for message in self.dns_streams.learn(&segment) {
                    let decoded = dns_message(segment.flow, segment.is_up, segment.at, &message);
                    let learned = decoded.and_then(|fact| fact.map_or(Ok(()), |fact| self.learn(fact)));
                    self.count_stop(learned);
                }
            }
            Fact::OpeningSegment { flow, at, seq, payload } => {
                let said = self.hellos.learn_segment(flow, at, seq, payload)?;
                return self.enter_said(flow, said);
            }
            Fact::QuicDatagram { flow, at, payload, segment_len } => {
                let segment_len = if segment_len == 0 { payload.len() } else { segment_len };
                let mut learned = Ok(());
                // Each teaches for itself: one that cannot be read takes nothing from those behind it.
                for datagram in payload.chunks(segment_len.max(1)) {
                    let said = self.quic.learn_datagram(flow, at, datagram);
                    learned = said.and_then(|said| self.enter_said(flow, said)).and(learned);
                }
                return learned;
            }
            Fact::Datagram { flow, at, payload } => {
                return self.enter_said(flow, recognise::datagram(payload, at));
            }
            Fact::DeviceSeen(fact) => self.devices.learn(&fact),
        }
        Ok(())
    }

    fn enter_said(&mut self, flow: FlowKey, said: Option<Said>) -> Result<(), Stop> {
        let Some(said) = said else { return Ok(()) };
        let is_nameless = said.name.is_none();
        // At once: ports may be used again, and connections for another host, before the interval ends.
        if let Some(attributed) = self.attributed.as_mut().filter(|_| !is_nameless) {
            attributed.push((flow, Attribution::by_itself(&said)));
        }
        self.said.enter(flow, said);
        if is_nameless { Err(Stop::Nameless) } else { Ok(()) }
    }

    /// What is worth remembering when the daemon stops: the conversations of the last interval. (Answers leave with
    /// every batch.)
    #[must_use]
    pub fn open_conversations(&self) -> Vec<OpenConversation> {
        let Some(last) = &self.awaiting else { return Vec::new() };
        self.conversations
            .alive(last.interval.ended_boot)
            .map(|(flow, conversation)| OpenConversation {
                flow: *flow,
                opened: conversation.opened,
                said: self.said.get(flow).cloned(),
                told: conversation.told.clone(),
                said_since: conversation.said_since,
                last_seen: conversation.last_seen,
            })
            .collect()
    }

    /// Remembers what a daemon before this one knew. Of the same boot: its times are this one's.
    pub fn restore(&mut self, memory: Memory) {
        let Memory { answers, conversations } = memory;
        self.names.restore(answers);
        for OpenConversation { flow, opened, said, told, said_since, last_seen } in conversations {
            self.conversations.remember(flow, Conversation { opened, told, said_since, last_seen });
            if let Some(said) = said {
                self.said.enter(flow, said);
            }
        }
    }

    /// Turns one interval's counts into its batch.
    pub fn handle_drain(&mut self, drained: Drained, networks: &dyn Networks) -> Batch {
        let Drained { epoch, interval, flows, stats } = drained;
        let late_names = self.name_late(&epoch, &interval, &flows);
        let mut rows = Rows::default();
        for flow in &flows {
            self.enter(flow, &interval, &mut rows);
        }
        let Rows { rows, excluded, silent } = rows;
        self.awaiting = Some(Awaiting { epoch: epoch.clone(), interval, flows: silent });
        let mut ledger = Ledger::of(&stats);
        ledger.add_volume("excluded", excluded);
        self.questions.give_up(interval.ended_boot);
        self.dns_streams.give_up(interval.ended_boot);
        self.hellos.give_up(interval.ended_boot);
        self.quic.give_up(interval.ended_boot);
        self.count_own_losses(&mut ledger);
        let rows: Vec<FlowRow> = rows.into_values().collect();
        Batch {
            epoch,
            interval,
            networks: networks_of(&rows, networks),
            rows,
            ledger: ledger.into_lines(),
            devices: self.devices.take_new(),
            aliases: self.aliases.take_new(),
            answers: self.answers_to_keep(),
            late_names,
        }
    }

    /// Adds one flow to its row, or to where it goes instead.
    fn enter(&mut self, flow: &DrainedFlow, interval: &Interval, rows: &mut Rows) {
        let volume = volume_of(flow);
        if flow.key.is_coarse() {
            return rows.add(coarse_row(&flow.key), volume, None);
        }
        let peer = flow.key.peer();
        if contains(&self.config.excluded, peer) {
            return rows.excluded.add(volume);
        }
        // A SYN in this interval, or a long silence before it, begins a new conversation, whatever went over these
        // ports before.
        let first_seen = attribute::first_seen(flow, interval);
        let before = self.conversations.get(&flow.key);
        let goes_on = before.filter(|c| !c.is_begun_anew(flow.opened) && c.goes_on(&flow.key, first_seen));
        let is_anew = goes_on.is_none() && (flow.opened != 0 || before.is_some());
        let known = goes_on.cloned();
        if is_anew {
            // Were this conversation forgotten, no old word must be there to be taken for its own.
            self.said.forget_before(&flow.key, interval.began_boot);
        }
        let beginning = known.is_none().then(|| Beginning::of(flow, interval));
        let opened = known.as_ref().map_or(0, |k| k.opened) | flow.opened;
        let said_since = match &known {
            _ if is_anew => interval.began_boot,
            known => known.as_ref().map_or(BootTime(0), |k| k.said_since),
        };
        let told = match (beginning, known) {
            (None, Some(known)) => known.told,
            (beginning, _) => {
                beginning.map(|b| attribute::told(&flow.key, opened, b, &self.names)).unwrap_or_default()
            }
        };
        let said = (said_since, interval.ended_boot);
        let attribution = attribute::attribute(&flow.key, said, &told, &self.said);
        if let Some(attributed) = &mut self.attributed {
            attributed.push((flow.key, attribution.clone()));
        }
        self.said.touch(&flow.key);
        let last_seen = interval.ended_boot;
        let conversation = Conversation { opened, told: told.clone(), said_since, last_seen };
        self.conversations.remember(flow.key, conversation);
        let answer_secs = attribution.answer_secs;
        let row = self.row_of(&flow.key, peer, opened, attribution);
        if row.evidence < Evidence::HttpHost {
            let is_undecided = beginning.is_some() && row.marks.has(Marks::UNDECIDED);
            self.names_ambiguous = self.names_ambiguous.saturating_add(u64::from(is_undecided));
            if rows.silent.len() < MAX_AWAITING {
                let silent = Silent { row: row.clone(), volume, told, beginning, opened, said_since };
                rows.silent.insert(flow.key, silent);
            } else {
                self.not_awaited = self.not_awaited.saturating_add(1);
            }
        }
        rows.add(row, volume, answer_secs);
    }

    fn row_of(&self, key: &FlowKey, peer: IpAddr, opened: u8, attribution: Attribution) -> RowKey {
        let is_peers = attribute::is_opened_by_peer(opened);
        let opened_by = if is_peers {
            OpenedBy::Peer
        } else if opened & FlowState::OPENED_BY_DEVICE != 0 {
            OpenedBy::Device
        } else {
            OpenedBy::Unknown
        };
        let kind = if contains(&self.config.local, peer) {
            RowKind::Local
        } else if key.is_later_fragment() {
            RowKind::LaterFragments
        } else {
            RowKind::Flow
        };
        let port = match key.protocol {
            protocol::TCP | protocol::UDP | protocol::SCTP | protocol::UDPLITE => {
                if is_peers {
                    key.device_port()
                } else {
                    key.peer_port()
                }
            }
            _ => 0,
        };
        let Attribution { name, evidence, marks, application, answer_secs: _ } = attribution;
        let device = Mac(key.device_mac());
        RowKey {
            device,
            peer,
            port,
            protocol: key.protocol,
            kind,
            opened_by,
            name,
            evidence,
            marks,
            application,
        }
    }

    /// Names for conversations that had said nothing of themselves in the last interval, from what was learned since.
    fn name_late(&mut self, epoch: &EpochId, interval: &Interval, flows: &[DrainedFlow]) -> Vec<LateName> {
        let Some(last) = self.awaiting.take() else { return Vec::new() };
        if last.epoch.boot_id != epoch.boot_id {
            return Vec::new(); // Moments of two boots cannot be compared.
        }
        let reopened: BTreeSet<FlowKey> = flows
            .iter()
            .filter(|f| f.opened != 0)
            .map(|f| f.key)
            .filter(|k| last.flows.contains_key(k))
            .collect();
        let mut late_names = Vec::new();
        for (flow, silent) in last.flows {
            let Silent { row, volume, told, beginning, opened, said_since } = silent;
            // What is said after another SYN is said in another conversation; and where no SYN tells, as in QUIC, what
            // is said well after the first packets.
            let until = if flow.protocol != protocol::TCP {
                BootTime(last.interval.ended_boot.0.saturating_add(LATE_DATAGRAM_SECS.saturating_mul(SECOND)))
            } else if reopened.contains(&flow) {
                last.interval.ended_boot
            } else {
                interval.ended_boot
            };
            // An answer may be read after the drain of the interval that it came in.
            let told = match beginning {
                Some(beginning) if told.name.is_none() => {
                    attribute::told(&flow, opened, beginning, &self.names)
                }
                _ => told,
            };
            let found = attribute::attribute(&flow, (said_since, until), &told, &self.said);
            if found.evidence <= row.evidence {
                continue;
            }
            if let Some(attributed) = &mut self.attributed {
                attributed.push((flow, found.clone()));
            }
            let Attribution { name: Some(name), evidence, marks, application, answer_secs } = found else {
                continue;
            };
            if evidence == Evidence::Dns {
                self.conversations.tell(&flow, &told);
            }
            let epoch = last.epoch.clone();
            late_names.push(LateName {
                epoch,
                from: row,
                name,
                evidence,
                marks,
                application,
                answer_secs,
                volume,
            });
        }
        late_names
    }

    /// What is kept of peers that are kept out of the rows would tell of them all the same.
    fn answers_to_keep(&mut self) -> Vec<Answer> {
        let mut answers = self.names.take_new();
        answers.retain(|answer| !contains(&self.config.excluded, answer.addr));
        answers
    }

    fn count_own_losses(&mut self, ledger: &mut Ledger) {
        for (stop, count) in core::mem::take(&mut self.stops) {
            ledger.count(stop.counter(), count);
        }
        let mut take = |counter, count: &mut u64| ledger.count(counter, core::mem::take(count));
        take("answers_unasked", &mut self.questions.unasked);
        take("answers_differing", &mut self.questions.differing);
        take("questions_evicted", &mut self.questions.evicted);
        take("dns_stream_gaps", &mut self.dns_streams.gaps);
        take("names_evicted", &mut self.names.evicted);
        take("names_ambiguous", &mut self.names_ambiguous);
        take("hellos_evicted", &mut self.said.evicted);
        take("hellos_unfinished", &mut self.hellos.unfinished);
        take("quic_unfinished", &mut self.quic.unfinished);
        take("hello_segments_dropped", &mut self.hellos.segments_dropped);
        take("hellos_contradictory", &mut self.hellos.contradictory);
        take("openings_unlike", &mut self.hellos.unlike);
        take("conversations_evicted", &mut self.conversations.evicted);
        take("devices_evicted", &mut self.devices.evicted);
        take("aliases_dropped", &mut self.aliases.dropped);
        take("late_names_not_awaited", &mut self.not_awaited);
    }
}

impl Rows {
    fn add(&mut self, key: RowKey, volume: Volume, answer_secs: Option<u32>) {
        let row = self.rows.entry(key).or_insert_with_key(|key| FlowRow {
            key: key.clone(),
            volume: Volume::default(),
            conversations: 0,
            oldest_answer_secs: None,
        });
        row.volume.add(volume);
        row.conversations = row.conversations.saturating_add(1);
        row.oldest_answer_secs = row.oldest_answer_secs.max(answer_secs);
    }
}

fn volume_of(flow: &DrainedFlow) -> Volume {
    let DrainedFlow { key: _, up_bytes, down_bytes, up_packets, down_packets, opened: _, first_boot_ms: _ } =
        *flow;
    Volume { up_bytes, down_bytes, up_packets, down_packets }
}

fn coarse_row(key: &FlowKey) -> RowKey {
    let peer =
        if key.is_ipv6() { IpAddr::V6(Ipv6Addr::UNSPECIFIED) } else { IpAddr::V4(Ipv4Addr::UNSPECIFIED) };
    RowKey {
        device: Mac(key.device_mac()),
        peer,
        port: 0,
        protocol: key.protocol,
        kind: RowKind::Coarse,
        opened_by: OpenedBy::Unknown,
        name: None,
        evidence: Evidence::None,
        marks: Marks::NONE,
        application: Application::Unknown,
    }
}

fn contains(prefixes: &[IpNetwork], addr: IpAddr) -> bool {
    prefixes.iter().any(|prefix| prefix.contains(addr))
}

/// One look-up for each peer that is out in the world.
fn networks_of(rows: &[FlowRow], networks: &dyn Networks) -> Vec<(IpAddr, Network)> {
    let is_outside = |kind| matches!(kind, RowKind::Flow | RowKind::LaterFragments);
    let peers: BTreeSet<IpAddr> =
        rows.iter().filter(|r| is_outside(r.key.kind)).map(|r| r.key.peer).collect();
    peers.into_iter().filter_map(|peer| Some((peer, networks.network_of(peer)?))).collect()
}

#[cfg(test)]
mod tests;
