//! One check of all alerts: what is to be told now, and what is then told. Made in a process of its own.

use super::Checked;
use super::state::{State, key};
use super::{Raised, words};
use crate::cli::ask::{Asked, name_tables};
use crate::cli::when;
use crate::config::alert::{Amount, Per, Watch};
use crate::config::{AlertConfig, Config};
use crate::deliver::{Message, Priority};
use crate::store::Reader;
use crate::summary::{Aids, summary_of};
use anyhow::Context;
use gateway_core::query::buckets::Buckets;
use gateway_core::query::{DeviceInfo, Filter, TimeRange};
use gateway_core::report::amount::human_bytes;
use gateway_core::report::summary::model::{FindingKind, Summary};
use gateway_core::report::summary::words::site_words;
use gateway_core::report::table::clean;
use gateway_core::row::RowKind;
use gateway_core::units::{Mac, Volume, WallTime};
use jiff::ZonedDateTime;
use jiff::civil::Date;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// Lines of one message; what is more is counted in its last line.
const MAX_LINES: usize = 20;
/// Yesterday's last interval is drained and stored by then.
const JUDGED_AFTER_SECS: i64 = 3_900;

/// One thing to tell.
struct Line {
    key: String,
    /// For the subject, where it is the only one.
    short: String,
    said: String,
    data: Value,
}

/// Checks all alerts of a configuration at a moment.
///
/// # Errors
/// If the database or a table cannot be read.
pub fn check(config: &Config, now: &ZonedDateTime, state: State) -> anyhow::Result<Checked> {
    let secs = now.timestamp().as_second();
    let mut state = state;
    let mut raised = Vec::new();
    if let Some(watcher) = Watcher::new(config, now)? {
        let mut summaries = BTreeMap::<Date, Option<Summary>>::new();
        let is_judged_now = watcher.may_judge(&state)?;
        for alert in &config.alerts {
            let lines = match &alert.watch {
                Watch::NewDestination { min_up_bytes } => {
                    let mut lines = Vec::new();
                    for day in watcher.new_days(&state)? {
                        let summary = watcher.summary(&mut summaries, day)?;
                        lines.extend(new_lines(alert, summary, *min_up_bytes, (day, &watcher.devices)));
                    }
                    lines
                }
                Watch::Quota { per, of, bytes } => watcher.quota_lines(alert, *per, *of, *bytes)?,
                Watch::Coverage { floor_percent } if is_judged_now => {
                    let day = watcher.yesterday()?;
                    let summary = watcher.summary(&mut summaries, day)?;
                    coverage_line(alert, summary, day, *floor_percent).into_iter().collect()
                }
                Watch::Coverage { .. } => Vec::new(),
            };
            let fresh: Vec<_> = lines.into_iter().filter(|line| state.tell(line.key.clone(), secs)).collect();
            raised.extend(message(alert, &fresh));
        }
        if is_judged_now {
            state.judged_day = watcher.yesterday()?.to_string();
        }
    }
    state.checked_at = Some(secs);
    state.prune(secs);
    Ok(Checked { raised, state })
}

struct Watcher<'a> {
    config: &'a Config,
    now: &'a ZonedDateTime,
    devices: Vec<DeviceInfo>,
    extent: TimeRange,
}

impl<'a> Watcher<'a> {
    /// `None` if there is nothing to watch yet.
    fn new(config: &'a Config, now: &'a ZonedDateTime) -> anyhow::Result<Option<Self>> {
        let Some(reader) = Reader::open(&config.database)? else { return Ok(None) };
        let Some(extent) = reader.extent()? else { return Ok(None) };
        Ok(Some(Self { config, now, devices: reader.devices()?, extent }))
    }

    fn reader(&self) -> anyhow::Result<Reader> {
        Reader::open(&self.config.database)?.context("open the database, which was there a moment ago")
    }

    fn yesterday(&self) -> anyhow::Result<Date> {
        Ok(self.now.date().yesterday()?)
    }

    fn start_of(&self, day: Date) -> anyhow::Result<WallTime> {
        when::wall(&day.to_zoned_datetime(self.now.time_zone().clone())?)
    }

