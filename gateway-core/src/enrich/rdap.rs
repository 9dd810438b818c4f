//! Who registered a domain, as a registry or registrar answers over RDAP (RFC 9083), and which server to ask
//! (RFC 9224). Bytes in, facts out; asking is the shell's work.
//!
//! An answer is a stranger's text: what is taken from it is cleaned and bounded.

use crate::units::{Country, DomainName};
use crate::wire::text::printable;
use serde_json::Value;

/// What a registry says of a domain. Each field may be missing: since 2018 most registries withhold what concerns
/// persons.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Registration {
    /// The organisation, or else the person, that registered it.
    pub registrant: Option<String>,
    /// Where the registrant is.
    pub registrant_country: Option<Country>,
    /// The province or state of the registrant.
    pub registrant_region: Option<String>,
    /// Who sold it.
    pub registrar: Option<String>,
    /// The day it was first registered, `YYYY-MM-DD`.
    pub registered_on: Option<String>,
    /// Does the answer say that the registrant was withheld (RFC 9537, or words to that effect)?
    pub is_redacted: bool,
}

/// Why an answer is of no use.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RdapError {
    /// Not JSON, or not what was asked for.
    #[error("the answer is not an RDAP {0}")]
    NotRdap(&'static str),
    /// It is about another domain.
    #[error("the answer is about another domain")]
    OtherDomain,
}

/// The servers to ask for names below a top-level domain, of an IANA bootstrap file (RFC 9224 section 4); only those
/// that speak HTTPS. Empty where the registry has none: most country codes.
///
/// # Errors
/// [`RdapError::NotRdap`] for anything that is no such file.
pub fn servers_of(bootstrap: &[u8], name: &DomainName) -> Result<Vec<String>, RdapError> {
    let file: Value = serde_json::from_slice(bootstrap).map_err(|_| RdapError::NotRdap("bootstrap file"))?;
    let services = file.get("services").and_then(Value::as_array);
    let services = services.ok_or(RdapError::NotRdap("bootstrap file"))?;
    let tld = name.as_str().rsplit('.').next().unwrap_or_default();
    let of_tld = services.iter().filter(|service| {
        let zones = service.get(0).and_then(Value::as_array);
        zones.is_some_and(|zones| {
            zones.iter().any(|z| z.as_str().is_some_and(|z| z.eq_ignore_ascii_case(tld)))
        })
    });
    let urls = of_tld.filter_map(|service| service.get(1).and_then(Value::as_array)).flatten();
    Ok(urls.filter_map(Value::as_str).filter(|url| url.starts_with("https://")).map(str::to_owned).collect())
}

/// The address of a domain's object on a server (RFC 9082 section 3.1.3).
#[must_use]
pub fn domain_url(server: &str, name: &DomainName) -> String {
    format!("{}/domain/{name}", server.trim_end_matches('/'))
}

/// Where the registrar answers for the same domain: a registry that keeps no registrants links to it (`related`,
/// RFC 9083 section 4.2).
#[must_use]
pub fn registrar_url(answer: &[u8]) -> Option<String> {
    let object: Value = serde_json::from_slice(answer).ok()?;
    let links = object.get("links")?.as_array()?;
    let is_related = |link: &&Value| {
        let is = |key: &str, value: &str| {
            link.get(key).and_then(Value::as_str).is_some_and(|t| t.starts_with(value))
        };
        is("rel", "related") && (is("type", "application/rdap+json") || link.get("type").is_none())
    };
    let href = links.iter().find(is_related)?.get("href")?.as_str()?;
    href.starts_with("https://").then(|| href.to_owned())
}

