//! The arithmetic of statistics: what counts as what, which stretches of time there are, and rates.
//!
//! It is handed groups of calls that the database counted, and knows nothing of it.

use chrono::{DateTime, Duration};

use crate::clock::Timestamp;
use crate::signal::{Phase, Reason};

/// Calls that are alike, counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Group {
    /// The stretch they started in, see [`Grid`].
    pub stretch: i64,
    /// Where they stand.
    pub phase: Phase,
    /// Why they ended. An ended call without a reason counts as failed.
    pub reason: Option<Reason>,
    /// Whether somebody answered them.
    pub answered: bool,
    /// Whether a callee missed them.
    pub missed: bool,
    /// How many they are.
    pub calls: u64,
    /// How long they lasted together.
    pub seconds: u64,
}

/// How many calls had which outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// All of them.
    pub calls: u64,
    /// Not ended yet.
    pub live: u64,
    /// Answered, whether ended or not.
    pub answered: u64,
    /// Missed by a callee.
    pub missed: u64,
    /// Not ended and not answered: how they turn out is open.
    waiting: u64,
    /// Answered and ended.
    lasted: u64,
    /// How long those lasted together.
    seconds: u64,
    ended: [u64; Reason::ALL.len()],
}

impl Tally {
    /// Counts a group in.
    pub fn add(&mut self, group: &Group) {
        let count_if = |is: bool| if is { group.calls } else { 0 };
        let ended = match group.phase {
            Phase::Initiated | Phase::Ringing | Phase::Answered => false,
            Phase::Ended => true,
        };
        self.calls += group.calls;
        self.live += count_if(!ended);
        self.answered += count_if(group.answered);
        self.missed += count_if(group.missed);
        self.waiting += count_if(!ended && !group.answered);
        self.lasted += count_if(ended && group.answered);
        self.seconds += if ended && group.answered { group.seconds } else { 0 };
        let reason = group.reason.unwrap_or(Reason::Failed);
        for (sum, known) in self.ended.iter_mut().zip(Reason::ALL) {
            *sum += count_if(ended && known == reason);
        }
    }

    /// How many ended for each reason, in their documented order.
    pub fn reasons(&self) -> impl Iterator<Item = (Reason, u64)> {
        Reason::ALL.into_iter().zip(self.ended)
    }

    /// The part of the calls that were answered among those that were answered or have ended.
    pub fn answer_rate(&self) -> Option<f64> {
        ratio(self.answered, self.calls - self.waiting)
    }

    /// How long an answered call lasted in the mean, once it ended.
    pub fn mean_duration_seconds(&self) -> Option<f64> {
        ratio(self.seconds, self.lasted)
    }
}

/// One number per another; `None` where there is none of the other.
pub fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// How long a stretch of time is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// An hour.
    Hour,
    /// A day of 24 hours.
    Day,
}

impl Step {
    /// Its length in seconds.
    pub fn seconds(self) -> i64 {
        match self {
            Self::Hour => 3600,
            Self::Day => 86_400,
        }
    }
}

/// Time cut into hours or days that begin where the clocks of somebody at this distance from UTC say so. Each
/// stretch has a number: how many such stretches after their 1970 began it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    /// How long each is.
    pub step: Step,
    /// How far their clocks are ahead of UTC, in seconds.
    pub ahead: i64,
}

impl Grid {
    fn number(&self, at: Timestamp) -> i64 {
        (at.timestamp() + self.ahead).div_euclid(self.step.seconds())
    }

    fn start(&self, number: i64) -> Timestamp {
        DateTime::from_timestamp(number * self.step.seconds() - self.ahead, 0).unwrap_or_default()
    }

    /// Every stretch that `since` to `until` (not included) touches, with its start and what `groups` has of it:
    /// those without calls as well.
    pub fn fill(&self, since: Timestamp, until: Timestamp, groups: &[Group]) -> Vec<(Timestamp, Tally)> {
        let (first, last) = (self.number(since), self.number(until - Duration::microseconds(1)));
        let mut stretches: Vec<_> = (first..=last).map(|number| (self.start(number), Tally::default())).collect();
        for group in groups {
            let place = usize::try_from(group.stretch - first).ok();
            if let Some((_, tally)) = place.and_then(|place| stretches.get_mut(place)) {
                tally.add(group);
            }
        }
        stretches
    }
}

