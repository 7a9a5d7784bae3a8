//! The router: who is connected, who is engaged in which call, and which calls live.
//!
//! [`CallRouter`] is the only writer of all three, and no turn of it waits for anything, so taking
//! everybody's standing and reserving them is atomic. What happens within a call is decided by the
//! call's own actor (`call_session`); the rules are in `call` and `presence`.

mod addresses;
mod admin;
mod call_session;
mod commands;
mod connections;
mod directory;
mod mailbox;
pub mod messages;
mod overview;
mod recent;
mod stay;
mod visibility;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;

use crate::call::{Call, CallDetail, Event, Rules};
use crate::clock::{Clock, Moment, Now, Timestamp};
use crate::ids::{CallId, UserId};
use crate::presence::{Patience, Published, Tracker};
use crate::signal::{Phase, Refusal};

pub use addresses::learn;
pub use admin::{Census, CloseSession, KillCall, ListCalls, ListSessions, LiveCall, LiveSession, Part, Survey};
pub use directory::{Audience, Directory, Shown};
pub use mailbox::{Letter, Mailbox, MailboxLimits, Mailboxes};
pub use overview::Overview;
pub use stay::{KEPT_FOR, Stay, Tie};
pub use visibility::{Viewer, Visibility, VisibleTo};

use call_session::{CallSession, Dismiss, Happen, Progress, Progressed, Surroundings};
use messages::{CloseAll, Drain, Eviction, Flush, Ledger, Load, Measure, StatusRow, TakeNumber};
use recent::Recent;

/// What the router is built with.
pub struct RouterSettings {
    /// How long things in a call may take.
    pub rules: Rules,
    /// How long silence is borne.
    pub patience: Patience,
    /// How often users' rows are written.
    pub flush_every: Duration,
    /// The first id to give to a call.
    pub next_call_id: i64,
    /// Whether a user may make one more call at this instant; else how long to wait.
    pub may_invite: MayInvite,
}

/// Takes one invitation from a user's budget, or says how long to wait for the next.
pub type MayInvite = Box<dyn Fn(&UserId) -> Result<(), Duration> + Send>;

/// A live call, or one that still owes somebody its closing message.
struct Live {
    session: Addr<CallSession>,
    /// How it stands as far as that is written and told; nothing before its record is, and once it is over.
    detail: Option<Arc<CallDetail>>,
    /// Over, and everybody told who is there.
    ended: bool,
    /// Since when participants are free again, though that may not be written yet.
    released: Vec<(UserId, Moment)>,
    /// The caller and its retry key.
    key: Option<RetryKey>,
}

type RetryKey = (UserId, String);

/// The central actor.
pub struct CallRouter {
    settings: RouterSettings,
    tracker: Tracker,
    around: Surroundings,
    mailboxes: Arc<Mailboxes>,
    calls: HashMap<CallId, Live>,
    recent: Recent,
    /// Calls that are over but owe a device of that user a closing message.
    owing: HashMap<UserId, Vec<CallId>>,
    /// The call each user left last, while it goes on for others or its end is yet to be told.
    left: HashMap<UserId, CallId>,
    /// Calls by their caller's retry key, as long as the call is live or recent.
    keys: HashMap<RetryKey, CallId>,
    loaded: Vec<(Call, Vec<(UserId, Timestamp)>)>,
    next_call_id: i64,
    draining: bool,
    /// Every socket was told to go: none is let in any more.
    closed: bool,
}

impl CallRouter {
    /// A router that takes up the calls `loaded` at start, each with when its participants were last seen.
    pub fn new(
        settings: RouterSettings,
        clock: Clock,
        directory: Arc<Directory>,
        mailboxes: Arc<Mailboxes>,
        ledger: Arc<dyn Ledger>,
        loaded: Vec<(Call, Vec<(UserId, Timestamp)>)>,
    ) -> Self {
        Self {
            tracker: Tracker::new(settings.patience),
            around: Surroundings { clock, rules: settings.rules, directory, ledger },
            mailboxes,
            calls: HashMap::new(),
            recent: Recent::default(),
            owing: HashMap::new(),
            left: HashMap::new(),
            keys: HashMap::new(),
            loaded,
            next_call_id: settings.next_call_id,
            draining: false,
            closed: false,
            settings,
        }
    }

