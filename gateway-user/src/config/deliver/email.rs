//! `[deliver.email]`: e-mail by SMTP.

use super::{SecretPlace, host_of, login, secret};
use serde::Deserialize;
use std::path::PathBuf;

/// More than this is a mailing list.
const MAX_RECIPIENTS: usize = 20;

/// How a connection for e-mail is made safe.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MailTls {
    /// TLS from the first byte (RFC 8314 §3.3). Port 465.
    Implicit,
    /// Plain at first; TLS is insisted on before anything is said (RFC 3207). Port 587.
    Starttls,
    /// None: for a mail server on this machine. Port 25.
    None,
}

/// E-mail by SMTP.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EmailConfig {
    /// The server's name.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is made safe.
    pub tls: MailTls,
    /// The sender's address.
    pub from: String,
    /// The receivers' addresses.
    pub to: Vec<String>,
    /// Who logs in, and where the password is.
    pub login: Option<(String, SecretPlace)>,
}

/// The section as written. Unknown keys are refused.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    host: String,
    port: Option<u16>,
    tls: Option<MailTls>,
    from: String,
    to: Vec<String>,
    username: Option<String>,
    password_file: Option<PathBuf>,
    password_env: Option<String>,
}

pub(super) fn checked(written: Written) -> Result<EmailConfig, String> {
    let Written { host, port, tls, from, to, username, password_file, password_env } = written;
    let tls = tls.unwrap_or(MailTls::Starttls);
    let login = login("email", username, secret("email", "password", password_file, password_env)?)?;
    if tls == MailTls::None && login.is_some() {
        return Err(
            "email: tls = \"none\" would show the password to everybody on the way; use \"starttls\" or \
                    \"implicit\""
                .to_owned(),
        );
    }
    if to.is_empty() || to.len() > MAX_RECIPIENTS {
        return Err(format!("email: to names 1 to {MAX_RECIPIENTS} addresses"));
    }
    if let Some(bad) = to.iter().chain([&from]).find(|address| !is_address(address)) {
        return Err(format!("email: {bad:?} is not an address such as \"me@example.org\""));
    }
    let default = match tls {
        MailTls::Implicit => 465,
        MailTls::Starttls => 587,
        MailTls::None => 25,
    };
    Ok(EmailConfig { host: host_of("email", host)?, port: port.unwrap_or(default), tls, from, to, login })
}

/// As far as nothing in it can be anything but an address (RFC 5321 §4.1.2, without quoted names).
fn is_address(text: &str) -> bool {
    let is_plain = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_graphic() && !b"<>()[]\\,;:\"@".contains(&b))
    };
    text.len() <= 254 && text.split_once('@').is_some_and(|(user, host)| is_plain(user) && is_plain(host))
}
