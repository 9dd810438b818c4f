//! The store keeps every byte exactly once, whatever order and however often it is told.
#![allow(clippy::unwrap_used, reason = "tests panic on purpose")]

mod fixture;

use fixture::{REDMI, batch, epoch, evening, key, name, row, volume};
use gateway_core::application::Application;
use gateway_core::query::{Filter, FlowSum, TimeRange, parse_country};
use gateway_core::row::{Batch, DeviceFact, Evidence, FlowRow, LateName, Marks, NetworkMarks, RowKey};
use gateway_core::units::{BootTime, Country, Mac, Volume, WallTime};
use gateway_user::store::{Appended, Reader, Writer};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::path::PathBuf;
use tempfile::TempDir;

struct Store {
    _directory: TempDir,
    path: PathBuf,
    writer: Writer,
}

impl Store {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state/telltale.db");
        let writer = Writer::open(&path).unwrap();
        Self { _directory: directory, path, writer }
    }

    fn with(batches: &[Batch]) -> Self {
        let mut store = Self::new();
        for batch in batches {
            assert_eq!(store.writer.append(batch).unwrap(), Appended::Stored);
        }
        store
    }

    fn reader(&self) -> Reader {
        Reader::open(&self.path).unwrap().expect("a database")
    }

    fn flows(&self, filter: &Filter) -> Vec<FlowSum> {
        self.reader().flows(TimeRange::EVER, filter).unwrap()
    }

    fn held(&self, key: &RowKey) -> Option<(Volume, u64)> {
        self.flows(&Filter::default())
            .into_iter()
            .find(|f| f.key == *key)
            .map(|f| (f.volume, f.conversations))
    }
}

#[test]
fn a_writer_may_move_to_a_thread_of_its_own() {
    fn is_send<T: Send>() {}
    is_send::<Writer>();
}

#[test]
fn what_is_written_is_read_back() {
    let mut one = batch(1);
    one.rows = vec![
        row(key(REDMI, "2001:db8::1", Some(("x_1.example.com", Evidence::Dns))), 5, 6, 1),
        row(key(REDMI, "47.241.1.5", None), 7, 8, 2),
    ];
    one.rows.sort_by(|a, b| a.key.cmp(&b.key));
    let store = Store::with(std::slice::from_ref(&one));
    let found: Vec<_> = store
        .flows(&Filter::default())
        .into_iter()
        .map(|f| FlowRow {
            key: f.key,
            volume: f.volume,
            conversations: f.conversations,
            oldest_answer_secs: None,
        })
        .collect();
    assert_eq!(found, one.rows);
}

#[test]
fn a_batch_counts_once_however_often_it_comes() {
    let mut store = Store::with(&evening());
    let before = store.reader().stored(TimeRange::EVER).unwrap();
    for batch in evening() {
        assert_eq!(store.writer.append(&batch).unwrap(), Appended::AlreadyThere);
    }
    assert_eq!(store.reader().stored(TimeRange::EVER).unwrap(), before);
}

#[test]
fn the_journal_knows_what_is_drained() {
    let store = Store::with(&evening());
    assert!(store.writer.is_drained(&epoch(2)).unwrap());
    assert!(!store.writer.is_drained(&epoch(3)).unwrap());
    let id = epoch(1);
    assert_eq!(store.writer.last_epoch(&id.boot_id, id.table_id).unwrap(), Some(63));
    assert_eq!(store.writer.last_epoch(&id.boot_id, 1).unwrap(), None);
}

#[test]
fn a_late_name_moves_volume_and_changes_no_sum() {
    let store = Store::with(&evening());
    let unnamed = key(REDMI, "47.254.9.9", None);
    let named = RowKey {
        application: Application::Tls,
        ..key(REDMI, "47.254.9.9", Some(("tracking.rus.miui.com", Evidence::TlsSni)))
    };
    let moved = volume(60_000, 6_000);
    let whole = volume(90_000, 9_000);
    assert_eq!(store.held(&named), Some((moved, 1)));
    let left = Volume {
        up_bytes: 30_000,
        down_bytes: 3_000,
        up_packets: whole.up_packets - moved.up_packets,
        down_packets: whole.down_packets - moved.down_packets,
    };
    assert_eq!(store.held(&unnamed), Some((left, 2)));
    assert_eq!(store.writer.late_names_missed(), 0);
}

