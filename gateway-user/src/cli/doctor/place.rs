//! Where things go: pins, database, and their place in time.

use super::check::Check;
use crate::clock;
use anyhow::Context;
use gateway_core::units::WallTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};
use nix::sys::statfs::{BPF_FS_MAGIC, FsType, TMPFS_MAGIC, statfs};
use nix::unistd::{AccessFlags, eaccess};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Below this SQLite has no room to work.
const LEAST_FREE_BYTES: u64 = 8 << 20;
/// Below this a month of a household may not fit.
const ENOUGH_FREE_BYTES: u64 = 64 << 20;
/// The first bytes of every database (sqlite.org/fileformat2.html §1.3.1).
const SQLITE_MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// What is known of the directory for pins.
pub(super) struct Pins {
    dir: PathBuf,
    /// The file system its nearest existing ancestor is on.
    kind: Option<FsType>,
}

/// What is known of the database's place.
#[derive(Clone, Default)]
pub(super) struct Database {
    path: PathBuf,
    /// The first bytes of the file, if it exists.
    head: Option<Vec<u8>>,
    /// It exists and is no regular file.
    is_other_kind: bool,
    /// Its directory, or the nearest ancestor of it that exists.
    nearest: PathBuf,
    /// `nearest` is the directory itself.
    has_dir: bool,
    /// Why it, or its directory, cannot be written.
    refusal: Option<String>,
    free_bytes: Option<u64>,
    is_in_memory: bool,
}

/// The nearest ancestor that exists, the path itself included.
fn nearest_existing(path: &Path) -> &Path {
    let here = Path::new(".");
    path.ancestors().find(|a| !a.as_os_str().is_empty() && a.symlink_metadata().is_ok()).unwrap_or(here)
}

pub(super) fn look_at_pins(dir: &Path) -> Pins {
    let kind = statfs(nearest_existing(dir)).ok().map(|fs| fs.filesystem_type());
    Pins { dir: dir.to_owned(), kind }
}

pub(super) fn bpffs(pins: &Pins) -> Check {
    let name = "bpffs";
    let dir = pins.dir.display();
    match pins.kind {
        Some(BPF_FS_MAGIC) => Check::ok(name, format!("{dir} is on a BPF file system")),
        Some(_) => Check::problem(
            name,
            format!("{dir} is not on a BPF file system, so counts cannot outlive the daemon"),
            "mount -t bpf bpf /sys/fs/bpf, or set `pin_dir` to a directory on one",
        ),
        None => Check::unknown(name, format!("what file system {dir} is on could not be found out")),
    }
}

pub(super) fn look_at_database(path: &Path) -> Database {
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let nearest = nearest_existing(parent);
    let metadata = std::fs::metadata(path).ok();
    let is_other_kind = metadata.as_ref().is_some_and(|m| !m.is_file());
    let head = metadata.filter(|_| !is_other_kind).and_then(|_| head_of(path).ok());
    let mut refusal = eaccess(nearest, AccessFlags::W_OK | AccessFlags::X_OK)
        .err()
        .map(|errno| format!("{} cannot be written: {}", nearest.display(), errno.desc()));
    if head.is_some()
        && let Err(errno) = eaccess(path, AccessFlags::R_OK | AccessFlags::W_OK)
    {
        refusal = Some(format!("{} cannot be written: {}", path.display(), errno.desc()));
    }
    let fs = statfs(nearest).ok();
    #[allow(
        clippy::useless_conversion,
        clippy::unnecessary_cast,
        reason = "the types differ between machines"
    )]
    let free_bytes =
        fs.and_then(|fs| u64::from(fs.blocks_available()).checked_mul(u64::try_from(fs.block_size()).ok()?));
    Database {
        path: path.to_owned(),
        head,
        is_other_kind,
        has_dir: nearest == parent,
        nearest: nearest.to_owned(),
        refusal,
        free_bytes,
        is_in_memory: fs.is_some_and(|fs| fs.filesystem_type() == TMPFS_MAGIC),
    }
}

fn head_of(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::new();
    std::fs::File::open(path)?.take(SQLITE_MAGIC.len() as u64).read_to_end(&mut head)?;
    Ok(head)
}

