//! Rows to destinations: by registrable name and its owner, or by network where there is no name.

use super::model::{OwnerGroup, Place, Site};
use crate::query::buckets::BucketSum;
use crate::report::who::NameFacts;
use crate::row::{Marks, Network, RowKind};
use crate::units::{Country, DomainName, Volume};
use core::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// Is it with the world, and its peer known?
pub(super) const fn is_routed(kind: RowKind) -> bool {
    matches!(kind, RowKind::Flow | RowKind::LaterFragments)
}

/// What the tables know of every name in the rows, looked up once.
pub(super) struct Namer<'a>(BTreeMap<&'a DomainName, NameFacts>);

impl<'a> Namer<'a> {
    pub(super) fn of(
        names: impl Iterator<Item = &'a DomainName>,
        facts_of: &dyn Fn(&DomainName) -> NameFacts,
    ) -> Self {
        let names: BTreeSet<&DomainName> = names.collect();
        Self(names.into_iter().map(|name| (name, facts_of(name))).collect())
    }

    fn facts(&self, sum: &BucketSum) -> Option<&NameFacts> {
        sum.name.as_ref().and_then(|name| self.0.get(name))
    }

    /// The destination of rows.
    pub(super) fn site_of(&self, name: Option<&DomainName>, network: &Network, marks: Marks) -> Site {
        match (name, network.asn) {
            (Some(name), _) => {
                let registrable = self.0.get(name).and_then(|facts| facts.registrable.clone());
                Site::Name(registrable.unwrap_or_else(|| name.clone()))
            }
            (None, _) if marks.has(Marks::WITHHELD) => Site::Withheld,
            (None, Some(asn)) => Site::Network(asn),
            (None, None) => Site::Unknown,
        }
    }

    fn owner_of(&self, sum: &BucketSum) -> Option<(String, Option<Country>)> {
        let owned = self.facts(sum).and_then(|facts| facts.owned.as_ref())?;
        Some((owned.owner.clone(), owned.country))
    }

    fn purpose_of(&self, sum: &BucketSum) -> Option<&'static str> {
        self.facts(sum).and_then(|facts| facts.owned.as_ref()).map(|owned| owned.purpose.label())
    }
}

/// The rows of one destination, added up.
#[derive(Default)]
struct PlaceSum {
    owners: BTreeMap<Option<(String, Option<Country>)>, u64>,
    names: BTreeSet<DomainName>,
    purposes: BTreeMap<&'static str, u64>,
    networks: BTreeMap<Network, u64>,
    countries: BTreeMap<(Country, bool), u64>,
    volume: Volume,
    conversations: u64,
    hours: BTreeMap<usize, u64>,
    at_night: Volume,
    has_sure: bool,
}

/// The destinations of one device.
#[derive(Default)]
pub(super) struct Places(BTreeMap<Site, PlaceSum>);

impl Places {
    /// Adds a row that is routed.
    pub(super) fn add(&mut self, sum: &BucketSum, is_night: bool, namer: &Namer<'_>) {
        let bytes = sum.volume.bytes();
        let place = self.0.entry(namer.site_of(sum.name.as_ref(), &sum.network, sum.marks)).or_default();
        grow(&mut place.owners, namer.owner_of(sum), bytes);
        place.names.extend(sum.name.clone());
        if let Some(purpose) = namer.purpose_of(sum) {
            grow(&mut place.purposes, purpose, bytes);
        }
        let Network { asn, organisation, country, registered: _, marks } = &sum.network;
        if asn.is_some() || organisation.is_some() {
            grow(&mut place.networks, Network { country: None, ..sum.network.clone() }, bytes);
        }
        if let Some(country) = country {
            grow(&mut place.countries, (*country, marks.country_is_doubtful()), bytes);
        }
        place.volume.add(sum.volume);
        place.conversations = place.conversations.saturating_add(sum.conversations);
        grow(&mut place.hours, sum.bucket, bytes);
        if is_night {
            place.at_night.add(sum.volume);
        }
        let is_unsure = [Marks::HAS_RIVALS, Marks::STRETCHED, Marks::OUTER_NAME, Marks::UNDECIDED];
        place.has_sure |= sum.name.is_some() && !is_unsure.into_iter().any(|mark| sum.marks.has(mark));
    }

    /// Each destination, the largest first; `hours` is how many hours the range has.
    pub(super) fn finish(self, hours: usize) -> Vec<Place> {
        let mut places: Vec<_> = self.0.into_iter().map(|(site, sum)| sum.finish(site, hours)).collect();
        places.sort_by(|a, b| largest(a.volume).cmp(&largest(b.volume)).then_with(|| a.site.cmp(&b.site)));
        places
    }
}

impl PlaceSum {
    fn finish(self, site: Site, hours: usize) -> Place {
        let Self { owners, names, purposes, networks, countries, volume, conversations, .. } = self;
        // A registrable name may hold names of several owners: it is said to be of the one with the most bytes.
        let (owner, owner_country) = by_bytes(owners).into_iter().next().flatten().unzip();
        Place {
            site,
            owner,
            owner_country: owner_country.flatten(),
            names: names.into_iter().collect(),
            purposes: by_bytes(purposes),
            networks: by_bytes(networks),
            countries: by_bytes(countries),
            volume,
            conversations,
            hours: (0..hours).map(|hour| self.hours.get(&hour).copied().unwrap_or(0)).collect(),
            is_new: false,
            is_unsure: !self.has_sure,
            upload: None,
            at_night: self.at_night,
        }
    }
}

fn grow<K: Ord>(sums: &mut BTreeMap<K, u64>, key: K, bytes: u64) {
    let sum = sums.entry(key).or_default();
    *sum = sum.saturating_add(bytes);
}

fn by_bytes<K: Ord>(sums: BTreeMap<K, u64>) -> Vec<K> {
    let mut sums: Vec<_> = sums.into_iter().collect();
    sums.sort_by_key(|(_, bytes)| Reverse(*bytes));
    sums.into_iter().map(|(key, _)| key).collect()
}

/// Most sent first: what a device tells is what this is about, and what it fetches would hide it.
pub(super) fn largest(volume: Volume) -> Reverse<(u64, u64)> {
    Reverse((volume.up_bytes, volume.down_bytes))
}

/// Destinations by owner, the largest owner first.
pub(super) fn by_owner(places: Vec<Place>) -> Vec<OwnerGroup> {
    let mut groups = BTreeMap::<Option<String>, OwnerGroup>::new();
    for place in places {
        let new = || OwnerGroup {
            owner: place.owner.clone(),
            country: place.owner_country,
            volume: Volume::default(),
            places: Vec::new(),
        };
        let group = groups.entry(place.owner.clone()).or_insert_with(new);
        group.volume.add(place.volume);
        group.places.push(place);
    }
    let mut groups: Vec<_> = groups.into_values().collect();
    groups.sort_by_key(|group| largest(group.volume));
    groups
}
