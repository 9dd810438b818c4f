#![allow(clippy::unwrap_used, reason = "tests panic on purpose")]
use super::*;
use std::collections::BTreeMap;

const DAY_NS: i64 = 24 * 3600 * 1_000_000_000;

#[derive(Default)]
struct Servers {
    answers: BTreeMap<String, Vec<u8>>,
    asked: Vec<String>,
}

impl Servers {
    fn with(answers: &[(&str, &str)]) -> Self {
        let answers =
            answers.iter().map(|(url, body)| ((*url).to_owned(), body.as_bytes().to_vec())).collect();
        Self { answers, asked: Vec::new() }
    }
}

impl Fetch for Servers {
    fn get(&mut self, url: &str) -> anyhow::Result<Fetched> {
        self.asked.push(url.to_owned());
        match self.answers.get(url).map(Vec::as_slice) {
            Some(b"refused") => bail!("connect to {}: refused", host_of(url)),
            Some(body) => Ok(Fetched::Found(body.to_vec())),
            None => Ok(Fetched::Missing),
        }
    }
}

/// A clock that moves only by waiting.
struct Clock {
    now: i64,
    waited: Duration,
}

impl Pace for Clock {
    fn now(&self) -> WallTime {
        WallTime(self.now)
    }
    fn wait(&mut self, how_long: Duration) {
        self.waited += how_long;
        self.now += i64::try_from(how_long.as_nanos()).unwrap();
    }
}

/// The real time, as the bootstrap file's age is its file's.
fn clock() -> Clock {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Clock { now: i64::try_from(now.as_nanos()).unwrap(), waited: Duration::ZERO }
}

const BOOTSTRAP_URL: &str = "https://data.iana.org/rdap/dns.json";
const LIST: (&str, &str) = (BOOTSTRAP_URL, r#"{"services":[[["com"],["https://registry.example/v1/"]]]}"#);
const REGISTRY: (&str, &str) = (
    "https://registry.example/v1/domain/example.com",
    r#"{"objectClassName":"domain","ldhName":"example.com",
        "links":[{"rel":"related","type":"application/rdap+json","href":"https://registrar.example/domain/example.com"}],
        "events":[{"eventAction":"registration","eventDate":"2001-09-18T04:00:00Z"}]}"#,
);
const REGISTRAR_URL: &str = "https://registrar.example/domain/example.com";
const REGISTRAR: (&str, &str) = (
    REGISTRAR_URL,
    r#"{"objectClassName":"domain","ldhName":"EXAMPLE.COM","entities":[{"roles":["registrant"],
        "vcardArray":["vcard",[["org",{},"text","Example Co"],["adr",{"cc":"CN"},"text",["","","","","Beijing","",""]]]]}]}"#,
);

fn domain() -> DomainName {
    DomainName::parse("example.com").unwrap()
}

#[test]
fn the_registry_then_the_registrar_and_then_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("t.db");
    let (mut servers, mut clock) = (Servers::with(&[LIST, REGISTRY, REGISTRAR]), clock());
    let found = look_up(&domain(), BOOTSTRAP_URL, &database, &mut servers, &mut clock).unwrap();
    assert_eq!(found.server, "registrar.example");
    assert_eq!(found.registration.registrant.as_deref(), Some("Example Co"));
    assert_eq!(found.registration.registered_on.as_deref(), Some("2001-09-18"), "from the registry");
    assert_eq!(servers.asked, [BOOTSTRAP_URL, REGISTRY.0, REGISTRAR_URL]);
    assert!(clock.waited >= 2 * BETWEEN);

    servers.asked.clear();
    clock.now += 29 * DAY_NS;
    let again = look_up(&domain(), BOOTSTRAP_URL, &database, &mut servers, &mut clock).unwrap();
    assert_eq!((again, servers.asked.len()), (found.clone(), 0), "kept for a month");

    clock.now += 2 * DAY_NS;
    let later = look_up(&domain(), BOOTSTRAP_URL, &database, &mut servers, &mut clock).unwrap();
    assert!(later.asked_at > found.asked_at);
    assert_eq!(servers.asked, [BOOTSTRAP_URL, REGISTRY.0, REGISTRAR_URL], "the list is a month old as well");
}

#[test]
fn a_registrar_that_does_not_answer_takes_nothing_away() {
    for broken in ["refused", "{}", r#"{"objectClassName":"domain","ldhName":"other.com"}"#] {
        let folder = tempfile::tempdir().unwrap();
        let mut servers = Servers::with(&[LIST, REGISTRY, (REGISTRAR_URL, broken)]);
        let found =
            look_up(&domain(), BOOTSTRAP_URL, &folder.path().join("t.db"), &mut servers, &mut clock())
                .unwrap();
        assert_eq!(found.server, "registry.example", "{broken}");
        assert_eq!(found.registration.registered_on.as_deref(), Some("2001-09-18"));
    }
}

#[test]
fn a_country_without_rdap_is_an_answer_that_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("t.db");
    let (mut servers, mut clock) = (Servers::with(&[LIST]), clock());
    let domain = DomainName::parse("example.cn").unwrap();
    let found = look_up(&domain, BOOTSTRAP_URL, &database, &mut servers, &mut clock).unwrap();
    assert_eq!((found.server.as_str(), &found.registration), ("", &Registration::default()));
    servers.asked.clear();
    look_up(&domain, BOOTSTRAP_URL, &database, &mut servers, &mut clock).unwrap();
    assert!(servers.asked.is_empty());
}

#[test]
fn failures_name_the_server_and_keep_what_was_there() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("t.db");
    let mut clock = clock();
    let failure = |servers: &mut Servers, clock: &mut Clock| {
        format!("{:#}", look_up(&domain(), BOOTSTRAP_URL, &database, servers, clock).unwrap_err())
    };
    assert_eq!(
        failure(&mut Servers::with(&[(BOOTSTRAP_URL, "refused")]), &mut clock),
        "connect to data.iana.org: refused"
    );
    assert_eq!(
        failure(&mut Servers::with(&[(BOOTSTRAP_URL, "<html>")]), &mut clock),
        "read IANA's list of RDAP servers: the answer is not an RDAP bootstrap file"
    );
    assert!(!bootstrap_path(&database).exists(), "nonsense is not kept");
    assert_eq!(
        failure(&mut Servers::with(&[LIST]), &mut clock),
        "registry.example knows no domain example.com"
    );
    assert_eq!(
        failure(&mut Servers::with(&[(REGISTRY.0, "<html>")]), &mut clock),
        "ask registry.example of example.com: the answer is not an RDAP domain"
    );
    look_up(&domain(), BOOTSTRAP_URL, &database, &mut Servers::with(&[REGISTRY]), &mut clock).unwrap();
    clock.now += 31 * DAY_NS;
    assert!(look_up(&domain(), BOOTSTRAP_URL, &database, &mut Servers::with(&[LIST]), &mut clock).is_err());
    assert!(Reader::open(&database).unwrap().unwrap().registration(&domain()).unwrap().is_some());
}
