use super::*;
use crate::enrich::owners::Purpose;
use crate::query::{DeviceInfo, DeviceMatch, FlowSum};
use crate::row::{Evidence, Marks, Network, NetworkMarks, OpenedBy, RowKey, RowKind};
use crate::units::{Country, DomainName, Mac, Volume, WallTime};
use proptest::prelude::*;

struct Row {
    sum: FlowSum,
    owners: Vec<String>,
    purpose: Option<Purpose>,
}

impl Subject for Row {
    fn row(&self) -> &FlowSum {
        &self.sum
    }
    fn is_device(&self, wanted: &DeviceMatch) -> bool {
        let device =
            DeviceInfo { label: Some("Redmi Note 8".to_owned()), ..DeviceInfo::unknown(Mac([1; 6])) };
        wanted.picks(&device)
    }
    fn owners(&self) -> Vec<String> {
        self.owners.clone()
    }
    fn purpose(&self) -> Option<Purpose> {
        self.purpose
    }
}

fn row() -> Row {
    let key = RowKey {
        device: Mac([1; 6]),
        peer: "47.241.1.5".parse().expect("address"),
        port: 443,
        protocol: 6,
        kind: RowKind::Flow,
        opened_by: OpenedBy::Device,
        name: DomainName::parse("data.mistat.intl.xiaomi.com"),
        evidence: Evidence::TlsSni,
        marks: Marks::COVERED.with(Marks::HAS_RIVALS),
        application: crate::application::Application::Tls,
    };
    let network = Network {
        asn: Some(45102),
        organisation: Some("Alibaba (US) Technology Co., Ltd.".to_owned()),
        country: Country::parse("SG"),
        registered: None,
        marks: NetworkMarks::CLOUD,
    };
    let sum = FlowSum {
        key,
        network,
        volume: Volume::default(),
        conversations: 1,
        first_at: WallTime(0),
        last_at: WallTime(1),
        oldest_answer_secs: None,
    };
    Row {
        sum,
        owners: vec!["Xiaomi".to_owned(), "Holding of it".to_owned()],
        purpose: Some(Purpose::CrashReports),
    }
}

fn picks(text: &str) -> bool {
    Question::parse(text).unwrap_or_else(|mistake| panic!("{text}: {mistake}")).picks(&row())
}

#[test]
fn what_a_row_is_it_is_picked_by_and_what_it_is_not_it_is_not() {
    for text in [
        "",
        "device = 'redmi note 8'",
        "device = 01:01:01:01:01:01",
        "name = data.mistat.intl.xiaomi.com",
        "name = *.xiaomi.com",
        "name ~ MISTAT",
        "named",
        "owner = xiaomi",
        "owner = \"holding of it\"",
        "purpose = crash-reports",
        "PURPOSE = \"crash reports\"",
        "network = AS45102",
        "network ~ alibaba",
        "country = sg",
        "registered = unknown",
        "peer = 47.240.0.0/13",
        "port = 443",
        "port = 400-500",
        "protocol = tcp",
        "application = tls",
        "evidence = tls_sni",
        "covered",
        "has_rivals",
        "cloud",
        "country in (RU, SG)",
    ] {
        assert!(picks(text), "{text}");
        if !text.is_empty() {
            assert!(!picks(&format!("not ({text})")), "not {text}");
        }
    }
    for text in [
        "device = Galaxy",
        "name = xiaomi.com",
        "owner = unknown",
        "purpose = unknown",
        "network = unknown",
        "country = RU",
        "registered = US",
        "peer = 10.0.0.0/8",
        "port = 80",
        "uncovered",
        "anycast",
        "local",
        "country in (RU, CN)",
    ] {
        assert!(!picks(text), "{text}");
        assert!(picks(&format!("not {text}")), "not {text}");
    }
    assert!(
        picks("country != RU") && !picks("country != SG") && picks("registered != US"),
        "unknown is not US"
    );
}

#[test]
fn and_binds_closer_than_or_and_parentheses_closest() {
    assert!(picks("country = SG or country = RU and country = CN"));
    assert!(!picks("(country = SG or country = RU) and country = CN"));
    assert!(picks("not country = RU and not (country = CN or port = 80)"));
    assert!(picks("owner=xiaomi and(port=443)"));
}

