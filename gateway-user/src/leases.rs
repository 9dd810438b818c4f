//! Files of leases that the gateway's own DHCP server writes: which MAC address got which address, and under which
//! name. They tell hostnames that no packet told since the daemon started.
//!
//! Two formats: dnsmasq's, and what odhcpd keeps as its state. A lease is believed less than a packet: a name by DHCP
//! is never replaced by one from here. Only devices that have traffic are told of.

use gateway_core::row::{Batch, DeviceFact};
use gateway_core::units::Mac;
use gateway_core::wire::text;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{Metadata, OpenOptions};
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;

/// The largest file that is read: ten thousand leases.
const MAX_FILE_LEN: u64 = 1 << 20;
/// How many leases are remembered: as many as devices are.
const MAX_LEASES: usize = 1024;
/// Accounts below this are the system's own (Debian's and OpenWrt's convention), as is the DHCP server's.
const FIRST_USER: u32 = 1000;

/// What a lease says of a device.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lease {
    /// Its address.
    pub addr: Ipv4Addr,
    /// The name it gave, or that the configuration gives it.
    pub hostname: Option<String>,
}

/// The files, what they said last, and what of it was handed on.
#[derive(Debug, Default)]
pub struct Leases {
    files: Vec<File>,
    told: BTreeMap<Mac, Lease>,
}

/// Tells one state of a file from another: time of change in seconds and nanoseconds, size, number.
type Stamp = (i64, i64, u64, u64);

#[derive(Debug)]
struct File {
    path: PathBuf,
    /// Of the file that was read.
    stamp: Option<Stamp>,
    leases: BTreeMap<Mac, Lease>,
    is_complained: bool,
}

impl Leases {
    /// Of these files; whichever are missing may come later.
    #[must_use]
    pub fn new(paths: &[PathBuf]) -> Self {
        let file = |path: &PathBuf| File {
            path: path.clone(),
            stamp: None,
            leases: BTreeMap::new(),
            is_complained: false,
        };
        Self { files: paths.iter().map(file).collect(), told: BTreeMap::new() }
    }

    /// Adds to a batch what the files say of the devices in it, as far as it is news. Reads the files that changed.
    pub fn tell(&mut self, batch: &mut Batch) {
        for file in &mut self.files {
            file.follow();
        }
        let devices: BTreeSet<Mac> = batch.rows.iter().map(|row| row.key.device).collect();
        for device in devices {
            let Some(lease) = self.files.iter().find_map(|file| file.leases.get(&device)) else { continue };
            if self.told.get(&device) == Some(lease) {
                continue;
            }
            if self.told.len() >= MAX_LEASES {
                self.told.clear(); // What is told again changes nothing.
            }
            self.told.insert(device, lease.clone());
            let Lease { addr, hostname } = lease.clone();
            batch.devices.push(DeviceFact {
                device,
                hostname_source: hostname.is_some().then_some("leases"),
                hostname,
                vendor_class: None,
                parameter_list: None,
                addr: Some(IpAddr::V4(addr)),
            });
        }
    }
}

impl File {
    fn follow(&mut self) {
        match self.changed() {
            Ok(Some((stamp, text))) => {
                self.stamp = Some(stamp);
                self.leases = parse(&text);
                self.is_complained = false;
                tracing::debug!("{} leases in {}", self.leases.len(), self.path.display());
            }
            Ok(None) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                self.stamp = None;
                self.leases.clear();
            }
            Err(error) => {
                if !self.is_complained {
                    tracing::warn!("read the leases in {}: {error}; going on without", self.path.display());
                    self.is_complained = true;
                }
            }
        }
    }

    /// The file's text, if it is another than the one that was read last. Names in /tmp can be anybody's: what is no
    /// plain file of the system's or of this account is refused, and a pipe does not hold the daemon up.
    fn changed(&self) -> std::io::Result<Option<(Stamp, String)>> {
        let stamp_of = |found: &Metadata| (found.mtime(), found.mtime_nsec(), found.size(), found.ino());
        if self.stamp == Some(stamp_of(&std::fs::metadata(&self.path)?)) {
            return Ok(None);
        }
        let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(&self.path)?;
        let found = file.metadata()?;
        if !found.is_file() {
            return Err(std::io::Error::other("it is not a plain file"));
        }
        if found.uid() >= FIRST_USER && found.uid() != nix::unistd::geteuid().as_raw() {
            return Err(std::io::Error::other("it belongs to a user, not to the system"));
        }
        let mut bytes = Vec::new();
        file.take(MAX_FILE_LEN).read_to_end(&mut bytes)?;
        Ok(Some((stamp_of(&found), String::from_utf8_lossy(&bytes).into_owned())))
    }
}

/// Every lease of a text; of one MAC address the last. Lines that are none are left out, and so is a last line without
/// an end: it is still being written.
#[must_use]
pub fn parse(text: &str) -> BTreeMap<Mac, Lease> {
    let mut leases = BTreeMap::new();
    let lines = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
    for (mac, lease) in lines.filter_map(|line| of_odhcpd(line).or_else(|| of_dnsmasq(line))) {
        if leases.len() < MAX_LEASES || leases.contains_key(&mac) {
            leases.insert(mac, lease);
        }
    }
    leases
}

/// dnsmasq: time of expiry, MAC address, address, hostname or `*`, client id. Of IPv6 it keeps no MAC addresses.
fn of_dnsmasq(line: &str) -> Option<(Mac, Lease)> {
    let mut fields = line.split_ascii_whitespace();
    let _expiry: u64 = fields.next()?.parse().ok()?;
    let mac = fields.next()?.parse().ok()?;
    let addr = fields.next()?.parse().ok()?;
    let hostname = hostname(fields.next()?, "*");
    Some((mac, Lease { addr, hostname }))
}

