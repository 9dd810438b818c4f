//! What ntfy and webhook share: one POST by the client of `telltale update`, certificates checked, no redirect followed.

use super::Failure;
use crate::config::{DeliverConfig, UpdateConfig};
use crate::tables::update::https::{Https, failure};
use std::time::Duration;
use ureq::http::header;

/// No server is waited for longer than this because it says so.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(6 * 3600);

/// Posts a body. Headers and URL may hold secrets: no error shows them.
pub(super) fn post(
    config: &DeliverConfig,
    url: &str,
    headers: &[(&str, String)],
    body: &[u8],
) -> Result<(), Failure> {
    let client = UpdateConfig {
        ca: config.ca.clone(),
        proxy: config.proxy.clone(),
        connect_secs: config.timeout_secs,
        stall_secs: config.timeout_secs,
        timeout_secs: config.timeout_secs,
        ..UpdateConfig::default()
    };
    let https = Https::new(&client, true).map_err(|error| Failure::refused(format!("{error:#}")))?;
    let mut call = https.agent().post(url);
    for (name, value) in headers {
        call = call.header(*name, value);
    }
    let response = call.send(body).map_err(|error| {
        let failure = failure(error);
        let mut words = format!("{:#}", failure.error);
        for secret in headers.iter().map(|(_, value)| value.as_str()).chain([url]) {
            words = words.replace(secret, "…");
        }
        if failure.is_transient { Failure::passing(words) } else { Failure::refused(words) }
    })?;
    let status = response.status();
    let words = format!("the server answers {status}");
    match status.as_u16() {
        200..=299 => Ok(()),
        408 | 425 | 429 | 500..=599 => {
            let wait = response.headers().get(header::RETRY_AFTER);
            let wait = wait.and_then(|value| value.to_str().ok()?.parse().ok()).map(Duration::from_secs);
            Err(Failure::Passing { words, wait: wait.map(|wait| wait.min(MAX_RETRY_AFTER)) })
        }
        400 | 413 | 422 => Err(Failure::Unwanted(words)),
        300..=399 => Err(Failure::refused(format!("{words}: it has moved; give the new URL"))),
        401 | 403 => Err(Failure::refused(format!("{words}: token or key is not right"))),
        _ => Err(Failure::refused(words)),
    }
}
