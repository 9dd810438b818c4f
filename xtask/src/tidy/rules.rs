//! The house rules for Rust and its crates that a program can check.

use super::Complaint;
use super::tree::{Tree, code, has_word};
use std::collections::BTreeSet;

/// Which of our crates each of our crates may depend on. Arrows point only downward.
const ARROWS: [(&str, &[&str]); 5] = [
    ("gateway-common", &[]),
    ("gateway-core", &["gateway-common"]),
    ("gateway-ebpf", &["gateway-common"]),
    // Of gateway-ebpf it takes the library half, which reads captures as the kernel reads packets.
    ("gateway-user", &["gateway-common", "gateway-core", "gateway-ebpf"]),
    ("xtask", &["gateway-common", "gateway-core"]),
];

/// Where `unsafe` may be: the kernel program, the daemon's side of it, and the lab's own packet ring.
const UNSAFE_ALLOWED: [&str; 3] = ["gateway-ebpf/src/", "gateway-user/src/kernel/", "xtask/src/lab/truth/"];
/// Crates that promise the compiler to have none.
const UNSAFE_FORBIDDEN: [&str; 3] =
    ["gateway-common/src/lib.rs", "gateway-core/src/lib.rs", "gateway-ebpf/src/lib.rs"];

/// Where SQL is.
const STORE: &str = "gateway-user/src/store";
/// How SQL begins in a text.
const SQL: [&str; 6] = ["SELECT ", "INSERT ", "DELETE FROM ", "CREATE TABLE ", "CREATE INDEX ", "PRAGMA "];

/// What the pure crate may not touch: the world.
const WORLD: [&str; 9] = [
    "std::fs",
    "std::env",
    "std::net::TcpStream",
    "std::net::UdpSocket",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
    "std::io::stdin",
];

/// Code that is not finished, or not meant to stay.
const UNFINISHED: [&str; 3] = ["todo!", "unimplemented!", "dbg!"];
/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 5] = ["utils", "util", "helpers", "common", "misc"];

const MAX_LINES: usize = 600;
const MANY_LINES: usize = 400;

/// Dependencies between our crates, from their Cargo.toml.
pub fn arrows(tree: &Tree) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for (package, allowed) in ARROWS {
        let path = format!("{package}/Cargo.toml");
        for (number, line) in tree.texts.get(&path).map_or("", |text| text).lines().enumerate() {
            let name = line.split(['.', '=', ' ']).next().unwrap_or_default();
            if ARROWS.iter().any(|(ours, _)| *ours == name) && !allowed.contains(&name) {
                complaints.push(Complaint::at(
                    &path,
                    number + 1,
                    format!("{package} may not depend on {name}"),
                ));
            }
        }
    }
    complaints
}

/// `unsafe` only where it cannot be avoided.
pub fn unsafe_code(tree: &Tree) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for (path, text) in tree.files("", ".rs") {
        if UNSAFE_ALLOWED.iter().any(|allowed| path.starts_with(allowed)) {
            continue;
        }
        let lines = code(text).filter(|(_, code)| has_word(code, "unsafe"));
        complaints.extend(lines.map(|(number, _)| Complaint::at(path, number, "unsafe is not allowed here")));
    }
    for path in UNSAFE_FORBIDDEN {
        if tree.texts.get(path).is_some_and(|text| !text.contains("#![forbid(unsafe_code)]")) {
            complaints.push(Complaint::of(path, "must say #![forbid(unsafe_code)]"));
        }
    }
    complaints
}

/// SQL only in the store.
pub fn sql(tree: &Tree) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for (path, text) in tree.files("gateway-", ".rs") {
        if path.starts_with(STORE) || !path.contains("/src/") {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            let is_comment = line.trim_start().starts_with("//");
            let has_sql = line.split('"').skip(1).any(|text| SQL.iter().any(|verb| text.starts_with(verb)));
            if !is_comment && (has_sql || has_word(line, "rusqlite")) {
                complaints.push(Complaint::at(path, number + 1, "SQL belongs in the store"));
            }
        }
    }
    complaints
}

/// The pure crate touches nothing of the world.
pub fn purity(tree: &Tree) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for (path, text) in tree.files("gateway-core/src/", ".rs") {
        for (number, code) in code(text) {
            for it in WORLD.iter().filter(|it| has_word(&code, it)) {
                complaints.push(Complaint::at(path, number, format!("gateway-core is pure: no {it}")));
            }
        }
    }
    complaints
}

/// Nothing unfinished, no names that say nothing.
pub fn finished(tree: &Tree) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for (path, text) in tree.files("", ".rs") {
        for (number, code) in code(text) {
            for it in UNFINISHED
                .iter()
                .filter(|it| has_word(&code, it.trim_end_matches('!')) && code.contains(**it))
            {
                complaints.push(Complaint::at(path, number, format!("{it} is not for committed code")));
            }
        }
        let mut names = path.trim_end_matches(".rs").split('/');
        if let Some(name) = names.find(|name| EMPTY_NAMES.contains(name)) {
            complaints
                .push(Complaint::of(path, format!("a module called {name} says nothing about its content")));
        }
    }
    complaints
}

