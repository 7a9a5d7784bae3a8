//! Joining, refusing, leaving and ending: everything that changes who takes part.

use std::time::Duration;

use crate::ids::{DeviceId, UserId};
use crate::signal::{Closing, DescriptionKind, Extra, Notice, Payload, Phase, Reason, Refusal};

use super::event::{Effect, Target};
use super::leg::{Absence, LegState, Standing};
use super::machine::{Call, Rules, callee_leg};
use super::record::Role;

/// Who ended something, and with which device if that is known.
type By<'a> = Option<(usize, Option<&'a DeviceId>)>;

impl Call {
    pub(super) fn accept(
        &mut self,
        user: &UserId,
        device: Option<DeviceId>,
        answer: Option<(Payload, Extra)>,
        rules: &Rules,
        out: &mut Vec<Effect>,
    ) -> Result<(), Refusal> {
        let leg = self.leg_of(user)?;
        match self.legs[leg].state {
            LegState::Invited | LegState::Ringing => {}
            LegState::Joined | LegState::Lost if self.legs[leg].role == Role::Caller => {
                return match answer {
                    // An answer to a renegotiation the callee started.
                    Some(answer) if self.phase == Phase::Answered => {
                        self.describe(user, device, None, DescriptionKind::Answer, answer, rules, out)
                    }
                    Some(_) | None => Err(Refusal::OutOfTurn("only the person called can answer")),
                };
            }
            LegState::Joined | LegState::Lost => {
                self.take_device(leg, device.as_ref(), out)?;
                return match answer {
                    Some(answer) => self.describe(user, device, None, DescriptionKind::Answer, answer, rules, out),
                    None => Ok(()),
                };
            }
            // The same request again, after the call is over: nothing more to do.
            LegState::Left(_) if device.is_none() || self.legs[leg].device == device => return Ok(()),
            LegState::Left(_) | LegState::Declined | LegState::Missed(_) | LegState::Failed => {
                return Err(self.refusal_of_over(leg));
            }
        }
        self.join(leg, device, rules, out);
        if let Some(answer) = answer {
            self.pass_description(leg, 0, DescriptionKind::Answer, answer, out);
        }
        Ok(())
    }

    fn join(&mut self, leg: usize, device: Option<DeviceId>, rules: &Rules, out: &mut Vec<Effect>) {
        let at = self.latest;
        let user = self.legs[leg].user.clone();
        let first = self.phase != Phase::Answered;
        self.legs[leg].state = LegState::Joined;
        self.legs[leg].joined_at = Some(at);
        if first {
            self.phase = Phase::Answered;
            self.answered_at = Some(at);
        }
        self.trace("answered", Some(user.clone()), device.as_ref().map(DeviceId::as_str));
        out.push(Effect::Record);
        out.push(Effect::InCall { user: user.clone() });
        if first {
            out.push(Effect::InCall { user: self.legs[0].user.clone() });
        }
        let device = device.or_else(|| self.only_alerted(leg));
        if let Some(device) = device {
            self.settle_device(leg, &device, out);
        }
        let others: Vec<usize> = (0..self.legs.len()).filter(|i| *i != leg && self.legs[*i].state.is_in()).collect();
        for other in others {
            let notice = if self.legs[other].role == Role::Caller {
                Notice::Answered { call: self.id, by: user.clone() }
            } else {
                Notice::PeerJoined { call: self.id, user: user.clone() }
            };
            self.tell_leg(other, &notice, out);
        }
        if first && let Some(gone) = self.legs[0].gone {
            // The caller's device went while it rang: from here on it is a lost participant.
            self.lose(0, gone.since.max(at), at + rules.reconnect_grace, out);
        }
    }

    /// The device that must be meant when a dialect cannot tell: the only one that rings.
    fn only_alerted(&self, leg: usize) -> Option<DeviceId> {
        let mut alerted = self.legs[leg].devices.iter().filter(|device| device.alerted && device.present);
        match (alerted.next(), alerted.next()) {
            (Some(only), None) => Some(only.id.clone()),
            _ => None,
        }
    }

    /// From now on the participant takes part with this device; its others are closed.
    fn settle_device(&mut self, leg: usize, device: &DeviceId, out: &mut Vec<Effect>) {
        self.legs[leg].device = Some(device.clone());
        if self.legs[leg].role == Role::Callee {
            self.close_devices(leg, Some(device), Closing::AnsweredElsewhere, Reason::Completed, out);
            if let Some(device) = self.legs[leg].find(device) {
                device.alerted = true;
            }
            self.offer_to(leg, out);
            self.legs[leg].early.clear();
        }
    }

