//! `telltale replay` as people run it: what it prints and how it ends.

use crate::recorded::by_hand;
use crate::writer::{Caught, Kind, Order, enhanced, gzip, interface, pcap, section, udp, up};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

const PHONE: [u8; 6] = [0x7c, 0x03, 0xab, 0x12, 0x34, 0x56];
const GATEWAY: [u8; 6] = [0x02, 0xaa, 0, 0, 0, 1];

/// A directory with files to replay, and an empty configuration.
struct Bench {
    dir: tempfile::TempDir,
}

/// How it ended.
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Bench {
    fn new() -> Self {
        let bench = Self { dir: tempfile::tempdir().unwrap() };
        bench.file("telltale.toml", b"");
        bench.file("phone.pcap", include_bytes!("../captures/phone.pcap"));
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn file(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    fn replay(&self, capture: &str, flags: &[&str]) -> Ended {
        self.replay_from(capture, flags, b"")
    }

    fn replay_from(&self, capture: &str, flags: &[&str], stdin: &[u8]) -> Ended {
        let mut child = Command::new(env!("CARGO_BIN_EXE_telltale"))
            .args(["replay", capture, "--config", "telltale.toml"])
            .args(flags)
            .current_dir(self.dir.path())
            .env("TZ", "UTC")
            .env("TMPDIR", self.dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A program that does not want its input may be gone already.
        let _ = child.stdin.take().unwrap().write_all(stdin);
        let output = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ended { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    fn names(&self) -> Vec<String> {
        let name =
            |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
        let mut names: Vec<_> = std::fs::read_dir(self.dir.path()).unwrap().map(name).collect();
        names.sort();
        names
    }
}

#[test]
fn a_recorded_phone_becomes_a_report() {
    let bench = Bench::new();
    let Ended { code, out, err } = bench.replay("phone.pcap", &[]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    for told in [
        "RedmiNote8-Redmi (7c:03:ab:12:34:56)",
        "data.mistat.intl.xiaomi.com",
        "also known to the DNS as sg.api.example",
        "www.example.org",
        "six.example.org",
        if cfg!(any(feature = "tables-full", feature = "tables-small")) {
            "AS45102"
        } else {
            "Networks and countries unknown: there was no table of networks when this was measured"
        },
        "complete: yes",
    ] {
        assert!(out.contains(told), "{told} is missing:\n{out}");
    }
    assert_eq!(bench.names(), ["phone.pcap", "telltale.toml"], "the throw-away database is thrown away");
}

#[test]
fn the_report_has_every_byte() {
    let bench = Bench::new();
    let json = bench.replay("phone.pcap", &["--json"]).out;
    let report: serde_json::Value = serde_json::from_str(&json).unwrap();
    let sum = |field: &str| {
        let of = |part: &str| report["devices"][0][part][field].as_u64().unwrap();
        of("routed") + of("local")
    };
    assert_eq!(report["devices"].as_array().unwrap().len(), 1);
    assert_eq!((sum("up_packets"), sum("up_bytes")), by_hand(PHONE));
    assert_eq!((sum("down_packets"), sum("down_bytes")), by_hand(GATEWAY));
    // The same through a pipe, compressed, by the gateway's address.
    let piped = bench.replay_from(
        "-",
        &["--json", "--gateway-mac", "02:aa:00:00:00:01"],
        &gzip(include_bytes!("../captures/phone.pcap")),
    );
    assert_eq!((piped.code, piped.out), (Some(0), json));
}

#[test]
fn a_capture_is_counted_once_in_a_database() {
    let bench = Bench::new();
    let flags = ["--database", "kept.db", "--json"];
    let first = bench.replay("phone.pcap", &flags);
    assert_eq!((first.code, first.err.as_str()), (Some(0), ""));
    std::fs::rename(bench.path("phone.pcap"), bench.path("other.pcap")).unwrap();
    let again = bench.replay("other.pcap", &flags);
    assert_eq!((again.code, again.out), (Some(0), first.out));
    assert_eq!(
        again.err,
        "telltale: 1 of 1 intervals of this capture were in kept.db already and were not counted again\n"
    );
    let otherwise = bench.replay("other.pcap", &[&flags[..], &["--drain-every-secs", "10"]].concat());
    assert_eq!((otherwise.code, otherwise.out.as_str()), (Some(2), ""));
    assert!(otherwise.err.contains("choose another database") && otherwise.err.lines().count() == 1);
}

#[test]
fn a_capture_is_the_same_compressed_and_through_a_pipe() {
    let bench = Bench::new();
    let capture = include_bytes!("../captures/phone.pcap");
    bench.file("phone.pcap.gz", &gzip(capture));
    let flags = ["--database", "kept.db", "--json"];
    let first = bench.replay("phone.pcap", &flags);
    let there =
        "telltale: 1 of 1 intervals of this capture were in kept.db already and were not counted again\n";
    for again in [bench.replay("phone.pcap.gz", &flags), bench.replay_from("-", &flags, capture)] {
        assert_eq!((again.code, again.err.as_str()), (Some(0), there));
        assert_eq!(again.out, first.out);
    }
}

/// As many packets as asked, ten a second, of a hundred bytes each.
fn steady(packets: u64) -> Vec<u8> {
    let at = |n| 1_700_000_010_000_000_000 + n * 100_000_000;
    let caught: Vec<_> = (0..packets).map(|n| Caught::whole(at(n), up(17, &udp(1, 2, &[0; 58])))).collect();
    pcap(Order::Little, Kind::Nanos, 1, &caught)
}

#[test]
fn a_capture_that_has_grown_is_refused() {
    let bench = Bench::new();
    let flags = ["--database", "kept.db", "--json"];
    bench.file("short.pcap", &steady(700));
    bench.file("long.pcap", &steady(1_000));
    let first = bench.replay("short.pcap", &flags);
    assert_eq!((first.code, first.err.as_str()), (Some(0), ""));
    let grown = bench.replay("long.pcap", &flags);
    assert_eq!((grown.code, grown.out.as_str()), (Some(2), ""));
    assert!(grown.err.contains("has grown since") && grown.err.lines().count() == 1, "{}", grown.err);
    // Nothing was added.
    let again = bench.replay("short.pcap", &flags);
    assert_eq!((again.code, again.out), (Some(0), first.out));
}

#[track_caller]
fn fails(ended: &Ended, expected: &str) {
    assert_eq!(ended.code, Some(2), "{}", ended.err);
    assert_eq!(ended.err, format!("telltale: {expected}\n"));
}

#[test]
fn nonsense_is_one_line_and_exit_code_2() {
    let bench = Bench::new();
    bench.file("x.txt", b"Dear diary, no packets today.\n");
    bench.file("empty.pcap", b"");
    bench.file("private.pcap", &pcap(Order::Little, Kind::Micros, 147, &[]));
    let check = |capture: &str, expected: &str| {
        let ended = bench.replay(capture, &[]);
        assert_eq!(ended.out, "");
        fails(&ended, expected);
    };
    check("x.txt", "read the capture x.txt: not a pcap or pcapng file");
    check("empty.pcap", "read the capture empty.pcap: not a pcap or pcapng file: it is empty");
    check(".", "read the capture .: it is a directory; name a capture file");
    check("missing.pcap", "read the capture missing.pcap: No such file or directory (os error 2)");
    let unreadable = "link type 147 cannot be read; capture on an Ethernet interface, or with `tcpdump -i any`, \
                      which writes type 113 or 276";
    check("private.pcap", &format!("read the capture private.pcap: {unreadable}"));
    let unwritable = bench.replay("phone.pcap", &["--database", "x.txt/telltale.db"]);
    assert_eq!((unwritable.code, unwritable.err.lines().count()), (Some(2), 1), "{}", unwritable.err);
    let no_database = bench.replay("phone.pcap", &["--database", "x.txt"]);
    assert_eq!((no_database.code, no_database.err.lines().count()), (Some(2), 1), "{}", no_database.err);
}

#[test]
fn a_cut_capture_is_reported_and_fails() {
    let bench = Bench::new();
    let whole = include_bytes!("../captures/phone.pcap");
    bench.file("cut.pcap", &whole[..60_000]);
    let ended = bench.replay("cut.pcap", &[]);
    assert!(ended.out.contains("data.mistat.intl.xiaomi.com") && ended.out.contains("of note: capture_cut"));
    let note = "  note: of the capture this is the beginning only: cut short at byte 60000; everything before was used\n";
    assert!(ended.out.ends_with(note), "{}", ended.out);
    fails(&ended, "read the capture cut.pcap: cut short at byte 60000; everything before was used");
    // Nothing whole at all: no report.
    bench.file("head.pcap", &whole[..30]);
    let ended = bench.replay("head.pcap", &[]);
    assert_eq!(ended.out, "");
    fails(&ended, "read the capture head.pcap: cut short at byte 30; everything before was used");
}

#[test]
fn packets_that_cannot_be_read_are_told() {
    let bench = Bench::new();
    let Caught { at, wire_len, bytes } =
        Caught::whole(1_700_000_000_000_000_000, up(17, &udp(1, 2, &[0; 9])));
    let mut file = section(Order::Little);
    file.extend(interface(Order::Little, 1, 0, Some(9), None));
    file.extend(interface(Order::Little, 189, 0, Some(9), None));
    for link in [0, 1, 1] {
        file.extend(enhanced(Order::Little, link, at, wire_len, &bytes));
    }
    bench.file("usb.pcapng", &file);
    let ended = bench.replay("usb.pcapng", &[]);
    assert!(ended.out.contains("198.51.100.9") || ended.out.contains("no name"), "{}", ended.out);
    assert_eq!((ended.code, ended.err.lines().count()), (Some(2), 1));
    assert!(ended.err.contains("leave out 2 packets: link type 189 cannot be read"), "{}", ended.err);
}

#[test]
fn an_empty_capture_finds_nothing() {
    let bench = Bench::new();
    bench.file("quiet.pcap", &pcap(Order::Little, Kind::Micros, 1, &[]));
    let ended = bench.replay("quiet.pcap", &[]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""));
    assert_eq!(ended.err, "telltale: no packet of any device is in the capture quiet.pcap\n");
}

#[test]
fn conversations_go_to_the_output_or_a_file() {
    let bench = Bench::new();
    let Ended { code, out, err } = bench.replay("phone.pcap", &["--flows-json"]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    let flows: Vec<serde_json::Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let bytes =
        |of: &serde_json::Value| of["bytes_up"].as_u64().unwrap() + of["bytes_down"].as_u64().unwrap();
    let every_ip: u64 = crate::recorded::recording()
        .iter()
        .map(|frame| match frame.bytes[12..14] {
            [8, 0] => u64::from(u16::from_be_bytes([frame.bytes[16], frame.bytes[17]])),
            [0x86, 0xdd] => 40 + u64::from(u16::from_be_bytes([frame.bytes[18], frame.bytes[19]])),
            _ => 0,
        })
        .sum();
    assert_eq!(flows.iter().map(bytes).sum::<u64>(), every_ip, "every byte is in a conversation");
    assert!(flows.iter().any(|flow| flow["domain"] == "data.mistat.intl.xiaomi.com"), "{out}");
    let into_file = bench.replay("phone.pcap", &["--flows-json", "flows.jsonl"]);
    assert_eq!((into_file.code, into_file.out.as_str()), (Some(0), ""));
    assert_eq!(std::fs::read_to_string(bench.path("flows.jsonl")).unwrap(), out);
    // A capture where the output should go was meant as the input.
    bench.file("other.pcap", include_bytes!("../captures/phone.pcap"));
    let refused = bench.replay("phone.pcap", &["--flows-json", "other.pcap"]);
    fails(
        &refused,
        "write the conversations: other.pcap is a capture; name another file, or - for the output",
    );
    assert_eq!(bench.names(), ["flows.jsonl", "other.pcap", "phone.pcap", "telltale.toml"]);
}

#[test]
fn conversations_before_the_damage_are_listed() {
    let bench = Bench::new();
    bench.file("cut.pcap", &include_bytes!("../captures/phone.pcap")[..60_000]);
    let ended = bench.replay("cut.pcap", &["--flows-json", "-"]);
    assert!(ended.out.lines().count() > 5 && ended.out.ends_with("}\n"), "{}", ended.out);
    fails(&ended, "read the capture cut.pcap: cut short at byte 60000; everything before was used");
    bench.file("quiet.pcap", &pcap(Order::Little, Kind::Micros, 1, &[]));
    let ended = bench.replay("quiet.pcap", &["--flows-json"]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""));
    assert_eq!(ended.err, "telltale: no conversation is in the capture quiet.pcap\n");
}
