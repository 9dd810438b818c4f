//! `telltale devices`: who is in the house, and what the user calls it.

use super::ask::{DatabaseArg, answer, open, say};
use super::screen::ScreenArgs;
use super::{Outcome, csv};
use crate::store::Writer;
use anyhow::bail;
use clap::Subcommand;
use gateway_core::query::{DeviceInfo, DeviceMatch};
use gateway_core::report::civil::Civil;
use gateway_core::report::json::VERSION;
use gateway_core::report::table::{Align, Table};
use gateway_core::units::WallTime;
use serde::Serialize;
use std::io::Write;

/// Lists the devices that were seen, and labels them.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(
    after_help = "Examples:\n  telltale devices\n  telltale devices label 7c:03:ab:12:34:56 \"Redmi Note 8\"\n  \
    telltale devices label RedmiNote8 --clear"
)]
pub struct Args {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Lists the devices that were seen.
    List(ListArgs),
    Label(LabelArgs),
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    #[command(flatten)]
    database: DatabaseArg,
    /// Print JSON.
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Print comma-separated values.
    #[arg(long)]
    csv: bool,
}

/// Gives a device a name of yours, which every report then uses.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  telltale devices label 7c:03:ab:12:34:56 \"Redmi Note 8\"\n  \
    telltale devices label \"Redmi Note 8\" --clear")]
struct LabelArgs {
    /// The device: its MAC address, hostname or present label.
    device: DeviceMatch,
    /// What you call it.
    #[arg(required_unless_present = "clear", value_parser = label_text)]
    label: Option<String>,
    /// Take the label away.
    #[arg(long, conflicts_with = "label")]
    clear: bool,
    #[command(flatten)]
    database: DatabaseArg,
}

/// Longest label, in characters: it has to fit into a line beside its numbers.
const MAX_LABEL_CHARS: usize = 64;

fn label_text(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("a label has at least one letter; --clear takes one away".to_owned());
    }
    if text.chars().count() > MAX_LABEL_CHARS {
        return Err(format!("a label has at most {MAX_LABEL_CHARS} characters"));
    }
    if text.chars().any(char::is_control) {
        return Err("a label is one line of printable text".to_owned());
    }
    Ok(text.to_owned())
}

/// Runs the command.
///
/// # Errors
/// If the database cannot be read or written, or the output not written.
pub fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    match &args.action {
        None => list(&args.list, out),
        Some(Action::List(args)) => list(args, out),
        Some(Action::Label(args)) => label(args, out),
    }
}

fn list(args: &ListArgs, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    let Some(reader) = open(&args.database.path()?)? else { return Ok(Outcome::Nothing) };
    answer(reader, out, |reader, page| {
        let devices = reader.devices()?;
        if args.json {
            let shape = JsonDevices { version: VERSION, devices: devices.iter().map(Shape::of).collect() };
            writeln!(page, "{}", serde_json::to_string_pretty(&shape)?)?;
        } else if args.csv {
            print_csv(page, &devices)?;
        } else if !devices.is_empty() {
            print_text(page, &devices)?;
        }
        let nobody = "no device was seen yet: `telltale doctor` tells whether this machine can see any";
        Ok(devices.is_empty().then(|| nobody.to_owned()))
    })
}

fn label(args: &LabelArgs, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    let LabelArgs { device, label, clear: _, database } = args;
    let Some(reader) = open(&database.path()?)? else { return Ok(Outcome::Nothing) };
    let picked: Vec<_> = reader.devices()?.into_iter().filter(|known| device.picks(known)).collect();
    drop(reader);
    let mac = match (picked.as_slice(), device) {
        ([one], _) => one.mac,
        // A device may get its label before it is first seen.
        ([], DeviceMatch::Mac(mac)) => *mac,
        ([], DeviceMatch::Called(name)) => {
            say(&format!("no device is called {name}: `telltale devices` lists those that are known"));
            return Ok(Outcome::Nothing);
        }
        (several, _) => {
            bail!("{} devices are called {device}: say which by its MAC address", several.len())
        }
    };
    Writer::open(&database.path()?)?.set_label(mac, label.as_deref())?;
    match label {
        Some(label) => writeln!(out, "{mac} is now called {label}")?,
        None => writeln!(out, "{mac} has no label now")?,
    }
    Ok(Outcome::Found)
}

fn print_text(out: &mut dyn Write, devices: &[DeviceInfo]) -> anyhow::Result<()> {
    let look = ScreenArgs::default().look(0);
    let mut table = Table::new(&[
        ("device", Align::Cut(16)),
        ("MAC address", Align::Left),
        ("hostname", Align::Cut(20)),
        ("addresses", Align::Cut(15)),
        ("last seen", Align::Left),
    ]);
    for device in devices {
        let DeviceInfo { mac, hostname, hostname_source, addrs, last_seen, .. } = device;
        let made_up = if mac.is_locally_administered() { " (made up)" } else { "" };
        let addrs: Vec<_> = addrs.iter().map(ToString::to_string).collect();
        table.push(vec![
            if device.label.is_some() || hostname.is_some() {
                device.display_name()
            } else {
                "unnamed".to_owned()
            },
            format!("{mac}{made_up}"),
            match (hostname, hostname_source) {
                (Some(hostname), Some(source)) => format!("{hostname} ({})", source_words(source)),
                (Some(hostname), None) => hostname.clone(),
                (None, _) => "-".to_owned(),
            },
            if addrs.is_empty() { "-".to_owned() } else { addrs.join(" ") },
            last_seen.map_or_else(|| "not seen".to_owned(), |at| look.local(at)),
        ]);
    }
    out.write_all(table.render(0, look.width, look.paint).as_bytes())?;
    Ok(())
}

fn source_words(source: &str) -> &str {
    match source {
        "dhcp" => "DHCP",
        "mdns" => "mDNS",
        "llmnr" => "LLMNR",
        other => other,
    }
}

#[derive(Serialize)]
struct JsonDevices<'a> {
    version: u32,
    devices: Vec<Shape<'a>>,
}

/// A device as programs get it.
#[derive(Serialize)]
struct Shape<'a> {
    mac: String,
    is_locally_administered: bool,
    label: Option<&'a str>,
    hostname: Option<&'a str>,
    hostname_source: Option<&'a str>,
    vendor_class: Option<&'a str>,
    parameter_list: Option<&'a str>,
    addresses: Vec<String>,
    first_seen: Option<String>,
    last_seen: Option<String>,
}

impl<'a> Shape<'a> {
    fn of(device: &'a DeviceInfo) -> Self {
        let DeviceInfo { mac, label, hostname, hostname_source, vendor_class, parameter_list, .. } = device;
        let DeviceInfo { addrs, first_seen, last_seen, .. } = device;
        let utc = |at: &Option<WallTime>| at.map(Civil::utc);
        Self {
            mac: mac.to_string(),
            is_locally_administered: mac.is_locally_administered(),
            label: label.as_deref(),
            hostname: hostname.as_deref(),
            hostname_source: hostname_source.as_deref(),
            vendor_class: vendor_class.as_deref(),
            parameter_list: parameter_list.as_deref(),
            addresses: addrs.iter().map(ToString::to_string).collect(),
            first_seen: utc(first_seen),
            last_seen: utc(last_seen),
        }
    }
}

fn print_csv(out: &mut dyn Write, devices: &[DeviceInfo]) -> anyhow::Result<()> {
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
    ];
    csv::line(out, &head.map(str::to_owned))?;
    for device in devices {
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
        } = Shape::of(device);
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
            ],
        )?;
    }
    Ok(())
}
