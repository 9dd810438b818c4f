#![allow(clippy::unwrap_used, reason = "tests panic on purpose")]
use super::*;
use crate::application::Application;
use crate::enrich::owners::Purpose;
use crate::enrich::rdap::Registration;
use crate::report::table::Paint;
use crate::report::text::Look;
use crate::row::{Evidence, Marks, NetworkMarks, OpenedBy, RowKey};

const REDMI: Mac = Mac([0x7c, 3, 0xab, 0x5e, 8, 1]);
const LAPTOP: Mac = Mac([0x3c, 6, 0x30, 1, 2, 3]);

fn name(text: &str) -> DomainName {
    DomainName::parse(text).unwrap()
}

fn network(
    asn: u32,
    organisation: &str,
    country: &str,
    registered: Option<&str>,
    marks: NetworkMarks,
) -> Network {
    Network {
        asn: Some(asn),
        organisation: Some(organisation.to_owned()),
        country: Country::parse(country),
        registered: registered.and_then(Country::parse),
        marks,
    }
}

fn alibaba(country: &str) -> Network {
    network(64500, "A Cloud", country, Some("CN"), NetworkMarks::CLOUD)
}

fn flow(device: Mac, peer: &str, host: Option<&str>, network: Network, up_bytes: u64) -> FlowSum {
    FlowSum {
        key: RowKey {
            device,
            peer: peer.parse().unwrap(),
            port: 443,
            protocol: 6,
            kind: RowKind::Flow,
            opened_by: OpenedBy::Device,
            name: host.map(name),
            evidence: if host.is_some() { Evidence::TlsSni } else { Evidence::None },
            marks: Marks::NONE,
            application: Application::Tls,
        },
        network,
        volume: Volume { up_bytes, down_bytes: 100, up_packets: 1, down_packets: 1 },
        conversations: 1,
        first_at: WallTime(1_000_000_000),
        last_at: WallTime(31_000_000_000),
        oldest_answer_secs: None,
    }
}

/// Two owners, one of which has a rule below its domain.
fn facts(host: &DomainName) -> NameFacts {
    let owned = |owner: &str, country: &str, seat: Option<&str>, purpose, rule: &str| Owned {
        owner: owner.to_owned(),
        country: Country::parse(country),
        seat: seat.map(str::to_owned),
        parents: Vec::new(),
        purpose,
        rule: rule.to_owned(),
        list: None,
        source: Source {
            title: "A page".into(),
            place: "https://page.example/".into(),
            read_on: (purpose != Purpose::Advertising).then(|| "2026-11-23".into()),
        },
        purpose_source: None,
        seat_source: None,
    };
    let text = host.as_str();
    let registrable = text.rsplit('.').take(2).collect::<Vec<_>>();
    let registrable = registrable.into_iter().rev().collect::<Vec<_>>().join(".");
    NameFacts {
        registrable: DomainName::parse(&registrable).filter(|d| d.as_str().contains('.')),
        owned: match text {
            _ if text.ends_with("stats.maker.example") => {
                Some(owned("Maker", "CN", Some("Beijing"), Purpose::Telemetry, "stats.maker.example"))
            }
            _ if text.ends_with("maker.example") => {
                Some(owned("Maker", "CN", Some("Beijing"), Purpose::Service, "maker.example"))
            }
            _ if text.ends_with("other.example") => {
                Some(owned("Other", "US", None, Purpose::Advertising, "other.example"))
            }
            _ => None,
        },
        hosted_under: None,
        listed: Vec::new(),
    }
}

fn rows() -> Vec<FlowSum> {
    vec![
        flow(REDMI, "47.74.128.1", Some("data.stats.maker.example"), alibaba("SG"), 9_000),
        flow(REDMI, "8.209.0.1", Some("data.stats.maker.example"), alibaba("RU"), 2_000),
        flow(REDMI, "47.74.128.2", Some("api.maker.example"), alibaba("SG"), 500),
        flow(LAPTOP, "47.74.128.1", Some("data.stats.maker.example"), alibaba("SG"), 70),
        flow(
            LAPTOP,
            "198.51.100.1",
            Some("ads.other.example"),
            network(64501, "B", "AU", None, NetworkMarks::ANYCAST),
            40,
        ),
        flow(REDMI, "198.51.100.9", None, Network::default(), 30),
    ]
}

