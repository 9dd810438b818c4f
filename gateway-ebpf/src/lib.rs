//! The safe half of the kernel program: what a packet is, and whether its head is worth copying.
//!
//! Compiled twice: into the kernel object, where [`PacketBytes`] is checked packet memory, and into the host,
//! where it is a slice. So captures are read by the very code that counts on the gateway, and every rule here is
//! tested without a kernel. No maps, no helpers, no `unsafe`; names are never parsed here.
#![no_std]
#![forbid(unsafe_code)]

mod bytes;
mod datagram;
mod headers;
mod hello;
mod layers;
mod quick;
mod table;
mod worth;

pub use bytes::{PacketBytes, Window};
pub use headers::{Frame, OtherEnd, Outcome, Packet, other_end, read_packet};
pub use quick::{IPV4_HEAD, IPV6_HEAD, other_mac, read_quick_ipv4, read_quick_ipv6};
pub use table::{count_into, fresh};
pub use worth::{Verdict, is_sought, names_sample, worth};
