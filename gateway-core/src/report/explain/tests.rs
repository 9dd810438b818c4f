#![allow(clippy::unwrap_used, reason = "tests panic on purpose")]
use super::*;
use crate::report::table::Paint;
use crate::row::RowKey;
use crate::units::{Country, WallTime};

const REDMI: Mac = Mac([2, 0, 0, 0, 0, 1]);
const MINUTE: i64 = 60_000_000_000;

fn name(text: &str) -> DomainName {
    DomainName::parse(text).unwrap()
}

fn row(peer: &str, said: Option<(&str, Evidence)>, marks: Marks, application: Application) -> FlowSum {
    FlowSum {
        key: RowKey {
            device: REDMI,
            peer: peer.parse().unwrap(),
            port: 443,
            protocol: 6,
            kind: RowKind::Flow,
            opened_by: OpenedBy::Device,
            name: said.map(|(text, _)| name(text)),
            evidence: said.map_or(Evidence::None, |(_, evidence)| evidence),
            marks,
            application,
        },
        network: Network {
            asn: Some(45_102),
            organisation: Some("Alibaba".into()),
            country: Country::parse("SG"),
            ..Network::default()
        },
        volume: Volume { up_bytes: 89_172, down_bytes: 4_109, up_packets: 90, down_packets: 40 },
        conversations: 12,
        first_at: WallTime(2 * 1440 * MINUTE),
        last_at: WallTime((2 * 1440 + 5) * MINUTE),
        oldest_answer_secs: None,
    }
}

/// Told at a minute of the third day.
fn told(peer: &str, said: &str, minute: i64, chain: &[&str]) -> ToldAnswer {
    let at = (2 * 1440 + minute) * MINUTE;
    ToldAnswer {
        device: REDMI,
        name: name(said),
        addr: peer.parse().unwrap(),
        asker_ipv4: None,
        chain: chain.iter().map(|text| name(text)).collect(),
        ttl_secs: 60,
        answered_at: Some(WallTime(at)),
        vouches_until: Some(WallTime(at + 2 * MINUTE)),
    }
}

/// Minutes.
fn interval(since: i64, until: i64) -> Counted {
    let range = TimeRange { since: WallTime(since * MINUTE), until: WallTime(until * MINUTE) };
    let boot_ns = (range.since.0.unsigned_abs(), range.until.0.unsigned_abs());
    Counted { origin: 1, boot_ns, range, is_clock_set: true, row_bytes: 0 }
}

fn input(subject: &str, flows: Vec<FlowSum>, answers: Vec<ToldAnswer>) -> Input {
    Input {
        subject: subject.parse().unwrap(),
        range: TimeRange { since: WallTime(0), until: WallTime(4 * 1440 * MINUTE) },
        devices: vec![DeviceInfo { label: Some("Redmi".into()), ..DeviceInfo::unknown(REDMI) }],
        flows,
        hiding: Vec::new(),
        answers,
        aliases: Vec::new(),
        counted: vec![interval(0, 2 * 1440), interval(2 * 1440, 2 * 1440 + 5)],
        lost_answers: 0,
    }
}

/// The text without its first line, which repeats the question.
fn said(input: &Input) -> String {
    let look =
        Look { width: None, paint: Paint::Plain, is_exact: false, max_destinations: 0, offset_of: &|_| 0 };
    let text = text(&explain(input, &look), 9, &look);
    text.split_once('\n').unwrap().1.to_owned()
}

#[track_caller]
fn check(input: &Input, expected: &str) {
    let said = said(input);
    assert!(said == expected, "said:\n{said}");
}

const HEAD: &str = "\nRedmi exchanged 89.2 kB up and 4.1 kB down with 47.241.1.5 (Alibaba, SG), port 443/tcp";
const TIMES: &str = ", in 12 conversations, between 1970-01-03 00:00 +00:00 and 1970-01-03 00:05 +00:00.\n";

