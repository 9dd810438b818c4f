//! What the reading commands print on a terminal of 80 and of 120 columns: no line is wider, and no name is cut.
//! `UPDATE_EXPECT=1` rewrites the golden files under `tests/golden`.
#![allow(clippy::unwrap_used, reason = "tests panic on purpose")]

mod fixture;

use fixture::house::House;
use gateway_core::report::table::cells_of;
use std::path::Path;
use std::process::Command;

/// Runs on a terminal that `script` makes, without colours, and gives what was shown.
fn shown(house: &House, columns: usize, args: &[&str]) -> String {
    let plain = house.command(args);
    let program = plain.get_program().to_string_lossy().into_owned();
    let words: Vec<_> = std::iter::once(program.as_str()).chain(args.iter().copied()).collect();
    let quoted: Vec<_> = words.iter().map(|word| format!("'{word}'")).collect();
    let line = format!("stty cols {columns} rows 50; exec {}", quoted.join(" "));
    let mut script = Command::new("script");
    script.args(["-qec", &line, "/dev/null"]).env_clear();
    for (name, value) in plain.get_envs() {
        script.envs(value.map(|value| (name, value)));
    }
    let settings = [("PATH", "/usr/bin:/bin"), ("SHELL", "/bin/sh"), ("NO_COLOR", "1"), ("PAGER", "cat")];
    let output = script.envs(settings).output().unwrap();
    assert!(output.status.success(), "{args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap().replace("\r\n", "\n")
}

#[track_caller]
fn check(house: &House, columns: usize, args: &[&str], golden: &str) {
    let shown = shown(house, columns, args);
    for line in shown.lines() {
        assert!(cells_of(line) <= columns, "{golden}: wider than {columns} columns: {line}");
    }
    if !cfg!(feature = "tables-full") {
        return;
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(golden);
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&path, &shown).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(shown == expected, "{golden} differs (UPDATE_EXPECT=1 rewrites it); shown:\n{shown}");
}

#[test]
fn the_report_fits_the_terminal() {
    let house = House::evening();
    let args = ["report", "--since", "2020-11-22 18:00", "--until", "2020-11-22 18:02"];
    check(&house, 80, &args, "report-80.txt");
    check(&house, 120, &args, "report-120.txt");
}

#[test]
fn a_report_with_doubts_fits_the_terminal() {
    let house = House::with(&fixture::doubtful());
    check(&house, 80, &["report", "--all"], "doubtful-report-80.txt");
}

#[test]
fn the_summary_fits_the_terminal() {
    let house = House::evening();
    check(&house, 80, &["summary", "--day", "2020-11-22"], "summary-80.txt");
    check(&house, 120, &["summary", "--day", "2020-11-22"], "summary-120.txt");
}

#[test]
fn the_lists_fit_the_terminal() {
    let house = House::evening();
    check(&house, 80, &["flows", "--all"], "flows-80.txt");
    check(&house, 80, &["top", "names", "--all"], "top-names-80.txt");
    check(&house, 80, &["devices"], "devices-80.txt");
    check(&house, 80, &["who", "xiaomi.com"], "who-80.txt");
}
