//! What is known of each device, put together for every way of showing it.

use super::super::ask::say;
use crate::store::{Contacted, KnownHostname, Reader};
use crate::tables::vendors;
use gateway_core::enrich::kind::{
    Candidate, Confidence, DeviceSigns, Offer, Shared, SharedSigns, Verdict, infer, offer, shared,
};
use gateway_core::enrich::vendors::{Vendor, VendorTable};
use gateway_core::query::{DeviceInfo, TimeRange};
use gateway_core::units::{DomainName, Mac, Volume, WallTime};
use std::collections::BTreeMap;
use std::path::Path;

/// Names and volume are of so many days before the last interval: habits change, and years take long to add up.
pub const RECENT_DAYS: i64 = 7;
const DAY_NS: i64 = 86_400_000_000_000;
/// Pairs of addresses that are looked at whether they may be one device: a house with more has no such question.
const MAX_PAIRS: usize = 256;

/// One device.
pub struct Known {
    /// As the database has it, what is merged into it included.
    pub device: DeviceInfo,
    /// Whose prefix each of its MAC addresses has; `None` is unknown or made up.
    pub vendors: Vec<(Mac, Option<String>)>,
    /// What it probably is; `None` also where several devices speak through it.
    pub verdict: Option<Verdict>,
    /// The signs of several devices behind it.
    pub shared: Option<Shared>,
    /// What it exchanged in the recent days.
    pub volume: Volume,
    /// What it called itself, ever.
    pub hostnames: Vec<KnownHostname>,
}

/// All of them.
pub struct Household {
    /// By MAC address.
    pub devices: Vec<Known>,
    /// Addresses that may be one device.
    pub offers: Vec<Offer>,
    /// The recent days; `None` if nothing was ever counted.
    pub recent: Option<TimeRange>,
    /// The day the table of MAC prefixes is of; `None` without a table.
    pub vendors_as_of: Option<String>,
}

impl Household {
    /// Reads it.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn read(reader: &Reader, database: &Path) -> anyhow::Result<Self> {
        let recent = recent_of(reader)?;
        let contacted = recent.map(|recent| reader.contacted(recent)).transpose()?.unwrap_or_default();
        let mut household = Self::of(reader, database, recent, contacted)?;
        household.offers = offers(&household.devices, reader)?;
        Ok(household)
    }

    /// The same without how much was exchanged, and without asking which devices may be one.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn kinds(reader: &Reader, database: &Path) -> anyhow::Result<Self> {
        let recent = recent_of(reader)?;
        let names = recent.map(|recent| reader.contacted_names(recent)).transpose()?.unwrap_or_default();
        let contacted = |names| Contacted { names, volume: Volume::default() };
        Self::of(
            reader,
            database,
            recent,
            names.into_iter().map(|(mac, names)| (mac, contacted(names))).collect(),
        )
    }

    fn of(
        reader: &Reader,
        database: &Path,
        recent: Option<TimeRange>,
        contacted: BTreeMap<Mac, Contacted>,
    ) -> anyhow::Result<Self> {
        let (table, warnings) = vendors::load(database)?;
        warnings.iter().for_each(|warning| say(warning));
        let mut material = Material {
            table: table.as_ref(),
            contacted,
            hostnames: BTreeMap::new(),
            askers: BTreeMap::new(),
        };
        for hostname in reader.hostnames()? {
            material.hostnames.entry(hostname.device).or_default().push(hostname);
        }
        for (device, addr, first, last) in reader.askers()? {
            material.askers.entry(device).or_default().push((addr, first, last));
        }
        let devices: Vec<Known> =
            reader.devices()?.into_iter().map(|device| material.known(device)).collect();
        let offers = Vec::new();
        Ok(Self { devices, offers, recent, vendors_as_of: table.map(|table| table.as_of().to_string()) })
    }
}

fn recent_of(reader: &Reader) -> anyhow::Result<Option<TimeRange>> {
    let recent = reader.extent()?.map(|extent| {
        let since = WallTime(extent.until.0.saturating_sub(RECENT_DAYS * DAY_NS));
        TimeRange { since: since.max(extent.since), until: extent.until }
    });
    Ok(recent)
}

