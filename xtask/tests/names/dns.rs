//! A client of the DNS that asks over UDP or TCP and is content with one answer.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(5);
const HEADER_LEN: usize = 12;

/// The two servers that a device may ask: the gateway, and one on the "Internet".
pub const SERVERS: [[u8; 4]; 2] = [[192, 168, 77, 1], [8, 8, 8, 8]];

/// How to ask.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Over {
    Udp,
    Tcp,
}

/// Asks for the address of `name`, and panics unless the answer is `addr`.
pub fn ask(server: [u8; 4], over: Over, id: u16, name: &str, addr: IpAddr) {
    let question = question(id, name, addr.is_ipv6());
    let server = SocketAddr::from((server, 53));
    let answer = match over {
        Over::Udp => over_udp(server, &question),
        Over::Tcp => over_tcp(server, &question),
    };
    let answer = answer.unwrap_or_else(|e| panic!("ask {server} over {over:?} for {name}: {e}"));
    let data = match addr {
        IpAddr::V4(addr) => addr.octets().to_vec(),
        IpAddr::V6(addr) => addr.octets().to_vec(),
    };
    assert_eq!(answer[..2], question[..2], "another question's answer");
    assert!(answer.ends_with(&data) || answer.windows(data.len()).any(|w| w == data), "{name}: {answer:?}");
}

/// A query (RFC 1035 §4.1) for A or AAAA (RFC 3596).
fn question(id: u16, name: &str, v6: bool) -> Vec<u8> {
    let mut bytes = id.to_be_bytes().to_vec();
    // Recursion is desired; one question.
    bytes.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    assert_eq!(bytes.len(), HEADER_LEN);
    for label in name.split('.') {
        bytes.push(u8::try_from(label.len()).expect("a label"));
        bytes.extend(label.as_bytes());
    }
    bytes.extend([0, 0, if v6 { 28 } else { 1 }, 0, 1]);
    bytes
}

fn over_udp(server: SocketAddr, question: &[u8]) -> std::io::Result<Vec<u8>> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.connect(server)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.send(question)?;
    let mut answer = vec![0; 1500];
    let len = socket.recv(&mut answer)?;
    answer.truncate(len);
    Ok(answer)
}

/// Each message has its length before it (RFC 7766 §8).
fn over_tcp(server: SocketAddr, question: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&server, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut message = u16::try_from(question.len()).expect("a length").to_be_bytes().to_vec();
    message.extend(question);
    stream.write_all(&message)?;
    let mut len = [0; 2];
    stream.read_exact(&mut len)?;
    let mut answer = vec![0; usize::from(u16::from_be_bytes(len))];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}
