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
mod tests {
    use super::*;
    use crate::decode::tests::{PHONE, key, sample};
    use crate::enrich::NoNetworks;
    use crate::units::WallTime;
    use crate::wire::dns::samples::ANSWER;
    use crate::wire::tls::samples::{openssl, post_quantum};
    use crate::wire::unhex;
    use core::cell::RefCell;
    use gateway_common::{Direction, FlowFlags, KernelStat, MacAddr, SampleKind, StatBlock};

    const SECOND: u64 = 1_000_000_000;
    const LAPTOP: MacAddr = [0x3c, 0x22, 0xfb, 1, 2, 3];
    const SERVER: [u8; 4] = [47, 241, 10, 5];

    fn https(device_port: u16) -> FlowKey {
        key(PHONE, SERVER, device_port, 443, protocol::TCP)
    }

    fn flow(key: FlowKey, opened: u8, first_secs: u64) -> DrainedFlow {
        DrainedFlow {
            key,
            up_bytes: 100,
            down_bytes: 1000,
            up_packets: 2,
            down_packets: 3,
            opened,
            first_boot_ms: u32::try_from(first_secs * 1000).ok(),
        }
    }

    /// Interval number `epoch` lasts 60 seconds from `epoch * 60` on.
    fn drained(epoch: u64, flows: Vec<DrainedFlow>) -> Drained {
        let mut stats = StatBlock::default();
        for flow in &flows {
            let volume = volume_of(flow);
            stats.add(KernelStat::SeenPackets, volume.packets());
            stats.add(KernelStat::SeenBytes, volume.bytes());
        }
        let interval = Interval {
            began_boot: BootTime(epoch * 60 * SECOND),
            ended_boot: BootTime((epoch + 1) * 60 * SECOND),
            began_at: WallTime(0),
            ended_at: WallTime(1),
            is_clock_set: true,
        };
        let epoch = EpochId { boot_id: "test".to_owned(), table_id: 1, epoch };
        Drained { epoch, interval, flows, stats }
    }

    #[track_caller]
    fn drain(pipeline: &mut Pipeline, epoch: u64, flows: Vec<DrainedFlow>) -> Batch {
        let batch = pipeline.handle_drain(drained(epoch, flows), &NoNetworks);
        assert_eq!(batch.check_conservation(), Ok(()));
        batch
    }

    fn names(batch: &Batch) -> Vec<(Option<&str>, Evidence)> {
        batch.rows.iter().map(|r| (r.key.name.as_ref().map(|n| n.as_str()), r.key.evidence)).collect()
    }

    fn say_hello(pipeline: &mut Pipeline, flow: FlowKey, secs: u64, stream: &[u8]) {
        let (header, bytes) = sample(SampleKind::TLS, Direction::Up, flow, secs * SECOND, 1, stream);
        pipeline.handle_sample(&header, &bytes);
    }

    /// The answer of [`ANSWER`], with its first letter replaced to make other names of it.
    fn answer(pipeline: &mut Pipeline, device: MacAddr, secs: u64, first_letter: u8) {
        let resolver = key(device, [192, 168, 1, 1], 41_000, 53, protocol::UDP);
        let mut message = unhex(ANSWER);
        message[13] = first_letter;
        let (header, bytes) = sample(SampleKind::DNS, Direction::Down, resolver, secs * SECOND, 0, &message);
        pipeline.handle_sample(&header, &bytes);
    }

    const MISTAT: &str = "data.mistat.xiaomi.com";
    const INTL: &str = "data.mistat.intl.xiaomi.com";

    #[test]
    fn sni_beats_dns_and_a_conversation_keeps_its_name() {
        let mut pipeline = Pipeline::default();
        answer(&mut pipeline, PHONE, 61, b'd');
        say_hello(&mut pipeline, https(5000), 63, &openssl());
        let opened = FlowState::OPENED_BY_DEVICE;
        let batch =
            drain(&mut pipeline, 1, vec![flow(https(5000), opened, 62), flow(https(5001), opened, 62)]);
        assert_eq!(names(&batch), [(Some(INTL), Evidence::TlsSni), (Some(MISTAT), Evidence::Dns)]);
        assert_eq!(batch.aliases.len(), 1);
        assert_eq!(batch.aliases[0].alias.as_str(), "data.gslb.xiaomi.com");
        assert_eq!(batch.aliases[0].device, Mac(PHONE));
        // An hour later both still go on; the answer has gone stale, another was given since.
        answer(&mut pipeline, PHONE, 3700, b'x');
        for epoch in [2, 61, 62] {
            let later = vec![flow(https(5000), 0, epoch * 60), flow(https(5001), 0, epoch * 60)];
            let batch = drain(&mut pipeline, epoch, later);
            assert_eq!(names(&batch), [(Some(INTL), Evidence::TlsSni), (Some(MISTAT), Evidence::Dns)]);
            assert_eq!(batch.rows[0].key.opened_by, OpenedBy::Device, "who opened is remembered");
        }
    }

