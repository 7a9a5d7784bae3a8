//! The extensions on a socket: `hello`, `resume`, watching presence, and following everything.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use tokio::sync::oneshot;

use super::resumable::Session;
use super::session::WsSession;
use crate::dialect::Inquiry;
use crate::dialect::extensions::{self, Welcome};
use crate::ids::UserId;
use crate::router::Overview;
use crate::signal::{Payload, Refusal};

/// How long what a `welcome` or a snapshot says is waited for. What is not known by then is left out.
const KNOWN_WITHIN: Duration = Duration::from_secs(1);

/// How many questions about others may wait for the welcome.
const MAX_POSTPONED: usize = 16;

impl WsSession {
    /// Welcomes a client, as far as can be where its last socket broke off.
    pub(super) fn greet(&mut self, resume: Option<(String, u64)>, reference: Option<Payload>, ctx: &mut Context<Self>) {
        // From here on nothing is told before the welcome.
        self.outlet.greet();
        let who = self.outlet.who();
        let (reply, calls) = oneshot::channel();
        // Who is in no call now, and asked for none, is told of the next one behind the welcome.
        if !self.outlet.is_underway() && self.edge.sessions.directory.is_free(&who.user) {
            drop(reply.send(Vec::new()));
        } else {
            self.router.overview.do_send(Overview { user: who.user.clone(), device: who.device.clone(), reply });
        }
        let calls = tokio::time::timeout(KNOWN_WITHIN, calls);
        // A client that is there for a call alone is told of that alone.
        let unseen = (!self.outlet.is_confined()).then(|| self.edge.facts.unseen_missed(who.user.clone()));
        let unseen = async move { tokio::time::timeout(KNOWN_WITHIN, unseen?).await.ok().flatten() };
        let known = async { tokio::join!(calls, unseen) };
        let welcomed = known.into_actor(self).map(move |(calls, unseen_missed), session, ctx| {
            let mut calls = calls.ok().and_then(Result::ok);
            if let Some(calls) = &mut calls {
                calls.retain(|seen| session.outlet.hears_of(Some(seen.view.id)));
            }
            let ice_servers = session.edge.facts.ice_servers(&session.outlet.who().user);
            let heartbeat_ms = session.edge.facts.heartbeat_ms();
            session.outlet.begin(resume, |id, recovered, seq| {
                let session = id.to_owned();
                let welcome = Welcome { session, recovered, seq, heartbeat_ms, ice_servers, calls, unseen_missed };
                extensions::welcome(&welcome, reference.as_ref())
            });
            for (about, reference) in std::mem::take(&mut session.postponed) {
                session.inquire(about, reference, ctx);
            }
            session.look(ctx);
        });
        ctx.spawn(welcomed);
    }

    fn session(&self, reference: Option<&Payload>) -> Option<Arc<Session>> {
        let session = self.outlet.session();
        if session.is_none() {
            self.outlet.refuse(&Refusal::OutOfTurn("say hello first"), reference);
        }
        session
    }

    /// Does what a client asks about others; after the welcome, if that is on its way.
    pub(super) fn inquire(&mut self, about: Inquiry, reference: Option<Payload>, ctx: &mut Context<Self>) {
        if self.refuses(reference.as_ref()) {
            return;
        }
        if self.outlet.is_greeting() && self.postponed.len() < MAX_POSTPONED {
            return self.postponed.push((about, reference));
        }
        match about {
            Inquiry::Watch(users) => self.watch(users, reference, ctx),
            Inquiry::Unwatch(users) => self.unwatch(&users, reference),
            Inquiry::Glance(users) => self.glance(users, reference, ctx),
            Inquiry::Follow => self.follow(reference),
            Inquiry::Unfollow => self.unfollow(reference),
        }
    }

    /// Watches users from now on, and tells how they stand.
    fn watch(&mut self, users: Vec<UserId>, reference: Option<Payload>, ctx: &mut Context<Self>) {
        let Some(session) = self.session(reference.as_ref()) else { return };
        match self.edge.sessions.watch(&session, &users) {
            Ok(()) => self.tell_how_they_stand(session, users, reference, ctx),
            Err(refusal) => self.outlet.refuse(&refusal, reference.as_ref()),
        }
    }

    /// Tells how users stand, once.
    fn glance(&mut self, users: Vec<UserId>, reference: Option<Payload>, ctx: &mut Context<Self>) {
        if let Some(session) = self.session(reference.as_ref()) {
            self.tell_how_they_stand(session, users, reference, ctx);
        }
    }

    /// Watches users no more.
    fn unwatch(&mut self, users: &[UserId], reference: Option<Payload>) {
        if let Some(session) = self.session(reference.as_ref()) {
            self.edge.sessions.unwatch(&session, users);
            self.outlet.acknowledge(reference.as_ref(), None);
        }
    }

    /// Is told of whatever changes from now on, if it may.
    fn follow(&mut self, reference: Option<Payload>) {
        let Some(session) = self.session(reference.as_ref()) else { return };
        if !session.viewer.sees_all {
            let why = Refusal::Forbidden("only admins and services follow everything".to_owned());
            return self.outlet.refuse(&why, reference.as_ref());
        }
        self.edge.sessions.follow(&session);
        self.outlet.acknowledge(reference.as_ref(), None);
    }

    /// Is told no more of that.
    fn unfollow(&mut self, reference: Option<Payload>) {
        if let Some(session) = self.session(reference.as_ref()) {
            self.edge.sessions.following.remove(&session);
            self.outlet.acknowledge(reference.as_ref(), None);
        }
    }

    fn tell_how_they_stand(
        &mut self,
        session: Arc<Session>,
        users: Vec<UserId>,
        reference: Option<Payload>,
        ctx: &mut Context<Self>,
    ) {
        let unseen = self.edge.sessions.unseen(&session.viewer, &users);
        let facts = Arc::clone(&self.edge.facts);
        let earlier = async move {
            if unseen.is_empty() {
                return None;
            }
            tokio::time::timeout(KNOWN_WITHIN, facts.last_seen(unseen)).await.ok()
        };
        let told = earlier.into_actor(self).map(move |earlier, this, _| {
            if this.refuses(reference.as_ref()) {
                return;
            }
            let earlier = earlier.unwrap_or_default();
            this.edge.sessions.snapshot(&session, &this.outlet, &users, &earlier, reference.as_ref());
        });
        ctx.spawn(told);
    }
}
