//! What administrators ask: how much goes on, which calls live, who is connected; and their last word on both.
//!
//! Each is answered in one turn from what the router knows anyway. Calls tell it how they stand
//! ([`Progress::Stands`](super::call_session::Progress)) once that is written and told.

use std::net::IpAddr;

use actix::prelude::*;

use crate::call::{CallDetail, Event, MemberDetail};
use crate::clock::Moment;
use crate::ids::{CallId, DeviceId, SessionId, UserId};
use crate::presence::Status;
use crate::signal::Phase;

use super::call_session::{Happen, Wanted};
use super::directory::Handle;
use super::messages::{Eviction, Reply, ReplyTo};
use super::{CallRouter, no_such_call};

/// A part of what goes on, for those who follow all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// Live calls: one began, went on or ended.
    Calls,
    /// Who is here and how they stand.
    Users,
    /// Missed calls: one came, or was seen.
    Missed,
}

/// How much goes on?
#[derive(actix::Message)]
#[rtype(result = "Census")]
pub struct Survey;

/// How much goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, actix::MessageResponse)]
pub struct Census {
    /// Users who are here or lately were.
    pub known: usize,
    /// Of those, who is not shown as offline.
    pub online: usize,
    /// Of those, who is in an answered call.
    pub in_call: usize,
    /// Of those, who rings, is calling, or said so.
    pub busy: usize,
    /// Devices with a connection.
    pub sessions: usize,
    /// The same, and those by REST.
    pub devices: usize,
    /// Calls nobody was alerted to yet.
    pub initiated: usize,
    /// Calls that ring.
    pub ringing: usize,
    /// Calls somebody answered.
    pub answered: usize,
    /// Whether no new calls are taken.
    pub draining: bool,
}

/// Which calls live?
#[derive(actix::Message)]
#[rtype(result = "Vec<LiveCall>")]
pub struct ListCalls;

/// A live call, and by which names its members were last seen, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveCall {
    /// The call.
    pub detail: CallDetail,
    /// The names.
    pub names: Vec<Option<String>>,
}

/// End a call. Answered as any command that ends one is; calls long over are nobody's here.
#[derive(actix::Message)]
#[rtype(result = "()")]
pub struct KillCall {
    /// Which.
    pub call: CallId,
    /// By whom.
    pub by: UserId,
    /// Where the answer goes.
    pub reply: ReplyTo,
}

/// Who is connected?
#[derive(actix::Message)]
#[rtype(result = "Vec<LiveSession>")]
pub struct ListSessions {
    /// Only this user's.
    pub user: Option<UserId>,
}

/// A device that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveSession {
    /// Its connection; none where it is all a user does by REST.
    pub session: Option<SessionId>,
    /// Whose.
    pub user: UserId,
    /// Their name as last seen.
    pub name: Option<String>,
    /// Which device.
    pub device: DeviceId,
    /// What it speaks.
    pub kind: &'static str,
    /// From where.
    pub address: Option<IpAddr>,
    /// Since when.
    pub connected_at: Moment,
    /// Its last proof of life.
    pub last_seen: Moment,
    /// The call its user takes part in with it, or is rung or ringing in.
    pub call: Option<CallId>,
    /// How its user stands.
    pub status: Status,
}

/// Close a connection for good. `false` where there is none.
#[derive(actix::Message)]
#[rtype(result = "bool")]
pub struct CloseSession(pub SessionId);

impl CallRouter {
    /// Whether this device is where its user's call is: on another one, once it is known which, it is not.
    fn call_on(&self, user: &UserId, device: &DeviceId) -> Option<CallId> {
        let call = self.tracker.engaged(user)?.call;
        let detail = self.calls.get(&call)?.detail.as_ref()?;
        let member = detail.members.iter().find(|member| member.user == *user)?;
        member.device.as_ref().is_none_or(|taking_part| taking_part == device).then_some(call)
    }

