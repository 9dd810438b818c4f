//! `telltale explain`: why a flow has its name, and what else it could have been.

use super::Outcome;
use super::ask::{Asked, DatabaseArg, DeviceArg, answer, limit};
use super::screen::ScreenArgs;
use super::when::RangeArgs;
use gateway_core::application::Application;
use gateway_core::query::{DeviceMatch, Filter, TimeRange};
use gateway_core::report::explain::{EARLIER_ANSWER_EXPLAINS_NS, Input, Subject, explain, json, text};
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
    /// A flow ([DEVICE/]ADDRESS:PORT, IPv6 in brackets), a name (*.name for all below) or an address.
    #[arg(value_name = "FLOW|NAME|ADDRESS")]
    subject: Subject,
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
/// If the database cannot be read or the output not written.
pub fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    let Some(asked) = Asked::of(&args.database.path()?, &args.range)? else { return Ok(Outcome::Nothing) };
    let filter = args.subject.filter(args.device.filter());
    answer(asked, out, |asked, page| {
        let look = args.screen.look(0);
        let input = read(asked, &args.subject, &filter)?;
        if args.json {
            // Its sentences are for programs and people elsewhere: in UTC, to the last byte.
            let look = Look { offset_of: &|_| 0, is_exact: true, ..look };
            let explanation = explain(&input, &look);
            page.extend_from_slice(json(&explanation)?.as_bytes());
            return explanation.is_empty().then(|| asked.why_nothing(&filter, false, &look)).transpose();
        }
        let explanation = explain(&input, &look);
        if explanation.is_empty() {
            return asked.why_nothing(&filter, false, &look).map(Some);
        }
        page.extend_from_slice(text(&explanation, limit(args.limit), &look).as_bytes());
        Ok(None)
    })
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
