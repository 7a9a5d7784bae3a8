//! One socket: the actor that hears what its client says, keeps its deadlines and asks the router.
//!
//! The actor lives on a plain context, so its timers run whatever its client does; what goes out is written by
//! whoever has something to tell, through a queue of its own ([`super::outbox`]). It decides nothing about calls.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use actix::fut::ActorFuture;
use actix::prelude::*;
use actix_http::ws::{CloseCode, CloseReason, OpCode};

use super::SocketEdge;
use super::close::Close;
use super::ear::{Attended, Ear, Heard};
use super::lapse::Kept;
use super::outlet::{Look, RouterPort, SocketOutlet};
use super::tenure::{Due, Tenure};
use super::wire::{Input, Wire};
use crate::clock::{Moment, Timestamp};
use crate::dialect::{Inbound, Inquiry, Parsed};
use crate::router::messages::{Connect, Origin, Pulse};
use crate::signal::{Payload, Refusal};

/// How late a deadline may be noticed before it is this process that stood still, not its clients.
const STALL: Duration = Duration::from_secs(2);

/// What a socket gets beyond its deadline, so that a pong which already arrived is read first.
const LAST_CALL: Duration = Duration::from_millis(500);

/// How long a device that had a session is given to resume it before it is told what waits.
const SPEAKS_WITHIN: Duration = Duration::from_secs(1);

/// Asked for every inbound message, with the time: may it be handled, or when may the next one come.
pub type SocketBudget = Box<dyn FnMut(Moment) -> Result<(), Duration>>;

/// Checks a fresh token for the socket's user: when it expires, or why it does not hold.
pub type Verifier = Box<dyn Fn(String) -> super::Freshness>;

/// What a session is made of.
pub struct Parts {
    /// The router's end of this socket.
    pub outlet: Arc<SocketOutlet>,
    /// The router, or who stands in its place.
    pub router: Arc<RouterPort>,
    /// What all sockets have in common.
    pub edge: Arc<SocketEdge>,
    /// How many messages it may send.
    pub budget: SocketBudget,
    /// When its token expires.
    pub expires_at: Option<Timestamp>,
    /// The call that keeps it, where the token has expired already.
    pub kept: Option<Kept>,
    /// Checks a fresh one.
    pub verifier: Verifier,
    /// What the client sends.
    pub input: Input,
}

/// One socket's actor.
pub struct WsSession {
    pub(super) outlet: Arc<SocketOutlet>,
    pub(super) router: Arc<RouterPort>,
    pub(super) edge: Arc<SocketEdge>,
    ear: Rc<RefCell<Ear>>,
    verifier: Verifier,
    /// What was asked about others before the welcome.
    pub(super) postponed: Vec<(Inquiry, Option<Payload>)>,
    pulse: Arc<Pulse>,
    malformed: VecDeque<Moment>,
    pub(super) tenure: Tenure,
    /// The call that keeps it from the start, and when its token expired.
    kept: Option<(Kept, Timestamp)>,
    ping_at: Moment,
    /// When its client was asked whether it is there.
    asked_at: Moment,
    pong_by: Option<Moment>,
    /// The deadline has passed once and what had arrived is being read.
    last_call: bool,
    /// Set while the closing handshake runs: when it is over in any case.
    close_by: Option<Moment>,
    alarm: Option<(SpawnHandle, Moment)>,
}

impl WsSession {
    /// Starts the session of a socket on the current arbiter.
    pub fn open(parts: Parts, wire: Wire) {
        let now = parts.edge.clock.moment();
        let pulse = Pulse::at(now);
        if let Some(Kept { call, .. }) = &parts.kept {
            // Before the router knows of it and tells it of anything else.
            parts.outlet.confine(Some(*call));
        }
        let ear = Ear::new(parts.input, parts.outlet.clone(), pulse.clone(), parts.budget, parts.edge.clock);
        let session = Self {
            outlet: parts.outlet,
            router: parts.router,
            ear: ear.clone(),
            verifier: parts.verifier,
            postponed: Vec::new(),
            pulse,
            malformed: VecDeque::new(),
            tenure: Tenure::Token(parts.expires_at),
            kept: parts.kept.zip(parts.expires_at),
            ping_at: now + parts.edge.limits.ping_every,
            asked_at: now,
            pong_by: None,
            last_call: false,
            close_by: None,
            alarm: None,
            edge: parts.edge,
        };
        wire.serve(Attended::new(ear, Context::new().into_future(session)));
    }

    pub(super) fn shut(&mut self, why: Close, since: Moment, ctx: &mut Context<Self>) {
        let discard = matches!(why, Close::Silent | Close::Slow);
        self.shut_with(why.frame(), since, discard, ctx);
    }

    pub(super) fn shut_with(&mut self, reason: CloseReason, since: Moment, discard: bool, ctx: &mut Context<Self>) {
        self.outlet.close(Some(reason), since, false, discard);
        self.look(ctx);
    }

