//! Reads what tells of devices: what they contacted, what they called themselves, who asked through them. By MAC
//! address, whatever the user has merged.

use super::column::{ipv4_of, mac_of};
use super::reader::Reader;
use anyhow::Context;
use gateway_core::query::TimeRange;
use gateway_core::units::{DomainName, Mac, Volume, WallTime};
use rusqlite::OptionalExtension;
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
        let sql = "SELECT id, mac FROM device";
        let macs = self.all(sql, [], |row| Ok((row.get(0)?, mac_of(row.get_ref(1)?.as_blob()?)?)));
        let macs: HashMap<i64, Mac> = macs.context("read the devices")?.into_iter().collect();
        let mut sets = BTreeMap::<Mac, (BTreeSet<DomainName>, Volume)>::new();
        let sums = self.by_device_and_name(range).context("read what the devices contacted")?;
        for (device, name, more) in sums {
            let mac = macs.get(&device).with_context(|| format!("find the device {device} of a row"))?;
            let (names, volume) = sets.entry(*mac).or_default();
            names.extend(name);
            volume.add(more);
        }
        let found = sets
            .into_iter()
            .map(|(mac, (names, volume))| (mac, Contacted { names: names.into_iter().collect(), volume }));
        Ok(found.collect())
    }

    /// From which IPv4 addresses the DNS was asked through each MAC address, and the first and last time, as far as
    /// answers are kept.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn askers(&self) -> anyhow::Result<Vec<(Mac, Ipv4Addr, WallTime, WallTime)>> {
        let sql = "SELECT d.mac, a.asker_ipv4, MIN(a.answered_at), MAX(a.answered_at) \
                   FROM answer a JOIN device d ON d.id = a.device \
                   WHERE length(a.asker_ipv4) = 4 AND a.answered_at IS NOT NULL \
                   GROUP BY a.device, a.asker_ipv4 ORDER BY d.mac, a.asker_ipv4";
        let found = self
            .all(sql, [], |row| {
                let device = mac_of(row.get_ref(0)?.as_blob()?)?;
                let asker = ipv4_of(row.get_ref(1)?.as_blob()?)?;
                Ok(asker.map(|asker| Ok((device, asker, WallTime(row.get(2)?), WallTime(row.get(3)?)))))
            })
            .context("read who asked the DNS")?;
        Ok(found.into_iter().flatten().collect::<rusqlite::Result<_>>()?)
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
