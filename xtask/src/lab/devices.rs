//! Who lives in the household, and how a device joins it: link up, a DHCP lease, an address by SLAAC.

use super::household::GATEWAY_ADDR_V4;
use super::netns::Namespace;
use super::run::{Run, etc_directory_of};
use crate::tool;
use anyhow::{Context as _, Result, bail};
use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How a device is plugged in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Port {
    /// Through the access point, behind the gateway's port lan1.
    Wifi,
    /// Directly on the gateway's port lan2.
    Cable,
}

/// What a device is, before it joins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DeviceSpec {
    /// Its role: the namespace's name ends in it.
    pub role: &'static str,
    /// Its network interface.
    pub interface: &'static str,
    /// Its MAC address; the first three bytes are its maker's in the IEEE registry.
    pub mac: [u8; 6],
    /// The hostname it gives the DHCP server.
    pub hostname: &'static str,
    /// The vendor class it gives the DHCP server (option 60).
    pub vendor_class: &'static str,
    /// How it is plugged in.
    pub port: Port,
}

/// The devices of every household.
pub const DEVICES: [DeviceSpec; 3] = [
    DeviceSpec {
        role: "redmi",
        interface: "wlan0",
        mac: [0x7c, 0x03, 0xab, 0x5e, 0x08, 0x01], // Xiaomi Communications
        hostname: "Redmi-Note-8",
        vendor_class: "android-dhcp-10",
        port: Port::Wifi,
    },
    DeviceSpec {
        role: "phone2",
        interface: "wlan0",
        mac: [0xb6, 0x1d, 0x4e, 0xa5, 0x52, 0x02], // locally administered, as phones make up for each network
        hostname: "Galaxy-A52",
        vendor_class: "android-dhcp-13",
        port: Port::Wifi,
    },
    DeviceSpec {
        role: "laptop",
        interface: "eth0",
        mac: [0x54, 0xe1, 0xad, 0x7a, 0x0b, 0x03], // LCFC (Lenovo)
        hostname: "thinkpad",
        vendor_class: "dhcpcd-9.4.1",
        port: Port::Cable,
    },
];

/// A device that has joined.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Device {
    /// What it is.
    pub spec: DeviceSpec,
    /// Where it runs.
    pub namespace: Namespace,
    /// The address it leased.
    pub addr_v4: Ipv4Addr,
    /// The address it gave itself under the announced prefix.
    pub addr_v6: Ipv6Addr,
}

/// A MAC address as text.
pub(crate) fn mac_text(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

/// How long a device may take for its lease, and again for its IPv6 address. Both take milliseconds here.
const JOIN_DEADLINE: Duration = Duration::from_secs(10);

/// What busybox's udhcpc calls with what it learned.
const LEASE_SCRIPT: &str = r#"#!/bin/sh
set -e
[ "$1" = bound ] || exit 0
ip address replace "$ip/$mask" dev "$interface"
ip route replace default via "$router" dev "$interface"
for server in $dns; do echo "nameserver $server"; done > "$RESOLV_CONF"
"#;

impl DeviceSpec {
    /// Plugs the device in and waits for both its addresses.
    pub(crate) fn join(self, run: &Run) -> Result<Device> {
        let namespace = run.namespace(self.role);
        let (addr_v4, addr_v6) =
            self.get_addresses(run, &namespace).with_context(|| format!("let {} join", self.role))?;
        Ok(Device { spec: self, namespace, addr_v4, addr_v6 })
    }

    fn get_addresses(self, run: &Run, namespace: &Namespace) -> Result<(Ipv4Addr, Ipv6Addr)> {
        let Self { interface, .. } = self;
        write_program(&self.lease_script(run), LEASE_SCRIPT)?;
        let etc = etc_directory_of(namespace);
        fs::create_dir_all(&etc).with_context(|| format!("make the directory {}", etc.display()))?;
        let hosts = etc.join("hosts");
        fs::write(&hosts, "127.0.0.1 localhost\n").with_context(|| format!("write {}", hosts.display()))?;

        namespace.ip(&format!("link set lo up\nlink set {interface} up\n"))?;
        self.lease(run, namespace)?;

        let shown =
            namespace.run(&mut tool::command("ip", ["-4", "-o", "addr", "show", "dev", interface]))?;
        let addr_v4 = shown.split_whitespace().skip_while(|w| *w != "inet").nth(1);
        let addr_v4 = addr_v4.and_then(|a| a.split('/').next()).and_then(|a| a.parse().ok());
        let addr_v4 = addr_v4.with_context(|| format!("no lease from {GATEWAY_ADDR_V4}: {shown}"))?;
        Ok((addr_v4, namespace.inside(|| wait_for_global_v6(interface))?))
    }
}

impl DeviceSpec {
    fn lease_script(self, run: &Run) -> PathBuf {
        run.directory().join(format!("{}-lease", self.role))
    }

    /// Asks the gateway's DHCP server for the lease, as a device does whenever it comes home.
    fn lease(self, run: &Run, namespace: &Namespace) -> Result<()> {
        let Self { interface, hostname, vendor_class, .. } = self;
        let mut client = tool::command("busybox", ["udhcpc", "-f", "-q", "-n", "-t", "10", "-T", "1"]);
        client.args(["-i", interface, "-V", vendor_class, "-x", &format!("hostname:{hostname}"), "-s"]);
        client
            .arg(self.lease_script(run))
            .env("RESOLV_CONF", etc_directory_of(namespace).join("resolv.conf"));
        namespace.run(&mut client).map(drop)
    }
}

impl Device {
    /// Comes home: asks for its lease again, telling its hostname and vendor class.
    ///
    /// # Errors
    /// If the gateway grants none.
    pub(crate) fn come_home(&self, run: &Run) -> Result<()> {
        let Self { spec, namespace, .. } = self;
        spec.lease(run, namespace).with_context(|| format!("let {} come home", spec.role))
    }
}

fn write_program(path: &Path, text: &str) -> Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o755);
    let write = || std::io::Write::write_all(&mut options.open(path)?, text.as_bytes());
    write().with_context(|| format!("write {}", path.display()))
}

