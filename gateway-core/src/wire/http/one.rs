//! The head of an HTTP/1 request (RFC 9112 §3). Where its reader and another one could differ over which host is
//! meant (two of them, a folded line, white space before a colon), it names nobody.

use super::{Request, name_of};
use crate::wire::WireError;

/// The longest method that is believed; IANA's longest registered one has 17 letters (`UPDATEREDIRECTREF`).
const MAX_METHOD_LEN: usize = 20;
/// How much of a stream is looked at to tell whether a request begins there. Most request lines are shorter; a longer
/// one is judged by as much of it, and by all when it is read. It is asked at the start of every piece of a stream,
/// so without this bound a line that never ends would be gone through once for each of them.
const LOOKED_AT_LEN: usize = 512;

/// Reads the head of a request from the beginning of a TCP stream: what the bytes so far say, and whether they hold
/// the head whole. A head that is cut short may have its host already; what follows can only speak against it.
/// What is found in a malformed head is not to be believed.
pub fn read(head: &[u8]) -> (Request, Result<(), WireError>) {
    let mut request = Request::default();
    let ended = read_head(head, &mut request);
    (request, ended)
}

fn read_head(head: &[u8], request: &mut Request) -> Result<(), WireError> {
    let mut rest = head;
    let line = next_line(&mut rest).ok_or(WireError::Truncated { field: "http.request_line", missing: 1 })?;
    let is_for_the_peer = match target_of(line)? {
        Target::Here => true,
        Target::Elsewhere { authority } => {
            // The request's host, whatever a `Host` says (RFC 9112 §3.2.2 and §3.2.3).
            *request = Request { host: name_of(authority), is_for_proxy: true };
            false
        }
        Target::Unclear => false,
    };
    let mut named: Option<&[u8]> = None;
    let mut is_after_host = is_for_the_peer;
    loop {
        let line = next_line(&mut rest).ok_or(WireError::Truncated { field: "http.head", missing: 1 })?;
        if line.is_empty() {
            return Ok(());
        }
        if !is_for_the_peer {
            continue;
        }
        if line.starts_with(b" ") || line.starts_with(b"\t") {
            // A line that goes on (RFC 9112 §5.2), or one that hides before the first (§2.2).
            if is_after_host {
                return Err(WireError::Malformed { field: "http.host", found: u64::from(b' ') });
            }
            continue;
        }
        let value = value_of_host(line)?;
        is_after_host = value.is_some();
        let Some(value) = value else { continue };
        if named.is_some_and(|earlier| !earlier.eq_ignore_ascii_case(value)) {
            return Err(WireError::Malformed { field: "http.host", found: 2 });
        }
        named = Some(value);
        request.host = name_of(value);
    }
}

/// Do these bytes begin like a request: with a whole request line of HTTP/1, or with the beginning of what may
/// become one?
#[must_use]
pub fn looks_like_request(stream: &[u8]) -> bool {
    let stream = stream.get(..LOOKED_AT_LEN).unwrap_or(stream);
    let mut rest = stream;
    if let Some(line) = next_line(&mut rest) {
        return target_of(line).is_ok();
    }
    let mut words = stream.splitn(2, |b| *b == b' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    // A carriage return may be the last byte that is here.
    let target = target.strip_suffix(b"\r").unwrap_or(target);
    is_method(method) && !target.is_empty() && !target.iter().any(u8::is_ascii_control)
}

/// A token (RFC 9110 §5.6.2 and §9.1).
pub(super) fn is_method(word: &[u8]) -> bool {
    let is_token = |b: &u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b);
    (1..=MAX_METHOD_LEN).contains(&word.len()) && word.iter().all(is_token)
}

/// Takes the next line, without its end; `None` if it has none. A bare line feed ends a line too
/// (RFC 9112 §2.2).
pub(super) fn next_line<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let end = rest.iter().position(|b| *b == b'\n')?;
    let (line, after) = rest.split_at_checked(end)?;
    *rest = after.split_first().map_or(&[], |(_, after)| after);
    Some(line.strip_suffix(b"\r").unwrap_or(line))
}

/// What a request is for (RFC 9112 §3.2).
enum Target<'a> {
    /// A path, or `*`: something at the one it is sent to.
    Here,
    /// Another host, whose authority this is.
    Elsewhere { authority: &'a [u8] },
    /// None of the forms that there are.
    Unclear,
}