#[test]
fn a_server_that_was_named_and_asked_for() {
    let flow =
        row("47.241.1.5", Some(("data.xiaomi.com", Evidence::TlsSni)), Marks::COVERED, Application::Tls);
    let answers = vec![
        told("47.241.1.5", "data.xiaomi.com", 1, &["sg.xiaomi.com", "lb.alibaba.example"]),
        told("47.241.1.5", "early.example", -60, &[]),
        told("47.241.1.5", "now.example", 2, &[]),
        told("47.241.1.6", "elsewhere.example", 2, &[]),
    ];
    check(
        &input("47.241.1.5:443", vec![flow], answers),
        &format!(
            "{HEAD}, TLS{TIMES}  It named the server itself: data.xiaomi.com, in the TLS ClientHello (RFC 6066 section 3).\n  \
             The DNS had told it this address before; the latest for that name: at 1970-01-03 00:01 +00:00, \
             vouching until 1970-01-03 00:03 +00:00, TTL 60 s, by way of sg.xiaomi.com, lb.alibaba.example.\n  \
             Other names that the DNS gave the device for this address: early.example (did not vouch then), \
             now.example (vouched at some time of it).\n"
        ),
    );
}

#[test]
fn an_outer_name_says_what_it_is() {
    let said_so = Some(("cloudflare-ech.com", Evidence::QuicSni));
    let flow = row("47.241.1.5", said_so, Marks::OUTER_NAME, Application::Quic);
    check(
        &input("cloudflare-ech.com", vec![flow], Vec::new()),
        &format!(
            "{HEAD}, QUIC{TIMES}  It named the server itself: cloudflare-ech.com, in the ClientHello of a QUIC Initial \
             (RFC 9001; RFC 6066 section 3).\n  \
             The hello carried an encrypted one as well (ECH, RFC 9849), or noise that looks like it. If it was real, \
             this is an outer name: it belongs to whoever hosts the site, and the site's own name is hidden from \
             everyone on the way.\n"
        ),
    );
}

#[test]
fn a_conversation_that_named_two_hosts_says_so() {
    let said_so = Some(("b.example", Evidence::HttpHost));
    let flow = row("47.241.1.5", said_so, Marks::HAS_RIVALS, Application::Http);
    check(
        &input("b.example", vec![flow], Vec::new()),
        &format!(
            "{HEAD}, HTTP{TIMES}  It named the server itself: b.example, in plain HTTP (Host, RFC 9110 section 7.2).\n  \
             In the same conversation it named another host as well: the last one is shown, with the bytes of all of \
             them.\n"
        ),
    );
}

#[test]
fn a_name_by_the_dns_says_how_old_and_who_rivals() {
    let marks = Marks::COVERED.with(Marks::HAS_RIVALS).with(Marks::STRETCHED);
    let flow = FlowSum {
        oldest_answer_secs: Some(3),
        ..row("47.241.1.5", Some(("a.example", Evidence::Dns)), marks, Application::Unknown)
    };
    let answers = vec![told("47.241.1.5", "a.example", 1, &[]), told("47.241.1.5", "b.example", 0, &[])];
    check(
        &input("47.241.1.5", vec![flow], answers),
        &format!(
            "{HEAD}{TIMES}  Nothing that it said names the server. The DNS had told the device this address for a.example, \
             at most 3 s before the conversation began.\n  \
             The latest such answer: at 1970-01-03 00:01 +00:00, vouching until 1970-01-03 00:03 +00:00, TTL 60 s.\n  \
             An answer was older than its TTL by then, though not older than programs are known to use one.\n  \
             Other names that the DNS gave for it still vouched then; the one asked for last was taken, and another is \
             possible.\n  \
             Other names that the DNS gave the device for this address: b.example (vouched at some time of it).\n"
        ),
    );
}

#[test]
fn no_name_has_the_reasons_that_something_speaks_for() {
    let flow = row("47.241.1.5", None, Marks::UNCOVERED, Application::Tls);
    let silent = "  It spoke TLS, and no server's name was read in it.\n  \
                  No DNS answer that the gateway saw had given the device this address before.\n";
    let plain = input("47.241.1.5:443", vec![flow.clone()], Vec::new());
    check(
        &plain,
        &format!(
            "{HEAD}, TLS{TIMES}{silent}  It may have the address from a program, from another server, or from a resolver \
             whose answers do not pass the gateway.\n"
        ),
    );
    let doh = row("8.8.8.8", Some(("dns.google", Evidence::TlsSni)), Marks::UNCOVERED, Application::Doh);
    let of_another = FlowSum { key: RowKey { device: Mac([2; 6]), ..doh.key.clone() }, ..doh.clone() };
    let too_late = FlowSum {
        first_at: flow.last_at,
        ..row("198.51.100.9", None, Marks::UNCOVERED, Application::WireGuard)
    };
    let input = Input {
        hiding: vec![doh, of_another, too_late],
        // Ten minutes were not measured, then three that were.
        counted: vec![
            interval(0, 2 * 1440 - 13),
            interval(2 * 1440 - 3, 2 * 1440),
            interval(2 * 1440, 2 * 1440 + 5),
        ],
        lost_answers: 2,
        ..plain
    };
    check(
        &input,
        &format!(
            "{HEAD}, TLS{TIMES}{silent}  The device spoke DNS over HTTPS with dns.google (8.8.8.8) in this range \
             (93.3 kB): it may have asked there.\n  \
             Counting began, or began again, at 1970-01-02 23:57 +00:00: the device may have asked before.\n  \
             2 questions or answers were lost or not believed in this range: the answer may be among them.\n  \
             Otherwise it may have the address from a program, from another server, or from a resolver whose answers \
             do not pass the gateway.\n"
        ),
    );
}

