#![allow(clippy::unwrap_used, reason = "tests panic on purpose")]
use super::*;
use serde_json::json;

fn name(text: &str) -> DomainName {
    DomainName::parse(text).unwrap()
}

fn answer() -> Value {
    json!({
        "objectClassName": "domain",
        "ldhName": "EXAMPLE.COM",
        "links": [
            {"rel": "self", "href": "https://rdap.registry.example/domain/example.com", "type": "application/rdap+json"},
            {"rel": "related", "href": "https://rdap.registrar.example/domain/example.com", "type": "application/rdap+json"}
        ],
        "events": [
            {"eventAction": "expiration", "eventDate": "2027-01-01T00:00:00Z"},
            {"eventAction": "registration", "eventDate": "2001-09-18T04:00:00Z"}
        ],
        "entities": [
            {"objectClassName": "entity", "roles": ["registrar"],
             "vcardArray": ["vcard", [["version", {}, "text", "4.0"], ["fn", {}, "text", "Registrar Ltd"]]]},
            {"objectClassName": "entity", "roles": ["registrant"],
             "vcardArray": ["vcard", [
                ["version", {}, "text", "4.0"], ["fn", {}, "text", ""], ["org", {}, "text", ["Example Co.,Ltd", "Names"]],
                ["adr", {"cc": "CN"}, "text", ["", "", "", "", "Beijing", "", ""]]]]}
        ]
    })
}

fn bytes(value: &Value) -> Vec<u8> {
    serde_json::to_vec(value).unwrap()
}

#[test]
fn an_answer_says_who_where_and_since_when() {
    let found = registration(&bytes(&answer()), &name("example.com")).unwrap();
    assert_eq!(
        found,
        Registration {
            registrant: Some("Example Co.,Ltd".into()),
            registrant_country: Country::parse("CN"),
            registrant_region: Some("Beijing".into()),
            registrar: Some("Registrar Ltd".into()),
            registered_on: Some("2001-09-18".into()),
            is_redacted: false,
        }
    );
    assert_eq!(
        registrar_url(&bytes(&answer())).as_deref(),
        Some("https://rdap.registrar.example/domain/example.com")
    );
}

#[test]
fn what_is_withheld_is_said_to_be() {
    let mut withheld = answer();
    *withheld.pointer_mut("/entities/1/vcardArray/1/2/3").unwrap() = json!("REDACTED FOR PRIVACY");
    let found = registration(&bytes(&withheld), &name("example.com")).unwrap();
    assert_eq!((found.registrant, found.is_redacted), (None, true));
    assert_eq!(found.registrant_country, Country::parse("CN"));

    let mut by_rfc9537 = answer();
    by_rfc9537["entities"].as_array_mut().unwrap().pop();
    by_rfc9537["redacted"] = json!([{"name": {"description": "Registrant Organization"}}]);
    let found = registration(&bytes(&by_rfc9537), &name("example.com")).unwrap();
    assert_eq!((found.registrant, found.is_redacted), (None, true));
}

#[test]
fn the_registrar_fills_what_the_registry_leaves_open() {
    let registry = Registration { registrar: Some("A".into()), is_redacted: true, ..Registration::default() };
    let registrar = Registration { registrant: Some("B".into()), ..Registration::default() };
    let both = registrar.or(registry);
    assert_eq!((both.registrant.as_deref(), both.registrar.as_deref()), (Some("B"), Some("A")));
    assert!(!both.is_redacted, "the registrant is known after all");
}

#[test]
fn nonsense_is_refused() {
    let asked = name("example.com");
    for bad in [&b""[..], b"{", b"[]", b"null", b"{\"objectClassName\":\"entity\"}", b"\xff"] {
        assert_eq!(registration(bad, &asked), Err(RdapError::NotRdap("domain")), "{bad:?}");
        assert_eq!(registrar_url(bad), None);
        assert_eq!(servers_of(bad, &asked), Err(RdapError::NotRdap("bootstrap file")));
    }
    assert_eq!(registration(&bytes(&answer()), &name("example.org")), Err(RdapError::OtherDomain));
    let whole = bytes(&answer());
    for cut in 0..whole.len() {
        assert!(registration(&whole[..cut], &asked).is_err(), "cut at {cut}");
    }
    let mut odd = answer();
    odd["entities"] =
        json!([{"roles": ["registrant"], "vcardArray": ["vcard", [["adr"], ["org", {}, "text"], 7, [[]]]]}]);
    odd["events"] = json!([{"eventAction": "registration", "eventDate": "yesterday!"}]);
    odd["links"] = json!([{"rel": "related", "href": "http://rdap.registrar.example/"}]);
    assert_eq!(registration(&bytes(&odd), &asked), Ok(Registration::default()));
    assert_eq!(registrar_url(&bytes(&odd)), None, "only HTTPS is followed");
}

#[test]
fn a_strangers_text_cannot_drive_a_terminal() {
    let mut nasty = answer();
    *nasty.pointer_mut("/entities/1/vcardArray/1/2/3").unwrap() = json!("Bad\u{1b}[2J Co");
    let found = registration(&bytes(&nasty), &name("example.com")).unwrap();
    assert_eq!(found.registrant.as_deref(), Some("Bad[2J Co"));
}

#[test]
fn the_bootstrap_file_names_the_servers() {
    let file = bytes(&json!({"version": "1.0", "services": [
        [["net", "COM"], ["https://rdap.registry.example/com/v1/", "http://rdap.registry.example/"]],
        [["org"], ["https://rdap.other.example/"]]
    ]}));
    let servers = servers_of(&file, &name("data.example.com")).unwrap();
    assert_eq!(servers, ["https://rdap.registry.example/com/v1/"]);
    assert_eq!(
        domain_url(&servers[0], &name("example.com")),
        "https://rdap.registry.example/com/v1/domain/example.com"
    );
    assert_eq!(servers_of(&file, &name("example.cn")), Ok(Vec::new()));
}
