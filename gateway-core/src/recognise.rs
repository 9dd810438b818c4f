//! Which protocol a conversation speaks, from what it said, its ports and its peer. What first bytes show goes before
//! what a port suggests, and is taken only if it could hardly be anything else; by a port alone (DNS, NTP, DHCP, IKE
//! and others that have one of their own) a device that wants to may deceive.

mod datagram;

use crate::application::Application;
use crate::enrich::resolvers;
use crate::units::DomainName;
use gateway_common::{FlowKey, protocol};

pub use datagram::datagram;

/// IP protocol numbers that say all (IANA "Assigned Internet Protocol Numbers").
mod ip_protocol {
    /// IPv4 in IP (RFC 2003).
    pub(super) const IPIP: u8 = 4;
    /// IPv6 in IP (RFC 4213).
    pub(super) const IPV6: u8 = 41;
    /// RFC 2784.
    pub(super) const GRE: u8 = 47;
    /// RFC 4303.
    pub(super) const ESP: u8 = 50;
    /// RFC 4302.
    pub(super) const AH: u8 = 51;
    /// L2TP version 3 (RFC 3931).
    pub(super) const L2TP: u8 = 115;
}

/// HTTPS (RFC 9110 §4.2.2), over which DNS may run (RFC 8484).
const HTTPS_PORT: u16 = 443;
/// DNS over TLS (RFC 7858 §3.1) and over QUIC (RFC 9250 §4.1.1).
const ENCRYPTED_DNS_PORT: u16 = 853;

/// The conversation's protocol. `spoken` is what its first bytes showed, and goes before what its ports promise;
/// `name` is the name it goes by.
#[must_use]
pub fn application(flow: &FlowKey, spoken: Application, name: Option<&DomainName>) -> Application {
    let (is_tcp, port) = (flow.protocol == protocol::TCP, flow.peer_port());
    match spoken {
        Application::Unknown => by_number(flow),
        Application::Tls if is_tcp && port == ENCRYPTED_DNS_PORT => Application::Dot,
        Application::Quic if port == ENCRYPTED_DNS_PORT => Application::Doq,
        Application::Tls | Application::Quic
            if port == HTTPS_PORT && resolvers::is_dns_over_https(name, flow.peer()) =>
        {
            Application::Doh
        }
        spoken => spoken,
    }
}

