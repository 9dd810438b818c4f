//! One MMDB file of the user's, whoever made it: which fields it has is found out once, when it is opened.

use anyhow::{Context, bail};
use gateway_core::enrich::envelope::TableDate;
use gateway_core::row::{Network, NetworkMarks};
use gateway_core::units::Country;
use maxminddb::{LookupResult, PathElement, Reader, WithinOptions};
use serde::Deserialize;
use std::net::IpAddr;
use std::path::Path;

type FieldPath = &'static [PathElement<'static>];

macro_rules! field {
    ($($key:literal)+) => { &[$(PathElement::Key($key)),+] };
}

/// Where the number of the system may be. MaxMind and DB-IP; MaxMind Enterprise; IPinfo; IPinfo with groups.
const NUMBER_FIELDS: [FieldPath; 4] = [
    field!("autonomous_system_number"),
    field!("traits" "autonomous_system_number"),
    field!("asn"),
    field!("as" "asn"),
];

/// Where its organisation may be, in the same order; IPinfo's free and paid files differ.
const ORGANISATION_FIELDS: [FieldPath; 5] = [
    field!("autonomous_system_organization"),
    field!("traits" "autonomous_system_organization"),
    field!("as_name"),
    field!("as" "name"),
    field!("name"),
];

/// Where the code of the country may be.
const COUNTRY_FIELDS: [FieldPath; 4] =
    [field!("country" "iso_code"), field!("country_code"), field!("geo" "country_code"), field!("country")];

/// Where the code of the country may be in which an address or its system is registered: paper, not place.
const REGISTERED_FIELDS: [FieldPath; 2] =
    [field!("registered_country" "iso_code"), field!("as" "country_code")];

/// Where it may say that an address is announced in many places. MaxMind; IPinfo.
const ANYCAST_FIELDS: [FieldPath; 2] = [field!("traits" "is_anycast"), field!("is_anycast")];

/// Where it may say that an address is a cloud's or a hoster's. MaxMind; IPinfo.
const HOSTING_FIELDS: [FieldPath; 2] = [field!("traits" "is_hosting_provider"), field!("is_hosting")];

/// How many networks are looked at to find out which fields a file has. The first ones of real files have all.
const PROBED_NETWORKS: usize = 4096;

const SECONDS_OF_A_DAY: u64 = 86_400;

/// An open file.
pub(super) struct MmdbFile {
    reader: Reader<Vec<u8>>,
    number: Option<FieldPath>,
    organisation: Option<FieldPath>,
    country: Option<FieldPath>,
    /// Where an address or its system is registered. The country of a file that is about systems alone is this.
    registered: Option<FieldPath>,
    built_on: TableDate,
}

