//! What one sample proves. Facts carry their moment; whether they are still true is for the books to judge.

use crate::row::DeviceFact;
use crate::units::{BootTime, Mac};
use crate::wire::dns::{Message, Question};
use core::net::Ipv4Addr;
use gateway_common::FlowKey;

/// Who asked the DNS.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Asker {
    /// The device.
    pub device: Mac,
    /// The IPv4 address it had in that conversation; `None` if that was over IPv6. Behind a repeater that
    /// translates MAC addresses several devices share one, and this tells them apart.
    pub ipv4: Option<Ipv4Addr>,
}

impl Asker {
    /// The device's end of a conversation.
    #[must_use]
    pub fn of(flow: &FlowKey) -> Self {
        Self { device: Mac(flow.device_mac()), ipv4: flow.device_ipv4() }
    }

    /// May both be one device? Those with the same MAC address are, unless their IPv4 addresses speak against it.
    #[must_use]
    pub fn may_be(&self, other: &Self) -> bool {
        let is_other_ipv4 = self.ipv4.zip(other.ipv4).is_some_and(|(mine, theirs)| mine != theirs);
        self.device == other.device && !is_other_ipv4
    }
}

/// A piece of a TCP stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment<'a> {
    /// In which conversation.
    pub flow: FlowKey,
    /// Is it from the device?
    pub is_up: bool,
    /// When it passed.
    pub at: BootTime,
    /// TCP sequence number of its first byte.
    pub seq: u32,
    /// Does the stream begin with it?
    pub is_first: bool,
    /// Its bytes, as many as were copied.
    pub payload: &'a [u8],
    /// Were there more, which were not copied?
    pub is_cut: bool,
}

/// What one sample proves.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fact<'a> {
    /// The device asks the DNS for addresses of a name.
    NameAsked {
        /// In which conversation.
        flow: FlowKey,
        /// When the question passed.
        at: BootTime,
        /// The question's number, which the answer repeats.
        id: u16,
        /// What it asks.
        question: Question,
    },
    /// Somebody answers the device in the DNS's name. Whether it had asked is for the books to judge.
    NameAnswered {
        /// In which conversation.
        flow: FlowKey,
        /// When the answer passed.
        at: BootTime,
        /// The number of the question.
        id: u16,
        /// The question, repeated.
        question: Question,
        /// The whole of it. What it teaches is worked out when it is believed.
        message: Message,
    },
    /// A piece of DNS over TCP.
    DnsSegment(Segment<'a>),
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
    /// A UDP datagram with which a device may open a QUIC conversation.
    QuicDatagram {
        /// In which conversation.
        flow: FlowKey,
        /// When it passed.
        at: BootTime,
        /// Its UDP payload, as much as was copied; several datagrams that an offload merged, one behind the other.
        payload: &'a [u8],
        /// Length of each of the merged datagrams; 0 if nothing was merged.
        segment_len: usize,
    },
    /// The first datagram of a UDP conversation that may show its protocol.
    Datagram {
        /// In which conversation.
        flow: FlowKey,
        /// When it passed.
        at: BootTime,
        /// Its UDP payload, as much as was copied.
        payload: &'a [u8],
    },
    /// A device told something of itself, or was given an address.
    DeviceSeen(DeviceFact),
}
