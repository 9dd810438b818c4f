//! `cargo xtask tidy`: the house rules that a program can check. Also a test, so that `cargo test` finds a breach.

mod rules;
mod texts;
mod tree;

use anyhow::Result;
use std::fmt;
use std::io::Write;
use tree::Tree;
use xtask::tool;

/// Every rule.
const RULES: [fn(&Tree) -> Vec<Complaint>; 10] = [
    rules::arrows,
    rules::unsafe_code,
    rules::sql,
    rules::purity,
    rules::finished,
    rules::sizes,
    rules::map_names,
    texts::links,
    texts::private_paths,
    texts::registry,
];

/// Something that is not as the house has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Complaint {
    path: String,
    line: Option<usize>,
    message: String,
    is_warning: bool,
}

impl Complaint {
    fn at(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self { line: Some(line), ..Self::of(path, message) }
    }

    fn of(path: &str, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line: None, message: message.into(), is_warning: false }
    }

    fn only_a_warning(self) -> Self {
        Self { is_warning: true, ..self }
    }

    fn is_fault(&self) -> bool {
        !self.is_warning
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, line, message, is_warning } = self;
        f.write_str(if *is_warning { "warning: " } else { "" })?;
        match line {
            Some(line) => write!(f, "{path}:{line}: {message}"),
            None => write!(f, "{path}: {message}"),
        }
    }
}

/// Writes what is wrong and returns whether nothing is.
///
/// # Errors
/// If the files cannot be read or `out` not written.
pub fn run(out: &mut dyn Write) -> Result<bool> {
    let complaints = complaints()?;
    for complaint in &complaints {
        writeln!(out, "{complaint}")?;
    }
    Ok(!complaints.iter().any(Complaint::is_fault))
}

fn complaints() -> Result<Vec<Complaint>> {
    let tree = Tree::of_workspace(tool::workspace())?;
    Ok(RULES.iter().flat_map(|rule| rule(&tree)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_house_is_tidy() {
        let faults: Vec<_> =
            complaints().expect("the files").into_iter().filter(Complaint::is_fault).collect();
        let lines: Vec<_> = faults.iter().map(ToString::to_string).collect();
        assert!(faults.is_empty(), "\n{}", lines.join("\n"));
    }
}
