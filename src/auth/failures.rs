//! Counting bad tokens by network address, so that guessing becomes slow.
//!
//! Only those who fail are delayed: a token is checked first, and one that holds is taken whatever
//! its address did before, as many people may share an address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::{Clock, Moment};
use crate::net::network_of;

/// The most addresses remembered; about half a megabyte.
const MAX_ADDRESSES: usize = 8192;

/// The longest a single failure is delayed.
const MAX_DELAY: Duration = Duration::from_secs(30);

/// Failures of one address.
struct Count {
    failures: u32,
    first: Moment,
}

/// The failures of all addresses.
pub struct Failures {
    allowed: u32,
    window: Duration,
    clock: Clock,
    counts: Mutex<HashMap<IpAddr, Count>>,
}

impl Failures {
    /// `allowed` failures in `window` are free.
    pub fn new(allowed: u32, window: Duration, clock: Clock) -> Self {
        Self { allowed, window, clock, counts: Mutex::default() }
    }

    /// Notes a failure and says how long to delay it, if it is one too many.
    pub fn note(&self, address: IpAddr) -> Option<Duration> {
        self.note_at(address, self.clock.moment())
    }

    fn note_at(&self, address: IpAddr, now: Moment) -> Option<Duration> {
        let address = network_of(address);
        // A panic elsewhere leaves counts that are still counts.
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= MAX_ADDRESSES && !counts.contains_key(&address) {
            counts.retain(|_, count| now - count.first < self.window);
            if counts.len() >= MAX_ADDRESSES {
                // All of them are recent: someone has very many addresses. The least suspicious half
                // goes, so that whoever is being delayed stays delayed.
                let mut failures: Vec<u32> = counts.values().map(|count| count.failures).collect();
                let (_, median, _) = failures.select_nth_unstable(MAX_ADDRESSES / 2);
                let median = *median;
                let mut surplus = MAX_ADDRESSES / 2;
                counts.retain(|_, count| {
                    let goes = surplus > 0 && count.failures <= median;
                    surplus -= usize::from(goes);
                    !goes
                });
            }
        }
        let count = counts.entry(address).or_insert(Count { failures: 0, first: now });
        if now - count.first >= self.window {
            *count = Count { failures: 0, first: now };
        }
        count.failures = count.failures.saturating_add(1);
        let over = count.failures.checked_sub(self.allowed.saturating_add(1))?;
        Some(Duration::from_secs(1 << over.min(5)).min(MAX_DELAY))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_eleventh_failure_is_delayed_and_the_window_forgets() {
        let failures = Failures::new(10, Duration::from_secs(1800), Clock::new());
        let address = IpAddr::from([10, 0, 0, 1]);
        for n in 0..10 {
            assert_eq!(failures.note_at(address, Moment(n)), None);
        }
        assert_eq!(failures.note_at(address, Moment(11)), Some(Duration::from_secs(1)));
        assert_eq!(failures.note_at(address, Moment(12)), Some(Duration::from_secs(2)));
        assert_eq!(failures.note_at(IpAddr::from([10, 0, 0, 2]), Moment(13)), None, "another address is not touched");
        for _ in 0..100 {
            failures.note_at(address, Moment(14));
        }
        assert_eq!(failures.note_at(address, Moment(15)), Some(MAX_DELAY));
        assert_eq!(failures.note_at(address, Moment(0) + Duration::from_secs(1800)), None);
    }

    #[test]
    fn memory_is_bounded_and_the_guilty_are_not_forgotten() {
        let failures = Failures::new(1, Duration::from_secs(1800), Clock::new());
        let guilty = IpAddr::from([192, 0, 2, 1]);
        failures.note_at(guilty, Moment(0));
        failures.note_at(guilty, Moment(0));
        for n in 0..50_000u32 {
            failures.note_at(IpAddr::from((0x0a00_0000 + n).to_be_bytes()), Moment(1));
        }
        assert!(failures.counts.lock().unwrap().len() <= MAX_ADDRESSES);
        assert!(failures.note_at(guilty, Moment(2)).is_some());
    }

    #[test]
    fn one_v6_network_is_one_address() {
        let failures = Failures::new(1, Duration::from_secs(1800), Clock::new());
        assert_eq!(failures.note_at("2001:db8::1".parse().unwrap(), Moment(0)), None);
        assert!(failures.note_at("2001:db8::2".parse().unwrap(), Moment(0)).is_some());
        assert_eq!(failures.note_at("2001:db8:0:1::2".parse().unwrap(), Moment(0)), None);
    }
}
