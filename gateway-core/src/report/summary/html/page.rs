//! The page: head, findings, devices, coverage.

use super::charts::{spark, stacked, week};
use super::escaped;
use super::sankey::sankey;
use crate::report::amount::{human_bytes, percent};
use crate::report::summary::model::{DeviceSummary, Finding, Place, Summary};
use crate::report::summary::words::{
    NEVER_SEEN, countries_words, coverage_causes, coverage_percent, device_lines, finding_words,
    networks_words, owner_words, past_words, sentence, site_words,
};
use crate::report::text::Look;
use core::fmt::Write;

const STYLE: &str = include_str!("style.css");

/// Puts a summary in writing.
#[must_use]
pub fn html(summary: &Summary, look: &Look<'_>) -> String {
    let span = escaped(&look.span(summary.range));
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\">\n<meta http-equiv=\"Content-Security-Policy\" \
         content=\"default-src 'none'; style-src 'unsafe-inline'\">\n<meta name=\"referrer\" content=\"no-referrer\">\n\
         <title>Telltale summary, {span}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<header>\n<h1>Telltale \
         summary</h1>\n<p class=\"soft\">{span}</p>\n<p class=\"said\">{}</p>\n</header>\n<main>\n",
        escaped(&sentence(summary))
    );
    findings(&mut out, summary);
    for (id, device) in summary.devices.iter().enumerate() {
        device_part(&mut out, device, summary, id);
    }
    coverage(&mut out, summary, look);
    let owners = match summary.owners_date.as_str() {
        "" => "There is no table of owners.".to_owned(),
        date => format!("Owners are of the table of {}.", escaped(date)),
    };
    let _ = write!(out, "</main>\n<footer class=\"soft\"><p>{owners}</p></footer>\n</body>\n</html>\n");
    out
}

fn findings(out: &mut String, summary: &Summary) {
    out.push_str("<section aria-labelledby=\"findings\">\n<h2 id=\"findings\">Findings</h2>\n");
    if summary.findings.is_empty() {
        out.push_str("<p>None by the rules. That is no proof that nothing happened.</p>\n");
    } else {
        out.push_str("<ul class=\"findings\">\n");
        summary.findings.iter().for_each(|finding| one_finding(out, finding));
        out.push_str("</ul>\n");
    }
    out.push_str("</section>\n");
}

fn one_finding(out: &mut String, finding: &Finding) {
    let word = finding.severity.word();
    let after = match &finding.known {
        None => format!("May be innocent: {}", escaped(finding.innocent)),
        Some(known) => format!("Known since {}: {}", escaped(&known.date), escaped(&known.reason)),
    };
    let _ = writeln!(
        out,
        "<li class=\"{word}\"><p><strong>{word}</strong> {}</p><p class=\"soft\">{after}</p><p \
         class=\"soft\"><code>{}</code></p></li>",
        escaped(&finding_words(finding)),
        escaped(&finding.id)
    );
}

fn device_part(out: &mut String, device: &DeviceSummary, summary: &Summary, id: usize) {
    let kind = if device.is_phone { ", phone" } else { "" };
    let _ = write!(
        out,
        "<section aria-labelledby=\"d{id} m{id}\">\n<h2 id=\"d{id}\">{}</h2>\n<p class=\"soft\" id=\"m{id}\">{}{kind}</p>\n<ul>\n",
        escaped(&device.name),
        device.mac
    );
    for line in device_lines(device, summary) {
        let _ = writeln!(out, "<li>{}</li>", escaped(&line));
    }
    out.push_str("</ul>\n");
    if device.places().next().is_some() {
        out.push_str("<h3>When</h3>\n");
        out.push_str(&stacked(device, &summary.slots, id));
        out.push_str(&week(device, &summary.slots, id));
        out.push_str("<h3>To whom it sent, and where</h3>\n");
        out.push_str(&sankey(device, id));
        out.push_str("<h3>Destinations</h3>\n");
        destinations(out, device, summary, id);
    }
    out.push_str("</section>\n");
}

const HEADS: [&str; 9] =
    ["destination", "up", "down", "of upload", "connections", "country", "over time", "purpose", "network"];

fn destinations(out: &mut String, device: &DeviceSummary, summary: &Summary, id: usize) {
    let _ = write!(
        out,
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Destinations of device {}\"><table class=\"wide\"><thead><tr>",
        id + 1
    );
    for head in HEADS {
        let _ = write!(out, "<th scope=\"col\">{head}</th>");
    }
    out.push_str("</tr></thead>\n");
    for group in &device.owners {
        let _ = writeln!(
            out,
            "<tbody><tr class=\"owner\"><th scope=\"rowgroup\" colspan=\"{}\">{}</th></tr>",
            HEADS.len(),
            escaped(&owner_words(group))
        );
        group.places.iter().for_each(|place| destination(out, place, device, summary));
        out.push_str("</tbody>\n");
    }
    out.push_str("</table></div>\n");
}

fn destination(out: &mut String, place: &Place, device: &DeviceSummary, summary: &Summary) {
    let new = if place.is_new { "<strong>new</strong> " } else { "" };
    let unsure = if place.is_unsure && !place.names.is_empty() { " (unsure)" } else { "" };
    let number = |text: &str| format!("<td class=\"n\">{}</td>", escaped(text));
    let words = |text: &str| format!("<td>{}</td>", escaped(text));
    let cells = [
        format!("<th scope=\"row\">{new}{}{unsure}</th>", escaped(&site_words(place))),
        number(&human_bytes(place.volume.up_bytes)),
        number(&human_bytes(place.volume.down_bytes)),
        number(&percent(place.volume.up_bytes, device.routed.up_bytes)),
        number(&place.conversations.to_string()),
        words(&countries_words(place)),
        format!("<td>{}</td>", spark(&place.hours, &summary.slots)),
        words(&place.purposes.join(", ")),
        words(&networks_words(place)),
    ];
    let _ = writeln!(out, "<tr>{}</tr>", cells.concat());
}

fn coverage(out: &mut String, summary: &Summary, look: &Look<'_>) {
    let _ = write!(
        out,
        "<section aria-labelledby=\"coverage\">\n<h2 id=\"coverage\">Coverage</h2>\n<p>{} of this range was \
         measured.</p>\n",
        escaped(&coverage_percent(summary))
    );
    let causes = coverage_causes(summary, look);
    if !causes.is_empty() {
        out.push_str("<ul>\n");
        for cause in causes {
            let _ = writeln!(out, "<li>{}</li>", escaped(&cause));
        }
        out.push_str("</ul>\n");
    }
    let _ =
        write!(out, "<p>{}</p>\n<p>{}</p>\n</section>\n", escaped(NEVER_SEEN), escaped(&past_words(summary)));
}
