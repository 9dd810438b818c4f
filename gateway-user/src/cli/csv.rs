//! Comma-separated values (RFC 4180), with line ends as Unix has them.

use std::io::Write;

/// Writes one line.
///
/// # Errors
/// If the output cannot be written.
pub fn line(out: &mut dyn Write, fields: &[String]) -> std::io::Result<()> {
    let fields: Vec<_> = fields.iter().map(|field| quoted(field)).collect();
    writeln!(out, "{}", fields.join(","))
}

fn quoted(field: &str) -> String {
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
}
