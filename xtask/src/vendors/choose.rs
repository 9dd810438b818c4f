//! Which vendors are in the small table: those whose interfaces are in a house. A vendor is kept for the words in its
//! name, or because it holds so many blocks that its devices are everywhere.

use gateway_core::enrich::vendors::{Assignment, PrefixLen};
use std::collections::BTreeMap;

/// A vendor with this many blocks of 24 bits (16 million addresses each) is kept whatever it is called.
const MANY_BLOCKS: usize = 5;

/// Words that a kept vendor's name begins with, in small letters: what is in phones, computers and televisions, what
/// else is on a home's network, the chips and modules with a prefix of their own, and the boxes that make the network.
const FIRST_WORDS: &[&str] = &[
    // Phones and tablets
    "apple",
    "samsung",
    "xiaomi",
    "huawei",
    "honor",
    "oppo",
    "guangdong oppo",
    "oneplus",
    "realme",
    "vivo",
    "bbk",
    "motorola",
    "google",
    "sony",
    "lg electronics",
    "nokia",
    "hmd global",
    "htc",
    "asustek",
    "zte",
    "nubia",
    "tecno",
    "infinix",
    "itel",
    "transsion",
    "shenzhen tinno",
    "tcl",
    "tct mobile",
    "meizu",
    "lenovo",
    "fairphone",
    "nothing",
    "gigaset",
    "blackberry",
    "research in motion",
    "wiko",
    "alcatel",
    "hisense",
    "sharp",
    "fujitsu",
    "kyocera",
    "beijing xiaomi",
    "smartisan",
    "lemobile",
    "yulong",
    "coolpad",
    "gionee",
    "doro",
    "crosscall",
    "unihertz",
    // Computers
    "intel",
    "microsoft",
    "dell",
    "hewlett packard",
    "hp inc",
    "acer",
    "micro-star",
    "giga-byte",
    "asrock",
    "elitegroup",
    "pegatron",
    "quanta",
    "compal",
    "wistron",
    "inventec",
    "hon hai",
    "cloud network technology",
    "clevo",
    "liteon",
    "lite-on",
    "azurewave",
    "chongqing fugui",
    "universal global scientific",
    "raspberry pi",
    "framework",
    "foxconn",
    "realtek",
    "valve",
    "framework computer",
    // Chips and modules
    "espressif",
    "mediatek",
    "qualcomm",
    "broadcom",
    "ralink",
    "atheros",
    "marvell",
    "murata",
    "texas instruments",
    "silicon lab",
    "nordic semiconductor",
    "tuya",
    "fn-link",
    "bouffalo",
    "beken",
    "ampak",
    "azure wave",
    "gaoshengda",
    "hui zhou gaoshengda",
    "shenzhen bilian",
    "telink",
    "nxp",
    "cypress",
    "u-blox",
    "sierra wireless",
    "quectel",
    // Houses
    "amazon",
    "sonos",
    "roku",
    "nintendo",
    "philips",
    "signify",
    "tp-link",
    "belkin",
    "netgear",
    "d-link",
    "ring",
    "nest",
    "ecobee",
    "irobot",
    "roborock",
    "ikea",
    "bose",
    "canon",
    "epson",
    "seiko epson",
    "brother",
    "hikvision",
    "hangzhou hikvision",
    "dahua",
    "zhejiang dahua",
    "reolink",
    "wyze",
    "shelly",
    "allterco",
    "avm",
    "eero",
    "ubiquiti",
    "mikrotik",
    "routerboard",
    "zyxel",
];

/// The kept vendors, in order.
pub(super) fn vendors(registry: &[Assignment]) -> Vec<String> {
    let mut blocks = BTreeMap::<&str, usize>::new();
    for block in registry {
        if let Some(vendor) = &block.vendor {
            *blocks.entry(vendor).or_default() += usize::from(block.len == PrefixLen::Large);
        }
    }
    blocks
        .into_iter()
        .filter(|(vendor, count)| *count >= MANY_BLOCKS || is_of_a_house(vendor))
        .map(|(vendor, _)| vendor.to_owned())
        .collect()
}

fn is_of_a_house(vendor: &str) -> bool {
    let vendor = vendor.to_lowercase();
    FIRST_WORDS.iter().any(|words| {
        let rest = vendor.strip_prefix(words);
        rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric()))
    })
}
