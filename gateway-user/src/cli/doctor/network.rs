//! Interfaces, offloads and other programs on the ports.

use super::check::Check;
use crate::links::{Discovery, Port, SelectionError, Snapshot};
use aya::programs::{SchedClassifier, TcAttachType};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::process::Command;

/// Connections looked at for offload marks. Enough to find one; a busy router has many more to print.
const MAX_CONNTRACK_LINES: usize = 100_000;

/// A flowtable of nftables.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Flowtable {
    devices: Vec<String>,
    is_hardware: bool,
}

/// What tells of flow offload.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Offload {
    /// `None` if nft cannot be asked.
    flowtables: Option<Vec<Flowtable>>,
    /// Connections marked offloaded in software and in hardware; `None` if the kernel does not list them.
    conntrack: Option<(usize, usize)>,
}

/// The ports found, as a check, and the discovery (an empty one in place of a failure).
pub(super) fn interfaces(
    found: &Result<Result<Discovery, SelectionError>, &anyhow::Error>,
) -> (Check, Discovery) {
    let name = "interfaces";
    match found {
        Ok(Ok(discovery)) if discovery.ports.is_empty() => {
            let remedy =
                "name the interface of the LAN: --interface br-lan, or `interfaces` in the configuration";
            (Check::problem(name, "no port to count on was found", remedy), discovery.clone())
        }
        Ok(Ok(discovery)) => {
            let mut ports_of: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
            for port in &discovery.ports {
                ports_of.entry(&port.network).or_default().push(&port.name);
            }
            let networks: Vec<String> = ports_of
                .iter()
                .map(|(network, ports)| format!("{network} on {}", ports.join(", ")))
                .collect();
            (Check::ok(name, networks.join("; ")), discovery.clone())
        }
        Ok(Err(error)) => {
            let remedy = "give the name of an interface that is there, or leave `interfaces` at \"auto\"";
            (Check::problem(name, error.to_string(), remedy), Discovery::default())
        }
        Err(error) => {
            let remedy = "the kernel's rtnetlink must be reachable: is a sandbox in the way?";
            (Check::problem(name, format!("could not be listed: {error:#}"), remedy), Discovery::default())
        }
    }
}

/// A warning for a port whose numbers contain another network's.
pub(super) fn shared_port(port: &Port) -> Option<Check> {
    if port.also_carries.is_empty() {
        return None;
    }
    let strangers = port.also_carries.join(", ");
    Some(Check::warning(
        "shared port",
        format!("{} also carries {strangers}, whose routed frames are counted with it", port.name),
        format!("give {} a port or a VLAN of its own", port.network),
    ))
}

/// The devices under the ports, where there are any that could not be used.
pub(super) fn names_below(snapshot: &Snapshot, ports: &[Port]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for port in ports {
        let below = snapshot.down_from(port.index).into_iter().filter(|index| *index != port.index);
        names.extend(below.filter_map(|index| snapshot.links.get(&index)).map(|link| link.name.clone()));
    }
    names
}

/// Asks nft and the connection table.
pub(super) fn look_at_offload() -> Offload {
    // The text, because the JSON form leaves out the flag that tells hardware from software.
    let nft = Command::new("nft").args(["list", "flowtables"]).output().ok().filter(|o| o.status.success());
    let flowtables = nft.map(|output| flowtables_of(&String::from_utf8_lossy(&output.stdout)));
    let conntrack = std::fs::File::open("/proc/net/nf_conntrack")
        .ok()
        .map(|file| marks_of(BufReader::new(file).lines().map_while(Result::ok).take(MAX_CONNTRACK_LINES)));
    Offload { flowtables, conntrack }
}

/// How many connections are offloaded in software and in hardware.
fn marks_of(lines: impl Iterator<Item = String>) -> (usize, usize) {
    lines.fold((0, 0), |(software, hardware), line| {
        (
            software + usize::from(line.contains("[OFFLOAD]")),
            hardware + usize::from(line.contains("[HW_OFFLOAD]")),
        )
    })
}

