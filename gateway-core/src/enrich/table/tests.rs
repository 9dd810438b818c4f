#![allow(clippy::unwrap_used, reason = "tests panic on purpose")]

use super::*;
use crate::enrich::envelope::{self, TableKind};
use proptest::prelude::*;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// What an envelope has before the body.
const ENVELOPE_LEN: usize = 24;

fn packed(table: &NetworkTable) -> Vec<u8> {
    compress_to_vec(table.seal().unwrap().as_slice(), CompressionLevel::Fastest)
}

fn system(number: u32, organisation: &str) -> SystemEntry {
    SystemEntry { number, organisation: organisation.into(), registered: None, marks: NetworkMarks::NONE }
}

fn small() -> NetworkTable {
    let step = |start, value| Step { start, value };
    NetworkTable::new(&TableParts {
        date: TableDate(20_697),
        source: "made up".into(),
        as_of: "2026-09-01".into(),
        systems: vec![
            SystemEntry {
                registered: Country::parse("RU"),
                marks: NetworkMarks::CLOUD,
                ..system(45102, "Alibaba (US) Technology Co., Ltd.")
            },
            system(4_200_000_000, ""),
        ],
        countries: vec![Country(*b"SG"), Country(*b"RU")],
        systems_v4: vec![
            step(0x0800_0000, Some(0)),
            step(0x0800_00ff, Some(1)),
            step(0x0800_0100, None),
            step(u32::MAX, Some(1)),
        ],
        systems_v6: vec![
            Step { start: 0x2400_3200_0000_0000, value: Some(0) },
            Step { start: 0x2400_3201_0000_0000, value: None },
        ],
        countries_v4: vec![step(0, Some(1)), step(0x0800_0000, Some(0)), step(0xe000_0000, None)],
        countries_v6: vec![Step { start: 0x2400_3200_0000_0001, value: Some(1) }],
        anycast_v4: vec![(0x0800_00fe, 0x0800_00ff), (0xff00_0000, 0xff00_0000)],
        anycast_v6: vec![(0x2400_3200_0000_0000, 0x2400_3200_0000_ffff), (u64::MAX, u64::MAX)],
    })
    .unwrap()
}

/// What a test expects: system, country, and whether the address is announced in many places. Alibaba's system is
/// registered in RU and is a cloud; the other says nothing.
fn network(asn: Option<u32>, country: Option<&str>, is_anycast: bool) -> Network {
    let is_alibaba = asn == Some(45102);
    let of_system = if is_alibaba { NetworkMarks::CLOUD } else { NetworkMarks::NONE };
    let of_addr = if is_anycast { NetworkMarks::ANYCAST } else { NetworkMarks::NONE };
    Network {
        asn,
        organisation: is_alibaba.then(|| "Alibaba (US) Technology Co., Ltd.".to_owned()),
        country: country.map(|c| Country::parse(c).unwrap()),
        registered: Country::parse("RU").filter(|_| is_alibaba),
        marks: of_system.with(of_addr),
    }
}

#[track_caller]
fn check(table: &NetworkTable, addr: &str, expected: Option<Network>) {
    assert_eq!(table.network_of(addr.parse().unwrap()), expected, "{addr}");
}

#[test]
fn a_range_ends_where_the_next_begins() {
    let table = small();
    check(&table, "0.0.0.0", Some(network(None, Some("RU"), false)));
    check(&table, "7.255.255.255", Some(network(None, Some("RU"), false)));
    check(&table, "8.0.0.0", Some(network(Some(45102), Some("SG"), false)));
    check(&table, "8.0.0.253", Some(network(Some(45102), Some("SG"), false)));
    check(&table, "8.0.0.254", Some(network(Some(45102), Some("SG"), true)));
    check(&table, "8.0.0.255", Some(network(Some(4_200_000_000), Some("SG"), true)));
    check(&table, "8.0.1.0", Some(network(None, Some("SG"), false)));
    check(&table, "254.255.255.255", None);
    check(&table, "255.0.0.0", Some(network(None, None, true)));
    check(&table, "255.0.0.1", None);
    check(&table, "255.255.255.255", Some(network(Some(4_200_000_000), None, false)));
    check(&table, "2400:3200::1", Some(network(Some(45102), None, true)));
    check(&table, "2400:3200:0:1::", Some(network(Some(45102), Some("RU"), true)));
    check(&table, "2400:3200:1::", Some(network(Some(45102), Some("RU"), false)));
    check(&table, "2400:3201::", Some(network(None, Some("RU"), false)));
    check(&table, "2400:31ff:ffff::", None);
}

