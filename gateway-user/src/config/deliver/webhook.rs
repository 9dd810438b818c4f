//! `[deliver.webhook]`: a URL that JSON is posted to.

use super::{SecretPlace, is_url, secret};
use serde::Deserialize;
use std::path::PathBuf;

/// A URL that JSON is posted to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WebhookConfig {
    /// The URL, or where it is: many services have their secret in it.
    pub url: UrlPlace,
    /// Where the key of the signature is.
    pub key: Option<SecretPlace>,
}

/// A URL, or where it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum UrlPlace {
    /// The URL.
    Plain(String),
    /// It is a secret.
    Secret(SecretPlace),
}

/// The section as written. Unknown keys are refused.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    url: Option<String>,
    url_file: Option<PathBuf>,
    url_env: Option<String>,
    key_file: Option<PathBuf>,
    key_env: Option<String>,
}

pub(super) fn checked(written: Written) -> Result<WebhookConfig, String> {
    let Written { url, url_file, url_env, key_file, key_env } = written;
    let url = match (url, secret("webhook", "url", url_file, url_env)?) {
        (Some(url), None) if is_url(&url) => UrlPlace::Plain(url),
        (Some(_), None) => {
            return Err(
                "webhook: url is one such as \"https://example.org/in\", without a user in it".to_owned()
            );
        }
        (None, Some(place)) => UrlPlace::Secret(place),
        _ => return Err("webhook: give one of url, url_file and url_env".to_owned()),
    };
    Ok(WebhookConfig { url, key: secret("webhook", "key", key_file, key_env)? })
}
