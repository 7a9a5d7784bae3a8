//! Devices that go and come back, and restarts of the service.

use std::time::Duration;

use crate::clock::{Now, Timestamp};
use crate::ids::{DeviceId, UserId};
use crate::signal::{Notice, Phase};

use super::event::Effect;
use super::leg::{Gone, Held, Leg, LegDevice, LegState, Reach};
use super::machine::{Call, Rules};

impl Call {
    pub(super) fn device_back(&mut self, user: &UserId, reach: &Reach, out: &mut Vec<Effect>) {
        let Ok(leg) = self.leg_of(user) else { return };
        let device = self.legs[leg].recognise(reach);
        let known = self.legs[leg].find(&device);
        let owed = known.and_then(|known| std::mem::take(&mut known.owed).then_some(known.closing).flatten());
        let again = self.legs[leg].state.is_pending();
        if again && let Some(known) = self.legs[leg].find(&device) {
            // Invited again before it learned how the first time ended: that is no news any more.
            known.closing = None;
        }
        if !again && let Some((closing, reason)) = owed {
            if self.phase != Phase::Ended {
                Self::written(out);
            }
            let notice = Notice::Closed {
                call: Some(self.id),
                peer: self.peer_of(leg),
                closing,
                reason: Some(reason),
                call_type: self.call_type,
                duration_seconds: self.duration_seconds(),
            };
            Self::tell(user, &device, notice, out);
            return;
        }
        match self.legs[leg].state {
            LegState::Invited | LegState::Ringing => self.alert(leg, &device, out),
            LegState::Joined => {
                // The caller is back while it rings: whether it may go on alone is no question any more.
                self.legs[leg].gone = None;
                // Another connection took its place before the loss of the first was noticed.
                self.empty_inbox(leg, None, out);
            }
            LegState::Lost => {
                if self.legs[leg].is_reachable() {
                    self.resume(leg, out);
                }
            }
            LegState::Left(_) | LegState::Declined | LegState::Missed(_) | LegState::Failed => {}
        }
    }

    fn resume(&mut self, leg: usize, out: &mut Vec<Effect>) {
        let user = self.legs[leg].user.clone();
        self.legs[leg].state = LegState::Joined;
        self.legs[leg].gone = None;
        self.trace("resumed", Some(user.clone()), None);
        out.push(Effect::Record);
        self.tell_others(leg, &Notice::PeerResumed { call: self.id, user }, out);
        self.empty_inbox(leg, None, out);
    }

    pub(super) fn device_lost(
        &mut self,
        user: &UserId,
        device: &DeviceId,
        since: Duration,
        rules: &Rules,
        out: &mut Vec<Effect>,
    ) {
        let Ok(leg) = self.leg_of(user) else { return };
        match self.legs[leg].find(device) {
            Some(known) if known.present => known.present = false,
            Some(_) | None => return,
        }
        let joined = self.legs[leg].joined_at.unwrap_or_default();
        match (self.legs[leg].state, self.phase) {
            (LegState::Joined, Phase::Answered) if !self.legs[leg].is_reachable() => {
                let since = since.max(self.answered_at.unwrap_or_default()).max(joined);
                self.lose(leg, since, self.latest + rules.reconnect_grace, out);
            }
            (LegState::Joined, Phase::Initiated | Phase::Ringing)
                if !self.legs[leg].devices.iter().any(|device| device.present) =>
            {
                self.caller_gone(since, rules);
            }
            (
                LegState::Joined
                | LegState::Lost
                | LegState::Invited
                | LegState::Ringing
                | LegState::Left(_)
                | LegState::Declined
                | LegState::Missed(_)
                | LegState::Failed,
                _,
            ) => {}
        }
    }

    pub(super) fn caller_gone(&mut self, since: Duration, rules: &Rules) {
        self.legs[0].gone = Some(Gone { since, until: self.latest + rules.caller_grace });
    }

    pub(super) fn lose(&mut self, leg: usize, since: Duration, until: Duration, out: &mut Vec<Effect>) {
        let user = self.legs[leg].user.clone();
        self.legs[leg].state = LegState::Lost;
        self.legs[leg].gone = Some(Gone { since, until });
        self.trace("lost", Some(user.clone()), None);
        out.push(Effect::Record);
        let grace = until.saturating_sub(self.latest);
        let grace_ms = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
        self.tell_others(leg, &Notice::PeerReconnecting { call: self.id, user, grace_ms }, out);
    }

    fn tell_others(&self, leg: usize, notice: &Notice, out: &mut Vec<Effect>) {
        for other in 0..self.legs.len() {
            if other != leg && self.legs[other].state.is_in() {
                self.tell_leg(other, notice, out);
            }
        }
    }

    /// A closing message found its device gone: it is owed until the device comes back.
    pub(super) fn undelivered(&mut self, user: &UserId, device: &DeviceId, out: &mut Vec<Effect>) {
        let Ok(leg) = self.leg_of(user) else { return };
        if let Some(known) = self.legs[leg].find(device)
            && known.closing.is_some()
        {
            known.present = false;
            known.owed = true;
            if self.phase != Phase::Ended {
                Self::written(out);
            }
        }
    }

