//! What leaves a call, in order: nothing is told or answered before what it rests on is written. And
//! what follows once all is told: the direct way between two devices, and the end.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use tokio::sync::oneshot;

use crate::call::{Event, Target};
use crate::ids::{DeviceId, UserId};
use crate::signal::{CallSeen, Notice, Phase, Refusal};

use super::super::messages::{Receipt, Reply, ReplyTo, Route, Unwritten};
use super::super::overview::Overview;
use super::super::stay::Tie;
use super::CallSession;
use super::messages::{Happen, Progress, Progressed};

/// How long an ended call waits for devices that are owed a closing message.
const OWED_FOR: Duration = Duration::from_secs(60);

/// Something to be told, or answered, once everything before it is written.
pub(super) enum Item {
    Tell(UserId, Target, Box<Notice>),
    Answer(ReplyTo, Result<Reply, Refusal>),
    Show(Overview, Vec<CallSeen>),
    Tie(oneshot::Sender<Option<Tie>>, Option<Tie>),
}

/// What waits for one write (or for nothing but its turn).
pub(super) struct Parcel {
    /// The write it waits for.
    pub(super) write: Option<u64>,
    pub(super) items: Vec<Item>,
}

impl CallSession {
    pub(super) fn write(&mut self, ctx: &mut Context<Self>) -> u64 {
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
        self.empty_outbox(ctx);
    }

    /// The record could not be opened: there is no such call, and nobody was told of one.
    fn never_was(&mut self) {
        log::warn!("call {} could not be recorded and does not ring", self.call.id());
        // First, so that who is refused and tries again at once is not taken to be in this call.
        self.progress.extend(self.call.legs().iter().map(|leg| Progress::Released(leg.user().clone())));
        self.done();
        for item in self.outbox.drain(..).flat_map(|parcel| parcel.items) {
            if let Item::Answer(reply, _) = item {
                reply.answer(Err(Refusal::Unavailable("the call record")));
            }
        }
    }

    pub(super) fn empty_outbox(&mut self, ctx: &mut Context<Self>) {
        while self.outbox.front().is_some_and(|parcel| parcel.write.is_none()) {
            let Some(parcel) = self.outbox.pop_front() else { break };
            for item in parcel.items {
                match item {
                    Item::Tell(user, target, notice) => self.tell(user, target, &notice, ctx),
                    Item::Answer(reply, answer) => reply.answer(answer),
                    // Whoever asked may be gone.
                    Item::Show(overview, seen) => drop(overview.reply.send(seen)),
                    Item::Tie(reply, tie) => drop(reply.send(tie)),
                }
            }
        }
        if self.outbox.is_empty() {
            self.set_route();
            self.let_go();
            self.note_progress();
            self.stop_if_done(ctx);
            self.report();
        }
    }

    fn tell(&mut self, user: UserId, target: Target, notice: &Notice, ctx: &mut Context<Self>) {
        match target {
            Target::Device(device) => {
                let outlet = self.around.directory.outlet(&user, &device);
                let delivered = outlet.is_some_and(|outlet| outlet.deliver(notice));
                if !delivered {
                    self.call.take_back(&user, notice);
                }
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

    /// Whether the direct way, or that there is none, is as the call would have it.
    pub(super) fn is_routed_as(&self, ends: Option<[(&UserId, &DeviceId); 2]>) -> bool {
        let route = self.route.as_ref().map(|ends| ends.each_ref().map(|(user, device)| (user, device)));
        route == ends
    }

    /// Opens or closes the direct way between the two devices of the call.
    fn set_route(&mut self) {
        if self.is_routed_as(self.call.direct()) {
            return;
        }
        self.close_route();
        let outlet = |(user, device): (&UserId, &DeviceId)| self.around.directory.outlet(user, device);
        if let Some([a, b]) = self.call.direct()
            && let (Some(to_a), Some(to_b)) = (outlet(a), outlet(b))
        {
            let call = self.call.id();
            to_a.set_route(Some(Arc::new(Route { call, peer: b.0.clone(), outlet: Arc::clone(&to_b) })));
            to_b.set_route(Some(Arc::new(Route { call, peer: a.0.clone(), outlet: to_a })));
            self.route = Some([a, b].map(|(user, device)| (user.clone(), device.clone())));
        }
    }

    /// Closes it.
    pub(super) fn close_route(&mut self) {
        for (user, device) in self.route.take().into_iter().flatten() {
            if let Some(outlet) = self.around.directory.outlet(&user, &device) {
                outlet.set_route(None);
            }
        }
    }

    /// Notes for the router how the call stands, that it is over, and whose devices must be brought here when they
    /// are back. Not before that is written and told: until then it may turn out that there never was such a call, a
    /// drain must not close the sockets it is to be told on, and who is owed a closing message is not known.
    fn note_progress(&mut self) {
        let missed = self.call.missed();
        if missed > self.missed {
            self.progress.push(Progress::Missed);
        }
        self.missed = missed;
        let over = self.call.phase() == Phase::Ended;
        if !over && !self.shown.as_ref().is_some_and(|shown| self.call.looks_as(shown)) {
            let detail = Arc::new(self.call.detail());
            self.shown = Some(Arc::clone(&detail));
            self.progress.push(Progress::Stands(detail));
        }
        if over && !self.ending {
            self.ending = true;
            self.progress.push(Progress::Ended(self.call.view(), self.call.ended_by().cloned()));
        }
        if !self.call.owed_users().eq(&self.owed) {
            self.owed = self.call.owed_users().cloned().collect();
            self.progress.push(Progress::Owing(self.owed.clone()));
        }
    }

    /// Tells the router what it was not told yet.
    pub(super) fn report(&mut self) {
        if !self.progress.is_empty() {
            self.router.do_send(Progressed(self.call.id(), std::mem::take(&mut self.progress)));
        }
    }

    fn stop_if_done(&mut self, ctx: &mut Context<Self>) {
        if self.call.phase() != Phase::Ended || self.undelivered > 0 {
            return;
        }
        if !self.call.owes_a_closing() {
            self.done();
        } else if self.timer.is_none() {
            self.timer = Some(ctx.run_later(OWED_FOR, |session, _| session.done()));
        }
    }

    /// Asks the router to be dismissed: what it forwarded until then is still handled.
    fn done(&mut self) {
        if !self.dismissing {
            self.dismissing = true;
            self.progress.push(Progress::Gone);
        }
        self.report();
    }
}
