//! What holds after every step of the world, whatever the steps.

use super::*;
use crate::presence::Engaged;

/// A call's phase and its participants' states before an event.
type Before = (Phase, Vec<(UserId, LegState)>);

impl World {
    fn before(&self, id: CallId) -> Before {
        let call = &self.calls[&id].call;
        (call.phase(), call.legs().iter().map(|leg| (leg.user().clone(), leg.state())).collect())
    }

    fn state(&self, id: CallId, who: &UserId) -> Option<LegState> {
        self.calls[&id].call.legs().iter().find(|leg| leg.user() == who).map(Leg::state)
    }

    /// Applies an event, perhaps of a device, and does what comes of it.
    pub(super) fn event(&mut self, id: CallId, event: Event, actor: Option<usize>) {
        let said = format!("{event:?}");
        let what = said.split([' ', '{']).next().unwrap_or_default().to_owned();
        self.log.push(format!("           call {id} {said}"));
        let (now, rules) = (self.now, self.rules);
        let before = self.before(id);
        let live = self.calls.get_mut(&id).unwrap();
        let mut unchanged = live.call.clone();
        let effects = match live.call.apply(event.clone(), now, &rules) {
            Ok(effects) => effects,
            Err(refusal) => {
                self.log.push(format!("           refused: {refusal}"));
                unchanged.latest = live.call.latest;
                assert!(unchanged == live.call, "refused, but changed");
                *self.seen.entry(format!("{what} refused")).or_default() += 1;
                return;
            }
        };
        *self.seen.entry(format!("{what} in {:?}", before.0)).or_default() += 1;
        let phase = live.call.phase();
        assert!(phase as u8 >= before.0 as u8, "the phase went back");
        if before.0 != Phase::Answered && phase == Phase::Answered {
            assert!(
                matches!(
                    event,
                    Event::Accept { .. }
                        | Event::Glare { accept: true, .. }
                        | Event::Describe { kind: DescriptionKind::Answer, .. }
                ),
                "answered by what is no answer"
            );
            let actor = owner(actor.unwrap());
            let was = before.1.iter().find(|(user, _)| *user == actor).map(|(_, state)| *state);
            assert!(was.is_some_and(LegState::is_pending), "answered by somebody who was not rung");
        }
        if let Some(slot) = actor {
            let who = owner(slot);
            let was = before.1.iter().find(|(user, _)| *user == who).map(|(_, state)| *state);
            let leg = self.calls[&id].call.legs().iter().find(|leg| *leg.user() == who);
            if leg.is_some_and(|leg| leg.state().is_in() && leg.device() == Some(&self.slots[slot].id)) {
                self.slots[slot].open.insert(id, true);
            }
            let goodbye = matches!(event, Event::Decline { .. } | Event::HangUp { .. } | Event::Reload { .. });
            if goodbye && was.is_some_and(|was| !was.is_over()) && leg.is_some_and(|leg| leg.state().is_over()) {
                // Its own act is its closing.
                self.slots[slot].open.insert(id, false);
            }
        }
        self.carry_out(id, effects, Some(before));
    }

    pub(super) fn carry_out(&mut self, id: CallId, effects: Vec<Effect>, before: Option<Before>) {
        let before = before.unwrap_or((Phase::Initiated, Vec::new()));
        let mut undelivered = Vec::new();
        for effect in effects {
            let closing = matches!(&effect, Effect::Tell { notice, .. } if matches!(**notice, Notice::Closed { .. }));
            assert!(before.0 != Phase::Ended || closing, "after the end: {effect:?}");
            match effect {
                Effect::Record => self.write(id),
                Effect::InCall { user } => self.tracker.in_call(&user, id, self.now.tick),
                Effect::InGroup { user } => self.tracker.in_group(&user, id, self.now.tick),
                Effect::Release { user } => {
                    self.tracker.release(&user, id, self.now.tick);
                }
                Effect::Tell { user, target, notice } => {
                    self.log.push(format!("           {user} {target:?}: {}", words(&notice)));
                    self.may_be_told(id, &user, &notice, &before);
                    match target {
                        Target::Everyone => assert!(matches!(*notice, Notice::Missed { .. })),
                        Target::Device(device) => {
                            if !self.hand_over(id, &user, &device, &notice) {
                                undelivered.push(Event::Undelivered { user, device });
                            }
                        }
                    }
                }
            }
        }
        for event in undelivered {
            self.event(id, event, None);
        }
    }

    /// Only who takes part, or did until just now, is told; and the caller no answer before there is one.
    fn may_be_told(&self, id: CallId, who: &UserId, notice: &Notice, before: &Before) {
        let after = self.state(id, who).expect("only participants are told anything");
        if matches!(notice, Notice::Closed { .. } | Notice::Missed { .. }) {
            return;
        }
        if matches!(notice, Notice::NotJoining { .. }) && before.1.is_empty() {
            // A call that was over before it rang.
            return;
        }
        let was = before.1.iter().find(|(user, _)| user == who).map(|(_, state)| *state);
        assert!(was.is_some_and(|was| !was.is_over()) || !after.is_over(), "{who} has no part in call {id} any more");
        let call = &self.calls[&id].call;
        match notice {
            Notice::Answered { .. } | Notice::Description { kind: DescriptionKind::Answer, .. } => {
                assert!(
                    call.phase() == Phase::Answered || before.0 == Phase::Answered,
                    "{who} got an answer nobody gave"
                );
            }
            _ => {}
        }
        if let Notice::Description { from, .. } | Notice::Candidate { from, .. } = notice {
            assert!(from.user != *who, "{who} got what they sent themselves");
            assert!(self.state(id, &from.user).is_some(), "from a stranger");
        }
    }

