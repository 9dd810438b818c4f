//! A plausible evening: what the phones and the laptop do, by real programs, in some seconds.
//!
//! The Redmi reports to its maker while its owner reads: at every page some reports, larger for a longer
//! address, as researchers saw it do in 2020. Sizes vary from run to run; counts are fixed.

use super::devices::Device;
use super::household::Household;
use super::netns::Namespace;
use crate::tool;
use anyhow::{Context as _, Result, anyhow};
use std::fs;
use std::hash::{BuildHasher as _, RandomState};
use std::io::Read as _;
use std::net::UdpSocket;
use std::ops::Range;
use std::path::Path;

/// What one device did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Played {
    /// The device's role.
    pub role: &'static str,
    /// Steps that succeeded.
    pub steps: usize,
}

/// One thing that a device does.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Fetches an address.
    Get(&'static str),
    /// Fetches an address over this IP version only.
    GetOver(&'static str, &'static str),
    /// Uploads a body whose length lies in the range, bytes.
    Post(&'static str, (usize, usize)),
    /// Plays this many pieces of a film.
    Watch(&'static str, usize),
    /// Sends one echo request.
    Ping(&'static str),
    /// Asks a DNS server of its own choice for a name.
    Ask(&'static str, &'static str),
    /// Opens TLS with a server of its own choice, for a name.
    Tls(&'static str, &'static str),
    /// Sends datagrams of a protocol to an address.
    Send(Datagrams, &'static str),
    /// Sends one echo request to another device of the house.
    PingAtHome(&'static str),
}

/// What the gateway cannot read.
#[derive(Clone, Copy, Debug)]
enum Datagrams {
    /// A client asks for the time (RFC 5905 §7.3).
    Ntp,
    /// A client asks for its own address (RFC 8489 §5).
    Stun,
    /// A handshake begins and some data follows (the WireGuard white paper, §5.4).
    WireGuard,
}

impl Datagrams {
    fn payloads(self) -> Result<Vec<Vec<u8>>> {
        Ok(match self {
            Self::Ntp => {
                // Version 4, a client; all that a client need not tell is zero.
                let mut request = vec![0; 48];
                request[0] = 4 << 3 | 3;
                vec![request]
            }
            Self::Stun => {
                // A binding request without attributes, the magic cookie, a transaction.
                let head = [0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
                vec![[&head[..], &noise(12)?].concat()]
            }
            Self::WireGuard => {
                // The last sixteen bytes are zero unless the server has sent a cookie.
                let mut all = vec![[&[1, 0, 0, 0][..], &noise(128)?, &[0; 16]].concat()];
                for counter in 0u64..20 {
                    let head = [4, 0, 0, 0, 0x5e, 0x08, 0x01, 0x00];
                    all.push([&head[..], &counter.to_le_bytes(), &noise(1200)?].concat());
                }
                all
            }
        })
    }
}

impl Datagrams {
    /// Sends them all from one port.
    fn send(self, namespace: &Namespace, to: &str) -> Result<()> {
        let payloads = self.payloads()?;
        namespace.inside(|| {
            let socket = UdpSocket::bind("0.0.0.0:0").context("open a socket")?;
            for payload in &payloads {
                socket.send_to(payload, to).with_context(|| format!("send {self:?} to {to}"))?;
            }
            Ok(())
        })
    }
}

/// The gateway's own DNS server.
const GATEWAY: &str = "192.168.77.1";

const REPORT: (usize, usize) = (400, 6_000);
const PAGE_REPORT: (usize, usize) = (900, 3_000);

const REDMI: &[Step] = &[
    Step::Get("http://connect.rom.miui.com/generate_204"),
    Step::Post("https://data.mistat.intl.xiaomi.com/mistats/v3", REPORT),
    Step::Get("https://api.sec.miui.com/common/whiteList"),
    Step::Post("https://sa.api.intl.miui.com/sa?project=miui", REPORT),
    // A page, and the report of it.
    Step::Get("https://www.google.com/search?q=router"),
    Step::Post("https://tracking.intl.miui.com/track/v4", PAGE_REPORT),
    Step::Get("https://en.wikipedia.org/page-400.bin"),
    Step::Post("https://tracking.intl.miui.com/track/v4", PAGE_REPORT),
    Step::Post("https://data.mistat.rus.xiaomi.com/mistats/v3", REPORT),
    Step::Get("https://www.facebook.com/page-400.bin"),
    Step::Post("https://tracking.intl.miui.com/track/v4", PAGE_REPORT),
    Step::Get("https://ya.ru/search/?text=telltale"),
    Step::Post("https://tracking.rus.miui.com/track/v4", PAGE_REPORT),
    Step::Ask("8.8.8.8", "data.mistat.intl.xiaomi.com"),
    // An address that is built in: no name is ever asked for.
    Step::Post("https://120.92.96.155/sync", (2_000, 40_000)),
    Step::Post("https://data.mistat.intl.xiaomi.com/mistats/v3", (60_000, 250_000)),
    Step::Post("https://sa.api.intl.miui.com/sa?project=browser", REPORT),
    Step::Ping("8.8.8.8"),
    Step::Post("https://data.mistat.intl.xiaomi.com/mistats/v3", REPORT),
    Step::Post("https://tracking.intl.miui.com/track/v4", PAGE_REPORT),
];

const PHONE2: &[Step] = &[
    Step::Get("http://connectivitycheck.gstatic.com/generate_204"),
    Step::Get("https://www.google.com/"),
    Step::Get("https://en.wikipedia.org/"),
    Step::GetOver("--ipv4", "https://upload.wikimedia.org/page-400.bin"),
    Step::Watch("https://rr4---sn-4g5ednsl.googlevideo.com/page-4096.bin", 6),
    Step::Get("https://www.facebook.com/page-400.bin"),
    Step::Post("https://www.facebook.com/photo", (300_000, 900_000)),
    Step::Ping("2606:4700:4700::1111"),
    Step::Ask(GATEWAY, "time.android.com"),
    Step::Send(Datagrams::Ntp, "216.239.35.0:123"),
    Step::Ask(GATEWAY, "stun.l.google.com"),
    Step::Send(Datagrams::Stun, "74.125.250.129:19302"),
    // Somebody's VPN: nobody asks for its address.
    Step::Send(Datagrams::WireGuard, "185.159.157.13:51820"),
];

const LAPTOP: &[Step] = &[
    Step::Get("http://captive.apple.com/hotspot-detect.html"),
    Step::Get("https://en.wikipedia.org/page-400.bin"),
    Step::Get("https://cdnjs.cloudflare.com/page-8.bin"),
    Step::Get("https://cdn.jsdelivr.net/page-8.bin"),
    Step::GetOver("--ipv6", "https://ya.ru/"),
    Step::Get("https://1.1.1.1/dns-query"),
    Step::Tls("1.1.1.1:853", "one.one.one.one"),
    Step::Get("https://dns.google/dns-query"),
    Step::PingAtHome("redmi"),
    // Only the DNS tells what this is.
    Step::Ping("ya.ru"),
    Step::Ping("1.1.1.1"),
];

/// Plays the evening on all devices at once and waits for its end.
///
/// # Errors
/// If a step fails: in a household that works, none does.
pub fn play_evening(household: &Household) -> Result<Vec<Played>> {
    let uploads = household.run().directory().join("uploads");
    fs::create_dir_all(&uploads).with_context(|| format!("make the directory {}", uploads.display()))?;
    let parts = [("redmi", REDMI), ("phone2", PHONE2), ("laptop", LAPTOP)];
    std::thread::scope(|scope| {
        let players = parts.map(|(role, steps)| {
            let uploads = &uploads;
            scope.spawn(move || play(household, role, steps, uploads))
        });
        let played =
            players.into_iter().map(|p| p.join().map_err(|_| anyhow!("a player's thread panicked"))?);
        played.collect()
    })
}

fn play(household: &Household, role: &'static str, steps: &[Step], uploads: &Path) -> Result<Played> {
    let device = household.device(role)?;
    device.come_home(household.run())?;
    for (number, step) in steps.iter().enumerate() {
        let upload = uploads.join(format!("{role}-{number}"));
        step.play(household, device, &upload)
            .with_context(|| format!("play step {number} of {role}'s evening"))?;
    }
    Ok(Played { role, steps: steps.len() })
}

impl Step {
    fn play(self, household: &Household, device: &Device, upload: &Path) -> Result<()> {
        let namespace = &device.namespace;
        let mut command = match self {
            Self::Get(url) => curl(namespace, &[url]),
            Self::GetOver(version, url) => curl(namespace, &[version, url]),
            Self::Post(url, (least, most)) => {
                write_noise(upload, least..most)?;
                curl(namespace, &["--data-binary", &format!("@{}", upload.display()), url])
            }
            Self::Watch(url, pieces) => {
                const PIECE_LEN: usize = 512 << 10;
                let ranges: Vec<_> =
                    (0..pieces).map(|n| format!("{}-{}", n * PIECE_LEN, (n + 1) * PIECE_LEN - 1)).collect();
                let mut arguments = Vec::new();
                for range in &ranges {
                    if !arguments.is_empty() {
                        arguments.extend(["--next"].into_iter().chain(CURL));
                    }
                    arguments.extend(["--range", range.as_str(), url]);
                }
                curl(namespace, &arguments)
            }
            Self::Ping(to) => {
                let mut ping = namespace.exec("ping");
                ping.args(["-q", "-n", "-c", "1", "-W", "3", to]);
                ping
            }
            Self::Ask(server, name) => {
                let mut dig = namespace.exec("dig");
                dig.args(["+tries=1", "+time=3", &format!("@{server}"), name]);
                dig
            }
            Self::Tls(server, name) => {
                let mut openssl = namespace.exec("openssl");
                openssl.args(["s_client", "-connect", server, "-servername", name]);
                openssl
            }
            Self::Send(datagrams, to) => return datagrams.send(namespace, to),
            Self::PingAtHome(role) => {
                let to = household.device(role)?.addr_v4.to_string();
                let mut ping = namespace.exec("ping");
                ping.args(["-q", "-n", "-c", "1", "-W", "3", &to]);
                ping
            }
        };
        tool::run(&mut command).map(drop)
    }
}

/// The certificate is the lab's own, so no client could know who signed it.
const CURL: [&str; 8] =
    ["--insecure", "--silent", "--show-error", "--fail", "--max-time", "20", "--output", "/dev/null"];

fn curl(namespace: &Namespace, arguments: &[&str]) -> std::process::Command {
    let mut curl = namespace.exec("curl");
    curl.args(CURL).args(arguments);
    curl
}

/// Bytes that mean nothing.
fn noise(len: usize) -> Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    let mut random = fs::File::open("/dev/urandom").context("open /dev/urandom")?;
    random.read_exact(&mut bytes).context("read /dev/urandom")?;
    Ok(bytes)
}

/// Writes a file of random length and content.
fn write_noise(path: &Path, len: Range<usize>) -> Result<()> {
    let choice = RandomState::new().hash_one(path) as usize;
    let len = len.start + choice % len.len();
    let random = fs::File::open("/dev/urandom").context("open /dev/urandom")?;
    let mut file = fs::File::create(path).with_context(|| format!("make {}", path.display()))?;
    std::io::copy(&mut random.take(len as u64), &mut file)
        .with_context(|| format!("write {}", path.display()))?;
    Ok(())
}
