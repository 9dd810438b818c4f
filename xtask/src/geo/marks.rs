//! Which systems and addresses are content delivery, anycast or a cloud, by what their operators say of themselves.
//!
//! A mark is no judgement and says nothing of what is not listed. A listed system must have its operator's name in
//! the ASN file, or no table is written: numbers change hands.

use anyhow::ensure;
use gateway_core::row::NetworkMarks;
use ipnetwork::IpNetwork;

const CDN: NetworkMarks = NetworkMarks::CDN;
const CLOUD: NetworkMarks = NetworkMarks::CLOUD;
const ANYCAST_CDN: NetworkMarks = NetworkMarks::CDN.with(NetworkMarks::ANYCAST);

/// An operator and those of its systems that a mark is true of.
pub struct Operator {
    /// A word of its name as the ASN file has it, in lower case.
    pub word: &'static str,
    /// What it is.
    pub marks: NetworkMarks,
    /// The systems.
    pub systems: &'static [u32],
    /// Where the operator says so.
    pub source: &'static str,
}

const fn operator(
    word: &'static str,
    marks: NetworkMarks,
    systems: &'static [u32],
    source: &'static str,
) -> Operator {
    Operator { word, marks, systems, source }
}

/// The operators whose systems are marked.
pub const OPERATORS: &[Operator] = &[
    // Content delivery whose every address is announced everywhere.
    operator("cloudflare", ANYCAST_CDN, &[13335], "https://www.cloudflare.com/network/"),
    operator("fastly", ANYCAST_CDN, &[54113], "https://www.fastly.com/network-map/"),
    // Content delivery that answers from an address nearby.
    operator(
        "akamai",
        CDN,
        &[16625, 20940, 21342, 24319, 33905, 34164, 35994, 36183, 200_005, 213_120],
        "https://www.akamai.com/solutions/content-delivery-network",
    ),
    operator("bunnyway", CDN, &[200_325], "https://bunny.net/cdn/"),
    operator("cdnetworks", CDN, &[36408, 38107], "https://www.cdnetworks.com/"),
    operator("datacamp", CDN, &[60068], "https://www.cdn77.com/"),
    operator("g-core", CDN, &[199_524, 202_422], "https://gcore.com/cdn"),
    operator("incapsula", CDN, &[19551], "https://www.imperva.com/products/content-delivery-network-cdn/"),
    operator("netflix", CDN, &[2906, 40027], "https://openconnect.netflix.com/"),
    // Clouds and hosters.
    operator("akamai", CLOUD, &[63949], "https://www.linode.com/"),
    operator("alibaba", CLOUD, &[37963, 45102, 134_963], "https://www.alibabacloud.com/"),
    operator("amazon", CLOUD, &[8987, 14618, 16509], "https://aws.amazon.com/"),
    operator("constant company", CLOUD, &[20473], "https://www.vultr.com/"),
    operator("contabo", CLOUD, &[40021, 51167, 141_995], "https://contabo.com/"),
    operator("digitalocean", CLOUD, &[14061], "https://www.digitalocean.com/"),
    operator("google", CLOUD, &[396_982], "https://cloud.google.com/"),
    operator("hetzner", CLOUD, &[24940, 212_317, 213_230, 215_859], "https://www.hetzner.com/"),
    operator("huawei", CLOUD, &[55990, 136_907], "https://www.huaweicloud.com/intl/en-us/"),
    operator("ibm cloud", CLOUD, &[36351], "https://www.ibm.com/cloud"),
    operator("kingsoft cloud", CLOUD, &[59019, 137_280], "https://en.ksyun.com/"),
    operator("leaseweb", CLOUD, &[28753, 30633, 59253, 60781, 395_954, 396_362], "https://www.leaseweb.com/"),
    operator("microsoft", CLOUD, &[8075], "https://azure.microsoft.com/"),
    operator("oracle", CLOUD, &[31898], "https://www.oracle.com/cloud/"),
    operator("ovh", CLOUD, &[16276, 35540], "https://www.ovhcloud.com/"),
    operator("scaleway", CLOUD, &[12876, 29447], "https://www.scaleway.com/"),
    operator("tencent", CLOUD, &[45090, 132_203], "https://www.tencentcloud.com/"),
    operator("ucloud", CLOUD, &[59077, 135_377], "https://www.ucloud-global.com/"),
    operator("yandex.cloud", CLOUD, &[200_350, 210_656], "https://yandex.cloud/"),
];

