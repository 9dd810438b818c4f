//! Records the small captures that the plain tests read: one device, one or two connections of a kind each, as they
//! pass the device's own interface.

use super::clients::Clients;
use super::plan::{Kind, number, plan_of};
use super::witness::Witness;
use std::collections::BTreeMap;
use std::path::PathBuf;
use xtask::lab::Household;

/// Whole packets.
const WHOLE: u32 = 262_144;

/// Where to put the captures, if anywhere: the test makes them all the same.
const DIRECTORY: &str = "TELLTALE_RECORD";

/// Each capture's name and what is in it.
const CAPTURES: [(&str, &[Kind]); 7] = [
    ("tls13-post-quantum", &[Kind::Tls13]),
    ("tls12", &[Kind::Tls12]),
    ("ech", &[Kind::Ech, Kind::EchGrease]),
    ("quic-post-quantum", &[Kind::Quic]),
    ("quic-v2", &[Kind::QuicV2]),
    ("dns-over-tcp", &[Kind::OpaqueTcp]),
    ("http", &[Kind::Http]),
];

/// The plan deals its connections out to the devices in turn: of six, two are one device's, over IPv4 or IPv6.
const DEALT: u32 = 6;

/// Records every capture and sees that each holds what it should.
pub fn record_all(household: &Household) {
    let device = &household.devices()[0];
    let directory = std::env::var_os(DIRECTORY).map(PathBuf::from);
    let mut first = 0;
    for (name, kinds) in CAPTURES {
        let mut plan = Vec::new();
        for kind in kinds {
            plan.extend(plan_of(&[*kind], first, DEALT));
            first += DEALT;
        }
        plan.retain(|planned| planned.role == device.spec.role);
        // Two connections are enough of a kind, and one of those that are large.
        plan.truncate(if kinds == [Kind::Quic] { 1 } else { 2 * kinds.len() });
        household.wait_until_quiet().unwrap();
        let witness = Witness::begin(household, device, WHOLE);
        device
            .namespace
            .inside(|| {
                let clients = Clients::new();
                plan.iter().for_each(|planned| clients.make(planned));
                Ok(())
            })
            .unwrap();
        household.wait_until_quiet().unwrap();
        let recorded = witness.end();
        let mut sums = BTreeMap::new();
        recorded.sum_up(&mut sums);
        for planned in &plan {
            let [up_bytes, _, down_bytes, _] = sums[&planned.connection()];
            assert!(up_bytes > 100 && down_bytes > 100, "{planned:?}: {up_bytes} up, {down_bytes} down");
        }
        let asked = sums.keys().filter(|c| c.protocol == number::TCP && c.peer.port() == 53).count();
        assert_eq!(asked, if kinds == [Kind::OpaqueTcp] { plan.len() } else { 0 }, "{name}");
        let len = std::fs::metadata(recorded.file()).unwrap().len();
        eprintln!("{name}: {len} bytes");
        for planned in &plan {
            eprintln!("  {:?} {} {}", planned.kind, planned.peer, planned.name);
        }
        if let Some(directory) = &directory {
            std::fs::copy(recorded.file(), directory.join(format!("{name}.pcap"))).unwrap();
        }
    }
}
