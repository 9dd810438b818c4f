//! What a person does to the database as a whole: look at it, shrink it, copy it, check it.

use super::open;
use super::reader::Reader;
use anyhow::{Context, ensure};
use rusqlite::Connection;
use rusqlite::types::Value;
use serde::Serialize;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// What there is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Status {
    /// The number of the schema.
    pub schema: u32,
    /// Bytes of the pages, free ones included; of the file, once the log is written back to it.
    pub bytes: u64,
    /// Bytes of pages that are free and will be used again.
    pub free_bytes: u64,
    /// Rows for each drain, each hour and each day, and how many intervals they hang on.
    pub rows: [Rows; 3],
    /// Intervals whose rows were removed; their ledger is there.
    pub expired_intervals: u64,
}

/// Rows of one grain.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Rows {
    /// Intervals.
    pub intervals: u64,
    /// Rows.
    pub rows: u64,
}

/// An answer to a question in SQL.
#[derive(Clone, PartialEq, Debug)]
pub struct Sheet {
    /// The columns' names.
    pub columns: Vec<String>,
    /// The rows.
    pub rows: Vec<Vec<Value>>,
}

impl Reader {
    /// What the database holds.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn status(&self) -> anyhow::Result<Status> {
        let read = |pragma| {
            let value = self.db.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
            value.map(i64::cast_unsigned).context("read the state of the database")
        };
        let sql = "SELECT grain, COUNT(*), SUM((SELECT COUNT(*) FROM flow WHERE interval = i.id)) \
                   FROM interval i GROUP BY grain";
        let found: Vec<(u8, i64, i64)> =
            self.all(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).context("count the rows")?;
        let of = |grain: u8| {
            let line = found.iter().find(|(of, ..)| *of == grain);
            line.map_or(Rows::default(), |(_, intervals, rows)| Rows {
                intervals: intervals.cast_unsigned(),
                rows: rows.cast_unsigned(),
            })
        };
        let page = read("page_size")?;
        Ok(Status {
            schema: u32::try_from(read("user_version")?)?,
            bytes: read("page_count")?.saturating_mul(page),
            free_bytes: read("freelist_count")?.saturating_mul(page),
            rows: [of(0), of(1), of(2)],
            expired_intervals: of(3).intervals,
        })
    }

    /// What is wrong with the database, a line each; none if it is whole: its pages, who points to whom, and that every
    /// byte that was seen is in a row or in the ledger.
    ///
    /// # Errors
    /// If it cannot be read at all.
    pub fn faults(&self) -> anyhow::Result<Vec<String>> {
        let text = |row: &rusqlite::Row<'_>| row.get::<_, String>(0);
        let mut faults = self.all("PRAGMA integrity_check(20)", [], text).context("check the pages")?;
        faults.retain(|line| line != "ok");
        let dangling = "SELECT 'a row of ' || \"table\" || ' points to a missing ' || parent FROM pragma_foreign_key_check \
                        GROUP BY 1";
        faults.extend(self.all(dangling, [], text).context("check what points to what")?);
        let losses = gateway_core::row::LedgerLine::IS_LOSS.map(|loss| format!("'{loss}'")).join(", ");
        let law = format!(
            "SELECT 'interval ' || i.id || ' has seen ' || l.bytes || ' bytes and accounts for ' || a.bytes FROM interval i \
             JOIN ledger l ON l.interval = i.id AND l.counter = 'seen' JOIN (SELECT id, \
             COALESCE((SELECT SUM(up_bytes + down_bytes) FROM flow WHERE interval = o.id), 0) + \
             COALESCE((SELECT SUM(bytes) FROM ledger WHERE interval = o.id AND counter IN ({losses})), 0) AS bytes \
             FROM interval o) a ON a.id = i.id WHERE l.bytes <> a.bytes LIMIT 20"
        );
        faults.extend(self.all(&law, [], text).context("check the account")?);
        faults.extend(self.usual_faults()?);
        Ok(faults)
    }

    /// Answers a question in SQL. Nothing can be changed by it.
    ///
    /// # Errors
    /// What SQLite says of the question.
    pub fn ask(&self, sql: &str) -> anyhow::Result<Sheet> {
        self.db.pragma_update(None, "query_only", true)?;
        let mut statement = self.db.prepare(sql).context("understand the question")?;
        let columns: Vec<String> = statement.column_names().map(ToOwned::to_owned).collect();
        let width = columns.len();
        let read = |row: &rusqlite::Row<'_>| (0..width).map(|column| row.get(column)).collect();
        let rows = statement.query_map([], read).context("ask the database")?;
        Ok(Sheet { columns, rows: rows.collect::<Result<_, _>>().context("ask the database")? })
    }
}

/// Gives free pages back to the file system, and lets the file shrink by itself from then on.
///
/// # Errors
/// If the database cannot be written, somebody reads it all the time, or there is no room for a second copy.
pub fn vacuum(database: &Path) -> anyhow::Result<()> {
    let db = open::for_writing(database)?;
    rewrite(&db).with_context(|| format!("shrink the database {}", database.display()))
}

/// Writes the file anew without what was removed from it, and empties the log.
pub(super) fn rewrite(db: &Connection) -> anyhow::Result<()> {
    db.pragma_update(None, "auto_vacuum", "incremental")?;
    db.execute_batch("VACUUM").context("write the file anew")?;
    let busy: i64 = db.query_row("PRAGMA wal_checkpoint(truncate)", [], |row| row.get(0))?;
    ensure!(busy == 0, "empty the log: somebody is reading the database; try again when that is over");
    Ok(())
}

/// Copies the database as it is now to a new file, for its owner alone, while others write to it.
///
/// # Errors
/// If there is no database, the target is there already, or it cannot be written.
pub fn backup(database: &Path, target: &Path) -> anyhow::Result<()> {
    let db = open::for_reading(database)?
        .with_context(|| format!("find a database to copy at {}", database.display()))?;
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(target)
        .with_context(|| format!("make the copy {}; name a file that is not there yet", target.display()))?;
    let name = target.to_str().context("copy to a path that is text")?;
    let copied = db.execute("VACUUM INTO ?", [name]);
    if copied.is_err() {
        let _ = std::fs::remove_file(target);
    }
    copied.with_context(|| format!("write the copy {}", target.display()))?;
    Ok(())
}
