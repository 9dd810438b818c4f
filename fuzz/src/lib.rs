//! What must hold whatever the bytes are: one function per reader of strangers' bytes, one for the whole pipeline.
//!
//! The fuzzer calls them with what it invents (`cargo +nightly fuzz run NAME`), the plain test
//! `gateway-user/tests/hostile.rs` with the inputs that are kept in `corpus/NAME/`.

mod input;
mod readers;
#[path = "../../gateway-core/src/decode/samples.rs"]
mod samples;
#[path = "../../gateway-core/src/wire/quic/samples.rs"]
mod sealed;
mod whole;

pub use readers::{datagram, dhcp, dns, http, openings, packet, quic, tls};
pub use whole::{capture, pipeline, sample};

/// A target: what must hold of any bytes.
pub type Target = fn(&[u8]);

/// Every target by the name of its corpus.
pub const TARGETS: [(&str, Target); 11] = [
    ("capture", capture),
    ("datagram", datagram),
    ("dhcp", dhcp),
    ("dns", dns),
    ("http", http),
    ("openings", openings),
    ("packet", packet),
    ("pipeline", pipeline),
    ("quic", quic),
    ("sample", sample),
    ("tls", tls),
];
