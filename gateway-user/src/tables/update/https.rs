//! HTTPS by ureq: certificates are always checked, redirects followed by hand so that none leaves HTTPS.

use super::address::redirected;
use super::fetch::{Answer, Failure, Incoming, Request, Validators};
use crate::config::UpdateConfig;
use anyhow::{Context, anyhow, bail};
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Proxy, http};

/// A file that moved more often than this is not found.
const MAX_REDIRECTS: usize = 5;
/// The longest file of certificates: those of all of Mozilla's authorities take a quarter of it.
const MAX_CA_LEN: u64 = 1 << 20;

/// The client.
pub(crate) struct Https {
    agent: Agent,
    allows_http: bool,
}

impl Https {
    pub(crate) fn new(config: &UpdateConfig, allows_http: bool) -> anyhow::Result<Self> {
        let roots = match &config.ca {
            Some(path) => RootCerts::from(certificates(path)?),
            None => RootCerts::WebPki,
        };
        let secs = |secs| Some(Duration::from_secs(secs));
        let mut builder = Agent::config_builder()
            .tls_config(TlsConfig::builder().root_certs(roots).build())
            .https_only(!allows_http)
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent(concat!("telltale/", env!("CARGO_PKG_VERSION")))
            // The bytes as they are: length and hash are of the file.
            .accept_encoding("identity")
            .timeout_resolve(secs(config.connect_secs))
            .timeout_connect(secs(config.connect_secs))
            .timeout_recv_response(secs(config.stall_secs))
            .timeout_per_read(secs(config.stall_secs))
            .timeout_per_write(secs(config.stall_secs))
            .timeout_global(secs(config.timeout_secs));
        if let Some(proxy) = &config.proxy {
            // The address of a proxy may carry a password: it is not printed.
            let proxy =
                Proxy::new(proxy).map_err(|_| anyhow!("the address of the proxy cannot be understood"))?;
            builder = builder.proxy(Some(proxy));
        }
        Ok(Self { agent: builder.build().into(), allows_http })
    }

    /// For requests that are not for a file.
    #[cfg(feature = "deliver")]
    pub(crate) fn agent(&self) -> &Agent {
        &self.agent
    }

    /// Asks for a file, as far as the beginning of its body.
    pub(super) fn open(&self, request: &Request<'_>) -> Result<Answer, Failure> {
        let mut url = request.url.to_owned();
        for _ in 0..=MAX_REDIRECTS {
            let response = self.ask(&url, request).map_err(failure)?;
            let status = response.status().as_u16();
            let header = |name: http::header::HeaderName| {
                response.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned)
            };
            match status {
                301 | 302 | 303 | 307 | 308 => {
                    let location = header(http::header::LOCATION).unwrap_or_default();
                    url = redirected(&url, &location, self.allows_http).map_err(Failure::permanent)?;
                }
                304 => return Ok(Answer::NotModified),
                200 | 206 => return incoming(response, request),
                // The rest that we hold is not a part of what is there now.
                416 => return Ok(Answer::StartAgain),
                404 | 410 => return Ok(Answer::Missing),
                408 | 429 | 500..=599 => {
                    // Seconds or a date (RFC 9110 §10.2.3), in a stranger's words.
                    let later = header(http::header::RETRY_AFTER)
                        .map(|when| {
                            when.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(40).collect()
                        })
                        .map(|when: String| {
                            format!(" (it asks to be left alone until, or for seconds: {when})")
                        });
                    let (status, later) = (response.status(), later.unwrap_or_default());
                    return Err(Failure::transient(anyhow!("the server answers {status}{later}")));
                }
                _ => return Err(Failure::permanent(anyhow!("the server answers {}", response.status()))),
            }
        }
        Err(Failure::permanent(anyhow!("there are more than {MAX_REDIRECTS} redirects")))
    }

    fn ask(&self, url: &str, request: &Request<'_>) -> Result<http::Response<ureq::Body>, ureq::Error> {
        let mut call = self.agent.get(url);
        if let Some(accept) = request.accept {
            call = call.header(http::header::ACCEPT, accept);
        }
        if let Some(rest) = &request.rest {
            call = call
                .header(http::header::RANGE, format!("bytes={}-", rest.from))
                .header(http::header::IF_RANGE, rest.if_range.as_str());
        } else if let Some(Validators { etag, last_modified }) = request.known {
            if let Some(etag) = etag {
                call = call.header(http::header::IF_NONE_MATCH, etag.as_str());
            }
            if let Some(date) = last_modified {
                call = call.header(http::header::IF_MODIFIED_SINCE, date.as_str());
            }
        }
        call.call()
    }
}

fn incoming(response: http::Response<ureq::Body>, request: &Request<'_>) -> Result<Answer, Failure> {
    let header = |name: http::header::HeaderName| {
        response.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned)
    };
    let validators =
        Validators { etag: header(http::header::ETAG), last_modified: header(http::header::LAST_MODIFIED) };
    let length = response.body().content_length();
    let (from, total) = if response.status().as_u16() == 206 {
        let range = header(http::header::CONTENT_RANGE).unwrap_or_default();
        match (content_range(&range), &request.rest) {
            (Some((from, total)), Some(rest)) if from == rest.from => (from, total),
            _ => return Ok(Answer::StartAgain),
        }
    } else {
        (0, length)
    };
    Ok(Answer::Body(Incoming {
        from,
        total,
        validators,
        reader: Box::new(response.into_body().into_reader()),
    }))
}

/// `bytes 5-9/10` → (5, 10) (RFC 9110 §14.4); the whole may be unknown.
fn content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (from, _) = range.split_once('-')?;
    Some((from.trim().parse().ok()?, total.trim().parse().ok()))
}

/// Which failures pass by themselves, and words for those that people must act on.
pub(crate) fn failure(error: ureq::Error) -> Failure {
    match error {
        ureq::Error::Timeout(timeout) => Failure::transient(anyhow!("nothing came in time ({timeout})")),
        ureq::Error::HostNotFound => Failure::transient(anyhow!("the name of the server cannot be resolved")),
        ureq::Error::Io(error) if error.kind() == ErrorKind::UnexpectedEof => {
            Failure::transient(anyhow!("the server closed the connection before the end"))
        }
        // rustls speaks through this kind: a certificate that does not hold, say. Tomorrow it will not either.
        ureq::Error::Io(error) if error.kind() == ErrorKind::InvalidData => {
            Failure::permanent(anyhow!("no safe connection: {error}"))
        }
        ureq::Error::Io(error) => Failure::transient(anyhow!("{error}")),
        ureq::Error::Rustls(error) => Failure::permanent(anyhow!("no safe connection: {error}")),
        ureq::Error::ConnectProxyFailed(words) => Failure::permanent(anyhow!("the proxy refuses: {words}")),
        error => Failure::permanent(anyhow!("{error}")),
    }
}

fn certificates(path: &Path) -> anyhow::Result<Vec<ureq::tls::Certificate<'static>>> {
    let shown = path.display();
    let len = std::fs::metadata(path).with_context(|| format!("read the certificates {shown}"))?.len();
    if len > MAX_CA_LEN {
        bail!("{shown} is too large for a file of certificates");
    }
    let pem = std::fs::read(path).with_context(|| format!("read the certificates {shown}"))?;
    let certificates: Vec<_> = parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if certificates.is_empty() {
        bail!("{shown} has no certificate in PEM form");
    }
    Ok(certificates)
}
