//! Two namespaces, a wire between them, and hooks on the house's end of it.

use crate::bench::{Bench, Counts, Root, begin, options, read, roomy};
use aya::programs::{
    SchedClassifier, TcAttachType,
    tc::{NlOptions, TcAttachOptions},
};
use gateway_common::{KernelStat, map_name, protocol};
use gateway_core::units::BootTime;
use gateway_user::kernel::{Attachments, GracePeriod, HookKind, Kernel, Loaded};
use std::{
    fs::File,
    net::IpAddr,
    process::{Child, Command, Stdio},
    thread,
};

/// The house's end is called `lan`, has the gateway's address and is what is hooked; the phone's end is `phone`.
pub struct Wire {
    house: String,
    phone: String,
}

const BOTH_KINDS: [(bool, HookKind); 2] = [(false, HookKind::Tcx), (true, HookKind::Clsact)];

impl Wire {
    fn new(name: &str) -> Self {
        let wire = Self {
            house: format!("ttk-{name}-h-{}", std::process::id()),
            phone: format!("ttk-{name}-p-{}", std::process::id()),
        };
        for namespace in [&wire.house, &wire.phone] {
            run("ip", &["netns", "add", namespace]);
            // No router solicitations and the like: what is counted is what is sent here.
            run(
                "ip",
                &[
                    "netns",
                    "exec",
                    namespace,
                    "sysctl",
                    "-qw",
                    "net.ipv6.conf.default.autoconf=0",
                    "net.ipv6.conf.default.accept_ra=0",
                ],
            );
        }
        wire.plug_in(&[]);
        wire
    }

    /// Makes the two ends, with these arguments for the house's.
    fn plug_in(&self, extra: &[&str]) {
        let link = ["link", "add", "name", "lan", "address", "02:00:00:00:00:01", "mtu", "9000"];
        let peer = [
            "type",
            "veth",
            "peer",
            "name",
            "phone",
            "netns",
            &self.phone,
            "address",
            "7c:03:ab:01:02:03",
            "mtu",
            "9000",
        ];
        self.ip(&self.house, &[&link[..], extra, &peer].concat());
        for (namespace, device, address) in [(&self.house, "lan", "1"), (&self.phone, "phone", "2")] {
            self.ip(namespace, &["addr", "add", &format!("10.77.0.{address}/24"), "dev", device]);
            self.ip(namespace, &["addr", "add", &format!("fd77::{address}/64"), "dev", device, "nodad"]);
            self.ip(namespace, &["link", "set", device, "up"]);
        }
    }

    fn ip(&self, namespace: &str, args: &[&str]) {
        run("ip", &[&["-n", namespace], args].concat());
    }

    fn tc(&self, args: &str) -> String {
        run("tc", &[&["-n", self.house.as_str()][..], &args.split(' ').collect::<Vec<_>>()].concat())
    }

    /// Runs on a thread that has entered the namespace; sockets and look-ups by name there belong to it.
    fn enter<T: Send + 'static>(
        namespace: &str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> thread::JoinHandle<T> {
        let path = format!("/var/run/netns/{namespace}");
        thread::spawn(move || {
            nix::sched::setns(File::open(path).unwrap(), nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
            work()
        })
    }

    /// Runs in the phone's namespace.
    pub fn in_phone<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        Self::enter(&self.phone, work).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Sets something of both ends.
    pub fn each_end(&self, args: &[&str]) {
        for (namespace, device) in [(&self.house, "lan"), (&self.phone, "phone")] {
            self.ip(namespace, &[&["link", "set", "dev", device], args].concat());
        }
    }

    /// Takes all addresses from both ends.
    pub fn silence(&self) {
        for (namespace, device) in [(&self.house, "lan"), (&self.phone, "phone")] {
            self.ip(namespace, &["addr", "flush", "dev", device]);
            let quiet = format!("net.ipv6.conf.{device}.disable_ipv6=1");
            run("ip", &["netns", "exec", namespace, "sysctl", "-qw", &quiet]);
        }
    }

    /// Begins to ping the house from the phone.
    fn begin_pings(&self, more: &[&str]) -> Child {
        let ping = ["netns", "exec", &self.phone, "ping", "-q", "-i", "0.002", "-W", "5", "10.77.0.1"];
        Command::new("ip").args(ping).args(more).stdout(Stdio::piped()).spawn().unwrap()
    }

    fn ping(&self, count: u64) {
        assert_eq!(answered(self.begin_pings(&["-c", &count.to_string()])), count);
    }

