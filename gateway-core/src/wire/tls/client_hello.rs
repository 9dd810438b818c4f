//! The ClientHello (RFC 8446 §4.1.2) and the three of its extensions that we read.

use super::record;
use crate::units::DomainName;
use crate::wire::{Reader, WireError, text};

/// Handshake message type.
const CLIENT_HELLO: u8 = 1;
/// server_name (RFC 6066 §3).
const SERVER_NAME: u16 = 0;
/// The only type of name that there is (RFC 6066 §3).
const HOST_NAME: u8 = 0;
/// application_layer_protocol_negotiation (RFC 7301 §3.1).
const ALPN: u16 = 16;
/// encrypted_client_hello (RFC 9849), and before it the numbers of its drafts 8 to 12. Browsers send one filled with
/// noise as well, to keep servers used to it, and from outside the two look the same: with it, the name is the outer
/// one.
const ECH: core::ops::RangeInclusive<u16> = 0xfe08..=0xfe0d;
/// encrypted_server_name, as drafts 1 to 6 of the same had it.
const ESNI: u16 = 0xffce;
/// The most bytes that a ClientHello can have: each of its parts as long as its length can say
/// (RFC 8446 §4.1.2), which is 2 + 32 + 33 + 65 538 + 256 + 65 537.
const MAX_HELLO_LEN: u32 = 131_398;
/// The longest session id (RFC 8446 §4.1.2).
const MAX_SESSION_ID_LEN: u8 = 32;

/// What a device says when it opens a TLS conversation.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ClientHello {
    /// The server it names; `None` if it names none, or by an address.
    pub server_name: Option<DomainName>,
    /// The protocols it offers, as sent.
    pub alpn: Vec<Vec<u8>>,
    /// Does it carry an encrypted inner hello, or noise that looks like one?
    pub has_ech: bool,
}

/// Reads a ClientHello from the beginning of a TCP stream: what the bytes so far hold, and whether they hold it
/// whole. A hello that is cut short may have its name already; more bytes can only add to it. What is found in a
/// malformed hello is not to be believed.
pub fn read(stream: &[u8]) -> (ClientHello, Result<(), WireError>) {
    let mut hello = ClientHello::default();
    let ended = record::join_first_message(stream).and_then(|message| read_message(&message, &mut hello));
    (hello, ended)
}

/// Reads a ClientHello that stands without the record layer, as QUIC carries it (RFC 9001 §4.1.3); otherwise as
/// [`read`].
pub fn read_bare(message: &[u8]) -> (ClientHello, Result<(), WireError>) {
    let mut hello = ClientHello::default();
    let ended = read_message(message, &mut hello);
    (hello, ended)
}