/// Reads `nft list flowtables`: blocks with `devices = { a, b }` and perhaps `flags offload`.
fn flowtables_of(text: &str) -> Vec<Flowtable> {
    let mut tables: Vec<Flowtable> = Vec::new();
    for line in text.lines().map(|line| line.trim().trim_end_matches(';')) {
        if line.starts_with("flowtable ") {
            tables.push(Flowtable::default());
        } else if let Some(table) = tables.last_mut() {
            if let Some(list) = line.strip_prefix("devices = {") {
                let names = list.trim_end_matches('}').split(',').map(|name| name.trim().trim_matches('"'));
                table.devices.extend(names.filter(|name| !name.is_empty()).map(str::to_owned));
            } else if let Some(flags) = line.strip_prefix("flags ") {
                table.is_hardware |= flags.split([',', ' ']).any(|flag| flag == "offload");
            }
        }
    }
    tables
}

/// `below`: devices under our ports.
pub(super) fn offload(found: &Offload, below: &BTreeSet<String>) -> Check {
    let name = "flow offload";
    let Offload { flowtables, conntrack } = found;
    let (in_software, in_hardware) = conntrack.unwrap_or_default();
    let tables = flowtables.as_deref().unwrap_or_default();
    if in_hardware > 0 || tables.iter().any(|t| t.is_hardware) {
        return Check::warning(
            name,
            format!(
                "in hardware: such connections are counted in part, their first packets only ({in_hardware} now)"
            ),
            "switch it off to see all bytes: on OpenWrt `flow_offloading_hw` in /etc/config/firewall",
        );
    }
    let early: Vec<&str> =
        tables.iter().flat_map(|t| &t.devices).filter(|d| below.contains(*d)).map(String::as_str).collect();
    if !early.is_empty() {
        return Check::warning(
            name,
            format!(
                "in software on {}, under a port: only the first packets of a connection are counted",
                early.join(", ")
            ),
            "switch the offload off: on OpenWrt `flow_offloading` in /etc/config/firewall",
        );
    }
    if in_software > 0 || !tables.is_empty() {
        return Check::ok(name, "in software: all bytes are seen, because the ports come before it");
    }
    match (flowtables, conntrack) {
        (None, None) => Check::unknown(name, "neither nft nor /proc/net/nf_conntrack can be asked"),
        (None, Some(_)) => Check::ok(name, "no connection is offloaded now; nft cannot be asked"),
        (Some(_), _) => Check::ok(name, "none"),
    }
}

/// Other tcx programs on the ports: told, not judged. Empty where the kernel cannot be asked.
pub(super) fn look_at_neighbours(ports: &[Port]) -> Vec<Check> {
    let mut seen: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for port in ports {
        for hook in [TcAttachType::Ingress, TcAttachType::Egress] {
            let Ok((_, programs)) = SchedClassifier::query_tcx(&port.name, hook) else { continue };
            for program in programs {
                let name = program.name_as_str().unwrap_or("(no name)").to_owned();
                seen.entry(name).or_default().insert(port.name.clone());
            }
        }
    }
    neighbours(&seen).into_iter().collect()
}

