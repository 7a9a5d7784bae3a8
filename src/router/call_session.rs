//! The actor that owns one call. It applies events to the [`Call`] in arrival order and carries the
//! effects out: decide → write → tell. It knows no rule of calls.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;

use crate::call::admission::{Admission, Engagement, admit};
use crate::call::{Call, Effect, Event, Rules, Target};
use crate::clock::Clock;
use crate::ids::{CallId, DeviceId, UserId};
use crate::signal::{CallView, Command, Notice, Phase, Refusal};

use super::CallRouter;
use super::directory::Directory;
use super::messages::{Ask, Ledger, Receipt, Reply, ReplyTo, Route, Unwritten};

/// How long an ended call waits for devices that are owed a closing message.
const OWED_FOR: Duration = Duration::from_secs(60);

/// What a call needs of its surroundings.
#[derive(Clone)]
pub(super) struct Surroundings {
    pub clock: Clock,
    pub rules: Rules,
    pub directory: Arc<Directory>,
    pub ledger: Arc<dyn Ledger>,
}

/// Something to be told, or answered, once everything before it is written.
enum Item {
    Tell(UserId, Target, Notice),
    Answer(ReplyTo, Result<Reply, Refusal>),
}

/// What waits for one write (or for nothing but its turn).
struct Parcel {
    /// The write it waits for.
    write: Option<u64>,
    items: Vec<Item>,
}

/// The actor of one call.
pub(super) struct CallSession {
    call: Call,
    around: Surroundings,
    router: Addr<CallRouter>,
    outbox: VecDeque<Parcel>,
    writes: u64,
    /// The highest write that was answered.
    settled: u64,
    /// Whether the record of the call exists. Until it does, a failed write means there is no call.
    opened: bool,
    first: Option<(Vec<Effect>, Option<ReplyTo>)>,
    timer: Option<SpawnHandle>,
    route: Option<[(UserId, DeviceId); 2]>,
    ending: bool,
    /// Whom the router knows to be owed a closing message.
    owed: Vec<UserId>,
    /// Closing messages that did not arrive and are about to be owed.
    undelivered: usize,
    dismissing: bool,
}

/// An event for the call.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Happen {
    pub event: Event,
    pub reply: Option<(ReplyTo, Wanted)>,
}

/// Which kind of answer an asker gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The call as it stands.
    View,
    /// That it was passed on.
    Relayed,
}

/// An invitation of somebody engaged in this call: it is decided here, after everything the user did
/// before.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Reconsider(pub Ask, pub Vec<CallId>);

/// An invitation of somebody else to a participant: handed back once all that came before is decided.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct HandBack(pub Ask, pub Vec<CallId>);

/// How does it stand? Answered after everything before it is written.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Query(pub ReplyTo);

/// What the router must know of a call's progress.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) enum Progress {
    /// A participant takes part in the answered call.
    InCall(CallId, UserId),
    /// A participant is free.
    Released(CallId, UserId),
    /// The call is over, and who ended it.
    Ended(CallView, Option<UserId>),
    /// The call is over, and these users have a device that is owed a closing message.
    Owing(CallId, Vec<UserId>),
    /// The call is over and everybody who is there was told; it only waits for devices it owes a word.
    Lingering(CallId),
    /// The call owes nobody anything any more and asks to be dismissed.
    Gone(CallId),
}

/// The router forwards nothing more: the actor may stop.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Dismiss;

/// Comes back to the router after the calls named were consulted.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Consulted(pub Ask, pub Vec<CallId>);

impl CallSession {
    /// The actor of a call that was just started, with what its start led to.
    pub fn opening(
        call: Call,
        effects: Vec<Effect>,
        reply: ReplyTo,
        around: Surroundings,
        router: Addr<CallRouter>,
    ) -> Self {
        Self { first: Some((effects, Some(reply))), ..Self::new(call, around, router, false) }
    }

