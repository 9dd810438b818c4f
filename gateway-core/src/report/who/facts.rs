//! What the tables know of a name, in the dossier's words.

use super::model::{Listed, NameFacts, Owned, Source};
use crate::enrich::lists::Listing;
use crate::enrich::names::{Hosting, NameTables, Standing};
use crate::enrich::owners::{self, Ownership, Purpose};
use crate::privacy::kept_owner;
use crate::units::DomainName;

impl NameFacts {
    /// What the tables know of a name.
    #[must_use]
    pub fn of(tables: &NameTables, name: &DomainName) -> Self {
        if let Some(id) = kept_owner(name) {
            return Self { owned: Owned::kept(tables, id, name), ..Self::default() };
        }
        let (owned, hosted_under) = match tables.standing_of(name) {
            Standing::Owned(ownership) => (Some(Owned::of(&ownership)), None),
            Standing::Hosted(hosting) => (None, Some(hosting_words(&hosting))),
            Standing::Unknown => (None, None),
        };
        Self {
            registrable: tables.registrable(name).and_then(DomainName::parse),
            owned,
            hosted_under,
            listed: tables.listings_of(name).iter().map(Listed::of).collect(),
        }
    }
}

impl Owned {
    /// Of a row that has only the owner.
    fn kept(tables: &NameTables, id: &str, name: &DomainName) -> Option<Self> {
        let owner = tables.owners().owners().find(|owner| *owner.id == *id)?;
        Some(Self {
            owner: owner.name.to_string(),
            country: owner.country,
            seat: owner.seat.as_deref().map(str::to_owned),
            parents: Vec::new(),
            purpose: Purpose::Service,
            rule: name.to_string(),
            list: None,
            source: Source {
                title: "only the owner is kept: privacy level owners".to_owned(),
                place: String::new(),
                read_on: None,
            },
            purpose_source: None,
            seat_source: None,
        })
    }

    fn of(ownership: &Ownership<'_>) -> Self {
        let Ownership { owner, purpose, rule, source, purpose_source, list, .. } = ownership;
        Self {
            owner: owner.name.to_string(),
            country: owner.country,
            seat: owner.seat.as_deref().map(str::to_owned),
            parents: ownership.parents().map(|parent| parent.name.to_string()).collect(),
            purpose: *purpose,
            rule: (*rule).to_owned(),
            list: list.map(str::to_owned),
            source: source_of(source),
            purpose_source: purpose_source.map(source_of),
            seat_source: ownership.owner_source().map(source_of),
        }
    }
}

fn source_of(source: &owners::Source) -> Source {
    let owners::Source { title, place, read } = source;
    Source { title: title.to_string(), place: place.to_string(), read_on: read.map(|day| day.to_string()) }
}

impl Listed {
    fn of(listing: &Listing<'_>) -> Self {
        let Listing { list, date, rule, owner, purpose, note } = listing;
        let owner = owner.map(|owner| owner.name.to_string());
        let purpose = purpose.map(Purpose::label).map(str::to_owned);
        let said: Vec<_> = owner.into_iter().chain(purpose).chain(note.map(str::to_owned)).collect();
        Self {
            list: (*list).to_owned(),
            date: date.to_string(),
            rule: (*rule).to_owned(),
            said: said.join(", "),
        }
    }
}

fn hosting_words(hosting: &Hosting<'_, '_>) -> String {
    let Hosting { suffix, platform } = hosting;
    platform.map_or_else(|| (*suffix).to_owned(), |platform| format!("{suffix} ({})", platform.owner.name))
}