/// `seen`: program name → ports. The kernel keeps fifteen characters of a name.
fn neighbours(seen: &BTreeMap<String, BTreeSet<String>>) -> Option<Check> {
    let list = |(name, ports): (&String, &BTreeSet<String>)| {
        format!("{name} on {}", ports.iter().map(String::as_str).collect::<Vec<_>>().join(", "))
    };
    let all: Vec<String> = seen.iter().map(list).collect();
    (!all.is_empty()).then(|| Check::ok("tcx programs", all.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::super::check::Verdict::{self, *};
    use super::*;

    /// As printed by nft 1.0.6.
    const FIREWALL: &str = "
table inet fw4 {
	flowtable ft {
		hook ingress priority filter
		devices = { br-lan, wan }
		counter
	}
	flowtable hw {
		hook ingress priority filter
		devices = { \"lan1\", \"wan\" }
		flags offload
		counter
	}
}
";

    #[track_caller]
    fn check(found: &Offload, below: &[&str], verdict: Verdict, part: &str) {
        let check = offload(found, &below.iter().map(|b| (*b).to_owned()).collect());
        assert_eq!(check.verdict, verdict, "{check:?}");
        assert!(check.finding.contains(part), "{check:?}");
    }

    #[test]
    fn flowtables_are_read() {
        let table = |devices: [&str; 2], is_hardware| Flowtable {
            devices: devices.map(str::to_owned).to_vec(),
            is_hardware,
        };
        assert_eq!(flowtables_of(FIREWALL), [table(["br-lan", "wan"], false), table(["lan1", "wan"], true)]);
        assert_eq!(flowtables_of(""), []);
        for (len, _) in FIREWALL.char_indices() {
            let _ = flowtables_of(&FIREWALL[..len]);
        }
    }

    #[test]
    fn hardware_offload_costs_numbers_and_software_does_not() {
        let all = flowtables_of(FIREWALL);
        let with = |tables: &[Flowtable]| Offload { flowtables: Some(tables.to_vec()), conntrack: None };
        check(&with(&all), &[], Warning, "in hardware");
        check(&with(&all[..1]), &[], Ok, "in software: all bytes");
        check(&with(&all[..1]), &["eth0"], Ok, "in software: all bytes");
        check(&with(&all[..1]), &["wan"], Warning, "on wan, under a port");
        check(&with(&[]), &[], Ok, "none");
        check(&Offload::default(), &[], Unknown, "neither");
    }

    #[test]
    fn connections_tell_of_offload_too() {
        let lines =
            ["ipv4 2 tcp 6 src=1 [OFFLOAD] mark=0", "ipv4 2 tcp 6 [ASSURED]", "ipv4 2 udp 17 [HW_OFFLOAD]"];
        let marks = |lines: &[&str]| marks_of(lines.iter().map(|l| (*l).to_owned()));
        assert_eq!(marks(&lines), (1, 1));
        let with = |conntrack| Offload { flowtables: None, conntrack: Some(conntrack) };
        check(&with(marks(&lines)), &[], Warning, "(1 now)");
        check(&with(marks(&lines[..2])), &[], Ok, "in software");
        check(&with(marks(&lines[1..2])), &[], Ok, "no connection");
    }

    #[test]
    fn the_ports_are_told_by_network() {
        let port = |name: &str, network: &str| Port {
            index: 1,
            name: name.into(),
            mac: [2; 6],
            gateway_macs: vec![[2; 6]],
            network: network.into(),
            also_carries: Vec::new(),
            why: String::new(),
        };
        let ports = vec![port("lan1", "br-lan"), port("eth7", "guest"), port("lan2", "br-lan")];
        let found = Result::Ok(Result::Ok(Discovery { ports, ..Discovery::default() }));
        assert_eq!(interfaces(&found).0.finding, "br-lan on lan1, lan2; guest on eth7");
        let nothing = interfaces(&Result::Ok(Result::Ok(Discovery::default()))).0;
        assert_eq!(nothing.verdict, Problem);
        let error = SelectionError::Missing { name: "x".into(), known: "lo".into() };
        let missing = interfaces(&Result::Ok(Err(error))).0;
        assert_eq!((missing.verdict, &*missing.finding), (Problem, "no interface is called x; there are lo"));
        let broken = anyhow::anyhow!("no socket");
        assert_eq!(interfaces(&Err(&broken)).0.finding, "could not be listed: no socket");
    }

    #[test]
    fn a_shared_port_is_a_warning_and_neighbours_are_not() {
        let mut port = Port {
            index: 1,
            name: "lan1".into(),
            mac: [2; 6],
            gateway_macs: Vec::new(),
            network: "br-lan".into(),
            also_carries: Vec::new(),
            why: String::new(),
        };
        assert_eq!(shared_port(&port), None);
        port.also_carries.push("lan1.2".into());
        assert_eq!(shared_port(&port).map(|c| c.verdict), Some(Warning));
        assert_eq!(neighbours(&BTreeMap::new()), None);
        let seen =
            BTreeMap::from([("qosify".to_owned(), BTreeSet::from(["lan1".to_owned(), "lan2".to_owned()]))]);
        assert_eq!(
            neighbours(&seen).map(|c| (c.verdict, c.finding)),
            Some((Ok, "qosify on lan1, lan2".to_owned()))
        );
    }
}
