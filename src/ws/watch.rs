//! Watching presence: whom a session watches, what its client knows of them, and how they stand when it asks.
//! Who is told of changes, and when, is [`super::telling`].

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use super::outlet::SocketOutlet;
use super::resumable::{Session, State};
use super::sessions::{Sessions, lock};
use super::telling::Item;
use crate::clock::{Now, Timestamp};
use crate::dialect::extensions::{self, MAX_WATCHED};
use crate::ids::UserId;
use crate::router::{Audience, Part, Shown, Viewer};
use crate::signal::{Payload, Refusal};

/// By whom a user is watched. Shared, so that a round of telling goes through those there were without holding up who
/// comes and goes.
pub(super) type Watchers = Arc<Vec<Watcher>>;

/// A session that watches a user.
#[derive(Clone)]
pub(super) struct Watcher {
    pub session: Arc<Session>,
    pub watch: Arc<Watch>,
}

/// What one client knows of one user it watches. A round of telling comes here from the user without a search.
pub(super) struct Watch {
    /// The name the client knows the user by: a profile is another name of a user.
    pub name: UserId,
    /// Whose the name is.
    user: UserId,
    told: Mutex<Told>,
}

/// What was told, and what was not yet.
pub(super) struct Told {
    /// The newest version its client was told; `None` until it was told the first, and when it watches no more.
    pub version: Option<u64>,
    pub visible: bool,
    /// What waits for it: the newest alone.
    pub news: Option<Arc<Item>>,
}

/// Whom one session watches, by the names it knows them by.
#[derive(Default)]
pub(super) struct Watching {
    users: HashMap<UserId, Arc<Watch>>,
    /// Those with news that wait.
    pub waiting: Vec<Arc<Watch>>,
}

impl Watch {
    fn new(name: UserId, user: UserId) -> Arc<Self> {
        Arc::new(Self { name, user, told: Mutex::new(Told { version: None, visible: false, news: None }) })
    }

    /// Only who holds the session asks, so nobody waits here.
    pub fn told(&self) -> MutexGuard<'_, Told> {
        lock(&self.told)
    }

    /// Its client is told no more.
    fn end(&self) {
        (self.told().version, self.told().news) = (None, None);
    }
}

impl Watching {
    /// Takes so many of those that wait: they count as told.
    pub fn take(&mut self, most: usize) -> Vec<Arc<Item>> {
        let mut items = Vec::new();
        let mut watches = 0;
        while let Some(watch) = self.waiting.get(watches).filter(|_| items.len() < most) {
            watches += 1;
            // Who is watched no more, or was told in a snapshot, has no news.
            let mut told = watch.told();
            if let Some(item) = told.news.take() {
                told.version = Some(item.version);
                items.push(item);
            }
        }
        self.waiting.drain(..watches);
        if self.waiting.is_empty() {
            self.waiting = Vec::new();
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
                Some(watch) if watch.user == user => continue,
                Some(watch) => self.forget(watch),
                None => {}
            }
            let mut watchers = self.watched.entry(user).or_default();
            // One text for all who know the user by it.
            let user = watchers.key().clone();
            let name = if *name == user { user.clone() } else { name.clone() };
            let watch = Watch::new(name.clone(), user);
            let watcher = Watcher { session: Arc::clone(session), watch: Arc::clone(&watch) };
            Arc::make_mut(&mut watchers).push(watcher);
            watching.users.insert(name, watch);
        }
        Ok(())
    }

    /// Watches these no more; nobody, where none are named.
    pub fn unwatch(&self, session: &Arc<Session>, users: &[UserId]) {
        let mut state = session.state();
        let Some(watching) = &mut state.watching else { return };
        if users.is_empty() {
            watching.users.drain().for_each(|(_, watch)| self.forget(&watch));
        }
        for name in users {
            if let Some(watch) = watching.users.remove(name) {
                self.forget(&watch);
            }
        }
    }

    fn forget(&self, watch: &Arc<Watch>) {
        watch.end();
        self.watched.remove_if_mut(&watch.user, |_, watchers| {
            Arc::make_mut(watchers).retain(|watcher| !Arc::ptr_eq(&watcher.watch, watch));
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
            let State { log, watching, .. } = &mut *state;
            if !log.is_owned_by(socket.who().session) {
                for name in users {
                    if let Some(watch) = watching.as_ref().and_then(|watching| watching.users.get(name)) {
                        watch.told().version.get_or_insert(0);
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
                if let Some(watch) = watching.as_ref().and_then(|watching| watching.users.get(name)) {
                    let mut told = watch.told();
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
        if session.state().turn.came_back() {
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
