//! Real clients through a real gateway, two hundred connections a second: every byte of every connection must be
//! stored under its right name, with the right evidence.

#![allow(clippy::unwrap_used, reason = "tests panic on purpose")]

mod clients;
mod dns;
mod initials;
mod plan;
mod programs;
mod record;
mod rows;
mod servers;
mod witness;

use clients::Clients;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use plan::{Kind, PACE, Planned, Truth};
use rows::Stored;
use std::collections::BTreeMap;
use std::net::TcpStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use witness::Witness;
use xtask::lab::{Household, HouseholdOptions, Offloads, TelltaleOptions, run_telltale};
use xtask::tool;

/// Threads of each device that make connections: a QUIC connection lingers for a tenth of a second.
const WORKERS: usize = 8;
/// Enough of each packet for its headers.
const HEADERS_LEN: u32 = 96;
/// What the machine may be behind at the end of a run.
const MAX_LAG: Duration = Duration::from_secs(2);

fn household() -> Household {
    let options =
        HouseholdOptions { hosts: plan::hosts(), ..HouseholdOptions::new(env!("CARGO_BIN_EXE_xtask")) };
    let household = Household::build(options).expect("the household comes up");
    household.pin_neighbours().expect("neighbours are pinned");
    household.set_offloads(Offloads::None).unwrap();
    servers::start(&household);
    household
}

/// Packets that the machine's own queues between virtual links had no room for.
fn queue_losses() -> u64 {
    let text = std::fs::read_to_string("/proc/net/softnet_stat").unwrap();
    text.lines().map(|line| u64::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap()).sum()
}

/// Makes all connections when they are due, with programs beside them if wanted; returns what must be said of all.
fn make(household: &Household, plan: &[Planned], with_programs: bool) -> Truth {
    let (made, stop, begun) = (AtomicUsize::new(0), AtomicBool::new(false), Instant::now());
    let mut truth: Truth = plan.iter().map(|p| (p.connection(), p.expected())).collect();
    std::thread::scope(|scope| {
        let programs = household.devices().iter().filter(|_| with_programs);
        let programs: Vec<_> =
            programs.map(|device| scope.spawn(|| programs::run_until(device, &stop))).collect();
        let mut workers = Vec::new();
        for device in household.devices() {
            let own: Vec<_> = plan.iter().filter(|p| p.role == device.spec.role).collect();
            for worker in 0..WORKERS {
                let share: Vec<_> = own.iter().copied().skip(worker).step_by(WORKERS).collect();
                let made = &made;
                workers.push(scope.spawn(move || {
                    let work = || {
                        let clients = Clients::new();
                        for planned in share {
                            std::thread::sleep(planned.due().saturating_sub(begun.elapsed()));
                            clients.make(planned);
                            made.fetch_add(1, Ordering::Relaxed);
                        }
                        Ok(())
                    };
                    device.namespace.inside(work).unwrap();
                }));
            }
        }
        let ends: Vec<_> = workers.into_iter().map(|worker| worker.join()).collect();
        let took = begun.elapsed();
        stop.store(true, Ordering::Relaxed);
        assert!(ends.iter().all(Result::is_ok), "a connection failed: see above");
        for programs in programs {
            truth.extend(programs.join().expect("every program succeeds"));
        }
        let made = made.load(Ordering::Relaxed);
        assert_eq!(made, plan.len());
        let wanted = Duration::from_secs(1) * u32::try_from(made).unwrap() / PACE;
        let rate = made as f32 / took.as_secs_f32();
        eprintln!(
            "{made} connections in {took:.1?}: {rate:.0} a second; and {} by programs",
            truth.len() - made
        );
        assert!(took < wanted + MAX_LAG, "this machine made {rate:.0} connections a second and not {PACE}");
    });
    truth
}