struct Material<'a> {
    table: Option<&'a VendorTable>,
    contacted: BTreeMap<Mac, Contacted>,
    hostnames: BTreeMap<Mac, Vec<KnownHostname>>,
    askers: BTreeMap<Mac, Vec<(std::net::Ipv4Addr, WallTime, WallTime)>>,
}

impl Material<'_> {
    fn vendor_of(&self, mac: Mac) -> Vendor<'_> {
        self.table.map_or(Vendor::without_table(mac), |table| table.vendor_of(mac))
    }

    fn known(&self, device: DeviceInfo) -> Known {
        let mut names: Vec<DomainName> = Vec::new();
        let mut volume = Volume::default();
        let mut hostnames = Vec::new();
        let mut vendors = Vec::new();
        let mut behind = None;
        for mac in device.macs() {
            if let Some(contacted) = self.contacted.get(&mac) {
                names.extend(contacted.names.iter().cloned());
                volume.add(contacted.volume);
            }
            hostnames.extend(self.hostnames.get(&mac).into_iter().flatten().cloned());
            vendors.push((mac, self.vendor_of(mac).name().map(str::to_owned)));
            behind = behind.or_else(|| self.shared(mac));
        }
        // Of several addresses the one that its maker gave tells the maker.
        let vendor = device
            .macs()
            .map(|mac| self.vendor_of(mac))
            .find(|vendor| vendor.name().is_some())
            .unwrap_or_else(|| self.vendor_of(device.mac));
        let signs = DeviceSigns {
            vendor_class: device.vendor_class.as_deref(),
            parameter_list: device.parameter_list.as_deref(),
            hostname: device.hostname.as_deref(),
            vendor,
            names: &names,
        };
        let is_several = behind.as_ref().is_some_and(|shared| shared.confidence > Confidence::Hint);
        let verdict = if is_several { None } else { infer(&signs) };
        Known { vendors, verdict, shared: behind, volume, hostnames, device }
    }

    fn shared(&self, mac: Mac) -> Option<Shared> {
        // Other sources change names by themselves: multicast DNS adds a number where two devices have one name.
        let hostnames = self.hostnames.get(&mac).into_iter().flatten();
        let by_dhcp = hostnames.filter(|name| name.source == "dhcp");
        shared(&SharedSigns {
            askers: self.askers.get(&mac).cloned().unwrap_or_default(),
            hostnames: by_dhcp.map(|name| (name.hostname.clone(), name.times)).collect(),
        })
    }
}

/// Devices that may be one, those of the same hostname by pairs.
fn offers(devices: &[Known], reader: &Reader) -> anyhow::Result<Vec<Offer>> {
    let mut called = BTreeMap::<String, Vec<Candidate>>::new();
    for known in devices {
        let Known { device, verdict, shared, .. } = known;
        let Some(hostname) = device.hostname.as_ref().filter(|_| shared.is_none()) else { continue };
        let sure = verdict.as_ref().filter(|verdict| verdict.confidence > Confidence::Hint);
        called.entry(hostname.to_lowercase()).or_default().push(Candidate {
            mac: device.mac,
            hostname: Some(hostname.clone()),
            kind: sure.and_then(|verdict| verdict.kind),
            parameter_list: device.parameter_list.clone(),
        });
    }
    let pairs = called.values().flat_map(|same| {
        same.iter().enumerate().flat_map(|(at, a)| same.iter().skip(at + 1).map(move |b| (a, b)))
    });
    let mut offers = Vec::new();
    for (a, b) in pairs.take(MAX_PAIRS) {
        let mut failed = None;
        let were_together = || {
            reader.were_together(a.mac, b.mac).unwrap_or_else(|error| {
                failed = Some(error);
                true
            })
        };
        offers.extend(offer(a, b, were_together));
        if let Some(error) = failed {
            return Err(error);
        }
    }
    Ok(offers)
}
