//! A report as text for a terminal, a file or a letter.

use super::account;
use super::amount::{bytes, percent, several};
use super::civil::Civil;
use super::model::{Destination, DeviceReport, Report, Who};
use super::sureness::{evidence_cell, hidden_part, sure_part};
use super::table::{Align, Paint, Style, Table, clean, fitted};
use super::who::NameFacts;
use crate::query::TimeRange;
use crate::row::{Evidence, Marks, Network};
use crate::units::{Volume, WallTime};
use core::fmt::Write;
use core::net::IpAddr;

/// What rows without a peer are called. The kernel's last resort knows the device and no more, so that it cannot tell
/// the house from the world, nor what is excluded.
pub const COARSE_WORDS: &str = "peer unknown: tables were full; may include traffic in the house";

/// The same in a column's cell, which has to stay short, and in the remark below it.
const COARSE_CELL: (&str, &str) = ("peer unknown: tables were full", "may include traffic in the house");

/// How it is to look. The shell knows the terminal and the time zone.
pub struct Look<'a> {
    /// Cells of the terminal's line; `None` where nothing needs cutting.
    pub width: Option<usize>,
    /// Bold and faint, or not.
    pub paint: Paint,
    /// Bytes to the last digit.
    pub is_exact: bool,
    /// At most so many destinations per device; the rest is added up in one line.
    pub max_destinations: usize,
    /// Seconds that local clocks are ahead of UTC at a moment.
    pub offset_of: &'a dyn Fn(WallTime) -> i32,
}

impl Look<'_> {
    /// A moment in local time with its offset.
    #[must_use]
    pub fn local(&self, at: WallTime) -> String {
        Civil::of(at, (self.offset_of)(at)).to_string()
    }

    /// A stretch of time: `2026-11-22 14:03 +01:00 to 2026-11-22 14:05 +01:00`.
    #[must_use]
    pub fn span(&self, range: TimeRange) -> String {
        format!("{} to {}", self.local(range.since), self.local(range.until))
    }

    pub(super) fn bytes(&self, count: u64) -> String {
        bytes(count, self.is_exact)
    }

    /// Bytes in a sentence, where no column's head says what the number is.
    pub(super) fn said(&self, count: u64) -> String {
        if self.is_exact { format!("{count} bytes") } else { self.bytes(count) }
    }

    fn up_down(&self, volume: Volume) -> String {
        format!("{} up, {} down", self.said(volume.up_bytes), self.said(volume.down_bytes))
    }
}

/// Puts a report in writing.
#[must_use]
pub fn text(report: &Report, look: &Look<'_>) -> String {
    let mut out = String::new();
    head(&mut out, report, look);
    line(&mut out, &look.paint.styled(&sentence(report, look), Style::Bold));
    for device in &report.devices {
        line(&mut out, "");
        device_part(&mut out, device, look);
    }
    if !report.unseen.is_empty() {
        // Beside an interval that reaches in, a device without a row may have been there.
        let what = match report.coverage.reaching_in() {
            None => "Not seen in this range",
            Some(_) => "Without a row in this range",
        };
        line(&mut out, &format!("\n{what}: {}", clean(&report.unseen.join(", "))));
    }
    evidence_part(&mut out, report, look);
    sure_part(&mut out, report, look);
    hidden_part(&mut out, report, look);
    local_part(&mut out, report, look);
    account::ledger_part(&mut out, report, look);
    account::complete_part(&mut out, report, look);
    fitted(&out, look.width)
}

pub(super) fn line(out: &mut String, text: &str) {
    let _ = writeln!(out, "{text}");
}

pub(super) fn title(out: &mut String, text: &str, look: &Look<'_>) {
    let _ = writeln!(out, "\n{}", look.paint.styled(text, Style::Bold));
}

