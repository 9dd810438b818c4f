//! A summary as one HTML file: no script, nothing fetched, pictures inline with a table beside each. Names come from
//! packets of strangers: all text goes through [`escaped`].

mod charts;
mod page;
mod sankey;

pub use page::html;

use super::model::{DeviceSummary, OwnerGroup};
use super::words::owner_words;
use crate::report::table::clean;

/// So many owners have a colour of their own; the others share the last.
const COLOURED: usize = 5;

/// Text that HTML shows as it is, in an element or a quoted attribute.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in clean(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(c),
        }
    }
    out
}

/// Owners as the pictures show them: the largest each by itself, then the others together.
fn shown(device: &DeviceSummary) -> Vec<(String, Vec<&OwnerGroup>)> {
    let (own, rest) = device.owners.split_at(device.owners.len().min(COLOURED));
    let mut shown: Vec<_> = own.iter().map(|group| (owner_words(group), vec![group])).collect();
    if !rest.is_empty() {
        shown.push((format!("{} more owners", rest.len()), rest.iter().collect()));
    }
    shown
}

/// `part` of `whole`, in pixels of `size`.
fn scaled(part: u64, whole: u64, size: u64) -> u64 {
    u64::try_from(u128::from(part) * u128::from(size) / u128::from(whole.max(1))).unwrap_or(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_is_markup() {
        assert_eq!(escaped("<a href=\"x\" b='&'>"), "&lt;a href=&quot;x&quot; b=&#39;&amp;&#39;&gt;");
        assert_eq!(escaped("a\u{202e}b\x1b"), "a\u{fffd}b\u{fffd}");
    }

    #[test]
    fn scales_do_not_overflow() {
        assert_eq!((scaled(u64::MAX, u64::MAX, 100), scaled(1, 0, 100), scaled(1, 4, 100)), (100, 100, 25));
    }
}
