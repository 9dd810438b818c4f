//! Which rows a command is asked for: plain flags, and the filter language.

use gateway_core::application::Application;
use gateway_core::enrich::owners::Purpose;
use gateway_core::query::language::{Condition, Question, Term};
use gateway_core::query::{
    DeviceMatch, Filter, NameMatch, parse_application, parse_asn, parse_country, parse_evidence,
    parse_protocol,
};
use gateway_core::row::Evidence;
use gateway_core::units::Country;
use ipnetwork::IpNetwork;

/// What was asked for: what the store picks by itself, and what is asked of what it gives.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Wanted {
    /// What the store picks.
    pub filter: Filter,
    /// What is asked of its rows, and of the lines made from them.
    pub question: Question,
}

/// Which rows. Given twice, a flag takes either; different flags all have to fit.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Filters")]
pub struct FilterArgs {
    /// A device: its label, hostname or MAC address.
    #[arg(long, value_name = "DEVICE")]
    device: Vec<DeviceMatch>,
    /// A name contacted; *.xiaomi.com takes it and all below.
    #[arg(long, value_name = "NAME")]
    name: Vec<NameMatch>,
    /// The network of the peer: AS45102.
    #[arg(long, value_name = "AS", value_parser = parse_asn)]
    network: Vec<u32>,
    /// The country of the peer's address: SG.
    #[arg(long, value_name = "CC", value_parser = parse_country)]
    country: Vec<Country>,
    /// How the name is known: none, dns, http_host, quic_sni, tls_sni.
    #[arg(long, value_name = "WORD", value_parser = parse_evidence)]
    evidence: Vec<Evidence>,
    /// The protocol that was recognised: tls, quic, dns, doh, wireguard and so on.
    #[arg(long, value_name = "WORD", value_parser = parse_application)]
    application: Vec<Application>,
    /// Only to addresses in no DNS answer seen before (none given to the device), as the report counts them.
    #[arg(long)]
    uncovered: bool,
    /// The IP protocol: tcp, udp, icmp, or a number.
    #[arg(long, value_parser = parse_protocol)]
    protocol: Vec<u8>,
    /// The service's port.
    #[arg(long)]
    port: Vec<u16>,
    /// The peer's address, or a prefix: 47.88.0.0/14.
    #[arg(long, value_name = "PREFIX")]
    peer: Vec<IpNetwork>,
    #[command(flatten)]
    question: QuestionArgs,
}

impl FilterArgs {
    /// As a value.
    #[must_use]
    pub fn wanted(&self) -> Wanted {
        let Self { device, name, network, country, evidence, .. } = self;
        let Self { application, uncovered, protocol, port, peer, question, .. } = self;
        let filter = Filter {
            devices: device.clone(),
            names: name.clone(),
            asns: network.clone(),
            countries: country.clone(),
            evidence: evidence.clone(),
            applications: application.clone(),
            is_uncovered: *uncovered,
            protocols: protocol.clone(),
            ports: port.clone(),
            peers: peer.clone(),
            question: String::new(),
        };
        question.wanted(filter)
    }
}

/// A text of the filter language, understood.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Asking {
    text: String,
    question: Question,
}

fn asking(text: &str) -> Result<Asking, String> {
    let question = Question::parse(text).map_err(|mistake| mistake.shown(text))?;
    Ok(Asking { text: text.trim().to_owned(), question })
}

fn purpose(text: &str) -> Result<Purpose, String> {
    let word = text.to_ascii_lowercase().replace([' ', '-'], "_");
    Purpose::from_word(&word).ok_or_else(|| {
        let words: Vec<_> = Purpose::ALL.into_iter().map(Purpose::word).collect();
        format!("a purpose is one of {}", words.join(", "))
    })
}

/// What the name tables answer, and the filter language.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Filters")]
pub struct QuestionArgs {
    /// Whose the name is, or who owns its owner: Xiaomi.
    #[arg(long, value_name = "OWNER")]
    owner: Vec<String>,
    /// What the name is for: telemetry, advertising and so on.
    #[arg(long, value_name = "WORD", value_parser = purpose)]
    purpose: Vec<Purpose>,
    /// The filter language: 'owner = xiaomi and up > 1MB and night'. docs/questions.md has all its words.
    #[arg(long = "where", value_name = "QUESTION", value_parser = asking)]
    question: Option<Asking>,
}

impl QuestionArgs {
    /// As a value, together with a filter.
    #[must_use]
    pub fn wanted(&self, mut filter: Filter) -> Wanted {
        let Self { owner, purpose, question } = self;
        let Asking { text, mut question } =
            question.clone().unwrap_or(Asking { text: String::new(), question: Question::default() });
        let mut texts = Vec::new();
        let mut rows = vec![question.rows];
        let owners = owner.iter().map(|owner| (format!("owner = {owner}"), Term::Owner(Some(owner.clone()))));
        let purposes = purpose.iter().map(|p| (format!("purpose = {}", p.word()), Term::Purpose(Some(*p))));
        for any in [owners.collect::<Vec<_>>(), purposes.collect()] {
            if !any.is_empty() {
                let (words, terms): (Vec<_>, Vec<_>) = any.into_iter().unzip();
                texts.push(words.join(" or "));
                rows.push(Condition::Any(terms.into_iter().map(Condition::Is).collect()));
            }
        }
        texts.extend((!text.is_empty()).then_some(text));
        question.rows = Condition::All(rows);
        filter.question = match texts.as_slice() {
            [one] => one.clone(),
            all => all.iter().map(|text| format!("({text})")).collect::<Vec<_>>().join(" and "),
        };
        Wanted { filter, question }
    }
}

/// A device as a filter alone, for commands that take no other.
#[derive(Debug, Default, clap::Args)]
pub struct DeviceArg {
    /// Only this device: its label, hostname or MAC address.
    #[arg(long, value_name = "DEVICE")]
    device: Vec<DeviceMatch>,
}

impl DeviceArg {
    /// As a value.
    #[must_use]
    pub fn filter(&self) -> Filter {
        Filter { devices: self.device.clone(), ..Filter::default() }
    }
}