    /// The actor of a call that was loaded after a restart.
    pub fn loaded(call: Call, effects: Vec<Effect>, around: Surroundings, router: Addr<CallRouter>) -> Self {
        Self { first: Some((effects, None)), ..Self::new(call, around, router, true) }
    }

    fn new(call: Call, around: Surroundings, router: Addr<CallRouter>, opened: bool) -> Self {
        Self {
            call,
            around,
            router,
            outbox: VecDeque::new(),
            writes: 0,
            settled: 0,
            opened,
            first: None,
            timer: None,
            route: None,
            ending: false,
            owed: Vec::new(),
            undelivered: 0,
            dismissing: false,
        }
    }

    fn happen(&mut self, event: Event, reply: Option<(ReplyTo, Wanted)>, ctx: &mut Context<Self>) {
        let now = self.around.clock.now();
        if matches!(event, Event::Undelivered { .. }) {
            self.undelivered -= 1;
        }
        if matches!(event, Event::DeviceBack { .. }) {
            // It may be the same device on another socket: the way is laid anew.
            self.set_route(None);
        }
        match self.call.apply(event, now, &self.around.rules) {
            Ok(effects) => {
                let reply = reply.map(|(to, wanted)| match wanted {
                    Wanted::View => (to, Ok(Reply::Call(self.call.view()))),
                    Wanted::Relayed => (to, Ok(Reply::Relayed)),
                });
                self.carry_out(effects, reply, ctx);
            }
            Err(refusal) => {
                // Behind what is still being written: the refusal may tell of it.
                let reply = reply.map(|(to, _)| (to, Err(refusal)));
                self.carry_out(Vec::new(), reply, ctx);
            }
        }
    }

    fn carry_out(
        &mut self,
        effects: Vec<Effect>,
        reply: Option<(ReplyTo, Result<Reply, Refusal>)>,
        ctx: &mut Context<Self>,
    ) {
        let mut items = Vec::new();
        let mut record = false;
        let id = self.call.id();
        for effect in effects {
            match effect {
                Effect::Record => record = true,
                Effect::Tell { user, target, notice } => items.push(Item::Tell(user, target, notice)),
                Effect::InCall { user } => self.router.do_send(Progress::InCall(id, user)),
                Effect::Release { user } => self.router.do_send(Progress::Released(id, user)),
            }
        }
        items.extend(reply.map(|(to, answer)| Item::Answer(to, answer)));
        let write = record.then(|| self.write(ctx));
        self.outbox.push_back(Parcel { write, items });
        if self.call.direct() != self.route {
            self.set_route(None);
        }
        self.set_timer(ctx);
        self.empty_outbox(ctx);
        self.announce_end();
    }

    /// Lets the router remember the call as one that ended. Not before its record exists: until then it may
    /// turn out that there never was such a call, and its retry key must be free again.
    fn announce_end(&mut self) {
        if self.call.phase() != Phase::Ended || !self.opened {
            return;
        }
        if !self.ending {
            self.ending = true;
            self.router.do_send(Progress::Ended(self.call.view(), self.call.ended_by().cloned()));
        }
        let owed: Vec<UserId> = self.call.owed_users().cloned().collect();
        if owed != self.owed {
            self.owed.clone_from(&owed);
            self.router.do_send(Progress::Owing(self.call.id(), owed));
        }
    }

    fn write(&mut self, ctx: &mut Context<Self>) -> u64 {
        self.writes += 1;
        let (number, record) = (self.writes, self.call.record());
        let opening = !self.opened && number == 1;
        let receipt: Receipt =
            if opening { self.around.ledger.open(record) } else { self.around.ledger.update(record) };
        let written = receipt.into_actor(self).map(move |result, session, ctx| {
            session.written(number, opening, result.unwrap_or(Err(Unwritten)), ctx);
        });
        ctx.spawn(written);
        number
    }

