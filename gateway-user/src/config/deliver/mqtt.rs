//! `[deliver.mqtt]`: an MQTT broker.

use super::{SecretPlace, host_of, login, secret};
use serde::Deserialize;
use std::path::PathBuf;

/// An MQTT broker.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MqttConfig {
    /// The broker's name.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Is the connection by TLS?
    pub is_tls: bool,
    /// What topics begin with.
    pub prefix: String,
    /// What Home Assistant's discovery topics begin with; `None` = no discovery.
    pub discovery: Option<String>,
    /// Who logs in, and where the password is.
    pub login: Option<(String, SecretPlace)>,
}

/// The section as written. Unknown keys are refused.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    host: String,
    port: Option<u16>,
    tls: Option<bool>,
    prefix: Option<String>,
    discovery: Option<String>,
    username: Option<String>,
    password_file: Option<PathBuf>,
    password_env: Option<String>,
}

pub(super) fn checked(written: Written) -> Result<MqttConfig, String> {
    let Written { host, port, tls, prefix, discovery, username, password_file, password_env } = written;
    let is_tls = tls.unwrap_or(true);
    let login = login("mqtt", username, secret("mqtt", "password", password_file, password_env)?)?;
    let topic = |key: &str, given: Option<String>, default: &str| {
        let topic = given.unwrap_or_else(|| default.to_owned());
        // Wildcards, empty levels and the broker's own topics are none to publish to (MQTT 3.1.1 §4.7).
        let is_plain =
            topic.len() <= 64 && topic.bytes().all(|b| b.is_ascii_graphic() && !b"+#$".contains(&b));
        let has_gap = topic.starts_with('/') || topic.ends_with('/') || topic.contains("//");
        if is_plain && !has_gap {
            Ok(topic)
        } else {
            Err(format!("mqtt: {key} is a topic such as {default:?}"))
        }
    };
    let prefix = topic("prefix", prefix, "telltale")?;
    if prefix.is_empty() {
        return Err("mqtt: prefix is a topic such as \"telltale\"".to_owned());
    }
    Ok(MqttConfig {
        host: host_of("mqtt", host)?,
        port: port.unwrap_or(if is_tls { 8883 } else { 1883 }),
        is_tls,
        prefix,
        discovery: Some(topic("discovery", discovery, "homeassistant")?).filter(|topic| !topic.is_empty()),
        login,
    })
}
