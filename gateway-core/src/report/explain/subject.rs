//! What is to be explained, as a person writes it.

use crate::query::{DeviceMatch, Filter, NameMatch};
use crate::units::Mac;
use core::fmt;
use core::net::{IpAddr, Ipv6Addr, SocketAddr};
use core::str::FromStr;
use ipnetwork::IpNetwork;

/// A flow, a name or an address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Subject {
    /// What devices, or one, exchanged with a port of an address: `47.241.1.5:443`, `Redmi/[2001:db8::1]:443`.
    Flow {
        /// Only this device.
        device: Option<DeviceMatch>,
        /// The peer.
        addr: IpAddr,
        /// The service's port.
        port: u16,
    },
    /// All that went by a name.
    Name(NameMatch),
    /// All that was exchanged with an address.
    Address {
        /// Only this device.
        device: Option<DeviceMatch>,
        /// The peer.
        addr: IpAddr,
    },
}

/// The text is none of the three.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotASubject {
    /// It is a device.
    #[error("{0} is a device: `telltale flows --device {0}` lists what it exchanged")]
    Device(Mac),
    /// An IPv6 address and a port, and where one ends and the other begins is not to be seen.
    #[error("write an IPv6 address in brackets where a port follows: [{addr}]:{port}")]
    WithoutBrackets {
        /// What seems to be the address.
        addr: Ipv6Addr,
        /// What seems to be the port.
        port: u16,
    },
    /// Something else.
    #[error(
        "explain a flow (47.241.1.5:443, \"Redmi Note 8/[2001:db8::1]:443\"), a name (data.mistat.xiaomi.com) or an \
         address (47.241.1.5); `telltale flows --device` lists what a device exchanged"
    )]
    Other,
}

impl FromStr for Subject {
    type Err = NotASubject;
    fn from_str(text: &str) -> Result<Self, NotASubject> {
        let text = text.trim();
        let (device, place) = match text.rsplit_once('/') {
            Some((device, place)) => (Some(device.parse().map_err(|_| NotASubject::Other)?), place),
            None => (None, text),
        };
        let bare = place.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(place);
        if let Ok(addr) = bare.parse() {
            return Ok(Self::Address { device, addr });
        }
        if let Ok(socket) = place.parse::<SocketAddr>() {
            return Ok(Self::Flow { device, addr: socket.ip(), port: socket.port() });
        }
        if let Some((addr, port)) = without_brackets(place) {
            return Err(NotASubject::WithoutBrackets { addr, port });
        }
        match (device, place.parse()) {
            (None, Ok(mac)) => Err(NotASubject::Device(mac)),
            (None, Err(_)) => place.parse().map(Self::Name).map_err(|_| NotASubject::Other),
            (Some(_), _) => Err(NotASubject::Other),
        }
    }
}

/// The address and the port in `2001:db8::1:443`.
fn without_brackets(text: &str) -> Option<(Ipv6Addr, u16)> {
    let (addr, port) = text.rsplit_once(':')?;
    let is_decimal = port.bytes().all(|b| b.is_ascii_digit());
    addr.parse().ok().zip(port.parse().ok().filter(|_| is_decimal))
}

/// The host in a URL (RFC 3986 §3.2), with its port if the host is an address; `None` if the text is no URL.
#[must_use]
pub fn host_of_url(text: &str) -> Option<&str> {
    let (scheme, rest) = text.trim().split_once("://")?;
    let is_scheme =
        !scheme.is_empty() && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    let authority = rest.split(['/', '?', '#']).next().filter(|_| is_scheme)?;
    let place = authority.rsplit_once('@').map_or(authority, |(_, place)| place);
    if place.starts_with('[') || place.parse::<SocketAddr>().is_ok() {
        return Some(place);
    }
    Some(place.rsplit_once(':').map_or(place, |(host, _)| host))
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flow { addr, port, .. } => write!(f, "{}", SocketAddr::new(*addr, *port)),
            Self::Name(name) => name.fmt(f),
            Self::Address { addr, .. } => addr.fmt(f),
        }
    }
}

