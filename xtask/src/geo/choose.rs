//! Which autonomous systems the embedded table names.
//!
//! The rule: every system with at least [`MIN_IPV4_ADDRS`] IPv4 addresses, and every system of an organisation in
//! [`NAMED`], however small. The list says only whose systems are kept; number and organisation are printed as
//! the source has them, so a namesake that slips in costs a few bytes and misleads nobody.

/// A /12 in all: 338 systems on 2026-09-01, the large access networks and clouds of the world.
pub const MIN_IPV4_ADDRS: u64 = 1 << 20;

/// Organisations whose systems are all kept: these words, one after the other, in lower case.
const NAMED: &[&str] = &[
    // Phone makers and their clouds.
    "apple",
    "google",
    "huawei",
    "kingsoft",
    "oppo",
    "samsung",
    "samsungsds",
    "sony",
    "xiaomi",
    // Makers of what else is in the house.
    "nintendo",
    "roku",
    "valve",
    // Clouds and hosters.
    "alibaba",
    "amazon",
    "contabo",
    "digitalocean",
    "hetzner",
    "ibm",
    "jingdong",
    "leaseweb",
    "linode",
    "m247",
    "microsoft",
    "naver",
    "oracle",
    "ovh",
    "rackspace",
    "salesforce",
    "scaleway",
    "softlayer",
    "taobao",
    "tencent",
    "the constant company",
    "ucloud",
    "yandex",
    // Content delivery.
    "akamai",
    "bunnyway",
    "cdnetworks",
    "chinanetcenter",
    "cloudflare",
    "datacamp",
    "edgecast",
    "edgio",
    "fastly",
    "g core",
    "imperva",
    "incapsula",
    "limelight",
    "qiniu",
    "quantil",
    "zenlayer",
    // Services that phones talk to.
    "adguard",
    "adobe",
    "baidu",
    "bytedance",
    "cisco opendns",
    "facebook",
    "github",
    "kakao",
    "line corporation",
    "linkedin",
    "mail ru",
    "meta platforms",
    "mozilla",
    "mullvad",
    "netease",
    "netflix",
    "nextdns",
    "pinterest",
    "proton ag",
    "quad9",
    "snap inc",
    "spotify",
    "telegram messenger",
    "tiktok",
    "twitter",
    "vk llc",
    "vkontakte",
    "wikimedia",
    "zoom video",
    // Advertising and measurement.
    "applovin",
    "criteo",
    "index exchange",
    "outbrain",
    "pubmatic",
    "rubicon project",
    "taboola",
    "trade desk",
    "unity technologies",
    // Where Chinese services are hosted.
    "china mobile",
    "china unicom",
    "chinanet",
    "china telecom",
    "china telecommunications",
];

/// Is this system kept?
pub fn is_kept(organisation: &str, ipv4_addrs: u64) -> bool {
    ipv4_addrs >= MIN_IPV4_ADDRS || is_named(organisation)
}

fn is_named(organisation: &str) -> bool {
    let lower = organisation.to_lowercase();
    let words: Vec<&str> = lower.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).collect();
    NAMED.iter().any(|named| {
        let named: Vec<&str> = named.split(' ').collect();
        words.windows(named.len()).any(|window| window == named)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_words_count() {
        assert!(is_named("Hangzhou Alibaba Advertising Co.,Ltd."));
        assert!(is_named("G-Core Labs S.A."));
        assert!(is_named("XIAOMI H.K. Limited"));
        assert!(!is_named("SANTA CRUZ AUGUSTO JULIAN (SONYTEL)"));
        assert!(!is_named("Snap Fitness Inc"));
        assert!(!is_named(""));
    }

    #[test]
    fn size_counts_without_a_name() {
        assert!(is_kept("", MIN_IPV4_ADDRS));
        assert!(!is_kept("", MIN_IPV4_ADDRS - 1));
    }
}
