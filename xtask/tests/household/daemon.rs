//! Does the lab start, hear, stop and kill a daemon as it says? Shown on stand-ins, so that a failure here is the
//! lab's and not Telltale's.

use super::household;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use xtask::lab::{Household, TelltaleOptions, run_telltale};

/// A daemon made of a few lines of shell.
fn stand_in(household: &Household, script: &str) -> TelltaleOptions {
    let binary = household.run().directory().join("stand-in");
    std::fs::write(&binary, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&binary, std::fs::Permissions::from_mode(0o755)).unwrap();
    TelltaleOptions { drain_every_secs: Some(7), ..TelltaleOptions::new(binary, "/x/y.db") }
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn a_daemon_is_started_in_the_gateway_heard_and_stopped() {
    let household = household(1500);

    let script = "echo \"got $*\" >&2; ip -o link show br-lan >&2 || exit 9
        trap 'echo stopped >&2; exit 0' TERM; echo counting on lan1 >&2
        while :; do sleep 0.05; done";
    let telltale = run_telltale(&household, &stand_in(&household, script)).unwrap();
    let stopped = telltale.terminate().unwrap();
    stopped.check().unwrap();
    let pins = format!("/sys/fs/bpf/telltale-{}", household.run().id());
    let arguments =
        format!("got run --interface auto --database /x/y.db --pin-dir {pins} --drain-every-secs 7\n");
    assert!(stopped.said.starts_with(&arguments) && stopped.said.ends_with("stopped\n"), "{}", stopped.said);

    // `exec`, so that no child of the shell holds its standard error open.
    let script = "echo counting on lan1 >&2; exec sleep 60";
    let killed = run_telltale(&household, &stand_in(&household, script)).unwrap().kill().unwrap();
    assert_eq!(killed.status.signal(), Some(9));
    assert!(killed.check().is_err());

    let script = "echo the reason >&2; exit 2";
    let error = run_telltale(&household, &stand_in(&household, script)).unwrap_err();
    let text = format!("{error:#}");
    assert!(text.contains("the reason") && text.contains("exit status: 2"), "{text}");
}
