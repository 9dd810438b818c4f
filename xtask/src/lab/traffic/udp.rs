//! UDP datagrams from a device, each echoed before the next one goes.

use super::Sent;
use super::server::ECHO_PORT;
use anyhow::{Context as _, Result, bail};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::time::Duration;

/// The first source port where there are several; below the kernel's own choice of ports.
const FIRST_PORT: u16 = 10_000;
/// Source ports from there on.
const MOST_PORTS: u32 = 20_000;
/// Datagrams in all.
const MOST_DATAGRAMS: u64 = 1_000_000;
/// How long an echo may take. None is lost in a household that works.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) fn make(to: IpAddr, flows: u32, size: u16, count: u32) -> Result<Sent> {
    if flows > MOST_PORTS {
        bail!("{flows} source ports are more than {MOST_PORTS}, the most for UDP");
    }
    if u64::from(flows) * u64::from(count) > MOST_DATAGRAMS {
        bail!("{flows} times {count} datagrams are more than {MOST_DATAGRAMS}");
    }
    let payload = vec![b'p'; usize::from(size)];
    let mut buffer = vec![0; usize::from(u16::MAX)];
    let mut sent = Sent { flows: u64::from(flows), ..Sent::default() };
    for port in (FIRST_PORT..).take(flows as usize) {
        let socket = bind(to, port)?;
        socket.connect((to, ECHO_PORT)).with_context(|| format!("aim at {to}"))?;
        socket.set_read_timeout(Some(PATIENCE)).context("set a time limit")?;
        for _ in 0..count {
            sent.up_bytes += socket.send(&payload).context("send a datagram")? as u64;
            sent.up_datagrams += 1;
            sent.down_bytes += socket.recv(&mut buffer).context("receive the echo")? as u64;
            sent.down_datagrams += 1;
        }
    }
    Ok(sent)
}

/// A socket with this source port that reaches addresses of `to`'s kind.
pub(super) fn bind(to: IpAddr, port: u16) -> Result<UdpSocket> {
    let any =
        if to.is_ipv4() { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) };
    UdpSocket::bind((any, port)).with_context(|| format!("take the UDP port {port}"))
}
