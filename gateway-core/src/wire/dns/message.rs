//! A whole message, and what its answer section means.

use super::name;
use super::record::{self, CLASS_IN, Record, RecordData, RecordType};
use crate::units::DomainName;
use crate::wire::{Reader, WireError};
use core::net::IpAddr;
use std::collections::BTreeSet;

/// How many names an answer may lead to beyond the one that was asked for; each takes a look at all records. Resolvers
/// follow 8 to 17 links before they give up.
pub const MAX_LINKS: usize = 17;
/// Flag in the third byte of a message: an answer (RFC 1035 §4.1.1).
const RESPONSE: u8 = 0x80;

/// What is asked for, of class IN (RFC 1035 §4.1.2).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Question {
    /// The name, in lower case: who asks may mix cases to be harder to forge an answer for, and means the same.
    pub name: DomainName,
    /// The type of record that is wanted.
    pub kind: RecordType,
}

/// A DNS message, as far as the snapshot goes (RFC 1035 §4.1). How many records there can be is bounded by the
/// snapshot: each takes eleven bytes at least.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// Chosen by who asks, repeated in the answer.
    pub id: u16,
    /// Is it an answer?
    pub is_response: bool,
    /// Kind of query; 0 is the standard one.
    pub opcode: u8,
    /// How it went; 0 is well.
    pub rcode: u8,
    /// What was asked, if the message asks exactly one question and the name is one we keep.
    pub question: Option<Question>,
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
    /// The CNAMEs on the way, in order, and names that SVCB records lead to.
    pub aliases: Vec<DomainName>,
    /// Addresses.
    pub addrs: Vec<AnsweredAddr>,
}

/// An address of an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AnsweredAddr {
    /// The address.
    pub addr: IpAddr,
    /// The shortest TTL of its chain of CNAMEs, the address record's own among them, in seconds.
    pub ttl_secs: u32,
    /// TTL of the record that the address stands in, in seconds: at least as long.
    pub own_ttl_secs: u32,
}

/// Reads a message. Answers that are cut short or malformed end the list; those before them stay.
///
/// # Errors
/// [`WireError`] if the header or the question is cut short or malformed.
pub fn read(bytes: &[u8]) -> Result<Message, WireError> {
    read_as(bytes, false)
}

/// Reads a message of multicast DNS: the records of all its sections are among the answers, since addresses stand in
/// the last one (RFC 6762 §6), and the flag in their classes is looked through.
///
/// # Errors
/// As for [`read`].
pub fn read_multicast(bytes: &[u8]) -> Result<Message, WireError> {
    read_as(bytes, true)
}

