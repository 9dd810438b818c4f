//! Everything that can be wrong with the files of owners.

use super::countries::is_country;
use super::read::{File, RawOwner, RawRule, RawSource};
use gateway_core::enrich::owners::Purpose;
use gateway_core::enrich::suffixes::{Section, Suffix, SuffixTable};
use gateway_core::units::DomainName;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use toml::Spanned;

/// A fault and where it is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Complaint {
    file: String,
    line: usize,
    text: String,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, text } = self;
        write!(f, "{file}:{line}: {text}")
    }
}

/// Checks all files together.
pub fn complaints(files: &[File], suffixes: &SuffixTable) -> Vec<Complaint> {
    let mut checker = Checker { suffixes, complaints: Vec::new(), used: BTreeSet::new() };
    let sources = checker.sources(files);
    let owners = checker.ids(files);
    let mut names = BTreeMap::new();
    for file in files {
        for owner in &file.raw.owner {
            checker.owner(file, owner, &sources, &owners);
            for rule in &owner.rules {
                checker.rule(file, rule, &sources);
                for name in &rule.names {
                    checker.unique(file, name, "name", &mut names);
                }
            }
        }
    }
    for (key, place) in &sources {
        if !checker.used.contains(key) {
            checker.complain(place, format!("nothing uses the source {key}"));
        }
    }
    checker.useless(files);
    checker.complaints
}

/// File and line.
type Place = (String, usize);

struct Checker<'a> {
    suffixes: &'a SuffixTable,
    complaints: Vec<Complaint>,
    used: BTreeSet<String>,
}

