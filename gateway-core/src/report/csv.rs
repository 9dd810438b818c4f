//! Comma-separated values (RFC 4180), with line ends as Unix has them.
//!
//! A spreadsheet takes a cell that begins with `=`, `+`, `-` or `@` for a formula, and devices choose their own
//! hostnames. Such a cell gets a `'` in front, which spreadsheets do not show. No number here has a sign, so that only
//! text can begin so.

/// What makes a cell a formula, at its beginning; a tab or line end is skipped by some before they look.
const FORMULA_STARTS: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// One line, with its end.
#[must_use]
pub fn line<S: AsRef<str>>(fields: &[S]) -> String {
    let fields: Vec<_> = fields.iter().map(|field| quoted(field.as_ref())).collect();
    fields.join(",") + "\n"
}

fn quoted(field: &str) -> String {
    let text_mark = if field.starts_with(FORMULA_STARTS) { "'" } else { "" };
    let field = format!("{text_mark}{field}");
    if field.contains([',', '"', '\n', '\r']) { format!("\"{}\"", field.replace('"', "\"\"")) } else { field }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_quotes_gets_them() {
        let fields = ["a", "b,c", "say \"hi\"", "two\nlines", ""];
        assert_eq!(line(&fields), "a,\"b,c\",\"say \"\"hi\"\"\",\"two\nlines\",\n");
    }

    #[test]
    fn text_is_no_formula() {
        let fields = ["=1+1", "+1", "-1", "@A1", "\t=1", "=HYPERLINK(\"x\")", "a=1", "12"];
        assert_eq!(line(&fields), "'=1+1,'+1,'-1,'@A1,'\t=1,\"'=HYPERLINK(\"\"x\"\")\",a=1,12\n");
    }
}
