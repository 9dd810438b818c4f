//! What is added up by the hour and by the day is what the drains had: every sum, on a calendar with a day of 25 hours.
#![allow(clippy::unwrap_used, reason = "tests panic on purpose")]

mod fixture;

use fixture::{LAPTOP, PHONE, REDMI, addr, balance, epoch, key, name, row};
use gateway_core::query::buckets::{BucketSum, Buckets, Sent};
use gateway_core::query::{Counted, Filter, FlowSum, NameMatch, TimeRange};
use gateway_core::report::coverage::coverage;
use gateway_core::report::top::{By, TopOf, top};
use gateway_core::report::who::NameFacts;
use gateway_core::row::{Batch, Evidence, FlowRow, Interval, LateName, Marks, Network, RowKind};
use gateway_core::units::{BootTime, Country, DomainName, Mac, Volume, WallTime};
use gateway_user::store::{Appended, Grain, Ladder, Reader, Upkeep, Writer};
use jiff::tz::TimeZone;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;

const SEC: u64 = 1_000_000_000;
const MINUTE: u64 = 60 * SEC;
const DAY: i64 = 86_400 * SEC as i64;
/// 2026-10-23T22:00:00Z, a midnight in Berlin. The clocks go back in the night to the 25th.
const MIDNIGHT: i64 = 1_792_792_800 * SEC as i64;

fn berlin() -> TimeZone {
    TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap()
}

fn ladder() -> Ladder {
    Ladder { raw_days: 1, hourly_days: 2, daily_days: 30, max_bytes: u64::MAX }
}

/// One made-up row: device, peer, name, bytes.
type Made = (usize, u8, usize, u32, u32);

/// A drain of `minutes` that begins at `at` minutes from midnight. Every 40th number is missing: nobody counted then.
fn drain(turn: u64, at: u64, minutes: u64, rows: &[Made]) -> Batch {
    let mut batch = fixture::batch(1);
    batch.epoch = epoch(turn);
    let wall = |boot: u64| WallTime(MIDNIGHT + i64::try_from(boot).unwrap());
    let (began, ended) = (at * MINUTE + 1, (at + minutes) * MINUTE + 1);
    batch.interval = Interval {
        began_boot: BootTime(began),
        ended_boot: BootTime(ended),
        began_at: wall(began),
        ended_at: wall(ended),
        is_clock_set: true,
    };
    let names = [None, Some(("a.example.com", Evidence::Dns)), Some(("b.example.com", Evidence::TlsSni))];
    let mut made = BTreeMap::new();
    for (device, peer, said, up, down) in rows {
        let peer = format!("203.0.113.{}", peer % 12);
        let key = key([REDMI, LAPTOP, PHONE][device % 3], &peer, names[said % 3]);
        made.entry(key).or_insert((u64::from(*up), u64::from(*down)));
    }
    batch.rows = made.into_iter().map(|(key, (up, down))| row(key, up, down, 2)).collect();
    batch.networks = batch.rows.iter().map(|row| (row.key.peer, network_of(row))).collect();
    balance(&mut batch, &[("arp", 3, 90)]);
    batch
}

fn network_of(row: &FlowRow) -> Network {
    let std::net::IpAddr::V4(v4) = row.key.peer else { return Network::default() };
    let asn = u32::from(v4.octets()[3] % 4);
    Network { asn: Some(asn), country: Country::parse("SG"), ..Network::default() }
}

fn drains(rows: &[Vec<Made>], minutes: u64) -> Vec<Batch> {
    let turns = 1..=u64::try_from(rows.len()).unwrap();
    let made = turns.zip(rows).map(|(turn, rows)| drain(turn, (turn - 1) * minutes, minutes, rows));
    made.filter(|batch| batch.epoch.epoch % 40 != 0).collect()
}

fn upkeep(writer: &mut Writer, ladder: &Ladder, now: i64) -> Vec<Upkeep> {
    let step = || writer.upkeep(ladder, &berlin(), WallTime(now)).unwrap();
    let steps = std::iter::repeat_with(step).take_while(|done| *done != Upkeep::Nothing);
    steps.filter(|done| !matches!(done, Upkeep::Remembered(_))).collect()
}

