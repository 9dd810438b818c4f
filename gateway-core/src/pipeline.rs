//! The whole of Telltale's thinking: samples and drained counts in, batches out.
//!
//! It owns the books. A sample is decoded into a fact and learned at once; a drain turns counts into rows, each
//! named by what the books hold then, and balances the ledger. The road of a byte never depends on a sample: a
//! book that is full or wrong costs a name, not a count.

use crate::attribute::{self, Attribution, Beginning};
use crate::books::{AliasesBook, Asked, Conversation, ConversationsBook, DevicesBook, HellosBook, NamesBook};
use crate::decode::{Stop, decode};
use crate::drained::{Drained, DrainedFlow};
use crate::enrich::Networks;
use crate::fact::Fact;
use crate::ledger::Ledger;
use crate::row::{Batch, EpochId, Evidence, FlowRow, Interval, LateName, Network, OpenedBy, RowKey, RowKind};
use crate::units::{BootTime, Mac, Volume};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use gateway_common::{FlowKey, FlowState, SampleHeader, protocol};
use ipnetwork::IpNetwork;
use std::collections::{BTreeMap, BTreeSet};

/// How many unnamed conversations of an interval wait for a late name. Names come late only around a drain, for
/// conversations begun in the interval's last moments; some 2 MiB at worst.
pub const MAX_AWAITING: usize = 8192;

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
    names: NamesBook,
    hellos: HellosBook,
    conversations: ConversationsBook,
    devices: DevicesBook,
    aliases: AliasesBook,
    stops: BTreeMap<Stop, u64>,
    awaiting: Option<Awaiting>,
    not_awaited: u64,
    names_ambiguous: u64,
}

/// The unnamed conversations of one interval.
#[derive(Clone, Debug)]
struct Awaiting {
    epoch: EpochId,
    interval: Interval,
    flows: BTreeMap<FlowKey, Unnamed>,
}

/// One of them: all that naming it later needs.
#[derive(Clone, Debug)]
struct Unnamed {
    row: RowKey,
    volume: Volume,
    /// `None` if its name by DNS was settled in an interval before.
    beginning: Option<Beginning>,
    opened: u8,
    said_since: BootTime,
}

/// Rows being added up.
#[derive(Default)]
struct Rows {
    rows: BTreeMap<RowKey, FlowRow>,
    excluded: Volume,
    unnamed: BTreeMap<FlowKey, Unnamed>,
}

impl Pipeline {
    /// A pipeline that has learned nothing yet.
    #[must_use]
    pub fn new(config: PipelineConfig) -> Self {
        Self { config, ..Self::default() }
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
        if let Err(stop) = learned {
            let count = self.stops.entry(stop).or_default();
            *count = count.saturating_add(1);
        }
    }

    fn learn(&mut self, fact: Fact<'_>) -> Result<(), Stop> {
        match fact {
            Fact::NameAnswered { asker, at, answered } => {
                self.names.learn(asker, at, &answered);
                self.aliases.learn(asker.device, &answered);
            }
            Fact::OpeningSegment { flow, at, seq, payload } => {
                return self.hellos.learn_segment(flow, at, seq, payload);
            }
            Fact::DeviceSeen(fact) => self.devices.learn(&fact),
        }
        Ok(())
    }

