//! Summaries and their delivery: what waits, what was dropped, what went wrong.

use super::check::Check;
use crate::deliver::Way;
use crate::deliver::queue::{Books, Outbox, Waiting};
use crate::nightly::Summaries;
use std::path::Path;

/// Looks at both. Neither keeps anything from being counted: a warning is the worst.
pub(super) fn look(database: &Path) -> Vec<Check> {
    let summaries = Summaries::beside(database);
    let last = summaries.done().map(|done| done.last().map(ToString::to_string));
    let mut checks = vec![summary(&last, summaries.failure())];
    match Outbox::beside(database).all() {
        Ok(all) => {
            checks.extend(all.iter().filter_map(|(way, (books, waiting))| delivery(*way, books, waiting)))
        }
        Err(error) => checks.push(Check::unknown("delivery", format!("{error:#}"))),
    }
    checks
}

fn summary(last: &anyhow::Result<Option<String>>, failure: Option<String>) -> Check {
    match (last, failure) {
        (_, Some(words)) => {
            Check::warning("summary", words, "it is tried again every few minutes, and counting goes on")
        }
        (Ok(Some(day)), None) => Check::ok("summary", format!("the last one written is of {day}")),
        (Ok(None), None) => Check::ok("summary", "none is written yet"),
        (Err(error), None) => Check::unknown("summary", format!("{error:#}")),
    }
}

fn delivery(way: Way, books: &Books, waiting: &[Waiting]) -> Option<Check> {
    let Books { delivered, failure, .. } = books;
    let dropped = books.dropped();
    if *delivered == 0 && dropped == 0 && waiting.is_empty() {
        return None;
    }
    let word = way.word();
    let said = format!("{word}: {delivered} delivered, {} waiting, {dropped} dropped", waiting.len());
    Some(match failure {
        Some(words) => Check::warning(
            "delivery",
            format!("{said}; the last attempt: {words}"),
            format!("try telltale deliver test {word}; telltale deliver status says more"),
        ),
        None => Check::ok("delivery", said),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic on purpose")]
    use super::super::check::Verdict;
    use super::*;

    #[test]
    fn a_way_that_fails_is_a_warning_with_its_words() {
        assert_eq!(delivery(Way::Email, &Books::default(), &[]), None);
        let fine = Books { delivered: 3, ..Books::default() };
        assert_eq!(delivery(Way::Email, &fine, &[]).unwrap().verdict, Verdict::Ok);
        let bad = Books { dropped_old: 2, failure: Some("connect to mail".into()), ..Books::default() };
        let check = delivery(Way::Email, &bad, &[]).unwrap();
        assert_eq!(check.verdict, Verdict::Warning);
        assert!(check.finding.contains("2 dropped; the last attempt: connect to mail"), "{}", check.finding);
    }

    #[test]
    fn looking_makes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let checks = look(&dir.path().join("t.db"));
        assert_eq!(checks.len(), 1);
        assert_eq!(checks[0].finding, "none is written yet");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