    /// The members' names, in their order. The caller may have said one that no token has.
    fn names(&self, detail: &CallDetail) -> Vec<Option<String>> {
        let name = |member: &MemberDetail| {
            let said = detail.caller_name.as_ref().filter(|_| member.user == detail.view.caller);
            self.name(&member.user).or_else(|| said.cloned())
        };
        detail.members.iter().map(name).collect()
    }

    fn name(&self, user: &UserId) -> Option<String> {
        self.tracker.name(user).map(str::to_owned)
    }
}

impl Handler<Survey> for CallRouter {
    type Result = Census;

    fn handle(&mut self, _: Survey, _: &mut Self::Context) -> Census {
        let mut census = Census { known: self.tracker.len(), draining: self.draining, ..Census::default() };
        self.around.directory.each(|_, shown, devices| {
            census.online += usize::from(shown.status != Status::Offline);
            match shown.status {
                Status::InCall => census.in_call += 1,
                Status::Busy => census.busy += 1,
                Status::Online | Status::Offline => {}
            }
            census.devices += devices.len();
            census.sessions += devices.iter().filter(|device| device.session.is_some()).count();
        });
        for detail in self.calls.values().filter_map(|live| live.detail.as_ref()) {
            match detail.view.phase {
                Phase::Initiated => census.initiated += 1,
                Phase::Ringing => census.ringing += 1,
                Phase::Answered => census.answered += 1,
                Phase::Ended => {}
            }
        }
        census
    }
}

impl Handler<ListCalls> for CallRouter {
    type Result = MessageResult<ListCalls>;

    fn handle(&mut self, _: ListCalls, _: &mut Self::Context) -> Self::Result {
        let details = self.calls.values().filter_map(|live| live.detail.as_ref());
        let mut calls: Vec<LiveCall> =
            details.map(|detail| LiveCall { names: self.names(detail), detail: CallDetail::clone(detail) }).collect();
        calls.sort_unstable_by_key(|call| std::cmp::Reverse(call.detail.view.id));
        MessageResult(calls)
    }
}

impl Handler<KillCall> for CallRouter {
    type Result = ();

    fn handle(&mut self, KillCall { call, by, reply }: KillCall, _: &mut Self::Context) {
        if let Some(view) = self.recent.view(call) {
            return reply.answer(Ok(Reply::Call(view.clone())));
        }
        match self.calls.get(&call) {
            Some(live) => {
                live.session.do_send(Happen { event: Event::Kill { by }, reply: Some((reply, Wanted::View)) });
            }
            None => reply.answer(Err(no_such_call())),
        }
    }
}

impl Handler<ListSessions> for CallRouter {
    type Result = MessageResult<ListSessions>;

    fn handle(&mut self, ListSessions { user }: ListSessions, _: &mut Self::Context) -> Self::Result {
        let mut sessions = Vec::new();
        self.around.directory.each(|whose, shown, devices| {
            if user.as_ref().is_some_and(|only| only != whose) {
                return;
            }
            sessions.extend(devices.iter().map(|Handle { device, session, pulse, origin, since, .. }| LiveSession {
                session: *session,
                user: whose.clone(),
                name: self.name(whose),
                device: device.clone(),
                kind: origin.kind,
                address: origin.address,
                connected_at: *since,
                last_seen: pulse.last(),
                call: self.call_on(whose, device),
                status: shown.status,
            }));
        });
        sessions.sort_unstable_by(|a, b| (&a.user, a.connected_at).cmp(&(&b.user, b.connected_at)));
        MessageResult(sessions)
    }
}

impl Handler<CloseSession> for CallRouter {
    type Result = bool;

    fn handle(&mut self, CloseSession(session): CloseSession, _: &mut Self::Context) -> bool {
        let outlet = self.around.directory.outlet_of(session);
        outlet.map(|outlet| outlet.evict(Eviction::Killed)).is_some()
    }
}
