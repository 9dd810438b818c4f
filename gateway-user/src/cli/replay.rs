//! `telltale replay`: a capture through the same pipeline as live traffic. Needs no root and no kernel.

use super::Outcome;
use super::ask::{Asked, Wanted, limit, name_tables, say};
use super::screen::ScreenArgs;
use super::{report, when};
use crate::config::{Config, ConfigFlags};
use crate::privacy::Levels;
use crate::replay::capture::{self, CaptureError, LinkType};
use crate::replay::conversations::Conversations;
use crate::replay::keep::{Keeper, Kept};
use crate::replay::listing::{Lister, Written};
use crate::replay::table::{MAX_CONVERSATIONS, Rules, Table};
use crate::replay::{Fed, boot_id_of, feed, table_id_of};
use crate::store::{Reader, Writer};
use anyhow::{Context, bail};
use clap::value_parser;
use gateway_core::pipeline::{Pipeline, PipelineConfig};
use gateway_core::query::TimeRange;
use gateway_core::report::{json::json, text::text};
use gateway_core::units::Mac;
use ipnetwork::IpNetwork;
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Counts a capture as if it were live, and prints its report.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The capture is best taken on the LAN port of a gateway: `tcpdump -i br-lan -w evening.pcap`.\n\n\
    Examples:\n  telltale replay evening.pcap\n  telltale replay evening.pcap.gz --database evenings.db\n  \
    ssh router tcpdump -i br-lan -U -w - | telltale replay -\n  \
    telltale replay evening.pcap --flows-json | jq -r 'select(.domain == null) | .dst'"
)]
pub struct Args {
    /// The capture: pcap or pcapng, plain or compressed with gzip; - for the standard input.
    #[arg(value_name = "FILE")]
    capture: PathBuf,
    /// Keep the counts in this database; the same capture is counted in it only once, compressed or not: it is known
    /// by its first 64 KiB. One that has grown since is refused, but one that was shorter than that is taken for
    /// another: count captures that are finished. Without this the counts are thrown away after the report.
    #[arg(long, value_name = "PATH")]
    database: Option<PathBuf>,
    /// The gateway's MAC address on the LAN: count only what goes through it. Otherwise all unicast is counted,
    /// and devices are told from peers by their addresses.
    #[arg(long, value_name = "MAC")]
    gateway_mac: Option<Mac>,
    /// A network whose addresses are devices', in place of the configured ones; may be given several times.
    #[arg(long, value_name = "PREFIX")]
    local: Vec<IpNetwork>,
    /// Seconds of the capture's time per interval [default: as configured, or 30].
    #[arg(long, value_name = "SECS", value_parser = value_parser!(u32).range(1..=3600))]
    drain_every_secs: Option<u32>,
    /// Configuration file [default: /etc/telltale/telltale.toml, if it is there].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Destinations shown per device, 0 for all; the others are added up.
    #[arg(long, default_value_t = 15)]
    limit: usize,
    /// Print JSON, with every destination.
    #[arg(long)]
    json: bool,
    /// Instead of a report, write one JSON object per conversation and line to PATH [default: -, the standard
    /// output]: who began it with whom, packets and IP-layer bytes both ways, and its name with its source. All
    /// packets count, seen from the end that began; devices, intervals and the database play no part.
    #[arg(
        long,
        value_name = "PATH",
        num_args = 0..=1,
        default_missing_value = "-",
        conflicts_with_all = ["database", "gateway_mac", "local", "json", "limit"]
    )]
    flows_json: Option<PathBuf>,
    #[command(flatten)]
    screen: ScreenArgs,
}

/// Runs the command.
///
/// # Errors
/// If the capture cannot be read to its end (what was read is counted and reported nevertheless), or the database
/// not written.
pub fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    let flags = ConfigFlags { config: args.config.clone(), ..ConfigFlags::default() };
    let config = Config::load(&flags)?;
    if let Some(path) = &args.flows_json {
        return list(args, &config, path, out);
    }
    // Lives as long as the report needs it.
    let (_throw_away, database) = match &args.database {
        Some(path) => (None, path.clone()),
        None => {
            let dir = tempfile::tempdir().context("make a directory for the throw-away database")?;
            let path = dir.path().join("replay.db");
            (Some(dir), path)
        }
    };
    let (fed, kept) = count(args, &config, &database)?;
    if kept.already_there > 0 {
        say(&format!(
            "{} of {} intervals of this capture were in {} already and were not counted again",
            kept.already_there,
            kept.already_there + kept.stored,
            database.display()
        ));
    }
    let outcome = match fed.range {
        Some((since, until)) => print(args, &config, &database, TimeRange { since, until }, out)?,
        None => Outcome::Nothing,
    };
    // Where the report says whether it is complete, for it knows only of what was read.
    if let Some(cut) = fed.cut.as_ref().filter(|_| outcome == Outcome::Found && !args.json) {
        writeln!(out, "  note: of the capture this is the beginning only: {cut}")?;
        out.flush()?;
    }
    if fed.misdated > 0 {
        say(&format!(
            "the times of the capture jump; {} packets are in another interval than they say",
            fed.misdated
        ));
    }
    complain(&args.capture, fed)?;
    if outcome == Outcome::Nothing {
        say(&format!("no packet of any device is in the capture {}", args.capture.display()));
    }
    Ok(outcome)
}

