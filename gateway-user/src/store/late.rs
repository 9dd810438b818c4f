//! Names that came after their interval was stored: volume moves from one row to another, and no sum changes.

use super::append::Place;
use super::column::{count, counts, table_id};
use super::ids::Ids;
use super::usual::unlearn_interval;
use gateway_core::row::LateName;
use rusqlite::{Connection, OptionalExtension, params};

/// Applies late names; answers how many found no row to mend, or one that held less than they spoke of.
pub(super) fn apply(db: &Connection, ids: &mut Ids, late_names: &[LateName]) -> anyhow::Result<u64> {
    let mut missed = 0;
    for late in late_names {
        let is_whole = match interval_of(db, late)? {
            Some(interval) => move_volume(db, ids, interval, late)?,
            None => false,
        };
        missed += u64::from(!is_whole);
    }
    Ok(missed)
}

fn interval_of(db: &Connection, late: &LateName) -> anyhow::Result<Option<i64>> {
    let epoch = &late.epoch;
    let number = count(epoch.epoch, "an epoch")?;
    let found = db
        .prepare_cached(
            "SELECT interval.id FROM origin JOIN interval ON interval.origin = origin.id \
             WHERE boot_id = ? AND table_id = ? AND epoch = ?",
        )?
        .query_row(params![epoch.boot_id, table_id(epoch), number], |row| row.get(0))
        .optional()?;
    Ok(found)
}

/// Moves a late name's volume, or as much of it as the row has; answers whether the row had it all. A row that is
/// emptied goes; its last conversations go with its last bytes.
fn move_volume(db: &Connection, ids: &mut Ids, interval: i64, late: &LateName) -> anyhow::Result<bool> {
    let from = Place::of(db, ids, interval, &late.from)?;
    let LateName { name, evidence, marks, application, answer_secs, .. } = late;
    let to = Place {
        name: ids.name(db, Some(name))?,
        evidence: *evidence as u8,
        marks: marks.number(),
        application: *application as u8,
        ..from
    };
    let Some((held, conversations)) = held_at(db, from)? else { return Ok(false) };
    unlearn_interval(db, interval)?;
    let wanted = counts(late.volume)?;
    if from == to {
        return Ok(true);
    }
    let mut moved = [0; 4];
    let mut left = [0; 4];
    for (((moved, left), held), wanted) in moved.iter_mut().zip(&mut left).zip(held).zip(wanted) {
        *moved = held.min(wanted);
        *left = held - *moved;
    }
    if moved == [0; 4] {
        return Ok(false);
    }
    let is_emptied = left == [0; 4];
    let moved_conversations = if is_emptied { conversations } else { conversations.min(1) };
    to.add_one(db, moved, moved_conversations, *answer_secs)?;
    if is_emptied {
        remove(db, from)?;
    } else {
        let taken = moved.map(|n: i64| -n);
        from.add_one(db, taken, -moved_conversations, None)?;
    }
    Ok(moved == wanted)
}

fn held_at(db: &Connection, place: Place) -> rusqlite::Result<Option<([i64; 4], i64)>> {
    let Place { interval, device, peer, port, protocol, kind, opened_by, name, evidence, marks, application } =
        place;
    db.prepare_cached(
        "SELECT up_bytes, down_bytes, up_packets, down_packets, conversations FROM flow WHERE interval = ? \
         AND device = ? AND peer = ? AND port = ? AND protocol = ? AND kind = ? AND opened_by = ? AND name = ? \
         AND evidence = ? AND marks = ? AND application = ?",
    )?
    .query_row(
        params![interval, device, peer, port, protocol, kind, opened_by, name, evidence, marks, application],
        |row| Ok(([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?], row.get(4)?)),
    )
    .optional()
}

fn remove(db: &Connection, place: Place) -> rusqlite::Result<()> {
    let Place { interval, device, peer, port, protocol, kind, opened_by, name, evidence, marks, application } =
        place;
    db.prepare_cached(
        "DELETE FROM flow WHERE interval = ? AND device = ? AND peer = ? AND port = ? AND protocol = ? AND kind = ? \
         AND opened_by = ? AND name = ? AND evidence = ? AND marks = ? AND application = ?",
    )?
    .execute(params![interval, device, peer, port, protocol, kind, opened_by, name, evidence, marks, application])?;
    Ok(())
}
