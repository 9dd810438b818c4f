//! MQTT 3.1.1 (OASIS Standard, 29 October 2014): connect, publish with an answer for each (QoS 1), leave. A client
//! that stays connected, as the libraries are, has nothing to do here for the other 86,399 seconds of a day.

use super::connection::{Connection, Timed, words};
use super::figures::publications;
use super::secret::Secret;
use super::{Failure, Message};
use crate::config::DeliverConfig;
use crate::config::deliver::MqttConfig;
use std::io::{Read, Write};
use std::time::{Duration, Instant};

/// The longest text in a packet: its length has two bytes (§1.5.3).
const MAX_TEXT_LEN: usize = u16::MAX as usize;

/// One thing to publish.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Publication {
    pub(super) topic: String,
    pub(super) payload: String,
    /// Does the broker keep it for those who come later?
    pub(super) is_retained: bool,
}

/// Publishes what a message says.
pub(super) fn send(mqtt: &MqttConfig, config: &DeliverConfig, message: &Message) -> Result<(), Failure> {
    let login = match &mqtt.login {
        Some((username, place)) => Some((username.as_str(), Secret::read(place)?)),
        None => None,
    };
    let deadline = Instant::now() + Duration::from_secs(config.timeout_secs);
    let timed = Timed::connect(&mqtt.host, mqtt.port, deadline)?;
    let mut broker = match mqtt.is_tls {
        true => Connection::tls(timed, &mqtt.host, config.ca.as_deref())?,
        false => Connection::Plain(timed),
    };
    let login = login.as_ref().map(|(username, password)| (*username, password.reveal()));
    say(&mut broker, &connect(&client_id(&message.id), login)?)?;
    let (kind, body) = hear(&mut broker)?;
    match (kind, body) {
        (0x20, [_, 0]) => {}
        // §3.2.2.3: 3 is a broker that cannot now; the others will not.
        (0x20, [_, 3]) => return Err(Failure::passing("the broker is not available")),
        (0x20, [_, 4 | 5]) => return Err(Failure::refused("the broker refuses user name or password")),
        (0x20, [_, code]) => {
            return Err(Failure::refused(format!("the broker refuses the connection ({code})")));
        }
        _ => return Err(Failure::passing("what answers is not an MQTT broker")),
    }
    for (publication, id) in publications(mqtt, message).iter().zip(1_u16..) {
        say(&mut broker, &publish(publication, id)?)?;
        // Nothing was subscribed to: the answer is the next packet that comes.
        let (kind, body) = hear(&mut broker)?;
        if kind != 0x40 || body != id.to_be_bytes() {
            return Err(Failure::passing("the broker answers something else than that it has the message"));
        }
    }
    // All is the broker's now.
    let _ = say(&mut broker, &[0xe0, 0]);
    Ok(())
}

/// Of our own, so that no other client is thrown out; 23 characters, as every broker takes them (§3.1.3.1).
fn client_id(id: &str) -> String {
    use sha2::{Digest, Sha256};
    format!("telltale{}", super::letter::hex(&Sha256::digest(format!("{id} {}", std::process::id())), 7))
}

fn connect(client_id: &str, login: Option<(&str, &str)>) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    text(&mut body, "MQTT")?;
    // Level 4 is 3.1.1; a clean session; user name and password (§3.1.2.3).
    body.extend([4, if login.is_some() { 0b1100_0010 } else { 0b0000_0010 }]);
    // No keep-alive: the connection lasts seconds, and has its own end.
    body.extend([0, 0]);
    text(&mut body, client_id)?;
    if let Some((username, password)) = login {
        text(&mut body, username)?;
        text(&mut body, password)?;
    }
    Ok(packet(0x10, &body))
}

fn publish(publication: &Publication, id: u16) -> Result<Vec<u8>, Failure> {
    let Publication { topic, payload, is_retained } = publication;
    let mut body = Vec::new();
    text(&mut body, topic)?;
    body.extend(id.to_be_bytes());
    body.extend(payload.as_bytes());
    Ok(packet(0x32 | u8::from(*is_retained), &body))
}

fn text(to: &mut Vec<u8>, text: &str) -> Result<(), Failure> {
    let len = u16::try_from(text.len().min(MAX_TEXT_LEN + 1))
        .map_err(|_| Failure::Unwanted("a text is too long for MQTT".to_owned()))?;
    to.extend(len.to_be_bytes());
    to.extend(text.as_bytes());
    Ok(())
}

/// Kind, length in groups of seven bits (§2.2.3), body.
fn packet(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![kind];
    let mut len = body.len();
    loop {
        let low = (len % 128) as u8;
        len /= 128;
        packet.push(if len > 0 { low | 128 } else { low });
        if len == 0 {
            break;
        }
    }
    packet.extend(body);
    packet
}

fn say(broker: &mut Connection, packet: &[u8]) -> Result<(), Failure> {
    let said = broker.write_all(packet).and_then(|()| broker.flush());
    said.map_err(|error| Failure::passing(format!("talk to the broker: {}", words(&error))))
}

/// CONNACK and PUBACK have two bytes; nothing else is expected.
fn hear(broker: &mut Connection) -> Result<(u8, [u8; 2]), Failure> {
    let mut packet = [0; 4];
    let came = broker.read_exact(&mut packet);
    came.map_err(|error| Failure::passing(format!("listen to the broker: {}", words(&error))))?;
    match packet {
        [kind, 2, first, second] => Ok((kind, [first, second])),
        _ => Err(Failure::passing("what answers is not an MQTT broker")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_has_as_many_bytes_as_it_needs() {
        for (len, head) in [
            (0, &[0x30, 0][..]),
            (127, &[0x30, 127]),
            (128, &[0x30, 0x80, 1]),
            (16_384, &[0x30, 0x80, 0x80, 1]),
            (2_097_151, &[0x30, 0xff, 0xff, 0x7f]),
        ] {
            let packet = packet(0x30, &vec![7; len]);
            assert_eq!(packet.get(..head.len()), Some(head), "{len}");
            assert_eq!(packet.len(), head.len() + len);
        }
    }

    #[test]
    fn a_text_that_is_too_long_is_refused() {
        assert!(text(&mut Vec::new(), &"a".repeat(65_535)).is_ok());
        assert!(text(&mut Vec::new(), &"a".repeat(65_536)).is_err());
    }
}
