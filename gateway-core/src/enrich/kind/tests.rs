#![allow(clippy::unwrap_used, reason = "tests panic on purpose")]

use super::*;
use crate::units::{Mac, WallTime};
use core::net::Ipv4Addr;

const NOTHING: DeviceSigns<'_> = DeviceSigns {
    vendor_class: None,
    parameter_list: None,
    hostname: None,
    vendor: Vendor::Unknown,
    names: &[],
};
const ANDROID_10: &str = "1,3,6,15,26,28,51,58,59,43";
const WINDOWS: &str = "1,3,6,15,31,33,43,44,46,47,119,121,249,252";

fn names(texts: &[&str]) -> Vec<DomainName> {
    texts.iter().map(|text| DomainName::parse(text).unwrap()).collect()
}

#[track_caller]
fn check(
    signs: &DeviceSigns<'_>,
    kind: Option<DeviceKind>,
    make: Option<&str>,
    confidence: Confidence,
) -> Verdict {
    let verdict = infer(signs).unwrap();
    assert_eq!((verdict.kind, verdict.make, verdict.confidence), (kind, make, confidence), "{verdict:#?}");
    verdict
}

#[test]
fn signs_of_three_sorts_make_it_certain() {
    let names = names(&["connect.rom.miui.com", "data.mistat.intl.xiaomi.com"]);
    let redmi = DeviceSigns {
        vendor_class: Some("android-dhcp-10"),
        parameter_list: Some(ANDROID_10),
        hostname: Some("Redmi-Note-8"),
        vendor: Vendor::Known("Xiaomi Communications"),
        names: &names,
    };
    let verdict = check(&redmi, Some(DeviceKind::Phone), Some("Xiaomi"), Confidence::Certain);
    assert_eq!(verdict.model.as_deref(), Some("Redmi Note 8"));
    assert!(verdict.because.iter().all(|because| !because.is_against && !because.source.is_empty()));
    assert_eq!(verdict.because.len(), 5);
}

#[test]
fn dhcp_alone_makes_it_likely() {
    let phone =
        DeviceSigns { vendor_class: Some("android-dhcp-10"), parameter_list: Some(ANDROID_10), ..NOTHING };
    check(&phone, Some(DeviceKind::Phone), None, Confidence::Likely);
    let computer = DeviceSigns { parameter_list: Some(WINDOWS), ..NOTHING };
    check(&computer, Some(DeviceKind::Computer), None, Confidence::Likely);
}

#[test]
fn a_hostname_alone_is_a_hint() {
    let named = DeviceSigns { hostname: Some("Redmi-Note-8"), ..NOTHING };
    check(&named, Some(DeviceKind::Phone), Some("Xiaomi"), Confidence::Hint);
}

#[test]
fn a_randomised_address_is_told_by_the_rest() {
    let names = names(&["captive.apple.com", "17-courier.push.apple.com", "time-ios.apple.com"]);
    let iphone = DeviceSigns {
        parameter_list: Some("1,121,3,6,15,108,114,119,252"),
        hostname: Some("iPhone"),
        vendor: Vendor::Randomised,
        names: &names,
        ..NOTHING
    };
    let verdict = check(&iphone, Some(DeviceKind::Phone), Some("Apple"), Confidence::Likely);
    assert_eq!(verdict.model.as_deref(), Some("iPhone"));
}

#[test]
fn contradictions_lower_the_confidence_and_are_listed() {
    // A computer with Windows whose owner calls it a phone.
    let liar = DeviceSigns {
        vendor_class: Some("MSFT 5.0"),
        parameter_list: Some(WINDOWS),
        hostname: Some("iPhone"),
        vendor: Vendor::Known("Intel Corporate"),
        ..NOTHING
    };
    let honest = DeviceSigns { hostname: Some("thinkpad"), ..liar };
    check(&honest, Some(DeviceKind::Computer), None, Confidence::Likely);
    let verdict = check(&liar, Some(DeviceKind::Computer), None, Confidence::Hint);
    let against: Vec<_> = verdict.because.iter().filter(|because| because.is_against).collect();
    assert_eq!(against.len(), 1);
    assert_eq!(against.first().unwrap().sign, Sign::Hostname);
    assert_eq!(verdict.model, None, "what speaks against the kind names no model");
}

#[test]
fn makers_that_contradict_each_other_are_none() {
    let strange = DeviceSigns {
        hostname: Some("Redmi-Note-8"),
        vendor: Vendor::Known("Samsung Electronics"),
        ..NOTHING
    };
    let verdict = check(&strange, Some(DeviceKind::Phone), None, Confidence::Likely);
    assert_eq!(verdict.model, None);
}

#[test]
fn signs_that_disagree_give_no_kind_and_are_listed() {
    let odd = DeviceSigns {
        vendor_class: Some("android-dhcp-10"),
        vendor: Vendor::Known("Intel Corporate"),
        ..NOTHING
    };
    let verdict = check(&odd, None, None, Confidence::Hint);
    assert_eq!(verdict.because.len(), 2);
}

