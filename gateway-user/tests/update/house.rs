//! A directory with a database's place, a configuration and tables, and the program that updates them.

use gateway_core::enrich::envelope::{self, TableDate, TableKind};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Mutex;
use tempfile::TempDir;

/// A network table of the day of the one in the program: the small one, which is quick to pack.
pub const EMBEDDED: &[u8] = include_bytes!("../../data/networks-small.bin.zst");
/// Where a network table of our own form is put.
pub const NETWORKS: &str = "networks.bin.zst";

/// So many days after the date of the embedded table, in days since 1970. Two days are not yet the future, however new
/// that table is.
pub fn days(later: i64) -> u64 {
    let embedded = envelope::date_of(EMBEDDED, TableKind::Networks).unwrap();
    u64::try_from(i64::from(embedded.0) + later).unwrap()
}

/// The embedded table, with a date so many days later. Packing takes a while: each is packed once.
pub fn later(later: i64) -> Vec<u8> {
    static PACKED: Mutex<BTreeMap<i64, Vec<u8>>> = Mutex::new(BTreeMap::new());
    let mut packed = PACKED.lock().unwrap();
    let pack = || {
        let table = envelope::open(EMBEDDED, TableKind::Networks).unwrap();
        let date = TableDate(u32::try_from(days(later)).unwrap());
        let sealed = envelope::seal(TableKind::Networks, table.version, date, &table.body).unwrap();
        compress_to_vec(sealed.as_slice(), CompressionLevel::Fastest)
    };
    packed.entry(later).or_insert_with(pack).clone()
}

/// The date of [`later`], as printed.
pub fn date(later: i64) -> String {
    TableDate(u32::try_from(days(later)).unwrap()).to_string()
}

pub struct House {
    pub directory: TempDir,
    ca: String,
}

impl House {
    /// Trusts this authority; the network table comes from there. Nothing is tried twice, and nobody waited for.
    pub fn new(ca: &str, networks: &str) -> Self {
        let house = Self { directory: tempfile::tempdir().unwrap(), ca: ca.to_owned() };
        house.configure(&format!("retries = 0\nstall_secs = 2\nnetworks = [{networks:?}]\n"));
        house
    }

    /// The section `[update]`, but for the authority.
    pub fn configure(&self, section: &str) {
        let ca = self.path("ca.pem");
        std::fs::write(&ca, &self.ca).unwrap();
        let text = format!("[update]\nca = {ca:?}\n{section}");
        std::fs::write(self.path("telltale.toml"), text).unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn tables(&self) -> PathBuf {
        self.path("tables")
    }

    pub fn table(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.tables().join(name)).unwrap()
    }

    /// What lies in the directory, but for the lock and the records.
    pub fn files(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(self.tables())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != ".lock" && name != "sources.json")
            .collect();
        names.sort();
        names
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_telltale"));
        command.arg("update").env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command.arg("--config").arg(self.path("telltale.toml"));
        command.arg("--database").arg(self.path("telltale.db")).args(args);
        command
    }

    /// Another command of the program, with the same settings.
    pub fn other(&self, command: &str, args: &[&str]) -> Output {
        let mut other = Command::new(env!("CARGO_BIN_EXE_telltale"));
        other.arg(command).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("TZ", "UTC");
        other.arg("--config").arg(self.path("telltale.toml"));
        other.arg("--database").arg(self.path("telltale.db")).args(args).output().unwrap()
    }

    pub fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// It goes well and says this.
    #[track_caller]
    pub fn check(&self, args: &[&str], words: &str) -> String {
        said(&self.run(args), 0, words)
    }

    /// It fails with these words, and what lies there is what lay there.
    #[track_caller]
    pub fn check_refused(&self, args: &[&str], words: &str) {
        self.check_refusal(&mut self.command(args), words);
    }

    #[track_caller]
    pub fn check_refusal(&self, command: &mut Command, words: &str) {
        let in_force = |path: &Path| std::fs::read(path.join(NETWORKS)).ok();
        let before = in_force(&self.tables());
        let output = command.output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert_eq!(error.lines().count(), 1, "one line: {error}");
        assert!(error.starts_with("telltale: update the table of networks: "), "{error}");
        assert!(error.contains(words), "{error}");
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(!said.contains("networks"), "{said}");
        assert!(before == in_force(&self.tables()), "the table in force has changed");
    }

    /// A table that is in force before a fault.
    pub fn put(&self, name: &str, bytes: &[u8]) {
        std::fs::create_dir_all(self.tables()).unwrap();
        std::fs::write(self.tables().join(name), bytes).unwrap();
    }

    pub fn mode(&self, name: &str) -> u32 {
        std::fs::metadata(self.tables().join(name)).unwrap().permissions().mode() & 0o777
    }
}

/// Standard output, after a look at the exit code and at standard error, which is empty.
#[track_caller]
pub fn said(output: &Output, code: i32, words: &str) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{error}");
    assert_eq!(error, "");
    let said = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(said.contains(words), "{said}");
    said
}
