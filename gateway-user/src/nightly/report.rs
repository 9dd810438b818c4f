//! The summary of a day by the same functions as `telltale report`, made in a process of its own: nothing in it, not even
//! a crash, reaches the counting, and its memory is free again when it ends.

use super::Make;
use crate::cli::ask::{Asked, name_tables};
use crate::cli::{report, when};
use crate::config::Config;
use crate::deliver::{DeviceFigures, Figures, Message, Priority};
use crate::store::Reader;
use anyhow::{Context, bail};
use gateway_core::query::{Filter, TimeRange};
use gateway_core::report::json::json;
use gateway_core::report::model::Report;
use gateway_core::report::table::Paint;
use gateway_core::report::text::{Look, text};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Destinations per device: as `telltale report` shows them.
const DESTINATIONS: usize = 15;

/// The very program that runs, even if an upgrade has put another in its place.
pub(super) const THIS_PROGRAM: &str = "/proc/self/exe";

/// What has the summary of a day made from a database by `program`, a telltale, with the configuration in `file` or the
/// default one.
#[must_use]
pub fn maker(program: PathBuf, file: Option<PathBuf>, database: PathBuf) -> Make {
    Box::new(move |day| {
        // A day without anything costs no process, at every look.
        if measured(&database, day)?.is_none() {
            return Ok(None);
        }
        let mut command = Command::new(&program);
        command.arg("night").arg(day.to_string()).arg("--database").arg(&database).stdin(Stdio::null());
        if let Some(file) = &file {
            command.arg("--config").arg(file);
        }
        let output = command.output().context("start the program that makes the summary")?;
        match output.status.code() {
            Some(0) => serde_json::from_slice(&output.stdout).context("read the summary").map(Some),
            Some(1) => Ok(None),
            Some(_) => {
                let said = String::from_utf8_lossy(&output.stderr);
                bail!("{}", said.trim().trim_start_matches("telltale: ").replace('\n', "; "))
            }
            None => bail!("the program that makes the summary of {day} crashed ({})", output.status),
        }
    })
}

/// The database and the range of a day; `None` where nothing was measured.
fn measured(database: &Path, day: Date) -> anyhow::Result<Option<(Reader, TimeRange)>> {
    let Some(reader) = Reader::open(database)? else { return Ok(None) };
    let zone = TimeZone::system();
    let start_of = |day: Date| when::wall(&day.to_zoned_datetime(zone.clone())?);
    let range = TimeRange { since: start_of(day)?, until: start_of(day.tomorrow()?)? };
    Ok(if reader.counted(range)?.is_empty() { None } else { Some((reader, range)) })
}

/// Makes the summary of a day, here and now; `None` where nothing was measured.
///
/// # Errors
/// When the database or a table cannot be read.
pub fn make(config: &Config, database: &Path, day: Date) -> anyhow::Result<Option<Message>> {
    let Some((reader, range)) = measured(database, day)? else { return Ok(None) };
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
