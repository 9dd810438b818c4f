//! Refuses kernel objects that are older than their source. Needs no BPF toolchain: the objects are committed.

#[path = "../gateway-ebpf/fingerprint.rs"]
mod fingerprint;

use std::path::Path;

fn main() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let workspace = here.parent().unwrap_or(here);
    let watched = fingerprint::SOURCES.iter().chain([&fingerprint::PREBUILT, &"gateway-ebpf/fingerprint.rs"]);
    for path in watched {
        println!("cargo::rerun-if-changed={}", workspace.join(path).display());
    }
    match fingerprint::is_fresh(workspace) {
        Ok(true) => {}
        Ok(false) => {
            println!("cargo::error=the kernel objects are older than their source: run cargo xtask ebpf");
        }
        Err(e) => println!("cargo::error=the kernel objects cannot be compared with their source: {e}"),
    }
}
