//! E-mail by SMTP (RFC 5321) with STARTTLS (RFC 3207) or TLS from the start (RFC 8314), and AUTH (RFC 4954).
//!
//! One letter, one connection. A library would bring forty crates, tables of Unicode among them, for what is
//! here; TLS is rustls, which is in the program anyway.

use super::connection::{Connection, Timed, words};
use super::letter::letter;
use super::secret::Secret;
use super::{Failure, Message};
use crate::config::DeliverConfig;
use crate::config::deliver::{EmailConfig, MailTls};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::io::{Read, Write};
use std::time::{Duration, Instant};

/// The longest reply that is listened to: servers say a dozen lines to EHLO.
const MAX_REPLY_LEN: usize = 16 << 10;

/// Sends a letter.
pub(super) fn send(email: &EmailConfig, config: &DeliverConfig, message: &Message) -> Result<(), Failure> {
    let letter = letter(email, message, &jiff::ZonedDateTime::now());
    let login = match &email.login {
        Some((username, place)) => Some((username.as_str(), Secret::read(place)?)),
        None => None,
    };
    let deadline = Instant::now() + Duration::from_secs(config.timeout_secs);
    let timed = Timed::connect(&email.host, email.port, deadline)?;
    let ca = config.ca.as_deref();
    let connection = match email.tls {
        MailTls::Implicit => Connection::tls(timed, &email.host, ca)?,
        MailTls::Starttls | MailTls::None => Connection::Plain(timed),
    };
    let mut talk = Talk { connection };
    talk.expect("the greeting", 220)?;
    let mut able = talk.hello()?;
    if email.tls == MailTls::Starttls {
        if !able.lines().any(|line| line.eq_ignore_ascii_case("STARTTLS")) {
            return Err(Failure::refused(
                "the server has no STARTTLS: nothing was sent; with tls = \"implicit\" and port 465 it may have TLS",
            ));
        }
        talk.ask("STARTTLS", 220)?;
        let plain = talk.connection.into_plain();
        let plain = plain.ok_or_else(|| Failure::refused("the connection is TLS already"))?;
        // Nothing that came before TLS is believed (RFC 3207 §4.2): no byte is ever read ahead of a reply's end.
        talk = Talk { connection: Connection::tls(plain, &email.host, ca)? };
        able = talk.hello()?;
    }
    if let Some((username, password)) = &login {
        talk.log_in(username, password, &able)?;
    }
    talk.ask(&format!("MAIL FROM:<{}>", email.from), 250)?;
    for to in &email.to {
        talk.ask(&format!("RCPT TO:<{to}>"), 250)?;
    }
    talk.ask("DATA", 354)?;
    talk.say(&stuffed(&letter))?;
    talk.expect("the letter", 250)?;
    // The letter is the server's now: whatever happens to the goodbye, it is delivered.
    let _ = talk.say("QUIT\r\n");
    Ok(())
}

/// The letter and its end; a line that begins with a dot gets another (RFC 5321 §4.5.2).
fn stuffed(letter: &str) -> String {
    let stuffed = letter.replace("\r\n.", "\r\n..");
    let first = if stuffed.starts_with('.') { "." } else { "" };
    let end = if stuffed.ends_with("\r\n") { ".\r\n" } else { "\r\n.\r\n" };
    format!("{first}{stuffed}{end}")
}

struct Talk {
    connection: Connection,
}

impl Talk {
    fn say(&mut self, text: &str) -> Result<(), Failure> {
        let Self { connection } = self;
        let said = connection.write_all(text.as_bytes()).and_then(|()| connection.flush());
        said.map_err(|error| Failure::passing(format!("talk to the mail server: {}", words(&error))))
    }

    fn ask(&mut self, command: &str, wanted: u16) -> Result<String, Failure> {
        self.say(&format!("{command}\r\n"))?;
        let verb = command.split([' ', ':']).next().unwrap_or_default();
        self.expect(verb, wanted)
    }