fn head(out: &mut String, report: &Report, look: &Look<'_>) {
    let span = look.span(report.range);
    line(out, &look.paint.styled(&format!("Telltale report, {span}"), Style::Dim));
    if !report.filter.is_empty() {
        line(out, &format!("Only {}", clean(&report.filter)));
    }
    if let Some((oldest, newest)) = &report.tables_dates {
        let dates = if oldest == newest { oldest.clone() } else { format!("{oldest} to {newest}") };
        line(out, &format!("Networks and countries as of {}", clean(&dates)));
    }
    if report.tables_dates.is_none() && report.devices.iter().any(|device| !device.destinations.is_empty()) {
        line(out, "Networks and countries unknown: there was no table of networks when this was measured");
    }
    if report.owners_date.is_empty() {
        line(out, "Owners and purposes unknown: this program has no table of owners");
    } else {
        line(out, &format!("Owners and purposes as of {}", report.owners_date));
    }
    line(out, "");
}

/// What a reader should know who reads no further.
fn sentence(report: &Report, look: &Look<'_>) -> String {
    let routed = report.routed();
    if routed.packets() == 0 {
        return quiet_sentence(report, look);
    }
    let active: Vec<_> = report.devices.iter().filter(|d| d.routed.packets() > 0).collect();
    let mut said = format!(
        "{} sent {} and received {}.",
        several(active.len(), "device"),
        look.said(routed.up_bytes),
        look.said(routed.down_bytes)
    );
    // The first of equals: the list is in order, and `max_by_key` would take the last.
    let most = active.iter().rev().max_by_key(|d| d.routed.up_bytes);
    let Some(device) = most.filter(|d| d.routed.up_bytes > 0) else { return said };
    let sent = look.said(device.routed.up_bytes);
    let name = clean(&device.name);
    let _ = if active.len() > 1 {
        write!(said, " {name} sent most ({sent})")
    } else {
        write!(said, " {name} sent {sent}")
    };
    let top = device.destinations.iter().rev().max_by_key(|d| d.volume.up_bytes);
    match top.filter(|d| d.volume.up_bytes > 0) {
        Some(top) => {
            let share = percent(top.volume.up_bytes, device.routed.up_bytes);
            let up = look.said(top.volume.up_bytes);
            format!("{said}, the largest part to {} ({up}, {share} of its upload).", destination_words(top))
        }
        None => said + ".",
    }
}

/// The same where no row has anything exchanged with the world.
fn quiet_sentence(report: &Report, look: &Look<'_>) -> String {
    if let Some((interval, bytes)) = report.coverage.reaching_in() {
        let why = account::reaching_in_words(interval, bytes, look);
        return format!("No row of this range is of traffic with the world; but {why}.");
    }
    if report.coverage.measured_ns == 0 {
        return "Nothing of this range was measured and stored.".to_owned();
    }
    if report.devices.is_empty() {
        return "No traffic between a device and the world was seen.".to_owned();
    }
    "Only traffic that stayed in the house was seen.".to_owned()
}

/// In place of a destination that is not kept.
pub const NOT_KEPT: &str = "names not kept (privacy level)";

/// An address; that of a row which is kept by the day, or at a privacy level, is not known any more.
#[must_use]
pub fn addr_words(addr: IpAddr) -> String {
    if addr.is_unspecified() { "address not kept".to_owned() } else { addr.to_string() }
}

/// Who a destination is, in words.
fn destination_words(destination: &Destination) -> String {
    match &destination.who {
        Who::Name(name) => name.to_string(),
        Who::Network(asn) => {
            let organisation = destination.networks.iter().find_map(|n| n.organisation.as_deref());
            let whose = organisation.map_or_else(|| format!("AS{asn}"), |o| format!("AS{asn} {o}"));
            format!("unnamed addresses of {}", clean(&whose))
        }
        Who::Address(addr)
            if addr.is_unspecified()
                && destination.evidence.iter().all(|(_, marks, _)| marks.has(Marks::WITHHELD)) =>
        {
            NOT_KEPT.to_owned()
        }
        Who::Address(addr) => addr_words(*addr),
    }
}

