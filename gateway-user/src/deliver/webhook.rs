//! A webhook: the message as JSON to a URL, signed where a key is given.

use super::http::post;
use super::letter::hex;
use super::secret::Secret;
use super::{Failure, Message};
use crate::config::DeliverConfig;
use crate::config::deliver::{UrlPlace, WebhookConfig, is_url};
use hmac::{Hmac, KeyInit, Mac};
use serde::Serialize;
use sha2::Sha256;

/// The shape of the body.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct Body<'a> {
    version: u32,
    id: &'a str,
    subject: &'a str,
    priority: super::Priority,
    text: &'a str,
    data: serde_json::Value,
}

/// Sends it.
pub(super) fn send(
    webhook: &WebhookConfig,
    config: &DeliverConfig,
    message: &Message,
) -> Result<(), Failure> {
    let body = body(message)?;
    let mut headers =
        vec![("Content-Type", "application/json".to_owned()), ("Telltale-Id", message.id.clone())];
    if let Some(place) = &webhook.key {
        headers.push(("Telltale-Signature", signature(Secret::read(place)?.reveal(), &body)?));
    }
    match &webhook.url {
        UrlPlace::Plain(url) => post(config, url, &headers, body.as_bytes()),
        UrlPlace::Secret(place) => {
            let secret = Secret::read(place)?;
            if !is_url(secret.reveal()) {
                return Err(Failure::refused("what is to be the webhook's URL is none"));
            }
            post(config, secret.reveal(), &headers, body.as_bytes())
        }
    }
}

fn body(message: &Message) -> Result<String, Failure> {
    let Message { id, subject, text, html: _, json, priority, figures: _ } = message;
    let data = serde_json::from_str(json).map_err(|error| Failure::Unwanted(error.to_string()))?;
    let body = Body { version: VERSION, id, subject, priority: *priority, text, data };
    serde_json::to_string(&body).map_err(|error| Failure::Unwanted(error.to_string()))
}

/// `sha256=` and the HMAC-SHA256 (RFC 2104) of the body in hexadecimal.
fn signature(key: &str, body: &str) -> Result<String, Failure> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).map_err(Failure::refused)?;
    mac.update(body.as_bytes());
    Ok(format!("sha256={}", hex(&mac.finalize().into_bytes(), 32)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic on purpose")]
    use super::*;

    #[test]
    fn the_signature_is_the_published_one() {
        // RFC 4231 §4.3.
        assert_eq!(
            signature("Jefe", "what do ya want for nothing?").unwrap(),
            "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }
}
