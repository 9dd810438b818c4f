//! The files that belong to the project, as text.

use anyhow::{Context as _, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use xtask::tool;

/// The project's files.
#[derive(Clone, Default, Debug)]
pub struct Tree {
    /// Every path below the workspace, with slashes.
    pub paths: BTreeSet<String>,
    /// The content of those that are text.
    pub texts: BTreeMap<String, String>,
}

impl Tree {
    /// A tree of these files, for the tests of the rules.
    #[cfg(test)]
    pub fn of(files: &[(&str, &str)]) -> Self {
        let mut tree = Self::default();
        for (path, text) in files {
            tree.paths.insert((*path).to_owned());
            tree.texts.insert((*path).to_owned(), (*text).to_owned());
        }
        tree
    }

    /// What git knows, and what it would add.
    ///
    /// # Errors
    /// If git does not answer or a file cannot be read.
    pub fn of_workspace(workspace: &Path) -> Result<Self> {
        let list = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
        let listed = tool::run(tool::command("git", list).current_dir(workspace))
            .context("list the project's files with git")?;
        let mut tree = Self::default();
        for path in listed.split_terminator('\0') {
            let content = match fs::read(workspace.join(path)) {
                // Deleted and not yet said so to git.
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
                content => content.with_context(|| format!("read {path}"))?,
            };
            tree.paths.insert(path.to_owned());
            if let Ok(text) = String::from_utf8(content) {
                tree.texts.insert(path.to_owned(), text);
            }
        }
        Ok(tree)
    }

    /// The texts whose path begins and ends so.
    pub fn files<'a>(
        &'a self,
        prefix: &'a str,
        suffix: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a str)> + 'a {
        let fits = move |path: &str| path.starts_with(prefix) && path.ends_with(suffix);
        self.texts.iter().map(|(path, text)| (&**path, &**text)).filter(move |(path, _)| fits(path))
    }

    /// Is there a file or directory of this path?
    pub fn has(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        let directory = format!("{path}/");
        path.is_empty() || self.paths.contains(path) || self.paths.iter().any(|p| p.starts_with(&directory))
    }
}

/// The lines of Rust that are code, with their numbers: neither comment nor inside a text.
pub fn code(text: &str) -> impl Iterator<Item = (usize, String)> + '_ {
    let mut is_inside_text = false;
    text.lines().enumerate().map(move |(number, line)| (number + 1, code_of_line(line, &mut is_inside_text)))
}

/// Good enough for code that rustfmt has seen: no block comments, and raw texts without quotes of their own.
fn code_of_line(line: &str, is_inside_text: &mut bool) -> String {
    let mut code = String::new();
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\\' if *is_inside_text => drop(rest.next()),
            '"' => *is_inside_text = !*is_inside_text,
            _ if *is_inside_text => {}
            // The character `"` or an escaped one; a lifetime has no closing quote there.
            '\'' => {
                let mut ahead = rest.clone();
                if ahead.next() == Some('\\') {
                    ahead.next();
                }
                if ahead.next() == Some('\'') {
                    rest = ahead;
                } else {
                    code.push(c);
                }
            }
            '/' if rest.peek() == Some(&'/') => break,
            _ => code.push(c),
        }
    }
    code
}

/// Does the code have this word, not as a part of a longer one?
pub fn has_word(code: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).any(|(at, _)| {
        let before = code.get(..at).and_then(|b| b.chars().next_back());
        let after = code.get(at + word.len()..).and_then(|a| a.chars().next());
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_texts_are_no_code() {
        let text = "a(\"b // \\\" c\", 'd', '\"', '\\'') // e\n\"f\n g\" h<'i>";
        let code: Vec<_> = code(text).map(|(_, line)| line).collect();
        assert_eq!(code, ["a(, , , ) ", "", " h<'i>"]);
    }

    #[test]
    fn a_word_is_whole() {
        assert!(has_word("unsafe {", "unsafe") && has_word("#[unsafe(no_mangle)]", "unsafe"));
        assert!(!has_word("forbid(unsafe_code)", "unsafe") && !has_word("is_unsafe", "unsafe"));
    }
}
