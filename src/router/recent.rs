//! Calls that ended lately, so that a request that comes late gets a true answer.

use std::collections::{HashMap, VecDeque};

use crate::ids::{CallId, UserId};
use crate::signal::CallView;

/// How many ended calls are remembered. Older ones are in the database.
const REMEMBERED: usize = 10_000;

/// The latest ended calls.
#[derive(Default)]
pub(super) struct Recent {
    order: VecDeque<CallId>,
    calls: HashMap<CallId, Ended>,
    last_of: HashMap<UserId, CallId>,
}

struct Ended {
    view: CallView,
    by: Option<UserId>,
    key: Option<(UserId, String)>,
}

impl Recent {
    /// Remembers a call that ended, who ended it, and its retry key. Returns the retry key of the one that
    /// is forgotten for it.
    pub fn remember(
        &mut self,
        view: CallView,
        by: Option<UserId>,
        key: Option<(UserId, String)>,
    ) -> Option<(UserId, String)> {
        let id = view.id;
        for user in std::iter::once(&view.caller).chain(&view.callees) {
            self.last_of.insert(user.clone(), id);
        }
        self.calls.insert(id, Ended { view, by, key });
        self.order.push_back(id);
        if self.order.len() <= REMEMBERED {
            return None;
        }
        let oldest = self.order.pop_front()?;
        let forgotten = self.calls.remove(&oldest)?;
        for user in std::iter::once(&forgotten.view.caller).chain(&forgotten.view.callees) {
            if self.last_of.get(user) == Some(&oldest) {
                self.last_of.remove(user);
            }
        }
        forgotten.key
    }

    /// A call, as one of its participants may see it, and who ended it.
    pub fn find(&self, call: CallId, user: &UserId) -> Option<(&CallView, Option<&UserId>)> {
        let Ended { view, by, .. } = self.calls.get(&call)?;
        let takes_part = view.caller == *user || view.callees.contains(user);
        takes_part.then_some((view, by.as_ref()))
    }

    /// A call, whoever asks.
    pub fn view(&self, call: CallId) -> Option<&CallView> {
        self.calls.get(&call).map(|ended| &ended.view)
    }

    /// The last call of a user.
    pub fn last_of(&self, user: &UserId) -> Option<CallId> {
        self.last_of.get(user).copied()
    }
}
