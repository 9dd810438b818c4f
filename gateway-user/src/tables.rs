//! The tables that say whose network an address is in: the embedded one, or the user's own MMDB files.
//!
//! Reads files; decides nothing about traffic. Lives and dies with the process: a changed file is seen at the
//! next start.

mod lists;
mod mmdb;
pub mod owners;
pub mod update;
pub mod vendors;

use anyhow::Context;
use gateway_core::enrich::Networks;
use gateway_core::enrich::table::NetworkTable;
use gateway_core::row::Network;
use mmdb::MmdbFile;
use std::net::IpAddr;
use std::path::PathBuf;

/// Made by `cargo xtask geo`; see NOTICE for its source and licence.
static EMBEDDED: &[u8] = include_bytes!("../data/networks.bin.zst");

/// The table that is part of this program.
///
/// # Errors
/// A damaged program file.
pub fn embedded() -> anyhow::Result<NetworkTable> {
    NetworkTable::unpack(EMBEDDED).context("read the embedded network table")
}

/// What knows the networks: the embedded table, or with any path those MMDB files.
///
/// A file gives what it has, be it countries, systems or both, in the field names of MaxMind, DB-IP and IPinfo;
/// the first file that knows an address wins. For a question that no file answers at all (only a country file
/// was given, say) the embedded table does, and [`Networks::as_of`] tells the dates apart.
///
/// # Errors
/// A file that cannot be read, is not MMDB, or has neither countries nor systems; the message names it.
pub fn load(mmdb: &[PathBuf]) -> anyhow::Result<Box<dyn Networks + Send + Sync>> {
    let embedded = embedded()?;
    if mmdb.is_empty() {
        return Ok(Box::new(embedded));
    }
    let files = mmdb.iter().map(|path| MmdbFile::open(path)).collect::<anyhow::Result<Vec<_>>>()?;
    Ok(Box::new(UserTables::new(files, embedded)))
}

/// The user's files, with the embedded table for what none of them is about.
struct UserTables {
    files: Vec<MmdbFile>,
    /// The table that answers for systems, or for countries, where no file does.
    fallback: Option<NetworkTable>,
    gives_systems: bool,
    gives_countries: bool,
    as_of: String,
}

impl UserTables {
    fn new(files: Vec<MmdbFile>, embedded: NetworkTable) -> Self {
        let gives_systems = files.iter().any(MmdbFile::gives_systems);
        let gives_countries = files.iter().any(MmdbFile::gives_countries);
        let dates = |gives: fn(&MmdbFile) -> bool| {
            let mut dates: Vec<&str> = files.iter().filter(|f| gives(f)).map(MmdbFile::built_on).collect();
            dates.dedup();
            if dates.is_empty() { embedded.as_of().to_owned() } else { dates.join(" and ") }
        };
        let (systems, countries) = (dates(MmdbFile::gives_systems), dates(MmdbFile::gives_countries));
        let as_of =
            if systems == countries { systems } else { format!("ASN {systems}, country {countries}") };
        let fallback = (!gives_systems || !gives_countries).then_some(embedded);
        Self { files, fallback, gives_systems, gives_countries, as_of }
    }
}

impl Networks for UserTables {
    fn network_of(&self, addr: IpAddr) -> Option<Network> {
        let mut network = Network::default();
        for file in &self.files {
            file.fill(addr, &mut network);
        }
        if let Some(known) = self.fallback.as_ref().and_then(|table| table.network_of(addr)) {
            let Network { asn, organisation, country, registered, marks } = known;
            if !self.gives_systems {
                (network.asn, network.organisation) = (asn, organisation);
                (network.registered, network.marks) = (registered, marks);
            }
            if !self.gives_countries {
                network.country = country;
            }
        }
        (network != Network::default()).then_some(network)
    }

    fn as_of(&self) -> &str {
        &self.as_of
    }
}

#[cfg(test)]
mod tests;
