//! Public resolvers that speak encrypted DNS: names and addresses as their operators publish them. A table of facts,
//! for two questions: whose resolver is this, and is what runs over HTTPS there DNS?
//!
//! The second is stricter. Some names and addresses serve web pages as well (`one.one.one.one`, and with it
//! 1.1.1.1): TLS to port 443 of those proves nothing, and they are marked `PagesToo`.

use crate::units::DomainName;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What answers at port 443.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Serves {
    /// DNS only (a page that explains it aside).
    DnsOnly,
    /// Pages of other interest as well.
    PagesToo,
}
use Serves::{DnsOnly, PagesToo};

/// Whose resolver this is, by its name or else by its address; `None` if it is none that is known.
#[must_use]
pub fn resolver_of(name: Option<&DomainName>, addr: IpAddr) -> Option<&'static str> {
    name.and_then(by_name).or_else(|| by_addr(addr)).map(|(operator, _)| operator)
}

/// Is what speaks TLS or QUIC with port 443 there DNS (RFC 8484)? By the name, if the conversation has one: whoever
/// asks a resolver's address for something else wants something else.
pub(crate) fn is_dns_over_https(name: Option<&DomainName>, addr: IpAddr) -> bool {
    let found = match name {
        Some(name) => by_name(name),
        None => by_addr(addr),
    };
    found.is_some_and(|(_, serves)| serves == DnsOnly)
}

fn by_name(name: &DomainName) -> Option<(&'static str, Serves)> {
    let name = name.as_str();
    let is_it = |pattern: &str| match pattern.strip_prefix("*") {
        Some(suffix) => name.strip_suffix(suffix).is_some_and(|host| !host.is_empty()),
        None => name == pattern,
    };
    NAMES.iter().find(|(pattern, ..)| is_it(pattern)).map(|(_, operator, serves)| (*operator, *serves))
}

fn by_addr(addr: IpAddr) -> Option<(&'static str, Serves)> {
    ADDRS.iter().find(|(known, ..)| *known == addr).map(|(_, operator, serves)| (*operator, *serves))
}

const GOOGLE: &str = "Google Public DNS";
const CLOUDFLARE: &str = "Cloudflare";
const QUAD9: &str = "Quad9";
const ADGUARD: &str = "AdGuard DNS";
const NEXTDNS: &str = "NextDNS";
const OPENDNS: &str = "Cisco OpenDNS";
const CLEANBROWSING: &str = "CleanBrowsing";
const CONTROL_D: &str = "Control D";
const MULLVAD: &str = "Mullvad";
const DNS0: &str = "dns0.eu";
const DNS4EU: &str = "DNS4EU";
const ALIDNS: &str = "AliDNS";
const DNSPOD: &str = "DNSPod";
const QIHOO: &str = "360 Secure DNS";
const YANDEX: &str = "Yandex DNS";
const IIJ: &str = "IIJ";
const COMCAST: &str = "Comcast";
const AAISP: &str = "Andrews & Arnold";
const LIBREDNS: &str = "LibreDNS";
const DIGITALE: &str = "Digitale Gesellschaft";
const FFMUC: &str = "Freifunk München";
const RESTENA: &str = "Restena";
const SWITCH: &str = "SWITCH";
const CIRA: &str = "CIRA";
const DNSSB: &str = "DNS.SB";
const QUAD101: &str = "Quad101";
const RETHINK: &str = "Rethink DNS";

