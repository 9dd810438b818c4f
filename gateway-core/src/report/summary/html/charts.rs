//! Bars by hour, a line of bars per destination, and the week as a map of 7 by 24.

use super::{COLOURED, escaped, scaled, shown};
use crate::report::amount::human_bytes;
use crate::report::summary::input::Slot;
use crate::report::summary::model::DeviceSummary;
use core::fmt::Write;
use std::collections::BTreeMap;

/// More hours than this are shown by day.
const MAX_HOURS: usize = 50;
const HEIGHT: u64 = 90;
/// Above the bars is said how much the highest is.
const TOP: u64 = 20;
const WIDTH: u64 = 480;
/// A bar is no wider than this, so that three days are no three walls.
const MAX_STEP: u64 = 80;
const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// Hours of the range that share a bar.
struct Bin {
    /// In the table.
    label: String,
    /// Below the bar.
    short: String,
    places: Vec<usize>,
}

fn bins(slots: &[Slot]) -> Vec<Bin> {
    let mut bins = Vec::<Bin>::new();
    for (place, slot) in slots.iter().enumerate() {
        let by_hour = slots.len() <= MAX_HOURS;
        let label = if by_hour { format!("{:02}:00", slot.hour()) } else { slot.date() };
        let short = if by_hour {
            label.clone()
        } else {
            // The day of the week and of the month.
            let day = DAYS.get(usize::from(slot.weekday())).unwrap_or(&"");
            format!("{day} {}", label.get(8..).unwrap_or_default().trim_start_matches('0'))
        };
        match bins.last_mut().filter(|bin| !by_hour && bin.label == label) {
            Some(bin) => bin.places.push(place),
            None => bins.push(Bin { label, short, places: vec![place] }),
        }
    }
    bins
}

/// Bytes both ways by owner, stacked, with the same as a table.
pub(super) fn stacked(device: &DeviceSummary, slots: &[Slot], id: usize) -> String {
    let (bins, owners) = (bins(slots), shown(device));
    let amount = |bin: &Bin, owner: usize| -> u64 {
        let groups = owners.get(owner).into_iter().flat_map(|(_, groups)| groups);
        let places = groups.flat_map(|group| &group.places);
        places.flat_map(|p| bin.places.iter().filter_map(|hour| p.hours.get(*hour))).sum()
    };
    let amounts: Vec<Vec<u64>> =
        bins.iter().map(|bin| (0..owners.len()).map(|owner| amount(bin, owner)).collect()).collect();
    let most = amounts.iter().map(|bar| bar.iter().sum::<u64>()).max().unwrap_or(0);
    let step = (WIDTH / u64::try_from(bins.len().max(1)).unwrap_or(1)).clamp(2, MAX_STEP);
    let mut out = format!(
        "<svg class=\"bars\" viewBox=\"0 0 {WIDTH} {}\" role=\"img\" aria-labelledby=\"b{id}t b{id}d\"><title id=\"b{id}t\">Bytes over \
         time, by owner</title><desc id=\"b{id}d\">The highest bar is {}; the same figures are in the table below.\
         </desc>",
        HEIGHT + 40,
        escaped(&human_bytes(most)),
    );
    let per = if slots.len() <= MAX_HOURS { "hour" } else { "day" };
    let _ = write!(
        out,
        "<text x=\"0\" y=\"13\">{} at most in one {per}</text><path class=\"grid\" d=\"M0 {TOP}H{WIDTH}\"/>",
        escaped(&human_bytes(most)),
    );
    for (n, (bin, bar)) in (0u64..).zip(bins.iter().zip(&amounts)) {
        let mut top = TOP + HEIGHT;
        for (colour, bytes) in bar.iter().enumerate() {
            let height = scaled(*bytes, most, HEIGHT);
            top = top.saturating_sub(height);
            if height > 0 {
                let _ = write!(
                    out,
                    "<rect class=\"f{colour}\" x=\"{}\" y=\"{top}\" width=\"{}\" height=\"{height}\"/>",
                    n * step,
                    step - 1
                );
            }
        }
        let every = u64::try_from(bins.len().div_ceil(8)).unwrap_or(1).max(1);
        if n % every == 0 {
            let _ = write!(
                out,
                "<text x=\"{}\" y=\"{}\">{}</text>",
                n * step,
                TOP + HEIGHT + 16,
                escaped(&bin.short)
            );
        }
    }
    let _ = write!(out, "<path class=\"grid\" d=\"M0 {}H{WIDTH}\"/></svg>", TOP + HEIGHT);
    out.push_str(&key(device));
    out.push_str(&table(device, &bins, &amounts, id));
    out
}

fn key(device: &DeviceSummary) -> String {
    let mut out = "<ul class=\"key\">".to_owned();
    for (colour, (name, _)) in shown(device).iter().enumerate() {
        let _ = write!(
            out,
            "<li><svg viewBox=\"0 0 10 10\" aria-hidden=\"true\"><rect class=\"f{colour}\" width=\"10\" height=\"10\"/></svg> \
             {}</li>",
            escaped(name)
        );
    }
    out + "</ul>\n"
}

