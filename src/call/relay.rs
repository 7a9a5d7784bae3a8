//! Offers, answers and candidates: who gets them, and what is held until it can be delivered.
//!
//! Payloads are never read. What a participant sends before it described itself to the other side is
//! held and delivered after its description, in order; so is what is sent to a lost participant.

use crate::ids::{DeviceId, UserId};
use crate::signal::{DescriptionKind, Extra, Notice, Payload, Phase, Refusal};

use super::event::Effect;
use super::leg::{Held, LegState, News};
use super::machine::{Call, Rules};
use super::record::Role;

impl Call {
    #[expect(clippy::too_many_arguments, reason = "one per field of the event")]
    pub(super) fn describe(
        &mut self,
        user: &UserId,
        device: Option<DeviceId>,
        to: Option<UserId>,
        kind: DescriptionKind,
        description: (Payload, Extra),
        rules: &Rules,
        out: &mut Vec<Effect>,
    ) -> Result<(), Refusal> {
        let from = self.leg_of(user)?;
        self.refuse_if_over(from)?;
        let unanswered = self.phase != Phase::Answered;
        // Everything that may be refused is, before anything changes.
        let addressed = to.map(|user| self.other(from, Some(user))).transpose()?;
        if let Some(to) = addressed {
            self.refuse_if_over(to)?;
        }
        match (self.legs[from].side(), kind) {
            // In a group an offer that names its receiver is for that one alone.
            (Role::Caller, DescriptionKind::Offer) if unanswered && (addressed.is_none() || !self.group) => {
                if let (Some(device), None) = (device, &self.legs[0].device) {
                    self.legs[0].take_part_with(device);
                    Self::written(out);
                }
                if self.offer.as_ref() != Some(&description.0) {
                    self.set_offer(description, out);
                }
                return Ok(());
            }
            (Role::Caller, DescriptionKind::Answer) if unanswered => {
                return Err(Refusal::OutOfTurn("nobody has answered this call yet"));
            }
            // A device that answers has accepted.
            (Role::Callee, DescriptionKind::Answer) if self.legs[from].state.is_pending() => {
                let to = addressed.unwrap_or_else(|| self.inviter_of(from));
                self.accept(user, device, None, None, rules, out)?;
                self.pass_description(from, to, kind, description, out);
                return Ok(());
            }
            (Role::Callee, DescriptionKind::Offer) if self.legs[from].state.is_pending() => {
                return Err(Refusal::OutOfTurn("answer the call before sending an offer"));
            }
            (Role::Caller | Role::Callee, DescriptionKind::Offer | DescriptionKind::Answer) => {}
        }
        let to = addressed.map_or_else(|| self.other(from, None), Ok)?;
        self.refuse_if_over(to)?;
        let again = kind == DescriptionKind::Offer
            && self.legs[to].state.is_pending()
            && self.inviter_of(to) == from
            && self.offer_for(to).as_ref() == Some(&description.0);
        if again {
            // The invitation said it.
            return Ok(());
        }
        self.take_device(from, device.as_ref(), out)?;
        self.pass_description(from, to, kind, description, out);
        Ok(())
    }

    /// Delivers a description, then what its sender had sent too early.
    pub(super) fn pass_description(
        &mut self,
        from: usize,
        to: usize,
        kind: DescriptionKind,
        (payload, extra): (Payload, Extra),
        out: &mut Vec<Effect>,
    ) {
        let sender_leg = from;
        let sender = self.legs[from].user.clone();
        let receiver = self.legs[to].user.clone();
        if self.legs[to].state.is_over() {
            return;
        }
        if self.legs[to].state != LegState::Joined {
            // In the place of an older one of the same kind, so that the inbox stays bounded; the first
            // one before the candidates that came too early for it; else behind what is held, so that
            // order is kept.
            let described = self.legs[from].described_to.contains(&receiver);
            let inbox = &mut self.legs[to].inbox;
            let at = |wanted: &dyn Fn(&Held) -> bool| inbox.iter().position(|(by, held)| *by == sender && wanted(held));
            let older = at(&|held| matches!(held, Held::Description(older, ..) if *older == kind));
            let early = at(&|held| matches!(held, Held::Candidate(..))).filter(|_| !described);
            let held = (sender, Held::Description(kind, payload, extra));
            match older {
                Some(at) => inbox[at] = held,
                None => inbox.insert(early.unwrap_or(inbox.len()), held),
            }
            self.note_described(from, receiver, out);
            return;
        }
        let from = self.legs[from].party();
        let notice = Notice::Description { about: self.about(), from, kind, payload, extra };
        self.tell_leg(to, &notice, out);
        self.note_described(sender_leg, receiver, out);
        self.empty_inbox(to, Some(&sender), out);
    }

