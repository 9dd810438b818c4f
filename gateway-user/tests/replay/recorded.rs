//! A recorded evening of one phone, in every container: counted here by hand and there by the table.

use crate::writer::{Caught, Kind, Order, enhanced, gzip, interface, pcap, section};
use gateway_common::{KernelStat, SampleKind};
use gateway_core::drained::Drained;
use gateway_core::pipeline::{Pipeline, PipelineConfig};
use gateway_core::units::Mac;
use gateway_user::replay::capture::Capture;
use gateway_user::replay::conversations::Conversations;
use gateway_user::replay::listing::Lister;
use gateway_user::replay::table::{MAX_CONVERSATIONS, Rules, Sample, Table};
use gateway_user::replay::{Downstream, feed};
use std::io::Cursor;

const PHONE: [u8; 6] = [0x7c, 0x03, 0xab, 0x12, 0x34, 0x56];
const GATEWAY: [u8; 6] = [0x02, 0xaa, 0, 0, 0, 1];

/// The recording's frames, by a reader that knows this one file.
pub fn recording() -> Vec<Caught> {
    let file = include_bytes!("../captures/phone.pcap");
    let number = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
    assert_eq!((number(0), number(20)), (0xa1b2_3c4d, 1), "nanoseconds, Ethernet");
    let (mut at, mut frames) = (24, Vec::new());
    while at < file.len() {
        let len = number(at + 8) as usize;
        let bytes = file[at + 16..at + 16 + len].to_vec();
        let time = u64::from(number(at)) * 1_000_000_000 + u64::from(number(at + 4));
        frames.push(Caught { at: time, wire_len: number(at + 12), bytes });
        at += 16 + len;
    }
    frames
}

/// IP bytes by the packets' own length fields, where both ends are single machines.
pub fn by_hand(sender: [u8; 6]) -> (u64, u64) {
    let (mut packets, mut bytes) = (0, 0);
    for Caught { bytes: frame, .. } in recording() {
        if frame[6..12] != sender || frame[0] & 1 != 0 {
            continue;
        }
        let field = |at: usize| u64::from(u16::from_be_bytes([frame[at], frame[at + 1]]));
        bytes += match field(12) {
            0x0800 => field(16),
            0x86dd => 40 + field(18),
            _ => continue,
        };
        packets += 1;
    }
    (packets, bytes)
}

#[derive(Default)]
struct Ear {
    intervals: Vec<Drained>,
    kinds: Vec<SampleKind>,
}

impl Downstream for Ear {
    fn note(&mut self, counter: &'static str, events: u64) {
        panic!("a whole capture is noted as {counter} {events}");
    }
    fn sample(&mut self, sample: &Sample<'_>) {
        self.kinds.push(sample.header.kind);
    }
    fn drained(&mut self, drained: Drained) -> anyhow::Result<()> {
        self.intervals.push(drained);
        Ok(())
    }
}

fn replay(file: Vec<u8>, gateway: Option<Mac>) -> Ear {
    let rules = Rules {
        local: ["192.168.0.0/16", "fc00::/7", "fe80::/10"].map(|p| p.parse().unwrap()).to_vec(),
        gateway,
        drain_every_secs: 30,
        max_conversations: MAX_CONVERSATIONS,
    };
    let mut capture = Capture::from_reader(Box::new(Cursor::new(file))).unwrap();
    let mut ear = Ear::default();
    let fed = feed(&mut capture, &mut Table::new(rules, String::new(), 0), &mut ear).unwrap();
    assert!(fed.cut.is_none());
    assert_eq!(fed.frames, recording().len() as u64);
    ear
}

/// Up and down packets and bytes of one device, and of all others.
fn sums(ear: &Ear, device: [u8; 6]) -> ([u64; 4], [u64; 4]) {
    let (mut own, mut others) = ([0; 4], [0; 4]);
    for flow in ear.intervals.iter().flat_map(|interval| &interval.flows) {
        let sum = if flow.key.device_mac() == device { &mut own } else { &mut others };
        for (total, part) in
            sum.iter_mut().zip([flow.up_packets, flow.up_bytes, flow.down_packets, flow.down_bytes])
        {
            *total += part;
        }
    }
    (own, others)
}

