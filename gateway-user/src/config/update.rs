//! `[update]`: where fresh tables come from, and how they are fetched. Nothing is fetched unless somebody asks, or
//! `every` says so.

use serde::Deserialize;
use std::path::PathBuf;
use std::time::Duration;

/// Where DB-IP keeps its free tables (CC BY 4.0): one file a month, named after it.
const DEFAULT_NETWORKS: [&str; 2] = [
    "https://download.db-ip.com/free/dbip-asn-lite-{YYYY-MM}.mmdb.gz",
    "https://download.db-ip.com/free/dbip-country-lite-{YYYY-MM}.mmdb.gz",
];
/// Where IANA says which server knows which top-level domain's registrations (RFC 9224).
const DEFAULT_RDAP: &str = "https://data.iana.org/rdap/dns.json";
/// Seconds until a connection must stand.
const DEFAULT_CONNECT_SECS: u64 = 15;
/// Seconds for which a server may send nothing.
const DEFAULT_STALL_SECS: u64 = 30;
/// Seconds that one attempt may take: 10 MB at 150 kbit/s, and some.
const DEFAULT_TIMEOUT_SECS: u64 = 900;
/// How often a transient failure is tried again.
const DEFAULT_RETRIES: u32 = 3;
/// More than this is not patience but a burden on the server.
const MAX_RETRIES: u32 = 10;
/// The longest time that any of the waits may take: an hour.
const MAX_SECS: u64 = 3600;

/// The checked section.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UpdateConfig {
    /// How often the daemon fetches by itself; `None` is never.
    pub every: Option<Duration>,
    /// Proxy for HTTPS; `None` follows the environment.
    pub proxy: Option<String>,
    /// PEM file of the certificates to trust in place of the compiled-in ones.
    pub ca: Option<PathBuf>,
    /// Program and arguments that write what is at a URL to standard output; empty = fetch ourselves.
    pub fetch_cmd: Vec<String>,
    /// Seconds until a connection must stand.
    pub connect_secs: u64,
    /// Seconds for which a server may send nothing.
    pub stall_secs: u64,
    /// Seconds that one attempt may take as a whole.
    pub timeout_secs: u64,
    /// How often a transient failure is tried again.
    pub retries: u32,
    /// Where the network table comes from: one table file, or MMDB files.
    pub networks: Vec<Source>,
    /// Where the owner table comes from.
    pub owners: Vec<Source>,
    /// Where the table of MAC prefixes comes from.
    pub vendors: Vec<Source>,
    /// Where the table of public suffixes comes from.
    pub suffixes: Vec<Source>,
    /// Where the list of the servers that know registrations comes from (RFC 9224).
    pub rdap: String,
}

/// One file to fetch, and what is published about it.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(from = "RawSource")]
pub struct Source {
    /// Its URL; `{YYYY-MM}` stands for the month, this one or the one before.
    pub url: String,
    /// The SHA-256 of the file as it is served, in hexadecimal.
    pub sha256: Option<String>,
    /// Where that SHA-256 is published.
    pub sha256_url: Option<String>,
}

impl Source {
    /// A source of which nothing is published.
    #[must_use]
    pub fn plain(url: &str) -> Self {
        Self { url: url.to_owned(), sha256: None, sha256_url: None }
    }
}