    /// `before` is the latest time the call knew of when it was stored.
    /// A message within the call found its device gone, which the call will hear of presently: it is held, in its
    /// place before whatever is sent from then on, until the device is back.
    pub fn take_back(&mut self, user: &UserId, notice: &Notice) {
        let Ok(leg) = self.leg_of(user) else { return };
        let leg = &mut self.legs[leg];
        let held = match notice {
            Notice::Candidate { from, payload, extra, .. } => {
                (from.user.clone(), Held::Candidate(payload.clone(), extra.clone(), None))
            }
            Notice::Description { from, kind, payload, extra, .. } => {
                (from.user.clone(), Held::Description(*kind, payload.clone(), extra.clone()))
            }
            _ => return,
        };
        if leg.state.is_in() {
            let place = leg.taken_back.min(leg.inbox.len());
            leg.inbox.insert(place, held);
            leg.taken_back = place + 1;
        }
    }

    pub(super) fn restarted(
        &mut self,
        seen: &[(UserId, Timestamp)],
        before: Duration,
        rules: &Rules,
        out: &mut Vec<Effect>,
    ) {
        for leg in &mut self.legs {
            for device in &mut leg.devices {
                device.present = false;
            }
        }
        self.trace("restarted", None, None);
        out.push(Effect::Record);
        if self.phase != Phase::Answered {
            self.caller_gone(self.latest, rules);
            return;
        }
        for leg in 0..self.legs.len() {
            if !self.legs[leg].state.is_in() {
                continue;
            }
            // When it stopped is not known; when its participant was last seen is the nearest truth.
            let joined = self.legs[leg].joined_at.max(self.answered_at).unwrap_or_default();
            let known = seen.iter().find(|(user, _)| *user == self.legs[leg].user).map(|(_, at)| *at);
            let lost = self.legs[leg].gone.map(|gone| gone.since);
            let since = lost
                .or(known.and_then(|at| (at - self.started_at).to_std().ok()))
                .unwrap_or(before)
                .clamp(joined, self.latest.max(joined));
            self.legs[leg].state = LegState::Lost;
            self.legs[leg].gone = Some(Gone { since, until: self.latest + rules.restart_grace });
        }
    }

    /// Whether some device is still owed a closing message, so that the call is worth keeping a while.
    pub fn owes_a_closing(&self) -> bool {
        self.legs.iter().any(|leg| leg.devices.iter().any(|device| device.owed))
    }

    /// Users with a device that is owed a closing message.
    pub fn owed_users(&self) -> impl Iterator<Item = &UserId> {
        self.legs.iter().filter(|leg| leg.devices.iter().any(|device| device.owed)).map(|leg| &leg.user)
    }

    /// Takes up a call that another process stored.
    pub fn load(text: &str, now: Now) -> Result<Self, serde_json::Error> {
        let mut call: Self = serde_json::from_str(text)?;
        call.origin = now.moment_at(call.started_at);
        if now.tick - call.origin < call.latest {
            // The wall clock was set back while nobody ran: go on from the latest time known.
            call.origin = crate::clock::Moment(now.tick.0 - i64::try_from(call.latest.as_micros()).unwrap_or(0));
        }
        Ok(call)
    }
}

impl Leg {
    /// Which of the known devices this one is, if it is none of the others. A device with a generated id cannot present
    /// it again, so it takes the place of one that is gone: first of all that of the device the participant takes part
    /// with.
    pub(super) fn known_as(&self, device: &DeviceId) -> Option<usize> {
        let position = |is: &dyn Fn(&LegDevice) -> bool| self.devices.iter().position(is);
        position(&|known| known.id == *device).or_else(|| {
            let gone = |known: &LegDevice| !known.present && known.id.is_generated();
            if !device.is_generated() {
                return None;
            }
            position(&|known| gone(known) && self.device.as_ref() == Some(&known.id))
                .or_else(|| position(&|known| gone(known) && known.owed))
                .or_else(|| position(&gone))
        })
    }

    /// Finds the device that is back among the known ones, or adds it.
    fn recognise(&mut self, reach: &Reach) -> DeviceId {
        match self.known_as(&reach.device) {
            Some(index) => {
                if self.device.as_ref() == Some(&self.devices[index].id) {
                    self.device = Some(reach.device.clone());
                }
                let device = &mut self.devices[index];
                device.id = reach.device.clone();
                device.capabilities = reach.capabilities;
                device.profile = reach.profile.clone();
                device.present = true;
            }
            None => self.devices.push(LegDevice::new(reach)),
        }
        // Whoever is over keeps no memory of devices that had no part in it.
        if self.state.is_over() {
            self.devices.retain(|device| device.alerted);
        }
        reach.device.clone()
    }
}
