//! Traffic of chosen kinds, made by `xtask traffic` inside a device's namespace and answered by
//! `xtask traffic serve` in the "Internet".
//!
//! Every kind is bounded in count and in time and ends by itself, and none runs outside a namespace of the lab. Senders keep little in flight, because a virtual link drops what its queue cannot hold, and a
//! packet lost between the device and the gateway is counted by one of them only.

mod flood;
mod server;
mod tcp;
mod udp;

use super::devices::Device;
use super::household::Household;
use super::netns::is_lab_namespace;
use crate::tool;
use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};
use std::io::{BufRead as _, BufReader};
use std::net::IpAddr;
use std::process::{Child, Stdio};

pub use server::serve_until_end_of_input;

/// Most flows of one kind in one go.
pub const MAX_FLOWS: u32 = 200_000;
/// Most bytes each way on all TCP connections together.
pub const MAX_TCP_BYTES: u64 = 1 << 30;

/// A kind of traffic with its measures.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::Subcommand)]
pub enum Traffic {
    /// TCP connections, all open at once, that send bytes up and then get bytes down
    Tcp {
        /// The server's address
        to: IpAddr,
        /// How many connections
        #[arg(long, default_value_t = 1)]
        flows: u32,
        /// Bytes that each sends
        #[arg(long, default_value_t = 0)]
        up: u64,
        /// Bytes that each gets
        #[arg(long, default_value_t = 0)]
        down: u64,
    },
    /// UDP datagrams, each echoed before the next is sent
    Udp {
        /// The server's address
        to: IpAddr,
        /// How many source ports
        #[arg(long, default_value_t = 1)]
        flows: u32,
        /// Payload of each datagram, bytes; larger than a packet makes fragments
        #[arg(long, default_value_t = 1)]
        size: u16,
        /// Datagrams of each source port
        #[arg(long, default_value_t = 1)]
        count: u32,
    },
    /// One datagram for each of many 5-tuples, as fast as they go, that nothing answers
    Flood {
        /// Over IPv6 rather than IPv4
        #[arg(long)]
        v6: bool,
        /// How many 5-tuples
        #[arg(long, default_value_t = 100_000)]
        flows: u32,
    },
}

/// What a generator sent and got, as its sockets tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Sent {
    /// Payload bytes sent.
    pub up_bytes: u64,
    /// Payload bytes received.
    pub down_bytes: u64,
    /// Datagrams sent; 0 for TCP.
    pub up_datagrams: u64,
    /// Datagrams received; 0 for TCP.
    pub down_datagrams: u64,
    /// 5-tuples.
    pub flows: u64,
}

impl Traffic {
    /// Makes this traffic here and now.
    ///
    /// # Errors
    /// Outside the lab, beyond the bounds, or if a socket fails.
    pub fn make(self) -> Result<Sent> {
        refuse_outside_the_lab()?;
        let flows = match self {
            Self::Tcp { flows, .. } | Self::Udp { flows, .. } | Self::Flood { flows, .. } => flows,
        };
        if flows > MAX_FLOWS {
            bail!("{flows} flows are more than {MAX_FLOWS}, the most that are made in one go");
        }
        match self {
            Self::Tcp { to, flows, up, down }
                if up.max(down).saturating_mul(flows.into()) <= MAX_TCP_BYTES =>
            {
                tcp::make(to, flows, up, down)
            }
            Self::Tcp { .. } => bail!("more than {MAX_TCP_BYTES} bytes one way"),
            Self::Udp { to, flows, size, count } => udp::make(to, flows, size, count),
            Self::Flood { v6, flows } => flood::make(v6, flows),
        }
    }

    /// The arguments of `xtask` for it.
    #[must_use]
    pub fn arguments(self) -> Vec<String> {
        let text = match self {
            Self::Tcp { to, flows, up, down } => {
                format!("traffic tcp {to} --flows {flows} --up {up} --down {down}")
            }
            Self::Udp { to, flows, size, count } => {
                format!("traffic udp {to} --flows {flows} --size {size} --count {count}")
            }
            Self::Flood { v6, flows } => {
                format!("traffic flood --flows {flows}{}", if v6 { " --v6" } else { "" })
            }
        };
        text.split(' ').map(str::to_owned).collect()
    }

    /// Makes this traffic on a device of the household and waits for its end.
    ///
    /// # Errors
    /// As [`Traffic::make`].
    pub fn make_on(self, household: &Household, device: &Device) -> Result<Sent> {
        let said = device.namespace.run(&mut tool::command(household.xtask(), self.arguments()))?;
        serde_json::from_str(&said).with_context(|| format!("understand the generator's {said:?}"))
    }
}

/// Sends `count` echo requests of `size` payload bytes from a device with the real `ping`.
///
/// # Errors
/// If an answer is missing.
pub fn ping(device: &Device, to: IpAddr, size: u16, count: u32) -> Result<()> {
    let mut ping = tool::command("ping", ["-q", "-n", "-i", "0.01", "-W", "2"]);
    ping.args(["-s", &size.to_string(), "-c", &count.to_string(), &to.to_string()]);
    device.namespace.run(&mut ping).map(drop)
}

fn refuse_outside_the_lab() -> Result<()> {
    if !is_lab_namespace()? {
        bail!("this makes traffic to real-world addresses: run it inside a namespace of cargo xtask lab");
    }
    Ok(())
}

/// The servers for all kinds of traffic, running in the "Internet" until this is dropped.
#[derive(Debug)]
pub struct TrafficServer {
    process: Child,
}

impl TrafficServer {
    /// Starts the servers; they answer when this returns.
    ///
    /// # Errors
    /// If they cannot be started.
    pub fn start(household: &Household) -> Result<Self> {
        let mut command = tool::command(household.xtask(), ["traffic", "serve"]);
        let mut process = household.internet().spawn(command.stdin(Stdio::piped()).stdout(Stdio::piped()))?;
        let output = process.stdout.take().context("take the servers' output")?;
        let server = Self { process };
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).context("wait for the servers")?;
        if line.trim() != server::READY {
            bail!("the servers for traffic did not begin: see their message above");
        }
        Ok(server)
    }
}

impl Drop for TrafficServer {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        // It ends with its input.
        let _ = self.process.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;

    #[derive(clap::Parser)]
    struct CommandLine {
        #[command(subcommand)]
        traffic: Traffic,
    }

    #[test]
    fn arguments_mean_the_traffic_they_were_made_from() {
        let to = IpAddr::from([198, 51, 100, 7]);
        for traffic in [
            Traffic::Tcp { to, flows: 3, up: 4, down: 5 },
            Traffic::Udp { to, flows: 6, size: 7, count: 8 },
            Traffic::Flood { v6: false, flows: 9 },
            Traffic::Flood { v6: true, flows: 9 },
        ] {
            let parsed = CommandLine::try_parse_from(traffic.arguments()).expect("parses");
            assert_eq!(parsed.traffic, traffic);
        }
    }

    #[test]
    fn nothing_is_sent_outside_the_lab() {
        let error = Traffic::Flood { v6: false, flows: 1 }.make().expect_err("refused");
        assert!(error.to_string().contains("inside a namespace"), "{error:#}");
    }
}