    /// Today; and yesterday, until a check has seen all that was stored of it.
    fn new_days(&self, state: &State) -> anyhow::Result<Vec<Date>> {
        let midnight = self.start_of(self.now.date())?.0 / 1_000_000_000;
        let is_seen = state.checked_at.is_none_or(|at| at >= midnight + JUDGED_AFTER_SECS);
        let yesterday = (!is_seen).then(|| self.yesterday()).transpose()?;
        Ok(yesterday.into_iter().chain([self.now.date()]).collect())
    }

    /// Is it time to judge yesterday's coverage? Once for each day that began after the first interval.
    fn may_judge(&self, state: &State) -> anyhow::Result<bool> {
        let yesterday = self.yesterday()?;
        let since_midnight =
            when::wall(self.now)?.0.saturating_sub(self.start_of(self.now.date())?.0) / 1_000_000_000;
        let began_before = self.extent.since <= self.start_of(yesterday)?;
        Ok(began_before && since_midnight >= JUDGED_AFTER_SECS && state.judged_day != yesterday.to_string())
    }

    /// The summary of a day, or of today until now, made once; `None` where nothing was measured.
    fn summary<'s>(
        &self,
        made: &'s mut BTreeMap<Date, Option<Summary>>,
        day: Date,
    ) -> anyhow::Result<Option<&'s Summary>> {
        Ok(match made.entry(day) {
            Entry::Occupied(made) => made.into_mut().as_ref(),
            Entry::Vacant(place) => place.insert(self.make(day)?).as_ref(),
        })
    }

    fn make(&self, day: Date) -> anyhow::Result<Option<Summary>> {
        let Self { config, extent, .. } = self;
        let now = when::wall(self.now)?;
        let range = TimeRange { since: self.start_of(day)?, until: self.start_of(day.tomorrow()?)?.min(now) };
        if range.len_ns() == 0 {
            return Ok(None);
        }
        let names = name_tables(config, &config.database)?;
        let asked = Asked { reader: self.reader()?, range, now, extent: *extent };
        let aids = Aids { database: &config.database, names: &names, known: &config.known };
        summary_of(&asked, aids, &Filter::default())
    }

    fn quota_lines(
        &self,
        alert: &AlertConfig,
        per: Per,
        of: Amount,
        bytes: u64,
    ) -> anyhow::Result<Vec<Line>> {
        let today = self.now.date();
        let (first, stretch) = match per {
            Per::Day => (today, today.to_string()),
            Per::Month => (today.first_of_month(), today.strftime("%Y-%m").to_string()),
        };
        let bounds = vec![self.start_of(first)?, when::wall(self.now)?];
        let Some(buckets) = Buckets::between(bounds) else { return Ok(Vec::new()) };
        let mut volumes = BTreeMap::<Mac, Volume>::new();
        for sum in self.reader()?.bucketed(&buckets, &Filter::default())? {
            if sum.kind != RowKind::Local {
                volumes.entry(sum.device).or_default().add(sum.volume);
            }
        }
        let over = volumes.into_iter().filter_map(|(mac, volume)| {
            let now = match of {
                Amount::Up => volume.up_bytes,
                Amount::Down => volume.down_bytes,
                Amount::Total => volume.bytes(),
            };
            let unknown = DeviceInfo::unknown(mac);
            let device = self.devices.iter().find(|device| device.mac == mac).unwrap_or(&unknown);
            (now > bytes && is_watched(alert, device)).then(|| {
                let name = device.display_name();
                let amount = amount_word(of);
                Line {
                    key: key(alert, &mac.to_string(), &stretch),
                    short: format!("{}: more than {} {amount}", clean(&name), human_bytes(bytes)),
                    said: format!(
                        "{}: {} {} in {stretch}, more than {}",
                        clean(&name),
                        human_bytes(now),
                        amount,
                        human_bytes(bytes)
                    ),
                    data: json!({ "device": mac.to_string(), "device_name": name, "in": stretch, "bytes": now,
                        "quota_bytes": bytes, "of": amount }),
                }
            })
        });
        Ok(over.collect())
    }
}

