//! `telltale explain`: why a flow has its name, and what else it could have been.

use super::Outcome;
use super::ask::{Asked, DatabaseArg, DeviceArg, limit, open, say};
use super::screen::ScreenArgs;
use super::when::RangeArgs;
use anyhow::anyhow;
use gateway_core::application::Application;
use gateway_core::query::{DeviceInfo, DeviceMatch, Filter, TimeRange};
use gateway_core::report::explain::{
    EARLIER_ANSWER_EXPLAINS_NS, Input, NotASubject, Subject, explain, host_of_url, json, text as text_of,
};
use gateway_core::report::model::ANSWER_LOSSES;
use gateway_core::report::text::Look;
use gateway_core::row::{Alias, LedgerLine};
use gateway_core::units::WallTime;
use std::io::Write;

/// Tells in sentences why a flow has its name, what else it could have been, and what the DNS told.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  telltale explain 47.241.1.5:443\n  telltale explain \"Redmi Note 8/47.241.1.5:443\" --last 7d\n  \
    telltale explain data.mistat.intl.xiaomi.com\n  telltale explain 8.8.8.8 --json"
)]
pub struct Args {
    /// A flow ([DEVICE/]ADDRESS:PORT, IPv6 in brackets), a name (*.name for all below), an address, or a URL for its
    /// host.
    #[arg(value_name = "FLOW|NAME|ADDRESS")]
    subject: String,
    #[command(flatten)]
    database: DatabaseArg,
    #[command(flatten)]
    device: DeviceArg,
    /// Parts shown, largest first, 0 for all. JSON has all.
    #[arg(long, default_value_t = PARTS)]
    limit: usize,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    screen: ScreenArgs,
    #[command(flatten)]
    range: RangeArgs,
}

/// Parts on a screen unless asked for more.
const PARTS: usize = 10;

/// Runs the command.
///
/// # Errors
/// If the subject is none, the database cannot be read or the output not written.
pub fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    let host = host_of_url(&args.subject);
    if let Some(host) = host {
        say(&format!("explaining {host}: of a URL nothing but the host can be seen"));
    }
    let text = host.unwrap_or(&args.subject);
    let subject = match text.parse::<Subject>() {
        Ok(subject) => subject,
        Err(why) => return not_a_subject(args, text, why),
    };
    let Some(asked) = Asked::of(&args.database.path()?, &args.range)? else { return Ok(Outcome::Nothing) };
    let filter = subject.filter(args.device.filter());
    args.screen.answer(asked, out, |asked, page| {
        let look = args.screen.look(0);
        let input = read(asked, &subject, &filter)?;
        let why_nothing = || {
            let why = asked.why_nothing(&filter, false, &look)?;
            let hint =
                hint(text, &subject, &input.devices).map_or_else(String::new, |hint| format!("; {hint}"));
            anyhow::Ok(format!("{why}{hint}"))
        };
        if args.json {
            // Its sentences are for programs and people elsewhere: in UTC, to the last byte.
            let look = Look { offset_of: &|_| 0, is_exact: true, ..look };
            let explanation = explain(&input, &look);
            page.extend_from_slice(json(&explanation)?.as_bytes());
            return explanation.is_empty().then(why_nothing).transpose();
        }
        let explanation = explain(&input, &look);
        if explanation.is_empty() {
            return why_nothing().map(Some);
        }
        page.extend_from_slice(text_of(&explanation, limit(args.limit), &look).as_bytes());
        Ok(None)
    })
}

/// A label with blanks is no subject, and yet a device that the database may know.
fn not_a_subject(args: &Args, text: &str, why: NotASubject) -> anyhow::Result<Outcome> {
    let refusal = || anyhow!("{why}").context(format!("explain {text:?}"));
    let path = args.database.path()?;
    if why != NotASubject::Other || !path.exists() {
        return Err(refusal());
    }
    let Some(reader) = open(&path)? else { return Err(refusal()) };
    match device_hint(text, &reader.devices()?) {
        Some(hint) => {
            say(&hint);
            Ok(Outcome::Nothing)
        }
        None => Err(refusal()),
    }
}

/// What may have been meant instead.
fn hint(text: &str, subject: &Subject, devices: &[DeviceInfo]) -> Option<String> {
    if let Some((addr, port)) = subject.as_address_and_port() {
        return Some(format!("for port {port} of {addr} write [{addr}]:{port}"));
    }
    match subject {
        Subject::Name(_) => device_hint(text, devices),
        Subject::Flow { addr, .. } | Subject::Address { addr, .. } => {
            let device = devices.iter().find(|device| device.addrs.contains(addr))?;
            Some(format!(
                "{addr} is an address of {}: {}",
                device.display_name(),
                flows_of(&device.mac.to_string())
            ))
        }
    }
}

fn device_hint(text: &str, devices: &[DeviceInfo]) -> Option<String> {
    let text = text.trim();
    let wanted: DeviceMatch = text.parse().ok()?;
    let is_one = devices.iter().any(|device| wanted.picks(device));
    let quoted = if text.contains(' ') { format!("\"{text}\"") } else { text.to_owned() };
    is_one.then(|| format!("{text} is a device: {}", flows_of(&quoted)))
}

fn flows_of(device: &str) -> String {
    format!("`telltale flows --device {device}` lists what it exchanged")
}

fn read(asked: &Asked, subject: &Subject, filter: &Filter) -> anyhow::Result<Input> {
    let Asked { reader, range, .. } = asked;
    let hides = |application: &Application| application.is_encrypted_dns() || application.is_vpn();
    let hiding = Filter {
        devices: filter.devices.clone(),
        applications: Application::ALL.into_iter().filter(hides).collect(),
        ..Filter::default()
    };
    // A name's rivals are told of its addresses, which the rows have to tell first: all answers are read then.
    let told = Filter { devices: filter.devices.clone(), peers: filter.peers.clone(), ..Filter::default() };
    let lost = |line: &&LedgerLine| ANSWER_LOSSES.contains(&line.counter.as_str());
    let devices = reader.devices()?;
    let is_of = |alias: &Alias, wanted: &DeviceMatch| {
        devices.iter().any(|device| device.mac == alias.device && wanted.picks(device))
    };
    // What others were told is no answer to a question for one device.
    let mut aliases = reader.aliases()?;
    aliases.retain(|alias| {
        filter.devices.is_empty() || filter.devices.iter().any(|wanted| is_of(alias, wanted))
    });
    let earlier = WallTime(range.since.0.saturating_sub_unsigned(EARLIER_ANSWER_EXPLAINS_NS));
    let counted = reader.counted(TimeRange { since: earlier, until: range.until })?;
    Ok(Input {
        subject: subject.clone(),
        range: *range,
        devices,
        flows: reader.flows(*range, filter)?,
        hiding: reader.flows(*range, &hiding)?,
        answers: reader.answers(&told)?,
        aliases,
        counted,
        lost_answers: reader.ledger(*range)?.iter().filter(lost).map(|line| line.packets).sum(),
    })
}
