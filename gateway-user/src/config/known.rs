//! `known`: destinations and findings that the user knows of, each with a reason and a date.

use gateway_core::query::{DeviceMatch, NameMatch};
use gateway_core::report::known::{KnownEntry, KnownPlace};
use gateway_core::report::summary::input::Known;
use gateway_core::units::DomainName;
use jiff::civil::Date;
use serde::Deserialize;

/// Longest reason in characters: it is printed with each finding.
const MAX_REASON_CHARS: usize = 200;

/// The checked list.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct KnownConfig {
    /// Destinations: a new one of these is reported as known.
    pub places: Vec<KnownEntry>,
    /// Findings, by the id that a summary prints.
    pub findings: Vec<Known>,
}

/// All entries, checked together.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Vec<RawKnown>")]
pub(super) struct KnownList(pub(super) KnownConfig);

/// An entry as written. Unknown keys are refused.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawKnown {
    name: Option<String>,
    domain: Option<String>,
    owner: Option<String>,
    finding: Option<String>,
    device: Option<String>,
    reason: String,
    date: String,
}

/// What exactly one of the four keys says.
enum Subject {
    Place(KnownPlace),
    Finding(String),
}

impl TryFrom<Vec<RawKnown>> for KnownList {
    type Error = String;
    fn try_from(raw: Vec<RawKnown>) -> Result<Self, String> {
        let mut config = KnownConfig::default();
        for RawKnown { name, domain, owner, finding, device, reason, date } in raw {
            let subject = subject(name, domain, owner, finding)?;
            let is_printable = !reason.trim().is_empty() && !reason.chars().any(char::is_control);
            if !is_printable || reason.chars().count() > MAX_REASON_CHARS {
                return Err(format!(
                    "reason: 1 to {MAX_REASON_CHARS} characters that say why it is all right"
                ));
            }
            let date: Date =
                date.parse().map_err(|_| format!("date: {date:?} is not a day such as \"2026-11-22\""))?;
            let date = date.to_string();
            let device = device.map(|device| device.parse::<DeviceMatch>()).transpose();
            let device = device.map_err(|error| format!("device: {error}"))?;
            match subject {
                Subject::Place(place) => config.places.push(KnownEntry { place, device, reason, date }),
                Subject::Finding(_) if device.is_some() => {
                    return Err("finding: an id is of one device already; leave device out".to_owned());
                }
                Subject::Finding(id) => config.findings.push(Known { id, reason, date }),
            }
        }
        Ok(Self(config))
    }
}

fn subject(
    name: Option<String>,
    domain: Option<String>,
    owner: Option<String>,
    finding: Option<String>,
) -> Result<Subject, String> {
    let named = |key: &str, text: &str| {
        let parsed = DomainName::parse(text);
        parsed.ok_or_else(|| format!("{key}: {text:?} is not a name such as \"example.org\""))
    };
    match (name, domain, owner, finding) {
        (Some(name), None, None, None) => {
            Ok(Subject::Place(KnownPlace::Name(NameMatch::Exact(named("name", &name)?))))
        }
        (None, Some(domain), None, None) => {
            Ok(Subject::Place(KnownPlace::Name(NameMatch::Under(named("domain", &domain)?))))
        }
        (None, None, Some(owner), None) if !owner.trim().is_empty() => {
            Ok(Subject::Place(KnownPlace::Owner(owner.trim().to_owned())))
        }
        (None, None, None, Some(finding)) => {
            let is_id = finding.split_once(':').is_some_and(|(kind, digits)| {
                !kind.is_empty() && digits.len() == 10 && digits.bytes().all(|b| b.is_ascii_hexdigit())
            });
            match is_id {
                true => Ok(Subject::Finding(finding)),
                false => Err(format!("finding: {finding:?} is not an id as a summary prints it")),
            }
        }
        _ => Err("an entry of known names one of name, domain, owner and finding".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic on purpose")]
    use super::*;

    #[derive(Deserialize, Debug)]
    struct File {
        known: KnownList,
    }

    fn parse(text: &str) -> Result<KnownConfig, String> {
        let file = toml::from_str::<File>(&format!("[[known]]\n{text}"));
        file.map(|file| file.known.0).map_err(|error| error.message().to_owned())
    }

    const WHY: &str = "reason = \"my own app\"\ndate = \"2026-11-22\"\n";

    #[test]
    fn each_kind_is_read() {
        let of = |text: &str| parse(&format!("{text}\n{WHY}")).unwrap();
        let entry = of("domain = \"Example.ORG\"\ndevice = \"Redmi Note 8\"").places.remove(0);
        let under = NameMatch::Under(DomainName::parse("example.org").unwrap());
        assert_eq!(entry.place, KnownPlace::Name(under));
        assert_eq!(entry.device, Some(DeviceMatch::Called("Redmi Note 8".to_owned())));
        assert_eq!((entry.reason.as_str(), entry.date.as_str()), ("my own app", "2026-11-22"));
        let exact = NameMatch::Exact(DomainName::parse("a.example.org").unwrap());
        assert_eq!(of("name = \"a.example.org\"").places.remove(0).place, KnownPlace::Name(exact));
        assert_eq!(of("owner = \"Xiaomi\"").places.remove(0).place, KnownPlace::Owner("Xiaomi".into()));
        let found = of("finding = \"new-device:de5c5e4472\"");
        assert_eq!((found.places.len(), found.findings[0].id.as_str()), (0, "new-device:de5c5e4472"));
    }

    #[test]
    fn what_is_missing_or_wrong_is_refused() {
        for (text, expected) in [
            ("name = \"a.b\"\ndate = \"2026-11-22\"", "missing field `reason`"),
            ("name = \"a.b\"\nreason = \"x\"", "missing field `date`"),
            ("name = \"a.b\"\nreason = \"x\"\ndate = \"2026-02-30\"", "date: \"2026-02-30\" is not a day"),
            ("name = \"a.b\"\nreason = \" \"\ndate = \"2026-02-01\"", "reason: 1 to 200"),
            (&format!("names = \"a.b\"\n{WHY}"), "unknown field `names`"),
            (WHY, "names one of name, domain, owner and finding"),
            (&format!("name = \"a.b\"\nowner = \"x\"\n{WHY}"), "names one of"),
            (&format!("owner = \" \"\n{WHY}"), "names one of"),
            (&format!("name = \"a b\"\n{WHY}"), "name: \"a b\" is not a name"),
            (&format!("domain = \"*.b\"\n{WHY}"), "domain: \"*.b\" is not a name"),
            (&format!("finding = \"x\"\n{WHY}"), "finding: \"x\" is not an id"),
            (&format!("name = \"a.b\"\ndevice = \"\"\n{WHY}"), "device: a device is picked by"),
            (&format!("finding = \"a:0123456789\"\ndevice = \"x\"\n{WHY}"), "leave device out"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
