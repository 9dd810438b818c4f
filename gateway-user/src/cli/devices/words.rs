//! What is known of a device, in words for people.

use super::known::Known;
use gateway_core::enrich::kind::{Confidence, Shared, Verdict};

/// What it is, as short as a column: `Redmi Note 8, phone (certain)`, `perhaps a phone`, `several devices`.
pub fn what(known: &Known) -> String {
    if let Some(shared) = known.shared.as_ref().filter(|shared| shared.confidence > Confidence::Hint) {
        return format!("{} or more devices ({})", shared.at_least, shared.confidence.word());
    }
    known.verdict.as_ref().map_or_else(|| "-".to_owned(), verdict)
}

/// A verdict: a hint is never said as a fact.
pub fn verdict(verdict: &Verdict) -> String {
    let Verdict { kind, make, model, confidence, because: _ } = verdict;
    let made = match (make, model) {
        (Some(make), Some(model)) if !model.starts_with(make) => Some(format!("{make} {model}")),
        (_, Some(model)) => Some(model.clone()),
        (make, None) => make.map(str::to_owned),
    };
    let kind = kind.map(|kind| kind.words());
    let words = match (made, kind) {
        (Some(made), Some(kind)) => format!("{made}, {kind}"),
        (Some(made), None) => format!("made by {made}"),
        (None, Some(kind)) => kind.to_owned(),
        (None, None) => return "not clear: the signs disagree".to_owned(),
    };
    match confidence {
        Confidence::Hint => format!("perhaps {words}"),
        sure => format!("{words} ({})", sure.word()),
    }
}

/// Where a hostname is from.
pub fn source(source: &str) -> &str {
    match source {
        "dhcp" => "DHCP",
        "mdns" => "mDNS",
        "llmnr" => "LLMNR",
        other => other,
    }
}

/// That several devices are behind it.
pub fn shared(shared: &Shared) -> String {
    let Shared { at_least, confidence, because: _ } = shared;
    match confidence {
        Confidence::Hint => format!("perhaps {at_least} devices speak through it"),
        sure => format!("{at_least} or more devices speak through it ({})", sure.word()),
    }
}

/// With a capital letter, to begin a sentence.
pub fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
