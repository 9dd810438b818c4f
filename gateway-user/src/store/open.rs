//! Opens the database file: makes it, brings it up to date, or says in one line why it will not.

use anyhow::{Context, bail};
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};
use std::fs::{DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

/// "TELL": marks an SQLite file as Telltale's (`PRAGMA application_id`).
const APPLICATION_ID: i32 = 0x5445_4c4c;

/// Every schema change ever made, oldest first. It only grows: an entry that was released is never edited.
pub(super) const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001.sql"),
    include_str!("migrations/0002.sql"),
    include_str!("migrations/0003.sql"),
    include_str!("migrations/0004.sql"),
    include_str!("migrations/0005.sql"),
    include_str!("migrations/0006.sql"),
    include_str!("migrations/0007.sql"),
];

/// How long to wait for another process's write, such as a label being set, before giving up.
const BUSY_WAITS_FOR: Duration = Duration::from_secs(10);

/// Pages of 4096 bytes in the log before they are written back to the file.
const LOG_PAGES: i64 = 4_000;

/// Prepared statements kept per connection: more than the writer and the reader have.
const MAX_PREPARED: usize = 48;

/// Opens `path` for writing; makes the file (mode 0600) and its directory (0700) where they are missing.
pub(super) fn for_writing(path: &Path) -> anyhow::Result<Connection> {
    if let Some(directory) = path.parent().filter(|d| !d.as_os_str().is_empty() && !d.exists()) {
        DirBuilder::new().recursive(true).mode(0o700).create(directory).with_context(|| {
            format!(
                "make the directory {} for the database; choose another with --database",
                directory.display()
            )
        })?;
    }
    OpenOptions::new().append(true).create(true).mode(0o600).open(path).with_context(|| {
        format!("open the database {} for writing; choose another with --database", path.display())
    })?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut db = Connection::open_with_flags(path, flags)
        .with_context(|| format!("open the database {}", path.display()))?;
    prepare(&db)?;
    migrate(&mut db, path)?;
    db.pragma_update(None, "journal_mode", "wal")
        .with_context(|| format!("turn on write-ahead logging of the database {}", path.display()))?;
    // Each commit reaches the disk before the kernel's buffer is zeroed: a power cut costs one interval at most.
    db.pragma_update(None, "synchronous", "full")?;
    // A page that is written again and again goes from the log to the file once: flash is spared, 16 MB are used.
    db.pragma_update(None, "wal_autocheckpoint", LOG_PAGES)?;
    db.pragma_update(None, "journal_size_limit", 16 << 20)?;
    Ok(db)
}

/// A database that lives in memory and dies with the connection.
pub(super) fn in_memory() -> anyhow::Result<Connection> {
    let mut db = Connection::open_in_memory()?;
    prepare(&db)?;
    migrate(&mut db, Path::new(":memory:"))?;
    Ok(db)
}

/// Opens `path` for reading alone; `None` if there is no database there yet.
pub(super) fn for_reading(path: &Path) -> anyhow::Result<Option<Connection>> {
    match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => {
            bail!("open the database {}: it is a directory; name the file", path.display())
        }
        // A daemon that was stopped between making the file and filling it leaves this.
        Ok(found) if found.len() == 0 => return Ok(None),
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("open the database {}", path.display())),
    }
    let open = |name: &Path, more| {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | more;
        let db = Connection::open_with_flags(name, flags)?;
        prepare(&db)?;
        let version = schema_of(&db)?;
        Ok::<_, rusqlite::Error>((db, version))
    };
    let opened = open(path, OpenFlags::empty());
    let opened = match opened {
        // A reader of a write-ahead database wants to make files beside it. Where it may not, and no writer has
        // any either, the file is not changing and can be read as it lies.
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::CannotOpen) && !has_log(path) => {
            open(&immutable_uri(path), OpenFlags::SQLITE_OPEN_URI)
        }
        other => other,
    };
    let (db, found) = opened.or_else(|error| explain(error, path))?;
    if found == (0, 0) && is_blank(&db)? {
        return Ok(None);
    }
    check_ours(found, path)?;
    if found.1 < MIGRATIONS.len() {
        bail!(
            "read the database {}: it has schema {}, this program reads {}; `telltale run` brings it up to date",
            path.display(),
            found.1,
            MIGRATIONS.len()
        );
    }
    Ok(Some(db))
}