    fn note_described(&mut self, from: usize, receiver: UserId, out: &mut Vec<Effect>) {
        if !self.legs[from].described_to.contains(&receiver) {
            self.legs[from].described_to.push(receiver);
            // Forgotten in a crash, candidates would wait for a description that does not come again.
            Self::written(out);
        }
    }

    pub(super) fn candidate(
        &mut self,
        user: &UserId,
        device: Option<DeviceId>,
        to: Option<UserId>,
        (payload, extra): (Payload, Extra),
        rules: &Rules,
        out: &mut Vec<Effect>,
    ) -> Result<(), Refusal> {
        let from = self.leg_of(user)?;
        self.refuse_if_over(from)?;
        let to = self.other(from, to)?;
        self.refuse_if_over(to)?;
        if let (Some(taking_part), Some(device)) = (&self.legs[from].device, &device)
            && taking_part != device
        {
            // It belongs to a description the other side will never have.
            return Err(Refusal::AnsweredElsewhere);
        }
        if self.legs[to].state.is_pending() && from == self.inviter_of(to) {
            let leg = &mut self.legs[to];
            let offered = leg.devices.iter().any(|device| device.offered && device.present);
            if leg.early.len() < rules.held {
                leg.early.push_back((payload.clone(), extra.clone()));
            } else if !offered {
                return Err(Refusal::TooManyCandidates);
            }
            let notice = Notice::Candidate { call: self.id, from: self.legs[from].party(), payload, extra };
            for device in &self.legs[to].devices {
                if device.offered && device.present && device.closing.is_none() {
                    Self::tell(&self.legs[to].user, &device.id, notice.clone(), out);
                }
            }
            return Ok(());
        }
        let described = self.legs[from].described_to.contains(&self.legs[to].user);
        if described && self.legs[to].state == LegState::Joined {
            let notice = Notice::Candidate { call: self.id, from: self.legs[from].party(), payload, extra };
            self.tell_leg(to, &notice, out);
            Ok(())
        } else {
            self.hold(to, user.clone(), Held::Candidate(payload, extra, device), rules)
        }
    }

    fn hold(&mut self, to: usize, from: UserId, held: Held, rules: &Rules) -> Result<(), Refusal> {
        let inbox = &mut self.legs[to].inbox;
        if inbox.iter().filter(|(sender, _)| *sender == from).count() >= rules.held {
            return Err(Refusal::TooManyCandidates);
        }
        inbox.push_back((from, held));
        Ok(())
    }

    /// Delivers what is held for a participant and may be delivered now: all of it, or what one sender
    /// sent.
    pub(super) fn empty_inbox(&mut self, to: usize, only: Option<&UserId>, out: &mut Vec<Effect>) {
        if self.legs[to].state != LegState::Joined {
            return;
        }
        let receiver = self.legs[to].user.clone();
        self.legs[to].taken_back = 0;
        for (from, held) in std::mem::take(&mut self.legs[to].inbox) {
            let described = self.legs.iter().any(|leg| leg.user == from && leg.described_to.contains(&receiver));
            let wanted = only.is_none_or(|only| *only == from);
            let notice = match held {
                held @ Held::Candidate(..) if !described || !wanted => {
                    self.legs[to].inbox.push_back((from, held));
                    continue;
                }
                Held::Candidate(payload, extra, _) => {
                    Notice::Candidate { call: self.id, from: self.party_of(from), payload, extra }
                }
                Held::Description(kind, payload, extra) => {
                    Notice::Description { about: self.about(), from: self.party_of(from), kind, payload, extra }
                }
                Held::News(news) => self.news_notice(to, from, news),
            };
            self.tell_leg(to, &notice, out);
        }
    }

