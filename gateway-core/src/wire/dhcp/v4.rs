//! DHCP for IPv4 (RFC 2131, RFC 2132).

use crate::wire::{Reader, WireError};
use core::net::Ipv4Addr;

/// DHCP message type (RFC 2132 §9.6).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DhcpMessageType(pub u8);

impl DhcpMessageType {
    /// The device looks for a server.
    pub const DISCOVER: Self = Self(1);
    /// The device asks for an address, or to keep it.
    pub const REQUEST: Self = Self(3);
    /// The server grants it.
    pub const ACK: Self = Self(5);
    /// The device has an address and asks for the rest.
    pub const INFORM: Self = Self(8);
}

/// What follows the fixed fields of a BOOTP message that is DHCP (RFC 2131 §3).
const MAGIC_COOKIE: u32 = 0x6382_5363;

/// Option codes of RFC 2132, and of RFC 4702.
mod option {
    pub(super) const PAD: u8 = 0;
    pub(super) const HOST_NAME: u8 = 12;
    pub(super) const MESSAGE_TYPE: u8 = 53;
    pub(super) const PARAMETER_REQUEST_LIST: u8 = 55;
    pub(super) const VENDOR_CLASS: u8 = 60;
    pub(super) const CLIENT_FQDN: u8 = 81;
    pub(super) const END: u8 = 255;
}

/// In the flags of option 81: the name is encoded as in the DNS and not as text (RFC 4702 §2.1).
const FQDN_IS_ENCODED: u8 = 0x04;

/// One DHCP message; options that were cut off are absent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DhcpMessage<'a> {
    /// Kind of message; 0 for plain BOOTP.
    pub message_type: DhcpMessageType,
    /// The device's MAC address.
    pub chaddr: [u8; 6],
    /// The address the device holds already (`ciaddr`), if any.
    pub held: Option<Ipv4Addr>,
    /// The address the server gives it (`yiaddr`), if any.
    pub given: Option<Ipv4Addr>,
    /// What it calls itself (option 12, or else the first label of option 81), as sent.
    pub host_name: Option<&'a [u8]>,
    /// What its maker calls it (option 60), as sent.
    pub vendor_class: Option<&'a [u8]>,
    /// Which options it wants, in its order (option 55): a fingerprint of its system.
    pub parameter_list: Option<&'a [u8]>,
}

/// Reads a DHCP message.
///
/// # Errors
/// [`WireError`] if the fixed fields are cut short, it is not DHCP over Ethernet, or an option that matters has
/// an impossible length. Options cut short are left out without an error.
pub fn read(payload: &[u8]) -> Result<DhcpMessage<'_>, WireError> {
    let mut reader = Reader::new(payload);
    reader.u8("dhcp.op")?;
    let [hardware_type, hardware_len] = reader.array("dhcp.htype")?;
    if (hardware_type, hardware_len) != (1, 6) {
        return Err(WireError::Malformed { field: "dhcp.htype", found: u64::from(hardware_type) });
    }
    reader.array::<9>("dhcp.xid")?; // hops, xid, secs, flags
    let ciaddr = Ipv4Addr::from(reader.u32("dhcp.ciaddr")?);
    let yiaddr = Ipv4Addr::from(reader.u32("dhcp.yiaddr")?);
    reader.array::<8>("dhcp.siaddr")?; // siaddr, giaddr
    let chaddr = reader.array("dhcp.chaddr")?;
    reader.array::<10>("dhcp.chaddr_padding")?;
    reader.array::<192>("dhcp.sname")?; // sname, file
    let cookie = reader.u32("dhcp.cookie")?;
    if cookie != MAGIC_COOKIE {
        return Err(WireError::Malformed { field: "dhcp.cookie", found: u64::from(cookie) });
    }
    let mut message = DhcpMessage {
        message_type: DhcpMessageType(0),
        chaddr,
        held: Some(ciaddr).filter(|a| !a.is_unspecified()),
        given: Some(yiaddr).filter(|a| !a.is_unspecified()),
        host_name: None,
        vendor_class: None,
        parameter_list: None,
    };
    let mut fqdn = None;
    let ended = read_options(&mut reader, &mut message, &mut fqdn);
    message.host_name = message.host_name.or_else(|| fqdn.and_then(first_label));
    match ended {
        Ok(()) | Err(WireError::Truncated { .. }) => Ok(message),
        Err(malformed) => Err(malformed),
    }
}

fn read_options<'a>(
    reader: &mut Reader<'a>,
    message: &mut DhcpMessage<'a>,
    fqdn: &mut Option<&'a [u8]>,
) -> Result<(), WireError> {
    loop {
        let code = reader.u8("dhcp.option")?;
        match code {
            option::PAD => continue,
            option::END => return Ok(()),
            _ => {}
        }
        let len = usize::from(reader.u8("dhcp.option_len")?);
        let value = reader.bytes("dhcp.option_value", len)?;
        match code {
            option::HOST_NAME => message.host_name = Some(value),
            option::VENDOR_CLASS => message.vendor_class = Some(value),
            option::PARAMETER_REQUEST_LIST => message.parameter_list = Some(value),
            option::CLIENT_FQDN => *fqdn = Some(value),
            option::MESSAGE_TYPE => {
                let [kind] = fixed("dhcp.message_type", value)?;
                message.message_type = DhcpMessageType(kind);
            }
            _ => {}
        }
    }
}