fn stored(path: &Path, batches: &[Batch]) -> Writer {
    let mut writer = Writer::open(path).unwrap();
    for batch in batches {
        assert_eq!(writer.append(batch).unwrap(), Appended::Stored);
    }
    writer
}

fn reader(path: &Path) -> Reader {
    Reader::open(path).unwrap().unwrap()
}

/// Bounds of the local days: the second has 25 hours.
fn days() -> Buckets {
    let hours = [0, 24, 49, 73, 97, 121];
    Buckets::between(hours.map(|h| WallTime(MIDNIGHT + h * 3600 * SEC as i64)).to_vec()).unwrap()
}

fn hours() -> Buckets {
    Buckets::between((0..=121).map(|h| WallTime(MIDNIGHT + h * 3600 * SEC as i64)).collect()).unwrap()
}

/// What a coarse row keeps, as plain SQL over the rows of each drain adds it up.
fn by_plain_sql(path: &Path, buckets: &Buckets) -> Vec<(usize, String, String, i64, i64, i64)> {
    let db = rusqlite::Connection::open(path).unwrap();
    let mut sums = Vec::new();
    for (place, bucket) in buckets.iter().enumerate() {
        let mut statement = db
            .prepare(
                "SELECT hex(d.mac), n.text, COALESCE(p.asn, -1), SUM(up_bytes), SUM(down_bytes) FROM flow f \
                 JOIN interval i ON i.id = f.interval JOIN device d ON d.id = f.device JOIN name n ON n.id = f.name \
                 JOIN peer p ON p.id = f.peer WHERE i.began_at >= ? AND i.began_at < ? GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
            )
            .unwrap();
        let rows = statement
            .query_map([bucket.since.0, bucket.until.0], |r| {
                Ok((place, r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?))
            })
            .unwrap();
        sums.extend(rows.map(Result::unwrap));
    }
    sums
}

fn as_plain(sums: &[BucketSum]) -> Vec<(usize, String, String, i64, i64, i64)> {
    let mut plain = BTreeMap::new();
    for sum in sums {
        let mac: String = sum.device.0.iter().map(|b| format!("{b:02X}")).collect();
        let said = sum.name.as_ref().map_or_else(String::new, ToString::to_string);
        let asn = sum.network.asn.map_or(-1, i64::from);
        let held = plain.entry((sum.bucket, mac, said, asn)).or_insert((0, 0));
        held.0 += i64::try_from(sum.volume.up_bytes).unwrap();
        held.1 += i64::try_from(sum.volume.down_bytes).unwrap();
    }
    plain
        .into_iter()
        .map(|((bucket, mac, said, asn), (up, down))| (bucket, mac, said, asn, up, down))
        .collect()
}

/// What a usual day is told by: of a peer with a name, that alone.
fn usual(sums: &[BucketSum]) -> Vec<Sent> {
    let routed = sums.iter().filter(|sum| matches!(sum.kind, RowKind::Flow | RowKind::LaterFragments));
    let sent = routed.map(|sum| Sent {
        device: sum.device,
        name: sum.name.clone(),
        network: Network { asn: sum.network.asn.filter(|_| sum.name.is_none()), ..Network::default() },
        marks: if sum.marks.has(Marks::WITHHELD) { Marks::WITHHELD } else { Marks::default() },
        application: sum.application,
        by_bucket: vec![(sum.bucket, sum.volume.up_bytes)],
    });
    tidied(sent.collect())
}

/// Each device and destination once, in order, each day once.
fn tidied(sent: Vec<Sent>) -> Vec<Sent> {
    let order = |s: &Sent| (s.device, s.name.clone(), s.network.clone(), s.marks, s.application);
    let mut tidied = BTreeMap::new();
    for sent in sent {
        let (_, days): &mut (Sent, BTreeMap<usize, u64>) =
            tidied.entry(order(&sent)).or_insert_with(|| (sent.clone(), BTreeMap::new()));
        sent.by_bucket.iter().for_each(|(day, bytes)| *days.entry(*day).or_insert(0) += bytes);
    }
    tidied.into_values().map(|(sent, days)| Sent { by_bucket: days.into_iter().collect(), ..sent }).collect()
}

