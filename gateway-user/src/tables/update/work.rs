//! One table at a time: fetch each of its files, look at all of them, then put them in place.

use super::address::{Scheme, candidates, scheme_of, shown};
use super::check::{
    Checked, check, date_in_force, date_in_place, embedded_date, gunzip, published_hash, sha256_of,
};
use super::fetch::{Answer, Fetched, Fetcher, Validators};
use super::part::Part;
use super::place::{Place, remove_if_there};
use super::record::{Record, Records};
use super::slot::{Slot, word};
use super::{Change, Options, Outcome};
use crate::config::{Source, UpdateConfig};
use anyhow::{Context, anyhow, bail};
use gateway_core::enrich::envelope::TableKind;
use jiff::ToSpan;
use jiff::civil::Date;
use std::path::{Path, PathBuf};

/// The longest file with a hash in it.
const MAX_HASH_FILE_LEN: u64 = 64 * 1024;
/// How far ahead of this machine's clock a table may be: zones differ, and so do clocks.
const DAYS_AHEAD: i64 = 2;
/// The longest file of networks: the largest free MMDB files are of 60 MB.
const MAX_NETWORKS_LEN: u64 = 128 << 20;
/// The longest file of any other table; ours take less than one MiB.
const MAX_OTHER_LEN: u64 = 8 << 20;

/// One run.
pub(super) struct Update<'a> {
    pub(super) config: &'a UpdateConfig,
    pub(super) options: &'a Options,
    pub(super) fetcher: Fetcher,
    pub(super) place: Place,
    pub(super) records: Records,
    pub(super) today: Date,
}

/// A file that came and was found good, not yet in place.
struct Ready {
    /// The source as it is configured.
    source: String,
    part: Part,
    /// The file: the part itself, or what it unpacked to.
    staged: PathBuf,
    slot: Slot,
    record: Record,
    outcome: Outcome,
}

/// What came of one source.
enum Got {
    Done(Outcome),
    Ready(Box<Ready>),
}

