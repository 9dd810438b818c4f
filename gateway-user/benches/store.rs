//! What it costs to store one drain of 100 000 rows: 30 devices, 3 000 peers, 2 000 names, nothing known before.
//! The bar is 1 s of CPU time. `cargo bench -p gateway-user --bench store`.
#![allow(clippy::print_stdout, reason = "printing is what it is for")]

use gateway_core::application::Application;
use gateway_core::query::Filter;
use gateway_core::row::{
    Answer, Batch, EpochId, Evidence, FlowRow, Interval, Marks, Network, OpenedBy, RowKey, RowKind,
};
use gateway_core::units::{BootTime, ClockPair, Country, DomainName, Mac, Volume, WallTime};
use gateway_user::store::{Reader, Writer};
use nix::time::{ClockId, clock_gettime};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

const ROWS: u32 = 100_000;
const DEVICES: u32 = 30;
const PEERS: u32 = 3_000;
const NAMES: u32 = 2_000;
const MINUTE_NS: u64 = 60_000_000_000;

fn main() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("bench.db");
    let mut writer = Writer::open(&path).expect("open the database");
    println!("{:>8} {:>12} {:>12} {:>10}", "drain", "CPU", "rows/s (CPU)", "us per row");
    let mut rows = 0;
    for epoch in 1..=5 {
        let batch = batch(epoch);
        rows += batch.rows.len();
        let (cpu, wall) = (cpu_time(), Instant::now());
        writer.append(&batch).expect("store the batch");
        let (spent, elapsed) = (cpu_time() - cpu, wall.elapsed());
        let count = batch.rows.len() as f64;
        println!(
            "{epoch:>8} {:>9.0} ms {:>12.0} {:>10.2}   (wall {:.0} ms, {} rows)",
            spent.as_secs_f64() * 1e3,
            count / spent.as_secs_f64(),
            spent.as_secs_f64() * 1e6 / count,
            elapsed.as_secs_f64() * 1e3,
            batch.rows.len()
        );
    }
    drop(writer);
    written_per_drain();
    let size = std::fs::metadata(&path).expect("the database is there").len();
    println!("database: {size} bytes, {:.1} per row", size as f64 / rows as f64);
}

/// What an ordinary drain writes (the log of writes, and later the database): 300 rows, and 100 answers of the DNS that
/// are for new names, for known ones, repeated while the ones before vouch, or not there. After 300 drains that have
/// filled the tables; then how long it takes to read all answers.
fn written_per_drain() {
    const DRAINS: u64 = 100;
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("written.db");
    let mut writer = Writer::open(&path).expect("open the database");
    let mut epoch = 0;
    let mut drains = |writer: &mut Writer, count: u64, answers: fn(u64) -> Vec<Answer>| {
        let before = bytes_written();
        for _ in 0..count {
            epoch += 1;
            let mut drain = batch_of(epoch, 300);
            drain.networks.truncate(300);
            drain.answers = answers(epoch);
            writer.append(&drain).expect("store the batch");
        }
        (bytes_written() - before) / count
    };
    let new = |epoch: u64| (0..100).map(|n| told(epoch, epoch * 100 + n)).collect::<Vec<_>>();
    let known =
        |epoch: u64| (0..100).map(|n| told(epoch, (epoch + n * 3) % 300 * 100 + n)).collect::<Vec<_>>();
    // First told in the drain 601, and again in each that follows.
    let repeated = |epoch: u64| {
        let again = |n| Answer { answered_at: BootTime(601 * MINUTE_NS), ..told(epoch, n) };
        (0..100).map(again).collect::<Vec<_>>()
    };
    drains(&mut writer, 300, new);
    for (what, answers) in [
        ("no answers", (|_| Vec::new()) as fn(u64) -> _),
        ("100 answers for new names", new),
        ("100 answers for known names", known),
        ("100 repeated answers", repeated),
    ] {
        let written = drains(&mut writer, DRAINS, answers);
        println!("written per drain of 300 rows and {what}: {written} bytes");
    }
    drains(&mut writer, 400, known);
    let started = Instant::now();
    let now = ClockPair { boot: BootTime(0), wall: WallTime(0) };
    let restored = writer.memory("bench", 1, now, true).expect("read the answers").answers.len();
    println!("{restored} answers for a start: {:.0} ms", started.elapsed().as_secs_f64() * 1e3);
    let reader = Reader::open(&path).expect("open the database").expect("it is there");
    let started = Instant::now();
    let told = reader.answers(&Filter::default()).expect("read the answers").len();
    println!("{told} spans for an explanation: {:.0} ms", started.elapsed().as_secs_f64() * 1e3);
}

