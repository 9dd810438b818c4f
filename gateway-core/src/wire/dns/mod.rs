//! DNS messages (RFC 1035): what was asked, and which addresses the answer gave.
//!
//! Answers are read as far as they go: a record that is whole counts, whatever comes after it. Of the additional
//! section only multicast DNS is read; the OPT record of EDNS (RFC 6891) stands there and tells nothing that matters
//! here, since a reply code that it makes greater comes with no answers.

mod framing;
mod message;
mod name;
mod record;
mod service;

pub use framing::begins_message;
pub use message::{Answered, AnsweredAddr, Message, Question, read, read_multicast};
pub use name::MAX_POINTERS;
pub use record::{Record, RecordData, RecordType};
pub use service::Service;

#[cfg(test)]
pub(crate) use message::tests as samples;
