//! One sample → what it proves, or why it proves nothing. Believes no offset: a sample's header is the kernel's,
//! but a sample can also come from a capture file, and the bytes are a stranger's.

mod dhcp;
mod dns;
mod multicast;

pub use dns::dns_message;

use crate::fact::Fact;
use crate::units::BootTime;
use crate::wire::{WireError, ip, tcp};
use gateway_common::{Direction, FlowKey, SampleHeader, SampleKind};
use ipnetwork::IpNetwork;

/// Why a sample taught nothing although it was taken to teach.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Stop {
    /// The snapshot ended before what matters.
    CutShort,
    /// No honest sender wrote these bytes.
    Malformed,
    /// All was read, and it names nobody: no such name, an address in place of a name, a hello without one.
    Nameless,
    /// Somebody spoke of a device who has no say in it: DHCP for another device, or from outside the house.
    Untrusted,
    /// A kind of sample that nothing here reads.
    UnreadKind,
}

impl Stop {
    /// Every reason, in order.
    pub const ALL: [Self; 5] =
        [Self::CutShort, Self::Malformed, Self::Nameless, Self::Untrusted, Self::UnreadKind];

    /// The ledger line it is counted under.
    #[must_use]
    pub const fn counter(self) -> &'static str {
        match self {
            Self::CutShort => "samples_cut_short",
            Self::Malformed => "samples_malformed",
            Self::Nameless => "samples_nameless",
            Self::Untrusted => "samples_untrusted",
            Self::UnreadKind => "samples_unread_kind",
        }
    }
}

impl From<WireError> for Stop {
    fn from(error: WireError) -> Self {
        match error {
            WireError::Truncated { .. } => Self::CutShort,
            WireError::Malformed { .. } => Self::Malformed,
        }
    }
}

/// What a sample proves; `None` if it is sound and simply teaches nothing (a question, a peer's half).
/// `local` are the prefixes of the house: only from there does a DHCP server have a say.
///
/// # Errors
/// [`Stop`] for the reason why it could not teach.
pub fn decode<'a>(
    header: &SampleHeader,
    snapshot: &'a [u8],
    local: &[IpNetwork],
) -> Result<Option<Fact<'a>>, Stop> {
    let is_up = match header.direction {
        d if d == Direction::Up as u8 => true,
        d if d == Direction::Down as u8 => false,
        _ => return Err(Stop::Malformed),
    };
    let packet = packet_of(header, snapshot)?;
    let payload = packet.get(usize::from(header.payload_offset)..).ok_or(Stop::CutShort)?;
    match header.kind {
        SampleKind::DNS => dns::datagram(header, is_up, payload),
        SampleKind::DNS_TCP => dns::segment(header, is_up, packet, payload),
        SampleKind::MDNS => multicast::datagram(header, is_up, payload),
        SampleKind::DHCP if header.key.is_ipv6() => dhcp::v6(header, is_up, payload, local),
        SampleKind::DHCP if is_up => dhcp::v4_up(header, payload),
        SampleKind::DHCP => dhcp::v4_down(header, payload, local),
        // Who answers names nobody: only what the device itself says tells whom it means.
        SampleKind::TLS
        | SampleKind::HTTP
        | SampleKind::OPENING
        | SampleKind::QUIC
        | SampleKind::DATAGRAM
            if !is_up || payload.is_empty() =>
        {
            Ok(None)
        }
        SampleKind::TLS | SampleKind::HTTP | SampleKind::OPENING => decode_opening(header, packet, payload),
        SampleKind::QUIC => Ok(Some(Fact::QuicDatagram {
            flow: header.key,
            at: BootTime(header.boot_ns),
            payload,
            segment_len: usize::from(header.segment_len),
        })),
        SampleKind::DATAGRAM => {
            Ok(Some(Fact::Datagram { flow: header.key, at: BootTime(header.boot_ns), payload }))
        }
        _ => Err(Stop::UnreadKind),
    }
}

/// The snapshot up to where the IP packet ends by its own account: what follows is padding.
fn packet_of<'a>(header: &SampleHeader, snapshot: &'a [u8]) -> Result<&'a [u8], Stop> {
    let captured = snapshot.get(..usize::from(header.captured_len)).unwrap_or(snapshot);
    let l3_offset = usize::from(header.l3_offset);
    let len = ip::packet_len(captured.get(l3_offset..).ok_or(Stop::CutShort)?)?;
    let end = len.map_or(captured.len(), |len| l3_offset.saturating_add(len));
    Ok(captured.get(..end).unwrap_or(captured))
}

/// Is the device's end of this key a group (IEEE 802: the lowest bit of the first byte)?
fn is_group(key: &FlowKey) -> bool {
    let [first, ..] = key.device_mac();
    first & 1 != 0
}

fn decode_opening<'a>(
    header: &SampleHeader,
    packet: &[u8],
    payload: &'a [u8],
) -> Result<Option<Fact<'a>>, Stop> {
    let tcp = tcp::read(packet.get(usize::from(header.l4_offset)..).ok_or(Stop::CutShort)?)?;
    let seq = tcp.seq.wrapping_add(u32::from(tcp.is_syn));
    Ok(Some(Fact::OpeningSegment { flow: header.key, at: BootTime(header.boot_ns), seq, payload }))
}

#[cfg(test)]
mod samples;
#[cfg(test)]
pub(crate) mod tests;