/// odhcpd: `#`, interface, MAC address (twelve digits, or by bytes without leading zeros), `ipv4`, hostname or `-`, time
/// of expiry, address in hexadecimal, `32`, address with `/32`.
fn of_odhcpd(line: &str) -> Option<(Mac, Lease)> {
    let mut fields = line.strip_prefix("# ")?.split_ascii_whitespace();
    let mac = mac_of(fields.nth(1)?)?;
    if fields.next()? != "ipv4" {
        return None;
    }
    let hostname = hostname(fields.next()?, "-");
    let addr = fields.nth(3)?.strip_suffix("/32")?.parse().ok()?;
    Some((mac, Lease { addr, hostname }))
}

/// `broken\x20` is how odhcpd says that a name is not one of the DNS.
fn hostname(text: &str, none: &str) -> Option<String> {
    let text = text.strip_prefix("broken\\x20").unwrap_or(text);
    if text == none { None } else { text::printable(text.as_bytes()) }
}

fn mac_of(text: &str) -> Option<Mac> {
    let digits = |text: &str| u8::from_str_radix(text, 16).ok();
    let bytes: Option<Vec<u8>> = if text.contains(':') {
        text.split(':').map(digits).collect()
    } else {
        (0..text.len()).step_by(2).map(|at| text.get(at..at + 2).and_then(digits)).collect()
    };
    Some(Mac(bytes?.try_into().ok()?))
}

/// Where the DHCP servers of gateways keep their leases: dnsmasq on OpenWrt and on Debian, odhcpd of two releases.
pub const DEFAULT_FILES: [&str; 4] =
    ["/tmp/dhcp.leases", "/var/lib/misc/dnsmasq.leases", "/tmp/odhcpd.leases", "/tmp/hosts/odhcpd"];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic on purpose")]
    use super::*;

    const DNSMASQ: &str = "1764000000 7c:03:ab:12:34:56 192.168.1.20 Redmi-Note-8 01:7c:03:ab:12:34:56\n\
        0 00:1b:21:0a:0b:0c 192.168.1.21 * *\n\
        duid 00:01:00:01:2c\n\
        1764000000 311730262 fd00::5 lena 00:01:00:01\n\
        1764000000 06-00:1b:21:0a:0b:0d 192.168.1.22 odd *\n";
    const ODHCPD: &str = "# br-lan 7c03ab123457 ipv4 Galaxy-S21 1764000000 c0a80117 32 192.168.1.23/32\n\
        # br-lan 0:1b:21:a:b:e ipv4 broken\\x20my-phone 1764000000 c0a80118 32 192.168.1.24/32\n\
        # br-lan 0001000129ab 5 lena 1764000000 117 128 fd00::117/128\n\
        192.168.1.23 Galaxy-S21\n";

    fn names(text: &str) -> Vec<(String, String, Option<String>)> {
        parse(text).into_iter().map(|(mac, l)| (mac.to_string(), l.addr.to_string(), l.hostname)).collect()
    }

    fn of(mac: &str, addr: &str, hostname: Option<&str>) -> (String, String, Option<String>) {
        (mac.to_owned(), addr.to_owned(), hostname.map(str::to_owned))
    }

    #[test]
    fn leases_of_both_servers_are_read() {
        let expected = [
            of("00:1b:21:0a:0b:0c", "192.168.1.21", None),
            of("7c:03:ab:12:34:56", "192.168.1.20", Some("Redmi-Note-8")),
        ];
        assert_eq!(names(DNSMASQ), expected);
        let expected = [
            of("00:1b:21:0a:0b:0e", "192.168.1.24", Some("my-phone")),
            of("7c:03:ab:12:34:57", "192.168.1.23", Some("Galaxy-S21")),
        ];
        assert_eq!(names(ODHCPD), expected);
    }

    #[test]
    fn every_prefix_is_survived_and_invents_nobody() {
        for text in [DNSMASQ, ODHCPD] {
            let whole = parse(text);
            for len in 0..=text.len() {
                for (mac, lease) in parse(&text[..len]) {
                    assert_eq!(whole.get(&mac), Some(&lease), "{len}");
                }
            }
        }
        assert!(parse("# a é ipv4 x 1 2 32 1.2.3.4/32\n1 é é é\n# x 7c:03:ab:12:34:é ipv4").is_empty());
    }

    #[test]
    fn a_file_has_bounds() {
        let many: String = (0..MAX_LEASES + 9)
            .map(|n| format!("1 02:00:00:00:{:02x}:{:02x} 10.0.0.1 x *\n", n >> 8, n & 255))
            .collect();
        assert_eq!(parse(&many).len(), MAX_LEASES);
    }

    #[test]
    fn a_file_is_read_again_when_it_changed_and_pipes_are_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("dhcp.leases");
        let mut leases = Leases::new(std::slice::from_ref(&path));
        let file = &mut leases.files[0];
        file.follow();
        assert!(file.leases.is_empty() && !file.is_complained, "it may come later");
        std::fs::write(&path, DNSMASQ).unwrap();
        file.follow();
        assert_eq!(file.leases.len(), 2);
        std::fs::write(&path, "").unwrap();
        file.follow();
        assert!(file.leases.is_empty());
        std::fs::remove_file(&path).unwrap();
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        file.follow();
        assert!(file.is_complained);
    }
}
