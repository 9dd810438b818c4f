//! Names that come after the drain of their interval: what was read late moves volume into the right row.

use super::{Pipeline, SECOND};
use crate::attribute::{self, Attribution, Beginning};
use crate::books::Conversation;
use crate::drained::DrainedFlow;
use crate::row::{EpochId, Evidence, Interval, LateName, RowKey};
use crate::units::{BootTime, Volume};
use gateway_common::{FlowKey, protocol};
use std::collections::{BTreeMap, BTreeSet};

/// How many conversations of an interval that said nothing of themselves wait for a late name. Names come late only
/// around a drain, for conversations begun in the interval's last moments; some 2 MiB at worst.
pub const MAX_AWAITING: usize = 8192;

/// How long after the end of an interval a datagram still speaks for what was counted in it: a first QUIC packet that
/// was lost is sent again after 1 s, and after 3 s (RFC 9002 §6.2).
pub const LATE_DATAGRAM_SECS: u64 = 4;

/// The conversations of one interval that have not said who they are for.
#[derive(Clone, Debug)]
pub(super) struct Awaiting {
    pub(super) epoch: EpochId,
    pub(super) interval: Interval,
    pub(super) flows: BTreeMap<FlowKey, Silent>,
}

/// One of them: all that naming it later needs.
#[derive(Clone, Debug)]
pub(super) struct Silent {
    pub(super) row: RowKey,
    pub(super) volume: Volume,
    /// With what the DNS had told of its peer, as it was known then.
    pub(super) conversation: Conversation,
    /// When it began; `None` if that was settled in an interval before.
    pub(super) beginning: Option<Beginning>,
}

impl Pipeline {
    /// Names for conversations that had said nothing of themselves in the last interval, from what was learned since.
    pub(super) fn name_late(
        &mut self,
        epoch: &EpochId,
        interval: &Interval,
        flows: &[DrainedFlow],
    ) -> Vec<LateName> {
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
            let Silent { row, volume, conversation, beginning } = silent;
            let Conversation { opened, told, said_since, last_seen: _ } = conversation;
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
}
