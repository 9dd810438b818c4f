//! What DHCP clients say without meaning to: what they call themselves, and what they ask for in which order.

use super::DeviceKind::{
    Camera, Computer, GameConsole, Iot, Phone, Printer, Router, Speaker, Tablet, Tv, Watch,
};
use super::{DeviceKind, Hint, Sign};

/// What begins with this (any case), fits that.
struct ClassRule {
    begins: &'static str,
    system: &'static str,
    fits: &'static [DeviceKind],
    weight: u32,
    makes: &'static [&'static str],
    source: &'static str,
}

const ANDROID_CLIENT: &str =
    "Android's DHCP client names itself so (Android Open Source Project, NetworkStack)";
const HUAWEI_CLIENT: &str =
    "the DHCP client in Huawei's Android names itself so (its published sources, and captures)";
const MS_DHCPE: &str = "Microsoft, [MS-DHCPE] Vendor Class Identifier Option";
const BUSYBOX: &str = "the DHCP client of BusyBox names itself so (BusyBox, udhcpc)";
const DHCPCD: &str = "the DHCP client dhcpcd names itself so (dhcpcd.conf(5), vendorclassid)";
const CAPTURES: &str = "seen in captures that several projects for recognising devices describe";

const CLASSES: [ClassRule; 8] = [
    ClassRule {
        begins: "android-dhcp-",
        system: "Android",
        fits: &[Phone, Tablet, Tv, Watch],
        weight: 2,
        makes: &[],
        source: ANDROID_CLIENT,
    },
    ClassRule {
        begins: "HUAWEI:android",
        system: "Huawei's Android",
        fits: &[Phone, Tablet],
        weight: 3,
        makes: &["Huawei", "Honor"],
        source: HUAWEI_CLIENT,
    },
    ClassRule {
        begins: "MSFT ",
        system: "Windows",
        fits: &[Computer, GameConsole],
        weight: 3,
        makes: &[],
        source: MS_DHCPE,
    },
    ClassRule {
        begins: "udhcp ",
        system: "a small Linux, as in appliances",
        fits: &[Iot, Router, Camera, Tv, Printer, Speaker],
        weight: 1,
        makes: &[],
        source: BUSYBOX,
    },
    ClassRule {
        begins: "dhcpcd",
        system: "a Linux or BSD with dhcpcd",
        fits: &[Computer, Tv, Iot, GameConsole, Speaker, Phone, Tablet, Router],
        weight: 1,
        makes: &[],
        source: DHCPCD,
    },
    ClassRule {
        begins: "Hewlett-Packard JetDirect",
        system: "the network card of an HP printer",
        fits: &[Printer],
        weight: 3,
        makes: &["HP"],
        source: CAPTURES,
    },
    ClassRule {
        begins: "Mfg=Hewlett",
        system: "an HP printer",
        fits: &[Printer],
        weight: 3,
        makes: &["HP"],
        source: CAPTURES,
    },
    ClassRule {
        begins: "PXEClient",
        system: "a computer that starts from the network",
        fits: &[Computer],
        weight: 2,
        makes: &[],
        source: "Intel, Preboot Execution Environment specification 2.1, section 2.2",
    },
];

pub(super) fn vendor_class(text: &str) -> Option<Hint> {
    let begins = |rule: &&ClassRule| {
        text.get(..rule.begins.len()).is_some_and(|head| head.eq_ignore_ascii_case(rule.begins))
    };
    let ClassRule { begins: _, system, fits, weight, makes, source } = CLASSES.iter().find(begins)?;
    Some(Hint {
        sign: Sign::VendorClass,
        fits,
        weight: *weight,
        makes,
        model: None,
        says: format!("its DHCP client calls itself {text:?}: {system}"),
        source,
    })
}

struct ListRule {
    options: &'static [u8],
    system: &'static str,
    fits: &'static [DeviceKind],
    weight: u32,
    makes: &'static [&'static str],
}

const ANDROID: &[DeviceKind] = &[Phone, Tablet, Tv, Watch];
const HANDHELD: &[DeviceKind] = &[Phone, Tablet, Watch, Tv, Speaker];

/// Parameter request lists as clients send them. Those of Apple, Microsoft, BusyBox, ISC and Espressif are compiled
/// into the clients; Android's is in its sources and differs by release.
const LISTS: [ListRule; 14] = [
    list(&[1, 3, 6, 15, 26, 28, 51, 58, 59, 43, 114, 108], "Android 11 and later", ANDROID, 2, &[]),
    list(&[1, 3, 6, 15, 26, 28, 51, 58, 59, 43], "Android 7 to 10", ANDROID, 2, &[]),
    list(&[1, 33, 3, 6, 15, 28, 51, 58, 59], "Android before 7", ANDROID, 2, &[]),
    list(&[1, 121, 3, 6, 15, 108, 114, 119, 162, 252], "iOS and its kin", HANDHELD, 2, &["Apple"]),
    list(&[1, 121, 3, 6, 15, 108, 114, 119, 252], "iOS and its kin", HANDHELD, 2, &["Apple"]),
    list(&[1, 121, 3, 6, 15, 114, 119, 252], "iOS and its kin", HANDHELD, 2, &["Apple"]),
    list(&[1, 121, 3, 6, 15, 119, 252], "iOS and its kin", HANDHELD, 2, &["Apple"]),
    list(&[1, 121, 3, 6, 15, 108, 114, 119, 162, 252, 95, 44, 46], "macOS", &[Computer], 3, &["Apple"]),
    list(&[1, 121, 3, 6, 15, 108, 114, 119, 252, 95, 44, 46], "macOS", &[Computer], 3, &["Apple"]),
    list(&[1, 121, 3, 6, 15, 119, 252, 95, 44, 46], "macOS", &[Computer], 3, &["Apple"]),
    list(
        &[1, 3, 6, 15, 31, 33, 43, 44, 46, 47, 119, 121, 249, 252],
        "Windows",
        &[Computer, GameConsole],
        3,
        &[],
    ),
    list(&[1, 28, 2, 3, 15, 6, 119, 12, 44, 47, 26, 121, 42], "ISC's dhclient", &[Computer, Iot], 1, &[]),
    list(
        &[1, 3, 6, 12, 15, 28, 42],
        "a small Linux, as in appliances",
        &[Iot, Router, Camera, Tv, Printer, Speaker],
        1,
        &[],
    ),
    list(&[1, 3, 28, 6], "Espressif's chips, as in plugs and lamps", &[Iot], 2, &[]),
];