    fn written(&mut self, number: u64, opening: bool, result: Result<(), Unwritten>, ctx: &mut Context<Self>) {
        if opening && result.is_err() {
            self.never_was();
            return;
        }
        // What was settled is not always heard of in the order it was written.
        self.settled = self.settled.max(number);
        if !opening && !self.opened && result.is_err() {
            // That the call was opened, or never was, is heard next; this says neither.
            return;
        }
        self.opened = true;
        // A later state that was not written in time is kept by the ledger; the call goes on.
        for parcel in &mut self.outbox {
            if parcel.write.is_some_and(|write| write <= self.settled) {
                parcel.write = None;
            }
        }
        // First, as emptying the outbox may be the last thing the call does.
        self.announce_end();
        self.empty_outbox(ctx);
    }

    /// The record could not be opened: there is no such call, and nobody was told of one.
    fn never_was(&mut self) {
        log::warn!("call {} could not be recorded and does not ring", self.call.id());
        for item in self.outbox.drain(..).flat_map(|parcel| parcel.items) {
            if let Item::Answer(reply, _) = item {
                reply.answer(Err(Refusal::Unavailable("the call record")));
            }
        }
        for leg in self.call.legs() {
            self.router.do_send(Progress::Released(self.call.id(), leg.user().clone()));
        }
        self.done();
    }

    fn empty_outbox(&mut self, ctx: &mut Context<Self>) {
        while self.outbox.front().is_some_and(|parcel| parcel.write.is_none()) {
            let Some(parcel) = self.outbox.pop_front() else { break };
            for item in parcel.items {
                match item {
                    Item::Tell(user, target, notice) => self.tell(user, target, &notice, ctx),
                    Item::Answer(reply, answer) => reply.answer(answer),
                }
            }
        }
        if self.outbox.is_empty() {
            self.set_route(self.call.direct());
            self.stop_if_done(ctx);
        }
    }

    fn tell(&mut self, user: UserId, target: Target, notice: &Notice, ctx: &mut Context<Self>) {
        match target {
            Target::Device(device) => {
                let outlet = self.around.directory.outlet(&user, &device);
                let delivered = outlet.is_some_and(|outlet| outlet.deliver(notice));
                if !delivered && matches!(notice, Notice::Closed { call: Some(_), .. }) {
                    // By the mailbox, as the outbox is being emptied.
                    self.undelivered += 1;
                    ctx.notify(Happen { event: Event::Undelivered { user, device }, reply: None });
                }
            }
            Target::Everyone => {
                for outlet in self.around.directory.outlets(&user) {
                    outlet.deliver(notice);
                }
            }
        }
    }

    /// Opens or closes the direct way between the two devices of the call.
    fn set_route(&mut self, ends: Option<[(UserId, DeviceId); 2]>) {
        if ends == self.route {
            return;
        }
        let outlet = |(user, device): &(UserId, DeviceId)| self.around.directory.outlet(user, device);
        if let Some(old) = &self.route {
            for outlet in old.iter().filter_map(outlet) {
                outlet.set_route(None);
            }
        }
        self.route = None;
        if let Some([a, b]) = &ends
            && let (Some(to_a), Some(to_b)) = (outlet(a), outlet(b))
        {
            let call = self.call.id();
            to_a.set_route(Some(Arc::new(Route { call, peer: b.0.clone(), outlet: Arc::clone(&to_b) })));
            to_b.set_route(Some(Arc::new(Route { call, peer: a.0.clone(), outlet: to_a })));
            self.route = ends;
        }
    }

    fn set_timer(&mut self, ctx: &mut Context<Self>) {
        if let Some(timer) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        if let Some(deadline) = self.call.deadline() {
            let wait = deadline - self.around.clock.moment();
            // A little late rather than early: an early look would find nothing due and set it again.
            let wait = wait + Duration::from_millis(1);
            self.timer = Some(ctx.run_later(wait, |session, ctx| session.happen(Event::Deadline, None, ctx)));
        }
    }