#[test]
fn a_system_is_found_by_its_number() {
    let table = small();
    let found = table.system(45102).unwrap();
    assert_eq!((found.number(), found.registered()), (45102, Country::parse("RU")));
    assert_eq!(found.organisation(), Some("Alibaba (US) Technology Co., Ltd."));
    assert_eq!(found.marks(), NetworkMarks::CLOUD);
    assert_eq!(table.system(4_200_000_000).unwrap().organisation(), None);
    assert!(table.system(1).is_none());
}

#[test]
fn every_system_has_its_own_name() {
    // More than a block of names, of lengths that take one byte and two.
    let systems: Vec<SystemEntry> =
        (0..200_u32).map(|n| system(n * n + 1, &"é".repeat(usize::try_from(n).unwrap()))).collect();
    let table = NetworkTable::new(&TableParts { systems: systems.clone(), ..TableParts::default() }).unwrap();
    for SystemEntry { number, organisation, .. } in &systems {
        assert_eq!(table.system(*number).unwrap().organisation().unwrap_or_default(), organisation);
    }
}

#[test]
fn an_ipv4_address_inside_ipv6_is_looked_up_as_ipv4() {
    let table = small();
    let expected = table.network_of("8.0.0.1".parse().unwrap());
    assert!(expected.is_some());
    check(&table, "::ffff:8.0.0.1", expected.clone());
    check(&table, "64:ff9b::8.0.0.1", expected);
    check(&table, "64:ff9b:1::8.0.0.1", None); // Local-use NAT64 (RFC 8215): where the address is, is not said.
    check(&table, "::8.0.0.1", None);
}

#[test]
fn an_empty_table_knows_nothing() {
    let table = NetworkTable::new(&TableParts::default()).unwrap();
    check(&table, "8.8.8.8", None);
    check(&table, "2001:4860:4860::8888", None);
    assert_eq!(NetworkTable::unpack(&packed(&table)), Ok(table));
}

#[test]
fn parts_that_contradict_themselves_are_refused() {
    let step = |start, value| Step { start, value };
    let systems = vec![system(7, "Seven"), system(9, "Nine")];
    for systems_v4 in [
        vec![step(5, None), step(5, Some(0))],
        vec![step(5, Some(0)), step(4, None)],
        vec![step(5, Some(2))],
        vec![step(5, Some(u32::MAX))],
    ] {
        let systems = systems.clone();
        check_refused("systems_v4", TableParts { systems, systems_v4, ..TableParts::default() });
    }
    for anycast_v4 in [vec![(5, 4)], vec![(4, 5), (5, 6)], vec![(0, u32::MAX), (0, 0)]] {
        check_refused("anycast_v4", TableParts { anycast_v4, ..TableParts::default() });
    }
    let twice = vec![system(7, "Seven"), system(7, "Seven")];
    check_refused("systems.number", TableParts { systems: twice, ..TableParts::default() });
    let registered = Country::parse("XX");
    let nowhere = systems.into_iter().map(|system| SystemEntry { registered, ..system }).collect();
    check_refused("systems.registered", TableParts { systems: nowhere, ..TableParts::default() });
}

#[track_caller]
fn check_refused(expected: &'static str, parts: TableParts) {
    match NetworkTable::new(&parts) {
        Err(TableError::Malformed { field, .. }) => assert_eq!(field, expected),
        other => panic!("{expected}: {other:?}"),
    }
}

#[test]
fn a_file_is_the_table_again() {
    let table = small();
    let packed = packed(&table);
    assert_eq!(NetworkTable::unpack(&packed).as_ref(), Ok(&table));
    for len in 0..packed.len() {
        assert!(NetworkTable::unpack(&packed[..len]).is_err(), "the first {len} packed bytes");
    }
}

#[test]
fn another_form_is_refused() {
    let bytes = envelope::seal(TableKind::Networks, FORMAT_VERSION + 1, TableDate(0), b"").unwrap();
    let error = TableError::UnknownVersion { found: FORMAT_VERSION + 1, known: FORMAT_VERSION };
    assert_eq!(
        NetworkTable::unpack(&compress_to_vec(bytes.as_slice(), CompressionLevel::Fastest)),
        Err(error)
    );
}