    /// Checks that `device` is the one a participant takes part with, or makes it so if none was known.
    pub(super) fn take_device(
        &mut self,
        leg: usize,
        device: Option<&DeviceId>,
        out: &mut Vec<Effect>,
    ) -> Result<(), Refusal> {
        match (&self.legs[leg].device, device) {
            (Some(known), Some(device)) if known != device => Err(Refusal::AnsweredElsewhere),
            (None, Some(device)) => {
                self.settle_device(leg, &device.clone(), out);
                Ok(())
            }
            (Some(_) | None, Some(_) | None) => Ok(()),
        }
    }

    pub(super) fn decline(
        &mut self,
        user: &UserId,
        device: Option<DeviceId>,
        out: &mut Vec<Effect>,
    ) -> Result<(), Refusal> {
        let leg = self.leg_of(user)?;
        match self.legs[leg].state {
            LegState::Invited | LegState::Ringing => {}
            LegState::Joined | LegState::Lost => return self.hang_up(user, device, out),
            LegState::Declined => return Ok(()),
            LegState::Left(_) | LegState::Missed(_) | LegState::Failed => return Err(self.refusal_of_over(leg)),
        }
        self.legs[leg].state = LegState::Declined;
        self.legs[leg].left_at = Some(self.latest);
        if !self.conclude(Reason::Declined, Some((leg, device.as_ref())), self.latest, out) {
            self.trace("declined", Some(user.clone()), None);
            out.push(Effect::Record);
            self.close_devices(leg, device.as_ref(), Closing::DeclinedElsewhere, Reason::Declined, out);
            self.leg_left(leg, Reason::Declined, out);
        }
        Ok(())
    }

    pub(super) fn hang_up(
        &mut self,
        user: &UserId,
        device: Option<DeviceId>,
        out: &mut Vec<Effect>,
    ) -> Result<(), Refusal> {
        let leg = self.leg_of(user)?;
        match (self.legs[leg].state, self.phase) {
            (LegState::Invited | LegState::Ringing, _) => return self.decline(user, device, out),
            (LegState::Joined | LegState::Lost, Phase::Answered) => {
                self.legs[leg].state = LegState::Left(Reason::Completed);
                self.legs[leg].left_at = Some(self.latest);
                let by = Some((leg, device.as_ref()));
                if !self.conclude(Reason::Completed, by, self.latest, out) {
                    self.trace("left", Some(user.clone()), None);
                    out.push(Effect::Record);
                    self.close_leg(leg, Closing::Ended, Reason::Completed, device.as_ref(), out);
                    self.leg_left(leg, Reason::Completed, out);
                }
            }
            (LegState::Joined | LegState::Lost, _) => {
                self.end(Reason::Cancelled, Some((leg, device.as_ref())), self.latest, out);
            }
            // The same request again.
            (LegState::Left(_) | LegState::Declined, _) if self.ended_by.as_ref() == Some(user) => {}
            (LegState::Left(Reason::Completed) | LegState::Declined, phase) if phase != Phase::Ended => {}
            (LegState::Left(_) | LegState::Declined | LegState::Missed(_) | LegState::Failed, _) => {
                return Err(self.refusal_of_over(leg));
            }
        }
        Ok(())
    }

    pub(super) fn kill(&mut self, by: UserId, out: &mut Vec<Effect>) -> Result<(), Refusal> {
        if let Some(reason) = self.reason {
            return if reason == Reason::Killed { Ok(()) } else { Err(Refusal::CallEnded(reason)) };
        }
        self.ended_by = Some(by);
        self.end(Reason::Killed, None, self.latest, out);
        Ok(())
    }

    pub(super) fn reload(
        &mut self,
        user: &UserId,
        device: Option<DeviceId>,
        out: &mut Vec<Effect>,
    ) -> Result<(), Refusal> {
        let leg = self.leg_of(user)?;
        if self.legs[leg].state.is_in() && self.phase == Phase::Answered {
            self.legs[leg].state = LegState::Left(Reason::Dropped);
            self.legs[leg].left_at = Some(self.latest);
            if !self.conclude(Reason::Dropped, Some((leg, device.as_ref())), self.latest, out) {
                self.trace("dropped", Some(user.clone()), Some("reloaded"));
                out.push(Effect::Record);
                self.leg_left(leg, Reason::Dropped, out);
            }
        }
        Ok(())
    }

    pub(super) fn redial(
        &mut self,
        device: Option<DeviceId>,
        offer: Option<Payload>,
        out: &mut Vec<Effect>,
    ) -> Result<(), Refusal> {
        if self.phase == Phase::Answered || self.phase == Phase::Ended {
            return Ok(());
        }
        if device.is_some() {
            self.legs[0].device = device;
        }
        match offer {
            Some(offer) if self.offer.as_ref() != Some(&offer) => self.set_offer((offer, Extra::new()), out),
            Some(_) | None => {}
        }
        Ok(())
    }

