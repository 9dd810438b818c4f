//! Frames of IEEE 802.11 as a monitoring interface catches them: the Ethernet addresses and what is behind them, if
//! it is data and not encrypted.
//!
//! Section numbers are those of IEEE 802.11-2020. Aggregates of several packets (A-MSDU) and frames repeated on the
//! air are not told apart from others.

/// Ethernet addresses, type and payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Data<'a> {
    pub(super) destination: [u8; 6],
    pub(super) source: [u8; 6],
    pub(super) ethertype: u16,
    pub(super) payload: &'a [u8],
}

/// What a frame is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wifi<'a> {
    Data(Data<'a>),
    /// Management, control, encrypted, or without a SNAP header.
    Other,
}

const RADIOTAP_MORE: u32 = 1 << 31;
const RADIOTAP_TSFT: u32 = 1;
const RADIOTAP_FLAGS: u32 = 1 << 1;
/// In the flags: the header is padded to a multiple of four bytes.
const RADIOTAP_PADDED: u8 = 0x20;

/// A frame behind a radiotap header (<https://www.radiotap.org>). `None`: it is cut short.
pub(super) fn with_radiotap(bytes: &[u8]) -> Option<Wifi<'_>> {
    let &[_version, _, low, high, ..] = bytes else { return None };
    let frame = bytes.get(usize::from(u16::from_le_bytes([low, high]))..)?;
    read(frame, radiotap_flags(bytes).is_some_and(|flags| flags & RADIOTAP_PADDED != 0))
}

/// The field "flags", if the header has it.
fn radiotap_flags(bytes: &[u8]) -> Option<u8> {
    let word = |at: usize| bytes.get(at..)?.first_chunk().copied().map(u32::from_le_bytes);
    let present = word(4)?;
    let mut at: usize = 4;
    while word(at)? & RADIOTAP_MORE != 0 {
        at += 4;
    }
    at += 4;
    if present & RADIOTAP_TSFT != 0 {
        at = at.next_multiple_of(8) + 8;
    }
    if present & RADIOTAP_FLAGS == 0 { None } else { bytes.get(at).copied() }
}

/// A frame from its own header on (§9.2). `None`: it is cut short.
pub(super) fn read(bytes: &[u8], is_padded: bool) -> Option<Wifi<'_>> {
    const DATA: u8 = 2;
    const NO_DATA: u8 = 0x40;
    const QOS: u8 = 0x80;
    const TO_DS: u8 = 0x01;
    const FROM_DS: u8 = 0x02;
    const PROTECTED: u8 = 0x40;
    const HAS_HT_CONTROL: u8 = 0x80;
    let &[control, flags, ..] = bytes else { return None };
    if control >> 2 & 3 != DATA || control & NO_DATA != 0 || flags & PROTECTED != 0 {
        return Some(Wifi::Other);
    }
    let address = |at: usize| bytes.get(at..)?.first_chunk::<6>().copied();
    let (first, second, third) = (address(4)?, address(10)?, address(16)?);
    let (mut header_len, destination, source) = match (flags & TO_DS != 0, flags & FROM_DS != 0) {
        (false, false) => (24, first, second),
        (false, true) => (24, first, third),
        (true, false) => (24, third, second),
        (true, true) => (30, third, address(24)?),
    };
    if control & QOS != 0 {
        header_len += 2;
        if flags & HAS_HT_CONTROL != 0 {
            header_len += 4;
        }
    }
    if is_padded {
        header_len = usize::next_multiple_of(header_len, 4);
    }
    let body = bytes.get(header_len..)?;
    let (llc, payload) = body.split_first_chunk::<8>()?;
    // IEEE 802.2 with SNAP (RFC 1042).
    let [0xaa, 0xaa, 0x03, 0, 0, 0, high, low] = *llc else { return Some(Wifi::Other) };
    Some(Wifi::Data(Data { destination, source, ethertype: u16::from_be_bytes([high, low]), payload }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SNAP: [u8; 8] = [0xaa, 0xaa, 3, 0, 0, 0, 8, 0];

    fn frame(control: u8, flags: u8, more: &[u8]) -> Vec<u8> {
        let mut frame = vec![control, flags, 0, 0];
        for n in 1..=3 {
            frame.extend([n; 6]);
        }
        frame.extend([0, 0]);
        frame.extend(more);
        frame
    }

    #[track_caller]
    fn check(frame: &[u8], is_padded: bool, expected: Option<(u8, u8)>) {
        let expected = expected.map_or(Wifi::Other, |(destination, source)| {
            let (destination, source) = ([destination; 6], [source; 6]);
            Wifi::Data(Data { destination, source, ethertype: 0x0800, payload: &[0x45] })
        });
        assert_eq!(read(frame, is_padded), Some(expected));
        for len in 0..frame.len() {
            let _ = read(frame.get(..len).expect("a prefix"), is_padded);
        }
    }

    #[test]
    fn data_frames_have_their_addresses_where_the_flags_say() {
        let body = [&SNAP[..], &[0x45]].concat();
        check(&frame(0x08, 0, &body), false, Some((1, 2)));
        check(&frame(0x08, 2, &body), false, Some((1, 3)));
        check(&frame(0x08, 1, &body), false, Some((3, 2)));
        check(&frame(0x08, 3, &[&[4; 6][..], &body].concat()), false, Some((3, 4)));
        check(&frame(0x88, 1, &[&[0, 0][..], &body].concat()), false, Some((3, 2)));
        check(&frame(0x88, 1, &[&[0, 0, 0, 0][..], &body].concat()), true, Some((3, 2)));
        check(&frame(0x88, 0x81, &[&[0; 6][..], &body].concat()), false, Some((3, 2)));
    }

    #[test]
    fn what_is_no_plain_data_is_something_else() {
        let body = [&SNAP[..], &[0x45]].concat();
        for (control, flags) in [(0x80, 0), (0xd4, 0), (0x48, 1), (0x08, 0x41)] {
            check(&frame(control, flags, &body), false, None);
        }
        check(&frame(0x08, 1, &[0x42, 0x42, 3, 0, 0, 0, 0, 0, 0]), false, None);
    }

    #[test]
    fn radiotap_says_whether_the_header_is_padded() {
        let qos = [&[0, 0, 0, 0][..], &SNAP, &[0x45]].concat();
        let frame = frame(0x88, 1, &qos);
        // Two words of fields; the time stamp is aligned; then the flags.
        let mut header = vec![0, 0, 25, 0, 3, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0];
        header.extend([9; 8]);
        header.push(RADIOTAP_PADDED);
        let captured = [header, frame].concat();
        let Some(Wifi::Data(data)) = with_radiotap(&captured) else { panic!("it is data") };
        assert_eq!((data.destination, data.source, data.payload), ([3; 6], [2; 6], &[0x45][..]));
        for len in 0..captured.len() {
            let _ = with_radiotap(captured.get(..len).expect("a prefix"));
        }
    }
}
