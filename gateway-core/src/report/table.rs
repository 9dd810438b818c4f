//! Plain columns for a terminal: aligned, cut to its width, harmless.
//!
//! Text from outside (hostnames, organisations) passes through [`clean`]: no control character reaches a terminal.

use core::fmt::Write;

/// How a column lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Align {
    /// Text. Never cut.
    Left,
    /// Numbers. Never cut.
    Right,
    /// Text that may be cut, down to this many cells, when the terminal is narrow.
    Cut(usize),
}

/// One line under the head.
#[derive(Clone, Debug)]
enum Line {
    Cells(Vec<String>),
    Note(String),
}

/// A table in the making.
#[derive(Clone, Debug)]
pub struct Table {
    head: Vec<(&'static str, Align)>,
    lines: Vec<Line>,
}

const BETWEEN: usize = 2;

impl Table {
    /// A table with these columns.
    #[must_use]
    pub fn new(head: &[(&'static str, Align)]) -> Self {
        Self { head: head.to_vec(), lines: Vec::new() }
    }

    /// Adds a line, one text per column.
    pub fn push(&mut self, cells: Vec<String>) {
        self.lines.push(Line::Cells(cells.iter().map(|cell| clean(cell)).collect()));
    }

    /// Adds a remark below the last line, across the columns.
    pub fn note(&mut self, text: &str) {
        self.lines.push(Line::Note(clean(text)));
    }

    /// Has it no lines?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Writes it, each line after `indent` spaces; `width` is the terminal's, `None` for as wide as it needs.
    #[must_use]
    pub fn render(&self, indent: usize, width: Option<usize>, paint: Paint) -> String {
        let widths = self.widths(width.map(|w| w.saturating_sub(indent)));
        let margin = " ".repeat(indent);
        let head: Vec<_> = self.head.iter().map(|(title, _)| (*title).to_owned()).collect();
        let mut out = String::new();
        let mut put = |line: &str, style: Style| {
            let line = line.trim_end();
            let _ = writeln!(out, "{margin}{}", paint.styled(line, style));
        };
        put(&self.line(&head, &widths), Style::Dim);
        for line in &self.lines {
            match line {
                Line::Cells(cells) => put(&self.line(cells, &widths), Style::Plain),
                Line::Note(text) => put(&format!("  {text}"), Style::Dim),
            }
        }
        out
    }

    fn line(&self, cells: &[String], widths: &[usize]) -> String {
        let mut line = String::new();
        for (((_, align), cell), width) in self.head.iter().zip(cells).zip(widths) {
            let cell = cut(cell, *width);
            let padding = " ".repeat(width.saturating_sub(cells_of(&cell)));
            match align {
                Align::Right => line.push_str(&padding),
                Align::Left | Align::Cut(_) => {}
            }
            line.push_str(&cell);
            if *align != Align::Right {
                line.push_str(&padding);
            }
            line.push_str(&" ".repeat(BETWEEN));
        }
        line
    }

    /// What each column gets: what its widest text needs, less what must be saved in columns that may be cut, the
    /// widest first.
    fn widths(&self, width: Option<usize>) -> Vec<usize> {
        let mut widths: Vec<_> = self.head.iter().map(|(title, _)| cells_of(title)).collect();
        for line in &self.lines {
            let Line::Cells(cells) = line else { continue };
            for (width, cell) in widths.iter_mut().zip(cells) {
                *width = (*width).max(cells_of(cell));
            }
        }
        let Some(limit) = width else { return widths };
        let needed =
            |widths: &[usize]| widths.iter().sum::<usize>() + BETWEEN * widths.len().saturating_sub(1);
        while needed(&widths) > limit {
            let widest = widths
                .iter_mut()
                .zip(&self.head)
                .filter(|(width, (_, align))| matches!(align, Align::Cut(least) if **width > *least))
                .max_by_key(|(width, _)| **width);
            let Some((width, _)) = widest else { break };
            *width -= 1;
        }
        widths
    }
}

/// Whether to use the terminal's bold and faint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Paint {
    /// Text alone.
    Plain,
    /// SGR sequences (ECMA-48 §8.3.117).
    Ansi,
}

/// How a piece of text stands out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Style {
    /// It does not.
    Plain,
    /// Bold.
    Bold,
    /// Faint.
    Dim,
}

impl Paint {
    /// The text in a style, if styles are wanted.
    #[must_use]
    pub fn styled(self, text: &str, style: Style) -> String {
        match (self, style) {
            (Self::Plain, _) | (_, Style::Plain) => text.to_owned(),
            (Self::Ansi, Style::Bold) => format!("\x1b[1m{text}\x1b[0m"),
            (Self::Ansi, Style::Dim) => format!("\x1b[2m{text}\x1b[0m"),
        }
    }
}

/// The text without control characters and without those that turn the direction of writing: each becomes U+FFFD.
#[must_use]
pub fn clean(text: &str) -> String {
    let is_harmful = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if is_harmful(c) { '\u{fffd}' } else { c }).collect()
}