/// Resolvers' prefixes that are announced in many places, whatever else is in their system, and where their operators
/// say so.
const ANYCAST_PREFIXES: &[(&str, &str)] = &[
    ("1.0.0.0/24", "https://developers.cloudflare.com/1.1.1.1/ip-addresses/"),
    ("1.1.1.0/24", "https://developers.cloudflare.com/1.1.1.1/ip-addresses/"),
    ("8.8.4.0/24", "https://developers.google.com/speed/public-dns/faq"),
    ("8.8.8.0/24", "https://developers.google.com/speed/public-dns/faq"),
    ("9.9.9.0/24", "https://quad9.net/news/blog/quad9-what-have-we-done-so-far/"),
    ("149.112.112.0/24", "https://quad9.net/news/blog/quad9-what-have-we-done-so-far/"),
    (
        "208.67.220.0/24",
        "https://umbrella.cisco.com/blog/why-the-cisco-umbrella-global-network-uses-anycast-routing",
    ),
    (
        "208.67.222.0/24",
        "https://umbrella.cisco.com/blog/why-the-cisco-umbrella-global-network-uses-anycast-routing",
    ),
    ("2001:4860:4860::/48", "https://developers.google.com/speed/public-dns/faq"),
    ("2606:4700:4700::/48", "https://developers.cloudflare.com/1.1.1.1/ip-addresses/"),
    ("2620:fe::/48", "https://quad9.net/news/blog/quad9-what-have-we-done-so-far/"),
];

/// What is known of a system that the ASN file says is this organisation's.
///
/// # Errors
/// The list has the number, and the organisation is somebody else.
pub fn of_system(number: u32, organisation: &str) -> anyhow::Result<NetworkMarks> {
    let Some(operator) = OPERATORS.iter().find(|o| o.systems.contains(&number)) else {
        return Ok(NetworkMarks::NONE);
    };
    let Operator { word, marks, source, .. } = operator;
    ensure!(
        organisation.to_lowercase().contains(word),
        "AS{number} is {organisation:?} now, not {word}'s ({source}); mend xtask/src/geo/marks.rs"
    );
    Ok(*marks)
}

/// First and last of each, ascending.
type Spans<K> = Vec<(K, K)>;

/// First and last address of the anycast prefixes, IPv4 and the upper halves of IPv6.
pub fn anycast() -> anyhow::Result<(Spans<u32>, Spans<u64>)> {
    let (mut v4, mut v6) = (Vec::new(), Vec::new());
    for (prefix, _) in ANYCAST_PREFIXES {
        match prefix.parse()? {
            IpNetwork::V4(net) => v4.push((net.network().to_bits(), net.broadcast().to_bits())),
            IpNetwork::V6(net) => {
                let upper = |addr: std::net::Ipv6Addr| (addr.to_bits() >> 64) as u64;
                v6.push((upper(net.network()), upper(net.broadcast())));
            }
        }
    }
    Ok((v4, v6))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic on purpose")]

    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_number_that_changed_hands_is_noticed() {
        assert_eq!(of_system(13335, "Cloudflare, Inc.").unwrap(), ANYCAST_CDN);
        assert_eq!(of_system(64496, "Cloudflare, Inc.").unwrap(), NetworkMarks::NONE);
        let said = of_system(13335, "Somebody Else Ltd.").unwrap_err().to_string();
        assert!(said.contains("AS13335") && said.contains("Somebody Else Ltd."), "{said}");
    }

    #[test]
    fn the_lists_are_sound() {
        let mut seen = BTreeSet::new();
        for Operator { word, marks, systems, source } in OPERATORS {
            assert!(*marks != NetworkMarks::NONE && source.starts_with("https://"), "{word}");
            assert_eq!(word.to_lowercase(), *word);
            for system in *systems {
                assert!(seen.insert(*system), "AS{system} stands twice");
            }
        }
        // The table takes them in ascending order.
        let (v4, v6) = anycast().unwrap();
        assert!(v4.is_sorted() && v6.is_sorted());
        assert_eq!(v4.len() + v6.len(), ANYCAST_PREFIXES.len());
        assert!(ANYCAST_PREFIXES.iter().all(|(_, source)| source.starts_with("https://")));
        assert!(v4.contains(&(0x0808_0800, 0x0808_08ff)));
        assert!(v6.contains(&(0x2001_4860_4860_0000, 0x2001_4860_4860_ffff)));
    }
}
