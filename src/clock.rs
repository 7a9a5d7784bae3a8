//! The only reader of time.
//!
//! Two readings are taken together: the wall clock, for what is written down, and the monotonic
//! clock, for how long something took. Pure code is handed a [`Now`] and never asks.

use std::ops::{Add, Sub};
use std::time::{Duration, Instant, SystemTime};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// A point on this process's monotonic axis, in microseconds since the process read it first.
///
/// Negative for what happened before the process started (calls loaded after a restart).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Moment(pub i64);

impl Add<Duration> for Moment {
    type Output = Self;
    fn add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)))
    }
}

impl Sub<Moment> for Moment {
    type Output = Duration;
    /// The time from `earlier` to `self`; zero if `earlier` is later.
    fn sub(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// A point in calendar time, truncated to microseconds so that every database keeps it whole.
pub type Timestamp = DateTime<Utc>;

/// Both readings at one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// For what is written down.
    pub wall: Timestamp,
    /// For deadlines and durations.
    pub tick: Moment,
}

impl Now {
    /// The wall time of another moment, by the monotonic distance from this one.
    pub fn wall_at(&self, moment: Moment) -> Timestamp {
        self.wall + chrono::Duration::microseconds(moment.0 - self.tick.0)
    }

    /// The moment of a wall time, by its distance from this one; never in the future.
    pub fn moment_at(&self, wall: Timestamp) -> Moment {
        let ago = (self.wall - wall).num_microseconds().unwrap_or(i64::MAX).max(0);
        Moment(self.tick.0.saturating_sub(ago))
    }
}

/// Reads the system's clocks.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    origin: Instant,
}

impl Clock {
    /// A clock whose axis starts now.
    #[expect(clippy::new_without_default, reason = "a clock's origin is a reading, not a default")]
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads time")]
    pub fn new() -> Self {
        Self { origin: Instant::now() }
    }

    /// Both readings.
    pub fn now(&self) -> Now {
        Now { wall: self.wall(), tick: self.moment() }
    }

    /// The wall clock alone, for what only compares dates.
    pub fn wall(&self) -> Timestamp {
        Timestamp::from_timestamp_micros(self.wall_micros()).unwrap_or_default()
    }

    /// The wall clock as microseconds since 1970, for what is asked with every request: making a date of it takes as
    /// long as reading it.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads time")]
    pub fn wall_micros(&self) -> i64 {
        let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since_1970.as_micros()).unwrap_or(i64::MAX)
    }

    /// The monotonic reading alone, for proofs of life.
    pub fn moment(&self) -> Moment {
        Moment(i64::try_from(self.origin.elapsed().as_micros()).unwrap_or(i64::MAX))
    }
}
