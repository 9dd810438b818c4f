//! Configuration: a TOML file and flags in, a checked [`Config`] out.
//!
//! [`RawConfig`] is the file as written; every check happens while it is read, so that each complaint knows its
//! line. Flags win over the file, the file over the defaults. `deploy/example.toml` shows every key with its
//! default, and a test holds it to that.

pub mod alert;
pub mod deliver;
mod keep;
mod known;
mod lists;
mod preset;
mod privacy;
mod sizes;
mod summary;
mod update;
mod value;

pub use alert::AlertConfig;
pub use deliver::DeliverConfig;
pub use known::KnownConfig;
pub use lists::ListConfig;
pub use preset::Preset;
pub use privacy::PrivacyConfig;
pub use sizes::{MAX_FAST_SLOTS, MIN_FAST_SLOTS, TableSizes, table_sizes, total_memory_bytes};
pub use summary::SummaryConfig;
pub use update::{Source, UpdateConfig};
pub use value::Level;

use crate::deliver::Way;
use crate::leases::DEFAULT_FILES;
use crate::links::Selection;
use crate::store::Ladder;
use alert::Alerts;
use anyhow::{Context, bail};
use deliver::RawDeliver;
use ipnetwork::IpNetwork;
use keep::RawKeep;
use known::KnownList;
use lists::Lists;
use privacy::RawPrivacy;
use serde::Deserialize;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use summary::RawSummary;
use update::RawUpdate;
use value::{DrainEverySecs, FastSlots, Interfaces, Prefix};

/// Read when no file is named.
pub const DEFAULT_FILE: &str = "/etc/telltale/telltale.toml";
/// Where the counts are kept unless the configuration says otherwise.
pub const DEFAULT_DATABASE: &str = "/var/lib/telltale/telltale.db";
/// Where maps and links are pinned unless the configuration says otherwise.
pub const DEFAULT_PIN_DIR: &str = "/sys/fs/bpf/telltale";
/// Seconds between drains unless the configuration says otherwise.
pub const DEFAULT_DRAIN_EVERY_SECS: u32 = 30;

/// Addresses that are in the house or on this link, and never a peer somewhere else: RFC 1122 §3.2.1.3, RFC 1918,
/// RFC 3927, RFC 5771, RFC 919; RFC 4291, RFC 4193. The carriers' shared space (RFC 6598) is not among them:
/// what is there is a provider's, and it is worth seeing.
const DEFAULT_LOCAL_NETWORKS: [&str; 13] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "224.0.0.0/4",
    "255.255.255.255/32",
    "::/128",
    "::1/128",
    "fc00::/7",
    "fe80::/10",
    "ff00::/8",
];

/// The checked configuration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// Which networks to count.
    pub interfaces: Selection,
    /// The SQLite file.
    pub database: PathBuf,
    /// A directory on a BPF file system.
    pub pin_dir: PathBuf,
    /// Seconds between drains, 1 to 3600.
    pub drain_every_secs: u32,
    /// Peers in these stay in the house.
    pub local_networks: Vec<IpNetwork>,
    /// Traffic with peers in these is counted in the ledger and not kept.
    pub excluded_networks: Vec<IpNetwork>,
    /// MMDB files that say whose network an address is in, the first that knows winning.
    pub network_tables: Vec<PathBuf>,
    /// Files in which the gateway's DHCP server keeps its leases; those that are missing may come later.
    pub leases: Vec<PathBuf>,
    /// Lists that say something of names, those that win first.
    pub lists: Vec<ListConfig>,
    /// What the user knows of.
    pub known: KnownConfig,
    /// What is told at once.
    pub alerts: Vec<AlertConfig>,
    /// How much is kept of whom devices talk with.
    pub privacy: PrivacyConfig,
    /// Copy packets that can teach names and devices.
    pub sampling: bool,
    /// What the kernel program logs.
    pub kernel_log: Level,
    /// What the daemon logs.
    pub log: Level,
    /// Slots per CPU of the fast table: a power of two; `None` follows the machine's memory.
    pub fast_slots_per_cpu: Option<u32>,
    /// Where fresh tables come from.
    pub update: UpdateConfig,
    /// How long rows are kept, and how fine.
    pub keep: Ladder,
    /// When the summary of each day is written, and how many are kept.
    pub summary: SummaryConfig,
    /// The ways on which messages go out.
    pub deliver: DeliverConfig,
}

