//! From the linker's output to the object that is committed: the same bytes wherever it was built.
//!
//! Two things in a linked object differ from machine to machine: the names of local symbols, which carry a hash of
//! the compiler's own version, and paths. The first are replaced; the second never get in, and are looked for.

use super::toolchain::{Toolchain, llvm_program};
use anyhow::{Context as _, Result, ensure};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use xtask::tool;

/// Byte orders, as the names of the targets begin.
pub const TARGETS: [&str; 2] = ["bpfel", "bpfeb"];

/// Compiles and links one program of gateway-ebpf and returns the linked file.
///
/// # Errors
/// If it does not build; cargo's own messages go to the terminal.
pub fn link(toolchain: &Toolchain, program: &str, target: &str) -> Result<PathBuf> {
    let workspace = tool::workspace();
    let output = tool::target_directory().join("bpf");
    let mut cargo = toolchain.cargo();
    cargo.args(["build", "--quiet", "--locked", "--release", "-Z", "build-std=core", "--features", "bpf"]);
    cargo.args([
        "--package",
        "gateway-ebpf",
        "--bin",
        program,
        "--target",
        &format!("{target}-unknown-none"),
    ]);
    cargo.arg("--target-dir").arg(&output).current_dir(workspace);
    let flags = [
        // aya's macros make functions that cannot be documented.
        "-Amissing_docs".to_owned(),
        format!("-Clinker={}", toolchain.linker.display()),
        format!("--remap-path-prefix={}=/telltale", workspace.display()),
        format!("--remap-path-prefix={}=/cargo", cargo_home().display()),
    ];
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
    for (setting, value) in [
        ("LTO", "true"),
        ("PANIC", "abort"),
        ("OPT_LEVEL", "3"),
        ("CODEGEN_UNITS", "1"),
        ("STRIP", "false"),
        ("DEBUG", "false"),
    ] {
        cargo.env(format!("CARGO_PROFILE_RELEASE_{setting}"), value);
    }
    let status = cargo.status().context("start the pinned cargo")?;
    ensure!(status.success(), "{program} does not build for {target}: see cargo's message above");
    Ok(output.join(format!("{target}-unknown-none/release")).join(program))
}

/// The linked file as it is committed.
///
/// # Errors
/// If LLVM's tools fail, or a path of this machine is inside.
pub fn finish(linked: &Path) -> Result<Vec<u8>> {
    let renames = linked.with_extension("symbols");
    let finished = linked.with_extension("o");
    // The daemon's loader finds a subprogram by its symbol, so those stay, under names that the demangler gives:
    // without the hash. Other local symbols go.
    let mut lines = String::new();
    let mut objcopy = Command::new(llvm_program("llvm-objcopy"));
    objcopy.arg("--strip-unneeded");
    for (mangled, plain) in local_functions(linked)? {
        writeln!(lines, "{mangled} {plain}")?;
        // Symbols are renamed first.
        objcopy.arg(format!("--keep-symbol={plain}"));
    }
    std::fs::write(&renames, &lines).with_context(|| format!("write {}", renames.display()))?;
    objcopy.arg(format!("--redefine-syms={}", renames.display())).arg(linked).arg(&finished);
    tool::run(&mut objcopy)?;
    let kept = local_functions(&finished)?.len();
    ensure!(kept == lines.lines().count(), "{}: llvm-objcopy lost symbols of functions", finished.display());
    let bytes = std::fs::read(&finished).with_context(|| format!("read {}", finished.display()))?;
    for path in [tool::workspace(), &cargo_home(), Path::new("/usr/src")] {
        let path = path.as_os_str().as_encoded_bytes();
        ensure!(
            !bytes.windows(path.len()).any(|window| window == path),
            "{} has the path {} inside, so that another machine would make other bytes",
            finished.display(),
            String::from_utf8_lossy(path)
        );
    }
    Ok(bytes)
}

/// Mangled and plain names of the functions that only this object sees.
fn local_functions(linked: &Path) -> Result<Vec<(String, String)>> {
    let list = |demangle: &str| {
        let arguments = ["--format=posix", "--no-sort", demangle];
        tool::run(Command::new(llvm_program("llvm-nm")).args(arguments).arg(linked))
    };
    let (mangled, plain) = (list("--no-demangle")?, list("--demangle")?);
    Ok(mangled
        .lines()
        .zip(plain.lines())
        .filter_map(|(m, p)| local_function(m).zip(local_function(p)))
        .collect())
}

/// The name in a line of `llvm-nm --format=posix` (`name type address size`), if the type is `t`. Blanks in it, as
/// in `<A as B>::c`, become underscores: a rename file knows no quotes.
fn local_function(line: &str) -> Option<String> {
    let mut from_the_end = line.rsplitn(4, ' ');
    let (_size, _address) = (from_the_end.next()?, from_the_end.next()?);
    (from_the_end.next()? == "t").then_some(())?;
    Some(from_the_end.next()?.replace(' ', "_"))
}

fn cargo_home() -> PathBuf {
    let default = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cargo");
    std::env::var_os("CARGO_HOME").map_or_else(default, PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_functions_are_told_from_the_rest() {
        assert_eq!(local_function("tap::count::count_any t 10 20").as_deref(), Some("tap::count::count_any"));
        assert_eq!(local_function("<u8 as Clone>::clone t 10 20").as_deref(), Some("<u8_as_Clone>::clone"));
        for other in ["telltale_ingress T 0 1", "anon.0 r 0 1", "FAST D 0 1c", "t 0 1", ""] {
            assert_eq!(local_function(other), None, "{other}");
        }
    }
}