/// The conversations of the capture, to `path` or (`-`) to `out`.
fn list(args: &Args, config: &Config, path: &Path, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    let mut capture = capture::open(&args.capture)?;
    let mut file = match path.to_str() {
        Some("-") => None,
        _ => Some(create(path)?),
    };
    let mut table =
        Table::by_initiator(args.drain_every_secs.unwrap_or(config.drain_every_secs), boot_id_of(&capture));
    let pipeline = Pipeline::new(PipelineConfig {
        local: config.local_networks.clone(),
        excluded: config.excluded_networks.clone(),
        ..PipelineConfig::default()
    });
    let out = file.as_mut().map_or(out, |file| file as &mut dyn Write);
    let mut lister = Lister::new(pipeline, Conversations::default(), config.excluded_networks.clone(), out)
        .with_local(config.local_networks.clone());
    let fed = feed(&mut capture, &mut table, &mut lister)?;
    let Written { lines, excluded } = lister.finish()?;
    if excluded > 0 {
        say(&format!("left out {excluded} conversations with networks that the configuration excludes"));
    }
    complain(&args.capture, fed)?;
    if lines == 0 {
        say(&format!("no conversation is in the capture {}", args.capture.display()));
    }
    Ok(if lines == 0 { Outcome::Nothing } else { Outcome::Found })
}

/// Makes the file, for its owner alone (it tells who talked with whom), but not out of a capture: whoever forgets that
/// the option takes a path would lose one.
fn create(path: &Path) -> anyhow::Result<BufWriter<File>> {
    if path.is_file() && capture::open(path).is_ok() {
        bail!(
            "write the conversations: {} is a capture; name another file, or - for the output",
            path.display()
        );
    }
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("write the conversations to {}", path.display()))?;
    Ok(BufWriter::new(file))
}

/// The capture into the database.
fn count(args: &Args, config: &Config, database: &Path) -> anyhow::Result<(Fed, Kept)> {
    let local = if args.local.is_empty() { config.local_networks.clone() } else { args.local.clone() };
    let rules = Rules {
        local: local.clone(),
        gateway: args.gateway_mac,
        drain_every_secs: args.drain_every_secs.unwrap_or(config.drain_every_secs),
        max_conversations: MAX_CONVERSATIONS,
    };
    let mut capture = capture::open(&args.capture)?;
    let (boot_id, table_id) = (boot_id_of(&capture), table_id_of(&rules));
    let mut table = Table::new(rules, boot_id.clone(), table_id);
    let levels = Config { database: database.to_owned(), ..config.clone() };
    let pipeline = Pipeline::new(PipelineConfig {
        local,
        excluded: config.excluded_networks.clone(),
        privacy: Levels::new(&levels)?.now()?,
    });
    let networks = super::ask::network_tables(config, &config.database)?;
    let writer = Writer::open(database)?;
    if writer.table_ids(&boot_id)?.iter().any(|there| *there != table_id) {
        bail!(
            "count the capture {}: it is in {} already, counted with other settings (--gateway-mac, --local, \
             --drain-every-secs or the configuration); choose another database",
            args.capture.display(),
            database.display()
        );
    }
    let mut keeper = Keeper::new(pipeline, networks, writer);
    let fed = feed(&mut capture, &mut table, &mut keeper)?;
    Ok((fed, keeper.finish()))
}

/// The report of the capture's range.
fn print(
    args: &Args,
    config: &Config,
    database: &Path,
    range: TimeRange,
    out: &mut dyn Write,
) -> anyhow::Result<Outcome> {
    let reader = Reader::open(database)?.context("open the database that was just written")?;
    // All of the capture is counted, whatever its clock said.
    let now = when::wall(&when::now())?.max(range.until);
    let asked = Asked { reader, range, now, extent: range };
    // The capture's database may be a new one; fresh tables lie beside the gateway's.
    let names = name_tables(config, &config.database)?;
    let report = report::make(&asked, &names, &asked.picked(&Wanted::default())?)?;
    drop(asked);
    if args.json {
        out.write_all(json(&report)?.as_bytes())?;
    } else {
        let text = text(&report, &args.screen.look(limit(args.limit)));
        args.screen.show(text.as_bytes(), out)?;
    }
    out.flush()?;
    Ok(if report.devices.is_empty() { Outcome::Nothing } else { Outcome::Found })
}

/// What of the capture could not be read, as an error: the report above it is of the rest.
fn complain(path: &Path, fed: Fed) -> anyhow::Result<()> {
    let Fed { frames: _, range: _, misdated: _, unreadable, cut } = fed;
    let cause = match cut {
        Some(cut) => anyhow::Error::new(cut),
        None => match unreadable.into_iter().next() {
            Some((LinkType(number), frames)) => anyhow::Error::new(CaptureError::UnreadableLink(number))
                .context(format!("leave out {frames} packets")),
            None => return Ok(()),
        },
    };
    Err(cause.context(format!("read the capture {}", path.display())))
}
