//! The compiled kernel program, as bytes.

/// The object for this machine's byte order. `cargo xtask ebpf` makes it; the build script refuses one that is
/// older than its source.
#[cfg(target_endian = "little")]
pub const OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../gateway-ebpf/prebuilt/telltale.bpfel.o"
));

/// The object for this machine's byte order.
#[cfg(target_endian = "big")]
pub const OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../gateway-ebpf/prebuilt/telltale.bpfeb.o"
));
