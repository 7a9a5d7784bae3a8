//! A socket whose token has expired: whether it stays, what its client may still say, and what it is told.
//!
//! The device that is in a call stays for that call alone. Its outlet is confined to the call, so that everything else
//! there is to tell passes it by. Its client's messages are refused unless they are of the call.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use actix::prelude::*;
use tokio::sync::oneshot;

use super::close::Close;
use super::outlet::SocketOutlet;
use super::session::WsSession;
use super::tenure::Tenure;
use super::{Admitted, Denied, SocketEdge};
use crate::clock::Timestamp;
use crate::dialect::Inbound;
use crate::ids::{CallId, DeviceId};
use crate::router::{Stay, Tie};
use crate::signal::{Notice, Payload, Refusal};

/// How long the router may take to say whether a device is in a call.
const ANSWERED_WITHIN: Duration = Duration::from_secs(3);

/// Why a socket is closed whose token is over.
const EXPIRED: &str = "the token has expired";

/// The call that keeps a socket, and what resolves when its device's part in it is over.
pub struct Kept {
    /// The call.
    pub call: CallId,
    /// The end of the device's part.
    pub over: oneshot::Receiver<()>,
}

/// The one call a client may be told of; none: of everything.
#[derive(Default)]
pub(super) struct Confined(AtomicI64);

impl Confined {
    fn get(&self) -> Option<CallId> {
        CallId::new(self.0.load(Ordering::Acquire))
    }

    fn set(&self, call: Option<CallId>) {
        self.0.store(call.map_or(0, CallId::get), Ordering::Release);
    }
}

impl SocketEdge {
    /// Keeps a socket from being opened whose token has expired, unless its device is in a call. Then it is opened for
    /// that.
    pub(super) async fn keep(
        &self,
        verdict: Result<Admitted, Denied>,
        device: &DeviceId,
    ) -> Result<(Admitted, Option<Kept>), Denied> {
        let admitted = verdict?;
        let expired = admitted.expires_at.filter(|at| *at <= self.clock.wall());
        let Some(expired_at) = expired else { return Ok((admitted, None)) };
        let (reply, tie) = oneshot::channel();
        let (user, device) = (admitted.user.clone(), Some(device.clone()));
        self.router.stay.do_send(Stay { user, device, expired_at, reply });
        match tokio::time::timeout(ANSWERED_WITHIN, tie).await {
            Ok(Ok(Some(Tie::Live(call, over)))) => Ok((admitted, Some(Kept { call, over }))),
            Ok(Ok(Some(Tie::Over(_)) | None) | Err(_)) => Err(Denied::Unauthorized(EXPIRED.to_owned())),
            Err(_) => Err(Denied::Overloaded),
        }
    }
}

impl SocketOutlet {
    /// From now on its client is told of this call alone; of everything again where it is `None`.
    pub(super) fn confine(&self, call: Option<CallId>) {
        self.confined.set(call);
    }

    /// Whether its client may be told of this call.
    pub(super) fn hears_of(&self, call: Option<CallId>) -> bool {
        self.confined.get().is_none_or(|only| call == Some(only))
    }

    /// Whether its client may be told this.
    pub(super) fn hears(&self, notice: &Notice) -> bool {
        self.hears_of(notice.call())
    }

    /// Whether its client is told of one call alone.
    pub(super) fn is_confined(&self) -> bool {
        self.confined.get().is_some()
    }
}

impl WsSession {
    /// The token has expired: asks whether the device is in a call.
    pub(super) fn ask_to_stay(&mut self, expired_at: Timestamp, ctx: &mut Context<Self>) {
        self.tenure = Tenure::Asked(expired_at);
        let (reply, tie) = oneshot::channel();
        let who = self.outlet.who();
        // By the way its commands go, and so behind them. That it asks now shows that the token held until now.
        let (user, device, now) = (who.user.clone(), Some(who.device.clone()), self.edge.clock.wall());
        self.router.stay.do_send(Stay { user, device, expired_at: now, reply });
        let answered = tokio::time::timeout(ANSWERED_WITHIN, tie).into_actor(self).map(|tie, session, ctx| {
            let Tenure::Asked(expired_at) = session.tenure else { return };
            match tie {
                Ok(Ok(Some(Tie::Live(call, over)))) => session.stay(Kept { call, over }, expired_at, ctx),
                Ok(Ok(Some(Tie::Over(_)) | None) | Err(_)) => session.expire(ctx),
                // Come back and ask again.
                Err(_) => session.shut(Close::Overload, session.edge.clock.moment(), ctx),
            }
        });
        ctx.spawn(answered);
    }

    /// Closes the socket: neither its token nor a call lets it stay.
    pub(super) fn expire(&mut self, ctx: &mut Context<Self>) {
        let reason = Close::Unauthorized.frame_saying(EXPIRED);
        self.shut_with(reason, self.edge.clock.moment(), false, ctx);
    }

    /// Stays for a call alone, until that is over.
    pub(super) fn stay(&mut self, Kept { call, over }: Kept, expired_at: Timestamp, ctx: &mut Context<Self>) {
        self.tenure = Tenure::of_call(call, expired_at, self.edge.limits.kept_for);
        self.outlet.confine(Some(call));
        if let Some(session) = self.outlet.session() {
            self.edge.sessions.lapse(&session);
        }
        let over = over.into_actor(self).map(move |_, session, ctx| {
            if session.tenure.call() == Some(call) {
                session.tenure = Tenure::Over(call);
                session.look(ctx);
            }
        });
        ctx.spawn(over);
        self.look(ctx);
    }

    /// A fresh token came: the socket is there for everything again.
    pub(super) fn renew(&mut self, expires_at: Option<Timestamp>, ctx: &mut Context<Self>) {
        self.tenure = Tenure::Token(expires_at);
        self.outlet.confine(None);
        if let Some(session) = self.outlet.session() {
            session.renew();
        }
        self.look(ctx);
    }

    /// The message as far as it counts: as it is while the token holds, and after that as one of the call.
    pub(super) fn counts(&self, inbound: Inbound) -> Result<Inbound, Refusal> {
        let Some(call) = self.tenure.call() else { return Ok(inbound) };
        match inbound {
            Inbound::Command(command) => command.within(call).map(Inbound::Command).ok_or_else(expired),
            Inbound::Inquiry(_) | Inbound::Chat(_) => Err(expired()),
            Inbound::Ping | Inbound::Alive | Inbound::Token(_) | Inbound::Hello | Inbound::Resume { .. } => Ok(inbound),
        }
    }

    /// Refuses to tell of anything but the call, once the token has expired. Whether it did.
    pub(super) fn refuses(&self, reference: Option<&Payload>) -> bool {
        let refuses = self.tenure.call().is_some();
        if refuses {
            self.outlet.refuse(&expired(), reference);
        }
        refuses
    }
}

fn expired() -> Refusal {
    Refusal::Unauthorized(format!("{EXPIRED}: until a fresh one is sent only the call goes on"))
}
