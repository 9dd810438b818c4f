//! What the table in this program says, be it the full or the small one.

use super::*;

/// The addresses of the story and their neighbours: system and country as DB-IP has them on 2026-09-01, and where the
/// operator is registered.
const CHECK_LIST: [(&str, u32, &str, &str); 33] = [
    ("47.74.0.1", 45102, "JP", "CN"),
    ("47.74.128.1", 45102, "SG", "CN"),
    ("47.74.200.1", 45102, "SG", "CN"),
    ("47.88.1.1", 45102, "US", "CN"),
    ("47.88.128.1", 45102, "SG", "CN"),
    ("47.241.7.1", 45102, "SG", "CN"),
    ("161.117.1.1", 45102, "SG", "CN"),
    ("161.117.71.36", 45102, "SG", "CN"),
    ("8.209.0.0", 45102, "RU", "CN"),
    ("8.209.31.255", 45102, "RU", "CN"),
    ("8.209.128.0", 45102, "RU", "CN"),
    ("8.209.191.255", 45102, "RU", "CN"),
    ("47.246.132.0", 45102, "RU", "CN"),
    ("47.246.135.255", 45102, "RU", "CN"),
    ("8.211.0.1", 45102, "DE", "CN"),
    ("8.8.8.8", 15169, "US", "US"),
    ("142.250.74.46", 15169, "US", "US"),
    ("1.1.1.1", 13335, "AU", "US"),
    ("157.240.1.35", 32934, "US", "US"),
    ("17.253.144.10", 714, "US", "US"),
    ("77.88.55.88", 13238, "RU", "RU"),
    ("77.88.8.8", 13238, "RU", "RU"),
    ("20.190.159.0", 8075, "IE", "US"),
    ("20.47.97.1", 8069, "NL", "US"),
    ("2400:3200::1", 37963, "CN", "CN"),
    ("2606:4700::1111", 13335, "CA", "US"),
    ("203.107.1.1", 37963, "CN", "CN"),
    ("223.5.5.5", 37963, "CN", "CN"),
    ("120.92.96.155", 59019, "CN", "CN"),
    ("111.13.141.125", 9808, "CN", "CN"),
    ("58.83.160.156", 56048, "CN", "CN"),
    ("118.26.252.1", 23724, "CN", "CN"),
    // HK by its number, SG by its organisation: unknown.
    ("119.8.160.1", 136_907, "SG", ""),
];

/// Where the data errs or other sources differ: the address, what is said elsewhere, and why the table is as it is.
const DIFFERS: [(&str, &str, &str); 6] = [
    ("1.1.1.1", "no country at all (MaxMind)", "it is anycast: the mark says that its country is doubtful"),
    ("2606:4700::1111", "US (MaxMind, the registries)", "it is anycast: the mark says the same"),
    ("77.88.8.8", "AS208398 of Serbia (IPtoASN)", "Yandex's routes are put down to another; overridden"),
    ("119.8.160.1", "registered in HK (IPtoASN)", "sources contradict each other: said to be unknown"),
    ("2400:3200::1", "AS45102 (IPtoASN)", "another system of the same company, Alibaba"),
    ("223.5.5.5", "AS45102 (IPtoASN)", "another system of the same company, Alibaba"),
];

#[test]
fn what_differs_is_in_the_check_list_and_doubts_are_shown() {
    let table = load(&[]).unwrap();
    for (addr, elsewhere, why) in DIFFERS {
        assert!(CHECK_LIST.iter().any(|(known, ..)| *known == addr), "{addr}: {elsewhere}, {why}");
        let network = table.network_of(addr.parse().unwrap()).unwrap();
        let is_anycast = why.starts_with("it is anycast");
        assert_eq!(network.marks.country_is_doubtful(), is_anycast, "{addr}: {why}");
        assert_eq!(network.registered.is_none(), why.ends_with("unknown"), "{addr}: {why}");
    }
}

