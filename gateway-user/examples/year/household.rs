//! A made-up household, the same for the same seed: devices that have their usual destinations and now and then a new
//! one, busy in the evening and quiet at night.

use gateway_core::application::Application;
use gateway_core::row::{
    Answer, Batch, EpochId, Evidence, FlowRow, Interval, LedgerLine, Marks, Network, OpenedBy, RowKey,
    RowKind,
};
use gateway_core::units::{BootTime, Country, DomainName, Mac, Volume, WallTime};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

pub const SEC: u64 = 1_000_000_000;
pub const HOUR: u64 = 3_600 * SEC;
/// Names that anyone may contact.
const NAMES: u64 = 20_000;
/// Names that a device comes back to.
const USUAL: u64 = 260;
const NETWORKS: u64 = 400;
const COUNTRIES: [&str; 12] = ["US", "DE", "IE", "NL", "SG", "CN", "RU", "FR", "GB", "JP", "SE", "IN"];
/// How busy each hour of the day is, in percent of the busiest.
const BUSY: [u64; 24] =
    [12, 8, 6, 5, 5, 8, 25, 45, 50, 45, 45, 50, 60, 55, 50, 55, 65, 80, 95, 100, 100, 90, 60, 30];
/// Least time that an answer of the DNS vouches for, nanoseconds.
const TTL_SECS: u32 = 300;

/// Numbers that look drawn and are the same for the same seed (SplitMix64).
#[derive(Clone)]
pub struct Dice(u64);

impl Dice {
    pub fn of(parts: &[u64]) -> Self {
        let mut dice = Self(0x5eed);
        for part in parts {
            dice.0 = dice.draw() ^ part.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
        dice
    }

    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.draw() % bound.max(1)
    }

    /// Below `bound`, small numbers much more often: the cube of an even draw.
    pub fn early(&mut self, bound: u64) -> u64 {
        let even = self.below(1 << 16) as f64 / f64::from(1 << 16);
        (even.powi(3) * bound as f64) as u64
    }
}

/// What one device has with one name in one hour.
struct Visit {
    device: u64,
    name: u64,
    hour: u64,
    dice: Dice,
    /// In how many parts of the hour.
    times: u64,
}

pub struct Household {
    pub seed: u64,
    pub devices: u64,
    /// The first midnight, nanoseconds since 1970.
    pub since: i64,
}

impl Household {
    /// The drains of one day, each `every` nanoseconds long. `turn` is the number of the last one before it.
    pub fn day(&self, day: u64, every: u64, turn: &mut u64) -> Vec<Batch> {
        let count = 24 * HOUR / every;
        let mut rows = vec![BTreeMap::<RowKey, FlowRow>::new(); count as usize];
        let mut answers = vec![Vec::new(); count as usize];
        for device in 0..self.devices {
            for visit in self.visits(day, device) {
                self.enter(day, every, visit, &mut rows, &mut answers);
            }
        }
        let drains = rows.into_iter().zip(answers).enumerate();
        drains
            .map(|(place, (rows, answers))| {
                *turn += 1;
                let began = (day * 24 * HOUR) + place as u64 * every;
                self.batch(*turn, (began, began + every), rows.into_values().collect(), answers)
            })
            .collect()
    }

    fn visits(&self, day: u64, device: u64) -> Vec<Visit> {
        let mut dice = Dice::of(&[self.seed, day, device]);
        let destinations = 40 + dice.early(111);
        let mut visits = Vec::new();
        for _ in 0..destinations {
            // One in eight is from the wide world, the others are the device's usual ones.
            let name = if dice.below(8) == 0 {
                dice.early(NAMES)
            } else {
                Dice::of(&[self.seed, device, dice.early(USUAL)]).early(NAMES)
            };
            let hours = if dice.below(10) == 0 { 24 } else { 1 + dice.early(5) };
            for _ in 0..hours {
                let hour = dice.below(24);
                if dice.below(100) < BUSY[hour as usize] {
                    let times = 1 + dice.early(12);
                    visits.push(Visit { device, name, hour, times, dice: Dice::of(&[dice.draw()]) });
                }
            }
        }
        visits
    }

