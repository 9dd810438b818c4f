//! Names across a stop and across a kill, through the kernel: what a connection said before, and what the DNS had
//! told before the connection was there.

use super::alone;
use super::books::Books;
use super::daemon::{Daemon, Job};
use super::household::{AT_MOST, House, inside};
use super::load::PEERS;
use gateway_core::row::Evidence;
use gateway_user::daemon::Step;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

const WEB: (Ipv4Addr, u16) = (PEERS[0], 8080);
const RESOLVER: (Ipv4Addr, u16) = (PEERS[1], 53);

/// A connection of the first device to a server behind the gateway, as both of its ends.
fn connection(house: &House) -> (TcpStream, TcpStream) {
    let listener = inside(&house.namespace("gw"), || TcpListener::bind(WEB).unwrap());
    let device = inside(&house.namespace("d0"), || TcpStream::connect(WEB).unwrap());
    let (server, _) = listener.accept().unwrap();
    server.set_read_timeout(Some(AT_MOST)).unwrap();
    (device, server)
}

/// Sends, and waits until it is there: then the hooks have seen it.
fn say(device: &mut TcpStream, server: &mut TcpStream, bytes: &[u8]) {
    device.write_all(bytes).unwrap();
    server.read_exact(&mut vec![0; bytes.len()]).unwrap();
}

/// The first device asks for a name and is told the address of the server.
fn ask(house: &House, name: &str) {
    let socket = |place: &str, address| inside(&house.namespace(place), || UdpSocket::bind(address).unwrap());
    let (resolver, device) = (socket("gw", RESOLVER), socket("d0", (Ipv4Addr::UNSPECIFIED, 0)));
    for socket in [&resolver, &device] {
        socket.set_read_timeout(Some(AT_MOST)).unwrap();
    }
    let mut question = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        question.push(label.len() as u8);
        question.extend(label.bytes());
    }
    question.extend([0, 0, 1, 0, 1]);
    device.send_to(&question, RESOLVER).unwrap();
    let mut buffer = [0; 512];
    let (len, asker) = resolver.recv_from(&mut buffer).unwrap();
    let mut answer = buffer[..len].to_vec();
    (answer[2], answer[3], answer[7]) = (0x81, 0x80, 1);
    answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 0x2c, 0, 4]);
    answer.extend(WEB.0.octets());
    resolver.send_to(&answer, asker).unwrap();
    device.recv_from(&mut buffer).unwrap();
}

/// Names of the rows with the server's port, one for each interval that has any, in order.
fn names(books: &Books) -> Vec<(String, u8)> {
    books.names_at(WEB.1)
}

/// Drains that no timer takes part in: only the one at the stop.
fn job(house: &House) -> Job {
    Job { drain_every: Duration::from_secs(3600), ..Job::new(house) }
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn a_stop_keeps_the_names_of_connections_that_go_on() {
    let _one = alone();
    let house = House::new();
    let daemon = Daemon::start_ready(&house, &job(&house));
    let (mut device, mut server) = connection(&house);
    say(&mut device, &mut server, b"GET / HTTP/1.1\r\nHost: said.example\r\n\r\n");
    daemon.stop();
    // Nobody is there, and the hooks count on.
    say(&mut device, &mut server, b"more");
    let daemon = Daemon::start_ready(&house, &job(&house));
    say(&mut device, &mut server, b"and more");
    daemon.stop();
    let said = ("said.example".to_owned(), Evidence::HttpHost as u8);
    assert_eq!(names(&Books::open(&house.database())), [said.clone(), said]);
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn a_kill_keeps_what_the_dns_told_before_the_last_drain() {
    let _one = alone();
    let house = House::new();
    let mut daemon = Daemon::start_ready(&house, &Job::new(&house));
    ask(&house, "asked.example");
    // The drain that was under way may be the one before; the next but one has it for sure.
    for _ in 0..3 {
        daemon.wait_step(Step::Commit);
    }
    daemon.kill();
    let (mut device, mut server) = connection(&house);
    say(&mut device, &mut server, b"nothing that names anybody");
    Daemon::start_ready(&house, &job(&house)).stop();
    let told = ("asked.example".to_owned(), Evidence::Dns as u8);
    assert_eq!(names(&Books::open(&house.database())), [told]);
}
