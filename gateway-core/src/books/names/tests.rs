use super::answer::MAX_ANSWERS_PER_ADDR;
use super::*;

const SECOND: u64 = 1_000_000_000;

const PHONE: Mac = Mac([2, 0, 0, 0, 0, 1]);
const LAPTOP: Mac = Mac([2, 0, 0, 0, 0, 2]);

fn at(secs: u64) -> BootTime {
    BootTime(secs * SECOND)
}

fn answer(name: &str, addr: &str, ttl_secs: u32) -> Answered {
    let name = DomainName::parse(name).expect("a name");
    let addr = addr.parse().expect("an address");
    Answered { name, aliases: vec![], addrs: vec![AnsweredAddr { addr, ttl_secs, own_ttl_secs: ttl_secs }] }
}

fn over_ipv6(device: Mac) -> Asker {
    Asker { device, ipv4: None }
}

fn within(book: &NamesBook, device: Mac, earliest: u64, latest: u64) -> Asked<'_> {
    book.asked_before(over_ipv6(device), "192.0.2.1".parse().expect("an address"), (at(earliest), at(latest)))
}

fn name_at(book: &NamesBook, device: Mac, secs: u64) -> Option<&str> {
    within(book, device, secs, secs).name().map(DomainName::as_str)
}

#[test]
fn a_name_goes_stale() {
    let mut book = NamesBook::default();
    book.learn(over_ipv6(PHONE), at(100), &answer("a.example", "192.0.2.1", 300));
    assert_eq!(name_at(&book, PHONE, 99), None, "not asked yet");
    assert_eq!(name_at(&book, PHONE, 100), Some("a.example"));
    assert_eq!(name_at(&book, PHONE, 100 + 360), Some("a.example"));
    assert_eq!(name_at(&book, PHONE, 100 + 361), None);
}

#[test]
fn short_and_endless_ttls_are_bounded() {
    let mut book = NamesBook::default();
    book.learn(over_ipv6(PHONE), at(0), &answer("a.example", "192.0.2.1", 0));
    assert_eq!(name_at(&book, PHONE, 120), Some("a.example"));
    assert_eq!(name_at(&book, PHONE, 121), None);
    book.learn(over_ipv6(PHONE), at(200), &answer("b.example", "192.0.2.1", u32::MAX));
    assert_eq!(name_at(&book, PHONE, 200 + 86_460), Some("b.example"));
    assert_eq!(name_at(&book, PHONE, 200 + 86_461), None);
}

#[test]
fn each_device_has_its_own_answers() {
    let mut book = NamesBook::default();
    book.learn(over_ipv6(PHONE), at(10), &answer("a.example", "192.0.2.1", 60));
    book.learn(over_ipv6(LAPTOP), at(20), &answer("b.example", "192.0.2.1", 60));
    assert_eq!(name_at(&book, PHONE, 30), Some("a.example"));
    assert_eq!(name_at(&book, LAPTOP, 30), Some("b.example"));
    assert_eq!(name_at(&book, Mac::default(), 30), None);
}

#[test]
fn of_several_names_that_vouch_the_last_is_taken_and_says_so() {
    let mut book = NamesBook::default();
    book.learn(over_ipv6(PHONE), at(10), &answer("long.example", "192.0.2.1", 3600));
    book.learn(over_ipv6(PHONE), at(20), &answer("short.example", "192.0.2.1", 30));
    let vouched = |secs| match within(&book, PHONE, secs, secs) {
        Asked::Vouched(v) => (v.name.as_str(), v.answered_at, v.has_rivals, v.is_stretched),
        other => panic!("{other:?}"),
    };
    assert_eq!(vouched(15), ("long.example", at(10), false, false));
    assert_eq!(vouched(25), ("short.example", at(20), true, false));
    assert_eq!(vouched(51), ("short.example", at(20), true, true), "past its TTL");
    assert_eq!(vouched(141), ("long.example", at(10), false, false), "the other one is stale");
    book.learn(over_ipv6(PHONE), at(200), &answer("long.example", "192.0.2.1", 3600));
    assert_eq!(name_at(&book, PHONE, 200), Some("long.example"), "no name is its own rival");
}

/// An alias of this TTL, and the address behind it with another.
fn behind_alias(name: &str, ttl_secs: u32, own_ttl_secs: u32) -> Answered {
    let mut answered = answer(name, "192.0.2.1", ttl_secs);
    answered.aliases = vec![DomainName::parse("edge.cdn.example").expect("a name")];
    answered.addrs[0].own_ttl_secs = own_ttl_secs;
    answered
}

