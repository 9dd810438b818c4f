//! What tests that died left in the kernel: network namespaces and pinned maps whose maker is gone.

use anyhow::{Context as _, Result};
use std::fs;
use std::path::Path;
use xtask::{lab, tool};

/// Where tests and benches leave something, and a word that each of its names has, besides the maker's process id.
const NAMES: [(&str, &[&str]); 3] = [
    ("/run/netns", &["ttl", "ttc"]),
    ("/etc/netns", &["ttl", "ttc"]),
    ("/sys/fs/bpf", &["test", "bench", "crash"]),
];

/// Removes what is left of dead runs, of the lab too.
///
/// # Errors
/// If something cannot be removed.
pub fn remove() -> Result<()> {
    lab::run::clean_leftovers()?;
    for (directory, words) in NAMES {
        for name in names_in(directory) {
            if !maker_of(&name, words).is_some_and(is_dead) {
                continue;
            }
            let path = Path::new(directory).join(&name);
            if directory == "/run/netns" {
                tool::run(&mut tool::command("ip", ["netns", "delete", &name]))?;
            } else {
                fs::remove_dir_all(&path).with_context(|| format!("remove {}", path.display()))?;
            }
        }
    }
    Ok(())
}

fn names_in(directory: &str) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

/// The first number in a name of ours, as in `ttl-links-ports-123` or `telltale-123-crash-4`.
fn maker_of(name: &str, words: &[&str]) -> Option<u32> {
    let is_ours = ["telltale-", "ttl-", "ttc-"].iter().any(|prefix| name.starts_with(prefix));
    let mut parts = name.split('-');
    (is_ours && parts.clone().any(|part| words.contains(&part))).then_some(())?;
    parts.find_map(|part| part.parse().ok())
}

fn is_dead(pid: u32) -> bool {
    !Path::new("/proc").join(pid.to_string()).exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_maker_is_the_first_number() {
        let [(_, namespaces), _, (_, pins)] = NAMES;
        assert_eq!(maker_of("ttl-links-ports-123", namespaces), Some(123));
        assert_eq!(maker_of("ttc-123-4-d0", namespaces), Some(123));
        assert_eq!(maker_of("telltale-test-7", pins), Some(7));
        assert_eq!(maker_of("telltale-7-crash-11", pins), Some(7));
        for other in ["telltale", "telltale-2024", "telltale-test-", "test-7", "ttl-test-a", ""] {
            assert_eq!(maker_of(other, pins), None, "{other}");
        }
        assert!(!is_dead(std::process::id()));
    }
}
