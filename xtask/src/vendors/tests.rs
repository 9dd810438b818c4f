#![allow(clippy::unwrap_used, reason = "tests panic on purpose")]

use super::*;

const LIST: &str = "# a comment\n\n\
    7C:03:AB\t\tXiaomi Communications Co Ltd\n\
    64:11:11\tXiaomi\tXIAOMI Communications Co.,Ltd\n\
    7C:03:AC\t\tXiaomi Communications Co Ltd\n\
    00:55:DA\t\tIEEE Registration Authority\n\
    00:55:DA:10:00:00/28\t\tKoolPOS Inc.\n\
    00:55:DA:20:00:00/28\t\tXiaomi Communications Co Ltd\n\
    00:1B:C5:00:10:00/36\t\tOpenRB.com, Direct SIA\n\
    7C:03:AC:30:00:00/28\t\tSomebody Else GmbH\n\
    02:07:01\t\tRacal-Datacom\n";

fn vendor(table: &VendorTable, mac: &str) -> Option<String> {
    table.vendor_of(mac.parse().unwrap()).name().map(str::to_owned)
}

#[test]
fn the_small_table_says_less_and_nothing_else() {
    let registry = spelled_alike(read::list(LIST).unwrap());
    let kept = choose::vendors(&registry);
    assert_eq!(kept, ["Xiaomi Communications"]);
    let date = jiff::civil::date(2026, 10, 1);
    let whole = table_of(date, whole(&registry)).unwrap();
    let small = table_of(date, small(&registry, &kept)).unwrap();
    assert_eq!(whole.as_of().to_string(), "2026-10-01");
    for table in [&whole, &small] {
        check_truth(table, &registry).unwrap();
        for xiaomi in ["7c:03:ab:00:00:00", "64:11:11:ff:ff:ff", "00:55:da:2f:00:00", "7c:03:ac:00:00:01"] {
            assert_eq!(vendor(table, xiaomi).as_deref(), Some("Xiaomi Communications"), "{xiaomi}");
        }
        for unknown in ["00:55:da:30:00:00", "02:07:01:00:00:00", "00:00:00:00:00:00"] {
            assert_eq!(vendor(table, unknown), None, "{unknown}");
        }
    }
    assert_eq!(vendor(&whole, "00:55:da:10:00:00").as_deref(), Some("KoolPOS"));
    assert_eq!(vendor(&small, "00:55:da:10:00:00"), None);
    assert_eq!(vendor(&whole, "00:1b:c5:00:1f:ff").as_deref(), Some("OpenRB.com, Direct SIA"));
    assert_eq!(vendor(&whole, "7c:03:ac:30:00:00").as_deref(), Some("Somebody Else"));
    assert_eq!(vendor(&small, "7c:03:ac:30:00:00"), None, "the block around it must not answer");
}

#[test]
fn lines_that_are_none_are_refused() {
    for bad in ["7C:03\t\tX", "7C:03:AB/20\t\tX", "7C:03:ZZ\t\tX", "7C:03:AB", "00:55:DA/28\t\tX"] {
        assert!(read::list(bad).is_err(), "{bad:?}");
    }
    assert!(read::list("7C:03:AB\t\tX\n7C:03:AB\t\tY\n").is_err(), "twice");
}

#[test]
fn legal_forms_go() {
    for (full, short) in [
        ("Apple, Inc.", "Apple"),
        ("Samsung Electronics Co.,Ltd", "Samsung Electronics"),
        ("Guangdong Oppo Mobile Telecommunications Corp.,Ltd", "Guangdong Oppo Mobile Telecommunications"),
        ("Motorola Mobility LLC, a Lenovo Company", "Motorola Mobility LLC, a Lenovo"),
        ("GMC Guardian Mobility Corporation", "GMC Guardian Mobility"),
        ("Intel Corporate", "Intel Corporate"),
        ("Company", "Company"),
        ("Mi GmbH & Co. KG", "Mi"),
        ("Acme (Pvt) Ltd.", "Acme"),
        ("  two   spaces  Co", "two spaces"),
    ] {
        assert_eq!(name::without_legal_form(full), short, "{full}");
    }
}