fn vouched_at(book: &NamesBook, secs: u64) -> Option<(&str, bool, bool)> {
    match within(book, PHONE, secs, secs) {
        Asked::Vouched(vouched) => Some((vouched.name.as_str(), vouched.has_rivals, vouched.is_stretched)),
        Asked::Nothing | Asked::Undecided => None,
    }
}

#[test]
fn an_address_outlives_the_alias_that_led_to_it_and_says_so() {
    let mut book = NamesBook::default();
    book.learn(over_ipv6(PHONE), at(100), &behind_alias("home.example", 119, 583_958));
    assert_eq!(vouched_at(&book, 219), Some(("home.example", false, false)));
    assert_eq!(vouched_at(&book, 220), Some(("home.example", false, true)));
    assert_eq!(vouched_at(&book, 700), Some(("home.example", false, true)), "ten minutes later");
    assert_eq!(vouched_at(&book, 100 + 86_460), Some(("home.example", false, true)));
    assert_eq!(within(&book, PHONE, 100 + 86_461, 100 + 86_461), Asked::Nothing, "a day is the most");
    // What the store keeps is bounded by the alias.
    let told = book.take_new();
    assert_eq!((told[0].ttl_secs, told[0].vouches_until), (119, at(100 + 119 + 60)));
}

#[test]
fn a_name_held_past_its_alias_gives_way() {
    let mut book = NamesBook::default();
    book.learn(over_ipv6(PHONE), at(100), &behind_alias("home.example", 119, 3600));
    book.learn(over_ipv6(PHONE), at(200), &answer("other.example", "192.0.2.1", 300));
    assert_eq!(vouched_at(&book, 250), Some(("other.example", true, false)));
    assert_eq!(vouched_at(&book, 400), Some(("other.example", false, false)), "the one that vouches");
    assert_eq!(within(&book, PHONE, 600, 600), Asked::Undecided, "what came after is stale, and was said");
    // Even if the one that vouches was asked for before.
    let mut book = NamesBook::default();
    book.learn(over_ipv6(PHONE), at(50), &answer("other.example", "192.0.2.1", 1000));
    book.learn(over_ipv6(PHONE), at(100), &behind_alias("home.example", 119, 3600));
    assert_eq!(vouched_at(&book, 400), Some(("other.example", false, false)));
}

#[test]
fn two_names_held_past_their_aliases_name_nobody() {
    let mut book = NamesBook::default();
    book.learn(over_ipv6(PHONE), at(100), &behind_alias("home.example", 119, 3600));
    book.learn(over_ipv6(PHONE), at(200), &behind_alias("other.example", 119, 1800));
    assert_eq!(within(&book, PHONE, 700, 700), Asked::Undecided);
    assert_eq!(within(&book, PHONE, 200 + 1861, 200 + 1861), Asked::Undecided);
    book.learn(over_ipv6(PHONE), at(2100), &behind_alias("home.example", 119, 3600));
    assert_eq!(vouched_at(&book, 2400), Some(("home.example", false, true)), "said anew");
    assert_eq!(within(&book, PHONE, 50, 50), Asked::Nothing, "not asked yet");
}

#[test]
fn names_that_time_does_not_tell_apart_name_nobody() {
    let millis = |ms: u64| BootTime(ms * 1_000_000);
    let mut book = NamesBook::default();
    book.learn(over_ipv6(PHONE), millis(10_000), &answer("a.example", "192.0.2.1", 300));
    book.learn(over_ipv6(PHONE), millis(10_400), &answer("b.example", "192.0.2.1", 300));
    let addr = "192.0.2.1".parse().expect("an address");
    let asked = |ms| book.asked_before(over_ipv6(PHONE), addr, (millis(ms), millis(ms)));
    assert_eq!(asked(10_399).name().map(DomainName::as_str), Some("a.example"));
    // Right after b's answer, which is 400 ms after a's.
    assert_eq!(asked(10_401).name().map(DomainName::as_str), Some("b.example"));
    assert_eq!(asked(10_533).name().map(DomainName::as_str), Some("b.example"), "133 and 533 ms ago");
    assert_eq!(asked(10_534), Asked::Undecided);
    assert_eq!(asked(60_000), Asked::Undecided);
    // Closer together than programs wait for the other family's answer.
    book.learn(over_ipv6(PHONE), millis(20_000), &answer("c.example", "192.0.2.1", 300));
    book.learn(over_ipv6(PHONE), millis(20_099), &answer("d.example", "192.0.2.1", 300));
    let addr = "192.0.2.1".parse().expect("an address");
    let asked = |ms| book.asked_before(over_ipv6(PHONE), addr, (millis(ms), millis(ms)));
    assert_eq!(asked(20_100), Asked::Undecided);
    book.learn(over_ipv6(PHONE), millis(22_099), &answer("e.example", "192.0.2.1", 300));
    assert_eq!(name_at(&book, PHONE, 60), Some("e.example"), "two seconds apart");
}

