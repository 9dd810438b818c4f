//! Completions in a real bash.
#![allow(clippy::unwrap_used, reason = "tests panic on purpose")]

mod fixture;

use fixture::house::House;
use std::process::Command;

/// What bash offers for these words, of which the last is being typed.
fn offered(house: &House, words: &[&str]) -> Vec<String> {
    let script = house.run(&["completions", "bash"]).stdout;
    let path = house.directory.path().join("telltale.bash");
    std::fs::write(&path, script).unwrap();
    let program = env!("CARGO_BIN_EXE_telltale");
    let typing = "source \"$1\"; shift; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); \
        _telltale_known \"$1\" \"${!#}\" \"${COMP_WORDS[COMP_CWORD-1]}\"; printf '%s\\n' \"${COMPREPLY[@]}\"";
    let output = Command::new("bash")
        .args(["--norc", "-c", typing, "bash"])
        .arg(&path)
        .arg(program)
        .args(words)
        .env("TELLTALE_DATABASE", house.database())
        .output()
        .unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[test]
fn bash_completes_devices_and_owners() {
    let house = House::evening();
    for (words, expected) in [
        (&["report", "--device", ""][..], &["Redmi\\ Note\\ 8", "ada", "da:a1:19:01:02:03"][..]),
        (&["report", "--device", "red"], &["Redmi\\ Note\\ 8"]),
        (&["report", "--device", "Redmi\\ N"], &["Redmi\\ Note\\ 8"]),
        (&["report", "--device", "\"Redmi N"], &["Redmi Note 8"]),
        (&["top", "names", "--device", "=", "A"], &["ada"]),
        (&["devices", "label", "a"], &["ada"]),
        (&["compare", "--devices", "ada", "R"], &["Redmi\\ Note\\ 8"]),
        (&["report", "--device", "x"], &[]),
        (&["timel"], &["timeline"]),
        (&["timeline", "--by", ""], &["hour", "day"]),
    ] {
        assert_eq!(offered(&house, words), expected, "{words:?}");
    }
    if cfg!(feature = "tables-full") {
        assert!(offered(&house, &["flows", "--owner", "xiao"]).contains(&"Xiaomi".to_owned()));
    }
}

#[test]
fn without_a_database_nothing_is_offered_and_nothing_said() {
    let house = House::new();
    assert!(offered(&house, &["report", "--device", ""]).is_empty());
    let output = house.run(&["complete", "devices", "--", "-"]);
    assert!(output.status.success() && output.stdout.is_empty() && output.stderr.is_empty());
}

#[test]
fn the_other_shells_ask_too() {
    let house = House::new();
    let script = |shell| String::from_utf8(house.run(&["completions", shell]).stdout).unwrap();
    let zsh = script("zsh");
    assert!(
        zsh.contains(":DEVICE:_telltale_known devices'") && zsh.contains(":OWNER:_telltale_known owners'")
    );
    assert!(zsh.contains("_telltale_known() {"));
    assert!(script("fish").contains("-l device -x -a '(telltale complete devices"));
}
