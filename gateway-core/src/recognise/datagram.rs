//! What the first datagram of a conversation shows. Each of these protocols says of itself what it is, or has a
//! shape that chance does not make; none of them tells a name.

use crate::application::Application;
use crate::row::Said;
use crate::units::BootTime;
use crate::wire::{Reader, WireError, quic};

/// STUN's magic cookie (RFC 8489 §5).
const STUN_COOKIE: u32 = 0x2112_a442;
/// How many different bytes random ones have at least, of 16: fewer than 11 come once in a million.
const MIN_DISTINCT_OF_16: usize = 11;
/// What stands around the payload of a packet that OpenVPN has encrypted with `tls-crypt`: one byte, a session id,
/// a packet id and a time, a tag; and behind them the five bytes of the first control packet.
const TLS_CRYPT_RESET_LEN: usize = 1 + 8 + 4 + 4 + 32 + 5;
/// The HMACs that OpenVPN's `tls-auth` may use: MD5, SHA-1, SHA-256, SHA-512.
const TLS_AUTH_LENS: [usize; 4] = [16, 20, 32, 64];

/// `Some` if a datagram is of its protocol.
type Recogniser = fn(&[u8]) -> Option<()>;

/// What the first datagram of a conversation shows, as much of it as was copied.
#[must_use]
pub fn datagram(payload: &[u8], at: BootTime) -> Option<Said> {
    let recognisers: [(Recogniser, Application); 5] = [
        (stun, Application::Stun),
        (dtls, Application::Dtls),
        (wireguard, Application::WireGuard),
        (openvpn, Application::OpenVpn),
        (google_quic, Application::GoogleQuic),
    ];
    let (_, application) = recognisers.into_iter().find(|(is_it, _)| is_it(payload).is_some())?;
    Some(Said::nobody(application, at))
}

/// A field that was read, if it is as it has to be.
fn only<T>(field: Result<T, WireError>, is_right: impl FnOnce(&T) -> bool) -> Option<()> {
    field.ok().filter(is_right).map(|_| ())
}

/// STUN and TURN (RFC 8489 §5): two zero bits, the cookie, and a length that is the datagram's.
fn stun(payload: &[u8]) -> Option<()> {
    let mut reader = Reader::new(payload);
    only(reader.u16("stun.type"), |kind| kind >> 14 == 0)?;
    let len = reader.u16("stun.len").ok()?;
    only(reader.u32("stun.cookie"), |cookie| *cookie == STUN_COOKIE)?;
    reader.array::<12>("stun.transaction").ok()?;
    (len % 4 == 0 && reader.rest().len() == usize::from(len)).then_some(())
}

/// DTLS 1.0 to 1.3 (RFC 6347 §4.1, RFC 9147 §4): a first handshake record, with the hello of a client or of a server
/// in it, whole or its first fragment.
fn dtls(payload: &[u8]) -> Option<()> {
    let mut reader = Reader::new(payload);
    only(reader.u8("dtls.content_type"), |kind| *kind == 22)?;
    only(reader.u16("dtls.version"), |version| matches!(version, 0xfeff | 0xfefd))?;
    // Nothing is encrypted before the epoch is raised.
    only(reader.u16("dtls.epoch"), |epoch| *epoch == 0)?;
    reader.array::<6>("dtls.sequence").ok()?;
    let record_len = usize::from(reader.u16("dtls.record_len").ok()?);
    let mut record = Reader::new(reader.bytes("dtls.record", record_len).ok()?);
    only(record.u8("dtls.handshake_type"), |kind| (1..=3).contains(kind))?;
    let message_len = record.u24("dtls.handshake_len").ok()?;
    record.u16("dtls.message_seq").ok()?;
    only(record.u24("dtls.fragment_offset"), |offset| *offset == 0)?;
    let fragment_len = record.u24("dtls.fragment_len").ok()?;
    let is_here = usize::try_from(fragment_len).is_ok_and(|len| len <= record.rest().len());
    (is_here && fragment_len <= message_len).then_some(())
}

/// WireGuard (white paper §5.4): one of four types, three zero bytes, and the length that the type has. Keys and
/// ciphertext look random.
fn wireguard(payload: &[u8]) -> Option<()> {
    let mut reader = Reader::new(payload);
    let kind = reader.array::<4>("wireguard.type").ok()?;
    // Who sends, to which message, or at which count: what follows is random.
    let clear_len = match (kind, payload.len()) {
        ([1, 0, 0, 0], 148) => 4, // To whom: an ephemeral key.
        ([2, 0, 0, 0], 92) => 8,  // From whom, to whom: an ephemeral key.
        ([3, 0, 0, 0], 64) => 4,  // To whom: a nonce.
        ([4, 0, 0, 0], 32..) if payload.len().is_multiple_of(16) => {
            reader.u32("wireguard.receiver").ok()?;
            // A counter from zero on, the lowest byte first.
            only(reader.array::<8>("wireguard.counter"), |counter| u64::from_le_bytes(*counter) < 1 << 40)?;
            0
        }
        _ => return None,
    };
    reader.bytes("wireguard.clear", clear_len).ok()?;
    only(reader.array::<16>("wireguard.random"), looks_random)
}

