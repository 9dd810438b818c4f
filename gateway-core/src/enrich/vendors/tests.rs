#![allow(clippy::unwrap_used, reason = "tests panic on purpose")]

use super::*;
use proptest::prelude::*;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

fn block(len: PrefixLen, prefix: u64, vendor: Option<&str>) -> Assignment {
    Assignment { len, prefix, vendor: vendor.map(str::to_owned) }
}

fn table() -> VendorTable {
    let blocks = vec![
        block(PrefixLen::Large, 0x7c_03ab, Some("Xiaomi Communications")),
        block(PrefixLen::Large, 0x64_1111, Some("Xiaomi Communications")),
        block(PrefixLen::Large, 0x00_1b21, Some("Intel Corporate")),
        block(PrefixLen::Medium, 0x5_5da1, Some("KoolPOS")),
        block(PrefixLen::Medium, 0x7c0_3ab5, None),
        block(PrefixLen::Small, 0x1b2_1000, Some("Converging Systems")),
        block(PrefixLen::Small, 0xf_cfff_ffff, Some("The last")),
    ];
    VendorTable::new("a test", TableDate(20_727), blocks).unwrap()
}

#[track_caller]
fn check(mac: &str, expected: Vendor<'_>) {
    let mac: Mac = mac.parse().unwrap();
    let table = table();
    assert_eq!(table.vendor_of(mac), expected);
    let packed = compress_to_vec(table.encode().unwrap().as_slice(), CompressionLevel::Fastest);
    assert_eq!(VendorTable::open(&packed).unwrap().vendor_of(mac), expected, "from its file");
}

#[test]
fn the_longest_prefix_counts() {
    check("7c:03:ab:12:34:56", Vendor::Known("Xiaomi Communications"));
    check("00:1b:21:00:1f:ff", Vendor::Known("Intel Corporate"));
    check("00:1b:21:00:0f:ff", Vendor::Known("Converging Systems"));
    check("00:55:da:1f:ff:ff", Vendor::Known("KoolPOS"));
    check("fc:ff:ff:ff:f0:00", Vendor::Known("The last"));
}

#[test]
fn what_is_not_in_the_table_is_unknown() {
    for mac in ["00:55:da:20:00:00", "00:55:da:00:00:00", "00:00:00:00:00:00", "fc:ff:ff:ff:ef:ff"] {
        check(mac, Vendor::Unknown);
    }
    check("7c:03:ab:5f:00:00", Vendor::Unknown); // a part of the block that is another's
    check("7c:03:ab:60:00:00", Vendor::Known("Xiaomi Communications"));
}

#[test]
fn made_up_addresses_and_groups_have_no_maker() {
    // The bytes of Xiaomi's prefix with the locally administered bit, and with the group bit.
    check("7e:03:ab:12:34:56", Vendor::Randomised);
    check("7d:03:ab:12:34:56", Vendor::Unknown);
    check("ff:ff:ff:ff:ff:ff", Vendor::Unknown);
}

#[test]
fn a_table_that_nobody_wrote_is_refused() {
    let date = TableDate(0);
    let twice = vec![block(PrefixLen::Large, 1, Some("a")), block(PrefixLen::Large, 1, Some("b"))];
    let too_long = vec![block(PrefixLen::Large, 1 << 24, Some("a"))];
    let unprintable = vec![block(PrefixLen::Large, 1, Some("a\u{1b}[31m"))];
    let nameless = vec![block(PrefixLen::Large, 1, Some(""))];
    let long_name = vec![block(PrefixLen::Large, 1, Some(&"a".repeat(256)))];
    for bad in [twice, too_long, unprintable, nameless, long_name] {
        let refused = VendorTable::new("x", date, bad.clone());
        assert!(matches!(refused, Err(TableError::Malformed { .. })), "{bad:?} {refused:?}");
    }
    let many: Vec<_> = (0..65_536).map(|prefix| block(PrefixLen::Large, prefix, Some("a"))).collect();
    assert_eq!(VendorTable::new("x", date, many), Err(TableError::TooLarge));
}

#[test]
fn every_prefix_of_a_body_is_refused() {
    let bytes = table().encode().unwrap();
    let body = &bytes[24..];
    assert_eq!(format::decode_body(TableDate(20_727), body), Ok(table()));
    for len in 0..body.len() {
        assert!(format::decode_body(TableDate(0), &body[..len]).is_err(), "{len}");
    }
    let longer = [body, &[0]].concat();
    assert_eq!(
        format::decode_body(TableDate(0), &longer),
        Err(TableError::Malformed { field: "end", found: 0 })
    );
}

fn any_blocks() -> impl Strategy<Value = Vec<Assignment>> {
    let names = prop::sample::select(vec![None, Some("Aé"), Some("B & C"), Some("Xiaomi"), Some("d")]);
    let one = (0_u64..1 << 48, 0..3_u8, names).prop_map(|(bits, len, vendor)| {
        let len = match len {
            0 => PrefixLen::Large,
            1 => PrefixLen::Medium,
            _ => PrefixLen::Small,
        };
        block(len, bits >> (48 - len.bits()), vendor)
    });
    prop::collection::vec(one, 0..200).prop_map(|mut blocks| {
        blocks.sort_by_key(|b| (b.len, b.prefix));
        blocks.dedup_by_key(|b| (b.len, b.prefix));
        blocks
    })
}

proptest! {
    #[test]
    fn it_says_what_a_list_says(blocks in any_blocks(), others in prop::collection::vec(any::<[u8; 6]>(), 20)) {
        let table = VendorTable::new("x", TableDate(1), blocks.clone()).unwrap();
        let inside = blocks.iter().map(|b| {
            let [_, _, mac @ ..] = (b.prefix << (48 - b.len.bits())).to_be_bytes();
            mac
        });
        for mac in inside.chain(others).map(Mac) {
            let [a, b, c, d, e, f] = mac.0;
            let bits = u64::from_be_bytes([0, 0, a, b, c, d, e, f]);
            let holds = |block: &&Assignment| bits >> (48 - block.len.bits()) == block.prefix;
            let longest = blocks.iter().filter(holds).max_by_key(|block| block.len);
            let expected = match longest.and_then(|block| block.vendor.as_deref()) {
                _ if a & 3 == 2 => Vendor::Randomised,
                Some(name) if a & 3 == 0 => Vendor::Known(name),
                _ => Vendor::Unknown,
            };
            prop_assert_eq!(table.vendor_of(mac), expected);
        }
        let bytes = table.encode().unwrap();
        prop_assert_eq!(format::decode_body(TableDate(1), &bytes[24..]), Ok(table));
    }

    #[test]
    fn a_changed_body_is_a_sound_table_or_an_error(at in 0_usize..150, to: u8, mac: [u8; 6]) {
        let mut body = table().encode().unwrap().split_off(24);
        let at = at % body.len();
        body[at] = to;
        if let Ok(table) = format::decode_body(TableDate(0), &body) {
            prop_assert!(table.vendor_of(Mac(mac)).name().is_none_or(|name| !name.is_empty()));
        }
    }
}
