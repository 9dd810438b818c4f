//! The "Internet" of the lab: real names at real-world addresses, answered by a real DNS server and a real web
//! server.
//!
//! The addresses lie in the networks of those who run such services (Alibaba in Singapore and Russia, Kingsoft,
//! Google, Meta, Yandex, Apple, Cloudflare, Wikimedia), so that a look-up of network and country has something
//! true to say. They exist only inside the namespace.

use super::netns::Namespace;
use super::run::Run;
use crate::tool;
use anyhow::{Context as _, Result};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::process::{Command, Stdio};

/// A name, the CNAMEs on the way to its addresses, and the addresses.
#[derive(Clone, Copy, Debug)]
pub struct Site {
    /// What clients ask for.
    pub name: &'static str,
    /// The names it leads to, in order; the last one holds the addresses.
    pub chain: &'static [&'static str],
    /// IPv4 addresses.
    pub v4: &'static [&'static str],
    /// IPv6 addresses.
    pub v6: &'static [&'static str],
}

const fn site(
    name: &'static str,
    chain: &'static [&'static str],
    v4: &'static [&'static str],
    v6: &'static [&'static str],
) -> Site {
    Site { name, chain, v4, v6 }
}

/// Every site. Two share an address where they do so in life, in a content network.
pub const SITES: [Site; 21] = [
    site("data.mistat.intl.xiaomi.com", &[], &["161.117.71.36", "47.241.7.1"], &[]),
    site("data.mistat.rus.xiaomi.com", &[], &["47.246.132.17"], &[]),
    site(
        "sa.api.intl.miui.com",
        &["sa-api.intl.miui.com.akadns.net", "sgp-sa-lb.alb.ap-southeast-1.aliyuncs.com"],
        &["47.241.7.1", "161.117.1.1"],
        &[],
    ),
    site("tracking.intl.miui.com", &["tracking-sgp.ingress.miui.com"], &["47.88.128.1"], &[]),
    site("tracking.rus.miui.com", &[], &["8.209.64.21"], &[]),
    site("connect.rom.miui.com", &[], &["111.13.141.125"], &[]),
    site("api.sec.miui.com", &[], &["118.26.252.1"], &[]),
    site("www.google.com", &[], &["142.250.74.46"], &["2a00:1450:4010:c0f::68"]),
    site("connectivitycheck.gstatic.com", &[], &["142.250.74.35"], &["2a00:1450:4010:c0f::5e"]),
    site(
        "rr4---sn-4g5ednsl.googlevideo.com",
        &["rr4.sn-4g5ednsl.googlevideo.com"],
        &["142.250.74.73"],
        &["2a00:1450:4010:c0f::88"],
    ),
    site(
        "www.facebook.com",
        &["star-mini.c10r.facebook.com"],
        &["157.240.1.35"],
        &["2a03:2880:f10c:83:face:b00c:0:25de"],
    ),
    site("ya.ru", &[], &["77.88.55.88"], &["2a02:6b8::2:242"]),
    site("captive.apple.com", &["captive-cidr.origin-apple.com.akadns.net"], &["17.253.144.10"], &[]),
    site("en.wikipedia.org", &["dyna.wikimedia.org"], &["185.15.59.224"], &["2a02:ec80:300:ed1a::1"]),
    site("upload.wikimedia.org", &[], &["185.15.59.240"], &["2a02:ec80:300:ed1a::2:b"]),
    site("one.one.one.one", &[], &["1.1.1.1"], &["2606:4700:4700::1111"]),
    site("cdnjs.cloudflare.com", &[], &["104.17.24.14"], &["2606:4700::6811:180e"]),
    site(
        "cdn.jsdelivr.net",
        &["cdn.jsdelivr.net.cdn.cloudflare.net"],
        &["104.17.24.14"],
        &["2606:4700::6811:180e"],
    ),
    site("time.android.com", &[], &["216.239.35.0"], &[]),
    site("stun.l.google.com", &[], &["74.125.250.129"], &[]),
    site("dns.google", &[], &["8.8.8.8", "8.8.4.4"], &["2001:4860:4860::8888"]),
];

/// Addresses that clients have built in and no name leads to: Kingsoft Cloud, Alibaba in Germany, a VPN's server.
const NAMELESS: [&str; 3] = ["120.92.96.155", "8.211.0.1", "185.159.157.13"];

/// NTP, STUN and WireGuard are heard and not answered: no server here speaks them, and it must not look as if none
/// were there.
const HEARD: &str = "table inet heard {
  chain input {
    type filter hook input priority filter; policy accept;
    udp dport { 123, 19302, 51820 } drop
  }
}
";