/// The flags that every command with a configuration has; each wins over the file.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ConfigFlags {
    /// Configuration file [default: /etc/telltale/telltale.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Database file
    #[arg(long, value_name = "FILE", env = "TELLTALE_DATABASE")]
    pub database: Option<PathBuf>,
    /// Interface to count on, or `auto`; may be given several times
    #[arg(long = "interface", short = 'i', value_name = "NAME")]
    pub interfaces: Vec<String>,
    /// What to log: off, error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL")]
    pub log: Option<Level>,
    /// What the kernel program logs; the same words
    #[arg(long, value_name = "LEVEL")]
    pub kernel_log: Option<Level>,
}

/// The file as written. Unknown keys are refused.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawConfig {
    interfaces: Option<Interfaces>,
    database: Option<PathBuf>,
    pin_dir: Option<PathBuf>,
    drain_every_secs: Option<DrainEverySecs>,
    local_networks: Option<Vec<Prefix>>,
    excluded_networks: Option<Vec<Prefix>>,
    network_tables: Option<Vec<PathBuf>>,
    leases: Option<Vec<PathBuf>>,
    lists: Option<Lists>,
    known: Option<KnownList>,
    alert: Option<Alerts>,
    privacy: Option<RawPrivacy>,
    sampling: Option<bool>,
    kernel_log: Option<Level>,
    log: Option<Level>,
    fast_slots_per_cpu: Option<FastSlots>,
    preset: Option<Preset>,
    update: Option<RawUpdate>,
    keep: Option<RawKeep>,
    summary: Option<RawSummary>,
    deliver: Option<RawDeliver>,
}

impl Default for Config {
    fn default() -> Self {
        Self::checked(RawConfig::default())
    }
}

impl Config {
    /// Reads the file that `flags` name, or the default file if there is one, and applies the flags.
    ///
    /// # Errors
    /// When a named file is missing, when a file cannot be read or understood (with line and key), when a flag
    /// is not a possible value.
    pub fn load(flags: &ConfigFlags) -> anyhow::Result<Self> {
        let config = match &flags.config {
            Some(path) => Self::from_text(&read(path)?, path)?,
            None => Self::from_default_file(Path::new(DEFAULT_FILE))?,
        };
        config.with_flags(flags)
    }

