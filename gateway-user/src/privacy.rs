//! The privacy levels of the configuration as the pipeline takes them: labels resolved by the database, names shortened
//! by the tables. What a level means is decided in `gateway-core`.

use crate::cli::ask::name_tables;
use crate::config::{Config, PrivacyConfig};
use crate::store::Reader;
use anyhow::Context;
use gateway_core::enrich::names::NameTables;
use gateway_core::privacy::{Level, Privacy};
use gateway_core::units::Mac;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

/// Knows the levels, and looks the labels up again when asked.
#[derive(Debug)]
pub struct Levels {
    config: PrivacyConfig,
    database: PathBuf,
    names: Arc<NameTables>,
    /// The labels that no device had at the last look; said once.
    missing: BTreeSet<String>,
}

impl Levels {
    /// Of a configuration. The tables of names are read only where a level needs them.
    ///
    /// # Errors
    /// If a table is needed and cannot be read.
    pub fn new(config: &Config) -> anyhow::Result<Self> {
        let names = match config.privacy.shortens_names() {
            true => name_tables(config, &config.database)
                .context("read the tables that names are shortened by")?,
            false => NameTables::default(),
        };
        Ok(Self {
            config: config.privacy.clone(),
            database: config.database.clone(),
            names: Arc::new(names),
            missing: BTreeSet::new(),
        })
    }

    /// Can the levels change while the program runs? Labels can.
    #[must_use]
    pub fn follow_labels(&self) -> bool {
        !self.config.by_label.is_empty()
    }

    /// The levels as they are now. Where a device has several, by its address, by a label or by the label of one that it
    /// is merged with, the address wins, then the strictest.
    ///
    /// # Errors
    /// If labels have to be looked up and the database cannot be read.
    pub fn now(&mut self) -> anyhow::Result<Privacy> {
        let mut devices = BTreeMap::<Mac, Level>::new();
        let mut missing: BTreeSet<String> = self.config.by_label.keys().cloned().collect();
        if self.follow_labels() {
            let reader = Reader::open(&self.database)?;
            for device in reader.map_or_else(|| Ok(Vec::new()), |reader| reader.devices())? {
                let labels =
                    std::iter::once(&device).chain(&device.merged).filter_map(|one| one.label.as_ref());
                for label in labels.map(|label| label.to_lowercase()) {
                    let Some(level) = self.config.by_label.get(&label) else { continue };
                    missing.remove(&label);
                    for mac in device.macs() {
                        let strictest = devices.entry(mac).or_insert(*level);
                        *strictest = (*strictest).max(*level);
                    }
                }
            }
        }
        if missing != self.missing && !missing.is_empty() {
            tracing::warn!(
                "{} of the labels below [privacy.device] are no device's: until one has it, its level is the default \
                 (telltale devices lists labels)",
                missing.len()
            );
        }
        self.missing = missing;
        devices.extend(&self.config.by_mac);
        Ok(Privacy::new(self.config.default, devices, Arc::clone(&self.names)))
    }
}
