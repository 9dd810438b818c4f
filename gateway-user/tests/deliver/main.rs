//! `telltale deliver` against servers on loopback: what arrives, what is refused, what a certificate has to be, and
//! that no secret is ever printed.
#![cfg(feature = "deliver")]
#![allow(clippy::unwrap_used, reason = "tests panic on purpose")]

mod server;

use server::{Heard, Identity, Mail, http, serve};
use std::fs::Permissions;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use tempfile::TempDir;

const SECRET: &str = "Tr0ub4dor&3-not-to-be-seen";

/// A configuration with its files, and the program.
struct House {
    dir: TempDir,
}

impl House {
    /// `{dir}` in the text is where `password` and `ca.pem` are.
    fn new(ca: &str, ways: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let password = dir.path().join("password");
        std::fs::write(&password, format!("{SECRET}\n")).unwrap();
        std::fs::set_permissions(&password, Permissions::from_mode(0o600)).unwrap();
        std::fs::write(dir.path().join("ca.pem"), ca).unwrap();
        let place = dir.path().to_str().unwrap();
        let ca = if ca.is_empty() { "" } else { "ca = \"{dir}/ca.pem\"\n" };
        let text = format!("database = \"{{dir}}/t.db\"\n[deliver]\ntimeout_secs = 3\n{ca}{ways}");
        std::fs::write(dir.path().join("t.toml"), text.replace("{dir}", place)).unwrap();
        Self { dir }
    }

    fn run(&self, args: &[&str]) -> Output {
        let file = self.dir.path().join("t.toml");
        let mut command = Command::new(env!("CARGO_BIN_EXE_telltale"));
        command.arg("deliver").args(args).arg("--config").arg(file).env_clear();
        let output = command.output().unwrap();
        for said in [&output.stdout, &output.stderr] {
            let said = String::from_utf8_lossy(said);
            assert!(!said.contains(SECRET) && !said.contains("VHIwdWI0"), "a secret is shown: {said}");
        }
        output
    }

    #[track_caller]
    fn delivers(&self) {
        let output = self.run(&["test"]);
        assert!(output.status.success(), "{output:?}");
        assert!(String::from_utf8(output.stdout).unwrap().ends_with(": delivered\n"));
    }

    #[track_caller]
    fn fails(&self, words: &str) {
        let output = self.run(&["test"]);
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(words), "{said}");
    }
}

fn email(port: u16, tls: &str) -> String {
    let login = if tls == "none" { "" } else { "username = \"me\"\npassword_file = \"{dir}/password\"\n" };
    format!(
        "[deliver.email]\nhost = \"localhost\"\nport = {port}\ntls = \"{tls}\"\nfrom = \"gate@home.test\"\n\
         to = [\"a@x.test\", \"b@x.test\"]\n{login}"
    )
}

fn identity() -> Arc<Identity> {
    Arc::new(Identity::of("localhost", false))
}

#[test]
fn a_letter_arrives_by_every_kind_of_tls() {
    for (tls, has_tls) in [("starttls", true), ("implicit", true), ("none", false)] {
        let identity = identity();
        let heard = Heard::default();
        let mail = Mail {
            identity: has_tls.then(|| Arc::clone(&identity)),
            is_implicit: tls == "implicit",
            heard: Arc::clone(&heard),
            ..Mail::default()
        };
        House::new(&identity.ca, &email(mail.start(), tls)).delivers();
        let heard = heard.lock().unwrap();
        let said = |line: &str| heard.iter().any(|said| said == line);
        assert!(
            said("MAIL FROM:<gate@home.test>") && said("RCPT TO:<a@x.test>") && said("RCPT TO:<b@x.test>")
        );
        assert_eq!(heard.iter().any(|line| line.starts_with("AUTH PLAIN ")), has_tls);
        let letter = heard.iter().find(|said| said.contains("Subject: ")).unwrap();
        assert!(letter.contains("Subject: Telltale: a test\n") && letter.contains("multipart/alternative"));
    }
}

#[test]
fn what_a_mail_server_refuses_is_told() {
    for (refusal, words) in [
        (("AUTH", "535 no"), "refuses user name or password (535)"),
        (("RCPT", "550 no such user"), "answers 550 to RCPT: no such user"),
        ((".", "554 spam"), "answers 554 to the letter: spam"),
        (("MAIL", "451 later"), "answers 451 to MAIL: later"),
    ] {
        let identity = identity();
        let mail = Mail { identity: Some(Arc::clone(&identity)), refusal: Some(refusal), ..Mail::default() };
        House::new(&identity.ca, &email(mail.start(), "starttls")).fails(words);
    }
}

#[test]
fn a_mail_server_without_starttls_gets_neither_password_nor_letter() {
    let heard = Heard::default();
    let mail = Mail { heard: Arc::clone(&heard), ..Mail::default() };
    House::new("", &email(mail.start(), "starttls")).fails("the server has no STARTTLS");
    let heard = heard.lock().unwrap();
    assert!(heard.iter().all(|line| line.starts_with("EHLO")), "{heard:?}");
}

#[test]
fn a_certificate_has_to_hold() {
    let other = identity();
    for (identity, ca, words) in [
        (Identity::of("elsewhere.test", false), None, "not valid for name"),
        (Identity::of("localhost", true), None, "expired"),
        (Identity::of("localhost", false), Some(&other.ca), "no safe connection"),
        (Identity::of("localhost", false), Some(&String::new()), "no safe connection"),
    ] {
        let ca = ca.unwrap_or(&identity.ca).clone();
        let identity = Arc::new(identity);
        let heard = Heard::default();
        let mail = Mail {
            identity: Some(Arc::clone(&identity)),
            is_implicit: true,
            heard: Arc::clone(&heard),
            ..Mail::default()
        };
        House::new(&ca, &email(mail.start(), "implicit")).fails(words);
        assert!(heard.lock().unwrap().is_empty(), "nothing was said");
        let port = http(Some(identity), "200 OK", Heard::default());
        let way = format!("[deliver.webhook]\nurl = \"https://localhost:{port}/in\"\n");
        House::new(&ca, &way).fails("webhook: no safe connection");
    }
}

