//! What a device is shown of its user's live calls when it comes (back).

use actix::prelude::*;
use tokio::sync::oneshot;

use crate::ids::{DeviceId, UserId};
use crate::signal::CallSeen;

use super::CallRouter;
use super::call_session::Show;

/// Which calls is the user in, as this device may see them? Answered after everything before is written.
#[derive(actix::Message)]
#[rtype(result = "()")]
pub struct Overview {
    /// Whose calls.
    pub user: UserId,
    /// As seen by which device.
    pub device: DeviceId,
    /// Where the answer goes. Dropped where the call is gone meanwhile.
    pub reply: oneshot::Sender<Vec<CallSeen>>,
}

impl Handler<Overview> for CallRouter {
    type Result = ();

    fn handle(&mut self, overview: Overview, _: &mut Self::Context) {
        let engaged = self.tracker.engaged(&overview.user).map(|engaged| engaged.call);
        match engaged.and_then(|call| self.calls.get(&call)) {
            Some(live) => live.session.do_send(Show(overview)),
            // Whoever asked may be gone.
            None => drop(overview.reply.send(Vec::new())),
        }
    }
}
