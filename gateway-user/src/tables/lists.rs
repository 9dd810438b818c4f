//! The user's lists, from their files.

use crate::config::ListConfig;
use gateway_core::enrich::envelope::TableDate;
use gateway_core::enrich::lists::{ListCounts, ListHead, MAX_LIST_LEN, MAX_LIST_NAMES, NameList};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// Every list that can be read, with a line on each; a warning for every one that cannot.
pub(super) fn load(configs: &[ListConfig], warnings: &mut Vec<String>) -> (Vec<NameList>, Vec<String>) {
    let (mut lists, mut notes) = (Vec::new(), Vec::new());
    let mut room = MAX_LIST_NAMES;
    for config in configs {
        match open(config, room) {
            Ok(list) => {
                room = room.saturating_sub(list.name_count());
                warnings.extend(warning(&list));
                notes.push(note(&list));
                lists.push(list);
            }
            Err(error) => {
                let (name, path) = (&config.name, config.path.display());
                warnings.push(format!("leave out the list {name:?}, {path}: {error:#}"));
            }
        }
    }
    (lists, notes)
}

fn open(config: &ListConfig, max_names: usize) -> anyhow::Result<NameList> {
    let ListConfig { path, name, date, format } = config;
    let mut file = File::open(path)?;
    let date = match date {
        Some(date) => *date,
        None => day_of(file.metadata()?.modified()?),
    };
    let mut bytes = Vec::new();
    // One more than is allowed, so that the reader refuses it and says why.
    let most = u64::try_from(MAX_LIST_LEN).unwrap_or(u64::MAX).saturating_add(1);
    file.by_ref().take(most).read_to_end(&mut bytes)?;
    let head = ListHead { name: name.clone(), place: shown(path), date, format: *format };
    Ok(NameList::parse(head, &bytes, max_names)?)
}

/// A path as text that can be printed anywhere.
fn shown(path: &Path) -> String {
    path.to_string_lossy().chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn day_of(changed: SystemTime) -> TableDate {
    const DAY_SECS: u64 = 86_400;
    let secs = changed.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    TableDate(u32::try_from(secs / DAY_SECS).unwrap_or(u32::MAX))
}

fn note(list: &NameList) -> String {
    let (name, date, format) = (list.name(), list.date(), list.format().word());
    let ignored = list.counts().ignored;
    format!("list {name:?} of {date}: {} names ({format}), {ignored} rules of other kinds", list.name_count())
}

/// Where something of a list is lost.
fn warning(list: &NameList) -> Option<String> {
    let ListCounts { ignored: _, bad, first_bad, dropped } = list.counts();
    let mut parts = Vec::new();
    if let Some(first) = first_bad {
        parts.push(format!("{bad} entries are not understood, the first is number {first}"));
    }
    if dropped > 0 {
        parts.push(format!("{dropped} names are dropped, all lists together may have {MAX_LIST_NAMES}"));
    }
    (!parts.is_empty()).then(|| format!("of the list {:?} {}", list.name(), parts.join("; ")))
}
