//! Watching presence: whom a session watches, what its client knows of them, and how they stand when it asks.
//! Who is told of changes, and when, is [`super::telling`].

use std::collections::HashMap;
use std::sync::Arc;

use super::outlet::SocketOutlet;
use super::resumable::{Session, State};
use super::sessions::{Sessions, lock};
use super::telling::Item;
use crate::clock::{Moment, Now, Timestamp};
use crate::dialect::extensions::{self, MAX_WATCHED};
use crate::ids::UserId;
use crate::router::{Audience, Part, Shown, Viewer};
use crate::signal::{Payload, Refusal};

/// By whom a user is watched, each with the name it knows the user by. Shared, so that a round of telling goes
/// through those there were without holding up who comes and goes.
pub(super) type Watchers = Arc<Vec<(Arc<Session>, UserId)>>;

/// Whom one session watches, by the names it knows them by: a profile is another name of a user.
#[derive(Default)]
pub(super) struct Watching {
    pub users: HashMap<UserId, Told>,
    /// The names of those with news that wait.
    waiting: Vec<UserId>,
    /// Until when its client is told nothing more.
    pub rests_until: Moment,
    /// Its turn will come without anything else happening.
    pub queued: bool,
}

/// What a client knows of one user.
pub(super) struct Told {
    /// Whose the name is.
    user: UserId,
    /// The newest version it was told; `None` until it was told the first.
    pub version: Option<u64>,
    pub visible: bool,
    /// What it was not told yet: the newest alone.
    news: Option<Arc<Item>>,
}

impl Watching {
    /// Whether something waits for its client.
    pub fn is_behind(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Something waits from now on; of one user only the newest does.
    pub fn wait(&mut self, name: &UserId, news: Arc<Item>) {
        let Some(told) = self.users.get_mut(name) else { return };
        if told.news.replace(news).is_none() {
            self.waiting.push(name.clone());
        }
    }

    /// Takes so many of those that wait: they count as told.
    pub fn take(&mut self, most: usize) -> Vec<Arc<Item>> {
        let Self { users, waiting, .. } = self;
        let mut items = Vec::new();
        let mut names = 0;
        while let Some(name) = waiting.get(names).filter(|_| items.len() < most) {
            names += 1;
            // Who is watched no more, or was told in a snapshot, has no news.
            let Some(told) = users.get_mut(name) else { continue };
            if let Some(item) = told.news.take() {
                told.version = Some(item.version);
                items.push(item);
            }
        }
        waiting.drain(..names);
        if waiting.is_empty() {
            *waiting = Vec::new();
        }
        items
    }
}

impl Sessions {
    /// Watches users from now on. Their first state is told by [`Sessions::snapshot`].
    pub fn watch(&self, session: &Arc<Session>, users: &[UserId]) -> Result<(), Refusal> {
        let resolved = |name: &UserId| self.directory.resolve(name.clone());
        let mut state = session.state();
        let watching = state.watching.get_or_insert_default();
        let fresh = users.iter().filter(|name| !watching.users.contains_key(name)).count();
        if watching.users.len() + fresh > MAX_WATCHED {
            return Err(Refusal::TooLarge(format!("a socket may watch at most {MAX_WATCHED} users")));
        }
        for name in users {
            let user = resolved(name);
            match watching.users.get(name) {
                Some(told) if told.user == user => continue,
                Some(told) => self.forget(session, name, &told.user),
                None => {}
            }
            let mut watchers = self.watched.entry(user).or_default();
            // One text for all who know the user by it.
            let user = watchers.key().clone();
            let name = if *name == user { user.clone() } else { name.clone() };
            Arc::make_mut(&mut watchers).push((Arc::clone(session), name.clone()));
            watching.users.insert(name, Told { user, version: None, visible: false, news: None });
        }
        Ok(())
    }

