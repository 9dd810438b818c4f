//! A dossier as text for a terminal.

use super::model::{Dates, Dossier, NameFacts, NameLine, Owned, Registered, Source, Subject};
use crate::enrich::owners::Purpose;
use crate::report::amount::{percent, several};
use crate::report::table::{Align, Style, Table, clean, fitted};
use crate::report::text::{Look, line, title};
use crate::row::Network;
use crate::units::{Country, Volume};

/// Puts a dossier in writing; each list is cut to `limit` lines.
#[must_use]
pub fn text(dossier: &Dossier, limit: usize, look: &Look<'_>) -> String {
    let mut out = String::new();
    line(&mut out, &look.paint.styled(&clean(&dossier.title), Style::Bold));
    for remark in &dossier.remarks {
        line(&mut out, &format!("  {}", clean(remark)));
    }
    head(&mut out, dossier, look);
    if !dossier.has_contact() {
        line(&mut out, "\nNo device had contact with it in the time asked for.");
        return fitted(&out, look.width);
    }
    names_part(&mut out, dossier, limit, look);
    networks_part(&mut out, dossier, limit, look);
    countries_part(&mut out, dossier, limit, look);
    if !matches!(dossier.subject, Subject::Device(_)) {
        devices_part(&mut out, dossier, limit, look);
    }
    days_part(&mut out, dossier, limit, look);
    if !dossier.sisters.is_empty() {
        let owner =
            dossier.facts.as_ref().and_then(|f| f.owned.as_ref()).map_or("the owner", |o| o.owner.as_str());
        title(&mut out, &format!("Other names of {} that were contacted", clean(owner)), look);
        name_table(&mut out, &dossier.sisters, limit, look);
    }
    fitted(&out, look.width)
}

/// `Xiaomi (Beijing, CN)`.
#[must_use]
pub fn owned_words(owned: &Owned) -> String {
    let place: Vec<_> = owned.seat.clone().into_iter().chain(owned.country.map(|c| c.to_string())).collect();
    let place = if place.is_empty() { String::new() } else { format!(" ({})", place.join(", ")) };
    let parents: Vec<_> = owned.parents.iter().map(|parent| format!(", owned by {parent}")).collect();
    format!("{}{place}{}", owned.owner, parents.concat())
}

fn head(out: &mut String, dossier: &Dossier, look: &Look<'_>) {
    let Dossier { subject, facts, registered, network, dates, .. } = dossier;
    let mut said = |what: &str, text: &str| {
        let mark = look.paint.styled(&format!("{what:<11}"), Style::Dim);
        line(out, &format!("  {mark} {}", clean(text)));
    };
    if let Some(facts) = facts {
        owner_lines(facts, dates, &mut said);
        registered_lines(facts, registered.as_ref(), look, &mut said);
    }
    if let Subject::Address(_) = subject {
        let (network, country) = match network {
            Some(known) => {
                (network_words(known), country_words(known.country, known.marks.country_is_doubtful()))
            }
            None => (None, "unknown".to_owned()),
        };
        let as_of = match &*dates.networks {
            "" => ": this program has no table of networks".to_owned(),
            date => format!(" (table of {date})"),
        };
        said("network", &format!("{}{as_of}", network.as_deref().unwrap_or("unknown")));
        said("country", &format!("{country}{as_of}"));
    }
}

/// What is said of what nobody looked up.
const NOT_LOOKED_UP: &str = "general knowledge, not looked up";

fn source_words(source: &Source) -> String {
    let Source { title, place, read_on } = source;
    let place = if place.is_empty() { String::new() } else { format!(", {place}") };
    let read = read_on.as_ref().map_or_else(|| NOT_LOOKED_UP.to_owned(), |day| format!("as of {day}"));
    format!("{title}{place} ({read})")
}

/// The purpose, and who says so where that is not who says whose the name is.
fn purpose_words(owned: &Owned) -> String {
    let label = owned.purpose.label();
    match &owned.purpose_source {
        _ if owned.purpose == Purpose::Service => format!("{label}, not further known"),
        None => format!("{label} ({NOT_LOOKED_UP})"),
        Some(source) if *source == owned.source => label.to_owned(),
        Some(source) => format!("{label}, by {}", source_words(source)),
    }
}