/// Groups of hours as groups of days.
pub fn days_of(hours: &[Group]) -> Vec<Group> {
    hours.iter().map(|group| Group { stretch: group.stretch.div_euclid(24), ..*group }).collect()
}

/// All groups together.
pub fn total(groups: &[Group]) -> Tally {
    let mut sum = Tally::default();
    groups.iter().for_each(|group| sum.add(group));
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        DateTime::parse_from_rfc3339(text).unwrap().to_utc()
    }

    fn ended(reason: Option<Reason>, answered: bool, calls: u64, seconds: u64) -> Group {
        let missed = !answered && reason != Some(Reason::Declined);
        Group { stretch: 0, phase: Phase::Ended, reason, answered, missed, calls, seconds }
    }

    #[test]
    fn every_call_is_live_or_has_one_reason() {
        let groups = [
            ended(Some(Reason::Completed), true, 4, 40),
            ended(Some(Reason::Dropped), true, 1, 20),
            ended(Some(Reason::Declined), false, 2, 0),
            ended(Some(Reason::Busy), false, 1, 0),
            ended(None, false, 1, 0),
            Group { phase: Phase::Ringing, missed: false, ..ended(None, false, 2, 0) },
            Group { phase: Phase::Answered, ..ended(None, true, 1, 0) },
        ];
        let sum = total(&groups);
        assert_eq!((sum.calls, sum.live, sum.answered, sum.missed), (12, 3, 6, 2));
        assert_eq!(sum.live + sum.reasons().map(|(_, count)| count).sum::<u64>(), sum.calls);
        assert!(sum.reasons().any(|entry| entry == (Reason::Failed, 1)));
        // Those that ring may still be answered.
        assert_eq!(sum.answer_rate(), Some(0.6));
        assert_eq!(sum.mean_duration_seconds(), Some(12.0));
    }

    #[test]
    fn of_nothing_there_are_no_rates() {
        let none = total(&[]);
        assert_eq!((none.answer_rate(), none.mean_duration_seconds()), (None, None));
        let ringing = total(&[Group { phase: Phase::Ringing, ..ended(None, false, 3, 0) }]);
        assert_eq!(ringing.answer_rate(), None);
    }

    #[test]
    fn days_begin_at_midnight_of_whoever_asks() {
        for (minutes, first) in
            [(0, "2026-11-20T00:00:00Z"), (330, "2026-11-20T18:30:00Z"), (-480, "2026-11-20T08:00:00Z")]
        {
            let grid = Grid { step: Step::Day, ahead: minutes * 60 };
            let days = grid.fill(at("2026-11-20T20:00:00Z"), at("2026-11-22T20:00:00Z"), &[]);
            assert_eq!((days.len(), days[0].0), (3, at(first)), "{minutes}");
            assert!(days.iter().all(|(_, tally)| *tally == Tally::default()));
        }
    }

    #[test]
    fn the_end_is_not_included() {
        let grid = Grid { step: Step::Hour, ahead: 0 };
        let (from, to) = (at("2026-11-20T10:00:00Z"), at("2026-11-20T12:00:00Z"));
        assert_eq!(grid.fill(from, to, &[]).len(), 2);
        assert_eq!(grid.fill(from, to + Duration::microseconds(1), &[]).len(), 3);
    }

    #[test]
    fn groups_fall_where_they_belong_by_hour_and_by_day() {
        let grid = Grid { step: Step::Hour, ahead: 3600 };
        let (from, to) = (at("2026-11-20T22:00:00Z"), at("2026-11-21T02:00:00Z"));
        let hours: Vec<Group> = ["2026-11-20T22:59:59Z", "2026-11-20T23:00:00Z", "2026-11-21T01:10:00Z"]
            .map(|text| Group { stretch: grid.number(at(text)), ..ended(Some(Reason::Busy), false, 1, 0) })
            .to_vec();
        let counts = |filled: Vec<(Timestamp, Tally)>| filled.iter().map(|(_, tally)| tally.calls).collect::<Vec<_>>();
        assert_eq!(counts(grid.fill(from, to, &hours)), [1, 1, 0, 1]);
        let days = Grid { step: Step::Day, ..grid };
        assert_eq!(counts(days.fill(from, to, &days_of(&hours))), [1, 2]);
    }
}