    fn now(&self) -> Now {
        self.around.clock.now()
    }

    fn moment(&self) -> Moment {
        self.around.clock.moment()
    }

    /// Takes up a call that another process left: everybody in it is reserved as they were.
    fn take_up(&mut self, mut call: Call, seen: Vec<(UserId, Timestamp)>, ctx: &mut Context<Self>) {
        let now = self.now();
        let id = call.id();
        self.reserve(&call, now);
        match call.apply(Event::Restarted { seen }, now, &self.settings.rules) {
            Ok(effects) => {
                let session = CallSession::loaded(call, effects, self.around.clone(), ctx.address()).start();
                self.calls.insert(id, Live { session, detail: None, ended: false, released: Vec::new(), key: None });
            }
            Err(refusal) => log::error!("call {id} cannot be taken up: {refusal}"),
        }
    }

    fn reserve(&mut self, call: &Call, now: Now) {
        for (index, leg) in call.legs().iter().enumerate() {
            if leg.state().is_over() {
                continue;
            }
            let with = (!call.is_group()).then(|| call.legs()[1 - index.min(1)].user().clone());
            self.tracker.reserve(leg.user(), call.id(), with, now.tick);
            if call.phase() == Phase::Answered && leg.state().is_in() {
                self.tracker.in_call(leg.user(), call.id(), now.tick);
            }
        }
    }

    /// Tells the calls that care about this user's devices.
    fn tell_calls(&self, user: &UserId, event: impl Fn() -> Event) {
        let engaged = self.tracker.engaged(user).map(|engaged| engaged.call);
        let owing = self.owing.get(user).into_iter().flatten().copied();
        for call in engaged.into_iter().chain(owing.filter(|call| Some(*call) != engaged)) {
            if let Some(live) = self.calls.get(&call) {
                live.session.do_send(Happen { event: event(), reply: None });
            }
        }
    }

    /// Tells a call that turns out to owe a user a closing message which of their devices connected since they were
    /// free: nobody told it then.
    fn catch_up(&self, call: CallId, user: &UserId, now: Moment) {
        let Some(Live { session, released, .. }) = self.calls.get(&call) else { return };
        // The last time, as who left may have been invited again; who was, and is in it, was told of already.
        let Some((_, released)) = released.iter().rev().find(|(free, _)| free == user) else { return };
        if self.tracker.engaged(user).is_some_and(|engaged| engaged.call == call) {
            return;
        }
        for reach in self.tracker.reaches(user, now) {
            if self.around.directory.since(user, &reach.device) >= Some(*released) {
                session.do_send(Happen { event: Event::DeviceBack { user: user.clone(), reach }, reply: None });
            }
        }
    }

    /// Shows everybody what changed.
    fn publish(&mut self) {
        let changes = self.tracker.take_changes(self.moment());
        if !changes.is_empty() {
            self.around.directory.publish(changes);
            self.around.directory.stir(Part::Users);
        }
    }

    /// Writes whose row is behind, and forgets who is gone.
    fn save_statuses(&mut self) {
        let now = self.now();
        let unsaved = self.tracker.unsaved(now.tick);
        // In the same turn: in the next they may be back.
        self.around.directory.forget(&self.tracker.forgotten());
        if unsaved.is_empty() {
            return;
        }
        let rows = unsaved.into_iter().filter_map(|(user, name, published, last_seen)| {
            // Who was never here has no row.
            let last_seen = now.wall_at(last_seen?);
            let Published { status, current_call_with } = published;
            Some(StatusRow { user, name, status: status.as_str().to_owned(), last_seen, current_call_with })
        });
        self.around.ledger.statuses(rows.collect());
    }

    /// Housekeeping at every flush.
    fn tidy(&mut self) {
        self.save_statuses();
        self.mailboxes.clear(self.moment());
    }

    /// The next call's number.
    fn take_number(&mut self) -> Result<CallId, Refusal> {
        let id = CallId::new(self.next_call_id).ok_or(Refusal::Unavailable("a call number"))?;
        self.next_call_id += 1;
        Ok(id)
    }

