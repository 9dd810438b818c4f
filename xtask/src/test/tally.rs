//! What ran, what failed, what was skipped and why.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// The sums over all steps and test programs.
#[derive(Debug, Default)]
pub struct Tally {
    passed: u32,
    failed: u32,
    /// How many were skipped, by the reason.
    skipped: BTreeMap<String, u32>,
    /// A line for each step, in their order.
    steps: Vec<String>,
}

/// What the test programs of one run of `cargo test` said.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Said {
    /// Tests that passed.
    pub passed: u32,
    /// Tests that failed.
    pub failed: u32,
    /// The names of the ignored tests, each with its reason.
    pub ignored: Vec<(String, String)>,
    /// A test program has begun and not yet said how it went.
    is_running: bool,
}

impl Said {
    /// Learns from a line that a test program wrote.
    pub fn hear(&mut self, line: &str) {
        if let Some(rest) = line.strip_prefix("test result: ") {
            let count = |what: &str| {
                let words: Vec<_> = rest.split([' ', ';']).filter(|word| !word.is_empty()).collect();
                let at = words.iter().position(|word| *word == what)?;
                words.get(at.checked_sub(1)?)?.parse::<u32>().ok()
            };
            self.passed += count("passed").unwrap_or(0);
            self.failed += count("failed").unwrap_or(0);
            self.is_running = false;
        } else if is_beginning(line) {
            self.end_of_program();
            self.is_running = true;
        } else if let Some((name, reason)) =
            line.strip_prefix("test ").and_then(|rest| rest.split_once(" ... ignored"))
        {
            let reason = reason.strip_prefix(", ").unwrap_or("no reason given");
            self.ignored.push((name.to_owned(), reason.to_owned()));
        }
    }

    /// A test program that ended without a result died in a test: a failure more.
    pub fn end_of_program(&mut self) {
        self.failed += u32::from(std::mem::take(&mut self.is_running));
    }
}

/// `running 1 test`, `running 7 tests`
fn is_beginning(line: &str) -> bool {
    let count = line.strip_prefix("running ").and_then(|rest| rest.split_once(" test"));
    count.is_some_and(|(count, end)| count.parse::<u32>().is_ok() && ["", "s"].contains(&end))
}

impl Tally {
    /// A step that is one check.
    pub fn step(&mut self, name: &str, is_good: bool, took: Duration) {
        *(if is_good { &mut self.passed } else { &mut self.failed }) += 1;
        self.note(name, if is_good { "good" } else { "FAILED" }, took);
    }

    /// A step that ran tests. Ignored ones are for the caller to judge.
    pub fn tests(&mut self, name: &str, said: &Said, took: Duration) {
        self.passed += said.passed;
        self.failed += said.failed;
        self.note(name, &format!("{} passed, {} failed", said.passed, said.failed), took);
    }

    /// Something that did not run.
    pub fn skip(&mut self, count: u32, reason: &str) {
        if count > 0 {
            *self.skipped.entry(reason.to_owned()).or_default() += count;
        }
    }

    /// Did nothing fail?
    pub fn is_good(&self) -> bool {
        self.failed == 0
    }

    fn note(&mut self, name: &str, result: &str, took: Duration) {
        self.steps.push(format!("{name:<28} {result:<24} {:>5} s", took.as_secs()));
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { passed, failed, skipped, steps } = self;
        for step in steps {
            writeln!(f, "{step}")?;
        }
        for (reason, count) in skipped {
            writeln!(f, "skipped {count}: {reason}")?;
        }
        writeln!(f, "{passed} passed, {failed} failed, {} skipped", skipped.values().sum::<u32>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_programs_are_understood() {
        let mut said = Said::default();
        for line in [
            "running 3 tests",
            "test a::b ... ok",
            "test a::c ... ignored, needs root: cargo xtask test runs it",
            "test a::d ... ignored",
            "test result: FAILED. 12 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.05s",
            "test result: ok. 7 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            "test result: nonsense",
            "test without an end",
        ] {
            said.hear(line);
        }
        let ignored = [("a::c", "needs root: cargo xtask test runs it"), ("a::d", "no reason given")];
        let ignored = ignored.map(|(name, reason)| (name.to_owned(), reason.to_owned())).to_vec();
        assert_eq!(said, Said { passed: 19, failed: 1, ignored, is_running: false });
    }

    #[test]
    fn a_program_that_dies_in_a_test_is_a_failure() {
        let mut said = Said::default();
        for line in
            ["running 3 tests", "test a ... ok", "running 1 test", "test result: ok. 1 passed; 0 failed"]
        {
            said.hear(line);
        }
        said.end_of_program();
        assert_eq!((said.passed, said.failed), (1, 1));
        said.hear("running 1 test");
        said.end_of_program();
        assert_eq!((said.passed, said.failed), (1, 2));
        said.hear("running out of time for a test");
        said.end_of_program();
        assert_eq!(said.failed, 2);
    }

    #[test]
    fn the_last_line_is_the_sum() {
        let mut tally = Tally::default();
        let second = Duration::from_secs(1);
        tally.step("format", true, second);
        tally.tests("tests", &Said { passed: 5, ..Said::default() }, second);
        tally.skip(2, "no root");
        tally.skip(1, "no root");
        tally.skip(0, "never");
        assert!(tally.is_good());
        tally.step("clippy", false, second);
        assert!(!tally.is_good());
        let text = tally.to_string();
        assert!(text.ends_with("skipped 3: no root\n6 passed, 1 failed, 3 skipped\n"), "{text}");
    }
}