pub(super) const fn amount_word(of: Amount) -> &'static str {
    match of {
        Amount::Up => "up",
        Amount::Down => "down",
        Amount::Total => "up and down",
    }
}

fn is_watched(alert: &AlertConfig, device: &DeviceInfo) -> bool {
    alert.device.as_ref().is_none_or(|wanted| wanted.picks(device))
}

/// New destinations of a day that the user does not know of. What is new is decided where summaries are made.
fn new_lines(
    alert: &AlertConfig,
    summary: Option<&Summary>,
    min_up_bytes: u64,
    (day, devices): (Date, &[DeviceInfo]),
) -> Vec<Line> {
    let mut lines = Vec::new();
    for device in summary.into_iter().flat_map(|summary| &summary.devices) {
        let unknown = DeviceInfo::unknown(device.mac);
        let info = devices.iter().find(|info| info.mac == device.mac).unwrap_or(&unknown);
        if !is_watched(alert, info) {
            continue;
        }
        for place in device.places().filter(|p| p.is_new && p.volume.up_bytes >= min_up_bytes) {
            let subject = site_words(place);
            let finding = summary.into_iter().flat_map(|summary| &summary.findings).find(|finding| {
                finding.kind == FindingKind::NewDestination
                    && finding.subject == subject
                    && finding.device.as_ref().is_some_and(|(mac, _)| *mac == device.mac)
            });
            let Some(finding) = finding.filter(|finding| finding.known.is_none()) else { continue };
            lines.push(Line {
                key: key(alert, &finding.id, &day.to_string()),
                short: format!("{}: new destination {subject}", clean(&device.name)),
                said: format!("{}: {}", clean(&device.name), finding.said),
                data: json!({ "device": device.mac.to_string(), "device_name": device.name, "in": day.to_string(),
                    "destination": subject, "owner": place.owner, "up_bytes": place.volume.up_bytes,
                    "down_bytes": place.volume.down_bytes, "finding": finding.id }),
            });
        }
    }
    lines
}

fn coverage_line(
    alert: &AlertConfig,
    summary: Option<&Summary>,
    day: Date,
    floor_percent: u8,
) -> Option<Line> {
    // A day without a summary has no interval at all.
    let permille = summary.map_or(Some(0), |summary| summary.measured.permille)?;
    (permille < u16::from(floor_percent) * 10).then(|| Line {
        key: key(alert, "", &day.to_string()),
        short: format!("only {}.{} % of {day} was measured", permille / 10, permille % 10),
        said: format!(
            "Of {day} only {}.{} % was measured, less than {floor_percent} %. `telltale summary --day {day}` tells why.",
            permille / 10,
            permille % 10
        ),
        data: json!({ "in": day.to_string(), "coverage_percent": f64::from(permille) / 10.0,
            "floor_percent": floor_percent }),
    })
}

/// One message for all that an alert has to tell now.
fn message(alert: &AlertConfig, lines: &[Line]) -> Option<Raised> {
    let first = lines.first()?;
    let subject = match (&alert.watch, lines.len()) {
        (_, 1) => first.short.clone(),
        (Watch::NewDestination { .. }, count) => format!("{count} new destinations"),
        (_, count) => format!("{count} devices are over a quota"),
    };
    let mut text: String = lines.iter().take(MAX_LINES).map(|line| format!("{}\n", line.said)).collect();
    if lines.len() > MAX_LINES {
        text.push_str(&format!("and {} more\n", lines.len() - MAX_LINES));
    }
    let data: Vec<_> = lines.iter().map(|line| &line.data).collect();
    let json = json!({ "version": 1, "alert": words(alert), "raised": data });
    Some(Raised {
        ways: alert.ways.clone(),
        message: Message {
            // The same for what is told again after a failure in between.
            id: format!("alert-{}", first.key.replace(':', "-")),
            subject: format!("Telltale: {subject}"),
            text,
            html: None,
            json: json.to_string(),
            priority: Priority::High,
            figures: None,
        },
    })
}