    /// Takes in a step of a call.
    fn goes_on(&mut self, call: CallId, progress: Progress, now: Moment) {
        match progress {
            Progress::InCall(user) => self.tracker.in_call(&user, call, now),
            Progress::InGroup(user) => self.tracker.in_group(&user, call, now),
            Progress::Released(user) => {
                if self.tracker.release(&user, call, now)
                    && let Some(live) = self.calls.get_mut(&call)
                {
                    self.left.insert(user.clone(), call);
                    live.released.push((user, now));
                }
            }
            Progress::Stands(detail) => {
                if let Some(live) = self.calls.get_mut(&call) {
                    live.detail = Some(detail);
                    self.around.directory.stir(Part::Calls);
                }
            }
            Progress::Missed => self.around.directory.stir(Part::Missed),
            Progress::Ended(view, ended_by) => {
                let key = self.calls.get_mut(&call).and_then(|live| {
                    live.ended = true;
                    live.detail = None;
                    forget(&mut self.left, call, live);
                    live.key.take()
                });
                if let Some(forgotten) = self.recent.remember(view, ended_by, key) {
                    self.keys.remove(&forgotten);
                }
                self.around.directory.stir(Part::Calls);
            }
            Progress::Owing(users) => {
                for user in users {
                    let owing = self.owing.entry(user.clone()).or_default();
                    if !owing.contains(&call) {
                        owing.push(call);
                        self.catch_up(call, &user, now);
                    }
                }
            }
            Progress::Gone => {
                if let Some(live) = self.calls.remove(&call) {
                    live.session.do_send(Dismiss);
                    forget(&mut self.left, call, &live);
                    if let Some(key) = live.key {
                        // It never was: its key may be used again.
                        self.keys.remove(&key);
                    }
                }
                if !self.owing.is_empty() {
                    self.owing.retain(|_, calls| {
                        calls.retain(|owing| *owing != call);
                        !calls.is_empty()
                    });
                }
            }
        }
    }

    fn live_calls(&self) -> usize {
        self.calls.values().filter(|live| !live.ended).count()
    }
}

impl Actor for CallRouter {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(4096);
        for (call, seen) in std::mem::take(&mut self.loaded) {
            self.take_up(call, seen, ctx);
        }
        // The first look, which also publishes: a stall is noticed by the time since the last one.
        self.sweep();
        ctx.run_interval(self.settings.patience.sweep_every, |router, _| router.sweep());
        ctx.run_interval(self.settings.flush_every, |router, _| router.tidy());
    }
}

impl Handler<Progressed> for CallRouter {
    type Result = ();

    fn handle(&mut self, Progressed(call, steps): Progressed, _: &mut Self::Context) {
        let now = self.moment();
        for step in steps {
            self.goes_on(call, step, now);
        }
        self.publish();
    }
}

impl Handler<Drain> for CallRouter {
    type Result = ();
    fn handle(&mut self, _: Drain, _: &mut Self::Context) {
        self.draining = true;
        for outlet in self.around.directory.all_sockets() {
            outlet.draining();
        }
    }
}

impl Handler<Measure> for CallRouter {
    type Result = Load;
    fn handle(&mut self, _: Measure, _: &mut Self::Context) -> Load {
        Load { live_calls: self.live_calls(), users: self.tracker.len(), draining: self.draining }
    }
}

impl Handler<CloseAll> for CallRouter {
    type Result = ();
    fn handle(&mut self, _: CloseAll, _: &mut Self::Context) {
        self.closed = true;
        for outlet in self.around.directory.all_sockets() {
            outlet.evict(Eviction::Draining);
        }
    }
}

impl Handler<Flush> for CallRouter {
    type Result = ();
    fn handle(&mut self, _: Flush, _: &mut Self::Context) {
        self.save_statuses();
    }
}

impl Handler<TakeNumber> for CallRouter {
    type Result = Result<CallId, Refusal>;
    fn handle(&mut self, _: TakeNumber, _: &mut Self::Context) -> Self::Result {
        self.take_number()
    }
}

/// Forgets that users left this call.
fn forget(left: &mut HashMap<UserId, CallId>, call: CallId, Live { released, .. }: &Live) {
    for (user, _) in released {
        if left.get(user) == Some(&call) {
            left.remove(user);
        }
    }
}

/// A refusal for a call nobody knows (any more).
fn no_such_call() -> Refusal {
    Refusal::NotFound("call")
}