fn by_device(sums: &[BucketSum]) -> BTreeMap<(usize, Mac), u64> {
    let mut bytes = BTreeMap::new();
    for sum in sums.iter().filter(|sum| matches!(sum.kind, RowKind::Flow | RowKind::LaterFragments)) {
        *bytes.entry((sum.bucket, sum.device)).or_insert(0) += sum.volume.bytes();
    }
    bytes
}

fn holes(reader: &Reader, until: i64) -> Vec<TimeRange> {
    let range = TimeRange { since: WallTime(MIDNIGHT), until: WallTime(until) };
    let counted: Vec<Counted> = reader.counted(range).unwrap();
    coverage(&counted, &[], range, WallTime(until)).holes
}

fn made_rows() -> impl Strategy<Value = Vec<Vec<Made>>> {
    let one = (0..3_usize, any::<u8>(), 0..3_usize, any::<u32>(), any::<u32>());
    // Drains of 20 minutes for four days and some.
    proptest::collection::vec(proptest::collection::vec(one, 0..6), 290..310)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4, max_shrink_iters: 0, ..ProptestConfig::default() })]

    #[test]
    fn sums_are_what_plain_sql_finds_in_the_rows_of_each_drain(rows in made_rows()) {
        let folder = tempfile::tempdir().unwrap();
        let (fine, coarse) = (folder.path().join("fine.db"), folder.path().join("coarse.db"));
        let batches = drains(&rows, 20);
        drop(stored(&fine, &batches));
        let mut writer = stored(&coarse, &batches);
        let now = MIDNIGHT + 4 * DAY + DAY / 2;
        let steps = upkeep(&mut writer, &ladder(), now);
        prop_assert!(steps.iter().any(|s| matches!(s, Upkeep::Moved(Grain::Day, _))), "{:?}", steps);
        prop_assert_eq!((kept_days(&fine), kept_days(&coarse)), (0, 4));
        prop_assert_eq!(reader(&coarse).faults().unwrap(), Vec::<String>::new());

        for buckets in [days(), hours()] {
            let found = reader(&fine).bucketed(&buckets, &Filter::default()).unwrap();
            prop_assert_eq!(as_plain(&found), by_plain_sql(&fine, &buckets));
            prop_assert!(found.iter().all(|sum| !sum.is_coarse));
        }
        // Rankings read less of each row, and say the same.
        for of in [TopOf::Devices, TopOf::Names, TopOf::Networks, TopOf::Countries, TopOf::Owners, TopOf::Purposes] {
            let rank = |flows: Vec<FlowSum>| top(of, By::Up, &flows, &[], &|_| NameFacts::default());
            let whole = rank(reader(&fine).flows(TimeRange::EVER, &Filter::default()).unwrap());
            for path in [&fine, &coarse] {
                prop_assert_eq!(&rank(reader(path).destinations(TimeRange::EVER, &Filter::default()).unwrap()), &whole);
            }
            prop_assert!(whole.iter().any(|line| line.volume.up_bytes > 0));
        }

        // What was usual is read in one pass, and says the same.
        for path in [&fine, &coarse] {
            let (days, hours) = (days(), hours());
            let found = reader(path).before(&days, Some(&hours), &Filter::default()).unwrap();
            let whole = |buckets: &Buckets| reader(path).bucketed(buckets, &Filter::default()).unwrap();
            prop_assert_eq!(tidied(found.days.clone()), usual(&whole(&days)));
            let fine_hours: Vec<_> = whole(&hours).into_iter().filter(|sum| !sum.is_coarse).collect();
            prop_assert_eq!(by_device(&found.hours), by_device(&fine_hours));
            prop_assert!(found.hours.iter().all(|sum| sum.name.is_none() && !sum.is_coarse));
            let names = |found: BTreeMap<Mac, Vec<DomainName>>| found.into_iter().filter(|(_, n)| !n.is_empty());
            let contacted = reader(path).contacted(TimeRange::EVER).unwrap();
            let contacted = contacted.into_iter().map(|(mac, contacted)| (mac, contacted.names)).collect();
            prop_assert!(names(reader(path).contacted_names(TimeRange::EVER).unwrap()).eq(names(contacted)));
            let without = reader(path).before(&days, None, &Filter::default()).unwrap();
            prop_assert_eq!((tidied(without.days), without.hours.len()), (tidied(found.days), 0));
        }

        let found = reader(&coarse).bucketed(&days(), &Filter::default()).unwrap();
        prop_assert_eq!(as_plain(&found), by_plain_sql(&fine, &days()));
        prop_assert!(found.iter().all(|sum| !sum.is_coarse), "whole local days");
        // The last day and a half is kept by the drain, the one before by the hour.
        let hours = hours();
        let late = |sums: Vec<BucketSum>| sums.into_iter().filter(|s| s.bucket >= 80).collect::<Vec<_>>();
        let found = reader(&coarse).bucketed(&hours, &Filter::default()).unwrap();
        prop_assert!(found.iter().any(|sum| sum.is_coarse) && late(found.clone()).iter().all(|sum| !sum.is_coarse));
        prop_assert_eq!(
            as_plain(&late(found)),
            as_plain(&late(reader(&fine).bucketed(&hours, &Filter::default()).unwrap()))
        );
        for range in std::iter::once(TimeRange::EVER).chain(days().iter()) {
            prop_assert_eq!(reader(&coarse).ledger(range).unwrap(), reader(&fine).ledger(range).unwrap());
            prop_assert_eq!(reader(&coarse).stored(range).unwrap(), reader(&fine).stored(range).unwrap());
            prop_assert_eq!(reader(&coarse).contacted(range).unwrap(), reader(&fine).contacted(range).unwrap());
            prop_assert!(reader(&coarse).coarsened(range).unwrap().is_empty());
            let bytes = |path: &Path, filter: &Filter| -> u64 {
                reader(path).flows(range, filter).unwrap().iter().map(|f| f.volume.bytes()).sum()
            };
            let of_a = Filter { names: vec![NameMatch::Exact(name("a.example.com"))], asns: vec![1], ..Filter::default() };
            prop_assert_eq!(bytes(&coarse, &of_a), bytes(&fine, &of_a));
        }
        prop_assert_eq!(holes(&reader(&coarse), now), holes(&reader(&fine), now));
        prop_assert_eq!(reader(&coarse).extent().unwrap(), reader(&fine).extent().unwrap());
        // Told once more, not one drain counts again.
        for batch in &batches {
            prop_assert!(writer.is_drained(&batch.epoch).unwrap());
            prop_assert_eq!(writer.append(batch).unwrap(), Appended::AlreadyThere);
        }
        prop_assert!(!writer.is_drained(&epoch(40)).unwrap(), "what was never stored is not said to be");
        prop_assert!(upkeep(&mut writer, &ladder(), now).is_empty(), "nothing is left to do");
    }
}

