//! What the numbers in rows stand for.

use super::key::NO_PEER;
use crate::store::column::{addr_of, mac_of};
use crate::store::ids::read_network;
use crate::store::reader::Reader;
use anyhow::Context;
use gateway_core::row::Network;
use gateway_core::units::{DomainName, Mac};
use rusqlite::Row;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};

/// What the numbers stand for, as far as it was asked.
pub(super) struct Words {
    devices: HashMap<i64, Mac>,
    names: HashMap<i64, Option<DomainName>>,
    peers: HashMap<i64, (IpAddr, Network)>,
}

impl Words {
    pub(super) fn of(reader: &Reader) -> anyhow::Result<Self> {
        let sql = "SELECT m.id, d.mac FROM device m JOIN device d ON d.id = COALESCE(m.merged_into, m.id)";
        let devices = reader
            .all(sql, [], |row| Ok((row.get(0)?, mac_of(row.get_ref(1)?.as_blob()?)?)))
            .context("read the devices")?;
        Ok(Self { devices: devices.into_iter().collect(), names: HashMap::new(), peers: HashMap::new() })
    }

    pub(super) fn device(&self, id: i64) -> anyhow::Result<Mac> {
        self.devices.get(&id).copied().with_context(|| format!("find the device {id} of a row"))
    }

    pub(super) fn name(&mut self, reader: &Reader, id: i64) -> anyhow::Result<Option<DomainName>> {
        if let Some(name) = self.names.get(&id) {
            return Ok(name.clone());
        }
        let read = |row: &Row<'_>| Ok(DomainName::parse(row.get_ref(0)?.as_str()?));
        let name = reader.one("SELECT text FROM name WHERE id = ?", [id.into()], read)?;
        self.names.insert(id, name.clone());
        Ok(name)
    }

    /// The network of a peer; unknown where a key has no peer.
    pub(super) fn network(&mut self, reader: &Reader, peer: i64) -> anyhow::Result<Network> {
        if peer == NO_PEER { Ok(Network::default()) } else { Ok(self.peer(reader, peer)?.1) }
    }

    pub(super) fn peer(&mut self, reader: &Reader, id: i64) -> anyhow::Result<(IpAddr, Network)> {
        if let Some(peer) = self.peers.get(&id) {
            return Ok(peer.clone());
        }
        let sql = "SELECT addr, asn, organisation, country, registered_country, network_marks FROM peer WHERE id = ?";
        let peer = reader.one(sql, [id.into()], |row| {
            let addr = row.get_ref(0)?.as_blob_or_null()?.map(addr_of).transpose()?;
            Ok((addr.unwrap_or(Ipv4Addr::UNSPECIFIED.into()), read_network(row, 1)?))
        })?;
        self.peers.insert(id, peer.clone());
        Ok(peer)
    }
}
