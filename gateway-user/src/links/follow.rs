//! Finds the ports again whenever links, addresses or routes change.
//!
//! Messages are not read, only noticed: each means "look again". So nothing has to be buffered here, a burst
//! costs one look, and an overrun of the socket's buffer (`ENOBUFS`) is one more notice and no loss.

use super::{Discovery, Link, Selection, Snapshot, check_named, decide, read_snapshot};
use anyhow::Context;
use rtnetlink::MulticastGroup;
use rtnetlink::sys::{AsyncSocket, AsyncSocketExt, SocketAddr, TokioSocket, protocols::NETLINK_ROUTE};
use std::collections::BTreeSet;
use std::io;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

/// After the last message of a burst, how long to wait for another: a Wi-Fi reload sends dozens.
const QUIET_FOR: Duration = Duration::from_millis(100);
/// After the first message of a burst, how long to wait at most: routes may flap without a pause.
const LOOK_WITHIN: Duration = Duration::from_secs(1);
/// After a failed look, when to try again by itself.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// How often to look again at most while ports come and go from one look to the next; the next message wakes us anyway.
const MAX_LOOKS: usize = 5;
/// What is told of: links, addresses and routes of both families.
const GROUPS: [MulticastGroup; 5] = [
    MulticastGroup::Link,
    MulticastGroup::Ipv4Ifaddr,
    MulticastGroup::Ipv6Ifaddr,
    MulticastGroup::Ipv4Route,
    MulticastGroup::Ipv6Route,
];

/// Finds the ports and keeps finding them. The receiver holds the newest discovery from the start; `changed()`
/// resolves when it differs from the one before, and fails when following has ended, which the log explains.
/// Dropping the receiver ends it. Needs a tokio runtime with I/O and time.
///
/// A named interface must be there at the start; later it may go and come back.
///
/// # Errors
/// As [`super::discover`].
pub async fn follow(selection: Selection) -> anyhow::Result<watch::Receiver<Discovery>> {
    // Subscribed before the first look, so that no change falls between the two.
    let socket = subscribe().context("subscribe to changes of the network interfaces")?;
    let snapshot = read_snapshot().await?;
    check_named(&snapshot, &selection)?;
    let mut looker = Looker { selection, ways_out: BTreeSet::new() };
    let first = looker.decide(snapshot);
    let (sender, receiver) = watch::channel(confirmed(&first, &mut looker).await?);
    tokio::spawn(async move {
        tokio::select! {
            () = sender.closed() => {}
            error = look_again(&socket, &mut looker, &sender) => {
                tracing::error!("no longer following the network interfaces: {error}");
            }
        }
    });
    Ok(receiver)
}

fn subscribe() -> io::Result<TokioSocket> {
    let mut socket = TokioSocket::new(NETLINK_ROUTE)?;
    let groups = GROUPS.iter().fold(0, |mask, group| mask | 1 << (*group as u32 - 1));
    socket.socket_mut().bind(&SocketAddr::new(0, groups))?;
    Ok(socket)
}

/// Looks, and remembers which interfaces were ways out: when the line to the provider is down, its interface is no
/// LAN for that.
struct Looker {
    selection: Selection,
    /// By name, for an interface that went and came back has another index.
    ways_out: BTreeSet<String>,
}

/// One look.
trait Look {
    fn look(&mut self) -> impl Future<Output = anyhow::Result<Discovery>> + Send;
}

impl Look for Looker {
    async fn look(&mut self) -> anyhow::Result<Discovery> {
        Ok(self.decide(read_snapshot().await?))
    }
}

impl Looker {
    fn decide(&mut self, mut snapshot: Snapshot) -> Discovery {
        let names = snapshot.way_out.iter().filter_map(|index| snapshot.links.get(index));
        self.ways_out.extend(names.map(|link| link.name.clone()));
        let is_earlier = |link: &&Link| self.ways_out.contains(&link.name);
        snapshot.earlier_way_out =
            snapshot.links.values().filter(is_earlier).map(|link| link.index).collect();
        decide(&snapshot, &self.selection)
    }
}

/// Looks, and if a known port is missing looks again at once, until it is missing twice in a row: links, addresses
/// and routes are listed one after the other, and what changes meanwhile may be in none of the lists.
async fn confirmed(known: &Discovery, looker: &mut impl Look) -> anyhow::Result<Discovery> {
    let missing = |found: &Discovery| -> BTreeSet<u32> {
        let found: BTreeSet<u32> = found.ports.iter().map(|port| port.index).collect();
        known.ports.iter().map(|port| port.index).filter(|index| !found.contains(index)).collect()
    };
    let mut found = looker.look().await?;
    let mut was_missing = missing(&found);
    for _ in 0..MAX_LOOKS {
        if was_missing.is_empty() {
            break;
        }
        found = looker.look().await?;
        let is_missing = missing(&found);
        if is_missing.is_subset(&was_missing) {
            break;
        }
        was_missing = is_missing;
    }
    Ok(found)
}

