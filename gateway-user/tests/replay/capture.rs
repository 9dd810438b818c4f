//! Every container, written and read back; every cut and every byte of nonsense survived.

use crate::writer::{Caught, Kind, Order, block, enhanced, gzip, interface, obsolete, pcap, section, simple};
use gateway_user::replay::capture::{Capture, CaptureError, LinkType, MAX_FRAME_LEN, open};
use std::io::Cursor;
use std::path::Path;

const ORDERS: [Order; 2] = [Order::Little, Order::Big];
/// 2023-11-14T22:13:20Z and some.
const AT: u64 = 1_700_000_000_123_456_789;

/// Three frames of different lengths, the second cut by the snap length.
fn frames() -> Vec<Caught> {
    let frame = |n: u64, kept: usize, wire_len| Caught {
        at: AT + n * 1_000_000_000,
        wire_len,
        bytes: (0..kept).map(|i| (i as u64 * 7 + n) as u8).collect(),
    };
    vec![frame(0, 61, 61), frame(1, 96, 1514), frame(2, 0, 60)]
}

fn read(file: Vec<u8>) -> (Vec<(Caught, u16)>, Option<CaptureError>) {
    let mut found = Vec::new();
    let mut capture = match Capture::from_reader(Box::new(Cursor::new(file))) {
        Ok(capture) => capture,
        Err(error) => return (found, Some(error)),
    };
    loop {
        match capture.next_frame() {
            Ok(Some(frame)) => {
                let at = frame.at.0 as u64;
                let caught = Caught { at, wire_len: frame.wire_len, bytes: frame.bytes.to_vec() };
                found.push((caught, frame.link.0));
            }
            Ok(None) => return (found, None),
            Err(error) => return (found, Some(error)),
        }
    }
}

/// The file holds exactly these frames, as it is and compressed; and every prefix of it holds a prefix of them.
/// It may be cut unseen in as many places as there are `borders` between its records.
#[track_caller]
fn check(file: &[u8], expected: &[(Caught, u16)], borders: usize) {
    let mut unseen_cuts = 0;
    for file in [file.to_vec(), gzip(file)] {
        let (found, error) = read(file);
        assert!(error.is_none(), "{error:?}");
        assert_eq!(found, expected);
    }
    for len in 0..file.len() {
        let (found, error) = read(file.get(..len).unwrap().to_vec());
        assert!(expected.starts_with(&found), "a prefix of {len} bytes holds other frames");
        match error {
            None => unseen_cuts += 1,
            Some(CaptureError::Empty | CaptureError::NotACapture | CaptureError::CutShort { .. }) => {}
            Some(error) => panic!("{len}: {error:?}"),
        }
    }
    assert_eq!(unseen_cuts, borders);
}

fn on_link(link: u16, frames: Vec<Caught>) -> Vec<(Caught, u16)> {
    frames.into_iter().map(|frame| (frame, link)).collect()
}

/// The same with times rounded down to a unit.
fn rounded(unit: u64, mut frames: Vec<Caught>) -> Vec<Caught> {
    for frame in &mut frames {
        frame.at -= frame.at % unit;
    }
    frames
}

#[test]
fn every_classic_kind_is_read() {
    for order in ORDERS {
        for (kind, unit) in [(Kind::Micros, 1_000), (Kind::Nanos, 1), (Kind::Modified, 1_000)] {
            let file = pcap(order, kind, 1, &frames());
            check(&file, &on_link(1, rounded(unit, frames())), 3);
        }
    }
}

#[test]
fn the_length_of_a_check_sequence_is_no_part_of_the_link_type() {
    let file = pcap(Order::Little, Kind::Micros, 0x2400_0001, &frames());
    check(&file, &on_link(1, rounded(1_000, frames())), 3);
}