    pub(super) fn glare(
        &mut self,
        user: &UserId,
        device: Option<DeviceId>,
        accept: bool,
        rules: &Rules,
        out: &mut Vec<Effect>,
    ) -> Result<(), Refusal> {
        let leg = self.leg_of(user)?;
        if accept || !self.legs[leg].state.is_pending() {
            return self.accept(user, device, None, rules, out);
        }
        if let Some(device) = device {
            let notice = Notice::Closed {
                call: None,
                peer: self.legs[0].user.clone(),
                closing: Closing::Declined,
                reason: Some(Reason::Busy),
                call_type: self.call_type,
                duration_seconds: 0,
            };
            Self::tell(user, &device, notice, out);
            self.alert(leg, &device, out);
        }
        Ok(())
    }

    pub(super) fn bring_in(
        &mut self,
        by: &UserId,
        user: UserId,
        standing: Standing,
        rules: &Rules,
        out: &mut Vec<Effect>,
    ) -> Result<(), Refusal> {
        let inviter = self.leg_of(by)?;
        if !self.legs[inviter].state.is_in() {
            return Err(self.refusal_of_over(inviter));
        }
        let known = self.legs.iter().position(|leg| leg.user == user);
        if let Some(known) = known
            && !self.legs[known].state.is_over()
        {
            return Ok(());
        }
        let taking_part = self.legs.iter().filter(|leg| !leg.state.is_over()).count();
        if taking_part >= rules.max_participants {
            return Err(Refusal::TooManyParticipants(rules.max_participants));
        }
        self.group = true;
        let leg = callee_leg(user.clone(), standing, self.latest, rules);
        let index = match known {
            Some(index) => {
                self.legs[index] = leg;
                index
            }
            None => {
                self.legs.push(leg);
                self.legs.len() - 1
            }
        };
        self.trace("invited", Some(user), Some(by.as_str()));
        out.push(Effect::Record);
        match self.legs[index].state.reason() {
            Some(reason) => {
                self.tell_missed(index, out);
                self.leg_left(index, reason, out);
            }
            None => self.alert_all(index, out),
        }
        Ok(())
    }

    fn refusal_of_over(&self, leg: usize) -> Refusal {
        match self.reason.or_else(|| self.legs[leg].state.reason()) {
            Some(reason) => Refusal::CallEnded(reason),
            None => Refusal::OutOfTurn("you take no part in this call"),
        }
    }

    /// After a leg is over: whether the call is, too. Then it is ended and `true`.
    pub(super) fn conclude(&mut self, cause: Reason, by: By<'_>, at: Duration, out: &mut Vec<Effect>) -> bool {
        let pending = self.legs.iter().any(|leg| leg.state.is_pending());
        let taking_part = self.legs.iter().filter(|leg| leg.state.is_in()).count();
        let over = match (self.phase, self.group) {
            (Phase::Ended, _) => false,
            (_, false) => true,
            (Phase::Answered, true) => taking_part == 0 || (taking_part < 2 && !pending),
            (Phase::Initiated | Phase::Ringing, true) => taking_part == 0 || !pending,
        };
        if over {
            let reason = if self.group && self.phase != Phase::Answered { self.unanswered_reason() } else { cause };
            self.end(reason, by, at, out);
        }
        over
    }

    /// Why nobody answered, where several had their reasons: a "no" says more than silence.
    pub(super) fn unanswered_reason(&self) -> Reason {
        let said = |reason: Reason| self.legs.iter().skip(1).any(|leg| leg.state.reason() == Some(reason));
        [Reason::Declined, Reason::NoAnswer, Reason::Busy, Reason::Offline]
            .into_iter()
            .find(|reason| said(*reason))
            .unwrap_or(Reason::Cancelled)
    }

    /// Ends the call: settles every leg, writes, closes every device, frees everybody.
    pub(super) fn end(&mut self, reason: Reason, by: By<'_>, at: Duration, out: &mut Vec<Effect>) {
        let at = at.max(self.answered_at.unwrap_or_default());
        let was: Vec<LegState> = self.legs.iter().map(|leg| leg.state).collect();
        for leg in &mut self.legs {
            if leg.state.is_over() {
                continue;
            }
            leg.state = match (leg.state.is_pending(), reason) {
                (true, Reason::Failed) => LegState::Failed,
                (true, Reason::NoAnswer) => LegState::Missed(Absence::NoAnswer),
                (true, Reason::Busy) => LegState::Missed(Absence::Busy),
                (true, Reason::Offline) => LegState::Missed(Absence::Offline),
                (true, Reason::Cancelled | Reason::Completed | Reason::Declined | Reason::Dropped | Reason::Killed) => {
                    LegState::Missed(Absence::Cancelled)
                }
                (false, reason) => LegState::Left(reason),
            };
            leg.left_at = Some(at);
            leg.inbox.clear();
            leg.early.clear();
        }
        if let Some((leg, _)) = by {
            self.ended_by = Some(self.legs[leg].user.clone());
        }
        self.phase = Phase::Ended;
        self.reason = Some(reason);
        self.ended_at = Some(at);
        self.offer = None;
        let ended_by = self.ended_by.clone();
        self.trace("ended", ended_by, Some(reason.as_str()));
        out.push(Effect::Record);
        for (leg, was) in was.into_iter().enumerate() {
            let acting = by.filter(|(actor, _)| *actor == leg);
            let device = acting.and_then(|(_, device)| device);
            let closing = self.closing_for(leg, reason);
            self.close_leg(leg, closing, reason, device, out);
            if !was.is_over() && self.is_missed(leg) {
                self.tell_missed(leg, out);
            }
            out.push(Effect::Release { user: self.legs[leg].user.clone() });
        }
    }