    /// Looks at every deadline, acts on those that are due, and sets the alarm for the next.
    pub(super) fn look(&mut self, ctx: &mut Context<Self>) {
        let now = self.edge.clock.now();
        let stalled = self.alarm.is_some_and(|(_, due)| now.tick - due > STALL);
        if self.outlet.outbox().is_closed() && self.close_by.is_none() {
            self.close_by = Some(now.tick + self.edge.limits.close_within);
        }
        if let Some(close_by) = self.close_by {
            if close_by <= now.tick {
                ctx.stop();
            } else {
                self.set_alarm(close_by, now.tick, ctx);
            }
            return;
        }
        let expiry = match self.tenure.due(now.wall) {
            Due::Ask(expired_at) => {
                self.ask_to_stay(expired_at, ctx);
                None
            }
            // Messages that wait for the client's first word are told before.
            Due::Close if self.outlet.is_holding() => None,
            Due::Close => return self.expire(ctx),
            Due::Later(at) => at.and_then(|at| (at - now.wall).to_std().ok()).map(|left| now.tick + left),
        };
        if self.pulse.last() > self.asked_at {
            // Whatever it said since is as good as a pong.
            self.pong_by = None;
            self.last_call = false;
        }
        if stalled {
            // The pongs may be waiting unread: everybody gets the full time again.
            self.pong_by = self.pong_by.map(|_| now.tick + self.edge.limits.pong_within);
            self.last_call = false;
        }
        if self.pong_by.is_some_and(|by| by <= now.tick) {
            if self.last_call {
                return self.shut(Close::Silent, self.pulse.last(), ctx);
            }
            self.last_call = true;
            self.pong_by = Some(now.tick + LAST_CALL.min(self.edge.limits.pong_within));
        }
        if self.ping_at <= now.tick {
            self.ping_at = now.tick + self.edge.limits.ping_every;
            if self.pong_by.is_none() {
                self.asked_at = now.tick;
                self.pong_by = Some(now.tick + self.edge.limits.pong_within);
            }
            if !self.outlet.control(OpCode::Ping, &[]) {
                return self.look(ctx);
            }
        }
        let next = [self.pong_by, expiry].into_iter().flatten().fold(self.ping_at, Moment::min);
        self.set_alarm(next, now.tick, ctx);
    }

    fn set_alarm(&mut self, due: Moment, now: Moment, ctx: &mut Context<Self>) {
        if let Some((earlier, _)) = self.alarm.take() {
            ctx.cancel_future(earlier);
        }
        // A millisecond more, so that the timer's own rounding never wakes it just before the deadline.
        let wait = (due - now) + Duration::from_millis(1);
        self.alarm = Some((ctx.run_later(wait, Self::look), due));
    }

    fn heard(&mut self, heard: Heard, ctx: &mut Context<Self>) {
        let asked = self.pong_by.take().is_some();
        self.last_call = false;
        match heard {
            // A pong nobody asked for is allowed, but not in floods.
            Heard::Pong if !asked => {
                let now = self.edge.clock.moment();
                let counted = self.ear.borrow_mut().within_budget(now);
                if let Err(after) = counted {
                    self.flooded(after, ctx);
                }
            }
            Heard::Pong => {}
            Heard::Ping(content) => {
                self.outlet.control(OpCode::Pong, &content);
            }
            Heard::Text(parsed) => self.text(*parsed, ctx),
            Heard::TooMuch(after) => self.flooded(after, ctx),
            // The client's answer, or that it goes.
            Heard::Close(_) if self.outlet.outbox().is_closed() => ctx.stop(),
            Heard::Close(reason) => {
                // A page that calls close() without a code sends none: as deliberate as 1000.
                let clean = reason.as_ref().is_none_or(|r| matches!(r.code, CloseCode::Normal | CloseCode::Away));
                let reply = reason.map(|reason| CloseReason { code: reason.code, description: None });
                self.outlet.close(reply, self.edge.clock.moment(), clean, false);
                ctx.stop();
            }
            Heard::Fault(why) => self.shut(why, self.edge.clock.moment(), ctx),
            Heard::End => ctx.stop(),
        }
    }

    fn flooded(&mut self, after: Duration, ctx: &mut Context<Self>) {
        self.shut_with(Close::Flooding.frame_after(after), self.edge.clock.moment(), false, ctx);
    }

    fn text(&mut self, Parsed { reference, inbound }: Parsed, ctx: &mut Context<Self>) {
        match inbound.map(|inbound| self.counts(inbound)) {
            Ok(Ok(inbound)) => self.said(inbound, reference, ctx),
            Ok(Err(refusal)) => self.outlet.refuse(&refusal, reference.as_ref()),
            Err(refusal) => {
                // A type this dialect does not know may be another feature of the embedding application.
                let malformed = !matches!(refusal, Refusal::UnknownType(_));
                if malformed && self.too_many_malformed() {
                    return self.shut(Close::Malformed, self.edge.clock.moment(), ctx);
                }
                self.outlet.refuse(&refusal, reference.as_ref());
            }
        }
        if let Tenure::Over(_) = self.tenure {
            // Its client has begun, and was told everything that waited for that.
            self.look(ctx);
        }
    }