    fn stop_if_done(&mut self, ctx: &mut Context<Self>) {
        if self.call.phase() != Phase::Ended || self.undelivered > 0 {
            return;
        }
        if !self.call.owes_a_closing() {
            self.done();
        } else if self.timer.is_none() {
            self.router.do_send(Progress::Lingering(self.call.id()));
            self.timer = Some(ctx.run_later(OWED_FOR, |session, _| session.done()));
        }
    }

    /// Asks the router to be dismissed: what it forwarded until then is still handled.
    fn done(&mut self) {
        if !self.dismissing {
            self.dismissing = true;
            self.router.do_send(Progress::Gone(self.call.id()));
        }
    }

    fn reconsider(&mut self, ask: Ask, mut consulted: Vec<CallId>, ctx: &mut Context<Self>) {
        let Command::Invite(invite) = &ask.command else { return };
        let user = ask.peer.user.clone();
        let device = ask.peer.device.clone();
        let callees: Vec<UserId> =
            self.call.legs().iter().skip(1).filter(|leg| !leg.state().is_over()).map(|l| l.user().clone()).collect();
        let own = self.call.legs().iter().find(|leg| *leg.user() == user && !leg.state().is_over());
        let engaged = own.map(|leg| Engagement {
            call: self.call.id(),
            phase: self.call.phase(),
            caller: self.call.legs()[0].user(),
            callees: &callees,
            device: leg.device(),
        });
        match admit(&user, device.as_ref(), invite, engaged, self.around.rules.max_participants) {
            Admission::Start => {
                consulted.push(self.call.id());
                self.router.do_send(Consulted(ask, consulted));
            }
            Admission::Redial(_) => {
                let event = Event::Redial { device, offer: invite.offer.clone() };
                self.happen(event, Some((ask.reply, Wanted::View)), ctx);
            }
            Admission::Glare(_) => {
                let event = Event::Glare { user, device, accept: invite.glare };
                self.happen(event, Some((ask.reply, Wanted::View)), ctx);
            }
            Admission::Reload(_) => {
                self.happen(Event::Reload { user, device }, None, ctx);
                consulted.push(self.call.id());
                self.router.do_send(Consulted(ask, consulted));
            }
            Admission::Refuse(refusal) => ask.reply.answer(Err(refusal)),
        }
    }
}

impl Actor for CallSession {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        if let Some((effects, reply)) = self.first.take() {
            let reply = reply.map(|to| (to, Ok(Reply::Call(self.call.view()))));
            self.carry_out(effects, reply, ctx);
        }
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        self.set_route(None);
    }
}

impl Handler<Dismiss> for CallSession {
    type Result = ();
    fn handle(&mut self, _: Dismiss, ctx: &mut Self::Context) {
        ctx.stop();
    }
}

impl Handler<Happen> for CallSession {
    type Result = ();
    fn handle(&mut self, Happen { event, reply }: Happen, ctx: &mut Self::Context) {
        self.happen(event, reply, ctx);
    }
}

impl Handler<Reconsider> for CallSession {
    type Result = ();
    fn handle(&mut self, Reconsider(ask, consulted): Reconsider, ctx: &mut Self::Context) {
        self.reconsider(ask, consulted, ctx);
    }
}

impl Handler<HandBack> for CallSession {
    type Result = ();
    fn handle(&mut self, HandBack(ask, mut consulted): HandBack, _: &mut Self::Context) {
        consulted.push(self.call.id());
        self.router.do_send(Consulted(ask, consulted));
    }
}

impl Handler<Query> for CallSession {
    type Result = ();
    fn handle(&mut self, Query(reply): Query, ctx: &mut Self::Context) {
        let view = Ok(Reply::Call(self.call.view()));
        self.carry_out(Vec::new(), Some((reply, view)), ctx);
    }
}
