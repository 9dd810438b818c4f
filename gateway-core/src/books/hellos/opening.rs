//! What a TCP conversation may begin with, and what that says.

use crate::application::Application;
use crate::row::{Evidence, Said};
use crate::units::{BootTime, DomainName};
use crate::wire::{WireError, http, tls};

/// What SSH begins with: its own version 2, and version 1 of those who know both (RFC 4253 §4.2 and §5.1).
const SSH: [&[u8]; 2] = [b"SSH-2.0-", b"SSH-1.99-"];
/// What a device that speaks DNS over TLS may offer (IANA's list of ALPN identifiers, after RFC 7858).
const DOT: &[u8] = b"dot";

#[cfg(test)]
thread_local! {
    /// How many beginnings a test has read.
    pub(super) static READ: core::cell::Cell<usize> = const { core::cell::Cell::new(0) };
}

/// A kind of beginning.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Opening {
    /// A TLS ClientHello.
    Tls,
    /// The head of an HTTP/1 request.
    Http,
    /// The preface of HTTP/2 and the first request.
    H2c,
    /// The identification string of SSH.
    Ssh,
}

impl Opening {
    /// The kind of beginning that stands here, if it is one.
    pub(super) fn of(stream: &[u8]) -> Option<Self> {
        if tls::looks_like_hello(stream) {
            Some(Self::Tls)
        } else if http::two::looks_like_preface(stream) {
            Some(Self::H2c)
        } else if SSH.iter().any(|id| stream.starts_with(id)) {
            Some(Self::Ssh)
        } else {
            http::one::looks_like_request(stream).then_some(Self::Http)
        }
    }

    /// What it says so far, and whether it is here whole.
    pub(super) fn read(self, stream: &[u8], at: BootTime) -> (Said, Result<(), WireError>) {
        #[cfg(test)]
        READ.with(|read| read.set(read.get() + 1));
        match self {
            Self::Tls => {
                let (hello, ended) = tls::read(stream);
                let is_dot = hello.alpn.iter().any(|protocol| protocol == DOT);
                let application = if is_dot { Application::Dot } else { Application::Tls };
                let said = said(hello.server_name, Evidence::TlsSni, application, at);
                let is_outer = hello.has_ech && said.name.is_some();
                (Said { is_outer, ..said }, ended)
            }
            Self::Http => requested(http::one::read(stream), Application::Http, at),
            Self::H2c => requested(http::two::read(stream), Application::H2c, at),
            Self::Ssh => (Said::nobody(Application::Ssh, at), Ok(())),
        }
    }
}

/// What a whole head says that is a request but for its first line; `None` if it is none.
pub(super) fn almost_request(stream: &[u8], at: BootTime) -> Option<Said> {
    let request = http::almost::read(stream)?;
    Some(said(request.host, Evidence::HttpHost, Application::Http, at))
}

fn requested(
    (request, ended): (http::Request, Result<(), WireError>),
    application: Application,
    at: BootTime,
) -> (Said, Result<(), WireError>) {
    let application = if request.is_for_proxy { Application::HttpProxy } else { application };
    (said(request.host, Evidence::HttpHost, application, at), ended)
}

fn said(name: Option<DomainName>, evidence: Evidence, application: Application, at: BootTime) -> Said {
    match name {
        Some(name) => Said { name: Some(name), evidence, ..Said::nobody(application, at) },
        None => Said::nobody(application, at),
    }
}