const fn list(
    options: &'static [u8],
    system: &'static str,
    fits: &'static [DeviceKind],
    weight: u32,
    makes: &'static [&'static str],
) -> ListRule {
    ListRule { options, system, fits, weight, makes }
}

/// Lists this much alike are of one system: releases add an option or two.
const ALIKE_PERCENT: usize = 75;
/// Lists shorter than this are alike by chance, and must be equal.
const SHORT_LIST: usize = 7;

pub(super) fn parameter_list(text: &str) -> Option<Hint> {
    let asked: Vec<u8> = text.split(',').map(str::trim).map(str::parse).collect::<Result<_, _>>().ok()?;
    let alike = |rule: &ListRule| {
        let percent = alike_percent(&asked, rule.options);
        let is_short = rule.options.len() < SHORT_LIST || asked.len() < SHORT_LIST;
        let enough = if is_short { 100 } else { ALIKE_PERCENT };
        (percent >= enough).then_some(percent)
    };
    let mut found: Vec<(usize, &ListRule)> =
        LISTS.iter().filter_map(|rule| alike(rule).map(|percent| (percent, rule))).collect();
    found.sort_by_key(|(percent, _)| core::cmp::Reverse(*percent));
    let (percent, rule) = *found.first()?;
    // As much like one system as like another says nothing.
    let is_between = found.iter().any(|(other, of)| *other == percent && of.system != rule.system);
    if is_between {
        return None;
    }
    let ListRule { options: _, system, fits, weight, makes } = rule;
    let how = if percent == 100 { "the options, in the order," } else { "nearly the options" };
    Some(Hint {
        sign: Sign::ParameterList,
        fits,
        // What is only alike is worth less.
        weight: if percent == 100 { *weight } else { (*weight).saturating_sub(1).max(1) },
        makes,
        model: None,
        says: format!("it asks its DHCP server for {how} that {system} asks for"),
        source: CAPTURES,
    })
}

/// How much two lists have in common in the same order: twice the longest common subsequence by both lengths.
fn alike_percent(a: &[u8], b: &[u8]) -> usize {
    let mut row = vec![0_usize; b.len() + 1];
    for x in a {
        let mut before = 0;
        for (place, y) in (1..).zip(b) {
            let above = row.get(place).copied().unwrap_or(0);
            let left = row.get(place - 1).copied().unwrap_or(0);
            if let Some(cell) = row.get_mut(place) {
                *cell = if x == y { before + 1 } else { above.max(left) };
            }
            before = above;
        }
    }
    let common = row.last().copied().unwrap_or(0);
    (200 * common).checked_div(a.len() + b.len()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(list: &str, expected: Option<(&str, u32)>) {
        let found = parameter_list(list);
        match expected {
            None => assert_eq!(found, None),
            Some((words, weight)) => {
                let hint = found.expect("a hint");
                assert!(hint.says.contains(words), "{}", hint.says);
                assert_eq!(hint.weight, weight);
            }
        }
    }

    #[test]
    fn lists_are_told_by_their_likeness() {
        check("1,3,6,15,26,28,51,58,59,43,114,108", Some(("in the order, that Android 11", 2)));
        check("1,3,6,15,26,28,51,58,59,43,114,108,162", Some(("nearly the options that Android 11", 1)));
        check("1,121,3,6,15,108,114,119,252", Some(("iOS", 2)));
        check("1,121,3,6,15,108,114,119,252,95,44,46", Some(("macOS", 3)));
        check("1,3,6,15,31,33,43,44,46,47,119,121,249,252", Some(("Windows", 3)));
        check("1,3,28,6", Some(("Espressif", 2)));
        check("1,3,28,6,12", None);
        check("1,3,6", None);
        check("", None);
        check("1,x", None);
        check("252,249,121,119,47,46,44,43,33,31,15,6,3,1", None);
    }

    #[test]
    fn likeness_is_of_order() {
        assert_eq!(alike_percent(&[1, 2, 3, 4], &[1, 2, 3, 4]), 100);
        assert_eq!(alike_percent(&[1, 2, 3, 4], &[4, 3, 2, 1]), 25);
        assert_eq!(alike_percent(&[1, 2, 3], &[1, 2, 3, 4, 5]), 75);
        assert_eq!(alike_percent(&[], &[]), 0);
    }

    #[test]
    fn clients_are_told_by_their_name() {
        let system = |text| vendor_class(text).map(|hint| (hint.fits.first().copied(), hint.weight));
        assert_eq!(system("android-dhcp-13"), Some((Some(Phone), 2)));
        assert_eq!(system("msft 5.0"), Some((Some(Computer), 3)));
        assert_eq!(system("udhcp 1.36.1"), Some((Some(Iot), 1)));
        assert_eq!(system("android-client"), None);
        assert_eq!(system(""), None);
        assert_eq!(system("MSFT\u{e9}"), None);
    }
}
