//! Joining, refusing and leaving: everything that changes who takes part.

use crate::ids::{DeviceId, UserId};
use crate::signal::{Closing, DescriptionKind, Extra, Notice, Party, Payload, Phase, Reason, Refusal};

use super::event::Effect;
use super::leg::{Held, LegDevice, LegState, News, Standing};
use super::machine::{Call, Rules, callee_leg};
use super::record::Role;

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
                let caller = Some(self.legs[0].user.clone());
                return match answer {
                    Some(answer) => self.describe(user, device, caller, DescriptionKind::Answer, answer, rules, out),
                    None => self.take_device(leg, device.as_ref(), out),
                };
            }
            // The same request again, after the call is over: nothing more to do.
            LegState::Left(_)
                if self.legs[leg].role == Role::Callee && (device.is_none() || self.legs[leg].device == device) =>
            {
                return Ok(());
            }
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
        match device {
            Some(device) => self.settle_device(leg, &device, out),
            None => self.keep_early(leg),
        }
        if first && let Some(device) = self.legs[0].device.clone() {
            self.close_devices(0, Some(&device), Closing::AnsweredElsewhere, Reason::Completed, out);
        }
        if first && !self.legs[0].is_reachable() {
            // The caller's device went while it rang: from here on it is a lost participant.
            self.lose(0, at, at + rules.reconnect_grace, out);
        }
        self.tell_of(leg, News::Joined, out);
        if self.legs[leg].is_reachable() {
            self.empty_inbox(leg, None, out);
        } else {
            // It answered and was gone: it is waited for like everybody else, and not for ever.
            self.lose(leg, at, at + rules.reconnect_grace, out);
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
        self.legs[leg].take_part_with(device.clone());
        // What the user's other devices sent early belongs to answers they will not give.
        let user = self.legs[leg].user.clone();
        for other in &mut self.legs {
            other.inbox.retain(|(from, held)| {
                *from != user || !matches!(held, Held::Candidate(_, _, Some(sent)) if sent != device)
            });
        }
        if self.legs[leg].role == Role::Callee {
            self.close_devices(leg, Some(device), Closing::AnsweredElsewhere, Reason::Completed, out);
            if let Some(device) = self.legs[leg].find(device) {
                device.alerted = true;
            }
            self.offer_to(leg, out);
            self.keep_early(leg);
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
                Self::written(out);
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
            // Also where it was that before, and is said again.
            LegState::Joined | LegState::Lost | LegState::Left(_) => return self.hang_up(user, device, out),
            LegState::Declined => return Ok(()),
            LegState::Missed(_) | LegState::Failed => return Err(self.refusal_of_over(leg)),
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
                if device.as_ref().is_some_and(|device| self.lost_the_race(leg, device)) {
                    return Err(Refusal::AnsweredElsewhere);
                }
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
            (LegState::Declined, _) => {}
            (LegState::Left(_), _) if self.ended_by.as_ref() == Some(user) => {}
            (LegState::Left(Reason::Completed), _) if self.legs[leg].left_at != self.ended_at => {}
            (LegState::Left(_) | LegState::Missed(_) | LegState::Failed, _) => {
                return Err(self.refusal_of_over(leg));
            }
        }
        Ok(())
    }

    /// Whether a device rang until another one of its user answered: its "no" crossed that answer, and
    /// must not end the call the user has just taken. REST is no single device, so it may always.
    fn lost_the_race(&self, leg: usize, device: &DeviceId) -> bool {
        let leg = &self.legs[leg];
        let closed = |known: &LegDevice| matches!(known.closing, Some((Closing::AnsweredElsewhere, _)));
        leg.state == LegState::Joined
            && leg.device.as_ref() != Some(device)
            && *device != DeviceId::http()
            && leg.devices.iter().any(|known| known.id == *device && closed(known))
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
                self.close_leg(leg, Closing::Ended, Reason::Dropped, device.as_ref(), out);
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
        if device.is_some() && self.legs[0].device != device {
            // The one it called from before took part so far: it is told when this is answered or over.
            let before = self.legs[0].device.clone();
            if let Some(before) = before.and_then(|before| self.legs[0].find(&before)) {
                before.alerted = true;
            }
            self.legs[0].device = device;
            Self::written(out);
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
                peer: self.legs[0].party(),
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
        party: Party,
        standing: Standing,
        rules: &Rules,
        out: &mut Vec<Effect>,
    ) -> Result<(), Refusal> {
        let user = party.user.clone();
        let inviter = self.leg_of(by)?;
        if !self.legs[inviter].state.is_in() {
            return Err(self.refusal_of_over(inviter));
        }
        let known = self.legs.iter().position(|leg| leg.user == user);
        if known == Some(0) && self.legs[0].state.is_over() {
            return Err(Refusal::OutOfTurn("who made the call and left it cannot be invited into it"));
        }
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
        let mut leg = callee_leg(party, standing, self.latest, rules);
        leg.shares_offer = self.phase != Phase::Answered && self.offer.is_none();
        for other in &mut self.legs {
            other.described_to.retain(|described| *described != user);
        }
        let index = match known {
            Some(index) => {
                // What was owed for the first part is still owed, to devices that are not rung again.
                let owed = self.legs[index].devices.iter().filter(|device| device.owed);
                let kept: Vec<_> = owed.filter(|device| !leg.is_present(&device.id)).cloned().collect();
                leg.devices.extend(kept);
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
            // Those who could not ring without the offer can in a group.
            None => (1..self.legs.len())
                .filter(|leg| self.legs[*leg].state == LegState::Invited)
                .collect::<Vec<_>>()
                .into_iter()
                .for_each(|leg| self.alert_all(leg, out)),
        }
        Ok(())
    }

    fn refusal_of_over(&self, leg: usize) -> Refusal {
        match self.reason.or_else(|| self.legs[leg].state.reason()) {
            Some(reason) => Refusal::CallEnded(reason),
            None => Refusal::OutOfTurn("you take no part in this call"),
        }
    }
}
