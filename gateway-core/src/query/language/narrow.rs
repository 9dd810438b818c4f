//! What a question's parts need, and what of a question the store can pick by itself.

use super::{Amount, Condition, Question, Term};
use crate::query::Filter;
use crate::units::Volume;

impl Question {
    /// Does a printed line with these amounts meet its part of the question?
    #[must_use]
    pub fn keeps(&self, volume: Volume, conversations: u64) -> bool {
        self.lines.holds(&|amount: &Amount| amount.is_met_by(volume, conversations))
    }

    /// Does it ask something of the lines that are printed?
    #[must_use]
    pub fn asks_of_lines(&self) -> bool {
        has(&self.lines, &|_| true)
    }

    /// Does it ask whose a name is, or what for?
    #[must_use]
    pub fn needs_names(&self) -> bool {
        has(&self.rows, &|term| matches!(term, Term::Owner(_) | Term::Purpose(_)))
    }

    /// Has the store pick what the question asks for in any case, where the filter does not ask for the like already: to
    /// read fewer rows. The question is to be asked of those all the same.
    pub fn narrow(&self, filter: &mut Filter) {
        narrow(&self.rows, filter);
    }
}

fn narrow(condition: &Condition<Term>, filter: &mut Filter) {
    fn only<T: Clone>(list: &mut Vec<T>, wanted: &T) {
        if list.is_empty() {
            list.push(wanted.clone());
        }
    }
    let term = match condition {
        Condition::All(parts) => return parts.iter().for_each(|part| narrow(part, filter)),
        Condition::Is(term) => term,
        Condition::Any(_) | Condition::Not(_) => return,
    };
    match term {
        Term::Device(device) => only(&mut filter.devices, device),
        Term::Name(name) => only(&mut filter.names, name),
        Term::Asn(Some(asn)) => only(&mut filter.asns, asn),
        Term::Country(Some(country)) => only(&mut filter.countries, country),
        Term::Peer(prefix) => only(&mut filter.peers, prefix),
        Term::Port(first, last) if first == last => only(&mut filter.ports, first),
        Term::Protocol(protocol) => only(&mut filter.protocols, protocol),
        Term::Application(application) => only(&mut filter.applications, application),
        Term::Evidence(evidence) => only(&mut filter.evidence, evidence),
        _ => {}
    }
}

fn has<T>(condition: &Condition<T>, is: &impl Fn(&T) -> bool) -> bool {
    match condition {
        Condition::All(parts) | Condition::Any(parts) => parts.iter().any(|part| has(part, is)),
        Condition::Not(part) => has(part, is),
        Condition::Is(term) => is(term),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic on purpose")]
    use super::*;

    #[test]
    fn the_store_picks_what_is_asked_for_in_any_case() {
        let narrowed = |text: &str, mut filter: Filter| {
            Question::parse(text).unwrap().narrow(&mut filter);
            filter
        };
        let filter =
            narrowed("country = SG and not port = 443 and (port = 1 or port = 2)", Filter::default());
        assert_eq!(filter.to_string(), "country SG");
        // Another device is asked for already: the question decides among its rows.
        let asked = Filter { ports: vec![80], ..Filter::default() };
        assert_eq!(narrowed("port = 443", asked.clone()), asked);
        assert_eq!(narrowed("port = 1-5 and network = unknown", asked.clone()), asked);
    }

    #[test]
    fn what_a_question_needs_is_known() {
        let question = |text: &str| Question::parse(text).unwrap();
        assert!(question("not (port = 1 or purpose = unknown)").needs_names());
        assert!(!question("port = 1 and up > 1").needs_names());
        assert!(question("port = 1 and up > 1").asks_of_lines());
        assert!(!question("night and named").asks_of_lines());
    }
}
