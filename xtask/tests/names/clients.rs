//! The clients: one call makes one connection, sees it through and panics if it does not do what its kind says.

use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, bind, connect, socket};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{EchConfig, EchGreaseConfig, EchMode};
use rustls::crypto::aws_lc_rs::{self, hpke};
use rustls::crypto::hpke::Hpke as _;
use rustls::pki_types::{CertificateDer, EchConfigListBytes, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, NamedGroup, SignatureScheme};
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::time::Duration;

use super::dns::{self, Over};
use super::initials;
use super::plan::{Kind, Planned};

/// What goes over a connection of no protocol: it begins like none.
pub const OPAQUE: &[u8] = b"\xe7\xe7 bytes of no protocol";
/// The application protocol of the QUIC server.
pub const QUIC_ALPN: &[u8] = b"lab";
/// In every name that only an encrypted hello may carry.
pub const HIDDEN: &str = "hidden-inside";

const PATIENCE: Duration = Duration::from_secs(10);

/// What the clients of one thread need.
pub struct Clients {
    runtime: tokio::runtime::Runtime,
    tls13: Arc<ClientConfig>,
    tls12: Arc<ClientConfig>,
    grease: Arc<ClientConfig>,
    quic: quinn::ClientConfig,
    quic_tls: Arc<ClientConfig>,
}

impl Clients {
    pub fn new() -> Self {
        let unsuspecting = Arc::new(Unsuspecting);
        let finish = |builder: rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>| {
            let builder = builder.dangerous().with_custom_certificate_verifier(unsuspecting.clone());
            builder.with_no_client_auth()
        };
        let builder = || ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let only = |version| finish(builder().with_protocol_versions(&[version]).unwrap());
        let suite = hpke::DH_KEM_X25519_HKDF_SHA256_AES_128;
        let (placeholder, _) = suite.generate_key_pair().unwrap();
        let grease = EchMode::from(EchGreaseConfig::new(suite, placeholder));
        let mut quic = only(&rustls::version::TLS13);
        quic.alpn_protocols = vec![QUIC_ALPN.to_vec()];
        let quic_tls = Arc::new(quic);
        let crypto = quinn::crypto::rustls::QuicClientConfig::try_from(quic_tls.clone()).unwrap();
        Self {
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(),
            tls13: Arc::new(only(&rustls::version::TLS13)),
            tls12: Arc::new(only(&rustls::version::TLS12)),
            grease: Arc::new(finish(builder().with_ech(grease).unwrap())),
            quic: quinn::ClientConfig::new(Arc::new(crypto)),
            quic_tls,
        }
    }

    /// Makes a connection here, in the namespace of the calling thread.
    pub fn make(&self, planned: &Planned) {
        let Planned { kind, local_port, peer, name, .. } = planned;
        let open = || tcp(*local_port, *peer);
        match kind {
            Kind::Tls13 => {
                let group = tls(&self.tls13, named(name), open(), b"post-quantum").unwrap();
                assert_eq!(group, Some(NamedGroup::X25519MLKEM768));
            }
            Kind::Tls12 => {
                tls(&self.tls12, named(name), open(), &http_request(name)).unwrap();
            }
            Kind::EchGrease => {
                tls(&self.grease, named(name), open(), b"grease").unwrap();
            }
            Kind::Ech => {
                let config = Arc::new(ech_config(name));
                let inner = format!("{HIDDEN}-{}.example", planned.number);
                // The server has no key for the inner hello and answers the outer one, which the client notices.
                let error = tls(&config, named(&inner), open(), b"never sent").expect_err("ECH is refused");
                assert!(error.to_string().contains("ServerRejectedEncryptedClientHello"), "{error}");
            }
            Kind::Http => {
                let mut stream = open();
                stream.write_all(&http_request(name)).unwrap();
                read_answer(&mut stream);
            }
            Kind::Quic => self.quic(planned),
            Kind::QuicV2 => self.quic_v2(planned),
            Kind::Nameless => {
                self.ask(planned, Over::Udp);
                let nobody = ServerName::IpAddress(peer.ip().into());
                tls(&self.tls13, nobody, open(), &http_request("localhost")).unwrap();
            }
            Kind::OpaqueTcp => {
                self.ask(planned, Over::Tcp);
                let mut stream = open();
                stream.write_all(OPAQUE).unwrap();
                assert_eq!(read_answer(&mut stream), OPAQUE);
            }
            Kind::OpaqueUdp => {
                self.ask(planned, Over::Udp);
                let socket = udp(*local_port, *peer);
                socket.send(OPAQUE).unwrap();
                let mut answer = [0; OPAQUE.len()];
                assert_eq!(socket.recv(&mut answer).expect("an echo"), OPAQUE.len());
            }
        }
    }

    fn ask(&self, planned: &Planned, over: Over) {
        let Planned { number, name, peer, .. } = planned;
        let server = dns::SERVERS[*number as usize / 2 % dns::SERVERS.len()];
        dns::ask(server, over, *number as u16, name, peer.ip());
    }

    fn quic(&self, planned: &Planned) {
        let Planned { local_port, peer, name, .. } = planned;
        let socket = UdpSocket::bind(SocketAddr::new(unspecified(*peer), *local_port)).unwrap();
        let done = self.runtime.block_on(async {
            let config = quinn::EndpointConfig::default();
            let endpoint = quinn::Endpoint::new(config, None, socket, Arc::new(quinn::TokioRuntime))?;
            let connection = endpoint.connect_with(self.quic.clone(), *peer, name)?.await?;
            let (mut request, mut answer) = connection.open_bi().await?;
            request.write_all(b"quic").await?;
            request.finish()?;
            assert_eq!(answer.read_to_end(100).await?, b"quic");
            connection.close(0u32.into(), b"");
            endpoint.wait_idle().await;
            anyhow::Ok(())
        });
        done.unwrap_or_else(|e| panic!("QUIC to {peer}: {e:#}"));
    }