#[test]
fn a_name_asked_for_again_is_the_one_asked_for_last() {
    let mut book = NamesBook::default();
    book.learn(over_ipv6(PHONE), at(10), &answer("a.example", "192.0.2.1", 300));
    book.learn(over_ipv6(PHONE), at(20), &answer("b.example", "192.0.2.1", 300));
    book.learn(over_ipv6(PHONE), at(30), &answer("a.example", "192.0.2.1", 300));
    for (secs, name) in [(15, "a.example"), (25, "b.example"), (35, "a.example")] {
        assert_eq!(name_at(&book, PHONE, secs), Some(name));
    }
    // By turns over both families, which are one device for all that is known.
    let ipv4 = Asker { device: PHONE, ipv4: Some([192, 168, 1, 1].into()) };
    book.learn(ipv4, at(40), &answer("b.example", "192.0.2.1", 300));
    book.learn(over_ipv6(PHONE), at(50), &answer("a.example", "192.0.2.1", 300));
    for (secs, name) in [(45, "b.example"), (55, "a.example")] {
        assert_eq!(name_at(&book, PHONE, secs), Some(name));
    }
}

#[test]
fn an_answer_is_as_old_as_the_last_time_it_was_given() {
    let mut book = NamesBook::default();
    for secs in [10, 50, 90] {
        book.learn(over_ipv6(PHONE), at(secs), &answer("a.example", "192.0.2.1", 60));
    }
    let answered_at = |secs| match within(&book, PHONE, secs, secs) {
        Asked::Vouched(vouched) => (vouched.answered_at, vouched.is_stretched),
        other => panic!("{other:?}"),
    };
    assert_eq!(answered_at(60), (at(50), false));
    assert_eq!(answered_at(150), (at(90), false));
    assert_eq!(answered_at(151), (at(90), true));
    // Asked again when it had gone stale: a conversation between the two had a stale one.
    book.learn(over_ipv6(PHONE), at(200), &answer("a.example", "192.0.2.1", 60));
    let Asked::Vouched(vouched) = within(&book, PHONE, 199, 199) else { panic!("no name") };
    assert_eq!((vouched.answered_at, vouched.is_stretched), (at(90), true));
}

#[test]
fn a_name_asked_for_often_does_not_push_out_its_rival() {
    let mut book = NamesBook::default();
    book.learn(over_ipv6(PHONE), at(10), &answer("long.example", "192.0.2.1", 86_400));
    for n in 1..=2 * MAX_ANSWERS_PER_ADDR as u64 {
        book.learn(over_ipv6(PHONE), at(n * 200), &answer("short.example", "192.0.2.1", 0));
    }
    let Asked::Vouched(vouched) = within(&book, PHONE, 6400, 6400) else { panic!("no name") };
    assert_eq!((vouched.name.as_str(), vouched.has_rivals), ("short.example", true));
    assert_eq!(book.evicted, 0, "what left was stale");
}

#[test]
fn what_is_new_is_told_once_and_outlives_the_daemon() {
    let mut book = NamesBook::default();
    let asker = Asker { device: PHONE, ipv4: Some([192, 168, 1, 1].into()) };
    let mut chained = answer("www.a.example", "192.0.2.1", 300);
    chained.aliases = vec![DomainName::parse("z.cdn.example").expect("a name")];
    chained.aliases.push(DomainName::parse("a.cdn.example").expect("a name"));
    book.learn(asker, at(10), &chained);
    let told = book.take_new();
    let [row] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!((row.device, row.asker_ipv4, row.addr.to_string().as_str()), (PHONE, asker.ipv4, "192.0.2.1"));
    assert_eq!(row.chain, chained.aliases, "in order");
    assert_eq!((row.answered_at, row.vouches_until, row.ttl_secs), (at(10), at(370), 300));
    assert_eq!(book.take_new(), []);
    book.learn(asker, at(20), &chained);
    book.learn(asker, at(21), &answer("b.example", "192.0.2.1", 60));
    let told = book.take_new();
    let moments: Vec<_> = told.iter().map(|a| (a.name.as_str(), a.answered_at, a.vouches_until)).collect();
    assert_eq!(moments, [("www.a.example", at(10), at(380)), ("b.example", at(21), at(141))]);
    let mut heir = NamesBook::default();
    heir.restore(told);
    assert_eq!(heir.take_new(), [], "known before");
    let addr = "192.0.2.1".parse().expect("an address");
    for secs in [15, 20, 30, 142, 381] {
        let asked = |book: &NamesBook| format!("{:?}", book.asked_before(asker, addr, (at(secs), at(secs))));
        assert_eq!(asked(&heir), asked(&book), "{secs}");
    }
}

