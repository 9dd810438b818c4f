//! Devices: merging, and what the commands say of them.
#![allow(clippy::unwrap_used, reason = "tests panic on purpose")]

mod fixture;

use fixture::house::House;
use fixture::{LAPTOP, PHONE, REDMI, addr, balance, batch, evening, key, name, row};
use gateway_core::query::{DeviceMatch, Filter, TimeRange};
use gateway_core::row::{Answer, Batch, DeviceFact, Evidence};
use gateway_core::units::{BootTime, Mac};
use gateway_user::store::{Merged, Reader, Writer};
use std::path::Path;

const TOASTER: Mac = Mac([0x00, 0, 0, 0, 0, 0x77]);

fn store(batches: &[Batch]) -> (tempfile::TempDir, std::path::PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("t.db");
    let mut writer = Writer::open(&path).unwrap();
    for batch in batches {
        writer.append(batch).unwrap();
    }
    (directory, path)
}

fn reader(path: &Path) -> Reader {
    Reader::open(path).unwrap().unwrap()
}

fn called(device: Mac, hostname: &str, source: &'static str) -> DeviceFact {
    DeviceFact {
        device,
        hostname: Some(hostname.to_owned()),
        hostname_source: Some(source),
        vendor_class: Some("android-dhcp-13".to_owned()),
        parameter_list: Some("1,3,6,15,26,28,51,58,59,43,114,108".to_owned()),
        addr: None,
    }
}

/// Everything that readers answer, as text: what must be equal after merging and taking it back.
fn all(path: &Path) -> String {
    let reader = reader(path);
    let filter = Filter::default();
    format!(
        "{:#?}{:#?}{:#?}{:#?}",
        reader.devices().unwrap(),
        reader.flows(TimeRange::EVER, &filter).unwrap(),
        reader.aliases().unwrap(),
        reader.answers(&filter).unwrap()
    )
}

#[test]
fn merged_devices_are_one_everywhere_and_unmerging_restores() {
    let mut batches = evening();
    // Both devices contact the same peer in the same way: two rows that become one.
    let mut last = batch(70);
    let said = Some(("www.google.com", Evidence::QuicSni));
    last.rows =
        vec![row(key(LAPTOP, "142.250.1.1", said), 10, 20, 1), row(key(REDMI, "142.250.1.1", said), 5, 6, 2)];
    last.rows.sort_by(|a, b| a.key.cmp(&b.key));
    last.answers = [LAPTOP, REDMI]
        .map(|device| Answer {
            device,
            asker_ipv4: None,
            addr: addr("142.250.1.1"),
            name: name("www.google.com"),
            chain: Vec::new(),
            answered_at: last.interval.began_boot,
            vouches_until: BootTime(last.interval.began_boot.0 + 60_000_000_000),
            ttl_secs: 60,
        })
        .to_vec();
    balance(&mut last, &[]);
    batches.push(last);
    let (_directory, path) = store(&batches);
    let before = all(&path);
    let stored = reader(&path).stored(TimeRange::EVER).unwrap();

    let mut writer = Writer::open(&path).unwrap();
    assert_eq!(writer.merge(REDMI, LAPTOP).unwrap(), Merged::Now);
    assert_eq!(writer.merge(LAPTOP, REDMI).unwrap(), Merged::Before);
    assert_eq!(writer.merge(REDMI, TOASTER).unwrap(), Merged::NeverSeen(TOASTER));
    // A part's name stands for the whole, and a device with parts may become a part itself.
    assert_eq!(writer.merge(PHONE, LAPTOP).unwrap(), Merged::Now);
    let reader_of_merged = reader(&path);
    let devices = reader_of_merged.devices().unwrap();
    assert_eq!(devices.len(), 1);
    let one = devices.first().unwrap();
    assert_eq!((one.mac, one.merged.len()), (PHONE, 2));
    assert_eq!(one.addrs.len(), 2);
    assert_eq!(one.hostname.as_deref(), Some("ada"), "what it does not say itself a part says");
    let flows = reader_of_merged.flows(TimeRange::EVER, &Filter::default()).unwrap();
    assert!(flows.iter().all(|flow| flow.key.device == PHONE));
    assert!(flows.windows(2).all(|pair| pair[0].key < pair[1].key), "no key twice");
    let sum = flows.iter().map(|flow| flow.volume.bytes()).sum::<u64>();
    assert_eq!(sum, stored.bytes(), "no byte is lost");
    assert!(reader_of_merged.aliases().unwrap().iter().all(|alias| alias.device == PHONE));
    assert_eq!(reader_of_merged.answers(&Filter::default()).unwrap().len(), 1);
    for pick in [DeviceMatch::Mac(LAPTOP), DeviceMatch::Mac(PHONE), DeviceMatch::Called("ada".to_owned())] {
        let filter = Filter { devices: vec![pick.clone()], ..Filter::default() };
        assert_eq!(reader_of_merged.flows(TimeRange::EVER, &filter).unwrap().len(), flows.len(), "{pick}");
        assert!(pick.picks(one));
    }
    // What is written meanwhile is written as ever.
    let mut later = batch(71);
    later.rows = vec![row(key(LAPTOP, "142.250.1.1", said), 1, 1, 1)];
    balance(&mut later, &[]);
    writer.append(&later).unwrap();
    assert_eq!(reader(&path).devices().unwrap().len(), 1);

    assert_eq!(writer.unmerge(LAPTOP).unwrap(), 1);
    assert_eq!(writer.unmerge(LAPTOP).unwrap(), 0);
    assert_eq!(writer.unmerge(PHONE).unwrap(), 1, "the whole, with what is left in it");
    drop(writer);
    let (_other, without) = store(&[&batches[..], std::slice::from_ref(&later)].concat());
    assert_eq!(all(&path), all(&without));
    assert_ne!(all(&path), before);
}

