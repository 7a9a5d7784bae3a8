//! Commands of peers: invitations are admitted here, everything else goes to the call it is about.

use actix::prelude::*;

use crate::call::admission::{Admission, admit};
use crate::call::{Call, Event, Standing, Start};
use crate::ids::{CallId, DeviceId, UserId};
use crate::signal::{Addressee, Command, Party, Refusal};

use super::call_session::{CallSession, Consulted, HandBack, Happen, Query, Reconsider, Wanted};
use super::messages::{Ask, Peer, Reply, ReplyTo};
use super::{CallRouter, Live, no_such_call};

impl CallRouter {
    fn take(&mut self, ask: Ask, consulted: Vec<CallId>, ctx: &mut Context<Self>) {
        let Ask { peer, command, reply } = ask;
        if peer.device.as_ref() == Some(&DeviceId::http()) && consulted.is_empty() {
            self.beat(&peer.user, peer.name.clone());
        }
        match command {
            Command::Invite(_) => self.invite(Ask { peer, command, reply }, consulted, ctx),
            Command::Accept { to, answer, extra } => {
                let answer = answer.map(|answer| (answer, extra));
                let event = |peer: Peer| Event::Accept { user: peer.user, device: peer.device, answer };
                self.pass_on(peer, &to, reply, Wanted::View, event);
            }
            Command::Decline { to } => {
                let event = |peer: Peer| Event::Decline { user: peer.user, device: peer.device };
                self.pass_on(peer, &to, reply, Wanted::View, event);
            }
            Command::HangUp { to } => {
                let event = |peer: Peer| Event::HangUp { user: peer.user, device: peer.device };
                self.pass_on(peer, &to, reply, Wanted::View, event);
            }
            Command::Describe { to, kind, payload, extra } => {
                let other = to.user.clone();
                let event = |peer: Peer| Event::Describe {
                    user: peer.user,
                    device: peer.device,
                    to: other,
                    kind,
                    payload,
                    extra,
                };
                self.pass_on(peer, &to, reply, Wanted::Relayed, event);
            }
            Command::Candidate { to, payload, extra } => {
                let other = to.user.clone();
                let event =
                    |peer: Peer| Event::Candidate { user: peer.user, device: peer.device, to: other, payload, extra };
                self.pass_on(peer, &to, reply, Wanted::Relayed, event);
            }
        }
    }

    /// Hands an event to the call a command is about: the one it names, else the sender's only live one.
    fn pass_on(
        &mut self,
        peer: Peer,
        to: &Addressee,
        reply: ReplyTo,
        wanted: Wanted,
        event: impl FnOnce(Peer) -> Event,
    ) {
        let engaged = self.tracker.engaged(&peer.user);
        let with_other = match (engaged, &to.user) {
            // A 1:1 call with somebody else is not the one that is meant.
            (Some(engaged), Some(user)) => engaged.with.as_ref().is_none_or(|with| with == user),
            (Some(_), None) => true,
            (None, _) => false,
        };
        let call = to.call.or_else(|| engaged.filter(|_| with_other).map(|engaged| engaged.call));
        let live = call.and_then(|call| self.calls.get(&call));
        match live {
            Some(live) => live.session.do_send(Happen { event: event(peer), reply: Some((reply, wanted)) }),
            None => reply.answer(self.late(&peer, to, &event(peer.clone()))),
        }
    }

    /// The answer to a command about a call that is over, or never was.
    fn late(&self, peer: &Peer, to: &Addressee, event: &Event) -> Result<Reply, Refusal> {
        let call = to.call.or_else(|| self.recent.last_of(&peer.user)).ok_or_else(no_such_call)?;
        let (view, ended_by) = self.recent.find(call, &peer.user).ok_or_else(no_such_call)?;
        if let (None, Some(user)) = (to.call, &to.user)
            && view.caller != *user
            && !view.callees.contains(user)
        {
            return Err(no_such_call());
        }
        let ending = matches!(event, Event::HangUp { .. } | Event::Decline { .. });
        match view.reason {
            Some(_) if ending && ended_by == Some(&peer.user) => Ok(Reply::Call(view.clone())),
            Some(reason) => Err(Refusal::CallEnded(reason)),
            None => Err(no_such_call()),
        }
    }