fn owner_lines(facts: &NameFacts, dates: &Dates, said: &mut dyn FnMut(&str, &str)) {
    match &facts.owned {
        Some(owned) => {
            said("owner", &owned_words(owned));
            if owned.country.is_some() && owned.list.is_none() {
                let words = owned.seat_source.as_ref().map(source_words);
                said("seat source", words.as_deref().unwrap_or(NOT_LOOKED_UP));
            }
            said("purpose", &purpose_words(owned));
            let of_list = owned.list.as_ref().map(|list| format!(" of your list {list}")).unwrap_or_default();
            said("by the rule", &format!("{}{of_list}", owned.rule));
            said("source", &source_words(&owned.source));
        }
        None if dates.owners.is_empty() => said("owner", "unknown: this program has no table of owners"),
        None => said("owner", &format!("unknown: no rule covers it (table of {})", dates.owners)),
    }
    if let Some(service) = &facts.hosted_under {
        said("hosted", &format!("under {service}, where customers have names of their own"));
    }
    for listed in &facts.listed {
        let more = if listed.said.is_empty() { String::new() } else { format!(": {}", listed.said) };
        said("listed by", &format!("{} of {}, entry {}{more}", listed.list, listed.date, listed.rule));
    }
}

fn registered_lines(
    facts: &NameFacts,
    registered: Option<&Registered>,
    look: &Look<'_>,
    said: &mut dyn FnMut(&str, &str),
) {
    let Some(domain) = &facts.registrable else {
        said("registrant", "none: this is no name that somebody registers");
        return;
    };
    let Some(Registered { domain, server, asked_at, registration }) = registered else {
        said("registrant", &format!("unknown: the registry of {domain} was not asked (--rdap asks it)"));
        return;
    };
    if server.is_empty() {
        said("registrant", &format!("the registry of {domain} does not answer over RDAP"));
        return;
    }
    let place: Vec<_> = registration
        .registrant_region
        .clone()
        .into_iter()
        .chain(registration.registrant_country.map(|c| c.to_string()))
        .collect();
    let place = if place.is_empty() { String::new() } else { format!(" ({})", place.join(", ")) };
    let who = match &registration.registrant {
        Some(registrant) => format!("{registrant}{place}"),
        None if registration.is_redacted => format!("withheld by the registry{place}"),
        None => format!("not told{place}"),
    };
    said("registrant", &format!("{who}, of {domain}"));
    if let Some(registrar) = &registration.registrar {
        said("registrar", registrar);
    }
    if let Some(day) = &registration.registered_on {
        said("registered", day);
    }
    said("source", &format!("RDAP answer of {server}, asked {}", look.local(*asked_at)));
}

/// `AS45102 Alibaba (US) Technology Co., Ltd., registered in CN (cloud)`.
fn network_words(network: &Network) -> Option<String> {
    let parts: Vec<_> =
        network.asn.map(|n| format!("AS{n}")).into_iter().chain(network.organisation.clone()).collect();
    let registered =
        network.registered.map(|country| format!(", registered in {country}")).unwrap_or_default();
    let marks: Vec<_> = network.marks.words().collect();
    let marks = if marks.is_empty() { String::new() } else { format!(" ({})", marks.join(", ")) };
    (!parts.is_empty()).then(|| format!("{}{registered}{marks}", parts.join(" ")))
}

/// `SG`, `AU, or anywhere: anycast`.
fn country_words(country: Option<Country>, is_doubtful: bool) -> String {
    match (country, is_doubtful) {
        (None, _) => "unknown".to_owned(),
        (Some(country), false) => country.to_string(),
        (Some(country), true) => format!("{country}, or anywhere: anycast"),
    }
}

fn total(dossier: &Dossier) -> Volume {
    let mut total = Volume::default();
    dossier.devices.iter().for_each(|device| total.add(device.volume));
    total
}

fn volume_cells(volume: Volume, of: Volume, look: &Look<'_>) -> [String; 3] {
    [look.bytes(volume.up_bytes), look.bytes(volume.down_bytes), percent(volume.up_bytes, of.up_bytes)]
}

/// What is left out is said.
fn more(table: &mut Table, all: usize, limit: usize) {
    let left = all.saturating_sub(limit);
    if left > 0 {
        table.note(&format!("and {} (--limit 0 shows all)", several(left, "more line")));
    }
}

fn names_part(out: &mut String, dossier: &Dossier, limit: usize, look: &Look<'_>) {
    let is_itself = |line: &NameLine| match (&dossier.subject, &line.name) {
        (Subject::Name(name), Some(one)) => name == one,
        _ => false,
    };
    if dossier.names.iter().all(is_itself) {
        return;
    }
    let head = match dossier.subject {
        Subject::Name(_) => "Names at and below it that were contacted",
        _ => "Names that were contacted",
    };
    title(out, head, look);
    name_table(out, &dossier.names, limit, look);
}

