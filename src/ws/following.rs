//! Following everything: administrators are told that something of a part changed, not what.
//!
//! It is a nudge to read the numbers again, so a few a second are enough, and who has other things to read
//! first gets one nudge later. While nobody follows, a change costs one look at a counter.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use uuid::Uuid;

use super::log::Room;
use super::resumable::Session;
use super::sessions::lock;
use crate::clock::{Clock, Moment};
use crate::dialect::extensions;
use crate::router::Part;

/// How long changes are gathered before they are told: what belongs together comes together.
const GATHER: Duration = Duration::from_millis(100);

/// How long it is at least from one nudge to the gathering of the next.
const PAUSE: Duration = Duration::from_millis(400);

/// The parts by the names they are told by, in this order.
const PARTS: [(Part, &str); 3] = [(Part::Calls, "calls"), (Part::Users, "users"), (Part::Missed, "missed")];

fn bit(part: Part) -> u8 {
    match part {
        Part::Calls => 1,
        Part::Users => 2,
        Part::Missed => 4,
    }
}

/// The names of the parts that are set.
fn names(parts: u8) -> Vec<&'static str> {
    PARTS.into_iter().filter(|(part, _)| parts & bit(*part) != 0).map(|(_, name)| name).collect()
}

/// Who follows, and what they were not told yet.
#[derive(Default)]
pub struct Following {
    /// Sessions, each with the parts that wait for it.
    sessions: Mutex<HashMap<Uuid, (Arc<Session>, u8)>>,
    /// How many they are.
    count: AtomicUsize,
    /// Parts that changed since the last telling.
    changed: AtomicU8,
    bell: Notify,
}

impl Following {
    /// This session follows from now on.
    pub fn add(&self, session: &Arc<Session>) {
        let mut sessions = lock(&self.sessions);
        sessions.entry(session.id).or_insert_with(|| (Arc::clone(session), 0));
        self.count.store(sessions.len(), Ordering::Release);
    }

    /// It follows no more.
    pub fn remove(&self, session: &Session) {
        if self.count.load(Ordering::Acquire) > 0 {
            let mut sessions = lock(&self.sessions);
            sessions.remove(&session.id);
            self.count.store(sessions.len(), Ordering::Release);
        }
    }

    /// Something changed.
    pub fn note(&self, part: Part) {
        if self.count.load(Ordering::Acquire) == 0 {
            return;
        }
        let before = self.changed.fetch_or(bit(part), Ordering::AcqRel);
        if before == 0 {
            self.bell.notify_one();
        }
    }

    /// A session is back; something may wait for it.
    pub fn nudge(&self) {
        if self.count.load(Ordering::Acquire) > 0 {
            self.bell.notify_one();
        }
    }

    /// Tells those who follow, for as long as the service runs.
    pub async fn keep_telling(&self, clock: Clock) {
        loop {
            self.bell.notified().await;
            tokio::time::sleep(GATHER).await;
            if self.tell(clock.moment()) {
                self.bell.notify_one();
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Tells everybody what waits for them; `true` when some of it has to wait a little. What waits for a
    /// session without a socket stays there until it is taken over.
    fn tell(&self, now: Moment) -> bool {
        let changed = self.changed.swap(0, Ordering::AcqRel);
        let mut ready = Vec::new();
        let mut late = false;
        for (session, waiting) in lock(&self.sessions).values_mut() {
            *waiting |= changed;
            if *waiting == 0 {
                continue;
            }
            match session.state().log.room() {
                Room::Free => ready.push((Arc::clone(session), std::mem::take(waiting))),
                Room::Crowded => late = true,
                Room::Away => {}
            }
        }
        for (session, parts) in ready {
            if !session.say(extensions::admin_changed(&names(parts)).into(), now) {
                // It changes hands at this moment.
                late = true;
                if let Some((_, waiting)) = lock(&self.sessions).get_mut(&session.id) {
                    *waiting |= parts;
                }
            }
        }
        late
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ws::sessions::Sessions;
    use crate::ws::sessions::tests::outlet;

    #[test]
    fn parts_are_told_by_name_and_in_order() {
        assert_eq!(names(0), [""; 0]);
        assert_eq!(names(bit(Part::Missed) | bit(Part::Calls)), ["calls", "missed"]);
    }

    #[actix_web::test]
    async fn who_follows_is_told_once_of_many_changes_and_later_when_crowded() {
        let sessions = Sessions::new(Clock::new(), Arc::default(), Arc::default());
        let following = &sessions.following;
        following.note(Part::Calls);
        assert_eq!(following.changed.load(Ordering::Acquire), 0, "nobody follows: nothing is kept");
        let socket = outlet(&sessions, "laptop");
        socket.greet();
        socket.begin(None, |_, _, _| "{}".to_owned());
        let session = socket.session().unwrap();
        sessions.follow(&session);
        for part in [Part::Users, Part::Calls, Part::Users] {
            following.note(part);
        }
        assert!(!following.tell(Moment(0)));
        assert_eq!(session.seq(), 1);
        assert!(!following.tell(Moment(0)));
        assert_eq!(session.seq(), 1, "nothing changed since");
        for _ in 0..70 {
            socket.say("{}".to_owned());
        }
        following.note(Part::Missed);
        assert!(following.tell(Moment(0)), "it waits");
        assert_eq!(session.seq(), 71);
        // Parked, it waits for the next socket.
        sessions.park(&session, socket.who().session);
        assert!(!following.tell(Moment(0)));
        let next = outlet(&sessions, "laptop");
        next.greet();
        next.begin(Some((session.name(), 71)), |_, _, _| "{}".to_owned());
        assert!(!following.tell(Moment(0)));
        assert_eq!(session.seq(), 72);
        sessions.remove(&session);
        following.note(Part::Calls);
        assert_eq!(following.changed.load(Ordering::Acquire), 0);
        // What was still under way when it went makes nobody follow.
        sessions.follow(&session);
        following.note(Part::Calls);
        assert_eq!(following.changed.load(Ordering::Acquire), 0);
    }
}