#[test]
fn conversations_of_several_intervals_are_not_numbered() {
    let flow = row("47.241.1.5", None, Marks::NONE, Application::Tls);
    let one = input("47.241.1.5", vec![flow], Vec::new());
    assert!(said(&one).contains("in 12 conversations"));
    let halves = vec![interval(2 * 1440, 2 * 1440 + 3), interval(2 * 1440 + 3, 2 * 1440 + 5)];
    let two = said(&Input { counted: halves, ..one });
    assert!(two.contains("TLS, between"), "{two}");
}

#[test]
fn what_needs_no_name_did_not_have_to_ask() {
    for (application, protocol) in
        [(Application::Ntp, 17), (Application::Unknown, 1), (Application::Unknown, 58)]
    {
        let mut flow = row("47.241.1.5", None, Marks::UNCOVERED, application);
        flow.key.protocol = protocol;
        let said = said(&input("47.241.1.5", vec![flow], Vec::new()));
        assert!(!said.contains("may have the address") && said.contains("Settings, DHCP or"), "{said}");
        let is_by_port = application == Application::Ntp;
        assert_eq!(said.contains("only the port speaks for NTP"), is_by_port, "{said}");
        assert_eq!(said.contains("port 443/udp, NTP by its port"), is_by_port, "{said}");
    }
}

#[test]
fn what_a_proxy_was_asked_for_is_behind_it() {
    let of = |evidence, marks| {
        let flow = row("47.241.1.5", Some(("a.example", evidence)), marks, Application::HttpProxy);
        said(&input("a.example", vec![flow], Vec::new()))
    };
    let behind = "The name is of what lies behind the proxy; the address, its network and its country are the proxy's.";
    let asked = of(Evidence::HttpHost, Marks::NONE);
    assert!(
        asked.contains(behind) && asked.contains("a.example, in a request to an HTTP proxy (CONNECT"),
        "{asked}"
    );
    let inside = of(Evidence::TlsSni, Marks::COVERED);
    assert!(
        inside.contains(behind) && inside.contains("that followed a request to an HTTP proxy."),
        "{inside}"
    );
    assert!(inside.contains("told it this address before, the proxy's."), "{inside}");
    let direct = row("47.241.1.5", Some(("a.example", Evidence::TlsSni)), Marks::NONE, Application::Tls);
    assert!(!said(&input("a.example", vec![direct], Vec::new())).contains("proxy"));
}

#[test]
fn sentences_fit_the_screen() {
    let flow = row("47.241.1.5", Some(("a.example", Evidence::TlsSni)), Marks::UNCOVERED, Application::Tls);
    let input = input("47.241.1.5:443", vec![flow], Vec::new());
    let look = Look {
        width: Some(60),
        paint: Paint::Plain,
        is_exact: false,
        max_destinations: 0,
        offset_of: &|_| 0,
    };
    let explanation = explain(&input, &look);
    let wrapped = text(&explanation, 9, &look);
    assert!(wrapped.lines().all(|line| line.chars().count() <= 60), "{wrapped}");
    assert!(
        wrapped.contains("\n  It named the server itself: a.example, in the TLS\n    ClientHello"),
        "{wrapped}"
    );
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words(&wrapped), words(&text(&explanation, 9, &Look { width: None, ..look })));
}