#[test]
fn a_lease_names_whom_no_packet_named() {
    let mut first = batch(1);
    first.devices = vec![called(REDMI, "by-mdns", "mdns"), called(LAPTOP, "by-dhcp", "dhcp")];
    let mut second = batch(2);
    second.devices = vec![called(REDMI, "by-lease", "leases"), called(LAPTOP, "by-lease", "leases")];
    let (_directory, path) = store(&[first, second]);
    let reader = reader(&path);
    let names: Vec<_> =
        reader.devices().unwrap().into_iter().map(|device| device.hostname.unwrap()).collect();
    assert_eq!(names, ["by-dhcp", "by-lease"]);
    assert_eq!(reader.hostnames().unwrap().len(), 4, "every name that was heard is kept");
}

#[test]
fn addresses_that_may_be_one_device_are_offered_and_merged_on_request() {
    let house = House::evening();
    let mut writer = Writer::open(&house.database()).unwrap();
    let (one, other) = (Mac([0xda, 0, 0, 0, 0, 1]), Mac([0xda, 0, 0, 0, 0, 2]));
    for (turn, device) in [(80, one), (81, other)] {
        let mut batch = batch(turn);
        batch.rows = vec![row(key(device, "47.241.1.5", None), 1_000, 100, 1)];
        batch.devices = vec![called(device, "Lenas-Redmi-Note-8", "dhcp")];
        balance(&mut batch, &[]);
        writer.append(&batch).unwrap();
    }
    let said = |args: &[&str]| {
        let output = house.run(args);
        assert_eq!(output.status.code(), Some(0), "{args:?} {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let offer = "telltale devices merge da:00:00:00:00:01 da:00:00:00:00:02";
    assert!(said(&["devices"]).contains(offer));
    let shown = said(&["devices", "show", "da:00:00:00:00:02"]);
    assert!(shown.contains(offer) && shown.contains("never seen at the same time"), "{shown}");
    assert!(shown.contains("phone (likely), because"), "{shown}");
    assert!(said(&["devices", "merge", "da:00:00:00:00:01", "da:00:00:00:00:02"]).contains("unmerge"));
    let after = said(&["devices"]);
    assert!(
        !after.contains("may be one device") && after.contains("da:00:00:00:00:01 (made up) +1"),
        "{after}"
    );
    assert!(
        said(&["top", "devices", "--all", "--csv"]).contains("da:00:00:00:00:01,Lenas-Redmi-Note-8,2000,")
    );
    assert_eq!(
        house.run(&["devices", "merge", "da:00:00:00:00:01", "da:00:00:00:00:02"]).status.code(),
        Some(1)
    );
    assert!(
        said(&["devices", "unmerge", "Lenas-Redmi-Note-8"]).contains("1 MAC address stands for itself again")
    );
    assert_eq!(house.run(&["devices", "unmerge", "da:00:00:00:00:02"]).status.code(), Some(1));
    assert_eq!(house.run(&["devices", "show", "nobody"]).status.code(), Some(1));
    assert!(said(&["devices"]).contains(offer));
}

#[test]
fn a_repeater_is_said_to_hide_several_devices() {
    let house = House::evening();
    let mut writer = Writer::open(&house.database()).unwrap();
    let repeater = Mac([0x00, 0x1b, 0x21, 9, 9, 9]);
    for turn in 90..120 {
        let mut batch = batch(turn);
        batch.rows = vec![row(key(repeater, "47.241.1.5", None), 1_000, 100, 1)];
        let hostname = ["Galaxy-S21", "DESKTOP-4F7QK2M", "iPhone"][(turn % 3) as usize];
        batch.devices = vec![called(repeater, hostname, "dhcp")];
        batch.answers = (1..=3_u8)
            .map(|last| Answer {
                device: repeater,
                asker_ipv4: Some([192, 168, 1, last].into()),
                addr: addr("47.241.1.5"),
                name: name(&format!("n{turn}.example")),
                chain: Vec::new(),
                answered_at: batch.interval.began_boot,
                vouches_until: BootTime(batch.interval.began_boot.0 + 1_000_000_000),
                ttl_secs: 1,
            })
            .collect();
        balance(&mut batch, &[]);
        writer.append(&batch).unwrap();
    }
    let output = house.run(&["devices", "show", &repeater.to_string()]);
    let shown = String::from_utf8(output.stdout).unwrap();
    for words in [
        "3 or more devices speak through it (certain), because",
        "3 IPv4 addresses asked the DNS through it in the same time",
        "it called itself 3 names by DHCP, by turns",
    ] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    assert!(!shown.contains("phone"), "nothing is said of one kind: {shown}");
    let json = house.run(&["devices", "show", &repeater.to_string(), "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["devices"][0]["shared"]["at_least"], 3);
    assert!(json["devices"][0]["verdict"].is_null());
}