/// As written: the URL alone, or a table.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "expected a URL, or { url = …, sha256 = …, sha256_url = … }")]
enum RawSource {
    Url(String),
    Told(Told),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Told {
    url: String,
    sha256: Option<Sha256Hex>,
    sha256_url: Option<String>,
}

impl From<RawSource> for Source {
    fn from(raw: RawSource) -> Self {
        match raw {
            RawSource::Url(url) => Self { url, sha256: None, sha256_url: None },
            RawSource::Told(Told { url, sha256, sha256_url }) => {
                Self { url, sha256: sha256.map(|Sha256Hex(hex)| hex), sha256_url }
            }
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct Sha256Hex(String);

impl TryFrom<String> for Sha256Hex {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        if text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Ok(Self(text.to_ascii_lowercase()));
        }
        Err(format!("{text:?} is not a SHA-256: 64 hexadecimal digits"))
    }
}

/// The section as written. Unknown keys are refused.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawUpdate {
    every: Option<Every>,
    proxy: Option<String>,
    ca: Option<PathBuf>,
    fetch_cmd: Option<Vec<String>>,
    connect_secs: Option<Secs>,
    stall_secs: Option<Secs>,
    timeout_secs: Option<Secs>,
    retries: Option<Retries>,
    networks: Option<Vec<Source>>,
    owners: Option<Vec<Source>>,
    vendors: Option<Vec<Source>>,
    suffixes: Option<Vec<Source>>,
    rdap: Option<String>,
}

impl Default for UpdateConfig {
    fn default() -> Self {
        Self::checked(RawUpdate::default())
    }
}

impl UpdateConfig {
    pub(super) fn checked(raw: RawUpdate) -> Self {
        // A new key must be named here.
        let RawUpdate {
            every,
            proxy,
            ca,
            fetch_cmd,
            connect_secs,
            stall_secs,
            timeout_secs,
            retries,
            networks,
            owners,
            vendors,
            suffixes,
            rdap,
        } = raw;
        let secs = |given: Option<Secs>, default| given.map_or(default, |Secs(secs)| secs);
        Self {
            every: every.and_then(|Every(every)| every),
            proxy: proxy.filter(|proxy| !proxy.is_empty()),
            ca: ca.filter(|ca| !ca.as_os_str().is_empty()),
            fetch_cmd: fetch_cmd.unwrap_or_default(),
            connect_secs: secs(connect_secs, DEFAULT_CONNECT_SECS),
            stall_secs: secs(stall_secs, DEFAULT_STALL_SECS),
            timeout_secs: secs(timeout_secs, DEFAULT_TIMEOUT_SECS),
            retries: retries.map_or(DEFAULT_RETRIES, |Retries(retries)| retries),
            networks: networks.unwrap_or_else(|| DEFAULT_NETWORKS.map(Source::plain).into()),
            owners: owners.unwrap_or_default(),
            vendors: vendors.unwrap_or_default(),
            suffixes: suffixes.unwrap_or_default(),
            rdap: rdap.unwrap_or_else(|| DEFAULT_RDAP.to_owned()),
        }
    }
}

/// `every`: `"never"`, or a number of hours, days or weeks, a day at least and a year at most.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct Every(Option<Duration>);

impl TryFrom<String> for Every {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        const HOUR: u64 = 3600;
        const DAY: u64 = 24 * HOUR;
        if text == "never" {
            return Ok(Self(None));
        }
        let bad = || format!("{text:?} is not \"never\", nor a time such as \"30 days\" or \"2 weeks\"");
        let (number, unit) = text.split_once(' ').ok_or_else(bad)?;
        let unit = match unit.strip_suffix('s').unwrap_or(unit) {
            "hour" => HOUR,
            "day" => DAY,
            "week" => 7 * DAY,
            _ => return Err(bad()),
        };
        let number: u64 = number.parse().map_err(|_| bad())?;
        let secs = number.checked_mul(unit).ok_or_else(bad)?;
        // No source has a new table more often than once a day.
        if !(DAY..=366 * DAY).contains(&secs) {
            return Err(format!("{text:?} is not between a day and a year"));
        }
        Ok(Self(Some(Duration::from_secs(secs))))
    }
}

#[derive(Debug, Deserialize)]
#[serde(try_from = "i64")]
struct Secs(u64);

impl TryFrom<i64> for Secs {
    type Error = String;
    fn try_from(secs: i64) -> Result<Self, String> {
        u64::try_from(secs)
            .ok()
            .filter(|secs| (1..=MAX_SECS).contains(secs))
            .map(Self)
            .ok_or_else(|| format!("{secs} is not between 1 and {MAX_SECS} seconds"))
    }
}