/// Names, or `*` and what a name ends in. The sources are the operators' own pages.
#[rustfmt::skip]
const NAMES: &[(&str, &str, Serves)] = &[
    // developers.google.com/speed/public-dns/docs/doh and /dns-over-tls, /dns64
    ("dns.google", GOOGLE, DnsOnly),
    ("dns.google.com", GOOGLE, DnsOnly),
    ("dns64.dns.google", GOOGLE, DnsOnly),
    // developers.cloudflare.com/1.1.1.1/encryption; support.mozilla.org "Firefox DNS-over-HTTPS"
    ("cloudflare-dns.com", CLOUDFLARE, DnsOnly),
    ("*.cloudflare-dns.com", CLOUDFLARE, DnsOnly), // mozilla, chrome, security, family, dns64 and others
    ("one.one.one.one", CLOUDFLARE, PagesToo),
    ("*.cloudflare-gateway.com", CLOUDFLARE, DnsOnly),
    // docs.quad9.net/services
    ("dns.quad9.net", QUAD9, DnsOnly),
    ("dns9.quad9.net", QUAD9, DnsOnly),
    ("dns10.quad9.net", QUAD9, DnsOnly),
    ("dns11.quad9.net", QUAD9, DnsOnly),
    ("dns12.quad9.net", QUAD9, DnsOnly),
    // adguard-dns.io/kb/general/dns-providers
    ("dns.adguard-dns.com", ADGUARD, DnsOnly),
    ("family.adguard-dns.com", ADGUARD, DnsOnly),
    ("unfiltered.adguard-dns.com", ADGUARD, DnsOnly),
    ("d.adguard-dns.com", ADGUARD, DnsOnly),
    ("*.d.adguard-dns.com", ADGUARD, DnsOnly),
    ("dns.adguard.com", ADGUARD, DnsOnly),
    ("dns-family.adguard.com", ADGUARD, DnsOnly),
    ("dns-unfiltered.adguard.com", ADGUARD, DnsOnly),
    // my.nextdns.io "Setup guide"
    ("dns.nextdns.io", NEXTDNS, DnsOnly),
    ("*.dns.nextdns.io", NEXTDNS, DnsOnly),
    ("dns1.nextdns.io", NEXTDNS, DnsOnly),
    ("dns2.nextdns.io", NEXTDNS, DnsOnly),
    ("doh.nextdns.io", NEXTDNS, DnsOnly),
    // support.opendns.com "Using DNS over HTTPS (DoH) with OpenDNS"; docs.umbrella.com
    ("doh.opendns.com", OPENDNS, DnsOnly),
    ("doh.familyshield.opendns.com", OPENDNS, DnsOnly),
    ("doh.sandbox.opendns.com", OPENDNS, DnsOnly),
    ("dns.opendns.com", OPENDNS, DnsOnly),
    ("dns.umbrella.com", OPENDNS, DnsOnly),
    ("doh.umbrella.com", OPENDNS, DnsOnly),
    // cleanbrowsing.org/filters
    ("doh.cleanbrowsing.org", CLEANBROWSING, DnsOnly),
    ("security-filter-dns.cleanbrowsing.org", CLEANBROWSING, DnsOnly),
    ("adult-filter-dns.cleanbrowsing.org", CLEANBROWSING, DnsOnly),
    ("family-filter-dns.cleanbrowsing.org", CLEANBROWSING, DnsOnly),
    // docs.controld.com "Free DNS" and "DNS protocols"
    ("dns.controld.com", CONTROL_D, DnsOnly),
    ("*.dns.controld.com", CONTROL_D, DnsOnly),
    ("freedns.controld.com", CONTROL_D, DnsOnly),
    ("*.freedns.controld.com", CONTROL_D, DnsOnly),
    // mullvad.net/help/dns-over-https-and-dns-over-tls
    ("dns.mullvad.net", MULLVAD, DnsOnly),
    ("*.dns.mullvad.net", MULLVAD, DnsOnly), // adblock, base, extended, family, all
    ("doh.mullvad.net", MULLVAD, DnsOnly),
    // www.dns0.eu (closed in 2025; devices may still be set to it)
    ("dns0.eu", DNS0, PagesToo),
    ("zero.dns0.eu", DNS0, DnsOnly),
    ("kids.dns0.eu", DNS0, DnsOnly),
    ("open.dns0.eu", DNS0, DnsOnly),
    // joindns4.eu/for-public
    ("protective.joindns4.eu", DNS4EU, DnsOnly),
    ("child.joindns4.eu", DNS4EU, DnsOnly),
    ("noads.joindns4.eu", DNS4EU, DnsOnly),
    ("child-noads.joindns4.eu", DNS4EU, DnsOnly),
    ("unfiltered.joindns4.eu", DNS4EU, DnsOnly),
    // www.alidns.com
    ("dns.alidns.com", ALIDNS, DnsOnly),
    // docs.dnspod.cn/public-dns
    ("doh.pub", DNSPOD, DnsOnly),
    ("dot.pub", DNSPOD, DnsOnly),
    ("sm2.doh.pub", DNSPOD, DnsOnly),
    // sdns.360.net/dnsPublic.html
    ("doh.360.cn", QIHOO, DnsOnly),
    ("dot.360.cn", QIHOO, DnsOnly),
    // dns.yandex.com
    ("common.dot.dns.yandex.net", YANDEX, DnsOnly),
    ("safe.dot.dns.yandex.net", YANDEX, DnsOnly),
    ("family.dot.dns.yandex.net", YANDEX, DnsOnly),
    // public.dns.iij.jp
    ("public.dns.iij.jp", IIJ, PagesToo),
    // corporate.comcast.com "Encrypted DNS"; dns-operators' list of Chromium
    ("doh.xfinity.com", COMCAST, DnsOnly),
    ("dot.xfinity.com", COMCAST, DnsOnly),
    // support.aa.net.uk "DoH and DoT"
    ("dns.aa.net.uk", AAISP, DnsOnly),
    // libredns.gr
    ("doh.libredns.gr", LIBREDNS, DnsOnly),
    ("dot.libredns.gr", LIBREDNS, DnsOnly),
    ("noads.libredns.gr", LIBREDNS, DnsOnly),
    // www.digitale-gesellschaft.ch/dns
    ("dns.digitale-gesellschaft.ch", DIGITALE, DnsOnly),
    // ffmuc.net "DoH / DoT"
    ("doh.ffmuc.net", FFMUC, DnsOnly),
    ("dot.ffmuc.net", FFMUC, DnsOnly),
    // www.restena.lu "Public DNS resolver"
    ("kaitain.restena.lu", RESTENA, DnsOnly),
    // www.switch.ch/security/dns "Public DNS"
    ("dns.switch.ch", SWITCH, DnsOnly),
    // www.cira.ca/en/canadian-shield
    ("private.canadianshield.cira.ca", CIRA, DnsOnly),
    ("protected.canadianshield.cira.ca", CIRA, DnsOnly),
    ("family.canadianshield.cira.ca", CIRA, DnsOnly),
    // 101.101.101.101 of TWNIC, www.twnic.tw
    ("dns.twnic.tw", QUAD101, DnsOnly),
    // dns.sb
    ("doh.dns.sb", DNSSB, DnsOnly),
    ("doh.sb", DNSSB, DnsOnly),
    ("dot.sb", DNSSB, DnsOnly),
    // docs.rethinkdns.com
    ("max.rethinkdns.com", RETHINK, DnsOnly),
    ("sky.rethinkdns.com", RETHINK, DnsOnly),
];

