//! Watching presence: a task of its own, which tells sockets how the users they watch stand.
//!
//! The router only names who looks different. Every so often the task looks at them, writes each entry once
//! for all who watch, and hands it to their sockets, unless a socket has other things to read first: then
//! only the newest state of each user waits.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::sessions::{Session, Sessions, lock};
use crate::clock::{Moment, Timestamp};
use crate::dialect::extensions::{self, MAX_WATCHED};
use crate::ids::UserId;
use crate::presence::Status;
use crate::router::{Audience, Part, Shown, Viewer};
use crate::signal::{Payload, Refusal};

/// How long changes are gathered before they are told.
const TICK: Duration = Duration::from_millis(75);

/// How often sessions nobody came back for are let go.
const TIDY_EVERY: Duration = Duration::from_secs(5);

/// How many users one `presence_changed` names; more take another.
const PER_FRAME: usize = 200;

/// Whom one session watches, by the names it knows them by: a profile is another name of a user.
#[derive(Default)]
pub struct Watching {
    users: HashMap<UserId, Told>,
    /// The newest state of users its client has not been told.
    pending: HashMap<UserId, (u64, Arc<str>)>,
}

struct Told {
    /// Whose the name is.
    user: UserId,
    /// The version its client knows; `None` until it was told the first.
    version: Option<u64>,
    visible: bool,
}

impl Sessions {
    /// Watches users from now on. Their first state is told by [`Sessions::snapshot`].
    pub fn watch(&self, session: &Arc<Session>, users: &[UserId]) -> Result<(), Refusal> {
        let resolved = |name: &UserId| self.directory.resolve(name.clone());
        let moved: Vec<UserId> = {
            let watching = lock(&session.watching);
            let moved = |name: &&UserId| watching.users.get(name).is_some_and(|told| told.user != resolved(name));
            users.iter().filter(moved).cloned().collect()
        };
        if !moved.is_empty() {
            self.unwatch(session, &moved);
        }
        let fresh: Vec<(UserId, UserId)> = {
            let mut watching = lock(&session.watching);
            let new = users.iter().filter(|name| !watching.users.contains_key(name));
            let fresh: Vec<(UserId, UserId)> = new.map(|name| (name.clone(), resolved(name))).collect();
            if watching.users.len() + fresh.len() > MAX_WATCHED {
                return Err(Refusal::TooLarge(format!("a socket may watch at most {MAX_WATCHED} users")));
            }
            for (name, user) in &fresh {
                let told = Told { user: user.clone(), version: None, visible: false };
                watching.users.insert(name.clone(), told);
            }
            fresh
        };
        for (name, user) in fresh {
            self.watched.entry(user).or_default().push((Arc::clone(session), name));
        }
        Ok(())
    }

    /// Watches these no more; nobody, where none are named.
    pub fn unwatch(&self, session: &Arc<Session>, users: &[UserId]) {
        let gone: Vec<(UserId, UserId)> = {
            let mut watching = lock(&session.watching);
            if users.is_empty() {
                watching.pending.clear();
                watching.users.drain().map(|(name, told)| (name, told.user)).collect()
            } else {
                users
                    .iter()
                    .filter_map(|name| {
                        watching.pending.remove(name);
                        watching.users.remove(name).map(|told| (name.clone(), told.user))
                    })
                    .collect()
            }
        };
        for (name, user) in gone {
            self.watched.remove_if_mut(&user, |_, watchers| {
                watchers.retain(|(watcher, known)| *known != name || !Arc::ptr_eq(watcher, session));
                watchers.is_empty()
            });
        }
    }

    /// Users of whom only the database may know when they were last seen.
    pub fn unseen(&self, viewer: &Viewer, users: &[UserId]) -> Vec<UserId> {
        let unseen =
            |user: &UserId| self.visibility.shows(user, viewer) && self.directory.shown(user).last_seen.is_none();
        users.iter().map(|name| self.directory.resolve(name.clone())).filter(unseen).collect()
    }

    /// The message that tells how users stand. Those the session watches are told from here on.
    pub fn snapshot(
        &self,
        session: &Arc<Session>,
        users: &[UserId],
        earlier: &HashMap<UserId, Timestamp>,
        reference: Option<&Payload>,
    ) -> String {
        let entries: Vec<String> = {
            let mut watching = lock(&session.watching);
            users
                .iter()
                .map(|name| {
                    let user = self.directory.resolve(name.clone());
                    let visible = self.visibility.shows(&user, &session.viewer);
                    let shown = if visible { self.directory.shown(&user) } else { Shown::default() };
                    let earlier = earlier.get(&user).copied().filter(|_| visible);
                    if let Some(told) = watching.users.get_mut(name) {
                        told.version = Some(shown.version);
                        told.visible = visible;
                    }
                    if watching.pending.get(name).is_some_and(|(version, _)| *version <= shown.version) {
                        watching.pending.remove(name);
                    }
                    self.entry(name, &shown, earlier)
                })
                .collect()
        };
        self.nudge(session);
        extensions::presence_snapshot(entries.iter().map(String::as_str), reference)
    }

    fn entry(&self, user: &UserId, shown: &Shown, earlier: Option<Timestamp>) -> String {
        let now = self.clock.now();
        let last_seen = shown.last_seen.map(|at| now.wall_at(at)).or(earlier);
        extensions::presence_entry(user, shown.published.status.as_str(), last_seen, shown.version)
    }

    /// Something may wait for this session.
    pub(super) fn nudge(&self, session: &Arc<Session>) {
        if !lock(&session.watching).pending.is_empty() {
            lock(&self.late).insert(session.id.clone(), Arc::clone(session));
            self.bell.notify_one();
        }
    }

