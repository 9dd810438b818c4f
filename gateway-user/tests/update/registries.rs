//! `telltale who --rdap` against a real HTTPS server that plays IANA, a registry and a registrar.

use super::house::House;
use super::server::{Asked, Reply, Server};

/// What the registry of .com says of example.com: who registers for its customers, and where the registrar answers.
fn registry(host: &str) -> String {
    format!(
        r#"{{"objectClassName":"domain","ldhName":"EXAMPLE.COM",
            "links":[{{"rel":"related","type":"application/rdap+json","href":"https://{host}/registrar"}}],
            "events":[{{"eventAction":"registration","eventDate":"2001-09-18T04:00:00Z"}}]}}"#
    )
}

const REGISTRAR: &str = r#"{"objectClassName":"domain","ldhName":"example.com","entities":[
    {"roles":["registrant"],"vcardArray":["vcard",[["org",{},"text","Example Co"],
        ["adr",{"cc":"CN"},"text",["","","","","Beijing","",""]]]]},
    {"roles":["registrar"],"vcardArray":["vcard",[["fn",{},"text","Names Unlimited"]]]}]}"#;

/// All three of them, as they answer when all is well. The port is the one the client asked.
fn honest(asked: &Asked) -> Reply {
    let host = asked.header("host").unwrap_or_default();
    match asked.path.as_str() {
        "/dns.json" => {
            Reply::body(format!(r#"{{"services":[[["com"],["https://{host}/v1/"]]]}}"#).as_bytes())
        }
        "/v1/domain/example.com" => Reply::status(302).with("Location", "/v1/moved"),
        "/v1/moved" => Reply::body(registry(host).as_bytes()),
        "/registrar" => Reply::body(REGISTRAR.as_bytes()),
        _ => Reply::status(404),
    }
}

/// A server that answers so, and a house that asks it.
fn house_with(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> (House, Server) {
    let server = Server::start(move |asked, _| answer(asked));
    let house = House::new(&server.ca, "https://localhost:1/unused");
    house.configure(&format!("retries = 0\nstall_secs = 2\nrdap = {:?}\n", server.url("/dns.json")));
    (house, server)
}

/// Asks of a name: exit code, answer, and complaints but for those about the house, where nothing was counted yet.
fn who(house: &House, args: &[&str]) -> (Option<i32>, String, String) {
    let output = house.other("who", args);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let is_of_house = |line: &&str| {
        ["there is no database", "holds no drain", "neither the"].iter().any(|w| line.contains(w))
    };
    let complaints =
        text(output.stderr).lines().filter(|line| !is_of_house(line)).collect::<Vec<_>>().join("\n");
    (output.status.code(), text(output.stdout), complaints)
}

#[test]
fn the_registrant_is_asked_for_once_and_then_kept() {
    let (house, server) = house_with(honest);
    let (_, page, complaints) = who(&house, &["secret.www.example.com"]);
    assert!(server.asked().is_empty(), "nobody is asked without --rdap: {page}{complaints}");
    let (code, page, complaints) = who(&house, &["secret.www.example.com", "--rdap"]);
    assert_eq!((code, complaints.as_str()), (Some(0), ""), "{page}");
    for words in [
        "registrant  Example Co (Beijing, CN), of example.com",
        "registrar   Names Unlimited",
        "registered  2001-09-18",
        "RDAP answer of localhost, asked 20",
    ] {
        assert!(page.contains(words), "{words} is not in {page}");
    }
    let asked = server.asked();
    let paths: Vec<_> = asked.iter().map(|asked| asked.path.as_str()).collect();
    assert_eq!(paths, ["/dns.json", "/v1/domain/example.com", "/v1/moved", "/registrar"]);
    for asked in &asked {
        assert!(!format!("{asked:?}").contains("secret"), "only the registrable domain is told: {asked:?}");
        assert_eq!(asked.header("accept"), Some("application/rdap+json, application/json"));
    }
    let again = who(&house, &["other.example.com", "--rdap"]);
    assert!(again.1.contains("Example Co"), "{again:?}");
    assert_eq!(server.asked().len(), asked.len(), "what is known is not asked for again");
    let (_, json, _) = who(&house, &["example.com", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["registration"]["registrant"], "Example Co", "{json:#}");
}

#[test]
fn what_goes_wrong_is_said_in_one_line_and_nothing_is_made_up() {
    for (path, reply, words) in [
        ("/dns.json", Reply::status(404), "has no list of RDAP servers"),
        ("/dns.json", Reply::body(b"<html>"), "not an RDAP bootstrap file"),
        ("/v1/moved", Reply::status(404), "knows no domain example.com"),
        (
            "/v1/moved",
            Reply::status(429).with("Retry-After", "60"),
            "429 Too Many Requests (it asks to be left alone until, or for seconds: 60)",
        ),
        ("/v1/moved", Reply::body(b"{}"), "not an RDAP domain"),
        ("/v1/moved", Reply::body(&vec![b' '; (2 << 20) + 1]), "longer than the 2097152 bytes"),
        ("/v1/moved", Reply::status(302).with("Location", "http://localhost/"), "not HTTPS"),
        ("/v1/moved", Reply::status(302).with("Location", "file:///etc/passwd"), "not HTTPS"),
    ] {
        let (house, _server) =
            house_with(move |asked| if asked.path == path { reply.clone() } else { honest(asked) });
        let (_, page, complaints) = who(&house, &["example.com", "--rdap"]);
        assert!(
            complaints.starts_with("telltale: nothing new about the registration of example.com: "),
            "{complaints}"
        );
        assert_eq!(complaints.lines().count(), 1, "{complaints}");
        assert!(complaints.contains(words), "{words} is not in {complaints}");
        assert!(!page.contains("Example Co"), "{page}");
    }
}

#[test]
fn a_registrar_that_leads_elsewhere_than_to_https_is_not_asked() {
    let (house, server) = house_with(|asked| match asked.path.as_str() {
        "/v1/moved" => {
            Reply::body(registry("x").replace("https://x/registrar", "file:///etc/passwd").as_bytes())
        }
        _ => honest(asked),
    });
    let (_, page, complaints) = who(&house, &["example.com", "--rdap"]);
    assert_eq!(complaints, "");
    assert!(page.contains("not told, of example.com") && page.contains("2001-09-18"), "{page}");
    assert_eq!(server.asked().len(), 3);
}

#[test]
fn offline_what_was_kept_is_shown_with_its_day() {
    let (house, server) = house_with(honest);
    assert_eq!(who(&house, &["example.com", "--rdap"]).0, Some(0));
    let list = house.tables().join("rdap-dns.json");
    std::fs::remove_file(&list).unwrap();
    house.configure("retries = 0\nrdap = \"https://localhost:1/dns.json\"\n");
    // Another domain of the same registry: nothing is kept of it.
    let (code, page, complaints) = who(&house, &["example.net", "--rdap"]);
    assert!(complaints.contains("ask localhost: "), "{complaints}");
    assert!(code == Some(1) || page.contains("was not asked"), "{page}");
    let (_, page, complaints) = who(&house, &["example.com", "--rdap"]);
    assert!(complaints.is_empty() && page.contains("Example Co"), "it is young enough: {complaints}{page}");
    let (code, _, complaints) = who(&house, &["192.0.2.1", "--rdap"]);
    assert_eq!(code, Some(2));
    assert!(complaints.contains("--rdap asks about names: 192.0.2.1"), "{complaints}");
    drop(server);
}

#[test]
fn an_answer_that_has_grown_old_stays_when_the_registry_is_gone() {
    let (house, server) = house_with(honest);
    assert_eq!(who(&house, &["example.com", "--rdap"]).0, Some(0));
    let asked = server.asked().len();
    // 2020-05-01 00:00 UTC: long past the 30 days for which an answer is taken as it is.
    let database = rusqlite::Connection::open(house.path("telltale.db")).unwrap();
    let changed = database.execute("UPDATE registration SET asked_at = 1588291200000000000", []).unwrap();
    assert_eq!(changed, 1);
    drop(database);
    std::fs::remove_file(house.tables().join("rdap-dns.json")).unwrap();
    // Bound and let go: a port that nobody listens on.
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    house.configure(&format!("retries = 0\nrdap = \"https://localhost:{gone}/dns.json\"\n"));
    let (_, page, complaints) = who(&house, &["example.com", "--rdap"]);
    let words = "telltale: nothing new about the registration of example.com: ask localhost: ";
    assert!(complaints.starts_with(words) && complaints.lines().count() == 1, "{complaints}");
    assert!(page.contains("Example Co") && page.contains("asked 2020-05-01"), "{page}");
    assert_eq!(server.asked().len(), asked);
    // Where the registry can be reached again the old answer is replaced.
    house.configure(&format!("retries = 0\nstall_secs = 2\nrdap = {:?}\n", server.url("/dns.json")));
    let (_, page, complaints) = who(&house, &["example.com", "--rdap"]);
    assert!(complaints.is_empty() && !page.contains("asked 2020-05-01"), "{complaints}{page}");
    assert_eq!(server.asked().len(), 2 * asked);
}
