//! From tokens to a question. "and" binds closer than "or".

use super::term::{Amount, Term};
use super::token::{Token, tokens};
use super::words::{self, Asked};
use super::{Condition, MAX_DEPTH, Mistake, Question};
use core::ops::Range;

/// A term and where it stands.
type Placed = (Asked, Range<usize>);

/// Reads a whole question.
pub(super) fn question(text: &str) -> Result<Question, Mistake> {
    let mut parser = Parser { tokens: tokens(text)?, next: 0, end: text.len() };
    if parser.tokens.is_empty() {
        return Ok(Question::default());
    }
    let whole = parser.either(0)?;
    if parser.next < parser.tokens.len() {
        return Err(Mistake::at(&parser.place(), "here should be \"and\", \"or\" or the end"));
    }
    let mut parts = Vec::new();
    flatten(whole, &mut parts);
    divide(&parts)
}

/// The parts that are joined by "and".
fn flatten(whole: Condition<Placed>, parts: &mut Vec<Condition<Placed>>) {
    match whole {
        Condition::All(inner) => inner.into_iter().for_each(|part| flatten(part, parts)),
        part => parts.push(part),
    }
}

/// Puts each part where it belongs.
fn divide(parts: &[Condition<Placed>]) -> Result<Question, Mistake> {
    let (mut rows, mut lines, mut night) = (Vec::new(), Vec::new(), None);
    for part in parts {
        if let Some((wanted, place)) = night_of(part) {
            if night.is_some_and(|night| night != wanted) {
                return Err(Mistake::at(place, "it cannot be night and not night"));
            }
            night = Some(wanted);
        } else if let Some(part) = only(part, &row_term) {
            rows.push(part);
        } else if let Some(part) = only(part, &amount) {
            lines.push(part);
        } else {
            return Err(Mistake::at(
                &place_of(part),
                "amounts (up, down, total, packets, conversations) and night can be joined to the rest by \"and\" only: \
                 they are asked of whole lines and of the time",
            ));
        }
    }
    Ok(Question { rows: Condition::All(rows), lines: Condition::All(lines), night })
}

fn night_of(part: &Condition<Placed>) -> Option<(bool, &Range<usize>)> {
    match part {
        Condition::Is((Asked::Night, place)) => Some((true, place)),
        Condition::Not(part) => night_of(part).map(|(is, place)| (!is, place)),
        _ => None,
    }
}

fn row_term(asked: &Asked) -> Option<Term> {
    if let Asked::Row(term) = asked { Some(term.clone()) } else { None }
}

fn amount(asked: &Asked) -> Option<Amount> {
    if let Asked::Line(amount) = asked { Some(*amount) } else { None }
}

/// The condition with all its terms of one kind; `None` if there is another among them.
fn only<T>(part: &Condition<Placed>, of: &impl Fn(&Asked) -> Option<T>) -> Option<Condition<T>> {
    let all =
        |parts: &[Condition<Placed>]| parts.iter().map(|part| only(part, of)).collect::<Option<Vec<_>>>();
    Some(match part {
        Condition::All(parts) => Condition::All(all(parts)?),
        Condition::Any(parts) => Condition::Any(all(parts)?),
        Condition::Not(part) => Condition::Not(Box::new(only(part, of)?)),
        Condition::Is((asked, _)) => Condition::Is(of(asked)?),
    })
}

/// From the first to the last of its terms.
fn place_of(part: &Condition<Placed>) -> Range<usize> {
    match part {
        Condition::Is((_, place)) => place.clone(),
        Condition::Not(part) => place_of(part),
        Condition::All(parts) | Condition::Any(parts) => {
            let places = || parts.iter().map(place_of);
            let start = places().map(|place| place.start).min().unwrap_or_default();
            start..places().map(|place| place.end).max().unwrap_or_default()
        }
    }
}