#[test]
fn amounts_and_night_are_kept_apart_from_rows() {
    let question = Question::parse(
        "owner = xiaomi and up > 1.5MB and (down <= 3KiB or conversations = 7) and not night",
    )
    .expect("a question");
    assert_eq!(question.night, Some(false));
    assert!(question.picks(&row()));
    let line = |up_bytes, down_bytes, conversations| {
        let volume = Volume { up_bytes, down_bytes, ..Volume::default() };
        question.lines.holds(&|amount: &Amount| amount.is_met_by(volume, conversations))
    };
    assert!(line(1_500_001, 3072, 1) && line(1_500_001, 9999, 7));
    assert!(!line(1_500_000, 3072, 7) && !line(1_500_001, 3073, 6));
}

#[test]
fn an_amount_has_a_unit_or_none() {
    let than = |text: &str| {
        let question = Question::parse(&format!("up >= {text}")).ok()?;
        [0_u64, 500, 1500, 2048, 20_000_000, 3 << 30].into_iter().find(|than| {
            let at = |up_bytes| {
                let volume = Volume { up_bytes, ..Volume::default() };
                question.lines.holds(&|amount: &Amount| amount.is_met_by(volume, 0))
            };
            at(*than) && (*than == 0 || !at(than - 1))
        })
    };
    let texts = ["0", "500", "1.5kB", "2KiB", "20MB", "20m", "3GiB"];
    let expected = [0, 500, 1500, 2048, 20_000_000, 20_000_000, 3 << 30].map(Some);
    assert_eq!(texts.map(than), expected);
    for text in ["", "x", "1.", ".5", "1.2.3", "-1", "1 MB", "9999999999999GB", "1PB"] {
        assert!(Question::parse(&format!("up > {text}")).is_err(), "{text}");
    }
}

#[test]
fn a_mistake_says_where_and_what_would_be_right() {
    for (text, marked, says) in [
        (
            "contry = SG",
            "contry",
            "there is no \"contry\" to ask about; here should be something to ask about: device",
        ),
        ("country = Singapore", "Singapore", "a country is two letters"),
        ("owner", "owner", "owner is compared with something: owner = …"),
        ("owner =", "", "a value is missing at the end"),
        ("name = \"x", "\"x", "the quote \" is not closed"),
        ("port < 5", "5", "port has no order"),
        ("up ~ 5", "up", "up is a number"),
        ("up > lots", "lots", "an amount looks like"),
        ("conversations > 1kB", "1kB", "a whole number"),
        ("(port = 1", "", "the closing parenthesis"),
        ("port = 1 port = 2", "port", "here should be \"and\""),
        ("country in SG", "SG", "values in parentheses"),
        ("country in (SG RU)", "RU", "a comma or the closing"),
        ("port = 1 and", "", "here should be something"),
        ("up > 1 or named", "up > 1 or named", "by \"and\" only"),
        ("night or named", "night or named", "by \"and\" only"),
        ("night and not night", "night", "cannot be night and not night"),
        ("network = alibaba", "alibaba", "network ~ alibaba"),
        ("name = unknown", "unknown", "not named"),
        ("device ~ x", "x", "ask device by ="),
        ("purpose = spying", "spying", "telemetry"),
        ("a ! b", "!", "no meaning here"),
    ] {
        let mistake = Question::parse(text).expect_err(text);
        assert!(mistake.why.contains(says), "{text}: {mistake}");
        assert_eq!(text.get(mistake.place.clone()), Some(marked), "{text}");
    }
    let mistake = Question::parse("port = 443 and contry = SG").expect_err("no such field");
    let shown = mistake.shown("port = 443 and contry = SG");
    assert!(shown.ends_with("\n  port = 443 and contry = SG\n                 ^^^^^^"), "{shown}");
}

#[test]
fn depth_and_length_are_bounded() {
    let deep = |n: usize| format!("{}named{}", "(".repeat(n), ")".repeat(n));
    assert!(Question::parse(&deep(MAX_DEPTH)).is_ok());
    assert!(Question::parse(&deep(MAX_DEPTH + 1)).is_err());
    assert!(Question::parse(&"not ".repeat(1000)).is_err());
    assert!(Question::parse(&"named or ".repeat(1000)).is_err());
}

proptest! {
    #[test]
    fn no_text_does_harm_and_a_mistake_is_within_it(text in "\\PC{0,60}|[ ()a-z=<>~!\"',0-9.]{0,80}") {
        if let Err(mistake) = Question::parse(&text) {
            prop_assert!(text.get(mistake.place.clone()).is_some(), "{mistake:?}");
            prop_assert!(mistake.shown(&text).lines().count() >= 2);
        }
    }
}
