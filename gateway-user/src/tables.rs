//! The tables that say whose network an address is in: the embedded one, an updated one, or the user's own MMDB files.
//!
//! Reads files; decides nothing about traffic. Lives and dies with the process: a changed file is seen at the
//! next start.

mod lists;
mod mmdb;
pub mod owners;

use anyhow::{Context, bail};
use gateway_core::enrich::envelope::{TableDate, TableKind, date_of};
use gateway_core::enrich::table::NetworkTable;
use gateway_core::enrich::{Networks, NoNetworks};
use gateway_core::row::{Network, NetworkMarks};
use mmdb::MmdbFile;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// The table that is part of this program, packed; `None` in a program built without. Made by `cargo xtask geo`; see
/// NOTICE for its sources and licences.
#[cfg(feature = "tables-full")]
pub const EMBEDDED: Option<&[u8]> = Some(include_bytes!("../data/networks-full.bin.zst"));
/// The table that is part of this program, packed; `None` in a program built without. Made by `cargo xtask geo`; see
/// NOTICE for its sources and licences.
#[cfg(all(feature = "tables-small", not(feature = "tables-full")))]
pub const EMBEDDED: Option<&[u8]> = Some(include_bytes!("../data/networks-small.bin.zst"));
/// The table that is part of this program, packed; `None` in a program built without. Made by `cargo xtask geo`; see
/// NOTICE for its sources and licences.
#[cfg(not(any(feature = "tables-full", feature = "tables-small")))]
pub const EMBEDDED: Option<&[u8]> = None;

/// The updated table's name, in the directory `tables` beside the database.
pub const UPDATED_TABLE: &str = "networks.bin.zst";

/// Updated MMDB files begin with this, in the same directory: `networks-asn.mmdb`, `networks-country.mmdb`.
pub const UPDATED_MMDB: &str = "networks";

/// The largest file that is read as an updated table: what is longer is none.
const MAX_TABLE_FILE_LEN: u64 = 16 << 20;

/// What knows the networks, and what must be said about where it comes from.
pub struct Loaded {
    /// To be asked.
    pub networks: Box<dyn Networks + Send + Sync>,
    /// One line for each updated file that was refused.
    pub warnings: Vec<String>,
}

/// The table that is part of this program.
///
/// # Errors
/// A damaged program file.
pub fn embedded() -> anyhow::Result<Option<NetworkTable>> {
    EMBEDDED.map(|packed| NetworkTable::unpack(packed).context("read the embedded network table")).transpose()
}

/// What knows the networks: the newer of the embedded table and what lies in `updated`, the directory of updated
/// tables; or with any path in `mmdb` those MMDB files, and that table for what they leave open.
///
/// A file of the user's gives what it has, be it countries, systems or both, in the field names of MaxMind, DB-IP and
/// IPinfo; the first file that knows an address wins. For a question that no file answers at all (only a country file
/// was given, say) the table does, and [`Networks::as_of`] tells the dates apart.
///
/// # Errors
/// A file of the user's that cannot be read, is not MMDB, or has neither countries nor systems; the message names
/// it. An updated file like that is a warning, and what was there before stays in use.
pub fn load(embedded: Option<&[u8]>, updated: Option<&Path>, mmdb: &[PathBuf]) -> anyhow::Result<Loaded> {
    let mut warnings = Vec::new();
    let mut files = mmdb.iter().map(|path| MmdbFile::open(path)).collect::<anyhow::Result<Vec<_>>>()?;
    let embedded_date = match embedded {
        Some(packed) => {
            Some(date_of(packed, TableKind::Networks).context("read the embedded network table")?)
        }
        None => None,
    };
    let newer = |found: TableDate| match embedded_date {
        Some(embedded) if found < embedded => {
            bail!(
                "it is of {found}, the one in this program of {embedded}; get a newer one with `telltale update`"
            )
        }
        _ => Ok(()),
    };
    let mut table = None;
    if let Some(directory) = updated {
        let path = directory.join(UPDATED_TABLE);
        match updated_table(&path, &newer) {
            Ok(found) => table = found,
            Err(error) => {
                warnings.push(format!("the updated table {} is left alone: {error:#}", path.display()))
            }
        }
        if files.is_empty() {
            match updated_mmdb(directory, &newer, table.as_ref()) {
                Ok(found) => files = found,
                Err(error) => warnings.push(format!("updated MMDB files are left alone: {error:#}")),
            }
        }
    }
    if table.is_none() {
        table = embedded
            .map(|packed| NetworkTable::unpack(packed).context("read the embedded network table"))
            .transpose()?;
    }
    let networks: Box<dyn Networks + Send + Sync> = match table {
        table if !files.is_empty() => Box::new(UserTables::new(files, table)),
        Some(table) => Box::new(table),
        None => Box::new(NoNetworks),
    };
    Ok(Loaded { networks, warnings })
}

fn updated_table(
    path: &Path,
    newer: &impl Fn(TableDate) -> anyhow::Result<()>,
) -> anyhow::Result<Option<NetworkTable>> {
    match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Ok(found) if found.len() > MAX_TABLE_FILE_LEN => {
            bail!("it has {} bytes, and no table has more than {MAX_TABLE_FILE_LEN}", found.len())
        }
        _ => {}
    }
    let packed = std::fs::read(path).context("read it")?;
    newer(date_of(&packed, TableKind::Networks)?)?;
    Ok(Some(NetworkTable::unpack(&packed)?))
}

/// The MMDB files among the updated ones, by name, unless one of them is bad or older than the table there is.
fn updated_mmdb(
    directory: &Path,
    newer: &impl Fn(TableDate) -> anyhow::Result<()>,
    table: Option<&NetworkTable>,
) -> anyhow::Result<Vec<MmdbFile>> {
    let entries = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(|| format!("read the directory {}", directory.display()))?,
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.with_context(|| format!("read the directory {}", directory.display()))?.path();
        let is_ours =
            path.file_stem().and_then(|stem| stem.to_str()).is_some_and(|s| s.starts_with(UPDATED_MMDB));
        if is_ours && path.extension().is_some_and(|extension| extension == "mmdb") {
            paths.push(path);
        }
    }
    paths.sort();
    let files = paths.iter().map(|path| MmdbFile::open(path)).collect::<anyhow::Result<Vec<_>>>()?;
    for (path, file) in paths.iter().zip(&files) {
        newer(file.built_on()).with_context(|| format!("take {}", path.display()))?;
    }
    // Both kinds of update lie there: the newer one counts.
    let oldest = files.iter().map(MmdbFile::built_on).min();
    let is_older = table.zip(oldest).is_some_and(|(table, oldest)| oldest < table.date());
    Ok(if is_older { Vec::new() } else { files })
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
