//! Which MAC addresses may be one device: a phone makes up an address for every network name. Only offers; that two
//! are one is for the user to say.

use super::DeviceKind;
use crate::units::Mac;

/// What is known of one MAC address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Candidate {
    /// The address.
    pub mac: Mac,
    /// What it calls itself.
    pub hostname: Option<String>,
    /// What it probably is.
    pub kind: Option<DeviceKind>,
    /// What it asks a DHCP server for.
    pub parameter_list: Option<String>,
}

/// Two addresses that may be one device.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Offer {
    /// The one that would give the name.
    pub into: Mac,
    /// The other.
    pub other: Mac,
    /// Why, as sentences.
    pub because: Vec<String>,
}

/// Hostnames that many devices have: equal ones say nothing.
const COMMON_NAMES: [&str; 14] = [
    "android",
    "localhost",
    "iphone",
    "ipad",
    "macbook",
    "unknown",
    "espressif",
    "openwrt",
    "raspberrypi",
    "wlan0",
    "ubuntu",
    "debian",
    "phone",
    "esp",
];

/// May two addresses be one device? They call themselves the same, nothing known of them differs, at least one address
/// is made up, and they were never seen in the same interval (`were_together` tells,
/// and is only asked where all else fits).
#[must_use]
pub fn offer(a: &Candidate, b: &Candidate, were_together: impl FnOnce() -> bool) -> Option<Offer> {
    let (hostname, other) = (a.hostname.as_deref()?, b.hostname.as_deref()?);
    let is_common = COMMON_NAMES.iter().any(|common| hostname.eq_ignore_ascii_case(common));
    let differ = |a: Option<DeviceKind>, b: Option<DeviceKind>| a.zip(b).is_some_and(|(a, b)| a != b);
    if !hostname.eq_ignore_ascii_case(other) || is_common || differ(a.kind, b.kind) {
        return None;
    }
    let lists = a.parameter_list.as_ref().zip(b.parameter_list.as_ref());
    if lists.is_some_and(|(a, b)| a != b) {
        return None;
    }
    let made_up = [a, b].into_iter().filter(|one| one.mac.is_locally_administered()).count();
    if made_up == 0 || were_together() {
        return None;
    }
    let mut because = vec![format!("both call themselves {hostname:?}")];
    if let (Some(kind), Some(_)) = (a.kind, b.kind) {
        because.push(format!("both are probably a {}", kind.words()));
    }
    if lists.is_some() {
        because.push("both ask their DHCP server for the same options".to_owned());
    }
    let addresses = if made_up == 2 { "both MAC addresses are" } else { "one MAC address is" };
    because.push(format!("{addresses} made up"));
    because.push("they were never seen at the same time".to_owned());
    // The one whose address its maker gave it names both.
    let (into, other) = if a.mac.is_locally_administered() && !b.mac.is_locally_administered() {
        (b.mac, a.mac)
    } else {
        (a.mac, b.mac)
    };
    Some(Offer { into, other, because })
}