/// Four days of drains of 20 minutes, three rows each.
fn four_days() -> Vec<Batch> {
    let rows: Vec<Vec<Made>> = (0..280_u32)
        .map(|turn| {
            let peer = (turn % 12) as u8;
            vec![(0, peer, 0, 10, 20), (1, peer, 1, 30, 40), (2, peer, 2, 50, 60)]
        })
        .collect();
    drains(&rows, 20)
}

#[test]
fn a_bound_inside_a_coarse_stretch_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    let mut writer = stored(&path, &four_days());
    upkeep(&mut writer, &ladder(), MIDNIGHT + 4 * DAY);
    let noon = TimeRange { since: WallTime(MIDNIGHT + DAY / 2), until: WallTime(MIDNIGHT + 4 * DAY) };
    let told = reader(&path).coarsened(noon).unwrap();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].since < noon.since && noon.since < told[0].until);
}

#[test]
fn addresses_go_with_the_days_and_come_back_with_their_network() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    let mut writer = stored(&path, &four_days());
    let now = MIDNIGHT + 8 * DAY;
    upkeep(&mut writer, &ladder(), now);
    let flows = reader(&path).flows(TimeRange::EVER, &Filter::default()).unwrap();
    for flow in &flows {
        let is_kept = flow.key.peer != addr("0.0.0.0");
        assert_eq!(is_kept, flow.key.name.is_none(), "{flow:?}");
        assert!(flow.network.asn.is_some(), "{flow:?}");
    }
    let late = drain(2000, 60 * 24 * 8, 20, &[(1, 5, 1, 1, 1)]);
    writer.append(&late).unwrap();
    let peer = Filter { peers: vec!["203.0.113.5/32".parse().unwrap()], ..Filter::default() };
    let back =
        reader(&path).flows(TimeRange { since: WallTime(now), until: WallTime(i64::MAX) }, &peer).unwrap();
    assert_eq!(back.len(), 1);
    assert_eq!(back[0].network.asn, Some(1));
}

