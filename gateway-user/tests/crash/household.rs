//! A small household in network namespaces: a gateway with a bridge of two ports, and a device on each.
//!
//! Nothing speaks here but what [`Load`] sends: no IPv6, static neighbours on both sides, a bridge that need not
//! learn. So the counters of the devices' own interfaces, less their Ethernet headers, are the truth.

use super::load::{Load, Said};
use gateway_core::units::{Mac, Volume};
use nix::mount::{MntFlags, umount2};
use nix::sched::{CloneFlags, setns};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Longer than anything here takes on a busy machine; reached only by a failure.
pub const AT_MOST: Duration = Duration::from_secs(60);

/// Every namespace, folder and pin directory of these tests is called so, with the maker's process id behind.
const PREFIX: &str = "ttc-";
const PIN_PREFIX: &str = "/sys/fs/bpf/telltale-";
const ETHERNET_HEADER_LEN: u64 = 14;

/// The devices.
pub const DEVICES: [Mac; 2] = [Mac([0x02, 0, 0, 0x78, 0x0a, 0x01]), Mac([0x02, 0, 0, 0x78, 0x0a, 0x02])];
const GATEWAY_MAC: &str = "02:00:00:78:00:01";

/// The household. Dropping it leaves nothing behind, also in a panic.
pub struct House {
    /// Its name on this machine.
    pub tag: String,
    /// A folder of its own.
    pub folder: PathBuf,
    /// Where its daemons pin.
    pub pin_dir: PathBuf,
    load: Option<Load>,
}

impl House {
    /// Builds it, after sweeping up what earlier runs that were killed have left.
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        sweep();
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let me = std::process::id();
        let tag = format!("{PREFIX}{me}-{number}");
        let folder = std::env::temp_dir().join(&tag);
        fs::create_dir(&folder).unwrap();
        let pin_dir = PathBuf::from(format!("{PIN_PREFIX}{me}-crash-{number}"));
        // From here on dropping cleans up, whatever fails.
        let house = Self { tag, folder, pin_dir, load: None };
        for place in ["gw", "d0", "d1"] {
            let name = house.namespace(place);
            run(Command::new("ip").args(["netns", "add", &name]));
            inside(&name, || {
                for which in ["all", "default"] {
                    fs::write(format!("/proc/sys/net/ipv6/conf/{which}/disable_ipv6"), "1").unwrap();
                }
            });
        }
        house.build();
        house
    }

    fn build(&self) {
        let gw = self.namespace("gw");
        let mut lines = format!(
            "link set lo up
             link add br-lan address {GATEWAY_MAC} type bridge mcast_snooping 0
             link set br-lan up
             addr add 192.168.78.1/24 dev br-lan\n"
        );
        for peer in super::load::PEERS {
            lines.push_str(&format!("addr add {peer}/32 dev lo\n"));
        }
        ip(&gw, &lines);
        for (number, mac) in DEVICES.iter().enumerate() {
            let device = self.namespace(&format!("d{number}"));
            ip(
                &gw,
                &format!(
                    "link add lan{number} type veth peer name eth0 address {mac} netns {device}
                     link set lan{number} master br-lan up
                     neigh add 192.168.78.1{number} lladdr {mac} dev br-lan nud permanent"
                ),
            );
            ip(
                &device,
                &format!(
                    "link set eth0 up
                     addr add 192.168.78.1{number}/24 dev eth0
                     neigh add 192.168.78.1 lladdr {GATEWAY_MAC} dev eth0 nud permanent
                     route add default via 192.168.78.1"
                ),
            );
            // What the bridge does not know it floods to every port, and every port would count it.
            let port = format!("lan{number}");
            let fdb = ["-n", &gw, "fdb", "replace", &mac.to_string(), "dev", &port, "master", "static"];
            run(Command::new("bridge").args(fdb));
        }
    }

    /// The name of one of its namespaces: `gw`, `d0` or `d1`.
    pub fn namespace(&self, place: &str) -> String {
        format!("{}-{place}", self.tag)
    }

    /// Its database.
    pub fn database(&self) -> PathBuf {
        self.folder.join("telltale.db")
    }

    /// Lets everybody talk, from the first packet there ever is.
    pub fn begin_load(&mut self) {
        for device in 0..DEVICES.len() {
            assert_eq!(self.truth(device), Volume::default(), "somebody talked before");
        }
        self.resume_load();
    }

    /// Lets everybody talk.
    pub fn resume_load(&mut self) {
        assert!(self.load.is_none(), "they talk already");
        self.load = Some(Load::begin(self));
    }

    /// Lets everybody fall silent, and waits until the last packet is through.
    pub fn end_load(&mut self) -> Said {
        let said = self.load.take().expect("there is load").end();
        let until = Instant::now() + AT_MOST;
        // The bridge counts a packet behind the hook of its port.
        while self.counters("gw", "br-lan").rx_packets != self.sent_packets() {
            assert!(Instant::now() < until, "packets got stuck on their way to the bridge");
            std::thread::yield_now();
        }
        said
    }

    fn sent_packets(&self) -> u64 {
        (0..DEVICES.len()).map(|n| self.truth(n).up_packets).sum()
    }

    /// What a device has sent and received, IP layer, by its own interface.
    pub fn truth(&self, device: usize) -> Volume {
        let Counters { rx_bytes, rx_packets, tx_bytes, tx_packets, dropped } =
            self.counters(&format!("d{device}"), "eth0");
        assert_eq!(dropped, 0, "the machine is too busy for this rate: packets were dropped between hooks");
        Volume {
            up_bytes: tx_bytes - ETHERNET_HEADER_LEN * tx_packets,
            down_bytes: rx_bytes - ETHERNET_HEADER_LEN * rx_packets,
            up_packets: tx_packets,
            down_packets: rx_packets,
        }
    }

    fn counters(&self, place: &str, interface: &str) -> Counters {
        let text =
            inside(&self.namespace(place), || fs::read_to_string("/proc/thread-self/net/dev").unwrap());
        Counters::of(&text, interface)
    }

    /// The drops at the gateway's ports, which would be counted by a hook and reach no device.
    pub fn check_ports(&self) {
        for number in 0..DEVICES.len() {
            assert_eq!(self.counters("gw", &format!("lan{number}")).dropped, 0, "a port dropped packets");
        }
    }
}