    fn invite(&mut self, ask: Ask, consulted: Vec<CallId>, ctx: &mut Context<Self>) {
        let Command::Invite(invite) = &ask.command else { return };
        if let Some(key) = invite.idempotency_key.clone()
            && let Some(call) = self.keys.get(&(ask.peer.user.clone(), key)).copied()
        {
            return self.same_again(call, &ask.peer.user, ask.reply);
        }
        if let Some(call) = self.tracker.engaged(&ask.peer.user).map(|engaged| engaged.call) {
            return match self.calls.get(&call) {
                Some(live) if !consulted.contains(&call) => live.session.do_send(Reconsider(ask, consulted)),
                Some(_) | None => ask.reply.answer(Err(Refusal::CallerBusy)),
            };
        }
        if let Some(live) = self.to_consult(&invite.callees, &consulted) {
            return live.session.do_send(HandBack(ask, consulted));
        }
        self.start_call(ask, ctx);
    }

    /// A call a callee is engaged in that has not been asked yet: the callee may have left it already.
    fn to_consult(&self, callees: &[Party], consulted: &[CallId]) -> Option<&Live> {
        callees
            .iter()
            .filter_map(|party| self.tracker.engaged(&party.user))
            .filter(|engaged| !consulted.contains(&engaged.call))
            .find_map(|engaged| self.calls.get(&engaged.call))
    }

    fn same_again(&self, call: CallId, user: &UserId, reply: ReplyTo) {
        match (self.calls.get(&call), self.recent.find(call, user)) {
            (Some(live), _) => live.session.do_send(Query(reply)),
            (None, Some((view, _))) => reply.answer(Ok(Reply::Call(view.clone()))),
            (None, None) => reply.answer(Err(no_such_call())),
        }
    }

    fn start_call(&mut self, ask: Ask, ctx: &mut Context<Self>) {
        let Ask { peer, command, reply } = ask;
        let Command::Invite(invite) = command else { return };
        let now = self.now();
        let max = self.settings.rules.max_participants;
        let admission = admit(&peer.user, peer.device.as_ref(), &invite, None, max);
        if let Admission::Refuse(refusal) = admission {
            return reply.answer(Err(refusal));
        }
        if self.draining {
            return reply.answer(Err(Refusal::Draining));
        }
        if let Err(wait) = (self.settings.may_invite)(&peer.user) {
            return reply.answer(Err(Refusal::RateLimited(wait)));
        }
        let Some(id) = CallId::new(self.next_call_id) else {
            return reply.answer(Err(Refusal::Unavailable("a call number")));
        };
        self.next_call_id += 1;
        let callees = invite.callees.iter().map(|party| (party.clone(), self.standing(&party.user))).collect();
        let key = invite.idempotency_key.clone().map(|key| (peer.user.clone(), key));
        if let Some(key) = key.clone() {
            self.keys.insert(key, id);
        }
        let start = Start {
            id,
            caller_devices: self.tracker.reaches(&peer.user, now.tick),
            caller: peer.user,
            caller_name: peer.name,
            caller_device: peer.device,
            callees,
            invite,
        };
        let (call, effects) = Call::start(start, now, &self.settings.rules);
        self.reserve(&call, now);
        let session = CallSession::opening(call, effects, reply, self.around.clone(), ctx.address()).start();
        self.calls.insert(id, Live { session, lingers: false, key });
        self.publish();
    }

    fn standing(&self, user: &UserId) -> Standing {
        let reaches = self.tracker.reaches(user, self.now().tick);
        if reaches.is_empty() {
            Standing::Offline
        } else if self.tracker.engaged(user).is_some() || self.tracker.said_busy(user) {
            Standing::Busy
        } else {
            Standing::Free(reaches)
        }
    }
}

impl Handler<Ask> for CallRouter {
    type Result = ();
    fn handle(&mut self, ask: Ask, ctx: &mut Self::Context) {
        self.take(ask, Vec::new(), ctx);
    }
}

impl Handler<Consulted> for CallRouter {
    type Result = ();
    fn handle(&mut self, Consulted(ask, consulted): Consulted, ctx: &mut Self::Context) {
        self.take(ask, consulted, ctx);
    }
}
