//! The embedded table of public suffixes against another program's: the crate `psl`, whose list is compiled into code.
//!
//! The two lists are of different days. A rule that only one of them has shows in the answers for its name and the
//! names around it, so those few rules are counted and bounded; with every other rule both must agree. One kind of
//! name is left out: where `*.above` and `*.x.above` are rules, `x.above` is a suffix by the first, and `psl`, which
//! sees only the second, goes on to what is above.
#![cfg(any(feature = "tables-full", feature = "tables-small"))]

use gateway_core::enrich::suffixes::{RuleKind, Section, Suffix, SuffixTable};
use gateway_core::units::DomainName;
use gateway_user::tables::owners;
use std::collections::BTreeSet;

/// Rules that may differ. A newer list or a newer `psl` may need more for a while: some hundred change in a month.
const MAX_DIFFERENT: usize = 3;

/// Labels that stand before, within and in place of those of rules.
const LABELS: [&str; 8] = ["a", "www", "city", "xn--55qx5d", "co", "com", "github", "x-1"];

fn name(text: &str) -> DomainName {
    DomainName::parse(text).unwrap_or_else(|| panic!("{text} is no name"))
}

/// Suffix, registrable domain and section by ours and by the other; a name under no rule has no section.
fn answers(table: &SuffixTable, text: &str) -> [(String, Option<String>, Option<Section>); 2] {
    let name = name(text);
    let Suffix { text: suffix, section, registrable } = table.suffix_of(&name);
    let ours = (suffix.to_owned(), registrable.map(str::to_owned), section);
    let bytes = text.as_bytes();
    let utf8 = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("ASCII in, ASCII out");
    let theirs = psl::suffix(bytes).expect("every name has a suffix");
    let section = theirs.typ().map(|typ| match typ {
        psl::Type::Icann => Section::Icann,
        psl::Type::Private => Section::Private,
    });
    let registrable = psl::domain(bytes).map(|domain| utf8(domain.as_bytes()));
    [ours, (utf8(theirs.as_bytes()), registrable, section)]
}

#[test]
fn it_says_what_another_program_says_of_every_rule_and_of_names_around_it() {
    let tables = owners::embedded().expect("the embedded tables are sound");
    let table = tables.suffixes();
    let rules = table.rules();
    assert!(rules.len() > 9_000, "{}", rules.len());
    let wildcards: BTreeSet<&str> =
        rules.iter().filter(|rule| rule.kind == RuleKind::Wildcard).map(|rule| rule.name.as_str()).collect();
    let is_below_two = |text: &str| {
        wildcards.contains(text) && text.split_once('.').is_some_and(|(_, above)| wildcards.contains(above))
    };
    let mut different = BTreeSet::new();
    let mut asked = 0_u32;
    for rule in &rules {
        let bare = rule.name.as_str();
        let mut around =
            vec![bare.to_owned(), format!("a.{bare}"), format!("b.a.{bare}"), format!("c.b.a.{bare}")];
        if let Some((_, above)) = bare.split_once('.') {
            around.push(format!("zz9-none.{above}"));
            around.push(format!("a.zz9-none.{above}"));
        }
        around.extend(LABELS.map(|label| format!("{label}.{bare}")));
        around.retain(|text| DomainName::parse(text).is_some() && !is_below_two(text));
        for text in around {
            asked += 1;
            let [ours, theirs] = answers(table, &text);
            if ours != theirs {
                different.insert(bare.to_owned());
            }
        }
    }
    assert!(asked > 100_000, "{asked}");
    assert!(different.len() <= MAX_DIFFERENT, "{} of {}: {different:?}", different.len(), rules.len());
    // The rules of the few countries that have wildcards and exceptions are the ones to get wrong.
    let hard = rules.iter().filter(|rule| rule.kind != RuleKind::Exact && rule.section == Section::Icann);
    for rule in hard {
        assert!(!different.contains(rule.name.as_str()), "{rule:?}");
    }
}

#[test]
fn it_says_what_another_program_says_of_thousands_of_made_up_names() {
    let tables = owners::embedded().expect("the embedded tables are sound");
    let table = tables.suffixes();
    let endings: Vec<String> = table.rules().into_iter().map(|rule| rule.name.to_string()).collect();
    let mut state = 1_u64;
    let mut draw = |below: usize| {
        // SplitMix64.
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((z ^ (z >> 31)) % below as u64).expect("below a usize")
    };
    let (mut differ, mut asked) = (0, 0);
    for _ in 0..20_000 {
        let mut labels: Vec<&str> = (0..draw(4)).map(|_| LABELS[draw(LABELS.len())]).collect();
        // A part of a rule's name, so that names fall short of it as well as below it.
        let ending = endings[draw(endings.len())].as_str();
        let parts: Vec<&str> = ending.split('.').collect();
        labels.extend(&parts[draw(parts.len())..]);
        let text = labels.join(".");
        if DomainName::parse(&text).is_none() {
            continue;
        }
        asked += 1;
        let [ours, theirs] = answers(table, &text);
        differ += usize::from(ours != theirs);
    }
    // Each rule that one list lacks is met by chance only.
    assert!(asked > 15_000 && differ <= asked / 100, "{differ} of {asked}");
}