pub(super) fn database(found: &Database) -> Check {
    let name = "database";
    let Database { path, head, is_other_kind, nearest, has_dir, refusal, free_bytes, is_in_memory } = found;
    let path = path.display();
    let elsewhere = "choose another place with --database, or `database` in the configuration";
    if *is_other_kind {
        return Check::problem(name, format!("{path} is not a file"), elsewhere);
    }
    if head.as_ref().is_some_and(|head| !head.is_empty() && head.as_slice() != SQLITE_MAGIC) {
        return Check::problem(name, format!("{path} is a file of another kind"), elsewhere);
    }
    if let Some(refusal) = refusal {
        return Check::problem(name, refusal.clone(), format!("run as root, or {elsewhere}"));
    }
    let free = free_bytes.map_or("unknown".to_owned(), |bytes| format!("{} MiB", bytes >> 20));
    if free_bytes.is_some_and(|bytes| bytes < LEAST_FREE_BYTES) {
        return Check::problem(name, format!("no room for {path}: {free} free"), elsewhere);
    }
    let state = match (head.is_some(), has_dir) {
        (true, _) => "is there",
        (false, true) => "will be made",
        (false, false) => "will be made, with its directory",
    };
    if *is_in_memory {
        let finding = format!("{path} {state}, in memory: it does not survive a restart");
        return Check::warning(name, finding, elsewhere);
    }
    if free_bytes.is_some_and(|bytes| bytes < ENOUGH_FREE_BYTES) {
        let remedy = format!("make room under {}, or {elsewhere}", nearest.display());
        return Check::warning(name, format!("{path} {state}, with {free} free"), remedy);
    }
    Check::ok(name, format!("{path} {state}; {free} free"))
}

/// What is known of the time.
struct Clock {
    now: WallTime,
    /// When the database was last written.
    last_written: Option<WallTime>,
    /// What systemd-timesyncd says, where it runs.
    is_synchronised: Option<bool>,
}

/// The clock and the time zone.
///
/// # Errors
/// When the kernel has no steady clock.
pub(super) fn look_at_clock(database: &Path) -> anyhow::Result<Vec<Check>> {
    let now = clock::now().context("look at the clock")?.wall;
    let modified = std::fs::metadata(database).and_then(|m| m.modified()).ok();
    let last_written = modified.and_then(|t| Timestamp::try_from(t).ok()).map(|t| WallTime(nanos(t)));
    let timesyncd = Path::new("/run/systemd/timesync");
    let is_synchronised = timesyncd.is_dir().then(|| timesyncd.join("synchronized").exists());
    let zone = TimeZone::try_system().ok();
    Ok(vec![
        clock_check(&Clock { now, last_written, is_synchronised }, zone.as_ref()),
        zone_check(zone.as_ref(), now),
    ])
}

/// Nanoseconds since 1970; the far ends of the calendar are cut.
fn nanos(time: Timestamp) -> i64 {
    i64::try_from(time.as_nanosecond()).unwrap_or(i64::MAX)
}

fn local(time: WallTime, zone: Option<&TimeZone>) -> ZonedDateTime {
    let timestamp = Timestamp::from_nanosecond(i128::from(time.0)).unwrap_or_default();
    timestamp.to_zoned_datetime(zone.cloned().unwrap_or(TimeZone::UTC))
}

fn clock_check(found: &Clock, zone: Option<&TimeZone>) -> Check {
    let name = "clock";
    let Clock { now, last_written, is_synchronised } = found;
    let words = local(*now, zone).strftime("%Y-%m-%d %H:%M:%S %:z").to_string();
    if !clock::is_set(*now) {
        return Check::warning(
            name,
            format!("was never set: it says {words}"),
            "start NTP; what is counted until then is put in its place in time afterwards",
        );
    }
    if last_written.is_some_and(|written| written > *now) {
        return Check::warning(
            name,
            format!("is behind: it says {words}, which is before the database was last written"),
            "start NTP, or wait for it",
        );
    }
    if *is_synchronised == Some(false) {
        return Check::warning(
            name,
            format!("{words}, not yet synchronised by systemd-timesyncd"),
            "wait for it",
        );
    }
    Check::ok(name, words)
}

