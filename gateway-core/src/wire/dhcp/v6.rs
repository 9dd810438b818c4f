//! DHCP for IPv6 (RFC 8415). The device is who sends the frame: a DUID is a number of the device's own choice, and
//! relayed messages are about others.

use crate::wire::{Reader, WireError};
use core::net::Ipv6Addr;

/// Kind of message (RFC 8415 §7.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MessageType(pub u8);

impl MessageType {
    /// The device looks for a server.
    pub const SOLICIT: Self = Self(1);
    /// The device asks for addresses.
    pub const REQUEST: Self = Self(3);
    /// The device asks to keep them, of the server that gave them.
    pub const RENEW: Self = Self(5);
    /// The device asks to keep them, of any server.
    pub const REBIND: Self = Self(6);
    /// The server grants.
    pub const REPLY: Self = Self(7);
    /// The device has addresses and asks for the rest.
    pub const INFORMATION_REQUEST: Self = Self(11);
    /// A relay passes on what a device said.
    pub const RELAY_FORWARD: Self = Self(12);
    /// A relay passes on what a server said.
    pub const RELAY_REPLY: Self = Self(13);

    /// Does a device send this to tell or ask of itself?
    #[must_use]
    pub const fn is_of_device(self) -> bool {
        matches!(self, Self::SOLICIT | Self::REQUEST | Self::RENEW | Self::REBIND | Self::INFORMATION_REQUEST)
    }
}

/// Codes of options (RFC 8415 §21, RFC 4704 §4).
mod option {
    pub(super) const IA_NA: u16 = 3;
    pub(super) const IA_ADDRESS: u16 = 5;
    pub(super) const VENDOR_CLASS: u16 = 16;
    pub(super) const CLIENT_FQDN: u16 = 39;
}

/// How many addresses of one message are read: a device has one, or two while a prefix changes.
pub const MAX_ADDRS: usize = 4;

/// One message; options that were cut off are absent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message<'a> {
    /// Kind of message.
    pub kind: MessageType,
    /// The first label of what the device calls itself (option 39), as sent.
    pub host_name: Option<&'a [u8]>,
    /// What its maker calls it (option 16, the first of its parts), as sent.
    pub vendor_class: Option<&'a [u8]>,
    /// Addresses (option 3) that are good for some time yet.
    pub addrs: Vec<Ipv6Addr>,
}

/// Reads a message; of one that a relay passes on, only that it is one.
///
/// # Errors
/// [`WireError`] if the message's head is cut short, or an option that matters has an impossible length. Options cut
/// short are left out without an error.
pub fn read(payload: &[u8]) -> Result<Message<'_>, WireError> {
    let mut reader = Reader::new(payload);
    let kind = MessageType(reader.u8("dhcp6.msg_type")?);
    let mut message = Message { kind, host_name: None, vendor_class: None, addrs: Vec::new() };
    if matches!(kind, MessageType::RELAY_FORWARD | MessageType::RELAY_REPLY) {
        return Ok(message);
    }
    reader.u24("dhcp6.transaction_id")?;
    match read_options(&mut reader, &mut message) {
        Ok(()) | Err(WireError::Truncated { .. }) => Ok(message),
        Err(malformed) => Err(malformed),
    }
}

fn read_options<'a>(reader: &mut Reader<'a>, message: &mut Message<'a>) -> Result<(), WireError> {
    while !reader.is_empty() {
        let (code, mut value) = read_option(reader)?;
        match code {
            option::IA_NA => {
                value.array::<12>("dhcp6.ia_na")?; // IAID, T1, T2
                read_addrs(&mut value, &mut message.addrs)?;
            }
            option::VENDOR_CLASS => {
                value.u32("dhcp6.enterprise")?;
                let len = usize::from(value.u16("dhcp6.vendor_class_len")?);
                message.vendor_class = Some(value.bytes("dhcp6.vendor_class", len)?);
            }
            option::CLIENT_FQDN => {
                value.u8("dhcp6.fqdn_flags")?;
                // A name as in the DNS, never compressed; without its end if it is no more than the host's own label.
                let len = usize::from(value.u8("dhcp6.fqdn_label_len")?);
                let label = value.bytes("dhcp6.fqdn_label", len)?;
                message.host_name = Some(label).filter(|label| !label.is_empty());
            }
            _ => {}
        }
    }
    Ok(())
}

