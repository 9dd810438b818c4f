//! What a summary says, before it is put in writing. Every list is in the order it is to be printed.

use super::input::{Known, Slot};
use crate::application::Application;
use crate::query::TimeRange;
use crate::report::coverage::Coverage;
use crate::report::model::Shortfall;
use crate::row::Network;
use crate::units::{Country, DomainName, Mac, Volume};

/// A summary.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Summary {
    /// From when to when.
    pub range: TimeRange,
    /// Its hours.
    pub slots: Vec<Slot>,
    /// How much of it was measured.
    pub measured: Measured,
    /// What was there to compare with.
    pub past: PastDays,
    /// The date of the table of owners; empty if there is none.
    pub owners_date: String,
    /// What all devices exchanged with the world.
    pub routed: Volume,
    /// Phones first, then by upload.
    pub devices: Vec<DeviceSummary>,
    /// What is worth knowing, the gravest first; what the user knows of last.
    pub findings: Vec<Finding>,
}

/// How much of a range was measured.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Measured {
    /// Tenths of a percent of what could be judged, rounded down; `None` if nothing could be.
    pub permille: Option<u16>,
    /// The time that was and was not measured.
    pub coverage: Coverage,
    /// What is missing, and why.
    pub shortfalls: Vec<Shortfall>,
    /// Times that the calendar clock was set while it counted.
    pub clock_steps: usize,
    /// Intervals that were counted while the calendar was not known.
    pub undated: usize,
    /// Samples that were lost: names may be missing.
    pub samples_lost: u64,
}

/// The days before a range.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PastDays {
    /// How many were looked at.
    pub days: usize,
    /// How many of them were measured well enough.
    pub observed: usize,
}

/// One device.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeviceSummary {
    /// Its address.
    pub mac: Mac,
    /// What to call it. As the device chose it: not clean.
    pub name: String,
    /// Is it a telephone, as far as is known?
    pub is_phone: bool,
    /// What it exchanged with the world.
    pub routed: Volume,
    /// What it exchanged with nobody knows whom, for the tables were full; not part of the above.
    pub coarse: Volume,
    /// What has no name, of `routed`.
    pub unnamed: Volume,
    /// By hour of the range: bytes up and down.
    pub hours: Vec<(u64, u64)>,
    /// With whom, by owner, most upload first.
    pub owners: Vec<OwnerGroup>,
    /// Encrypted DNS and tunnels.
    pub hidden: Vec<(Application, Volume)>,
    /// The days before on which it was there and that were measured well enough.
    pub past_days: usize,
    /// May "new" be said of its destinations?
    pub can_be_new: bool,
    /// Its upload beside that of the days before.
    pub upload: Option<Usual>,
    /// Its quiet hours.
    pub night: Night,
}

impl DeviceSummary {
    /// All its destinations.
    pub fn places(&self) -> impl Iterator<Item = &Place> {
        self.owners.iter().flat_map(|group| &group.places)
    }
}

/// The destinations of one owner.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OwnerGroup {
    /// Whose; `None` if that is not known.
    pub owner: Option<String>,
    /// The country of the owner's seat, if that is known.
    pub country: Option<Country>,
    /// Together.
    pub volume: Volume,
    /// Each, by upload.
    pub places: Vec<Place>,
}

/// A destination: a registrable name, or the unnamed addresses of a network.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Site {
    /// Names below one registrable name.
    Name(DomainName),
    /// Addresses without a name, in this network.
    Network(u32),
    /// Addresses without a name and without a network.
    Unknown,
    /// Not kept: the device has a privacy level.
    Withheld,
}

/// A destination of a device.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// Which.
    pub site: Site,
    /// Whose name it is; `None` if that is not known.
    pub owner: Option<String>,
    /// The country of the owner's seat, if that is known.
    pub owner_country: Option<Country>,
    /// The names that were contacted, in order.
    pub names: Vec<DomainName>,
    /// What for, as the table of owners says.
    pub purposes: Vec<&'static str>,
    /// In whose networks, the largest first; without the country of the address.
    pub networks: Vec<Network>,
    /// Where the addresses are, and whether that is doubtful (anycast).
    pub countries: Vec<(Country, bool)>,
    /// What was exchanged.
    pub volume: Volume,
    /// How many conversations, counted once per interval that they were alive in.
    pub conversations: u64,
    /// By hour of the range: bytes both ways.
    pub hours: Vec<u64>,
    /// First contact within the days before.
    pub is_new: bool,
    /// Every row has a name that may be another's (rivals, a stretched answer) or an outer one.
    pub is_unsure: bool,
    /// Its upload beside that of the days before.
    pub upload: Option<Usual>,
    /// What was exchanged in the device's quiet hours.
    pub at_night: Volume,
}

/// An amount beside that of comparable days.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Usual {
    /// Bytes now.
    pub now: u64,
    /// The median, bytes a day.
    pub median: u64,
    /// The least and the most, bytes a day.
    pub range: (u64, u64),
    /// Of how many days.
    pub days: usize,
    /// Does the rule call it grown?
    pub has_grown: bool,
}

/// The quiet hours of a device.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Night {
    /// There are none, and why.
    Unknown(&'static str),
    /// The local hours from the first to before the second, round midnight if need be.
    Known(NightWatch),
}

/// What happened in the quiet hours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NightWatch {
    /// The first quiet hour of the day, and the first that is not.
    pub window: (u8, u8),
    /// Learned from so many days.
    pub days: usize,
    /// What was exchanged in them.
    pub volume: Volume,
    /// With how many destinations.
    pub places: usize,
    /// How many of these are new.
    pub new_places: usize,
    /// Hours of the range that were in the window.
    pub hours: usize,
    /// How many of these were measured.
    pub measured_hours: usize,
}

/// How grave a finding is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Severity {
    /// The figures cannot be relied on until something is mended.
    Act,
    /// Unusual for this device: worth a look.
    Look,
    /// Good to know.
    Note,
}

impl Severity {
    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Act => "act",
            Self::Look => "look",
            Self::Note => "note",
        }
    }
}

/// What a finding is about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum FindingKind {
    /// Too little was measured.
    LowCoverage,
    /// A device sends more than on any comparable day.
    MoreUpload,
    /// A device sends one destination more than on any comparable day.
    MoreToDestination,
    /// A device contacts a destination for the first time in the days before.
    NewDestination,
    /// A device hides its questions or its traffic.
    Hides,
    /// A device was never seen before.
    NewDevice,
}

impl FindingKind {
    /// Its word, which begins the id.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::LowCoverage => "low-coverage",
            Self::MoreUpload => "more-upload",
            Self::MoreToDestination => "more-to-destination",
            Self::NewDestination => "new-destination",
            Self::Hides => "hides",
            Self::NewDevice => "new-device",
        }
    }
}

/// Something worth knowing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// The same for the same kind, device and subject, whenever it is found.
    pub id: String,
    /// About what.
    pub kind: FindingKind,
    /// How grave.
    pub severity: Severity,
    /// Of which device: its address and what to call it.
    pub device: Option<(Mac, String)>,
    /// The destination or protocol; empty if it is of the device or of all.
    pub subject: String,
    /// What was seen, with its figures.
    pub said: String,
    /// Why it may be innocent.
    pub innocent: &'static str,
    /// The user knows of it.
    pub known: Option<Known>,
}
