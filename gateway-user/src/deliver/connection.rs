//! A connection by TCP, with or without TLS, all of which has to be over by one moment. Certificates are always
//! checked.

use super::Failure;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::{Error, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A socket whose every wait ends at one moment.
pub(super) struct Timed {
    stream: TcpStream,
    deadline: Instant,
}

impl Timed {
    pub(super) fn connect(host: &str, port: u16, deadline: Instant) -> Result<Self, Failure> {
        let addrs = (host, port)
            .to_socket_addrs()
            .map_err(|error| Failure::passing(format!("find the address of {host}: {error}")))?;
        let mut last = Error::new(ErrorKind::NotFound, "it has no address");
        for addr in addrs {
            let connected = left(deadline).and_then(|left| TcpStream::connect_timeout(&addr, left));
            match connected {
                Ok(stream) => return Ok(Self { stream, deadline }),
                Err(error) => last = error,
            }
        }
        Err(Failure::passing(format!("connect to {host} port {port}: {}", words(&last))))
    }
}

fn left(deadline: Instant) -> std::io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(left) }
}

impl Read for Timed {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        self.stream.set_read_timeout(Some(left(self.deadline)?))?;
        self.stream.read(buf)
    }
}

impl Write for Timed {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        self.stream.set_write_timeout(Some(left(self.deadline)?))?;
        self.stream.write(buf)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.stream.flush()
    }
}

/// Plain or by TLS.
pub(super) enum Connection {
    Plain(Timed),
    Tls(Box<StreamOwned<ClientConnection, Timed>>),
}

impl Connection {
    /// Begins TLS, as far as both sides are sure of each other.
    pub(super) fn tls(timed: Timed, host: &str, ca: Option<&Path>) -> Result<Self, Failure> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(Failure::refused)?
            .with_root_certificates(roots(ca)?)
            .with_no_client_auth();
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| Failure::refused(format!("{host} cannot be the name of a server")))?;
        let connection = ClientConnection::new(Arc::new(config), name).map_err(Failure::refused)?;
        let mut stream = StreamOwned::new(connection, timed);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock).map_err(|error| match error.kind() {
                // rustls speaks through this kind: a certificate that does not hold, say.
                ErrorKind::InvalidData => Failure::refused(format!("no safe connection to {host}: {error}")),
                _ => Failure::passing(format!("begin TLS with {host}: {}", words(&error))),
            })?;
        }
        Ok(Self::Tls(Box::new(stream)))
    }

    /// The socket again, to begin TLS on it.
    pub(super) fn into_plain(self) -> Option<Timed> {
        match self {
            Self::Plain(timed) => Some(timed),
            Self::Tls(_) => None,
        }
    }
}

fn roots(ca: Option<&Path>) -> Result<RootCertStore, Failure> {
    let mut roots = RootCertStore::empty();
    let Some(path) = ca else {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        return Ok(roots);
    };
    let shown = path.display();
    let certificates = CertificateDer::pem_file_iter(path)
        .map_err(|error| Failure::refused(format!("read the certificates {shown}: {error}")))?;
    roots.add_parsable_certificates(certificates.flatten());
    if roots.is_empty() {
        return Err(Failure::refused(format!("{shown} has no certificate in PEM form")));
    }
    Ok(roots)
}

/// What an error is called; the system's "resource temporarily unavailable" is a time that is up.
pub(super) fn words(error: &Error) -> String {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => "nothing came in time".to_owned(),
        ErrorKind::UnexpectedEof => "the server closed the connection".to_owned(),
        _ => error.to_string(),
    }
}

impl Read for Connection {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buf),
            Self::Tls(stream) => stream.read(buf),
        }
    }
}

impl Write for Connection {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(buf),
            Self::Tls(stream) => stream.write(buf),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}
