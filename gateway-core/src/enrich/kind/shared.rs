//! Whether several devices speak through one MAC address. A repeater that translates addresses puts its own in front
//! of everybody behind it; then what is known of "the device" is of all of them.

use super::Confidence;
use crate::units::WallTime;
use core::net::Ipv4Addr;

/// What is known of one MAC address.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SharedSigns {
    /// IPv4 addresses from which the DNS was asked through it, each with its first and last time.
    pub askers: Vec<(Ipv4Addr, WallTime, WallTime)>,
    /// What it called itself by DHCP, each with how often that became its name anew.
    pub hostnames: Vec<(String, u64)>,
}

/// Several devices behind one MAC address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shared {
    /// How many at least.
    pub at_least: usize,
    /// How sure that is.
    pub confidence: Confidence,
    /// Why, as parts of sentences.
    pub because: Vec<String>,
}

/// A device that moves to another address uses both for a moment; for this long it does not.
const MOVES_FOR_NS: i64 = 10 * 60 * 1_000_000_000;

/// From so many addresses in use at once on, there is no other explanation in a house.
const MANY_AT_ONCE: usize = 3;
/// From so many names on, renaming does not explain them.
const MANY_NAMES: usize = 3;

/// What the signs say; `None` if one device explains them.
#[must_use]
pub fn shared(signs: &SharedSigns) -> Option<Shared> {
    let SharedSigns { askers, hostnames } = signs;
    let at_once = at_once(askers);
    // A name that was given up and taken again is a second device's.
    let returning = hostnames.iter().filter(|(_, times)| *times > 1).count();
    let names = if hostnames.len() >= MANY_NAMES || returning > 1 { hostnames.len() } else { 1 };
    let mut because = Vec::new();
    if at_once > 1 {
        because.push(format!("{at_once} IPv4 addresses asked the DNS through it in the same time"));
    }
    if names > 1 {
        because.push(format!("it called itself {names} names by DHCP, by turns"));
    }
    let at_least = at_once.max(names);
    let confidence = match because.len() {
        0 => return None,
        _ if at_once >= MANY_AT_ONCE => Confidence::Certain,
        1 if at_once == 2 || names == 2 => Confidence::Hint,
        _ => Confidence::Likely,
    };
    Some(Shared { at_least, confidence, because })
}

/// The most addresses that were in use at one moment, moves aside.
fn at_once(askers: &[(Ipv4Addr, WallTime, WallTime)]) -> usize {
    let spans: Vec<(i64, i64)> = askers
        .iter()
        .map(|(_, first, last)| (first.0, last.0.saturating_sub(MOVES_FOR_NS)))
        .filter(|(first, last)| first < last)
        .collect();
    let holding = |at: i64| spans.iter().filter(|(first, last)| *first <= at && at < *last).count();
    spans.iter().map(|(first, _)| holding(*first)).max().unwrap_or(0)
}