fn devices() -> Vec<DeviceInfo> {
    vec![
        DeviceInfo { label: Some("Redmi Note 8".into()), ..DeviceInfo::unknown(REDMI) },
        DeviceInfo { hostname: Some("laptop.lan".into()), ..DeviceInfo::unknown(LAPTOP) },
    ]
}

fn picked(subject: &Subject) -> Vec<FlowSum> {
    rows()
        .into_iter()
        .filter(|flow| match subject {
            Subject::Name(above) => flow.key.name.as_ref().is_some_and(|n| is_under(n, above)),
            Subject::Address(addr) => flow.key.peer == *addr,
            Subject::System(asn) => flow.network.asn == Some(*asn),
            Subject::Device(mac) => flow.key.device == *mac,
            Subject::Owner(_) => true,
        })
        .collect()
}

fn made(subject: Subject, registered: Option<Registered>) -> Dossier {
    let flows = picked(&subject);
    dossier(Input {
        days: vec![("2026-11-23".into(), flows.clone())],
        flows,
        all: rows(),
        subject,
        devices: devices(),
        facts_of: &facts,
        network_of: &|_| Some(alibaba("SG")),
        remarks: Vec::new(),
        registered,
        dates: Dates { networks: "2026-09-01".into(), owners: "2026-11-23".into() },
    })
}

fn written(dossier: &Dossier) -> String {
    let look =
        Look { width: None, paint: Paint::Plain, is_exact: true, max_destinations: 0, offset_of: &|_| 0 };
    text(dossier, 5, &look)
}

#[test]
fn a_text_is_taken_for_what_it_is() {
    let owners = |text: &str| text.eq_ignore_ascii_case("maker").then(|| "Maker".to_owned());
    let of = |text: &str| subject_of(text, &devices(), &owners);
    assert_eq!(of("redmi note 8"), Ok(Subject::Device(REDMI)));
    assert_eq!(of("laptop.lan"), Ok(Subject::Device(LAPTOP)), "a device's name comes first");
    assert_eq!(of(&REDMI.to_string()), Ok(Subject::Device(REDMI)));
    assert_eq!(of("[2001:db8::1]"), Ok(Subject::Address("2001:db8::1".parse().unwrap())));
    assert_eq!(of("47.74.128.1"), Ok(Subject::Address("47.74.128.1".parse().unwrap())));
    assert_eq!(of("as45102"), Ok(Subject::System(45102)));
    assert_eq!(of("MAKER"), Ok(Subject::Owner("Maker".into())));
    assert_eq!(of("*.Maker.example"), Ok(Subject::Name(name("maker.example"))));
    for nobody in ["", "nobody", "a b.example", "02:00:00:00:00:99"] {
        assert_eq!(of(nobody), Err(NobodyIsCalled(nobody.into())), "{nobody}");
    }
}

#[test]
fn the_four_columns_differ_and_are_all_there() {
    let dossier = made(Subject::Name(name("data.stats.maker.example")), None);
    let page = written(&dossier);
    for line in [
        "owner       Maker (Beijing, CN)",
        "seat source general knowledge, not looked up",
        "purpose     telemetry (general knowledge, not looked up)",
        "by the rule stats.maker.example",
        "source      A page, https://page.example/ (as of 2026-11-23)",
        "registrant  unknown: the registry of maker.example was not asked",
        "AS64500 A Cloud, registered in CN (cloud)",
        "Other names of Maker that were contacted",
    ] {
        assert!(page.contains(line), "{line:?} is missing in\n{page}");
    }
    let countries: Vec<_> =
        dossier.countries.iter().map(|(c, _, v)| (c.unwrap().to_string(), v.up_bytes)).collect();
    assert_eq!(countries, [("SG".to_owned(), 9_070), ("RU".to_owned(), 2_000)]);
    let who: Vec<_> = dossier.devices.iter().map(|d| (d.name.as_str(), d.volume.up_bytes)).collect();
    assert_eq!(who, [("Redmi Note 8", 11_000), ("laptop.lan", 70)]);
    let sisters: Vec<_> = dossier.sisters.iter().map(|s| s.name.as_ref().unwrap().as_str()).collect();
    assert_eq!(sisters, ["api.maker.example"]);
}

