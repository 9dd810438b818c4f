//! The rows of a question: what the store gives, and of that what meets what is asked of rows.

use super::night::Nights;
use super::{Asked, Wanted};
use gateway_core::enrich::names::NameTables;
use gateway_core::enrich::owners::Purpose;
use gateway_core::query::language::{Question, Subject};
use gateway_core::query::{DeviceInfo, DeviceMatch, Filter, FlowSum, TimeRange};
use gateway_core::report::who::{NameFacts, Owned};
use gateway_core::units::{DomainName, Volume};
use std::collections::BTreeMap;

/// A question, with what it needs of the database to be asked of rows.
#[derive(Debug)]
pub struct Picked {
    /// What was asked for: its words are of the whole question.
    pub filter: Filter,
    /// The same, with what else of the question the store can pick.
    pub(super) store: Filter,
    question: Question,
    nights: Option<Nights>,
    devices: Vec<DeviceInfo>,
}

impl Picked {
    /// Does a line with these amounts meet what is asked of lines?
    #[must_use]
    pub fn keeps(&self, volume: Volume, conversations: u64) -> bool {
        self.question.keeps(volume, conversations)
    }

    /// Is anything asked of lines?
    #[must_use]
    pub fn asks_of_lines(&self) -> bool {
        self.question.asks_of_lines()
    }

    /// The question in words, for a remark below the answer; `None` if there is none.
    #[must_use]
    pub fn remark(&self) -> Option<String> {
        (!self.filter.question.is_empty()).then(|| format!("only such that {}", self.filter.question))
    }
}

impl Asked {
    /// Makes a question ready: which hours are night is learned now.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn picked(&self, wanted: &Wanted) -> anyhow::Result<Picked> {
        let Wanted { mut filter, question } = wanted.clone();
        let devices = self.reader.devices()?;
        let mut store = filter.clone();
        question.narrow(&mut store);
        let nights = match question.night {
            Some(_) => Some(Nights::learn(self, &devices, &store)?),
            None => None,
        };
        if let Some(nights) = &nights {
            filter.question = format!("{} ({})", filter.question, nights.words());
        }
        Ok(Picked { filter, store, question, nights, devices })
    }

    /// The rows of the range that meet what is asked of rows.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn rows(&self, picked: &Picked, names: &NameTables) -> anyhow::Result<Vec<FlowSum>> {
        self.rows_of(self.range, picked, names)
    }

    /// The same where only destinations are asked for, as [`Reader::destinations`](crate::store::Reader::destinations)
    /// has them, if the question can be asked of these.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn destinations(&self, picked: &Picked, names: &NameTables) -> anyhow::Result<Vec<FlowSum>> {
        if picked.question.asks_of_rows() || picked.nights.is_some() {
            return self.rows(picked, names);
        }
        self.reader.destinations(self.range, &picked.store)
    }

    /// The rows of another range.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn rows_of(
        &self,
        range: TimeRange,
        picked: &Picked,
        names: &NameTables,
    ) -> anyhow::Result<Vec<FlowSum>> {
        let Picked { filter: _, store, question, nights, devices } = picked;
        let mut flows = match (question.night, nights) {
            (Some(wanted), Some(nights)) => nights.flows(&self.reader, range, store, wanted)?,
            _ => self.reader.flows(range, store)?,
        };
        let needs_names = question.needs_names();
        let mut owned = BTreeMap::<DomainName, Option<Owned>>::new();
        flows.retain(|flow| {
            let owned = flow.key.name.as_ref().filter(|_| needs_names).and_then(|name| {
                if !owned.contains_key(name) {
                    owned.insert(name.clone(), NameFacts::of(names, name).owned);
                }
                owned.get(name)?.as_ref()
            });
            let device = devices.iter().find(|device| device.mac == flow.key.device);
            question.picks(&Known { flow, device, owned })
        });
        Ok(flows)
    }
}

/// A row with what is known of its device and its name.
struct Known<'a> {
    flow: &'a FlowSum,
    device: Option<&'a DeviceInfo>,
    owned: Option<&'a Owned>,
}

impl Subject for Known<'_> {
    fn row(&self) -> &FlowSum {
        self.flow
    }

    fn is_device(&self, wanted: &DeviceMatch) -> bool {
        self.device.is_some_and(|device| wanted.picks(device))
    }

    fn owners(&self) -> Vec<String> {
        let Some(owned) = self.owned else { return Vec::new() };
        core::iter::once(&owned.owner).chain(&owned.parents).cloned().collect()
    }

    fn purpose(&self) -> Option<Purpose> {
        self.owned.map(|owned| owned.purpose)
    }
}