fn prepare(db: &Connection) -> rusqlite::Result<()> {
    db.busy_timeout(BUSY_WAITS_FOR)?;
    db.set_prepared_statement_cache_capacity(MAX_PREPARED);
    db.pragma_update(None, "foreign_keys", true)?;
    // Sorting belongs in memory: the other place is flash.
    db.pragma_update(None, "temp_store", "memory")
}

/// The file's application id and schema version.
fn schema_of(db: &Connection) -> rusqlite::Result<(i32, usize)> {
    let id = db.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let version: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    Ok((id, usize::try_from(version).unwrap_or(usize::MAX)))
}

fn is_blank(db: &Connection) -> rusqlite::Result<bool> {
    db.query_row("SELECT NOT EXISTS (SELECT 1 FROM sqlite_schema)", [], |row| row.get(0))
}

fn check_ours((id, version): (i32, usize), path: &Path) -> anyhow::Result<()> {
    if id != APPLICATION_ID {
        bail!("open the database {}: it is an SQLite file of some other program", path.display());
    }
    if version > MIGRATIONS.len() {
        bail!(
            "open the database {}: it has schema {version}, this program knows up to {}; use a newer telltale",
            path.display(),
            MIGRATIONS.len()
        );
    }
    Ok(())
}

/// All pending changes in one transaction: an upgrade that fails leaves the file as it was.
fn migrate(db: &mut Connection, path: &Path) -> anyhow::Result<()> {
    let found = schema_of(db).or_else(|error| explain(error, path))?;
    if found.0 == APPLICATION_ID && found.1 == MIGRATIONS.len() {
        return Ok(());
    }
    // Only a file without a page takes this; another does when it is vacuumed.
    db.pragma_update(None, "auto_vacuum", "incremental")?;
    // A table that others point to is made anew; SQLite asks for this, and takes it outside a transaction alone.
    db.pragma_update(None, "foreign_keys", false)?;
    let migrated = migrate_in_one(db, path);
    db.pragma_update(None, "foreign_keys", true)?;
    migrated
}

fn migrate_in_one(db: &mut Connection, path: &Path) -> anyhow::Result<()> {
    let tx = db
        .transaction_with_behavior(TransactionBehavior::Exclusive)
        .with_context(|| format!("lock the database {}", path.display()))?;
    // Once more, now that nobody else can change it.
    let found = schema_of(&tx)?;
    if found != (0, 0) || !is_blank(&tx)? {
        check_ours(found, path)?;
    }
    let pending = MIGRATIONS.get(found.1..).unwrap_or_default();
    for sql in pending {
        tx.execute_batch(sql).with_context(|| format!("bring the database {} up to date", path.display()))?;
    }
    tx.pragma_update(None, "application_id", APPLICATION_ID)?;
    tx.pragma_update(None, "user_version", MIGRATIONS.len() as i64)?;
    tx.commit().with_context(|| format!("bring the database {} up to date", path.display()))
}

/// One line for the failures that a person meets.
fn explain<T>(error: rusqlite::Error, path: &Path) -> anyhow::Result<T> {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => {
            bail!("open the database {}: it is not an SQLite file", path.display())
        }
        _ => Err(error).with_context(|| format!("open the database {}", path.display())),
    }
}

fn has_log(path: &Path) -> bool {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    Path::new(&log).exists()
}

/// `file:` URI of SQLite; percent signs, question marks and hashes of the path are escaped.
fn immutable_uri(path: &Path) -> std::path::PathBuf {
    let text = path.to_string_lossy();
    let escaped = text.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    format!("file:{escaped}?immutable=1").into()
}
