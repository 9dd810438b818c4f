//! Reads what tells of devices: what they contacted, what they called themselves, who asked through them. By MAC
//! address, whatever the user has merged.

use super::column::{ipv4_of, mac_of};
use super::reader::Reader;
use anyhow::Context;
use gateway_core::query::TimeRange;
use gateway_core::units::{DomainName, Mac, Volume, WallTime};
use rusqlite::{OptionalExtension, Row};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::Ipv4Addr;

/// What a device exchanged, and under which names.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Contacted {
    /// The names, in order.
    pub names: Vec<DomainName>,
    /// The volume of all its rows.
    pub volume: Volume,
}

/// A name that a device gave itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KnownHostname {
    /// The device.
    pub device: Mac,
    /// The name.
    pub hostname: String,
    /// Where it was said: `dhcp`, `leases`, `mdns` or `llmnr`.
    pub source: String,
    /// How often it became the device's name anew.
    pub times: u64,
}

impl Reader {
    /// What each device with rows in a range exchanged.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn contacted(&self, range: TimeRange) -> anyhow::Result<BTreeMap<Mac, Contacted>> {
        let macs = self.macs()?;
        let mut sets = BTreeMap::<Mac, (BTreeSet<DomainName>, Volume)>::new();
        let sums = self.by_device_and_name(range).context("read what the devices contacted")?;
        for (device, name, more) in sums {
            let mac = macs.get(&device).with_context(|| no_device(device))?;
            let (names, volume) = sets.entry(*mac).or_default();
            names.extend(name);
            volume.add(more);
        }
        let found = sets
            .into_iter()
            .map(|(mac, (names, volume))| (mac, Contacted { names: names.into_iter().collect(), volume }));
        Ok(found.collect())
    }

    /// The names under which each device had contact with the world in a range.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn contacted_names(&self, range: TimeRange) -> anyhow::Result<BTreeMap<Mac, Vec<DomainName>>> {
        let macs = self.macs()?;
        let mut names = BTreeMap::<Mac, BTreeSet<DomainName>>::new();
        for (device, name) in self.devices_and_names(range).context("read what the devices contacted")? {
            let mac = macs.get(&device).with_context(|| no_device(device))?;
            names.entry(*mac).or_default().insert(name);
        }
        Ok(names.into_iter().map(|(mac, names)| (mac, names.into_iter().collect())).collect())
    }

    /// From which IPv4 addresses the DNS was asked through each MAC address, and the first and last time, as far as
    /// answers are kept.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn askers(&self) -> anyhow::Result<Vec<(Mac, Ipv4Addr, WallTime, WallTime)>> {
        type Askers = BTreeMap<(i64, Ipv4Addr), (i64, i64)>;
        let sql = "SELECT device, asker_ipv4, answered_at FROM answer WHERE answered_at IS NOT NULL";
        let read = || {
            let mut statement = self.db.prepare_cached(sql)?;
            let mut rows = statement.query([])?;
            let mut askers = Askers::new();
            while let Some(row) = rows.next()? {
                let Some(asker) = ipv4_of(row.get_ref(1)?.as_blob()?)? else { continue };
                let at: i64 = row.get(2)?;
                let (first, last) = askers.entry((row.get(0)?, asker)).or_insert((at, at));
                (*first, *last) = ((*first).min(at), (*last).max(at));
            }
            Ok::<_, rusqlite::Error>(askers)
        };
        let askers = read().context("read who asked the DNS")?;
        let macs = self.macs()?;
        let mac_of = |device| macs.get(device).copied().with_context(|| no_device(*device));
        let found = askers.iter().map(|((device, asker), (first, last))| {
            Ok((mac_of(device)?, *asker, WallTime(*first), WallTime(*last)))
        });
        let mut found: Vec<_> = found.collect::<anyhow::Result<_>>()?;
        found.sort_unstable();
        Ok(found)
    }

    /// The MAC addresses by the devices' numbers.
    fn macs(&self) -> anyhow::Result<HashMap<i64, Mac>> {
        let read = |row: &Row<'_>| Ok((row.get(0)?, mac_of(row.get_ref(1)?.as_blob()?)?));
        let macs = self.all("SELECT id, mac FROM device", [], read).context("read the devices")?;
        Ok(macs.into_iter().collect())
    }

    /// Every name that devices gave themselves, by device.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn hostnames(&self) -> anyhow::Result<Vec<KnownHostname>> {
        let sql = "SELECT d.mac, h.hostname, h.source, h.times FROM device_hostname h \
                   JOIN device d ON d.id = h.device ORDER BY d.mac, h.hostname, h.source";
        self.all(sql, [], |row| {
            Ok(KnownHostname {
                device: mac_of(row.get_ref(0)?.as_blob()?)?,
                hostname: row.get(1)?,
                source: row.get(2)?,
                times: row.get::<_, i64>(3)?.cast_unsigned(),
            })
        })
        .context("read what the devices call themselves")
    }

    /// Were two MAC addresses ever seen in the same interval?
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn were_together(&self, a: Mac, b: Mac) -> anyhow::Result<bool> {
        // The key of a flow begins with interval and device: two look-ups for each interval.
        let sql = "SELECT 1 FROM interval i WHERE \
                   EXISTS (SELECT 1 FROM flow WHERE interval = i.id AND device = (SELECT id FROM device WHERE mac = ?1)) \
                   AND EXISTS (SELECT 1 FROM flow WHERE interval = i.id AND device = (SELECT id FROM device WHERE mac = ?2)) \
                   LIMIT 1";
        let found = self.one(sql, [a.0.to_vec().into(), b.0.to_vec().into()], |_| Ok(())).optional();
        found.map(|found| found.is_some()).context("look whether two devices were seen together")
    }
}

fn no_device(id: i64) -> String {
    format!("find the device {id} of a row")
}