#[test]
fn volumes_of_every_column_add_up_to_the_same() {
    for subject in [
        Subject::Name(name("maker.example")),
        Subject::System(64500),
        Subject::Address("47.74.128.1".parse().unwrap()),
        Subject::Device(REDMI),
        Subject::Owner("Maker".into()),
    ] {
        let dossier = made(subject.clone(), None);
        let sum = |volumes: &mut dyn Iterator<Item = Volume>| volumes.map(|v| v.up_bytes).sum::<u64>();
        let whole = sum(&mut dossier.devices.iter().map(|d| d.volume));
        assert!(whole > 0, "{subject:?}");
        assert_eq!(sum(&mut dossier.names.iter().map(|n| n.volume)), whole, "{subject:?}");
        assert_eq!(sum(&mut dossier.networks.iter().map(|n| n.volume)), whole, "{subject:?}");
        assert_eq!(sum(&mut dossier.countries.iter().map(|c| c.2)), whole, "{subject:?}");
        assert_eq!(sum(&mut dossier.days.iter().map(|d| d.volume)), whole, "{subject:?}");
    }
}

#[test]
fn an_owner_is_the_sum_of_its_names() {
    let dossier = made(Subject::Owner("Maker".into()), None);
    assert_eq!(dossier.devices.iter().map(|d| d.volume.up_bytes).sum::<u64>(), 11_570);
    assert!(dossier.names.iter().all(|n| n.facts.owned.as_ref().unwrap().owner == "Maker"));
}

#[test]
fn what_is_not_known_is_said_to_be_unknown() {
    let dossier = made(Subject::Name(name("nobody.invalid")), None);
    assert!(dossier.is_empty() && !dossier.has_contact());
    let page = written(&dossier);
    assert!(page.contains("owner       unknown: no rule covers it (table of 2026-11-23)"), "{page}");
    assert!(page.contains("No device had contact with it"), "{page}");

    let anycast = written(&made(Subject::Name(name("ads.other.example")), None));
    assert!(anycast.contains("AU, or anywhere: anycast"), "{anycast}");
}

#[test]
fn a_registration_is_told_with_its_source() {
    let registered = |server: &str, registration| {
        let asked_at = WallTime(1_795_000_000_000_000_000);
        Some(Registered { domain: name("maker.example"), server: server.into(), asked_at, registration })
    };
    let page = |known| written(&made(Subject::Name(name("api.maker.example")), known));
    let told = Registration {
        registrant: Some("Maker Co".into()),
        registrant_country: Country::parse("CN"),
        registrant_region: Some("Beijing".into()),
        registrar: Some("Registrar".into()),
        registered_on: Some("2010-01-02".into()),
        is_redacted: false,
    };
    let text = page(registered("rdap.example", told.clone()));
    assert!(text.contains("registrant  Maker Co (Beijing, CN), of maker.example"), "{text}");
    assert!(text.contains("RDAP answer of rdap.example, asked 2026-11-18"), "{text}");
    let withheld = Registration { registrant: None, is_redacted: true, ..told };
    let text = page(registered("rdap.example", withheld));
    assert!(text.contains("registrant  withheld by the registry (Beijing, CN), of maker.example"), "{text}");
    let text = page(registered("", Registration::default()));
    assert!(text.contains("the registry of maker.example does not answer over RDAP"), "{text}");
}

#[test]
fn the_json_says_the_same() {
    let dossier = made(Subject::Name(name("data.stats.maker.example")), None);
    let shape: serde_json::Value = serde_json::from_str(&json(&dossier).unwrap()).unwrap();
    assert_eq!(shape["kind"], "name");
    assert_eq!(shape["facts"]["owner"]["name"], "Maker");
    assert_eq!(shape["facts"]["owner"]["purpose"], "telemetry");
    assert_eq!(shape["registration"], serde_json::Value::Null);
    assert_eq!(shape["networks"][0]["registered_country"], "CN");
    assert_eq!(shape["countries"][1]["country"], "RU");
    assert_eq!(shape["countries"][1]["up_bytes"], 2_000);
    assert_eq!(shape["sister_names"][0]["name"], "api.maker.example");
    assert_eq!(shape["tables"]["owners"], "2026-11-23");
}
