//! Servers of the tests: TCP on loopback, with TLS by an authority of their own where it is asked for.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How long a server waits for a client that has gone.
const PATIENCE: Duration = Duration::from_secs(20);

/// Both directions.
pub trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// A certificate for a name, and its authority's.
pub struct Identity {
    pub config: Arc<ServerConfig>,
    pub ca: String,
}

impl Identity {
    pub fn of(name: &str, is_expired: bool) -> Self {
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.distinguished_name.push(DnType::CommonName, "an authority of the tests");
        authority.key_usages.push(KeyUsagePurpose::KeyCertSign);
        let authority_key = KeyPair::generate().unwrap();
        let ca = authority.self_signed(&authority_key).unwrap().pem();
        let key = KeyPair::generate().unwrap();
        let issuer = Issuer::new(authority, authority_key);
        let mut leaf = CertificateParams::new(vec![name.to_owned()]).unwrap();
        if is_expired {
            leaf.not_after = rcgen::date_time_ymd(2020, 1, 1);
        }
        let leaf = leaf.signed_by(&key, &issuer).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], key)
            .unwrap();
        Self { config: Arc::new(config), ca }
    }

    pub fn tls(&self, stream: impl Stream + 'static) -> Box<dyn Stream> {
        Box::new(StreamOwned::new(ServerConnection::new(Arc::clone(&self.config)).unwrap(), stream))
    }
}

/// Serves each connection with a function, and returns the port. A client that has gone is the client's to notice.
pub fn serve(answer: impl Fn(TcpStream) -> std::io::Result<()> + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = Arc::clone(&answer);
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            std::thread::spawn(move || answer(stream));
        }
    });
    port
}

/// What came.
pub type Heard = Arc<Mutex<Vec<String>>>;

/// How a mail server behaves.
#[derive(Clone, Default)]
pub struct Mail {
    pub identity: Option<Arc<Identity>>,
    pub is_implicit: bool,
    /// A command's verb, or "." for the letter's end, and what it is answered instead.
    pub refusal: Option<(&'static str, &'static str)>,
    pub heard: Heard,
}

impl Mail {
    pub fn start(self) -> u16 {
        serve(move |stream| match &self.identity {
            Some(identity) if self.is_implicit => self.talk(identity.tls(stream), true).map(drop),
            _ => match self.talk(Box::new(stream.try_clone()?), false)? {
                true => self.talk_after_starttls(self.identity.as_ref().unwrap().tls(stream)).map(drop),
                false => Ok(()),
            },
        })
    }

    fn talk(&self, mut stream: Box<dyn Stream>, is_safe: bool) -> std::io::Result<bool> {
        stream.write_all(b"220 mail.test ESMTP\r\n")?;
        self.follow(stream, is_safe)
    }

    fn talk_after_starttls(&self, stream: Box<dyn Stream>) -> std::io::Result<bool> {
        self.follow(stream, true)
    }

    /// True when the client wants TLS now.
    fn follow(&self, mut stream: Box<dyn Stream>, is_safe: bool) -> std::io::Result<bool> {
        loop {
            let line = line(&mut stream)?;
            let verb = line.split([' ', ':']).next().unwrap_or_default().to_owned();
            self.heard.lock().unwrap().push(line.clone());
            let answer = match (self.refusal, verb.as_str()) {
                (Some((refused, answer)), verb) if refused == verb => answer,
                (_, "EHLO") if is_safe => "250-mail.test\r\n250-SIZE 1000000\r\n250 AUTH LOGIN PLAIN",
                (_, "EHLO") if self.identity.is_some() => "250-mail.test\r\n250 STARTTLS",
                (_, "EHLO") => "250 mail.test",
                (_, "STARTTLS") => {
                    stream.write_all(b"220 go on\r\n")?;
                    return Ok(true);
                }
                (_, "AUTH") => "235 yes",
                (_, "DATA") => {
                    stream.write_all(b"354 go on\r\n")?;
                    let mut letter = String::new();
                    loop {
                        let line = self::line(&mut stream)?;
                        if line == "." {
                            break;
                        }
                        letter.push_str(line.strip_prefix('.').unwrap_or(&line));
                        letter.push('\n');
                    }
                    self.heard.lock().unwrap().push(letter);
                    match self.refusal {
                        Some((".", answer)) => answer,
                        _ => "250 taken",
                    }
                }
                (_, "QUIT") => return Ok(false),
                _ => "250 yes",
            };
            stream.write_all(format!("{answer}\r\n").as_bytes())?;
        }
    }
}

fn line(stream: &mut impl Read) -> std::io::Result<String> {
    let mut line = Vec::new();
    let mut byte = [0];
    while !line.ends_with(b"\r\n") {
        stream.read_exact(&mut byte)?;
        line.push(byte[0]);
    }
    line.truncate(line.len() - 2);
    Ok(String::from_utf8_lossy(&line).into_owned())
}

/// An HTTP server that notes head and body of each request; the answer is a status line and headers.
pub fn http(identity: Option<Arc<Identity>>, answer: &'static str, heard: Heard) -> u16 {
    serve(move |stream| {
        let stream: Box<dyn Stream> = match &identity {
            Some(identity) => identity.tls(stream),
            None => Box::new(stream),
        };
        let mut reader = BufReader::new(stream);
        let (mut request, mut len) = (String::new(), 0);
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                len = value.trim().parse().unwrap();
            }
            request.push_str(&line);
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; len];
        reader.read_exact(&mut body)?;
        request.push_str(&String::from_utf8(body).unwrap());
        heard.lock().unwrap().push(request);
        let answer = format!("HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        reader.get_mut().write_all(answer.as_bytes())?;
        reader.get_mut().flush()
    })
}
