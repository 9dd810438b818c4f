//! ntfy: a message for a telephone, as JSON to the server's root, so that a title may be in any script.

use super::http::post;
use super::secret::Secret;
use super::{Failure, Message, Priority};
use crate::config::DeliverConfig;
use crate::config::deliver::NtfyConfig;
use serde_json::json;

/// ntfy makes an attachment of what is longer than 4096 bytes; a telephone shows less.
const MAX_TEXT_LEN: usize = 3900;

/// Sends it.
pub(super) fn send(ntfy: &NtfyConfig, config: &DeliverConfig, message: &Message) -> Result<(), Failure> {
    let mut headers = vec![("Content-Type", "application/json".to_owned())];
    if let Some(place) = &ntfy.token {
        headers.push(("Authorization", format!("Bearer {}", Secret::read(place)?.reveal())));
    }
    post(config, &ntfy.server, &headers, body(ntfy, message).as_bytes())
}

fn body(ntfy: &NtfyConfig, message: &Message) -> String {
    let (priority, tag) = match message.priority {
        Priority::Low => (2, "bar_chart"),
        Priority::Normal => (3, "bar_chart"),
        Priority::High => (5, "warning"),
    };
    json!({
        "topic": ntfy.topic,
        "title": message.subject,
        "message": shortened(&message.text),
        "priority": priority,
        "tags": [tag],
    })
    .to_string()
}

/// Whole lines, as many as fit.
fn shortened(text: &str) -> String {
    if text.len() <= MAX_TEXT_LEN {
        return text.to_owned();
    }
    let mut short = String::new();
    for line in text.split_inclusive('\n') {
        if short.len() + line.len() > MAX_TEXT_LEN {
            break;
        }
        short.push_str(line);
    }
    short.push_str("… (cut here)");
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_lines() {
        assert_eq!(shortened("short"), "short");
        let text = format!("{}\n", "é".repeat(100)).repeat(40);
        let short = shortened(&text);
        assert!(short.len() < 4096 && short.ends_with("é\n… (cut here)"), "{}", short.len());
    }
}