    /// How many of our filters or links one hook has.
    fn hooks(&self, kind: HookKind, way: &str) -> usize {
        match kind {
            HookKind::Clsact => {
                let shown = self.tc(&format!("filter show dev lan {way}"));
                shown.lines().filter(|l| l.contains("handle 0x") && l.contains("telltale_")).count()
            }
            HookKind::Tcx => {
                let attach_type = if way == "ingress" { TcAttachType::Ingress } else { TcAttachType::Egress };
                let (_, programs) = SchedClassifier::query_tcx("lan", attach_type).unwrap();
                programs.len()
            }
        }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        for namespace in [&self.house, &self.phone] {
            let _ = Command::new("ip").args(["netns", "del", namespace]).status();
        }
    }
}

/// Waits for the pings to end. Every one must have been answered; how many were they?
fn answered(pings: Child) -> u64 {
    let output = pings.wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    // "20 packets transmitted, 20 received, 0% packet loss, time 38ms"
    let line = said.lines().find(|l| l.contains("packets transmitted")).unwrap_or_else(|| panic!("{said}"));
    let numbers: Vec<u64> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
    assert_eq!(numbers[0], numbers[1], "{said}");
    numbers[0]
}

#[track_caller]
fn run(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().unwrap();
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Runs the test's body in the house.
pub fn in_house(name: &str, body: impl FnOnce(&Wire) + Send + 'static) {
    let wire = Wire::new(name);
    let house = wire.house.clone();
    // The wire goes along, so that a panic takes it down too.
    Wire::enter(&house, move || body(&wire)).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

pub fn lan_index() -> u32 {
    nix::net::if_::if_nametoindex("lan").unwrap()
}

/// Up and down, packets and bytes of the pings.
fn pings((flows, _): &Counts) -> [u64; 4] {
    let pings: Vec<_> = flows.values().filter(|f| f.key.protocol == protocol::ICMP).collect();
    match pings[..] {
        [] => [0; 4],
        [flow] => {
            assert_eq!(flow.key.peer(), IpAddr::from([10, 77, 0, 1]));
            [flow.up_packets, flow.up_bytes, flow.down_packets, flow.down_bytes]
        }
        _ => panic!("all pings are one flow: {pings:?}"),
    }
}

/// What so many pings of 84 bytes are, and as many answers.
fn both_ways(count: u64) -> [u64; 4] {
    [count, count * 84, count, count * 84]
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn a_hooked_port_counts_exactly_what_passes() {
    for (is_tcx_off, kind) in BOTH_KINDS {
        in_house("count", move |wire| {
            let mut bench = Bench::new(&format!("count-{}", kind.word()));
            let mut attachments = Attachments::new(is_tcx_off);
            assert_eq!(attachments.attach(&mut bench.kernel, lan_index(), "lan").unwrap(), kind);
            assert!(attachments.has(lan_index()));
            wire.ping(20);
            assert_eq!(pings(&bench.drain()), both_ways(20));
            // Hooked twice is hooked once.
            attachments.attach(&mut bench.kernel, lan_index(), "lan").unwrap();
            assert_eq!((wire.hooks(kind, "ingress"), wire.hooks(kind, "egress")), (1, 1));
            wire.ping(20);
            assert_eq!(pings(&bench.drain()), both_ways(20));
            // Unhooked is not hooked, and pinned nowhere.
            let pins = bench.kernel.pins.clone();
            attachments.detach(&pins, lan_index()).expect("unhooked");
            assert!(!attachments.has(lan_index()));
            assert_eq!((wire.hooks(kind, "ingress"), wire.hooks(kind, "egress")), (0, 0));
            assert!(pins.links().unwrap().is_empty());
            // Neighbours may have asked for each other between the last drain and here.
            bench.drain();
            wire.ping(3);
            assert_eq!(bench.drain().1.get(KernelStat::SeenPackets), 0);
        });
    }
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn counting_outlives_the_daemon_and_the_next_one_takes_over_without_a_gap() {
    for (is_tcx_off, kind) in BOTH_KINDS {
        in_house("death", move |wire| {
            let root = Root::new(&format!("death-{}", kind.word()));
            let load = || Kernel::load(&root.pins(), &options(roomy(), true)).unwrap();
            let mut first = load().kernel;
            begin(&mut first.tables);
            let mut attachments = Attachments::new(is_tcx_off);
            attachments.attach(&mut first, lan_index(), "lan").unwrap();
            wire.ping(2);
            drop((first, attachments));
            wire.ping(3);
            // While these run, other daemons come and go.
            let running = wire.begin_pings(&[]);
            let mut last = None;
            for _ in 0..3 {
                drop(last.take());
                let Loaded { mut kernel, notes, .. } = load();
                assert!(notes.is_empty() && kernel.tables.is_begun().unwrap(), "{notes:?}");
                let mut attachments = Attachments::new(is_tcx_off);
                assert_eq!(attachments.attach(&mut kernel, lan_index(), "lan").unwrap(), kind);
                last = Some((kernel, attachments));
            }
            let process = nix::unistd::Pid::from_raw(running.id() as i32);
            nix::sys::signal::kill(process, nix::sys::signal::Signal::SIGINT).unwrap();
            let meanwhile = answered(running);
            assert!(meanwhile > 50, "{meanwhile} pings are too few to tell");
            assert_eq!((wire.hooks(kind, "ingress"), wire.hooks(kind, "egress")), (1, 1));
            let (mut kernel, mut attachments) = last.unwrap();
            let quiet = kernel.tables.flip(BootTime(2), 2).unwrap();
            GracePeriod::choose().unwrap().wait().unwrap();
            assert_eq!(pings(&read(&kernel.tables, quiet)), both_ways(5 + meanwhile));
            attachments.detach_all(&kernel.pins).expect("unhooked");
            assert_eq!((wire.hooks(kind, "ingress"), wire.hooks(kind, "egress")), (0, 0));
        });
    }
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn others_filters_go_on_behind_ours_and_stay_when_we_go() {
    for (is_tcx_off, kind) in BOTH_KINDS {
        in_house("foreign", move |wire| {
            wire.tc("qdisc add dev lan clsact");
            let mut foreign = Bench::new(&format!("foreign-{}", kind.word()));
            for (way, name) in [
                (TcAttachType::Ingress, map_name::PROGRAM_INGRESS),
                (TcAttachType::Egress, map_name::PROGRAM_EGRESS),
            ] {
                let program = foreign.kernel.program(name).unwrap();
                let behind = NlOptions { priority: 5, ..NlOptions::default() };
                let link = program.attach_with_options("lan", way, TcAttachOptions::Netlink(behind)).unwrap();
                // Stays until its interface goes.
                std::mem::forget(program.take_link(link).unwrap());
            }
            let mut bench = Bench::new(&format!("ours-{}", kind.word()));
            let mut attachments = Attachments::new(is_tcx_off);
            assert_eq!(attachments.attach(&mut bench.kernel, lan_index(), "lan").unwrap(), kind);
            wire.ping(10);
            assert_eq!(pings(&bench.drain()), both_ways(10));
            assert_eq!(pings(&foreign.drain()), both_ways(10));
            attachments.detach_all(&bench.kernel.pins).expect("unhooked");
            assert!(wire.tc("qdisc show dev lan").contains("clsact"), "not ours to delete");
            wire.ping(10);
            assert_eq!(pings(&foreign.drain()), both_ways(10));
            assert_eq!(pings(&bench.drain()), [0; 4]);
        });
    }
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn an_interface_may_go_and_come_back_under_its_name() {
    for (is_tcx_off, kind) in BOTH_KINDS {
        in_house("return", move |wire| {
            let mut bench = Bench::new(&format!("return-{}", kind.word()));
            let pins = bench.kernel.pins.clone();
            let mut attachments = Attachments::new(is_tcx_off);
            let first = lan_index();
            attachments.attach(&mut bench.kernel, first, "lan").unwrap();
            wire.ip(&wire.house, &["link", "del", "lan"]);
            assert!(attachments.attach(&mut bench.kernel, first, "lan").is_err(), "there is none now");
            attachments.detach(&pins, first).expect("unhooked");
            assert!(pins.links().unwrap().is_empty() && !attachments.has(first));
            wire.plug_in(&["index", "77"]);
            assert_eq!(attachments.attach(&mut bench.kernel, 77, "lan").unwrap(), kind);
            wire.ping(5);
            assert_eq!(pings(&bench.drain()), both_ways(5));
            // The same number too, and nobody noticed that it was gone.
            wire.ip(&wire.house, &["link", "del", "lan"]);
            wire.plug_in(&["index", "77"]);
            assert_eq!(attachments.attach(&mut bench.kernel, 77, "lan").unwrap(), kind);
            wire.ping(5);
            assert_eq!(pings(&bench.drain()), both_ways(5));
            assert_eq!((wire.hooks(kind, "ingress"), wire.hooks(kind, "egress")), (1, 1));
        });
    }
}
