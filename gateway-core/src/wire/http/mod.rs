//! Requests in plain HTTP, for the host that they name: [`one`] is HTTP/1 (RFC 9112), [`almost`] is what is HTTP/1 but
//! for its first line, [`two`] is HTTP/2 that begins without an upgrade (RFC 9113 §3.3). Of the target only its form and its authority are looked at, of the other
//! fields nothing: what a person asked for within a site is none of our business.

pub mod almost;
mod hpack;
mod huffman;
pub mod one;
pub mod two;

use super::text;
use crate::units::DomainName;

/// What the head of a request says.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Request {
    /// The host it names; `None` if that is an address or no name.
    pub host: Option<DomainName>,
    /// Is it for a proxy: a CONNECT (RFC 9110 §9.3.6), or a target with its scheme (RFC 9112 §3.2.2)? Its host is
    /// behind the peer then.
    pub is_for_proxy: bool,
}

/// The name in `name:8080`, RFC 3986 §3.2 `host [":" port]`. An IPv6 literal keeps its colons, and is refused for
/// them.
fn name_of(authority: &[u8]) -> Option<DomainName> {
    let mut parts = authority.rsplitn(2, |b| *b == b':');
    match (parts.next(), parts.next()) {
        (Some(port), Some(name)) if port.iter().all(u8::is_ascii_digit) => text::host_name(name),
        _ => text::host_name(authority),
    }
}
