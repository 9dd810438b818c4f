//! `telltale doctor` as a person runs it: with and without what counting needs.
#![allow(clippy::unwrap_used, reason = "tests panic on purpose")]

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

const TELLTALE: &str = env!("CARGO_BIN_EXE_telltale");

/// A network namespace with nothing in it; gone when dropped, also by a panic.
struct Namespace(String);

impl Namespace {
    fn new(name: &str) -> Self {
        let this = Self(format!("ttl-doctor-{name}-{}", std::process::id()));
        let output = Command::new("ip").args(["netns", "add", &this.0]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        this
    }

    fn ip(&self, commands: &str) {
        for line in commands.lines().map(str::trim).filter(|l| !l.is_empty()) {
            let output = Command::new("ip").args(["-n", &self.0]).args(line.split(' ')).output().unwrap();
            assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        }
    }

    /// Runs a shell script inside, with a BPF file system of its own on `dir/bpf`.
    fn sh(&self, dir: &Path, script: &str) -> Output {
        let bpf = dir.join("bpf");
        std::fs::create_dir_all(&bpf).unwrap();
        let script = format!("mount -t bpf bpf {} && {script}", bpf.display());
        let net = format!("--net=/var/run/netns/{}", self.0);
        Command::new("nsenter").args([&net, "unshare", "--mount", "sh", "-c", &script]).output().unwrap()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.0]).status();
    }
}

/// Writes a configuration that keeps everything in `dir`, and gives its path as text.
fn config_in(dir: &Path) -> String {
    let path = dir.join("telltale.toml");
    let text = format!("database = \"{0}/d/x.db\"\npin_dir = \"{0}/bpf/telltale\"\n", dir.display());
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn json_of(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output:?}"))
}

fn verdict<'a>(report: &'a Value, name: &str) -> &'a str {
    let checks = report["checks"].as_array().unwrap();
    let check = checks.iter().find(|c| c["name"] == name).unwrap_or_else(|| panic!("no {name}: {report:#}"));
    check["verdict"].as_str().unwrap()
}

/// Standard error without a trace: one line that says what is wrong.
#[track_caller]
fn one_line(output: &Output) -> String {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(text.starts_with("telltale: ") && text.lines().count() == 1, "{text}");
    text
}

const HOUSE: &str = "
    link add br-lan type bridge
    link set br-lan address 02:00:00:00:00:01 up
    link add lan1 type veth peer name far1
    link set lan1 master br-lan up
    addr add 192.168.7.1/24 dev br-lan
    link add wan type veth peer name isp
    link set wan up
    link set isp up
    addr add 10.99.0.2/24 dev wan
    route add default via 10.99.0.1
";

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn a_house_can_count_and_is_left_as_it_was() {
    let house = Namespace::new("house");
    house.ip(HOUSE);
    let dir = tempfile::tempdir().unwrap();
    let output =
        house.sh(dir.path(), &format!("'{TELLTALE}' doctor --json --config {}", config_in(dir.path())));
    let report = json_of(&output);
    assert_eq!(report["can_count"], true, "{report:#}");
    assert_eq!(output.status.code(), Some(0));
    for name in ["kernel", "privileges", "bpf", "attach", "bpffs", "interfaces"] {
        assert_eq!(verdict(&report, name), "ok", "{report:#}");
    }
    let port = &report["ports"][0];
    assert_eq!((&port["name"], &port["network"]), (&"lan1".into(), &"br-lan".into()));
    assert_eq!(port["gateway_macs"].as_array().unwrap().len(), 2, "{port}");
    let passed = report["passed_over"].as_array().unwrap();
    assert!(passed.iter().any(|p| p["name"] == "wan" && p["why"] == "is the way of the default route"));
    assert!(!dir.path().join("d").exists(), "looking made the database's directory");

    let output = house.sh(dir.path(), &format!("'{TELLTALE}' doctor --config {}", config_in(dir.path())));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("\nCounted on:\n  lan1 ") && text.contains("This machine can count"), "{text}");
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn without_privileges_there_is_one_clear_answer() {
    let house = Namespace::new("nobody");
    house.ip(HOUSE);
    let dir = tempfile::tempdir().unwrap();
    let config = config_in(dir.path());
    let drop = "setpriv --reuid 65534 --clear-groups --inh-caps=-all";
    // A copy: nobody may be allowed to see the place where it was built.
    let there = dir.path().display();
    let open = format!("chmod 755 {there} && install -m 755 '{TELLTALE}' {there}/telltale");
    let output =
        house.sh(dir.path(), &format!("{open} && {drop} {there}/telltale doctor --json --config {config}"));
    let line = one_line(&output);
    assert!(line.starts_with("telltale: this machine cannot count yet, because of: privileges"), "{line}");
    let report = json_of(&output);
    assert_eq!(report["can_count"], false);
    assert_eq!(verdict(&report, "privileges"), "problem");
    assert_eq!(verdict(&report, "bpf"), "unknown", "one cause, one problem");
    assert_eq!(verdict(&report, "interfaces"), "ok", "these need no privileges");
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn an_empty_machine_says_what_to_name() {
    let empty = Namespace::new("empty");
    let dir = tempfile::tempdir().unwrap();
    let config = config_in(dir.path());
    let output = empty.sh(dir.path(), &format!("'{TELLTALE}' doctor --config {config}"));
    assert_eq!(one_line(&output), "telltale: this machine cannot count yet, because of: interfaces\n");
    assert!(String::from_utf8_lossy(&output.stdout).contains("--interface br-lan"));
    let output = empty.sh(dir.path(), &format!("'{TELLTALE}' doctor --json --config {config} -i br-lan"));
    one_line(&output);
    let report = json_of(&output);
    let finding = report["checks"].as_array().unwrap().iter().find(|c| c["name"] == "interfaces").unwrap();
    assert_eq!(finding["finding"], "no interface is called br-lan; there are lo");
}

#[test]
fn the_exit_code_says_what_the_report_says() {
    let dir = tempfile::tempdir().unwrap();
    let output =
        Command::new(TELLTALE).args(["doctor", "--json", "--config", &config_in(dir.path())]).output();
    let output = output.unwrap();
    let report = json_of(&output);
    let expected = if report["can_count"] == true { 0 } else { 2 };
    assert_eq!(output.status.code(), Some(expected), "{output:?}");
    assert_eq!(verdict(&report, "bpffs"), "problem", "a temporary directory is no BPF file system");
    assert_eq!(verdict(&report, "clock"), "ok");
}

#[test]
fn a_bad_configuration_is_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.toml");
    let run =
        || Command::new(TELLTALE).args(["doctor", "--config", path.to_str().unwrap()]).output().unwrap();
    assert!(one_line(&run()).contains("No such file"));
    std::fs::write(&path, "sampling = true\ndrain_every_secs = 0\n").unwrap();
    let expected = "line 2 (drain_every_secs): 0 is not between 1 and 3600 seconds\n";
    assert!(one_line(&run()).ends_with(expected), "{}", one_line(&run()));
    std::fs::write(&path, [0xff; 64]).unwrap();
    one_line(&run());
}
