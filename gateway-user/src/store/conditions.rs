//! What a filter asks for, as SQL.

use super::column::AddrBytes;
use gateway_core::query::{DeviceMatch, NameMatch};
use ipnetwork::IpNetwork;
use rusqlite::types::Value;

/// A WHERE clause in the making, and the values for its question marks in order.
#[derive(Default)]
pub(super) struct Conditions {
    parts: Vec<String>,
    pub(super) values: Vec<Value>,
}

impl Conditions {
    pub(super) fn add<const N: usize>(&mut self, sql: &str, values: [Value; N]) {
        self.parts.push(sql.to_owned());
        self.values.extend(values);
    }

    /// `sql` for any of the entries; nothing if there are none.
    pub(super) fn any<const N: usize>(
        &mut self,
        sql: &'static str,
        entries: impl Iterator<Item = [Value; N]>,
    ) {
        let entries: Vec<_> = entries.map(|values| (sql, values.to_vec())).collect();
        self.alternatives(entries);
    }

    /// A condition of its own for each entry.
    pub(super) fn each<T>(&mut self, entries: &[T], condition: impl Fn(&T) -> (&'static str, Vec<Value>)) {
        self.alternatives(entries.iter().map(condition).collect());
    }

    /// `sql`, which opens a bracket, around other conditions; nothing if there are none.
    pub(super) fn among(&mut self, sql: &str, others: Self) {
        if !others.parts.is_empty() {
            self.parts.push(format!("{sql} {})", others.sql()));
            self.values.extend(others.values);
        }
    }

    fn alternatives(&mut self, entries: Vec<(&'static str, Vec<Value>)>) {
        if entries.is_empty() {
            return;
        }
        let (sql, values): (Vec<_>, Vec<_>) = entries.into_iter().unzip();
        self.parts.push(format!("({})", sql.join(" OR ")));
        self.values.extend(values.into_iter().flatten());
    }

    pub(super) fn sql(&self) -> String {
        if self.parts.is_empty() { "1".to_owned() } else { self.parts.join(" AND ") }
    }
}

pub(super) fn device_condition(device: &DeviceMatch) -> (&'static str, Vec<Value>) {
    match device {
        DeviceMatch::Mac(mac) => {
            let sql = "d.mac = ? OR d.id IN (SELECT merged_into FROM device WHERE mac = ?)";
            (sql, vec![mac.0.to_vec().into(); 2])
        }
        DeviceMatch::Called(text) => {
            let sql = "d.label = ? COLLATE NOCASE OR d.hostname = ? COLLATE NOCASE OR d.id IN (SELECT merged_into \
                       FROM device WHERE label = ? COLLATE NOCASE OR hostname = ? COLLATE NOCASE)";
            (sql, vec![text.clone().into(); 4])
        }
    }
}

pub(super) fn name_condition(name: &NameMatch) -> (&'static str, Vec<Value>) {
    match name {
        NameMatch::Exact(name) => ("n.text = ?", vec![name.to_string().into()]),
        NameMatch::Under(name) => {
            let below = format!(".{name}");
            let len = i64::try_from(below.len()).unwrap_or(i64::MAX);
            (
                "n.text = ? OR substr(n.text, ?) = ?",
                vec![name.to_string().into(), (-len).into(), below.into()],
            )
        }
    }
}

pub(super) fn peer_condition(prefix: &IpNetwork) -> (&'static str, Vec<Value>) {
    let [first, last] = [prefix.network(), prefix.broadcast()].map(|a| AddrBytes::of(a).as_slice().to_vec());
    let len = i64::try_from(first.len()).unwrap_or(i64::MAX);
    ("length(p.addr) = ? AND p.addr BETWEEN ? AND ?", vec![len.into(), first.into(), last.into()])
}
