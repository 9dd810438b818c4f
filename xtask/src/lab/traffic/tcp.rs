//! TCP connections from a device.

use super::Sent;
use super::server::{REQUEST_LEN, TCP_PORT, keep_little_in_flight, request};
use anyhow::{Context as _, Result, bail};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, connect, socket};
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::fd::AsRawFd as _;
use std::time::Duration;

/// How long a connection may stand still.
const PATIENCE: Duration = Duration::from_secs(10);

/// Opens all connections, then uses one after the other, then closes them.
pub(super) fn make(to: IpAddr, flows: u32, up: u64, down: u64) -> Result<Sent> {
    let streams: Vec<_> = (0..flows).map(|_| open(to)).collect::<Result<_>>()?;
    for mut stream in &streams {
        stream.write_all(&request(up, down)).context("ask the server")?;
        let sent = std::io::copy(&mut std::io::repeat(b'u').take(up), &mut stream).context("send up")?;
        let got = std::io::copy(&mut stream, &mut std::io::sink()).context("receive down")?;
        if (sent, got) != (up, down) {
            bail!("a connection carried {sent} bytes up and {got} down instead of {up} and {down}");
        }
    }
    let flows = u64::from(flows);
    Ok(Sent {
        up_bytes: flows * (up + REQUEST_LEN as u64),
        down_bytes: flows * down,
        flows,
        ..Sent::default()
    })
}

fn open(to: IpAddr) -> Result<TcpStream> {
    let to = SocketAddr::from((to, TCP_PORT));
    let family = if to.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let socket =
        socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).context("open a TCP socket")?;
    // Before it connects, so that the window is small from the first packet on.
    keep_little_in_flight(&socket)?;
    connect(socket.as_raw_fd(), &SockaddrStorage::from(to)).with_context(|| format!("connect to {to}"))?;
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).context("set a time limit")?;
    stream.set_write_timeout(Some(PATIENCE)).context("set a time limit")?;
    Ok(stream)
}
