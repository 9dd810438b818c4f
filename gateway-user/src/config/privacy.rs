//! `[privacy]`: how much is kept of whom devices talk with.

use gateway_core::privacy::Level;
use gateway_core::units::Mac;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The checked section.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PrivacyConfig {
    /// The level of every device without one of its own.
    pub default: Level,
    /// Levels by MAC address.
    pub by_mac: BTreeMap<Mac, Level>,
    /// Levels by label, in lower case.
    pub by_label: BTreeMap<String, Level>,
}

impl PrivacyConfig {
    /// Is everything kept of every device?
    #[must_use]
    pub fn is_full(&self) -> bool {
        *self == Self::default()
    }

    /// Does a level shorten names, so that the tables of names are needed?
    #[must_use]
    pub fn shortens_names(&self) -> bool {
        let levels = self.by_mac.values().chain(self.by_label.values()).chain([&self.default]);
        levels.into_iter().any(|level| matches!(level, Level::Registrable | Level::Owners))
    }
}

/// The section as written. Unknown keys are refused.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    default: Option<RawLevel>,
    #[serde(default)]
    device: BTreeMap<String, RawLevel>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
struct RawLevel(Level);

impl TryFrom<String> for RawLevel {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let level = Level::ALL.into_iter().find(|level| level.word() == text);
        let words = Level::ALL.map(Level::word).join(", ");
        level.map(Self).ok_or_else(|| format!("{text:?} is no privacy level: one of {words}"))
    }
}

/// The section, checked.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Written")]
pub(super) struct RawPrivacy(pub(super) PrivacyConfig);

impl TryFrom<Written> for RawPrivacy {
    type Error = String;
    fn try_from(written: Written) -> Result<Self, String> {
        let Written { default, device } = written;
        let mut config = PrivacyConfig {
            default: default.map_or(Level::Full, |RawLevel(level)| level),
            ..PrivacyConfig::default()
        };
        for (who, RawLevel(level)) in device {
            let before = match who.parse::<Mac>() {
                Ok(mac) => config.by_mac.insert(mac, level),
                Err(_) if who.trim().is_empty() => {
                    return Err("device: a device is named by its label or its MAC address".to_owned());
                }
                Err(_) => config.by_label.insert(who.trim().to_lowercase(), level),
            };
            if before.is_some() {
                return Err(format!("device: {who:?} is there twice"));
            }
        }
        Ok(Self(config))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic on purpose")]
    use super::*;

    fn parse(text: &str) -> Result<PrivacyConfig, String> {
        toml::from_str::<RawPrivacy>(text).map(|raw| raw.0).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn a_level_for_all_and_for_devices_by_address_or_label() {
        assert!(parse("").unwrap().is_full() && !parse("").unwrap().shortens_names());
        let text =
            "default = \"totals\"\n[device]\n\"7C:03:ab:12:34:56\" = \"full\"\n\"Anna's Phone\" = \"owners\"";
        let config = parse(text).unwrap();
        assert_eq!(config.default, Level::Totals);
        assert_eq!(config.by_mac[&"7c:03:ab:12:34:56".parse().unwrap()], Level::Full);
        assert_eq!(config.by_label["anna's phone"], Level::Owners);
        assert!(config.shortens_names() && !parse("default = \"leave_out\"").unwrap().shortens_names());
    }

    #[test]
    fn what_is_no_level_is_refused() {
        for (text, expected) in [
            (
                "default = \"none\"",
                "\"none\" is no privacy level: one of full, registrable, owners, totals, leave_out",
            ),
            ("devices = 1", "unknown field `devices`"),
            ("[device]\n\" \" = \"full\"", "by its label or its MAC address"),
            ("[device]\nA = \"full\"\na = \"totals\"", "is there twice"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
