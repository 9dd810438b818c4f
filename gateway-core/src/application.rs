//! Which protocol a conversation speaks, as well as a router can tell. Recognising one is not naming anybody.

/// A protocol that was recognised. The numbers are stored: one once given is never given again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(u8)]
pub enum Application {
    /// Not recognised.
    #[default]
    Unknown = 0,
    /// TLS over TCP, by its ClientHello (RFC 8446).
    Tls = 1,
    /// QUIC, by its Initial (RFC 9000, RFC 9369).
    Quic = 2,
    /// HTTP/1 in the clear (RFC 9112).
    Http = 3,
    /// HTTP/2 in the clear with prior knowledge (RFC 9113 §3.3).
    H2c = 4,
    /// A request to an HTTP proxy (CONNECT, RFC 9110 §9.3.6, or a target with its scheme, RFC 9112 §3.2.2): its host is
    /// behind the peer and not the peer.
    HttpProxy = 5,
    /// DNS in the clear, by port 53 (RFC 1035, RFC 7766).
    Dns = 6,
    /// DNS over TLS, by port 853 of TCP (RFC 7858).
    Dot = 7,
    /// DNS over QUIC, by port 853 of UDP or its ALPN (RFC 9250).
    Doq = 8,
    /// DNS over HTTPS (RFC 8484), by the name or address of a known resolver.
    Doh = 9,
    /// Multicast DNS (RFC 6762).
    Mdns = 10,
    /// LLMNR (RFC 4795).
    Llmnr = 11,
    /// DHCP (RFC 2131, RFC 8415).
    Dhcp = 12,
    /// NTP, by port 123 (RFC 5905).
    Ntp = 13,
    /// STUN or TURN, by its magic cookie (RFC 8489 §5).
    Stun = 14,
    /// DTLS, by its record header (RFC 9147).
    Dtls = 15,
    /// WireGuard, by its message header (the WireGuard white paper §5.4).
    WireGuard = 16,
    /// OpenVPN, by its first packet or port 1194.
    OpenVpn = 17,
    /// IPsec: ESP, AH (RFC 4303, RFC 4302), IKE and ESP in UDP (RFC 7296, RFC 3948).
    Ipsec = 18,
    /// Another tunnel: GRE, IP in IP, L2TP, PPTP.
    Tunnel = 19,
    /// SSH, by its identification string (RFC 4253 §4.2).
    Ssh = 20,
    /// ICMP (RFC 792, RFC 4443).
    Icmp = 21,
    /// SSDP, by port 1900 (UPnP Device Architecture).
    Ssdp = 22,
    /// QUIC as Google had it before the IETF, which this program does not decrypt.
    GoogleQuic = 23,
}

impl Application {
    /// Every one, in order of their numbers.
    pub const ALL: [Self; 24] = [
        Self::Unknown,
        Self::Tls,
        Self::Quic,
        Self::Http,
        Self::H2c,
        Self::HttpProxy,
        Self::Dns,
        Self::Dot,
        Self::Doq,
        Self::Doh,
        Self::Mdns,
        Self::Llmnr,
        Self::Dhcp,
        Self::Ntp,
        Self::Stun,
        Self::Dtls,
        Self::WireGuard,
        Self::OpenVpn,
        Self::Ipsec,
        Self::Tunnel,
        Self::Ssh,
        Self::Icmp,
        Self::Ssdp,
        Self::GoogleQuic,
    ];

    /// The word it is stored in JSON and printed as.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Tls => "tls",
            Self::Quic => "quic",
            Self::Http => "http",
            Self::H2c => "h2c",
            Self::HttpProxy => "http_proxy",
            Self::Dns => "dns",
            Self::Dot => "dot",
            Self::Doq => "doq",
            Self::Doh => "doh",
            Self::Mdns => "mdns",
            Self::Llmnr => "llmnr",
            Self::Dhcp => "dhcp",
            Self::Ntp => "ntp",
            Self::Stun => "stun",
            Self::Dtls => "dtls",
            Self::WireGuard => "wireguard",
            Self::OpenVpn => "openvpn",
            Self::Ipsec => "ipsec",
            Self::Tunnel => "tunnel",
            Self::Ssh => "ssh",
            Self::Icmp => "icmp",
            Self::Ssdp => "ssdp",
            Self::GoogleQuic => "google_quic",
        }
    }

    /// From its number, as stored.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// Does it hide from the gateway's DNS which names are asked for?
    #[must_use]
    pub const fn is_encrypted_dns(self) -> bool {
        matches!(self, Self::Dot | Self::Doq | Self::Doh)
    }

    /// Does it hide whom the device talks to behind the peer?
    #[must_use]
    pub const fn is_vpn(self) -> bool {
        matches!(self, Self::WireGuard | Self::OpenVpn | Self::Ipsec | Self::Tunnel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_words_lead_back() {
        for (number, application) in (0..).zip(Application::ALL) {
            assert_eq!(application as u8, number);
            assert_eq!(Application::from_number(number), Some(application));
        }
        let words: std::collections::BTreeSet<_> = Application::ALL.iter().map(|a| a.word()).collect();
        assert_eq!(words.len(), Application::ALL.len());
    }
}
