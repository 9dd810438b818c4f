//! Privacy levels: how much is kept of whom a device talks with. Applied to a batch before anything of it leaves the
//! pipeline, so that what is not kept is never written. Bytes are counted at every level.

use crate::application::Application;
use crate::enrich::names::NameTables;
use crate::row::{Batch, Evidence, FlowRow, LateName, LedgerLine, Marks, OpenedBy, RowKey};
use crate::units::{DomainName, Mac, Volume};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How much is kept of a device.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Level {
    /// Everything.
    #[default]
    Full,
    /// Names by what was registered only; no address of a peer.
    Registrable,
    /// Of a name only whose it is; no address.
    Owners,
    /// Only how much.
    Totals,
    /// Nothing: its volume is a line of the ledger, [`LEFT_OUT`].
    LeaveOut,
}

impl Level {
    /// Every level, the one that keeps most first.
    pub const ALL: [Self; 5] = [Self::Full, Self::Registrable, Self::Owners, Self::Totals, Self::LeaveOut];

    /// The word it is written as.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Registrable => "registrable",
            Self::Owners => "owners",
            Self::Totals => "totals",
            Self::LeaveOut => "leave_out",
        }
    }
}

/// The counter of the ledger that has the volume of devices that are left out.
pub const LEFT_OUT: &str = "left_out";

/// Ends the names that stand for an owner: `.alt` is for names that are none of the DNS (RFC 9476 §2).
const OWNER_SUFFIX: &str = ".owner.alt";

/// The id of the owner that a kept name stands for; `None` for a name of the DNS.
#[must_use]
pub fn kept_owner(name: &DomainName) -> Option<&str> {
    name.as_str().strip_suffix(OWNER_SUFFIX)
}

/// Which device has which level, and what names are shortened by. The default keeps everything.
#[derive(Clone, Debug, Default)]
pub struct Privacy {
    default: Level,
    devices: BTreeMap<Mac, Level>,
    names: Arc<NameTables>,
}

impl Privacy {
    /// Levels of devices, and the level of all others; `names` shortens.
    #[must_use]
    pub fn new(default: Level, devices: BTreeMap<Mac, Level>, names: Arc<NameTables>) -> Self {
        Self { default, devices, names }
    }

    /// The level of a device.
    #[must_use]
    pub fn level_of(&self, device: Mac) -> Level {
        self.devices.get(&device).copied().unwrap_or(self.default)
    }

    /// Takes out of a batch what is not to be kept. No byte is lost: what leaves the rows is in the ledger.
    pub fn apply(&self, batch: &mut Batch) {
        if self.default == Level::Full && self.devices.is_empty() {
            return;
        }
        let mut rows = BTreeMap::<RowKey, FlowRow>::new();
        let mut left_out = Volume::default();
        for row in core::mem::take(&mut batch.rows) {
            match self.key_of(&row.key) {
                None => left_out.add(row.volume),
                Some(key) => add(&mut rows, FlowRow { key, ..row }),
            }
        }
        batch.rows = rows.into_values().collect();
        if left_out.packets() > 0 || left_out.bytes() > 0 {
            batch.ledger.push(LedgerLine {
                counter: LEFT_OUT.to_owned(),
                packets: left_out.packets(),
                bytes: Some(left_out.bytes()),
            });
            batch.ledger.sort();
        }
        let peers: BTreeSet<IpAddr> = batch.rows.iter().map(|row| row.key.peer).collect();
        batch.networks.retain(|(peer, _)| peers.contains(peer));
        batch.answers.retain(|answer| self.keeps_all_of(answer.device));
        batch.aliases.retain(|alias| self.keeps_all_of(alias.device));
        batch.devices.retain(|fact| self.level_of(fact.device) != Level::LeaveOut);
        let late_names = core::mem::take(&mut batch.late_names);
        batch.late_names = late_names.into_iter().filter_map(|late| self.late_name_of(late)).collect();
    }

    /// Is everything of this device kept?
    #[must_use]
    pub fn keeps_all_of(&self, device: Mac) -> bool {
        self.level_of(device) == Level::Full
    }

    /// What of a name may be kept at a level.
    fn name_at(&self, level: Level, name: &DomainName) -> Option<DomainName> {
        match level {
            Level::Full => Some(name.clone()),
            Level::Registrable => self.names.registrable(name).and_then(DomainName::parse),
            Level::Owners => {
                let owner = &self.names.ownership_of(name)?.owner.id;
                DomainName::parse(&format!("{owner}{OWNER_SUFFIX}"))
            }
            Level::Totals | Level::LeaveOut => None,
        }
    }

    /// The key that a row is kept under; `None` if it is not kept.
    fn key_of(&self, key: &RowKey) -> Option<RowKey> {
        let level = self.level_of(key.device);
        let peer = match key.peer {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        match level {
            Level::Full => Some(key.clone()),
            Level::LeaveOut => None,
            Level::Totals => Some(RowKey {
                device: key.device,
                peer,
                port: 0,
                protocol: 0,
                kind: key.kind,
                opened_by: OpenedBy::Unknown,
                name: None,
                evidence: Evidence::None,
                marks: Marks::WITHHELD,
                application: Application::Unknown,
            }),
            Level::Registrable | Level::Owners => {
                let name = key.name.as_ref().and_then(|name| self.name_at(level, name));
                let evidence = if name.is_some() { key.evidence } else { Evidence::None };
                Some(RowKey { peer, name, evidence, marks: key.marks.with(Marks::WITHHELD), ..key.clone() })
            }
        }
    }

    fn late_name_of(&self, late: LateName) -> Option<LateName> {
        let level = self.level_of(late.from.device);
        if level == Level::Full {
            return Some(late);
        }
        let (from, name) = (self.key_of(&late.from)?, self.name_at(level, &late.name)?);
        Some(LateName { from, name, marks: late.marks.with(Marks::WITHHELD), ..late })
    }
}

fn add(rows: &mut BTreeMap<RowKey, FlowRow>, row: FlowRow) {
    let FlowRow { key, volume, conversations, oldest_answer_secs } = row;
    let sum = rows.entry(key).or_insert_with_key(|key| FlowRow {
        key: key.clone(),
        volume: Volume::default(),
        conversations: 0,
        oldest_answer_secs: None,
    });
    sum.volume.add(volume);
    sum.conversations = sum.conversations.saturating_add(conversations);
    sum.oldest_answer_secs = sum.oldest_answer_secs.max(oldest_answer_secs);
}
