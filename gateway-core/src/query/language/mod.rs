//! The filter language: `device = "Redmi Note 8" and owner = xiaomi and up > 1MB and night`.
//!
//! A question has three parts that are joined by "and". What can be seen of one row is asked of rows. Amounts are asked
//! of the lines that are printed, after rows were added up. `night` picks the time, before anything is read. A part
//! that mixes two of these by "or" has no clear meaning and is refused.
//!
//! What is not known is nothing: `country = SG` is not met by an address whose country is unknown, `country != SG` is,
//! and `country = unknown` asks for it.

mod narrow;
mod parse;
mod term;
mod token;
mod words;

pub use term::{Amount, AmountField, Order, Subject, Term};
pub use words::bytes as bytes_of;

use core::fmt;
use core::ops::Range;

/// How deep parentheses and `not` may go: enough for people, and too little to overflow a stack.
pub const MAX_DEPTH: usize = 32;
/// The longest question, in bytes.
pub const MAX_LEN: usize = 4096;

/// Conditions joined together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Condition<T> {
    /// All of these; none at all is always met.
    All(Vec<Self>),
    /// Any of these.
    Any(Vec<Self>),
    /// Not this one.
    Not(Box<Self>),
    /// One term.
    Is(T),
}

impl<T> Default for Condition<T> {
    fn default() -> Self {
        Self::All(Vec::new())
    }
}

impl<T> Condition<T> {
    /// Has it any term?
    pub fn asks(&self) -> bool {
        match self {
            Self::All(parts) => parts.iter().any(Self::asks),
            // Any of none is never met.
            Self::Any(parts) => parts.is_empty() || parts.iter().any(Self::asks),
            Self::Not(_) | Self::Is(_) => true,
        }
    }

    /// Is it met, if each term is met as `is` says?
    pub fn holds(&self, is: &impl Fn(&T) -> bool) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.holds(is)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(is)),
            Self::Not(part) => !part.holds(is),
            Self::Is(term) => is(term),
        }
    }
}

/// A question, in its three parts.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Question {
    /// What rows must meet.
    pub rows: Condition<Term>,
    /// What the lines that are printed must meet.
    pub lines: Condition<Amount>,
    /// Only the nights, or only the days between them; `None` for both.
    pub night: Option<bool>,
}

impl Question {
    /// Reads a question. An empty text asks for everything.
    ///
    /// # Errors
    /// [`Mistake`], with the place.
    pub fn parse(text: &str) -> Result<Self, Mistake> {
        parse::question(text)
    }

    /// Is anything asked of rows?
    #[must_use]
    pub fn asks_of_rows(&self) -> bool {
        self.rows.asks()
    }

    /// Does a row meet its part of the question?
    #[must_use]
    pub fn picks(&self, row: &dyn Subject) -> bool {
        self.rows.holds(&|term| term.is_met_by(row))
    }
}

/// A text that is no question, and where in it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{why}")]
pub struct Mistake {
    /// What is wrong, and what would be right.
    pub why: String,
    /// The bytes it is about.
    pub place: Range<usize>,
}

impl Mistake {
    fn at(place: &Range<usize>, why: impl fmt::Display) -> Self {
        Self { why: why.to_string(), place: place.clone() }
    }

    /// The question with a mark under the place, for people.
    #[must_use]
    pub fn shown(&self, text: &str) -> String {
        let before = text.get(..self.place.start).unwrap_or_default().chars().count();
        let marked = text.get(self.place.clone()).unwrap_or_default().chars().count().max(1);
        let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        format!("{}\n  {line}\n  {}{}", self.why, " ".repeat(before), "^".repeat(marked))
    }
}

#[cfg(test)]
mod tests;
