//! What a dossier says, before it is put in writing. Every list is in the order it is to be printed.

use crate::enrich::owners::Purpose;
use crate::enrich::rdap::Registration;
use crate::row::Network;
use crate::units::{Country, DomainName, Mac, Volume, WallTime};
use core::fmt;
use core::net::IpAddr;

/// Whom a dossier is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Subject {
    /// A name and all below it.
    Name(DomainName),
    /// An address.
    Address(IpAddr),
    /// An autonomous system.
    System(u32),
    /// A device.
    Device(Mac),
    /// An owner of names, by its name.
    Owner(String),
}

/// Nothing is called that.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "nobody is called {0}: ask for a name (data.mistat.xiaomi.com), an address (47.241.1.5), a network (AS45102), a \
     device (its label, hostname or MAC address: `telltale devices` lists them) or an owner (Xiaomi)"
)]
pub struct NobodyIsCalled(pub String);

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => name.fmt(f),
            Self::Address(addr) => addr.fmt(f),
            Self::System(asn) => write!(f, "AS{asn}"),
            Self::Device(mac) => mac.fmt(f),
            Self::Owner(name) => f.write_str(name),
        }
    }
}

/// Who owns a name and what for, as a table's rule says.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Owned {
    /// The owner.
    pub owner: String,
    /// The owner's country, if the table knows it.
    pub country: Option<Country>,
    /// The city of its seat, if the table knows it.
    pub seat: Option<String>,
    /// Companies that own the owner, the next one first.
    pub parents: Vec<String>,
    /// What the name is for.
    pub purpose: Purpose,
    /// The rule: it covers itself and all below.
    pub rule: String,
    /// The user's list whose rule it is; `None` for the curated table.
    pub list: Option<String>,
    /// What proves that the name is the owner's.
    pub source: Source,
    /// What proves the purpose; `None` where it is general knowledge, or not known.
    pub purpose_source: Option<Source>,
    /// What proves country and seat; `None` where they are general knowledge.
    pub seat_source: Option<Source>,
}

/// Where a fact is from.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Source {
    /// What it is called.
    pub title: String,
    /// Where it is found; empty for a list of the user's.
    pub place: String,
    /// The day it was read, `YYYY-MM-DD`; `None` where nobody did, and it is general knowledge.
    pub read_on: Option<String>,
}

/// A list of the user's has the name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Listed {
    /// The list's name.
    pub list: String,
    /// The list's date.
    pub date: String,
    /// The entry.
    pub rule: String,
    /// What else the list says: owner, purpose, its own word for it; empty if nothing.
    pub said: String,
}

/// What the tables know of a name.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct NameFacts {
    /// The part of it that somebody registered.
    pub registrable: Option<DomainName>,
    /// Whose it is, if a rule says so.
    pub owned: Option<Owned>,
    /// The platform's suffix under which its customers have names, `github.io` say, if it is a customer's name; whose
    /// platform it is follows in brackets where that is known.
    pub hosted_under: Option<String>,
    /// The user's lists that have it.
    pub listed: Vec<Listed>,
}

/// One contacted name with its volume.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NameLine {
    /// The name; `None` gathers what has none.
    pub name: Option<DomainName>,
    /// What the tables know of it.
    pub facts: NameFacts,
    /// How much.
    pub volume: Volume,
}

/// One network with its volume.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NetworkLine {
    /// The network, without the country of an address.
    pub network: Network,
    /// Its addresses that were contacted, most bytes first.
    pub addrs: Vec<IpAddr>,
    /// How much.
    pub volume: Volume,
}

/// One device with its volume.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeviceLine {
    /// The device.
    pub mac: Mac,
    /// What it is called.
    pub name: String,
    /// How much.
    pub volume: Volume,
    /// Start of the first interval with it.
    pub first_at: WallTime,
    /// End of the last.
    pub last_at: WallTime,
}

/// One day of one device.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DayLine {
    /// The local date, `YYYY-MM-DD`.
    pub day: String,
    /// The device.
    pub device: String,
    /// How much.
    pub volume: Volume,
}

/// A registrar's answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Registered {
    /// The registrable name.
    pub domain: DomainName,
    /// Whose answer; empty if no server is known for the domain.
    pub server: String,
    /// When.
    pub asked_at: WallTime,
    /// What it said.
    pub registration: Registration,
}

/// All that is known about somebody.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Dossier {
    /// About whom.
    pub subject: Subject,
    /// What it is called, where that says more than the subject: a device's label, an owner's country.
    pub title: String,
    /// Facts about the subject itself that fit no column: a device's maker and kind.
    pub remarks: Vec<String>,
    /// What the tables know of the subject, if it is a name.
    pub facts: Option<NameFacts>,
    /// Who registered it, if that was ever asked.
    pub registered: Option<Registered>,
    /// The network of the subject by the tables in force, if it is an address.
    pub network: Option<Network>,
    /// Names that were contacted, most sent first.
    pub names: Vec<NameLine>,
    /// Networks that were contacted, most sent first.
    pub networks: Vec<NetworkLine>,
    /// Countries of the addresses that were contacted, most sent first; the flag: is it an anycast address's?
    pub countries: Vec<(Option<Country>, bool, Volume)>,
    /// Devices that had contact, most sent first.
    pub devices: Vec<DeviceLine>,
    /// The same by day, the latest first.
    pub days: Vec<DayLine>,
    /// Other names of the same owner that were contacted, most sent first.
    pub sisters: Vec<NameLine>,
    /// The dates of the tables: networks, owners.
    pub dates: Dates,
}

/// The dates of tables.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Dates {
    /// Of the networks; empty if there is no table.
    pub networks: String,
    /// Of the owners; empty if there is no table.
    pub owners: String,
}

impl Dossier {
    /// Was there any contact?
    #[must_use]
    pub fn has_contact(&self) -> bool {
        !self.devices.is_empty()
    }

    /// Do the tables or the database know anything?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let knows_name = self.facts.as_ref().is_some_and(|f| f.owned.is_some() || !f.listed.is_empty());
        !(self.has_contact()
            || knows_name
            || self.network.is_some()
            || self.registered.is_some()
            || !self.remarks.is_empty())
    }
}