const fn v4(a: u8, b: u8, c: u8, d: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(a, b, c, d))
}

/// An address with zeros between its front and its end.
const fn v6(front: [u16; 4], end: u16) -> IpAddr {
    let [a, b, c, d] = front;
    IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, end))
}

/// Addresses, from the same pages.
#[rustfmt::skip]
const ADDRS: &[(IpAddr, &str, Serves)] = &[
    (v4(8, 8, 8, 8), GOOGLE, DnsOnly),
    (v4(8, 8, 4, 4), GOOGLE, DnsOnly),
    (v6([0x2001, 0x4860, 0x4860, 0], 0x8888), GOOGLE, DnsOnly),
    (v6([0x2001, 0x4860, 0x4860, 0], 0x8844), GOOGLE, DnsOnly),
    (v6([0x2001, 0x4860, 0x4860, 0], 0x6464), GOOGLE, DnsOnly),
    (v6([0x2001, 0x4860, 0x4860, 0], 0x0064), GOOGLE, DnsOnly),
    // The page https://1.1.1.1 is there too, and what its settings link to.
    (v4(1, 1, 1, 1), CLOUDFLARE, PagesToo),
    (v4(1, 0, 0, 1), CLOUDFLARE, PagesToo),
    (v6([0x2606, 0x4700, 0x4700, 0], 0x1111), CLOUDFLARE, PagesToo),
    (v6([0x2606, 0x4700, 0x4700, 0], 0x1001), CLOUDFLARE, PagesToo),
    (v4(1, 1, 1, 2), CLOUDFLARE, DnsOnly),
    (v4(1, 0, 0, 2), CLOUDFLARE, DnsOnly),
    (v4(1, 1, 1, 3), CLOUDFLARE, DnsOnly),
    (v4(1, 0, 0, 3), CLOUDFLARE, DnsOnly),
    (v6([0x2606, 0x4700, 0x4700, 0], 0x1112), CLOUDFLARE, DnsOnly),
    (v6([0x2606, 0x4700, 0x4700, 0], 0x1002), CLOUDFLARE, DnsOnly),
    (v6([0x2606, 0x4700, 0x4700, 0], 0x1113), CLOUDFLARE, DnsOnly),
    (v6([0x2606, 0x4700, 0x4700, 0], 0x1003), CLOUDFLARE, DnsOnly),
    (v4(9, 9, 9, 9), QUAD9, DnsOnly),
    (v4(9, 9, 9, 10), QUAD9, DnsOnly),
    (v4(9, 9, 9, 11), QUAD9, DnsOnly),
    (v4(9, 9, 9, 12), QUAD9, DnsOnly),
    (v4(149, 112, 112, 112), QUAD9, DnsOnly),
    (v4(149, 112, 112, 10), QUAD9, DnsOnly),
    (v4(149, 112, 112, 11), QUAD9, DnsOnly),
    (v4(149, 112, 112, 12), QUAD9, DnsOnly),
    (v6([0x2620, 0xfe, 0, 0], 0xfe), QUAD9, DnsOnly),
    (v6([0x2620, 0xfe, 0, 0], 9), QUAD9, DnsOnly),
    (v6([0x2620, 0xfe, 0, 0], 0x10), QUAD9, DnsOnly),
    (v6([0x2620, 0xfe, 0, 0], 0x11), QUAD9, DnsOnly),
    (v4(94, 140, 14, 14), ADGUARD, DnsOnly),
    (v4(94, 140, 15, 15), ADGUARD, DnsOnly),
    (v4(94, 140, 14, 15), ADGUARD, DnsOnly),
    (v4(94, 140, 15, 16), ADGUARD, DnsOnly),
    (v4(94, 140, 14, 140), ADGUARD, DnsOnly),
    (v4(94, 140, 14, 141), ADGUARD, DnsOnly),
    (v4(208, 67, 222, 222), OPENDNS, DnsOnly),
    (v4(208, 67, 220, 220), OPENDNS, DnsOnly),
    (v4(208, 67, 222, 123), OPENDNS, DnsOnly),
    (v4(208, 67, 220, 123), OPENDNS, DnsOnly),
    (v4(185, 228, 168, 9), CLEANBROWSING, DnsOnly),
    (v4(185, 228, 169, 9), CLEANBROWSING, DnsOnly),
    (v4(185, 228, 168, 10), CLEANBROWSING, DnsOnly),
    (v4(185, 228, 169, 11), CLEANBROWSING, DnsOnly),
    (v4(185, 228, 168, 168), CLEANBROWSING, DnsOnly),
    (v4(185, 228, 169, 168), CLEANBROWSING, DnsOnly),
    (v4(76, 76, 2, 0), CONTROL_D, DnsOnly),
    (v4(76, 76, 10, 0), CONTROL_D, DnsOnly),
    (v4(194, 242, 2, 2), MULLVAD, DnsOnly),
    (v4(194, 242, 2, 3), MULLVAD, DnsOnly),
    (v4(223, 5, 5, 5), ALIDNS, DnsOnly),
    (v4(223, 6, 6, 6), ALIDNS, DnsOnly),
    (v6([0x2400, 0x3200, 0, 0], 1), ALIDNS, DnsOnly),
    (v4(1, 12, 12, 12), DNSPOD, DnsOnly),
    (v4(120, 53, 53, 53), DNSPOD, DnsOnly),
    (v4(77, 88, 8, 8), YANDEX, DnsOnly),
    (v4(77, 88, 8, 1), YANDEX, DnsOnly),
    (v4(77, 88, 8, 88), YANDEX, DnsOnly),
    (v4(77, 88, 8, 2), YANDEX, DnsOnly),
    (v4(77, 88, 8, 7), YANDEX, DnsOnly),
    (v4(77, 88, 8, 3), YANDEX, DnsOnly),
    (v4(130, 59, 31, 248), SWITCH, DnsOnly),
    (v4(101, 101, 101, 101), QUAD101, DnsOnly),
    (v4(185, 222, 222, 222), DNSSB, DnsOnly),
    (v4(45, 11, 45, 11), DNSSB, DnsOnly),
];

