//! The head of an HTTP/1 request, for its `Host` (RFC 9112 §3). Of the target only the first byte is looked at,
//! which tells its form: what a person asked for within a site is none of our business.

use super::{WireError, text};
use crate::units::DomainName;

/// The longest method that is believed; IANA's longest registered one has 17 letters (`UPDATEREDIRECTREF`).
const MAX_METHOD_LEN: usize = 20;

/// The host that a request names; `None` if it is an address, no name, or somebody behind the peer: the far end
/// of a tunnel (CONNECT), or the site that a proxy is asked for (a target with a scheme, RFC 9112 §3.2.2).
///
/// # Errors
/// [`WireError::Truncated`] if the head ends before its `Host`, [`WireError::Malformed`] if this is no HTTP/1
/// request or it names two hosts (RFC 9112 §3.2 has servers refuse those).
pub fn host(head: &[u8]) -> Result<Option<DomainName>, WireError> {
    let mut rest = head;
    let line = next_line(&mut rest).ok_or(WireError::Truncated { field: "http.request_line", missing: 1 })?;
    if !is_for_the_peer(line)? {
        return Ok(None);
    }
    let mut found: Option<&[u8]> = None;
    let is_whole = loop {
        let Some(line) = next_line(&mut rest) else { break false };
        if line.is_empty() {
            break true;
        }
        let Some(value) = value_of_host(line) else { continue };
        if found.is_some_and(|earlier| !earlier.eq_ignore_ascii_case(value)) {
            return Err(WireError::Malformed { field: "http.host", found: 2 });
        }
        found = Some(value);
    };
    match found {
        Some(value) => Ok(text::host_name(without_port(value))),
        None if is_whole => Ok(None),
        None => Err(WireError::Truncated { field: "http.host", missing: 1 }),
    }
}

/// Do these bytes begin like a request: a method in capitals, and a space?
#[must_use]
pub fn looks_like_request(stream: &[u8]) -> bool {
    let mut words = stream.splitn(2, |b| *b == b' ');
    let method = words.next().unwrap_or_default();
    words.next().is_some() && is_method(method)
}

fn is_method(word: &[u8]) -> bool {
    (1..=MAX_METHOD_LEN).contains(&word.len()) && word.iter().all(u8::is_ascii_uppercase)
}

/// Takes the next line, without its end; `None` if it has none. A bare line feed ends a line too
/// (RFC 9112 §2.2).
fn next_line<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let end = rest.iter().position(|b| *b == b'\n')?;
    let (line, after) = rest.split_at_checked(end)?;
    *rest = after.split_first().map_or(&[], |(_, after)| after);
    Some(line.strip_suffix(b"\r").unwrap_or(line))
}

/// Is the request for the one it is sent to? Only then is its target a path or `*` (RFC 9112 §3.2.1, §3.2.4).
fn is_for_the_peer(line: &[u8]) -> Result<bool, WireError> {
    let malformed = |found: u8| WireError::Malformed { field: "http.request_line", found: u64::from(found) };
    let mut words = line.split(|b| *b == b' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next());
    let version = line.rsplit(|b| *b == b' ').next().unwrap_or_default();
    match target {
        Some(target) if is_method(method) && version.starts_with(b"HTTP/1.") => {
            Ok(method != b"CONNECT" && (target == b"*" || target.starts_with(b"/")))
        }
        _ => Err(malformed(line.first().copied().unwrap_or(0))),
    }
}

fn value_of_host(line: &[u8]) -> Option<&[u8]> {
    let (field, value) = line.split_at_checked(4)?;
    if !field.eq_ignore_ascii_case(b"host") {
        return None;
    }
    value.strip_prefix(b":").map(<[u8]>::trim_ascii)
}

/// `name:8080` → `name`. An IPv6 literal keeps its colons, and is refused for them.
fn without_port(value: &[u8]) -> &[u8] {
    let mut parts = value.rsplitn(2, |b| *b == b':');
    match (parts.next(), parts.next()) {
        (Some(port), Some(name)) if port.iter().all(u8::is_ascii_digit) => name,
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(head: &str, expected: Result<Option<&str>, WireError>) {
        let found = host(head.as_bytes());
        assert_eq!(found.as_ref().map(|n| n.as_ref().map(DomainName::as_str)), expected.as_ref().map(|n| *n));
        for len in 0..head.len() {
            let _ = host(&head.as_bytes()[..len]);
        }
    }

    #[test]
    fn a_request_names_its_host() {
        check(
            "GET /generate_204 HTTP/1.1\r\nHost: connect.rom.miui.com\r\n\r\n",
            Ok(Some("connect.rom.miui.com")),
        );
        check(
            "POST /a?b HTTP/1.1\r\nUser-Agent: x\r\nhOST:\tApi.Ad.Xiaomi.com:8080 \r\n",
            Ok(Some("api.ad.xiaomi.com")),
        );
        check("GET / HTTP/1.0\nHost: a.example\n\n", Ok(Some("a.example")));
    }

    #[test]
    fn an_address_a_tunnel_and_silence_name_nobody() {
        check("GET / HTTP/1.1\r\nHost: 203.0.113.7:80\r\n\r\n", Ok(None));
        check("GET / HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n\r\n", Ok(None));
        check("CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n", Ok(None));
        check("GET / HTTP/1.0\r\nAccept: */*\r\n\r\n", Ok(None));
    }

    #[test]
    fn what_a_proxy_is_asked_for_does_not_name_the_proxy() {
        check("GET http://bank.example/a HTTP/1.1\r\nHost: bank.example\r\n\r\n", Ok(None));
        check("GET HTTPS://bank.example/ HTTP/1.1\r\nHost: bank.example\r\n\r\n", Ok(None));
        check("OPTIONS * HTTP/1.1\r\nHost: a.example\r\n\r\n", Ok(Some("a.example")));
        check("GET //b.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n", Ok(Some("a.example")));
    }

    #[test]
    fn cut_short_is_not_malformed() {
        check(
            "GET /a HTTP/1.1\r\nHost: connect.rom.mi",
            Err(WireError::Truncated { field: "http.host", missing: 1 }),
        );
        check("GET /long", Err(WireError::Truncated { field: "http.request_line", missing: 1 }));
        check(
            "SSH-2.0-x\r\n",
            Err(WireError::Malformed { field: "http.request_line", found: u64::from(b'S') }),
        );
        check(
            "GET / HTTP/1.1\r\nHost: a.example\r\nHost: b.example\r\n\r\n",
            Err(WireError::Malformed { field: "http.host", found: 2 }),
        );
    }
}
