//! Mailboxes: where notices wait for users who poll instead of holding a socket.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dashmap::DashMap;
use tokio::sync::Notify;

use crate::clock::{Clock, Moment};
use crate::ids::{CallId, UserId};
use crate::signal::Notice;

use super::messages::{Eviction, Outlet, Route};

/// How much waits, and how long.
#[derive(Debug, Clone, Copy)]
pub struct MailboxLimits {
    /// How many notices wait for one user.
    pub pending: usize,
    /// How long a notice waits.
    pub keep: Duration,
}

impl Default for MailboxLimits {
    fn default() -> Self {
        Self { pending: 100, keep: Duration::from_secs(60) }
    }
}

/// A notice that waits, with the number a polling client acknowledges it by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Rises by one from letter to letter; goes on rising across restarts.
    pub id: u64,
    /// The notice.
    pub notice: Notice,
}

/// One user's waiting notices.
pub struct Mailbox {
    clock: Clock,
    limits: MailboxLimits,
    letters: Mutex<Letters>,
    arrived: Notify,
}

struct Letters {
    last_id: u64,
    waiting: VecDeque<(Moment, Letter)>,
    /// When somebody last read or wrote, so that abandoned mailboxes can go.
    used: Moment,
}

impl Letters {
    /// Which letter a full mailbox can do without when `next` comes. A missing candidate costs a path; a missing
    /// description costs the call, unless a newer one of its kind takes its place.
    fn spare(&self, next: &Notice) -> Option<usize> {
        let letters = || self.waiting.iter().map(|(_, letter)| &letter.notice);
        letters().position(|notice| matches!(notice, Notice::Candidate { .. })).or_else(|| {
            letters()
                .enumerate()
                .position(|(at, older)| letters().skip(at + 1).chain([next]).any(|newer| replaces(newer, older)))
        })
    }
}

/// Whether the one description makes the other obsolete: of the same call, sender and kind.
fn replaces(newer: &Notice, older: &Notice) -> bool {
    match (newer, older) {
        (
            Notice::Description { about, from, kind, .. },
            Notice::Description { about: old_about, from: old_from, kind: old_kind, .. },
        ) => about.call == old_about.call && from.user == old_from.user && kind == old_kind,
        _ => false,
    }
}

impl Mailbox {
    fn new(clock: Clock, limits: MailboxLimits) -> Self {
        let now = clock.now();
        // Numbers start at the time of day so that a client's last number stays behind across restarts.
        let letters = Letters {
            last_id: u64::try_from(now.wall.timestamp_micros()).unwrap_or(0),
            waiting: VecDeque::new(),
            used: now.tick,
        };
        Self { clock, limits, letters: Mutex::new(letters), arrived: Notify::new() }
    }

    fn locked<T>(&self, with: impl FnOnce(&mut Letters, Moment) -> T) -> T {
        let now = self.clock.moment();
        let mut letters = self.letters.lock().unwrap_or_else(PoisonError::into_inner);
        let keep = self.limits.keep;
        while letters.waiting.front().is_some_and(|(at, _)| now - *at > keep) {
            letters.waiting.pop_front();
        }
        letters.used = now;
        with(&mut letters, now)
    }

    /// The letters that wait; those of one call, for a client that may know of that alone. With `after` the client
    /// acknowledges everything up to that number and gets the rest again until it acknowledges it; without, they are gone.
    pub fn read(&self, after: Option<u64>, only: Option<CallId>) -> Vec<Letter> {
        let meant = |letter: &Letter| only.is_none() || letter.notice.call() == only;
        self.locked(|letters, _| match after {
            Some(after) => {
                letters.waiting.retain(|(_, letter)| letter.id > after || !meant(letter));
                letters.waiting.iter().map(|(_, letter)| letter).filter(|letter| meant(letter)).cloned().collect()
            }
            None => {
                let waiting = std::mem::take(&mut letters.waiting);
                let (read, left): (VecDeque<_>, _) = waiting.into_iter().partition(|(_, letter)| meant(letter));
                letters.waiting = left;
                read.into_iter().map(|(_, letter)| letter).collect()
            }
        })
    }

    /// Whether something of a call waits.
    pub fn holds(&self, call: CallId) -> bool {
        self.locked(|letters, _| letters.waiting.iter().any(|(_, letter)| letter.notice.call() == Some(call)))
    }

    /// The same, waiting up to `patience` for something to arrive.
    pub async fn wait(&self, after: Option<u64>, only: Option<CallId>, patience: Duration) -> Vec<Letter> {
        let deadline = tokio::time::Instant::now() + patience;
        loop {
            let arrived = self.arrived.notified();
            let letters = self.read(after, only);
            if !letters.is_empty() || tokio::time::timeout_at(deadline, arrived).await.is_err() {
                return letters;
            }
        }
    }
}

impl Outlet for Mailbox {
    fn deliver(&self, notice: &Notice) -> bool {
        let limit = self.limits.pending;
        let taken = self.locked(|letters, now| {
            if letters.waiting.len() >= limit {
                match letters.spare(notice) {
                    Some(spare) => drop(letters.waiting.remove(spare)),
                    // A call ends once, and a reader who is not told would believe in it for ever.
                    None if matches!(notice, Notice::Closed { .. }) && letters.waiting.len() < 2 * limit => {}
                    None => return false,
                }
            }
            letters.last_id += 1;
            let letter = Letter { id: letters.last_id, notice: notice.clone() };
            letters.waiting.push_back((now, letter));
            true
        });
        self.arrived.notify_waiters();
        taken
    }

