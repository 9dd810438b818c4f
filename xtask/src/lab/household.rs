//! Builds the household and hands out its parts.

use super::devices::{DEVICES, Device, Port, mac_text};
use super::netns::{Namespace, ip_batch};
use super::run::Run;
use super::{gateway, internet, packages};
use crate::tool;
use anyhow::{Context as _, Result, anyhow, bail};
use std::fmt::Write as _;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The MAC address of the gateway on its LAN side.
pub const GATEWAY_MAC: [u8; 6] = [0x94, 0x83, 0xc4, 0x77, 0x00, 0x01];
/// The gateway's address in the LAN.
pub(crate) const GATEWAY_ADDR_V4: Ipv4Addr = Ipv4Addr::new(192, 168, 77, 1);
/// The LAN's IPv6 prefix, a /64 (RFC 3849: for documentation; hosts treat it like any global one, so they
/// prefer it to IPv4, which they would not with a unique local one).
pub(crate) const PREFIX_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x77, 0, 0, 0, 0, 0);
const GATEWAY_ADDR_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x77, 0, 0, 0, 0, 1);

/// Kernel parameters of every namespace: IPv6 without the waits that a real link needs.
const QUICK_IPV6: [(&str, &str); 4] = [
    ("ipv6/conf/default/accept_dad", "0"),
    ("ipv6/conf/default/dad_transmits", "0"),
    ("ipv6/conf/default/router_solicitation_delay", "0"),
    ("ipv6/conf/default/router_solicitation_interval", "1"),
];
const FORWARDING: [(&str, &str); 3] =
    [("ipv4/ip_forward", "1"), ("ipv6/conf/all/forwarding", "1"), ("ipv6/conf/default/forwarding", "1")];
/// A switch has no addresses of its own.
const NO_IPV6: [(&str, &str); 2] =
    [("ipv6/conf/all/disable_ipv6", "1"), ("ipv6/conf/default/disable_ipv6", "1")];

/// How to build a household.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HouseholdOptions {
    /// The xtask binary: in xtask itself `std::env::current_exe`, in its tests `env!("CARGO_BIN_EXE_xtask")`.
    pub xtask: PathBuf,
    /// Largest packet on every link, bytes.
    pub mtu: u32,
    /// More names for the "Internet" to know, each with an address that the "Internet" then has.
    pub hosts: Vec<(String, IpAddr)>,
}

impl HouseholdOptions {
    /// A household with Ethernet's usual packets.
    #[must_use]
    pub fn new(xtask: impl AsRef<Path>) -> Self {
        Self { xtask: xtask.as_ref().to_owned(), mtu: 1500, hosts: Vec::new() }
    }
}

/// What network cards may do to packets in place of the kernel, on every link of the household.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Offloads {
    /// Every packet is as it is on the wire.
    None,
    /// Senders make super-packets (TSO, GSO), as virtual links do when left alone.
    Send,
    /// Devices and servers make super-packets, access point and gateway send single packets, and every receiver
    /// joins what it gets (GRO). A virtual link leaves receive offload out where its sender makes super-packets.
    SendAndReceive,
}

/// The household, up and running. Dropping it removes everything.
#[derive(Debug)]
pub struct Household {
    run: Run,
    options: HouseholdOptions,
    gateway: Namespace,
    access_point: Namespace,
    internet: Namespace,
    devices: Vec<Device>,
}

impl Household {
    /// Builds a household and lets its devices join: a few seconds at most.
    ///
    /// # Errors
    /// If a program is missing, the caller is not root, or a step fails; the message names it.
    pub fn build(options: HouseholdOptions) -> Result<Self> {
        packages::check()?;
        let run = Run::begin(&options.xtask)?;
        let [gateway, access_point, internet] = ["gw", "ap", "inet"].map(|role| run.namespace(role));
        make_namespaces(&run, [&gateway, &access_point, &internet])?;
        ip_batch(&link_batch(&run, options.mtu)).context("lay the household's cables")?;
        access_point.ip(&access_point_batch(options.mtu))?;
        internet.ip(&format!("{}{}", internet::address_batch(&options.hosts), internet_uplink_batch()))?;
        gateway.ip(&gateway_batch(options.mtu))?;
        let devices = std::thread::scope(|scope| {
            let web = scope.spawn(|| internet::start(&run, &internet, &options.hosts));
            gateway::start(&run, &gateway)?;
            let joins = DEVICES.map(|spec| {
                scope.spawn({
                    let run = &run;
                    move || spec.join(run)
                })
            });
            let devices: Result<Vec<_>> =
                joins.into_iter().map(|j| j.join().map_err(|_| panicked())?).collect();
            web.join().map_err(|_| panicked())??;
            devices
        })?;
        Ok(Self { run, options, gateway, access_point, internet, devices })
    }

