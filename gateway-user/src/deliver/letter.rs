//! A message as an e-mail (RFC 5322, RFC 2045 to 2047): UTF-8 in base64, so that no line is too long for any server
//! and no server has to know anything but ASCII.

use super::Message;
use crate::config::deliver::EmailConfig;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::ZonedDateTime;
use sha2::{Digest, Sha256};

/// Bytes that make a line of 76 characters in base64 (RFC 2045 §6.8).
const LINE_BYTES: usize = 57;
/// Bytes of text in one encoded word: with its marks and the header's name below the 76 that a line may have (RFC 2047
/// §2).
const WORD_BYTES: usize = 36;

/// The letter, its lines ended by CR LF.
pub(super) fn letter(config: &EmailConfig, message: &Message, now: &ZonedDateTime) -> String {
    let EmailConfig { from, to, .. } = config;
    let Message { id, subject, text, html, json: _, priority: _, figures: _ } = message;
    let host = from.rsplit_once('@').map_or("localhost", |(_, host)| host);
    let digest = hex(&Sha256::digest(id.as_bytes()), 12);
    let date = now.strftime("%a, %d %b %Y %H:%M:%S %z");
    let mut letter = format!(
        "From: Telltale <{from}>\r\nTo: {}\r\nSubject: {}\r\nDate: {date}\r\nMessage-ID: <{digest}@{host}>\r\n\
         Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n",
        to.join(",\r\n "),
        encoded(subject)
    );
    let Some(html) = html else {
        part(&mut letter, "plain", text);
        return letter;
    };
    // No line of base64 begins with two hyphens.
    let boundary = format!("=_{digest}");
    letter.push_str(&format!("Content-Type: multipart/alternative; boundary=\"{boundary}\"\r\n\r\n"));
    for (kind, body) in [("plain", text), ("html", html)] {
        letter.push_str(&format!("--{boundary}\r\n"));
        part(&mut letter, kind, body);
    }
    letter.push_str(&format!("--{boundary}--\r\n"));
    letter
}

fn part(letter: &mut String, kind: &str, body: &str) {
    letter.push_str(&format!(
        "Content-Type: text/{kind}; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    ));
    // A text's lines end by CR LF before they are encoded (RFC 2045 §6.8).
    let body = body.replace("\r\n", "\n").replace('\n', "\r\n");
    for line in body.as_bytes().chunks(LINE_BYTES) {
        letter.push_str(&STANDARD.encode(line));
        letter.push_str("\r\n");
    }
}

/// A header's text: as it is where it is short and plain, else in encoded words, none of which cuts a character.
fn encoded(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.is_ascii() && text.len() <= 60 && !text.contains("=?") {
        return text;
    }
    let mut words = vec![String::new()];
    for c in text.chars() {
        match words.last_mut() {
            Some(word) if word.len() + c.len_utf8() <= WORD_BYTES => word.push(c),
            _ => words.push(c.to_string()),
        }
    }
    let words: Vec<_> = words.iter().map(|word| format!("=?utf-8?B?{}?=", STANDARD.encode(word))).collect();
    words.join("\r\n ")
}

/// The first bytes in hexadecimal.
pub(super) fn hex(bytes: &[u8], len: usize) -> String {
    bytes.iter().take(len).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic on purpose")]
    use super::*;
    use crate::config::deliver::MailTls;
    use crate::deliver::Priority;

    fn config() -> EmailConfig {
        EmailConfig {
            host: "mail.example".into(),
            port: 25,
            tls: MailTls::None,
            from: "gate@home.example".into(),
            to: vec!["a@x.example".into(), "b@x.example".into()],
            login: None,
        }
    }

    fn message(subject: &str, text: &str, html: Option<&str>) -> Message {
        Message {
            id: "summary-2026-11-22".into(),
            subject: subject.into(),
            text: text.into(),
            html: html.map(str::to_owned),
            json: "{}".into(),
            priority: Priority::Normal,
            figures: None,
        }
    }

    fn written(message: &Message) -> String {
        let now = "2026-11-23T06:30:00+01:00[+01:00]".parse::<ZonedDateTime>().unwrap();
        letter(&config(), message, &now)
    }

    #[test]
    fn every_line_is_short_ascii_and_ended_by_both() {
        let long = "ü".repeat(5000);
        let letter = written(&message(&"Übersicht 😀 ".repeat(30), &long, Some(&long)));
        assert!(letter.is_ascii());
        for line in letter.split("\r\n") {
            assert!(line.len() <= 78 && !line.contains(['\r', '\n']), "{line}");
        }
        assert!(letter.contains("Date: Mon, 23 Nov 2026 06:30:00 +0100\r\n"));
    }

    #[test]
    fn the_text_comes_back_as_it_was() {
        let letter = written(&message("one\r\nBcc: evil@x.example", "é\nb\r\n", Some("<p>é</p>")));
        assert!(letter.contains("Subject: one  Bcc: evil@x.example\r\n"), "no second header");
        let parts: Vec<_> = letter.split("base64\r\n\r\n").skip(1).collect();
        let decoded = |part: &str| {
            let body: String = part.lines().take_while(|line| !line.starts_with("--")).collect();
            String::from_utf8(STANDARD.decode(body).unwrap()).unwrap()
        };
        assert_eq!(parts.iter().map(|part| decoded(part)).collect::<Vec<_>>(), ["é\r\nb\r\n", "<p>é</p>"]);
        let plain = written(&message("s", "t", None));
        assert!(!plain.contains("multipart") && plain.contains("text/plain"));
    }

    #[test]
    fn an_encoded_subject_can_be_decoded() {
        let subject = "Ä😀b ".repeat(40);
        let mut decoded = Vec::new();
        for word in encoded(&subject).split("\r\n ") {
            assert!(word.len() <= 75);
            let inner = word.strip_prefix("=?utf-8?B?").unwrap().strip_suffix("?=").unwrap();
            let bytes = STANDARD.decode(inner).unwrap();
            assert!(std::str::from_utf8(&bytes).is_ok(), "each word is whole");
            decoded.extend(bytes);
        }
        assert_eq!(String::from_utf8(decoded).unwrap(), subject);
    }
}