    fn from_default_file(path: &Path) -> anyhow::Result<Self> {
        match std::fs::read_to_string(path) {
            Ok(text) => Self::from_text(&text, path),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| format!("read the configuration {}", path.display())),
        }
    }

    fn from_text(text: &str, path: &Path) -> anyhow::Result<Self> {
        let raw: RawConfig = toml::from_str(text).map_err(|error| complaint(&error, text, path))?;
        let config = Self::checked(raw);
        let missing = |way: &&Way| !way.is_wanted(&config.deliver);
        if let Some(way) = config.alerts.iter().flat_map(|alert| &alert.ways).find(missing) {
            let (path, way) = (path.display(), way.word());
            bail!(
                "understand the configuration {path}: an alert goes out by {way}, and there is no [deliver.{way}]"
            );
        }
        Ok(config)
    }

    fn checked(raw: RawConfig) -> Self {
        // A new key must be named here.
        let RawConfig {
            interfaces,
            database,
            pin_dir,
            drain_every_secs,
            local_networks,
            excluded_networks,
            network_tables,
            leases,
            lists,
            known,
            alert,
            privacy,
            sampling,
            kernel_log,
            log,
            fast_slots_per_cpu,
            preset,
            update,
            keep,
            summary,
            deliver,
        } = raw;
        let preset = preset.unwrap_or_default();
        let prefixes = |list: Vec<Prefix>| list.into_iter().map(|Prefix(network)| network).collect();
        Self {
            interfaces: interfaces.map_or(Selection::Auto, |Interfaces(selection)| selection),
            database: database.unwrap_or_else(|| DEFAULT_DATABASE.into()),
            pin_dir: pin_dir.unwrap_or_else(|| DEFAULT_PIN_DIR.into()),
            drain_every_secs: drain_every_secs.map_or(preset.drain_every_secs(), |DrainEverySecs(secs)| secs),
            local_networks: local_networks.map_or_else(default_local_networks, prefixes),
            excluded_networks: excluded_networks.map(prefixes).unwrap_or_default(),
            network_tables: network_tables.unwrap_or_default(),
            leases: leases.unwrap_or_else(|| DEFAULT_FILES.map(PathBuf::from).to_vec()),
            lists: lists.map(|Lists(lists)| lists).unwrap_or_default(),
            known: known.map(|KnownList(known)| known).unwrap_or_default(),
            alerts: alert.map(|Alerts(alerts)| alerts).unwrap_or_default(),
            privacy: privacy.map(|RawPrivacy(privacy)| privacy).unwrap_or_default(),
            sampling: sampling.unwrap_or(true),
            kernel_log: kernel_log.unwrap_or(Level::Off),
            log: log.unwrap_or(Level::Info),
            fast_slots_per_cpu: fast_slots_per_cpu.and_then(|FastSlots(slots)| slots),
            update: UpdateConfig::checked(update.unwrap_or_default()),
            keep: keep.unwrap_or_default().checked(preset.keep()),
            summary: SummaryConfig::checked(summary.unwrap_or_default()),
            deliver: deliver.map_or_else(DeliverConfig::default, |RawDeliver(deliver)| deliver),
        }
    }

    fn with_flags(mut self, flags: &ConfigFlags) -> anyhow::Result<Self> {
        let ConfigFlags { config: _, database, interfaces, log, kernel_log } = flags;
        if !interfaces.is_empty() {
            self.interfaces = value::selection_of(interfaces.clone()).context("understand --interface")?;
        }
        if let Some(database) = database {
            self.database.clone_from(database);
        }
        self.log = log.unwrap_or(self.log);
        self.kernel_log = kernel_log.unwrap_or(self.kernel_log);
        if self.database.as_os_str().is_empty() {
            bail!("the name of the database is empty");
        }
        Ok(self)
    }
}

/// The built-in list, parsed.
fn default_local_networks() -> Vec<IpNetwork> {
    DEFAULT_LOCAL_NETWORKS.iter().filter_map(|text| text.parse().ok()).collect()
}

fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("read the configuration {}", path.display()))
}