#[test]
fn a_row_emptied_by_late_names_goes() {
    let unnamed = key(REDMI, "47.241.1.5", None);
    let mut first = batch(1);
    first.rows = vec![row(unnamed.clone(), 10, 20, 3)];
    let mut second = batch(2);
    let late = LateName {
        epoch: epoch(1),
        from: unnamed.clone(),
        name: name("a.example"),
        evidence: Evidence::QuicSni,
        marks: Marks::NONE,
        application: Application::Quic,
        answer_secs: None,
        volume: volume(10, 20),
    };
    let nowhere = LateName { epoch: epoch(9), ..late.clone() };
    // The second finds the row gone, the third has no such drain.
    second.late_names = vec![late.clone(), late, nowhere];
    let store = Store::with(&[first, second]);
    assert_eq!(store.held(&unnamed), None);
    let named = RowKey {
        application: Application::Quic,
        ..key(REDMI, "47.241.1.5", Some(("a.example", Evidence::QuicSni)))
    };
    assert_eq!(store.held(&named), Some((volume(10, 20), 3)));
    assert_eq!(store.writer.late_names_missed(), 2);
}

#[test]
fn a_count_that_does_not_fit_is_refused_and_leaves_nothing() {
    let mut store = Store::new();
    let mut bad = batch(1);
    bad.rows = vec![
        row(key(REDMI, "10.0.0.1", Some(("a.example", Evidence::Dns))), 1, 1, 1),
        row(key(REDMI, "10.0.0.2", None), u64::MAX, 0, 1),
    ];
    let error = store.writer.append(&bad).unwrap_err();
    assert!(format!("{error:#}").contains("beyond 2^63 - 1"), "{error:#}");
    assert!(!store.writer.is_drained(&epoch(1)).unwrap());
    assert!(store.flows(&Filter::default()).is_empty());
    // The numbers given out in the failed transaction are forgotten with it.
    bad.rows.truncate(1);
    assert_eq!(store.writer.append(&bad).unwrap(), Appended::Stored);
    assert_eq!(store.flows(&Filter::default()).len(), 1);
}

#[test]
fn intervals_from_before_the_clock_was_set_are_dated_later() {
    let mut early = batch(1);
    early.rows = vec![row(key(REDMI, "10.0.0.1", None), 1, 1, 1)];
    let rightly = early.interval;
    early.interval.is_clock_set = false;
    early.interval.began_at = WallTime(5);
    early.interval.ended_at = WallTime(9);
    let mut of_another_boot = early.clone();
    of_another_boot.epoch.boot_id = "another".into();
    let mut store = Store::with(&[early, of_another_boot]);
    assert_eq!(store.reader().devices().unwrap().first().unwrap().first_seen, None);
    store.writer.append(&batch(2)).unwrap();
    let dated: Vec<_> = store.reader().counted(TimeRange::EVER).unwrap();
    let dates: Vec<_> = dated.iter().map(|c| (c.range.since, c.range.until, c.is_clock_set)).collect();
    let second = batch(2).interval;
    assert_eq!(
        dates,
        [
            (WallTime(5), WallTime(9), false),
            (rightly.began_at, rightly.ended_at, true),
            (second.began_at, second.ended_at, true)
        ]
    );
    let device = store.reader().devices().unwrap().remove(0);
    assert_eq!((device.first_seen, device.last_seen), (Some(rightly.began_at), Some(rightly.ended_at)));
}

