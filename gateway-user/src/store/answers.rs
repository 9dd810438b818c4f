//! What the DNS told devices: a row for every answer, at the end of the table, so that those of one drain lie side by
//! side and few pages are written. What a repeated answer adds is written when it may be needed. Bounded by number and
//! age; the oldest rows go first, from the front.

use super::column::{AddrBytes, count};
use super::ids::Ids;
use super::memory::REPLAYED;
use gateway_core::row::{Answer, Interval};
use gateway_core::units::{BootTime, ClockPair, WallTime};
use rusqlite::{Connection, params};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

/// How many rows of what this gateway was told are kept, and how many of what captures told: days of a household, some
/// 9 MB at most. All of them are read at a start and for an explanation: 0.2 to 0.3 s on a PC. Captures have room of
/// their own, so that to replay one costs the daemon nothing of what it remembers.
pub const MAX_ANSWERS: usize = 65_536;
/// How many leave at once when there are more, so that the front is not cut at every drain.
const LEAVE_AT_ONCE: usize = 1024;
/// How long one is kept after it last vouched. It explains the rows of its time; and it tells who asked for what, so
/// it does not stay for ever.
pub const KEPT_FOR_SECS: i64 = 30 * 86_400;
/// How often the front is searched for what has been kept long enough.
const SWEEP_EVERY_NS: i64 = 3_600 * NANOS_PER_SEC;
/// Of how many answers the writer remembers what the table has of them: below 4 MB. When there are more, those that
/// are over leave, and if that is not enough all; that costs rows and loses nothing.
const MAX_REMEMBERED: usize = 16_384;

/// A repeated answer waits in memory while the word in the table lasts for this long from the end of a drain, or for
/// two intervals if those are longer: until then the next drain has come, or the daemon is back after a kill.
pub const WORD_LASTS_SECS: u64 = 60;

const NANOS_PER_SEC: i64 = 1_000_000_000;

/// Which answers are repetitions of each other. Numbers of device and name as the database has them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Key {
    device: i64,
    addr: IpAddr,
    name: i64,
    asker: Option<Ipv4Addr>,
}

/// What the table has of an answer.
#[derive(Clone, Copy, Debug)]
struct Written {
    answered_at: BootTime,
    vouches_until: BootTime,
}

/// What goes into a row besides its key.
#[derive(Clone, Debug)]
struct Word {
    chain: String,
    ttl_secs: u32,
    answered_at: BootTime,
    vouches_until: BootTime,
}

/// Who counted, and the calendar as it was known at the last drain.
#[derive(Clone, Copy, Debug)]
struct Source {
    origin: i64,
    /// Was it counted from a capture?
    is_replayed: bool,
    clocks: Option<ClockPair>,
}

/// What the writer remembers of the table. Whoever rolls a transaction back must [`Answers::forget`]; what was waiting
/// then is lost to the table, until it is told again or new.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// How many rows there are of the last source's kind: of the gateway's own, or of captures.
    held: Option<usize>,
    swept_at: Option<WallTime>,
    source: Option<Source>,
    written: BTreeMap<Key, Written>,
    /// Repeated answers whose row in the table is an earlier one.
    waiting: BTreeMap<Key, Word>,
}

