//! Destinations that the user knows of: each entry with a reason and a date. An entry changes how a new destination is
//! reported, and never what is counted.

use super::summary::model::Place;
use super::summary::model::Site;
use crate::query::{DeviceInfo, DeviceMatch, NameMatch};

/// What an entry is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum KnownPlace {
    /// This name, or it and all below it.
    Name(NameMatch),
    /// Every name of this owner, whatever the case.
    Owner(String),
}

/// An entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KnownEntry {
    /// What is known.
    pub place: KnownPlace,
    /// Of which device alone; `None` is of all.
    pub device: Option<DeviceMatch>,
    /// Why it is all right, in the user's words.
    pub reason: String,
    /// Since when it is known: `2026-11-22`.
    pub date: String,
}

impl KnownEntry {
    /// Is it about this destination of this device? A destination with several names is known where all of them are.
    #[must_use]
    pub fn covers(&self, device: Option<&DeviceInfo>, place: &Place) -> bool {
        let is_of_device = match (&self.device, device) {
            (None, _) => true,
            (Some(wanted), Some(device)) => wanted.picks(device),
            (Some(_), None) => false,
        };
        is_of_device
            && match &self.place {
                KnownPlace::Owner(owner) => {
                    place.owner.as_ref().is_some_and(|of| of.eq_ignore_ascii_case(owner))
                }
                KnownPlace::Name(name) => {
                    let is_site = matches!(&place.site, Site::Name(site) if name.picks(site));
                    is_site || (!place.names.is_empty() && place.names.iter().all(|of| name.picks(of)))
                }
            }
    }
}
