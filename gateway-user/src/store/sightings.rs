//! Devices: what they say of themselves, and when they were seen. Puts intervals that were counted before the
//! gateway knew the time on the calendar once it does.

use super::answers;
use super::column::AddrBytes;
use super::ids::Ids;
use gateway_core::books::hostname_rank;
use gateway_core::row::{DeviceFact, Interval};
use gateway_core::units::ClockPair;
use rusqlite::{Connection, OptionalExtension, params};

/// Takes in what was learned of a device. What it does not say again stays as it was. A hostname gives way to one from
/// the same source or a stronger one, also to one that was learned before a restart.
pub(super) fn learn(db: &Connection, ids: &mut Ids, fact: &DeviceFact) -> rusqlite::Result<()> {
    let DeviceFact { device, hostname, hostname_source, vendor_class, parameter_list, addr } = fact;
    let id = ids.device(db, *device)?;
    if let Some(hostname) = hostname {
        let (known, before): (Option<String>, Option<String>) = db
            .prepare_cached("SELECT hostname_source, hostname FROM device WHERE id = ?")?
            .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))?;
        if before.as_ref() != Some(hostname) {
            remember_hostname(db, id, hostname, hostname_source.unwrap_or_default())?;
        }
        if hostname_source.and_then(hostname_rank) >= known.as_deref().and_then(hostname_rank) {
            db.prepare_cached("UPDATE device SET hostname = ?, hostname_source = ? WHERE id = ?")?
                .execute(params![hostname, hostname_source, id])?;
        }
    }
    if let Some(class) = vendor_class {
        db.prepare_cached("UPDATE device SET vendor_class = ? WHERE id = ?")?.execute(params![class, id])?;
    }
    if let Some(list) = parameter_list {
        db.prepare_cached("UPDATE device SET parameter_list = ? WHERE id = ?")?.execute(params![list, id])?;
    }
    if let Some(addr) = addr {
        db.prepare_cached("INSERT OR IGNORE INTO device_addr (device, addr) VALUES (?, ?)")?
            .execute(params![id, AddrBytes::of(*addr).as_slice()])?;
    }
    Ok(())
}

/// How many of its names are kept of one device: more than a repeater has behind it, and a bound to whoever makes up
/// names. Further ones are still the device's name while they are the last.
const MAX_HOSTNAMES: i64 = 32;

fn remember_hostname(db: &Connection, id: i64, hostname: &str, source: &str) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT INTO device_hostname (device, hostname, source, times) SELECT ?1, ?2, ?3, 1 \
         WHERE (SELECT COUNT(*) FROM device_hostname WHERE device = ?1) < ?4 \
         OR EXISTS (SELECT 1 FROM device_hostname WHERE device = ?1 AND hostname = ?2 AND source = ?3) \
         ON CONFLICT (device, hostname, source) DO UPDATE SET times = times + 1",
    )?
    .execute(params![id, hostname, source, MAX_HOSTNAMES])?;
    Ok(())
}

/// Notes that the devices with rows in this interval were seen in it.
pub(super) fn see(db: &Connection, interval: i64) -> rusqlite::Result<()> {
    db.prepare_cached(
        "UPDATE device SET first_seen = MIN(COALESCE(first_seen, i.began_at), i.began_at), \
         last_seen = MAX(COALESCE(last_seen, i.ended_at), i.ended_at) \
         FROM interval AS i WHERE i.id = ?1 AND device.id IN (SELECT device FROM flow WHERE interval = ?1)",
    )?
    .execute([interval])?;
    Ok(())
}

/// A calendar that is this far ahead of what it was at the drain before was wrong until then: gateways without a
/// clock battery start in the past, at the time of their last shutdown, and are put right by NTP.
const CLOCK_WAS_PUT_RIGHT_NS: i64 = 5_000_000_000;

/// Dates the undated intervals of this boot by the steady clock that they share with `dated`, and those again that
/// were dated by a calendar that has been put forward since.
pub(super) fn date_earlier(db: &Connection, boot_id: &str, dated: &Interval) -> rusqlite::Result<()> {
    let ahead = dated.ended_at.0.saturating_sub(dated.ended_boot.0.cast_signed());
    let was_put_right = db
        .prepare_cached(
            "SELECT ?2 - (i.ended_at - i.ended_boot_ns) FROM interval AS i JOIN origin ON origin.id = i.origin \
             WHERE boot_id = ?1 AND is_clock_set = 1 AND i.began_boot_ns < ?3 ORDER BY i.id DESC LIMIT 1",
        )?
        .query_row(
            params![boot_id, ahead, dated.began_boot.0.cast_signed()],
            |row| row.get::<_, i64>(0),
        )
        .optional()?
        .is_some_and(|step| step > CLOCK_WAS_PUT_RIGHT_NS);
    let which = if was_put_right {
        "SELECT id, began_boot_ns, ended_boot_ns FROM interval \
         WHERE (is_clock_set = 0 OR ?2 - (ended_at - ended_boot_ns) > ?3) \
         AND origin IN (SELECT id FROM origin WHERE boot_id = ?1)"
    } else {
        "SELECT id, began_boot_ns, ended_boot_ns FROM interval WHERE is_clock_set = 0 \
         AND origin IN (SELECT id FROM origin WHERE boot_id = ?1) AND ?2 IS NOT NULL AND ?3 IS NOT NULL"
    };
    let found: Vec<(i64, i64, i64)> = db
        .prepare_cached(which)?
        .query_map(params![boot_id, ahead, CLOCK_WAS_PUT_RIGHT_NS], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?
        .collect::<Result<_, _>>()?;
    let clocks = ClockPair { boot: dated.ended_boot, wall: dated.ended_at };
    if !found.is_empty() {
        answers::date(db, boot_id, clocks)?;
    }
    for (id, began, ended) in found {
        let wall_of = |boot: i64| clocks.wall_of(gateway_core::units::BootTime(boot.cast_unsigned())).0;
        db.prepare_cached("UPDATE interval SET began_at = ?, ended_at = ?, is_clock_set = 1 WHERE id = ?")?
            .execute([wall_of(began), wall_of(ended), id])?;
        see(db, id)?;
    }
    Ok(())
}
