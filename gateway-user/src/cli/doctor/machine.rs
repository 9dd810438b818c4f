//! Kernel and privileges: is what the kernel program needs there, and may we use it?

use super::check::Check;
use aya::maps::MapType;
use aya::programs::{ProgramError, ProgramType};
use aya::sys::{SyscallError, is_map_supported, is_program_supported};
use aya::util::KernelVersion;
use flate2::read::GzDecoder;
use nix::errno::Errno;
use std::io::Read;

/// The oldest kernel that is supported and tested; ring buffers came with 5.8.
const OLDEST_KERNEL: KernelVersion = KernelVersion::new(5, 10, 0);
/// Since then maps are charged to the control group's memory and not to `RLIMIT_MEMLOCK`.
const NO_MEMLOCK_SINCE: KernelVersion = KernelVersion::new(5, 11, 0);
/// The first with tcx.
const TCX_SINCE: KernelVersion = KernelVersion::new(6, 6, 0);
/// What all tables together may take on a kernel that charges them to `RLIMIT_MEMLOCK`.
const MEMLOCK_BYTES: u64 = 64 << 20;

/// Bits of the capability sets (`linux/capability.h`).
const CAP_NET_ADMIN: u64 = 1 << 12;
const CAP_SYS_ADMIN: u64 = 1 << 21;
const CAP_PERFMON: u64 = 1 << 38;
const CAP_BPF: u64 = 1 << 39;

/// What the kernel said to a trial load.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Trial {
    Works,
    NoSyscall,
    NoPermission,
    Lacks(Vec<&'static str>),
    Failed(String),
}

/// Runs every check of this module.
pub(super) fn look() -> Vec<Check> {
    let version = KernelVersion::current().ok();
    let caps = caps();
    let has_caps = caps.is_some_and(|caps| missing_caps(caps).is_empty());
    let limit = proc_file("/proc/self/limits").as_deref().and_then(memlock_limit);
    let sysctl = proc_file("/proc/sys/net/core/bpf_jit_enable");
    let modules = proc_file("/proc/modules");
    let nohz_full = proc_file("/sys/devices/system/cpu/nohz_full");
    let mut checks = vec![
        kernel(version),
        privileges(caps),
        bpf(&try_bpf(), has_caps),
        jit(sysctl.as_deref()),
        attach(version, modules.as_deref()),
        grace(nohz_full.as_deref(), kernel_config().as_deref()),
    ];
    checks.extend(version.and_then(|version| memlock(version, limit)));
    checks
}

/// The first thing about this machine (its kernel, our privileges) that keeps it from counting at all.
pub(super) fn hindrance() -> Option<Check> {
    let checks = [|| privileges(caps()), || kernel(KernelVersion::current().ok()), || bpf(&try_bpf(), true)];
    checks.into_iter().map(|look| look()).find(|check| check.verdict == super::Verdict::Problem)
}

fn caps() -> Option<u64> {
    proc_file("/proc/self/status").and_then(|status| effective_caps(&status))
}

fn proc_file(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

/// The configuration the kernel was built with, where it tells (`CONFIG_IKCONFIG_PROC`).
fn kernel_config() -> Option<String> {
    let file = std::fs::File::open("/proc/config.gz").ok()?;
    let mut text = String::new();
    GzDecoder::new(file).read_to_string(&mut text).ok()?;
    Some(text)
}

fn try_bpf() -> Trial {
    let tried = is_program_supported(ProgramType::SchedClassifier).map_err(|error| match error {
        ProgramError::SyscallError(SyscallError { io_error, .. }) => refusal(&io_error),
        other => Trial::Failed(other.to_string()),
    });
    let mut lacks = match tried {
        Ok(true) => Vec::new(),
        Ok(false) => vec!["programs for tc"],
        Err(trial) => return trial,
    };
    let maps = [
        (MapType::Array, "array maps"),
        (MapType::PerCpuHash, "per-CPU hash maps"),
        (MapType::RingBuf, "ring buffers"),
    ];
    for (kind, name) in maps {
        match is_map_supported(kind) {
            Ok(true) => {}
            Ok(false) => lacks.push(name),
            Err(SyscallError { io_error, .. }) => return refusal(&io_error),
        }
    }
    if lacks.is_empty() { Trial::Works } else { Trial::Lacks(lacks) }
}

fn refusal(error: &std::io::Error) -> Trial {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ENOSYS) => Trial::NoSyscall,
        Some(Errno::EPERM | Errno::EACCES) => Trial::NoPermission,
        _ => Trial::Failed(error.to_string()),
    }
}

fn kernel(version: Option<KernelVersion>) -> Check {
    let Some(version) = version else {
        return Check::unknown("kernel", "its version could not be read");
    };
    let words = spell(version);
    if version < OLDEST_KERNEL {
        return Check::problem(
            "kernel",
            format!("Linux {words} is too old"),
            format!("a kernel from {} on is needed", spell(OLDEST_KERNEL)),
        );
    }
    Check::ok("kernel", format!("Linux {words}"))
}