#[test]
fn a_weak_sign_of_the_kind_and_another_of_the_maker_are_not_put_together() {
    let names = ["captive.apple.com"].map(|name| DomainName::parse(name).unwrap());
    let appliance = DeviceSigns { parameter_list: Some("1,3,6,12,15,28,42"), names: &names, ..NOTHING };
    check(&appliance, Some(DeviceKind::Iot), None, Confidence::Hint);
    let verdict = infer(&DeviceSigns { parameter_list: None, ..appliance }).unwrap();
    assert_eq!((verdict.kind, verdict.make), (None, Some("Apple")));
}

#[test]
fn a_maker_without_a_kind_is_said_as_that() {
    let names = names(&["captive.apple.com"]);
    let apple = DeviceSigns { vendor: Vendor::Known("Apple"), names: &names, ..NOTHING };
    check(&apple, None, Some("Apple"), Confidence::Likely);
    let one = DeviceSigns { vendor: Vendor::Known("Apple"), ..NOTHING };
    check(&one, None, Some("Apple"), Confidence::Hint);
}

#[test]
fn nothing_known_is_nothing_said() {
    assert_eq!(infer(&NOTHING), None);
    let names = names(&["www.example.com", "notcaptive.apple.com.example.com", "xconnect.rom.miui.com"]);
    let plain = DeviceSigns { hostname: Some("lena"), names: &names, vendor: Vendor::Randomised, ..NOTHING };
    assert_eq!(infer(&plain), None);
}

fn candidate(mac: u8, hostname: &str) -> Candidate {
    Candidate {
        mac: Mac([mac, 0, 0, 0, 0, 1]),
        hostname: Some(hostname.to_owned()),
        kind: Some(DeviceKind::Phone),
        parameter_list: Some(ANDROID_10.to_owned()),
    }
}

#[test]
fn two_addresses_are_offered_as_one_with_reasons() {
    let (made_up, real) = (candidate(0x02, "Lenas-Redmi"), candidate(0x7c, "lenas-redmi"));
    let offered = offer(&made_up, &real, || false).unwrap();
    assert_eq!((offered.into, offered.other), (real.mac, made_up.mac));
    assert_eq!(offered.because.len(), 5, "{:?}", offered.because);
    assert_eq!(offer(&made_up, &real, || true), None, "seen together");
    let other_kind = Candidate { kind: Some(DeviceKind::Tablet), ..made_up.clone() };
    let other_system = Candidate { parameter_list: Some(WINDOWS.to_owned()), ..made_up.clone() };
    let nameless = Candidate { hostname: None, ..made_up.clone() };
    for other in [candidate(0x02, "Karls-Redmi"), other_kind, other_system, nameless] {
        assert_eq!(offer(&other, &real, || false), None, "{other:?}");
    }
    assert_eq!(
        offer(&candidate(0x02, "iPhone"), &candidate(0x06, "iPhone"), || false),
        None,
        "a common name"
    );
    assert_eq!(
        offer(&candidate(0x00, "lena"), &candidate(0x04, "lena"), || false),
        None,
        "two real addresses"
    );
}

#[test]
fn several_devices_behind_one_address_are_seen() {
    let asker = |last: u8, from: i64, to: i64| {
        (
            Ipv4Addr::new(192, 168, 1, last),
            WallTime(from * 3_600_000_000_000),
            WallTime(to * 3_600_000_000_000),
        )
    };
    let said = |askers: &[(Ipv4Addr, WallTime, WallTime)], hostnames: &[(&str, u64)]| {
        let hostnames = hostnames.iter().map(|(name, times)| ((*name).to_owned(), *times)).collect();
        shared(&SharedSigns { askers: askers.to_vec(), hostnames })
            .map(|shared| (shared.at_least, shared.confidence))
    };
    assert_eq!(said(&[], &[]), None);
    assert_eq!(said(&[asker(1, 0, 9)], &[("a", 5)]), None);
    assert_eq!(said(&[asker(1, 0, 9), asker(2, 9, 20)], &[]), None, "it moved");
    assert_eq!(said(&[asker(1, 0, 9), asker(2, 3, 6)], &[]), Some((2, Confidence::Hint)));
    let three = [asker(1, 0, 9), asker(2, 3, 6), asker(3, 4, 20)];
    assert_eq!(said(&three, &[]), Some((3, Confidence::Certain)));
    assert_eq!(said(&[], &[("a", 1), ("b", 1)]), None, "it was renamed");
    assert_eq!(said(&[], &[("a", 2), ("b", 2)]), Some((2, Confidence::Hint)));
    assert_eq!(said(&[], &[("a", 1), ("b", 1), ("c", 1)]), Some((3, Confidence::Likely)));
    assert_eq!(said(&[asker(1, 0, 9), asker(2, 3, 6)], &[("a", 2), ("b", 2)]), Some((2, Confidence::Likely)));
}
