//! What was counted, kept in SQLite. The only module that knows SQL; it knows nothing of packets.
//!
//! [`Writer`] belongs to one thread: the daemon's. [`Reader`] opens the same file read-only, from any process, at
//! any time. The schema, with what each column means, is `migrations/0001.sql`.

mod column;
mod ids;
mod late;
mod open;
mod reader;
mod sightings;
mod writer;

pub use reader::Reader;
pub use writer::{Appended, Writer};
