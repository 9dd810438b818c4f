//! CNAMEs learned since the last drain, each told once.

use crate::row::Alias;
use crate::units::Mac;
use crate::wire::dns::Answered;
use std::collections::BTreeSet;

/// How many aliases are remembered as told. When it is full it is forgotten: telling one twice does no harm,
/// since whoever keeps them keeps each once.
pub const MAX_TOLD: usize = 8192;
/// How many aliases one drain may bring: more in one interval is nobody's browsing.
pub const MAX_PENDING: usize = 2048;

/// New aliases.
#[derive(Clone, Debug, Default)]
pub struct AliasesBook {
    told: BTreeSet<Alias>,
    pending: BTreeSet<Alias>,
    /// Aliases left out because one interval brought too many.
    pub dropped: u64,
}

impl AliasesBook {
    /// Enters the chain of an answer to this device.
    pub fn learn(&mut self, device: Mac, answered: &Answered) {
        for alias in &answered.aliases {
            let alias = Alias { device, name: answered.name.clone(), alias: alias.clone() };
            if self.told.contains(&alias) || self.pending.contains(&alias) {
                continue;
            }
            if self.pending.len() >= MAX_PENDING {
                self.dropped = self.dropped.saturating_add(1);
                continue;
            }
            self.pending.insert(alias);
        }
    }

    /// Those new since the last call, in order.
    pub fn take_new(&mut self) -> Vec<Alias> {
        let new: Vec<Alias> = core::mem::take(&mut self.pending).into_iter().collect();
        if self.told.len().saturating_add(new.len()) > MAX_TOLD {
            self.told.clear();
        }
        self.told.extend(new.iter().cloned());
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::DomainName;

    const PHONE: Mac = Mac([2, 0, 0, 0, 0, 1]);

    fn chain(name: &str, count: usize) -> Answered {
        let name = DomainName::parse(name).expect("a name");
        let alias = |n| DomainName::parse(&format!("c{n}.example")).expect("a name");
        Answered { name, aliases: (0..count).map(alias).collect(), addrs: vec![] }
    }

    #[test]
    fn an_alias_is_told_once() {
        let mut book = AliasesBook::default();
        book.learn(PHONE, &chain("a.example", 2));
        book.learn(PHONE, &chain("a.example", 2));
        assert_eq!(book.take_new().len(), 2);
        book.learn(PHONE, &chain("a.example", 3));
        assert_eq!(book.take_new().iter().map(|a| a.alias.as_str()).collect::<Vec<_>>(), ["c2.example"]);
    }

    #[test]
    fn each_device_has_its_own_aliases() {
        let mut book = AliasesBook::default();
        book.learn(PHONE, &chain("a.example", 1));
        book.learn(Mac::default(), &chain("a.example", 1));
        assert_eq!(book.take_new().iter().map(|a| a.device).collect::<Vec<_>>(), [Mac::default(), PHONE]);
    }

    #[test]
    fn a_flood_is_bounded_and_counted() {
        let mut book = AliasesBook::default();
        book.learn(PHONE, &chain("a.example", MAX_PENDING + 3));
        assert_eq!((book.take_new().len(), book.dropped), (MAX_PENDING, 3));
        for n in 0..6 {
            book.learn(PHONE, &chain(&format!("{n}.example"), MAX_PENDING));
            book.take_new();
            assert!(book.told.len() <= MAX_TOLD);
        }
    }
}