/// The host's own label of a client's full name (RFC 4702 §2): flags, two bytes that mean nothing any more, the name.
fn first_label(fqdn: &[u8]) -> Option<&[u8]> {
    let ([flags, _, _], name) = fqdn.split_first_chunk()?;
    let label = if flags & FQDN_IS_ENCODED != 0 {
        let (len, labels) = name.split_first()?;
        labels.get(..usize::from(*len))?
    } else {
        name.split(|byte| *byte == b'.').next()?
    };
    (!label.is_empty()).then_some(label)
}

fn fixed<const N: usize>(field: &'static str, value: &[u8]) -> Result<[u8; N], WireError> {
    value
        .try_into()
        .map_err(|_| WireError::Malformed { field, found: u64::try_from(value.len()).unwrap_or(u64::MAX) })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A DHCP message with these addresses and options.
    pub(crate) fn message(
        op: u8,
        chaddr: [u8; 6],
        ciaddr: [u8; 4],
        yiaddr: [u8; 4],
        options: &[u8],
    ) -> Vec<u8> {
        let mut bytes = vec![op, 1, 6, 0, 0xde, 0xad, 0xbe, 0xef, 0, 0, 0, 0];
        bytes.extend(ciaddr);
        bytes.extend(yiaddr);
        bytes.extend([0; 8]);
        bytes.extend(chaddr);
        bytes.extend([0; 10 + 192]);
        bytes.extend([0x63, 0x82, 0x53, 0x63]);
        bytes.extend(options);
        bytes
    }

    const MAC: [u8; 6] = [0x7c, 0x03, 0xab, 1, 2, 3];

    #[test]
    fn a_request_tells_who_asks() {
        let options = b"\x35\x01\x03\x00\x32\x04\xc0\xa8\x01\x17\x3c\x0fandroid-dhcp-10\x0c\x0bRedmiNote8x\x37\x03\x01\x03\x06\xff\x0c\x01z";
        let bytes = message(1, MAC, [0; 4], [0; 4], options);
        let read_whole = read(&bytes).expect("a sound request");
        assert_eq!(
            read_whole,
            DhcpMessage {
                message_type: DhcpMessageType::REQUEST,
                chaddr: MAC,
                held: None,
                given: None,
                host_name: Some(b"RedmiNote8x"),
                vendor_class: Some(b"android-dhcp-10"),
                parameter_list: Some(&[1, 3, 6]),
            }
        );
        for len in 0..bytes.len() {
            match read(&bytes[..len]) {
                Ok(cut) => {
                    assert!(len >= 240);
                    assert!(cut.host_name.is_none_or(|n| n == b"RedmiNote8x"), "a cut name is no name");
                }
                Err(error) => assert!(matches!(error, WireError::Truncated { .. }) && len < 240, "{len}"),
            }
        }
    }

    #[test]
    fn a_grant_tells_the_address() {
        let bytes = message(2, MAC, [0; 4], [192, 168, 1, 23], b"\x35\x01\x05\xff");
        let ack = read(&bytes).expect("a sound grant");
        assert_eq!(
            (ack.message_type, ack.given),
            (DhcpMessageType::ACK, Some(Ipv4Addr::new(192, 168, 1, 23)))
        );
    }

    #[test]
    fn a_full_name_stands_in_for_the_host_name() {
        let name_in = |options: &[u8]| {
            let bytes = message(1, MAC, [0; 4], [0; 4], &[b"\x35\x01\x03", options, b"\xff"].concat());
            read(&bytes).expect("sound").host_name.map(<[u8]>::to_vec)
        };
        assert_eq!(name_in(b"\x51\x0b\x01\0\0lena.lan").as_deref(), Some(&b"lena"[..]), "text");
        assert_eq!(name_in(b"\x51\x0c\x05\0\0\x04lena\x03lan").as_deref(), Some(&b"lena"[..]), "labels");
        assert_eq!(
            name_in(b"\x51\x07\x01\0\0lena\x0c\x03kim").as_deref(),
            Some(&b"kim"[..]),
            "option 12 first"
        );
        for nameless in
            [&b"\x51\x03\0\0\0"[..], b"\x51\x04\x04\0\0\0", b"\x51\x05\x04\0\0\x09a", b"\x51\x01\0"]
        {
            assert_eq!(name_in(nameless), None, "{nameless:?}");
        }
    }

    #[test]
    fn what_is_not_dhcp_is_refused() {
        let mut other_cookie = message(1, MAC, [0; 4], [0; 4], b"\xff");
        other_cookie[236] = 0;
        assert!(matches!(read(&other_cookie), Err(WireError::Malformed { field: "dhcp.cookie", .. })));
        let long_type = message(1, MAC, [0; 4], [0; 4], b"\x35\x02\x03\x03\xff");
        assert_eq!(read(&long_type), Err(WireError::Malformed { field: "dhcp.message_type", found: 2 }));
    }
}
