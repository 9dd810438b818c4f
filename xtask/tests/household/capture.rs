//! tcpdump as a witness: a capture of one interface, summed up by a reader that knows plain IP headers and no
//! more, which is all that a link without offloads carries.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use xtask::lab::truth::Tally;
use xtask::lab::{Device, GATEWAY_MAC, Household, Namespace};
use xtask::tool;

pub(crate) struct Capture {
    process: Child,
    messages: BufReader<std::process::ChildStderr>,
    file: PathBuf,
}

impl Capture {
    pub(crate) fn begin(household: &Household, namespace: &Namespace, interface: &str) -> Self {
        let file = household.run().directory().join(format!("{interface}.pcap"));
        let mut tcpdump = tool::command("tcpdump", ["-n", "--immediate-mode", "-s", "128", "-B", "65536"]);
        // As root, because the file lies in root's directory.
        tcpdump.args(["-Z", "root", "-i", interface, "-w"]).arg(&file).stderr(Stdio::piped());
        let mut process = namespace.spawn(&mut tcpdump).expect("tcpdump starts");
        let mut messages = BufReader::new(process.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("listening on") {
            line.clear();
            assert_ne!(messages.read_line(&mut line).unwrap(), 0, "tcpdump ended: {line}");
        }
        Self { process, messages, file }
    }

    /// What went between the device and the gateway: up, then down.
    pub(crate) fn end(mut self, device: &Device) -> [Tally; 2] {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.process.id()).unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
        assert!(self.process.wait().unwrap().success());
        let said: Vec<_> = self.messages.lines().map_while(Result::ok).collect();
        assert!(said.iter().any(|line| line == "0 packets dropped by kernel"), "{said:?}");
        let bytes = std::fs::read(&self.file).unwrap();
        let sums = sum_up(&bytes);
        let (own, gateway) = (device.spec.mac, GATEWAY_MAC);
        [(own, gateway), (gateway, own)].map(|way| sums.get(&way).copied().unwrap_or_default())
    }
}

/// IP volume by (source, destination) of a capture in the classic format, written on this machine.
fn sum_up(pcap: &[u8]) -> BTreeMap<([u8; 6], [u8; 6]), Tally> {
    const FILE_HEADER_LEN: usize = 24;
    let mut sums = BTreeMap::<_, Tally>::new();
    let mut rest = &pcap[FILE_HEADER_LEN..];
    while !rest.is_empty() {
        let captured_len = u32::from_ne_bytes(rest[8..12].try_into().unwrap()) as usize;
        let frame = &rest[16..16 + captured_len];
        rest = &rest[16 + captured_len..];
        let be16 = |at: usize| u64::from(u16::from_be_bytes(frame[at..at + 2].try_into().unwrap()));
        let ip_len = match be16(12) {
            0x0800 => be16(16),
            0x86dd => be16(18) + 40,
            _ => continue,
        };
        let way = (frame[6..12].try_into().unwrap(), frame[..6].try_into().unwrap());
        let sum = sums.entry(way).or_default();
        sum.bytes += ip_len;
        sum.packets += 1;
    }
    sums
}