#[derive(Debug, Deserialize)]
#[serde(try_from = "i64")]
struct Retries(u32);

impl TryFrom<i64> for Retries {
    type Error = String;
    fn try_from(retries: i64) -> Result<Self, String> {
        u32::try_from(retries)
            .ok()
            .filter(|retries| *retries <= MAX_RETRIES)
            .map(Self)
            .ok_or_else(|| format!("{retries} is not between 0 and {MAX_RETRIES}"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic on purpose")]
    use super::*;

    fn parse(text: &str) -> Result<UpdateConfig, String> {
        toml::from_str(text).map(UpdateConfig::checked).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn every_key_is_taken_over() {
        let hex = "AB".repeat(32);
        let config = parse(&format!(
            r#"
            every = "2 weeks"
            proxy = "http://proxy.example:3128"
            ca = "/etc/ca.pem"
            fetch_cmd = ["uclient-fetch", "-O", "-"]
            connect_secs = 1
            stall_secs = 2
            timeout_secs = 3
            retries = 0
            networks = []
            owners = [{{ url = "https://a.example/o", sha256 = "{hex}" }}]
            vendors = ["https://a.example/v"]
            suffixes = [{{ url = "https://a.example/s", sha256_url = "https://a.example/s.sha256" }}]
            rdap = "https://a.example/dns.json"
            "#
        ));
        let expected = UpdateConfig {
            every: Some(Duration::from_secs(14 * 86_400)),
            proxy: Some("http://proxy.example:3128".into()),
            ca: Some("/etc/ca.pem".into()),
            fetch_cmd: vec!["uclient-fetch".into(), "-O".into(), "-".into()],
            connect_secs: 1,
            stall_secs: 2,
            timeout_secs: 3,
            retries: 0,
            networks: vec![],
            owners: vec![Source { sha256: Some(hex.to_lowercase()), ..Source::plain("https://a.example/o") }],
            vendors: vec![Source::plain("https://a.example/v")],
            suffixes: vec![Source {
                sha256_url: Some("https://a.example/s.sha256".into()),
                ..Source::plain("https://a.example/s")
            }],
            rdap: "https://a.example/dns.json".into(),
        };
        assert_eq!(config.unwrap(), expected);
    }

    #[test]
    fn nothing_is_fetched_by_itself_unless_said() {
        assert_eq!(UpdateConfig::default().every, None);
        assert_eq!(parse("every = \"never\"").unwrap().every, None);
        assert_eq!(UpdateConfig::default().networks.len(), 2);
    }

    #[test]
    fn impossible_values_are_refused() {
        for (text, words) in [
            ("every = \"daily\"", "is not \"never\""),
            ("every = \"1 hour\"", "is not between a day and a year"),
            ("every = \"400 days\"", "is not between a day and a year"),
            ("every = \"99999999999999999999 days\"", "is not \"never\""),
            ("stall_secs = 0", "0 is not between 1 and 3600 seconds"),
            ("timeout_secs = 3601", "3601 is not"),
            ("retries = -1", "-1 is not between 0 and 10"),
            ("owners = [7]", "expected a URL"),
            ("owner = []", "unknown field `owner`"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
        // What is wrong inside a source's table is lost to the reader of alternatives; that it is wrong is not.
        assert!(parse("owners = [{ url = \"https://a.example\", sha256 = \"12\" }]").is_err());
    }

    #[test]
    fn the_example_shows_every_key() {
        let error = toml::from_str::<RawUpdate>("no_such_key = 1").unwrap_err();
        let (_, list) = error.message().split_once("expected one of ").unwrap();
        let example = include_str!("../../../deploy/example.toml");
        let (_, section) = example.split_once("#[update]").unwrap();
        let manual = include_str!("../../../docs/update.md");
        for key in list.split(", ").map(|key| key.trim_matches('`')) {
            assert!(section.contains(&format!("\n#{key} = ")), "{key} is not in deploy/example.toml");
            assert!(manual.contains(&format!("`{key}`")), "{key} is not in docs/update.md");
        }
    }
}
