//! An HTTPS server of rustls with a certificate of its own authority, that misbehaves where it is told to, and a proxy.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How long the server waits for a client that has gone, and how long it stalls.
const PATIENCE: Duration = Duration::from_secs(20);

/// A request, as far as the tests look at it.
#[derive(Clone, Debug)]
pub struct Asked {
    pub path: String,
    headers: BTreeMap<String, String>,
}

impl Asked {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

/// What the server says.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The length that is claimed; `None` = none at all, the end of the connection is the end of the body.
    pub claimed: Option<u64>,
    pub then: Then,
}

/// What the server does after the body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Then {
    /// Says goodbye.
    #[default]
    Close,
    /// Goes without a word, in the middle of TLS.
    Cut,
    /// Says nothing more and does not go.
    Stall,
    /// Sends the body again and again.
    Repeat,
}

impl Reply {
    pub fn status(status: u16) -> Self {
        Self { status, claimed: Some(0), ..Self::default() }
    }

    pub fn body(body: &[u8]) -> Self {
        Self { status: 200, claimed: Some(body.len() as u64), body: body.to_vec(), ..Self::default() }
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Only so much of the body is sent.
    pub fn stopping_at(mut self, len: usize, then: Then) -> Self {
        self.body.truncate(len);
        self.then = then;
        self
    }
}

/// A file as an honest server hands it out: with a tag, parts of it, and 304.
pub fn honest(file: &[u8], etag: &str, asked: &Asked) -> Reply {
    if asked.header("if-none-match") == Some(etag) {
        return Reply::status(304).with("etag", etag);
    }
    let whole = Reply::body(file).with("etag", etag);
    let range = asked.header("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-'));
    match range.and_then(|from| from.parse::<usize>().ok()) {
        Some(from) if asked.header("if-range") == Some(etag) => {
            if from >= file.len() {
                return Reply::status(416);
            }
            let range = format!("bytes {from}-{}/{}", file.len() - 1, file.len());
            let mut part = Reply::body(&file[from..]).with("etag", etag).with("content-range", &range);
            part.status = 206;
            part
        }
        _ => whole,
    }
}

type Answer = dyn Fn(&Asked, usize) -> Reply + Send + Sync;

/// A server that runs until the test ends.
pub struct Server {
    pub port: u16,
    /// The certificate of its authority, PEM.
    pub ca: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    /// Answers each request, given which one it is.
    pub fn start(answer: impl Fn(&Asked, usize) -> Reply + Send + Sync + 'static) -> Self {
        let (config, ca) = certificates();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let answer: Arc<Answer> = Arc::new(answer);
        let all = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (config, answer, all) = (Arc::clone(&config), Arc::clone(&answer), Arc::clone(&all));
                // A client that has gone is the client's to notice.
                std::thread::spawn(move || serve(config, stream, &*answer, &all));
            }
        });
        Self { port, ca, asked }
    }

    /// Hands out one file, honestly.
    pub fn of(file: Vec<u8>) -> Self {
        Self::start(move |asked, _| honest(&file, "\"one\"", asked))
    }

    pub fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.port)
    }

    /// What it was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

fn certificates() -> (Arc<ServerConfig>, String) {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.distinguished_name.push(DnType::CommonName, "an authority of the tests");
    authority.key_usages.push(KeyUsagePurpose::KeyCertSign);
    let authority_key = KeyPair::generate().unwrap();
    let ca = authority.self_signed(&authority_key).unwrap().pem();
    let key = KeyPair::generate().unwrap();
    let issuer = Issuer::new(authority, authority_key);
    let leaf =
        CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)
        .unwrap();
    (Arc::new(config), ca)
}

fn serve(
    config: Arc<ServerConfig>,
    stream: TcpStream,
    answer: &Answer,
    all: &Mutex<Vec<Asked>>,
) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let connection = ServerConnection::new(config).map_err(std::io::Error::other)?;
    let mut tls = StreamOwned::new(connection, stream);
    let asked = read_request(&mut tls)?;
    let number = {
        let mut all = all.lock().unwrap();
        all.push(asked.clone());
        all.len() - 1
    };
    let reply = answer(&asked, number);
    let mut head = format!("HTTP/1.1 {} Said\r\nConnection: close\r\n", reply.status);
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if let Some(claimed) = reply.claimed {
        head.push_str(&format!("Content-Length: {claimed}\r\n"));
    }
    tls.write_all(head.as_bytes())?;
    tls.write_all(b"\r\n")?;
    tls.write_all(&reply.body)?;
    tls.flush()?;
    match reply.then {
        Then::Close => {
            tls.conn.send_close_notify();
            tls.flush()?;
        }
        Then::Cut => tls.sock.shutdown(std::net::Shutdown::Both)?,
        Then::Stall => std::thread::sleep(PATIENCE),
        Then::Repeat => loop {
            tls.write_all(&reply.body)?;
        },
    }
    Ok(())
}

fn read_request(from: &mut impl Read) -> std::io::Result<Asked> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        from.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head);
    let mut lines = head.lines();
    let path = lines.next().and_then(|line| line.split(' ').nth(1)).unwrap_or_default().to_owned();
    let headers = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    Ok(Asked { path, headers })
}

/// A proxy that knows CONNECT (RFC 9110 §9.3.6) and notes whereto; with `refuses` it says no.
pub struct Proxy {
    pub port: u16,
    connected: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    pub fn start(refuses: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let connected = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&connected);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let all = Arc::clone(&all);
                std::thread::spawn(move || connect(client, refuses, &all));
            }
        });
        Self { port, connected }
    }

    pub fn url(&self) -> String {
        format!("http://user:secret@127.0.0.1:{}", self.port)
    }

    pub fn connected(&self) -> Vec<String> {
        self.connected.lock().unwrap().clone()
    }
}

fn connect(mut client: TcpStream, refuses: bool, all: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let asked = read_request(&mut client)?;
    all.lock().unwrap().push(asked.path.clone());
    if refuses {
        return client.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
    }
    let server = TcpStream::connect(&asked.path)?;
    client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n")?;
    let (mut up, mut down) = (client.try_clone()?, server.try_clone()?);
    std::thread::spawn(move || std::io::copy(&mut up, &mut down));
    let (mut from, mut to) = (server, client);
    std::io::copy(&mut from, &mut to)?;
    to.shutdown(std::net::Shutdown::Both)
}
