//! `[deliver]`: the ways on which messages go out. A password or token never stands here, only where it is. Each way has
//! a file; here is what they share.

mod email;
mod mqtt;
mod ntfy;
mod webhook;

pub use email::{EmailConfig, MailTls};
pub use mqtt::MqttConfig;
pub use ntfy::NtfyConfig;
pub use webhook::{UrlPlace, WebhookConfig};

use serde::Deserialize;
use std::path::PathBuf;

/// Seconds that one attempt may take: a slow server's greeting alone may take ten.
const DEFAULT_TIMEOUT_SECS: u64 = 60;
/// An hour is the longest pause between attempts; an attempt must not be longer.
const MAX_TIMEOUT_SECS: u64 = 600;
/// Hours after which a message is given up: a long weekend without the Internet.
const DEFAULT_GIVE_UP_HOURS: u64 = 72;
/// A month.
const MAX_GIVE_UP_HOURS: u64 = 744;

/// The checked section.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeliverConfig {
    /// E-mail, if it is wanted.
    pub email: Option<EmailConfig>,
    /// ntfy, if it is wanted.
    pub ntfy: Option<NtfyConfig>,
    /// A webhook, if it is wanted.
    pub webhook: Option<WebhookConfig>,
    /// MQTT, if it is wanted.
    pub mqtt: Option<MqttConfig>,
    /// PEM file of the certificates to trust in place of the compiled-in ones.
    pub ca: Option<PathBuf>,
    /// Proxy for ntfy and webhook; `None` follows the environment.
    pub proxy: Option<String>,
    /// Seconds that one attempt may take.
    pub timeout_secs: u64,
    /// Hours after which a message that could not be delivered is given up.
    pub give_up_hours: u64,
}

impl Default for DeliverConfig {
    fn default() -> Self {
        Self {
            email: None,
            ntfy: None,
            webhook: None,
            mqtt: None,
            ca: None,
            proxy: None,
            timeout_secs: DEFAULT_TIMEOUT_SECS,
            give_up_hours: DEFAULT_GIVE_UP_HOURS,
        }
    }
}

/// Where a secret is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SecretPlace {
    /// In a file that only its owner and group may read.
    File(PathBuf),
    /// In this variable of the environment.
    Env(String),
}

/// The section, checked.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Written")]
pub(super) struct RawDeliver(pub(super) DeliverConfig);

/// The section as written. Unknown keys are refused.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    email: Option<email::Written>,
    ntfy: Option<ntfy::Written>,
    webhook: Option<webhook::Written>,
    mqtt: Option<mqtt::Written>,
    ca: Option<PathBuf>,
    proxy: Option<String>,
    timeout_secs: Option<i64>,
    give_up_hours: Option<i64>,
}

impl TryFrom<Written> for RawDeliver {
    type Error = String;
    fn try_from(written: Written) -> Result<Self, String> {
        let Written { email, ntfy, webhook, mqtt, ca, proxy, timeout_secs, give_up_hours } = written;
        Ok(Self(DeliverConfig {
            email: email.map(email::checked).transpose()?,
            ntfy: ntfy.map(ntfy::checked).transpose()?,
            webhook: webhook.map(webhook::checked).transpose()?,
            mqtt: mqtt.map(mqtt::checked).transpose()?,
            ca: ca.filter(|ca| !ca.as_os_str().is_empty()),
            proxy: proxy.filter(|proxy| !proxy.is_empty()),
            timeout_secs: within("timeout_secs", timeout_secs, DEFAULT_TIMEOUT_SECS, MAX_TIMEOUT_SECS)?,
            give_up_hours: within("give_up_hours", give_up_hours, DEFAULT_GIVE_UP_HOURS, MAX_GIVE_UP_HOURS)?,
        }))
    }
}

fn within(key: &str, given: Option<i64>, default: u64, max: u64) -> Result<u64, String> {
    let Some(given) = given else { return Ok(default) };
    let value = u64::try_from(given).ok().filter(|value| (1..=max).contains(value));
    value.ok_or_else(|| format!("{key}: {given} is not between 1 and {max}"))
}

/// Is this a URL that can be posted to, with no password before its host?
pub(crate) fn is_url(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let host = rest.map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
    host.is_some_and(|host| !host.is_empty() && !host.contains('@'))
        && text.bytes().all(|b| b.is_ascii_graphic())
}

fn host_of(way: &str, host: String) -> Result<String, String> {
    let is_plain = host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:".contains(&b));
    if host.is_empty() || host.len() > 253 || !is_plain {
        return Err(format!("{way}: host is a name or an address, without a port"));
    }
    Ok(host)
}

fn secret(
    way: &str,
    what: &str,
    file: Option<PathBuf>,
    env: Option<String>,
) -> Result<Option<SecretPlace>, String> {
    match (file, env) {
        (None, None) => Ok(None),
        (Some(file), None) if file.is_absolute() => Ok(Some(SecretPlace::File(file))),
        (Some(_), None) => Err(format!("{way}: {what}_file is a path that begins with /")),
        (None, Some(env)) if !env.is_empty() && !env.contains('=') => Ok(Some(SecretPlace::Env(env))),
        (None, Some(_)) => Err(format!("{way}: {what}_env is the name of a variable")),
        (Some(_), Some(_)) => Err(format!("{way}: give one of {what}_file and {what}_env")),
    }
}

