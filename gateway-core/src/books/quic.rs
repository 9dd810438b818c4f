//! The beginnings of QUIC conversations: Initials decrypted, and their CRYPTO frames put together.
//!
//! A client's Initials have the keys of the connection ID that its first one was sent to (RFC 9001 §5.2). They keep
//! them when the server's own connection ID takes its place, and get new ones from the ID in a Retry. So a packet is
//! tried with the keys that are known, then as a first one; which it is, its tag tells.

use super::aged::{Aged, Limits};
use crate::application::Application;
use crate::decode::Stop;
use crate::row::{Evidence, Said};
use crate::units::BootTime;
use crate::wire::quic::{CryptoStream, Form, InitialKeys, InitialPacket, Opened, Version, crypto_frames};
use crate::wire::{WireError, quic, tls};
use gateway_common::FlowKey;

/// How many hellos of one device may be in pieces at once: a browser opens some dozens of conversations in one
/// breath.
pub const MAX_UNREAD_PER_DEVICE: usize = 64;
/// How many in all; with [`quic::MAX_CRYPTO_LEN`] some 2 MiB at worst.
pub const MAX_UNREAD: usize = 256;
/// Of how many conversations of one device whose hello was read the keys are kept, so that Initials that come after
/// it are known for what they are. One that is forgotten costs no name.
pub const MAX_READ_PER_DEVICE: usize = 128;
/// Of how many in all; some 200 KiB at worst.
pub const MAX_READ: usize = 512;
/// How old pieces and keys may be that are still kept at a drain. A client gives up after some ten seconds without an
/// answer, and samples of that moment may still be in a ring that lags.
pub const KEPT_SECS: u64 = 60;

/// How many Initials of one datagram are opened. A client sends one or two; each costs keys to be tried.
pub const MAX_INITIALS: usize = 4;

const SECOND: u64 = 1_000_000_000;
/// The protocol that a client offers for DNS over QUIC (RFC 9250 §4.1.1).
const DOQ: &[u8] = b"doq";

/// QUIC conversations whose hello is not whole yet, and the keys of some whose hello was read.
#[derive(Clone, Debug)]
pub struct QuicBook {
    unread: Aged<FlowKey, Beginning>,
    read: Aged<FlowKey, Past>,
    /// Conversations given up: for want of room, or because the rest did not come in time.
    pub unfinished: u64,
}

impl Default for QuicBook {
    fn default() -> Self {
        let unread = Limits { per_device: MAX_UNREAD_PER_DEVICE, in_all: MAX_UNREAD };
        let read = Limits { per_device: MAX_READ_PER_DEVICE, in_all: MAX_READ };
        Self { unread: Aged::new(unread), read: Aged::new(read), unfinished: 0 }
    }
}

/// A hello in pieces.
#[derive(Clone, Debug)]
struct Beginning {
    began_at: BootTime,
    client: Client,
    hello: CryptoStream,
    /// Was a name told already, from its first part?
    is_told: bool,
    /// Did its sender send two different bytes for one place, or frames that no Initial may have?
    is_unsound: bool,
    /// What the client had before a Retry, or in another conversation over the same ports.
    before: Option<Client>,
}

/// What is kept of a conversation whose hello was read: the keys, which anybody could make who saw its first packet.
#[derive(Clone, Debug)]
struct Past {
    read_at: BootTime,
    client: Client,
    before: Option<Client>,
}

/// What opens the Initials of a client.
#[derive(Clone, Debug)]
struct Client {
    keys: InitialKeys,
    /// The number that follows the largest one seen. Numbers may begin anywhere, and only their ends are sent once
    /// the server has acknowledged some.
    expected: u64,
}

/// What an Initial adds.
enum Added {
    /// A piece of a hello, perhaps.
    Piece,
    /// Nothing: it belongs to what was read or replaced.
    Nothing,
}