#[test]
fn every_prefix_of_a_body_is_refused() {
    let bytes = small().seal().unwrap();
    for len in ENVELOPE_LEN..bytes.len() {
        assert!(
            format::decode_body(TableDate(0), bytes[ENVELOPE_LEN..len].to_vec()).is_err(),
            "the first {len} bytes"
        );
    }
    let longer = [&bytes[ENVELOPE_LEN..], &[0]].concat();
    let error = TableError::Malformed { field: "end", found: 0 };
    assert_eq!(format::decode_body(TableDate(0), longer), Err(error));
}

/// Ranges as a list that is searched from the front: slow and plain.
fn naive<K: Copy + Ord>(steps: &BTreeMap<K, Option<u8>>, key: K) -> Option<u8> {
    let mut found = None;
    for (&start, &value) in steps {
        if start <= key {
            found = value;
        }
    }
    found
}

fn steps_of<K: Copy>(map: &BTreeMap<K, Option<u8>>) -> Vec<Step<K>> {
    map.iter().map(|(&start, &value)| Step { start, value: value.map(u32::from) }).collect()
}

fn value() -> impl Strategy<Value = Option<u8>> {
    prop_oneof![Just(None), (0..20_u8).prop_map(Some)]
}

/// Keys that lie close together, at the ends, and anywhere.
fn v4_key() -> impl Strategy<Value = u32> {
    prop_oneof![any::<u32>(), 0x0808_0000..0x0808_0040_u32, 0..4_u32, u32::MAX - 3..=u32::MAX]
}

fn v6_key() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        0x2400_0000_0000_0000..0x2a10_0000_0000_0000_u64,
        0x3fff_ffff_ffff_fff0..0x4000_0000_0000_0010_u64,
        u64::MAX - 3..=u64::MAX
    ]
}

proptest! {
    #[test]
    fn it_agrees_with_a_naive_map(
        systems_v4 in prop::collection::btree_map(v4_key(), value(), 0..60),
        systems_v6 in prop::collection::btree_map(v6_key(), value(), 0..60),
        countries_v4 in prop::collection::btree_map(v4_key(), value(), 0..60),
        countries_v6 in prop::collection::btree_map(v6_key(), value(), 0..60),
        asked_v4 in prop::collection::vec(v4_key(), 40),
        asked_v6 in prop::collection::vec(v6_key(), 40),
    ) {
        let built = NetworkTable::new(&TableParts {
            systems: (0..20).map(|n| system(n + 1, &format!("AS {n}"))).collect(),
            countries: (0..20).map(|n| Country([b'A', b'A' + n])).collect(),
            systems_v4: steps_of(&systems_v4),
            systems_v6: steps_of(&systems_v6),
            countries_v4: steps_of(&countries_v4),
            countries_v6: steps_of(&countries_v6),
            ..TableParts::default()
        }).unwrap();
        let table = NetworkTable::unpack(&packed(&built)).unwrap();
        prop_assert_eq!(&table, &built);
        let check = |addr: IpAddr, system: Option<u8>, country: Option<u8>| {
            let found = table.find(addr);
            assert_eq!(found.system.map(System::number), system.map(|n| u32::from(n) + 1), "{addr}");
            assert_eq!(found.country, country.map(|n| Country([b'A', b'A' + n])), "{addr}");
        };
        for key in asked_v4.into_iter().chain(systems_v4.keys().copied()).chain(countries_v4.keys().copied()) {
            check(Ipv4Addr::from_bits(key).into(), naive(&systems_v4, key), naive(&countries_v4, key));
        }
        for key in asked_v6.into_iter().chain(systems_v6.keys().copied()).chain(countries_v6.keys().copied()) {
            // All ones in the lower half: no address of that kind is IPv4 inside IPv6.
            let addr = Ipv6Addr::from_bits(u128::from(key) << 64 | u128::from(u64::MAX));
            check(addr.into(), naive(&systems_v6, key), naive(&countries_v6, key));
        }
    }

    #[test]
    fn no_bytes_make_it_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = format::decode_body(TableDate(0), body.clone());
        let _ = NetworkTable::unpack(&body);
    }

    #[test]
    fn no_change_behind_the_checksum_makes_it_panic(position in 0..200_usize, byte: u8, cut in 0..200_usize) {
        let bytes = small().seal().unwrap();
        let mut body = bytes[ENVELOPE_LEN..].to_vec();
        let position = position % body.len();
        body[position] = byte;
        let _ = format::decode_body(TableDate(0), body.clone());
        body.truncate(cut);
        let _ = format::decode_body(TableDate(0), body.clone());
    }
}
