//! SVCB and HTTPS records (RFC 9460): where a service really is.

use super::name;
use crate::units::DomainName;
use crate::wire::{Reader, WireError};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Keys of parameters (RFC 9460 §14.3.2).
mod key {
    pub(super) const IPV4_HINT: u16 = 4;
    pub(super) const IPV6_HINT: u16 = 6;
}

/// What an SVCB or HTTPS record says. The number of its addresses is bounded by its length.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Service {
    /// 0: the owner is an alias of the target (AliasMode); else smaller is preferred.
    pub priority: u16,
    /// Where the service is; `None` for the owner itself (`.`), or if that is not a name we keep.
    pub target: Option<DomainName>,
    /// Addresses of the target, so that nobody need ask for them (ipv4hint, ipv6hint).
    pub hints: Vec<IpAddr>,
}

/// Reads a record's data; `upto` is the message up to the data's end.
pub(super) fn read(upto: &[u8], data: &[u8]) -> Result<Service, WireError> {
    let mut reader = Reader::new(data).part("svcb", data.len())?;
    let mut service = Service { priority: reader.u16("svcb.priority")?, ..Service::default() };
    service.target = name::read(upto, &mut reader)?;
    let mut last_key = None;
    while !reader.is_empty() {
        let key = reader.u16("svcb.key")?;
        // "in strictly increasing numeric order" (§2.2), or the record is malformed.
        if last_key.is_some_and(|last| key <= last) {
            return Err(WireError::Malformed { field: "svcb.key", found: u64::from(key) });
        }
        last_key = Some(key);
        let len = usize::from(reader.u16("svcb.value_len")?);
        service.learn(key, reader.part("svcb.value", len)?)?;
    }
    Ok(service)
}

impl Service {
    fn learn(&mut self, key: u16, mut value: Reader<'_>) -> Result<(), WireError> {
        // In AliasMode parameters say nothing (§2.4.2).
        if self.priority == 0 {
            return Ok(());
        }
        match key {
            key::IPV4_HINT => {
                while !value.is_empty() {
                    self.hints.push(IpAddr::V4(Ipv4Addr::from(value.array::<4>("svcb.ipv4hint")?)));
                }
            }
            key::IPV6_HINT => {
                while !value.is_empty() {
                    self.hints.push(IpAddr::V6(Ipv6Addr::from(value.array::<16>("svcb.ipv6hint")?)));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::unhex;
    use super::*;

    #[track_caller]
    fn check(hex: &str) -> Result<Service, WireError> {
        let data = unhex(hex);
        for len in 0..data.len() {
            let _ = read(&data[..len], &data[..len]);
        }
        read(&data, &data)
    }

    #[test]
    fn a_web_site_with_all_that_matters() {
        let service = check(
            "0001 00  0001 0006 02 6832 02 6833  0003 0002 01bb  0004 0008 cb007101 cb007102
             0005 0004 deadbeef  0006 0010 20010db8000000000000000000000001",
        )
        .expect("sound");
        assert_eq!((service.priority, service.target.as_ref()), (1, None));
        let hints: Vec<String> = service.hints.iter().map(IpAddr::to_string).collect();
        assert_eq!(hints, ["203.0.113.1", "203.0.113.2", "2001:db8::1"]);
    }

    #[test]
    fn an_alias_has_a_target_and_no_parameters() {
        let service = check("0000 01 61 02 6d69 00  0004 0004 cb007101").expect("sound");
        assert_eq!(service.target.as_ref().map(DomainName::as_str), Some("a.mi"));
        assert_eq!(service.hints, [] as [IpAddr; 0]);
    }

    #[test]
    fn what_no_honest_server_writes_is_refused() {
        let malformed = |field, found| Err(WireError::Malformed { field, found });
        assert_eq!(check("0001 00 0004 0003 cb0071"), malformed("svcb.ipv4hint", 4));
        assert_eq!(check("0001 00 0004 0005 cb007101 cb"), malformed("svcb.ipv4hint", 4));
        assert_eq!(check("0001 00 0004 0008 cb007101"), malformed("svcb.value", 8));
        assert_eq!(check("0001 00 0005 0000 0004 0000"), malformed("svcb.key", 4));
    }
}