fn read_message(message: &[u8], hello: &mut ClientHello) -> Result<(), WireError> {
    let mut reader = Reader::new(message);
    let kind = reader.u8("tls.handshake_type")?;
    if kind != CLIENT_HELLO {
        return Err(WireError::Malformed { field: "tls.handshake_type", found: u64::from(kind) });
    }
    let len = reader.u24("tls.handshake_len")?;
    if len > MAX_HELLO_LEN {
        return Err(WireError::Malformed { field: "tls.handshake_len", found: u64::from(len) });
    }
    let mut body = reader.part("tls.client_hello", usize::try_from(len).unwrap_or(usize::MAX))?;
    body.u16("tls.legacy_version")?;
    body.array::<32>("tls.random")?;
    let session_id_len = body.u8("tls.session_id_len")?;
    if session_id_len > MAX_SESSION_ID_LEN {
        return Err(WireError::Malformed { field: "tls.session_id_len", found: u64::from(session_id_len) });
    }
    body.bytes("tls.session_id", usize::from(session_id_len))?;
    let ciphers_len = body.u16("tls.cipher_suites_len")?;
    if ciphers_len == 0 || ciphers_len % 2 != 0 {
        return Err(WireError::Malformed { field: "tls.cipher_suites_len", found: u64::from(ciphers_len) });
    }
    body.bytes("tls.cipher_suites", usize::from(ciphers_len))?;
    let methods_len = body.u8("tls.compression_methods_len")?;
    body.bytes("tls.compression_methods", usize::from(methods_len))?;
    if body.is_finished() {
        return Ok(()); // TLS 1.2 and before may do without extensions (RFC 5246 §7.4.1.2).
    }
    let extensions_len = body.u16("tls.extensions_len")?;
    let mut extensions = body.part("tls.extensions", usize::from(extensions_len))?;
    let mut has_server_name = false;
    while !extensions.is_finished() {
        let kind = extensions.u16("tls.extension_type")?;
        let len = extensions.u16("tls.extension_len")?;
        let mut content = extensions.part("tls.extension", usize::from(len))?;
        match kind {
            // Two of them are refused by servers (RFC 8446 §4.2): whom do they name?
            SERVER_NAME if has_server_name => {
                return Err(WireError::Malformed { field: "tls.server_name", found: 2 });
            }
            SERVER_NAME => {
                has_server_name = true;
                hello.server_name = read_server_name(&mut content)?;
            }
            ALPN => hello.alpn = read_alpn(&mut content)?,
            ESNI => hello.has_ech = true,
            kind if ECH.contains(&kind) => hello.has_ech = true,
            _ => {}
        }
    }
    Ok(())
}

/// The one host name of the list (RFC 6066 §3: not more than one of a type).
fn read_server_name(content: &mut Reader<'_>) -> Result<Option<DomainName>, WireError> {
    let len = content.u16("tls.server_name_list_len")?;
    let mut list = content.part("tls.server_name_list", usize::from(len))?;
    let mut found: Option<&[u8]> = None;
    while !list.is_finished() {
        let kind = list.u8("tls.server_name_type")?;
        let len = list.u16("tls.server_name_len")?;
        let name = list.bytes("tls.server_name", usize::from(len))?;
        // How long a name of another type is, nobody has laid down.
        if kind != HOST_NAME {
            break;
        }
        if found.replace(name).is_some() {
            return Err(WireError::Malformed { field: "tls.server_name", found: 2 });
        }
    }
    Ok(found.and_then(text::host_name))
}