#[test]
fn what_is_too_old_leaves_a_line_in_the_ledger() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    let mut writer = stored(&path, &four_days());
    let before = reader(&path).ledger(TimeRange::EVER).unwrap();
    let rows = reader(&path).stored(TimeRange::EVER).unwrap();
    upkeep(&mut writer, &ladder(), MIDNIGHT + 90 * DAY);
    assert_eq!(reader(&path).stored(TimeRange::EVER).unwrap().bytes(), 0);
    let mut after = reader(&path).ledger(TimeRange::EVER).unwrap();
    let place = after.iter().position(|line| line.counter == "expired").unwrap();
    let expired = after.remove(place);
    assert_eq!((expired.packets, expired.bytes), (rows.packets(), Some(rows.bytes())));
    assert_eq!(after, before);
}

#[test]
fn a_full_file_goes_down_the_ladder_oldest_and_finest_first() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    let mut writer = stored(&path, &four_days());
    let rows = reader(&path).stored(TimeRange::EVER).unwrap();
    let wide = Ladder { raw_days: 30, hourly_days: 60, daily_days: 90, max_bytes: u64::MAX };
    assert!(upkeep(&mut writer, &wide, MIDNIGHT + 4 * DAY).is_empty());
    let tight = Ladder { max_bytes: 1, ..wide };
    let steps = upkeep(&mut writer, &tight, MIDNIGHT + 4 * DAY);
    let order: Vec<_> = steps
        .iter()
        .map(|s| if let Upkeep::Moved(to, r) = s { (*to, r.since) } else { panic!("{s:?}") })
        .collect();
    assert!(order.is_sorted(), "hours, then days, then out: {order:?}");
    let ledger = reader(&path).ledger(TimeRange::EVER).unwrap();
    let expired = ledger.iter().find(|l| l.counter == "expired").unwrap().bytes.unwrap();
    assert_eq!(expired + reader(&path).stored(TimeRange::EVER).unwrap().bytes(), rows.bytes());
}

#[test]
fn what_never_got_a_date_waits_for_its_boot_to_end_and_for_want_of_room() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    let undated: Vec<Batch> = four_days()
        .into_iter()
        .take(20)
        .map(|mut batch| {
            batch.epoch.boot_id = "a boot without a clock".to_owned();
            let Interval { began_boot, ended_boot, .. } = batch.interval;
            let wall = |boot: BootTime| WallTime(i64::try_from(boot.0).unwrap());
            let (began_at, ended_at) = (wall(began_boot), wall(ended_boot));
            batch.interval = Interval { began_at, ended_at, is_clock_set: false, ..batch.interval };
            batch
        })
        .collect();
    let mut writer = stored(&path, &undated);
    let tight = Ladder { max_bytes: 1, ..ladder() };
    let now = MIDNIGHT + 4 * DAY;
    assert!(upkeep(&mut writer, &tight, now).is_empty(), "its boot may still learn the time");
    let latest = four_days().pop().unwrap();
    writer.append(&latest).unwrap();
    assert!(upkeep(&mut writer, &Ladder { raw_days: 90, ..ladder() }, now).is_empty(), "there is room");
    let rows = reader(&path).stored(TimeRange::EVER).unwrap().bytes();
    let steps = upkeep(&mut writer, &tight, now);
    let moved = |grain| {
        steps.iter().any(|s| matches!(s, Upkeep::Moved(to, r) if *to == grain && r.until.0 < DAY * 30))
    };
    assert!(moved(Grain::Hour) && moved(Grain::Day) && moved(Grain::Gone), "{steps:?}");
    let ledger = reader(&path).ledger(TimeRange::EVER).unwrap();
    let expired = ledger.iter().find(|l| l.counter == "expired").unwrap().bytes.unwrap();
    assert!(expired > 0);
    assert_eq!(expired + reader(&path).stored(TimeRange::EVER).unwrap().bytes(), rows);
    let whole =
        reader(&path).undated_elsewhere(TimeRange { since: WallTime(now), until: WallTime(now) }).unwrap();
    assert!(whole.is_some(), "that it had no date stays known");
}

