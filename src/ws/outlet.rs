//! The router's end of a socket: renders notices and queues them, from whatever thread they come.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use actix::Recipient;
use actix_http::ws::{CloseReason, OpCode};
use arc_swap::{ArcSwapOption, Guard};

use super::close::Close;
use super::lapse::Confined;
use super::mode::{MAX_HELD, Mode, Said};
use super::outbox::{Outbox, Refused};
use super::resumable::Session;
use super::sessions::{Sessions, lock};
use crate::clock::{Clock, Moment};
use crate::dialect::{Dialect, Reader, extensions};
use crate::ids::{DeviceId, SessionId, UserId};
use crate::router::messages::{Ask, Connect, Disconnect, Eviction, Outlet, Route};
use crate::router::{Overview, Stay};
use crate::signal::{CallView, Notice, Payload, Profile, Refusal};

/// The router, as far as sockets speak to it.
///
/// All must lead to the same mailbox: a session relies on what it sends first being read first.
pub struct RouterPort {
    /// A socket is open.
    pub connect: Recipient<Connect>,
    /// A socket is gone.
    pub disconnect: Recipient<Disconnect>,
    /// A command.
    pub ask: Recipient<Ask>,
    /// Which calls there are.
    pub overview: Recipient<Overview>,
    /// Whether a device whose token has expired is in a call.
    pub stay: Recipient<Stay>,
    /// Who passes on what is said in a conversation, where sockets have one.
    pub chat: Option<Recipient<super::channels::Said>>,
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
    /// From where.
    pub address: Option<IpAddr>,
    /// Whether everybody is visible to them: admins and services.
    pub sees_all: bool,
}