    /// Turns one interval's counts into its batch.
    pub fn handle_drain(&mut self, drained: Drained, networks: &dyn Networks) -> Batch {
        let Drained { epoch, interval, flows, stats } = drained;
        let late_names = self.name_late(&epoch, &interval, &flows);
        let mut rows = Rows::default();
        for flow in &flows {
            self.enter(flow, &interval, &mut rows);
        }
        let Rows { rows, excluded, unnamed } = rows;
        self.awaiting = Some(Awaiting { epoch: epoch.clone(), interval, flows: unnamed });
        let mut ledger = Ledger::of(&stats);
        ledger.add_volume("excluded", excluded);
        self.hellos.give_up(interval.ended_boot);
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
            late_names,
        }
    }

    /// Adds one flow to its row, or to where it goes instead.
    fn enter(&mut self, flow: &DrainedFlow, interval: &Interval, rows: &mut Rows) {
        let volume = volume_of(flow);
        if flow.key.is_coarse() {
            return rows.add(coarse_row(&flow.key), volume);
        }
        let peer = flow.key.peer();
        if contains(&self.config.excluded, peer) {
            return rows.excluded.add(volume);
        }
        // A SYN in this interval, or a long silence before it, begins a new conversation, whatever went over these
        // ports before.
        let first_seen = attribute::first_seen(flow, interval);
        let before = self.conversations.get(&flow.key);
        let goes_on = before.filter(|c| flow.opened == 0 && c.goes_on(&flow.key, first_seen));
        let is_anew = flow.opened != 0 || (before.is_some() && goes_on.is_none());
        let known = goes_on.cloned();
        let beginning = known.is_none().then(|| Beginning::of(flow, interval));
        let opened = known.as_ref().map_or(0, |k| k.opened) | flow.opened;
        let said_since = match &known {
            _ if is_anew => interval.began_boot,
            known => known.as_ref().map_or(BootTime(0), |k| k.said_since),
        };
        let asked = beginning.map(|b| attribute::dns_name(&flow.key, opened, b, &self.names));
        let has_rivals = asked == Some(Asked::Rivals);
        let dns_name = match asked {
            Some(asked) => asked.name().cloned(),
            None => known.and_then(|k| k.dns_name),
        };
        let said = (said_since, interval.ended_boot);
        let attribution = attribute::attribute(&flow.key, said, dns_name.as_ref(), &self.hellos);
        self.hellos.touch(&flow.key);
        let last_seen = interval.ended_boot;
        self.conversations.remember(flow.key, Conversation { opened, dns_name, said_since, last_seen });
        let row = self.row_of(&flow.key, peer, opened, attribution);
        if row.name.is_none() {
            self.names_ambiguous = self.names_ambiguous.saturating_add(u64::from(has_rivals));
            if rows.unnamed.len() < MAX_AWAITING {
                let unnamed = Unnamed { row: row.clone(), volume, beginning, opened, said_since };
                rows.unnamed.insert(flow.key, unnamed);
            } else {
                self.not_awaited = self.not_awaited.saturating_add(1);
            }
        }
        rows.add(row, volume);
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
        let Attribution { name, evidence } = attribution;
        let device = Mac(key.device_mac());
        RowKey { device, peer, port, protocol: key.protocol, kind, opened_by, name, evidence }
    }

    /// Names for conversations that the last interval left unnamed, from what was learned since.
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
        for (flow, unnamed) in last.flows {
            let Unnamed { row, volume, beginning, opened, said_since } = unnamed;
            // What is said after another SYN is said in another conversation.
            let until = if reopened.contains(&flow) { last.interval.ended_boot } else { interval.ended_boot };
            let dns_name = beginning.and_then(|b| attribute::dns_name(&flow, opened, b, &self.names).name());
            let Attribution { name: Some(name), evidence } =
                attribute::attribute(&flow, (said_since, until), dns_name, &self.hellos)
            else {
                continue;
            };
            if evidence == Evidence::Dns {
                self.conversations.name(&flow, &name);
            }
            late_names.push(LateName { epoch: last.epoch.clone(), from: row, name, evidence, volume });
        }
        late_names
    }

    fn count_own_losses(&mut self, ledger: &mut Ledger) {
        for (stop, count) in core::mem::take(&mut self.stops) {
            ledger.count(stop.counter(), count);
        }
        let mut take = |counter, count: &mut u64| ledger.count(counter, core::mem::take(count));
        take("names_evicted", &mut self.names.evicted);
        take("names_ambiguous", &mut self.names_ambiguous);
        take("hellos_evicted", &mut self.hellos.evicted);
        take("hellos_unfinished", &mut self.hellos.unfinished);
        take("hello_segments_dropped", &mut self.hellos.segments_dropped);
        take("conversations_evicted", &mut self.conversations.evicted);
        take("devices_evicted", &mut self.devices.evicted);
        take("aliases_dropped", &mut self.aliases.dropped);
        take("late_names_not_awaited", &mut self.not_awaited);
    }
}

impl Rows {
    fn add(&mut self, key: RowKey, volume: Volume) {
        let row = self.rows.entry(key).or_insert_with_key(|key| FlowRow {
            key: key.clone(),
            volume: Volume::default(),
            conversations: 0,
        });
        row.volume.add(volume);
        row.conversations = row.conversations.saturating_add(1);
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
