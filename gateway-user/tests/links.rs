//! Finding and following ports in network namespaces of their own, with a real kernel. Needs root.
#![allow(clippy::unwrap_used, reason = "tests panic on purpose")]

use gateway_user::links::{Discovery, Selection, discover, follow};
use std::future::Future;
use std::process::Command;
use std::time::Duration;
use tokio::sync::watch;

/// Long enough for a busy machine; reached only by a failure.
const AT_MOST: Duration = Duration::from_secs(20);

/// A network namespace with nothing in it; gone when dropped, also by a panic.
struct Namespace(String);

impl Namespace {
    fn new(name: &str) -> Self {
        let this = Self(format!("ttl-links-{name}-{}", std::process::id()));
        run("ip", &["netns", "add", &this.0]);
        this
    }

    /// Runs `ip` inside, one command a line.
    fn ip(&self, commands: &str) {
        for line in commands.lines().map(str::trim).filter(|l| !l.is_empty()) {
            let mut args = vec!["-n", &self.0];
            args.extend(line.split(' '));
            run("ip", &args);
        }
    }

    /// Like [`Self::ip`] for one command this kernel may not know.
    fn can_ip(&self, command: &str) -> bool {
        let output = Command::new("ip").args(["-n", &self.0]).args(command.split(' ')).output().unwrap();
        output.status.success()
    }

    /// Runs a future on a thread that has entered the namespace; sockets opened there belong to it.
    fn enter<T: Send + 'static, F: Future<Output = T>>(
        &self,
        work: impl FnOnce() -> F + Send + 'static,
    ) -> T {
        let path = format!("/var/run/netns/{}", self.0);
        let thread = std::thread::spawn(move || {
            let file = std::fs::File::open(path).unwrap();
            nix::sched::setns(file, nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(work())
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.0]).status();
    }
}

