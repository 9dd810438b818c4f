//! The gateway's own services: NAT by nftables; DNS, DHCP and router advertisements by dnsmasq.

use super::household::{GATEWAY_ADDR_V4, PREFIX_V6};
use super::internet::{RESOLVER_V4, start_daemon};
use super::netns::Namespace;
use super::run::Run;
use crate::tool;
use anyhow::{Context as _, Result};
use std::fs;
use std::path::PathBuf;

const NAT: &str = "table ip nat {
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    oifname \"wan\" masquerade
  }
}
";

/// Where the gateway's DHCP server keeps its leases.
pub(crate) fn lease_file(run: &Run) -> PathBuf {
    run.directory().join("dhcp.leases")
}

/// Starts NAT and dnsmasq; both work when this returns.
pub(crate) fn start(run: &Run, gateway: &Namespace) -> Result<()> {
    gateway.inside(|| tool::run_with_input(&mut tool::command("nft", ["-f", "-"]), NAT.as_bytes()))?;
    let directory = run.directory();
    let config = directory.join("gateway-dnsmasq.conf");
    let text = format!(
        "interface=br-lan\nbind-interfaces\nexcept-interface=lo\nuser=root\nno-hosts\nno-resolv\n\
         server={RESOLVER_V4}\ncache-size=1000\n\
         dhcp-range=192.168.77.100,192.168.77.200,12h\ndhcp-option=option:router,{GATEWAY_ADDR_V4}\n\
         dhcp-option=option:dns-server,{GATEWAY_ADDR_V4}\ndhcp-authoritative\nno-ping\ndomain=lan\n\
         enable-ra\ndhcp-range={PREFIX_V6},ra-only,64,12h\n\
         dhcp-leasefile={}\npid-file={}\nlog-facility={}\n",
        lease_file(run).display(),
        directory.join("gateway-dnsmasq.pid").display(),
        directory.join("gateway-dnsmasq.log").display(),
    );
    fs::write(&config, text).with_context(|| format!("write {}", config.display()))?;
    start_daemon(gateway, tool::command("dnsmasq", ["-C"]).arg(&config))
}
