//! Words, quoted texts and signs.

use super::{MAX_LEN, Mistake};
use core::ops::Range;

/// What stands somewhere.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Token {
    /// A word without quotes: of the language, or a value.
    Word(String),
    /// What stands between quotes: always a value.
    Quoted(String),
    /// `=`, `!=`, `<`, `<=`, `>`, `>=`, `~`.
    Sign(&'static str),
    Open,
    Close,
    Comma,
}

/// Longer ones first.
const SIGNS: [&str; 8] = ["!=", "!~", "<=", ">=", "=", "<", ">", "~"];

/// Reads all of a text.
pub(super) fn tokens(text: &str) -> Result<Vec<(Token, Range<usize>)>, Mistake> {
    if text.len() > MAX_LEN {
        return Err(Mistake::at(
            &(0..text.len()),
            format_args!("the question is longer than {MAX_LEN} bytes: ask a shorter one"),
        ));
    }
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let (token, len) = next(rest, at)?;
        let place = at..at.saturating_add(len);
        at = place.end;
        found.extend(token.map(|token| (token, place)));
    }
    Ok(found)
}

/// The token at the start of `rest`, which is not empty, and how many bytes it takes.
fn next(rest: &str, at: usize) -> Result<(Option<Token>, usize), Mistake> {
    let first = rest.chars().next().unwrap_or(' ');
    if first.is_whitespace() {
        return Ok((None, first.len_utf8()));
    }
    if let Some(sign) = SIGNS.into_iter().find(|sign| rest.starts_with(sign)) {
        return Ok((Some(Token::Sign(sign)), sign.len()));
    }
    Ok(match first {
        '(' => (Some(Token::Open), 1),
        ')' => (Some(Token::Close), 1),
        ',' => (Some(Token::Comma), 1),
        '"' | '\'' => {
            let inside = rest.get(1..).unwrap_or_default();
            let Some(len) = inside.find(first) else {
                let place = at..at.saturating_add(rest.len());
                return Err(Mistake::at(&place, format_args!("the quote {first} is not closed")));
            };
            let quoted = inside.get(..len).unwrap_or_default().to_owned();
            (Some(Token::Quoted(quoted)), len.saturating_add(2))
        }
        _ => {
            let is_over = |c: char| c.is_whitespace() || "()\",'=<>~!".contains(c);
            let len = rest.find(is_over).unwrap_or(rest.len());
            if len == 0 {
                let place = at..at.saturating_add(first.len_utf8());
                return Err(Mistake::at(
                    &place,
                    format_args!("{first:?} has no meaning here: put it into quotes"),
                ));
            }
            (Some(Token::Word(rest.get(..len).unwrap_or_default().to_owned())), len)
        }
    })
}
