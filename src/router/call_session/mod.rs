//! The actor that owns one call. It applies events to the [`Call`] in arrival order and carries the
//! effects out: decide → write → tell. It knows no rule of calls.

mod inviting;
mod messages;
mod outbox;
mod staying;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;

use crate::call::{Call, CallDetail, Effect, Event, Rules};
use crate::clock::Clock;
use crate::ids::{DeviceId, UserId};
use crate::signal::Refusal;

use super::CallRouter;
use super::directory::Directory;
use super::messages::{Ledger, Reply, ReplyTo};

pub(super) use messages::{
    BringIn, Consulted, Dismiss, HandBack, Happen, Progress, Progressed, Query, Reconsider, Show, Wanted,
};

use outbox::{Item, Parcel};
use staying::Staying;

/// What a call needs of its surroundings.
#[derive(Clone)]
pub(super) struct Surroundings {
    pub clock: Clock,
    pub rules: Rules,
    pub directory: Arc<Directory>,
    pub ledger: Arc<dyn Ledger>,
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
    /// What the router has yet to be told.
    progress: Vec<Progress>,
    /// How the router knows it to stand.
    shown: Option<Arc<CallDetail>>,
    /// Of how many missed calls the router knows.
    missed: usize,
    /// Whom the router knows to be owed a closing message.
    owed: Vec<UserId>,
    /// Closing messages that did not arrive and are about to be owed.
    undelivered: usize,
    /// Devices that are here for this call alone, as their token has expired.
    staying: Vec<Staying>,
    dismissing: bool,
}

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
            progress: Vec::new(),
            shown: None,
            missed: 0,
            owed: Vec::new(),
            undelivered: 0,
            staying: Vec::new(),
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
            self.close_route();
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
        if self.dismissing && !self.opened {
            // It never was, and what still comes in must not bring it to life.
            if let Some((to, _)) = reply {
                to.answer(Err(Refusal::Unavailable("the call record")));
            }
            return;
        }
        let mut items = Vec::with_capacity(effects.len() + 1);
        let mut record = false;
        for effect in effects {
            match effect {
                Effect::Record => record = true,
                Effect::Tell { user, target, notice } => items.push(Item::Tell(user, target, notice)),
                Effect::InCall { user } => self.progress.push(Progress::InCall(user)),
                Effect::InGroup { user } => self.progress.push(Progress::InGroup(user)),
                Effect::Release { user } => self.progress.push(Progress::Released(user)),
            }
        }
        // Before anybody is told: the next thing a client asks comes behind it.
        self.report();
        items.extend(reply.map(|(to, answer)| Item::Answer(to, answer)));
        let write = record.then(|| self.write(ctx));
        self.outbox.push_back(Parcel { write, items });
        if !self.is_routed_as(self.call.direct()) {
            self.close_route();
        }
        self.set_timer(ctx);
        self.empty_outbox(ctx);
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
        self.close_route();
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

impl Handler<BringIn> for CallSession {
    type Result = ();
    fn handle(&mut self, bring_in: BringIn, ctx: &mut Self::Context) {
        self.bring_in(bring_in, ctx);
    }
}

impl Handler<Query> for CallSession {
    type Result = ();
    fn handle(&mut self, Query(reply): Query, ctx: &mut Self::Context) {
        let view = Ok(Reply::Call(self.call.view()));
        self.carry_out(Vec::new(), Some((reply, view)), ctx);
    }
}

impl Handler<Show> for CallSession {
    type Result = ();
    fn handle(&mut self, Show(overview): Show, ctx: &mut Self::Context) {
        let now = self.around.clock.moment();
        let seen = self.call.seen_by(&overview.user, &overview.device, now).into_iter().collect();
        self.outbox.push_back(Parcel { write: None, items: vec![Item::Show(overview, seen)] });
        self.empty_outbox(ctx);
    }
}