#[test]
fn programs_read_the_kind_and_the_marks_that_are_shown() {
    let of = |kind| {
        let mut flow = row("47.241.1.5", None, Marks::UNCOVERED, Application::Tls);
        flow.key.kind = kind;
        let look =
            Look { width: None, paint: Paint::Plain, is_exact: true, max_destinations: 0, offset_of: &|_| 0 };
        let explanation = explain(&input("47.241.1.5", vec![flow], Vec::new()), &look);
        let json: serde_json::Value = serde_json::from_str(&json(&explanation).unwrap()).unwrap();
        let part = json.pointer("/parts/0").unwrap();
        let peers = part.get("peers").and_then(|peers| peers.as_array()).map(Vec::len);
        format!("{} {} {peers:?} {}", part["kind"], part["marks"], part["conversations"])
    };
    assert_eq!(of(RowKind::Flow), r#""flow" ["uncovered"] Some(1) 12"#);
    assert_eq!(of(RowKind::LaterFragments), r#""later_fragments" ["uncovered"] Some(1) 12"#);
    assert_eq!(of(RowKind::Local), r#""local" [] Some(1) 12"#);
    assert_eq!(of(RowKind::Coarse), r#""peer_unknown" [] Some(0) null"#);
}

#[test]
fn other_reasons_for_no_name() {
    let of = |marks, application, change: fn(&mut RowKey)| {
        let mut flow = row("47.241.1.5", None, marks, application);
        change(&mut flow.key);
        said(&input("47.241.1.5", vec![flow], Vec::new()))
    };
    let unchanged: fn(&mut RowKey) = |_| {};
    let undecided = Marks::COVERED.with(Marks::UNDECIDED);
    assert!(of(undecided, Application::Unknown, unchanged).contains("for several names"));
    assert!(of(Marks::NONE, Application::Unknown, unchanged).contains("under way when it was first counted"));
    assert!(of(Marks::NONE, Application::Stun, unchanged).contains("STUN, which names no host"));
    assert!(of(Marks::UNCOVERED, Application::Stun, unchanged).contains("comes from another server"));
    let called = of(Marks::NONE, Application::Unknown, |key| key.opened_by = OpenedBy::Peer);
    assert!(called.contains("The peer opened it") && called.contains("of the device"), "{called}");
    let pieces = of(Marks::NONE, Application::Unknown, |key| key.kind = RowKind::LaterFragments);
    assert!(pieces.contains("later fragments") && !pieces.contains("under way"), "{pieces}");
    let house = of(Marks::UNCOVERED, Application::Dns, |key| key.kind = RowKind::Local);
    assert!(house.contains("in the house") && !house.contains("No DNS answer"), "{house}");
}

#[test]
fn a_name_is_followed_to_its_addresses_and_aliases() {
    let tls = |peer| row(peer, Some(("a.example", Evidence::TlsSni)), Marks::COVERED, Application::Tls);
    let mut small = tls("47.241.1.6");
    small.volume.up_bytes = 1;
    let alias = |of: &str, to: &str| Alias { device: REDMI, name: name(of), alias: name(to) };
    let input = Input {
        aliases: vec![
            alias("a.example", "cdn.example"),
            alias("shop.example", "a.example"),
            alias("x.example", "y.example"),
        ],
        ..input(
            "a.example",
            vec![small, tls("47.241.1.5")],
            vec![
                told("47.241.1.6", "a.example", 1, &[]),
                told("47.241.1.7", "a.example", 2, &["cdn.example"]),
            ],
        )
    };
    check(
        &input,
        &format!(
            "\nRedmi exchanged 89.2 kB up and 8.2 kB down with 2 addresses (most with 47.241.1.5 (Alibaba, SG)), \
             port 443/tcp, TLS{}  It named the server itself: a.example, in the TLS ClientHello (RFC 6066 section 3).\n  \
             The DNS had told it these addresses before; the latest for that name: 47.241.1.6 at \
             1970-01-03 00:01 +00:00, vouching until 1970-01-03 00:03 +00:00, TTL 60 s.\n\n\
             The DNS told Redmi 47.241.1.7 for a.example at 1970-01-03 00:02 +00:00 (TTL 60 s, by way of cdn.example); \
             no row here is of that.\n\
             The DNS told Redmi that a.example is also cdn.example.\n\
             The DNS told Redmi that shop.example is also a.example: such traffic is listed under shop.example.\n",
            TIMES.replace("12", "24")
        ),
    );
}

#[test]
fn where_nothing_is_known_nothing_is_said() {
    let look =
        Look { width: None, paint: Paint::Plain, is_exact: false, max_destinations: 0, offset_of: &|_| 0 };
    let nothing = explain(&input("a.example", Vec::new(), Vec::new()), &look);
    assert!(nothing.is_empty());
    let told_only =
        explain(&input("a.example", Vec::new(), vec![told("10.0.0.1", "a.example", 1, &[])]), &look);
    assert_eq!((told_only.is_empty(), told_only.answers.len()), (false, 1));
}
