//! A day's numbers as MQTT topics, and as sensors that Home Assistant finds by itself (MQTT discovery).
//!
//! Everything is named after the MAC address, which stays when a label changes; a number that is not known is not
//! published.

use super::mqtt::Publication;
use super::{DeviceFigures, Figures, Message};
use crate::config::deliver::MqttConfig;
use serde_json::{Value, json};

/// One sensor of a device.
struct Sensor {
    key: &'static str,
    name: &'static str,
    unit: &'static str,
    class: Option<&'static str>,
    icon: &'static str,
}

const UP: Sensor =
    Sensor { key: "up_bytes", name: "Up", unit: "B", class: Some("data_size"), icon: "mdi:upload" };
const DOWN: Sensor =
    Sensor { key: "down_bytes", name: "Down", unit: "B", class: Some("data_size"), icon: "mdi:download" };
const NEW: Sensor = Sensor {
    key: "new_destinations",
    name: "New destinations",
    unit: "destinations",
    class: None,
    icon: "mdi:new-box",
};
const COVERAGE: Sensor =
    Sensor { key: "coverage_percent", name: "Coverage", unit: "%", class: None, icon: "mdi:percent" };

/// What is to be published: the message for those who listen now, then discovery, then the numbers, both retained.
pub(super) fn publications(mqtt: &MqttConfig, message: &Message) -> Vec<Publication> {
    let prefix = &mqtt.prefix;
    let said = json!({ "id": message.id, "subject": message.subject, "priority": message.priority });
    let mut all = vec![Publication {
        topic: format!("{prefix}/message"),
        payload: said.to_string(),
        is_retained: false,
    }];
    let Some(Figures { day, coverage_percent, devices }) = &message.figures else { return all };
    for device in devices {
        let DeviceFigures { mac, name, up_bytes, down_bytes, new_destinations } = device;
        let id = plain(mac);
        let topic = format!("{prefix}/{id}/day");
        let about = json!({ "identifiers": [format!("telltale_{id}")], "name": name,
            "connections": [["mac", mac]] });
        let mut sensors = vec![&UP, &DOWN];
        let mut state = json!({ "day": day, "up_bytes": up_bytes, "down_bytes": down_bytes });
        if let Some(new) = new_destinations {
            sensors.push(&NEW);
            state["new_destinations"] = json!(new);
        }
        all.extend(sensors.into_iter().filter_map(|sensor| discovered(mqtt, &id, sensor, &topic, &about)));
        all.push(Publication { topic, payload: state.to_string(), is_retained: true });
    }
    if let Some(coverage) = coverage_percent {
        let topic = format!("{prefix}/day");
        let about = json!({ "identifiers": ["telltale_gateway"], "name": "Telltale" });
        all.extend(discovered(mqtt, "gateway", &COVERAGE, &topic, &about));
        let state = json!({ "day": day, "coverage_percent": coverage });
        all.push(Publication { topic, payload: state.to_string(), is_retained: true });
    }
    all
}

fn discovered(
    mqtt: &MqttConfig,
    id: &str,
    sensor: &Sensor,
    topic: &str,
    about: &Value,
) -> Option<Publication> {
    let discovery = mqtt.discovery.as_ref()?;
    let Sensor { key, name, unit, class, icon } = sensor;
    let mut config = json!({
        "name": name,
        "unique_id": format!("telltale_{id}_{key}"),
        "state_topic": topic,
        "value_template": format!("{{{{ value_json.{key} }}}}"),
        "json_attributes_topic": topic,
        "unit_of_measurement": unit,
        "icon": icon,
        "device": about,
    });
    if let Some(class) = class {
        config["device_class"] = json!(class);
    }
    let topic = format!("{discovery}/sensor/telltale_{id}/{key}/config");
    Some(Publication { topic, payload: config.to_string(), is_retained: true })
}

/// A MAC address as a level of a topic: no colons.
fn plain(mac: &str) -> String {
    mac.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic on purpose")]
    use super::*;
    use crate::deliver::Priority;

    fn mqtt(discovery: Option<&str>) -> MqttConfig {
        MqttConfig {
            host: "broker".into(),
            port: 1883,
            is_tls: false,
            prefix: "telltale".into(),
            discovery: discovery.map(str::to_owned),
            login: None,
        }
    }

    fn message(new_destinations: Option<u64>) -> Message {
        let device = DeviceFigures {
            mac: "02:00:00:00:00:0A".into(),
            name: "Redmi Note 8".into(),
            up_bytes: 1,
            down_bytes: 2,
            new_destinations,
        };
        Message {
            id: "i".into(),
            subject: "s".into(),
            text: String::new(),
            html: None,
            json: "{}".into(),
            priority: Priority::Normal,
            figures: Some(Figures {
                day: "2026-11-22".into(),
                coverage_percent: Some(99.5),
                devices: vec![device],
            }),
        }
    }

    #[test]
    fn sensors_are_named_after_the_mac_and_only_what_is_known_is_said() {
        let all = publications(&mqtt(Some("homeassistant")), &message(None));
        let topics: Vec<_> = all.iter().map(|p| (p.topic.as_str(), p.is_retained)).collect();
        assert_eq!(
            topics,
            [
                ("telltale/message", false),
                ("homeassistant/sensor/telltale_02000000000a/up_bytes/config", true),
                ("homeassistant/sensor/telltale_02000000000a/down_bytes/config", true),
                ("telltale/02000000000a/day", true),
                ("homeassistant/sensor/telltale_gateway/coverage_percent/config", true),
                ("telltale/day", true),
            ]
        );
        let config: Value = serde_json::from_str(&all[1].payload).unwrap();
        assert_eq!(config["unique_id"], "telltale_02000000000a_up_bytes");
        assert_eq!(config["value_template"], "{{ value_json.up_bytes }}");
        assert_eq!(config["state_topic"], "telltale/02000000000a/day");
        let state: Value = serde_json::from_str(&all[3].payload).unwrap();
        assert_eq!(state, json!({ "day": "2026-11-22", "up_bytes": 1, "down_bytes": 2 }));
        let with_new = publications(&mqtt(None), &message(Some(3)));
        assert!(with_new[1].payload.contains("\"new_destinations\":3"), "{with_new:?}");
        assert_eq!(with_new.len(), 3, "no discovery");
    }
}