    #[test]
    fn the_same_ports_again_lose_the_old_name() {
        let mut pipeline = Pipeline::default();
        say_hello(&mut pipeline, https(5000), 63, &openssl());
        drain(&mut pipeline, 1, vec![flow(https(5000), 1, 62)]);
        for (epoch, opened) in [(2, 1), (3, 0)] {
            let batch = drain(&mut pipeline, epoch, vec![flow(https(5000), opened, epoch * 60 + 5)]);
            assert_eq!(names(&batch), [(None, Evidence::None)]);
        }
    }

    #[test]
    fn the_same_ports_again_ask_the_dns_anew() {
        let mut pipeline = Pipeline::default();
        answer(&mut pipeline, PHONE, 61, b'd');
        let batch = drain(&mut pipeline, 1, vec![flow(https(5000), 1, 62)]);
        assert_eq!(names(&batch), [(Some(MISTAT), Evidence::Dns)]);
        answer(&mut pipeline, PHONE, 601, b'x');
        let batch = drain(&mut pipeline, 10, vec![flow(https(5000), 1, 602)]);
        assert_eq!(names(&batch), [(Some("xata.mistat.xiaomi.com"), Evidence::Dns)]);
        let batch = drain(&mut pipeline, 20, vec![flow(https(5000), 1, 1202)]);
        assert_eq!(names(&batch), [(None, Evidence::None)]);
    }

    #[test]
    fn a_long_silence_ends_a_conversation() {
        // The drain of interval 1 is at 120 s; UDP may be silent for 180 s from then, TCP for 7440 s.
        let udp = key(PHONE, SERVER, 5000, 443, protocol::UDP);
        for (key, lasts_until) in [(udp, 300), (https(5000), 7560)] {
            for (at, name) in [(lasts_until - 1, Some(MISTAT)), (lasts_until + 1, None)] {
                let mut pipeline = Pipeline::default();
                answer(&mut pipeline, PHONE, 61, b'd');
                let opened = u8::from(key.protocol == protocol::TCP);
                let batch = drain(&mut pipeline, 1, vec![flow(key, opened, 62)]);
                assert_eq!(names(&batch), [(Some(MISTAT), Evidence::Dns)]);
                let batch = drain(&mut pipeline, at / 60, vec![flow(key, 0, at)]);
                assert_eq!(names(&batch).first().map(|(name, _)| *name), Some(name), "{at}");
            }
        }
    }

    #[test]
    fn what_was_said_before_a_long_silence_is_forgotten() {
        let mut pipeline = Pipeline::default();
        say_hello(&mut pipeline, https(5000), 63, &openssl());
        let batch = drain(&mut pipeline, 1, vec![flow(https(5000), 1, 62)]);
        assert_eq!(names(&batch), [(Some(INTL), Evidence::TlsSni)]);
        for epoch in [200, 201] {
            let batch = drain(&mut pipeline, epoch, vec![flow(https(5000), 0, epoch * 60 + 30)]);
            assert_eq!(names(&batch), [(None, Evidence::None)]);
        }
    }

    #[test]
    fn an_answer_goes_stale() {
        let mut pipeline = Pipeline::default();
        answer(&mut pipeline, PHONE, 60, b'd'); // TTL 120, and the clients' stretch of 60.
        let batch = drain(&mut pipeline, 3, vec![flow(https(5000), 1, 239)]);
        assert_eq!(names(&batch), [(Some(MISTAT), Evidence::Dns)]);
        let batch = drain(&mut pipeline, 4, vec![flow(https(5001), 1, 241)]);
        assert_eq!(names(&batch), [(None, Evidence::None)]);
    }

    #[test]
    fn two_names_for_one_address_name_neither_conversation() {
        let mut pipeline = Pipeline::default();
        answer(&mut pipeline, PHONE, 61, b'a');
        answer(&mut pipeline, PHONE, 62, b'b');
        say_hello(&mut pipeline, https(5002), 66, &openssl());
        let flows = (5000..5003).map(|port| flow(https(port), 1, 65)).collect();
        let batch = drain(&mut pipeline, 1, flows);
        assert_eq!(names(&batch), [(None, Evidence::None), (Some(INTL), Evidence::TlsSni)]);
        assert_eq!((batch.rows[0].conversations, batch.ledger_of("names_ambiguous")), (2, (2, 0)));
        let flows = (5000..5002).map(|port| flow(https(port), 0, 125)).collect();
        let batch = drain(&mut pipeline, 2, flows);
        assert_eq!((names(&batch), batch.late_names.len()), (vec![(None, Evidence::None)], 0));
        assert_eq!(batch.ledger_of("names_ambiguous"), (0, 0), "each is told of once");
    }