fn spell(version: KernelVersion) -> String {
    // The kernel's own number: major << 16, minor << 8, patch up to 255.
    let code = version.code();
    format!("{}.{}.{}", code >> 16, code >> 8 & 0xff, code & 0xff)
}

fn bpf(trial: &Trial, has_caps: bool) -> Check {
    let name = "bpf";
    match trial {
        Trial::Works => Check::ok(name, "the kernel takes tc programs, per-CPU hash maps and ring buffers"),
        Trial::NoSyscall => Check::problem(
            name,
            "this kernel was built without the bpf() system call",
            "a kernel with CONFIG_BPF_SYSCALL is needed; `telltale replay` works without",
        ),
        Trial::NoPermission if has_caps => Check::problem(
            name,
            "the kernel refuses the bpf() system call in spite of the privileges",
            "a container's seccomp filter, a user namespace or kernel lockdown forbids it: run on the host itself",
        ),
        Trial::NoPermission => Check::unknown(name, "can only be tried with the privileges that are missing"),
        Trial::Lacks(parts) => Check::problem(
            name,
            format!("this kernel lacks {}", parts.join(" and ")),
            "a kernel from 5.10 on with CONFIG_NET_CLS_ACT or tcx is needed",
        ),
        Trial::Failed(error) => {
            Check::problem(name, format!("a trial failed: {error}"), "report this, with the kernel's version")
        }
    }
}

fn jit(sysctl: Option<&str>) -> Check {
    match sysctl.map(str::trim) {
        Some("1" | "2") => Check::ok("jit", "BPF programs are compiled to machine code"),
        Some(_) => Check::warning(
            "jit",
            "BPF programs are interpreted, which costs several times the CPU",
            "sysctl -w net.core.bpf_jit_enable=1",
        ),
        None => Check::unknown("jit", "the kernel does not tell here (no JIT, or a network namespace)"),
    }
}

fn attach(version: Option<KernelVersion>, modules: Option<&str>) -> Check {
    let name = "attach";
    if version.is_some_and(|v| v >= TCX_SINCE) {
        return Check::ok(name, "by tcx, which other programs' tc rules cannot remove");
    }
    // Modules load on demand, and may be built in: only a positive answer says something.
    let is_loaded = modules.is_some_and(|text| text.lines().any(|line| line.starts_with("cls_bpf ")));
    let finding = "by a clsact filter, since tcx came with Linux 6.6";
    if is_loaded {
        return Check::ok(name, finding);
    }
    Check {
        remedy: Some("on OpenWrt this needs the package kmod-sched-bpf".to_owned()),
        ..Check::ok(name, format!("{finding}; cls_bpf is not loaded, or built in"))
    }
}

/// The names of the capabilities that counting needs and `caps` lacks (`man 7 capabilities`).
fn missing_caps(caps: u64) -> Vec<&'static str> {
    let has = |cap: u64| caps & cap != 0;
    let is_admin = has(CAP_SYS_ADMIN);
    let needs = [
        (CAP_BPF, "CAP_BPF", is_admin),
        (CAP_PERFMON, "CAP_PERFMON", is_admin),
        (CAP_NET_ADMIN, "CAP_NET_ADMIN", false),
    ];
    needs
        .into_iter()
        .filter(|(cap, _, is_implied)| !has(*cap) && !is_implied)
        .map(|(_, name, _)| name)
        .collect()
}

fn privileges(caps: Option<u64>) -> Check {
    let name = "privileges";
    let Some(caps) = caps else { return Check::unknown(name, "/proc/self/status could not be read") };
    let missing = missing_caps(caps);
    if missing.is_empty() {
        return Check::ok(name, "may load BPF programs and attach them");
    }
    Check::problem(
        name,
        format!("may not count: {} missing", missing.join(", ")),
        "run as root, or give it CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN",
    )
}

fn effective_caps(status: &str) -> Option<u64> {
    let hex = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(hex.trim(), 16).ok()
}

/// How much memory may be locked; `u64::MAX` for no limit.
fn memlock_limit(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max locked memory"))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    }
}

/// Nothing to say on kernels that do not ask for it.
fn memlock(version: KernelVersion, limit: Option<u64>) -> Option<Check> {
    if version >= NO_MEMLOCK_SINCE {
        return None;
    }
    Some(match limit {
        Some(limit) if limit < MEMLOCK_BYTES => Check::problem(
            "memlock",
            format!("kernels before 5.11 charge maps to RLIMIT_MEMLOCK, which is {} KiB", limit >> 10),
            "ulimit -l unlimited, or LimitMEMLOCK=infinity in the service",
        ),
        Some(_) => Check::ok("memlock", "RLIMIT_MEMLOCK is large enough"),
        None => Check::unknown("memlock", "/proc/self/limits could not be read"),
    })
}