    fn said(&mut self, inbound: Inbound, reference: Option<Payload>, ctx: &mut Context<Self>) {
        match inbound {
            Inbound::Command(command) => self.command(command, reference),
            Inbound::Ping => {
                self.outlet.say(self.outlet.dialect().pong());
            }
            Inbound::Alive => self.outlet.acknowledge(reference.as_ref(), None),
            Inbound::Hello => self.greet(None, reference, ctx),
            Inbound::Resume { session, seq } => self.greet(Some((session, seq)), reference, ctx),
            Inbound::Inquiry(about) => self.inquire(about, reference, ctx),
            Inbound::Chat(chat) => self.chat(chat, reference),
            Inbound::Token(token) => {
                let checked = (self.verifier)(token).into_actor(self).map(move |checked, session, ctx| match checked {
                    Ok(expires_at) => {
                        session.renew(expires_at, ctx);
                        session.outlet.acknowledge(reference.as_ref(), None);
                    }
                    Err(refusal) => session.outlet.refuse(&refusal, reference.as_ref()),
                });
                ctx.spawn(checked);
            }
        }
    }

    fn too_many_malformed(&mut self) -> bool {
        let now = self.edge.clock.moment();
        self.malformed.push_back(now);
        while self.malformed.front().is_some_and(|first| now - *first > self.edge.limits.malformed_window) {
            self.malformed.pop_front();
        }
        self.malformed.len() >= self.edge.limits.malformed
    }

    /// What the router's "no" to the socket itself means on the wire.
    fn refused(refusal: &Refusal) -> CloseReason {
        match refusal {
            Refusal::Draining => Close::Draining.frame(),
            Refusal::Unavailable(_) => Close::Overload.frame(),
            Refusal::Unauthorized(_) => Close::Unauthorized.frame(),
            Refusal::RateLimited(after) => Close::Flooding.frame_after(*after),
            _ => Close::TooMany.frame(),
        }
    }
}

impl Actor for WsSession {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.outlet.set_actor(ctx.address().recipient());
        let who = self.outlet.who().clone();
        let connect = Connect {
            user: who.user,
            name: who.name,
            device: who.device,
            profile: who.profile,
            session: who.session,
            capabilities: self.outlet.dialect().capabilities(),
            origin: Origin { kind: self.outlet.dialect().name(), address: who.address },
            pulse: self.pulse.clone(),
            outlet: self.outlet.clone(),
        };
        let asked = self.router.connect.send(connect).into_actor(self).map(|answer, session, ctx| {
            match answer {
                Ok(Ok(())) => {}
                Ok(Err(refusal)) => {
                    session.shut_with(Self::refused(&refusal), session.edge.clock.moment(), false, ctx);
                }
                Err(why) => {
                    log::error!("the router does not answer: {why}");
                    session.shut(Close::Fault, session.edge.clock.moment(), ctx);
                }
            }
            // Only now, so that nothing the client says overtakes that.
            session.ear.borrow_mut().listen();
        });
        ctx.spawn(Hearing);
        ctx.spawn(Writing);
        ctx.spawn(asked);
        if self.outlet.is_waiting() {
            ctx.run_later(SPEAKS_WITHIN, |session, ctx| {
                session.outlet.settle();
                session.look(ctx);
            });
        }
        match self.kept.take() {
            Some((kept, expired_at)) => self.stay(kept, expired_at, ctx),
            None => self.look(ctx),
        }
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        self.outlet.gone(self.edge.clock.moment(), false);
        self.outlet.outbox().finish();
    }
}

impl Drop for WsSession {
    /// Also reached when a handler panicked: the router is told in any case.
    fn drop(&mut self) {
        self.outlet.gone(self.edge.clock.moment(), false);
        self.outlet.outbox().finish();
    }
}

/// Takes what the ear heard, which polls the session whenever there is something.
struct Hearing;

impl ActorFuture<WsSession> for Hearing {
    type Output = ();

    fn poll(
        self: Pin<&mut Self>,
        session: &mut WsSession,
        ctx: &mut Context<WsSession>,
        _: &mut std::task::Context<'_>,
    ) -> Poll<()> {
        while ctx.state() == ActorState::Running {
            let Some(heard) = session.ear.borrow_mut().take() else { return Poll::Pending };
            session.heard(heard, ctx);
        }
        Poll::Ready(())
    }
}

/// Writes what could not be written at once.
struct Writing;

impl ActorFuture<WsSession> for Writing {
    type Output = ();

    fn poll(
        self: Pin<&mut Self>,
        session: &mut WsSession,
        ctx: &mut Context<WsSession>,
        cx: &mut std::task::Context<'_>,
    ) -> Poll<()> {
        if ready!(session.outlet.outbox().poll_write(cx)).is_err() {
            ctx.stop();
        }
        Poll::Ready(())
    }
}

impl Handler<Look> for WsSession {
    type Result = ();
    fn handle(&mut self, _: Look, ctx: &mut Self::Context) {
        self.look(ctx);
    }
}
