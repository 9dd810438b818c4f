//! A summary as comma-separated values (RFC 4180, with line ends as Unix has them): a line for each destination of each
//! device. Findings and coverage are in the other formats.

use super::model::{DeviceSummary, OwnerGroup, Place, Site, Summary};
use super::words::{countries_words, networks_words};
use crate::report::civil::Civil;
use crate::report::csv::line;
use crate::units::{DomainName, Volume};

const HEAD: &str = "since,until,device,device_name,is_phone,owner,owner_country,name,asn,names,is_unsure,is_new,purposes,networks,\
                    countries,up_bytes,down_bytes,up_packets,down_packets,conversations,night_up_bytes,night_down_bytes,\
                    usual_up_bytes";

/// Puts a summary in writing.
#[must_use]
pub fn csv(summary: &Summary) -> String {
    let mut out = HEAD.to_owned() + "\n";
    for device in &summary.devices {
        for group in &device.owners {
            for place in &group.places {
                out.push_str(&line(&fields(summary, device, group, place)));
            }
        }
    }
    out
}

fn fields(summary: &Summary, device: &DeviceSummary, group: &OwnerGroup, place: &Place) -> [String; 23] {
    let Place { site, names, purposes, volume, conversations, is_new, is_unsure, upload, at_night, .. } =
        place;
    let Volume { up_bytes, down_bytes, up_packets, down_packets } = *volume;
    let (name, asn) = match site {
        Site::Name(name) => (name.to_string(), String::new()),
        Site::Network(asn) => (String::new(), asn.to_string()),
        Site::Unknown | Site::Withheld => (String::new(), String::new()),
    };
    [
        Civil::utc(summary.range.since),
        Civil::utc(summary.range.until),
        device.mac.to_string(),
        device.name.clone(),
        device.is_phone.to_string(),
        group.owner.clone().unwrap_or_default(),
        group.country.map(|country| country.to_string()).unwrap_or_default(),
        name,
        asn,
        names.iter().map(DomainName::as_str).collect::<Vec<_>>().join(" "),
        (*is_unsure && !names.is_empty()).to_string(),
        is_new.to_string(),
        purposes.join(", "),
        networks_words(place),
        countries_words(place),
        up_bytes.to_string(),
        down_bytes.to_string(),
        up_packets.to_string(),
        down_packets.to_string(),
        conversations.to_string(),
        at_night.up_bytes.to_string(),
        at_night.down_bytes.to_string(),
        upload.map(|usual| usual.median.to_string()).unwrap_or_default(),
    ]
}