fn kept_days(path: &Path) -> i64 {
    let db = rusqlite::Connection::open(path).unwrap();
    db.query_row("SELECT COUNT(*) FROM usual_day", [], |row| row.get(0)).unwrap()
}

/// Four days of one destination, kept as usual.
fn usual_days(path: &Path) -> (Writer, Vec<Batch>) {
    let rows: Vec<Vec<Made>> = (0..300).map(|at| vec![(0, 1, 1, 1_000 + at, 5)]).collect();
    let batches = drains(&rows, 20);
    let mut writer = stored(path, &batches);
    upkeep(&mut writer, &wide(), MIDNIGHT + 4 * DAY + DAY / 2);
    assert_eq!(kept_days(path), 4);
    (writer, batches)
}

/// Nothing is added up.
fn wide() -> Ladder {
    Ladder { raw_days: 90, hourly_days: 90, ..ladder() }
}

fn sent_by_day(path: &Path) -> BTreeMap<usize, u64> {
    let mut by_day = BTreeMap::new();
    for sent in reader(path).before(&days(), None, &Filter::default()).unwrap().days {
        sent.by_bucket.iter().for_each(|(day, bytes)| *by_day.entry(*day).or_insert(0) += bytes);
    }
    by_day
}

#[test]
fn a_day_that_is_kept_is_what_is_read_until_its_intervals_change() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("usual.db");
    let (mut writer, batches) = usual_days(&path);
    let before = sent_by_day(&path);
    let db = rusqlite::Connection::open(&path).unwrap();
    // A forged sum shows that it is read, and that `telltale db verify` finds it.
    db.execute(
        "UPDATE usual_sent SET up_bytes = up_bytes + 1 WHERE day = (SELECT MIN(id) FROM usual_day)",
        [],
    )
    .unwrap();
    let forged = sent_by_day(&path);
    assert_eq!(before.values().sum::<u64>() + 1, forged.values().sum::<u64>());
    assert!(matches!(reader(&path).faults().unwrap().as_slice(), [one] if one.contains("its rows have")));
    // Another interval on each day: the rows are read again, the forged sum is not.
    let last = batches.last().unwrap().epoch.epoch;
    for (number, hour) in (1..).zip([3, 27, 51, 75]) {
        writer.append(&drain(last + number, hour * 60 + 1, 1, &[(0, 1, 1, 7, 0)])).unwrap();
    }
    let after = sent_by_day(&path);
    assert_eq!(after.values().sum::<u64>(), before.values().sum::<u64>() + 4 * 7);
    // The next day makes them anew.
    upkeep(&mut writer, &wide(), MIDNIGHT + 5 * DAY + DAY / 2);
    assert_eq!((kept_days(&path), sent_by_day(&path)), (5, after));
    assert_eq!(reader(&path).faults().unwrap(), Vec::<String>::new());
}

#[test]
fn what_changes_rows_in_place_takes_the_day_away() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("usual.db");
    let (mut writer, batches) = usual_days(&path);
    let first = batches.first().unwrap();
    let mut late = drain(batches.last().unwrap().epoch.epoch + 1, 4 * 24 * 60 + 13 * 60, 20, &[]);
    late.late_names = vec![LateName {
        epoch: first.epoch.clone(),
        from: first.rows[0].key.clone(),
        name: name("late.example.net"),
        evidence: Evidence::TlsSni,
        marks: Marks::default(),
        application: first.rows[0].key.application,
        answer_secs: None,
        volume: Volume { up_bytes: 10, up_packets: 1, ..Volume::default() },
    }];
    writer.append(&late).unwrap();
    assert_eq!(kept_days(&path), 3);
    let forget = |name: &str| gateway_user::store::forget_name(&path, &name.parse::<NameMatch>().unwrap());
    forget("never.example.com").unwrap();
    assert_eq!(kept_days(&path), 3, "nothing had that name");
    forget("late.example.net").unwrap();
    assert_eq!(kept_days(&path), 0);
}

#[test]
fn days_from_before_a_month_are_no_longer_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("usual.db");
    let (mut writer, _) = usual_days(&path);
    upkeep(&mut writer, &wide(), MIDNIGHT + 33 * DAY + DAY / 2);
    assert_eq!(kept_days(&path), 3, "of five");
}