    /// Tells a participant: the device it takes part with, or all that may be it.
    pub(super) fn tell_leg(&self, leg: usize, notice: &Notice, out: &mut Vec<Effect>) {
        let leg = &self.legs[leg];
        if leg.state.is_over() {
            return;
        }
        for device in &leg.devices {
            if leg.is_told_on(device) && device.present {
                Self::tell(&leg.user, &device.id, notice.clone(), out);
            }
        }
    }

    /// Tells everybody who takes part, but one, about that one; the lost learn it when they are back.
    pub(super) fn tell_of(&mut self, leg: usize, news: News, out: &mut Vec<Effect>) {
        for other in (0..self.legs.len()).filter(|other| *other != leg) {
            self.news_for(other, leg, news, out);
        }
    }

    /// Tells one participant about another, at once or when it is back.
    pub(super) fn news_for(&mut self, to: usize, about: usize, news: News, out: &mut Vec<Effect>) {
        let user = self.legs[about].user.clone();
        match self.legs[to].state {
            LegState::Joined => self.tell_leg(to, &self.news_notice(to, user, news), out),
            LegState::Lost => self.legs[to].inbox.push_back((user, Held::News(news))),
            LegState::Invited
            | LegState::Ringing
            | LegState::Left(_)
            | LegState::Declined
            | LegState::Missed(_)
            | LegState::Failed => {}
        }
    }

    fn news_notice(&self, to: usize, user: UserId, news: News) -> Notice {
        match (news, self.legs[to].role) {
            (News::Joined, Role::Caller) => Notice::Answered { call: self.id, by: user },
            (News::Joined, Role::Callee) => Notice::PeerJoined { call: self.id, user },
            (News::Left(reason), Role::Caller | Role::Callee) => Notice::PeerLeft { call: self.id, user, reason },
            (News::NotJoining(reason), Role::Caller | Role::Callee) => {
                let (call, call_type) = (self.id, self.call_type);
                Notice::NotJoining { call, user: self.party_of(user), call_type, reason }
            }
        }
    }

    /// The participant a message of `from` is for.
    pub(super) fn other(&self, from: usize, to: Option<UserId>) -> Result<usize, Refusal> {
        match to {
            Some(user) => match self.legs.iter().position(|leg| leg.user == user) {
                Some(leg) if leg != from => Ok(leg),
                Some(_) => Err(Refusal::Invalid("a message cannot be for its own sender".into())),
                None => Err(Refusal::NotFound("participant")),
            },
            None => {
                // Who never joined is nobody a message could be for.
                let mut others = (0..self.legs.len()).filter(|leg| *leg != from && !self.legs[*leg].never_joined());
                match (others.next(), others.next()) {
                    (Some(only), None) => Ok(only),
                    (None | Some(_), _) if self.legs.len() == 2 => Ok(1 - from),
                    (None | Some(_), _) => Err(Refusal::NoRecipient),
                }
            }
        }
    }

    fn refuse_if_over(&self, leg: usize) -> Result<(), Refusal> {
        match self.reason.or_else(|| self.legs[leg].state.reason()) {
            Some(reason) => Err(Refusal::CallEnded(reason)),
            None => Ok(()),
        }
    }

    /// The two ends of the direct way for candidates: an answered 1:1 call, both devices known and
    /// there, both described, nothing held.
    pub fn direct(&self) -> Option<[(&UserId, &DeviceId); 2]> {
        let mut legs = self.legs.iter().filter(|leg| !leg.never_joined());
        let (Some(a), Some(b), None) = (legs.next(), legs.next(), legs.next()) else { return None };
        let ready = |leg: &super::leg::Leg, other: &super::leg::Leg| {
            leg.state == LegState::Joined
                && leg.device.is_some()
                && leg.inbox.is_empty()
                && leg.described_to.contains(&other.user)
        };
        if self.phase != Phase::Answered || !ready(a, b) || !ready(b, a) {
            return None;
        }
        Some([(&a.user, a.device.as_ref()?), (&b.user, b.device.as_ref()?)])
    }
}
