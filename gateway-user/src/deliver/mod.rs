//! Messages on their way out of the house: e-mail, ntfy, a webhook, MQTT.
//!
//! A message waits in a directory beside the database ([`queue`]) until its way has taken it; each way has a thread
//! of its own ([`worker`]), so that none waits for another and nothing ever waits in the counting. At least once: a
//! way that fails between the server's "yes" and ours is tried again. docs/deliver.md tells it to people.

#[cfg(feature = "deliver")]
mod connection;
#[cfg(feature = "deliver")]
mod figures;
#[cfg(feature = "deliver")]
mod http;
#[cfg(feature = "deliver")]
mod letter;
#[cfg(feature = "deliver")]
mod mqtt;
#[cfg(feature = "deliver")]
mod ntfy;
pub mod queue;
#[cfg(feature = "deliver")]
mod secret;
#[cfg(feature = "deliver")]
mod smtp;
#[cfg(feature = "deliver")]
mod webhook;
pub mod worker;

use crate::config::DeliverConfig;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How pressing a message is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// To read at some time.
    Low,
    /// To read today.
    Normal,
    /// To read now.
    High,
}

/// What is to be told.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Message {
    /// Names it for good: while one waits, another of the same id takes its place, and receivers can tell doubles.
    pub id: String,
    /// One line.
    pub subject: String,
    /// For people.
    pub text: String,
    /// The same as a page, if there is one.
    pub html: Option<String>,
    /// For programs.
    pub json: String,
    /// How pressing it is.
    pub priority: Priority,
    /// Numbers for MQTT; nothing for a message that has none.
    pub figures: Option<Figures>,
}

/// A day in numbers.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Figures {
    /// The local day, `2026-11-22`.
    pub day: String,
    /// Share of the day that was measured, 0 to 100 per cent.
    pub coverage_percent: Option<f64>,
    /// One per device.
    pub devices: Vec<DeviceFigures>,
}

/// A device's day in numbers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DeviceFigures {
    /// Its MAC address, as printed: what it is known by for good.
    pub mac: String,
    /// What to call it.
    pub name: String,
    /// `IpBytes` from the device to the world.
    pub up_bytes: u64,
    /// `IpBytes` from the world to the device.
    pub down_bytes: u64,
    /// Destinations never met before, where that is known.
    pub new_destinations: Option<u64>,
}

/// A way out.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// E-mail by SMTP.
    Email,
    /// A topic of an ntfy server.
    Ntfy,
    /// JSON posted to a URL.
    Webhook,
    /// MQTT, with Home Assistant's discovery.
    Mqtt,
}

impl Way {
    /// Every way.
    pub const ALL: [Self; 4] = [Self::Email, Self::Ntfy, Self::Webhook, Self::Mqtt];

    /// Its word, in the configuration and for people.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Ntfy => "ntfy",
            Self::Webhook => "webhook",
            Self::Mqtt => "mqtt",
        }
    }

    /// Is it configured?
    #[must_use]
    pub fn is_wanted(self, config: &DeliverConfig) -> bool {
        match self {
            Self::Email => config.email.is_some(),
            Self::Ntfy => config.ntfy.is_some(),
            Self::Webhook => config.webhook.is_some(),
            Self::Mqtt => config.mqtt.is_some(),
        }
    }

    /// The ways that are configured.
    #[must_use]
    pub fn wanted(config: &DeliverConfig) -> Vec<Self> {
        Self::ALL.into_iter().filter(|way| way.is_wanted(config)).collect()
    }
}

/// Why a message was not delivered. The words hold no secret.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It may pass by itself: no connection, a server that is busy. The server may say how long to wait.
    #[error("{words}")]
    Passing {
        /// What happened.
        words: String,
        /// How long the server wants to be left alone.
        wait: Option<Duration>,
    },
    /// Somebody has to do something first: a wrong password, a certificate that does not hold.
    #[error("{0}")]
    Refused(String),
    /// The server does not take this message, and would not at another time.
    #[error("{0}")]
    Unwanted(String),
}

impl Failure {
    /// One that may pass by itself.
    pub fn passing(words: impl ToString) -> Self {
        Self::Passing { words: words.to_string(), wait: None }
    }

    /// One that somebody has to do something about.
    pub fn refused(words: impl ToString) -> Self {
        Self::Refused(words.to_string())
    }
}

/// Delivers a message now, on one way.
///
/// # Errors
/// When it was not taken, or may not have been.
#[cfg(feature = "deliver")]
pub fn send(way: Way, config: &DeliverConfig, message: &Message) -> Result<(), Failure> {
    let unwanted = || Failure::refused(format!("[deliver.{}] is not in the configuration", way.word()));
    match way {
        Way::Email => smtp::send(config.email.as_ref().ok_or_else(unwanted)?, config, message),
        Way::Ntfy => ntfy::send(config.ntfy.as_ref().ok_or_else(unwanted)?, config, message),
        Way::Webhook => webhook::send(config.webhook.as_ref().ok_or_else(unwanted)?, config, message),
        Way::Mqtt => mqtt::send(config.mqtt.as_ref().ok_or_else(unwanted)?, config, message),
    }
}

/// Delivers nothing: this program was built without.
///
/// # Errors
/// Always.
#[cfg(not(feature = "deliver"))]
pub fn send(_way: Way, _config: &DeliverConfig, _message: &Message) -> Result<(), Failure> {
    Err(Failure::refused("this program was built without the feature deliver"))
}
