//! Commands of peers: invitations are admitted here, everything else goes to the call it is about.

use actix::prelude::*;

use crate::call::admission::{Admission, admit};
use crate::call::{Call, Event, Reach, Standing, Start};
use crate::ids::{CallId, DeviceId, UserId};
use crate::signal::{Addressee, Command, Party, Refusal};

use super::call_session::{BringIn, CallSession, Consulted, HandBack, Happen, Query, Reconsider, Wanted};
use super::messages::{Ask, Peer, Reply, ReplyTo};
use super::{CallRouter, Live, no_such_call};

impl CallRouter {
    fn take(&mut self, ask: Ask, consulted: Vec<CallId>, ctx: &mut Context<Self>) {
        let Ask { peer, mut command, reply } = ask;
        if consulted.is_empty() {
            self.resolve(&mut command);
        }
        if peer.device.as_ref() == Some(&DeviceId::http()) && consulted.is_empty() {
            self.beat(&peer.user, peer.name.clone());
        }
        match command {
            Command::Invite(_) => self.invite(Ask { peer, command, reply }, consulted, ctx),
            Command::BringIn { .. } => self.bring_in(Ask { peer, command, reply }, consulted),
            Command::Accept { to, answer, extra } => {
                let answer = answer.map(|answer| (answer, extra));
                let other = to.user.clone();
                let event = |peer: Peer| Event::Accept { user: peer.user, device: peer.device, to: other, answer };
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
            None => {
                let ending = matches!(event(peer.clone()), Event::HangUp { .. } | Event::Decline { .. });
                reply.answer(self.late(&peer, to, ending));
            }
        }
    }

    /// The answer to a command about a call that is over, or never was.
    fn late(&self, peer: &Peer, to: &Addressee, ending: bool) -> Result<Reply, Refusal> {
        let call = to.call.or_else(|| self.recent.last_of(&peer.user)).ok_or_else(no_such_call)?;
        let (view, ended_by) = self.recent.find(call, &peer.user).ok_or_else(no_such_call)?;
        if let (None, Some(user)) = (to.call, &to.user)
            && view.caller != *user
            && !view.callees.contains(user)
        {
            return Err(no_such_call());
        }
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

    /// Takes the standing of everybody named for a live call and reserves those who are free, in one
    /// turn; what becomes of them is the call's to decide.
    fn bring_in(&mut self, ask: Ask, consulted: Vec<CallId>) {
        let Command::BringIn { call, invite } = &ask.command else { return };
        let (call, user) = (*call, &ask.peer.user);
        if invite.callees.iter().any(|party| party.user == *user) {
            return ask.reply.answer(Err(Refusal::SelfCall));
        }
        let engaged_here =
            |router: &Self, user: &UserId| router.tracker.engaged(user).is_some_and(|engaged| engaged.call == call);
        let Some(live) = self.calls.get(&call) else {
            let to = Addressee { call: Some(call), user: None };
            return ask.reply.answer(self.late(&ask.peer, &to, false));
        };
        if !engaged_here(self, user) {
            // The call has the right words for those who left it; nobody is reserved for them.
            let (by, name, extra) = (user.clone(), None, Vec::new());
            let event = Event::Invite { by, name, invitees: Vec::new(), offer: None, extra };
            return live.session.do_send(Happen { event, reply: Some((ask.reply, Wanted::View)) });
        }
        let outsiders: Vec<Party> =
            invite.callees.iter().filter(|party| !engaged_here(self, &party.user)).cloned().collect();
        if let Some(live) = self.to_consult(&outsiders, &consulted) {
            return live.session.do_send(HandBack(ask, consulted));
        }
        if !outsiders.is_empty()
            && let Err(wait) = (self.settings.may_invite)(user)
        {
            return ask.reply.answer(Err(Refusal::RateLimited(wait)));
        }
        let now = self.moment();
        let mut invitees = Vec::new();
        for party in outsiders {
            let standing = self.standing(&party.user);
            if matches!(standing, Standing::Free(_)) {
                self.tracker.reserve(&party.user, call, None, now);
            }
            invitees.push((party, standing));
        }
        if let Some(live) = self.calls.get(&call) {
            live.session.do_send(BringIn { ask, consulted, invitees });
        }
        self.publish();
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
        let id = match self.take_number() {
            Ok(id) => id,
            Err(refusal) => return reply.answer(Err(refusal)),
        };
        let callees = invite.callees.iter().map(|party| (party.clone(), self.standing(&party.user))).collect();
        let key = invite.idempotency_key.clone().map(|key| (peer.user.clone(), key));
        if let Some(key) = key.clone() {
            self.keys.insert(key, id);
        }
        let start = Start {
            id,
            caller_devices: self.reaches(&peer.user),
            caller: peer.user,
            caller_name: peer.name,
            caller_device: peer.device,
            callees,
            invite,
        };
        let (call, effects) = Call::start(start, now, &self.settings.rules);
        self.reserve(&call, now);
        let session = CallSession::opening(call, effects, reply, self.around.clone(), ctx.address()).start();
        self.calls.insert(id, Live { session, detail: None, ended: false, released: Vec::new(), key });
        self.publish();
    }

    /// The devices a new call could be shown on at this instant.
    fn reaches(&self, user: &UserId) -> Vec<Reach> {
        let mut reaches = self.tracker.reaches(user, self.moment());
        self.around.directory.keep_open(user, &mut reaches);
        reaches
    }

    fn standing(&self, user: &UserId) -> Standing {
        if self.tracker.engaged(user).is_some() || self.tracker.said_busy(user) {
            let away = self.tracker.reaches(user, self.moment()).is_empty();
            return if away { Standing::Offline } else { Standing::Busy };
        }
        match self.reaches(user) {
            reaches if reaches.is_empty() => Standing::Offline,
            reaches => Standing::Free(reaches),
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