struct Parser {
    tokens: Vec<(Token, Range<usize>)>,
    next: usize,
    end: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next).map(|(token, _)| token)
    }

    /// Where the next token stands; behind the end if there is none.
    fn place(&self) -> Range<usize> {
        self.tokens.get(self.next).map_or(self.end..self.end, |(_, place)| place.clone())
    }

    fn take(&mut self) -> Option<(Token, Range<usize>)> {
        let taken = self.tokens.get(self.next).cloned();
        self.next = self.next.saturating_add(usize::from(taken.is_some()));
        taken
    }

    fn takes(&mut self, wanted: &Token) -> bool {
        let is_it = self.peek() == Some(wanted);
        self.next = self.next.saturating_add(usize::from(is_it));
        is_it
    }

    fn takes_word(&mut self, word: &str) -> bool {
        let is_it = matches!(self.peek(), Some(Token::Word(text)) if text.eq_ignore_ascii_case(word));
        self.next = self.next.saturating_add(usize::from(is_it));
        is_it
    }

    fn either(&mut self, depth: usize) -> Result<Condition<Placed>, Mistake> {
        let mut parts = vec![self.both(depth)?];
        while self.takes_word("or") {
            parts.push(self.both(depth)?);
        }
        Ok(joined(parts, Condition::Any))
    }

    fn both(&mut self, depth: usize) -> Result<Condition<Placed>, Mistake> {
        let mut parts = vec![self.one(depth)?];
        while self.takes_word("and") {
            parts.push(self.one(depth)?);
        }
        Ok(joined(parts, Condition::All))
    }

    fn one(&mut self, depth: usize) -> Result<Condition<Placed>, Mistake> {
        let place = self.place();
        if depth > MAX_DEPTH {
            return Err(Mistake::at(
                &place,
                format_args!("parentheses and \"not\" go at most {MAX_DEPTH} deep"),
            ));
        }
        let inside = depth.saturating_add(1);
        if self.takes_word("not") {
            return Ok(Condition::Not(Box::new(self.one(inside)?)));
        }
        if self.takes(&Token::Open) {
            let part = self.either(inside)?;
            if !self.takes(&Token::Close) {
                return Err(Mistake::at(
                    &self.place(),
                    "here should be \"and\", \"or\" or the closing parenthesis",
                ));
            }
            return Ok(part);
        }
        self.term()
    }

    fn term(&mut self) -> Result<Condition<Placed>, Mistake> {
        let field = match self.take() {
            Some((Token::Word(field), place)) => (field, place),
            Some((_, place)) => return Err(Mistake::at(&place, words::a_field_should_be_here())),
            None => return Err(Mistake::at(&self.place(), words::a_field_should_be_here())),
        };
        if let Some(Token::Sign(sign)) = self.peek() {
            let sign = *sign;
            self.next = self.next.saturating_add(1);
            return self.compared(&field, sign);
        }
        if self.takes_word("in") {
            return self.among(&field);
        }
        let (word, place) = field;
        words::flag(&word, &place).map(|asked| Condition::Is((asked, place)))
    }

    fn compared(&mut self, field: &(String, Range<usize>), sign: &str) -> Result<Condition<Placed>, Mistake> {
        let (value, place) = self.value()?;
        // `!=` and `!~` are what is left over by the plain sign, so that one of both always holds.
        let (plain, is_not) = match sign {
            "!=" => ("=", true),
            "!~" => ("~", true),
            _ => (sign, false),
        };
        let asked = words::compared(field, plain, &value, &place)?;
        let term = Condition::Is((asked, field.1.start..place.end));
        Ok(if is_not { Condition::Not(Box::new(term)) } else { term })
    }

    fn among(&mut self, field: &(String, Range<usize>)) -> Result<Condition<Placed>, Mistake> {
        if !self.takes(&Token::Open) {
            return Err(Mistake::at(
                &self.place(),
                "\"in\" is followed by values in parentheses: country in (SG, RU)",
            ));
        }
        let mut parts = Vec::new();
        loop {
            parts.push(self.compared(field, "=")?);
            if self.takes(&Token::Close) {
                return Ok(joined(parts, Condition::Any));
            }
            if !self.takes(&Token::Comma) {
                return Err(Mistake::at(&self.place(), "here should be a comma or the closing parenthesis"));
            }
        }
    }

    fn value(&mut self) -> Result<(String, Range<usize>), Mistake> {
        match self.take() {
            Some((Token::Word(value) | Token::Quoted(value), place)) => Ok((value, place)),
            Some((_, place)) => {
                Err(Mistake::at(&place, "here should be a value; one with blanks goes into quotes"))
            }
            None => Err(Mistake::at(&self.place(), "a value is missing at the end")),
        }
    }
}

fn joined<T>(mut parts: Vec<Condition<T>>, join: fn(Vec<Condition<T>>) -> Condition<T>) -> Condition<T> {
    match (parts.pop(), parts.is_empty()) {
        (Some(only), true) => only,
        (last, _) => {
            parts.extend(last);
            join(parts)
        }
    }
}
