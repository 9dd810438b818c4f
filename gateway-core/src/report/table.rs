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
    /// A name: its column may be as narrow as this many cells. One that is wider has a line to itself, with the
    /// figures below, and is never cut.
    Name(usize),
    /// Text that may be cut, down to this many cells. Where even that is too wide, the last of these columns goes, and
    /// its texts stand in a faint line beneath, uncut.
    Beneath(usize),
}

impl Align {
    /// The cells that a column may be cut down to.
    const fn least(self) -> Option<usize> {
        match self {
            Self::Left | Self::Right => None,
            Self::Cut(least) | Self::Name(least) | Self::Beneath(least) => Some(least),
        }
    }
}

/// What a column gets: so many cells, or nothing where its texts go beneath.
type Width = Option<usize>;

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
        let room = width.map(|w| w.saturating_sub(indent));
        let widths = self.widths(room);
        let margin = " ".repeat(indent);
        let head: Vec<_> = self.head.iter().map(|(title, _)| (*title).to_owned()).collect();
        let mut out = String::new();
        let mut put = |line: &str, style: Style| {
            let line = line.trim_end();
            let _ = writeln!(out, "{margin}{}", paint.styled(line, style));
        };
        put(&self.line(&head, &widths), Style::Dim);
        // Remarks and what stands beneath are broken between words.
        let below = |text: &str, by: usize| -> Vec<String> {
            let lines = wrapped(text, room.map(|room| room.saturating_sub(by)));
            lines.iter().map(|line| format!("{}{line}", " ".repeat(by))).collect()
        };
        for line in &self.lines {
            match line {
                Line::Cells(cells) => {
                    let mut cells = cells.clone();
                    if let Some(name) = self.too_wide_name(&mut cells, &widths) {
                        put(&name, Style::Plain);
                    }
                    put(&self.line(&cells, &widths), Style::Plain);
                    let beneath = self.beneath(&cells, &widths);
                    if !beneath.is_empty() {
                        below(&beneath, 4).iter().for_each(|line| put(line, Style::Dim));
                    }
                }
                Line::Note(text) => below(text, 2).iter().for_each(|line| put(line, Style::Dim)),
            }
        }
        out
    }

    /// Takes the name out of its cell if it does not fit there.
    fn too_wide_name(&self, cells: &mut [String], widths: &[Width]) -> Option<String> {
        let mut columns = self.head.iter().zip(cells).zip(widths);
        let ((_, cell), _) = columns.find(|(((_, align), cell), width)| {
            matches!(align, Align::Name(_)) && width.is_some_and(|width| cells_of(cell) > width)
        })?;
        Some(core::mem::take(cell))
    }

    /// The texts whose columns are gone, each after its column's title.
    fn beneath(&self, cells: &[String], widths: &[Width]) -> String {
        let gone = self.head.iter().zip(cells).zip(widths).filter(|(_, width)| width.is_none());
        let said = gone.filter(|((_, cell), _)| !cell.is_empty() && *cell != "-");
        let said: Vec<_> = said.map(|(((title, _), cell), _)| format!("{title} {cell}")).collect();
        said.join("; ")
    }

    fn line(&self, cells: &[String], widths: &[Width]) -> String {
        let mut line = String::new();
        for (((_, align), cell), width) in self.head.iter().zip(cells).zip(widths) {
            let Some(width) = width else { continue };
            let cell = cut(cell, *width);
            let padding = " ".repeat(width.saturating_sub(cells_of(&cell)));
            if *align == Align::Right {
                line.push_str(&padding);
            }
            line.push_str(&cell);
            if *align != Align::Right {
                line.push_str(&padding);
            }
            line.push_str(&" ".repeat(BETWEEN));
        }
        line
    }

    /// What each column gets: what its widest text needs, less what must be saved. Columns go beneath, the last first,
    /// until the others fit with all that may be cut cut; then the widest are cut as far as is needed.
    fn widths(&self, room: Option<usize>) -> Vec<Width> {
        let mut widths: Vec<Width> = self.head.iter().map(|(title, _)| Some(cells_of(title))).collect();
        for line in &self.lines {
            let Line::Cells(cells) = line else { continue };
            for (width, cell) in widths.iter_mut().zip(cells) {
                *width = width.map(|width| width.max(cells_of(cell)));
            }
        }
        let Some(room) = room else { return widths };
        let least = |width: usize, align: Align| align.least().map_or(width, |least| width.min(least));
        let cut = |widths: &[Width]| -> Vec<Width> {
            let columns = widths.iter().zip(&self.head);
            columns.map(|(width, (_, align))| width.map(|width| least(width, *align))).collect()
        };
        while needed(&cut(&widths)) > room {
            let last = widths
                .iter_mut()
                .zip(&self.head)
                .rev()
                .find(|(width, (_, align))| width.is_some() && matches!(align, Align::Beneath(_)));
            let Some((width, _)) = last else { break };
            *width = None;
        }
        while needed(&widths) > room {
            let columns = widths.iter_mut().zip(&self.head).filter_map(|(width, (_, align))| {
                let width = width.as_mut()?;
                let is_name = matches!(align, Align::Name(_));
                (*width > least(*width, *align)).then_some((!is_name, width))
            });
            // Names last.
            let Some((_, width)) = columns.max_by_key(|(is_text, width)| (*is_text, **width)) else { break };
            *width -= 1;
        }
        widths
    }
}

