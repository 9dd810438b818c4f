//! Many distinct 5-tuples in a short time, for tables to overflow.

use super::{Sent, udp};
use crate::lab::{BLACKHOLE_V4, BLACKHOLE_V6};
use anyhow::{Context as _, Result};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

/// Source ports; each sends to one destination after the other.
const SOURCE_PORTS: u16 = 500;
const FIRST_SOURCE_PORT: u16 = 31_000;
/// Destination addresses from the first of the black hole on.
const DESTINATIONS: u32 = 100;
const FIRST_DESTINATION_PORT: u16 = 7_000;

pub(super) fn make(v6: bool, flows: u32) -> Result<Sent> {
    let to = destination(v6, 0).0;
    let sockets: Vec<UdpSocket> = (FIRST_SOURCE_PORT..)
        .take(usize::from(SOURCE_PORTS).min(flows as usize))
        .map(|port| udp::bind(to, port))
        .collect::<Result<_>>()?;
    // Each round uses every source port once; the destination changes from round to round.
    let mut left = flows as usize;
    for round in 0.. {
        if left == 0 {
            break;
        }
        let (addr, port) = destination(v6, round);
        for socket in sockets.iter().take(left) {
            socket.send_to(b"f", (addr, port)).with_context(|| format!("send to {addr}"))?;
        }
        left = left.saturating_sub(sockets.len());
    }
    let flows = u64::from(flows);
    Ok(Sent { up_bytes: flows, up_datagrams: flows, flows, ..Sent::default() })
}

/// Where the datagrams of a round go.
fn destination(v6: bool, round: u32) -> (IpAddr, u16) {
    let (port, host) = (round / DESTINATIONS, round % DESTINATIONS);
    let addr = if v6 {
        IpAddr::V6(Ipv6Addr::from_bits(BLACKHOLE_V6.to_bits() + 1 + u128::from(host)))
    } else {
        IpAddr::V4(Ipv4Addr::from_bits(BLACKHOLE_V4.to_bits() + 1 + host))
    };
    // 200 000 flows are four ports' worth.
    (addr, FIRST_DESTINATION_PORT.saturating_add(u16::try_from(port).unwrap_or(u16::MAX)))
}

#[cfg(test)]
mod tests {
    use super::super::MAX_FLOWS;
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_two_rounds_share_a_destination_and_all_are_in_the_black_hole() {
        let rounds = MAX_FLOWS / u32::from(SOURCE_PORTS);
        for v6 in [false, true] {
            let all: BTreeSet<_> = (0..rounds).map(|round| destination(v6, round)).collect();
            assert_eq!(all.len(), rounds as usize);
            for (addr, _) in all {
                match addr {
                    IpAddr::V4(addr) => {
                        assert!(addr.octets().starts_with(&[198, 51, 100]) && addr.octets()[3] > 128)
                    }
                    IpAddr::V6(addr) => assert!(addr.segments().starts_with(&[0x2001, 0xdb8, 0xdead, 0])),
                }
            }
        }
    }
}
