//! What was told already, in `alerts.json` beside the database, so that a restart tells nothing twice. It holds hashes,
//! no names and no addresses: nothing in it has to be forgotten.

use crate::config::AlertConfig;
use crate::deliver::queue::write_whole;
use anyhow::Context;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Seconds for which it is remembered what was told: two months, so that a month's quota is told once.
const KEPT_FOR_SECS: i64 = 62 * 86_400;
/// How much is remembered; above, the oldest goes. Some 200 KiB.
const MAX_TOLD: usize = 4096;

/// What was told, and how the last check went.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// When alerts were last checked, seconds since 1970.
    pub checked_at: Option<i64>,
    /// How long that took.
    pub took_ms: u64,
    /// Why the last check came to nothing; none after one that did not.
    pub failure: Option<String>,
    /// The last local day whose coverage was judged: `2026-11-22`.
    pub judged_day: String,
    /// What was told ([`key`]) and when, seconds since 1970.
    pub told: BTreeMap<String, i64>,
}

impl State {
    /// The file beside a database.
    #[must_use]
    pub fn file(database: &Path) -> PathBuf {
        database.parent().unwrap_or(Path::new("")).join("alerts.json")
    }

    /// As it was kept; nothing if there is no file yet.
    ///
    /// # Errors
    /// If there is one that cannot be read: to begin anew would tell everything again.
    pub fn read(database: &Path) -> anyhow::Result<Self> {
        let path = Self::file(database);
        let text = match std::fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            text => text.with_context(|| format!("read {}", path.display()))?,
        };
        serde_json::from_slice(&text)
            .with_context(|| format!("understand {} (remove it to begin anew)", path.display()))
    }

    /// Keeps it.
    ///
    /// # Errors
    /// When the disk refuses; what was kept before stays.
    pub fn write(&self, database: &Path) -> anyhow::Result<()> {
        write_whole(&Self::file(database), &serde_json::to_vec(self)?).context("keep what alerts were sent")
    }

    /// Notes that something is told; false if it was before.
    pub(super) fn tell(&mut self, key: String, now: i64) -> bool {
        if self.told.contains_key(&key) {
            return false;
        }
        self.told.insert(key, now);
        true
    }

    /// Forgets what is too old to matter, or too much.
    pub(super) fn prune(&mut self, now: i64) {
        self.told.retain(|_, at| now.saturating_sub(*at) <= KEPT_FOR_SECS);
        while self.told.len() > MAX_TOLD {
            let oldest = self.told.iter().min_by_key(|(_, at)| **at).map(|(key, _)| key.clone());
            let Some(oldest) = oldest else { break };
            self.told.remove(&oldest);
        }
    }

    /// When an alert last told anything, and how often within two months.
    #[must_use]
    pub fn last(&self, alert: &AlertConfig) -> (Option<i64>, usize) {
        let id = id(alert);
        let of_it = self.told.iter().filter(|(key, _)| key.split(':').next() == Some(&*id));
        (of_it.clone().map(|(_, at)| *at).max(), of_it.count())
    }
}

fn hash(text: &str) -> String {
    Sha256::digest(text).iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

/// Names an alert by what it watches: the same after a restart, another when it is changed.
#[must_use]
pub fn id(alert: &AlertConfig) -> String {
    // The words round amounts.
    hash(&format!("{}\n{:?}", super::words(alert), alert.watch))
}

/// Names what is told once: of an alert, about something, in a stretch of the calendar.
pub(super) fn key(alert: &AlertConfig, subject: &str, when: &str) -> String {
    format!("{}:{}", id(alert), hash(&format!("{subject}\n{when}")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic on purpose")]
    use super::*;

    #[test]
    fn it_survives_whole_and_is_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let database = dir.path().join("t.db");
        assert_eq!(State::read(&database).unwrap(), State::default());
        let mut state = State::default();
        assert!(state.tell("a:1".into(), 10) && !state.tell("a:1".into(), 11));
        for n in 0..MAX_TOLD as i64 {
            state.tell(format!("b:{n}"), 20 + n);
        }
        state.prune(30);
        assert_eq!((state.told.len(), state.told.contains_key("a:1")), (MAX_TOLD, false));
        state.write(&database).unwrap();
        assert_eq!(State::read(&database).unwrap(), state);
        state.prune(20 + KEPT_FOR_SECS + MAX_TOLD as i64);
        assert!(state.told.is_empty());
        std::fs::write(State::file(&database), "{").unwrap();
        assert!(format!("{:#}", State::read(&database).unwrap_err()).contains("remove it to begin anew"));
    }
}
