//! Traffic at a steady rate, with its own account of what it said.

use super::household::{DEVICES, House, inside};
use gateway_core::units::Volume;
use nix::sys::socket::{setsockopt, sockopt};
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Addresses "beyond" the gateway; they live on its loopback interface.
pub const PEERS: [Ipv4Addr; 6] = [
    Ipv4Addr::new(203, 0, 113, 1),
    Ipv4Addr::new(203, 0, 113, 2),
    Ipv4Addr::new(203, 0, 113, 3),
    Ipv4Addr::new(198, 51, 100, 4),
    Ipv4Addr::new(198, 51, 100, 5),
    Ipv4Addr::new(198, 51, 100, 6),
];
const GATEWAY: Ipv4Addr = Ipv4Addr::new(192, 168, 78, 1);
const PEER_PORTS: [u16; 5] = [9001, 9002, 9003, 9004, 9005];
const DEVICE_PORT: u16 = 7000;

/// Datagrams that each sender sends in each [`TICK`]: 2000 a second, so that no queue of the kernel overflows.
const DATAGRAMS_PER_TICK: usize = 4;
const TICK: Duration = Duration::from_millis(2);
/// After falling behind by more than this the senders let the time go by, for the same reason.
const MAX_BEHIND: Duration = Duration::from_millis(20);
const SOCKET_BUFFER_LEN: usize = 8 << 20;
const MAX_ONE_PACKET: u32 = 1472;
const MAX_FRAGMENTED: u32 = 4000;

/// What the senders say they have sent: to and from each device.
pub type Said = [Volume; DEVICES.len()];

/// Everybody talking.
pub struct Load {
    is_over: Arc<AtomicBool>,
    up: Vec<JoinHandle<(Volume, UdpSocket)>>,
    down: Option<JoinHandle<(Said, Vec<UdpSocket>)>>,
}

impl Load {
    /// Begins.
    pub fn begin(house: &House) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        // All sockets are there before the first speaks: one that is missing would be answered for by ICMP.
        let gateway_sockets = inside(&house.namespace("gw"), || {
            let addresses = PEERS.iter().chain([&GATEWAY]);
            addresses.flat_map(|&address| PEER_PORTS.map(|port| socket(address, port))).collect::<Vec<_>>()
        });
        let device_sockets = [0, 1].map(|number| {
            inside(&house.namespace(&format!("d{number}")), || socket(device_address(number), DEVICE_PORT))
        });
        let mut seed = 0;
        let up = device_sockets.map(|socket| {
            seed += 1;
            let (dice, is_over) = (Dice(seed), Arc::clone(&is_over));
            std::thread::spawn(move || talk_up(socket, dice, &is_over))
        });
        let (up, down_is_over) = (Vec::from(up), Arc::clone(&is_over));
        let down = std::thread::spawn(move || talk_down(gateway_sockets, &down_is_over));
        Self { is_over, up, down: Some(down) }
    }

    /// Ends, and tells what was said.
    pub fn end(mut self) -> Said {
        self.is_over.store(true, Ordering::Relaxed);
        let down = self.down.take().expect("begun").join();
        // And they stay open until the last has spoken.
        let (mut said, _gateway_sockets) = down.expect("the gateway's sender ends well");
        let up: Vec<_> = self.up.drain(..).map(|thread| thread.join()).collect();
        for (said, up) in said.iter_mut().zip(&up) {
            said.add(up.as_ref().expect("a device's sender ends well").0);
        }
        said
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        // Only after a panic are there any left, and then theirs is of no more interest.
        for thread in self.up.drain(..) {
            let _ = thread.join();
        }
        if let Some(thread) = self.down.take() {
            let _ = thread.join();
        }
    }
}

/// Listens too, without reading: what is not wanted is dropped in silence, and no ICMP message says so.
fn socket(address: Ipv4Addr, port: u16) -> UdpSocket {
    let socket = UdpSocket::bind((address, port)).unwrap();
    setsockopt(&socket, sockopt::SndBufForce, &SOCKET_BUFFER_LEN).unwrap();
    socket
}

fn talk_up(socket: UdpSocket, mut dice: Dice, is_over: &AtomicBool) -> (Volume, UdpSocket) {
    let mut said = Volume::default();
    at_a_steady_rate(is_over, || {
        let peer = dice.below(PEERS.len() as u32 + 1) as usize;
        let to = SocketAddrV4::new(PEERS.get(peer).copied().unwrap_or(GATEWAY), dice.port());
        let (packets, bytes) = send(&socket, to, dice.datagram_len());
        said.add(Volume { up_bytes: bytes, up_packets: packets, ..Volume::default() });
    });
    (said, socket)
}

fn talk_down(sockets: Vec<UdpSocket>, is_over: &AtomicBool) -> (Said, Vec<UdpSocket>) {
    let mut dice = Dice(77);
    let mut said = Said::default();
    at_a_steady_rate(is_over, || {
        let from = &sockets[dice.below(sockets.len() as u32) as usize];
        let device = dice.below(DEVICES.len() as u32) as usize;
        let to = SocketAddrV4::new(device_address(device), DEVICE_PORT);
        let (packets, bytes) = send(from, to, dice.datagram_len());
        said[device].add(Volume { down_bytes: bytes, down_packets: packets, ..Volume::default() });
    });
    (said, sockets)
}

fn device_address(number: usize) -> Ipv4Addr {
    Ipv4Addr::new(192, 168, 78, 10 + u8::try_from(number).unwrap())
}

/// Sends a datagram; tells how many packets of how many bytes on the IP layer that makes on an Ethernet of 1500.
fn send(socket: &UdpSocket, to: SocketAddrV4, len: u32) -> (u64, u64) {
    const UDP_HEADER_LEN: u32 = 8;
    const IP_HEADER_LEN: u32 = 20;
    const MAX_FRAGMENT_LEN: u32 = 1480;
    static WORDS: [u8; MAX_FRAGMENTED as usize] = [0x5a; MAX_FRAGMENTED as usize];
    socket.send_to(&WORDS[..len as usize], to).unwrap();
    let packets = (UDP_HEADER_LEN + len).div_ceil(MAX_FRAGMENT_LEN);
    (packets.into(), (UDP_HEADER_LEN + len + packets * IP_HEADER_LEN).into())
}

/// A clock beats: this is the one place where time is waited for, because time is what it is about.
fn at_a_steady_rate(is_over: &AtomicBool, mut send_one: impl FnMut()) {
    let mut due = Instant::now();
    while !is_over.load(Ordering::Relaxed) {
        for _ in 0..DATAGRAMS_PER_TICK {
            send_one();
        }
        due = (due + TICK).max(Instant::now().checked_sub(MAX_BEHIND).unwrap_or(due));
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
}

/// Numbers that look random and are the same on every run (xorshift64*, Marsaglia 2003, Vigna 2016).
pub struct Dice(pub u64);

impl Dice {
    /// A number below `bound`.
    pub fn below(&mut self, bound: u32) -> u32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32) as u32;
        high % bound
    }

    fn port(&mut self) -> u16 {
        PEER_PORTS[self.below(PEER_PORTS.len() as u32) as usize]
    }

    /// Mostly what fits in one packet; one of sixteen is sent in fragments.
    fn datagram_len(&mut self) -> u32 {
        let max = if self.below(16) == 0 { MAX_FRAGMENTED } else { MAX_ONE_PACKET };
        self.below(max + 1)
    }
}
