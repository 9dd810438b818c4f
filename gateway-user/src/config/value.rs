//! The values of the configuration file, each checked as it is read: a complaint then carries the value's place.

use super::{MAX_FAST_SLOTS, MIN_FAST_SLOTS};
use crate::links::Selection;
use ipnetwork::IpNetwork;
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;

/// Longest interface name (`IFNAMSIZ` less the final zero).
const MAX_INTERFACE_NAME_LEN: usize = 15;

/// How much to log.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Nothing.
    Off,
    /// What stops the work.
    Error,
    /// What costs numbers or needs attention.
    Warn,
    /// What the owner wants to know: start, stop, ports.
    Info,
    /// What a developer wants to know. From here on, names and addresses may appear.
    Debug,
    /// Everything.
    Trace,
}

impl Level {
    /// Its word in the configuration.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// `interfaces`: `"auto"`, one name, or a list of names.
#[derive(Debug)]
pub(super) struct Interfaces(pub(super) Selection);

impl<'de> Deserialize<'de> for Interfaces {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;
        impl<'de> Visitor<'de> for Names {
            type Value = Vec<String>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"auto\" or a list of interface names")
            }
            fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
                Ok(vec![name.to_owned()])
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut names = Vec::new();
                while let Some(name) = list.next_element()? {
                    names.push(name);
                }
                Ok(names)
            }
        }
        selection_of(deserializer.deserialize_any(Names)?).map(Self).map_err(D::Error::custom)
    }
}

/// The list of interfaces was not one.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum BadInterfaces {
    #[error("no interface is named; write \"auto\" to have the LAN found")]
    Empty,
    #[error("\"auto\" stands alone, without interface names")]
    AutoAndNames,
    #[error("{0:?} cannot be the name of an interface: 1 to 15 characters, no space, no slash")]
    BadName(String),
}

/// Names as given by flag or file.
pub(super) fn selection_of(names: Vec<String>) -> Result<Selection, BadInterfaces> {
    if names.is_empty() {
        return Err(BadInterfaces::Empty);
    }
    if names.iter().any(|name| name == "auto") {
        return if names.len() == 1 { Ok(Selection::Auto) } else { Err(BadInterfaces::AutoAndNames) };
    }
    let is_bad = |name: &String| {
        name.is_empty()
            || name.len() > MAX_INTERFACE_NAME_LEN
            || name.chars().any(|c| c.is_whitespace() || c.is_control() || c == '/')
    };
    match names.iter().find(|name| is_bad(name)) {
        Some(name) => Err(BadInterfaces::BadName(name.clone())),
        None => Ok(Selection::Names(names)),
    }
}

/// `drain_every_secs`.
#[derive(Debug, Deserialize)]
#[serde(try_from = "i64")]
pub(super) struct DrainEverySecs(pub(super) u32);

impl TryFrom<i64> for DrainEverySecs {
    type Error = String;
    fn try_from(secs: i64) -> Result<Self, String> {
        // Less than a second is all waiting for the grace period; more than an hour is too much for the tables
        // of a busy house, and too much to lose in a power cut.
        match u32::try_from(secs) {
            Ok(secs @ 1..=3600) => Ok(Self(secs)),
            _ => Err(format!("{secs} is not between 1 and 3600 seconds")),
        }
    }
}

/// `fast_slots_per_cpu`; 0 is "follow the memory".
#[derive(Debug, Deserialize)]
#[serde(try_from = "i64")]
pub(super) struct FastSlots(pub(super) Option<u32>);

impl TryFrom<i64> for FastSlots {
    type Error = String;
    fn try_from(slots: i64) -> Result<Self, String> {
        match u32::try_from(slots) {
            Ok(0) => Ok(Self(None)),
            Ok(n) if n.is_power_of_two() && (MIN_FAST_SLOTS..=MAX_FAST_SLOTS).contains(&n) => {
                Ok(Self(Some(n)))
            }
            _ => Err(format!(
                "{slots} is not a power of two between {MIN_FAST_SLOTS} and {MAX_FAST_SLOTS}, nor 0 for a size that follows the memory"
            )),
        }
    }
}

/// A prefix such as `192.168.0.0/16`; an address alone is itself; host bits are cleared.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Prefix(pub(super) IpNetwork);

impl TryFrom<String> for Prefix {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let bad = || format!("{text:?} is not a prefix such as \"192.168.0.0/16\" or \"2001:db8::/32\"");
        let given: IpNetwork = text.trim().parse().map_err(|_| bad())?;
        IpNetwork::new(given.network(), given.prefix()).map(Self).map_err(|_| bad())
    }
}