fn name_table(out: &mut String, names: &[NameLine], limit: usize, look: &Look<'_>) {
    let mut whole = Volume::default();
    names.iter().for_each(|line| whole.add(line.volume));
    let right = Align::Right;
    let mut table = Table::new(&[
        ("name", Align::Name(24)),
        ("owner", Align::Beneath(12)),
        ("purpose", Align::Beneath(9)),
        ("up", right),
        ("down", right),
        ("of upload", right),
    ]);
    for NameLine { name, facts, volume } in names.iter().take(limit) {
        let mut cells = vec![
            name.as_ref().map_or_else(|| "(no name)".to_owned(), ToString::to_string),
            facts.owned.as_ref().map_or_else(|| "-".to_owned(), short_owner),
            facts.owned.as_ref().map_or("-", |o| o.purpose.label()).to_owned(),
        ];
        cells.extend(volume_cells(*volume, whole, look));
        table.push(cells);
    }
    more(&mut table, names.len(), limit);
    out.push_str(&table.render(2, look.width, look.paint));
}

/// `Xiaomi, CN`.
fn short_owner(owned: &Owned) -> String {
    owned.country.map_or_else(|| owned.owner.clone(), |country| format!("{}, {country}", owned.owner))
}

fn networks_part(out: &mut String, dossier: &Dossier, limit: usize, look: &Look<'_>) {
    let Dossier { networks, dates, .. } = dossier;
    let as_of =
        if dates.networks.is_empty() { String::new() } else { format!(" (as of {})", dates.networks) };
    title(out, &format!("Networks its addresses are in{as_of}"), look);
    let right = Align::Right;
    let mut table = Table::new(&[
        ("network", Align::Name(24)),
        ("addresses", Align::Beneath(39)),
        ("up", right),
        ("down", right),
        ("of upload", right),
    ]);
    let whole = total(dossier);
    for known in networks.iter().take(limit) {
        let addrs = match known.addrs.as_slice() {
            [] => "-".to_owned(),
            [one] => one.to_string(),
            [one, others @ ..] => format!("{one} +{}", others.len()),
        };
        let mut cells = vec![network_words(&known.network).unwrap_or_else(|| "unknown".to_owned()), addrs];
        cells.extend(volume_cells(known.volume, whole, look));
        table.push(cells);
    }
    more(&mut table, networks.len(), limit);
    out.push_str(&table.render(2, look.width, look.paint));
}

fn countries_part(out: &mut String, dossier: &Dossier, limit: usize, look: &Look<'_>) {
    title(out, "Countries its addresses are in", look);
    let right = Align::Right;
    let mut table =
        Table::new(&[("country", Align::Left), ("up", right), ("down", right), ("of upload", right)]);
    let whole = total(dossier);
    for (country, is_doubtful, volume) in dossier.countries.iter().take(limit) {
        let mut cells = vec![country_words(*country, *is_doubtful)];
        cells.extend(volume_cells(*volume, whole, look));
        table.push(cells);
    }
    more(&mut table, dossier.countries.len(), limit);
    out.push_str(&table.render(2, look.width, look.paint));
}

fn devices_part(out: &mut String, dossier: &Dossier, limit: usize, look: &Look<'_>) {
    title(out, "Devices that had contact", look);
    let right = Align::Right;
    let mut table = Table::new(&[
        ("device", Align::Cut(16)),
        ("up", right),
        ("down", right),
        ("of upload", right),
        ("first seen", Align::Beneath(23)),
        ("last seen", Align::Beneath(23)),
    ]);
    let whole = total(dossier);
    for device in dossier.devices.iter().take(limit) {
        let mut cells = vec![device.name.clone()];
        cells.extend(volume_cells(device.volume, whole, look));
        cells.extend([look.local(device.first_at), look.local(device.last_at)]);
        table.push(cells);
    }
    more(&mut table, dossier.devices.len(), limit);
    out.push_str(&table.render(2, look.width, look.paint));
}

fn days_part(out: &mut String, dossier: &Dossier, limit: usize, look: &Look<'_>) {
    title(out, "By day", look);
    let right = Align::Right;
    let mut table =
        Table::new(&[("day", Align::Left), ("device", Align::Cut(16)), ("up", right), ("down", right)]);
    for day in dossier.days.iter().take(limit) {
        let Volume { up_bytes, down_bytes, .. } = day.volume;
        table.push(vec![day.day.clone(), day.device.clone(), look.bytes(up_bytes), look.bytes(down_bytes)]);
    }
    more(&mut table, dossier.days.len(), limit);
    out.push_str(&table.render(2, look.width, look.paint));
}