/// How many cells of a terminal a text takes: two for East Asian wide characters and pictures, none for what joins
/// the character before (an approximation of Unicode Annex 11 by blocks).
#[must_use]
pub fn cells_of(text: &str) -> usize {
    text.chars().map(cells_of_char).sum()
}

fn cells_of_char(c: char) -> usize {
    match u32::from(c) {
        0x0300..=0x036f | 0x200b..=0x200d | 0xfe00..=0xfe0f => 0,
        0x1100..=0x115f
        | 0x2e80..=0xa4cf
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f
        | 0xff00..=0xff60
        | 0xffe0..=0xffe6
        | 0x1f300..=0x1faff
        | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

/// The text in lines of at most `width` cells, broken between words; a word that is wider than that stays whole.
#[must_use]
pub fn wrapped(text: &str, width: Option<usize>) -> Vec<String> {
    let Some(width) = width else { return vec![text.to_owned()] };
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        if !line.is_empty() && cells_of(&line) + 1 + cells_of(word) > width {
            lines.push(core::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}

/// The text in at most `width` cells, with an ellipsis where something is gone.
fn cut(text: &str, width: usize) -> String {
    if cells_of(text) <= width {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut used = 1;
    for c in text.chars() {
        used += cells_of_char(c);
        if used > width {
            break;
        }
        kept.push(c);
    }
    kept.push('…');
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&[("name", Align::Cut(6)), ("up", Align::Right)]);
        table.push(vec!["data.mistat.xiaomi.com".into(), "1.0 kB".into()]);
        table.push(vec!["红米手机".into(), "12 B".into()]);
        table.note("a\x1b[31m remark");
        table
    }

    #[test]
    fn columns_line_up() {
        let expected = "  name                        up\n  data.mistat.xiaomi.com  1.0 kB\n  红米手机                  12 B\n    a\u{fffd}[31m remark\n";
        assert_eq!(table().render(2, None, Paint::Plain), expected);
    }

    #[test]
    fn a_narrow_terminal_cuts_what_may_be_cut() {
        let expected = "name         up\ndata.m…  1.0 kB\n红米手…    12 B\n  a\u{fffd}[31m remark\n";
        assert_eq!(table().render(0, Some(15), Paint::Plain), expected);
        // Narrower than the least: numbers stay whole.
        assert!(table().render(0, Some(3), Paint::Plain).contains("data.…  1.0 kB"));
    }

    #[test]
    fn a_long_text_is_broken_between_words() {
        let text = "a name of 红米手机 is data.mistat.xiaomi.com here";
        assert_eq!(wrapped(text, None), [text]);
        let lines = ["a name of", "红米手机 is", "data.mistat.xiaomi.com", "here"];
        assert_eq!(wrapped(text, Some(11)), lines);
        assert_eq!(wrapped(text, Some(12)), ["a name of", "红米手机 is", "data.mistat.xiaomi.com", "here"]);
        assert_eq!(wrapped(text, Some(99)), [text]);
        assert_eq!(wrapped("", Some(9)), [""]);
        assert_eq!(wrapped("a b", Some(0)), ["a", "b"]);
    }

    #[test]
    fn styles_are_only_for_terminals() {
        assert!(!table().render(0, None, Paint::Plain).contains('\x1b'));
        assert!(table().render(0, None, Paint::Ansi).starts_with("\x1b[2mname"));
    }

    #[test]
    fn nothing_harmful_is_left() {
        assert_eq!(clean("a\u{202e}b\x07\u{9b}é"), "a\u{fffd}b\u{fffd}\u{fffd}é");
    }
}
