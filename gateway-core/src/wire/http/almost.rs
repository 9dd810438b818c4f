//! What is a request but for its first line: a head with one `Host`, behind a line that a method begins and that is
//! none of RFC 9112 §3 (no target, no version, a blank that was forgotten). Servers refuse it or guess; whom the
//! device meant it says in the `Host` all the same.
//!
//! Other protocols have a line and fields behind it too, so all of this must hold: the head is whole, its method is
//! in capitals as all registered ones are (RFC 9110 §9.1), no other protocol's version stands in the line, and no
//! field is one of mail and news.

use super::one::{is_method, next_line};
use super::{Request, name_of};

/// What STOMP begins with: a command alone in its line, and fields, one of which is a `host` (STOMP 1.2 "CONNECT").
const STOMP: [&[u8]; 2] = [b"CONNECT", b"STOMP"];
/// Fields of articles, which SMTP, NNTP and IMAP carry behind command lines (RFC 5322 §3.6, RFC 5536 §3.1).
const OF_ARTICLES: [&[u8]; 4] = [b"from", b"subject", b"message-id", b"newsgroups"];

/// Reads the head of an almost request. `None` if it is none, is not here whole, or does not name exactly one host.
#[must_use]
pub fn read(head: &[u8]) -> Option<Request> {
    let mut rest = head;
    if !is_almost_request_line(next_line(&mut rest)?) {
        return None;
    }
    let mut named: Option<&[u8]> = None;
    loop {
        let line = next_line(&mut rest)?;
        if line.is_empty() {
            break;
        }
        let (field, value) = field_of(line)?;
        if OF_ARTICLES.iter().any(|of_articles| field.eq_ignore_ascii_case(of_articles)) {
            return None;
        }
        if !field.eq_ignore_ascii_case(b"host") {
            continue;
        }
        if named.is_some_and(|earlier| !earlier.eq_ignore_ascii_case(value)) {
            return None;
        }
        named = Some(value);
    }
    named.map(|value| Request { host: name_of(value), is_for_proxy: false })
}

fn is_almost_request_line(line: &[u8]) -> bool {
    let mut words = line.split(|b| *b == b' ').filter(|word| !word.is_empty());
    // The method stands at the very beginning.
    let Some(method) = words.next().filter(|method| line.starts_with(method)) else { return false };
    if !is_method(method) || !method.iter().any(u8::is_ascii_uppercase) {
        return false;
    }
    if method.iter().any(u8::is_ascii_lowercase) || line.iter().any(u8::is_ascii_control) {
        return false;
    }
    let Some(target) = words.next() else { return !STOMP.contains(&method) };
    // Nothing but a version, or a path; an authority or a URI would name a host as well as the field.
    match target.strip_prefix(b"/") {
        None if target == b"*" => {}
        None if is_version(target) => return is_version_one(target) && words.next().is_none(),
        None => return false,
        Some(rest) if is_version(rest) && !is_version_one(rest) => return false,
        Some(_) => {}
    }
    words.next_back().is_none_or(|last| !is_version(last) || is_version_one(last))
}

/// A protocol's name and version, such as `SIP/2.0`?
fn is_version(word: &[u8]) -> bool {
    let mut parts = word.splitn(2, |b| *b == b'/');
    let (name, number) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let is_number = number.first().is_some_and(u8::is_ascii_digit);
    !name.is_empty() && name.iter().all(u8::is_ascii_alphabetic) && is_number
}

fn is_version_one(word: &[u8]) -> bool {
    word.strip_prefix(b"HTTP/1.").is_some_and(|minor| minor.iter().all(u8::is_ascii_digit))
}