impl Update<'_> {
    /// Brings one table up to date.
    pub(super) fn table(&mut self, table: TableKind) -> anyhow::Result<Vec<Outcome>> {
        let sources = self.sources(table)?;
        if sources.is_empty() {
            // Whoever asks for this one table wants to hear that it cannot be had.
            if self.options.tables.contains(&table) {
                let word = word(table);
                bail!(
                    "no source configured for {word}: set `{word}` under [update], or give one with --from"
                );
            }
            return Ok(vec![Outcome::NoSource]);
        }
        if table != TableKind::Networks && sources.len() > 1 {
            bail!("{} sources are configured, and it is one file", sources.len());
        }
        // All of a table's files are good before the first is put in place.
        let mut got = Vec::new();
        for (number, source) in sources.iter().enumerate() {
            let part = Part::named(self.place.path(), &format!("{}-{number}", word(table)));
            let shown = shown(&source.url);
            got.push(self.source(table, source, part).with_context(|| format!("fetch {shown}"))?);
        }
        got.into_iter().map(|got| self.settle(got)).collect()
    }

    fn sources(&self, table: TableKind) -> anyhow::Result<Vec<Source>> {
        if let Some(from) = &self.options.from {
            let is_url = from.contains("://") || from.starts_with("file:");
            if is_url {
                return Ok(vec![Source::plain(from)]);
            }
            let path = std::path::absolute(from).with_context(|| format!("find the file {from}"))?;
            return Ok(vec![Source::plain(&format!("file:{}", path.display()))]);
        }
        let config = self.config;
        let sources = match table {
            TableKind::Networks => &config.networks,
            TableKind::Owners => &config.owners,
            TableKind::Vendors => &config.vendors,
            TableKind::Suffixes => &config.suffixes,
        };
        Ok(sources.clone())
    }

    fn source(&self, table: TableKind, source: &Source, part: Part) -> anyhow::Result<Got> {
        let known = self.records.of(&source.url, self.place.path());
        let candidates = candidates(&source.url, self.today);
        let last = candidates.len().saturating_sub(1);
        for (index, url) in candidates.iter().enumerate() {
            // Before anything of the network: a URL that may not be fetched is not.
            let scheme = scheme_of(url, self.options.allows_http)?;
            if self.options.is_check && scheme != Scheme::File && !self.config.fetch_cmd.is_empty() {
                bail!("the program of fetch_cmd cannot tell whether there is something newer");
            }
            let known = known.filter(|(record, _)| record.is_of(url));
            let validators = known.map(|(record, _)| &record.validators);
            let slot = known.map(|(_, slot)| slot);
            if self.options.is_check {
                match self.fetcher.is_there(url, validators)? {
                    Answer::Missing if index < last => continue,
                    Answer::Missing => break,
                    Answer::NotModified => return Ok(Got::Done(self.fresh(url, slot))),
                    Answer::Body(_) | Answer::StartAgain => {
                        return Ok(Got::Done(Outcome::Available { from: shown(url) }));
                    }
                }
            }
            match self.fetcher.fetch(url, validators, &part, limit_of(table), &self.place) {
                Ok(Fetched::Missing) => {}
                Ok(Fetched::NotModified) => return Ok(Got::Done(self.fresh(url, slot))),
                Ok(Fetched::Whole(validators)) => {
                    let staged = part.path.with_extension("new");
                    return self.look_at(table, source, url, validators, &part, &staged).inspect_err(|_| {
                        // A bad file is not kept: the next attempt begins anew.
                        let _ = part.remove();
                        let _ = remove_if_there(&staged);
                    });
                }
                // A program cannot tell a file that is not there from any other failure.
                Err(_) if index < last && !self.config.fetch_cmd.is_empty() => {}
                Err(error) => return Err(error),
            }
        }
        Err(anyhow!("there is no such file"))
    }

    fn fresh(&self, url: &str, slot: Option<Slot>) -> Outcome {
        let date = slot.and_then(|slot| date_in_place(slot, self.place.path()));
        Outcome::Fresh { from: shown(url), date }
    }

    /// Checks a file that has come whole.
    fn look_at(
        &self,
        table: TableKind,
        source: &Source,
        url: &str,
        validators: Validators,
        part: &Part,
        unpacked: &Path,
    ) -> anyhow::Result<Got> {
        self.check_hash(source, url, part)?;
        let staged = if gunzip(&part.path, unpacked)? { unpacked.to_owned() } else { part.path.clone() };
        let Checked { slot, date } = check(&staged, table)?;
        let directory = self.place.path();
        let (old, embedded) = (date_in_force(slot, directory), embedded_date(table));
        if let Some(embedded) = embedded.filter(|embedded| date < *embedded) {
            bail!(
                "what came is of {date}, older than the one in the program, of {embedded}, which stays in use"
            );
        }
        if let Some(old) = old.filter(|old| date < *old && !self.options.allows_older) {
            bail!(
                "what came is of {date}, older than the one in force, of {old}; --allow-older takes it all the same"
            );
        }
        if date > self.today.saturating_add(DAYS_AHEAD.days()) {
            bail!(
                "what came is of {date}, and today is {}: it, or this machine's clock, is wrong",
                self.today
            );
        }
        let sha256 = sha256_of(&staged)?;
        let path = slot.path(directory);
        // Of the day of the one in the program, and nothing newer in place: that one is used.
        let is_embedded = old == embedded && Some(date) == embedded && !slot.is_mmdb() && !path.exists();
        let is_same = is_embedded || sha256_of(&path).is_ok_and(|in_place| in_place == sha256);
        let outcome = if is_same {
            Outcome::Fresh { from: shown(url), date: Some(date) }
        } else {
            let len = std::fs::metadata(&staged)?.len();
            Outcome::Updated(Change { file: slot.file_name(), old, new: date, len, from: shown(url) })
        };
        let record = Record::new(url, validators, slot, sha256);
        let part = part.clone();
        Ok(Got::Ready(Box::new(Ready { source: source.url.clone(), part, staged, slot, record, outcome })))
    }

    fn check_hash(&self, source: &Source, url: &str, part: &Part) -> anyhow::Result<()> {
        let wanted = match (&source.sha256, &source.sha256_url) {
            (Some(hash), _) => hash.clone(),
            (None, Some(hash_url)) => {
                let shown = shown(hash_url);
                let month = candidates(hash_url, self.today);
                // The hash of the month that was fetched.
                let at = candidates(&source.url, self.today).iter().position(|candidate| candidate == url);
                let hash_url = at.and_then(|at| month.get(at)).or(month.first()).unwrap_or(hash_url);
                let text = self.fetcher.text(hash_url, MAX_HASH_FILE_LEN);
                let text = text.with_context(|| format!("fetch the published hash {shown}"))?;
                let name = url.split(['?', '#']).next().unwrap_or_default().rsplit('/').next();
                published_hash(&text, name.unwrap_or_default())
                    .with_context(|| format!("{shown} has no SHA-256 of this file"))?
            }
            (None, None) => return Ok(()),
        };
        let found = sha256_of(&part.path).with_context(|| format!("read {}", part.path.display()))?;
        if found != wanted {
            bail!("what came is not what was published: its SHA-256 is {found}, and should be {wanted}");
        }
        Ok(())
    }

    /// Puts a good file in place, unless it is there already.
    fn settle(&mut self, got: Got) -> anyhow::Result<Outcome> {
        let Ready { source, part, staged, slot, record, outcome } = match got {
            Got::Done(outcome) => return Ok(outcome),
            Got::Ready(ready) => *ready,
        };
        if matches!(outcome, Outcome::Updated(_)) {
            self.place.install(&staged, slot)?;
        } else {
            remove_if_there(&staged)?;
        }
        part.remove()?;
        self.records.set(&source, record);
        self.records.write(self.place.path())?;
        Ok(outcome)
    }
}

fn limit_of(table: TableKind) -> u64 {
    if table == TableKind::Networks { MAX_NETWORKS_LEN } else { MAX_OTHER_LEN }
}
