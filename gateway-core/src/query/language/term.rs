//! What can be asked of a row or of a line.

use crate::application::Application;
use crate::enrich::owners::Purpose;
use crate::query::{DeviceMatch, FlowSum, NameMatch};
use crate::row::{Evidence, Marks, NetworkMarks, RowKind};
use crate::units::{Country, Volume};
use ipnetwork::IpNetwork;

/// A row and what is known of it elsewhere.
pub trait Subject {
    /// The row.
    fn row(&self) -> &FlowSum;
    /// Is its device this one?
    fn is_device(&self, wanted: &DeviceMatch) -> bool;
    /// Who owns its name, and the owner's owners: each by what it is printed as.
    fn owners(&self) -> Vec<String>;
    /// What its name is for.
    fn purpose(&self) -> Option<Purpose>;
}

/// A question about one row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Term {
    /// Its device.
    Device(DeviceMatch),
    /// Its name.
    Name(NameMatch),
    /// Its name has this in it.
    NameHas(String),
    /// Is there a name?
    IsNamed,
    /// Who owns the name, or owns its owner; in any case. `None`: nobody that is known.
    Owner(Option<String>),
    /// What the name is for. `None`: not known.
    Purpose(Option<Purpose>),
    /// The network, by its number. `None`: not known.
    Asn(Option<u32>),
    /// The network's organisation has this in it, in any case.
    OrganisationHas(String),
    /// The country that the address is in. `None`: not known.
    Country(Option<Country>),
    /// The country that the network's operator is registered in. `None`: not known.
    Registered(Option<Country>),
    /// Where the peer's address is.
    Peer(IpNetwork),
    /// The service's port, from the first to the last of these.
    Port(u16, u16),
    /// The IP protocol.
    Protocol(u8),
    /// The recognised protocol.
    Application(Application),
    /// How the name is known.
    Evidence(Evidence),
    /// A mark of the name.
    Mark(Marks),
    /// A mark of the network.
    NetworkMark(NetworkMarks),
    /// Did it stay in the house?
    IsLocal,
}

impl Term {
    /// Is it met by a row?
    #[must_use]
    pub fn is_met_by(&self, subject: &dyn Subject) -> bool {
        let FlowSum { key, network, .. } = subject.row();
        let name = key.name.as_ref();
        match self {
            Self::Device(wanted) => subject.is_device(wanted),
            Self::Name(wanted) => name.is_some_and(|name| wanted.picks(name)),
            Self::NameHas(text) => {
                name.is_some_and(|name| name.as_str().contains(&text.to_ascii_lowercase()))
            }
            Self::IsNamed => name.is_some(),
            Self::Owner(None) => subject.owners().is_empty(),
            Self::Owner(Some(wanted)) => {
                let wanted = wanted.to_lowercase();
                subject.owners().iter().any(|owner| owner.to_lowercase() == wanted)
            }
            Self::Purpose(wanted) => subject.purpose() == *wanted,
            Self::Asn(wanted) => network.asn == *wanted,
            Self::OrganisationHas(text) => {
                let text = text.to_lowercase();
                network.organisation.as_ref().is_some_and(|name| name.to_lowercase().contains(&text))
            }
            Self::Country(wanted) => network.country == *wanted,
            Self::Registered(wanted) => network.registered == *wanted,
            Self::Peer(prefix) => prefix.contains(key.peer),
            Self::Port(first, last) => (*first..=*last).contains(&key.port),
            Self::Protocol(wanted) => key.protocol == *wanted,
            Self::Application(wanted) => key.application == *wanted,
            Self::Evidence(wanted) => key.evidence == *wanted,
            Self::Mark(wanted) => key.marks.has(*wanted),
            Self::NetworkMark(wanted) => network.marks.has(*wanted),
            Self::IsLocal => key.kind == RowKind::Local,
        }
    }
}

/// What can be counted of a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AmountField {
    /// Bytes from the device.
    Up,
    /// Bytes to it.
    Down,
    /// Bytes both ways.
    Total,
    /// Packets both ways.
    Packets,
    /// Conversations.
    Conversations,
}

impl AmountField {
    /// Each with its word.
    pub const ALL: [(Self, &'static str); 5] = [
        (Self::Up, "up"),
        (Self::Down, "down"),
        (Self::Total, "total"),
        (Self::Packets, "packets"),
        (Self::Conversations, "conversations"),
    ];
}

/// How two numbers compare.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `=`
    Equal,
    /// `>=`
    AtLeast,
    /// `>`
    More,
}

/// A question about the amounts of one printed line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Amount {
    /// Which.
    pub field: AmountField,
    /// How it compares.
    pub order: Order,
    /// With what: bytes, or how many.
    pub than: u64,
}

impl Amount {
    /// Is it met by a line with these amounts?
    #[must_use]
    pub fn is_met_by(&self, volume: Volume, conversations: u64) -> bool {
        let amount = match self.field {
            AmountField::Up => volume.up_bytes,
            AmountField::Down => volume.down_bytes,
            AmountField::Total => volume.bytes(),
            AmountField::Packets => volume.packets(),
            AmountField::Conversations => conversations,
        };
        match self.order {
            Order::Less => amount < self.than,
            Order::AtMost => amount <= self.than,
            Order::Equal => amount == self.than,
            Order::AtLeast => amount >= self.than,
            Order::More => amount > self.than,
        }
    }
}
