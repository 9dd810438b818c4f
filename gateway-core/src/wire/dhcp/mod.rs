//! DHCP: what a device calls itself, and which address it was given.

pub mod v4;
pub mod v6;
