//! What was counted, kept in SQLite. The only module that knows SQL; it knows nothing of packets.
//!
//! [`Writer`] belongs to one thread: the daemon's. [`Reader`] opens the same file read-only, from any process, at
//! any time. The schema, with what each column means, is `migrations/*.sql`.

mod answers;
mod append;
mod care;
mod column;
mod conditions;
mod devices;
mod forget;
mod ids;
mod late;
mod memory;
mod merging;
mod open;
mod reader;
mod registrations;
mod roll_up;
mod sightings;
mod sums;
mod told;
mod usual;
mod writer;

pub use answers::{KEPT_FOR_SECS, MAX_ANSWERS};
/// One field of a [`Sheet`].
pub use rusqlite::types::Value as Cell;

pub use care::{Rows, Sheet, Status, backup, vacuum};
pub use devices::{Contacted, KnownHostname};
pub use forget::{Forgotten, forget_device, forget_name};
pub use merging::Merged;
pub use reader::Reader;
pub use registrations::{KeptRegistration, Registrations};
pub use roll_up::{Grain, Ladder, Upkeep};
pub use sums::Before;
pub use writer::{Appended, Writer};
