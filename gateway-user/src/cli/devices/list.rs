//! The list of devices, as text and as comma-separated values.

use super::super::csv;
use super::super::screen::ScreenArgs;
use super::known::{Household, Known, RECENT_DAYS};
use super::shape::Shape;
use super::words;
use gateway_core::query::DeviceInfo;
use gateway_core::report::amount::bytes;
use gateway_core::report::table::{Align, Table};
use std::io::Write;

pub(super) fn print_text(out: &mut dyn Write, household: &Household) -> anyhow::Result<()> {
    let look = ScreenArgs::default().look(0);
    let mut table = Table::new(&[
        ("device", Align::Name(16)),
        ("what it is", Align::Beneath(24)),
        ("vendor", Align::Beneath(16)),
        ("MAC address", Align::Left),
        ("hostname", Align::Beneath(20)),
        ("addresses", Align::Beneath(39)),
        ("up", Align::Right),
        ("first seen", Align::Beneath(23)),
        ("last seen", Align::Beneath(23)),
    ]);
    for known in &household.devices {
        let DeviceInfo { mac, hostname, hostname_source, addrs, first_seen, last_seen, .. } = &known.device;
        let made_up = if mac.is_locally_administered() { " (made up)" } else { "" };
        let merged = match known.device.merged.len() {
            0 => String::new(),
            more => format!(" +{more}"),
        };
        let addrs: Vec<_> = addrs.iter().map(ToString::to_string).collect();
        table.push(vec![
            name(known),
            words::what(known),
            known.vendors.iter().find_map(|(_, vendor)| vendor.clone()).unwrap_or_else(|| "-".to_owned()),
            format!("{mac}{made_up}{merged}"),
            match (hostname, hostname_source) {
                (Some(hostname), Some(source)) => format!("{hostname} ({})", words::source(source)),
                (Some(hostname), None) => hostname.clone(),
                (None, _) => "-".to_owned(),
            },
            if addrs.is_empty() { "-".to_owned() } else { addrs.join(" ") },
            bytes(known.volume.up_bytes, look.is_exact),
            first_seen.map_or_else(|| "-".to_owned(), |at| look.local(at)),
            last_seen.map_or_else(|| "not seen".to_owned(), |at| look.local(at)),
        ]);
    }
    table.note(&format!(
        "up: in the last {RECENT_DAYS} days of the data. `telltale devices show DEVICE` gives the reasons"
    ));
    for known in &household.devices {
        if let Some(shared) = &known.shared {
            let how = words::shared(shared);
            table.note(&format!("{}: {how}: {}", name(known), shared.because.join("; ")));
        }
    }
    for offer in &household.offers {
        let (into, other) = (offer.into, offer.other);
        table.note(&format!(
            "{into} and {other} may be one device: {}. If they are: `telltale devices merge {into} {other}`",
            offer.because.join("; ")
        ));
    }
    out.write_all(table.render(0, look.width, look.paint).as_bytes())?;
    Ok(())
}

fn name(known: &Known) -> String {
    let device = &known.device;
    if device.label.is_some() || device.hostname.is_some() {
        device.display_name()
    } else {
        "unnamed".to_owned()
    }
}

pub(super) fn print_csv(out: &mut dyn Write, household: &Household) -> anyhow::Result<()> {
    let head = [
        "mac",
        "is_locally_administered",
        "label",
        "hostname",
        "hostname_source",
        "vendor_class",
        "parameter_list",
        "addresses",
        "first_seen",
        "last_seen",
        "vendor",
        "kind",
        "make",
        "model",
        "confidence",
        "merged",
        "devices_behind",
        "up_bytes",
        "down_bytes",
    ];
    csv::line(out, &head.map(str::to_owned))?;
    for known in &household.devices {
        let Shape {
            mac,
            is_locally_administered,
            label,
            hostname,
            hostname_source,
            vendor_class,
            parameter_list,
            addresses,
            first_seen,
            last_seen,
            vendor,
            verdict,
            merged,
            shared,
            volume,
            hostnames: _,
        } = Shape::of(known);
        csv::line(
            out,
            &[
                mac,
                is_locally_administered.to_string(),
                csv::maybe(label),
                csv::maybe(hostname),
                csv::maybe(hostname_source),
                csv::maybe(vendor_class),
                csv::maybe(parameter_list),
                addresses.join(" "),
                csv::maybe(first_seen),
                csv::maybe(last_seen),
                csv::maybe(vendor),
                csv::maybe(verdict.as_ref().and_then(|verdict| verdict.kind)),
                csv::maybe(verdict.as_ref().and_then(|verdict| verdict.make)),
                csv::maybe(verdict.as_ref().and_then(|verdict| verdict.model)),
                csv::maybe(verdict.as_ref().map(|verdict| verdict.confidence)),
                merged.iter().map(|part| part.mac.as_str()).collect::<Vec<_>>().join(" "),
                csv::maybe(shared.map(|shared| shared.at_least)),
                volume.up_bytes.to_string(),
                volume.down_bytes.to_string(),
            ],
        )?;
    }
    Ok(())
}
