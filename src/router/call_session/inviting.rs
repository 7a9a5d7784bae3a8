//! Who else is let into a call: invitations of somebody engaged in it, and others brought in.

use actix::prelude::*;

use crate::call::admission::{Admission, Engagement, admit};
use crate::call::{Event, Standing};
use crate::ids::{CallId, UserId};
use crate::signal::{Command, DescriptionKind, Party, Phase};

use super::super::messages::Ask;
use super::CallSession;
use super::messages::{BringIn, Consulted, Progress, Wanted};

impl CallSession {
    pub(super) fn reconsider(&mut self, ask: Ask, mut consulted: Vec<CallId>, ctx: &mut Context<Self>) {
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

    /// Whether somebody takes part or rings.
    fn is_in(&self, user: &UserId) -> bool {
        self.call.legs().iter().any(|leg| leg.user() == user && !leg.state().is_over())
    }

    pub(super) fn bring_in(&mut self, BringIn { ask, consulted, invitees }: BringIn, ctx: &mut Context<Self>) {
        let Command::BringIn { invite, .. } = &ask.command else { return };
        let mut named = invite.callees.iter().map(|party| &party.user);
        let outside = |user: &UserId| invitees.iter().any(|(party, _)| party.user == *user);
        if self.call.phase() != Phase::Ended && named.any(|user| !outside(user) && !self.is_in(user)) {
            // Has just left: the router, which learns of that before it reads this, takes standings anew.
            self.release(&invitees);
            self.router.do_send(Consulted(ask, consulted));
            return;
        }
        let Ask { peer, command: Command::BringIn { invite, .. }, reply } = ask else { return };
        let reserved = invitees.clone();
        let event = match (invite.callees.as_slice(), invite.offer) {
            ([member], Some(payload)) if invitees.is_empty() => Event::Describe {
                user: peer.user,
                device: peer.device,
                to: Some(member.user.clone()),
                kind: DescriptionKind::Offer,
                payload,
                extra: invite.extra,
            },
            (_, offer) => {
                let (by, name) = (peer.user, peer.name.or(invite.name));
                Event::Invite { by, name, invitees, offer, extra: invite.extra }
            }
        };
        self.happen(event, Some((reply, Wanted::View)), ctx);
        self.release(&reserved);
    }

    /// Frees those of the invited who were reserved for this call and are not in it.
    fn release(&mut self, invitees: &[(Party, Standing)]) {
        for (party, standing) in invitees {
            if matches!(standing, Standing::Free(_)) && !self.is_in(&party.user) {
                self.progress.push(Progress::Released(party.user.clone()));
            }
        }
        self.report();
    }
}