fn told(epoch: u64, number: u64) -> Answer {
    let at = epoch * MINUTE_NS;
    Answer {
        device: Mac([2, 0, 0, 0, 0, (number % u64::from(DEVICES)) as u8]),
        asker_ipv4: Some(Ipv4Addr::new(192, 168, 1, (number % u64::from(DEVICES)) as u8)),
        addr: peer((number % 20_000) as u32),
        name: DomainName::parse(&format!("host{number}.service{}.example.com", number % 97)).expect("a name"),
        chain: vec![DomainName::parse("edge.cdn.example.net").expect("a name")],
        answered_at: BootTime(at),
        vouches_until: BootTime(at + 120_000_000_000),
        ttl_secs: 60,
    }
}

/// Bytes that this process has handed to the kernel to write (man 5 proc_pid_io).
fn bytes_written() -> u64 {
    let io = std::fs::read_to_string("/proc/self/io").expect("Linux tells what a process writes");
    let line = io.lines().find_map(|line| line.strip_prefix("wchar: "));
    line.and_then(|count| count.parse().ok()).expect("a number")
}

fn cpu_time() -> Duration {
    clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).expect("every Linux has this clock").into()
}

/// Rows in key order, as the pipeline hands them over. Seeded by nothing: every run stores the same.
fn batch(epoch: u64) -> Batch {
    batch_of(epoch, ROWS)
}

fn batch_of(epoch: u64, row_count: u32) -> Batch {
    let mut rows = BTreeMap::new();
    let mut state = epoch;
    let mut next = |below: u32| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) as u32) % below
    };
    while rows.len() < row_count as usize {
        let name = next(NAMES);
        let key = RowKey {
            device: Mac([2, 0, 0, 0, 0, next(DEVICES) as u8]),
            peer: peer(next(PEERS)),
            port: [443, 80, 5222, 8080][next(4) as usize],
            protocol: 6,
            kind: RowKind::Flow,
            opened_by: OpenedBy::Device,
            name: DomainName::parse(&format!("host{name}.service{}.example.com", name % 97)),
            evidence: Evidence::TlsSni,
            marks: Marks::NONE,
            application: Application::Tls,
        };
        let volume = Volume {
            up_bytes: u64::from(next(100_000)),
            down_bytes: u64::from(next(5_000_000)),
            up_packets: u64::from(next(500)),
            down_packets: u64::from(next(5_000)),
        };
        rows.insert(key, (volume, u64::from(next(5))));
    }
    let rows = rows.into_iter().map(|(key, (volume, conversations))| FlowRow {
        key,
        volume,
        conversations,
        oldest_answer_secs: None,
    });
    let network = |n: u32| Network {
        asn: Some(45_000 + n % 300),
        organisation: Some(format!("Organisation {} Ltd.", n % 300)),
        country: Country::parse("SG"),
        registered: Country::parse("CN"),
        ..Network::default()
    };
    let began = epoch * MINUTE_NS;
    Batch {
        epoch: EpochId { boot_id: "bench".into(), table_id: 7, epoch },
        interval: Interval {
            began_boot: BootTime(began),
            ended_boot: BootTime(began + 60_000_000_000),
            began_at: WallTime(began as i64),
            ended_at: WallTime(began as i64 + 60_000_000_000),
            is_clock_set: true,
        },
        rows: rows.collect(),
        ledger: Vec::new(),
        networks: (0..PEERS).map(|n| (peer(n), network(n))).collect(),
        devices: Vec::new(),
        aliases: Vec::new(),
        answers: Vec::new(),
        late_names: Vec::new(),
    }
}

fn peer(n: u32) -> IpAddr {
    Ipv4Addr::from(0x2f00_0000 + n * 7_919).into()
}
