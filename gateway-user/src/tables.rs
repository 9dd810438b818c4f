//! The tables that say whose network an address is in: the embedded one, an updated one, or the user's own MMDB files.
//!
//! Reads files; decides nothing about traffic. Lives and dies with the process: a changed file is seen at the
//! next start.

mod choice;
pub mod embedded;
mod lists;
mod mmdb;
pub mod owners;
pub mod update;
pub mod vendors;

use anyhow::Context;
use gateway_core::enrich::envelope::TableKind;
use gateway_core::enrich::table::NetworkTable;
use gateway_core::enrich::{Networks, NoNetworks};
use gateway_core::row::{Network, NetworkMarks};
use mmdb::MmdbFile;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use update::slot::mmdb_files;

/// What knows the networks, and what must be said about where it comes from.
pub struct Loaded {
    /// To be asked.
    pub networks: Box<dyn Networks + Send + Sync>,
    /// One line for each updated file that was refused.
    pub warnings: Vec<String>,
}

/// The network table that is part of this program; `None` in one built without.
///
/// # Errors
/// A damaged program file.
pub fn embedded_networks() -> anyhow::Result<Option<NetworkTable>> {
    embedded::packed(TableKind::Networks)
        .map(|packed| NetworkTable::unpack(packed).context("read the embedded table of networks"))
        .transpose()
}

/// What knows the networks: of the table in this program (`embedded`, packed) and those in the directory of `updates`
/// the one in force; or with any path in `mmdb` those MMDB files, and that table for what they leave open.
///
/// A file of the user's gives what it has, be it countries, systems or both, in the field names of MaxMind, DB-IP and
/// IPinfo; the first file that knows an address wins. For a question that no file answers at all (only a country file
/// was given, say) the table does, and [`Networks::as_of`] tells the dates apart.
///
/// # Errors
/// A file of the user's that cannot be read, is not MMDB, or has neither countries nor systems; the message names
/// it. An updated file like that is a warning, and what was there before stays in use. A damaged program file.
pub fn load(embedded: Option<&[u8]>, updates: Option<&Path>, mmdb: &[PathBuf]) -> anyhow::Result<Loaded> {
    let mut warnings = Vec::new();
    let mut files = mmdb.iter().map(|path| MmdbFile::open(path)).collect::<anyhow::Result<Vec<_>>>()?;
    let table =
        choice::in_force(TableKind::Networks, embedded, updates, NetworkTable::unpack, &mut warnings)?;
    if let Some(updates) = updates.filter(|_| files.is_empty()) {
        files = updated_mmdb(updates, table.as_ref(), &mut warnings);
    }
    let networks: Box<dyn Networks + Send + Sync> = match table {
        table if !files.is_empty() => Box::new(UserTables::new(files, table)),
        Some(table) => Box::new(table),
        None => Box::new(NoNetworks),
    };
    Ok(Loaded { networks, warnings })
}

/// The updated MMDB files, but those that are bad, or older than the table that answers without them.
fn updated_mmdb(updates: &Path, table: Option<&NetworkTable>, warnings: &mut Vec<String>) -> Vec<MmdbFile> {
    let have = table.map(NetworkTable::date);
    let stays = have.map_or("no table answers in its place".to_owned(), |have| {
        format!("the table of {have} answers in its place")
    });
    let mut files = Vec::new();
    for path in mmdb_files(updates) {
        let file = MmdbFile::open(&path).and_then(|file| {
            choice::is_recent(file.built_on(), have)?;
            Ok(file)
        });
        match file {
            Ok(file) => files.push(file),
            Err(why) => warnings.push(choice::refusal(TableKind::Networks, &path, &why, &stays)),
        }
    }
    files
}

/// The user's files, with a table for what none of them is about.
struct UserTables {
    files: Vec<MmdbFile>,
    /// Answers for systems, or for countries, where no file does; and knows of systems what the files do not say.
    table: Option<NetworkTable>,
    gives_systems: bool,
    gives_countries: bool,
    as_of: String,
}

impl UserTables {
    fn new(files: Vec<MmdbFile>, table: Option<NetworkTable>) -> Self {
        let gives_systems = files.iter().any(MmdbFile::gives_systems);
        let gives_countries = files.iter().any(MmdbFile::gives_countries);
        let dates = |gives: fn(&MmdbFile) -> bool| {
            let mut dates: Vec<String> =
                files.iter().filter(|f| gives(f)).map(|f| f.built_on().to_string()).collect();
            dates.dedup();
            match &table {
                Some(table) if dates.is_empty() => table.date().to_string(),
                None if dates.is_empty() => "none".to_owned(),
                _ => dates.join(" and "),
            }
        };
        let (systems, countries) = (dates(MmdbFile::gives_systems), dates(MmdbFile::gives_countries));
        let as_of =
            if systems == countries { systems } else { format!("ASN {systems}, country {countries}") };
        Self { files, table, gives_systems, gives_countries, as_of }
    }
}

impl Networks for UserTables {
    fn network_of(&self, addr: IpAddr) -> Option<Network> {
        let mut network = Network::default();
        for file in &self.files {
            file.fill(addr, &mut network);
        }
        let Some(table) = &self.table else { return (network != Network::default()).then_some(network) };
        let found = table.find(addr);
        if found.is_anycast {
            network.marks = network.marks.with(NetworkMarks::ANYCAST);
        }
        if !self.gives_systems
            && let Some(system) = found.system
        {
            network.asn = Some(system.number());
            network.organisation = system.organisation().map(str::to_owned);
        }
        if !self.gives_countries {
            network.country = found.country;
        }
        // A file says who announces an address; what is known of that system the table says.
        if let Some(system) = network.asn.and_then(|number| table.system(number)) {
            network.registered = network.registered.or(system.registered());
            network.marks = network.marks.with(system.marks());
        }
        (network != Network::default()).then_some(network)
    }

    fn as_of(&self) -> &str {
        &self.as_of
    }
}

#[cfg(test)]
mod tests;
