//! Where the truth itself errs: a list with the proof for each, applied to a copy of the truth.

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// One per line; `why` says what the bytes of the capture prove.
const CORRECTIONS: &str = include_str!("../../corpus/corrections.jsonl");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Correction {
    /// The capture.
    pcap: String,
    /// The truth's key of the conversation.
    key: String,
    /// Fields in place of those of the truth; `null` takes the conversation out.
    set: Option<Map<String, Value>>,
    /// The proof.
    why: String,
}

/// Copies the truth, corrected. Returns how many corrections there are.
///
/// # Errors
/// If a file cannot be read or written, or a correction fits nothing.
pub fn apply(truth: &Path, corrected: &Path) -> Result<usize> {
    let mut corrections: BTreeMap<String, Vec<Correction>> = BTreeMap::new();
    for correction in read(CORRECTIONS)? {
        corrections.entry(correction.pcap.clone()).or_default().push(correction);
    }
    let count = corrections.values().map(Vec::len).sum();
    if corrected.exists() {
        fs::remove_dir_all(corrected).with_context(|| format!("remove {}", corrected.display()))?;
    }
    fs::create_dir_all(corrected).with_context(|| format!("make {}", corrected.display()))?;
    for entry in fs::read_dir(truth).with_context(|| format!("list {}", truth.display()))? {
        let path = entry?.path();
        let (Some(stem), Some("jsonl")) =
            (path.file_stem().and_then(|s| s.to_str()), path.extension().and_then(|e| e.to_str()))
        else {
            continue;
        };
        let mut text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        for correction in corrections.remove(stem).unwrap_or_default() {
            text = correct(&text, &correction)?;
        }
        let copy = corrected.join(format!("{stem}.jsonl"));
        fs::write(&copy, text).with_context(|| format!("write {}", copy.display()))?;
    }
    // Another edition of the corpus may lack a capture; there is nothing to correct then.
    Ok(count)
}

fn read(text: &str) -> Result<Vec<Correction>> {
    let line = |line| serde_json::from_str(line).with_context(|| format!("read the correction {line}"));
    let corrections: Vec<Correction> = text.lines().map(line).collect::<Result<_>>()?;
    for correction in &corrections {
        ensure!(!correction.why.is_empty(), "a correction of {} gives no proof", correction.pcap);
    }
    Ok(corrections)
}

/// The lines of one capture with one of them corrected.
fn correct(text: &str, correction: &Correction) -> Result<String> {
    let (mut corrected, mut is_found) = (String::new(), false);
    for line in text.lines() {
        let mut flow: Map<String, Value> =
            serde_json::from_str(line).with_context(|| format!("read the truth of {}", correction.pcap))?;
        if flow.get("key").and_then(Value::as_str) != Some(&correction.key) {
            corrected.push_str(line);
            corrected.push('\n');
            continue;
        }
        is_found = true;
        if let Some(set) = &correction.set {
            flow.extend(set.clone());
            corrected.push_str(&serde_json::to_string(&flow)?);
            corrected.push('\n');
        }
    }
    ensure!(is_found, "correct the truth of {}: it has no {}", correction.pcap, correction.key);
    Ok(corrected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_correction_changes_one_line_or_takes_it_out() {
        let text = "{\"key\":\"a\",\"n\":1}\n{\"key\":\"b\",\"n\":2}\n";
        let correction = |key: &str, set: &str| {
            let line = format!("{{\"pcap\":\"p\",\"key\":\"{key}\",\"set\":{set},\"why\":\"seen\"}}");
            read(&line).expect("a correction").remove(0)
        };
        let changed = correct(text, &correction("b", "{\"n\":3}")).expect("it is there");
        assert_eq!(changed, "{\"key\":\"a\",\"n\":1}\n{\"key\":\"b\",\"n\":3}\n");
        let removed = correct(text, &correction("a", "null")).expect("it is there");
        assert_eq!(removed, "{\"key\":\"b\",\"n\":2}\n");
        assert!(correct(text, &correction("c", "null")).is_err());
        assert!(read("{\"pcap\":\"p\",\"key\":\"a\",\"set\":null,\"why\":\"\"}").is_err());
    }

    #[test]
    fn the_list_can_be_read() {
        assert!(read(CORRECTIONS).is_ok());
    }
}
