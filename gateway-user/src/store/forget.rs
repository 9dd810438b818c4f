//! Forgetting a device or a name for good: its rows, what is known of it, and what is left of it in free pages and in
//! the log. How much there was stays in the ledger, as `forgotten`.

use super::care::rewrite;
use super::conditions::{Conditions, device_condition, name_condition};
use super::usual::unlearn_all;
use super::{memory, open};
use anyhow::Context;
use gateway_core::query::{DeviceMatch, NameMatch};
use rusqlite::{Connection, Transaction, TransactionBehavior, params, params_from_iter};
use std::path::Path;

/// What was removed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Forgotten {
    /// Devices.
    pub devices: usize,
    /// Names.
    pub names: usize,
    /// Rows.
    pub rows: usize,
}

/// Forgets a device, together with those merged into it, and every name that no other has.
///
/// # Errors
/// If the database cannot be written, or somebody reads it all the time.
pub fn forget_device(database: &Path, device: &DeviceMatch) -> anyhow::Result<Forgotten> {
    let mut wanted = Conditions::default();
    wanted.each(std::slice::from_ref(device), device_condition);
    let sql = format!(
        "SELECT m.id FROM device m JOIN device d ON d.id = COALESCE(m.merged_into, m.id) WHERE {}",
        wanted.sql()
    );
    forget(database, (&sql, wanted), |tx, devices| {
        let mut done = Forgotten { devices: devices.len(), ..Forgotten::default() };
        let list = serde_json::to_string(devices)?;
        done.rows = take_rows(tx, "device", &list)?;
        for table in ["alias", "answer", "device_addr", "device_hostname"] {
            let sql = format!("DELETE FROM {table} WHERE device IN (SELECT value FROM json_each(?))");
            tx.execute(&sql, [&list])?;
        }
        tx.execute("DELETE FROM device WHERE id IN (SELECT value FROM json_each(?))", [&list])?;
        Ok(done)
    })
}

/// Forgets a name, or all below one: rows under it, and what the DNS said of it.
///
/// # Errors
/// As for [`forget_device`].
pub fn forget_name(database: &Path, name: &NameMatch) -> anyhow::Result<Forgotten> {
    let mut wanted = Conditions::default();
    wanted.each(std::slice::from_ref(name), name_condition);
    let sql = format!("SELECT n.id FROM name n WHERE n.id <> 0 AND ({})", wanted.sql());
    forget(database, (&sql, wanted), |tx, names| {
        let list = serde_json::to_string(names)?;
        let rows = take_rows(tx, "name", &list)?;
        let these = "(SELECT value FROM json_each(?1))";
        tx.execute(&format!("DELETE FROM alias WHERE name IN {these} OR alias IN {these}"), [&list])?;
        // A name may also stand in the chain of another's answer.
        tx.execute(
            &format!(
                "DELETE FROM answer WHERE name IN {these} OR EXISTS (SELECT 1 FROM name WHERE id IN {these} \
                 AND instr(' ' || chain || ' ', ' ' || text || ' ') > 0)"
            ),
            [&list],
        )?;
        Ok(Forgotten { rows, ..Forgotten::default() })
    })
}

fn forget(
    database: &Path,
    (sql, wanted): (&str, Conditions),
    remove: impl FnOnce(&Transaction<'_>, &[i64]) -> anyhow::Result<Forgotten>,
) -> anyhow::Result<Forgotten> {
    let mut db = open::for_writing(database)?;
    // Who points to whom is the business of the statements below; SQLite's check would search all rows each time.
    db.pragma_update(None, "foreign_keys", false)?;
    db.pragma_update(None, "secure_delete", true)?;
    let done = forget_in_one(&mut db, sql, wanted, remove).context("forget")?;
    if let Some(done) = done {
        rewrite(&db).context("remove what is left in free pages and in the log")?;
        return Ok(done);
    }
    Ok(Forgotten::default())
}

fn forget_in_one(
    db: &mut Connection,
    sql: &str,
    wanted: Conditions,
    remove: impl FnOnce(&Transaction<'_>, &[i64]) -> anyhow::Result<Forgotten>,
) -> anyhow::Result<Option<Forgotten>> {
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let ids: Vec<i64> = tx
        .prepare(sql)?
        .query_map(params_from_iter(wanted.values), |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    if ids.is_empty() {
        return Ok(None);
    }
    unlearn_all(&tx)?;
    let mut done = remove(&tx, &ids)?;
    // Of conversations that were under way a key alone tells who had them.
    memory::forget_conversations(&tx)?;
    let unused = "id <> 0 AND id NOT IN (SELECT name FROM flow) AND id NOT IN (SELECT name FROM answer) \
                  AND id NOT IN (SELECT name FROM alias) AND id NOT IN (SELECT alias FROM alias)";
    // Of a domain under which no other name is known.
    let is_under = "(text = domain OR substr(text, -length(domain) - 1) = '.' || domain)";
    tx.execute(
        &format!(
            "DELETE FROM registration WHERE EXISTS (SELECT 1 FROM name WHERE {is_under} AND {unused}) \
             AND NOT EXISTS (SELECT 1 FROM name WHERE {is_under} AND NOT ({unused}))"
        ),
        [],
    )?;
    done.names = tx.execute(&format!("DELETE FROM name WHERE {unused}"), [])?;
    tx.execute("DELETE FROM peer WHERE id NOT IN (SELECT peer FROM flow)", [])?;
    tx.commit()?;
    Ok(Some(done))
}

/// Removes the rows of which a column is in a list, and says in each interval's ledger how much that was.
fn take_rows(tx: &Transaction<'_>, column: &str, list: &str) -> rusqlite::Result<usize> {
    let these = format!("{column} IN (SELECT value FROM json_each(?1))");
    tx.execute(
        &format!(
            "INSERT INTO ledger SELECT interval, 'forgotten', SUM(up_packets + down_packets), \
             SUM(up_bytes + down_bytes) FROM flow WHERE {these} GROUP BY interval \
             ON CONFLICT DO UPDATE SET packets = packets + excluded.packets, bytes = bytes + excluded.bytes"
        ),
        params![list],
    )?;
    tx.execute(&format!("DELETE FROM flow WHERE {these}"), params![list])
}