/// The DNS server that the gateway asks.
pub(crate) const RESOLVER_V4: &str = "8.8.8.8";

/// Where `xtask traffic serve` listens (RFC 5737, RFC 3849: addresses for documentation).
pub const TRAFFIC_SERVER_V4: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 7);
/// The same over IPv6.
pub const TRAFFIC_SERVER_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xbeef, 0, 0, 0, 0, 7);
/// First of 128 addresses that take packets and say nothing: 198.51.100.128/25.
pub const BLACKHOLE_V4: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 128);
/// The same over IPv6: 2001:db8:dead::/64.
pub const BLACKHOLE_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xdead, 0, 0, 0, 0, 0);

/// The web server's ports: plain HTTP, then TLS.
pub const WEB_SERVER_PORTS: [u16; 2] = [80, 443];

/// Files that the web server offers, in KiB; their names are `/page-N.bin`, and anything else is `/page-64.bin`.
pub(crate) const PAGE_KIB: [usize; 4] = [8, 64, 400, 4096];

/// `ip` commands that give the "Internet" its addresses, those of `hosts` too.
pub(crate) fn address_batch(hosts: &[(String, IpAddr)]) -> String {
    let mut v4: BTreeSet<&str> = NAMELESS.into();
    let mut v6 = BTreeSet::new();
    for site in &SITES {
        v4.extend(site.v4);
        v6.extend(site.v6);
    }
    let mut batch = String::from("link set lo up\n");
    for addr in v4.into_iter().map(str::to_owned).chain([TRAFFIC_SERVER_V4.to_string()]) {
        let _ = writeln!(batch, "address add {addr}/32 dev lo");
    }
    for addr in v6.into_iter().map(str::to_owned).chain([TRAFFIC_SERVER_V6.to_string()]) {
        let _ = writeln!(batch, "address add {addr}/128 dev lo nodad");
    }
    for addr in hosts.iter().map(|(_, addr)| addr).collect::<BTreeSet<_>>() {
        let rest = if addr.is_ipv4() { "/32 dev lo" } else { "/128 dev lo nodad" };
        let _ = writeln!(batch, "address add {addr}{rest}");
    }
    let _ = writeln!(batch, "route add blackhole {BLACKHOLE_V4}/25\nroute add blackhole {BLACKHOLE_V6}/64");
    batch
}

/// Starts the DNS and the web server; both answer when this returns.
pub(crate) fn start(run: &Run, internet: &Namespace, hosts: &[(String, IpAddr)]) -> Result<()> {
    let directory = run.directory();
    internet.inside(|| tool::run_with_input(&mut tool::command("nft", ["-f", "-"]), HEARD.as_bytes()))?;
    std::thread::scope(|scope| {
        let dns = scope.spawn(|| start_dns(&directory, internet, hosts));
        start_web(&directory, internet)?;
        dns.join().map_err(|_| anyhow::anyhow!("the thread that starts the DNS server panicked"))?
    })
}

/// Runs a program that goes into the background by itself once it is ready. A file takes its messages, because
/// a pipe would stay open as long as the daemon lives.
pub(crate) fn start_daemon(namespace: &Namespace, command: &mut Command) -> Result<()> {
    let shown = tool::shown(command);
    let mut messages = tempfile_for_messages()?;
    let stderr = messages.try_clone().context("share the file for messages")?;
    let status = namespace
        .spawn(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr))?
        .wait()
        .with_context(|| format!("wait for {shown}"))?;
    if status.success() {
        return Ok(());
    }
    let mut text = String::new();
    std::io::Seek::rewind(&mut messages).context("read the messages again")?;
    std::io::Read::read_to_string(&mut messages, &mut text).context("read the messages again")?;
    anyhow::bail!("{shown}: {status}: {}", text.trim())
}

/// A file without a name.
fn tempfile_for_messages() -> Result<fs::File> {
    let fd = nix::sys::memfd::memfd_create("messages", nix::sys::memfd::MFdFlags::MFD_CLOEXEC)
        .context("make a file for messages")?;
    Ok(fs::File::from(fd))
}

fn start_dns(directory: &Path, internet: &Namespace, hosts: &[(String, IpAddr)]) -> Result<()> {
    let config = directory.join("internet-dnsmasq.conf");
    let mut text = format!(
        "listen-address={RESOLVER_V4},8.8.4.4,1.1.1.1\nbind-interfaces\nuser=root\nno-hosts\nno-resolv\n\
         local=/#/\nlocal-ttl=300\npid-file={}\nlog-facility={}\n",
        directory.join("internet-dnsmasq.pid").display(),
        directory.join("internet-dnsmasq.log").display(),
    );
    for site in &SITES {
        text.push_str(&dns_records(site));
    }
    for (name, addr) in hosts {
        let _ = writeln!(text, "host-record={name},{addr}");
    }
    fs::write(&config, text).with_context(|| format!("write {}", config.display()))?;
    start_daemon(internet, tool::command("dnsmasq", ["-C"]).arg(&config))
}

