//! Telling watchers of presence: a thread's task of its own.
//!
//! The router only names who looks different. A watcher is told at once, and then rests: what changes meanwhile
//! comes together when it has rested. So nobody waits who was told nothing lately, and nobody is flooded, by one
//! user who comes and goes or by everybody who comes back. A change is written once for all who are told it. A
//! socket with other things to read first is told later, and then the newest state of each user only.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::batch::Batch;
use super::log::Room;
use super::resumable::{Session, State, Turn};
use super::sessions::{News, Sessions, lock};
use super::watch::{Watcher, entry};
use crate::clock::{Moment, Now};
use crate::dialect::extensions;
use crate::ids::UserId;
use crate::presence::Status;
use crate::router::Shown;

/// How long a watcher rests when it was told something.
const REST: Duration = Duration::from_millis(75);

/// How many users one `presence_changed` names; more take another.
const PER_FRAME: usize = 200;

/// How often sessions nobody came back for are let go.
const TIDY_EVERY: Duration = Duration::from_secs(5);

/// A round that took this long is followed by a pause as long, so that telling takes half a core at most. What
/// changes in it is gathered.
const LONG: Duration = Duration::from_millis(1);

/// One user's change, as everybody is told it who knows the user by one name.
pub(super) struct Item {
    pub version: u64,
    /// The entry of the user.
    entry: String,
    /// A message of nothing else.
    message: Arc<str>,
}

/// One user's change.
struct Change {
    user: UserId,
    shown: Shown,
    now: Now,
    /// By each name, and as those see it who may see it or not; written when it is first asked for.
    items: Vec<(UserId, bool, Arc<Item>)>,
}

impl Change {
    fn new(user: UserId, shown: Shown, now: Now) -> Self {
        Self { user, shown, now, items: Vec::new() }
    }

    fn item(&mut self, name: &UserId, visible: bool) -> &Arc<Item> {
        let known = self.items.iter().position(|(known, seen, _)| (known, *seen) == (name, visible));
        let at = known.unwrap_or_else(|| {
            let Shown { version, .. } = self.shown;
            // Whoever could see and no longer can sees somebody who left.
            let entry = match visible {
                true => entry(name, &self.shown, None, self.now),
                false => extensions::presence_entry(name, Status::Offline.as_str(), None, version),
            };
            let message = extensions::presence_changed(std::iter::once(entry.as_str())).into();
            self.items.push((name.clone(), visible, Arc::new(Item { version, entry, message })));
            self.items.len() - 1
        });
        &self.items[at].2
    }
}

/// Who is told later.
#[derive(Default)]
struct Teller {
    /// By when it is their turn.
    later: BTreeMap<Moment, Vec<Arc<Session>>>,
}

impl Teller {
    /// When somebody's turn comes.
    fn next(&self) -> Option<Moment> {
        self.later.keys().next().copied()
    }

    /// Tells everybody these changes who may know, and those whose turn it is what waits for them.
    fn tell(&mut self, sessions: &Sessions, changes: Vec<Change>, mut ready: Vec<Arc<Session>>, now: Moment) {
        while let Some(first) = self.later.first_entry().filter(|first| *first.key() <= now) {
            ready.extend(first.remove());
        }
        // Of several, those come together that a watcher is told of.
        let at_once = changes.len() == 1;
        for mut change in changes {
            let Some(watchers) = sessions.watched.get(&change.user).map(|watchers| Arc::clone(&watchers)) else {
                continue;
            };
            let mut batch = Batch::new(now);
            for watcher in watchers.iter() {
                let visible = sessions.visibility.shows(&change.user, &watcher.session.viewer);
                self.note(watcher, visible, &mut change, at_once, &mut batch, &mut ready);
            }
            batch.write();
        }
        let mut batch = Batch::new(now);
        for session in &ready {
            self.tell_one(session, &mut batch);
        }
        batch.write();
    }