#[test]
fn a_calendar_that_was_behind_is_put_right_and_one_that_is_nudged_is_left() {
    const SECOND: i64 = 1_000_000_000;
    // The first two intervals were dated by the time of the last shutdown; then NTP answered.
    let behind_by = |batch: &Batch, ns: i64| {
        let mut batch = batch.clone();
        batch.interval.began_at.0 -= ns;
        batch.interval.ended_at.0 -= ns;
        batch
    };
    let dates = |store: &Store| -> Vec<_> {
        store.reader().counted(TimeRange::EVER).unwrap().iter().map(|c| c.range.since).collect()
    };
    let rightly = [batch(1), batch(2), batch(3)];
    let hour = 3600 * SECOND;
    let [first, second, third] = &rightly;
    let store = Store::with(&[behind_by(first, hour), behind_by(second, hour), third.clone()]);
    assert_eq!(dates(&store), rightly.each_ref().map(|b| b.interval.began_at));
    // A step of two seconds, or one back, moves nothing that is written.
    for step in [2 * SECOND, -hour] {
        let nudged = behind_by(first, step);
        let store = Store::with(&[nudged.clone(), second.clone()]);
        let mut written = [nudged.interval.began_at, second.interval.began_at];
        written.sort();
        assert_eq!(dates(&store), written);
    }
}

#[test]
fn networks_and_their_date_follow_the_tables() {
    let mut store = Store::new();
    store.writer.set_tables_date(Some("2026-10"));
    let mut batches = evening().into_iter();
    store.writer.append(&batches.next().unwrap()).unwrap();
    assert_eq!(store.reader().tables_dates().unwrap(), Some(("2026-10".into(), "2026-10".into())));
    store.writer.set_tables_date(Some("2026-11"));
    let mut second = batches.next().unwrap();
    second.networks.truncate(1);
    let marks = NetworkMarks::CDN.with(NetworkMarks::ANYCAST);
    for (_, network) in &mut second.networks {
        network.organisation = Some("Renamed".into());
        (network.registered, network.marks) = (Country::parse("CN"), marks);
    }
    store.writer.append(&second).unwrap();
    assert_eq!(store.reader().tables_dates().unwrap(), Some(("2026-10".into(), "2026-11".into())));
    let renamed = Filter { peers: vec!["47.241.0.0/16".parse().unwrap()], ..Filter::default() };
    for flow in store.flows(&renamed) {
        let network = flow.network;
        assert_eq!(network.organisation.as_deref(), Some("Renamed"));
        assert_eq!((network.country, network.registered), (Country::parse("SG"), Country::parse("CN")));
        assert_eq!(network.marks, marks);
    }
}

#[test]
fn labels_stay_and_go() {
    let mut store = Store::with(&evening());
    store.writer.set_label(REDMI, Some("Redmi Note 8")).unwrap();
    let label = |store: &Store| {
        store.reader().devices().unwrap().into_iter().find(|d| d.mac == REDMI).unwrap().display_name()
    };
    assert_eq!(label(&store), "Redmi Note 8");
    store.writer.append(&batch(70)).unwrap();
    assert_eq!(label(&store), "Redmi Note 8");
    store.writer.set_label(REDMI, None).unwrap();
    assert_eq!(label(&store), "RedmiNote8-Redmi");
    let stranger = Mac([2, 0, 0, 0, 0, 1]);
    store.writer.set_label(stranger, Some("to come")).unwrap();
    assert!(store.reader().devices().unwrap().iter().any(|d| d.mac == stranger));
}

#[test]
fn filters_pick_what_they_say() {
    let store = Store::with(&evening());
    let count = |filter: Filter| store.flows(&filter).len();
    let all = count(Filter::default());
    assert_eq!(all, 8);
    let device = |text: &str| Filter { devices: vec![text.parse().unwrap()], ..Filter::default() };
    assert_eq!(count(device("7C:03:ab:12:34:56")), 5);
    assert_eq!(count(device("redminote8-redmi")), 5);
    assert_eq!(count(device("nobody")), 0);
    let named = |text: &str| Filter { names: vec![text.parse().unwrap()], ..Filter::default() };
    assert_eq!(count(named("data.mistat.intl.xiaomi.com")), 2);
    assert_eq!(count(named("*.xiaomi.com")), 2);
    assert_eq!(count(named("*.omi.com")), 0);
    assert_eq!(count(named("xiaomi.com")), 0);
    let country = |text: &str| Filter { countries: vec![parse_country(text).unwrap()], ..Filter::default() };
    assert_eq!(count(country("SG")), 2);
    assert_eq!(count(Filter { devices: device("ada").devices, ..country("SG") }), 0);
    assert_eq!(count(Filter { asns: vec![45_102, 15_169], ..Filter::default() }), 5);
    assert_eq!(count(Filter { evidence: vec![Evidence::Dns], ..Filter::default() }), 1);
    assert_eq!(count(Filter { protocols: vec![17], ..Filter::default() }), 1);
    assert_eq!(count(Filter { ports: vec![53, 443], ..Filter::default() }), 7);
    let peer = |text: &str| Filter { peers: vec![text.parse().unwrap()], ..Filter::default() };
    assert_eq!(count(peer("47.240.0.0/12")), 4);
    assert_eq!(count(peer("47.254.9.9")), 2);
    assert_eq!(count(peer("::/0")), 0);
}