/// Files that one can read.
pub fn sizes(tree: &Tree) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for (path, text) in tree.files("", ".rs") {
        let lines = text.lines().count();
        if lines > MAX_LINES {
            complaints.push(Complaint::of(path, format!("{lines} lines: no file has more than {MAX_LINES}")));
        } else if lines > MANY_LINES {
            complaints
                .push(Complaint::of(path, format!("{lines} lines: can it be two files?")).only_a_warning());
        }
    }
    complaints
}

/// The names that the daemon asks for are those that the kernel program has.
pub fn map_names(tree: &Tree) -> Vec<Complaint> {
    const NAMES: &str = "gateway-common/src/map_name.rs";
    let read = |path| tree.texts.get(path).map_or("", |text| text);
    let is_there = |name: &str| {
        let is_program = name.chars().any(char::is_lowercase);
        let (path, item) = if is_program {
            ("gateway-ebpf/src/main.rs", format!("pub fn {name}("))
        } else {
            ("gateway-ebpf/src/maps.rs", format!("pub static {name}:"))
        };
        code(read(path)).any(|(_, code)| code.contains(&item))
    };
    let mut complaints = Vec::new();
    let mut seen = BTreeSet::new();
    for (number, line) in read(NAMES).lines().enumerate() {
        let Some((_, value)) = line.split_once(": &str = \"") else { continue };
        let name = value.trim_end_matches("\";");
        if !seen.insert(name) {
            complaints.push(Complaint::at(NAMES, number + 1, format!("{name} is there twice")));
        }
        if !is_there(name) {
            complaints.push(Complaint::at(NAMES, number + 1, format!("the kernel program has no {name}")));
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rule finds this many faults in one file.
    #[track_caller]
    fn check(rule: fn(&Tree) -> Vec<Complaint>, path: &str, text: &str, expected: usize) {
        let found = rule(&Tree::of(&[(path, text)]));
        assert_eq!(found.len(), expected, "{found:?}");
    }

    #[test]
    fn arrows_point_downward() {
        check(arrows, "gateway-core/Cargo.toml", "gateway-common.workspace = true\nserde = \"1\"", 0);
        check(arrows, "gateway-core/Cargo.toml", "[dependencies]\ngateway-user.workspace = true", 1);
        check(arrows, "gateway-common/Cargo.toml", "gateway-core = { path = \"../gateway-core\" }", 1);
    }

    #[test]
    fn unsafe_stays_where_it_must_be() {
        let block = "fn f() { unsafe { g() } }";
        check(unsafe_code, "gateway-user/src/kernel/mapped.rs", block, 0);
        check(unsafe_code, "gateway-user/src/store/mod.rs", block, 1);
        check(unsafe_code, "gateway-user/src/clock.rs", "// unsafe\nlet a = \"unsafe\";", 0);
        check(unsafe_code, "gateway-core/src/lib.rs", "//! Pure.", 1);
        check(unsafe_code, "gateway-core/src/lib.rs", "#![forbid(unsafe_code)]", 0);
    }

    #[test]
    fn sql_stays_in_the_store() {
        let query = "let q = \"SELECT 1\";";
        check(sql, "gateway-user/src/store/reader.rs", query, 0);
        check(sql, "gateway-user/src/cli/top.rs", query, 1);
        check(sql, "gateway-user/src/cli/top.rs", "use rusqlite::Row;", 1);
        check(sql, "gateway-user/src/cli/top.rs", "// \"SELECT 1\"\nlet a = \"Select a day\";", 0);
        check(sql, "gateway-user/tests/store_upgrade.rs", query, 0);
    }

    #[test]
    fn the_core_is_pure() {
        check(purity, "gateway-core/src/units.rs", "let now = std::time::Instant::now();", 1);
        check(purity, "gateway-core/src/units.rs", "use std::time::Duration; // std::fs", 0);
        check(purity, "gateway-user/src/clock.rs", "let now = std::time::Instant::now();", 0);
    }

    #[test]
    fn unfinished_code_is_found() {
        let unfinished = ["to", "do!()"].concat();
        check(finished, "gateway-core/src/units.rs", &unfinished, 1);
        check(finished, "gateway-core/src/units.rs", "fn undo() {} // dbg!", 0);
        check(finished, "gateway-core/src/utils.rs", "", 1);
        check(finished, "gateway-common/src/lib.rs", "", 0);
    }

    #[test]
    fn long_files_are_found() {
        let lines = |count| "\n".repeat(count);
        check(sizes, "a.rs", &lines(MANY_LINES), 0);
        let warned = sizes(&Tree::of(&[("a.rs", &lines(MAX_LINES))]));
        assert!(matches!(&warned[..], [warning] if !warning.is_fault()), "{warned:?}");
        let refused = sizes(&Tree::of(&[("a.rs", &lines(MAX_LINES + 1))]));
        assert!(matches!(&refused[..], [fault] if fault.is_fault()), "{refused:?}");
    }

    #[test]
    fn names_without_a_map_are_found() {
        let names =
            "pub const A: &str = \"FAST\";\npub const B: &str = \"SLOW\";\npub const C: &str = \"tap_in\";";
        let found = map_names(&Tree::of(&[
            ("gateway-common/src/map_name.rs", names),
            ("gateway-ebpf/src/maps.rs", "pub static FAST: Array<u8> = Array::new();\n// pub static SLOW:"),
            ("gateway-ebpf/src/main.rs", "pub fn tap_in(c: C) {}"),
        ]));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].to_string().contains("map_name.rs:2: the kernel program has no SLOW"),
            "{}",
            found[0]
        );
    }
}
