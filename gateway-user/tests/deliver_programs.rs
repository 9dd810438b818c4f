//! Delivery to servers that others wrote: mosquitto for MQTT, aiosmtpd for e-mail, both with TLS and passwords. Where they
//! are not installed there is nothing to test with, and that is said; CI installs them.
#![cfg(feature = "deliver")]
#![allow(clippy::unwrap_used, reason = "tests panic on purpose")]

use gateway_user::config::DeliverConfig;
use gateway_user::config::deliver::{EmailConfig, MailTls, MqttConfig, SecretPlace};
use gateway_user::deliver::{DeviceFigures, Failure, Figures, Message, Priority, Way, send};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::Permissions;
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PASSWORD: &str = "a password with ümlauts";
/// How long a server may take until it listens, on a machine that has much to do.
const PATIENCE: Duration = Duration::from_secs(30);

/// A program of the system, if it is there.
fn program(name: &str) -> Option<PathBuf> {
    let found =
        ["/usr/sbin", "/usr/bin"].iter().map(|dir| Path::new(dir).join(name)).find(|path| path.exists());
    if found.is_none() {
        eprintln!("skipped: {name} is not installed");
    }
    found
}

/// A server that ends with the test, also by a panic.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A directory with a certificate for `localhost` by an authority of its own, and the password.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let this = Self { dir: tempfile::tempdir().unwrap() };
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // OpenSSL takes two certificates of one name for one.
        authority.distinguished_name.push(DnType::CommonName, "an authority of the tests");
        let authority_key = KeyPair::generate().unwrap();
        let ca = authority.self_signed(&authority_key).unwrap().pem();
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let leaf = leaf.signed_by(&key, &Issuer::new(authority, authority_key)).unwrap();
        this.put("ca.pem", &ca);
        this.put("cert.pem", &leaf.pem());
        this.put("key.pem", &key.serialize_pem());
        this.put("password", &format!("{PASSWORD}\n"));
        this.put("wrong", "hunter2");
        this
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn put(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
        std::fs::set_permissions(self.path(name), Permissions::from_mode(0o600)).unwrap();
    }

    fn config(&self) -> DeliverConfig {
        DeliverConfig { ca: Some(self.path("ca.pem")), timeout_secs: 20, ..DeliverConfig::default() }
    }

    fn login(&self, file: &str) -> Option<(String, SecretPlace)> {
        Some(("me".to_owned(), SecretPlace::File(self.path(file))))
    }
}

fn message(day: &str) -> Message {
    let device = DeviceFigures {
        mac: "02:00:00:00:00:0A".to_owned(),
        name: "Zoë's phone".to_owned(),
        up_bytes: 1_234,
        down_bytes: 5_678,
        new_destinations: Some(3),
    };
    Message {
        id: format!("summary-{day}"),
        subject: format!("Telltale: {day}, Zoë's phone"),
        text: ".a line with a dot\n\n  Zoë's phone  1.2 kB ↑\n".to_owned(),
        html: Some("<p>Zoë's phone</p>".to_owned()),
        json: "{}".to_owned(),
        priority: Priority::Normal,
        figures: Some(Figures { day: day.to_owned(), coverage_percent: Some(99.5), devices: vec![device] }),
    }
}

