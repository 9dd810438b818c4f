//! Comma-separated values (RFC 4180), with line ends as Unix has them.
//!
//! A spreadsheet takes a cell that begins with `=`, `+`, `-` or `@` for a formula, and devices choose their own
//! hostnames. Such a cell gets a `'` in front, which spreadsheets do not show. No number here has a sign, so that only
//! text can begin so.

use std::io::Write;

/// Writes one line.
///
/// # Errors
/// If the output cannot be written.
pub fn line(out: &mut dyn Write, fields: &[String]) -> std::io::Result<()> {
    let fields: Vec<_> = fields.iter().map(|field| quoted(field)).collect();
    writeln!(out, "{}", fields.join(","))
}

/// What makes a cell a formula, at its beginning; a tab or line end is skipped by some before they look.
const FORMULA_STARTS: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

fn quoted(field: &str) -> String {
    let text_mark = if field.starts_with(FORMULA_STARTS) { "'" } else { "" };
    let field = &format!("{text_mark}{field}");
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

/// A field that may be empty.
pub fn maybe(value: Option<impl ToString>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_quotes_gets_them() {
        let mut out = Vec::new();
        let fields = ["a", "b,c", "say \"hi\"", "two\nlines", ""].map(str::to_owned);
        line(&mut out, &fields).expect("memory takes it");
        assert_eq!(String::from_utf8_lossy(&out), "a,\"b,c\",\"say \"\"hi\"\"\",\"two\nlines\",\n");
    }

    #[test]
    fn text_is_no_formula() {
        let mut out = Vec::new();
        let fields = ["=1+1", "+1", "-1", "@A1", "=HYPERLINK(\"x\")", "a=1", "12"].map(str::to_owned);
        line(&mut out, &fields).expect("memory takes it");
        let expected = "'=1+1,'+1,'-1,'@A1,\"'=HYPERLINK(\"\"x\"\")\",a=1,12\n";
        assert_eq!(String::from_utf8_lossy(&out), expected);
    }
}