/// A run of all kinds: all that is stored must be the truth.
fn run(seconds: u32) {
    let household = household();
    let plan = plan::plan(0, seconds * PACE);
    let binary = tool::build_telltale().unwrap();
    let database = household.run().directory().join("telltale.db");
    let lost = queue_losses();
    household.wait_until_quiet().unwrap();
    let witnesses: Vec<_> =
        household.devices().iter().map(|d| Witness::begin(&household, d, HEADERS_LEN)).collect();
    let telltale = run_telltale(&household, &TelltaleOptions::new(binary, &database)).unwrap();
    let truth = make(&household, &plan, true);
    household.wait_until_quiet().unwrap();
    telltale.terminate().unwrap().check().unwrap();
    let mut witnessed = BTreeMap::new();
    for witness in witnesses {
        witness.end().sum_up(&mut witnessed);
    }
    assert_eq!(queue_losses(), lost, "the machine lost packets between two links: this comparison is void");

    let stored = Stored::open(&database);
    eprintln!("ledger:\n{}", stored.ledger());
    rows::compare(&stored.rows(&household, 0), &rows::expected(&truth, &witnessed), &stored.ledger());
    stored.check_nothing_hidden();
    for counter in ["coarse", "names_evicted", "hellos_evicted", "conversations_evicted"] {
        assert_eq!(stored.counter(counter), 0, "{counter}");
    }
    // A ring that was full for a moment has been counted, and what it lost was made up for: all names are there.
    eprintln!(
        "rings: {} and {} samples dropped",
        stored.counter("names_dropped"),
        stored.counter("hellos_dropped")
    );
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn two_thousand_connections_are_named_rightly() {
    run(10);
}

#[test]
#[ignore = "slow: needs root and a minute, cargo xtask test --all runs it"]
fn two_hundred_connections_a_second_for_a_minute_are_named_rightly() {
    run(60);
}

/// Waits for the interval in which samples were lost; the next one has nothing of what came before.
fn interval_that_has_a_loss(database: &Path) -> i64 {
    let deadline = Instant::now() + Duration::from_secs(20);
    while Instant::now() < deadline {
        if let Some(interval) = Stored::open(database).last_interval_with("hellos_dropped") {
            return interval;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("the rings were never full: {}", Stored::open(database).ledger());
}

/// Requests over connections that are kept, from every device.
fn hold(household: &Household, first: u32) -> Vec<(Planned, TcpStream)> {
    let plan = plan::plan_of(&[Kind::Http], first, 24).into_iter();
    // Names of their own, to be told apart.
    let plan = plan.map(|planned| Planned { name: format!("held-{}", planned.name), ..planned });
    plan.map(|planned| {
        let device = household.device(planned.role).unwrap();
        let stream = device.namespace.inside(|| Ok(clients::hold(&planned))).unwrap();
        (planned, stream)
    })
    .collect()
}

/// While the daemon stands still, rings fill and samples are lost. That is counted; nothing gets a wrong name; all
/// bytes are there. A conversation that names its host again has all its bytes named, those of before too; and what
/// comes when the daemon goes on is named as ever.
#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn what_full_rings_lose_is_counted_and_misnames_nobody() {
    let household = household();
    let binary = tool::build_telltale().unwrap();
    let database = household.run().directory().join("telltale.db");
    let lost = queue_losses();
    household.wait_until_quiet().unwrap();
    let witnesses: Vec<_> =
        household.devices().iter().map(|d| Witness::begin(&household, d, HEADERS_LEN)).collect();
    let options = TelltaleOptions { drain_every_secs: Some(2), ..TelltaleOptions::new(binary, &database) };
    let telltale = run_telltale(&household, &options).unwrap();
    let pid = Pid::from_raw(i32::try_from(telltale.pid()).unwrap());

    kill(pid, Signal::SIGSTOP).unwrap();
    let during = make(&household, &plan::plan_of(&Kind::SELF_NAMED, 0, 5 * PACE), false);
    let held = hold(&household, 6 * PACE);
    household.wait_until_quiet().unwrap();
    kill(pid, Signal::SIGCONT).unwrap();
    let until = interval_that_has_a_loss(&database);
    let after = make(&household, &plan::plan_of(&Kind::SELF_NAMED, 5 * PACE, PACE), false);
    let mut again = Truth::new();
    for (planned, stream) in held {
        clients::let_go(&planned, stream);
        again.insert(planned.connection(), planned.expected());
    }
    household.wait_until_quiet().unwrap();
    telltale.terminate().unwrap().check().unwrap();
    let mut witnessed = BTreeMap::new();
    for witness in witnesses {
        witness.end().sum_up(&mut witnessed);
    }
    assert_eq!(queue_losses(), lost, "the machine lost packets between two links: this comparison is void");

    let stored = Stored::open(&database);
    let ledger = stored.ledger();
    let all = [&during, &again, &after].into_iter().flatten().map(|(c, e)| (*c, e.clone())).collect();
    let rows = stored.rows(&household, 0);
    let nameless = rows::compare_names_given(&rows, &rows::expected(&all, &witnessed));
    let dropped = stored.counter("hellos_dropped");
    eprintln!("{dropped} samples dropped, {nameless} of {} conversations without a name", during.len());
    let of = |truth: &Truth| {
        let witnessed = witnessed.iter().filter(|(connection, _)| truth.contains_key(connection));
        rows::expected(truth, &witnessed.map(|(c, v)| (*c, *v)).collect())
    };
    let is_held = |key: &rows::Key| key.name().is_some_and(|name| name.starts_with("held-"));
    rows::compare(&rows.into_iter().filter(|(key, _)| is_held(key)).collect(), &of(&again), &ledger);
    let mut later = stored.rows(&household, until + 1);
    later.retain(|key, _| !is_held(key));
    rows::compare(&later, &of(&after), &ledger);
    assert!(nameless > 0 && nameless <= dropped, "{nameless} without a name, {dropped} samples dropped");
}

/// `TELLTALE_RECORD=DIRECTORY` keeps the captures.
#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn captures_of_every_kind_are_recorded() {
    record::record_all(&household());
}