/// A site's records in dnsmasq's words.
fn dns_records(site: &Site) -> String {
    let mut text = String::new();
    let mut name = site.name;
    for next in site.chain {
        let _ = writeln!(text, "cname={name},{next}");
        name = next;
    }
    // One address of each kind a line: a second line adds to the first.
    for addr in site.v4.iter().chain(site.v6) {
        let _ = writeln!(text, "host-record={name},{addr}");
    }
    text
}

const WEB_CONFIG: &str = r#"
user root;
worker_processes 2;
pid DIR/nginx.pid;
error_log DIR/nginx-error.log;
events { worker_connections 2048; }
http {
  access_log off;
  client_body_temp_path DIR/body;
  proxy_temp_path DIR/proxy;
  fastcgi_temp_path DIR/fastcgi;
  uwsgi_temp_path DIR/uwsgi;
  scgi_temp_path DIR/scgi;
  client_max_body_size 64m;
  client_body_buffer_size 4m;
  default_type text/html;
  sendfile on;
  ssl_protocols TLSv1.2 TLSv1.3;
  ssl_certificate DIR/certificate.pem;
  ssl_certificate_key DIR/key.pem;
  server {
    listen 80 default_server backlog=1024;
    listen [::]:80 default_server backlog=1024;
    listen 443 ssl default_server backlog=1024;
    listen [::]:443 ssl default_server backlog=1024;
    listen 853 ssl default_server;
    listen [::]:853 ssl default_server;
    root DIR/www;
    location / {
      if ($request_method = POST) { rewrite ^ /sink last; }
      try_files $uri /page-64.bin;
    }
    location = /generate_204 { return 204; }
    location = /hotspot-detect.html { return 200 "<HTML><HEAD><TITLE>Success</TITLE></HEAD><BODY>Success</BODY></HTML>"; }
    # Behind a proxy, so that nginx reads a whole upload before it answers.
    location = /sink { internal; proxy_pass http://127.0.0.1:8999; }
  }
  server {
    listen 127.0.0.1:8999;
    location / { return 200 "{\"status\":\"ok\"}"; }
  }
}
"#;

fn start_web(directory: &Path, internet: &Namespace) -> Result<()> {
    let www = directory.join("www");
    fs::create_dir_all(&www).with_context(|| format!("make the directory {}", www.display()))?;
    for kib in PAGE_KIB {
        let path = www.join(format!("page-{kib}.bin"));
        fs::write(&path, vec![b'.'; kib << 10]).with_context(|| format!("write {}", path.display()))?;
    }
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]);
    openssl.args(["-days", "2", "-subj", "/CN=telltale lab", "-keyout"]).arg(directory.join("key.pem"));
    tool::run(openssl.arg("-out").arg(directory.join("certificate.pem")))?;
    let config = directory.join("nginx.conf");
    fs::write(&config, WEB_CONFIG.replace("DIR", &directory.to_string_lossy()))
        .with_context(|| format!("write {}", config.display()))?;
    let errors = directory.join("nginx-error.log");
    start_daemon(internet, Command::new("nginx").arg("-c").arg(&config).arg("-e").arg(errors))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_of_names_ends_in_addresses() {
        let text =
            dns_records(&site("a.example", &["b.example", "c.example"], &["192.0.2.1"], &["2001:db8::1"]));
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines,
            [
                "cname=a.example,b.example",
                "cname=b.example,c.example",
                "host-record=c.example,192.0.2.1",
                "host-record=c.example,2001:db8::1"
            ]
        );
    }

    #[test]
    fn every_address_of_a_site_is_one() {
        for site in &SITES {
            assert!(!site.v4.is_empty(), "{}", site.name);
            assert!(site.v4.iter().all(|a| a.parse::<Ipv4Addr>().is_ok()), "{}", site.name);
            assert!(site.v6.iter().all(|a| a.parse::<Ipv6Addr>().is_ok()), "{}", site.name);
        }
        assert!(NAMELESS.iter().all(|a| a.parse::<Ipv4Addr>().is_ok()));
        let batch = address_batch(&[]);
        assert_eq!(batch.matches(" 104.17.24.14/32 ").count(), 1, "an address given twice is refused");
    }
}