    /// The server does not speak version 2 and says so.
    fn quic_v2(&self, planned: &Planned) {
        let Planned { number, local_port, peer, name, .. } = planned;
        let socket = udp(*local_port, *peer);
        let destination_id = (u64::from(*number) << 32 | u64::from(*local_port)).to_be_bytes();
        let datagrams = initials::first_flight(self.quic_tls.clone(), name, destination_id);
        assert!(datagrams.len() > 1, "a post-quantum hello has room in one Initial");
        for datagram in &datagrams {
            socket.send(datagram).unwrap();
        }
        for _ in &datagrams {
            let mut answer = [0; 1500];
            let len = socket.recv(&mut answer).expect("version negotiation");
            assert!(len > 5 && answer[1..5] == [0; 4], "no version negotiation (RFC 8999 §6)");
        }
    }
}

/// Sends a request and keeps the connection; the namespace is that of the calling thread.
pub fn hold(planned: &Planned) -> TcpStream {
    let mut stream = tcp(planned.local_port, planned.peer);
    write!(stream, "GET /generate_204 HTTP/1.1\r\nHost: {}\r\n\r\n", planned.name).unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut part = [0; 512];
        let len = stream.read(&mut part).unwrap();
        assert_ne!(len, 0, "the server does not keep the connection");
        answer.extend(&part[..len]);
    }
    stream
}

/// Sends another request over a connection that was kept, the last one.
pub fn let_go(planned: &Planned, mut stream: TcpStream) {
    stream.write_all(&http_request(&planned.name)).unwrap();
    read_answer(&mut stream);
}

fn named(name: &str) -> ServerName<'static> {
    ServerName::try_from(name.to_owned()).unwrap()
}

fn http_request(name: &str) -> Vec<u8> {
    format!("GET /generate_204 HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n").into_bytes()
}

fn unspecified(peer: SocketAddr) -> IpAddr {
    if peer.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() }
}

fn tcp(local_port: u16, peer: SocketAddr) -> TcpStream {
    let family = if peer.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let socket = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
    let local = SockaddrStorage::from(SocketAddr::new(unspecified(peer), local_port));
    bind(socket.as_raw_fd(), &local).unwrap_or_else(|e| panic!("bind port {local_port}: {e}"));
    let connected = connect(socket.as_raw_fd(), &SockaddrStorage::from(peer));
    connected.unwrap_or_else(|e| panic!("connect to {peer}: {e}"));
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

fn udp(local_port: u16, peer: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind(SocketAddr::new(unspecified(peer), local_port)).unwrap();
    socket.connect(peer).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// All that comes until the other end closes.
fn read_answer(stream: &mut impl std::io::Read) -> Vec<u8> {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert!(!answer.is_empty(), "no answer");
    answer
}

/// One request and its answer over TLS; returns the group that both agreed on.
fn tls(
    config: &Arc<ClientConfig>,
    name: ServerName<'static>,
    stream: TcpStream,
    request: &[u8],
) -> std::io::Result<Option<NamedGroup>> {
    let connection =
        rustls::ClientConnection::new(Arc::clone(config), name).map_err(std::io::Error::other)?;
    let mut tls = rustls::StreamOwned::new(connection, stream);
    tls.write_all(request)?;
    tls.flush()?;
    let group = tls.conn.negotiated_key_exchange_group().map(|group| group.name());
    let mut answer = Vec::new();
    tls.read_to_end(&mut answer)?;
    assert!(!answer.is_empty(), "no answer");
    tls.conn.send_close_notify();
    // The other end may have closed for good.
    let _ = tls.flush();
    Ok(group)
}

/// A client that has an ECH configuration (RFC 9849 §4) of a server whose public name this is.
fn ech_config(public_name: &str) -> ClientConfig {
    let suite = hpke::DH_KEM_X25519_HKDF_SHA256_AES_128;
    let (key, _) = suite.generate_key_pair().unwrap();
    let with_len = |bytes: &[u8]| [&u16::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat();
    // Identifier 1; DHKEM(X25519); the key; HKDF-SHA256 with AES-128-GCM.
    let mut contents = vec![1, 0, 0x20];
    contents.extend(with_len(&key.0));
    contents.extend(with_len(&[0, 1, 0, 1]));
    // No padding of names; the public name; no extensions.
    contents.push(0);
    contents.push(u8::try_from(public_name.len()).unwrap());
    contents.extend(public_name.as_bytes());
    contents.extend([0, 0]);
    let config = [&[0xfe, 0x0d][..], &with_len(&contents)].concat();
    let list = EchConfigListBytes::from(with_len(&config));
    let mode = EchMode::from(EchConfig::new(list, hpke::ALL_SUPPORTED_SUITES).unwrap());
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder.with_ech(mode).unwrap().dangerous();
    builder.with_custom_certificate_verifier(Arc::new(Unsuspecting)).with_no_client_auth()
}

/// Believes every certificate: the lab's is signed by nobody.
#[derive(Debug)]
struct Unsuspecting;

impl ServerCertVerifier for Unsuspecting {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