#[test]
fn every_packet_block_is_read() {
    for order in ORDERS {
        let micros = AT / 1_000;
        let mut file = section(order);
        file.extend(interface(order, 1, 96, None, None));
        // Nanoseconds, on another link; then 2^-20 s with an offset.
        file.extend(interface(order, 113, 0, Some(9), None));
        file.extend(interface(order, 101, 0, Some(0x80 | 20), Some(-3_600)));
        // Statistics and a block that nobody knows.
        file.extend(block(order, 5, &[0; 12]));
        file.extend(block(order, 0x0bad_beef, &[1; 40]));
        let mut expected = Vec::new();
        let mut expect = |at: u64, link, wire_len, bytes: &[u8]| {
            expected.push((Caught { at, wire_len, bytes: bytes.to_vec() }, link));
        };

        file.extend(enhanced(order, 0, micros, 70, b"microseconds"));
        expect(micros * 1_000, 1, 70, b"microseconds");
        file.extend(enhanced(order, 1, AT, 11, b"nanoseconds"));
        expect(AT, 113, 11, b"nanoseconds");
        file.extend(obsolete(order, 2, 1_700_003_600 << 20 | 1 << 19, 4, b"half"));
        expect(1_700_000_000_500_000_000, 101, 4, b"half");
        // No time of its own, and not more of it than the first interface keeps.
        file.extend(simple(order, 5, b"short"));
        expect(1_700_000_000_500_000_000, 1, 5, b"short");
        file.extend(simple(order, 1_400, &[9; 96]));
        expect(1_700_000_000_500_000_000, 1, 1_400, &[9; 96]);

        // Another section in the other byte order has interfaces of its own.
        let other = if order == Order::Little { Order::Big } else { Order::Little };
        file.extend(section(other));
        file.extend(interface(other, 276, 0, Some(3), None));
        file.extend(enhanced(other, 0, 1_700_000_001_250, 8, b"sections"));
        expect(1_700_000_001_250_000_000, 276, 8, b"sections");
        check(&file, &expected, 13);
    }
}

#[test]
fn impossible_times_stay_on_the_calendar() {
    for (resolution, offset, units) in
        [(0, 0, u64::MAX), (127, 0, u64::MAX), (255, i64::MIN, 0), (6, i64::MAX, u64::MAX)]
    {
        let mut file = section(Order::Little);
        file.extend(interface(Order::Little, 1, 0, Some(resolution), Some(offset)));
        file.extend(enhanced(Order::Little, 0, units, 4, b"when"));
        let (found, error) = read(file);
        assert!(error.is_none() && found.len() == 1, "{resolution} {offset}: {error:?}");
    }
}

#[test]
fn a_huge_length_is_refused_and_what_was_before_is_kept() {
    for claimed in [MAX_FRAME_LEN + 1, u32::MAX] {
        let mut file = pcap(Order::Little, Kind::Micros, 1, &frames());
        file.extend([0; 8]);
        file.extend([claimed.to_le_bytes(), claimed.to_le_bytes()].concat());
        let (found, error) = read(file);
        assert_eq!(found.len(), 3);
        assert!(matches!(error, Some(CaptureError::Malformed { found, .. }) if found == u64::from(claimed)));
    }
    // The longest that is allowed, but not there.
    let mut file = pcap(Order::Little, Kind::Micros, 1, &frames());
    file.extend([0; 8]);
    file.extend([MAX_FRAME_LEN.to_le_bytes(), MAX_FRAME_LEN.to_le_bytes()].concat());
    assert!(matches!(read(file), (found, Some(CaptureError::CutShort { .. })) if found.len() == 3));
}

#[test]
fn damaged_blocks_end_the_capture_at_their_place() {
    let mut good = section(Order::Little);
    good.extend(interface(Order::Little, 1, 0, None, None));
    good.extend(enhanced(Order::Little, 0, 1, 4, b"good"));
    let place = good.len() as u64;
    let little = |n: u32| n.to_le_bytes();
    let unknown_interface = enhanced(Order::Little, 3, 1, 4, b"what");
    let mut other_trailer = enhanced(Order::Little, 0, 1, 4, b"what");
    *other_trailer.last_mut().unwrap() = 1;
    let mut frame_too_long = enhanced(Order::Little, 0, 1, 4, b"what");
    frame_too_long[20..24].copy_from_slice(&little(4_000));
    for (bad, what) in [
        (unknown_interface, "interface number"),
        (other_trailer, "block length at its end"),
        (frame_too_long, "frame length"),
        ([little(6), little(13), [0; 4]].concat(), "block length"),
        ([little(6), little(8), [0; 4]].concat(), "block length"),
        ([little(6), little(u32::MAX - 3), [0; 4]].concat(), "block length"),
        (block(Order::Little, 6, &[0; 4]), "packet block length"),
        (block(Order::Little, 3, &[]), "packet block length"),
        (block(Order::Little, 1, &[0; 4]), "interface block length"),
        (block(Order::Little, 0x0a0d_0d0a, &[1; 4]), "byte-order magic"),
    ] {
        let (found, error) = read([good.clone(), bad].concat());
        assert_eq!(found.len(), 1);
        let Some(CaptureError::Malformed { at, what: found, .. }) = error else {
            panic!("{what}: {error:?}");
        };
        assert_eq!((at, found), (place, what));
    }
    // A block of an unknown kind may claim 4 GB; it is passed over as far as the file goes.
    let long = [little(99), little(u32::MAX - 3), [0; 4]].concat();
    assert!(matches!(read([good, long].concat()), (_, Some(CaptureError::CutShort { .. }))));
}

