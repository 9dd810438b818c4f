//! What we believe, and since when. Every book is bounded, per device and in all, so that no device can push out
//! what is known of another for long; the oldest leaves, and is counted. Books know no wire format and no row.

mod aged;
mod aliases;
mod conversations;
mod devices;
mod dns_streams;
mod hellos;
mod names;
mod questions;
mod quic;
mod said;

pub use aliases::AliasesBook;
pub use conversations::{Conversation, ConversationsBook};
pub use devices::{DevicesBook, hostname_rank};
pub use dns_streams::DnsStreamsBook;
pub use hellos::HellosBook;
pub use names::{Asked, MAX_ADDRS_PER_DEVICE, NamesBook, Vouched};
pub use questions::{MAX_QUESTIONS_PER_DEVICE, QuestionsBook, Verdict};
pub use quic::QuicBook;
pub use said::SaidBook;