/// One line with the place: the library's own message draws a picture over five.
fn complaint(error: &toml::de::Error, text: &str, path: &Path) -> anyhow::Error {
    let message = error.message().lines().collect::<Vec<_>>().join(", ");
    let Some(start) = error.span().map(|span| span.start) else {
        return anyhow::anyhow!("understand the configuration {}: {message}", path.display());
    };
    let number = text.bytes().take(start).filter(|b| *b == b'\n').count() + 1;
    let line = text.lines().nth(number - 1).unwrap_or_default();
    let key = match line.split_once('=') {
        Some((key, _)) if !key.trim_start().starts_with('#') => format!(" ({})", key.trim()),
        _ => String::new(),
    };
    anyhow::anyhow!("understand the configuration {}: line {number}{key}: {message}", path.display())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic on purpose")]
    use super::*;
    use gateway_core::enrich::envelope::TableDate;
    use gateway_core::enrich::lists::ListFormat;
    use gateway_core::privacy::Level as PrivacyLevel;
    use gateway_core::report::known::{KnownEntry, KnownPlace};

    fn parse(text: &str) -> anyhow::Result<Config> {
        Config::from_text(text, Path::new("t.toml"))
    }

    #[track_caller]
    fn refused(text: &str, expected: &str) {
        let error = format!("{:#}", parse(text).unwrap_err());
        assert!(!error.contains('\n'), "one line: {error}");
        let rest = error.strip_prefix("understand the configuration t.toml: ").unwrap();
        assert!(rest.starts_with(expected), "{rest}");
    }

    #[test]
    fn the_example_shows_every_key_with_its_default() {
        let example = include_str!("../../deploy/example.toml");
        assert_eq!(parse(example).unwrap(), Config::default(), "all is commented out");
        // A comment that is configuration has no space behind its mark.
        let uncommented: String = example
            .lines()
            .map(|line| match line.strip_prefix('#') {
                Some(rest) if !rest.starts_with(' ') || rest.starts_with("    ") => format!("{rest}\n"),
                _ => format!("{line}\n"),
            })
            .collect();
        assert_eq!(parse(&uncommented).unwrap(), Config::default());
        let shown: toml::Table = toml::from_str(&uncommented).unwrap();
        assert_eq!(shown.len(), keys().len(), "a key is missing from deploy/example.toml");
        let manual = include_str!("../../docs/configuration.md");
        for key in keys() {
            assert!(shown.contains_key(&key), "{key} is not in deploy/example.toml");
            assert!(manual.contains(&format!("## `{key}`")), "{key} is not in docs/configuration.md");
        }
    }

    /// Every key there is, as the reader itself lists them when it meets a wrong one.
    fn keys() -> Vec<String> {
        let error = toml::from_str::<RawConfig>("no_such_key = 1").unwrap_err();
        let (_, list) = error.message().split_once("expected one of ").unwrap();
        list.split(", ").map(|key| key.trim_matches('`').to_owned()).collect()
    }

    #[test]
    fn every_key_is_taken_over() {
        let config = parse(
            r#"
            interfaces = ["br-lan", "eth1"]
            database = "/tmp/x.db"
            pin_dir = "/sys/fs/bpf/other"
            drain_every_secs = 3600
            local_networks = ["192.168.1.7/24", "2001:db8::/32"]
            excluded_networks = ["203.0.113.9"]
            network_tables = ["a.mmdb", "b.mmdb"]
            leases = ["/var/db/dnsmasq.leases"]
            sampling = false
            kernel_log = "debug"
            log = "warn"
            fast_slots_per_cpu = 64
            [[lists]]
            path = "/etc/telltale/mine.json"
            name = "mine"
            date = "2026-11-20"
            format = "json"
            [[known]]
            owner = "Example"
            reason = "mine"
            date = "2026-11-20"
            [[alert]]
            kind = "coverage"
            floor_percent = 90
            [privacy]
            default = "owners"
            [update]
            retries = 7
            [keep]
            raw_days = 2
            max_megabytes = 64
            [summary]
            keep = 7
            [deliver]
            timeout_secs = 5
            "#,
        );
        let expected = Config {
            interfaces: Selection::Names(vec!["br-lan".into(), "eth1".into()]),
            database: "/tmp/x.db".into(),
            pin_dir: "/sys/fs/bpf/other".into(),
            drain_every_secs: 3600,
            local_networks: vec!["192.168.1.0/24".parse().unwrap(), "2001:db8::/32".parse().unwrap()],
            excluded_networks: vec!["203.0.113.9/32".parse().unwrap()],
            network_tables: vec!["a.mmdb".into(), "b.mmdb".into()],
            leases: vec!["/var/db/dnsmasq.leases".into()],
            lists: vec![ListConfig {
                path: "/etc/telltale/mine.json".into(),
                name: "mine".into(),
                date: Some(TableDate(20_777)),
                format: ListFormat::Json,
            }],
            known: KnownConfig {
                places: vec![KnownEntry {
                    place: KnownPlace::Owner("Example".into()),
                    device: None,
                    reason: "mine".into(),
                    date: "2026-11-20".into(),
                }],
                findings: Vec::new(),
            },
            alerts: vec![AlertConfig {
                watch: alert::Watch::Coverage { floor_percent: 90 },
                device: None,
                ways: Vec::new(),
            }],
            privacy: PrivacyConfig { default: PrivacyLevel::Owners, ..PrivacyConfig::default() },
            sampling: false,
            kernel_log: Level::Debug,
            log: Level::Warn,
            fast_slots_per_cpu: Some(64),
            update: UpdateConfig { retries: 7, ..UpdateConfig::default() },
            keep: Ladder { raw_days: 2, max_bytes: 64 << 20, ..Ladder::default() },
            summary: SummaryConfig { keep: 7, ..SummaryConfig::default() },
            deliver: DeliverConfig { timeout_secs: 5, ..DeliverConfig::default() },
        };
        assert_eq!(config.unwrap(), expected);
    }

    #[test]
    fn a_preset_makes_defaults_and_yields_to_what_is_written() {
        let router = parse("preset = \"router\"").unwrap();
        assert_eq!((router.drain_every_secs, router.keep.max_bytes), (900, 64 << 20));
        let made = parse("preset = \"router\"\ndrain_every_secs = 60\n[keep]\nhourly_days = 5").unwrap();
        assert_eq!((made.drain_every_secs, made.keep.raw_days, made.keep.hourly_days), (60, 2, 5));
        assert_eq!(parse("preset = \"standard\"").unwrap(), Config::default());
        refused("preset = \"fast\"", "line 1 (preset): unknown variant `fast`");
    }

    #[test]
    fn interfaces_may_be_auto_or_one_name() {
        assert_eq!(parse("interfaces = \"auto\"").unwrap().interfaces, Selection::Auto);
        assert_eq!(parse("interfaces = \"eth1\"").unwrap().interfaces, Selection::Names(vec!["eth1".into()]));
    }

    #[test]
    fn a_complaint_names_line_and_key() {
        refused("\n\ndrain_evry_secs = 3", "line 3 (drain_evry_secs): unknown field `drain_evry_secs`");
        refused(
            "sampling = true\ndrain_every_secs = 0",
            "line 2 (drain_every_secs): 0 is not between 1 and 3600",
        );
        refused("drain_every_secs = 3601", "line 1 (drain_every_secs): 3601 is not");
        refused("drain_every_secs = -1", "line 1 (drain_every_secs): -1 is not");
        refused("drain_every_secs = \"30\"", "line 1 (drain_every_secs): invalid type: string \"30\"");
        refused("sampling = 1", "line 1 (sampling): invalid type: integer `1`, expected a boolean");
        refused("kernel_log = \"loud\"", "line 1 (kernel_log): unknown variant `loud`");
        refused("fast_slots_per_cpu = 1000", "line 1 (fast_slots_per_cpu): 1000 is not a power of two");
        refused("fast_slots_per_cpu = 8", "line 1 (fast_slots_per_cpu): 8 is not a power of two between 16");
        refused("fast_slots_per_cpu = 131072", "line 1 (fast_slots_per_cpu): 131072 is not");
        refused(
            "local_networks = [\"10.0.0.0/33\"]",
            "line 1 (local_networks): \"10.0.0.0/33\" is not a prefix",
        );
        refused(
            "local_networks = [\n  \"10.0.0.0/8\",\n  \"home\",\n]",
            "line 1 (local_networks): \"home\" is not",
        );
        refused("interfaces = []", "line 1 (interfaces): no interface is named");
        refused("interfaces = [\"auto\", \"eth0\"]", "line 1 (interfaces): \"auto\" stands alone");
        refused("interfaces = [\"a b\"]", "line 1 (interfaces): \"a b\" cannot be the name");
        refused(
            "interfaces = 7",
            "line 1 (interfaces): invalid type: integer `7`, expected \"auto\" or a list",
        );
        refused("database = ", "line 1 (database): ");
        refused("[[lists]]\nname = \"x\"", "line 1: missing field `path`");
        refused("[[lists]]\npath = \"x\"\nfrom = 1", "line 3 (from): unknown field `from`");
        refused("[[lists]]\npath = \"x\"\nformat = \"pdf\"", "line 3 (format): unknown variant `pdf`");
        refused("[[lists]]\npath = \"x\"\ndate = \"today\"", "line 3 (date): \"today\" is not a day");
        refused(
            "[[lists]]\npath = \"x\"\n[[lists]]\npath = \"y/x\"",
            "line 1: two lists have the name \"x\"",
        );
        refused("[[known]]\nname = \"a.b\"\nreason = \"x\"", "line 1: missing field `date`");
        let homeless =
            format!("{:#}", parse("[[alert]]\nkind = \"new_destination\"\nways = [\"ntfy\"]").unwrap_err());
        assert!(
            homeless.ends_with("an alert goes out by ntfy, and there is no [deliver.ntfy]"),
            "{homeless}"
        );
        refused("sampling = true\nsampling = true", "line 2 (sampling): duplicate key");
        refused("[keep]\nraw_days = 0", "line 2 (raw_days): 0 is not between 1 and 3650");
        refused("[keep]\nmax_megabytes = 1", "line 2 (max_megabytes): 1 is less than 8");
        refused("\u{1f600}", "line 1: ");
    }

    #[test]
    fn any_prefix_of_a_file_is_read_or_refused() {
        let text = "interfaces = [\"br-lan\"]\nlocal_networks = [\"10.0.0.0/8\"]\ndrain_every_secs = 30\nlog = \"é\"";
        for (len, _) in text.char_indices() {
            let _ = parse(&text[..len]);
        }
    }

    #[test]
    fn flags_win() {
        let flags = ConfigFlags {
            config: None,
            database: Some("other.db".into()),
            interfaces: vec!["eth1".into()],
            log: Some(Level::Trace),
            kernel_log: None,
        };
        let config =
            parse("interfaces = \"auto\"\nkernel_log = \"warn\"").unwrap().with_flags(&flags).unwrap();
        assert_eq!(config.interfaces, Selection::Names(vec!["eth1".into()]));
        assert_eq!((config.database.to_str(), config.log), (Some("other.db"), Level::Trace));
        assert_eq!(config.kernel_log, Level::Warn);
        let both = ConfigFlags { interfaces: vec!["auto".into(), "eth1".into()], ..ConfigFlags::default() };
        assert!(Config::default().with_flags(&both).is_err());
    }

    #[test]
    fn a_missing_file_matters_only_if_it_was_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("none.toml");
        assert_eq!(Config::from_default_file(&path).unwrap(), Config::default());
        let flags = ConfigFlags { config: Some(path.clone()), ..ConfigFlags::default() };
        let error = format!("{:#}", Config::load(&flags).unwrap_err());
        assert_eq!(
            error,
            format!("read the configuration {}: No such file or directory (os error 2)", path.display())
        );
        // A directory and bytes that are no text cannot be read, default or not.
        assert!(Config::from_default_file(dir.path()).is_err());
        std::fs::write(&path, [0xff, 0xfe, 0]).unwrap();
        assert!(Config::load(&flags).is_err());
        std::fs::write(&path, "drain_every_secs = 5").unwrap();
        assert_eq!(Config::load(&flags).unwrap().drain_every_secs, 5);
    }

    #[test]
    fn the_default_local_networks_all_parse() {
        assert_eq!(default_local_networks().len(), DEFAULT_LOCAL_NETWORKS.len());
        let is_local = |addr: &str| {
            default_local_networks().iter().any(|network| network.contains(addr.parse().unwrap()))
        };
        for addr in ["192.168.1.1", "172.31.0.1", "239.255.255.250", "fe80::1", "fd00::1", "ff02::fb", "::1"]
        {
            assert!(is_local(addr), "{addr}");
        }
        for addr in ["100.64.0.1", "172.32.0.1", "47.241.1.1", "2400:3200::1", "::ffff:8.8.8.8"] {
            assert!(!is_local(addr), "{addr}");
        }
    }
}
