//! The summary of a day by the same functions as `telltale summary`, made in a process of its own: nothing in it, not even
//! a crash, reaches the counting, and its memory is free again when it ends.

use super::Make;
use crate::cli::ask::{Asked, name_tables};
use crate::cli::when;
use crate::config::Config;
use crate::deliver::{DeviceFigures, Figures, Message, Priority};
use crate::store::Reader;
use crate::summary::{Aids, summary_of};
use anyhow::{Context, bail};
use gateway_core::query::{Filter, TimeRange};
use gateway_core::report::summary::html::html;
use gateway_core::report::summary::json::json;
use gateway_core::report::summary::model::Summary;
use gateway_core::report::summary::text::text;
use gateway_core::report::table::Paint;
use gateway_core::report::text::Look;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The very program that runs, even if an upgrade has put another in its place.
pub(crate) const THIS_PROGRAM: &str = "/proc/self/exe";

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
    let aids = Aids { database, names: &names, known: &config.known };
    let Some(summary) = summary_of(&asked, aids, &Filter::default())? else { return Ok(None) };
    let look = Look {
        width: None,
        paint: Paint::Plain,
        is_exact: false,
        max_destinations: usize::MAX,
        offset_of: &when::offset_of,
    };
    Ok(Some(Message {
        id: format!("summary-{day}"),
        subject: format!("Telltale: {day}, {} devices", summary.devices.len()),
        text: text(&summary, &look),
        html: Some(html(&summary, &look)),
        json: json(&summary)?,
        priority: Priority::Low,
        figures: Some(figures(&summary, day)),
    }))
}

fn figures(summary: &Summary, day: Date) -> Figures {
    let devices = summary.devices.iter().map(|device| DeviceFigures {
        mac: device.mac.to_string(),
        name: device.name.clone(),
        up_bytes: device.routed.up_bytes,
        down_bytes: device.routed.down_bytes,
        // Where "new" cannot be said there is no number, rather than a nought.
        new_destinations: device
            .can_be_new
            .then(|| device.places().filter(|place| place.is_new).count() as u64),
    });
    Figures {
        day: day.to_string(),
        coverage_percent: summary.measured.permille.map(|permille| f64::from(permille) / 10.0),
        devices: devices.collect(),
    }
}