fn login(
    way: &str,
    username: Option<String>,
    password: Option<SecretPlace>,
) -> Result<Option<(String, SecretPlace)>, String> {
    match (username, password) {
        (None, None) => Ok(None),
        (Some(username), Some(_)) if username.is_empty() || username.contains(char::is_control) => {
            Err(format!("{way}: username cannot be one"))
        }
        (Some(username), Some(password)) => Ok(Some((username, password))),
        (Some(_), None) => Err(format!("{way}: username needs password_file or password_env")),
        (None, Some(_)) => Err(format!("{way}: a password needs a username")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic on purpose")]
    use super::*;

    fn parse(text: &str) -> Result<DeliverConfig, String> {
        let parsed = toml::from_str::<RawDeliver>(text).map_err(|error| error.message().to_owned());
        parsed.map(|RawDeliver(config)| config)
    }

    #[test]
    fn each_way_needs_little() {
        assert_eq!(parse("").unwrap(), DeliverConfig::default());
        let config = parse(
            "[email]\nhost = \"m.example\"\nfrom = \"a@example.org\"\nto = [\"b@example.org\"]\n\
             [ntfy]\ntopic = \"t\"\n[webhook]\nurl = \"http://h.example/x\"\n[mqtt]\nhost = \"::1\"\ndiscovery = \"\"",
        )
        .unwrap();
        let email = config.email.unwrap();
        assert_eq!((email.port, email.tls, email.login), (587, MailTls::Starttls, None));
        assert_eq!(config.ntfy.unwrap().server, "https://ntfy.sh");
        assert_eq!(config.webhook.unwrap().url, UrlPlace::Plain("http://h.example/x".to_owned()));
        let mqtt = config.mqtt.unwrap();
        assert_eq!((mqtt.port, mqtt.is_tls, mqtt.discovery), (8883, true, None));
    }

    #[test]
    fn a_secret_has_one_place_and_is_not_sent_in_the_clear() {
        let email = "[email]\nhost = \"m\"\nfrom = \"a@b.c\"\nto = [\"b@b.c\"]\n";
        let with = |more: &str| parse(&format!("{email}{more}"));
        let login = with("username = \"u\"\npassword_env = \"P\"").unwrap().email.unwrap().login;
        assert_eq!(login, Some(("u".to_owned(), SecretPlace::Env("P".to_owned()))));
        for (more, expected) in [
            ("username = \"u\"", "username needs password_file or password_env"),
            ("password_env = \"P\"", "a password needs a username"),
            ("username = \"u\"\npassword_env = \"P\"\npassword_file = \"/p\"", "give one of password_file"),
            ("username = \"u\"\npassword_file = \"p\"", "password_file is a path that begins with /"),
            (
                "tls = \"none\"\nusername = \"u\"\npassword_env = \"P\"",
                "would show the password to everybody",
            ),
            ("password = \"x\"", "unknown field `password`"),
        ] {
            assert!(with(more).unwrap_err().contains(expected), "{more}: {}", with(more).unwrap_err());
        }
        let token = "[ntfy]\nserver = \"http://n\"\ntopic = \"t\"\ntoken_env = \"T\"";
        assert!(parse(token).unwrap_err().contains("over http:// would be shown"));
        let plain = "[mqtt]\nhost = \"h\"\ntls = false\nusername = \"u\"\npassword_env = \"P\"";
        assert!(parse(plain).is_ok(), "a broker in the house often has no certificate");
    }

    #[test]
    fn what_could_be_something_else_is_refused() {
        let email = |from: &str, to: &str| {
            parse(&format!("[email]\nhost = \"m\"\nfrom = {from:?}\nto = [{to:?}]")).unwrap_err()
        };
        for bad in ["a", "a@", "@b", "a@b>\r\nRCPT TO:<c@d", "a b@c", "a@b@c", "a@b,c@d", "é@b.c"] {
            assert!(email(bad, "b@b.c").contains("is not an address"), "{bad}");
            assert!(email("b@b.c", bad).contains("is not an address"), "{bad}");
        }
        for (text, expected) in [
            ("[ntfy]\ntopic = \"a/b\"", "topic has 1 to 64"),
            ("[ntfy]\ntopic = \"t\"\nserver = \"https://me:pw@n\"", "without a user in it"),
            ("[ntfy]\ntopic = \"t\"\nserver = \"ftp://n\"", "server is a URL"),
            ("[webhook]", "give one of url, url_file and url_env"),
            ("[webhook]\nurl = \"https://a\"\nurl_env = \"U\"", "give one of url, url_file and url_env"),
            ("[webhook]\nurl = \"https://\"", "url is one such as"),
            ("[mqtt]\nhost = \"h:1 x\"", "host is a name or an address"),
            ("[mqtt]\nhost = \"h\"\nprefix = \"a/#\"", "prefix is a topic"),
            ("[mqtt]\nhost = \"h\"\nprefix = \"\"", "prefix is a topic"),
            ("[mqtt]\nhost = \"h\"\ndiscovery = \"/a\"", "discovery is a topic"),
            ("timeout_secs = 0", "timeout_secs: 0 is not between 1 and 600"),
            ("give_up_hours = 745", "give_up_hours: 745 is not between 1 and 744"),
        ] {
            assert!(parse(text).unwrap_err().contains(expected), "{text}: {}", parse(text).unwrap_err());
        }
    }
}
