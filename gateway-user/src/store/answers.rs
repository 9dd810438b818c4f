//! What the DNS told devices: the latest for each device, name, address and asker. Bounded by number and age.

use super::column::{AddrBytes, count};
use super::ids::Ids;
use gateway_core::row::{Answer, Interval};
use gateway_core::units::{BootTime, ClockPair, WallTime};
use rusqlite::{Connection, params};

/// How many are kept: weeks of a household, some 5 MB.
pub const MAX_ANSWERS: usize = 32_768;
/// How many leave at once when there are more, so that the table is not searched for the oldest at every drain.
const LEAVE_AT_ONCE: usize = 1024;
/// How long one is kept after it last vouched. It explains the rows of its time; and it tells who asked for what, so
/// it does not stay for ever.
pub const KEPT_FOR_SECS: i64 = 30 * 86_400;
/// How often the table is searched for what has been kept long enough.
const SWEEP_EVERY_NS: i64 = 3_600 * NANOS_PER_SEC;

const NANOS_PER_SEC: i64 = 1_000_000_000;

/// What the writer remembers of the table, so as not to count it at every drain. Whoever rolls a transaction back must
/// [`Answers::forget`].
#[derive(Debug, Default)]
pub(super) struct Answers {
    held: Option<usize>,
    swept_at: Option<WallTime>,
}

impl Answers {
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// Enters what an interval brought; answers how many left for want of room.
    pub(super) fn enter(
        &mut self,
        db: &Connection,
        ids: &mut Ids,
        (origin, interval): (i64, &Interval),
        answers: &[Answer],
    ) -> anyhow::Result<u64> {
        let held = match self.held {
            Some(held) => held,
            None => {
                db.query_row("SELECT COUNT(*) FROM answer", [], |row| row.get::<_, i64>(0))?.try_into()?
            }
        };
        let mut held = held;
        for answer in answers {
            held += usize::from(enter_one(db, ids, origin, interval, answer)?);
        }
        let mut left = 0;
        if held > MAX_ANSWERS {
            let leave = (held - MAX_ANSWERS).saturating_add(LEAVE_AT_ONCE);
            left = remove_oldest(db, leave)?;
            held = held.saturating_sub(left);
        }
        let now = interval.ended_at;
        let is_due =
            self.swept_at.is_none_or(|swept| now.0.abs_diff(swept.0) >= SWEEP_EVERY_NS.unsigned_abs());
        if interval.is_clock_set && is_due {
            held = held.saturating_sub(sweep(db, now)?);
            self.swept_at = Some(now);
        }
        self.held = Some(held);
        Ok(left.try_into()?)
    }
}

/// True if there was none like it.
fn enter_one(
    db: &Connection,
    ids: &mut Ids,
    origin: i64,
    interval: &Interval,
    answer: &Answer,
) -> anyhow::Result<bool> {
    let Answer { device, asker_ipv4, addr, name, chain, answered_at, vouches_until, ttl_secs } = answer;
    let clocks = ClockPair { boot: interval.ended_boot, wall: interval.ended_at };
    let wall = |at: &BootTime| interval.is_clock_set.then(|| clocks.wall_of(*at).0);
    let chain: Vec<_> = chain.iter().map(|name| name.as_str()).collect();
    let asker = asker_ipv4.map(|ipv4| ipv4.octets());
    let addr = AddrBytes::of(*addr);
    // In the order of the columns, the key last: the same values serve both statements.
    let values = params![
        chain.join(" "),
        ttl_secs,
        origin,
        count(answered_at.0, "a time since boot")?,
        count(vouches_until.0, "a time since boot")?,
        wall(answered_at),
        wall(vouches_until),
        ids.device(db, *device)?,
        ids.name(db, Some(name))?,
        addr.as_slice(),
        asker.as_ref().map_or(&[][..], |octets| &octets[..]),
    ];
    let changed = db
        .prepare_cached(
            "UPDATE answer SET chain = ?, ttl_secs = ?, origin = ?, answered_boot_ns = ?, vouches_boot_ns = ?, \
             answered_at = ?, vouches_until = ? WHERE device = ? AND name = ? AND addr = ? AND asker_ipv4 = ?",
        )?
        .execute(values)?;
    if changed > 0 {
        return Ok(false);
    }
    db.prepare_cached(
        "INSERT INTO answer (chain, ttl_secs, origin, answered_boot_ns, vouches_boot_ns, answered_at, \
         vouches_until, device, name, addr, asker_ipv4) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )?
    .execute(values)?;
    Ok(true)
}

/// Those first that stopped vouching first; undated ones before all, by their boot.
fn remove_oldest(db: &Connection, how_many: usize) -> anyhow::Result<usize> {
    let removed = db
        .prepare_cached(
            "DELETE FROM answer WHERE (device, name, addr, asker_ipv4) IN \
             (SELECT device, name, addr, asker_ipv4 FROM answer \
             ORDER BY vouches_until NULLS FIRST, origin, vouches_boot_ns LIMIT ?)",
        )?
        .execute([i64::try_from(how_many)?])?;
    Ok(removed)
}

fn sweep(db: &Connection, now: WallTime) -> rusqlite::Result<usize> {
    let oldest = now.0.saturating_sub(KEPT_FOR_SECS * NANOS_PER_SEC);
    db.prepare_cached("DELETE FROM answer WHERE vouches_until < ?")?.execute([oldest])
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