/// The recording in pcapng with each frame's link header replaced.
fn relinked(link: u16, header: impl Fn(&[u8]) -> Option<Vec<u8>>) -> Vec<u8> {
    let mut file = section(Order::Big);
    file.extend(interface(Order::Big, link, 0, Some(9), None));
    for Caught { at, bytes, .. } in recording() {
        let Some(mut frame) = header(&bytes) else { continue };
        frame.extend(&bytes[14..]);
        file.extend(enhanced(Order::Big, 0, at, frame.len() as u32, &frame));
    }
    file
}

#[test]
fn the_table_agrees_with_a_count_by_hand() {
    let ((up_packets, up_bytes), (down_packets, down_bytes)) = (by_hand(PHONE), by_hand(GATEWAY));
    assert!(up_bytes > 12_000 && down_bytes > 60_000, "{up_bytes} {down_bytes}");
    let expected = [up_packets, up_bytes, down_packets, down_bytes];
    let same = |order, kind| pcap(order, kind, 1, &recording());
    for file in [
        include_bytes!("../captures/phone.pcap").to_vec(),
        gzip(include_bytes!("../captures/phone.pcap")),
        same(Order::Big, Kind::Micros),
        same(Order::Little, Kind::Modified),
        relinked(1, |frame| Some(frame[..14].to_vec())),
    ] {
        for gateway in [None, Some(Mac(GATEWAY))] {
            assert_eq!(sums(&replay(file.clone(), gateway), PHONE), (expected, [0; 4]));
        }
    }
}

#[test]
fn without_link_addresses_each_ip_address_is_a_device() {
    let cooked = |frame: &[u8]| {
        let mut header = vec![0, 0, 0, 1, 0, 6];
        header.extend(&frame[6..12]);
        header.extend([0, 0, frame[12], frame[13]]);
        Some(header)
    };
    let whole = replay(relinked(113, cooked), None);
    let (first, _) = sums(&whole, [2, 4, 192, 168, 7, 20]);
    let devices: std::collections::BTreeSet<_> =
        whole.intervals.iter().flat_map(|i| &i.flows).map(|flow| flow.key.device_mac()).collect();
    // The phone, and the gateway too: it asked the phone's addresses first, and nothing here shows a router.
    let (gateway_v4, gateway_v6, phone_v6) =
        ([2, 4, 192, 168, 7, 1], [2, 6, 0xfd, 7, 0, 1], [2, 6, 0xfd, 7, 0, 8]);
    assert_eq!(
        devices.into_iter().collect::<Vec<_>>(),
        [gateway_v4, [2, 4, 192, 168, 7, 20], gateway_v6, phone_v6]
    );
    let total: u64 = whole.intervals.iter().flat_map(|i| &i.flows).map(|f| f.up_bytes + f.down_bytes).sum();
    assert_eq!(total, by_hand(PHONE).1 + by_hand(GATEWAY).1);
    assert!(first[1] > 12_000 && first[3] > 30_000);
}

#[test]
fn every_packet_that_teaches_is_sampled() {
    let ear = replay(include_bytes!("../captures/phone.pcap").to_vec(), None);
    let count = |kind| ear.kinds.iter().filter(|k| **k == kind).count();
    // Three questions and their answers; discover, offer, request, acknowledgement; two hellos and a request.
    assert_eq!(count(SampleKind::DNS), 6);
    assert_eq!(count(SampleKind::DHCP), 4);
    assert_eq!(count(SampleKind::TLS), 2);
    assert_eq!(count(SampleKind::HTTP), 1);
    let stat = |stat| ear.intervals.iter().map(|i| i.stats.get(stat)).sum::<u64>();
    assert_eq!(stat(KernelStat::NamesSampled) + stat(KernelStat::HellosSampled), ear.kinds.len() as u64);
    assert_eq!(stat(KernelStat::ArpPackets), 5);
}