#[test]
fn it_knows_the_check_list() {
    let table = load(&[]).unwrap();
    assert_eq!(table.as_of(), "2026-09-01, registered 2026-09-16");
    for (addr, asn, country, registered) in CHECK_LIST {
        let network = table.network_of(addr.parse().unwrap()).unwrap_or_default();
        assert_eq!((network.asn, network.country), (Some(asn), Country::parse(country)), "{addr}");
        assert_eq!(network.registered, Country::parse(registered), "{addr}");
        assert!(network.organisation.is_some(), "{addr}");
    }
    check(&*table, "8.209.0.1", Some(45102), Some("Alibaba (US) Technology Co., Ltd."), "RU");
}

#[test]
fn it_says_what_is_everywhere_and_what_is_rented() {
    let table = load(&[]).unwrap();
    let (cdn, anycast, cloud) = (NetworkMarks::CDN, NetworkMarks::ANYCAST, NetworkMarks::CLOUD);
    for (addr, marks) in [
        ("1.1.1.1", cdn.with(anycast)),
        ("104.16.1.1", cdn.with(anycast)),
        ("151.101.1.1", cdn.with(anycast)),
        ("2606:4700::1111", cdn.with(anycast)),
        ("8.8.8.8", anycast),
        ("2001:4860:4860::8888", anycast),
        ("9.9.9.9", anycast),
        ("142.250.74.46", NetworkMarks::NONE),
        ("8.209.0.1", cloud),
        ("17.253.144.10", NetworkMarks::NONE),
    ] {
        let network = table.network_of(addr.parse().unwrap()).unwrap();
        assert_eq!(network.marks, marks, "{addr}");
        assert_eq!(network.marks.country_is_doubtful(), marks.has(anycast), "{addr}");
    }
}

#[test]
fn it_does_not_know_what_is_nowhere() {
    let table = embedded_networks().unwrap().unwrap();
    for addr in [
        "10.0.0.1",
        "127.0.0.1",
        "192.168.1.1",
        "224.0.0.251",
        "255.255.255.255",
        "::1",
        "fe80::1",
        "ff02::fb",
        "fd00::1",
    ] {
        assert_eq!(table.network_of(addr.parse().unwrap()), None, "{addr}");
    }
}

#[test]
fn it_is_small_and_says_its_sources() {
    let table = embedded_networks().unwrap().unwrap();
    let is_full = cfg!(feature = "tables-full");
    let (file, memory) = if is_full { (3 << 20, 17 << 19) } else { (3 << 18, 29 * (1 << 20) / 10) };
    let packed = embedded::packed(TableKind::Networks).unwrap();
    assert!(packed.len() <= file, "{} bytes in the program", packed.len());
    assert!(table.memory_bytes() <= memory, "{} bytes in memory", table.memory_bytes());
    assert!(table.source().contains("IP Geolocation by DB-IP, https://db-ip.com"));
    assert!(table.source().contains("IPtoASN"));
}

#[test]
fn both_files_have_the_format_of_this_program() {
    let files: [&[u8]; 2] = [
        include_bytes!("../../../data/networks-full.bin.zst"),
        include_bytes!("../../../data/networks-small.bin.zst"),
    ];
    for file in files {
        let version = gateway_core::enrich::envelope::open(file, TableKind::Networks).unwrap().version;
        let known = gateway_core::enrich::table::FORMAT_VERSION;
        assert_eq!(version, known, "data/networks-*.bin.zst are stale; `cargo xtask geo` makes them anew");
    }
}

#[test]
fn a_damaged_one_would_be_refused() {
    let packed = embedded::packed(TableKind::Networks).unwrap();
    for len in (0..packed.len()).step_by(packed.len() / 12) {
        assert!(NetworkTable::unpack(&packed[..len]).is_err(), "the first {len} bytes");
    }
    assert!(NetworkTable::unpack(&packed[..packed.len() - 1]).is_err());
}