impl QuicBook {
    /// Enters a datagram that a device sends. `Some`: what the datagrams so far say; later ones may say more.
    ///
    /// # Errors
    /// [`Stop`] if it is no Initial that can be read.
    pub fn learn_datagram(
        &mut self,
        flow: FlowKey,
        at: BootTime,
        datagram: &[u8],
    ) -> Result<Option<Said>, Stop> {
        match quic::form(datagram)? {
            Form::Other => return Ok(None),
            Form::Google => return Ok(Some(Said::nobody(Application::GoogleQuic, at))),
            // It will be refused, and another version tried.
            Form::Long(version) if version.is_greased() || version == Version::NEGOTIATION => {
                return Ok(None);
            }
            Form::Long(version) if version.protection().is_none() => return Err(Stop::UnreadKind),
            Form::Long(_) => {}
        }
        let mut beginning = self.unread.remove(&flow);
        let (mut has_piece, mut ended) = (false, Ok(()));
        for initial in quic::initials(datagram).take(MAX_INITIALS) {
            let added = initial.map_err(Stop::from).and_then(|i| self.add(&mut beginning, &flow, at, &i));
            match added {
                Ok(Added::Piece) => has_piece = true,
                Ok(Added::Nothing) => {}
                // What follows it is not tried: a sender whose packets cannot be opened must not cost much.
                Err(stop) => {
                    ended = Err(stop);
                    break;
                }
            }
        }
        let Some(beginning) = beginning else { return ended.map(|()| None) };
        if beginning.is_unsound {
            return self.take_back(flow, at, beginning).map_or(ended.map(|()| None), |said| Ok(Some(said)));
        }
        if !has_piece {
            self.keep(flow, beginning);
            return ended.map(|()| None);
        }
        let said = self.read_hello(flow, at, beginning)?;
        if said.is_some() { Ok(said) } else { ended.map(|()| None) }
    }

    /// Lets go of conversations whose rest did not come, and counts them.
    pub fn give_up(&mut self, now: BootTime) {
        let is_over = |since: BootTime| now.since(since) > KEPT_SECS.saturating_mul(SECOND);
        let given_up = self.unread.remove_where(|beginning| is_over(beginning.began_at));
        self.unfinished = self.unfinished.saturating_add(given_up);
        self.read.remove_where(|past| is_over(past.read_at));
    }

    /// Ends a hello that is not to be believed. `Some`: what it was named by before is taken back.
    fn take_back(&mut self, flow: FlowKey, at: BootTime, beginning: Beginning) -> Option<Said> {
        let Beginning { began_at, client, before, is_told, .. } = beginning;
        self.read.insert(flow, Past { read_at: at, client, before });
        is_told.then(|| Said::nobody(Application::Quic, began_at))
    }

    fn keep(&mut self, flow: FlowKey, beginning: Beginning) {
        self.unfinished = self.unfinished.saturating_add(self.unread.insert(flow, beginning));
    }

    /// Opens an Initial, with three sets of keys at most, and adds its pieces to the hello they belong to.
    fn add(
        &mut self,
        beginning: &mut Option<Beginning>,
        flow: &FlowKey,
        at: BootTime,
        initial: &InitialPacket<'_>,
    ) -> Result<Added, Stop> {
        if let Some(known) = beginning {
            if let Some(opened) = known.client.open(initial) {
                return known.add(&opened);
            }
            if known.client.keys.dcid() == initial.dcid {
                return Err(Stop::Malformed);
            }
            if known.before.as_mut().is_some_and(|before| before.has_sent(initial)) {
                return Ok(Added::Nothing);
            }
        } else if let Some(Past { client, before, .. }) = self.read.get_mut(flow)
            && (client.has_sent(initial) || before.as_mut().is_some_and(|before| before.has_sent(initial)))
        {
            return Ok(Added::Nothing);
        }
        let (client, opened) = Client::open_first(initial).ok_or(Stop::Malformed)?;
        let hello = CryptoStream::default();
        let mut new =
            Beginning { began_at: at, client, hello, is_told: false, is_unsound: false, before: None };
        let added = new.add(&opened)?;
        new.before = self.replaced(beginning.take(), flow, initial.has_token);
        *beginning = Some(new);
        Ok(added)
    }