impl Checker<'_> {
    fn complain(&mut self, (file, line): &Place, text: String) {
        self.complaints.push(Complaint { file: file.clone(), line: *line, text });
    }

    /// Says so where a text was met before, and where that was.
    fn unique(&mut self, file: &File, it: &Spanned<String>, what: &str, met: &mut BTreeMap<String, Place>) {
        let place = (file.name.clone(), file.line(it));
        match met.get(it.get_ref()) {
            Some((first, line)) => {
                self.complain(&place, format!("the {what} {} is at {first}:{line} already", it.get_ref()));
            }
            None => drop(met.insert(it.get_ref().clone(), place)),
        }
    }

    fn sources(&mut self, files: &[File]) -> BTreeMap<String, Place> {
        let mut met: BTreeMap<String, Place> = BTreeMap::new();
        for file in files {
            for (key, source) in &file.raw.source {
                let place = (file.name.clone(), file.line(source));
                if let Some((first, line)) = met.get(key) {
                    let text = format!("the source {key} is at {first}:{line} already");
                    self.complain(&place, text);
                    continue;
                }
                if !is_key(key) {
                    self.complain(&place, format!("{key:?} is no key: a-z, 0-9 and -"));
                }
                let RawSource { title, place: leads_to, read } = source.get_ref();
                for (text, what) in [(title, "title"), (leads_to, "where")] {
                    if !is_text(text) {
                        self.complain(&place, format!("the source {key} has no {what} that can be printed"));
                    }
                }
                if let Some(read) = read
                    && super::build::day_of(read).is_none()
                {
                    self.complain(&place, format!("{read:?} is no day such as 2026-11-23"));
                }
                met.insert(key.clone(), place);
            }
        }
        met
    }

    fn ids(&mut self, files: &[File]) -> BTreeMap<String, Place> {
        let mut met = BTreeMap::new();
        for file in files {
            for owner in &file.raw.owner {
                self.unique(file, &owner.id, "owner", &mut met);
            }
        }
        met
    }

    fn owner(
        &mut self,
        file: &File,
        owner: &RawOwner,
        sources: &BTreeMap<String, Place>,
        owners: &BTreeMap<String, Place>,
    ) {
        let RawOwner { id, name, country, seat, parent, source, rules: _ } = owner;
        let place = (file.name.clone(), file.line(id));
        if !is_key(id.get_ref()) {
            self.complain(&place, format!("{:?} is no id: a-z, 0-9 and -", id.get_ref()));
        }
        if !is_text(name) || seat.as_deref().is_some_and(|seat| !is_text(seat)) {
            self.complain(&place, format!("{} has a name or seat that cannot be printed", id.get_ref()));
        }
        if let Some(code) = country
            && !is_country(code.get_ref())
        {
            let place = (file.name.clone(), file.line(code));
            self.complain(&place, format!("{:?} is no country of ISO 3166-1", code.get_ref()));
        }
        if let Some(parent) = parent
            && !owners.contains_key(parent.get_ref())
        {
            let place = (file.name.clone(), file.line(parent));
            self.complain(&place, format!("there is no owner {}", parent.get_ref()));
        }
        if let Some(source) = source {
            self.source(file, source, sources);
        }
    }

    fn source(&mut self, file: &File, key: &Spanned<String>, sources: &BTreeMap<String, Place>) {
        self.used.insert(key.get_ref().clone());
        if !sources.contains_key(key.get_ref()) {
            let place = (file.name.clone(), file.line(key));
            self.complain(&place, format!("there is no source {}", key.get_ref()));
        }
    }

    fn rule(&mut self, file: &File, rule: &RawRule, sources: &BTreeMap<String, Place>) {
        let RawRule { purpose, source, purpose_source, customers, names } = rule;
        let word = Purpose::from_word(purpose.get_ref());
        let place = (file.name.clone(), file.line(purpose));
        if word.is_none() {
            self.complain(&place, format!("there is no purpose {:?}", purpose.get_ref()));
        }
        if names.is_empty() {
            self.complain(&place, "the rule has no names".to_owned());
        }
        self.source(file, source, sources);
        if let Some(source) = purpose_source {
            self.source(file, source, sources);
            if word == Some(Purpose::Service) {
                self.complain(&place, "the purpose service says nothing that could be proved".to_owned());
            }
        }
        // That nobody else has names there is for the source to say; then any purpose can be said of them.
        let has_customers = customers.as_ref().is_none_or(|customers| *customers.get_ref());
        for name in names {
            if let Some(text) = self.fault_of(name.get_ref(), word, has_customers) {
                let place = (file.name.clone(), file.line(name));
                self.complain(&place, text);
            }
        }
    }

    fn fault_of(&self, text: &str, purpose: Option<Purpose>, has_customers: bool) -> Option<String> {
        let clean = DomainName::parse(text).filter(|clean| clean.as_str() == text);
        let Some(name) = clean.filter(|_| text.parse::<IpAddr>().is_err()) else {
            return Some(format!("{text:?} is no name in lower case, or in punycode"));
        };
        let Suffix { section, registrable, .. } = self.suffixes.suffix_of(&name);
        match (registrable, section) {
            (Some(_), Some(_)) if has_customers => None,
            (Some(_), Some(_)) => Some(format!("{text} is no public suffix: leave out `customers`")),
            (Some(_), None) => Some(format!("{text} ends in no suffix that is known")),
            (None, Some(Section::Private))
                if !has_customers || matches!(purpose, Some(Purpose::Hosting | Purpose::Cdn) | None) =>
            {
                None
            }
            (None, Some(Section::Private)) => Some(format!(
                "{text} is given to customers name by name: only hosting and cdn can be said of it"
            )),
            (None, _) => Some(format!("{text} is a public suffix: it has no owner")),
        }
    }

    /// Owners that nothing belongs to, neither names nor other owners; and parents that run in a circle.
    fn useless(&mut self, files: &[File]) {
        let all = || files.iter().flat_map(|file| file.raw.owner.iter().map(move |owner| (file, owner)));
        let parents: BTreeMap<&str, &str> = all()
            .filter_map(|(_, owner)| Some((&**owner.id.get_ref(), &**owner.parent.as_ref()?.get_ref())))
            .collect();
        for (file, owner) in all() {
            let id = &**owner.id.get_ref();
            let place = (file.name.clone(), file.line(&owner.id));
            if owner.rules.is_empty() && !parents.values().any(|parent| *parent == id) {
                self.complain(&place, format!("{id} owns nothing"));
            }
            let above = std::iter::successors(parents.get(id), |parent| parents.get(**parent));
            if above.take(parents.len()).any(|parent| *parent == id) {
                self.complain(&place, format!("{id} is its own parent's parent"));
            }
        }
    }
}

fn is_key(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn is_text(text: &str) -> bool {
    !text.trim().is_empty() && text.trim() == text && !text.chars().any(char::is_control)
}
