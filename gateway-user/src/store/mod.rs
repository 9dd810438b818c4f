//! What was counted, kept in SQLite. The only module that knows SQL; it knows nothing of packets.
//!
//! [`Writer`] belongs to one thread: the daemon's. [`Reader`] opens the same file read-only, from any process, at
//! any time. The schema, with what each column means, is `migrations/*.sql`.

mod answers;
mod column;
mod devices;
mod ids;
mod late;
mod memory;
mod merging;
mod open;
mod reader;
mod registrations;
mod sightings;
mod told;
mod writer;

pub use answers::{KEPT_FOR_SECS, MAX_ANSWERS};
pub use devices::{Contacted, KnownHostname};
pub use merging::Merged;
pub use reader::Reader;
pub use registrations::{KeptRegistration, Registrations};
pub use writer::{Appended, Writer};
