//! Tokens that expire during a call: whether their bearers may go on with it.

use actix::prelude::*;
use tokio::sync::oneshot;

use crate::call::outlasts;
use crate::clock::Timestamp;
use crate::ids::{CallId, DeviceId, UserId};

use super::CallRouter;

pub use crate::call::KEPT_FOR;

/// Which call is there for somebody whose token has expired? Answered, where their part in it is over, after they were
/// told so; with `None` where there is no call, or none that was live when the token expired.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Stay {
    /// Whose token it was.
    pub user: UserId,
    /// The device they would go on with; `None` where it is none in particular, by REST.
    pub device: Option<DeviceId>,
    /// When the token expired, or that was noticed.
    pub expired_at: Timestamp,
    /// Where the answer goes. Dropped where the call is gone meanwhile.
    pub reply: oneshot::Sender<Option<Tie>>,
}

/// The part that somebody whose token has expired has in a call.
#[derive(Debug)]
pub enum Tie {
    /// They have a part in it, with that device. It is over when this resolves, and they were told so before.
    Live(CallId, oneshot::Receiver<()>),
    /// They had a part in it.
    Over(CallId),
}

impl Handler<Stay> for CallRouter {
    type Result = ();

    fn handle(&mut self, stay: Stay, _: &mut Self::Context) {
        let user = &stay.user;
        let engaged = self.tracker.engaged(user).map(|engaged| engaged.call);
        let owed = || self.owing.get(user).and_then(|calls| calls.last()).copied();
        let call = engaged.or_else(|| self.left.get(user).copied()).or_else(owed);
        match call.and_then(|call| self.calls.get(&call)) {
            Some(live) => live.session.do_send(stay),
            None => {
                let now = self.now().wall;
                let view = self.recent.last_of(user).and_then(|call| self.recent.view(call));
                let over = view.filter(|view| outlasts(view.started_at, stay.expired_at, now));
                // The client may be gone.
                drop(stay.reply.send(over.map(|view| Tie::Over(view.id))));
            }
        }
    }
}
