//! Comma-separated values on standard output, a line at a time.

use gateway_core::report::csv;
use std::io::Write;

/// Writes one line.
///
/// # Errors
/// If the output cannot be written.
pub fn line(out: &mut dyn Write, fields: &[String]) -> std::io::Result<()> {
    out.write_all(csv::line(fields).as_bytes())
}

/// A field that may be empty.
pub fn maybe(value: Option<impl ToString>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}
