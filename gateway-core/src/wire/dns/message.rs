//! A whole message, and what its answer section means.

use super::name;
use super::record::{self, Record, RecordData};
use crate::units::DomainName;
use crate::wire::{Reader, WireError};
use core::net::IpAddr;
use std::collections::{BTreeMap, BTreeSet};

/// A DNS message, as far as the snapshot goes (RFC 1035 §4.1). How many records there can be is bounded by the
/// snapshot: each takes eleven bytes at least.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// Is it an answer?
    pub is_response: bool,
    /// Kind of query; 0 is the standard one.
    pub opcode: u8,
    /// How it went; 0 is well.
    pub rcode: u8,
    /// The name that was asked for, if the message asks exactly one question and the name is one we keep.
    pub question: Option<DomainName>,
    /// Every answer record that is here whole.
    pub answers: Vec<Record>,
    /// Why reading the answers ended before all were read, if it did.
    pub ended_early: Option<WireError>,
}

/// What an answer teaches: these addresses, for this name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answered {
    /// The name that was asked for.
    pub name: DomainName,
    /// The CNAMEs on the way.
    pub aliases: Vec<DomainName>,
    /// Addresses, each with the shortest TTL of its chain in seconds.
    pub addrs: Vec<(IpAddr, u32)>,
}

/// Reads a message. Answers that are cut short or malformed end the list; those before them stay.
///
/// # Errors
/// [`WireError`] if the header or the question is cut short or malformed.
pub fn read(bytes: &[u8]) -> Result<Message, WireError> {
    let mut reader = Reader::new(bytes);
    reader.u16("dns.id")?;
    let [high, low] = reader.array("dns.flags")?;
    let question_count = reader.u16("dns.qdcount")?;
    let answer_count = reader.u16("dns.ancount")?;
    reader.u32("dns.nscount")?; // and ARCOUNT
    let mut question = None;
    for _ in 0..question_count {
        question = name::read(bytes, &mut reader)?;
        reader.u32("dns.qtype")?; // and QCLASS
    }
    let mut message = Message {
        is_response: high & 0x80 != 0,
        opcode: (high >> 3) & 0x0f,
        rcode: low & 0x0f,
        question: question.filter(|_| question_count == 1),
        answers: Vec::new(),
        ended_early: None,
    };
    for _ in 0..answer_count {
        match record::read(bytes, &mut reader) {
            Ok(answer) => message.answers.push(answer),
            Err(error) => {
                message.ended_early = Some(error);
                break;
            }
        }
    }
    Ok(message)
}