    #[test]
    fn two_devices_with_different_answers_for_one_address() {
        let mut pipeline = Pipeline::default();
        answer(&mut pipeline, PHONE, 61, b'p');
        answer(&mut pipeline, LAPTOP, 62, b'l');
        let of = |mac, port| flow(key(mac, SERVER, port, 443, protocol::TCP), 1, 65);
        let stranger = [0x7c, 0xff, 0, 0, 0, 1];
        let batch = drain(&mut pipeline, 1, vec![of(PHONE, 1), of(LAPTOP, 2), of(stranger, 3)]);
        let found: Vec<_> = names(&batch).into_iter().map(|(name, _)| name).collect();
        assert_eq!(found, [Some("lata.mistat.xiaomi.com"), Some("pata.mistat.xiaomi.com"), None]);
    }

    #[test]
    fn two_devices_behind_one_mac_address_do_not_share_answers() {
        let mut pipeline = Pipeline::default();
        answer(&mut pipeline, PHONE, 61, b'd');
        let other = |key| FlowKey { device_addr_low: u32::from_ne_bytes([192, 168, 1, 24]), ..key };
        let batch = drain(&mut pipeline, 1, vec![flow(https(5000), 1, 62), flow(other(https(5001)), 1, 62)]);
        assert_eq!(names(&batch), [(None, Evidence::None), (Some(MISTAT), Evidence::Dns)]);
        assert!(batch.rows.iter().all(|row| row.conversations == 1));
    }

    #[test]
    fn a_hello_after_the_drain_names_the_earlier_row() {
        let mut pipeline = Pipeline::default();
        let batch = drain(&mut pipeline, 1, vec![flow(https(5000), 1, 119), flow(https(5001), 1, 119)]);
        assert_eq!(names(&batch), [(None, Evidence::None)]);
        assert_eq!(batch.rows[0].conversations, 2);
        let unnamed = batch.rows[0].key.clone();
        say_hello(&mut pipeline, https(5000), 121, &post_quantum("late.example"));
        let batch = drain(&mut pipeline, 2, vec![flow(https(5000), 0, 121)]);
        assert_eq!(names(&batch), [(Some("late.example"), Evidence::TlsSni)]);
        let [late] = batch.late_names.as_slice() else { panic!("{:?}", batch.late_names) };
        assert_eq!((late.epoch.epoch, &late.from, late.name.as_str()), (1, &unnamed, "late.example"));
        assert_eq!((late.evidence, late.volume.bytes(), late.volume.packets()), (Evidence::TlsSni, 1100, 5));
        assert!(drain(&mut pipeline, 3, vec![flow(https(5000), 0, 181)]).late_names.is_empty(), "once");
    }

    #[test]
    fn a_hello_behind_a_new_syn_does_not_name_the_earlier_row() {
        let mut pipeline = Pipeline::default();
        drain(&mut pipeline, 1, vec![flow(https(5000), 1, 100)]);
        say_hello(&mut pipeline, https(5000), 150, &openssl());
        let batch = drain(&mut pipeline, 2, vec![flow(https(5000), 1, 149)]);
        assert_eq!(names(&batch), [(Some(INTL), Evidence::TlsSni)]);
        assert!(batch.late_names.is_empty());
    }

    #[test]
    fn an_answer_that_was_read_late_names_what_began_after_it_only() {
        let mut pipeline = Pipeline::default();
        drain(&mut pipeline, 1, vec![flow(https(5000), 1, 119), flow(https(5001), 1, 110)]);
        answer(&mut pipeline, PHONE, 118, b'd'); // Passed before the drain, read after it.
        let batch = drain(&mut pipeline, 2, vec![flow(https(5000), 0, 121), flow(https(5001), 0, 121)]);
        assert_eq!(batch.late_names.len(), 1);
        assert_eq!(batch.late_names[0].evidence, Evidence::Dns);
        // And it is remembered; the one begun before the answer stays unnamed.
        assert_eq!(names(&batch), [(None, Evidence::None), (Some(MISTAT), Evidence::Dns)]);
    }

