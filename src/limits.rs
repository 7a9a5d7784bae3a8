//! How often something may happen: messages of a socket, calls of a user, requests of a user.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};

use crate::clock::{Clock, Moment};
use crate::ids::UserId;

/// What one socket may send. Kept by its session and given the time, so it is a plain value: a
/// virtual scheduling bucket in one moment, as governor's, but without its clock and atomics.
#[derive(Debug, Clone)]
pub struct SocketBudget {
    /// How much time one message uses up.
    each: Duration,
    /// How far the bucket may run ahead of the clock.
    ahead: Duration,
    /// When all that was taken will have been paid.
    paid_at: Moment,
}

impl SocketBudget {
    /// `per_second` in the long run, `burst` at once.
    pub fn new(per_second: u32, burst: u32) -> Self {
        let each = Duration::from_secs(1) / per_second.max(1);
        Self { each, ahead: each * (burst.max(1) - 1), paid_at: Moment(i64::MIN / 2) }
    }

    /// Takes one, or says how long until there is one.
    pub fn take(&mut self, now: Moment) -> Result<(), Duration> {
        let ahead = self.paid_at - now;
        if ahead > self.ahead {
            return Err(ahead - self.ahead);
        }
        self.paid_at = self.paid_at.max(now) + self.each;
        Ok(())
    }
}

/// How many takes there are at least between two times of forgetting users who have not been seen for long.
const TIDY_AFTER: usize = 1024;

/// governor's view of the one clock.
#[derive(Clone)]
struct Ticks(Clock);

impl governor::clock::Clock for Ticks {
    type Instant = Duration;
    fn now(&self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.moment().0).unwrap_or(0))
    }
}

/// One bucket per user.
struct PerUser {
    limiter: RateLimiter<UserId, DashMapStateStore<UserId>, Ticks, governor::middleware::NoOpMiddleware<Duration>>,
    clock: Clock,
    /// How many takes there were since users were last forgotten, …
    taken: AtomicUsize,
    /// … and after how many they are next: as many as there were users then, so that each take pays for one.
    tidy_after: AtomicUsize,
}

impl PerUser {
    fn new(quota: Quota, clock: Clock) -> Self {
        Self {
            limiter: RateLimiter::new(quota, DashMapStateStore::default(), Ticks(clock)),
            clock,
            taken: AtomicUsize::new(0),
            tidy_after: AtomicUsize::new(TIDY_AFTER),
        }
    }

    fn take(&self, user: &UserId) -> Result<(), Duration> {
        if self.taken.fetch_add(1, Ordering::Relaxed) >= self.tidy_after.load(Ordering::Relaxed) {
            self.tidy();
        }
        self.limiter.check_key(user).map_err(|not_until| {
            let now = governor::clock::Clock::now(&Ticks(self.clock));
            not_until.wait_time_from(now).max(Duration::from_millis(1))
        })
    }

    /// Forgets whose bucket is full, which is like none; what stays is who was here within one refill.
    fn tidy(&self) {
        self.taken.store(0, Ordering::Relaxed);
        self.limiter.retain_recent();
        self.tidy_after.store(self.limiter.len().max(TIDY_AFTER), Ordering::Relaxed);
    }
}

fn at_least_one(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN)
}

/// How many calls a user may start, by socket and REST together.
pub struct Initiates(PerUser);

impl Initiates {
    /// `per_minute` in the long run and at once.
    pub fn new(per_minute: u32, clock: Clock) -> Self {
        Self(PerUser::new(Quota::per_minute(at_least_one(per_minute)), clock))
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
        let quota = Quota::per_second(at_least_one(per_second)).allow_burst(at_least_one(burst));
        Self(PerUser::new(quota, clock))
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
        assert!(requests.0.limiter.len() < TIDY_AFTER * 10, "{}", requests.0.limiter.len());
    }
}
