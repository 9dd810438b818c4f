//! The words of the language: fields with what they are compared with, and words that stand alone.

use super::Mistake;
use super::term::{Amount, AmountField, Order, Term};
use crate::enrich::owners::Purpose;
use crate::query::{NotAFilter, parse_application, parse_asn, parse_country, parse_evidence, parse_protocol};
use crate::row::{Marks, NetworkMarks};
use core::ops::Range;

/// What can be compared with a text.
const FIELDS: [&str; 12] = [
    "device",
    "name",
    "owner",
    "purpose",
    "network",
    "country",
    "registered",
    "peer",
    "port",
    "protocol",
    "application",
    "evidence",
];
/// The value that asks for what is not known.
const UNKNOWN: &str = "unknown";

/// A term of any of a question's three parts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Asked {
    Row(Term),
    Line(Amount),
    Night,
}

/// Words that stand alone.
fn flags() -> Vec<(&'static str, Asked)> {
    let mut flags = vec![
        ("named", Asked::Row(Term::IsNamed)),
        ("local", Asked::Row(Term::IsLocal)),
        ("night", Asked::Night),
    ];
    flags.extend(Marks::ALL.map(|(mark, word)| (word, Asked::Row(Term::Mark(mark)))));
    flags.extend(NetworkMarks::ALL.map(|(mark, word)| (word, Asked::Row(Term::NetworkMark(mark)))));
    flags
}

/// What is said where no word of the language stands.
pub(super) fn a_field_should_be_here() -> String {
    let amounts = AmountField::ALL.map(|(_, word)| word).join(", ");
    let flags: Vec<_> = flags().into_iter().map(|(word, _)| word).collect();
    format!(
        "here should be something to ask about: {}, {amounts}; or alone: {}",
        FIELDS.join(", "),
        flags.join(", ")
    )
}

/// A word that stands alone.
pub(super) fn flag(word: &str, place: &Range<usize>) -> Result<Asked, Mistake> {
    let found = flags().into_iter().find(|(flag, _)| word.eq_ignore_ascii_case(flag));
    found.map(|(_, asked)| asked).ok_or_else(|| {
        let is_field = |field: &&str| field.eq_ignore_ascii_case(word);
        if FIELDS.iter().any(is_field) || AmountField::ALL.iter().any(|(_, field)| is_field(field)) {
            return Mistake::at(place, format_args!("{word} is compared with something: {word} = …"));
        }
        Mistake::at(place, format_args!("there is no {word:?} to ask about; {}", a_field_should_be_here()))
    })
}

/// A field compared with a value by one of `=`, `~`, `<`, `<=`, `>=`, `>`.
pub(super) fn compared(
    (field, at): &(String, Range<usize>),
    sign: &str,
    value: &str,
    place: &Range<usize>,
) -> Result<Asked, Mistake> {
    let field = field.to_ascii_lowercase();
    if let Some((amount, _)) = AmountField::ALL.into_iter().find(|(_, word)| *word == field) {
        let Some(order) = order(sign) else {
            return Err(Mistake::at(at, format_args!("{field} is a number: compare it by = < <= > >=")));
        };
        let than = if matches!(amount, AmountField::Packets | AmountField::Conversations) {
            value
                .parse()
                .map_err(|_| Mistake::at(place, format_args!("{field} is compared with a whole number")))?
        } else {
            bytes(value).ok_or_else(|| Mistake::at(place, "an amount looks like 500, 1.5kB, 20MB, 3GiB"))?
        };
        return Ok(Asked::Line(Amount { field: amount, order, than }));
    }
    if !FIELDS.contains(&&*field) {
        return Err(Mistake::at(
            at,
            format_args!("there is no {field:?} to ask about; {}", a_field_should_be_here()),
        ));
    }
    let term = match sign {
        "=" => equal(&field, value),
        "~" => having(&field, value),
        _ => Err(format!("{field} has no order: ask by = or !=")),
    };
    term.map(Asked::Row).map_err(|why| Mistake::at(place, why))
}