impl Answers {
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// Enters what an interval brought; answers how many rows left for want of room.
    pub(super) fn enter(
        &mut self,
        db: &Connection,
        ids: &mut Ids,
        (origin, is_replayed): (i64, bool),
        interval: &Interval,
        answers: &[Answer],
    ) -> anyhow::Result<u64> {
        let clocks = ClockPair { boot: interval.ended_boot, wall: interval.ended_at };
        let source = Source { origin, is_replayed, clocks: interval.is_clock_set.then_some(clocks) };
        if let Some(before) = self.source.filter(|before| before.origin != origin) {
            let settled = self.settle(db)?; // Its moments are of another clock.
            self.written.clear();
            let is_alike = before.is_replayed == is_replayed;
            self.held = self.held.filter(|_| is_alike).map(|held| held + settled);
        }
        let mut held = match self.held {
            Some(held) => held,
            None => count_rows(db, is_replayed)?,
        };
        self.source = Some(source);
        let mut contested = BTreeSet::new();
        for answer in answers {
            held += self.enter_one(db, ids, source, answer, &mut contested)?;
        }
        held += self.write_due(db, source, interval, &contested)?;
        if self.written.len() > MAX_REMEMBERED {
            self.written.retain(|_, written| written.vouches_until >= interval.ended_boot);
        }
        if self.written.len() > MAX_REMEMBERED {
            held += self.settle(db)?;
            self.written.clear();
        }
        let mut left = 0;
        if held > MAX_ANSWERS {
            left = remove_oldest(db, is_replayed, (held - MAX_ANSWERS).saturating_add(LEAVE_AT_ONCE))?;
            held = held.saturating_sub(left);
        }
        let now = interval.ended_at;
        let is_due =
            self.swept_at.is_none_or(|swept| now.0.abs_diff(swept.0) >= SWEEP_EVERY_NS.unsigned_abs());
        if interval.is_clock_set && is_due {
            held = held.saturating_sub(sweep(db, is_replayed, now)?);
            if !is_replayed {
                sweep(db, true, now)?;
            }
            self.swept_at = Some(now);
        }
        self.held = Some(held);
        Ok(left.try_into()?)
    }

    /// Writes what is waiting, for a daemon that ends in good order; answers how many rows that is.
    pub(super) fn settle(&mut self, db: &Connection) -> anyhow::Result<usize> {
        let Some(source) = self.source else { return Ok(0) };
        let waiting = core::mem::take(&mut self.waiting);
        for (key, word) in &waiting {
            self.write(db, source, *key, word)?;
        }
        Ok(waiting.len())
    }

    /// Answers how many rows it took.
    fn enter_one(
        &mut self,
        db: &Connection,
        ids: &mut Ids,
        source: Source,
        answer: &Answer,
        contested: &mut BTreeSet<(i64, IpAddr)>,
    ) -> anyhow::Result<usize> {
        let Answer { device, asker_ipv4, addr, name, chain, answered_at, vouches_until, ttl_secs } = answer;
        let chain: Vec<_> = chain.iter().map(|name| name.as_str()).collect();
        let key = Key {
            device: ids.device(db, *device)?,
            addr: *addr,
            name: ids.name(db, Some(name))?,
            asker: *asker_ipv4,
        };
        let word = Word {
            chain: chain.join(" "),
            ttl_secs: *ttl_secs,
            answered_at: *answered_at,
            vouches_until: *vouches_until,
        };
        if self.written.get(&key).is_some_and(|written| written.answered_at == *answered_at) {
            self.waiting.insert(key, word);
            return Ok(0);
        }
        let mut rows = 1;
        if let Some(earlier) = self.waiting.remove(&key) {
            self.write(db, source, key, &earlier)?;
            rows += 1;
        }
        self.write(db, source, key, &word)?;
        contested.insert((key.device, key.addr));
        Ok(rows)
    }

    /// Writes what cannot wait: where the word in the table ends soon, and where something new was told of the address,
    /// so that time tells the names apart after a restart as it did before.
    fn write_due(
        &mut self,
        db: &Connection,
        source: Source,
        interval: &Interval,
        contested: &BTreeSet<(i64, IpAddr)>,
    ) -> anyhow::Result<usize> {
        let Interval { began_boot, ended_boot, .. } = interval;
        let two_intervals = ended_boot.since(*began_boot).saturating_mul(2);
        let lasts = two_intervals.max(WORD_LASTS_SECS.saturating_mul(NANOS_PER_SEC.unsigned_abs()));
        let until = BootTime(ended_boot.0.saturating_add(lasts));
        let is_due = |key: &Key| {
            contested.contains(&(key.device, key.addr))
                || self.written.get(key).is_none_or(|written| written.vouches_until < until)
        };
        let due: Vec<_> = self.waiting.keys().copied().filter(is_due).collect();
        let mut rows = 0;
        for key in due {
            let Some(word) = self.waiting.remove(&key) else { continue };
            // The same word again: dnsmasq and its like hand out what is left of a TTL.
            let is_news = |written: &Written| word.vouches_until > written.vouches_until;
            if self.written.get(&key).is_none_or(is_news) || contested.contains(&(key.device, key.addr)) {
                self.write(db, source, key, &word)?;
                rows += 1;
            }
        }
        Ok(rows)
    }