fn read_as(bytes: &[u8], is_multicast: bool) -> Result<Message, WireError> {
    let mut reader = Reader::new(bytes);
    let id = reader.u16("dns.id")?;
    let [high, low] = reader.array("dns.flags")?;
    let question_count = reader.u16("dns.qdcount")?;
    let answer_count = u32::from(reader.u16("dns.ancount")?);
    let authority_count = u32::from(reader.u16("dns.nscount")?);
    let additional_count = u32::from(reader.u16("dns.arcount")?);
    let mut question = None;
    for _ in 0..question_count {
        let name = name::read(bytes, &mut reader)?;
        let kind = RecordType(reader.u16("dns.qtype")?);
        let class = reader.u16("dns.qclass")?;
        question = name.filter(|_| class == CLASS_IN).map(|name| Question { name, kind });
    }
    let mut message = Message {
        id,
        is_response: high & RESPONSE != 0,
        opcode: (high >> 3) & 0x0f,
        rcode: low & 0x0f,
        question: question.filter(|_| question_count == 1),
        answers: Vec::new(),
        ended_early: None,
    };
    let others = authority_count.saturating_add(additional_count);
    let record_count = if is_multicast { answer_count.saturating_add(others) } else { answer_count };
    for _ in 0..record_count {
        match record::read(bytes, &mut reader, is_multicast) {
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
    /// joins to the question, in whatever order the records stand. The hints of SVCB and HTTPS records are addresses
    /// like any other: a program may use them without asking more.
    #[must_use]
    pub fn answered(&self) -> Option<Answered> {
        if !self.is_response || self.opcode != 0 || self.rcode != 0 {
            return None;
        }
        let Question { name, kind } = self.question.as_ref()?;
        let site = site_of(name, *kind)?;
        // Every name of the chain so far, with the shortest TTL on the way there; each is looked for once.
        let mut chain: Vec<(&DomainName, u32)> = vec![(name, u32::MAX)];
        let mut place = 0;
        while let Some(&(from, ttl_secs)) = chain.get(place) {
            for record in self.answers.iter().filter(|record| record.owner.as_ref() == Some(from)) {
                let Some(target) = record.leads_to() else { continue };
                if chain.len() <= MAX_LINKS && chain.iter().all(|(known, _)| *known != target) {
                    chain.push((target, ttl_secs.min(record.ttl_secs)));
                }
            }
            place = place.saturating_add(1);
        }
        let mut seen = BTreeSet::new();
        let mut addrs = Vec::new();
        for record in &self.answers {
            let is_owner = |(name, _): &&(&DomainName, u32)| record.owner.as_ref() == Some(*name);
            let Some((_, ttl_secs)) = chain.iter().find(is_owner) else { continue };
            for addr in record.addrs() {
                // Blocking resolvers answer with the unspecified address: nobody is there.
                if !addr.is_unspecified() && seen.insert(*addr) {
                    let own_ttl_secs = record.ttl_secs;
                    addrs.push(AnsweredAddr {
                        addr: *addr,
                        ttl_secs: own_ttl_secs.min(*ttl_secs),
                        own_ttl_secs,
                    });
                }
            }
        }
        let aliases = || chain.iter().skip(1).map(|(alias, _)| (*alias).clone()).collect();
        (!addrs.is_empty()).then(|| Answered { name: site, aliases: aliases(), addrs })
    }
}

impl Record {
    /// The name that this record's owner is an alias of, or is served under.
    fn leads_to(&self) -> Option<&DomainName> {
        match &self.data {
            RecordData::Cname(target) => target.as_ref(),
            RecordData::Service(service) => service.target.as_ref(),
            RecordData::Addr(_) | RecordData::Other(_) => None,
        }
    }

    fn addrs(&self) -> &[IpAddr] {
        match &self.data {
            RecordData::Addr(addr) => core::slice::from_ref(addr),
            RecordData::Service(service) => &service.hints,
            RecordData::Cname(_) | RecordData::Other(_) => &[],
        }
    }
}

/// The site that is asked for. On another port than 443 it is asked for as `_8443._https.site` (RFC 9460 §9.1). Names
/// of other services are none of a site: `_dns.resolver.arpa` asks for the resolver itself (RFC 9462 §4).
fn site_of(name: &DomainName, kind: RecordType) -> Option<DomainName> {
    let is_service = matches!(kind, RecordType::SVCB | RecordType::HTTPS);
    let Some(service) = name.as_str().strip_prefix('_').filter(|_| is_service) else {
        return Some(name.clone());
    };
    let (port, rest) = service.split_once('.')?;
    port.parse::<u16>().ok()?;
    DomainName::parse(rest.strip_prefix("_https.").filter(|_| kind == RecordType::HTTPS)?)
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
            .map_or_else(Vec::new, |a| a.addrs.iter().map(|a| (a.addr.to_string(), a.ttl_secs)).collect())
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

    #[test]
    fn hints_are_addresses_of_the_asked_name() {
        // a.mi HTTPS → 1 . ipv4hint=203.0.113.1; TTL 300.
        let message = read(&unhex(
            "0001 8180 0001 0001 0000 0000 01 61 02 6d69 00 0041 0001
             c00c 0041 0001 0000012c 000b 0001 00 0004 0004 cb007101",
        ))
        .expect("sound");
        assert_eq!(addrs(&message), [("203.0.113.1".to_owned(), 300)]);
        assert_eq!(message.question.map(|q| q.kind), Some(RecordType::HTTPS));
    }

    #[test]
    fn an_alias_form_leads_on_like_a_cname() {
        // _8443._https.a.mi HTTPS → 0 b.mi (TTL 60); b.mi HTTPS → 1 c.mi ipv4hint (TTL 300); c.mi A.
        let message = read(&unhex(
            "0001 8180 0001 0003 0000 0000 05 5f38343433 06 5f6874747073 01 61 02 6d69 00 0041 0001
             c00c 0041 0001 0000003c 0008 0000 01 62 02 6d69 00
             01 62 c01b 0041 0001 0000012c 0010 0001 01 63 02 6d69 00 0004 0004 cb007101
             01 63 c01b 0001 0001 0000000a 0004 cb007102",
        ))
        .expect("sound");
        let answered = message.answered().expect("it teaches");
        assert_eq!(answered.name.as_str(), "a.mi");
        assert_eq!(answered.aliases.iter().map(DomainName::as_str).collect::<Vec<_>>(), ["b.mi", "c.mi"]);
        assert_eq!(addrs(&message), [("203.0.113.1".to_owned(), 60), ("203.0.113.2".to_owned(), 10)]);
        assert_eq!(answered.addrs.iter().map(|a| a.own_ttl_secs).collect::<Vec<_>>(), [300, 10]);
    }

    #[test]
    fn mixed_case_means_the_same_and_edns_is_no_answer() {
        // wWw.Mi A, answered under www.mi; OPT with a cookie behind it.
        let message = read(&unhex(
            "0001 8380 0001 0001 0000 0001 03 775777 02 4d69 00 0001 0001
             03 777777 02 6d69 00 0001 0001 0000003c 0004 cb007101
             00 0029 04d0 0000 0000 000c 000a 0008 0102030405060708",
        ))
        .expect("sound");
        assert_eq!(addrs(&message).len(), 1, "the server left some out (TC), and what is there counts");
        assert_eq!((message.answers.len(), message.ended_early), (1, None));
    }

    #[test]
    fn a_chain_that_stands_upside_down_is_followed_so_far() {
        let chain = |links: u8| {
            let mut bytes = unhex("0001 8180 0001 0000 0000 0000 02 6130 00 0001 0001");
            let name = |n: u8| [3, b'a', b'0' + n / 10, b'0' + n % 10, 0];
            bytes[12..16].copy_from_slice(&[2, b'a', b'0', 0]);
            bytes.splice(12..16, name(0));
            bytes[7] = links + 1;
            bytes.extend([&name(links)[..], &[0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 203, 0, 113, 1]].concat());
            for n in (0..links).rev() {
                bytes.extend([&name(n)[..], &[0, 5, 0, 1, 0, 0, 0, 9, 0, 5], &name(n + 1)[..]].concat());
            }
            read(&bytes).expect("sound").answered()
        };
        let most = u8::try_from(MAX_LINKS).expect("small");
        assert_eq!(chain(most).map(|a| a.aliases.len()), Some(MAX_LINKS));
        assert_eq!(chain(most + 1), None);
    }

    #[test]
    fn a_crowd_of_aliases_is_cut() {
        // a A, with forty CNAMEs (TTL 1) and an address behind the first and the last of them.
        let mut bytes = unhex("0001 8180 0001 002a 0000 0000 01 61 00 0001 0001");
        for n in 0..40 {
            bytes.extend([1, b'a', 0, 0, 5, 0, 1, 0, 0, 0, 1, 0, 4, 2, b'a' + n / 10, b'a' + n % 10, 0]);
        }
        for n in [0, 39] {
            bytes.extend([2, b'a' + n / 10, b'a' + n % 10, 0, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 203, 0, 113, n]);
        }
        let message = read(&bytes).expect("sound");
        assert_eq!((message.answers.len(), message.ended_early), (42, None));
        assert_eq!(message.answered().map(|a| a.aliases.len()), Some(MAX_LINKS));
        assert_eq!(addrs(&message), [("203.0.113.0".to_owned(), 1)]);
    }

    #[test]
    fn services_other_than_the_web_name_nobody() {
        // SERVICE.a kind → 1 . ipv4hint=203.0.113.1.
        let name_of = |service: &[&str], kind: RecordType| {
            let mut bytes = unhex("0001 8180 0001 0001 0000 0000");
            for label in service.iter().chain(&["a"]) {
                bytes.push(u8::try_from(label.len()).expect("short"));
                bytes.extend(label.bytes());
            }
            bytes
                .extend([&[0][..], &kind.0.to_be_bytes(), &[0, 1, 0xc0, 12], &kind.0.to_be_bytes()].concat());
            bytes.extend(unhex("0001 0000012c 000b 0001 00 0004 0004 cb007101"));
            read(&bytes).expect("sound").answered().map(|answered| answered.name.to_string())
        };
        assert_eq!(name_of(&["_dns", "resolver"], RecordType::SVCB), None);
        assert_eq!(name_of(&["_8443", "_https"], RecordType::SVCB), None);
        assert_eq!(name_of(&["_853", "_dns"], RecordType::HTTPS), None);
        assert_eq!(name_of(&["_x"], RecordType::HTTPS), None);
        assert_eq!(name_of(&["_8443", "_https"], RecordType::HTTPS).as_deref(), Some("a"));
        assert_eq!(name_of(&["www"], RecordType::SVCB).as_deref(), Some("www.a"));
    }

    #[test]
    fn of_multicast_all_sections_are_read() {
        // lena.local A in the additional section, with the flush bit; a PTR in the answers.
        let bytes = unhex(
            "0000 8400 0000 0001 0000 0001 04 5f6f6461 05 6c6f63616c 00 000c 0001 00000078 0002 c00c
             04 6c656e61 05 6c6f63616c 00 0001 8001 00000078 0004 c0a80117",
        );
        let message = read_multicast(&bytes).expect("sound");
        assert_eq!(message.answers.len(), 2);
        assert_eq!(message.answers[1].data, RecordData::Addr([192, 168, 1, 23].into()));
        assert_eq!(read(&bytes).expect("sound").answers.len(), 1);
        for len in 0..bytes.len() {
            let _ = read_multicast(&bytes[..len]);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _ = read(&bytes).map(|m| m.answered());
            let _ = read_multicast(&bytes);
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
