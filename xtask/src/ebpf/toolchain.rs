//! The compiler and linker that make the kernel objects: found on this machine, or installed.
//!
//! The versions are pinned, because the objects are committed and anybody must be able to make the same bytes.
//! Debian's compiler comes first. rustup's builds the objects as well, but has an older LLVM inside and so may choose
//! other registers: bytes are compared only between the same versions, which the record beside the objects tells.

use anyhow::{Context as _, Result};
use std::path::{Path, PathBuf};
use std::process::Command;
use xtask::need::{self, Need, Sign};
use xtask::tool;

/// The compiler. It must know the target's features of `core` that comes with it, so both are this version.
const RUSTC: &str = "1.96.0";
/// The linker.
const BPF_LINKER: &str = "0.13.0";
/// LLVM's major version: at least the one inside [`RUSTC`], or the linker cannot read what it wrote.
const LLVM: &str = "22";
/// Where Debian and apt.llvm.org keep that LLVM.
const LLVM_PREFIX: &str = "/usr/lib/llvm-22";

/// LLVM for the linker, and what compiles the linker.
const LINKER_NEEDS: [Need; 5] = [
    (Sign::File("/usr/lib/llvm-22/bin/llvm-config"), "llvm-22-dev"),
    (Sign::File("/usr/lib/llvm-22/lib/libPolly.a"), "libpolly-22-dev"),
    (Sign::File("/usr/include/zlib.h"), "zlib1g-dev"),
    (Sign::File("/usr/include/zstd.h"), "libzstd-dev"),
    (Sign::Program("g++"), "g++"),
];
/// Debian's compiler with the source of `core`, beside whatever rustup has.
const COMPILER_PACKAGES: [&str; 3] = ["rustc-web", "cargo-web", "rust-web-src"];

/// The pinned toolchain cannot be had here. Not a fault of the sources: a check that needs it is skipped.
#[derive(Debug)]
pub struct Unavailable(String);

impl std::fmt::Display for Unavailable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unavailable {}

/// A compiler of the pinned version, with the source of `core`.
#[derive(Debug)]
struct Compiler {
    rustc: PathBuf,
    cargo: PathBuf,
    /// With its packager, and the LLVM inside.
    version: String,
}

/// Everything that makes an object.
#[derive(Debug)]
pub struct Toolchain {
    compiler: Compiler,
    /// bpf-linker.
    pub linker: PathBuf,
    linker_version: String,
    llvm_version: String,
}

impl Toolchain {
    /// Finds the toolchain; installs what is missing of it, telling `say` first.
    ///
    /// # Errors
    /// [`Unavailable`] if it is not here and cannot be installed; the message says in one line what to do.
    pub fn find_or_install(say: &mut dyn FnMut(&str)) -> Result<Self> {
        let unavailable = |e: anyhow::Error| Unavailable(format!("{e:#}"));
        need::install(&need::missing(&LINKER_NEEDS), |m| say(m)).map_err(unavailable)?;
        let compiler = match Compiler::find() {
            Some(found) => found,
            None => Compiler::install(say).map_err(unavailable)?,
        };
        let linker = find_or_install_linker(say).map_err(unavailable)?;
        let linker_version = first_line(Command::new(&linker).arg("--version")).map_err(unavailable)?;
        let llvm_version =
            first_line(Command::new(llvm_program("llvm-config")).arg("--version")).map_err(unavailable)?;
        if !llvm_version.starts_with(&format!("{LLVM}.")) {
            return Err(Unavailable(format!(
                "{LLVM_PREFIX} has LLVM {llvm_version}: install LLVM {LLVM} there"
            ))
            .into());
        }
        Ok(Self { compiler, linker, linker_version, llvm_version })
    }

