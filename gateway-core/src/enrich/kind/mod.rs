//! What kind of device it is, who made it and which model, from what it lets slip: how it asks its DHCP server, what
//! it calls itself, whose prefix its address has, which of its maker's names it contacts.
//!
//! None of these is proof: a device may call itself what it likes, and programs borrow each other's habits. So every
//! verdict has its confidence and lists what speaks for it and against it. Imports units and the vendors' answer
//! only; the rules are tables with a source for each line.

mod dhcp;
mod hostname;
mod judge;
mod makers;
mod names;
mod same;
mod shared;

pub use same::{Candidate, Offer, offer};
pub use shared::{Shared, SharedSigns, shared};

use super::vendors::Vendor;
use crate::units::DomainName;

/// A kind of device.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum DeviceKind {
    /// A telephone.
    Phone,
    /// A tablet.
    Tablet,
    /// A computer, portable or not.
    Computer,
    /// A television, or a box that makes one of a screen.
    Tv,
    /// A games console.
    GameConsole,
    /// A loudspeaker, with or without an assistant.
    Speaker,
    /// A camera that watches.
    Camera,
    /// A printer.
    Printer,
    /// What makes the network: a router, an access point, a repeater.
    Router,
    /// A watch.
    Watch,
    /// Anything else in a house that is on its network: lamps, plugs, vacuum cleaners.
    Iot,
}

impl DeviceKind {
    /// Every kind.
    pub const ALL: [Self; 11] = [
        Self::Phone,
        Self::Tablet,
        Self::Computer,
        Self::Tv,
        Self::GameConsole,
        Self::Speaker,
        Self::Camera,
        Self::Printer,
        Self::Router,
        Self::Watch,
        Self::Iot,
    ];

    /// The word that programs get.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Phone => "phone",
            Self::Tablet => "tablet",
            Self::Computer => "computer",
            Self::Tv => "tv",
            Self::GameConsole => "game_console",
            Self::Speaker => "speaker",
            Self::Camera => "camera",
            Self::Printer => "printer",
            Self::Router => "router",
            Self::Watch => "watch",
            Self::Iot => "iot",
        }
    }

    /// The words that people get.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Tv => "TV",
            Self::GameConsole => "game console",
            Self::Iot => "smart-home device",
            other => other.word(),
        }
    }
}

/// How sure a verdict is. Ordered: surer is greater.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Confidence {
    /// One sign, or signs that contradict each other: not to be told as a fact.
    Hint,
    /// Signs of two sorts agree, or one that only such devices have.
    Likely,
    /// Signs of three sorts agree (what its DHCP client says counts as one) and none is against it.
    Certain,
}

impl Confidence {
    /// The word it is printed as.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Hint => "hint",
            Self::Likely => "likely",
            Self::Certain => "certain",
        }
    }
}

/// Where a sign is from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Sign {
    /// What its DHCP client calls itself: option 60 (RFC 2132 section 9.13).
    VendorClass,
    /// What its DHCP client asks for: option 55 (RFC 2132 section 9.8).
    ParameterList,
    /// What it calls itself. Its owner may have chosen it.
    Hostname,
    /// Who made its network interface.
    MacVendor,
    /// A name that it contacted.
    Name,
}

impl Sign {
    /// The word that programs get.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::VendorClass => "vendor_class",
            Self::ParameterList => "parameter_list",
            Self::Hostname => "hostname",
            Self::MacVendor => "mac_vendor",
            Self::Name => "name",
        }
    }
}

/// What is known of a device.
#[derive(Clone, Copy, Debug)]
pub struct DeviceSigns<'a> {
    /// DHCP option 60.
    pub vendor_class: Option<&'a str>,
    /// DHCP option 55, as numbers with commas between.
    pub parameter_list: Option<&'a str>,
    /// What it calls itself.
    pub hostname: Option<&'a str>,
    /// Whose prefix its MAC address has.
    pub vendor: Vendor<'a>,
    /// The names that it contacted, as many as are known.
    pub names: &'a [DomainName],
}

/// One sign and what it says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Because {
    /// Where it is from.
    pub sign: Sign,
    /// What it says, as a part of a sentence.
    pub says: String,
    /// How it is known that it says that.
    pub source: &'static str,
    /// Does it speak against the verdict?
    pub is_against: bool,
}

/// What a device probably is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verdict {
    /// The kind; `None` where the signs say who made it and no more, or disagree.
    pub kind: Option<DeviceKind>,
    /// Who made it.
    pub make: Option<&'static str>,
    /// Which model, by its hostname alone, and only where nothing speaks against the maker.
    pub model: Option<String>,
    /// How sure all of that is.
    pub confidence: Confidence,
    /// Every sign, those that speak against it last.
    pub because: Vec<Because>,
}

/// What the signs say together; `None` if they say nothing.
#[must_use]
pub fn infer(signs: &DeviceSigns<'_>) -> Option<Verdict> {
    let mut hints = Vec::new();
    hints.extend(signs.vendor_class.and_then(dhcp::vendor_class));
    hints.extend(signs.parameter_list.and_then(dhcp::parameter_list));
    hints.extend(signs.hostname.and_then(hostname::hostname));
    hints.extend(signs.vendor.name().and_then(makers::maker));
    hints.extend(names::contacted(signs.names));
    judge::judge(hints)
}

/// What one sign says.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Hint {
    sign: Sign,
    /// The kinds it fits, the usual one first; empty if it says nothing of the kind.
    fits: &'static [DeviceKind],
    /// What it is worth for the kind: 0 nothing, 1 little, 2 something, 3 only such devices have it.
    weight: u32,
    /// The makers it fits; several if makers share it.
    makes: &'static [&'static str],
    model: Option<String>,
    says: String,
    source: &'static str,
}

#[cfg(test)]
mod tests;
