//! The other end of the traffic: a TCP server that takes and gives as many bytes as asked, and a UDP echo.

use super::{MAX_TCP_BYTES, refuse_outside_the_lab};
use crate::lab::{TRAFFIC_SERVER_V4, TRAFFIC_SERVER_V6};
use anyhow::{Context as _, Result};
use nix::sys::socket::sockopt::{RcvBuf, SndBuf};
use nix::sys::socket::{Backlog, listen, setsockopt};
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;

/// Where the TCP server listens.
pub(crate) const TCP_PORT: u16 = 5001;
/// Where the UDP echo listens.
pub(crate) const ECHO_PORT: u16 = 5002;
/// Printed once both answer.
pub(crate) const READY: &str = "serving";

/// Buffers of each TCP socket, bytes: what is in flight stays below the thousand packets that a virtual link
/// holds.
const IN_FLIGHT: usize = 100 << 10;

/// Stack of a connection's thread, bytes: thousands are open at once.
const STACK_LEN: usize = 128 << 10;

/// A connection begins with the number of bytes that the client will send and that it wants.
pub(crate) const REQUEST_LEN: usize = 16;

/// Serves until standard input ends.
///
/// # Errors
/// Outside the lab, or if a port is taken.
pub fn serve_until_end_of_input() -> Result<()> {
    refuse_outside_the_lab()?;
    for addr in [IpAddr::V4(TRAFFIC_SERVER_V4), IpAddr::V6(TRAFFIC_SERVER_V6)] {
        let listener = TcpListener::bind((addr, TCP_PORT)).context("listen for TCP")?;
        keep_little_in_flight(&listener)?;
        listen(&listener, Backlog::new(4096).context("choose a backlog")?).context("listen for TCP")?;
        let echo = UdpSocket::bind((addr, ECHO_PORT)).context("listen for UDP")?;
        // Threads end with the process.
        std::thread::spawn(move || accept_all(&listener));
        std::thread::spawn(move || echo_all(&echo));
    }
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{READY}").and_then(|()| stdout.flush()).context("tell that the servers are ready")?;
    std::io::stdin().read_to_end(&mut Vec::new()).context("wait for the end of input")?;
    Ok(())
}

/// Bounds the buffers of a TCP socket.
pub(super) fn keep_little_in_flight(socket: &impl AsFd) -> Result<()> {
    setsockopt(socket, SndBuf, &IN_FLIGHT).context("bound the send buffer")?;
    setsockopt(socket, RcvBuf, &IN_FLIGHT).context("bound the receive buffer")
}

fn accept_all(listener: &TcpListener) {
    for stream in listener.incoming().flatten() {
        // A client that goes away early, and a thread that cannot be had, are the client's to notice.
        let _ = std::thread::Builder::new().stack_size(STACK_LEN).spawn(move || serve(stream));
    }
}

fn serve(mut stream: TcpStream) -> std::io::Result<()> {
    let mut request = [0; REQUEST_LEN];
    stream.read_exact(&mut request)?;
    let [up, down] = numbers(request).map(|n| n.min(MAX_TCP_BYTES));
    std::io::copy(&mut (&stream).take(up), &mut std::io::sink())?;
    std::io::copy(&mut std::io::repeat(b'd').take(down), &mut stream)?;
    Ok(())
}

/// A request's two numbers.
fn numbers(request: [u8; REQUEST_LEN]) -> [u64; 2] {
    let both = u128::from_be_bytes(request);
    [(both >> 64) as u64, both as u64]
}

/// A request from its two numbers.
pub(super) fn request(up: u64, down: u64) -> [u8; REQUEST_LEN] {
    (u128::from(up) << 64 | u128::from(down)).to_be_bytes()
}

fn echo_all(socket: &UdpSocket) {
    let mut buffer = vec![0; usize::from(u16::MAX)];
    loop {
        // An error here is an ICMP message about an earlier answer.
        if let Ok((len, from)) = socket.recv_from(&mut buffer) {
            let _ = socket.send_to(buffer.get(..len).unwrap_or(&[]), from);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_as_it_was_written() {
        assert_eq!(numbers(request(3, u64::MAX)), [3, u64::MAX]);
    }
}
