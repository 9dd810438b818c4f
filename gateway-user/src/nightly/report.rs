//! The summary of a day by the same functions as `telltale report`.

use super::Make;
use crate::cli::ask::{Asked, name_tables};
use crate::cli::{report, when};
use crate::config::Config;
use crate::deliver::{DeviceFigures, Figures, Message, Priority};
use crate::store::Reader;
use anyhow::Context;
use gateway_core::query::{Filter, TimeRange};
use gateway_core::report::json::json;
use gateway_core::report::model::Report;
use gateway_core::report::table::Paint;
use gateway_core::report::text::{Look, text};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use std::path::{Path, PathBuf};

/// Destinations per device: as `telltale report` shows them.
const DESTINATIONS: usize = 15;

/// What makes the summary of a day from a database.
pub(super) fn maker(config: Config, database: PathBuf) -> Make {
    Box::new(move |day| make(&config, &database, day))
}

fn make(config: &Config, database: &Path, day: Date) -> anyhow::Result<Option<Message>> {
    let Some(reader) = Reader::open(database)? else { return Ok(None) };
    let zone = TimeZone::system();
    let start_of = |day: Date| when::wall(&day.to_zoned_datetime(zone.clone())?);
    let range = TimeRange { since: start_of(day)?, until: start_of(day.tomorrow()?)? };
    if reader.counted(range)?.is_empty() {
        return Ok(None);
    }
    let Some(extent) = reader.extent()? else { return Ok(None) };
    let asked = Asked { reader, range, now: when::wall(&when::now())?, extent };
    let names = name_tables(config, database)?;
    let report = report::make(&asked, &names, &Filter::default()).context("make the report")?;
    let look = Look {
        width: None,
        paint: Paint::Plain,
        is_exact: false,
        max_destinations: DESTINATIONS,
        offset_of: &when::offset_of,
    };
    Ok(Some(Message {
        id: format!("summary-{day}"),
        subject: format!("Telltale: {day}, {} devices", report.devices.len()),
        text: text(&report, &look),
        html: None,
        json: json(&report)?,
        priority: Priority::Low,
        figures: Some(figures(&report, day)),
    }))
}

fn figures(report: &Report, day: Date) -> Figures {
    let length = report.range.until.0.abs_diff(report.range.since.0);
    // Thousandths, so that 99.9 is not called all.
    let share = u128::from(report.coverage.measured_ns) * 1000 / u128::from(length.max(1));
    let devices = report.devices.iter().map(|device| DeviceFigures {
        mac: device.mac.to_string(),
        name: device.name.clone(),
        up_bytes: device.routed.up_bytes,
        down_bytes: device.routed.down_bytes,
        new_destinations: None,
    });
    Figures {
        day: day.to_string(),
        coverage_percent: Some(share.min(1000) as f64 / 10.0),
        devices: devices.collect(),
    }
}