fn device_part(out: &mut String, device: &DeviceReport, look: &Look<'_>) {
    let DeviceReport { mac, name, label, hostname, routed, coarse, destinations, .. } = device;
    let mut about = Vec::new();
    if label.is_some() || hostname.is_some() {
        about.push(mac.to_string());
    }
    if let (Some(_), Some(hostname)) = (label, hostname) {
        about.push(format!("calls itself {}", clean(hostname)));
    }
    if mac.is_locally_administered() {
        about.push("locally administered address: made up by the device".to_owned());
    }
    let about = if about.is_empty() { String::new() } else { format!(" ({})", about.join(", ")) };
    line(out, &format!("{}{about}", look.paint.styled(&clean(name), Style::Bold)));
    if routed.packets() == 0 {
        line(out, "  only traffic that stayed in the house");
        return;
    }
    line(out, &format!("  {}, {} packets", look.up_down(*routed), routed.packets()));
    let mut table = Table::new(&[
        ("contacted", Align::Name(30)),
        ("owner", Align::Beneath(12)),
        ("purpose", Align::Beneath(9)),
        ("up", Align::Right),
        ("down", Align::Right),
        ("of upload", Align::Right),
        ("conv.", Align::Right),
        ("evidence", Align::Beneath(8)),
        ("network", Align::Beneath(12)),
        ("country", Align::Beneath(7)),
    ]);
    for destination in destinations.iter().take(look.max_destinations) {
        table.push(destination_cells(destination, routed.up_bytes, look));
        if !destination.aliases.is_empty() {
            let aliases: Vec<_> = destination.aliases.iter().map(ToString::to_string).collect();
            table.note(&format!("also known to the DNS as {}", aliases.join(", ")));
        }
        for listed in &destination.facts.listed {
            table.note(&format!("listed by {} of {}: {}", listed.list, listed.date, listed.rule));
        }
    }
    let rest = destinations.iter().skip(look.max_destinations);
    let count = rest.clone().count();
    if count > 0 {
        let mut volume = Volume::default();
        let conversations = rest.fold(0u64, |sum, destination| {
            volume.add(destination.volume);
            sum.saturating_add(destination.conversations)
        });
        table.push(cells(
            &format!("and {count} more"),
            volume,
            routed.up_bytes,
            conversations.to_string(),
            look,
        ));
    }
    if coarse.packets() > 0 {
        let (cell, remark) = COARSE_CELL;
        table.push(cells(cell, *coarse, routed.up_bytes, "?".to_owned(), look));
        table.note(remark);
    }
    out.push_str(&table.render(2, look.width, look.paint));
}

fn destination_cells(destination: &Destination, device_up: u64, look: &Look<'_>) -> Vec<String> {
    let Destination { volume, conversations, evidence, facts, networks, countries, .. } = destination;
    let who = match &destination.who {
        Who::Network(_) => match destination.unnamed_addrs.as_slice() {
            [] => "(no name)".to_owned(),
            [addr] => format!("{addr} (no name)"),
            [addr, others @ ..] => format!("{addr} +{} (no name)", others.len()),
        },
        Who::Name(_) | Who::Address(_) => destination_words(destination),
    };
    let mut line = cells(&who, *volume, device_up, conversations.to_string(), look);
    if let [_, owner, purpose, ..] = line.as_mut_slice() {
        [*owner, *purpose] = owner_cells(facts);
    }
    let is_said = |(evidence, marks, _): &&(Evidence, Marks, u64)| {
        *evidence != Evidence::None
            || marks.has(Marks::UNDECIDED)
            || marks.has(Marks::UNCOVERED)
            || marks.has(Marks::WITHHELD)
    };
    let words: Vec<_> =
        evidence.iter().filter(is_said).map(|(e, marks, _)| evidence_cell(*e, *marks)).collect();
    let network = networks.first().map_or_else(String::new, network_cell);
    let more = |count: usize| if count > 1 { format!(" +{}", count - 1) } else { String::new() };
    let country = countries.first().map_or_else(String::new, |(country, is_anycast)| {
        if *is_anycast { format!("{country} (anycast)") } else { country.to_string() }
    });
    line.splice(
        7..,
        [
            words.join("+"),
            format!("{network}{}", more(networks.len())),
            format!("{country}{}", more(countries.len())),
        ],
    );
    line.into_iter().map(|cell| if cell.is_empty() { "-".to_owned() } else { cell }).collect()
}