impl MmdbFile {
    /// Opens a file and finds out what it gives.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        let bytes = std::fs::read(path).with_context(|| format!("read the MMDB file {shown}"))?;
        let reader = Reader::from_source(bytes).with_context(|| {
            format!("{shown} is not an MMDB file (unpack it first if it is a .gz, .xz, .zip or .tar)")
        })?;
        let metadata = reader.metadata();
        let built_on = u32::try_from(metadata.build_epoch / SECONDS_OF_A_DAY)
            .map(TableDate)
            .with_context(|| format!("{shown} has no sensible build date"))?;
        // A file about systems may carry the country where each is registered; that is not where an address is.
        let kind = metadata.database_type.to_lowercase();
        let only_systems = kind.contains("asn") && !kind.contains("country") && !kind.contains("city");
        let mut file =
            Self { number: None, organisation: None, country: None, registered: None, built_on, reader };
        let networks = file
            .reader
            .networks(WithinOptions::default())
            .with_context(|| format!("walk through {shown}"))?;
        let (mut number, mut organisation, mut country, mut registered) = (None, None, None, None);
        for found in networks.take(PROBED_NETWORKS) {
            let found = found.with_context(|| format!("walk through {shown}"))?;
            number = number.or_else(|| first(&NUMBER_FIELDS, |field| number_at(&found, field).is_some()));
            organisation = organisation
                .or_else(|| first(&ORGANISATION_FIELDS, |field| text_at(&found, field).is_some()));
            country = country.or_else(|| first(&COUNTRY_FIELDS, |field| country_at(&found, field).is_some()));
            registered =
                registered.or_else(|| first(&REGISTERED_FIELDS, |field| country_at(&found, field).is_some()));
        }
        (file.number, file.organisation) = (number, organisation);
        (file.country, file.registered) =
            if only_systems { (None, registered.or(country)) } else { (country, registered) };
        if !file.gives_systems() && !file.gives_countries() {
            let kind = &file.reader.metadata().database_type;
            bail!(
                "{shown} ({kind:?}) has neither countries nor autonomous systems; give a country, city or ASN file"
            );
        }
        Ok(file)
    }

    /// Walks through all of it: every network leads to a record, and every record can be read.
    pub(super) fn verify(&self) -> anyhow::Result<()> {
        let damaged = "what came is a damaged MMDB file";
        for found in self.reader.networks(WithinOptions::default()).context(damaged)? {
            found.and_then(|found| found.decode::<serde::de::IgnoredAny>()).context(damaged)?;
        }
        Ok(())
    }

    /// Does it know autonomous systems?
    pub(super) fn gives_systems(&self) -> bool {
        self.number.is_some()
    }

    /// Does it know countries?
    pub(super) fn gives_countries(&self) -> bool {
        self.country.is_some()
    }

    /// The day it was built on.
    pub(super) fn built_on(&self) -> TableDate {
        self.built_on
    }

    /// Adds what this file knows of an address and is not known yet. A damaged record knows nothing.
    pub(super) fn fill(&self, addr: IpAddr, network: &mut Network) {
        let Ok(found) = self.reader.lookup(addr.to_canonical()) else { return };
        if network.asn.is_none() {
            network.asn = self.number.and_then(|field| number_at(&found, field));
            if network.asn.is_some() {
                network.organisation =
                    self.organisation.and_then(|field| text_at(&found, field)).map(str::to_owned);
            }
        }
        if network.country.is_none() {
            network.country = self.country.and_then(|field| country_at(&found, field));
        }
        if network.registered.is_none() {
            network.registered = self.registered.and_then(|field| country_at(&found, field));
        }
        let says = |fields: &[FieldPath]| {
            fields.iter().any(|field| matches!(found.decode_path::<bool>(field), Ok(Some(true))))
        };
        if says(&ANYCAST_FIELDS) {
            network.marks = network.marks.with(NetworkMarks::ANYCAST);
        }
        if says(&HOSTING_FIELDS) {
            network.marks = network.marks.with(NetworkMarks::CLOUD);
        }
    }
}

fn first(fields: &[FieldPath], has: impl Fn(FieldPath) -> bool) -> Option<FieldPath> {
    fields.iter().copied().find(|&field| has(field))
}

/// A number, be it written as 15169 or as "AS15169". Zero is nobody's (RFC 7607).
fn number_at(found: &LookupResult<'_, Vec<u8>>, field: FieldPath) -> Option<u32> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Number<'a> {
        Plain(u32),
        Text(&'a str),
    }
    let number = match found.decode_path::<Number<'_>>(field).ok()?? {
        Number::Plain(number) => number,
        Number::Text(text) => text.strip_prefix("AS").unwrap_or(text).parse().ok()?,
    };
    (number != 0).then_some(number)
}

fn text_at<'a>(found: &LookupResult<'a, Vec<u8>>, field: FieldPath) -> Option<&'a str> {
    found.decode_path::<&str>(field).ok()?.filter(|text| !text.is_empty())
}

/// "ZZ" is how sources say that they do not know (ISO 3166-1 leaves it to users).
fn country_at(found: &LookupResult<'_, Vec<u8>>, field: FieldPath) -> Option<Country> {
    Country::parse(text_at(found, field)?).filter(|country| country.0 != *b"ZZ")
}
