//! One session of a client that said `hello`: what it was told, whom it watches, and the socket it is told by.

use std::sync::{Arc, Mutex, MutexGuard, TryLockError};
use std::time::Duration;

use uuid::Uuid;

use super::log::{Log, Room};
use super::outlet::SocketOutlet;
use super::sessions::lock;
use super::watch::Watching;
use crate::clock::Moment;
use crate::ids::{DeviceId, SessionId};
use crate::router::Viewer;
use crate::signal::Notice;

/// How long a session waits for its client.
pub const PARKED_FOR: Duration = Duration::from_secs(30);

/// One session.
pub struct Session {
    /// Its name. Whoever knows it is its client.
    pub id: Uuid,
    pub(super) device: DeviceId,
    /// As whom it looks at others: whose it is.
    pub(super) viewer: Viewer,
    state: Mutex<State>,
}

/// What changes of a session.
pub(super) struct State {
    pub log: Log,
    /// Until when its client is told nothing more of those it watches.
    pub rests_until: Moment,
    pub turn: Turn,
    /// Its watches ended with its token; its client has to begin anew to learn that.
    pub lapsed: bool,
    /// Whom it watches, once it watched somebody.
    pub watching: Option<Box<Watching>>,
}

/// When a client is told what waits for it of those it watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// Nothing waits.
    Never,
    /// Without anything else happening: it is in a queue for that.
    Comes,
    /// Once the session has a socket.
    WhenBack,
}

impl Turn {
    /// The session has a socket again; whether it has to be queued for that.
    pub fn came_back(&mut self) -> bool {
        let waits = *self == Self::WhenBack;
        if waits {
            *self = Self::Comes;
        }
        waits
    }
}

impl Session {
    /// One that begins with this socket.
    pub(super) fn new(outlet: &Arc<SocketOutlet>) -> Self {
        let who = outlet.who();
        Self {
            id: Uuid::new_v4(),
            device: who.device.clone(),
            viewer: Viewer { user: who.user.clone(), sees_all: who.sees_all },
            state: Mutex::new(State {
                log: Log::new(outlet),
                rests_until: Moment::default(),
                turn: Turn::Never,
                lapsed: false,
                watching: None,
            }),
        }
    }

    /// Its client has a token that holds: watches are told again.
    pub(super) fn renew(&self) {
        self.state().lapsed = false;
    }

    /// Whoever holds this may write to the session's queue, and waits for nobody else's lock but that.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// The same where nobody else holds it.
    pub(super) fn try_state(&self) -> Option<MutexGuard<'_, State>> {
        match self.state.try_lock() {
            Ok(state) => Some(state),
            Err(TryLockError::Poisoned(state)) => Some(state.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Its name as its client is told it.
    pub fn name(&self) -> String {
        self.id.simple().to_string()
    }

    /// Numbers a message, keeps it and hands it on; `None` when another socket has taken the session over.
    pub fn append<R>(
        &self,
        by: SessionId,
        about: Option<&Notice>,
        text: String,
        now: Moment,
        hand_on: impl FnOnce(&str) -> R,
    ) -> Option<R> {
        let log = &mut self.state().log;
        log.is_owned_by(by).then(|| log.append(about, text.into(), now, hand_on))
    }

    /// Keeps what reached a socket that never came to take the session over.
    pub fn append_parked(&self, about: Option<&Notice>, text: String, now: Moment) {
        let log = &mut self.state().log;
        if log.parked().is_some() {
            log.append(about, text.into(), now, |_| ());
        }
    }

    /// Tells its client a text that can wait; `false` where it has to.
    pub(super) fn say(&self, text: Arc<str>, now: Moment) -> bool {
        let slow = {
            let log = &mut self.state().log;
            if log.room() != Room::Free {
                return false;
            }
            log.say(text, now)
        };
        if let Some(slow) = slow {
            slow.too_slow();
        }
        true
    }

    /// Does something with the number of the last message, before there can be another.
    pub fn at_seq(&self, act: impl FnOnce(u64)) {
        let state = self.state();
        act(state.log.seq());
    }

    /// Whether the client has been told this invitation already.
    pub fn has_told(&self, notice: &Notice) -> bool {
        self.state().log.has_told(notice)
    }

    /// The number of the last message.
    pub fn seq(&self) -> u64 {
        self.state().log.seq()
    }

    /// Gives the session to a socket, and that socket everything after `seq`; `None` where it is not all there.
    pub(super) fn take_over(&self, by: &Arc<SocketOutlet>, seq: u64, now: Moment) -> Option<Vec<String>> {
        let State { log, lapsed, .. } = &mut *self.state();
        let who = by.who();
        // It goes on for the call alone. A client that is back for everything has to watch again.
        if *lapsed && !by.is_confined() {
            return None;
        }
        if log.parked().is_some_and(|at| now - at > PARKED_FOR) || self.viewer.user != who.user {
            return None;
        }
        // What it watches it watches with the rights it began with.
        if self.viewer.sees_all && !who.sees_all {
            return None;
        }
        // A generated id cannot be presented again: then the session must be free.
        let generated = self.device.is_generated() && who.device.is_generated();
        if self.device != who.device && !(generated && log.parked().is_some()) {
            return None;
        }
        log.take_over(by, seq)
    }
}
