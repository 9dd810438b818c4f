//! Amounts as people read them. Decimal units: 1 kB is 1000 bytes.

const UNITS: [(u128, &str); 6] = [
    (1_000, "kB"),
    (1_000_000, "MB"),
    (1_000_000_000, "GB"),
    (1_000_000_000_000, "TB"),
    (1_000_000_000_000_000, "PB"),
    (1_000_000_000_000_000_000, "EB"),
];

/// Bytes with one decimal and the largest unit that leaves at least 1.0: `1.5 kB`. Below 1000, as they are.
#[must_use]
pub fn human_bytes(bytes: u64) -> String {
    if bytes < 1_000 {
        return format!("{bytes} B");
    }
    // Rounded first, so that 999 950 is 1.0 MB and not 1000.0 kB.
    let tenths = |unit: u128| (u128::from(bytes) * 10 + unit / 2) / unit;
    let fits = UNITS.into_iter().find(|(unit, _)| tenths(*unit) < 10_000);
    let (unit, word) = fits.unwrap_or((1_000_000_000_000_000_000, "EB"));
    format!("{}.{} {word}", tenths(unit) / 10, tenths(unit) % 10)
}

/// Bytes as asked for: exact, or for people.
#[must_use]
pub fn bytes(bytes: u64, is_exact: bool) -> String {
    if is_exact { bytes.to_string() } else { human_bytes(bytes) }
}

/// `part` of `whole` in percent with one decimal; a dash where there is no whole. What is there is never 0.0 %,
/// and what is not all is never 100.0 %.
#[must_use]
pub fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "-".to_owned();
    }
    let tenths = (u128::from(part) * 1_000 + u128::from(whole) / 2) / u128::from(whole);
    match tenths {
        0 if part > 0 => "<0.1 %".to_owned(),
        1_000 if part < whole => ">99.9 %".to_owned(),
        _ => format!("{}.{} %", tenths / 10, tenths % 10),
    }
}

/// A stretch of time in its two largest units: `2 h 3 min`.
#[must_use]
pub fn duration(ns: u64) -> String {
    let secs = ns / 1_000_000_000;
    let (days, hours, minutes) = (secs / 86_400, secs / 3_600 % 24, secs / 60 % 60);
    let units = [(days, "d"), (hours, "h"), (minutes, "min"), (secs % 60, "s")];
    let first = units.iter().position(|(n, _)| *n > 0).unwrap_or(3);
    let said =
        units.iter().skip(first).take(2).filter(|(n, _)| *n > 0).map(|(n, unit)| format!("{n} {unit}"));
    let said: Vec<_> = said.collect();
    if said.is_empty() { "less than 1 s".to_owned() } else { said.join(" ") }
}

/// `1 device`, `2 devices`.
#[must_use]
pub fn several(count: usize, one: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_for_people() {
        for (bytes, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.0 kB"),
            (1_549, "1.5 kB"),
            (999_949, "999.9 kB"),
            (999_950, "1.0 MB"),
            (u64::MAX, "18.4 EB"),
        ] {
            assert_eq!(human_bytes(bytes), text);
        }
    }

    #[test]
    fn shares_do_not_claim_too_much() {
        for (part, whole, text) in [
            (0, 0, "-"),
            (0, 5, "0.0 %"),
            (1, 1_000_000, "<0.1 %"),
            (999_999, 1_000_000, ">99.9 %"),
            (5, 5, "100.0 %"),
            (1, 3, "33.3 %"),
            (u64::MAX, u64::MAX, "100.0 %"),
        ] {
            assert_eq!(percent(part, whole), text);
        }
    }

    #[test]
    fn durations_have_two_units() {
        for (secs, text) in [
            (0, "less than 1 s"),
            (59, "59 s"),
            (60, "1 min"),
            (7_384, "2 h 3 min"),
            (86_400, "1 d"),
            (86_399, "23 h 59 min"),
        ] {
            assert_eq!(duration(secs * 1_000_000_000), text);
        }
    }
}
