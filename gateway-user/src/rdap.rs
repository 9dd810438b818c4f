//! Asks registries who registered a domain (RDAP). Only when a person asks for it: the question tells a third party
//! which domain is of interest here.
//!
//! One question per registrable domain and month, at most one a second; answers are kept in the database. The
//! transport is the caller's, so that this can be tested without a network.

use crate::clock;
use crate::config::UpdateConfig;
use crate::store::{KeptRegistration, Reader, Registrations};
use crate::tables::update::Client;
use anyhow::{Context, bail};
use gateway_core::enrich::rdap::{Registration, domain_url, registrar_url, registration, servers_of};
use gateway_core::units::{DomainName, WallTime};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// An answer is asked for again after this: registrations change seldom.
const KEPT_FOR: Duration = Duration::from_secs(30 * 24 * 3600);

/// The least time between two questions; also between the last one that was answered, whatever process put it, and the
/// first of this one.
const BETWEEN: Duration = Duration::from_secs(1);

/// The longest answer that is read. They have some 10 kB; the bootstrap file some 100 kB.
pub const MAX_ANSWER_LEN: u64 = 2 << 20;

/// What a server answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fetched {
    /// 200 with its body.
    Found(Vec<u8>),
    /// 404: the server knows no such object (RFC 7480 section 5.3).
    Missing,
}

/// Gets one URL over HTTPS, at most [`MAX_ANSWER_LEN`] bytes.
pub trait Fetch {
    /// # Errors
    /// Whatever kept it from an answer, in a line that names the URL's host.
    fn get(&mut self, url: &str) -> anyhow::Result<Fetched>;
}

/// The clock, and waiting by it.
pub trait Pace {
    /// The time now.
    fn now(&self) -> WallTime;
    /// Waits.
    fn wait(&mut self, how_long: Duration);
}

/// The kind of answer that servers are asked for (RFC 7480 §4.2).
const ACCEPT: &str = "application/rdap+json, application/json";

/// Over HTTPS, by the settings of `[update]`.
struct Web(Client);

impl Fetch for Web {
    fn get(&mut self, url: &str) -> anyhow::Result<Fetched> {
        let answer =
            self.0.get(url, ACCEPT, MAX_ANSWER_LEN).with_context(|| format!("ask {}", host_of(url)))?;
        Ok(answer.map_or(Fetched::Missing, Fetched::Found))
    }
}

/// The machine's clock.
struct Clock;

impl Pace for Clock {
    fn now(&self) -> WallTime {
        clock::now().map(|now| now.wall).unwrap_or_default()
    }
    fn wait(&mut self, how_long: Duration) {
        std::thread::sleep(how_long);
    }
}

/// [`look_up`] over HTTPS, by the settings of `[update]`.
///
/// # Errors
/// As there.
pub fn ask_registry(
    domain: &DomainName,
    config: &UpdateConfig,
    database: &Path,
) -> anyhow::Result<KeptRegistration> {
    look_up(domain, &config.rdap, database, &mut Web(Client::new(config)?), &mut Clock)
}

/// Finds out who registered `domain`: from the database if the answer there is young enough, else from its registry
/// and registrar, with what it learned kept.
///
/// # Errors
/// If nobody could be asked, or the answer was nonsense; the database then keeps what it had.
pub fn look_up(
    domain: &DomainName,
    list_url: &str,
    database: &Path,
    fetch: &mut dyn Fetch,
    pace: &mut dyn Pace,
) -> anyhow::Result<KeptRegistration> {
    let kept = match Reader::open(database)? {
        Some(reader) => reader.registration(domain)?,
        None => None,
    };
    if let Some(kept) = kept.filter(|kept| age(kept.asked_at, pace.now()) < KEPT_FOR) {
        return Ok(kept);
    }
    let store = Registrations::open(database)?;
    if let Some(asked) = store.last_asked()? {
        // A clock that was set back makes the last question one of the future: then the whole second is waited.
        pace.wait(BETWEEN.saturating_sub(age(asked, pace.now())));
    }
    let fresh = ask(domain, list_url, database, fetch, pace)?;
    store.keep(domain, &fresh)?;
    Ok(fresh)
}

