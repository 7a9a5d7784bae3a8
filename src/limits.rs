//! How often something may happen: messages of a socket, calls of a user, requests of a user.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dashmap::DashMap;

use crate::clock::{Clock, Moment};
use crate::ids::UserId;

/// How fast something may go on: a virtual scheduling bucket, whose whole state is the moment when all that was taken
/// will have been paid.
#[derive(Debug, Clone, Copy)]
struct Rate {
    /// How much time one uses up.
    each: Duration,
    /// How far the bucket may run ahead of the clock.
    ahead: Duration,
}

impl Rate {
    /// `number` in `period` in the long run, `burst` at once.
    fn new(number: u32, period: Duration, burst: u32) -> Self {
        let each = period / number.max(1);
        Self { each, ahead: each * (burst.max(1) - 1) }
    }

    /// Takes one, or says how long until there is one.
    fn take(self, paid_at: &mut Moment, now: Moment) -> Result<(), Duration> {
        let ahead = *paid_at - now;
        if ahead > self.ahead {
            return Err(ahead - self.ahead);
        }
        *paid_at = now.max(*paid_at) + self.each;
        Ok(())
    }
}

/// When nothing was taken yet.
const NEVER: Moment = Moment(i64::MIN / 2);

/// What one socket may send. Kept by its session and given the time, so it is a plain value.
#[derive(Debug, Clone)]
pub struct SocketBudget {
    rate: Rate,
    paid_at: Moment,
}

impl SocketBudget {
    /// `per_second` in the long run, `burst` at once.
    pub fn new(per_second: u32, burst: u32) -> Self {
        Self { rate: Rate::new(per_second, Duration::from_secs(1), burst), paid_at: NEVER }
    }

    /// Takes one, or says how long until there is one.
    pub fn take(&mut self, now: Moment) -> Result<(), Duration> {
        self.rate.take(&mut self.paid_at, now)
    }
}

/// How many takes there are at least between two times of forgetting users who have not been seen for long.
const TIDY_AFTER: usize = 1024;

/// One bucket per user.
struct PerUser {
    rate: Rate,
    clock: Clock,
    paid_at: DashMap<UserId, Moment>,
    /// How many takes there were since users were last forgotten, …
    taken: AtomicUsize,
    /// … and after how many they are next: as many as there were users then, so that each take pays for one.
    tidy_after: AtomicUsize,
}

impl PerUser {
    fn new(rate: Rate, clock: Clock) -> Self {
        let tidy_after = AtomicUsize::new(TIDY_AFTER);
        Self { rate, clock, paid_at: DashMap::new(), taken: AtomicUsize::new(0), tidy_after }
    }

    fn take(&self, user: &UserId) -> Result<(), Duration> {
        let now = self.clock.moment();
        if self.taken.fetch_add(1, Ordering::Relaxed) >= self.tidy_after.load(Ordering::Relaxed) {
            self.tidy(now);
        }
        let taken = match self.paid_at.get_mut(user) {
            Some(mut paid_at) => self.rate.take(&mut paid_at, now),
            None => self.rate.take(&mut self.paid_at.entry(user.clone()).or_insert(NEVER), now),
        };
        taken.map_err(|wait| wait.max(Duration::from_millis(1)))
    }

    /// Forgets who owes nothing: such a bucket is like none.
    fn tidy(&self, now: Moment) {
        self.taken.store(0, Ordering::Relaxed);
        self.paid_at.retain(|_, paid_at| *paid_at > now);
        self.tidy_after.store(self.paid_at.len().max(TIDY_AFTER), Ordering::Relaxed);
    }
}

/// How many calls a user may start, by socket and REST together.
pub struct Initiates(PerUser);

impl Initiates {
    /// `per_minute` in the long run and at once.
    pub fn new(per_minute: u32, clock: Clock) -> Self {
        Self(PerUser::new(Rate::new(per_minute, Duration::from_secs(60), per_minute), clock))
    }

    /// Takes one, or says how long until there is one.
    pub fn take(&self, user: &UserId) -> Result<(), Duration> {
        self.0.take(user)
    }
}

/// How many REST requests a user may make.
pub struct Requests(PerUser);

impl Requests {
    /// `per_second` in the long run, `burst` at once.
    pub fn new(per_second: u32, burst: u32, clock: Clock) -> Self {
        Self(PerUser::new(Rate::new(per_second, Duration::from_secs(1), burst), clock))
    }

    /// Takes one, or says how long until there is one.
    pub fn take(&self, user: &UserId) -> Result<(), Duration> {
        self.0.take(user)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_may_burst_and_then_sends_at_its_rate() {
        let mut budget = SocketBudget::new(20, 100);
        let start = Moment(0);
        for n in 0..100 {
            assert_eq!(budget.take(start), Ok(()), "message {n}");
        }
        assert_eq!(budget.take(start), Err(Duration::from_millis(50)));
        assert_eq!(budget.take(start + Duration::from_millis(49)), Err(Duration::from_millis(1)));
        assert_eq!(budget.take(start + Duration::from_millis(50)), Ok(()));
        let later = start + Duration::from_secs(60);
        assert_eq!((0..200).filter(|_| budget.take(later).is_ok()).count(), 100, "rest is not saved up beyond a burst");
    }

    #[test]
    fn a_user_may_start_ten_calls_at_once_and_others_are_not_touched() {
        let initiates = Initiates::new(10, Clock::new());
        let [seven, eight] = ["7", "8"].map(|id| UserId::parse(id).unwrap());
        for _ in 0..10 {
            assert_eq!(initiates.take(&seven), Ok(()));
        }
        let wait = initiates.take(&seven).unwrap_err();
        assert!(wait > Duration::from_secs(5) && wait <= Duration::from_secs(6), "{wait:?}");
        assert_eq!(initiates.take(&eight), Ok(()));
    }

    #[test]
    fn users_long_gone_are_forgotten() {
        let requests = Requests::new(1_000_000, 1, Clock::new());
        for n in 0..TIDY_AFTER * 20 {
            let _ = requests.take(&UserId::parse(&n.to_string()).unwrap());
        }
        assert!(requests.0.paid_at.len() < TIDY_AFTER * 10, "{}", requests.0.paid_at.len());
    }
}
