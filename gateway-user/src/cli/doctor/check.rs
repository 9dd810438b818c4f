//! What a check says.

use serde::Serialize;

/// How a check ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    /// As it should be.
    Ok,
    /// Counting works; some numbers or some speed are lost.
    Warning,
    /// Counting does not work.
    Problem,
    /// Could not be found out, and counting does not hang on it.
    Unknown,
}

impl Verdict {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Problem => "problem",
            Self::Unknown => "unknown",
        }
    }
}

/// One question, answered.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(super) struct Check {
    /// What was asked, in a word.
    pub(super) name: &'static str,
    /// The answer in short.
    pub(super) verdict: Verdict,
    /// What was found.
    pub(super) finding: String,
    /// What to do about it.
    pub(super) remedy: Option<String>,
}

impl Check {
    pub(super) fn ok(name: &'static str, finding: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Ok, finding: finding.into(), remedy: None }
    }

    pub(super) fn unknown(name: &'static str, finding: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Unknown, finding: finding.into(), remedy: None }
    }

    pub(super) fn warning(name: &'static str, finding: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Warning, finding: finding.into(), remedy: Some(remedy.into()) }
    }

    pub(super) fn problem(name: &'static str, finding: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Problem, finding: finding.into(), remedy: Some(remedy.into()) }
    }
}
