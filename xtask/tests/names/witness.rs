//! What each connection sent and got, by tcpdump on the device's own interface. Links without offloads carry plain
//! packets, so their lengths are what the IP header says.

use super::plan::Connection;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Stdio};
use xtask::lab::{Device, Household};
use xtask::tool;

const FILE_HEADER_LEN: usize = 24;
const RECORD_HEADER_LEN: usize = 16;
const ETHERNET_LEN: usize = 14;

/// Up bytes, up packets, down bytes, down packets.
pub type Volume = [u64; 4];

/// Adds one volume to another.
pub fn add(sum: &mut Volume, part: Volume) {
    for (sum, part) in sum.iter_mut().zip(part) {
        *sum += part;
    }
}

/// tcpdump on one device.
pub struct Witness {
    process: Child,
    messages: BufReader<ChildStderr>,
    role: &'static str,
    mac: [u8; 6],
    file: PathBuf,
}

impl Witness {
    /// Begins to look; every packet after this returns is in.
    pub fn begin(household: &Household, device: &Device, snapshot_len: u32) -> Self {
        let role = device.spec.role;
        let file = household.run().directory().join(format!("{role}.pcap"));
        let mut tcpdump = tool::command("tcpdump", ["-n", "--immediate-mode", "-B", "65536", "-Z", "root"]);
        tcpdump.args(["-s", &snapshot_len.to_string(), "-i", device.spec.interface, "-w"]).arg(&file);
        let mut process = device.namespace.spawn(tcpdump.stderr(Stdio::piped())).expect("tcpdump starts");
        let mut messages = BufReader::new(process.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("listening on") {
            line.clear();
            assert_ne!(messages.read_line(&mut line).unwrap(), 0, "tcpdump ended: {line}");
        }
        Self { process, messages, role, mac: device.spec.mac, file }
    }

    /// Ends, and tells where the capture lies.
    pub fn end(mut self) -> Recorded {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.process.id()).unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
        assert!(self.process.wait().unwrap().success());
        let said: Vec<_> = self.messages.lines().map_while(Result::ok).collect();
        assert!(said.iter().any(|line| line == "0 packets dropped by kernel"), "{said:?}");
        Recorded { role: self.role, mac: self.mac, file: self.file }
    }
}

/// A capture of one device.
pub struct Recorded {
    role: &'static str,
    mac: [u8; 6],
    file: PathBuf,
}

impl Recorded {
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Adds what each connection of this device exchanged.
    pub fn sum_up(&self, sums: &mut BTreeMap<Connection, Volume>) {
        let bytes = std::fs::read(&self.file).unwrap();
        let mut rest = &bytes[FILE_HEADER_LEN..];
        while !rest.is_empty() {
            let len = u32::from_ne_bytes(rest[8..12].try_into().unwrap()) as usize;
            let (record, behind) = rest.split_at(RECORD_HEADER_LEN + len);
            rest = behind;
            if let Some((connection, volume)) = self.read(&record[RECORD_HEADER_LEN..]) {
                add(sums.entry(connection).or_default(), volume);
            }
        }
    }

    /// The connection of a TCP or UDP packet, and the packet's volume.
    fn read(&self, frame: &[u8]) -> Option<(Connection, Volume)> {
        let is_up = frame[6..12] == self.mac;
        let ip = &frame[ETHERNET_LEN..];
        let be16 = |at: usize| u16::from_be_bytes([ip[at], ip[at + 1]]);
        let (protocol, ip_len, header_len, [source, destination]) = match [frame[12], frame[13]] {
            [0x08, 0x00] => {
                let addr = |at: usize| IpAddr::from(<[u8; 4]>::try_from(&ip[at..at + 4]).unwrap());
                (ip[9], be16(2), usize::from(ip[0] & 15) * 4, [addr(12), addr(16)])
            }
            [0x86, 0xdd] => {
                let addr = |at: usize| IpAddr::from(<[u8; 16]>::try_from(&ip[at..at + 16]).unwrap());
                (ip[6], be16(4) + 40, 40, [addr(8), addr(24)])
            }
            _ => return None,
        };
        if ![6, 17].contains(&protocol) {
            return None;
        }
        let [source_port, destination_port] = [be16(header_len), be16(header_len + 2)];
        let (local_port, peer, peer_port) = if is_up {
            (source_port, destination, destination_port)
        } else {
            (destination_port, source, source_port)
        };
        let peer = SocketAddr::new(peer, peer_port);
        let len = u64::from(ip_len);
        let volume = if is_up { [len, 1, 0, 0] } else { [0, 0, len, 1] };
        Some((Connection { role: self.role, protocol, local_port, peer }, volume))
    }
}
