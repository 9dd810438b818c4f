//! Which IPv4 addresses are behind each MAC address. Behind a repeater that translates MAC addresses several devices
//! share one, and what one of them asked for over IPv6 must not name what another does over IPv4.

use super::answer::vouches_for;
use crate::books::aged::{Aged, Limits};
use crate::fact::Asker;
use crate::units::{BootTime, Mac};
use core::net::Ipv4Addr;

/// Of how many devices it is known which IPv4 addresses they have: as many as the house may have.
pub const MAX_HOLDERS: usize = 1024;

/// MAC addresses, and whether one device or several are behind each.
#[derive(Clone, Debug)]
pub(super) struct Holders {
    known: Aged<Mac, Held>,
}

/// The IPv4 addresses of one MAC address.
#[derive(Clone, Copy, Debug)]
struct Held {
    /// The one that was used last.
    ipv4: Ipv4Addr,
    used_at: BootTime,
    /// When any other was used the last time.
    other_at: Option<BootTime>,
}

impl Default for Holders {
    fn default() -> Self {
        Self { known: Aged::new(Limits { per_device: 1, in_all: MAX_HOLDERS }) }
    }
}

impl Holders {
    /// Somebody with this address did something; tells how many devices had to be forgotten for that: none or one.
    pub(super) fn note(&mut self, Asker { device, ipv4 }: Asker, at: BootTime) -> u64 {
        // Who has no address yet, or only one of the link's own (RFC 3927), has no other than he had before.
        let Some(ipv4) = ipv4.filter(|ipv4| !ipv4.is_unspecified() && !ipv4.is_link_local()) else {
            return 0;
        };
        if let Some(held) = self.known.get_mut(&device) {
            held.note(ipv4, at);
            self.known.touch(&device);
            return 0;
        }
        self.known.insert(device, Held { ipv4, used_at: at, other_at: None })
    }

    /// Were several addresses of one MAC address used within the time that an answer may vouch for? A device whose
    /// address changed is alone again after it.
    pub(super) fn are_several(&self, device: Mac, now: BootTime) -> bool {
        let other_at = self.known.get(&device).and_then(|held| held.other_at);
        other_at.is_some_and(|at| now.since(at) <= vouches_for(u32::MAX))
    }
}

impl Held {
    fn note(&mut self, ipv4: Ipv4Addr, at: BootTime) {
        if self.ipv4 != ipv4 {
            self.other_at = self.other_at.max(Some(self.used_at.min(at)));
            if at >= self.used_at {
                self.ipv4 = ipv4;
            }
        }
        self.used_at = self.used_at.max(at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_460 * 1_000_000_000;

    #[track_caller]
    fn check(used: &[([u8; 4], u64)], now: u64, expected: bool) {
        let mut holders = Holders::default();
        for (ipv4, at) in used {
            let asker = Asker { device: Mac::default(), ipv4: Some((*ipv4).into()) };
            assert_eq!(holders.note(asker, BootTime(*at)), 0);
        }
        assert_eq!(holders.are_several(Mac::default(), BootTime(now)), expected);
    }

    #[test]
    fn two_addresses_within_a_day_are_several_devices() {
        let (a, b) = ([192, 168, 1, 1], [192, 168, 1, 2]);
        check(&[], 5, false);
        check(&[(a, 1), (a, 9)], 9, false);
        check(&[(a, 1), (b, 9)], 9, true);
        check(&[(b, 9), (a, 1)], 9, true);
        check(&[(a, 1), (b, 9)], 1 + DAY, true);
        check(&[(a, 1), (b, 9)], 2 + DAY, false);
        check(&[(a, 1), (b, 9), (a, 20)], 9 + DAY, true);
        check(&[(a, 1), ([0; 4], 2), ([169, 254, 7, 7], 3)], 9, false);
    }

    #[test]
    fn the_book_is_bounded_and_counts_who_left() {
        let mut holders = Holders::default();
        let ipv4 = Some([192, 168, 1, 1].into());
        let left: u64 = (0..=MAX_HOLDERS)
            .map(|n| {
                let [high, low] = u16::try_from(n).expect("small").to_be_bytes();
                holders.note(Asker { device: Mac([2, 0, 0, 0, high, low]), ipv4 }, BootTime(1))
            })
            .sum();
        assert_eq!(left, 1);
    }
}
