//! Devices whose token has expired and that stay for this call alone.

use actix::prelude::*;
use tokio::sync::oneshot;

use crate::ids::{DeviceId, UserId};

use super::super::stay::{Stay, Tie};
use super::CallSession;
use super::outbox::{Item, Parcel};

/// A device that stays until its part in the call is over, which it learns when this is dropped.
pub(super) struct Staying {
    user: UserId,
    device: DeviceId,
    over: oneshot::Sender<()>,
}

impl CallSession {
    fn stay(&mut self, Stay { user, device, expired_at, reply }: Stay, ctx: &mut Context<Self>) {
        let call = self.call.id();
        let now = self.around.clock.wall();
        let concerned = self.call.outlasts(&user, expired_at, now);
        if concerned && self.call.has_part(&user, device.as_ref()) {
            let (over, until) = oneshot::channel();
            // A client that is gone meanwhile needs no place here.
            if reply.send(Some(Tie::Live(call, until))).is_ok()
                && let Some(device) = device
            {
                // Requests that never became sockets leave nothing behind.
                self.staying.retain(|one| !one.over.is_closed());
                self.staying.push(Staying { user, device, over });
            }
            return;
        }
        // Behind everything that is still to be told: a socket is closed on this answer.
        let answer = concerned.then_some(Tie::Over(call));
        self.outbox.push_back(Parcel { write: None, items: vec![Item::Tie(reply, answer)] });
        self.empty_outbox(ctx);
    }

    /// Lets devices go that have no part in the call any more, once everything is told; and forgets those that are gone.
    pub(super) fn let_go(&mut self) {
        let call = &self.call;
        self.staying.retain(|one| !one.over.is_closed() && call.has_part(&one.user, Some(&one.device)));
    }
}

impl Handler<Stay> for CallSession {
    type Result = ();
    fn handle(&mut self, stay: Stay, ctx: &mut Self::Context) {
        self.stay(stay, ctx);
    }
}
