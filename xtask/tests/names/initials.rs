//! The first flight of a QUIC v2 client (RFC 9369): quinn speaks version 1 only. Hello, keys and ciphers are rustls';
//! the packets are put together here.

use rustls::pki_types::ServerName;
use rustls::quic::{ClientConnection, Keys, Version};
use rustls::{ClientConfig, Side};
use std::sync::Arc;

/// A datagram's payload: the least that carries an Initial (RFC 9000 §14.1).
const DATAGRAM_LEN: usize = 1200;
const VERSION_2: u32 = 0x6b33_43cf;
/// RFC 9369 §3.2: an Initial is type 1 there. Long header, fixed bit, a packet number of four bytes.
const FIRST_BYTE: u8 = 0b1101_0011;
const PACKET_NUMBER_LEN: usize = 4;
const TAG_LEN: usize = 16;
const CRYPTO: u8 = 6;
/// Encoded transport parameters (RFC 9000 §18): initial_source_connection_id, the same as below.
const PARAMETERS: [u8; 10] = [0x0f, 8, 1, 2, 3, 4, 5, 6, 7, 8];
const SOURCE_ID: [u8; 8] = [1, 2, 3, 4, 5, 6, 7, 8];

/// The datagrams of a hello for `name`, each full. A second hello needs another `destination_id`.
pub fn first_flight(config: Arc<ClientConfig>, name: &str, destination_id: [u8; 8]) -> Vec<Vec<u8>> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut connection = ClientConnection::new(config, Version::V2, name, PARAMETERS.to_vec()).unwrap();
    let mut hello = Vec::new();
    assert!(connection.write_hs(&mut hello).is_none(), "no keys before the server's answer");

    let suite = rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256.tls13().unwrap();
    let keys = suite.quic_suite().unwrap().keys(&destination_id, Side::Client, Version::V2);
    let mut datagrams = Vec::new();
    let mut offset = 0;
    while offset < hello.len() {
        let packet_number = u32::try_from(datagrams.len()).unwrap();
        let (datagram, taken) = initial(&keys, destination_id, packet_number, &hello, offset);
        datagrams.push(datagram);
        offset += taken;
    }
    datagrams
}

/// One Initial with as much of the hello as it has room for, and how much that is.
fn initial(
    keys: &Keys,
    destination_id: [u8; 8],
    number: u32,
    hello: &[u8],
    offset: usize,
) -> (Vec<u8>, usize) {
    let mut packet = vec![FIRST_BYTE];
    packet.extend(VERSION_2.to_be_bytes());
    for id in [destination_id, SOURCE_ID] {
        packet.push(8);
        packet.extend(id);
    }
    // No token; then the length of all that follows, as a number of two bytes (RFC 9000 §16).
    packet.push(0);
    let follows = DATAGRAM_LEN - packet.len() - 2;
    packet.extend(two_bytes(follows));
    let number_at = packet.len();
    packet.extend(number.to_be_bytes());

    let room = follows - PACKET_NUMBER_LEN - TAG_LEN;
    let mut payload = vec![CRYPTO];
    payload.extend(two_bytes(offset));
    let taken = (room - payload.len() - 2).min(hello.len() - offset);
    payload.extend(two_bytes(taken));
    payload.extend(&hello[offset..offset + taken]);
    // PADDING.
    payload.resize(room, 0);
    let tag = keys.local.packet.encrypt_in_place(u64::from(number), &packet, &mut payload).unwrap();
    packet.extend(&payload);
    packet.extend(tag.as_ref());

    let (head, rest) = packet.split_at_mut(number_at);
    let (number, body) = rest.split_at_mut(PACKET_NUMBER_LEN);
    let sample = &body[..keys.local.header.sample_len()];
    keys.local.header.encrypt_in_place(sample, &mut head[0], number).unwrap();
    assert_eq!(packet.len(), DATAGRAM_LEN);
    (packet, taken)
}

fn two_bytes(number: usize) -> [u8; 2] {
    assert!(number < 1 << 14);
    (u16::try_from(number).unwrap() | 0x4000).to_be_bytes()
}