/// What protocol number and ports promise: the peer's port, and the device's own where both ends use the same.
fn by_number(flow: &FlowKey) -> Application {
    match flow.protocol {
        protocol::ICMP | protocol::ICMPV6 => Application::Icmp,
        ip_protocol::ESP | ip_protocol::AH => Application::Ipsec,
        ip_protocol::IPIP | ip_protocol::IPV6 | ip_protocol::GRE | ip_protocol::L2TP => Application::Tunnel,
        protocol::TCP => match flow.peer_port() {
            53 => Application::Dns,
            ENCRYPTED_DNS_PORT => Application::Dot,
            1194 => Application::OpenVpn,
            1723 => Application::Tunnel, // PPTP (RFC 2637).
            _ => Application::Unknown,
        },
        protocol::UDP => match (flow.peer_port(), flow.device_port()) {
            (53, _) => Application::Dns,
            (67, 67 | 68) | (68, 67) | (547, 546 | 547) | (546, 547) => Application::Dhcp,
            (123, _) => Application::Ntp,
            (500 | 4500, _) => Application::Ipsec, // RFC 7296 §2 and RFC 3948.
            (1194, _) => Application::OpenVpn,
            (1701, _) => Application::Tunnel, // L2TP (RFC 2661).
            (1900, _) => Application::Ssdp,
            (5353, _) => Application::Mdns,
            (5355, _) => Application::Llmnr,
            _ => Application::Unknown,
        },
        _ => Application::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::tests::{PHONE, key};
    use Application as A;

    const SOMEBODY: [u8; 4] = [192, 0, 2, 1];

    fn spoken(flow: (u8, [u8; 4], u16), spoken: A, name: Option<&str>) -> A {
        let (protocol, peer, port) = flow;
        let name = name.map(|name| DomainName::parse(name).expect("a name"));
        application(&key(PHONE, peer, 40_000, port, protocol), spoken, name.as_ref())
    }

    #[test]
    fn numbers_tell_where_nothing_was_said() {
        for (protocol, port, expected) in [
            (protocol::UDP, 53, A::Dns),
            (protocol::TCP, 53, A::Dns),
            (protocol::TCP, 853, A::Dot),
            (protocol::UDP, 853, A::Unknown),
            (protocol::UDP, 123, A::Ntp),
            (protocol::TCP, 123, A::Unknown),
            (protocol::UDP, 500, A::Ipsec),
            (protocol::UDP, 4500, A::Ipsec),
            (protocol::TCP, 1723, A::Tunnel),
            (protocol::UDP, 1701, A::Tunnel),
            (protocol::UDP, 1194, A::OpenVpn),
            (protocol::TCP, 1194, A::OpenVpn),
            (protocol::UDP, 1900, A::Ssdp),
            (protocol::UDP, 5353, A::Mdns),
            (protocol::UDP, 5355, A::Llmnr),
            (protocol::UDP, 51_820, A::Unknown),
            (protocol::TCP, 443, A::Unknown),
            (protocol::TCP, 22, A::Unknown),
            (protocol::SCTP, 53, A::Unknown),
            (1, 0, A::Icmp),
            (58, 0, A::Icmp),
            (50, 0, A::Ipsec),
            (51, 0, A::Ipsec),
            (4, 0, A::Tunnel),
            (41, 0, A::Tunnel),
            (47, 0, A::Tunnel),
            (115, 0, A::Tunnel),
            (2, 0, A::Unknown),
        ] {
            assert_eq!(spoken((protocol, SOMEBODY, port), A::Unknown, None), expected, "{protocol} {port}");
        }
    }

    #[test]
    fn dhcp_has_two_ports() {
        let by_ports =
            |device, peer| application(&key(PHONE, SOMEBODY, device, peer, protocol::UDP), A::Unknown, None);
        for (device, peer) in [(68, 67), (67, 68), (67, 67), (546, 547), (547, 546)] {
            assert_eq!(by_ports(device, peer), A::Dhcp);
        }
        assert_eq!(by_ports(40_000, 67), A::Unknown);
    }

    #[test]
    fn content_goes_before_ports() {
        assert_eq!(spoken((protocol::TCP, SOMEBODY, 53), A::Tls, None), A::Tls);
        assert_eq!(spoken((protocol::TCP, SOMEBODY, 853), A::Http, None), A::Http);
        assert_eq!(spoken((protocol::UDP, SOMEBODY, 853), A::Dtls, None), A::Dtls);
        assert_eq!(spoken((protocol::UDP, SOMEBODY, 123), A::WireGuard, None), A::WireGuard);
        assert_eq!(spoken((protocol::TCP, SOMEBODY, 443), A::Ssh, None), A::Ssh);
    }

    #[test]
    fn encrypted_dns_by_port() {
        assert_eq!(spoken((protocol::TCP, SOMEBODY, 853), A::Tls, Some("a.example")), A::Dot);
        assert_eq!(spoken((protocol::UDP, SOMEBODY, 853), A::Quic, None), A::Doq);
        assert_eq!(spoken((protocol::UDP, SOMEBODY, 853), A::Tls, None), A::Tls);
    }

    #[test]
    fn dns_over_https_by_resolver() {
        let (named, tcp, udp) = (Some("dns.google"), protocol::TCP, protocol::UDP);
        assert_eq!(spoken((tcp, SOMEBODY, 443), A::Tls, named), A::Doh);
        assert_eq!(spoken((udp, SOMEBODY, 443), A::Quic, named), A::Doh);
        assert_eq!(spoken((tcp, SOMEBODY, 8443), A::Tls, named), A::Tls);
        assert_eq!(spoken((tcp, SOMEBODY, 443), A::Unknown, named), A::Unknown);
        assert_eq!(spoken((tcp, [8, 8, 8, 8], 443), A::Tls, None), A::Doh);
        assert_eq!(spoken((tcp, [8, 8, 8, 8], 443), A::Tls, Some("www.example.com")), A::Tls);
        assert_eq!(spoken((tcp, [1, 1, 1, 1], 443), A::Tls, Some("one.one.one.one")), A::Tls);
    }
}
