//! What one sample proves. Facts carry their moment; whether they are still true is for the books to judge.

use crate::row::DeviceFact;
use crate::units::{BootTime, Mac};
use crate::wire::dns::Answered;
use gateway_common::FlowKey;

/// What one sample proves.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fact<'a> {
    /// The DNS told this device which addresses a name has.
    NameAnswered {
        /// Who asked.
        device: Mac,
        /// When the answer passed.
        at: BootTime,
        /// The answer.
        answered: Answered,
    },
    /// A piece of what a device sends when it opens a TCP conversation: of a TLS hello, or of an HTTP request.
    OpeningSegment {
        /// In which conversation.
        flow: FlowKey,
        /// When it passed.
        at: BootTime,
        /// TCP sequence number of its first byte.
        seq: u32,
        /// Its bytes, as many as were copied.
        payload: &'a [u8],
    },
    /// A device told something of itself, or was given an address.
    DeviceSeen(DeviceFact),
}
