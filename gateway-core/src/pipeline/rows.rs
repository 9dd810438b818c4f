//! Counts → rows: one row for each device, peer, port and name of an interval.

use super::Pipeline;
use super::late::{MAX_AWAITING, Silent};
use crate::application::Application;
use crate::attribute::{self, Attribution, Beginning};
use crate::books::Conversation;
use crate::drained::DrainedFlow;
use crate::row::{Evidence, FlowRow, Interval, Marks, OpenedBy, RowKey, RowKind};
use crate::units::{BootTime, Mac, Volume};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use gateway_common::{FlowKey, FlowState, protocol};
use ipnetwork::IpNetwork;
use std::collections::BTreeMap;

/// Rows being added up.
#[derive(Default)]
pub(super) struct Rows {
    pub(super) rows: BTreeMap<RowKey, FlowRow>,
    /// What went to peers that are kept out.
    pub(super) excluded: Volume,
    /// Those that have not said who they are for.
    pub(super) silent: BTreeMap<FlowKey, Silent>,
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

impl Pipeline {
    /// Adds one flow to its row, or to where it goes instead.
    pub(super) fn enter(&mut self, flow: &DrainedFlow, interval: &Interval, rows: &mut Rows) {
        let volume = volume_of(flow);
        if flow.key.is_coarse() {
            return rows.add(coarse_row(&flow.key), volume, None);
        }
        let peer = flow.key.peer();
        if contains(&self.config.excluded, peer) {
            return rows.excluded.add(volume);
        }
        let (conversation, beginning) = self.conversation_of(flow, interval);
        let Conversation { opened, told, said_since, last_seen: _ } = &conversation;
        let said = (*said_since, interval.ended_boot);
        let attribution = attribute::attribute(&flow.key, said, told, &self.said);
        if let Some(attributed) = &mut self.attributed {
            attributed.push((flow.key, attribution.clone()));
        }
        let answer_secs = attribution.answer_secs;
        let row = self.row_of(&flow.key, peer, *opened, attribution);
        self.said.touch(&flow.key);
        self.conversations.remember(flow.key, conversation.clone());
        if row.evidence < Evidence::HttpHost {
            let is_undecided = beginning.is_some() && row.marks.has(Marks::UNDECIDED);
            self.names_ambiguous = self.names_ambiguous.saturating_add(u64::from(is_undecided));
            if rows.silent.len() < MAX_AWAITING {
                let silent = Silent { row: row.clone(), volume, conversation, beginning };
                rows.silent.insert(flow.key, silent);
            } else {
                self.not_awaited = self.not_awaited.saturating_add(1);
            }
        }
        rows.add(row, volume, answer_secs);
    }

    /// The conversation that a flow is of, as it is at the end of this interval; and when it began, unless that was
    /// settled in an interval before.
    fn conversation_of(
        &mut self,
        flow: &DrainedFlow,
        interval: &Interval,
    ) -> (Conversation, Option<Beginning>) {
        // A SYN in this interval, or a long silence before it, begins a new conversation, whatever went over these
        // ports before.
        let first_seen = attribute::first_seen(flow, interval);
        let before = self.conversations.get(&flow.key);
        let goes_on = before.filter(|c| !c.is_begun_anew(flow.opened) && c.goes_on(&flow.key, first_seen));
        let last_seen = interval.ended_boot;
        if let Some(known) = goes_on {
            return (Conversation { opened: known.opened | flow.opened, last_seen, ..known.clone() }, None);
        }
        let said_since = if flow.opened != 0 || before.is_some() {
            // Were this conversation forgotten, no old word must be there to be taken for its own.
            self.said.forget_before(&flow.key, interval.began_boot);
            interval.began_boot
        } else {
            BootTime(0)
        };
        let beginning = Beginning::of(flow, interval);
        let told = attribute::told(&flow.key, flow.opened, beginning, &self.names);
        (Conversation { opened: flow.opened, told, said_since, last_seen }, Some(beginning))
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
}

pub(super) fn volume_of(flow: &DrainedFlow) -> Volume {
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

pub(super) fn contains(prefixes: &[IpNetwork], addr: IpAddr) -> bool {
    prefixes.iter().any(|prefix| prefix.contains(addr))
}