/// A failure that shows no password.
#[track_caller]
fn words(result: Result<(), Failure>) -> String {
    let failure = result.unwrap_err();
    let shown = format!("{failure} {failure:?}");
    assert!(!shown.contains(PASSWORD) && !shown.contains("hunter2"), "{shown}");
    shown
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn wait_for(port: u16, server: &mut Running) {
    let until = Instant::now() + PATIENCE;
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(server.0.try_wait().unwrap().is_none(), "the server has ended");
        assert!(Instant::now() < until, "the server does not listen");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn mosquitto(program: &Path, place: &Place, port: u16) -> Running {
    let at = |name: &str| place.path(name).display().to_string();
    // It gives up root before it reads the files, unless it is told not to.
    place.put(
        "mosquitto.conf",
        &format!(
            "user root\nlistener {port} 127.0.0.1\ncertfile {}\nkeyfile {}\nallow_anonymous false\npassword_file {}\n",
            at("cert.pem"),
            at("key.pem"),
            at("users")
        ),
    );
    let mut command = Command::new(program);
    command.arg("-c").arg(place.path("mosquitto.conf")).stdout(Stdio::null()).stderr(Stdio::null());
    let mut server = Running(command.spawn().unwrap());
    wait_for(port, &mut server);
    server
}

/// What the broker keeps for those who come later.
fn retained(sub: &Path, place: &Place, port: u16, count: usize) -> BTreeMap<String, Value> {
    let output = Command::new(sub)
        .args(["-h", "localhost", "-p", &port.to_string(), "-u", "me", "-P", PASSWORD, "-v", "-W", "20"])
        .args(["-t", "#", "-C", &count.to_string()])
        .arg("--cafile")
        .arg(place.path("ca.pem"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().map(|line| line.split_once(' ').unwrap());
    lines.map(|(topic, payload)| (topic.to_owned(), serde_json::from_str(payload).unwrap())).collect()
}

#[test]
fn mosquitto_keeps_a_phones_sensors_once_however_often_they_are_told() {
    let (Some(broker), Some(passwd), Some(sub)) =
        (program("mosquitto"), program("mosquitto_passwd"), program("mosquitto_sub"))
    else {
        return;
    };
    let place = Place::new();
    let made =
        Command::new(passwd).arg("-b").arg("-c").arg(place.path("users")).args(["me", PASSWORD]).status();
    assert!(made.unwrap().success());
    let port = free_port();
    let mqtt = |host: &str, login: &str, is_tls: bool| MqttConfig {
        host: host.to_owned(),
        port,
        is_tls,
        prefix: "telltale".to_owned(),
        discovery: Some("homeassistant".to_owned()),
        login: place.login(login),
    };
    let with = |mqtt: MqttConfig| DeliverConfig { mqtt: Some(mqtt), ..place.config() };
    let good = with(mqtt("localhost", "password", true));
    let tell = |config: &DeliverConfig, day: &str| send(Way::Mqtt, config, &message(day));

    // Nobody there; then somebody; gone; and back.
    assert!(words(tell(&good, "2026-11-21")).contains("Passing"));
    let server = mosquitto(&broker, &place, port);
    tell(&good, "2026-11-21").unwrap();
    drop(server);
    assert!(words(tell(&good, "2026-11-22")).contains("Passing"));
    let _server = mosquitto(&broker, &place, port);
    tell(&good, "2026-11-22").unwrap();
    tell(&good, "2026-11-22").unwrap();

    let kept = retained(&sub, &place, port, 6);
    let sensor = |key: &str| format!("homeassistant/sensor/telltale_02000000000a/{key}/config");
    let topics: Vec<_> = kept.keys().map(String::as_str).collect();
    assert_eq!(
        topics,
        [
            "homeassistant/sensor/telltale_02000000000a/down_bytes/config",
            "homeassistant/sensor/telltale_02000000000a/new_destinations/config",
            "homeassistant/sensor/telltale_02000000000a/up_bytes/config",
            "homeassistant/sensor/telltale_gateway/coverage_percent/config",
            "telltale/02000000000a/day",
            "telltale/day",
        ]
    );
    let state = json!({ "day": "2026-11-22", "up_bytes": 1234, "down_bytes": 5678, "new_destinations": 3 });
    assert_eq!(kept["telltale/02000000000a/day"], state);
    assert_eq!(kept[&sensor("up_bytes")]["device"]["name"], "Zoë's phone");
    assert_eq!(kept[&sensor("up_bytes")]["unique_id"], "telltale_02000000000a_up_bytes");

    // What does not pass by itself.
    assert!(words(tell(&with(mqtt("localhost", "wrong", true)), "2026-11-23")).contains("Refused"));
    let wrong_name = words(tell(&with(mqtt("127.0.0.1", "password", true)), "2026-11-23"));
    assert!(wrong_name.contains("Refused") && wrong_name.contains("not valid for"), "{wrong_name}");
    let stranger = DeliverConfig { ca: None, ..good.clone() };
    assert!(words(tell(&stranger, "2026-11-23")).contains("no safe connection"));
    // Without TLS it is no broker that answers, or nobody.
    words(tell(&with(mqtt("localhost", "password", false)), "2026-11-23"));
    let kept = retained(&sub, &place, port, 6);
    assert_eq!(kept["telltale/day"]["day"], "2026-11-22", "nothing of the refused attempts arrived");
}

/// Prints its port, then each letter as it understands it, as a line of JSON.
const AIOSMTPD: &str = r#"
import asyncio, email, email.policy, json, ssl, sys
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

kind, cert, key, password = sys.argv[1:]

class Letters:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("nobody"):
            return "550 5.1.1 nobody of that name"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        letter = email.message_from_bytes(envelope.content, policy=email.policy.default)
        print(json.dumps({
            "from": envelope.mail_from, "to": envelope.rcpt_tos, "subject": letter["subject"],
            "id": letter["message-id"], "kind": letter.get_content_type(), "defects": len(letter.defects),
            "text": letter.get_body(("plain",)).get_content(), "html": letter.get_body(("html",)).get_content(),
        }), flush=True)
        return "250 OK"

def check(server, session, envelope, mechanism, data):
    is_right = isinstance(data, LoginPassword) and data.login == b"me" and data.password == password.encode()
    return AuthResult(success=is_right, handled=False)

tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
tls.load_cert_chain(cert, key)
settings = dict(hostname="localhost", authenticator=check, auth_required=True)
if kind == "login":
    settings["auth_exclude_mechanism"] = ["PLAIN"]
if kind == "implicit":
    # It does not look whether the socket is TLS already.
    settings["auth_require_tls"] = False
else:
    settings.update(tls_context=tls, require_starttls=True)

async def main():
    serve = asyncio.get_running_loop().create_server
    server = await serve(lambda: SMTP(Letters(), **settings), "127.0.0.1", 0, ssl=tls if kind == "implicit" else None)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

asyncio.run(main())
"#;

/// An SMTP server, its port and what it says.
struct MailServer {
    _server: Running,
    port: u16,
    said: BufReader<std::process::ChildStdout>,
}

impl MailServer {
    fn start(python: &Path, place: &Place, kind: &str) -> Self {
        let mut command = Command::new(python);
        command
            .args(["-c", AIOSMTPD, kind])
            .arg(place.path("cert.pem"))
            .arg(place.path("key.pem"))
            .arg(PASSWORD);
        let mut server = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let said = BufReader::new(server.stdout.take().unwrap());
        let mut this = Self { _server: Running(server), port: 0, said };
        this.port = this.line().trim().parse().unwrap();
        this
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        line
    }
}

#[test]
fn aiosmtpd_takes_a_letter_and_reads_what_was_written() {
    let Some(python) = program("python3") else { return };
    let has_it =
        Command::new(&python).args(["-c", "import aiosmtpd"]).stderr(Stdio::null()).status().unwrap();
    if !has_it.success() {
        eprintln!("skipped: aiosmtpd is not installed");
        return;
    }
    let place = Place::new();
    for kind in ["plain", "login", "implicit"] {
        let mut server = MailServer::start(&python, &place, kind);
        let tls = if kind == "implicit" { MailTls::Implicit } else { MailTls::Starttls };
        let letter_to = |to: &str, login: &str, host: &str| EmailConfig {
            host: host.to_owned(),
            port: server.port,
            tls,
            from: "gate@example.org".to_owned(),
            to: vec!["a@example.org".to_owned(), to.to_owned()],
            login: place.login(login),
        };
        let tell = |email: EmailConfig, ca: Option<PathBuf>| {
            let config = DeliverConfig { email: Some(email), ca, ..place.config() };
            send(Way::Email, &config, &message("2026-11-22"))
        };
        let ca = Some(place.path("ca.pem"));
        // Each of these is refused before a letter is written.
        let wrong = words(tell(letter_to("b@example.org", "wrong", "localhost"), ca.clone()));
        assert!(wrong.contains("refuses user name or password"), "{kind}: {wrong}");
        let nobody = words(tell(letter_to("nobody@example.org", "password", "localhost"), ca.clone()));
        assert!(nobody.contains("nobody of that name"), "{kind}: {nobody}");
        let name = words(tell(letter_to("b@example.org", "password", "127.0.0.1"), ca.clone()));
        assert!(name.contains("Refused") && name.contains("not valid for"), "{kind}: {name}");
        let stranger = words(tell(letter_to("b@example.org", "password", "localhost"), None));
        assert!(stranger.contains("no safe connection"), "{kind}: {stranger}");

        tell(letter_to("b@example.org", "password", "localhost"), ca).unwrap();
        let letter: Value = serde_json::from_str(&server.line()).unwrap();
        let written = message("2026-11-22");
        assert_eq!(letter["subject"], written.subject.as_str(), "{kind}");
        assert_eq!(letter["to"], json!(["a@example.org", "b@example.org"]));
        assert_eq!((&letter["kind"], &letter["defects"]), (&json!("multipart/alternative"), &json!(0)));
        let text = letter["text"].as_str().unwrap().replace("\r\n", "\n");
        assert_eq!(
            (text.trim_end(), letter["html"].as_str().unwrap().trim_end()),
            (written.text.trim_end(), "<p>Zoë's phone</p>")
        );
    }
}
