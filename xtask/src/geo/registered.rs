//! In which country the operator of a system has registered it: a file that has it by address, joined by system.
//!
//! A system gets a country where nearly all of its addresses agree, and none otherwise: the two files do not see the
//! same routes, and one that is announced by somebody else carries somebody else's country.

use super::known_country;
use super::read::{Range, Ranges};
use gateway_core::enrich::table::RangeKey;
use gateway_core::units::Country;
use std::collections::BTreeMap;

/// This share of a system's addresses must have one country, in percent.
const MIN_AGREEMENT: u128 = 95;

/// A system of which the file is known to be wrong.
struct Override {
    number: u32,
    /// `None` where sources contradict each other.
    country: Option<Country>,
    /// What says so.
    #[cfg_attr(not(test), expect(dead_code, reason = "a source is for whoever reads or changes the list"))]
    source: &'static str,
    /// What goes wrong in the file.
    #[cfg_attr(not(test), expect(dead_code, reason = "a reason is for whoever reads or changes the list"))]
    reason: &'static str,
}

/// The systems of which the file is known to be wrong.
const OVERRIDES: &[Override] = &[
    Override {
        number: 13238,
        country: Some(Country(*b"RU")),
        source: "RIPE Database, aut-num AS13238: Yandex LLC, Moscow",
        reason: "Yandex's routes are put down to AS208398 (Teletech, Serbia)",
    },
    Override {
        number: 136_907,
        country: None,
        source: "APNIC whois, aut-num AS136907 and its organisation, Huawei International Pte. Ltd.",
        reason: "HK by its number, while the organisation is one of Singapore",
    },
];

/// The country in which each system is registered, in the order of `systems`.
pub fn by_system(systems: &Ranges<(u32, String)>, file: &Ranges<String>) -> Vec<Option<Country>> {
    let known = |number| OVERRIDES.iter().find(|known| known.number == number);
    let numbers = systems.values.iter().map(|(number, _)| *number);
    let mut countries = agreed(systems, file);
    for (number, country) in numbers.zip(&mut countries) {
        if let Some(known) = known(number) {
            *country = known.country;
        }
    }
    countries
}

/// How far another list bears out where systems are registered: systems that both know, and that they agree on. The
/// other list has it by address too; what was overridden is ours to defend and counts like the rest.
pub fn agreement(
    systems: &Ranges<(u32, String)>,
    registered: &[Option<Country>],
    other: &Ranges<String>,
) -> (usize, usize) {
    let others = agreed(systems, other);
    let both = registered.iter().zip(&others).filter_map(|(ours, theirs)| ours.zip(*theirs));
    let agree = both.clone().filter(|(ours, theirs)| ours == theirs).count();
    (both.count(), agree)
}

/// The country in which nearly all addresses of each system are by this file.
fn agreed(systems: &Ranges<(u32, String)>, file: &Ranges<String>) -> Vec<Option<Country>> {
    let codes: Vec<Option<Country>> = file.values.iter().map(|code| known_country(code)).collect();
    let mut v4 = vec![Share::default(); systems.values.len()];
    let mut v6 = v4.clone();
    add_up(&mut v4, &systems.v4, &file.v4, &codes);
    add_up(&mut v6, &systems.v6, &file.v6, &codes);
    v4.iter().zip(&v6).map(|(v4, v6)| if v4.total > 0 { v4.agreed() } else { v6.agreed() }).collect()
}

/// The addresses of one system.
#[derive(Clone, Default)]
struct Share {
    total: u128,
    by_country: BTreeMap<Country, u128>,
}

impl Share {
    fn agreed(&self) -> Option<Country> {
        let (country, &addrs) = self.by_country.iter().max_by_key(|&(_, &addrs)| addrs)?;
        (addrs * 100 >= self.total * MIN_AGREEMENT).then_some(*country)
    }
}

fn add_up<K: RangeKey>(
    shares: &mut [Share],
    systems: &[Range<K>],
    file: &[Range<K>],
    codes: &[Option<Country>],
) {
    let count = |first: K, last: K| u128::from(last.into() - first.into()) + 1;
    let mut from = 0;
    for system in systems {
        let Some(share) = shares.get_mut(system.value as usize) else { continue };
        share.total += count(system.first, system.last);
        while file.get(from).is_some_and(|range| range.last < system.first) {
            from += 1;
        }
        for range in file.get(from..).unwrap_or_default() {
            if range.first > system.last {
                break;
            }
            let Some(country) = codes.get(range.value as usize).copied().flatten() else { continue };
            let both = count(range.first.max(system.first), range.last.min(system.last));
            *share.by_country.entry(country).or_default() += both;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_core::enrich::envelope::TableDate;

    fn ranges<T>(values: Vec<T>, v4: &[(u32, u32, u32)], v6: &[(u64, u64, u32)]) -> Ranges<T> {
        Ranges {
            values,
            v4: v4.iter().map(|&(first, last, value)| Range { first, last, value }).collect(),
            v6: v6.iter().map(|&(first, last, value)| Range { first, last, value }).collect(),
            built_on: TableDate(20_697),
        }
    }

    #[test]
    fn nearly_all_addresses_must_agree() {
        let names = [64496, 64497, 64498, 64499, 13238].map(|number| (number, String::new()));
        let systems = ranges(
            names.to_vec(),
            &[(0, 99, 0), (100, 199, 1), (300, 399, 4), (500, 599, 2)],
            &[(0, 999, 0), (5000, 5009, 3)],
        );
        let codes = ["CN", "RS", "ZZ"].map(str::to_owned);
        let file = ranges(
            codes.to_vec(),
            &[(0, 94, 0), (95, 193, 1), (194, 250, 0), (300, 399, 1), (500, 599, 2)],
            &[(0, 999, 1), (4000, 6000, 0)],
        );
        let country = |code: &str| Country::parse(code);
        // 95 of 100, and the IPv6 half is not asked; 94 of 100; unknown; by IPv6 alone; known better.
        let expected = [country("CN"), None, None, country("CN"), country("RU")];
        assert_eq!(by_system(&systems, &file), expected);
    }

    #[test]
    fn agreement_is_counted_where_both_know() {
        let names = [64496, 64497, 64498].map(|number| (number, String::new()));
        let systems = ranges(names.to_vec(), &[(0, 99, 0), (100, 199, 1), (200, 299, 2)], &[]);
        let codes = ["CN", "RS"].map(str::to_owned);
        let other = ranges(codes.to_vec(), &[(0, 99, 0), (100, 199, 1)], &[]);
        let ours = ["CN", "DE", "DE"].map(Country::parse);
        assert_eq!(agreement(&systems, &ours, &other), (2, 1));
    }

    #[test]
    fn every_override_says_why() {
        for Override { number, source, reason, .. } in OVERRIDES {
            assert!(!source.is_empty() && !reason.is_empty(), "AS{number}");
        }
    }
}
