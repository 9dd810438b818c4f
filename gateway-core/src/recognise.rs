//! Which protocol a conversation speaks, from what it said, its ports and its peer.

use crate::application::Application;
use crate::row::Said;
use crate::units::{BootTime, DomainName};
use gateway_common::FlowKey;

/// The conversation's protocol. `spoken` is what its first bytes showed.
#[must_use]
pub fn application(_flow: &FlowKey, spoken: Application, _name: Option<&DomainName>) -> Application {
    spoken
}

/// What the first datagram of a conversation shows.
#[must_use]
pub fn datagram(_payload: &[u8], _at: BootTime) -> Option<Said> {
    None
}