    /// Watches these no more; nobody, where none are named.
    pub fn unwatch(&self, session: &Arc<Session>, users: &[UserId]) {
        let mut state = session.state();
        let Some(watching) = &mut state.watching else { return };
        if users.is_empty() {
            watching.users.drain().for_each(|(name, told)| self.forget(session, &name, &told.user));
        }
        for name in users {
            if let Some(told) = watching.users.remove(name) {
                self.forget(session, name, &told.user);
            }
        }
    }

    fn forget(&self, session: &Arc<Session>, name: &UserId, user: &UserId) {
        self.watched.remove_if_mut(user, |_, watchers| {
            Arc::make_mut(watchers).retain(|(watcher, known)| !Arc::ptr_eq(watcher, session) || known != name);
            watchers.is_empty()
        });
    }

    /// Users of whom only the database may know when they were last seen.
    pub fn unseen(&self, viewer: &Viewer, users: &[UserId]) -> Vec<UserId> {
        let unseen =
            |user: &UserId| self.visibility.shows(user, viewer) && self.directory.shown(user).last_seen.is_none();
        users.iter().map(|name| self.directory.resolve(name.clone())).filter(unseen).collect()
    }

    /// Tells how users stand. Of those the session watches it is told every change from here on. Where another socket
    /// has taken it over since, that one is told of those as of a change.
    pub fn snapshot(
        &self,
        session: &Session,
        socket: &SocketOutlet,
        users: &[UserId],
        earlier: &HashMap<UserId, Timestamp>,
        reference: Option<&Payload>,
    ) {
        let slow = {
            // Told before anybody can tell what is newer.
            let mut state = session.state();
            let State { log, watching } = &mut *state;
            if !log.is_owned_by(socket.who().session) {
                for name in users {
                    if let Some(told) = watching.as_mut().and_then(|watching| watching.users.get_mut(name)) {
                        told.version.get_or_insert(0);
                    }
                }
                drop(state);
                return self.changed(users.iter().map(|name| self.directory.resolve(name.clone())).collect());
            }
            let now = self.clock.now();
            let stands = |name: &UserId| {
                let user = self.directory.resolve(name.clone());
                let visible = self.visibility.shows(&user, &session.viewer);
                let shown = if visible { self.directory.shown(&user) } else { Shown::default() };
                let earlier = earlier.get(&user).copied().filter(|_| visible);
                if let Some(told) = watching.as_mut().and_then(|watching| watching.users.get_mut(name)) {
                    told.version = Some(shown.version);
                    told.visible = visible;
                    told.news.take_if(|news| news.version <= shown.version);
                }
                entry(name, &shown, earlier, now)
            };
            let entries: Vec<String> = users.iter().map(stands).collect();
            let text = extensions::presence_snapshot(entries.iter().map(String::as_str), reference);
            log.say(text.into(), now.tick)
        };
        if let Some(slow) = slow {
            slow.too_slow();
        }
    }

    /// Something may wait for this session, which has a socket again.
    pub(super) fn nudge(&self, session: &Arc<Session>) {
        let behind =
            |watching: &mut Box<Watching>| watching.is_behind() && !std::mem::replace(&mut watching.queued, true);
        if session.state().watching.as_mut().is_some_and(behind) {
            lock(&self.news).back.push(Arc::clone(session));
            self.bell.notify_one();
        }
    }
}

/// How a user stands, by this name.
pub(super) fn entry(name: &UserId, shown: &Shown, earlier: Option<Timestamp>, now: Now) -> String {
    let last_seen = shown.last_seen.map(|at| now.wall_at(at)).or(earlier);
    extensions::presence_entry(name, shown.published.status.as_str(), last_seen, shown.version)
}

impl Audience for Sessions {
    fn changed(&self, mut users: Vec<UserId>) {
        users.retain(|user| self.watched.contains_key(user));
        if !users.is_empty() {
            lock(&self.news).users.extend(users);
            self.bell.notify_one();
        }
    }

    fn stirred(&self, part: Part) {
        self.following.note(part);
    }
}