fn looks_random(bytes: &[u8; 16]) -> bool {
    let mut sorted = *bytes;
    sorted.sort_unstable();
    sorted.chunk_by(|a, b| a == b).count() >= MIN_DISTINCT_OF_16
}

/// The first packet of an OpenVPN client (its protocol's description, "Reset of the control channel"): plain, with an
/// HMAC (`tls-auth`), encrypted (`tls-crypt`), or that with the client's wrapped key behind it (`tls-crypt-v2`).
fn openvpn(payload: &[u8]) -> Option<()> {
    const RESET_V2: u8 = 7 << 3;
    const RESET_V3: u8 = 10 << 3;
    let mut reader = Reader::new(payload);
    let opcode = reader.u8("openvpn.opcode").ok()?;
    only(reader.array::<8>("openvpn.session"), |session| *session != [0; 8])?;
    let (rest, len) = (reader.rest(), payload.len());
    match opcode {
        // Nothing to acknowledge, and packet number 0.
        RESET_V2 if rest == [0; 5] => Some(()),
        RESET_V2 => {
            let has_hmac = rest.ends_with(&[0; 5])
                && TLS_AUTH_LENS.iter().any(|hmac| {
                    len == TLS_CRYPT_RESET_LEN.saturating_sub(32).saturating_add(*hmac)
                        && rest.get(*hmac..).is_some_and(is_first_packet_id)
                });
            let is_encrypted = len == TLS_CRYPT_RESET_LEN && is_first_packet_id(rest);
            (has_hmac || is_encrypted).then_some(())
        }
        RESET_V3 if is_first_packet_id(rest) => {
            let wrapped_len = usize::from(u16::from_be_bytes(*payload.last_chunk::<2>()?));
            (len == TLS_CRYPT_RESET_LEN.saturating_add(wrapped_len)).then_some(())
        }
        _ => None,
    }
}

/// A packet id of the first few (sent again, it counts on), or of those that stand for early negotiation.
fn is_first_packet_id(bytes: &[u8]) -> bool {
    matches!(bytes, [0 | 0x0f, 0, 0, 1..=16, ..])
}

