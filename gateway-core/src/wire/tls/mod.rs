//! The beginning of a TLS conversation (RFC 8446, RFC 6066): who the device says it wants to talk to.

mod client_hello;
mod record;

pub use client_hello::{ClientHello, read, read_bare};
pub use record::looks_like_hello;

#[cfg(test)]
pub(crate) use client_hello::tests as samples;
