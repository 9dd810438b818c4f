//! `telltale who`: the dossier on a name, an address, a network, an owner or a device.

use super::Outcome;
use super::ask::{Asked, DatabaseArg, limit, say};
use super::devices;
use super::screen::ScreenArgs;
use super::when::{self, RangeArgs};
use crate::config::{Config, ConfigFlags, UpdateConfig};
use crate::rdap;
use crate::store::{KeptRegistration, Reader};
use anyhow::bail;
use gateway_core::enrich::names::NameTables;
use gateway_core::enrich::owners::Owner;
use gateway_core::query::{Filter, FlowSum, TimeRange};
use gateway_core::report::who::{
    Dates, Dossier, Input, NameFacts, Registered, Subject, dossier, json, subject_of, text,
};
use gateway_core::units::DomainName;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Tells who is behind a name, an address, a network or a device: owner, registrant, network and country, each with its
/// source, and how much was exchanged with it.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  telltale who data.mistat.intl.xiaomi.com\n  telltale who 47.241.1.5\n  \
    telltale who AS45102 --last 7d\n  telltale who Xiaomi\n  telltale who \"Redmi Note 8\" --json\n  telltale who tracking.miui.com --rdap\n\n\
    Without a range, all that the database holds is added up.\n\n\
    --rdap asks the registry of the registrable domain, miui.com in the example, and its registrar where that keeps the \
    registrant: both learn the domain and this gateway's address, and IANA that somebody asks. Answers are kept for 30 \
    days, and no more than one question a second is put."
)]
pub struct Args {
    /// A name (it and all below), an address, a network (AS45102), an owner or a device.
    #[arg(value_name = "NAME|ADDRESS|ASN|OWNER|DEVICE")]
    subject: String,
    #[command(flatten)]
    database: DatabaseArg,
    /// Lines shown of each list, 0 for all. JSON has all.
    #[arg(long, default_value_t = LINES)]
    limit: usize,
    /// Ask a name's registry who registered it, over HTTPS; never done without this.
    #[arg(long)]
    rdap: bool,
    /// Configuration file [default: /etc/telltale/telltale.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    screen: ScreenArgs,
    #[command(flatten)]
    range: RangeArgs,
}

/// Lines of each list on a screen unless asked for more.
const LINES: usize = 10;

/// Days that are added up one by one; what is older is in the other lists.
const MAX_DAYS: usize = 400;

/// Runs the command.
///
/// # Errors
/// If the database or a table cannot be read, the subject is nobody or the output cannot be written.
pub fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    let config = Config::load(&ConfigFlags { config: args.config.clone(), ..ConfigFlags::default() })?;
    let path = args.database.path_or(&config);
    let names = super::ask::name_tables(&config, &path)?;
    let networks = super::ask::network_tables(&config, &path)?;
    let asked = Asked::of(&path, &args.range.or_everything())?;
    let known = match &asked {
        Some(asked) => asked.reader.devices()?,
        None => Vec::new(),
    };
    let subject = subject_of(&args.subject, &known, &|text| owner_called(&names, text))?;
    let registered = match registrable(&subject, &names) {
        Some(domain) => registered(domain, args.rdap.then_some(&config.update), &path)?,
        None if args.rdap => bail!("--rdap asks about names: {subject} is none that somebody registers"),
        None => None,
    };
    let filter = subject.filter();
    let flows = flows(asked.as_ref(), &filter)?;
    let remarks = match (&subject, &asked) {
        (Subject::Device(mac), Some(asked)) => {
            devices::remarks(&asked.reader, &path, *mac, &args.screen.look(0))?
        }
        _ => Vec::new(),
    };
    let all = match &subject {
        Subject::Name(name) if names.ownership_of(name).is_some() => {
            self::flows(asked.as_ref(), &Filter::default())?
        }
        _ => Vec::new(),
    };
    let days = days(asked.as_ref(), &filter, &flows)?;
    let dossier = dossier(Input {
        flows,
        all,
        days,
        devices: known,
        facts_of: &|name| NameFacts::of(&names, name),
        network_of: &|addr| networks.network_of(addr),
        remarks,
        registered,
        dates: Dates {
            networks: networks.as_of().to_owned(),
            owners: names.as_of().map(|date| date.to_string()).unwrap_or_default(),
        },
        subject,
    });
    // Whoever pages through the answer for an hour keeps no hour's log of writes from being folded in.
    drop(asked);
    print(&dossier, args, out)
}

fn print(dossier: &Dossier, args: &Args, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    let page =
        if args.json { json(dossier)? } else { text(dossier, limit(args.limit), &args.screen.look(0)) };
    args.screen.show(page.as_bytes(), out)?;
    if dossier.is_empty() {
        out.flush()?;
        say(&format!("neither the tables nor the database know anything of {}", dossier.subject));
        return Ok(Outcome::Nothing);
    }
    Ok(Outcome::Found)
}

/// The printed name of an owner that is called so, by its name or its key.
fn owner_called(names: &NameTables, text: &str) -> Option<String> {
    let is_called =
        |owner: &&Owner| owner.name.eq_ignore_ascii_case(text) || owner.id.eq_ignore_ascii_case(text);
    names.owners().owners().find(is_called).map(|owner| owner.name.to_string())
}

fn flows(asked: Option<&Asked>, filter: &Filter) -> anyhow::Result<Vec<FlowSum>> {
    asked.map_or_else(|| Ok(Vec::new()), |asked| asked.flows(filter))
}

/// The rows by local day, the latest first; only days between the first and the last of the rows.
fn days(
    asked: Option<&Asked>,
    filter: &Filter,
    flows: &[FlowSum],
) -> anyhow::Result<Vec<(String, Vec<FlowSum>)>> {
    let (Some(asked), Some(since), Some(until)) =
        (asked, flows.iter().map(|f| f.first_at).min(), flows.iter().map(|f| f.last_at).max())
    else {
        return Ok(Vec::new());
    };
    let mut days = Vec::new();
    for (day, range) in when::days_back(TimeRange { since, until })?.into_iter().take(MAX_DAYS) {
        // A day at the edge of the range asked for is cut there, as everything else is.
        let Some(range) = range.overlap(asked.range) else { continue };
        let rows = asked.reader.flows(range, filter)?;
        if !rows.is_empty() {
            days.push((day, rows));
        }
    }
    Ok(days)
}

/// The domain of a name that somebody registered.
fn registrable(subject: &Subject, names: &NameTables) -> Option<DomainName> {
    let Subject::Name(name) = subject else { return None };
    names.registrable(name).and_then(DomainName::parse)
}

/// What is kept of its registration; with `ask`, after its registry was asked.
fn registered(
    domain: DomainName,
    ask: Option<&UpdateConfig>,
    database: &Path,
) -> anyhow::Result<Option<Registered>> {
    let asked = ask.map(|config| rdap::ask_registry(&domain, config, database));
    let kept = match asked {
        Some(Ok(kept)) => Some(kept),
        Some(Err(error)) => {
            say(&format!("nothing new about the registration of {domain}: {error:#}"));
            kept(&domain, database)?
        }
        None => kept(&domain, database)?,
    };
    Ok(kept.map(|KeptRegistration { asked_at, server, registration }| Registered {
        domain,
        server,
        asked_at,
        registration,
    }))
}

fn kept(domain: &DomainName, database: &Path) -> anyhow::Result<Option<KeptRegistration>> {
    Reader::open(database)?.map_or(Ok(None), |reader| reader.registration(domain))
}