fn read_alpn(content: &mut Reader<'_>) -> Result<Vec<Vec<u8>>, WireError> {
    let len = content.u16("tls.alpn_list_len")?;
    let mut list = content.part("tls.alpn_list", usize::from(len))?;
    let mut protocols = Vec::new();
    while !list.is_finished() {
        let len = list.u8("tls.alpn_len")?;
        protocols.push(list.bytes("tls.alpn", usize::from(len))?.to_vec());
    }
    Ok(protocols)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::super::unhex;
    use super::super::looks_like_hello;
    use super::*;
    use proptest::prelude::*;

    /// What OpenSSL 3.0 sends to data.mistat.intl.xiaomi.com, offering h2 and http/1.1 (padding of 192 zeros
    /// after the last byte here).
    const OPENSSL: &str = "
        1603010200010001fc03032aa982cb81f8cdf69788525f76d89883eea527459335747952beef13533b679920ff106bc6df6a57f7
        528175f10827596d0a9a8c97c11fd478d944afc4a4aaa0ee0024130213031301c02cc030c02bc02fcca9cca8c024c028c023c027
        009f009e006b006700ff0100018f00000020001e00001b646174612e6d69737461742e696e746c2e7869616f6d692e636f6d000b
        000403000102000a00160014001d0017001e0019001801000101010201030104002300000010000e000c02683208687474702f31
        2e310016000000170000000d002a0028040305030603080708080809080a080b0804080508060401050106010303030103020402
        05020602002b00050403040303002d00020101003300260024001d00205e43618c7500a6afe57d76ebc549c6dc86015c91cdd9f6
        81cfb0590529833b55001500c0";

    /// The same, whole.
    pub(crate) fn openssl() -> Vec<u8> {
        let mut bytes = unhex(OPENSSL);
        bytes.extend([0; 192]);
        bytes
    }

    /// A hello as browsers send it today: a key share of ML-KEM's size (1216 bytes) before the name, ECH after.
    pub(crate) fn post_quantum(name: &str) -> Vec<u8> {
        let mut extensions = Vec::new();
        let mut extension = |kind: u16, content: &[u8]| {
            extensions.extend(kind.to_be_bytes());
            extensions.extend(u16::try_from(content.len()).expect("short").to_be_bytes());
            extensions.extend(content);
        };
        let share: Vec<u8> = (0..1216_u32).map(|i| u8::try_from(i * 7 % 251).expect("a byte")).collect();
        extension(51, &[&[4, 0xc4, 0x11, 0xec, 4, 0xc0], share.as_slice()].concat());
        let len = u16::try_from(name.len()).expect("short");
        let entry = [&[0], len.to_be_bytes().as_slice(), name.as_bytes()].concat();
        extension(0, &[(len + 3).to_be_bytes().as_slice(), entry.as_slice()].concat());
        extension(0xfe0d, &[0; 280]);
        let mut body = vec![3, 3];
        body.extend([0x5a; 32]);
        body.extend([0, 0, 2, 0x13, 0x01, 1, 0]);
        body.extend(u16::try_from(extensions.len()).expect("short").to_be_bytes());
        body.extend(extensions);
        message(&body)
    }

    fn message(body: &[u8]) -> Vec<u8> {
        let len = u32::try_from(body.len()).expect("short");
        let handshake = [&[1], &len.to_be_bytes()[1..], body].concat();
        record(&handshake)
    }

    fn record(content: &[u8]) -> Vec<u8> {
        [&[22, 3, 1], u16::try_from(content.len()).expect("short").to_be_bytes().as_slice(), content].concat()
    }

    #[test]
    fn a_real_hello() {
        let (hello, ended) = read(&openssl());
        assert_eq!(ended, Ok(()));
        assert_eq!(hello.server_name.map(|n| n.to_string()).as_deref(), Some("data.mistat.intl.xiaomi.com"));
        assert_eq!(hello.alpn, [b"h2".to_vec(), b"http/1.1".to_vec()]);
        assert!(!hello.has_ech);
    }

    #[test]
    fn every_prefix_is_cut_short_and_its_name_is_never_half() {
        for whole in [openssl(), post_quantum("tracking.intl.miui.com")] {
            let (complete, _) = read(&whole);
            for len in 0..whole.len() {
                let (hello, ended) = read(&whole[..len]);
                assert!(matches!(ended, Err(WireError::Truncated { .. })), "{len}: {ended:?}");
                assert!(hello.server_name.is_none() || hello.server_name == complete.server_name, "{len}");
            }
        }
    }

    #[test]
    fn a_hello_over_several_records_and_what_follows_it() {
        let whole = post_quantum("api.ad.intl.xiaomi.com");
        for size in [1, 3, 100, 1000] {
            let mut split: Vec<u8> = whole[5..].chunks(size).flat_map(record).collect();
            split.extend([20, 3, 3, 0, 1, 1]);
            let (hello, ended) = read(&split);
            assert_eq!(ended, Ok(()), "{size}");
            assert_eq!(hello.server_name.map(|n| n.to_string()).as_deref(), Some("api.ad.intl.xiaomi.com"));
            assert!(hello.has_ech);
        }
    }

    #[test]
    fn an_address_is_no_server_name() {
        let (hello, ended) = read(&post_quantum("203.0.113.9"));
        assert_eq!((hello.server_name, ended), (None, Ok(())));
    }

    #[test]
    fn what_no_honest_sender_wrote() {
        let malformed = |bytes: &[u8], field: &str| match read(bytes).1 {
            Err(WireError::Malformed { field: found, .. }) => assert_eq!(found, field),
            other => panic!("{field}: {other:?}"),
        };
        malformed(b"GET / HTTP/1.1\r\n", "tls.content_type");
        malformed(&[22, 2, 0, 0, 1, 1], "tls.record_version");
        malformed(&[22, 3, 5, 0, 1, 1], "tls.record_version");
        malformed(&[22, 3, 1, 0, 4, 1, 2, 1, 71], "tls.handshake_len");
        malformed(&[22, 3, 1, 0, 0], "tls.record_len");
        malformed(&[22, 3, 1, 0, 1, 2], "tls.handshake_type");
        let mut lying = openssl();
        lying[5 + 4 + 34] = 33;
        malformed(&lying, "tls.session_id_len");
        let mut lying = openssl();
        let at =
            lying.windows(4).position(|w| w == [0x00, 0x20, 0x00, 0x1e]).expect("the server name's length");
        lying[at + 3] = 0x1f;
        malformed(&lying, "tls.server_name_list");
    }

    /// A hello with these extensions.
    fn with_extensions(extensions: &[(u16, &[u8])]) -> Vec<u8> {
        let mut body = vec![3, 3];
        body.extend([0x5a; 32]);
        body.extend([0, 0, 2, 0x13, 0x01, 1, 0]);
        let len: usize = extensions.iter().map(|(_, content)| content.len() + 4).sum();
        body.extend(u16::try_from(len).expect("short").to_be_bytes());
        for (kind, content) in extensions {
            body.extend(kind.to_be_bytes());
            body.extend(u16::try_from(content.len()).expect("short").to_be_bytes());
            body.extend(*content);
        }
        message(&body)
    }

    #[test]
    fn two_server_names_name_nobody() {
        let name: &[u8] = b"\0\x0c\0\0\x09a.example";
        let two: &[u8] = b"\0\x18\0\0\x09a.example\0\0\x09b.example";
        let (hello, ended) = read(&with_extensions(&[(SERVER_NAME, name)]));
        assert_eq!((hello.server_name, ended), (DomainName::parse("a.example"), Ok(())));
        let refused = Err(WireError::Malformed { field: "tls.server_name", found: 2 });
        assert_eq!(read(&with_extensions(&[(SERVER_NAME, two)])).1, refused);
        assert_eq!(read(&with_extensions(&[(SERVER_NAME, name), (SERVER_NAME, name)])).1, refused);
        let other: &[u8] = b"\0\x0f\0\0\x09a.example\x07\0\0";
        let (hello, ended) = read(&with_extensions(&[(SERVER_NAME, other)]));
        assert_eq!((hello.server_name, ended), (DomainName::parse("a.example"), Ok(())));
    }

    #[test]
    fn an_encrypted_name_is_seen_in_all_its_drafts() {
        for (kind, expected) in [
            (0xfe0d, true),
            (0xfe08, true),
            (0xffce, true),
            (0xfe07, false),
            (0xfe0e, false),
            (0xffcd, false),
        ] {
            let (hello, ended) = read(&with_extensions(&[(kind, &[0; 9])]));
            assert_eq!((hello.has_ech, ended), (expected, Ok(())), "{kind:#x}");
        }
    }

    #[test]
    fn six_bytes_tell_a_hello() {
        let hello = openssl();
        for len in 0..20 {
            assert_eq!(looks_like_hello(&hello[..len]), len >= 6);
        }
        for version in 0..=5 {
            assert_eq!(looks_like_hello(&[22, 3, version, 2, 0, 1]), version <= 4);
        }
        // SSL 2.0's hello, a server's hello, encrypted data.
        for other in [[0x80, 0x2e, 1, 3, 1, 0], [22, 3, 1, 2, 0, 2], [23, 3, 3, 2, 0, 1]] {
            assert!(!looks_like_hello(&other), "{other:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = read(&bytes);
            let _ = read(&record(&bytes));
            let _ = read(&message(&bytes));
        }

        #[test]
        fn any_damage_is_survived(at in 0..517_usize, value: u8) {
            let mut bytes = openssl();
            bytes[at] = value;
            let _ = read(&bytes);
        }
    }
}