    /// Tells one watcher of a change, or notes it for later.
    fn note<'a>(
        &mut self,
        Watcher { session, watch }: &'a Watcher,
        visible: bool,
        change: &mut Change,
        at_once: bool,
        batch: &mut Batch<'a>,
        ready: &mut Vec<Arc<Session>>,
    ) {
        let mut state = batch.state(session);
        let State { log, rests_until, turn, watching: Some(watching), .. } = &mut *state else { return };
        let mut told = watch.told();
        // Before its snapshot a user is no news, and the snapshot will be as new.
        if told.version.is_none_or(|version| version >= change.shown.version) || !(visible || told.visible) {
            return;
        }
        told.visible = visible;
        let item = change.item(&watch.name, visible);
        let rested = *rests_until <= batch.now;
        let room = log.room();
        if at_once && rested && *turn == Turn::Never && room == Room::Free {
            told.version = Some(item.version);
            // The batch may be written, and a socket closed then.
            drop(told);
            *rests_until = batch.now + REST;
            return batch.say(state, Arc::clone(&item.message));
        }
        if told.news.replace(Arc::clone(item)).is_none() {
            watching.waiting.push(Arc::clone(watch));
        }
        // What waits for a session without a socket stays there until it is taken over.
        if room == Room::Away {
            if *turn == Turn::Never {
                *turn = Turn::WhenBack;
            }
        } else if *turn != Turn::Comes {
            *turn = Turn::Comes;
            let queue = if rested { ready } else { self.later.entry(*rests_until).or_default() };
            queue.push(Arc::clone(session));
        }
    }

    /// Tells one watcher what waits for it, if it may be told now.
    fn tell_one<'a>(&mut self, session: &'a Arc<Session>, batch: &mut Batch<'a>) {
        let mut state = batch.state(session);
        let State { log, rests_until, turn, watching: Some(watching), .. } = &mut *state else { return };
        let mut message = None;
        match log.room() {
            Room::Away => return *turn = Turn::WhenBack,
            Room::Crowded => *rests_until = batch.now + REST,
            Room::Free if *rests_until > batch.now => {}
            Room::Free => {
                let items = watching.take(PER_FRAME);
                message = match items.as_slice() {
                    [] => None,
                    [one] => Some(Arc::clone(&one.message)),
                    several => {
                        let entries = several.iter().map(|item| item.entry.as_str());
                        Some(extensions::presence_changed(entries).into())
                    }
                };
                if message.is_some() {
                    *rests_until = batch.now + REST;
                }
            }
        }
        *turn = if watching.waiting.is_empty() { Turn::Never } else { Turn::Comes };
        if *turn == Turn::Comes {
            self.later.entry(*rests_until).or_default().push(Arc::clone(session));
        }
        if let Some(message) = message {
            batch.say(state, message);
        }
    }
}

impl Sessions {
    /// Tells watchers, for as long as the service runs.
    pub async fn keep_telling(self: Arc<Self>) {
        let mut teller = Teller::default();
        let mut tidied = Moment::default();
        let mut pause_until = Moment::default();
        loop {
            let next = teller.next().map_or(TIDY_EVERY, |due| (due - self.clock.moment()).min(TIDY_EVERY));
            // Waits for a change; somebody's turn may come before.
            let _ = tokio::time::timeout(next, self.bell.notified()).await;
            let pause = pause_until - self.clock.moment();
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
            let now = self.clock.now();
            if now.tick - tidied >= TIDY_EVERY {
                tidied = now.tick;
                self.tidy();
            }
            let News { users, back } = std::mem::take(&mut *lock(&self.news));
            let change = |user: UserId| {
                let shown = self.directory.shown(&user);
                Change::new(user, shown, now)
            };
            teller.tell(&self, users.into_iter().map(change).collect(), back, now.tick);
            let done = self.clock.moment();
            let took = done - now.tick;
            if took >= LONG {
                pause_until = done + took;
            }
        }
    }

    /// Tells those who follow everything, for as long as the service runs.
    pub async fn keep_nudging(self: Arc<Self>) {
        self.following.keep_telling(self.clock).await;
    }
}

#[cfg(test)]
mod tests;