#[test]
fn an_interval_belongs_to_the_range_it_began_in() {
    let store = Store::with(&evening());
    let interval = batch(2).interval;
    let reader = store.reader();
    let stored = |since: i64, until: i64| {
        reader.stored(TimeRange { since: WallTime(since), until: WallTime(until) }).unwrap().bytes()
    };
    let whole = evening().get(1).unwrap().stored().bytes();
    assert_eq!(stored(interval.began_at.0, interval.began_at.0 + 1), whole);
    assert_eq!(stored(interval.began_at.0 + 1, interval.ended_at.0), 0);
}

/// Rows over few enough keys that they meet, in batches with late names for what came before.
fn any_batches() -> impl Strategy<Value = Vec<Batch>> {
    let key = (0u8..3, 0u8..4, 0u8..3, 0u8..5).prop_map(|(device, peer, said, evidence)| RowKey {
        name: (said > 0).then(|| name(&format!("n{said}.example"))),
        evidence: Evidence::from_number(evidence).unwrap(),
        ..key(Mac([2, 0, 0, 0, 0, device]), &format!("10.0.0.{peer}"), None)
    });
    let amount = (0u64..1_000, 0u64..1_000, 0u64..9, 0u64..9).prop_map(|(u, d, up, dp)| Volume {
        up_bytes: u,
        down_bytes: d,
        up_packets: up,
        down_packets: dp,
    });
    let rows = prop::collection::btree_map(key.clone(), (amount.clone(), 0u64..5), 0..12);
    let late = prop::collection::vec((0u64..6, key, 1u8..4, amount), 0..6);
    prop::collection::vec((rows, late), 1..6).prop_map(|turns| {
        let mut batches = Vec::new();
        for (turn, (rows, late_names)) in (1..).zip(turns) {
            let mut batch = batch(turn);
            let row = |(key, (volume, conversations))| FlowRow {
                key,
                volume,
                conversations,
                oldest_answer_secs: None,
            };
            batch.rows = rows.into_iter().map(row).collect();
            let late = |(of, from, said, volume)| LateName {
                epoch: epoch(of),
                from,
                name: name(&format!("n{said}.example")),
                evidence: Evidence::TlsSni,
                marks: Marks::NONE,
                application: Application::Tls,
                answer_secs: None,
                volume,
            };
            batch.late_names = late_names.into_iter().map(late).collect();
            batches.push(batch);
        }
        batches
    })
}

/// Volume and conversations by what no late name changes.
type Sums = BTreeMap<(Mac, std::net::IpAddr), (Volume, u64)>;

fn sums(rows: impl Iterator<Item = (RowKey, Volume, u64)>) -> Sums {
    let mut sums = Sums::new();
    for (key, volume, conversations) in rows {
        let sum = sums.entry((key.device, key.peer)).or_default();
        sum.0.add(volume);
        sum.1 += conversations;
    }
    sums
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_byte_is_stored_once_and_late_names_conserve(batches in any_batches()) {
        let mut store = Store::new();
        let mut total = Volume::default();
        for batch in &batches {
            store.writer.append(batch).unwrap();
            prop_assert_eq!(store.writer.append(batch).unwrap(), Appended::AlreadyThere);
            total.add(batch.stored());
            prop_assert_eq!(store.reader().stored(TimeRange::EVER).unwrap(), total);
        }
        let given = batches.iter().flat_map(|b| &b.rows).map(|r| (r.key.clone(), r.volume, r.conversations));
        let found = store.flows(&Filter::default()).into_iter().map(|f| (f.key, f.volume, f.conversations));
        prop_assert_eq!(sums(given), sums(found));
    }
}

