//! The clocks that counting goes by, read here and nowhere else; pipeline and store are told the time. Commands that
//! take a time from a person (`cli/when.rs`) read the calendar themselves, with its time zone.

use anyhow::Context;
use gateway_core::units::{BootTime, ClockPair, WallTime};
use nix::time::{ClockId, clock_gettime};

/// 2026-01-01T00:00:00Z. This program was not written before, so a calendar clock that shows an earlier time was
/// never set: routers without a clock battery start in 1970, or at the date of their firmware. A constant, not
/// the moment of the build, so that two builds of one source are the same file.
pub const CLOCK_FLOOR: WallTime = WallTime(1_767_225_600 * NANOS_PER_SEC);

const NANOS_PER_SEC: i64 = 1_000_000_000;

/// Where the kernel names this boot (`man 5 proc_sys_kernel`).
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Both clocks, one right after the other.
///
/// # Errors
/// When the kernel has no `CLOCK_BOOTTIME`, which is older than any that this program supports.
pub fn now() -> anyhow::Result<ClockPair> {
    let boot = nanos_of(ClockId::CLOCK_BOOTTIME).context("read the steady clock")?;
    let wall = nanos_of(ClockId::CLOCK_REALTIME).context("read the calendar clock")?;
    Ok(ClockPair { boot: BootTime(boot.unsigned_abs()), wall: WallTime(wall) })
}

/// Is this calendar time one that a clock shows which has been set?
#[must_use]
pub fn is_set(wall: WallTime) -> bool {
    wall >= CLOCK_FLOOR
}

/// The name of this boot; another after every reboot.
///
/// # Errors
/// When `/proc` is not mounted.
pub fn boot_id() -> anyhow::Result<String> {
    let text =
        std::fs::read_to_string(BOOT_ID).with_context(|| format!("read the boot id from {BOOT_ID}"))?;
    Ok(text.trim().to_owned())
}

fn nanos_of(clock: ClockId) -> nix::Result<i64> {
    let time = clock_gettime(clock)?;
    // The types are narrower on 32-bit machines.
    #[allow(clippy::useless_conversion, reason = "time_t and long are not i64 everywhere")]
    let (secs, nanos) = (i64::from(time.tv_sec()), i64::from(time.tv_nsec()));
    Ok(secs.saturating_mul(NANOS_PER_SEC).saturating_add(nanos))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic on purpose")]
    use super::*;

    #[test]
    fn the_steady_clock_does_not_go_back() {
        let (first, second) = (now().unwrap(), now().unwrap());
        assert!(first.boot <= second.boot && first.boot.0 > 0);
        assert!(is_set(first.wall), "the clock of this machine was never set");
    }

    #[test]
    fn a_clock_before_the_floor_was_never_set() {
        assert!(is_set(CLOCK_FLOOR));
        assert!(!is_set(WallTime(CLOCK_FLOOR.0 - 1)));
        assert_eq!(CLOCK_FLOOR.0 / NANOS_PER_SEC / 86_400, 20_454, "days from 1970 to 2026");
    }

    #[test]
    fn the_boot_has_a_name() {
        let id = boot_id().unwrap();
        assert_eq!((id.len(), id.lines().count()), (36, 1), "{id}");
        assert_eq!(id, boot_id().unwrap());
    }
}
