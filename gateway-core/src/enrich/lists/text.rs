//! Lists of lines: hosts files, plain names, adblock rules.

use super::{ALL_BELOW, Gathered, ListFormat, NAME_ITSELF};
use crate::units::DomainName;
use core::net::IpAddr;

/// Lines that are looked at to tell one form from another.
const GUESS_LINES: usize = 200;

/// What a line comes to.
pub(super) enum Line<'a> {
    /// Nothing: a comment, or empty.
    Nothing,
    /// Names, and how much each covers.
    Names(Vec<(&'a str, u8)>),
    /// A rule that says nothing of a whole name.
    Ignored,
    /// Not of this form.
    Bad,
}

/// Reads every line by the rules of one form.
pub(super) fn read<'a>(bytes: &'a [u8], line_of: impl Fn(&'a str) -> Line<'a>, gathered: &mut Gathered) {
    let mut number = 0;
    let mut met = 0;
    for line in bytes.split(|&byte| byte == b'\n') {
        number += 1;
        let read = core::str::from_utf8(line).map_or(Line::Bad, |line| line_of(clean(line)));
        if matches!(read, Line::Nothing) {
            continue;
        }
        met += 1;
        gathered.lines = number;
        match read {
            Line::Nothing => {}
            Line::Ignored => gathered.counts.ignored += 1,
            Line::Bad => gathered.bad(),
            Line::Names(names) => {
                let mut is_bad = false;
                for (name, covers) in names {
                    match DomainName::parse(name).filter(is_of_the_world) {
                        Some(name) => gathered.name(&name, covers, 0),
                        None if is_own(name) => gathered.counts.ignored += 1,
                        None => is_bad = true,
                    }
                }
                if is_bad {
                    gathered.bad();
                }
            }
        }
    }
    gathered.lines = met;
}

/// The form that most of the first lines fit.
pub(super) fn guess(bytes: &[u8]) -> ListFormat {
    let start = bytes.trim_ascii_start();
    let start = start.strip_prefix("\u{feff}".as_bytes()).unwrap_or(start).trim_ascii_start();
    if start.starts_with(b"{") || (start.starts_with(b"[") && !start.starts_with(b"[Adblock")) {
        return ListFormat::Json;
    }
    let lines = || start.split(|&byte| byte == b'\n').filter_map(|line| core::str::from_utf8(line).ok());
    let fitting = |line_of: fn(&'_ str) -> Line<'_>| {
        let is_names = |line: &&str| match line_of(clean(line)) {
            Line::Names(names) => names.iter().all(|(name, _)| DomainName::parse(name).is_some()),
            _ => false,
        };
        lines()
            .filter(|line| !matches!(line_of(clean(line)), Line::Nothing))
            .take(GUESS_LINES)
            .filter(is_names)
            .count()
    };
    let forms = [
        // Of equals the last wins.
        (fitting(adblock), ListFormat::Adblock),
        (fitting(hosts), ListFormat::Hosts),
        (fitting(domains), ListFormat::Domains),
    ];
    forms.into_iter().max_by_key(|&(count, _)| count).map_or(ListFormat::Domains, |(_, format)| format)
}

/// `0.0.0.0 name name # comment`. Only addresses that lead nowhere make a list of a hosts file.
pub(super) fn hosts(line: &str) -> Line<'_> {
    let mut words = before(line, '#').split_ascii_whitespace();
    let Some(first) = words.next() else { return Line::Nothing };
    let Ok(addr) = first.parse::<IpAddr>() else { return Line::Bad };
    let names: Vec<_> = words.map(|name| (name, NAME_ITSELF)).collect();
    if names.is_empty() {
        return Line::Bad;
    }
    if addr.is_unspecified() || addr.is_loopback() { Line::Names(names) } else { Line::Ignored }
}

/// A name; `*.name` and `.name` cover it and all below.
pub(super) fn domains(line: &str) -> Line<'_> {
    let line = before(line, '#').trim_ascii();
    if line.is_empty() || line.starts_with(';') {
        return Line::Nothing;
    }
    let below = line.strip_prefix("*.").or_else(|| line.strip_prefix('.'));
    Line::Names(vec![below.map_or((line, NAME_ITSELF), |name| (name, NAME_ITSELF | ALL_BELOW))])
}

/// `||name^`. Whatever else there is depends on pages, options or other rules.
pub(super) fn adblock(line: &str) -> Line<'_> {
    if line.is_empty() || line.starts_with('!') || (line.starts_with('[') && line.ends_with(']')) {
        return Line::Nothing;
    }
    let name = line.strip_prefix("||").and_then(|rest| rest.strip_suffix('^').or(rest.strip_suffix("^|")));
    match name.filter(|name| DomainName::parse(name).is_some_and(|name| is_of_the_world(&name))) {
        Some(name) => Line::Names(vec![(name, NAME_ITSELF | ALL_BELOW)]),
        None => Line::Ignored,
    }
}

fn clean(line: &str) -> &str {
    line.trim_start_matches('\u{feff}').trim_ascii()
}

fn before(line: &str, mark: char) -> &str {
    line.split_once(mark).map_or(line, |(before, _)| before)
}

/// A name that may be somebody's elsewhere: it has a dot, and it is no address.
pub(super) fn is_of_the_world(name: &DomainName) -> bool {
    name.as_str().contains('.') && name.as_str().parse::<IpAddr>().is_err() && !is_own(name.as_str())
}

/// What hosts files begin with: names of the machine itself and of what is around it.
fn is_own(name: &str) -> bool {
    const OWN: [&str; 11] = [
        "localhost",
        "localhost.localdomain",
        "local",
        "broadcasthost",
        "ip6-localhost",
        "ip6-loopback",
        "ip6-localnet",
        "ip6-mcastprefix",
        "ip6-allnodes",
        "ip6-allrouters",
        "ip6-allhosts",
    ];
    name == "0.0.0.0" || OWN.iter().any(|own| name.eq_ignore_ascii_case(own))
}