fn read_addrs(options: &mut Reader<'_>, addrs: &mut Vec<Ipv6Addr>) -> Result<(), WireError> {
    while !options.is_empty() && addrs.len() < MAX_ADDRS {
        let (code, mut value) = read_option(options)?;
        if code != option::IA_ADDRESS {
            continue;
        }
        let addr = Ipv6Addr::from(value.array::<16>("dhcp6.ia_address")?);
        value.u32("dhcp6.preferred_lifetime")?;
        // An address that is taken back has no lifetime left (RFC 8415 §18.3).
        let valid_secs = value.u32("dhcp6.valid_lifetime")?;
        if valid_secs != 0 && !addr.is_unspecified() {
            addrs.push(addr);
        }
    }
    Ok(())
}

/// An option's code, and a reader of its value, which is here whole.
fn read_option<'a>(reader: &mut Reader<'a>) -> Result<(u16, Reader<'a>), WireError> {
    let code = reader.u16("dhcp6.option")?;
    let len = usize::from(reader.u16("dhcp6.option_len")?);
    let value = reader.bytes("dhcp6.option_value", len)?;
    Ok((code, Reader::new(value).part("dhcp6.option_value", len)?))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::wire::unhex;

    /// Solicit: client id, elapsed time, `lena` with no suffix, vendor class "MSFT 5.0", ORO, an IA_NA that wishes.
    pub(crate) const SOLICIT: &str = "
        01 a1b2c3  0001 000e 0001000112345678 7c03ab112233  0008 0002 0000
        0027 0006 00 04 6c656e61  0010 000e 00000137 0008 4d53465420352e30
        0006 0008 0011 0017 0018 0027  0003 000c 00000001 00000000 00000000";
    /// Reply: server id, IA_NA with 2001:db8::17 for an hour and one taken back.
    pub(crate) const REPLY: &str = "
        07 a1b2c3  0002 000a 00030001020000000001
        0003 0044 00000001 00000708 00000b40
          0005 0018 20010db8000000000000000000000017 00000e10 00000e10
          0005 0018 20010db8000000000000000000000018 00000000 00000000";

    #[test]
    fn a_device_tells_of_itself() {
        let bytes = unhex(SOLICIT);
        let whole = read(&bytes).expect("sound");
        let expected = Message {
            kind: MessageType::SOLICIT,
            host_name: Some(b"lena"),
            vendor_class: Some(b"MSFT 5.0"),
            addrs: vec![],
        };
        assert_eq!(whole, expected);
        for len in 0..bytes.len() {
            match read(&bytes[..len]) {
                Ok(cut) => assert!(cut.host_name.is_none_or(|name| name == b"lena"), "a cut name is no name"),
                Err(error) => assert!(matches!(error, WireError::Truncated { .. }) && len < 4, "{len}"),
            }
        }
    }

    #[test]
    fn a_server_tells_addresses_that_live() {
        let bytes = unhex(REPLY);
        let whole = read(&bytes).expect("sound");
        assert_eq!(whole.kind, MessageType::REPLY);
        assert_eq!(whole.addrs.iter().map(Ipv6Addr::to_string).collect::<Vec<_>>(), ["2001:db8::17"]);
        for len in 0..bytes.len() {
            assert!(read(&bytes[..len]).is_ok_and(|m| m.addrs.is_empty()) || len < 4, "{len}");
        }
    }

    #[test]
    fn a_relay_speaks_of_others() {
        let relayed = [&unhex("0c 00")[..], &[0; 32], &unhex("0009 0004 01a1b2c3")].concat();
        let message = read(&relayed).expect("sound");
        assert_eq!((message.kind, message.host_name), (MessageType::RELAY_FORWARD, None));
        assert!(!message.kind.is_of_device());
    }

    #[test]
    fn lengths_that_lie_are_refused() {
        let malformed = |field, found| Err(WireError::Malformed { field, found });
        assert_eq!(read(&unhex("01 a1b2c3 0027 0003 00 04 6c")), malformed("dhcp6.fqdn_label", 4));
        assert_eq!(read(&unhex("07 a1b2c3 0003 0004 00000001")), malformed("dhcp6.ia_na", 12));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            let _ = read(&bytes);
        }
    }
}