#[test]
fn what_one_drain_may_tell_is_bounded_and_the_rest_comes_later() {
    let mut book = NamesBook::default();
    let mut enter = |device: u8, count: usize| {
        for n in 0..u32::try_from(count).expect("small") {
            let addr = core::net::Ipv4Addr::from(n).to_string();
            book.learn(over_ipv6(Mac([2, 0, 0, 0, 0, device])), at(1), &answer("a.example", &addr, 60));
        }
    };
    for device in 0..3 {
        enter(device, MAX_ADDRS_PER_DEVICE);
    }
    assert_eq!(book.take_new().len(), MAX_NEW_PER_DRAIN);
    assert_eq!(book.take_new().len(), 3 * MAX_ADDRS_PER_DEVICE - MAX_NEW_PER_DRAIN);
    assert_eq!(book.take_new().len(), 0);
    // A device that never ceases: what is untold is no more than what is known.
    let mut book = NamesBook::default();
    for n in 0..3 * MAX_ADDRS as u32 {
        let addr = core::net::Ipv4Addr::from(n).to_string();
        book.learn(over_ipv6(PHONE), at(1), &answer("a.example", &addr, 60));
    }
    assert!(book.untold.len() <= 2 * MAX_ADDRS);
    assert_eq!(book.take_new().len(), MAX_ADDRS_PER_DEVICE);
}

#[test]
fn names_of_one_chain_are_no_rivals() {
    let chain = |name, aliases: &[&str]| {
        let aliases = aliases.iter().map(|a| DomainName::parse(a).expect("a name")).collect();
        Answered { aliases, ..answer(name, "192.0.2.1", 3600) }
    };
    let mut book = NamesBook::default();
    book.learn(over_ipv6(PHONE), at(10), &chain("www.a.example", &["a.example", "a.cdn.example"]));
    book.learn(over_ipv6(PHONE), at(20), &chain("a.example", &["a.cdn.example"]));
    assert_eq!(name_at(&book, PHONE, 25), Some("a.example"));
    book.learn(over_ipv6(PHONE), at(30), &chain("www.a.example", &["a.example", "a.cdn.example"]));
    let Asked::Vouched(vouched) = within(&book, PHONE, 35, 35) else { panic!("no name") };
    assert_eq!((vouched.name.as_str(), vouched.has_rivals), ("www.a.example", false));
    // Another customer of the same content network.
    book.learn(over_ipv6(PHONE), at(40), &chain("b.example", &["a.cdn.example"]));
    let Asked::Vouched(vouched) = within(&book, PHONE, 45, 45) else { panic!("no name") };
    assert_eq!((vouched.name.as_str(), vouched.has_rivals), ("b.example", true));
    assert_eq!(book.evicted, 0);
    book.learn(over_ipv6(PHONE), at(50), &chain("c.example", &["d.example"; MAX_CHAIN + 1]));
    assert_eq!(book.evicted, 1);
}

#[test]
fn who_shares_a_mac_address_is_told_apart_by_ipv4() {
    let asker = |last: Option<u8>| Asker { device: PHONE, ipv4: last.map(|n| [192, 168, 1, n].into()) };
    let addr = "192.0.2.1".parse().expect("an address");
    let mut book = NamesBook::default();
    book.learn(asker(Some(1)), at(10), &answer("a.example", "192.0.2.1", 60));
    let name = |book: &NamesBook, asker| {
        book.asked_before(asker, addr, (at(30), at(30))).name().map(DomainName::to_string)
    };
    assert_eq!(name(&book, asker(Some(1))).as_deref(), Some("a.example"));
    assert_eq!(name(&book, asker(None)).as_deref(), Some("a.example"), "asked over IPv4, gone to over IPv6");
    assert_eq!(name(&book, asker(Some(2))), None);
    book.learn(asker(Some(2)), at(20), &answer("b.example", "192.0.2.1", 60));
    assert_eq!(name(&book, asker(Some(1))).as_deref(), Some("a.example"));
    assert_eq!(name(&book, asker(Some(2))).as_deref(), Some("b.example"));
    assert_eq!(name(&book, asker(None)), None, "either may be meant");
}

