//! Rankings: who exchanged most, by device, name, network, country, owner or purpose.

use crate::query::{DeviceInfo, FlowSum};
use crate::report::text::NOT_KEPT;
use crate::report::who::{NameFacts, Owned};
use crate::row::{Marks, RowKind};
use crate::units::{DomainName, Mac, Volume};
use std::collections::{BTreeMap, BTreeSet};

/// What is ranked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TopOf {
    /// Devices.
    Devices,
    /// Names contacted.
    Names,
    /// Networks of the peers.
    Networks,
    /// Countries of the peers.
    Countries,
    /// Owners of the names contacted.
    Owners,
    /// What the names contacted are for.
    Purposes,
}

/// By what it is ranked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum By {
    /// Bytes both ways.
    Total,
    /// Bytes from the devices.
    Up,
    /// Bytes to the devices.
    Down,
    /// Packets both ways.
    Packets,
    /// Conversations.
    Conversations,
}

impl By {
    /// How much of it there is.
    #[must_use]
    pub fn amount(self, volume: Volume, conversations: u64) -> u64 {
        match self {
            Self::Total => volume.bytes(),
            Self::Up => volume.up_bytes,
            Self::Down => volume.down_bytes,
            Self::Packets => volume.packets(),
            Self::Conversations => conversations,
        }
    }
}

/// One place of a ranking.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TopLine {
    /// What it is, for programs: a MAC address, a name, `AS45102`, a country code, an owner, a purpose's word. `None`
    /// gathers what has none.
    pub id: Option<String>,
    /// What it is, for people.
    pub said: String,
    /// How much.
    pub volume: Volume,
    /// How many conversations, counted once per interval that they were alive in.
    pub conversations: u64,
    /// How many devices.
    pub device_count: usize,
}

impl TopLine {
    /// What it is ranked by.
    #[must_use]
    pub fn amount(&self, by: By) -> u64 {
        by.amount(self.volume, self.conversations)
    }
}

#[derive(Default)]
struct Sum {
    said: String,
    volume: Volume,
    conversations: u64,
    devices: BTreeSet<Mac>,
}

/// Ranks what devices exchanged with the world; what stayed in the house is left out. Equals go by their text.
#[must_use]
pub fn top(
    of: TopOf,
    by: By,
    flows: &[FlowSum],
    devices: &[DeviceInfo],
    facts_of: &dyn Fn(&DomainName) -> NameFacts,
) -> Vec<TopLine> {
    let mut owned = BTreeMap::<&DomainName, Option<Owned>>::new();
    // What has no id is told apart by its words: not kept is not the same as not known.
    let mut sums = BTreeMap::<(Option<String>, Option<String>), Sum>::new();
    for flow in flows.iter().filter(|f| f.key.kind != RowKind::Local) {
        let (id, said) = match of {
            // Each name is looked up once, however many rows it has.
            TopOf::Owners | TopOf::Purposes => {
                let name = flow.key.name.as_ref();
                let owned = name.and_then(|n| owned.entry(n).or_insert_with(|| facts_of(n).owned).as_ref());
                known_or(of, owned.map(|owned| owned_place(of, owned)), flow.key.marks)
            }
            _ => place_of(of, flow, devices),
        };
        let words = id.is_none().then(|| said.clone());
        let sum = sums.entry((id, words)).or_default();
        // A network's name may have changed on the way; the greatest text is as good as any, and always the same.
        sum.said = said.max(core::mem::take(&mut sum.said));
        sum.volume.add(flow.volume);
        sum.conversations = sum.conversations.saturating_add(flow.conversations);
        sum.devices.insert(flow.key.device);
    }
    let mut lines: Vec<_> = sums
        .into_iter()
        .map(|((id, _), Sum { said, volume, conversations, devices })| TopLine {
            id,
            said,
            volume,
            conversations,
            device_count: devices.len(),
        })
        .collect();
    lines.sort_by(|a, b| {
        b.amount(by).cmp(&a.amount(by)).then_with(|| (&a.said, &a.id).cmp(&(&b.said, &b.id)))
    });
    lines
}

fn place_of(of: TopOf, flow: &FlowSum, devices: &[DeviceInfo]) -> (Option<String>, String) {
    let known = match of {
        TopOf::Devices => {
            let mac = flow.key.device;
            let said = devices.iter().find(|d| d.mac == mac).map(DeviceInfo::display_name);
            return (Some(mac.to_string()), said.unwrap_or_else(|| DeviceInfo::unknown(mac).display_name()));
        }
        TopOf::Names => flow.key.name.as_ref().map(|name| (name.to_string(), name.to_string())),
        TopOf::Networks => flow.network.asn.map(|asn| {
            let id = format!("AS{asn}");
            let said = flow.network.organisation.as_ref().map_or_else(|| id.clone(), |o| format!("{id} {o}"));
            (id, said)
        }),
        TopOf::Countries => flow.network.country.map(|country| (country.to_string(), country.to_string())),
        TopOf::Owners | TopOf::Purposes => None,
    };
    known_or(of, known, flow.key.marks)
}

fn owned_place(of: TopOf, owned: &Owned) -> (String, String) {
    if of == TopOf::Purposes {
        return (owned.purpose.word().to_owned(), owned.purpose.label().to_owned());
    }
    let country = owned.country.map(|country| format!(" ({country})")).unwrap_or_default();
    (owned.owner.clone(), format!("{}{country}", owned.owner))
}

fn known_or(of: TopOf, known: Option<(String, String)>, marks: Marks) -> (Option<String>, String) {
    match known {
        Some((id, said)) => (Some(id), said),
        None if marks.has(Marks::WITHHELD) => (None, format!("({NOT_KEPT})")),
        None => (None, unknown(of).to_owned()),
    }
}

/// Gathers the rows that have none.
fn unknown(of: TopOf) -> &'static str {
    match of {
        TopOf::Devices => "(no device)",
        TopOf::Names => "(no name)",
        TopOf::Networks => "(network not known)",
        TopOf::Countries => "(country not known)",
        TopOf::Owners => "(owner not known)",
        TopOf::Purposes => "(purpose not known)",
    }
}