/// Where one socket's notices go.
pub struct SocketOutlet {
    pub(super) who: Identity,
    dialect: Arc<dyn Dialect>,
    pub(super) outbox: Arc<Outbox>,
    router: Arc<RouterPort>,
    pub(super) clock: Clock,
    route: ArcSwapOption<Route>,
    /// Once its token has expired: the call it is there for.
    pub(super) confined: Confined,
    /// How many of its client's messages are on the long way, through the router.
    underway: AtomicUsize,
    pub(super) sessions: Arc<Sessions>,
    /// The session its device had on an earlier socket.
    pub(super) earlier: Option<Arc<Session>>,
    pub(super) mode: Mutex<Mode>,
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
        sessions: Arc<Sessions>,
    ) -> Arc<Self> {
        // A device with a session is about to resume it: until then nothing is told, so that nothing is
        // told twice or out of order.
        let earlier = sessions.of_device(&who.user, &who.device);
        let mode = match &earlier {
            Some(_) => Mode::Holding { told: false, greeting: false, held: Vec::new() },
            None => Mode::Plain { told: false },
        };
        Arc::new(Self {
            who,
            dialect,
            outbox,
            router,
            clock,
            route: ArcSwapOption::empty(),
            confined: Confined::default(),
            underway: AtomicUsize::new(0),
            sessions,
            earlier,
            mode: Mutex::new(mode),
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
    pub fn outbox(&self) -> &Arc<Outbox> {
        &self.outbox
    }

    /// The direct way to the other device, while it is open.
    pub fn route(&self) -> Guard<Option<Arc<Route>>> {
        self.route.load()
    }

    /// A message of its client goes the long way.
    pub fn sent_off(&self) {
        self.underway.fetch_add(1, Ordering::AcqRel);
    }

    /// One that went the long way is there.
    pub fn arrived(&self) {
        self.underway.fetch_sub(1, Ordering::AcqRel);
    }

    /// Whether one is still on its way.
    pub fn is_underway(&self) -> bool {
        self.underway.load(Ordering::Acquire) > 0
    }

    /// Names the actor that is told to look when the socket is closed from outside.
    pub fn set_actor(&self, actor: Recipient<Look>) {
        // A second one cannot be: an outlet is made with its session.
        let _ = self.actor.set(actor);
    }

    pub(super) fn mode(&self) -> MutexGuard<'_, Mode> {
        lock(&self.mode)
    }

    fn push(&self, text: &str) -> Result<(), Refused> {
        self.outbox.push(OpCode::Text, text.as_bytes())
    }

    pub(super) fn write(&self, said: Said<'_>, extended: bool) -> Option<String> {
        match said {
            Said::Notice(notice) => self.dialect.render(notice, Reader { user: &self.who.user, extended }),
            Said::Text(text) => Some(text.to_owned()),
        }
    }

    /// Tells the client something. `false` when the socket takes nothing any more; overflow closes it.
    fn tell(&self, said: Said<'_>) -> bool {
        if said.notice().is_some_and(|notice| !self.hears(notice)) {
            return false;
        }
        let mut mode = self.mode();
        // In this order with `park`: what waits when the socket goes is not forgotten.
        let gone = self.told.load(Ordering::Acquire);
        let (full, kept) = match &mut *mode {
            Mode::Plain { .. } | Mode::Holding { .. } if gone => return false,
            Mode::Plain { told } => {
                let Some(text) = self.write(said, false) else { return !self.outbox.is_closed() };
                match self.push(&text) {
                    Err(Refused::Closed) => return false,
                    pushed => {
                        *told = true;
                        (pushed.is_err(), false)
                    }
                }
            }
            Mode::Holding { .. } if self.outbox.is_closed() => return false,
            Mode::Holding { held, .. } => {
                held.push(said.held());
                (held.len() > MAX_HELD, false)
            }
            Mode::Extended(session) => {
                if said.is_kept_by_the_core() && (gone || self.outbox.is_closed()) {
                    return false;
                }
                let Some(text) = self.write(said, true) else { return true };
                // A socket that is closing still keeps it for the one that follows.
                let push = |text: &str| self.push(text) == Err(Refused::Full);
                let full = session.append(self.who.session, said.notice(), text, self.clock.moment(), push);
                let Some(full) = full else { return false };
                (full, true)
            }
        };
        drop(mode);
        if full {
            self.too_slow();
        }
        kept || !full
    }

    /// Closes the socket of a client that does not read.
    pub(super) fn too_slow(&self) {
        log::info!("{} of user {:?} does not read: closed", self.who.session, self.who.user);
        self.close(Some(Close::Slow.frame()), self.clock.moment(), false, true);
    }

    /// Sends a control frame. `false` when the socket takes none any more; overflow closes it.
    pub fn control(&self, kind: OpCode, content: &[u8]) -> bool {
        let pushed = self.outbox.push(kind, content);
        if pushed == Err(Refused::Full) {
            self.too_slow();
        }
        pushed.is_ok()
    }

    /// Tells the client a text written in its dialect.
    pub fn say(&self, text: String) -> bool {
        self.tell(Said::Text(&text))
    }

    /// Says "done" to a message that had a `ref`, where the client knows that answer.
    pub fn acknowledge(&self, reference: Option<&Payload>, call: Option<&CallView>) {
        let Some(reference) = reference else { return };
        let extended = matches!(&*self.mode(), Mode::Extended(_) | Mode::Holding { greeting: true, .. });
        if extended {
            self.say(extensions::ack(reference, call));
        }
    }

    /// Tells the client why not.
    pub fn refuse(&self, refusal: &Refusal, reference: Option<&Payload>) {
        self.say(self.dialect.error(refusal, reference));
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
            self.park();
        }
        self.route.store(None);
    }
}

impl Outlet for SocketOutlet {
    fn deliver(&self, notice: &Notice) -> bool {
        self.tell(Said::Notice(notice))
    }

    fn takes_calls(&self) -> bool {
        !self.is_confined()
    }

    fn hold(&self) {
        self.outbox.hold();
    }

    fn let_go(&self) {
        self.outbox.let_go();
    }

    fn set_route(&self, route: Option<Arc<Route>>) {
        self.route.store(route);
        // Two outlets hold each other through their routes: one that is gone must not keep the other.
        if self.told.load(Ordering::Acquire) {
            self.route.store(None);
        }
    }

    fn draining(&self) {
        if self.session().is_some() {
            self.say(extensions::server_draining());
        }
    }

    fn evict(&self, why: Eviction) {
        self.close(Some(Close::from(why).frame()), self.clock.moment(), false, false);
        if why == Eviction::Killed {
            // Nor may it go on with what it had not taken over yet.
            for session in self.session().iter().chain(&self.earlier) {
                self.sessions.remove(session);
            }
        }
    }
}