#[test]
fn behind_a_shared_mac_address_what_ipv6_asked_names_no_ipv4() {
    let asker = |last: Option<u8>| Asker { device: PHONE, ipv4: last.map(|n| [192, 168, 1, n].into()) };
    let addr = "192.0.2.1".parse().expect("an address");
    let mut book = NamesBook::default();
    book.learn(asker(Some(1)), at(10), &answer("elsewhere.example", "192.0.2.9", 60));
    book.learn(asker(None), at(20), &answer("theirs.example", "192.0.2.1", 86_400));
    let asked = |book: &NamesBook, last, secs| {
        let asked = book.asked_before(asker(last), addr, (at(secs), at(secs)));
        (asked.name().map(DomainName::to_string), asked == Asked::Undecided)
    };
    let theirs = (Some("theirs.example".to_owned()), false);
    assert_eq!(asked(&book, Some(1), 25), theirs, "one device, for all that is known");
    book.learn(asker(Some(2)), at(30), &answer("elsewhere.example", "192.0.2.9", 60));
    assert_eq!(asked(&book, Some(1), 35), (None, true));
    assert_eq!(asked(&book, None, 35), theirs, "gone to over IPv6 as well");
    book.learn(asker(Some(1)), at(40), &answer("mine.example", "192.0.2.1", 86_400));
    assert_eq!(asked(&book, Some(1), 45).0.as_deref(), Some("mine.example"), "its own, and later");
    assert_eq!(asked(&book, None, 45), (None, true));
    // A restart does not make them one.
    let mut heir = NamesBook::default();
    heir.restore(book.take_new());
    assert_eq!(asked(&heir, None, 45), (None, true));
    // A day after the other address was used for the last time it is a lease that changed.
    let later = 31 + 86_460;
    book.learn(asker(Some(1)), at(later), &answer("elsewhere.example", "192.0.2.9", 60));
    book.learn(asker(None), at(later), &answer("theirs.example", "192.0.2.1", 60));
    assert_eq!(asked(&book, Some(1), later + 1), theirs);
}

#[test]
fn asking_again_does_not_unmake_the_first_answer() {
    let mut book = NamesBook::default();
    book.learn(over_ipv6(PHONE), at(10), &answer("a.example", "192.0.2.1", 60));
    book.learn(over_ipv6(PHONE), at(50), &answer("a.example", "192.0.2.1", 60));
    assert_eq!(name_at(&book, PHONE, 11), Some("a.example"));
    assert_eq!(name_at(&book, PHONE, 170), Some("a.example"));
    assert_eq!(name_at(&book, PHONE, 171), None);
}

#[test]
fn rivals_within_an_interval_name_nobody() {
    let mut book = NamesBook::default();
    book.learn(over_ipv6(PHONE), at(10), &answer("a.example", "192.0.2.1", 60));
    assert_eq!(within(&book, PHONE, 5, 30).name().map(DomainName::as_str), Some("a.example"));
    book.learn(over_ipv6(PHONE), at(20), &answer("b.example", "192.0.2.1", 60));
    assert_eq!(within(&book, PHONE, 5, 30), Asked::Undecided);
    assert_eq!(within(&book, PHONE, 131, 140).name().map(DomainName::as_str), Some("b.example"));
}

#[test]
fn the_book_is_bounded_and_counts_who_left() {
    let mut book = NamesBook::default();
    for n in 0..=MAX_ANSWERS_PER_ADDR as u64 {
        assert_eq!(book.evicted, 0);
        book.learn(over_ipv6(PHONE), at(n), &answer(&format!("n{n}.example"), "192.0.2.1", 60));
    }
    assert_eq!(book.evicted, 1);
    let mut book = NamesBook::default();
    for n in 0..=MAX_ADDRS_PER_DEVICE as u32 {
        let addr = core::net::Ipv4Addr::from(n).to_string();
        book.learn(over_ipv6(PHONE), at(1), &answer("a.example", &addr, 60));
    }
    assert_eq!(book.evicted, 1);
}