    #[test]
    fn each_flow_finds_its_kind_of_row() {
        let config = PipelineConfig {
            local: vec!["192.168.0.0/16".parse().expect("a prefix")],
            excluded: vec!["198.51.100.0/24".parse().expect("a prefix")],
        };
        let mut pipeline = Pipeline::new(config);
        let called = key(PHONE, [203, 0, 113, 9], 22, 51_000, protocol::TCP);
        let ping = key(PHONE, [203, 0, 113, 9], 7, 7, protocol::ICMP);
        let mut fragments = key(PHONE, [203, 0, 113, 9], 0, 0, protocol::UDP);
        fragments.flags |= FlowFlags::LATER_FRAGMENT;
        let local = key(PHONE, [192, 168, 1, 1], 40_000, 53, protocol::UDP);
        let excluded = key(PHONE, [198, 51, 100, 7], 40_000, 443, protocol::TCP);
        let six = FlowKey { flags: FlowFlags::VALID | FlowFlags::IPV6, ..https(1) };
        let keys = [called, ping, fragments, local, excluded, https(1).coarse(), six.coarse()];
        let flows =
            keys.map(|k| flow(k, if k == called { FlowState::OPENED_BY_PEER } else { 0 }, 61)).to_vec();
        let looked_up = LookedUp::default();
        let mut drained = drained(1, flows);
        // Counted for nobody: seen, and in no flow.
        for (stat, amount) in [
            (KernelStat::SeenPackets, 5),
            (KernelStat::SeenBytes, 1100),
            (KernelStat::NobodyPackets, 5),
            (KernelStat::NobodyBytes, 1100),
        ] {
            drained.stats.add(stat, amount);
        }
        let batch = pipeline.handle_drain(drained, &looked_up);
        assert_eq!(batch.check_conservation(), Ok(()));
        let found: Vec<_> = batch
            .rows
            .iter()
            .map(|r| (r.key.peer.to_string(), r.key.port, r.key.protocol, r.key.kind, r.key.opened_by))
            .collect();
        let unknown = OpenedBy::Unknown;
        let peer = || "203.0.113.9".to_owned();
        assert_eq!(
            found,
            [
                ("0.0.0.0".to_owned(), 0, protocol::TCP, RowKind::Coarse, unknown),
                ("192.168.1.1".to_owned(), 53, protocol::UDP, RowKind::Local, unknown),
                (peer(), 0, protocol::ICMP, RowKind::Flow, unknown),
                (peer(), 0, protocol::UDP, RowKind::LaterFragments, unknown),
                (peer(), 22, protocol::TCP, RowKind::Flow, OpenedBy::Peer),
                ("::".to_owned(), 0, protocol::TCP, RowKind::Coarse, unknown),
            ]
        );
        assert_eq!(batch.ledger_of("excluded"), (5, 1100));
        assert_eq!(batch.ledger_of("nobody"), (5, 1100));
        // One look-up for the one peer outside, in whatever rows it is.
        assert_eq!(looked_up.0.into_inner(), ["203.0.113.9".parse::<IpAddr>().expect("an address")]);
        assert_eq!(batch.networks.len(), 1);
    }

    #[derive(Default)]
    struct LookedUp(RefCell<Vec<IpAddr>>);

    impl Networks for LookedUp {
        fn network_of(&self, addr: IpAddr) -> Option<Network> {
            self.0.borrow_mut().push(addr);
            Some(Network { asn: Some(64_500), ..Network::default() })
        }
        fn as_of(&self) -> &str {
            "2026-01-01"
        }
    }

    #[test]
    fn what_could_not_be_read_is_counted_once() {
        let mut pipeline = Pipeline::default();
        let (header, bytes) = sample(SampleKind::TLS, Direction::Up, https(1), 1, 1, &openssl());
        pipeline.handle_sample(&header, &bytes[..40]);
        pipeline.handle_sample(&header, &[]);
        say_hello(&mut pipeline, https(2), 1, b"\x16\x03\x01\x00\x00\x01\x00");
        let (header, bytes) = sample(SampleKind::MDNS, Direction::Up, https(1), 1, 1, b"x");
        pipeline.handle_sample(&header, &bytes);
        let batch = drain(&mut pipeline, 1, vec![]);
        let lines: Vec<_> = batch.ledger.iter().map(|l| (l.counter.as_str(), l.packets)).collect();
        let expected =
            [("samples_cut_short", 2), ("samples_malformed", 1), ("samples_unread_kind", 1), ("seen", 0)];
        assert_eq!(lines, expected);
        assert_eq!(drain(&mut pipeline, 2, vec![]).ledger.len(), 1);
    }

    #[test]
    fn a_hello_without_its_rest_is_given_up_at_a_drain() {
        let mut pipeline = Pipeline::default();
        say_hello(&mut pipeline, https(5000), 70, &post_quantum("a.example")[..600]);
        assert_eq!(drain(&mut pipeline, 1, vec![]).ledger_of("hellos_unfinished"), (0, 0));
        assert_eq!(drain(&mut pipeline, 2, vec![]).ledger_of("hellos_unfinished"), (1, 0));
    }

    #[test]
    fn those_that_wait_are_bounded_and_counted() {
        let mut pipeline = Pipeline::default();
        let flows =
            (0..=MAX_AWAITING).map(|n| flow(https(u16::try_from(n).expect("small")), 1, 61)).collect();
        let batch = drain(&mut pipeline, 1, flows);
        assert_eq!(batch.ledger_of("late_names_not_awaited"), (1, 0));
    }
}
