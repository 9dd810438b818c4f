//! The servers of this program, on the "Internet": TLS by rustls, QUIC by quinn, and one that takes any bytes.

use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn6, bind, setsockopt, socket, sockopt};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::io::{Read as _, Write as _};
use std::net::{Ipv6Addr, SocketAddrV6, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::time::Duration;
use xtask::lab::Household;

use super::clients::{OPAQUE, QUIC_ALPN};
use super::plan::{OPAQUE_PORT, QUIC_PORT, RUSTLS_PORT};

/// How long a server waits for a client that has gone.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest request.
const MAX_REQUEST_LEN: usize = 1024;

/// Starts all servers; they answer when this returns, until this process ends.
pub fn start(household: &Household) {
    let config = Arc::new(server_config(household));
    let started = household.internet().inside(|| {
        // Threads stay in the namespace they were started in.
        let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, RUSTLS_PORT))?;
        std::thread::spawn({
            let config = Arc::clone(&config);
            move || accept(&listener, move |stream| serve_tls(Arc::clone(&config), stream))
        });
        let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, OPAQUE_PORT))?;
        std::thread::spawn(move || accept(&listener, serve_opaque));
        let echo = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, OPAQUE_PORT))?;
        answer_from_the_address_asked(&echo);
        std::thread::spawn(move || echo_all(&echo));
        let quic = quic_socket()?;
        std::thread::spawn(move || serve_quic(&config, quic));
        Ok(())
    });
    started.expect("the servers start");
}

fn server_config(household: &Household) -> rustls::ServerConfig {
    let directory = household.run().directory();
    let certificate = CertificateDer::from_pem_file(directory.join("certificate.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(directory.join("key.pem")).unwrap();
    // Named, because a build of the whole workspace has two of them.
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.unwrap().with_no_client_auth();
    let mut config = builder.with_single_cert(vec![certificate], key).unwrap();
    config.alpn_protocols = vec![QUIC_ALPN.to_vec()];
    config
}

fn accept(listener: &TcpListener, serve: impl Fn(TcpStream) -> std::io::Result<()> + Clone + Send + 'static) {
    for stream in listener.incoming().flatten() {
        let serve = serve.clone();
        // A client that has gone is the client's to notice.
        std::thread::spawn(move || serve(stream));
    }
}

fn serve_tls(config: Arc<rustls::ServerConfig>, stream: TcpStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    let connection = rustls::ServerConnection::new(config).map_err(std::io::Error::other)?;
    let mut tls = rustls::StreamOwned::new(connection, stream);
    let mut request = [0; MAX_REQUEST_LEN];
    let len = tls.read(&mut request)?;
    tls.write_all(&request[..len])?;
    tls.conn.send_close_notify();
    tls.flush()
}

fn serve_opaque(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut request = [0; OPAQUE.len()];
    stream.read_exact(&mut request)?;
    stream.write_all(&request)
}

/// A UDP server with many addresses must be told to answer from the one that was asked. Here each client gets a
/// socket of its own, bound to that address, so the wildcard socket only says which one it was.
fn answer_from_the_address_asked(socket: &UdpSocket) {
    setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true).unwrap();
    setsockopt(socket, sockopt::Ipv4PacketInfo, &true).unwrap();
}

fn echo_all(socket: &UdpSocket) {
    use nix::sys::socket::{
        ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg,
    };
    use std::io::{IoSlice, IoSliceMut};
    let mut buffer = [0; MAX_REQUEST_LEN];
    let mut control = nix::cmsg_space!(nix::libc::in6_pktinfo, nix::libc::in_pktinfo);
    loop {
        let (len, from, asked) = {
            let mut parts = [IoSliceMut::new(&mut buffer)];
            let flags = MsgFlags::empty();
            let fd = socket.as_raw_fd();
            let Ok(got) = recvmsg::<SockaddrStorage>(fd, &mut parts, Some(&mut control), flags) else {
                continue;
            };
            let asked = got.cmsgs().unwrap().find_map(|message| match message {
                ControlMessageOwned::Ipv6PacketInfo(info) => Some(info),
                _ => None,
            });
            (got.bytes, got.address, asked)
        };
        let Some(mut asked) = asked else { continue };
        // The way out is the routing table's to choose.
        asked.ipi6_ifindex = 0;
        let parts = [IoSlice::new(&buffer[..len])];
        let control = [ControlMessage::Ipv6PacketInfo(&asked)];
        let sent = sendmsg(socket.as_raw_fd(), &parts, &control, MsgFlags::empty(), from.as_ref());
        sent.expect("an answer goes out");
    }
}

/// A socket for both IP versions, whatever the machine's default.
fn quic_socket() -> anyhow::Result<UdpSocket> {
    let socket = socket(AddressFamily::Inet6, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    setsockopt(&socket, sockopt::Ipv6V6Only, &false)?;
    let any = SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, QUIC_PORT, 0, 0);
    bind(socket.as_raw_fd(), &SockaddrIn6::from(any))?;
    Ok(UdpSocket::from(socket))
}

fn serve_quic(config: &rustls::ServerConfig, socket: UdpSocket) {
    let crypto = quinn::crypto::rustls::QuicServerConfig::try_from(config.clone()).unwrap();
    let config = quinn::ServerConfig::with_crypto(Arc::new(crypto));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let endpoint = quinn::EndpointConfig::default();
        let runtime = Arc::new(quinn::TokioRuntime);
        let endpoint = quinn::Endpoint::new(endpoint, Some(config), socket, runtime).unwrap();
        while let Some(incoming) = endpoint.accept().await {
            tokio::spawn(async move {
                let connection = incoming.await?;
                let (mut answer, mut request) = connection.accept_bi().await?;
                let request = request.read_to_end(MAX_REQUEST_LEN).await?;
                answer.write_all(&request).await?;
                answer.finish()?;
                connection.closed().await;
                anyhow::Ok(())
            });
        }
    });
}