fn ask(
    domain: &DomainName,
    list_url: &str,
    database: &Path,
    fetch: &mut dyn Fetch,
    pace: &mut dyn Pace,
) -> anyhow::Result<KeptRegistration> {
    let servers = servers_of(&bootstrap(list_url, database, fetch, pace)?, domain)
        .context("read IANA's list of RDAP servers")?;
    let asked_at = pace.now();
    let Some(server) = servers.first() else {
        let nothing = Registration::default();
        return Ok(KeptRegistration { asked_at, server: String::new(), registration: nothing });
    };
    let url = domain_url(server, domain);
    pace.wait(BETWEEN);
    let Fetched::Found(answer) = fetch.get(&url)? else {
        bail!("{} knows no domain {domain}", host_of(&url));
    };
    let registry =
        registration(&answer, domain).with_context(|| format!("ask {} of {domain}", host_of(&url)))?;
    let at_registry =
        KeptRegistration { asked_at, server: host_of(&url).to_owned(), registration: registry.clone() };
    if registry.registrant.is_some() {
        return Ok(at_registry);
    }
    // The registries of .com and others keep no registrants; the registrar may. If it does not answer, what the
    // registry said is still true.
    let Some(url) = registrar_url(&answer) else { return Ok(at_registry) };
    pace.wait(BETWEEN);
    let answer = match fetch.get(&url) {
        Ok(Fetched::Found(answer)) => answer,
        Ok(Fetched::Missing) => return Ok(at_registry),
        Err(error) => {
            tracing::info!("the registrar's server {} did not answer: {error:#}", host_of(&url));
            return Ok(at_registry);
        }
    };
    match registration(&answer, domain) {
        Ok(registrar) => Ok(KeptRegistration {
            asked_at,
            server: host_of(&url).to_owned(),
            registration: registrar.or(registry),
        }),
        Err(_) => Ok(at_registry),
    }
}

/// IANA's file: kept beside the database, fetched anew once a month.
fn bootstrap(
    list_url: &str,
    database: &Path,
    fetch: &mut dyn Fetch,
    pace: &mut dyn Pace,
) -> anyhow::Result<Vec<u8>> {
    let path = bootstrap_path(database);
    if is_young(&path, pace.now()) {
        return std::fs::read(&path).with_context(|| format!("read {}", path.display()));
    }
    let Fetched::Found(file) = fetch.get(list_url)? else {
        bail!("{} has no list of RDAP servers", host_of(list_url));
    };
    // Nonsense is not kept.
    servers_of(&file, &DomainName::parse("com").context("name a domain")?)
        .context("read IANA's list of RDAP servers")?;
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("make the folder {}", folder.display()))?;
        let mut new =
            tempfile::NamedTempFile::new_in(folder).with_context(|| format!("write {}", path.display()))?;
        std::io::Write::write_all(&mut new, &file).with_context(|| format!("write {}", path.display()))?;
        new.persist(&path).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(file)
}

fn bootstrap_path(database: &Path) -> PathBuf {
    database.with_file_name("tables").join("rdap-dns.json")
}

fn is_young(path: &Path, now: WallTime) -> bool {
    let changed = std::fs::metadata(path).and_then(|found| found.modified()).ok();
    let since = changed.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
    since.and_then(|at| i64::try_from(at.as_nanos()).ok()).is_some_and(|at| age(WallTime(at), now) < KEPT_FOR)
}

fn age(then: WallTime, now: WallTime) -> Duration {
    Duration::from_nanos(u64::try_from(now.0.saturating_sub(then.0)).unwrap_or(0))
}

fn host_of(url: &str) -> &str {
    let rest = url.strip_prefix("https://").unwrap_or(url);
    rest.split(['/', ':', '?']).next().unwrap_or(rest)
}

#[cfg(test)]
mod tests;
