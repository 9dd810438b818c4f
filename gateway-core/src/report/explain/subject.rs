//! What is to be explained, as a person writes it.

use crate::query::{DeviceMatch, Filter, NameMatch};
use core::fmt;
use core::net::{IpAddr, SocketAddr};
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
#[error(
    "explain a flow (47.241.1.5:443, \"Redmi Note 8/[2001:db8::1]:443\"), a name (data.mistat.xiaomi.com) or an address (47.241.1.5)"
)]
pub struct NotASubject;

impl FromStr for Subject {
    type Err = NotASubject;
    fn from_str(text: &str) -> Result<Self, NotASubject> {
        let text = text.trim();
        let (device, place) = match text.rsplit_once('/') {
            Some((device, place)) => (Some(device.parse().map_err(|_| NotASubject)?), place),
            None => (None, text),
        };
        let bare = place.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(place);
        if let Ok(addr) = bare.parse() {
            return Ok(Self::Address { device, addr });
        }
        if let Ok(socket) = place.parse::<SocketAddr>() {
            return Ok(Self::Flow { device, addr: socket.ip(), port: socket.port() });
        }
        match device {
            None => place.parse().map(Self::Name).map_err(|_| NotASubject),
            Some(_) => Err(NotASubject),
        }
    }
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
            assert_eq!(bad.parse::<Subject>(), Err(NotASubject), "{bad}");
        }
    }
}