    fn enter(
        &self,
        day: u64,
        every: u64,
        visit: Visit,
        rows: &mut [BTreeMap<RowKey, FlowRow>],
        answers: &mut [Vec<Answer>],
    ) {
        let Visit { device, name, hour, mut dice, times } = visit;
        let address = Dice::of(&[name, day / 3]).below(3);
        let peer = peer_of(name, address);
        let is_unnamed = dice.below(25) == 0;
        let (evidence, application, protocol) = match (is_unnamed, dice.below(10)) {
            (true, _) => (Evidence::None, Application::Unknown, 6),
            (_, 0..=5) => (Evidence::TlsSni, Application::Tls, 6),
            (_, 6..=7) => (Evidence::QuicSni, Application::Quic, 17),
            _ => (Evidence::Dns, Application::Unknown, 6),
        };
        let key = RowKey {
            device: mac_of(device),
            peer,
            port: if is_unnamed && dice.below(4) == 0 { 5228 } else { 443 },
            protocol,
            kind: RowKind::Flow,
            opened_by: OpenedBy::Device,
            name: (!is_unnamed).then(|| name_of(name)).flatten(),
            evidence,
            marks: if is_unnamed { Marks::UNCOVERED } else { Marks::COVERED },
            application,
        };
        for time in 0..times {
            let at = hour * HOUR + dice.below(HOUR);
            let Some(rows) = rows.get_mut((at / every) as usize) else { continue };
            let up = 300 + dice.early(60_000);
            let down = 500 + dice.early(2_000_000);
            let volume = Volume {
                up_bytes: up,
                down_bytes: down,
                up_packets: up / 700 + 1,
                down_packets: down / 1400 + 1,
            };
            let row = rows.entry(key.clone()).or_insert_with(|| FlowRow {
                key: key.clone(),
                volume: Volume::default(),
                conversations: 0,
                oldest_answer_secs: (evidence == Evidence::Dns).then_some(7),
            });
            row.volume.add(volume);
            row.conversations += 1;
            let (0, Some(asked), Some(answers)) = (time, &key.name, answers.get_mut((at / every) as usize))
            else {
                continue;
            };
            let answered = day * 24 * HOUR + at;
            answers.push(Answer {
                device: key.device,
                asker_ipv4: Some(Ipv4Addr::new(192, 168, 1, device as u8 + 10)),
                addr: peer,
                name: asked.clone(),
                chain: Vec::new(),
                answered_at: BootTime(answered),
                vouches_until: BootTime(answered + u64::from(TTL_SECS) * SEC),
                ttl_secs: TTL_SECS,
            });
        }
    }

    fn batch(&self, epoch: u64, boot: (u64, u64), rows: Vec<FlowRow>, answers: Vec<Answer>) -> Batch {
        let wall = |boot: u64| WallTime(self.since.saturating_add_unsigned(boot));
        let mut networks: Vec<_> = rows.iter().map(|row| (row.key.peer, network_of(row.key.peer))).collect();
        networks.sort();
        networks.dedup();
        let mut batch = Batch {
            epoch: EpochId { boot_id: "a-made-up-year".to_owned(), table_id: self.seed, epoch },
            interval: Interval {
                began_boot: BootTime(boot.0),
                ended_boot: BootTime(boot.1),
                began_at: wall(boot.0),
                ended_at: wall(boot.1),
                is_clock_set: true,
            },
            rows,
            ledger: Vec::new(),
            networks,
            devices: Vec::new(),
            aliases: Vec::new(),
            answers,
            late_names: Vec::new(),
        };
        let stored = batch.stored();
        let line = |counter: &str, packets, bytes| LedgerLine { counter: counter.to_owned(), packets, bytes };
        batch.ledger = vec![
            line("arp", 40, Some(1_120)),
            line("bridged", 200, Some(90_000)),
            line("group", 60, Some(9_000)),
            line("hellos_sampled", 31, None),
            line("names_sampled", 80, None),
            line("samples_nameless", 3, None),
            line("seen", stored.packets() + 300, Some(stored.bytes() + 100_120)),
        ];
        batch
    }
}

fn mac_of(device: u64) -> Mac {
    Mac([0x02, 0, 0, 0, 0, device as u8])
}

fn name_of(name: u64) -> Option<DomainName> {
    let host = ["api", "www", "cdn", "events", "edge-mqtt"][(name % 5) as usize];
    DomainName::parse(&format!("{host}.service-{}.example{}.com", name / 3, name % 700))
}

fn peer_of(name: u64, address: u64) -> IpAddr {
    let bits = Dice::of(&[name, address, 4]).draw();
    Ipv4Addr::new(45 + (bits % 100) as u8, (bits >> 8) as u8, (bits >> 16) as u8, (bits >> 24) as u8).into()
}

fn network_of(peer: IpAddr) -> Network {
    let IpAddr::V4(v4) = peer else { return Network::default() };
    let place = u64::from(u32::from(v4)) % NETWORKS;
    let country = Country::parse(COUNTRIES[(place % COUNTRIES.len() as u64) as usize]);
    Network {
        asn: Some(1_000 + place as u32),
        organisation: Some(format!("Network Operator {place} Ltd.")),
        country,
        registered: country,
        ..Network::default()
    }
}