    /// Delivers to a device. `false` for a closing that did not arrive.
    fn hand_over(&mut self, id: CallId, who: &UserId, device: &DeviceId, notice: &Notice) -> bool {
        let slot = (0..SLOTS).find(|slot| owner(*slot) == *who && self.slots[*slot].id == *device);
        let slot = &mut self.slots[slot.unwrap_or_else(|| panic!("no device {device} of {who}"))];
        assert!(slot.session.is_some(), "{device} is known to be gone and was told");
        match notice {
            Notice::Closed { call: Some(_), .. } if !slot.cut => {
                let was = slot.open.insert(id, false);
                assert_eq!(was, Some(true), "{device} was closed without being open");
            }
            Notice::Closed { call: Some(_), .. } => return false,
            Notice::Incoming(_) => {
                slot.open.insert(id, true);
                slot.heard.retain(|(call, _), _| *call != id);
            }
            Notice::Description { from, kind: DescriptionKind::Offer, .. } => {
                slot.heard.remove(&(id, from.user.clone()));
            }
            Notice::Candidate { from, payload, .. } if !slot.cut => {
                let number: u32 = payload.get().trim_matches('"').parse().unwrap();
                let last = slot.heard.insert((id, from.user.clone()), number);
                assert!(last.is_none_or(|last| last < number), "{device} got candidate {number} after {last:?}");
            }
            _ => {}
        }
        true
    }

    fn write(&mut self, id: CallId) {
        let live = self.calls.get_mut(&id).unwrap();
        let record = live.call.record();
        assert_eq!(record.id, id);
        for entry in &record.trace {
            live.seq += 1;
            assert_eq!(entry.seq, live.seq, "the trace has a gap");
        }
        if let Some(last) = &live.stored {
            assert!(last.phase as u8 <= record.phase as u8 && last.phase != Phase::Ended || record.trace.is_empty());
            assert_eq!(last.started_at, record.started_at);
            assert!(last.answered_at.is_none() || last.answered_at == record.answered_at);
        }
        assert_eq!(record.phase == Phase::Ended, record.reason.is_some());
        assert_eq!(record.phase == Phase::Ended, record.live.is_none());
        assert_eq!(record.phase == Phase::Ended, record.ended_at.is_some());
        assert!(record.duration_seconds >= 0);
        assert!(record.answered_at.is_some() || record.duration_seconds == 0);
        assert!(record.answered_at.is_none_or(|answered| record.started_at <= answered));
        if let Some(ended) = record.ended_at {
            assert!(record.answered_at.unwrap_or(record.started_at) <= ended);
            let lasted = record.answered_at.map_or(0, |answered| (ended - answered).num_seconds());
            assert_eq!(record.duration_seconds, lasted);
            for leg in &record.legs {
                assert!(!matches!(leg.state, "invited" | "ringing" | "joined" | "lost"), "{leg:?} after the end");
                assert!(leg.joined_at.is_none_or(|joined| joined <= leg.left_at.unwrap()), "{leg:?}");
                assert!(leg.joined_at.is_none() || leg.left_at.unwrap() <= ended, "{leg:?} outlasts {ended}");
            }
            let answered = record.answered_at.is_some();
            match record.reason.unwrap() {
                Reason::Completed | Reason::Dropped => assert!(answered),
                Reason::Declined
                | Reason::Cancelled
                | Reason::NoAnswer
                | Reason::Busy
                | Reason::Offline
                | Reason::Failed => assert!(!answered),
                Reason::Killed => {}
            }
        }
        live.stored = Some(record);
    }

    pub(super) fn check(&mut self) {
        for name in USERS {
            let who = user(name);
            let part = |live: &Live| {
                let leg = live.call.legs().iter().find(|leg| *leg.user() == who)?;
                (live.call.phase() != Phase::Ended && !leg.state().is_over()).then_some(leg.state())
            };
            let live: Vec<_> =
                self.calls.iter().filter_map(|(id, live)| part(live).map(|state| (*id, state))).collect();
            assert!(live.len() <= 1, "{who} is in calls {live:?}");
            let engaged = self.tracker.engaged(&who);
            assert_eq!(
                engaged.map(|engaged| engaged.call),
                live.first().map(|(id, _)| *id),
                "{who} is busy with what?"
            );
            if let Some((Engaged { in_call, with, .. }, (id, state))) = engaged.zip(live.first()) {
                let call = &self.calls[id].call;
                assert_eq!(*in_call, call.phase() == Phase::Answered && state.is_in(), "{who} in call {id}");
                if let Some(other) = with.as_ref().filter(|_| *in_call) {
                    let back = self.tracker.engaged(other).unwrap();
                    assert_eq!((back.with.as_ref(), back.in_call), (Some(&who), true), "{who} and {other} differ");
                }
            }
        }
        for (id, live) in self.calls.iter().filter(|(_, live)| !live.forgotten) {
            let phase = live.stored.as_ref().unwrap().phase;
            assert_eq!(phase, live.call.phase(), "call {id} was not recorded");
            assert!(live.call.deadline().is_none_or(|at| at > self.now.tick), "call {id} missed its deadline");
            if phase == Phase::Answered {
                let waiting = live.call.deadline().is_some();
                let here = |leg: &Leg| leg.state() != LegState::Joined || leg.is_reachable();
                assert!(waiting || live.call.legs().iter().all(here), "call {id} waits for nobody who is gone");
            }
        }
    }
}