/// Name and value of `name: value` (RFC 9112 §5); `None` of a line that goes on or has no name.
fn field_of(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut parts = line.splitn(2, |b| *b == b':');
    let (name, value) = (parts.next()?, parts.next()?);
    let is_name = !name.is_empty() && name.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b));
    is_name.then(|| (name, value.trim_ascii()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(head: &str, host: Option<&str>) {
        let request = read(head.as_bytes()).expect("an almost request");
        assert_eq!(request.host.as_ref().map(|host| host.as_str()), host, "{head:?}");
        assert!(!request.is_for_proxy);
        for len in 0..head.len() {
            assert_eq!(read(&head.as_bytes()[..len]), None, "{len} of {head:?}: only what is whole counts");
        }
    }

    #[test]
    fn a_host_is_taken_whatever_is_wrong_with_the_first_line() {
        for line in [
            "OPTIONS HTTP/1.1",
            "OPTIONS",
            "OPTIONS ",
            "GET /",
            "GET /HTTP/1.1",
            "GET /HTTP/1.",
            "CONNECT /HTTP/1.1",
            "CCM_POST /HTTP/1.1",
            "GET /a b c",
            "GET  HTTP/1.0",
            "GET * ",
        ] {
            check(&format!("{line}\r\nAccept: */*\r\nHost: www.a.example\r\n\r\n"), Some("www.a.example"));
            check(
                &format!("{line}\nhost:www.a.example:80\nHost: WWW.a.example:80\n\n"),
                Some("www.a.example"),
            );
        }
        check("OPTIONS\r\nHost: 192.0.2.1\r\n\r\n", None);
    }

    #[test]
    fn without_one_host_it_is_nothing() {
        for fields in ["", "Accept: */*\r\n", "Host: a.example\r\nHost: b.example\r\n"] {
            assert_eq!(read(format!("OPTIONS HTTP/1.1\r\n{fields}\r\n").as_bytes()), None, "{fields:?}");
        }
        for unclear in ["Host : a.example\r\n", "Host: a.example\r\n .b\r\n", "Host: a.example\r\nhello\r\n"]
        {
            assert_eq!(read(format!("OPTIONS HTTP/1.1\r\n{unclear}\r\n").as_bytes()), None, "{unclear:?}");
        }
    }

    #[test]
    fn other_protocols_are_none() {
        let host = "Host: a.example\r\n\r\n";
        for other in [
            // SIP, RTSP, ICAP, Icecast, Gnutella, HTTP/2, MSRP, and the same with a blank forgotten.
            format!("INVITE sip:b@b.example SIP/2.0\r\nVia: x\r\n{host}"),
            format!("OPTIONS SIP/2.0\r\n{host}"),
            format!("OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n{host}"),
            format!("OPTIONS /RTSP/1.0\r\n{host}"),
            format!("DESCRIBE rtsp://b.example/ RTSP/1.0\r\n{host}"),
            format!("REQMOD icap://b.example/x ICAP/1.0\r\n{host}"),
            format!("SOURCE /live ICE/1.0\r\n{host}"),
            format!("GNUTELLA CONNECT/0.6\r\n{host}"),
            format!("PRI * HTTP/2.0\r\n{host}"),
            format!("MSRP d93kswow SEND\r\nTo-Path: x\r\n{host}"),
            // STOMP and the event socket of FreeSWITCH.
            "CONNECT\naccept-version:1.2\nhost:b.example\n\n\0".to_owned(),
            "STOMP\naccept-version:1.2\nhost:b.example\n\n\0".to_owned(),
            "sendevent NOTIFY\nprofile: internal\nhost: b.example\n\n".to_owned(),
            // Mail and news behind their commands, and dialogues of commands.
            format!("POST\r\nFrom: me@a.example\r\nNewsgroups: a.b\r\nSubject: x\r\n{host}"),
            format!("A003 APPEND saved {{310}}\r\nDate: x\r\n{host}"),
            format!("DATA\r\nReceived: from x\r\nSubject: x\r\n{host}"),
            format!("EHLO a.example\r\nMAIL FROM:<me@a.example>\r\nRCPT TO:<b@b.example>\r\nDATA\r\n{host}"),
            format!("EHLO\r\nMAIL FROM:<me@a.example>\r\n{host}"),
            "a001 LOGIN me secret\r\na002 SELECT inbox\r\n\r\n".to_owned(),
            "USER me\r\nPASS x\r\n\r\n".to_owned(),
            "NICK me\r\nUSER me 0 * :Host: a.example\r\n\r\n".to_owned(),
            "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nGET / HTTP/1.1\r\nHost: a.example\r\n\r\n".to_owned(),
            // To a proxy, or to whom else the target says.
            format!("CONNECT b.example:443\r\n{host}"),
            format!("GET http://b.example/\r\n{host}"),
            format!("GET index.html\r\n{host}"),
            // Answers, and plain text.
            format!("HTTP/1.1 200 OK\r\n{host}"),
            format!("GET/ HTTP/1.1\r\n{host}"),
            format!(" / HTTP/1.1\r\n{host}"),
            format!("Dear all\r\n{host}"),
            format!("HELLO WORLD\r\n{host}"),
            format!("Action: Login\r\n{host}"),
            format!("220\r\n{host}"),
            host.to_owned(),
            format!("\r\n{host}"),
        ] {
            assert_eq!(read(other.as_bytes()), None, "{other:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
            let mut head = b"OPTIONS ".to_vec();
            head.extend(bytes);
            let _ = read(&head);
        }
    }
}
