//! Checked files → the parts of a table, in an order that depends on nothing but what they say.

use super::read::{File, RawOwner, RawSource};
use anyhow::Context;
use gateway_core::enrich::envelope::TableDate;
use gateway_core::enrich::owners::{Owner, OwnerParts, Ownership, Purpose, RuleParts, Source};
use gateway_core::units::{Country, DomainName};
use jiff::civil::Date;
use std::collections::BTreeMap;

/// What rules have in common: owner, purpose, source, what proves the purpose, and whether they stand for a suffix.
type RuleKind = (usize, Purpose, usize, Option<usize>, bool);

/// What the files come to.
///
/// # Errors
/// Where they say what [`check`](super::check) would have complained of.
pub fn parts(files: &[File]) -> anyhow::Result<OwnerParts> {
    let sources: BTreeMap<&str, Source> = files
        .iter()
        .flat_map(|file| &file.raw.source)
        .map(|(key, source)| {
            let RawSource { title, place, read } = source.get_ref();
            let day = |text: &String| day_of(text).with_context(|| format!("read the day {text}"));
            let read = read.as_ref().map(day).transpose()?;
            Ok((&**key, Source { title: title.as_str().into(), place: place.as_str().into(), read }))
        })
        .collect::<anyhow::Result<_>>()?;
    let owners: BTreeMap<&str, &RawOwner> =
        files.iter().flat_map(|file| &file.raw.owner).map(|owner| (&**owner.id.get_ref(), owner)).collect();
    let source_at = places(sources.keys());
    let owner_at = places(owners.keys());
    let find =
        |at: &BTreeMap<&str, usize>, key: &str| at.get(key).copied().with_context(|| format!("find {key}"));
    // Names of one owner, purpose and source are one rule, however the files group them.
    let mut rules: BTreeMap<RuleKind, BTreeMap<Vec<String>, DomainName>> = BTreeMap::new();
    let mut listed = Vec::with_capacity(owners.len());
    for (id, owner) in &owners {
        let at = find(&owner_at, id)?;
        let country = owner.country.as_ref().and_then(|code| Country::parse(code.get_ref()));
        let parent = owner.parent.as_ref().map(|parent| find(&owner_at, parent.get_ref())).transpose()?;
        let source = owner.source.as_ref().map(|key| find(&source_at, key.get_ref())).transpose()?;
        listed.push((Owner::new(id, &owner.name, country, owner.seat.as_deref()), parent, source));
        for rule in &owner.rules {
            let word = rule.purpose.get_ref();
            let purpose = Purpose::from_word(word).with_context(|| format!("find the purpose {word}"))?;
            let source = find(&source_at, rule.source.get_ref())?;
            let purpose_source =
                rule.purpose_source.as_ref().map(|key| find(&source_at, key.get_ref())).transpose()?;
            let has_customers = rule.customers.as_ref().is_none_or(|customers| *customers.get_ref());
            let names = rules.entry((at, purpose, source, purpose_source, has_customers)).or_default();
            for name in &rule.names {
                let name = DomainName::parse(name.get_ref())
                    .with_context(|| format!("understand the name {}", name.get_ref()))?;
                // By their labels from the last to the first: what looks alike stands together, and compresses.
                names.insert(name.as_str().rsplit('.').map(str::to_owned).collect(), name);
            }
        }
    }
    let rules = rules.into_iter().map(|((owner, purpose, source, purpose_source, has_customers), names)| {
        let names = names.into_values().collect();
        RuleParts { owner, purpose, source, purpose_source, has_customers, names }
    });
    let as_of = sources.values().filter_map(|source| source.read).max().unwrap_or_default();
    Ok(OwnerParts { as_of, sources: sources.into_values().collect(), owners: listed, rules: rules.collect() })
}

fn places<'a>(keys: impl Iterator<Item = &'a &'a str>) -> BTreeMap<&'a str, usize> {
    keys.enumerate().map(|(at, key)| (*key, at)).collect()
}

/// The day of a text such as `2026-11-23`.
pub fn day_of(text: &str) -> Option<TableDate> {
    let day: Date = text.parse().ok().filter(|day: &Date| day.to_string() == text)?;
    let days = day.since(Date::constant(1970, 1, 1)).ok()?.get_days();
    u32::try_from(days).ok().map(TableDate)
}

/// How many rules say of their names what a shorter rule says already, be it by another source.
pub fn repeating(rules: &[Ownership<'_>]) -> usize {
    let by_name: BTreeMap<&str, (&str, Purpose)> =
        rules.iter().map(|rule| (rule.rule, (&*rule.owner.id, rule.purpose))).collect();
    let shorter = |name: &str| {
        let mut rest = name;
        while let Some((_, above)) = rest.split_once('.') {
            if let Some(found) = by_name.get(above) {
                return Some(*found);
            }
            rest = above;
        }
        None
    };
    by_name.iter().filter(|(name, said)| shorter(name).as_ref() == Some(*said)).count()
}
