//! The beginnings of QUIC conversations: Initials decrypted, and their CRYPTO frames put together.

use crate::decode::Stop;
use crate::row::Said;
use crate::units::BootTime;
use gateway_common::FlowKey;

/// QUIC conversations whose hello is not whole yet.
#[derive(Clone, Debug, Default)]
pub struct QuicBook {
    /// Conversations given up: for want of room, or because the rest did not come in time.
    pub unfinished: u64,
}

impl QuicBook {
    /// Enters a datagram that a device sends. `Some`: what the datagrams so far say; later ones may say more.
    ///
    /// # Errors
    /// [`Stop`] if it is no Initial that can be read.
    pub fn learn_datagram(
        &mut self,
        _flow: FlowKey,
        _at: BootTime,
        _datagram: &[u8],
    ) -> Result<Option<Said>, Stop> {
        Err(Stop::UnreadKind)
    }

    /// Lets go of conversations whose rest did not come, and counts them.
    pub fn give_up(&mut self, _now: BootTime) {}
}