fn order(sign: &str) -> Option<Order> {
    Some(match sign {
        "<" => Order::Less,
        "<=" => Order::AtMost,
        "=" => Order::Equal,
        ">=" => Order::AtLeast,
        ">" => Order::More,
        _ => return None,
    })
}

fn equal(field: &str, value: &str) -> Result<Term, String> {
    let unless_unknown = |value: &str| (!value.eq_ignore_ascii_case(UNKNOWN)).then(|| value.to_owned());
    let said = |not: NotAFilter| not.to_string();
    Ok(match field {
        "device" => Term::Device(value.parse().map_err(said)?),
        "name" if value.eq_ignore_ascii_case(UNKNOWN) => {
            return Err("names that are not known are asked for by: not named".to_owned());
        }
        "name" => Term::Name(value.parse().map_err(said)?),
        "owner" => Term::Owner(unless_unknown(value)),
        "purpose" => Term::Purpose(unless_unknown(value).map(|value| purpose(&value)).transpose()?),
        "network" => Term::Asn(
            unless_unknown(value)
                .map(|v| parse_asn(&v))
                .transpose()
                .map_err(|not| format!("{not}; by its organisation it is asked for as: network ~ alibaba"))?,
        ),
        "country" => {
            Term::Country(unless_unknown(value).map(|v| parse_country(&v)).transpose().map_err(said)?)
        }
        "registered" => {
            Term::Registered(unless_unknown(value).map(|v| parse_country(&v)).transpose().map_err(said)?)
        }
        "peer" => Term::Peer(
            value.parse().map_err(|_| "a peer is an address or a prefix, such as 47.88.0.0/14".to_owned())?,
        ),
        "port" => ports(value).ok_or("a port is a number up to 65535, or two with - between")?,
        "protocol" => Term::Protocol(parse_protocol(value).map_err(said)?),
        "application" => Term::Application(parse_application(value).map_err(said)?),
        _ => Term::Evidence(parse_evidence(value).map_err(said)?),
    })
}

fn having(field: &str, value: &str) -> Result<Term, String> {
    match field {
        _ if value.is_empty() => Err("~ asks for a part of a text, and this one is empty".to_owned()),
        "name" => Ok(Term::NameHas(value.to_owned())),
        "network" => Ok(Term::OrganisationHas(value.to_owned())),
        _ => Err(format!("~ (has it in it) is for name and network; ask {field} by =")),
    }
}

fn purpose(word: &str) -> Result<Purpose, String> {
    let word = word.to_ascii_lowercase().replace([' ', '-'], "_");
    Purpose::from_word(&word).ok_or_else(|| {
        let words: Vec<_> = Purpose::ALL.into_iter().map(Purpose::word).collect();
        format!("a purpose is one of {}", words.join(", "))
    })
}

fn ports(value: &str) -> Option<Term> {
    let (first, last) = value.split_once('-').unwrap_or((value, value));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then_some(Term::Port(first, last))
}

/// An amount of bytes: `500`, `1.5kB` (thousands), `3GiB` (1024s). What is less than a byte is dropped.
#[must_use]
pub fn bytes(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits)?;
    let unit = unit.trim().to_ascii_lowercase();
    let (prefix, base) = match unit.strip_suffix("ib") {
        Some(prefix) => (prefix, 1024_u64),
        None => (unit.strip_suffix('b').unwrap_or(&unit), 1000),
    };
    let power = ["", "k", "m", "g", "t"].iter().position(|known| *known == prefix)?;
    let factor = base.checked_pow(u32::try_from(power).ok()?)?;
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let mut sum = whole.parse::<u64>().ok()?.checked_mul(factor)?;
    let places = u32::try_from(part.len()).ok().filter(|places| (1..=9).contains(places))?;
    let part = u128::from(part.parse::<u64>().ok()?) * u128::from(factor) / u128::from(10_u64.pow(places));
    sum = sum.checked_add(u64::try_from(part).ok()?)?;
    Some(sum)
}
