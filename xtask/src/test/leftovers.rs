//! What tests that died left in the kernel: network namespaces and pinned maps whose maker is gone.

use anyhow::{Context as _, Result};
use std::fs;
use std::path::Path;
use xtask::{lab, tool};

/// How the names begin that tests and benches give, each ending in the maker's process id: directory and prefixes.
const NAMES: [(&str, &[&str]); 3] = [
    ("/run/netns", &["ttl-"]),
    ("/etc/netns", &["ttl-"]),
    ("/sys/fs/bpf", &["telltale-test-", "telltale-bench-"]),
];

/// Removes what is left of dead runs, of the lab too.
///
/// # Errors
/// If something cannot be removed.
pub fn remove() -> Result<()> {
    lab::run::clean_leftovers()?;
    for (directory, prefixes) in NAMES {
        for name in names_in(directory) {
            let is_ours = prefixes.iter().any(|prefix| name.starts_with(prefix));
            if !(is_ours && maker_of(&name).is_some_and(is_dead)) {
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

fn maker_of(name: &str) -> Option<u32> {
    name.rsplit('-').next()?.parse().ok()
}

fn is_dead(pid: u32) -> bool {
    !Path::new("/proc").join(pid.to_string()).exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_maker_is_at_the_end_of_the_name() {
        assert_eq!(maker_of("ttl-links-ports-123"), Some(123));
        assert_eq!(maker_of("telltale-test-7"), Some(7));
        for other in ["telltale-test-", "ttl-links-a", ""] {
            assert_eq!(maker_of(other), None, "{other}");
        }
        assert!(!is_dead(std::process::id()));
    }
}