    fn set_route(&self, _: Option<Arc<Route>>) {}

    fn evict(&self, _: Eviction) {
        self.arrived.notify_waiters();
    }
}

/// Everybody's mailboxes.
pub struct Mailboxes {
    clock: Clock,
    limits: MailboxLimits,
    boxes: DashMap<UserId, Arc<Mailbox>>,
}

impl Mailboxes {
    /// No mailboxes yet.
    pub fn new(clock: Clock, limits: MailboxLimits) -> Self {
        Self { clock, limits, boxes: DashMap::new() }
    }

    /// The mailbox of a user, made if there is none.
    pub fn of(&self, user: &UserId) -> Arc<Mailbox> {
        let made = || Arc::new(Mailbox::new(self.clock, self.limits));
        Arc::clone(&self.boxes.entry(user.clone()).or_insert_with(made))
    }

    /// Throws away mailboxes nobody used for so long that nothing in them would be kept.
    pub(super) fn clear(&self, now: Moment) {
        self.boxes.retain(|_, mailbox| {
            let used = mailbox.letters.lock().unwrap_or_else(PoisonError::into_inner).used;
            Arc::strong_count(mailbox) > 1 || now - used <= self.limits.keep
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::CallId;
    use crate::signal::{Extra, Payload};

    fn candidate(n: i64) -> Notice {
        Notice::Candidate {
            call: CallId::new(1).unwrap(),
            from: UserId::parse("1").unwrap().into(),
            payload: Payload::from_json(&serde_json::json!(n)),
            extra: Extra::new(),
        }
    }

    fn ringing() -> Notice {
        Notice::Ringing { call: CallId::new(1).unwrap(), user: UserId::parse("2").unwrap(), devices: 1 }
    }

    fn mailbox(pending: usize) -> Mailbox {
        Mailbox::new(Clock::new(), MailboxLimits { pending, ..MailboxLimits::default() })
    }

    #[test]
    fn reading_drains_unless_the_client_acknowledges() {
        let mailbox = mailbox(10);
        assert!(mailbox.deliver(&candidate(1)) && mailbox.deliver(&candidate(2)));
        let first = mailbox.read(Some(0), None);
        assert_eq!(first.len(), 2);
        assert_eq!(mailbox.read(Some(first[0].id), None), first[1..], "not acknowledged, so again");
        assert_eq!(mailbox.read(None, None), first[1..]);
        assert!(mailbox.read(None, None).is_empty());
    }

    #[test]
    fn a_reader_of_one_call_reads_and_drains_that_call_alone() {
        let mailbox = mailbox(10);
        let closed = Notice::Closed {
            call: CallId::new(2),
            peer: UserId::parse("1").unwrap().into(),
            closing: crate::signal::Closing::Ended,
            reason: None,
            call_type: crate::signal::CallType::default(),
            duration_seconds: 0,
        };
        assert!(mailbox.deliver(&candidate(1)) && mailbox.deliver(&closed) && mailbox.deliver(&candidate(2)));
        let (one, two) = (CallId::new(1), CallId::new(2));
        assert_eq!(mailbox.read(Some(0), two).len(), 1);
        assert_eq!(mailbox.read(Some(u64::MAX), two), []);
        assert_eq!((mailbox.holds(two.unwrap()), mailbox.holds(one.unwrap())), (false, true));
        assert_eq!(mailbox.read(None, two), []);
        assert_eq!(mailbox.read(None, one).len(), 2);
        assert!(mailbox.read(None, None).is_empty());
    }

    #[test]
    fn a_full_mailbox_gives_up_candidates_and_nothing_else() {
        let mailbox = mailbox(2);
        assert!(mailbox.deliver(&ringing()) && mailbox.deliver(&candidate(1)) && mailbox.deliver(&ringing()));
        assert!(!mailbox.deliver(&ringing()), "nothing may be dropped, so it is refused");
        assert_eq!(mailbox.read(None, None).len(), 2);
    }

    #[test]
    fn a_full_mailbox_still_takes_the_end_of_a_call() {
        let closed = || Notice::Closed {
            call: CallId::new(1),
            peer: UserId::parse("1").unwrap().into(),
            closing: crate::signal::Closing::Ended,
            reason: None,
            call_type: crate::signal::CallType::default(),
            duration_seconds: 0,
        };
        let mailbox = mailbox(2);
        assert!(mailbox.deliver(&ringing()) && mailbox.deliver(&ringing()));
        assert!(mailbox.deliver(&closed()) && mailbox.deliver(&closed()));
        assert!(!mailbox.deliver(&closed()), "bounded all the same");
        assert_eq!(mailbox.read(None, None).len(), 4);
    }

    #[tokio::test]
    async fn a_waiting_reader_is_woken() {
        let mailbox = Arc::new(mailbox(2));
        let reader = tokio::spawn({
            let mailbox = Arc::clone(&mailbox);
            async move { mailbox.wait(None, None, Duration::from_secs(30)).await }
        });
        tokio::task::yield_now().await;
        mailbox.deliver(&ringing());
        assert_eq!(reader.await.unwrap().len(), 1);
    }
}
