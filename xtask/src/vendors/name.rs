//! Names as people say them: `Xiaomi Communications Co Ltd` is Xiaomi Communications. A fifth of the registry's text
//! is legal forms.

/// Legal forms of companies, without points and in small letters, where they stand last.
const FORMS: &[&str] = &[
    "a/s",
    "ab",
    "ag",
    "aps",
    "as",
    "asa",
    "bhd",
    "bv",
    "bvba",
    "co",
    "company",
    "corp",
    "corporation",
    "doo",
    "ek",
    "gmbh",
    "inc",
    "incorporated",
    "jsc",
    "kft",
    "kg",
    "kk",
    "limited",
    "llc",
    "llp",
    "lp",
    "ltd",
    "ltda",
    "nv",
    "ooo",
    "oy",
    "oyj",
    "plc",
    "pte",
    "pty",
    "pvt",
    "sa",
    "sac",
    "sarl",
    "sas",
    "sdn",
    "sl",
    "slu",
    "spa",
    "sro",
    "srl",
    "zrt",
    "eood",
    "ltée",
    "cokg",
    "coltd",
];

/// What stands between a name and its legal form.
const MARKS: [char; 6] = [' ', ',', '.', '&', '-', ';'];

/// A name without its legal form and the marks before that.
pub(super) fn without_legal_form(name: &str) -> String {
    let mut name = name.split_whitespace().collect::<Vec<_>>().join(" ");
    loop {
        let bare = name.trim_end_matches(MARKS);
        let start = bare.rfind([' ', ',']).map_or(0, |at| at + 1);
        let (before, last) = bare.split_at(start);
        // "Co.,Ltd" and "Co.Ltd" stand without a space.
        let last: String = last.chars().filter(|c| !matches!(c, '.' | '(' | ')')).collect();
        let is_form = FORMS.contains(&last.to_lowercase().as_str());
        let before = before.trim_end_matches(MARKS);
        if !is_form || before.chars().count() < 2 {
            return closed(bare).to_owned();
        }
        name = before.to_owned();
    }
}

/// Without a bracket that was opened and not closed, which is left where a form stood in brackets.
fn closed(name: &str) -> &str {
    match name.rfind('(') {
        Some(at) if !name.get(at..).is_some_and(|rest| rest.contains(')')) => {
            name.get(..at).unwrap_or(name).trim_end()
        }
        _ => name,
    }
}