    /// Tells watchers, for as long as the service runs.
    pub async fn keep_telling(self: Arc<Self>) {
        let mut tidied = Moment::default();
        loop {
            // Waits for a change; a tidying may be due before.
            let _ = tokio::time::timeout(TIDY_EVERY, self.bell.notified()).await;
            let now = self.clock.moment();
            if now - tidied >= TIDY_EVERY {
                tidied = now;
                self.tidy();
            }
            tokio::time::sleep(TICK).await;
            self.tell();
            if !lock(&self.late).is_empty() {
                self.bell.notify_one();
            }
        }
    }

    /// Tells those who follow everything, for as long as the service runs.
    pub async fn keep_nudging(&self) {
        self.following.keep_telling().await;
    }

    fn tell(&self) {
        let dirty = std::mem::take(&mut *lock(&self.dirty));
        let mut to_tell = std::mem::take(&mut *lock(&self.late));
        for user in dirty {
            let Some(watchers) = self.watched.get(&user).map(|watchers| watchers.clone()) else { continue };
            let shown = self.directory.shown(&user);
            let entry: Arc<str> = self.entry(&user, &shown, None).into();
            // Whoever could see and no longer can sees somebody who left.
            let hidden = |name: &UserId| -> Arc<str> {
                extensions::presence_entry(name, Status::Offline.as_str(), None, shown.version).into()
            };
            for (watcher, name) in watchers {
                let visible = self.visibility.shows(&user, &watcher.viewer);
                let mut watching = lock(&watcher.watching);
                let Some(told) = watching.users.get_mut(&name) else { continue };
                if told.version.is_some_and(|version| version >= shown.version) || !(visible || told.visible) {
                    continue;
                }
                told.visible = visible;
                let entry = match visible {
                    true if name == user => Arc::clone(&entry),
                    true => self.entry(&name, &shown, None).into(),
                    false => hidden(&name),
                };
                watching.pending.insert(name, (shown.version, entry));
                drop(watching);
                to_tell.insert(watcher.id.clone(), watcher);
            }
        }
        for (id, session) in to_tell {
            if self.tell_one(&session) {
                lock(&self.late).insert(id, session);
            }
        }
    }

    /// Tells one watcher what waits for it; `true` when some of it must wait on. What waits for a session
    /// without a socket stays there until it is taken over.
    fn tell_one(&self, session: &Arc<Session>) -> bool {
        let Some(outlet) = session.outlet() else { return false };
        if outlet.is_crowded() {
            return true;
        }
        let (entries, more) = {
            let mut watching = lock(&session.watching);
            let Watching { users, pending } = &mut *watching;
            // Before its snapshot a user is no news yet.
            let ready: Vec<UserId> = pending
                .keys()
                .filter(|user| users.get(*user).is_some_and(|told| told.version.is_some()))
                .take(PER_FRAME)
                .cloned()
                .collect();
            let mut entries = Vec::with_capacity(ready.len());
            for user in &ready {
                if let (Some((version, entry)), Some(told)) = (pending.remove(user), users.get_mut(user)) {
                    told.version = Some(version);
                    entries.push(entry);
                }
            }
            let more = ready.len() == PER_FRAME && !pending.is_empty();
            (entries, more)
        };
        if !entries.is_empty() {
            outlet.say(extensions::presence_changed(entries.iter().map(|entry| &**entry)));
        }
        more
    }
}

impl Audience for Sessions {
    fn changed(&self, user: &UserId) {
        if self.watched.contains_key(user) {
            lock(&self.dirty).insert(user.clone());
            self.bell.notify_one();
        }
    }

    fn stirred(&self, part: Part) {
        self.following.note(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::ws::sessions::tests::outlet;

    #[actix_web::test]
    async fn a_socket_with_much_to_read_is_told_later_and_only_the_newest() {
        let sessions = Sessions::new(Clock::new(), Arc::default(), Arc::default());
        let socket = outlet(&sessions, "laptop");
        socket.greet();
        socket.begin(None, |_, _, _| "{}".to_owned());
        let session = socket.session().unwrap();
        let user = UserId::parse("2").unwrap();
        sessions.watch(&session, std::slice::from_ref(&user)).unwrap();
        let news = |version: u64| {
            let entry = extensions::presence_entry(&user, "online", None, version).into();
            lock(&session.watching).pending.insert(user.clone(), (version, entry));
        };
        news(1);
        // Before the snapshot it is no news.
        assert!(!sessions.tell_one(&session));
        assert_eq!(session.seq(), 0);
        let snapshot = sessions.snapshot(&session, std::slice::from_ref(&user), &HashMap::new(), None);
        assert!(snapshot.contains("\"version\":0"), "{snapshot}");
        for _ in 0..70 {
            socket.say("{}".to_owned());
        }
        assert!(sessions.tell_one(&session), "it waits");
        news(2);
        assert!(sessions.tell_one(&session));
        assert_eq!(session.seq(), 70);
        // Parked, it waits for the next socket.
        sessions.park(&session, socket.who().session);
        assert!(!sessions.tell_one(&session));
        let next = outlet(&sessions, "laptop");
        next.greet();
        next.begin(Some((session.id.clone(), 70)), |_, recovered, seq| {
            assert!(recovered && seq == 70);
            "{}".to_owned()
        });
        assert!(!sessions.tell_one(&session));
        assert_eq!(session.seq(), 71);
        assert!(lock(&session.watching).pending.is_empty());
        assert_eq!(next.outbox().waiting().0, 2);
    }
}