    fn write(&mut self, db: &Connection, source: Source, key: Key, word: &Word) -> anyhow::Result<()> {
        let Word { chain, ttl_secs, answered_at, vouches_until } = word;
        let wall = |at: &BootTime| source.clocks.map(|clocks| clocks.wall_of(*at).0);
        let asker = key.asker.map(|ipv4| ipv4.octets());
        db.prepare_cached(
            "INSERT INTO answer (device, name, addr, asker_ipv4, chain, ttl_secs, origin, answered_boot_ns, \
             vouches_boot_ns, answered_at, vouches_until) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            key.device,
            key.name,
            AddrBytes::of(key.addr).as_slice(),
            asker.as_ref().map_or(&[][..], |octets| &octets[..]),
            chain,
            ttl_secs,
            source.origin,
            count(answered_at.0, "a time since boot")?,
            count(vouches_until.0, "a time since boot")?,
            wall(answered_at),
            wall(vouches_until),
        ])?;
        let written = Written { answered_at: *answered_at, vouches_until: *vouches_until };
        self.written.insert(key, written);
        Ok(())
    }
}

/// The rows of one kind of source: of captures, or of the gateway's own boots.
fn kind_of_source(is_replayed: bool) -> String {
    let not = if is_replayed { "" } else { "NOT " };
    format!("origin IN (SELECT id FROM origin WHERE boot_id {not}LIKE '{REPLAYED}')")
}

fn count_rows(db: &Connection, is_replayed: bool) -> anyhow::Result<usize> {
    let of = kind_of_source(is_replayed);
    let sql = format!("SELECT COUNT(*) FROM answer WHERE {of}");
    Ok(db.query_row(&sql, [], |row| row.get::<_, i64>(0))?.try_into()?)
}

/// From the front of a kind's rows: those that were written first.
fn remove_oldest(db: &Connection, is_replayed: bool, how_many: usize) -> anyhow::Result<usize> {
    let last = i64::try_from(how_many.saturating_sub(1))?;
    let of = kind_of_source(is_replayed);
    let removed = db
        .prepare_cached(&format!(
            "DELETE FROM answer WHERE {of} AND id <= \
             (SELECT id FROM answer WHERE {of} ORDER BY id LIMIT 1 OFFSET ?)"
        ))?
        .execute([last])?;
    Ok(removed)
}

/// From the front of a kind's rows, to the first that has not been kept long enough. One with a longer TTL may hold up
/// others, for a day at most; undated ones go with those around them.
fn sweep(db: &Connection, is_replayed: bool, now: WallTime) -> rusqlite::Result<usize> {
    let oldest = now.0.saturating_sub(KEPT_FOR_SECS * NANOS_PER_SEC);
    let of = kind_of_source(is_replayed);
    db.prepare_cached(&format!(
        "DELETE FROM answer WHERE {of} AND id < COALESCE(\
         (SELECT id FROM answer WHERE {of} AND vouches_until >= ?1 ORDER BY id LIMIT 1), \
         (SELECT MAX(id) + 1 FROM answer WHERE {of} AND vouches_until < ?1), 0)"
    ))?
    .execute([oldest])
}

/// Dates what this boot's devices were told, now that the calendar is known (or was put right).
pub(super) fn date(db: &Connection, boot_id: &str, clocks: ClockPair) -> rusqlite::Result<()> {
    let ahead = clocks.wall.0.saturating_sub(clocks.boot.0.cast_signed());
    db.prepare_cached(
        "UPDATE answer SET answered_at = answered_boot_ns + ?1, vouches_until = vouches_boot_ns + ?1 \
         WHERE origin IN (SELECT id FROM origin WHERE boot_id = ?2)",
    )?
    .execute(params![ahead, boot_id])?;
    Ok(())
}