    /// The gateway's namespace: `br-lan` with the ports `lan1` and `lan2`, and `wan`.
    #[must_use]
    pub fn gateway(&self) -> &Namespace {
        &self.gateway
    }

    /// The namespace where all servers are.
    #[must_use]
    pub fn internet(&self) -> &Namespace {
        &self.internet
    }

    /// The devices, in the order of [`DEVICES`].
    #[must_use]
    pub fn devices(&self) -> &[Device] {
        &self.devices
    }

    /// The device with this role.
    ///
    /// # Errors
    /// If there is none.
    pub fn device(&self, role: &str) -> Result<&Device> {
        self.devices
            .iter()
            .find(|d| d.spec.role == role)
            .with_context(|| format!("no device is called {role}"))
    }

    /// The run that this household belongs to: its name and directories.
    #[must_use]
    pub fn run(&self) -> &Run {
        &self.run
    }

    /// The xtask binary that its helpers are run from.
    #[must_use]
    pub fn xtask(&self) -> &Path {
        &self.options.xtask
    }

    /// Where the gateway's DHCP server keeps its leases.
    #[must_use]
    pub fn lease_file(&self) -> PathBuf {
        gateway::lease_file(&self.run)
    }

    /// Leaves the household in place when this is dropped; the next run of the lab removes it.
    pub fn keep(&mut self) {
        self.run.keep();
    }

    /// Every interface that packets cross, with its namespace.
    fn interfaces(&self) -> Vec<(&Namespace, &str)> {
        let mut all: Vec<_> = ["lan1", "lan2", "wan"].iter().map(|i| (&self.gateway, *i)).collect();
        all.extend(["uplink", "redmi", "phone2"].iter().map(|i| (&self.access_point, *i)));
        all.push((&self.internet, "wan"));
        all.extend(self.devices.iter().map(|d| (&d.namespace, d.spec.interface)));
        all
    }

    /// Turns the offloads of every link on or off.
    ///
    /// # Errors
    /// If ethtool fails.
    pub fn set_offloads(&self, offloads: Offloads) -> Result<()> {
        let on = |is_on: bool| if is_on { "on" } else { "off" };
        let receives = offloads >= Offloads::SendAndReceive;
        // A virtual link hands over every packet at once: without a wait there is nothing to join it with.
        let wait_ns = if receives { "100000" } else { "0" };
        for (namespace, interface) in self.interfaces() {
            let is_relay = [&self.gateway, &self.access_point].contains(&namespace);
            let send = on(offloads >= Offloads::Send && !(receives && is_relay));
            let settings = ["tx", send, "sg", send, "tso", send, "gso", send, "gro", on(receives)];
            namespace.run(tool::command("ethtool", ["-K", interface]).args(settings))?;
            // Through `ip netns exec`, whose /sys shows the namespace's own interfaces.
            let setting = format!("echo {wait_ns} > /sys/class/net/{interface}/gro_flush_timeout");
            tool::run(namespace.exec("sh").args(["-c", &setting]))?;
        }
        Ok(())
    }

    /// Waits until no interface of a device has carried a frame for a while: closing connections have closed.
    ///
    /// # Errors
    /// If it does not become quiet within some seconds.
    pub fn wait_until_quiet(&self) -> Result<()> {
        const QUIET_FOR: Duration = Duration::from_millis(150);
        let deadline = Instant::now() + Duration::from_secs(10);
        let counters = || -> Result<Vec<String>> {
            let path = "/proc/thread-self/net/dev";
            let read = || fs::read_to_string(path).with_context(|| format!("read {path}"));
            self.devices.iter().map(|device| device.namespace.inside(read)).collect()
        };
        let mut last = counters()?;
        while Instant::now() < deadline {
            std::thread::sleep(QUIET_FOR);
            let now = counters()?;
            if now == last {
                return Ok(());
            }
            last = now;
        }
        bail!("the household does not become quiet")
    }

    /// Makes the gateway and its devices know each other's MAC addresses for good, so that no neighbour
    /// discovery mixes into a count that must be exact.
    ///
    /// # Errors
    /// If `ip` fails.
    pub fn pin_neighbours(&self) -> Result<()> {
        let of_gateway = mac_text(GATEWAY_MAC);
        let mut in_gateway = String::new();
        for device in &self.devices {
            let Device { spec, namespace, addr_v4, addr_v6 } = device;
            let mac = mac_text(spec.mac);
            for addr in [addr_v4.to_string(), addr_v6.to_string(), link_local(spec.mac).to_string()] {
                let _ = writeln!(in_gateway, "neigh replace {addr} lladdr {mac} dev br-lan nud permanent");
            }
            let mut in_device = String::new();
            let addrs = [GATEWAY_ADDR_V4.to_string(), GATEWAY_ADDR_V6.to_string()];
            for addr in addrs.into_iter().chain([link_local(GATEWAY_MAC).to_string()]) {
                let interface = spec.interface;
                let _ = writeln!(
                    in_device,
                    "neigh replace {addr} lladdr {of_gateway} dev {interface} nud permanent"
                );
            }
            namespace.ip(&in_device)?;
        }
        self.gateway.ip(&in_gateway)
    }
}