fn target_of(line: &[u8]) -> Result<Target<'_>, WireError> {
    let first = line.first().copied().unwrap_or(0);
    let malformed = || WireError::Malformed { field: "http.request_line", found: u64::from(first) };
    let mut words = line.split(|b| *b == b' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().ok_or_else(malformed)?);
    let version = words.next_back().ok_or_else(malformed)?;
    // Some leave the minor version out, and are answered.
    let is_version =
        version.strip_prefix(b"HTTP/1.").is_some_and(|minor| minor.iter().all(u8::is_ascii_digit));
    if !is_method(method) || !is_version {
        return Err(malformed());
    }
    Ok(match target {
        b"*" | [b'/', ..] => Target::Here,
        authority if method == b"CONNECT" => Target::Elsewhere { authority },
        _ => authority_of(target).map_or(Target::Unclear, |authority| Target::Elsewhere { authority }),
    })
}

/// The authority of `http://authority/path`, without who is logging in.
fn authority_of(target: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = target.split_at_checked(target.windows(3).position(|w| w == b"://")?)?;
    if !(scheme.eq_ignore_ascii_case(b"http") || scheme.eq_ignore_ascii_case(b"https")) {
        return None;
    }
    let authority = rest.get(3..)?.split(|b| b"/?#".contains(b)).next()?;
    authority.rsplit(|b| *b == b'@').next()
}