fn zone_check(zone: Option<&TimeZone>, now: WallTime) -> Check {
    let name = "time zone";
    let Some(zone) = zone else {
        return Check::warning(
            name,
            "is not known: days are taken to begin at midnight UTC",
            "set it, for example by linking /etc/localtime to a file of /usr/share/zoneinfo",
        );
    };
    let offset = local(now, Some(zone)).strftime("UTC%:z").to_string();
    Check::ok(name, zone.iana_name().map_or(offset.clone(), |iana| format!("{iana} ({offset} now)")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic on purpose")]
    use super::super::check::Verdict::{self, *};
    use super::*;

    #[track_caller]
    fn check(check: &Check, verdict: Verdict, part: &str) {
        assert_eq!(check.verdict, verdict, "{check:?}");
        assert!(check.finding.contains(part), "{check:?}");
        assert_eq!(check.remedy.is_some(), matches!(verdict, Warning | Problem));
    }

    #[test]
    fn pins_need_a_bpf_file_system() {
        let with = |kind| Pins { dir: "/p".into(), kind };
        check(&bpffs(&with(Some(BPF_FS_MAGIC))), Ok, "/p is on");
        check(&bpffs(&with(Some(TMPFS_MAGIC))), Problem, "/p is not on");
        check(&bpffs(&with(None)), Unknown, "/p");
        let dir = tempfile::tempdir().unwrap();
        check(&bpffs(&look_at_pins(&dir.path().join("not/yet/there"))), Problem, "is not on");
    }

    #[test]
    fn a_database_has_a_place_or_a_reason_why_not() {
        let good = Database {
            path: "/d/x.db".into(),
            has_dir: true,
            free_bytes: Some(1 << 30),
            ..Database::default()
        };
        check(&database(&good), Ok, "/d/x.db will be made; 1024 MiB free");
        check(&database(&Database { has_dir: false, ..good.clone() }), Ok, "with its directory");
        let head = |bytes: &[u8]| Database { head: Some(bytes.to_vec()), ..good.clone() };
        check(&database(&head(SQLITE_MAGIC)), Ok, "is there");
        check(&database(&head(b"")), Ok, "is there");
        check(&database(&head(b"SQLite")), Problem, "another kind");
        check(&database(&Database { is_other_kind: true, ..good.clone() }), Problem, "not a file");
        check(&database(&Database { refusal: Some("/d: no".into()), ..good.clone() }), Problem, "/d: no");
        check(&database(&Database { is_in_memory: true, ..good.clone() }), Warning, "does not survive");
        check(
            &database(&Database { free_bytes: Some(ENOUGH_FREE_BYTES - 1), ..good.clone() }),
            Warning,
            "63 MiB",
        );
        check(
            &database(&Database { free_bytes: Some(LEAST_FREE_BYTES - 1), ..good.clone() }),
            Problem,
            "no room",
        );
    }

    #[test]
    fn a_real_place_is_looked_at() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b/x.db");
        let found = look_at_database(&path);
        assert!(!found.has_dir && found.head.is_none() && found.refusal.is_none());
        assert_eq!(found.nearest, dir.path());
        assert!(found.free_bytes.unwrap() > 0);
        assert!(!path.parent().unwrap().exists(), "looking makes nothing");
        let file = dir.path().join("t.db");
        std::fs::write(&file, "this is a text, not a database").unwrap();
        check(&database(&look_at_database(&file)), Problem, "another kind");
        check(&database(&look_at_database(dir.path())), Problem, "not a file");
        // A directory that is a file.
        check(&database(&look_at_database(&file.join("x.db"))), Problem, "t.db cannot be written");
    }

    #[test]
    fn a_clock_is_set_or_not() {
        let day = 86_400 * 1_000_000_000;
        let at = |now: WallTime| Clock { now, last_written: None, is_synchronised: None };
        let now = WallTime(clock::CLOCK_FLOOR.0 + day);
        check(&clock_check(&at(now), None), Ok, "2026-01-02 00:00:00 +00:00");
        check(&clock_check(&at(WallTime(0)), None), Warning, "never set: it says 1970-01-01");
        check(
            &clock_check(&Clock { last_written: Some(WallTime(now.0 + 1)), ..at(now) }, None),
            Warning,
            "behind",
        );
        check(&clock_check(&Clock { last_written: Some(now), ..at(now) }, None), Ok, "2026");
        check(&clock_check(&Clock { is_synchronised: Some(false), ..at(now) }, None), Warning, "not yet");
        check(&clock_check(&Clock { is_synchronised: Some(true), ..at(now) }, None), Ok, "2026");
    }

    #[test]
    fn a_zone_has_an_offset() {
        let now = WallTime(clock::CLOCK_FLOOR.0);
        check(&zone_check(None, now), Warning, "UTC");
        let zone = TimeZone::fixed(jiff::tz::offset(-3));
        check(&zone_check(Some(&zone), now), Ok, "UTC-03:00");
        check(
            &clock_check(&Clock { now, last_written: None, is_synchronised: None }, Some(&zone)),
            Ok,
            "2025-12-31 21:00:00 -03:00",
        );
    }
}