#[test]
fn the_boot_clock_is_read_as_it_was_written() {
    let store = Store::with(&[batch(1)]);
    let counted = store.reader().counted(TimeRange::EVER).unwrap();
    let interval = batch(1).interval;
    let BootTime(began) = interval.began_boot;
    assert_eq!(counted.first().unwrap().boot_ns, (began, interval.ended_boot.0));
}

#[test]
fn rows_that_differ_in_marks_or_protocol_stay_apart() {
    let dns = key(REDMI, "47.241.1.5", Some(("a.example", Evidence::Dns)));
    let marked = RowKey { marks: Marks::COVERED.with(Marks::HAS_RIVALS), ..dns.clone() };
    let tls = RowKey { application: Application::Tls, ..dns.clone() };
    let mut first = batch(1);
    first.rows = vec![row(dns.clone(), 1, 1, 1), row(tls.clone(), 2, 2, 1), row(marked.clone(), 4, 4, 1)];
    first.rows[2].oldest_answer_secs = Some(9);
    let mut second = batch(2);
    second.rows = vec![row(marked.clone(), 8, 8, 1)];
    second.rows[0].oldest_answer_secs = Some(5);
    // What comes late goes to the row with its marks.
    let late = LateName {
        epoch: epoch(1),
        from: dns.clone(),
        name: name("outer.example"),
        evidence: Evidence::TlsSni,
        marks: Marks::COVERED.with(Marks::OUTER_NAME),
        application: Application::Tls,
        answer_secs: None,
        volume: volume(1, 1),
    };
    second.late_names = vec![late];
    let store = Store::with(&[first, second]);
    let found: Vec<_> = store.flows(&Filter::default());
    let of = |key: &RowKey| {
        found.iter().find(|f| f.key == *key).map(|f| (f.volume.up_bytes, f.oldest_answer_secs))
    };
    assert_eq!(of(&dns), None, "it was moved");
    assert_eq!(of(&tls), Some((2, None)));
    assert_eq!(of(&marked), Some((12, Some(9))));
    let outer = RowKey {
        name: Some(name("outer.example")),
        evidence: Evidence::TlsSni,
        marks: Marks::COVERED.with(Marks::OUTER_NAME),
        ..tls
    };
    assert_eq!(of(&outer), Some((1, None)));
    let picked = |filter: Filter| store.flows(&filter).len();
    assert_eq!(picked(Filter { applications: vec![Application::Tls], ..Filter::default() }), 2);
    assert_eq!(picked(Filter { is_uncovered: true, ..Filter::default() }), 0);
}

#[test]
fn a_stored_hostname_gives_way_to_its_own_source_or_a_stronger_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("telltale.db");
    for (turn, source, hostname, expected) in [
        (1, "llmnr", "A", ("A", "llmnr")),
        (2, "mdns", "B", ("B", "mdns")),
        (3, "llmnr", "C", ("B", "mdns")),
        (4, "dhcp", "D", ("D", "dhcp")),
        (5, "mdns", "E", ("D", "dhcp")),
        (6, "dhcp", "F", ("F", "dhcp")),
    ] {
        let mut told = batch(turn);
        told.devices = vec![DeviceFact {
            device: REDMI,
            hostname: Some(hostname.into()),
            hostname_source: Some(source),
            vendor_class: None,
            parameter_list: None,
            addr: None,
        }];
        // Every time another daemon, that remembers nothing of the one before.
        Writer::open(&path).unwrap().append(&told).unwrap();
        let device = Reader::open(&path).unwrap().unwrap().devices().unwrap().remove(0);
        let known = (device.hostname.unwrap(), device.hostname_source.unwrap());
        assert_eq!((known.0.as_str(), known.1.as_str()), expected, "drain {turn}");
    }
}
