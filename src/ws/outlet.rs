//! The router's end of a socket: renders notices and queues them, from whatever thread they come.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use actix::Recipient;
use actix_http::ws::{CloseReason, Message};
use arc_swap::ArcSwapOption;

use super::channels::Said;
use super::close::Close;
use super::outbox::{Full, Outbox};
use crate::clock::{Clock, Moment};
use crate::dialect::Dialect;
use crate::ids::{DeviceId, SessionId, UserId};
use crate::router::messages::{Ask, Connect, Disconnect, Eviction, Outlet, Route};
use crate::signal::{Notice, Payload, Profile, Refusal};

/// The router, as far as sockets speak to it.
///
/// All three must lead to the same mailbox: a session relies on what it sends first being read first.
pub struct RouterPort {
    /// A socket is open.
    pub connect: Recipient<Connect>,
    /// A socket is gone.
    pub disconnect: Recipient<Disconnect>,
    /// A command.
    pub ask: Recipient<Ask>,
    /// Who passes on what is said in a conversation, where sockets have one.
    pub chat: Option<Recipient<Said>>,
}

/// Something happened to the socket outside its actor: it should look.
#[derive(actix::Message)]
#[rtype(result = "()")]
pub struct Look;

/// Which socket this is.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Whose.
    pub user: UserId,
    /// Their name from the token.
    pub name: Option<String>,
    /// The profile they show there.
    pub profile: Option<Profile>,
    /// Which device.
    pub device: DeviceId,
    /// Which socket.
    pub session: SessionId,
}

/// Where one socket's notices go.
pub struct SocketOutlet {
    who: Identity,
    dialect: Arc<dyn Dialect>,
    outbox: Arc<Outbox>,
    router: Arc<RouterPort>,
    clock: Clock,
    route: ArcSwapOption<Route>,
    /// Whether the router has been told that the socket is gone; it is told once.
    told: AtomicBool,
    actor: OnceLock<Recipient<Look>>,
}

impl SocketOutlet {
    /// The outlet of one socket.
    pub fn new(
        who: Identity,
        dialect: Arc<dyn Dialect>,
        outbox: Arc<Outbox>,
        router: Arc<RouterPort>,
        clock: Clock,
    ) -> Arc<Self> {
        Arc::new(Self {
            who,
            dialect,
            outbox,
            router,
            clock,
            route: ArcSwapOption::empty(),
            told: AtomicBool::new(false),
            actor: OnceLock::new(),
        })
    }

    /// Which socket this is.
    pub fn who(&self) -> &Identity {
        &self.who
    }

    /// Its wire form.
    pub fn dialect(&self) -> &dyn Dialect {
        &*self.dialect
    }

    /// Its queue.
    pub fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// The direct way to the other device, while it is open.
    pub fn route(&self) -> Option<Arc<Route>> {
        self.route.load_full()
    }

    /// Names the actor that is told to look when the socket is closed from outside.
    pub fn set_actor(&self, actor: Recipient<Look>) {
        // A second one cannot be: an outlet is made with its session.
        let _ = self.actor.set(actor);
    }

    /// Queues a message. `false` when the socket takes none any more; overflow closes it.
    pub fn send(&self, message: Message) -> bool {
        if self.outbox.is_closed() {
            return false;
        }
        match self.outbox.push(message) {
            Ok(()) => true,
            Err(Full) => {
                log::info!("{} of user {} does not read: closed", self.who.session, self.who.user);
                self.close(Some(Close::Slow.frame()), self.clock.moment(), false, true);
                false
            }
        }
    }

    /// Queues a text frame.
    pub fn send_text(&self, text: String) -> bool {
        self.send(Message::Text(text.into()))
    }

    /// Tells the client why not.
    pub fn refuse(&self, refusal: &Refusal, reference: Option<&Payload>) {
        self.send_text(self.dialect.error(refusal, reference));
    }

    /// Closes the socket: the last frame, and the router told at once. Only the first time counts.
    pub fn close(&self, reason: Option<CloseReason>, since: Moment, clean: bool, discard: bool) {
        self.outbox.close(reason, discard);
        self.gone(since, clean);
        if let Some(actor) = self.actor.get() {
            actor.do_send(Look);
        }
    }

    /// Tells the router that the socket is gone, once, and lets go of the other side.
    pub fn gone(&self, since: Moment, clean: bool) {
        if !self.told.swap(true, Ordering::AcqRel) {
            let Identity { user, device, session, .. } = self.who.clone();
            self.router.disconnect.do_send(Disconnect { user, device, session, since, clean });
        }
        self.route.store(None);
    }
}

impl Outlet for SocketOutlet {
    fn deliver(&self, notice: &Notice) -> bool {
        if self.outbox.is_closed() {
            return false;
        }
        match self.dialect.render(notice, &self.who.user) {
            Some(text) => self.send_text(text),
            None => true,
        }
    }

    fn set_route(&self, route: Option<Arc<Route>>) {
        self.route.store(route);
        // Two outlets hold each other through their routes: one that is gone must not keep the other.
        if self.told.load(Ordering::Acquire) {
            self.route.store(None);
        }
    }

    fn evict(&self, why: Eviction) {
        self.close(Some(Close::from(why).frame()), self.clock.moment(), false, false);
    }
}
