//! Numbers for devices, peers and names, remembered so that a row costs no look-up.
//!
//! A memory holds only what the database holds: whoever rolls a transaction back must [`Ids::forget`].

use super::column::{AddrBytes, network_marks_of};
use gateway_core::row::Network;
use gateway_core::units::{Country, DomainName, Mac};
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;

/// How many of each are remembered: more than a household meets in a day, below 4 MB together. A memory that is
/// full is emptied and fills again with what is current; that costs look-ups and loses nothing.
const MAX_REMEMBERED: usize = 16_384;

#[derive(Debug, Default)]
pub(super) struct Ids {
    devices: HashMap<Mac, i64>,
    peers: HashMap<IpAddr, Peer>,
    names: HashMap<DomainName, i64>,
}

#[derive(Debug)]
struct Peer {
    id: i64,
    network: Network,
    as_of: Option<String>,
}

impl Ids {
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    pub(super) fn device(&mut self, db: &Connection, mac: Mac) -> rusqlite::Result<i64> {
        if let Some(id) = self.devices.get(&mac) {
            return Ok(*id);
        }
        let found = db
            .prepare_cached("SELECT id FROM device WHERE mac = ?")?
            .query_row([&mac.0[..]], |row| row.get(0))
            .optional()?;
        let id = match found {
            Some(id) => id,
            None => db.prepare_cached("INSERT INTO device (mac) VALUES (?)")?.insert([&mac.0[..]])?,
        };
        remember(&mut self.devices, mac, id);
        Ok(id)
    }

    pub(super) fn name(&mut self, db: &Connection, name: Option<&DomainName>) -> rusqlite::Result<i64> {
        let Some(name) = name else { return Ok(0) };
        if let Some(id) = self.names.get(name) {
            return Ok(*id);
        }
        let found = db
            .prepare_cached("SELECT id FROM name WHERE text = ?")?
            .query_row([name.as_str()], |row| row.get(0))
            .optional()?;
        let id = match found {
            Some(id) => id,
            None => db.prepare_cached("INSERT INTO name (text) VALUES (?)")?.insert([name.as_str()])?,
        };
        remember(&mut self.names, name.clone(), id);
        Ok(id)
    }

    pub(super) fn peer(&mut self, db: &Connection, addr: IpAddr) -> rusqlite::Result<i64> {
        if let Some(peer) = self.peers.get(&addr) {
            return Ok(peer.id);
        }
        let bytes = AddrBytes::of(addr);
        let found = db
            .prepare_cached("SELECT id, asn, organisation, country, registered_country, network_marks, as_of FROM peer WHERE addr = ?",
            )?
            .query_row([bytes.as_slice()], read_peer)
            .optional()?;
        let peer = match found {
            Some(peer) => peer,
            None => {
                let id =
                    db.prepare_cached("INSERT INTO peer (addr) VALUES (?)")?.insert([bytes.as_slice()])?;
                Peer { id, network: Network::default(), as_of: None }
            }
        };
        let id = peer.id;
        remember(&mut self.peers, addr, peer);
        Ok(id)
    }

    /// Writes what a table of the date `as_of` says of a peer, if that is news.
    pub(super) fn set_network(
        &mut self,
        db: &Connection,
        addr: IpAddr,
        network: &Network,
        as_of: Option<&str>,
    ) -> rusqlite::Result<()> {
        let id = self.peer(db, addr)?;
        let Some(known) = self.peers.get_mut(&addr) else { return Ok(()) };
        if known.network == *network && known.as_of.as_deref() == as_of {
            return Ok(());
        }
        let Network { asn, organisation, country, registered, marks } = network;
        db.prepare_cached(
            "UPDATE peer SET asn = ?, organisation = ?, country = ?, registered_country = ?, network_marks = ?, \
             as_of = ? WHERE id = ?",
        )?
        .execute(params![
            asn,
            organisation,
            country.map(|c| c.to_string()),
            registered.map(|c| c.to_string()),
            marks.number(),
            as_of,
            id
        ])?;
        known.network = network.clone();
        known.as_of = as_of.map(ToOwned::to_owned);
        Ok(())
    }
}

fn read_peer(row: &Row<'_>) -> rusqlite::Result<Peer> {
    let network = read_network(row, 1)?;
    Ok(Peer { id: row.get(0)?, network, as_of: row.get(1 + NETWORK_COLUMNS)? })
}

/// How many columns [`read_network`] reads.
const NETWORK_COLUMNS: usize = 5;

/// A network from the columns asn, organisation, country, registered_country and network_marks, beginning with
/// `first`.
pub(super) fn read_network(row: &Row<'_>, first: usize) -> rusqlite::Result<Network> {
    let country = |column: usize| -> rusqlite::Result<Option<Country>> {
        let text: Option<String> = row.get(first + column)?;
        Ok(text.as_deref().and_then(Country::parse))
    };
    Ok(Network {
        asn: row.get(first)?,
        organisation: row.get(first + 1)?,
        country: country(2)?,
        registered: country(3)?,
        marks: network_marks_of(row.get(first + 4)?)?,
    })
}

fn remember<K: Eq + Hash, V>(memory: &mut HashMap<K, V>, key: K, value: V) {
    if memory.len() >= MAX_REMEMBERED {
        memory.clear();
    }
    memory.insert(key, value);
}