/// After the buffers are flipped, the daemon waits until no CPU can be inside the program any more:
/// `membarrier(MEMBARRIER_CMD_GLOBAL)`, which kernels with `nohz_full` CPUs refuse (`man 2 membarrier`).
fn grace(nohz_full: Option<&str>, kernel_config: Option<&str>) -> Check {
    let name = "grace period";
    let remedy = "drains are exact on kernels with CONFIG_MEMBARRIER=y and without nohz_full CPUs";
    let cpus = nohz_full.map_or("", str::trim);
    if !cpus.is_empty() && cpus != "(null)" {
        return Check::warning(
            name,
            format!("membarrier() is refused because of nohz_full CPUs ({cpus})"),
            remedy,
        );
    }
    let is_set = |line: &str| kernel_config.is_some_and(|config| config.lines().any(|l| l == line));
    if is_set("CONFIG_MEMBARRIER=y") {
        Check::ok(name, "membarrier() is there")
    } else if kernel_config.is_some() {
        Check::warning(name, "this kernel was built without membarrier()", remedy)
    } else {
        Check::unknown(name, "whether membarrier() is there is not told by this kernel; usually it is")
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::Verdict::{self, *};
    use super::*;

    #[track_caller]
    fn check(check: &Check, verdict: Verdict, part: &str) {
        assert_eq!(check.verdict, verdict, "{check:?}");
        let text = format!("{} {}", check.finding, check.remedy.as_deref().unwrap_or_default());
        assert!(text.contains(part), "{check:?}");
        assert_eq!(check.remedy.is_some(), matches!(verdict, Warning | Problem) || part == "kmod-sched-bpf");
    }

    const OLD: KernelVersion = KernelVersion::new(5, 4, 255);
    const LTS: KernelVersion = KernelVersion::new(5, 10, 0);
    const NEW: KernelVersion = KernelVersion::new(6, 6, 0);

    #[test]
    fn a_kernel_is_old_enough_or_not() {
        check(&kernel(Some(OLD)), Problem, "5.10.0");
        check(&kernel(Some(LTS)), Ok, "5.10.0");
        check(&kernel(None), Unknown, "could not");
    }

    #[test]
    fn a_kernel_without_bpf_is_said_to_be_one() {
        check(&bpf(&refusal(&Errno::ENOSYS.into()), true), Problem, "without the bpf() system call");
        check(&bpf(&refusal(&Errno::EPERM.into()), true), Problem, "in spite of");
        check(&bpf(&refusal(&Errno::EPERM.into()), false), Unknown, "privileges");
        check(&bpf(&refusal(&Errno::EINVAL.into()), true), Problem, "trial failed");
        check(&bpf(&Trial::Lacks(vec!["a", "b"]), true), Problem, "lacks a and b");
        check(&bpf(&Trial::Works, true), Ok, "ring buffers");
    }

    #[test]
    fn an_interpreter_is_slow() {
        check(&jit(Some("1\n")), Ok, "machine code");
        check(&jit(Some("0\n")), Warning, "bpf_jit_enable=1");
        check(&jit(None), Unknown, "namespace");
    }

    #[test]
    fn tcx_where_it_is_and_clsact_elsewhere() {
        check(&attach(Some(NEW), None), Ok, "by tcx");
        check(&attach(Some(LTS), Some("x 1\ncls_bpf 20480 0 - Live\n")), Ok, "clsact");
        check(&attach(Some(LTS), Some("cls_bpfx 1\n")), Ok, "kmod-sched-bpf");
    }

    #[test]
    fn three_capabilities_or_an_administrator_with_the_network() {
        let line = "Name:\tx\nCapEff:\t000000c000001000\nCapBnd:\t0\n";
        assert_eq!(effective_caps(line), Some(CAP_BPF | CAP_PERFMON | CAP_NET_ADMIN));
        check(&privileges(effective_caps(line)), Ok, "may load");
        check(&privileges(Some(CAP_SYS_ADMIN | CAP_NET_ADMIN)), Ok, "may load");
        check(&privileges(Some(CAP_SYS_ADMIN)), Problem, "count: CAP_NET_ADMIN missing");
        check(&privileges(Some(CAP_BPF | CAP_NET_ADMIN)), Problem, "count: CAP_PERFMON missing");
        check(&privileges(Some(0)), Problem, "CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN missing");
        check(&privileges(effective_caps("CapEff:\tzz")), Unknown, "could not");
    }

    #[test]
    fn old_kernels_need_locked_memory() {
        let limits = |soft: &str| {
            format!("Max processes  1 1 x\nMax locked memory         {soft}   unlimited   bytes\n")
        };
        assert_eq!(memlock(NO_MEMLOCK_SINCE, Some(0)), None);
        let check_limit = |soft: &str, verdict, part: &str| {
            check(&memlock(LTS, memlock_limit(&limits(soft))).expect("asked for"), verdict, part);
        };
        check_limit("65536", Problem, "64 KiB");
        check_limit("67108864", Ok, "large enough");
        check_limit("unlimited", Ok, "large enough");
        check_limit("?", Unknown, "limits");
    }

    #[test]
    fn the_grace_period_has_a_way() {
        check(&grace(None, Some("# x\nCONFIG_MEMBARRIER=y\n")), Ok, "is there");
        check(&grace(Some("(null)\n"), Some("# CONFIG_MEMBARRIER is not set\n")), Warning, "without");
        check(&grace(Some("\n"), None), Unknown, "usually");
        check(&grace(Some("1-3\n"), Some("CONFIG_MEMBARRIER=y\n")), Warning, "1-3");
    }
}
