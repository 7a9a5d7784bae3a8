//! When the next commit begins: at once, or when those are there who are likely to come soon.
//!
//! A commit answers some, and more come while it lasts. Begun at once, the next would be for these alone, and the others,
//! whose next step comes a moment later, would wait for it and for their own: two groups, each waiting for two commits.
//! So where there are several the next begins with both, or when one more commit could have been made.

use std::time::Duration;

use super::rows;

/// Fewer do not wait for each other: there is little to share.
const FEW: usize = 8;

/// More than go by one text have little left to share: a commit then takes what its rows take.
const ENOUGH: usize = rows::MOST;

/// Nobody waits longer, however long a commit took.
const LONGEST: Duration = Duration::from_millis(10);

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gather {
    /// So many waiting jobs are enough.
    pub jobs: usize,
    /// Nor is it worth more than this.
    pub at_most: Duration,
}

/// How commits go.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// How long one takes; the last ones count most.
    takes: Duration,
    /// How many jobs are under way: those of the last commit, whose next ones may follow, and those that came meanwhile.
    under_way: usize,
}

impl Pace {
    /// A commit answered `jobs` after it `took` so long, and so many `came` meanwhile.
    pub fn committed(&mut self, jobs: usize, came: usize, took: Duration) {
        self.takes = if self.takes.is_zero() { took } else { (self.takes * 3 + took) / 4 };
        self.under_way = jobs + came;
    }

    /// What is worth waiting for when so many jobs are `there`, the first of which came so long `after` the last commit.
    ///
    /// Where jobs come evenly this costs who waits as much as it saves who would have been late, and saves pages. Where
    /// nobody came for as long as a commit takes, nobody is about to.
    pub fn gather(&self, there: usize, after: Duration) -> Option<Gather> {
        let jobs = self.under_way.min(ENOUGH);
        let worth = jobs >= FEW && there < jobs && after < self.takes;
        worth.then(|| Gather { jobs, at_most: self.takes.min(LONGEST) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOOK: Duration = Duration::from_millis(3);
    const SOON: Duration = Duration::from_micros(200);

    fn after(jobs: usize, came: usize) -> Pace {
        let mut pace = Pace::default();
        pace.committed(jobs, came, TOOK);
        pace
    }

    #[test]
    fn two_groups_become_one() {
        let mut pace = after(25, 25);
        assert_eq!(pace.gather(25, SOON), Some(Gather { jobs: 50, at_most: TOOK }));
        pace.committed(50, 0, TOOK);
        assert_eq!(pace.gather(1, SOON), Some(Gather { jobs: 50, at_most: TOOK }), "and stay one");
        assert_eq!(pace.gather(50, SOON), None, "all are there");
    }

    #[test]
    fn who_comes_alone_never_waits() {
        assert_eq!(Pace::default().gather(1, Duration::ZERO), None, "the first of all");
        assert_eq!(after(1, 0).gather(1, SOON), None);
        assert_eq!(after(4, 3).gather(3, SOON), None, "nor do few");
        assert_eq!(after(50, 0).gather(1, TOOK), None, "nor who comes when the others have gone");
    }

    #[test]
    fn nobody_waits_for_more_than_one_commit_takes_or_long() {
        let mut pace = after(1000, 1000);
        assert_eq!(pace.gather(1, SOON).map(|gather| gather.jobs), Some(ENOUGH));
        pace.committed(20, 0, Duration::from_secs(2));
        assert_eq!(pace.gather(1, SOON).map(|gather| gather.at_most), Some(LONGEST), "after a stall");
        for _ in 0..50 {
            pace.committed(20, 0, TOOK);
        }
        let at_most = pace.gather(1, SOON).map(|gather| gather.at_most).unwrap();
        assert!(at_most < TOOK + SOON, "it is forgotten: {at_most:?}");
    }
}