    fn closing_for(&self, leg: usize, reason: Reason) -> Closing {
        let leg = &self.legs[leg];
        match (leg.role, leg.state, reason) {
            (Role::Callee, LegState::Declined, _) => Closing::DeclinedElsewhere,
            (Role::Callee, LegState::Missed(_) | LegState::Failed, _) => Closing::Cancelled,
            (Role::Caller, _, Reason::Declined | Reason::Busy | Reason::Offline) => Closing::Declined,
            (Role::Caller | Role::Callee, _, _) => Closing::Ended,
        }
    }

    /// Whether this participant has a missed call to see.
    pub(super) fn is_missed(&self, leg: usize) -> bool {
        let leg = &self.legs[leg];
        leg.role == Role::Callee && matches!(leg.state, LegState::Missed(_) | LegState::Failed)
    }

    /// A participant is out while the call goes on: it is free, and the others are told.
    pub(super) fn leg_left(&mut self, leg: usize, reason: Reason, out: &mut Vec<Effect>) {
        let user = self.legs[leg].user.clone();
        if self.is_missed(leg) && reason != Reason::Busy && reason != Reason::Offline {
            self.tell_missed(leg, out);
        }
        out.push(Effect::Release { user: user.clone() });
        let others: Vec<usize> = (0..self.legs.len()).filter(|i| *i != leg && self.legs[*i].state.is_in()).collect();
        for other in others {
            self.tell_leg(other, &Notice::PeerLeft { call: self.id, user: user.clone(), reason }, out);
        }
    }

    pub(super) fn tell_missed(&self, leg: usize, out: &mut Vec<Effect>) {
        let Some(reason) = self.legs[leg].state.reason() else { return };
        out.push(Effect::Tell {
            user: self.legs[leg].user.clone(),
            target: Target::Everyone,
            notice: Notice::Missed {
                call: self.id,
                from: self.legs[0].user.clone(),
                name: self.caller_name.clone(),
                call_type: self.call_type,
                reason,
            },
        });
    }

    /// Closes the devices a leg that is over still has open; the acting one closed itself.
    pub(super) fn close_leg(
        &mut self,
        leg: usize,
        closing: Closing,
        reason: Reason,
        acting: Option<&DeviceId>,
        out: &mut Vec<Effect>,
    ) {
        // The device a participant takes part with is owed a closing message as much as one that rang.
        let taking_part = self.legs[leg].device.clone();
        let everyone = taking_part.is_none() && self.legs[leg].role == Role::Caller;
        for device in &mut self.legs[leg].devices {
            if everyone || taking_part.as_ref() == Some(&device.id) {
                device.alerted = true;
            }
        }
        self.close_devices(leg, acting, closing, reason, out);
    }

    /// Closes every alerted device of a leg but one, which is marked as having closed itself (or, for
    /// [`Closing::AnsweredElsewhere`], stays open).
    fn close_devices(
        &mut self,
        leg: usize,
        except: Option<&DeviceId>,
        closing: Closing,
        reason: Reason,
        out: &mut Vec<Effect>,
    ) {
        let peer = self.peer_of(leg);
        let (id, call_type, duration_seconds) = (self.id, self.call_type, self.duration_seconds());
        let user = self.legs[leg].user.clone();
        for device in &mut self.legs[leg].devices {
            if !device.alerted || device.closing.is_some() {
                continue;
            }
            let excepted = except == Some(&device.id);
            if excepted && closing == Closing::AnsweredElsewhere {
                continue;
            }
            device.closing = Some((closing, reason));
            if excepted {
                continue;
            }
            if device.present {
                let notice = Notice::Closed {
                    call: Some(id),
                    peer: peer.clone(),
                    closing,
                    reason: Some(reason),
                    call_type,
                    duration_seconds,
                };
                Self::tell(&user, &device.id, notice, out);
            } else {
                device.owed = true;
            }
        }
    }
}
