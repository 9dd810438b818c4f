//! Real programs among the clients, at a pace that their start permits.

use super::plan::{Connection, Expected, HTTP_PORT, NGINX_TLS_PORT, Truth, number, told_v4};
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use xtask::lab::Device;
use xtask::tool;

/// Above those of the plan and below those that the kernel gives.
const FIRST_PORT: u16 = 25_000;
const PAUSE: Duration = Duration::from_millis(300);

/// Runs curl, openssl and dig on a device by turns until told to stop; returns what must be said of each connection.
pub fn run_until(device: &Device, stop: &AtomicBool) -> Truth {
    let role = device.spec.role;
    let mut truth = Truth::new();
    for n in 0.. {
        // At least one of each.
        if stop.load(Ordering::Relaxed) && n >= 7 {
            break;
        }
        let local_port = FIRST_PORT + u16::try_from(n).unwrap();
        let (name, addr) = told_v4(role, n);
        let curl = |url: &str, more: &[&str]| {
            let mut curl = device.namespace.exec("curl");
            curl.args(["--ipv4", "--insecure", "--silent", "--show-error", "--fail", "--max-time", "10"]);
            curl.args(["--local-port", &local_port.to_string()]).args(more).arg(url);
            curl
        };
        let openssl = |version: &str| {
            let mut openssl = device.namespace.exec("openssl");
            openssl.args([
                "s_client",
                version,
                "-servername",
                &name,
                "-bind",
                &format!("0.0.0.0:{local_port}"),
            ]);
            openssl.args(["-connect", &format!("{addr}:{NGINX_TLS_PORT}")]).stdin(Stdio::null());
            openssl
        };
        let dig = |more: &[&str]| {
            let mut dig = device.namespace.exec("dig");
            dig.args(["+tries=1", "+time=3", "+short", &name]).args(more);
            dig
        };
        let https = (NGINX_TLS_PORT, number::TLS_SNI, number::TLS);
        let (mut command, connection) = match n % 7 {
            0 => {
                let http = (HTTP_PORT, number::HTTP_HOST, number::HTTP);
                (curl(&format!("http://{name}/generate_204"), &[]), Some(http))
            }
            1 => (curl(&format!("https://{name}/generate_204"), &["--tlsv1.3"]), Some(https)),
            2 => (curl(&format!("https://{name}/generate_204"), &["--tls-max", "1.2"]), Some(https)),
            3 => (openssl("-tls1_2"), Some(https)),
            4 => (openssl("-tls1_3"), Some(https)),
            5 => (dig(&["@192.168.77.1"]), None),
            _ => (dig(&["+tcp", "@8.8.8.8"]), None),
        };
        tool::run(&mut command).unwrap_or_else(|e| panic!("{role}: {e:#}"));
        if let Some((port, evidence, application)) = connection {
            let peer = SocketAddr::new(addr, port);
            let connection = Connection { role, protocol: number::TCP, local_port, peer };
            truth.insert(connection, Expected { name, evidence, application, outer: 0 });
        }
        std::thread::sleep(PAUSE);
    }
    truth
}
