//! What can be wrong with the disk, and with another update.

use crate::house::{House, NETWORKS, date, later};
use crate::server::{Reply, Server, Then, honest};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The program in a mount namespace where its tables lie on a disk of so many bytes, and what lies there afterwards is
/// copied out again.
fn on_a_small_disk(house: &House, bytes: usize) -> Command {
    let tables = house.tables();
    let script = format!(
        "set -e; mkdir -p '{tables}'; cp '{tables}/{NETWORKS}' '{kept}'; mount -t tmpfs -o size={bytes} none '{tables}'
         cp '{kept}' '{tables}/{NETWORKS}'; code=0; \"$@\" || code=$?
         rm -rf '{after}'; cp -r '{tables}' '{after}'; exit $code",
        tables = tables.display(),
        kept = house.path("kept").display(),
        after = house.path("after").display(),
    );
    let updating = house.command(&["--table", "networks"]);
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount", "sh", "-c", &script, "sh"]);
    command.arg(updating.get_program()).args(updating.get_args());
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    command
}

/// Does this machine let us have a mount namespace?
fn has_namespaces() -> bool {
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"]);
    command.stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

#[test]
fn a_full_disk_leaves_the_old_table() {
    if !has_namespaces() {
        eprintln!("no mount namespace can be had here: not tested");
        return;
    }
    let new = later(2);
    let served = new.clone();
    // First the length is said, then it is found out by writing.
    let server = Server::start(move |asked, number| match number {
        0 => honest(&served, "\"a\"", asked),
        _ => Reply { claimed: None, ..Reply::body(&served) },
    });
    let house = House::new(&server.ca, &server.url("/t"));
    let old = later(1);
    house.put(NETWORKS, &old);
    for words in ["the disk is full: ", "the disk is full: No space left on device (os error 28)"] {
        house.check_refusal(&mut on_a_small_disk(&house, old.len() + new.len() / 2), words);
        assert_eq!(std::fs::read(house.path("after").join(NETWORKS)).unwrap(), old);
        assert!(!house.path("after/networks-0.part").exists(), "what came is not left on a full disk");
    }
    assert_eq!(server.asked().len(), 2);
    // With room it goes through.
    let output = on_a_small_disk(&house, old.len() + 2 * new.len() + (4 << 20)).output().unwrap();
    crate::house::said(&output, 0, &format!("{} -> {}", date(1), date(2)));
    assert_eq!(std::fs::read(house.path("after").join(NETWORKS)).unwrap(), new);
}

#[test]
fn two_updates_do_not_meet() {
    let new = later(2);
    let served = new.clone();
    let server = Server::start(move |asked, number| match number {
        0 => honest(&served, "\"a\"", asked).stopping_at(1000, Then::Stall),
        _ => honest(&served, "\"a\"", asked),
    });
    let house = House::new(&server.ca, &server.url("/t"));
    house.configure(&format!("retries = 0\nstall_secs = 10\nnetworks = [{:?}]\n", server.url("/t")));
    let mut first = house.command(&[]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let since = Instant::now();
    while server.asked().is_empty() {
        assert!(since.elapsed() < Duration::from_secs(10), "the first update does not begin");
        std::thread::sleep(Duration::from_millis(10));
    }
    let second = house.run(&[]);
    let error = String::from_utf8(second.stderr).unwrap();
    assert_eq!(second.status.code(), Some(2));
    assert!(
        error.starts_with("telltale: another update is under way in ") && error.lines().count() == 1,
        "{error}"
    );
    assert_eq!(server.asked().len(), 1);
    // Killed in the middle, it leaves neither a lock nor half a table.
    first.kill().unwrap();
    first.wait().unwrap();
    assert!(!house.tables().join(NETWORKS).exists());
    house.check(&[], &format!("-> {}", date(2)));
    assert_eq!(house.table(NETWORKS), new);
}

#[test]
fn a_directory_that_is_not_ours_is_named() {
    let house = House::new("", "https://localhost:1/t");
    std::fs::write(house.tables(), b"a file").unwrap();
    std::fs::write(house.path("telltale.toml"), "").unwrap();
    let output = house.run(&[]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), error.lines().count()), (Some(2), 1));
    assert!(error.starts_with("telltale: make the directory of tables "), "{error}");
}
