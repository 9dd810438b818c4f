//! Names that only some devices contact by themselves: their checks whether there is an Internet, and services of
//! their makers. They tell through a made-up MAC address too.
//!
//! Programs borrow such names (a proxy may measure its speed by a phone maker's check), so that none is worth more
//! than two, except where no program but the system has a use for it.

use super::DeviceKind::{Computer, GameConsole, Phone, Speaker, Tablet, Tv, Watch};
use super::{DeviceKind, Hint, Sign};
use crate::units::DomainName;
use std::collections::BTreeSet;

struct NameRule {
    /// This name and all below it.
    name: &'static str,
    what: &'static str,
    fits: &'static [DeviceKind],
    weight: u32,
    makes: &'static [&'static str],
    source: &'static str,
}

const fn rule(
    name: &'static str,
    what: &'static str,
    fits: &'static [DeviceKind],
    weight: u32,
    makes: &'static [&'static str],
    source: &'static str,
) -> NameRule {
    NameRule { name, what, fits, weight, makes, source }
}

const FIRMWARE: &str =
    "in the maker's Android, as its published or unpacked sources show, and seen in captures";
const AOSP: &str = "Android Open Source Project, NetworkStack: the check for a captive portal";
const APPLE: &str = "Apple, \"Use Apple products on enterprise networks\" (support.apple.com/101555)";
const MICROSOFT: &str = "Microsoft, \"Network Connectivity Status Indicator\" (learn.microsoft.com)";
const CAPTURES: &str = "seen in captures, and in public lists of names that such devices need";
const DISTRIBUTION: &str = "the distribution's NetworkManager configuration for its check";

const ANDROID: &[DeviceKind] = &[Phone, Tablet, Tv, Watch, Computer, Speaker];

