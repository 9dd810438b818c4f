//! What the maker of a network interface says of the device it is in. Makers of chips say little: their interfaces
//! are in everything.

use super::DeviceKind::{
    Camera, Computer, GameConsole, Iot, Phone, Printer, Router, Speaker, Tablet, Tv, Watch,
};
use super::{DeviceKind, Hint, Sign};

const REGISTRY: &str = "the IEEE's registry of MAC prefixes, and what its holder sells";

struct MakerRule {
    /// What the holder's name begins with, in small letters.
    begins: &'static str,
    fits: &'static [DeviceKind],
    weight: u32,
    makes: &'static [&'static str],
}

const fn rule(
    begins: &'static str,
    fits: &'static [DeviceKind],
    weight: u32,
    makes: &'static [&'static str],
) -> MakerRule {
    MakerRule { begins, fits, weight, makes }
}

/// The first whose words the holder's name begins with counts. Lenovo's name must not hide Motorola's.
const MAKERS: [MakerRule; 46] = [
    rule("apple", &[], 0, &["Apple"]),
    rule("xiaomi", &[Phone, Tablet, Tv, Router, Iot, Camera, Speaker, Watch], 1, &["Xiaomi"]),
    rule("beijing xiaomi", &[Phone, Tablet, Tv, Router, Iot, Camera, Speaker, Watch], 1, &["Xiaomi"]),
    rule("samsung electro", &[Phone, Tablet, Tv, Watch, Computer, Printer, Camera, Iot], 1, &["Samsung"]),
    rule("huawei device", &[Phone, Tablet, Watch, Computer, Tv], 1, &["Huawei"]),
    rule("huawei", &[], 0, &["Huawei"]),
    rule("honor device", &[Phone, Tablet, Watch, Computer], 1, &["Honor"]),
    rule("guangdong oppo", &[Phone, Tablet, Watch], 2, &["OPPO", "realme", "OnePlus"]),
    rule("realme", &[Phone, Tablet, Watch], 2, &["realme"]),
    rule("oneplus", &[Phone, Tablet, Tv], 2, &["OnePlus"]),
    rule("vivo mobile", &[Phone, Tablet], 2, &["vivo"]),
    rule("motorola mobility", &[Phone, Tablet], 2, &["Motorola"]),
    rule("hmd global", &[Phone, Tablet], 2, &["HMD Global"]),
    rule("fairphone", &[Phone], 3, &["Fairphone"]),
    rule("tecno", &[Phone, Tablet], 2, &["TECNO"]),
    rule("infinix", &[Phone, Tablet], 2, &["Infinix"]),
    rule("nintendo", &[GameConsole], 3, &["Nintendo"]),
    rule("sony interactive", &[GameConsole], 3, &["Sony"]),
    rule("valve", &[GameConsole], 2, &["Valve"]),
    rule("sonos", &[Speaker], 3, &["Sonos"]),
    rule("roku", &[Tv, Speaker], 2, &["Roku"]),
    rule("amazon", &[Speaker, Tv, Tablet, Camera, Iot], 1, &["Amazon"]),
    rule("hangzhou hikvision", &[Camera], 2, &["Hikvision"]),
    rule("zhejiang dahua", &[Camera], 2, &["Dahua"]),
    rule("reolink", &[Camera], 3, &["Reolink"]),
    rule("seiko epson", &[Printer], 2, &["Epson"]),
    rule("brother industries", &[Printer], 2, &["Brother"]),
    rule("canon", &[Printer, Camera], 2, &["Canon"]),
    rule("hewlett packard enterprise", &[Router, Computer], 1, &[]),
    rule("hewlett packard", &[Computer, Printer], 1, &["HP"]),
    rule("hp inc", &[Computer, Printer], 1, &["HP"]),
    rule("dell", &[Computer], 2, &["Dell"]),
    rule("intel", &[Computer], 2, &[]),
    rule("raspberry pi", &[Computer, Iot], 2, &["Raspberry Pi"]),
    rule("asustek", &[Computer, Router, Phone, Tablet], 1, &["ASUS"]),
    rule("espressif", &[Iot], 2, &[]),
    rule("tuya", &[Iot], 2, &[]),
    rule("allterco", &[Iot], 3, &["Shelly"]),
    rule("signify", &[Iot], 3, &["Signify"]),
    rule("roborock", &[Iot], 3, &["Roborock"]),
    rule("avm", &[Router], 2, &["AVM"]),
    rule("ubiquiti", &[Router, Camera], 2, &["Ubiquiti"]),
    rule("routerboard", &[Router], 3, &["MikroTik"]),
    rule("eero", &[Router], 3, &["eero"]),
    rule("tp-link", &[Router, Iot, Camera], 1, &["TP-Link"]),
    rule("netgear", &[Router], 1, &["Netgear"]),
];

pub(super) fn maker(name: &str) -> Option<Hint> {
    let lower = name.to_lowercase();
    let begins = |rule: &&MakerRule| lower.starts_with(rule.begins);
    let MakerRule { begins: _, fits, weight, makes } = MAKERS.iter().find(begins)?;
    let what = match fits.first() {
        None => String::new(),
        Some(kind) => format!(", which makes {}s among others", kind.words()),
    };
    Some(Hint {
        sign: Sign::MacVendor,
        fits,
        weight: *weight,
        makes,
        model: None,
        says: format!("its MAC address has a prefix of {name}{what}"),
        source: REGISTRY,
    })
}
