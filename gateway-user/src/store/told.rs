//! Reads what the DNS told devices, for whoever wants an attribution explained.

use super::column::{addr_of, ipv4_of, mac_of};
use super::conditions::{Conditions, device_condition, peer_condition};
use super::memory::chain_of;
use super::reader::Reader;
use anyhow::Context;
use gateway_core::query::{Filter, ToldAnswer};
use gateway_core::units::{DomainName, Mac, WallTime};
use rusqlite::Row;
use std::net::{IpAddr, Ipv4Addr};

impl Reader {
    /// The answers that are still kept, of the devices and addresses that a filter picks (what else it asks for means
    /// nothing here), by device, name, address and time. Answers that follow each other while the earlier one vouches
    /// are told as one, those of each boot and of each capture apart: a capture's clock is not the gateway's.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn answers(&self, filter: &Filter) -> anyhow::Result<Vec<ToldAnswer>> {
        let mut wanted = Conditions::default();
        wanted.each(&filter.devices, device_condition);
        wanted.each(&filter.peers, peer_condition);
        let sql = format!(
            "SELECT d.mac, p.asker_ipv4, p.addr, n.text, p.chain, p.ttl_secs, p.answered_at, p.vouches_until, o.boot_id \
             FROM answer p JOIN origin o ON o.id = p.origin JOIN device m ON m.id = p.device \
             JOIN device d ON d.id = COALESCE(m.merged_into, m.id) JOIN name n ON n.id = p.name WHERE {} ORDER BY p.id",
            wanted.sql()
        );
        let told = self.all(&sql, wanted.values, read).context("read what the DNS told")?;
        Ok(spans(told.into_iter().flatten().collect()))
    }
}

/// A row, and which boot or which capture it was told in.
type OfBoot = (String, ToldAnswer);

/// Joins rows of the same boot, device, name, address and asker whose times overlap: from the first answer to the end
/// of the last, as the last one was. Undated ones of a boot are one.
fn spans(mut rows: Vec<OfBoot>) -> Vec<ToldAnswer> {
    // Stable: what was prolonged is behind what it prolongs.
    rows.sort_by(|(boot_a, a), (boot_b, b)| {
        key(a).cmp(&key(b)).then(boot_a.cmp(boot_b)).then(a.answered_at.cmp(&b.answered_at))
    });
    let mut spans = Vec::<OfBoot>::new();
    for (boot, row) in rows {
        match spans.last_mut() {
            Some((of, last))
                if *of == boot && key(last) == key(&row) && row.answered_at <= last.vouches_until =>
            {
                let vouches_until = row.vouches_until.max(last.vouches_until);
                *last = ToldAnswer { answered_at: last.answered_at, vouches_until, ..row };
            }
            _ => spans.push((boot, row)),
        }
    }
    spans.sort_by(|(_, a), (_, b)| key(a).cmp(&key(b)).then(a.answered_at.cmp(&b.answered_at)));
    spans.into_iter().map(|(_, answer)| answer).collect()
}

fn key(answer: &ToldAnswer) -> (Mac, &DomainName, IpAddr, Option<Ipv4Addr>) {
    (answer.device, &answer.name, answer.addr, answer.asker_ipv4)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Option<OfBoot>> {
    let Some(name) = DomainName::parse(row.get_ref(3)?.as_str()?) else { return Ok(None) };
    let answer = ToldAnswer {
        device: mac_of(row.get_ref(0)?.as_blob()?)?,
        name,
        addr: addr_of(row.get_ref(2)?.as_blob()?)?,
        asker_ipv4: ipv4_of(row.get_ref(1)?.as_blob()?)?,
        chain: chain_of(row.get_ref(4)?.as_str()?),
        ttl_secs: row.get(5)?,
        answered_at: row.get::<_, Option<i64>>(6)?.map(WallTime),
        vouches_until: row.get::<_, Option<i64>>(7)?.map(WallTime),
    };
    Ok(Some((row.get(8)?, answer)))
}