#[cfg(test)]
mod tests {
    use super::*;

    const SOMEBODY: IpAddr = v4(192, 0, 2, 1);

    #[track_caller]
    fn check(name: Option<&str>, addr: IpAddr, operator: Option<&str>, is_doh: bool) {
        let name = name.map(|name| DomainName::parse(name).expect("a name"));
        assert_eq!(resolver_of(name.as_ref(), addr), operator);
        assert_eq!(is_dns_over_https(name.as_ref(), addr), is_doh);
    }

    #[test]
    fn by_name_or_by_address() {
        check(Some("dns.google"), SOMEBODY, Some(GOOGLE), true);
        check(Some("mozilla.cloudflare-dns.com"), SOMEBODY, Some(CLOUDFLARE), true);
        check(Some("ab12cd.dns.nextdns.io"), SOMEBODY, Some(NEXTDNS), true);
        check(None, v4(9, 9, 9, 9), Some(QUAD9), true);
        check(None, "2001:4860:4860::8888".parse().expect("an address"), Some(GOOGLE), true);
    }

    #[test]
    fn a_name_that_only_looks_alike_is_none() {
        for name in
            ["xdns.google", "dns.google.example", "a.dns.google", "nextdns.io", "my.nextdns.io", "quad9.net"]
        {
            check(Some(name), SOMEBODY, None, false);
        }
        check(None, SOMEBODY, None, false);
        check(None, v4(8, 8, 8, 9), None, false);
    }

    #[test]
    fn where_pages_are_served_too_nothing_is_proved() {
        check(Some("one.one.one.one"), v4(1, 1, 1, 1), Some(CLOUDFLARE), false);
        check(None, v4(1, 1, 1, 1), Some(CLOUDFLARE), false);
        check(Some("cloudflare-dns.com"), v4(1, 1, 1, 1), Some(CLOUDFLARE), true);
        check(Some("www.example.com"), v4(8, 8, 8, 8), Some(GOOGLE), false);
    }

    #[test]
    fn the_tables_are_sound() {
        for (place, (pattern, ..)) in NAMES.iter().enumerate() {
            let name = pattern.strip_prefix("*.").unwrap_or(pattern);
            assert_eq!(DomainName::parse(name).map(|n| n.to_string()).as_deref(), Some(name));
            assert!(NAMES.iter().skip(place + 1).all(|(other, ..)| other != pattern), "{pattern} twice");
        }
        for (place, (addr, ..)) in ADDRS.iter().enumerate() {
            assert!(ADDRS.iter().skip(place + 1).all(|(other, ..)| other != addr), "{addr} twice");
        }
    }
}