impl Message {
    /// What this message teaches, if it is a good answer to one question: only addresses that a chain of CNAMEs
    /// joins to the question, in whatever order the records stand.
    #[must_use]
    pub fn answered(&self) -> Option<Answered> {
        if !self.is_response || self.opcode != 0 || self.rcode != 0 {
            return None;
        }
        let name = self.question.clone()?;
        // Every name of the chain so far, with the shortest TTL on the way there. Each round adds a name or is
        // the last, so there are at most as many rounds as records.
        let mut chain: BTreeMap<&DomainName, u32> = BTreeMap::from([(&name, u32::MAX)]);
        let mut aliases = Vec::new();
        loop {
            let known = chain.len();
            for record in &self.answers {
                let (Some(owner), RecordData::Cname(Some(target))) = (&record.owner, &record.data) else {
                    continue;
                };
                let Some(ttl_secs) = chain.get(owner).copied() else { continue };
                if !chain.contains_key(target) {
                    chain.insert(target, ttl_secs.min(record.ttl_secs));
                    aliases.push(target.clone());
                }
            }
            if chain.len() == known {
                break;
            }
        }
        let mut seen = BTreeSet::new();
        let mut addrs = Vec::new();
        for record in &self.answers {
            let (Some(owner), RecordData::Addr(addr)) = (&record.owner, &record.data) else { continue };
            let Some(ttl_secs) = chain.get(owner) else { continue };
            // Blocking resolvers answer with the unspecified address: nobody is there.
            if !addr.is_unspecified() && seen.insert(*addr) {
                addrs.push((*addr, record.ttl_secs.min(*ttl_secs)));
            }
        }
        drop(chain);
        (!addrs.is_empty()).then_some(Answered { name, aliases, addrs })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::super::unhex;
    use super::*;
    use proptest::prelude::*;

    /// data.mistat.xiaomi.com A → CNAME data.gslb.xiaomi.com (TTL 120) → 47.241.10.5 (TTL 300), 47.241.10.6.
    pub(crate) const ANSWER: &str = "
        3a5f 8180 0001 0003 0000 0000
        04 64617461 06 6d6973746174 06 7869616f6d69 03 636f6d 00  0001 0001
        c00c 0005 0001 00000078 000c  04 64617461 04 67736c62 c018
        c034 0001 0001 0000012c 0004  2ff10a05
        c034 0001 0001 0000012c 0004  2ff10a06";

    fn addrs(message: &Message) -> Vec<(String, u32)> {
        message
            .answered()
            .map_or_else(Vec::new, |a| a.addrs.iter().map(|(a, t)| (a.to_string(), *t)).collect())
    }

    #[test]
    fn an_answer_teaches_the_asked_name_and_its_chain() {
        let message = read(&unhex(ANSWER)).expect("a sound answer");
        let answered = message.answered().expect("it teaches");
        assert_eq!(answered.name.as_str(), "data.mistat.xiaomi.com");
        assert_eq!(
            answered.aliases.iter().map(DomainName::as_str).collect::<Vec<_>>(),
            ["data.gslb.xiaomi.com"]
        );
        // The chain is good for as long as its shortest part.
        assert_eq!(addrs(&message), [("47.241.10.5".to_owned(), 120), ("47.241.10.6".to_owned(), 120)]);
        assert_eq!(message.ended_early, None);
    }

    #[test]
    fn every_prefix_teaches_what_is_whole() {
        let bytes = unhex(ANSWER);
        let mut counts = Vec::new();
        for len in 0..bytes.len() {
            match read(&bytes[..len]) {
                Ok(message) => {
                    assert!(matches!(message.ended_early, Some(WireError::Truncated { .. })), "{len}");
                    counts.push(addrs(&message).len());
                }
                Err(error) => assert!(matches!(error, WireError::Truncated { .. }), "{len}: {error}"),
            }
        }
        counts.dedup();
        assert_eq!(counts, [0, 1]);
    }

    #[test]
    fn six_and_upside_down() {
        // AAAA before the CNAME that leads to it.
        let message = read(&unhex(
            "0001 8180 0001 0002 0000 0000 01 61 02 6d69 00 001c 0001
             01 62 c00e 001c 0001 0000003c 0010 24084000000000000000000000000001
             c00c 0005 0001 0000000a 0002 c016",
        ))
        .expect("sound");
        assert_eq!(addrs(&message), [("2408:4000::1".to_owned(), 10)]);
    }

    #[test]
    fn questions_failures_and_strangers_teach_nothing() {
        let bytes = unhex(ANSWER);
        for (at, value) in [(2, 0x01), (2, 0x89), (3, 0x83)] {
            let mut other = bytes.clone();
            other[at] = value; // a question; a notification; "no such name"
            assert_eq!(read(&other).expect("still sound").answered(), None, "{at} {value:#x}");
        }
        // An address for a name that nobody asked for.
        let poison = read(&unhex(
            "0001 8180 0001 0001 0000 0000 01 61 02 6d69 00 0001 0001 01 62 00 0001 0001 0000003c 0004 2ff10a05",
        ))
        .expect("sound");
        assert_eq!(poison.answered(), None);
        // CNAMEs in a circle.
        let circle = read(&unhex(
            "0001 8180 0001 0002 0000 0000 01 61 00 0001 0001
             01 61 00 0005 0001 00000001 0003 01 62 00  01 62 00 0005 0001 00000001 0003 01 61 00",
        ))
        .expect("sound");
        assert_eq!((circle.answers.len(), circle.answered()), (2, None));
    }

    #[test]
    fn lengths_that_lie_end_the_list() {
        let message = read(&unhex(
            "0001 8180 0001 0001 0000 0000 01 61 00 0001 0001 01 61 00 0001 0001 00000001 0005 2ff10a0500",
        ))
        .expect("a sound question");
        assert_eq!(message.ended_early, Some(WireError::Malformed { field: "dns.rdlength", found: 5 }));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _ = read(&bytes).map(|m| m.answered());
        }

        #[test]
        fn any_damage_is_survived(at in 0..100_usize, value: u8) {
            let mut bytes = unhex(ANSWER);
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
            let _ = read(&bytes).map(|m| m.answered());
        }
    }
}