/// What an answer about `name` says.
///
/// # Errors
/// [`RdapError`] if it is not a domain object, or another domain's.
pub fn registration(answer: &[u8], name: &DomainName) -> Result<Registration, RdapError> {
    let object: Value = serde_json::from_slice(answer).map_err(|_| RdapError::NotRdap("domain"))?;
    if object.get("objectClassName").and_then(Value::as_str) != Some("domain") {
        return Err(RdapError::NotRdap("domain"));
    }
    let ldh = object.get("ldhName").and_then(Value::as_str).and_then(DomainName::parse);
    if ldh.is_none_or(|ldh| ldh != *name) {
        return Err(RdapError::OtherDomain);
    }
    let entities: &[Value] = object.get("entities").and_then(Value::as_array).map_or(&[], Vec::as_slice);
    let card = entity(entities, "registrant").map(Card::of).unwrap_or_default();
    let (withheld, registrant) = match card.organisation.or(card.full_name) {
        Some(text) if is_withheld(&text) => (true, None),
        other => (false, other),
    };
    let registrar = entity(entities, "registrar").map(Card::of).unwrap_or_default();
    let events = object.get("events").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let registered =
        events.iter().find(|e| e.get("eventAction").and_then(Value::as_str) == Some("registration"));
    let registered_on = registered.and_then(|e| e.get("eventDate")?.as_str()).and_then(day_of);
    let is_redacted = withheld
        || (registrant.is_none()
            && object.get("redacted").and_then(Value::as_array).is_some_and(|r| !r.is_empty()));
    Ok(Registration {
        registrant,
        registrant_country: card.country,
        registrant_region: card.region.filter(|text| !is_withheld(text)),
        registrar: registrar.full_name.or(registrar.organisation),
        registered_on,
        is_redacted,
    })
}

impl Registration {
    /// This, and where it says nothing what `other` says.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        let is_redacted = self.registrant.is_none() && (self.is_redacted || other.is_redacted);
        let is_redacted = is_redacted && other.registrant.is_none();
        Self {
            registrant: self.registrant.or(other.registrant),
            registrant_country: self.registrant_country.or(other.registrant_country),
            registrant_region: self.registrant_region.or(other.registrant_region),
            registrar: self.registrar.or(other.registrar),
            registered_on: self.registered_on.or(other.registered_on),
            is_redacted,
        }
    }
}

/// Registrars put such words where a name was (seen in answers before RFC 9537).
fn is_withheld(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    [
        "redacted",
        "for privacy",
        "whois privacy",
        "privacy service",
        "privacy protect",
        "not disclosed",
        "withheld",
        "data protected",
        "statutory masking",
    ]
    .iter()
    .any(|word| lower.contains(word))
}

fn entity<'v>(entities: &'v [Value], role: &str) -> Option<&'v Value> {
    entities.iter().find(|entity| {
        let roles = entity.get("roles").and_then(Value::as_array);
        roles.is_some_and(|roles| roles.iter().any(|r| r.as_str() == Some(role)))
    })
}

/// `2001-09-18T04:00:00Z` (RFC 3339) to its day.
fn day_of(date: &str) -> Option<String> {
    let day = date.get(..10)?;
    let is_day = day
        .bytes()
        .enumerate()
        .all(|(at, b)| if at == 4 || at == 7 { b == b'-' } else { b.is_ascii_digit() });
    is_day.then(|| day.to_owned())
}

/// What is read of a jCard (RFC 7095).
#[derive(Default)]
struct Card {
    full_name: Option<String>,
    organisation: Option<String>,
    country: Option<Country>,
    region: Option<String>,
}

impl Card {
    fn of(entity: &Value) -> Self {
        let mut card = Self::default();
        let properties = entity.get("vcardArray").and_then(|v| v.get(1)).and_then(Value::as_array);
        for property in properties.map_or(&[][..], Vec::as_slice) {
            let Some(value) = property.get(3) else { continue };
            match property.get(0).and_then(Value::as_str) {
                Some("fn") => card.full_name = text_of(value),
                // One text, or the units of an organisation from the largest (RFC 7095 section 3.3.1.3).
                Some("org") => card.organisation = text_of(value).or_else(|| text_of(value.get(0)?)),
                Some("adr") => card.read_address(property.get(1), value),
                _ => {}
            }
        }
        card
    }

    /// Components by RFC 6350 section 6.3.1: the region is the fifth, the country the seventh; RFC 8605 puts the
    /// country's code into a parameter.
    fn read_address(&mut self, parameters: Option<&Value>, value: &Value) {
        let code = parameters.and_then(|p| p.get("cc")).and_then(Value::as_str).and_then(Country::parse);
        let named = value.get(6).and_then(Value::as_str).and_then(Country::parse);
        self.country = self.country.or(code).or(named);
        if self.region.is_none() {
            self.region = value.get(4).and_then(text_of);
        }
    }
}

fn text_of(value: &Value) -> Option<String> {
    printable(value.as_str()?.as_bytes())
}

#[cfg(test)]
mod tests;
