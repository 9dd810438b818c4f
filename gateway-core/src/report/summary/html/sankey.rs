//! From the device to owners to countries, as bands as wide as the bytes sent.

use super::{escaped, scaled, shown};
use crate::report::amount::human_bytes;
use crate::report::summary::model::{DeviceSummary, Place};
use core::fmt::Write;
use std::collections::BTreeMap;

/// Height of all bytes together, and the least gap between two bands.
const HEIGHT: u64 = 120;
const GAP: u64 = 26;
const OWNER_X: u64 = 230;
const COUNTRY_X: u64 = 560;

/// Where the addresses of a destination are: said only where the table has one country, and no doubt.
fn country_of(place: &Place) -> String {
    match place.countries.as_slice() {
        [] => "country unknown".to_owned(),
        [(country, false)] => country.to_string(),
        _ => "several or doubtful".to_owned(),
    }
}

/// The picture, and the same as a table.
pub(super) fn sankey(device: &DeviceSummary, id: usize) -> String {
    let owners = shown(device);
    let mut bands = BTreeMap::<(usize, String), u64>::new();
    for (owner, (_, groups)) in owners.iter().enumerate() {
        for place in groups.iter().flat_map(|group| &group.places) {
            let band = bands.entry((owner, country_of(place))).or_default();
            *band = band.saturating_add(place.volume.up_bytes);
        }
    }
    let whole: u64 = bands.values().sum();
    if whole == 0 {
        return String::new();
    }
    let mut countries = BTreeMap::<&str, u64>::new();
    bands.iter().for_each(|((_, country), bytes)| *countries.entry(country).or_default() += bytes);
    let rows = u64::try_from(owners.len().max(countries.len())).unwrap_or(1);
    let mut out = format!(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Owners and countries of device {}\"><svg \
         class=\"sankey\" viewBox=\"0 0 720 {}\" role=\"img\" aria-labelledby=\"k{id}t k{id}d\"><title \
         id=\"k{id}t\">From the device to owners to countries</title><desc id=\"k{id}d\">Bands are as wide as the \
         bytes sent; the same figures are in the table below.</desc>",
        id + 1,
        HEIGHT + GAP * rows + 10
    );
    let mut labels = String::new();
    let mut at_country = BTreeMap::<&str, u64>::new();
    let mut y = 10;
    for (country, bytes) in &countries {
        let height = scaled(*bytes, whole, HEIGHT).max(1);
        at_country.insert(country, y);
        node(&mut out, &mut labels, COUNTRY_X, y, height, 5, &format!("{country} {}", human_bytes(*bytes)));
        y += height + GAP;
    }
    node(&mut out, &mut labels, 0, 10, HEIGHT, 5, "");
    let (mut from_device, mut y) = (10, 10);
    for (owner, (name, _)) in owners.iter().enumerate() {
        let mine = bands.iter().filter(|((of, _), _)| *of == owner);
        let bytes: u64 = mine.clone().map(|(_, bytes)| bytes).sum();
        let height = scaled(bytes, whole, HEIGHT).max(1);
        link(&mut out, owner, (12, from_device), (OWNER_X, y), height);
        let mut from_owner = y;
        for ((_, country), bytes) in mine {
            let height = scaled(*bytes, whole, HEIGHT).max(1);
            if let Some(to) = at_country.get_mut(country.as_str()) {
                link(&mut out, owner, (OWNER_X + 12, from_owner), (COUNTRY_X, *to), height);
                *to += height;
            }
            from_owner += height;
        }
        node(&mut out, &mut labels, OWNER_X, y, height, owner, &format!("{name} {}", human_bytes(bytes)));
        from_device += height;
        y += height + GAP;
    }
    out.push_str(&labels);
    out.push_str("</svg></div>\n");
    out.push_str(&table(&owners.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), &bands, id));
    out
}

/// A node; its words go to `labels`, which are drawn last, above all bands.
fn node(out: &mut String, labels: &mut String, x: u64, y: u64, height: u64, colour: usize, label: &str) {
    let _ = write!(out, "<rect class=\"f{colour}\" x=\"{x}\" y=\"{y}\" width=\"12\" height=\"{height}\"/>");
    // Below the node if it is flat, so that words do not touch the next one's.
    let middle = y + (height / 2).max(4) + 4;
    let label: String = label.chars().take(40).collect();
    let _ = write!(labels, "<text x=\"{}\" y=\"{middle}\">{}</text>", x + 17, escaped(&label));
}

fn link(out: &mut String, colour: usize, from: (u64, u64), to: (u64, u64), height: u64) {
    let half = height / 2;
    let (x0, y0, x1, y1) = (from.0, from.1 + half, to.0, to.1 + half);
    let middle = u64::midpoint(x0, x1);
    let _ = write!(
        out,
        "<path class=\"link s{colour}\" stroke-width=\"{height}\" d=\"M{x0} {y0}C{middle} {y0} {middle} {y1} {x1} {y1}\"/>"
    );
}

fn table(owners: &[&str], bands: &BTreeMap<(usize, String), u64>, id: usize) -> String {
    let mut out = format!(
        "<details><summary>The same as a table</summary><div class=\"scroll\" tabindex=\"0\" role=\"region\" \
         aria-label=\"Bytes sent by owner and country, device {}\"><table><thead><tr><th scope=\"col\">owner</th><th \
                   scope=\"col\">country of the address</th><th scope=\"col\">bytes sent</th></tr></thead><tbody>",
        id + 1
    );
    for ((owner, country), bytes) in bands {
        let _ = write!(
            out,
            "<tr><th scope=\"row\">{}</th><td>{country}</td><td class=\"n\">{}</td></tr>",
            escaped(owners.get(*owner).copied().unwrap_or_default()),
            escaped(&human_bytes(*bytes))
        );
    }
    out + "</tbody></table></div></details>\n"
}
