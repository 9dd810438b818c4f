//! One device, with all that is known of it and why.

use super::super::screen::ScreenArgs;
use super::known::{Household, Known, RECENT_DAYS};
use super::words;
use gateway_core::query::DeviceInfo;
use gateway_core::report::amount::bytes;
use gateway_core::report::table::{Style, clean};
use gateway_core::report::text::Look;
use gateway_core::units::Mac;
use std::io::Write;

pub(super) fn print_text(out: &mut dyn Write, household: &Household, known: &Known) -> anyhow::Result<()> {
    let look = ScreenArgs::default().look(0);
    let mac = known.device.mac;
    writeln!(out, "{}", look.paint.styled(&clean(&known.device.display_name()), Style::Bold))?;
    let mut lines = identity(household, known, &look);
    if let Some(label) = &known.device.label {
        lines.insert(0, ("label", format!("{label} (yours)")));
    }
    let at = |at: &Option<_>| at.map_or_else(|| "not seen".to_owned(), |at| look.local(at));
    lines.push(("first seen", at(&known.device.first_seen)));
    lines.push(("last seen", at(&known.device.last_seen)));
    let (up, down) = (known.volume.up_bytes, known.volume.down_bytes);
    let (up, down) = (bytes(up, look.is_exact), bytes(down, look.is_exact));
    lines.push(("volume", format!("{up} up, {down} down in the last {RECENT_DAYS} days of the data")));
    for (head, text) in lines {
        writeln!(out, "  {head:<14}{}", clean(&text))?;
    }
    reasons(out, known)?;
    let offers = household.offers.iter().filter(|offer| offer.into == mac || offer.other == mac);
    for offer in offers {
        let other = if offer.into == mac { offer.other } else { offer.into };
        writeln!(out, "\nIt may be one device with {other}: {}.", clean(&offer.because.join("; ")))?;
        writeln!(out, "If it is: telltale devices merge {} {}", offer.into, offer.other)?;
    }
    Ok(())
}

/// What a device is and by what it is told: each line's head, and its text, which may hold what devices said.
pub(super) fn identity(household: &Household, known: &Known, look: &Look<'_>) -> Vec<(&'static str, String)> {
    let DeviceInfo { mac, addrs, vendor_class, parameter_list, merged, .. } = &known.device;
    let mut lines =
        vec![("what it is", words::what(known)), ("MAC address", address(known, household, *mac))];
    for part in merged {
        let times = match (part.first_seen, part.last_seen) {
            (Some(first), Some(last)) => format!(", seen {} to {}", look.local(first), look.local(last)),
            _ => String::new(),
        };
        lines.push(("and, merged", format!("{}{times}", address(known, household, part.mac))));
    }
    for name in &known.hostnames {
        let times = if name.times > 1 { format!(", {} times", name.times) } else { String::new() };
        lines.push(("hostname", format!("{} ({}{times})", name.hostname, words::source(&name.source))));
    }
    let addrs: Vec<_> = addrs.iter().map(ToString::to_string).collect();
    lines.push(("addresses", if addrs.is_empty() { "none known".to_owned() } else { addrs.join(" ") }));
    let said = |text: &Option<String>, else_: &str| text.clone().unwrap_or_else(|| else_.to_owned());
    lines.push(("DHCP client", said(vendor_class, "does not say what it is")));
    lines.push(("DHCP options", said(parameter_list, "not seen")));
    lines
}

fn address(known: &Known, household: &Household, mac: Mac) -> String {
    let vendor = known.vendors.iter().find(|(of, _)| *of == mac).and_then(|(_, vendor)| vendor.as_ref());
    match (vendor, &household.vendors_as_of) {
        _ if mac.is_locally_administered() => {
            format!("{mac} (made up by the device: it tells no maker)")
        }
        (Some(vendor), Some(date)) => format!("{mac} (a prefix of {vendor}, IEEE's registry of {date})"),
        (None, Some(date)) => format!("{mac} (a prefix that is not in the table of {date})"),
        (_, None) => format!("{mac} (this program was built without a table of makers)"),
    }
}

fn reasons(out: &mut dyn Write, known: &Known) -> anyhow::Result<()> {
    if let Some(shared) = &known.shared {
        writeln!(out, "\n{}, because", words::capital(&words::shared(shared)))?;
        for because in &shared.because {
            writeln!(out, "  - {}", clean(because))?;
        }
        writeln!(out, "  What is said here is of all of them together: a repeater hides who is behind it.")?;
    }
    let Some(verdict) = &known.verdict else { return Ok(()) };
    writeln!(out, "\n{}, because", words::capital(&clean(&words::verdict(verdict))))?;
    for because in &verdict.because {
        let against = if because.is_against { "against it: " } else { "" };
        writeln!(out, "  - {against}{}", clean(&because.says))?;
        writeln!(out, "    ({})", because.source)?;
    }
    Ok(())
}