fn panicked() -> anyhow::Error {
    anyhow!("a thread that builds the household panicked")
}

/// The link-local address that the kernel makes of a MAC address (RFC 4291, appendix A).
fn link_local(mac: [u8; 6]) -> Ipv6Addr {
    let [a, b, c, d, e, f] = mac;
    let interface_id = u64::from_be_bytes([a ^ 2, b, c, 0xff, 0xfe, d, e, f]);
    Ipv6Addr::from_bits((0xfe80 << 112) | u128::from(interface_id))
}

fn make_namespaces(run: &Run, [gateway, access_point, internet]: [&Namespace; 3]) -> Result<()> {
    let devices = DEVICES.map(|spec| run.namespace(spec.role));
    let all: Vec<_> = [gateway, access_point, internet].into_iter().chain(&devices).collect();
    let batch: String = all.iter().map(|ns| format!("netns add {}\n", ns.name())).collect();
    ip_batch(&batch).context("make the network namespaces")?;
    for namespace in all {
        namespace.set(&QUICK_IPV6)?;
    }
    gateway.set(&FORWARDING)?;
    internet.set(&FORWARDING)?;
    access_point.set(&NO_IPV6)
}

/// Lays every cable straight from namespace to namespace: none has an end in the machine's own.
fn link_batch(run: &Run, mtu: u32) -> String {
    let name = |role: &str| run.namespace(role).name().to_owned();
    let (gw, ap, inet) = (name("gw"), name("ap"), name("inet"));
    let mut batch = format!(
        "link add lan1 mtu {mtu} netns {gw} type veth peer name uplink mtu {mtu} netns {ap}\n\
         link add wan mtu {mtu} netns {gw} type veth peer name wan mtu {mtu} netns {inet}\n"
    );
    for spec in DEVICES {
        let (role, interface, device) = (spec.role, spec.interface, name(spec.role));
        let (switch, port) = match spec.port {
            Port::Wifi => (&ap, role),
            Port::Cable => (&gw, "lan2"),
        };
        let mac = mac_text(spec.mac);
        let _ = writeln!(
            batch,
            "link add {interface} address {mac} mtu {mtu} netns {device} type veth peer name {port} mtu {mtu} netns {switch}"
        );
    }
    batch
}

fn access_point_batch(mtu: u32) -> String {
    let mut batch =
        format!("link add air mtu {mtu} type bridge stp_state 0 forward_delay 0\nlink set air up\n");
    let wifi = DEVICES.into_iter().filter(|spec| spec.port == Port::Wifi).map(|spec| spec.role);
    for port in wifi.chain(["uplink"]) {
        let _ = writeln!(batch, "link set {port} master air up");
    }
    batch
}

fn gateway_batch(mtu: u32) -> String {
    let mac = mac_text(GATEWAY_MAC);
    format!(
        "link set lo up\n\
         link add br-lan address {mac} mtu {mtu} type bridge stp_state 0 forward_delay 0\n\
         link set lan1 master br-lan up\nlink set lan2 master br-lan up\nlink set br-lan up\nlink set wan up\n\
         address add {GATEWAY_ADDR_V4}/24 dev br-lan\naddress add {GATEWAY_ADDR_V6}/64 dev br-lan nodad\n\
         address add 203.0.113.2/30 dev wan\naddress add 2001:db8:113::2/64 dev wan nodad\n\
         route add default via 203.0.113.1\nroute add default via 2001:db8:113::1\n"
    )
}

fn internet_uplink_batch() -> String {
    format!(
        "link set wan up\naddress add 203.0.113.1/30 dev wan\naddress add 2001:db8:113::1/64 dev wan nodad\n\
         route add {PREFIX_V6}/64 via 2001:db8:113::2\n"
    )
}

/// Refuses anyone but root with the remedy.
pub(crate) fn check_root() -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        bail!("the lab makes network namespaces, which only root may: run it with sudo");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mac_makes_its_link_local_address() {
        assert_eq!(link_local(GATEWAY_MAC).to_string(), "fe80::9683:c4ff:fe77:1");
    }
}