#[test]
fn ntfy_and_webhook_post_json() {
    let identity = identity();
    let heard = Heard::default();
    let port = http(Some(Arc::clone(&identity)), "200 OK", Arc::clone(&heard));
    let ntfy = format!(
        "[deliver.ntfy]\nserver = \"https://localhost:{port}/\"\ntopic = \"home\"\n\
         token_file = \"{{dir}}/password\"\n"
    );
    House::new(&identity.ca, &ntfy).delivers();
    let webhook = format!(
        "[deliver.webhook]\nurl = \"https://localhost:{port}/in?k=v\"\nkey_file = \"{{dir}}/password\"\n"
    );
    House::new(&identity.ca, &webhook).delivers();
    let heard = heard.lock().unwrap();
    assert!(heard[0].starts_with("POST / HTTP/1.1"), "{}", heard[0]);
    assert!(heard[0].to_lowercase().contains(&format!("authorization: bearer {}", SECRET.to_lowercase())));
    let body = |request: &str| -> serde_json::Value {
        serde_json::from_str(request.split_once("\r\n\r\n").unwrap().1).unwrap()
    };
    let note = body(&heard[0]);
    assert_eq!((&note["topic"], &note["title"]), (&"home".into(), &"Telltale: a test".into()));
    assert!(heard[1].starts_with("POST /in?k=v HTTP/1.1"));
    let hook = body(&heard[1]);
    assert_eq!((&hook["version"], &hook["data"]["test"]), (&1.into(), &true.into()));
    assert!(heard[1].to_lowercase().contains("telltale-signature: sha256="));
}

#[test]
fn what_an_http_server_refuses_is_told() {
    for (answer, words) in [
        ("401 Unauthorized", "401 Unauthorized: token or key is not right"),
        ("500 Internal Server Error", "the server answers 500"),
        ("429 Too Many Requests\r\nRetry-After: 60", "the server answers 429"),
        ("302 Found\r\nLocation: https://elsewhere.test/", "it has moved"),
    ] {
        let port = http(None, answer, Heard::default());
        let way = format!("[deliver.webhook]\nurl = \"http://localhost:{port}/{SECRET}\"\n");
        House::new("", &way).fails(words);
    }
}

#[test]
fn a_server_that_says_nothing_or_is_not_there_is_not_waited_for_long() {
    let port = serve(|mut stream| stream.read_to_end(&mut Vec::new()).map(drop));
    House::new("", &email(port, "none")).fails("nothing came in time");
    House::new("", &mqtt(port, false)).fails("nothing came in time");
    let way = format!("[deliver.webhook]\nurl = \"http://localhost:{port}/\"\n");
    House::new("", &way).fails("nothing came in time");
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    House::new("", &email(gone, "none")).fails("connect to localhost port");
}

fn mqtt(port: u16, is_tls: bool) -> String {
    format!(
        "[deliver.mqtt]\nhost = \"localhost\"\nport = {port}\ntls = {is_tls}\nusername = \"me\"\n\
         password_file = \"{{dir}}/password\"\n"
    )
}

#[test]
fn a_broker_that_refuses_is_told() {
    for (code, words) in
        [(5, "refuses user name or password"), (3, "not available"), (1, "refuses the connection (1)")]
    {
        let port = serve(move |mut stream| {
            stream.read_exact(&mut [0; 20])?;
            stream.write_all(&[0x20, 2, 0, code])
        });
        House::new("", &mqtt(port, false)).fails(words);
    }
}

/// With a real broker, where mosquitto is installed; CI installs it.
#[test]
fn mosquitto_takes_the_message() {
    let dir = tempfile::tempdir().unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let file = dir.path().join("mosquitto.conf");
    std::fs::write(&file, format!("listener {port} 127.0.0.1\nallow_anonymous true\n")).unwrap();
    let mosquitto =
        ["/usr/sbin/mosquitto", "/usr/bin/mosquitto"].into_iter().find(|path| std::fs::exists(path).unwrap());
    let Some(mosquitto) = mosquitto else {
        eprintln!("skipped: mosquitto is not installed");
        return;
    };
    let mut broker = Command::new(mosquitto)
        .arg("-c")
        .arg(&file)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(broker.try_wait().unwrap().is_none(), "mosquitto has ended");
        std::thread::yield_now();
    }
    let output = House::new("", &mqtt(port, false)).run(&["test", "mqtt"]);
    broker.kill().unwrap();
    broker.wait().unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn a_secret_that_everybody_can_read_is_refused() {
    let house = House::new("", &mqtt(1, false));
    std::fs::set_permissions(house.dir.path().join("password"), Permissions::from_mode(0o644)).unwrap();
    house.fails("chmod 600");
}

#[test]
fn without_a_way_there_is_nothing_to_test_and_nothing_to_show() {
    let house = House::new("", "");
    for args in [["test"], ["status"]] {
        let output = house.run(&args);
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&output.stderr).contains("no way is configured"));
    }
    let json = House::new("", &mqtt(1, false)).run(&["status", "--json"]);
    let lines: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((&lines[0]["way"], &lines[0]["waiting"]), (&"mqtt".into(), &0.into()));
}
