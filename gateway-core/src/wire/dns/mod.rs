//! DNS messages (RFC 1035): what was asked, and which addresses the answer gave.

mod message;
mod name;
mod record;

pub use message::{Answered, Message, read};
pub use name::MAX_POINTERS;
pub use record::{Record, RecordData};

#[cfg(test)]
pub(crate) use message::tests as samples;