const NAMES: [NameRule; 42] = [
    rule(
        "connect.rom.miui.com",
        "MIUI's check of the connection",
        &[Phone, Tablet, Tv],
        2,
        &["Xiaomi"],
        FIRMWARE,
    ),
    rule(
        "connectivitycheck.platform.hicloud.com",
        "Huawei's check of the connection",
        &[Phone, Tablet, Tv],
        2,
        &["Huawei", "Honor"],
        FIRMWARE,
    ),
    rule(
        "connectivitycheck.platform.hihonorcloud.com",
        "Honor's check of the connection",
        &[Phone, Tablet],
        2,
        &["Honor"],
        FIRMWARE,
    ),
    rule(
        "conn1.oppomobile.com",
        "ColorOS's check",
        &[Phone, Tablet],
        2,
        &["OPPO", "realme", "OnePlus"],
        FIRMWARE,
    ),
    rule(
        "conn2.oppomobile.com",
        "ColorOS's check",
        &[Phone, Tablet],
        2,
        &["OPPO", "realme", "OnePlus"],
        FIRMWARE,
    ),
    rule(
        "connectivitycheck.oppomobile.com",
        "ColorOS's check",
        &[Phone, Tablet],
        2,
        &["OPPO", "realme", "OnePlus"],
        CAPTURES,
    ),
    rule(
        "conn1.coloros.com",
        "ColorOS's check",
        &[Phone, Tablet],
        2,
        &["OPPO", "realme", "OnePlus"],
        CAPTURES,
    ),
    rule(
        "conn2.coloros.com",
        "ColorOS's check",
        &[Phone, Tablet],
        2,
        &["OPPO", "realme", "OnePlus"],
        CAPTURES,
    ),
    rule(
        "wifi.coloros.com",
        "ColorOS's check",
        &[Phone, Tablet],
        2,
        &["OPPO", "realme", "OnePlus"],
        CAPTURES,
    ),
    rule("wifi.vivo.com.cn", "vivo's check of the connection", &[Phone, Tablet], 2, &["vivo"], FIRMWARE),
    rule("connectivity.samsung.com", "Samsung's check", &[Phone, Tablet], 2, &["Samsung"], FIRMWARE),
    rule("connectivity.samsung.com.cn", "Samsung's check", &[Phone, Tablet], 2, &["Samsung"], FIRMWARE),
    rule("connectivitycheck.gstatic.com", "Android's check of the connection", ANDROID, 1, &[], AOSP),
    rule("connectivitycheck.android.com", "Android's check of the connection", ANDROID, 1, &[], AOSP),
    rule("captive.apple.com", "Apple's check of the connection", &[], 0, &["Apple"], APPLE),
    rule("push.apple.com", "Apple's push service", &[], 0, &["Apple"], APPLE),
    rule("time-ios.apple.com", "the clock of iOS", &[Phone, Tablet, Tv, Watch], 1, &["Apple"], APPLE),
    rule("time-macos.apple.com", "the clock of macOS", &[Computer], 2, &["Apple"], APPLE),
    rule("swscan.apple.com", "updates of macOS", &[Computer], 2, &["Apple"], APPLE),
    rule("swcdn.apple.com", "updates of macOS", &[Computer], 2, &["Apple"], APPLE),
    rule("swdist.apple.com", "updates of macOS", &[Computer], 2, &["Apple"], APPLE),
    rule(
        "www.msftconnecttest.com",
        "Windows' check of the connection",
        &[Computer, GameConsole],
        2,
        &[],
        MICROSOFT,
    ),
    rule(
        "ipv6.msftconnecttest.com",
        "Windows' check of the connection",
        &[Computer, GameConsole],
        2,
        &[],
        MICROSOFT,
    ),
    rule("dns.msftncsi.com", "Windows' check of the DNS", &[Computer, GameConsole], 2, &[], MICROSOFT),
    rule("conntest.nintendowifi.net", "Nintendo's check", &[GameConsole], 3, &["Nintendo"], CAPTURES),
    rule("ctest.cdn.nintendo.net", "Nintendo's check", &[GameConsole], 3, &["Nintendo"], CAPTURES),
    rule("ps4.update.playstation.net", "updates of PlayStation 4", &[GameConsole], 3, &["Sony"], CAPTURES),
    rule("ps5.update.playstation.net", "updates of PlayStation 5", &[GameConsole], 3, &["Sony"], CAPTURES),
    rule("captive.roku.com", "Roku's check of the connection", &[Tv, Speaker], 2, &["Roku"], CAPTURES),
    rule("logs.roku.com", "what Roku's devices report", &[Tv, Speaker], 2, &["Roku"], CAPTURES),
    rule("lgtvsdp.com", "services of LG's televisions", &[Tv], 3, &["LG"], CAPTURES),
    rule("lgtvcommon.com", "services of LG's televisions", &[Tv], 3, &["LG"], CAPTURES),
    rule("samsungcloudsolution.com", "services of Samsung's televisions", &[Tv], 3, &["Samsung"], CAPTURES),
    rule("samsungcloudsolution.net", "services of Samsung's televisions", &[Tv], 3, &["Samsung"], CAPTURES),
    rule("samsungotn.net", "updates of Samsung's televisions", &[Tv], 3, &["Samsung"], CAPTURES),
    rule(
        "device-metrics-us.amazon.com",
        "what Amazon's devices report",
        &[Speaker, Tv, Tablet],
        1,
        &["Amazon"],
        CAPTURES,
    ),
    rule(
        "connectivity-check.ubuntu.com",
        "Ubuntu's check of the connection",
        &[Computer],
        2,
        &[],
        DISTRIBUTION,
    ),
    rule("nmcheck.gnome.org", "GNOME's check of the connection", &[Computer], 2, &[], DISTRIBUTION),
    rule("networkcheck.kde.org", "KDE's check of the connection", &[Computer], 2, &[], DISTRIBUTION),
    rule("network-test.debian.org", "Debian's check of the connection", &[Computer], 2, &[], DISTRIBUTION),
    rule("ping.archlinux.org", "Arch Linux's check of the connection", &[Computer], 2, &[], DISTRIBUTION),
    rule("conncheck.opensuse.org", "openSUSE's check of the connection", &[Computer], 2, &[], DISTRIBUTION),
];

/// What the names say, each service once: two checks of one maker are one habit.
pub(super) fn contacted(names: &[DomainName]) -> Vec<Hint> {
    let mut said = BTreeSet::new();
    let mut hints = Vec::new();
    for rule in &NAMES {
        let Some(name) = names.iter().find(|name| is_under(name.as_str(), rule.name)) else { continue };
        if said.insert((rule.fits, rule.makes)) {
            let NameRule { name: _, what, fits, weight, makes, source } = *rule;
            let says = format!("it contacts {name}: {what}");
            hints.push(Hint { sign: Sign::Name, fits, weight, makes, model: None, says, source });
        }
    }
    hints
}

fn is_under(name: &str, top: &str) -> bool {
    name.strip_suffix(top).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}
