//! Several MAC addresses as one device, because the user says so. Nothing is rewritten: a column points from the one
//! to the other, readers follow it, and taking it away restores what was.

use super::Writer;
use anyhow::Context;
use gateway_core::units::Mac;
use rusqlite::{Connection, OptionalExtension};

/// What became of a request to merge.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Merged {
    /// They are one now.
    Now,
    /// They were already.
    Before,
    /// This one was never seen.
    NeverSeen(Mac),
}

impl Writer {
    /// Makes `other`, with all that is merged into it, a part of `into`, or of what that is a part of.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn merge(&mut self, into: Mac, other: Mac) -> anyhow::Result<Merged> {
        self.write(|tx| {
            let Some(head) = head_of(tx, into)? else { return Ok(Merged::NeverSeen(into)) };
            let Some(part) = head_of(tx, other)? else { return Ok(Merged::NeverSeen(other)) };
            if head == part {
                return Ok(Merged::Before);
            }
            tx.execute("UPDATE device SET merged_into = ?1 WHERE id = ?2 OR merged_into = ?2", [head, part])?;
            Ok(Merged::Now)
        })
        .with_context(|| format!("merge the device {other} into {into}"))
    }

    /// Takes a device out of the one that it was merged into; of one that others were merged into, takes all of
    /// these out. Returns how many stand for themselves again.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn unmerge(&mut self, mac: Mac) -> anyhow::Result<usize> {
        self.write(|tx| {
            tx.execute(
                "UPDATE device SET merged_into = NULL WHERE merged_into IS NOT NULL AND \
                 (mac = ?1 OR merged_into = (SELECT id FROM device WHERE mac = ?1))",
                [&mac.0[..]],
            )
        })
        .with_context(|| format!("unmerge the device {mac}"))
    }
}

/// The number of a device, or of the one that it is a part of.
fn head_of(db: &Connection, mac: Mac) -> rusqlite::Result<Option<i64>> {
    db.query_row("SELECT COALESCE(merged_into, id) FROM device WHERE mac = ?", [&mac.0[..]], |row| row.get(0))
        .optional()
}
