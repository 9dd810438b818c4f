//! Finds the ports again whenever links, addresses or routes change.
//!
//! Messages are not read, only noticed: each means "look again". So nothing has to be buffered here, a burst
//! costs one look, and an overrun of the socket's buffer (`ENOBUFS`) is one more notice and no loss.

use super::{Discovery, Selection, check_named, decide, read_snapshot};
use anyhow::Context;
use rtnetlink::MulticastGroup;
use rtnetlink::sys::{AsyncSocket, AsyncSocketExt, SocketAddr, TokioSocket, protocols::NETLINK_ROUTE};
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
    let (sender, receiver) = watch::channel(decide(&snapshot, &selection));
    tokio::spawn(async move {
        tokio::select! {
            () = sender.closed() => {}
            error = look_again(&socket, &selection, &sender) => {
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

/// Runs until the socket fails.
async fn look_again(
    socket: &TokioSocket,
    selection: &Selection,
    sender: &watch::Sender<Discovery>,
) -> io::Error {
    let mut retry_at = None;
    loop {
        if let Err(error) = burst_is_over(socket, retry_at).await {
            return error;
        }
        retry_at = match read_snapshot().await {
            Ok(snapshot) => {
                let found = decide(&snapshot, selection);
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
