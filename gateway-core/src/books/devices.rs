//! What devices told of themselves, and what of it is new since the last drain.

use super::aged::{Aged, Limits};
use crate::row::DeviceFact;
use crate::units::Mac;
use std::collections::BTreeMap;

/// How many devices are remembered. A house has dozens, an office hundreds; a device that invents addresses for
/// itself could bring any number.
pub const MAX_DEVICES: usize = 1024;

/// Where hostnames come from, weakest first: a device that has several names is told by the strongest, and a weaker
/// source never overwrites a stronger one. By DHCP a device speaks to the house; by multicast DNS to everybody near, and
/// changes the name if another has it already; LLMNR is a stopgap of the same. A file of leases repeats
/// what a device said by DHCP, perhaps long ago, or has a name that the owner of the network chose.
const HOSTNAME_SOURCES: [&str; 4] = ["llmnr", "mdns", "leases", "dhcp"];

/// What is known of each device.
#[derive(Clone, Debug)]
pub struct DevicesBook {
    known: Aged<Mac, DeviceFact>,
    pending: BTreeMap<Mac, DeviceFact>,
    /// Devices forgotten, and news left out, for want of room.
    pub evicted: u64,
}

impl Default for DevicesBook {
    fn default() -> Self {
        let limits = Limits { per_device: 1, in_all: MAX_DEVICES };
        Self { known: Aged::new(limits), pending: BTreeMap::new(), evicted: 0 }
    }
}

impl DevicesBook {
    /// Enters a fact; what it does not say stays as it was.
    pub fn learn(&mut self, fact: &DeviceFact) {
        let device = fact.device;
        let before = self.known.get(&device);
        let is_weaker = before.is_some_and(|before| rank(fact) < rank(before));
        let nameless = || DeviceFact { hostname: None, hostname_source: None, ..fact.clone() };
        let fact = if is_weaker { &nameless() } else { fact };
        let mut after = before.cloned().unwrap_or_else(|| nothing_of(device));
        merge(&mut after, fact);
        if before == Some(&after) {
            self.known.touch(&device);
            return;
        }
        self.evicted = self.evicted.saturating_add(self.known.insert(device, after));
        if self.pending.len() >= MAX_DEVICES && !self.pending.contains_key(&device) {
            self.evicted = self.evicted.saturating_add(1);
            return;
        }
        merge(self.pending.entry(device).or_insert_with(|| nothing_of(device)), fact);
    }

    /// What is new since the last call, one fact per device, in order.
    pub fn take_new(&mut self) -> Vec<DeviceFact> {
        core::mem::take(&mut self.pending).into_values().collect()
    }
}

fn nothing_of(device: Mac) -> DeviceFact {
    DeviceFact {
        device,
        hostname: None,
        hostname_source: None,
        vendor_class: None,
        parameter_list: None,
        addr: None,
    }
}

/// How strong the source of a hostname is; nothing is weakest.
fn rank(fact: &DeviceFact) -> Option<usize> {
    hostname_rank(fact.hostname_source?)
}

/// How strong a source of hostnames is; one that is not known is weakest.
#[must_use]
pub fn hostname_rank(source: &str) -> Option<usize> {
    HOSTNAME_SOURCES.iter().position(|known| *known == source)
}

fn merge(into: &mut DeviceFact, fact: &DeviceFact) {
    let DeviceFact { device: _, hostname, hostname_source, vendor_class, parameter_list, addr } = fact;
    if hostname.is_some() {
        into.hostname.clone_from(hostname);
        into.hostname_source = *hostname_source;
    }
    if vendor_class.is_some() {
        into.vendor_class.clone_from(vendor_class);
    }
    if parameter_list.is_some() {
        into.parameter_list.clone_from(parameter_list);
    }
    into.addr = addr.or(into.addr);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(device: u16, hostname: &str) -> DeviceFact {
        let [a, b] = device.to_be_bytes();
        DeviceFact {
            hostname: Some(hostname.to_owned()),
            hostname_source: Some("dhcp"),
            ..nothing_of(Mac([2, 0, 0, 0, a, b]))
        }
    }

    #[test]
    fn only_news_is_told() {
        let mut book = DevicesBook::default();
        book.learn(&named(1, "Redmi"));
        let addr = Some(core::net::IpAddr::from([192, 168, 1, 23]));
        book.learn(&DeviceFact { addr, ..nothing_of(Mac([2, 0, 0, 0, 0, 1])) });
        assert_eq!(book.take_new(), [DeviceFact { addr, ..named(1, "Redmi") }]);
        book.learn(&named(1, "Redmi"));
        assert_eq!(book.take_new(), []);
        book.learn(&named(1, "Lena"));
        assert_eq!(book.take_new(), [named(1, "Lena")]);
    }

    #[test]
    fn a_weaker_source_renames_nobody() {
        let by = |source: &'static str, hostname: &str| DeviceFact {
            hostname_source: Some(source),
            ..named(1, hostname)
        };
        let mut book = DevicesBook::default();
        for fact in [by("llmnr", "LENA"), by("mdns", "lena"), by("llmnr", "LENA"), by("mdns", "lena-2")] {
            book.learn(&fact);
        }
        assert_eq!(book.take_new(), [by("mdns", "lena-2")]);
        book.learn(&by("dhcp", "Redmi"));
        let addr = Some(core::net::IpAddr::from([192, 168, 1, 23]));
        book.learn(&DeviceFact { addr, ..by("mdns", "lena-3") });
        assert_eq!(book.take_new(), [DeviceFact { addr, ..by("dhcp", "Redmi") }], "what else it says counts");
    }

    #[test]
    fn invented_devices_are_bounded_and_counted() {
        let mut book = DevicesBook::default();
        for n in 0..=u16::try_from(MAX_DEVICES).expect("small") {
            book.learn(&named(n, "x"));
        }
        assert_eq!((book.take_new().len(), book.evicted), (MAX_DEVICES, 2));
    }
}