#[test]
fn a_flipped_bit_never_panics() {
    let mut ng = section(Order::Big);
    ng.extend(interface(Order::Big, 1, 0, Some(9), Some(1)));
    ng.extend(enhanced(Order::Big, 0, AT, 12, b"twelve bytes"));
    ng.extend(simple(Order::Big, 6, b"simple"));
    for file in [ng, pcap(Order::Little, Kind::Nanos, 1, &frames())] {
        for at in 0..file.len() * 8 {
            let mut damaged = file.clone();
            damaged[at / 8] ^= 1 << (at % 8);
            let _ = read(damaged);
        }
    }
}

#[test]
fn what_is_no_capture_is_said_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.txt");
    let line = |path: &Path| format!("{:#}", open(path).unwrap_err());
    let name = path.display().to_string();

    assert_eq!(line(&path), format!("read the capture {name}: No such file or directory (os error 2)"));
    std::fs::write(&path, "Dear diary, today I saw no packets.\n").unwrap();
    assert_eq!(line(&path), format!("read the capture {name}: not a pcap or pcapng file"));
    std::fs::write(&path, "").unwrap();
    assert_eq!(line(&path), format!("read the capture {name}: not a pcap or pcapng file: it is empty"));
    std::fs::write(&path, "hi").unwrap();
    assert_eq!(line(&path), format!("read the capture {name}: not a pcap or pcapng file"));
    std::fs::write(&path, gzip(b"Dear diary, compressed")).unwrap();
    assert_eq!(line(&path), format!("read the capture {name}: not a pcap or pcapng file"));
    std::fs::write(&path, gzip(&[0; 4_000]).get(..15).unwrap()).unwrap();
    assert!(line(&path).starts_with(&format!("read the capture {name}: ")));
    std::fs::write(&path, pcap(Order::Little, Kind::Micros, 147, &[])).unwrap();
    assert!(line(&path).contains("link type 147 cannot be read"));
    let directory = dir.path().display();
    assert_eq!(
        line(dir.path()),
        format!("read the capture {directory}: it is a directory; name a capture file")
    );
}

#[test]
fn a_cut_in_compressed_data_is_a_cut() {
    let file = gzip(&pcap(Order::Little, Kind::Micros, 1, &frames()));
    for len in 20..file.len() {
        let (found, error) = read(file.get(..len).unwrap().to_vec());
        assert!(found.len() <= 3);
        // The last eight bytes are a check value and a length: without them the end is not sure.
        assert!(error.is_some(), "{len} of {}", file.len());
    }
    let mut damaged = file.clone();
    let last = damaged.len() - 6;
    damaged[last] ^= 1;
    assert!(matches!(read(damaged), (found, Some(CaptureError::Read(_))) if found.len() == 3));
}

#[test]
fn a_capture_is_known_again_under_another_name() {
    let dir = tempfile::tempdir().unwrap();
    let identity = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        open(&path).unwrap().identity()
    };
    let file = pcap(Order::Little, Kind::Micros, 1, &frames());
    assert_eq!(identity("a", &file), identity("b", &file));
    let mut longer = frames();
    longer.push(Caught::whole(AT, vec![1; 60]));
    assert_ne!(identity("a", &file), identity("b", &pcap(Order::Little, Kind::Micros, 1, &longer)));
    let mut later = frames();
    later[0].at += 1_000_000;
    assert_ne!(identity("a", &file), identity("b", &pcap(Order::Little, Kind::Micros, 1, &later)));
}

#[test]
fn a_large_capture_is_read_in_small_memory() {
    // 40 MB of the same frame, made while it is read.
    let one = pcap(Order::Little, Kind::Micros, 1, &[Caught::whole(AT, vec![7; 1_000])]);
    let (header, record) = one.split_at(24);
    let (header, record) = (Cursor::new(header.to_vec()), record.to_vec());
    struct Repeated {
        record: Vec<u8>,
        left: usize,
        at: usize,
    }
    impl std::io::Read for Repeated {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            if self.at == self.record.len() {
                self.at = 0;
                self.left -= 1;
            }
            if self.left == 0 {
                return Ok(0);
            }
            let rest = &self.record[self.at..];
            let count = rest.len().min(buffer.len());
            buffer[..count].copy_from_slice(&rest[..count]);
            self.at += count;
            Ok(count)
        }
    }
    let many = std::io::Read::chain(header, Repeated { record, left: 40_000, at: 0 });
    let mut capture = Capture::from_reader(Box::new(many)).unwrap();
    let mut count = 0;
    while let Some(frame) = capture.next_frame().unwrap() {
        assert_eq!((frame.bytes.len(), frame.link), (1_000, LinkType(1)));
        count += 1;
    }
    assert_eq!(count, 40_000);
}
