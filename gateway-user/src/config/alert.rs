//! `alert`: what is told at once, and on which ways.

use crate::deliver::Way;
use gateway_core::query::DeviceMatch;
use gateway_core::query::language::bytes_of;
use serde::Deserialize;

/// More than this is no alert but a log.
const MAX_ALERTS: usize = 32;

/// An alert.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AlertConfig {
    /// What is watched.
    pub watch: Watch,
    /// Of which device alone; `None` is each.
    pub device: Option<DeviceMatch>,
    /// On which ways it goes out; empty for all that are configured.
    pub ways: Vec<Way>,
}

/// What an alert watches.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Watch {
    /// A destination that a device never contacted in the days before.
    NewDestination {
        /// Only with so many `IpBytes` up in the day.
        min_up_bytes: u64,
    },
    /// A device's volume.
    Quota {
        /// Since when it is added up.
        per: Per,
        /// Which volume.
        of: Amount,
        /// Above so many `IpBytes`.
        bytes: u64,
    },
    /// Too little of a day was measured.
    Coverage {
        /// Below so many per cent, 1 to 100.
        floor_percent: u8,
    },
}

/// A stretch of the local calendar.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Per {
    /// Since midnight.
    Day,
    /// Since the first of the month.
    Month,
}

/// A direction, or both.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Amount {
    /// From the device.
    Up,
    /// To the device.
    Down,
    /// Both.
    Total,
}

/// All alerts, checked together.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Vec<RawAlert>")]
pub(super) struct Alerts(pub(super) Vec<AlertConfig>);

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    NewDestination,
    Quota,
    Coverage,
}

/// An alert as written. Unknown keys are refused.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAlert {
    kind: Kind,
    device: Option<String>,
    min_up: Option<String>,
    per: Option<Per>,
    of: Option<Amount>,
    size: Option<String>,
    floor_percent: Option<u8>,
    #[serde(default)]
    ways: Vec<String>,
}

impl TryFrom<Vec<RawAlert>> for Alerts {
    type Error = String;
    fn try_from(raw: Vec<RawAlert>) -> Result<Self, String> {
        if raw.len() > MAX_ALERTS {
            return Err(format!("{} alerts are more than {MAX_ALERTS}", raw.len()));
        }
        raw.into_iter().map(checked).collect::<Result<_, _>>().map(Self)
    }
}

fn checked(raw: RawAlert) -> Result<AlertConfig, String> {
    let RawAlert { kind, device, min_up, per, of, size, floor_percent, ways } = raw;
    let of_others = match kind {
        Kind::NewDestination => per.is_some() || of.is_some() || size.is_some() || floor_percent.is_some(),
        Kind::Quota => min_up.is_some() || floor_percent.is_some(),
        Kind::Coverage => {
            min_up.is_some() || per.is_some() || of.is_some() || size.is_some() || device.is_some()
        }
    };
    if of_others {
        return Err(
            "new_destination has device and min_up; quota has device, per, of and size; coverage has floor_percent"
                .to_owned(),
        );
    }
    let amount = |key: &str, text: &str| {
        bytes_of(text).ok_or_else(|| format!("{key}: {text:?} is not an amount such as \"500kB\" or \"2GB\""))
    };
    let watch = match kind {
        Kind::NewDestination => {
            Watch::NewDestination { min_up_bytes: min_up.map_or(Ok(0), |text| amount("min_up", &text))? }
        }
        Kind::Quota => Watch::Quota {
            per: per.unwrap_or(Per::Day),
            of: of.unwrap_or(Amount::Total),
            bytes: amount("size", &size.ok_or("a quota needs a size such as \"2GB\"")?)?,
        },
        Kind::Coverage => Watch::Coverage {
            floor_percent: floor_percent
                .filter(|floor| (1..=100).contains(floor))
                .ok_or("coverage needs floor_percent, 1 to 100")?,
        },
    };
    let device = device.map(|device| device.parse::<DeviceMatch>()).transpose();
    let way_of = |text: &String| {
        let way = Way::ALL.into_iter().find(|way| way.word() == text);
        way.ok_or_else(|| format!("ways: {text:?} is none of {}", Way::ALL.map(Way::word).join(", ")))
    };
    Ok(AlertConfig {
        watch,
        device: device.map_err(|error| format!("device: {error}"))?,
        ways: ways.iter().map(way_of).collect::<Result<_, _>>()?,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic on purpose")]
    use super::*;

    #[derive(Deserialize, Debug)]
    struct File {
        alert: Alerts,
    }

    fn parse(text: &str) -> Result<AlertConfig, String> {
        let file = toml::from_str::<File>(&format!("[[alert]]\n{text}"));
        file.map(|mut file| file.alert.0.remove(0)).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn each_kind_is_read() {
        let new =
            parse("kind = \"new_destination\"\ndevice = \"Redmi\"\nmin_up = \"1MB\"\nways = [\"ntfy\"]")
                .unwrap();
        assert_eq!(new.watch, Watch::NewDestination { min_up_bytes: 1_000_000 });
        assert_eq!(new.device, Some(DeviceMatch::Called("Redmi".into())));
        assert_eq!(new.ways, [Way::Ntfy]);
        let quota = parse("kind = \"quota\"\nper = \"month\"\nof = \"up\"\nsize = \"2GB\"").unwrap();
        assert_eq!(quota.watch, Watch::Quota { per: Per::Month, of: Amount::Up, bytes: 2_000_000_000 });
        let least = parse("kind = \"quota\"\nsize = \"1kB\"").unwrap().watch;
        assert_eq!(least, Watch::Quota { per: Per::Day, of: Amount::Total, bytes: 1_000 });
        let coverage = parse("kind = \"coverage\"\nfloor_percent = 90").unwrap();
        assert_eq!((coverage.watch, coverage.ways), (Watch::Coverage { floor_percent: 90 }, Vec::new()));
    }

    #[test]
    fn what_is_no_alert_is_refused() {
        for (text, expected) in [
            ("kind = \"loud\"", "unknown variant `loud`"),
            ("kind = \"quota\"", "a quota needs a size"),
            ("kind = \"quota\"\nsize = \"much\"", "size: \"much\" is not an amount"),
            ("kind = \"quota\"\nsize = \"1GB\"\nmin_up = \"1\"", "quota has device, per, of and size"),
            ("kind = \"quota\"\nsize = \"1GB\"\nper = \"year\"", "unknown variant `year`"),
            ("kind = \"coverage\"", "coverage needs floor_percent, 1 to 100"),
            ("kind = \"coverage\"\nfloor_percent = 101", "coverage needs floor_percent"),
            ("kind = \"coverage\"\nfloor_percent = 9\ndevice = \"a\"", "coverage has floor_percent"),
            ("kind = \"new_destination\"\nsize = \"1GB\"", "new_destination has device and min_up"),
            ("kind = \"new_destination\"\nmin_up = \"-1\"", "min_up: \"-1\" is not an amount"),
            ("kind = \"new_destination\"\nways = [\"pigeon\"]", "ways: \"pigeon\" is none of email, ntfy"),
            ("kind = \"new_destination\"\ndevice = \"\"", "device: a device is picked by"),
            ("kind = \"new_destination\"\nloud = true", "unknown field `loud`"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