    /// A cargo of the pinned version that nothing in the caller's surroundings leads astray.
    pub fn cargo(&self) -> Command {
        let mut cargo = Command::new(&self.compiler.cargo);
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            let leads_astray = ["CARGO_BUILD_", "CARGO_PROFILE_", "CARGO_TARGET_", "RUSTC", "RUSTDOC"];
            let alone =
                ["CARGO", "CARGO_ENCODED_RUSTFLAGS", "CARGO_INCREMENTAL", "RUSTFLAGS", "LD_LIBRARY_PATH"];
            if leads_astray.iter().any(|prefix| text.starts_with(prefix)) || alone.contains(&&*text) {
                cargo.env_remove(&name);
            }
        }
        // `core` for a BPF target has to be built from source, which stable compilers allow only with this.
        cargo.env("RUSTC", &self.compiler.rustc).env("RUSTC_BOOTSTRAP", "1");
        cargo
    }

    /// The versions, in one line.
    pub fn versions(&self) -> String {
        let Self { compiler, linker: _, linker_version, llvm_version } = self;
        format!("{}; {linker_version} with LLVM {llvm_version}", compiler.version)
    }
}

/// A program of the pinned LLVM.
pub fn llvm_program(name: &str) -> PathBuf {
    Path::new(LLVM_PREFIX).join("bin").join(name)
}

impl Compiler {
    /// Debian's own, or rustup's.
    fn find() -> Option<Self> {
        let debian = Self::at(Path::new("/usr/bin/rustc"), Path::new("/usr/bin/cargo"));
        debian.or_else(|| {
            let which = |program| {
                let path = first_line(Command::new("rustup").args(["which", "--toolchain", RUSTC, program]));
                path.ok().map(PathBuf::from)
            };
            Self::at(&which("rustc")?, &which("cargo")?)
        })
    }

    /// The compiler at a place, if it is the pinned version and has the source of `core`.
    fn at(rustc: &Path, cargo: &Path) -> Option<Self> {
        let ask = |question: &[&str]| {
            let mut rustc = Command::new(rustc);
            tool::run(rustc.env_remove("LD_LIBRARY_PATH").args(question)).ok()
        };
        let answer = ask(&["--version", "--verbose"])?;
        let version = answer.lines().next()?;
        let llvm = answer.lines().find_map(|line| line.strip_prefix("LLVM version: "))?;
        if version.split(' ').nth(1) != Some(RUSTC) || !cargo.is_file() {
            return None;
        }
        let root = ask(&["--print", "sysroot"])?;
        let core = Path::new(root.trim_end()).join("lib/rustlib/src/rust/library/core/Cargo.toml");
        let version = format!("{version} with LLVM {llvm}");
        core.is_file().then(|| Self { rustc: rustc.to_owned(), cargo: cargo.to_owned(), version })
    }

    fn install(say: &mut dyn FnMut(&str)) -> Result<Self> {
        let what_to_do = || {
            format!(
                "rustc {RUSTC} with its library source is not here: run rustup toolchain install {RUSTC} --component rust-src"
            )
        };
        let by_apt = need::install(&COMPILER_PACKAGES, |m| say(m));
        if let (Ok(()), Some(found)) = (&by_apt, Self::find()) {
            return Ok(found);
        }
        say(&format!("installing rustc {RUSTC} with rustup"));
        let rustup = ["toolchain", "install", RUSTC, "--profile", "minimal", "--component", "rust-src"];
        tool::run(Command::new("rustup").args(rustup)).with_context(what_to_do)?;
        Self::find().with_context(what_to_do)
    }
}

/// Always this project's own, so that another version on the path does no harm.
fn find_or_install_linker(say: &mut dyn FnMut(&str)) -> Result<PathBuf> {
    let root = tool::target_directory().join("tools").join(format!("bpf-linker-{BPF_LINKER}"));
    let linker = root.join("bin/bpf-linker");
    if !linker.is_file() {
        say(&format!("building bpf-linker {BPF_LINKER} into {}", root.display()));
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut install = tool::command(cargo, ["install", "--quiet", "--locked", "bpf-linker"]);
        install.args(["--version", BPF_LINKER, "--no-default-features", "--features"]);
        install.arg(format!("llvm-{LLVM}")).arg("--root").arg(&root).env("LLVM_PREFIX", LLVM_PREFIX);
        tool::run(&mut install).context("build bpf-linker")?;
    }
    Ok(linker)
}

fn first_line(command: &mut Command) -> Result<String> {
    Ok(tool::run(command)?.lines().next().unwrap_or_default().to_owned())
}
