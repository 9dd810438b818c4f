//! Rows to destinations, as the summary names them: by registrable name, or by network where there is no name.

use super::summary::model::Site;
use super::text::NOT_KEPT;
use super::who::{NameFacts, Owned};
use crate::query::FlowSum;
use crate::row::{Marks, Network, RowKind};
use crate::units::{Country, DomainName, Mac, Volume, WallTime};
use std::collections::{BTreeMap, BTreeSet};

/// What the tables know of names, each looked up once.
pub struct Facts<'a> {
    of: &'a dyn Fn(&DomainName) -> NameFacts,
    known: BTreeMap<DomainName, NameFacts>,
}

impl<'a> Facts<'a> {
    /// Nothing looked up yet.
    #[must_use]
    pub fn new(of: &'a dyn Fn(&DomainName) -> NameFacts) -> Self {
        Self { of, known: BTreeMap::new() }
    }

    fn get(&mut self, name: &DomainName) -> &NameFacts {
        self.known.entry(name.clone()).or_insert_with(|| (self.of)(name))
    }

    /// The destination of a row with this name, this network and these marks.
    pub fn site_of(&mut self, name: Option<&DomainName>, asn: Option<u32>, marks: Marks) -> Site {
        match (name, asn) {
            (None, _) if marks.has(Marks::WITHHELD) => Site::Withheld,
            (Some(name), _) => Site::Name(self.get(name).registrable.clone().unwrap_or_else(|| name.clone())),
            (None, Some(asn)) => Site::Network(asn),
            (None, None) => Site::Unknown,
        }
    }

    fn owned(&mut self, name: Option<&DomainName>) -> Option<&Owned> {
        self.get(name?).owned.as_ref()
    }
}

/// A destination as a line has it.
#[must_use]
pub fn site_words(site: &Site) -> String {
    match site {
        Site::Name(name) => name.to_string(),
        Site::Network(asn) => format!("AS{asn} (no name)"),
        Site::Unknown => "(neither name nor network)".to_owned(),
        Site::Withheld => format!("({NOT_KEPT})"),
    }
}

/// What was exchanged with one destination.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Contacted {
    /// Whose name it is, of several the one with the most bytes; `None` if that is not known.
    pub owner: Option<String>,
    /// What for, likewise.
    pub purpose: Option<&'static str>,
    /// The names that were contacted.
    pub names: BTreeSet<DomainName>,
    /// The network with the most bytes, if one is known.
    pub network: Option<(u32, Option<String>)>,
    /// The country of the address with the most bytes, if one is known.
    pub country: Option<Country>,
    /// What was exchanged.
    pub volume: Volume,
    /// How many conversations, counted once per interval that they were alive in.
    pub conversations: u64,
    /// When the first interval with such a row began.
    pub first_at: WallTime,
    /// Is the name of none of its rows sure?
    pub is_unsure: bool,
}

#[derive(Default)]
struct Sum {
    owners: BTreeMap<Option<(String, &'static str)>, u64>,
    names: BTreeSet<DomainName>,
    networks: BTreeMap<(u32, Option<String>), u64>,
    countries: BTreeMap<Country, u64>,
    volume: Volume,
    conversations: u64,
    first_at: Option<WallTime>,
    has_sure: bool,
}

/// The destinations of each device: only what went to the world, and has a peer.
pub fn by_device(flows: &[FlowSum], facts: &mut Facts<'_>) -> BTreeMap<(Mac, Site), Contacted> {
    by(flows, facts, |flow| flow.key.device)
}

/// The destinations of all devices together.
pub fn together(flows: &[FlowSum], facts: &mut Facts<'_>) -> BTreeMap<Site, Contacted> {
    by(flows, facts, |_| ()).into_iter().map(|((_, site), contacted)| (site, contacted)).collect()
}

fn by<K: Ord>(
    flows: &[FlowSum],
    facts: &mut Facts<'_>,
    key_of: impl Fn(&FlowSum) -> K,
) -> BTreeMap<(K, Site), Contacted> {
    let mut sums = BTreeMap::<(K, Site), Sum>::new();
    let is_routed = |flow: &&FlowSum| matches!(flow.key.kind, RowKind::Flow | RowKind::LaterFragments);
    for flow in flows.iter().filter(is_routed) {
        let name = flow.key.name.as_ref();
        let site = facts.site_of(name, flow.network.asn, flow.key.marks);
        let owner = facts.owned(name).map(|owned| (owned.owner.clone(), owned.purpose.label()));
        let sum = sums.entry((key_of(flow), site)).or_default();
        sum.add(flow, owner);
    }
    sums.into_iter().map(|(key, sum)| (key, sum.finish())).collect()
}

/// A name with one of these is not sure to be the one that was contacted.
pub(super) const UNSURE: [Marks; 4] =
    [Marks::HAS_RIVALS, Marks::STRETCHED, Marks::OUTER_NAME, Marks::UNDECIDED];

impl Sum {
    fn add(&mut self, flow: &FlowSum, owner: Option<(String, &'static str)>) {
        let bytes = flow.volume.bytes();
        let Network { asn, organisation, country, .. } = &flow.network;
        grow(&mut self.owners, owner, bytes);
        self.names.extend(flow.key.name.clone());
        if let Some(asn) = asn {
            grow(&mut self.networks, (*asn, organisation.clone()), bytes);
        }
        if let Some(country) = country {
            grow(&mut self.countries, *country, bytes);
        }
        self.volume.add(flow.volume);
        self.conversations = self.conversations.saturating_add(flow.conversations);
        self.first_at = Some(self.first_at.map_or(flow.first_at, |at| at.min(flow.first_at)));
        self.has_sure |= !UNSURE.into_iter().any(|mark| flow.key.marks.has(mark));
    }

    fn finish(self) -> Contacted {
        let Self { owners, names, networks, countries, volume, conversations, first_at, has_sure } = self;
        let (owner, purpose) = most(owners).flatten().unzip();
        Contacted {
            owner,
            purpose,
            names,
            network: most(networks),
            country: most(countries),
            volume,
            conversations,
            first_at: first_at.unwrap_or_default(),
            is_unsure: !has_sure,
        }
    }
}

fn grow<K: Ord>(sums: &mut BTreeMap<K, u64>, key: K, bytes: u64) {
    let sum = sums.entry(key).or_default();
    *sum = sum.saturating_add(bytes);
}

/// The one with the most bytes; of equals the last by order, which is always the same.
fn most<K: Ord>(sums: BTreeMap<K, u64>) -> Option<K> {
    sums.into_iter().max_by_key(|(_, bytes)| *bytes).map(|(key, _)| key)
}