impl Drop for House {
    fn drop(&mut self) {
        drop(self.load.take());
        sweep_of(&self.tag, &self.pin_dir);
    }
}

/// One interface of `/proc/net/dev` (man 5 proc_net).
struct Counters {
    rx_bytes: u64,
    rx_packets: u64,
    tx_bytes: u64,
    tx_packets: u64,
    dropped: u64,
}

impl Counters {
    fn of(text: &str, interface: &str) -> Self {
        let line = text.lines().find_map(|l| l.trim().strip_prefix(interface)?.strip_prefix(':'));
        let numbers: Vec<u64> = line
            .unwrap_or_else(|| panic!("no {interface} in\n{text}"))
            .split_whitespace()
            .map(|n| n.parse().unwrap())
            .collect();
        Self {
            rx_bytes: numbers[0],
            rx_packets: numbers[1],
            tx_bytes: numbers[8],
            tx_packets: numbers[9],
            dropped: numbers[3] + numbers[11],
        }
    }
}

/// Runs `work` on a thread that is in a network namespace; what it starts is in there too. Mounts stay the
/// machine's own, so that the BPF file system is seen.
pub fn inside<T: Send>(namespace: &str, work: impl FnOnce() -> T + Send) -> T {
    let enter_and_work = || {
        enter(namespace);
        work()
    };
    let ended = std::thread::scope(|scope| scope.spawn(enter_and_work).join());
    ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Takes the calling thread into a network namespace, for good.
fn enter(namespace: &str) {
    let file = fs::File::open(Path::new("/run/netns").join(namespace)).unwrap();
    setns(file, CloneFlags::CLONE_NEWNET).unwrap();
}

#[track_caller]
fn ip(namespace: &str, lines: &str) {
    for line in lines.lines().map(str::trim).filter(|l| !l.is_empty()) {
        run(Command::new("ip").args(["-n", namespace]).args(line.split(' ')));
    }
}

/// Runs a program that must succeed.
#[track_caller]
pub fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Removes what tests that are no more have left.
fn sweep() {
    let is_dead = |pid: &str| pid.parse::<u32>().is_ok() && !Path::new("/proc").join(pid).exists();
    let mut tags: Vec<String> = Vec::new();
    for folder in [Path::new("/run/netns"), &std::env::temp_dir()] {
        for name in names_in(folder) {
            let mut parts = name.strip_prefix(PREFIX).unwrap_or_default().split('-');
            if let (Some(pid), Some(number)) = (parts.next(), parts.next())
                && is_dead(pid)
            {
                tags.push(format!("{PREFIX}{pid}-{number}"));
            }
        }
    }
    for tag in tags {
        let pins = tag.replacen(PREFIX, PIN_PREFIX, 1);
        let (root, number) = pins.rsplit_once('-').expect("a tag has a number");
        sweep_of(&tag, Path::new(&format!("{root}-crash-{number}")));
    }
}

fn sweep_of(tag: &str, pin_dir: &Path) {
    // Each of these may be gone already, which is what is wanted.
    for name in names_in(Path::new("/run/netns")) {
        if name.strip_prefix(tag).is_some_and(|rest| rest.starts_with('-')) {
            let _ = Command::new("ip").args(["netns", "del", &name]).status();
        }
    }
    let _ = fs::remove_dir_all(pin_dir);
    if let Ok(lock) = gateway_user::kernel::Hold::file_of(pin_dir) {
        let _ = fs::remove_file(lock);
    }
    let folder = std::env::temp_dir().join(tag);
    for name in names_in(&folder) {
        let _ = umount2(&folder.join(name), MntFlags::MNT_DETACH);
    }
    let _ = fs::remove_dir_all(folder);
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|e| e.file_name().to_string_lossy().into_owned()).collect()
}