impl Subject {
    /// If it is an IPv6 address that could have been meant as an address and a port: both.
    #[must_use]
    pub fn as_address_and_port(&self) -> Option<(Ipv6Addr, u16)> {
        match self {
            Self::Address { addr: IpAddr::V6(addr), .. } => without_brackets(&addr.to_string()),
            _ => None,
        }
    }

    /// The rows that it is about, among those that another filter picks.
    #[must_use]
    pub fn filter(&self, mut filter: Filter) -> Filter {
        let mut of = |device: &Option<DeviceMatch>, addr: IpAddr| {
            filter.devices.extend(device.clone());
            filter.peers.push(IpNetwork::from(addr));
        };
        match self {
            Self::Flow { device, addr, port } => {
                of(device, *addr);
                filter.ports.push(*port);
            }
            Self::Address { device, addr } => of(device, *addr),
            Self::Name(name) => filter.names.push(name.clone()),
        }
        filter
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic on purpose")]
    use super::*;

    #[test]
    fn a_subject_is_read_as_it_is_written() {
        let addr = |text: &str| text.parse::<IpAddr>().unwrap();
        let redmi = Some("Redmi Note 8".parse().unwrap());
        for (text, expected) in [
            ("47.241.1.5", Subject::Address { device: None, addr: addr("47.241.1.5") }),
            ("2001:db8::1", Subject::Address { device: None, addr: addr("2001:db8::1") }),
            ("[2001:db8::1]", Subject::Address { device: None, addr: addr("2001:db8::1") }),
            ("47.241.1.5:443", Subject::Flow { device: None, addr: addr("47.241.1.5"), port: 443 }),
            (
                "Redmi Note 8/[2001:db8::1]:853",
                Subject::Flow { device: redmi.clone(), addr: addr("2001:db8::1"), port: 853 },
            ),
            ("Redmi Note 8/1.1.1.1", Subject::Address { device: redmi, addr: addr("1.1.1.1") }),
            ("Data.Xiaomi.com", Subject::Name("data.xiaomi.com".parse().unwrap())),
            ("*.xiaomi.com", Subject::Name("*.xiaomi.com".parse().unwrap())),
        ] {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
        for bad in ["", "a b", "47.0.0.0/14", "/1.1.1.1", "Redmi/data.xiaomi.com", "1.1.1.1:70000"] {
            assert_eq!(bad.parse::<Subject>(), Err(NotASubject::Other), "{bad}");
        }
        let mac = "7c:03:ab:12:34:56";
        assert_eq!(mac.parse::<Subject>(), Err(NotASubject::Device(mac.parse().unwrap())));
    }

    #[test]
    fn an_address_without_brackets_is_asked_for_again() {
        let (addr, port) = ("2001:db8::1".parse().unwrap(), 50_000);
        for text in ["2001:db8::1:50000", "Redmi/2001:db8::1:50000"] {
            assert_eq!(text.parse::<Subject>(), Err(NotASubject::WithoutBrackets { addr, port }), "{text}");
        }
        let meant = |text: &str| text.parse::<Subject>().unwrap().as_address_and_port();
        assert_eq!(meant("2001:db8::1:443"), Some((addr, 443)));
        for plain in
            ["2001:db8::1", "2001:db8::", "2001:db8::1:ab", "1.1.1.1", "[2001:db8::1]:443", "a.example"]
        {
            assert_eq!(meant(plain), None, "{plain}");
        }
    }

    #[test]
    fn the_host_is_taken_out_of_a_url() {
        for (text, host) in [
            ("https://www.example.org/a/b?c#d", Some("www.example.org")),
            ("https://ada:secret@www.example.org:8443", Some("www.example.org")),
            ("http://47.241.1.5:8080/", Some("47.241.1.5:8080")),
            ("http://47.241.1.5", Some("47.241.1.5")),
            ("https://[2001:db8::1]:443/x", Some("[2001:db8::1]:443")),
            ("://a.example", None),
            ("www.example.org", None),
            ("Redmi/[2001:db8::1]:443", None),
        ] {
            assert_eq!(host_of_url(text), host, "{text}");
        }
    }
}
