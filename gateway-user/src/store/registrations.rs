//! What registries said of domains, kept so that each is asked once.

use super::open;
use super::reader::Reader;
use anyhow::Context;
use gateway_core::enrich::rdap::Registration;
use gateway_core::units::{Country, DomainName, WallTime};
use rusqlite::{Connection, Row, params};
use std::path::Path;

/// An answer, with who gave it and when.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeptRegistration {
    /// When it was asked for.
    pub asked_at: WallTime,
    /// The host that answered; empty if no server is known for the domain.
    pub server: String,
    /// What it said.
    pub registration: Registration,
}

impl Reader {
    /// What is kept of a registrable domain, however old.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn registration(&self, domain: &DomainName) -> anyhow::Result<Option<KeptRegistration>> {
        let found = self.all(
            "SELECT asked_at, server, registrant, registrant_country, registrant_region, registrar, registered_on, \
             is_redacted FROM registration WHERE domain = ?",
            [domain.as_str().to_owned().into()],
            read,
        );
        let found = found.with_context(|| format!("read what is known of the registration of {domain}"))?;
        Ok(found.into_iter().next())
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<KeptRegistration> {
    let country: Option<String> = row.get(3)?;
    Ok(KeptRegistration {
        asked_at: WallTime(row.get(0)?),
        server: row.get(1)?,
        registration: Registration {
            registrant: row.get(2)?,
            registrant_country: country.as_deref().and_then(Country::parse),
            registrant_region: row.get(4)?,
            registrar: row.get(5)?,
            registered_on: row.get(6)?,
            is_redacted: row.get(7)?,
        },
    })
}

/// Keeps answers in a database, beside whatever else writes to it.
#[derive(Debug)]
pub struct Registrations {
    db: Connection,
}

impl Registrations {
    /// Opens a database for this.
    ///
    /// # Errors
    /// If it cannot be opened for writing.
    pub fn open(database: &Path) -> anyhow::Result<Self> {
        Ok(Self { db: open::for_writing(database)? })
    }

    /// When a registry was last asked of anything.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn last_asked(&self) -> anyhow::Result<Option<WallTime>> {
        let newest = self.db.query_row("SELECT max(asked_at) FROM registration", [], |row| row.get(0));
        newest.map(|at: Option<i64>| at.map(WallTime)).context("read when a registry was last asked")
    }

    /// Keeps an answer in place of an earlier one.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn keep(&self, domain: &DomainName, kept: &KeptRegistration) -> anyhow::Result<()> {
        let KeptRegistration { asked_at, server, registration } = kept;
        let Registration { registrant, registrant_country, registrant_region, .. } = registration;
        let Registration { registrar, registered_on, is_redacted, .. } = registration;
        self.db
            .execute(
                "INSERT OR REPLACE INTO registration VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                params![
                    domain.as_str(),
                    asked_at.0,
                    server,
                    registrant,
                    registrant_country.map(|c| c.to_string()),
                    registrant_region,
                    registrar,
                    registered_on,
                    is_redacted
                ],
            )
            .with_context(|| format!("keep what was said of the registration of {domain}"))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic on purpose")]
    use super::*;

    #[test]
    fn an_answer_is_kept_whole_and_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.db");
        let store = Registrations::open(&path).unwrap();
        let domain = DomainName::parse("miui.com").unwrap();
        assert_eq!(store.last_asked().unwrap(), None);
        let mut kept = KeptRegistration {
            asked_at: WallTime(7),
            server: "rdap.example".into(),
            registration: Registration {
                registrant: Some("Example Co".into()),
                registrant_country: Country::parse("CN"),
                registrant_region: Some("Beijing".into()),
                registrar: Some("Registrar".into()),
                registered_on: Some("2010-01-02".into()),
                is_redacted: false,
            },
        };
        store.keep(&domain, &kept).unwrap();
        let read = || Reader::open(&path).unwrap().unwrap().registration(&domain).unwrap();
        assert_eq!(read(), Some(kept.clone()));
        kept = KeptRegistration {
            asked_at: WallTime(9),
            registration: Registration { is_redacted: true, ..Registration::default() },
            ..kept
        };
        store.keep(&domain, &kept).unwrap();
        assert_eq!(read(), Some(kept));
        assert_eq!(store.last_asked().unwrap(), Some(WallTime(9)));
    }
}