/// QUIC before the IETF's, up to Q043. Later ones have the IETF's long header.
fn google_quic(payload: &[u8]) -> Option<()> {
    // A packet number, a hash, a frame.
    (quic::old_google_body(payload)?.len() > 13).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::Evidence;
    use crate::wire::unhex;
    use proptest::prelude::*;

    /// Bytes that look random, and are always the same.
    fn noise(len: usize) -> Vec<u8> {
        (0..len).map(|n| u8::try_from((n * 167 + 13) % 251).expect("a byte")).collect()
    }

    fn found(payload: &[u8]) -> Option<Application> {
        datagram(payload, BootTime(7)).map(|said| {
            assert_eq!((said.name, said.evidence, said.at), (None, Evidence::None, BootTime(7)));
            said.application
        })
    }

    /// It is recognised, and no shorter or longer datagram, nor one whose bit at one of these places is turned.
    #[track_caller]
    fn check(payload: &[u8], expected: Application, telling: &[usize]) {
        assert_eq!(found(payload), Some(expected));
        for len in 0..payload.len() {
            assert_eq!(found(&payload[..len]), None, "cut to {len}");
        }
        for place in telling {
            for bit in 0..8 {
                let mut other = payload.to_vec();
                other[*place] ^= 1 << bit;
                assert_ne!(found(&other), Some(expected), "{place}, bit {bit}");
            }
        }
    }

    fn stun_request() -> Vec<u8> {
        // A binding request (RFC 8489 §5) with one attribute.
        [unhex("000100082112a442"), noise(12), unhex("8022000461626364")].concat()
    }

    fn dtls_hello() -> Vec<u8> {
        let body = noise(60);
        [unhex("16feff00000000000000000048 0100003c 0000 000000 00003c"), body].concat()
    }

    #[test]
    fn stun_has_a_cookie_and_its_length() {
        check(&stun_request(), Application::Stun, &[2, 3, 4, 5, 6, 7]);
        check(&[unhex("010100002112a442"), noise(12)].concat(), Application::Stun, &[3, 4]);
        assert_eq!(found(&[unhex("410100002112a442"), noise(12)].concat()), None);
        assert_eq!(found(&[unhex("000100032112a442"), noise(15)].concat()), None);
        assert_eq!(found(&[stun_request(), vec![0]].concat()), None);
    }

    #[test]
    fn dtls_begins_with_a_hello() {
        check(&dtls_hello(), Application::Dtls, &[0, 1, 3, 4]);
        let two_records = [dtls_hello(), dtls_hello()].concat();
        assert_eq!(found(&two_records), Some(Application::Dtls));
        let mut alert = dtls_hello();
        alert[13] = 4;
        assert_eq!(found(&alert), None);
        let mut lying = dtls_hello();
        lying[24] = 0x3d;
        assert_eq!(found(&lying), None, "a fragment longer than its message");
    }

    #[test]
    fn wireguard_has_exact_lengths() {
        let message = |kind: u8, len: usize| [vec![kind, 0, 0, 0], noise(len - 4)].concat();
        check(&message(1, 148), Application::WireGuard, &[0, 1, 2, 3]);
        check(&message(2, 92), Application::WireGuard, &[0, 1, 2, 3]);
        check(&message(3, 64), Application::WireGuard, &[0, 1, 2, 3]);
        let data = |counter: u64, len| [message(4, 8), counter.to_le_bytes().to_vec(), noise(len)].concat();
        for (counter, len) in [(0, 16), (1 << 39, 1408)] {
            assert_eq!(found(&data(counter, len)), Some(Application::WireGuard));
        }
        for not in [
            message(1, 147),
            message(1, 149),
            message(5, 64),
            data(0, 15),
            data(0, 0),
            data(1 << 40, 16),
            [vec![1, 0, 0, 0], vec![0; 144]].concat(),
            [vec![4, 0, 0, 0], vec![7; 60]].concat(),
        ] {
            assert_eq!(found(&not), None, "{not:?}");
        }
    }

    #[test]
    fn openvpn_resets_in_four_shapes() {
        let session = [vec![0x38], noise(8)].concat();
        check(&[session.clone(), vec![0; 5]].concat(), Application::OpenVpn, &[0, 9, 13]);
        for hmac in TLS_AUTH_LENS {
            let id_and_time = unhex("00000001 5f000000");
            let reset = [session.clone(), noise(hmac), id_and_time, vec![0; 5]].concat();
            check(&reset, Application::OpenVpn, &[0, 10 + hmac, 11 + hmac]);
        }
        let encrypted = |opcode: u8, rest: usize| {
            [vec![opcode], noise(8), unhex("00000001 5f000000"), noise(32 + 5 + rest)].concat()
        };
        check(&encrypted(0x38, 0), Application::OpenVpn, &[0, 10, 11]);
        let mut with_key = encrypted(0x50, 298);
        with_key.extend(300_u16.to_be_bytes());
        check(&with_key, Application::OpenVpn, &[0, 10, 11, 352, 353]);
        for not in [
            encrypted(0x38, 1),
            encrypted(0x50, 300),
            [vec![0x38; 9], vec![0, 0, 0, 0, 1]].concat(),
            [vec![0x38], vec![0; 13]].concat(),
        ] {
            assert_eq!(found(&not), None, "{not:?}");
        }
    }

    #[test]
    fn google_quic_tells_its_version() {
        let packet = |flags: u8, version: &str| {
            [vec![flags], noise(8), version.as_bytes().to_vec(), vec![1], noise(1300)].concat()
        };
        for (flags, version) in [(0x0d, "Q043"), (0x09, "Q035"), (0x0d, "Q039")] {
            assert_eq!(found(&packet(flags, version)), Some(Application::GoogleQuic));
        }
        for (flags, version) in
            [(0x0c, "Q043"), (0x05, "Q043"), (0x0d, "Q0x3"), (0xcd, "Q043"), (0x0d, "R043")]
        {
            assert_eq!(found(&packet(flags, version)), None, "{flags:#x} {version}");
        }
    }

    #[test]
    fn other_protocols_are_none_of_these() {
        for other in [
            // A DNS query, NTP, SSDP, an RTP packet, BitTorrent's DHT, an IKE header, GTP-U, RADIUS.
            unhex("1a2b01000001000000000000076578616d706c6503636f6d0000010001"),
            [unhex("230006ec"), vec![0; 44]].concat(),
            b"M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\n\r\n".to_vec(),
            [unhex("80600001000000a0deadbeef"), noise(160)].concat(),
            b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe".to_vec(),
            [noise(8), vec![0; 8], unhex("2120220800000000000001c8"), noise(428)].concat(),
            [unhex("30ff0054000004d2"), noise(84)].concat(),
            [unhex("010000940123456789abcdef"), noise(136)].concat(),
        ] {
            assert_eq!(found(&other), None, "{other:?}");
        }
    }

    proptest! {
        #[test]
        fn random_bytes_are_not_recognised(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(found(&bytes), None);
        }

        #[test]
        fn damage_is_survived(place in 0..28_usize, value: u8) {
            for mut payload in [stun_request(), dtls_hello()] {
                if let Some(byte) = payload.get_mut(place) {
                    *byte = value;
                }
                let _ = found(&payload);
            }
        }
    }
}