/// The value of a `Host` line; `None` of any other line.
fn value_of_host(line: &[u8]) -> Result<Option<&[u8]>, WireError> {
    let Some((field, rest)) = line.split_at_checked(4) else { return Ok(None) };
    if !field.eq_ignore_ascii_case(b"host") {
        return Ok(None);
    }
    match rest {
        [b':', value @ ..] => Ok(Some(value.trim_ascii())),
        // Servers must refuse this, and some do not (RFC 9112 §5.1).
        [b' ' | b'\t', ..] => Err(WireError::Malformed { field: "http.host", found: u64::from(b' ') }),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::DomainName;
    use proptest::prelude::*;

    fn found(head: &[u8]) -> Result<(Option<String>, bool), &'static str> {
        let (request, ended) = read(head);
        match ended {
            Err(WireError::Malformed { field, .. }) => Err(field),
            _ => Ok((request.host.as_ref().map(DomainName::to_string), request.is_for_proxy)),
        }
    }

    #[track_caller]
    fn check(head: &str, host: Option<&str>, is_for_proxy: bool) {
        assert!(looks_like_request(head.as_bytes()), "{head:?}");
        assert_eq!(found(head.as_bytes()), Ok((host.map(str::to_owned), is_for_proxy)), "{head:?}");
        for len in 0..head.len() {
            let (request, _) = read(&head.as_bytes()[..len]);
            let name = request.host.as_ref().map(DomainName::as_str);
            assert!(name.is_none() || name == host, "{len} of {head:?}: never half a name");
        }
    }

    #[track_caller]
    fn check_malformed(head: &str, field: &str) {
        assert_eq!(found(head.as_bytes()), Err(field), "{head:?}");
    }

    #[test]
    fn a_request_names_its_host() {
        let check = |head: &str, host| check(head, Some(host), false);
        check("GET /generate_204 HTTP/1.1\r\nHost: connect.rom.miui.com\r\n\r\n", "connect.rom.miui.com");
        check(
            "POST /a?b HTTP/1.1\r\nUser-Agent: x\r\nhOST:\tApi.Ad.Xiaomi.com:8080 \r\n\r\n",
            "api.ad.xiaomi.com",
        );
        check("GET / HTTP/1.0\nHost: a.example\n\n", "a.example");
        check("GET / HTTP/1.\nHost: a.example\n\n", "a.example");
        check("GET /a b HTTP/1.1\r\nHost: a.example:\r\nhost: A.example:\r\n\r\n", "a.example");
        check("GET / HTTP/1.1\r\nHost: a.example\r\nX: y\r\n z\r\n\r\n", "a.example");
        for method in ["M-SEARCH", "NOTIFY", "PROPFIND", "VERSION-CONTROL", "UPDATEREDIRECTREF", "get"] {
            check(&format!("{method} * HTTP/1.1\r\nHost: a.example\r\n\r\n"), "a.example");
        }
        check("GET //b.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n", "a.example");
        check("GET / HTTP/1.1\r\nUpgrade: h2c\r\nHost: a.example\r\n\r\n", "a.example");
    }

    #[test]
    fn an_address_and_silence_name_nobody() {
        for host in [
            "203.0.113.7:80",
            "[2001:db8::1]:80",
            "",
            "a.example, b.example",
            "me@a.example",
            "a b",
            "\u{e9}.example",
        ] {
            check(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"), None, false);
        }
        check("GET / HTTP/1.0\r\nAccept: */*\r\nHostess: a.example\r\n\r\n", None, false);
        check("GET index.html HTTP/1.1\r\nHost: a.example\r\n\r\n", None, false);
        check("GET  / HTTP/1.1\r\nHost: a.example\r\n\r\n", None, false);
    }

    #[test]
    fn a_proxy_is_told_the_host_in_the_target() {
        let check = |head: &str, host| check(head, host, true);
        check("CONNECT a.example:443 HTTP/1.1\r\nHost: b.example\r\n\r\n", Some("a.example"));
        check("CONNECT 192.0.2.1:443 HTTP/1.1\r\nHost: b.example\r\n\r\n", None);
        check("GET http://Bank.example:8080/a HTTP/1.1\r\nHost: other.example\r\n\r\n", Some("bank.example"));
        check("GET HTTPS://me:secret@bank.example?x HTTP/1.1\r\n\r\n", Some("bank.example"));
        check("GET http:/// HTTP/1.1\r\n\r\n", None);
    }

    #[test]
    fn where_readers_differ_nobody_is_named() {
        check_malformed("GET / HTTP/1.1\r\nHost: a.example\r\nHost: b.example\r\n\r\n", "http.host");
        check_malformed("GET / HTTP/1.1\r\nHost: a.example\r\n .b.example\r\n\r\n", "http.host");
        check_malformed("GET / HTTP/1.1\r\n Host: b.example\r\nHost: a.example\r\n\r\n", "http.host");
        check_malformed("GET / HTTP/1.1\r\nHost : a.example\r\n\r\n", "http.host");
    }

    #[test]
    fn cut_short_is_not_malformed_and_a_whole_line_counts() {
        let (request, ended) = read(b"GET /a HTTP/1.1\r\nHost: connect.rom.mi");
        assert_eq!(
            (request.host, ended),
            (None, Err(WireError::Truncated { field: "http.head", missing: 1 }))
        );
        let (request, ended) = read(b"GET /a HTTP/1.1\r\nHost: a.example\r\nUser-Ag");
        assert_eq!(request.host, DomainName::parse("a.example"));
        assert_eq!(ended, Err(WireError::Truncated { field: "http.head", missing: 1 }));
        let (_, ended) = read(b"GET /long");
        assert_eq!(ended, Err(WireError::Truncated { field: "http.request_line", missing: 1 }));
    }

    #[test]
    fn a_long_request_line_is_one_all_the_same() {
        for len in [LOOKED_AT_LEN - 20, LOOKED_AT_LEN, 4000] {
            let line = format!("GET /{} HTTP/1.1\r\n", "a".repeat(len));
            check(&format!("{line}Host: a.example\r\n\r\n"), Some("a.example"), false);
        }
        let no_request = format!("GET /{}\u{1}", "a".repeat(LOOKED_AT_LEN - 6));
        assert!(!looks_like_request(no_request.as_bytes()));
    }

    #[test]
    fn other_protocols_are_no_requests() {
        for other in [
            "SSH-2.0-x\r\n",
            "EHLO a.example\r\n",
            "USER anonymous\r\n",
            "a001 STARTTLS\r\n",
            "OPTIONS rtsp://a.example/ RTSP/1.0\r\n",
            "INVITE sip:a@a.example SIP/2.0\r\n",
            "PRI * HTTP/2.0\r\n",
            "GET /\r\n",
            "OPTIONS HTTP/1.1\r\n",
            "GET / HTTP/2.0\r\n",
            "GET / HTTP/1.1x\r\n",
            "UPDATEREDIRECTREFERENCES / HTTP/1.1\r\n",
            "GET",
            "GET ",
            "\u{16}\u{3}\u{1} ",
            "",
        ] {
            assert!(!looks_like_request(other.as_bytes()), "{other:?}");
        }
        for begun in ["GET /", "POST /a/b?c HTTP/1.1\r", "CONNECT a.ex"] {
            assert!(looks_like_request(begun.as_bytes()), "{begun:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = (read(&bytes), looks_like_request(&bytes));
            let mut head = b"GET / HTTP/1.1\r\n".to_vec();
            head.extend(bytes);
            let _ = read(&head);
        }
    }
}