/// The cells of a line with columns of these widths.
fn needed(widths: &[Width]) -> usize {
    let kept = widths.iter().flatten();
    kept.clone().sum::<usize>() + BETWEEN * kept.count().saturating_sub(1)
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

/// Lines broken between words where they are wider than `width`; what follows is two cells further in than its line.
#[must_use]
pub fn fitted(text: &str, width: Option<usize>) -> String {
    let Some(width) = width else { return text.to_owned() };
    let mut out = String::new();
    for line in text.lines() {
        if cells_of(line) <= width {
            out.push_str(line);
        } else {
            let said = line.trim_start_matches(' ');
            let margin = " ".repeat(line.len() - said.len());
            let parts = wrapped(said, Some(width.saturating_sub(margin.len() + 2)));
            let _ = write!(out, "{margin}{}", parts.join(&format!("\n{margin}  ")));
        }
        out.push('\n');
    }
    out
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
    fn columns_go_beneath_before_a_name_is_cut() {
        let mut table = Table::new(&[
            ("name", Align::Name(8)),
            ("up", Align::Right),
            ("owner", Align::Beneath(6)),
            ("network", Align::Beneath(7)),
        ]);
        let row = |cells: [&str; 4]| cells.map(str::to_owned).to_vec();
        table.push(row([
            "data.mistat.xiaomi.com",
            "1.0 kB",
            "Xiaomi (CN)",
            "AS45102 Alibaba (US) Technology",
        ]));
        table.push(row(["a.example", "12 B", "-", ""]));
        let at = |width| table.render(0, Some(width), Paint::Plain);
        let expected = "name                        up  owner        network\n\
                        data.mistat.xiaomi.com  1.0 kB  Xiaomi (CN)  AS45102 Alibab…\n\
                        a.example                 12 B  -\n";
        assert_eq!(at(60), expected);
        // The name has a line to itself, and what has no column is beneath, whole.
        let expected = "name            up  owner\n\
                        data.mistat.xiaomi.com\n            1.0 kB  Xiaom…\n    network AS45102\n    Alibaba (US)\n    \
                        Technology\na.example     12 B  -\n";
        assert_eq!(at(26), expected);
        let expected =
            "name          up\ndata.mistat.xiaomi.com\n          1.0 kB\n    owner Xiaomi\n    (CN);\n";
        assert!(at(16).starts_with(expected), "{}", at(16));
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
    fn what_follows_a_broken_line_is_further_in() {
        let text = "  - a b c d e\n\n  f\n";
        assert_eq!(fitted(text, None), text);
        assert_eq!(fitted(text, Some(9)), "  - a b\n    c d e\n\n  f\n");
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
