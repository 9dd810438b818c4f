//! The whole of Telltale's thinking: samples and drained counts in, batches out.
//!
//! It owns the books. A sample is decoded into a fact and learned at once; a drain turns counts into rows, each
//! named by what the books hold then, and balances the ledger. The road of a byte never depends on a sample: a
//! book that is full or wrong costs a name, not a count.

mod late;
mod learn;
mod rows;

pub use late::{LATE_DATAGRAM_SECS, MAX_AWAITING};

use crate::attribute::Attribution;
use crate::books::{
    AliasesBook, Conversation, ConversationsBook, DevicesBook, DnsStreamsBook, HellosBook, NamesBook,
    QuestionsBook, QuicBook, SaidBook,
};
use crate::decode::{Stop, decode};
use crate::drained::{Drained, DrainedFlow};
use crate::enrich::Networks;
use crate::fact::Asker;
use crate::ledger::Ledger;
use crate::privacy::Privacy;
use crate::row::{Answer, Batch, FlowRow, Memory, Network, OpenConversation, RowKind};
use crate::units::{BootTime, Mac};
use core::net::IpAddr;
use gateway_common::{FlowKey, SampleHeader};
use ipnetwork::IpNetwork;
use late::Awaiting;
use rows::{Rows, contains};
use std::collections::{BTreeMap, BTreeSet};

const SECOND: u64 = 1_000_000_000;

/// What the pipeline has to know of the network it stands in.
#[derive(Clone, Debug, Default)]
pub struct PipelineConfig {
    /// Prefixes of the house: traffic with these peers stays in it.
    pub local: Vec<IpNetwork>,
    /// Prefixes whose traffic is kept out of the rows; its volume is in the ledger.
    pub excluded: Vec<IpNetwork>,
    /// What is kept of whom devices talk with.
    pub privacy: Privacy,
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

    /// From now on devices have these levels: labels change while it runs.
    pub fn set_privacy(&mut self, privacy: Privacy) {
        self.config.privacy = privacy;
    }

    /// What is kept of whom devices talk with.
    #[must_use]
    pub fn privacy(&self) -> &Privacy {
        &self.config.privacy
    }

    /// Learns what one sample proves. A sample that arrives before the drain of its interval names that
    /// interval's row; one that arrives after names it late.
    pub fn handle_sample(&mut self, header: &SampleHeader, snapshot: &[u8]) {
        let decoded = decode(header, snapshot, &self.config.local);
        let learned = decoded.and_then(|fact| fact.map_or(Ok(()), |fact| self.learn(fact)));
        self.count_stop(learned);
    }

    /// What is worth remembering when the daemon stops: the conversations of the last interval. (Answers leave with
    /// every batch.)
    #[must_use]
    pub fn open_conversations(&self) -> Vec<OpenConversation> {
        let Some(last) = &self.awaiting else { return Vec::new() };
        self.conversations
            .alive(last.interval.ended_boot)
            .filter(|(flow, _)| self.config.privacy.keeps_all_of(Mac(flow.device_mac())))
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
            self.names.see(Asker::of(&flow), last_seen);
            self.conversations.remember(flow, Conversation { opened, told, said_since, last_seen });
            if let Some(said) = said {
                self.said.enter(flow, said);
            }
        }
    }

    /// Turns one interval's counts into its batch.
    pub fn handle_drain(&mut self, drained: Drained, networks: &dyn Networks) -> Batch {
        let Drained { epoch, interval, flows, stats } = drained;
        self.see_devices(&flows, interval.ended_boot);
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
        let mut batch = Batch {
            epoch,
            interval,
            networks: networks_of(&rows, networks),
            rows,
            ledger: ledger.into_lines(),
            devices: self.devices.take_new(),
            aliases: self.aliases.take_new(),
            answers: self.answers_to_keep(),
            late_names,
        };
        self.config.privacy.apply(&mut batch);
        batch
    }

    /// All of them before any conversation is named: two devices behind one MAC address are not to share names.
    fn see_devices(&mut self, flows: &[DrainedFlow], at: BootTime) {
        let devices: BTreeSet<Asker> = flows.iter().map(|flow| Asker::of(&flow.key)).collect();
        for device in devices {
            self.names.see(device, at);
        }
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

/// One look-up for each peer that is out in the world.
fn networks_of(rows: &[FlowRow], networks: &dyn Networks) -> Vec<(IpAddr, Network)> {
    let is_outside = |kind| matches!(kind, RowKind::Flow | RowKind::LaterFragments);
    let peers: BTreeSet<IpAddr> =
        rows.iter().filter(|r| is_outside(r.key.kind)).map(|r| r.key.peer).collect();
    peers.into_iter().filter_map(|peer| Some((peer, networks.network_of(peer)?))).collect()
}

#[cfg(test)]
mod tests;