    fn hello(&mut self) -> Result<String, Failure> {
        // The gateway's name is nobody's business, and may be none that a server likes (RFC 5321 §4.1.3).
        self.ask("EHLO [127.0.0.1]", 250)
    }

    fn log_in(&mut self, username: &str, password: &Secret, able: &str) -> Result<(), Failure> {
        let methods: Vec<String> = able
            .lines()
            .filter_map(|line| line.to_ascii_uppercase().strip_prefix("AUTH ").map(str::to_owned))
            .flat_map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
            .collect();
        let has = |method: &str| methods.iter().any(|m| m == method);
        // What is said here is secret: it stays out of every error.
        let reply = if has("PLAIN") {
            let secret = STANDARD.encode(format!("\0{username}\0{}", password.reveal()));
            self.say(&format!("AUTH PLAIN {secret}\r\n"))?;
            self.reply()?
        } else if has("LOGIN") {
            self.ask("AUTH LOGIN", 334)?;
            self.say(&format!("{}\r\n", STANDARD.encode(username)))?;
            self.expect("AUTH", 334)?;
            self.say(&format!("{}\r\n", STANDARD.encode(password.reveal())))?;
            self.reply()?
        } else {
            return Err(Failure::refused(
                "the mail server takes no password here: neither AUTH PLAIN nor LOGIN",
            ));
        };
        match reply.0 {
            235 => Ok(()),
            400..=499 => Err(Failure::passing(format!("the mail server puts the login off ({})", reply.0))),
            code => Err(Failure::refused(format!("the mail server refuses user name or password ({code})"))),
        }
    }

    fn expect(&mut self, about: &str, wanted: u16) -> Result<String, Failure> {
        let (code, text) = self.reply()?;
        // 251: the server passes it on for somebody who has moved.
        if code == wanted || (wanted == 250 && code == 251) {
            return Ok(text);
        }
        let first: String = text.lines().next().unwrap_or_default().chars().take(200).collect();
        let words = format!("the mail server answers {code} to {about}: {first}");
        match (code, about) {
            (500..=599, "the letter") => Err(Failure::Unwanted(words)),
            (500..=599, _) => Err(Failure::refused(words)),
            _ => Err(Failure::passing(words)),
        }
    }

    /// A reply of one or more lines: its code and its words, one line each, without what could steer a terminal.
    fn reply(&mut self) -> Result<(u16, String), Failure> {
        let mut text = String::new();
        let mut read = 0;
        loop {
            let line = self.line(&mut read)?;
            let is_last = line.get(3..4) != Some("-");
            let code = line.get(..3).and_then(|code| code.parse::<u16>().ok());
            let code = code.ok_or_else(|| Failure::passing("what answers is not a mail server"))?;
            text.push_str(line.get(4..).unwrap_or_default());
            text.push('\n');
            if is_last {
                return Ok((code, text));
            }
        }
    }

    /// Byte by byte: nothing after the line is taken, for what follows may be TLS.
    fn line(&mut self, read: &mut usize) -> Result<String, Failure> {
        let mut line = Vec::new();
        loop {
            let mut byte = [0];
            let came = self.connection.read_exact(&mut byte);
            came.map_err(|error| Failure::passing(format!("listen to the mail server: {}", words(&error))))?;
            *read += 1;
            if *read > MAX_REPLY_LEN {
                return Err(Failure::passing("the mail server does not stop talking"));
            }
            match byte {
                [b'\n'] => break,
                [byte @ (b' '..=b'~')] => line.push(byte),
                _ => {}
            }
        }
        Ok(String::from_utf8_lossy(&line).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::stuffed;

    #[test]
    fn a_dot_never_ends_a_letter_early() {
        assert_eq!(stuffed("a\r\n.\r\nb\r\n"), "a\r\n..\r\nb\r\n.\r\n");
        assert_eq!(stuffed(".a"), "..a\r\n.\r\n");
    }
}
