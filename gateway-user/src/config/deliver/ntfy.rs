//! `[deliver.ntfy]`: a topic of an ntfy server.

use super::{SecretPlace, is_url, secret};
use serde::Deserialize;
use std::path::PathBuf;

/// A topic of an ntfy server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NtfyConfig {
    /// The server's URL.
    pub server: String,
    /// The topic. Who knows it can read it, where the server asks for no token.
    pub topic: String,
    /// Where the access token is.
    pub token: Option<SecretPlace>,
}

/// The section as written. Unknown keys are refused.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    server: Option<String>,
    topic: String,
    token_file: Option<PathBuf>,
    token_env: Option<String>,
}

pub(super) fn checked(written: Written) -> Result<NtfyConfig, String> {
    let Written { server, topic, token_file, token_env } = written;
    let server = server.unwrap_or_else(|| "https://ntfy.sh".to_owned());
    if !is_url(&server) {
        return Err(
            "ntfy: server is a URL such as \"https://ntfy.example.org\", without a user in it".to_owned()
        );
    }
    let is_plain = topic.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if topic.is_empty() || topic.len() > 64 || !is_plain {
        return Err("ntfy: topic has 1 to 64 letters, digits, - and _".to_owned());
    }
    let token = secret("ntfy", "token", token_file, token_env)?;
    if token.is_some() && !server.starts_with("https://") {
        return Err(
            "ntfy: a token over http:// would be shown to everybody on the way; use https://".to_owned()
        );
    }
    Ok(NtfyConfig { server: server.trim_end_matches('/').to_owned(), topic, token })
}