/// Runs until the socket fails.
async fn look_again(
    socket: &TokioSocket,
    looker: &mut Looker,
    sender: &watch::Sender<Discovery>,
) -> io::Error {
    let mut retry_at = None;
    loop {
        if let Err(error) = burst_is_over(socket, retry_at).await {
            return error;
        }
        let known = sender.borrow().clone();
        retry_at = match confirmed(&known, looker).await {
            Ok(found) => {
                sender.send_if_modified(|known| {
                    let has_changed = *known != found;
                    *known = found;
                    has_changed
                });
                None
            }
            Err(error) => {
                tracing::warn!("could not look at the network interfaces, will try again: {error:#}");
                Some(Instant::now() + RETRY_AFTER)
            }
        };
    }
}

/// Waits for a message, or until `retry_at`, and then until the messages pause.
async fn burst_is_over(socket: &TokioSocket, retry_at: Option<Instant>) -> io::Result<()> {
    match retry_at {
        None => notice(socket).await?,
        Some(at) => match timeout_at(at, notice(socket)).await {
            Ok(noticed) => noticed?,
            Err(_) => return Ok(()),
        },
    }
    let look_at = Instant::now() + LOOK_WITHIN;
    loop {
        let quiet_at = Instant::now() + QUIET_FOR;
        if quiet_at >= look_at {
            return Ok(());
        }
        match timeout_at(quiet_at, notice(socket)).await {
            Ok(noticed) => noticed?,
            Err(_) => return Ok(()),
        }
    }
}

/// One message came, or messages were lost: either way something has changed.
async fn notice(socket: &TokioSocket) -> io::Result<()> {
    // The kernel cuts the message to this; nobody reads it.
    let mut unread = Vec::with_capacity(64);
    match socket.recv(&mut unread).await {
        Err(error) if error.raw_os_error() != Some(nix::libc::ENOBUFS) => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic on purpose")]
    use super::*;
    use crate::links::{LinkKind, Port};

    fn discovery(indices: &[u32]) -> Discovery {
        let port = |index: &u32| Port {
            index: *index,
            name: String::new(),
            mac: [2; 6],
            gateway_macs: Vec::new(),
            network: String::new(),
            also_carries: Vec::new(),
            why: String::new(),
        };
        Discovery { ports: indices.iter().map(port).collect(), ..Discovery::default() }
    }

    /// Ports known and those of each look → what is believed, and how many looks that took.
    #[track_caller]
    fn check(known: &[u32], looks: &[&[u32]], believed: &[u32], taken: usize) {
        struct Script<'a>(std::slice::Iter<'a, &'a [u32]>);
        impl Look for Script<'_> {
            async fn look(&mut self) -> anyhow::Result<Discovery> {
                Ok(discovery(self.0.next().expect("no look more than needed")))
            }
        }
        let mut script = Script(looks.iter());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let found = runtime.block_on(confirmed(&discovery(known), &mut script)).unwrap();
        assert_eq!((found, looks.len() - script.0.len()), (discovery(believed), taken));
    }

    #[test]
    fn a_port_is_gone_when_it_is_missing_twice() {
        check(&[1, 2], &[&[1, 2]], &[1, 2], 1);
        check(&[1], &[&[1, 2]], &[1, 2], 1);
        check(&[1, 2], &[&[1], &[1, 2]], &[1, 2], 2);
        check(&[1, 2], &[&[1], &[1]], &[1], 2);
        check(&[1, 2], &[&[1], &[2], &[2]], &[2], 3);
    }

    #[test]
    fn the_line_to_the_provider_is_remembered_by_name() {
        let link = |index, name: &str| Link {
            index,
            name: name.to_owned(),
            kind: LinkKind::Plain,
            is_up: true,
            is_loopback: false,
            mac: Some([2, 0, 0, 0, 0, 7]),
            lower: None,
            controller: None,
        };
        let snapshot = |wan, way_out: &[u32]| Snapshot {
            links: [(1, link(1, "lan")), (wan, link(wan, "wan"))].into(),
            addrs: vec![(1, "10.0.0.1/24".parse().unwrap()), (wan, "192.168.2.9/24".parse().unwrap())],
            way_out: way_out.iter().copied().collect(),
            ..Snapshot::default()
        };
        let mut looker = Looker { selection: Selection::Auto, ways_out: BTreeSet::new() };
        let names = |found: Discovery| found.ports.into_iter().map(|p| p.name).collect::<Vec<_>>();
        assert!(names(looker.decide(snapshot(2, &[]))).is_empty(), "nobody knows which is which");
        assert_eq!(names(looker.decide(snapshot(2, &[2]))), ["lan"]);
        assert_eq!(names(looker.decide(snapshot(2, &[]))), ["lan"]);
        assert_eq!(names(looker.decide(snapshot(5, &[]))), ["lan"]);
    }
}
