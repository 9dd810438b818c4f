//! From hints to a verdict.

use super::{Because, Confidence, DeviceKind, Hint, Sign, Verdict};
use std::collections::{BTreeMap, BTreeSet};

/// What signs must be worth together for the greatest confidence, in halves of a weight.
const CERTAIN_SCORE: u32 = 14;
/// And from how many sorts. What one DHCP client says in two ways is one sort here: it is one program's habit.
const CERTAIN_SORTS: usize = 3;
/// The same for the middle one.
const LIKELY_SCORE: u32 = 6;
const LIKELY_SORTS: usize = 2;
/// A sign that only such devices have, and that no owner types, is enough for the middle confidence.
const ALONE: u32 = 3;

pub(super) fn judge(hints: Vec<Hint>) -> Option<Verdict> {
    let kind = best_kind(&hints);
    // What speaks against the kind does not name its maker.
    let make = make(hints.iter().filter(|hint| is_possible(hint, kind)));
    if hints.is_empty() {
        return None;
    }
    let is_against = |hint: &Hint| {
        let other_make = make.is_some_and(|make| !hint.makes.is_empty() && !hint.makes.contains(&make));
        other_make || !is_possible(hint, kind)
    };
    let against = hints.iter().filter(|hint| is_against(hint)).count();
    let confidence = kind.map_or_else(|| of_make(&hints), |kind| of_kind(&hints, kind));
    let confidence = match (confidence, against) {
        (confidence, 0) => confidence,
        (Confidence::Certain, 1) => Confidence::Likely,
        _ => Confidence::Hint,
    };
    // Two weak signs of which one tells the maker and the other the kind do not make one device of that maker and kind.
    let is_one_story = |make: &&str| {
        let tells_both =
            |hint: &Hint| hint.makes.contains(make) && kind.is_none_or(|kind| worth(hint, kind) > 0);
        confidence > Confidence::Hint || hints.iter().any(tells_both)
    };
    let make = make.filter(is_one_story);
    let of_that_make =
        |hint: &&Hint| make.is_some_and(|make| hint.makes.contains(&make)) && !is_against(hint);
    let model = hints.iter().filter(of_that_make).find_map(|hint| hint.model.clone());
    let because = |hint: &Hint| Because {
        sign: hint.sign,
        says: hint.says.clone(),
        source: hint.source,
        is_against: is_against(hint),
    };
    let mut because: Vec<Because> = hints.iter().map(because).collect();
    because.sort_by_key(|because| because.is_against);
    Some(Verdict { kind, make, model, confidence, because })
}

fn is_possible(hint: &Hint, kind: Option<DeviceKind>) -> bool {
    kind.is_none_or(|kind| hint.fits.is_empty() || hint.fits.contains(&kind))
}

/// What a hint is worth for a kind, in halves: whole for the usual one, half for the others that it fits.
fn worth(hint: &Hint, kind: DeviceKind) -> u32 {
    match hint.fits.iter().position(|fits| *fits == kind) {
        Some(0) => 2 * hint.weight,
        Some(_) => hint.weight,
        None => 0,
    }
}

/// The kind for which the signs are worth most; of equals none.
fn best_kind(hints: &[Hint]) -> Option<DeviceKind> {
    let score = |kind| hints.iter().map(|hint| worth(hint, kind)).sum::<u32>();
    let mut scores: Vec<(u32, DeviceKind)> = DeviceKind::ALL.map(|kind| (score(kind), kind)).to_vec();
    scores.sort_by_key(|(score, _)| core::cmp::Reverse(*score));
    match scores.as_slice() {
        [(best, kind), (second, _), ..] if best > second => Some(*kind),
        _ => None,
    }
}

/// The maker that most places speak for, each place once; none if another has as many.
fn make<'a>(hints: impl Iterator<Item = &'a Hint>) -> Option<&'static str> {
    let mut votes = BTreeMap::<&str, BTreeSet<Sign>>::new();
    for hint in hints {
        for make in hint.makes {
            votes.entry(make).or_default().insert(hint.sign);
        }
    }
    let mut votes: Vec<(usize, &'static str)> =
        votes.into_iter().map(|(make, signs)| (signs.len(), make)).collect();
    votes.sort_by_key(|(count, _)| core::cmp::Reverse(*count));
    match votes.as_slice() {
        [(_, make)] => Some(make),
        [(best, make), (second, _), ..] if best > second => Some(make),
        _ => None,
    }
}

fn of_kind(hints: &[Hint], kind: DeviceKind) -> Confidence {
    let score: u32 = hints.iter().map(|hint| worth(hint, kind)).sum();
    let speaks = |hint: &Hint| worth(hint, kind) > 0;
    let is_twice = hints.iter().any(|hint| speaks(hint) && hint.sign == Sign::VendorClass)
        && hints.iter().any(|hint| speaks(hint) && hint.sign == Sign::ParameterList);
    let sorts = sorts(hints, speaks);
    let alone =
        |hint: &Hint| hint.weight >= ALONE && hint.sign != Sign::Hostname && hint.fits.first() == Some(&kind);
    if score >= CERTAIN_SCORE && sorts - usize::from(is_twice) >= CERTAIN_SORTS {
        Confidence::Certain
    } else if score >= LIKELY_SCORE && (sorts >= LIKELY_SORTS || hints.iter().any(alone)) {
        Confidence::Likely
    } else {
        Confidence::Hint
    }
}

/// Without a kind the maker is all there is to be sure of.
fn of_make(hints: &[Hint]) -> Confidence {
    match sorts(hints, |hint| !hint.makes.is_empty()) {
        0 | 1 => Confidence::Hint,
        _ => Confidence::Likely,
    }
}

fn sorts(hints: &[Hint], speaks: impl Fn(&Hint) -> bool) -> usize {
    hints.iter().filter(|hint| speaks(hint)).map(|hint| hint.sign).collect::<BTreeSet<_>>().len()
}
