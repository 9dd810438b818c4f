//! The house rules for all texts: links that lead somewhere, and nothing of one machine.

use super::Complaint;
use super::tree::Tree;
use std::path::{Component, Path};

/// Beginnings of paths that exist only on some machine, put together so that this file has none.
const PRIVATE_PATHS: [&str; 3] = [concat!("/", "root/"), concat!("/", "work/"), concat!("/", "home/")];
/// The only place that dependencies come from: Rust's public registry. Put together for the same reason.
const REGISTRY: &str = concat!("registry+https://github.com/rust-lang/crates", ".io-index");

/// Links in Markdown lead to files that are there.
pub fn links(tree: &Tree) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for (path, text) in tree.files("", ".md") {
        let mut is_block = false;
        for (number, line) in text.lines().enumerate() {
            if line.trim_start().starts_with("```") {
                is_block = !is_block;
            }
            if is_block {
                continue;
            }
            for target in targets(line) {
                if !leads_somewhere(tree, path, target) {
                    complaints.push(Complaint::at(
                        path,
                        number + 1,
                        format!("the link to {target} leads nowhere"),
                    ));
                }
            }
        }
    }
    complaints
}

/// The targets of the links in a line, without what is quoted as code.
fn targets(line: &str) -> Vec<&str> {
    let prose = line.split('`').step_by(2);
    prose.flat_map(|part| part.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0))).collect()
}

fn leads_somewhere(tree: &Tree, from: &str, target: &str) -> bool {
    let file = target.split('#').next().unwrap_or_default();
    // Nothing is fetched: what is on the net is the reader's to see.
    if file.is_empty() || target.contains("://") || target.starts_with("mailto:") {
        return true;
    }
    let mut parts: Vec<_> = Path::new(from).parent().into_iter().flat_map(Path::components).collect();
    for part in Path::new(file).components() {
        match part {
            Component::ParentDir => {
                if parts.pop().is_none() {
                    return false;
                }
            }
            Component::CurDir => {}
            Component::Normal(_) => parts.push(part),
            Component::RootDir | Component::Prefix(_) => return false,
        }
    }
    let parts: Vec<_> = parts.iter().map(|part| part.as_os_str().to_string_lossy()).collect();
    tree.has(&parts.join("/"))
}

/// No paths of somebody's own machine.
pub fn private_paths(tree: &Tree) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for (path, text) in tree.files("", "") {
        for (number, line) in text.lines().enumerate() {
            for private in PRIVATE_PATHS.iter().filter(|private| has_path(line, private)) {
                let message = format!("a path below {private} is on one machine only");
                complaints.push(Complaint::at(path, number + 1, message));
            }
        }
    }
    complaints
}

/// Not `gateway/root/…`, where it is a part of another path, nor the end of a web address.
fn has_path(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        let before = line.get(..at).and_then(|b| b.chars().next_back());
        !before.is_some_and(|c| c.is_alphanumeric() || ['.', '_', '-', '/', '}', ')'].contains(&c))
    })
}

/// All dependencies come from Rust's public registry.
pub fn registry(tree: &Tree) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for (path, text) in tree.files("", "Cargo.lock") {
        for (number, line) in text.lines().enumerate() {
            let Some(source) = line.strip_prefix("source = ") else { continue };
            if source.trim_matches('"') != REGISTRY {
                complaints.push(Complaint::at(
                    path,
                    number + 1,
                    format!("{source} is not Rust's public registry"),
                ));
            }
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_followed() {
        let good = "[a](b.md) [c](../README.md#top) [d](sub) [e](https://example.org) [f](#here) `[g](h)`";
        let found = links(&Tree::of(&[
            ("docs/a.md", good),
            ("docs/b.md", "```text\n[x](y)\n```\n"),
            ("docs/sub/c.md", "[up](../../docs/a.md)"),
            ("README.md", ""),
        ]));
        assert!(found.is_empty(), "{found:?}");
        for bad in ["[a](b.md)", "[a](/etc/passwd)", "[a](../../x.md)", "a [b](a.md) and [c](d.md)"] {
            let found = links(&Tree::of(&[("docs/a.md", bad)]));
            assert_eq!(found.len(), 1, "{bad}: {found:?}");
        }
    }

    #[test]
    fn paths_of_one_machine_are_found() {
        for (line, expected) in [
            (format!("cd {}me/src", PRIVATE_PATHS[2]), 1),
            (format!("\"{}x\"", PRIVATE_PATHS[0]), 1),
            (format!("https://example.org{}x", PRIVATE_PATHS[1]), 0),
            ("the root of the work".to_owned(), 0),
        ] {
            assert_eq!(private_paths(&Tree::of(&[("a.txt", &line)])).len(), expected, "{line}");
        }
    }

    #[test]
    fn other_registries_are_found() {
        let lock = format!("source = \"{REGISTRY}\"\nsource = \"registry+https://mirror.example/index\"\n");
        let found = registry(&Tree::of(&[("Cargo.lock", &lock)]));
        assert_eq!(found.len(), 1, "{found:?}");
    }
}