/// Waits until the kernel has made an address and a default route out of a router advertisement. It tells nobody
/// but netlink's listeners, so its tables are read again every few milliseconds.
fn wait_for_global_v6(interface: &str) -> Result<Ipv6Addr> {
    const LOOK_AGAIN: Duration = Duration::from_millis(5);
    let deadline = Instant::now() + JOIN_DEADLINE;
    loop {
        let addresses =
            fs::read_to_string("/proc/thread-self/net/if_inet6").context("read the IPv6 addresses")?;
        let routes =
            fs::read_to_string("/proc/thread-self/net/ipv6_route").context("read the IPv6 routes")?;
        let has_default_route = routes.lines().any(|line| {
            let words: Vec<_> = line.split_whitespace().collect();
            words.get(1) == Some(&"00") && words.last() == Some(&interface)
        });
        if let Some(addr) = addresses.lines().find_map(|line| global_address(line, interface))
            && has_default_route
        {
            return Ok(addr);
        }
        if Instant::now() > deadline {
            bail!("no IPv6 address after {JOIN_DEADLINE:?}: the gateway's router advertisement did not come");
        }
        std::thread::sleep(LOOK_AGAIN);
    }
}

/// The address in a line of /proc/net/if_inet6 if it is this interface's, of global scope and ready for use.
fn global_address(line: &str, interface: &str) -> Option<Ipv6Addr> {
    let mut words = line.split_whitespace();
    let (addr, _index, _prefix) = (words.next()?, words.next()?, words.next()?);
    let (scope, flags, name) = (words.next()?, words.next()?, words.next()?);
    let is_tentative = u8::from_str_radix(flags, 16).ok()? & 0x40 != 0;
    (name == interface && scope == "00" && !is_tentative)
        .then(|| u128::from_str_radix(addr, 16).ok().map(Ipv6Addr::from_bits))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_ready_global_address_of_the_interface_counts() {
        let line = "20010db8007700007e03abfffe5e0801 02 40 00 00    wlan0";
        let addr = "2001:db8:77:0:7e03:abff:fe5e:801".parse().ok();
        assert_eq!(global_address(line, "wlan0"), addr);
        assert_eq!(global_address(line, "eth0"), None);
        assert_eq!(global_address(&line.replace(" 00 00 ", " 00 40 "), "wlan0"), None);
        assert_eq!(global_address(&line.replace(" 00 00 ", " 20 80 "), "wlan0"), None);
        for len in 0..line.len() {
            global_address(&line[..len], "wlan0");
        }
    }
}