fn table(device: &DeviceSummary, bins: &[Bin], amounts: &[Vec<u64>], id: usize) -> String {
    let mut out = format!(
        "<details><summary>The same as a table</summary><div class=\"scroll\" tabindex=\"0\" role=\"region\" \
                   aria-label=\"Bytes over time, device {}\"><table><thead><tr><th scope=\"col\">from</th>",
        id + 1
    );
    for (name, _) in shown(device) {
        let _ = write!(out, "<th scope=\"col\">{}</th>", escaped(&name));
    }
    out.push_str("</tr></thead><tbody>");
    for (bin, bar) in bins.iter().zip(amounts) {
        let _ = write!(out, "<tr><th scope=\"row\">{}</th>", escaped(&bin.label));
        bar.iter().for_each(|bytes| {
            let _ = write!(out, "<td class=\"n\">{}</td>", escaped(&human_bytes(*bytes)));
        });
        out.push_str("</tr>");
    }
    out + "</tbody></table></div></details>\n"
}

/// A bar per hour (or day), without words: the figures are beside it.
pub(super) fn spark(hours: &[u64], slots: &[Slot]) -> String {
    let bars: Vec<u64> =
        bins(slots).iter().map(|bin| bin.places.iter().filter_map(|hour| hours.get(*hour)).sum()).collect();
    let most = bars.iter().copied().max().unwrap_or(0);
    let width = 4 * bars.len().max(1);
    let mut out = format!(
        "<svg class=\"spark\" viewBox=\"0 0 {width} 20\" preserveAspectRatio=\"none\" aria-hidden=\"true\">"
    );
    for (n, bytes) in bars.iter().enumerate() {
        let height = scaled(*bytes, most, 19) + u64::from(*bytes > 0);
        if height > 0 {
            let _ = write!(
                out,
                "<rect class=\"f0\" x=\"{}\" y=\"{}\" width=\"3\" height=\"{height}\"/>",
                4 * n,
                20 - height
            );
        }
    }
    out + "</svg>"
}

/// Hours of the week, the more bytes the stronger; only where the range is longer than a day.
pub(super) fn week(device: &DeviceSummary, slots: &[Slot], id: usize) -> String {
    if slots.len() <= 25 {
        return String::new();
    }
    let mut cells = BTreeMap::<(u8, u8), u64>::new();
    for (slot, (up, down)) in slots.iter().zip(&device.hours) {
        let cell = cells.entry((slot.weekday(), slot.hour())).or_default();
        *cell = cell.saturating_add(up.saturating_add(*down));
    }
    let most = cells.values().copied().max().unwrap_or(0);
    let busiest = cells.iter().max_by_key(|(_, bytes)| **bytes).map(|((day, hour), _)| (*day, *hour));
    let said = busiest.map_or_else(String::new, |(day, hour)| {
        format!("Most in the hour from {} {hour:02}:00.", DAYS.get(usize::from(day)).unwrap_or(&""))
    });
    let mut out = format!(
        "<h3>Hours of the week</h3><svg class=\"week\" viewBox=\"0 0 640 180\" role=\"img\" aria-labelledby=\"w{id}t w{id}d\"><title \
         id=\"w{id}t\">Bytes by day of the week and hour</title><desc id=\"w{id}d\">{said} An empty cell is not in the \
         range.</desc>"
    );
    for (day, word) in (0u8..).zip(DAYS) {
        let y = 22 * u64::from(day);
        let _ = write!(out, "<text x=\"0\" y=\"{}\">{word}</text>", y + 15);
        for hour in 0..24u8 {
            let Some(bytes) = cells.get(&(day, hour)) else { continue };
            let x = 40 + 25 * u64::from(hour);
            let _ = write!(
                out,
                "<rect class=\"void\" x=\"{x}\" y=\"{y}\" width=\"24\" height=\"21\"/><rect class=\"f0\" \
                 fill-opacity=\"0.{:02}\" x=\"{x}\" y=\"{y}\" width=\"24\" height=\"21\"/>",
                scaled(*bytes, most, 99)
            );
        }
    }
    for hour in [0u64, 6, 12, 18] {
        let _ = write!(out, "<text x=\"{}\" y=\"172\">{hour:02}:00</text>", 40 + 25 * hour);
    }
    out.push_str("</svg>\n");
    out.push_str(&week_table(&cells, id));
    out
}

fn week_table(cells: &BTreeMap<(u8, u8), u64>, id: usize) -> String {
    let mut out = format!(
        "<details><summary>The same as a table</summary><div class=\"scroll\" tabindex=\"0\" role=\"region\" \
                   aria-label=\"Bytes by day of the week and hour, device {}\"><table><thead><tr><th scope=\"col\">hour</th>",
        id + 1
    );
    DAYS.iter().for_each(|day| {
        let _ = write!(out, "<th scope=\"col\">{day}</th>");
    });
    out.push_str("</tr></thead><tbody>");
    for hour in 0..24u8 {
        let _ = write!(out, "<tr><th scope=\"row\">{hour:02}:00</th>");
        for day in 0..7u8 {
            let said = cells.get(&(day, hour)).map_or_else(String::new, |bytes| human_bytes(*bytes));
            let _ = write!(out, "<td class=\"n\">{}</td>", escaped(&said));
        }
        out.push_str("</tr>");
    }
    out + "</tbody></table></div></details>\n"
}

const _: () = assert!(COLOURED == 5, "the style has six colours: five and one for the others");
