#![allow(clippy::unwrap_used, reason = "tests panic on purpose")]

use super::*;

const SEPTEMBER: TableDate = TableDate(20_697);
const OCTOBER: TableDate = TableDate(20_727);

fn ranges<T>(
    values: Vec<T>,
    v4: &[(u32, u32, u32)],
    v6: &[(u64, u64, u32)],
    built_on: TableDate,
) -> Ranges<T> {
    Ranges {
        values,
        v4: v4.iter().map(|&(first, last, value)| Range { first, last, value }).collect(),
        v6: v6.iter().map(|&(first, last, value)| Range { first, last, value }).collect(),
        built_on,
    }
}

/// A large access network, a small one, and a small one with a name that counts.
fn systems() -> Ranges<(u32, String)> {
    let values = vec![
        (64496, "Small Net".to_owned()),
        (64497, "XIAOMI H.K. Limited".to_owned()),
        (64498, "Big".to_owned()),
    ];
    let v4 = [(0x0100_0000, 0x0100_00ff, 0), (0x0100_0100, 0x0100_01ff, 1), (0x0200_0000, 0x020f_ffff, 2)];
    ranges(values, &v4, &[(0x2a00_0001 << 32, (0x2a00_0002 << 32) - 1, 1)], SEPTEMBER)
}

fn countries(built_on: TableDate) -> Ranges<String> {
    let values = vec!["SG".to_owned(), "ZZ".to_owned(), "DE".to_owned()];
    let v4 = [(0x0100_0000, 0x0100_01fe, 0), (0x0100_01ff, 0x0100_01ff, 2), (0x0a00_0000, 0x0aff_ffff, 1)];
    // Two /32s in twenty pieces each; the first is in the network that has a name.
    let v6: Vec<(u64, u64, u32)> = [0x2a00_0001_u64, 0x2a00_0003]
        .into_iter()
        .flat_map(|block| {
            (0..20_u64).map(move |n| {
                let first = block << 32 | n << 16;
                (first, first | 0xffff, if n % 2 == 0 { 0 } else { 2 })
            })
        })
        .collect();
    ranges(values, &v4, &v6, built_on)
}

/// Where the two named systems are registered: half of the small one's addresses say nothing.
fn registered() -> Ranges<String> {
    let v4 = [(0x0100_0000, 0x0100_007f, 0), (0x0100_0100, 0x0100_01ff, 0), (0x0200_0000, 0x020f_ffff, 1)];
    ranges(vec!["CN".to_owned(), "ZZ".to_owned()], &v4, &[], TableDate(20_712))
}

fn sources(built_on: TableDate) -> Sources {
    Sources::new(systems(), countries(built_on), &registered()).unwrap()
}

#[track_caller]
fn check(table: &NetworkTable, addr: &str, system: Option<u32>, country: Option<&str>) {
    let found = table.find(addr.parse().unwrap());
    assert_eq!(found.system.map(System::number), system, "{addr}");
    assert_eq!(found.country, country.map(|c| Country::parse(c).unwrap()), "{addr}");
}

#[test]
fn what_the_small_table_keeps_is_exact_and_the_rest_unknown() {
    let sources = sources(SEPTEMBER);
    let (table, blanked) = build(&sources, Size::Small).unwrap();
    check(&table, "1.0.0.255", None, Some("SG"));
    check(&table, "1.0.1.0", Some(64497), Some("SG"));
    check(&table, "1.0.1.255", Some(64497), Some("DE")); // One address of a /24.
    check(&table, "2.15.255.255", Some(64498), None);
    check(&table, "10.0.0.1", None, None);
    check(&table, "2a00:1:1::", Some(64497), Some("DE"));
    check(&table, "2a00:3:1::", None, None);
    assert_eq!((blanked, table.system_count()), (1, 2));
    check_truth(&table, &sources, Size::Small).unwrap();
    assert!(check_truth(&table, &sources, Size::Full).is_err(), "it says less");
}

#[test]
fn the_full_table_says_all_that_the_files_say() {
    let sources = sources(SEPTEMBER);
    let (table, blanked) = build(&sources, Size::Full).unwrap();
    check(&table, "1.0.0.255", Some(64496), Some("SG"));
    check(&table, "2a00:1:1::", Some(64497), Some("DE"));
    check(&table, "2a00:3:1::", None, Some("DE"));
    assert_eq!((blanked, table.system_count()), (0, 3));
    check_truth(&table, &sources, Size::Full).unwrap();
    let country = |number| table.system(number).unwrap().registered();
    assert_eq!([64496, 64497, 64498].map(country), [None, Country::parse("CN"), None]);
    let public = table.find("8.8.8.8".parse().unwrap()).marks();
    assert!(public.country_is_doubtful(), "whoever announces it: {public:?}");
}

#[test]
fn a_table_that_says_something_else_is_not_written() {
    let right = sources(SEPTEMBER);
    let (table, _) = build(&right, Size::Full).unwrap();
    let mut others = sources(SEPTEMBER);
    others.systems.values.swap(0, 1);
    assert!(check_truth(&table, &others, Size::Full).is_err());
    let mut others = sources(SEPTEMBER);
    others.countries.values.swap(0, 2);
    assert!(check_truth(&table, &others, Size::Full).is_err());
    let mut others = sources(SEPTEMBER);
    others.registered.swap(0, 1);
    assert!(check_truth(&table, &others, Size::Full).is_err());
    assert!(check_sentinels(&table).is_err());
}

#[test]
fn the_dates_of_the_files_are_told_apart() {
    use gateway_core::enrich::Networks;
    let (table, _) = build(&sources(SEPTEMBER), Size::Small).unwrap();
    assert_eq!(table.as_of(), "2026-09-01, registered 2026-09-16");
    let (table, _) = build(&sources(OCTOBER), Size::Small).unwrap();
    assert_eq!(table.as_of(), "ASN 2026-09-01, country 2026-10-01, registered 2026-09-16");
    assert_eq!(table.date(), SEPTEMBER);
}