/// `AS45102 Alibaba (US) Technology Co., Ltd. (CN)`: the operator's country is where it is registered.
fn network_cell(network: &Network) -> String {
    let asn = network.asn.map(|asn| format!("AS{asn}"));
    let registered = network.registered.map(|country| format!("({country})"));
    let parts: Vec<_> = asn.into_iter().chain(network.organisation.clone()).chain(registered).collect();
    parts.join(" ")
}

/// `Xiaomi (CN)`, and what for.
fn owner_cells(facts: &NameFacts) -> [String; 2] {
    facts.owned.as_ref().map_or_else(Default::default, |owned| {
        let country = owned.country.map(|country| format!(" ({country})")).unwrap_or_default();
        [format!("{}{country}", owned.owner), owned.purpose.label().to_owned()]
    })
}

/// A line that has volumes alone.
fn cells(what: &str, volume: Volume, device_up: u64, conversations: String, look: &Look<'_>) -> Vec<String> {
    vec![
        what.to_owned(),
        String::new(),
        String::new(),
        look.bytes(volume.up_bytes),
        look.bytes(volume.down_bytes),
        percent(volume.up_bytes, device_up),
        conversations,
        String::new(),
        String::new(),
        String::new(),
    ]
}

fn evidence_part(out: &mut String, report: &Report, look: &Look<'_>) {
    let total = report.routed().bytes();
    if total == 0 {
        return;
    }
    title(out, "How the names are known (share of all bytes)", look);
    let mut table = Table::new(&[
        ("evidence", Align::Left),
        ("up", Align::Right),
        ("down", Align::Right),
        ("share", Align::Right),
    ]);
    let mut push = |what: &str, volume: Volume| {
        let share = percent(volume.bytes(), total);
        table.push(vec![what.to_owned(), look.bytes(volume.up_bytes), look.bytes(volume.down_bytes), share]);
    };
    for (evidence, volume) in &report.evidence {
        let what = match evidence {
            Evidence::TlsSni => "the device named the server in TLS",
            Evidence::QuicSni => "the device named the server in QUIC",
            Evidence::HttpHost => "the device named the host in HTTP",
            Evidence::Dns => "the device had asked the DNS",
            Evidence::None => "no name is known",
        };
        push(what, *volume);
    }
    let mut coarse = Volume::default();
    report.devices.iter().for_each(|d| coarse.add(d.coarse));
    if coarse.packets() > 0 {
        let (cell, remark) = COARSE_CELL;
        push(cell, coarse);
        table.note(remark);
    }
    out.push_str(&table.render(2, look.width, look.paint));
}

fn local_part(out: &mut String, report: &Report, look: &Look<'_>) {
    let devices: Vec<_> = report.devices.iter().filter(|d| d.local.packets() > 0).collect();
    if devices.is_empty() {
        return;
    }
    title(out, "Stayed in the house", look);
    let mut table = Table::new(&[("device", Align::Cut(16)), ("up", Align::Right), ("down", Align::Right)]);
    for device in devices {
        let DeviceReport { name, local, .. } = device;
        table.push(vec![name.clone(), look.bytes(local.up_bytes), look.bytes(local.down_bytes)]);
    }
    out.push_str(&table.render(2, look.width, look.paint));
}