    /// What opens what went over these ports until now. A hello in pieces comes anew after a Retry, with its token.
    /// Without one it is another conversation, and the rest of the old one will not come.
    fn replaced(&mut self, old: Option<Beginning>, flow: &FlowKey, has_token: bool) -> Option<Client> {
        if let Some(old) = old {
            self.unfinished = self.unfinished.saturating_add(u64::from(!has_token));
            return Some(old.client);
        }
        self.read.remove(flow).map(|past| past.client)
    }

    /// Reads as much of a hello as is there, and keeps what is needed further.
    fn read_hello(
        &mut self,
        flow: FlowKey,
        at: BootTime,
        mut beginning: Beginning,
    ) -> Result<Option<Said>, Stop> {
        let (hello, ended) = tls::read_bare(beginning.hello.beginning());
        let began_at = beginning.began_at;
        match ended {
            Err(WireError::Truncated { .. }) => {
                beginning.is_told |= hello.server_name.is_some();
                self.keep(flow, beginning);
            }
            Err(WireError::Malformed { .. }) => {
                return self.take_back(flow, at, beginning).map(Some).ok_or(Stop::Malformed);
            }
            Ok(()) => {
                let Beginning { client, before, .. } = beginning;
                self.read.insert(flow, Past { read_at: at, client, before });
            }
        }
        let application =
            if hello.alpn.iter().any(|name| name == DOQ) { Application::Doq } else { Application::Quic };
        let said = match hello.server_name {
            Some(name) => Said {
                name: Some(name),
                evidence: Evidence::QuicSni,
                is_outer: hello.has_ech,
                ..Said::nobody(application, began_at)
            },
            None => Said::nobody(application, began_at),
        };
        // The name, or word that it is an outer one only, may be still to come.
        Ok((ended.is_ok() || said.name.is_some()).then_some(said))
    }
}

impl Beginning {
    /// Adds the pieces that a packet carries.
    fn add(&mut self, opened: &Opened) -> Result<Added, Stop> {
        let frames = crypto_frames(&opened.payload).inspect_err(|_| self.is_unsound = true)?;
        for frame in &frames {
            self.hello.add(frame.offset, frame.data).inspect_err(|_| self.is_unsound = true)?;
        }
        Ok(if frames.is_empty() { Added::Nothing } else { Added::Piece })
    }
}

impl Client {
    /// Opens a packet as the first of its connection.
    fn open_first(initial: &InitialPacket<'_>) -> Option<(Self, Opened)> {
        let mut client =
            Self { keys: InitialKeys::of_client(initial.protection, initial.dcid)?, expected: 0 };
        let opened = client.open(initial)?;
        Some((client, opened))
    }

    /// Opens a packet with these keys, or with those that their connection ID has in the packet's version: the two
    /// ends may agree on another one on the way (RFC 9369 §4).
    fn open(&mut self, initial: &InitialPacket<'_>) -> Option<Opened> {
        let other = if self.keys.protection() == initial.protection {
            None
        } else {
            Some(InitialKeys::of_client(initial.protection, self.keys.dcid())?)
        };
        let opened = other.as_ref().unwrap_or(&self.keys).open(initial, self.expected)?;
        if let Some(other) = other {
            self.keys = other;
        }
        self.expected = self.expected.max(opened.packet_number.saturating_add(1));
        Some(opened)
    }

    /// Is this a packet of a client whose packets add nothing any more? One sent to the connection ID that the keys
    /// come from need not be opened to tell.
    fn has_sent(&mut self, initial: &InitialPacket<'_>) -> bool {
        self.keys.dcid() == initial.dcid || self.open(initial).is_some()
    }
}

#[cfg(test)]
mod tests;