/// Every conversation of a capture whose peer port is one of these: destination, port, name, evidence, protocol and
/// what must be said of its name.
fn named(file: &[u8], ports: &[u64]) -> Vec<String> {
    let mut capture = Capture::from_reader(Box::new(Cursor::new(file.to_vec()))).unwrap();
    let mut out = Vec::new();
    let pipeline = Pipeline::new(PipelineConfig::default());
    let mut lister = Lister::new(pipeline, Conversations::default(), Vec::new(), &mut out);
    feed(&mut capture, &mut Table::by_initiator(30, "replay:test".to_owned()), &mut lister).unwrap();
    lister.finish().unwrap();
    let lines = String::from_utf8(out).unwrap();
    assert!(!lines.contains("hidden-inside"), "{lines}");
    let flows = lines.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let mut named: Vec<_> = flows
        .filter(|flow| ports.contains(&flow["dport"].as_u64().unwrap()))
        .map(|flow| {
            let text = |field: &str| flow[field].as_str().unwrap_or("-").to_owned();
            let outer = if flow["marks"].to_string().contains("outer_name") { " outer" } else { "" };
            let (dst, name, how, what) =
                (text("dst"), text("domain"), text("domain_source"), text("application"));
            format!("{dst} {} {name} {how} {what}{outer}", flow["dport"])
        })
        .collect();
    named.sort();
    named
}

#[test]
fn what_real_clients_say_is_read() {
    macro_rules! capture {
        ($name:literal) => {
            &include_bytes!(concat!("../captures/", $name, ".pcap"))[..]
        };
    }
    let cases: [(&[u8], &[u64], &[&str]); 7] = [
        (
            capture!("tls13-post-quantum"),
            &[8443],
            &[
                "198.51.100.20 8443 tls13-0.redmi.names.example tls_sni tls",
                "2001:db8:beef::23 8443 tls13-1.redmi.names.example tls_sni tls",
            ],
        ),
        (
            capture!("tls12"),
            &[443],
            &[
                "198.51.100.26 443 tls12-1.redmi.names.example tls_sni tls",
                "2001:db8:beef::22 443 tls12-0.redmi.names.example tls_sni tls",
            ],
        ),
        (
            capture!("ech"),
            &[8443],
            &[
                "198.51.100.25 8443 outer-0.redmi.names.example tls_sni tls outer",
                "198.51.100.31 8443 grease-1.redmi.names.example tls_sni tls outer",
                "2001:db8:beef::27 8443 grease-0.redmi.names.example tls_sni tls outer",
                "2001:db8:beef::28 8443 outer-1.redmi.names.example tls_sni tls outer",
            ],
        ),
        (
            capture!("quic-post-quantum"),
            &[443],
            &["198.51.100.30 443 quic-0.redmi.names.example quic_sni quic"],
        ),
        (
            capture!("quic-v2"),
            &[443],
            &[
                "198.51.100.36 443 quic2-1.redmi.names.example quic_sni quic",
                "2001:db8:beef::2c 443 quic2-0.redmi.names.example quic_sni quic",
            ],
        ),
        (
            capture!("dns-over-tcp"),
            &[7000],
            &[
                "198.51.100.28 7000 told8.v4.redmi.names.example dns unknown",
                "2001:db8:beef::34 7000 told20.v6.redmi.names.example dns unknown",
            ],
        ),
        (
            capture!("http"),
            &[80],
            &[
                "198.51.100.35 80 http-0.redmi.names.example http_host http",
                "2001:db8:beef::32 80 http-1.redmi.names.example http_host http",
            ],
        ),
    ];
    for (file, ports, expected) in cases {
        assert_eq!(named(file, ports), expected);
    }
}
