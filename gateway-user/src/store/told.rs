//! Reads what the DNS told devices, for whoever wants an attribution explained.

use super::column::{addr_of, ipv4_of, mac_of};
use super::memory::chain_of;
use super::reader::{Conditions, Reader, device_condition, peer_condition};
use anyhow::Context;
use gateway_core::query::{Filter, ToldAnswer};
use gateway_core::units::{DomainName, WallTime};
use rusqlite::Row;

impl Reader {
    /// The answers that are still kept, of the devices and addresses that a filter picks (what else it asks for means
    /// nothing here), by device, name and address.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn answers(&self, filter: &Filter) -> anyhow::Result<Vec<ToldAnswer>> {
        let mut wanted = Conditions::default();
        wanted.each(&filter.devices, device_condition);
        wanted.each(&filter.peers, peer_condition);
        let sql = format!(
            "SELECT d.mac, p.asker_ipv4, p.addr, n.text, p.chain, p.ttl_secs, p.answered_at, p.vouches_until \
             FROM answer p JOIN device d ON d.id = p.device JOIN name n ON n.id = p.name WHERE {}",
            wanted.sql()
        );
        let told = self.all(&sql, wanted.values, read).context("read what the DNS told")?;
        let mut told: Vec<_> = told.into_iter().flatten().collect();
        told.sort_unstable();
        Ok(told)
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<Option<ToldAnswer>> {
    let Some(name) = DomainName::parse(row.get_ref(3)?.as_str()?) else { return Ok(None) };
    Ok(Some(ToldAnswer {
        device: mac_of(row.get_ref(0)?.as_blob()?)?,
        name,
        addr: addr_of(row.get_ref(2)?.as_blob()?)?,
        asker_ipv4: ipv4_of(row.get_ref(1)?.as_blob()?)?,
        chain: chain_of(row.get_ref(4)?.as_str()?),
        ttl_secs: row.get(5)?,
        answered_at: row.get::<_, Option<i64>>(6)?.map(WallTime),
        vouches_until: row.get::<_, Option<i64>>(7)?.map(WallTime),
    }))
}