#[track_caller]
fn run(program: &str, args: &[&str]) {
    let output = Command::new(program).args(args).output().unwrap();
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn ports(discovery: &Discovery) -> Vec<String> {
    discovery.ports.iter().map(|p| format!("{}:{}", p.name, p.network)).collect()
}

/// Waits for a discovery that satisfies `wanted`; the kernel's messages wake it, nothing polls.
async fn wait_for(
    following: &mut watch::Receiver<Discovery>,
    what: &str,
    wanted: impl Fn(&Discovery) -> bool,
) -> Discovery {
    let found = tokio::time::timeout(AT_MOST, following.wait_for(|d| wanted(d))).await;
    let found = found.map(|end| end.expect("following goes on").clone());
    found.unwrap_or_else(|_| panic!("{what}: not seen; last was {:#?}", following.borrow()))
}

/// A bridge with two ports and a way out. The far ends of the veth pairs are in the same namespace.
const HOUSE: &str = "
    link set lo up
    link add br-lan type bridge
    link set br-lan address 02:00:00:00:00:01 up
    link add lan1 type veth peer name far1
    link add lan2 type veth peer name far2
    link set lan1 master br-lan up
    link set lan2 master br-lan up
    addr add 192.168.7.1/24 dev br-lan
    link add wan type veth peer name isp
    link set wan up
    link set isp up
    addr add 10.99.0.2/24 dev wan
    route add default via 10.99.0.1
";

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn a_house_is_understood() {
    let house = Namespace::new("house");
    house.ip(HOUSE);
    let found = house.enter(|| async { discover(&Selection::Auto).await.unwrap() });
    assert_eq!(ports(&found), ["lan1:br-lan", "lan2:br-lan"], "{found:#?}");
    for port in &found.ports {
        assert_eq!(port.gateway_macs.len(), 2, "{port:?}");
        assert!(port.gateway_macs.contains(&[2, 0, 0, 0, 0, 1]) && port.gateway_macs.contains(&port.mac));
    }
    let why_not = |name: &str| found.passed_over.iter().find(|(n, _)| n == name).unwrap().1.clone();
    assert_eq!(why_not("wan"), "is the way of the default route");
    assert_eq!(why_not("lo"), "is the loopback interface");

    let refusal = house
        .enter(|| async { discover(&Selection::Names(vec!["lan7".into()])).await.unwrap_err().to_string() });
    assert!(refusal.starts_with("no interface is called lan7; there are lo,"), "{refusal}");
    assert!(refusal.contains("br-lan"), "{refusal}");
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn ports_are_followed_as_they_come_and_go() {
    let house = Namespace::new("follow");
    house.ip(HOUSE);
    let name = house.0.clone();
    house.enter(move || async move {
        // The same namespace, by name: the one that owns it cleans it up.
        let house = std::mem::ManuallyDrop::new(Namespace(name));
        let mut following = follow(Selection::Auto).await.unwrap();
        assert_eq!(ports(&following.borrow()), ["lan1:br-lan", "lan2:br-lan"]);

        house.ip("link add phy0-ap0 type veth peer name far3\nlink set phy0-ap0 master br-lan up");
        let found = wait_for(&mut following, "a port came", |d| d.ports.len() == 3).await;
        let first = found.ports.iter().find(|p| p.name == "phy0-ap0").unwrap().index;

        house.ip("link del phy0-ap0");
        let found = wait_for(&mut following, "a port went", |d| d.ports.len() == 2).await;
        assert_eq!(ports(&found), ["lan1:br-lan", "lan2:br-lan"]);

        // A Wi-Fi reload: the same name is another interface.
        house.ip("link add phy0-ap0 type veth peer name far3\nlink set phy0-ap0 master br-lan up");
        let again = |d: &Discovery| d.ports.iter().any(|p| p.name == "phy0-ap0" && p.index != first);
        wait_for(&mut following, "the port came back", again).await;

        house.ip("link set lan2 nomaster");
        wait_for(&mut following, "a port left the bridge", |d| !d.ports.iter().any(|p| p.name == "lan2"))
            .await;

        house.ip("link set br-lan address 02:00:00:00:00:99");
        let has_new_mac = |d: &Discovery| d.gateway_macs().contains(&[2, 0, 0, 0, 0, 0x99]);
        let found = wait_for(&mut following, "the bridge got another MAC", has_new_mac).await;
        assert!(!found.gateway_macs().contains(&[2, 0, 0, 0, 0, 1]));

        house.ip("link add guest type veth peer name far4\nlink set guest up\naddr add fd77::1/64 dev guest");
        let has_guest = |d: &Discovery| ports(d).contains(&"guest:guest".to_owned());
        wait_for(&mut following, "a plain interface got an address", has_guest).await;

        house.ip("addr del fd77::1/64 dev guest");
        wait_for(&mut following, "it lost it", |d| !has_guest(d)).await;

        house.ip("route del default\nroute add default via 192.168.7.254");
        let is_turned = |d: &Discovery| ports(d).is_empty();
        let found = wait_for(&mut following, "the default route moved", is_turned).await;
        assert!(
            found.passed_over.iter().any(|(n, why)| n == "wan" && why.starts_with("was the way")),
            "{found:#?}"
        );
    });
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn a_named_interface_may_go_and_come_back() {
    let house = Namespace::new("named");
    house.ip(HOUSE);
    let name = house.0.clone();
    house.enter(move || async move {
        let house = std::mem::ManuallyDrop::new(Namespace(name));
        let mut following = follow(Selection::Names(vec!["lan1".into()])).await.unwrap();
        assert_eq!(ports(&following.borrow()), ["lan1:lan1"]);
        assert!(following.borrow().gateway_macs().contains(&[2, 0, 0, 0, 0, 1]), "the bridge above it");
        house.ip("link del lan1");
        let found = wait_for(&mut following, "it went", |d| d.ports.is_empty()).await;
        assert!(found.passed_over.iter().any(|(n, why)| n == "lan1" && why.contains("not there now")));
        house.ip("link add lan1 type veth peer name far1\nlink set lan1 up");
        wait_for(&mut following, "it came back", |d| ports(d) == ["lan1:lan1"]).await;
        assert!(follow(Selection::Names(vec!["lan8".into()])).await.is_err());
    });
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn what_is_stacked_on_a_port_is_counted_on_the_port() {
    let house = Namespace::new("stacked");
    house.ip("link add trunk type veth peer name far1
         link set trunk up
         link add virt link trunk type macvlan mode bridge
         link set virt address 02:00:00:00:00:77 up
         addr add 10.1.0.1/24 dev virt
         link add wan type veth peer name isp
         link set wan up
         addr add 10.99.0.2/24 dev wan
         route add default via 10.99.0.1");
    let found = house.enter(|| async { discover(&Selection::Auto).await.unwrap() });
    assert_eq!(ports(&found), ["trunk:virt"], "{found:#?}");
    assert!(found.ports[0].gateway_macs.contains(&[2, 0, 0, 0, 0, 0x77]));

    if !house.can_ip("link add link trunk name trunk.10 type vlan id 10") {
        eprintln!("this kernel has no VLAN devices: only the macvlan was tried");
        return;
    }
    house.ip("link set trunk.10 up\naddr add 10.2.0.1/24 dev trunk.10");
    let found = house.enter(|| async { discover(&Selection::Auto).await.unwrap() });
    assert_eq!(ports(&found), ["trunk:virt+trunk.10"], "{found:#?}");
    house.ip("addr add 10.3.0.2/24 dev trunk.10\nroute add default via 10.3.0.1 metric 7");
    let found = house.enter(|| async { discover(&Selection::Auto).await.unwrap() });
    assert_eq!(ports(&found), ["virt:virt"], "a trunk with the way out on it: {found:#?}");
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn a_storm_of_changes_ends_in_the_truth() {
    let house = Namespace::new("storm");
    house.ip(HOUSE);
    let name = house.0.clone();
    house.enter(move || async move {
        let house = std::mem::ManuallyDrop::new(Namespace(name));
        let mut following = follow(Selection::Auto).await.unwrap();
        // This thread does not read its socket meanwhile: the kernel's buffer fills, and overflows.
        let batch: String = (0..3000)
            .map(|i| format!("addr add 10.50.{}.{}/32 dev br-lan\n", i / 250, i % 250 + 1))
            .chain(["link set lan2 nomaster\n".to_owned()])
            .collect();
        let file = std::env::temp_dir().join(&house.0);
        std::fs::write(&file, batch).unwrap();
        run("ip", &["-n", &house.0, "-batch", file.to_str().unwrap()]);
        std::fs::remove_file(&file).unwrap();
        let sockets = std::fs::read_to_string("/proc/thread-self/net/netlink").unwrap();
        let lost: u64 =
            sockets.lines().skip(1).filter_map(|l| l.split_whitespace().nth(8)?.parse::<u64>().ok()).sum();
        assert!(lost > 0, "the storm was too weak to lose a message:\n{sockets}");
        wait_for(&mut following, "the last change", |d| ports(d) == ["lan1:br-lan"]).await;
    });
}
