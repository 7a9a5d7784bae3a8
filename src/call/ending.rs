//! Ending: when a leg's end is the call's, what every device is told, and who is free again.

use std::time::Duration;

use crate::ids::DeviceId;
use crate::signal::{Closing, Notice, Phase, Reason};

use super::event::{Effect, Target};
use super::leg::{Absence, Held, Leg, LegState, News};
use super::machine::Call;
use super::record::Role;

/// Who ended something, and with which device if that is known.
pub(super) type By<'a> = Option<(usize, Option<&'a DeviceId>)>;

impl Call {
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
            let reason = match (self.group, self.phase) {
                (false, _) => cause,
                (true, Phase::Answered) => self.answered_reason(cause),
                (true, Phase::Initiated | Phase::Ringing | Phase::Ended) => self.unanswered_reason(),
            };
            self.end(reason, by, at, out);
        }
        over
    }

    /// Why an answered group call is over. That the last one rung did not come says nothing about
    /// the call the others had; how the last of them left does.
    fn answered_reason(&self, cause: Reason) -> Reason {
        match cause {
            Reason::Completed | Reason::Dropped | Reason::Killed => cause,
            Reason::Declined
            | Reason::Cancelled
            | Reason::NoAnswer
            | Reason::Busy
            | Reason::Offline
            | Reason::Failed => {
                let left = |leg: &Leg| match leg.state {
                    LegState::Left(reason) => Some((leg.left_at, reason)),
                    _ => None,
                };
                let last = self.legs.iter().filter_map(left).max_by_key(|(at, _)| *at);
                last.map_or(Reason::Completed, |(_, reason)| reason)
            }
        }
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
        // A loss may lie back behind what others did since.
        let took_part = self.legs.iter().filter(|leg| matches!(leg.state, LegState::Left(_)) || leg.state.is_in());
        let at = took_part.flat_map(|leg| [leg.joined_at, leg.left_at]).flatten().fold(at, Duration::max);
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
        match (leg.side(), leg.state, reason) {
            (Role::Callee, LegState::Declined, _) => Closing::DeclinedElsewhere,
            (Role::Callee, LegState::Missed(_) | LegState::Failed, _) => Closing::Cancelled,
            // In a group that is said of each member by itself.
            (Role::Caller, _, Reason::Declined | Reason::Busy | Reason::Offline) if !self.group => Closing::Declined,
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
        for other in &mut self.legs {
            let candidate = |held: &Held| matches!(held, Held::Candidate(..));
            other.inbox.retain(|(from, held)| *from != user || !candidate(held));
        }
        self.legs[leg].inbox.clear();
        self.legs[leg].early.clear();
        // Nobody is there any more to take an answer to its offers.
        for other in 0..self.legs.len() {
            if self.legs[other].state.is_pending() && self.inviter_of(other) == leg {
                self.legs[other].shares_offer = false;
                self.legs[other].early.clear();
                if let Some(invited) = &mut self.legs[other].invited {
                    invited.offer = None;
                }
            }
        }
        // Those who never joined were no news to anybody but who invited them.
        if self.legs[leg].joined_at.is_some() {
            self.tell_of(leg, News::Left(reason), out);
        }
    }

    /// Tells who invited somebody, and the caller, that they do not join; in a 1:1 call the closing says it.
    pub(super) fn tell_not_joining(&mut self, leg: usize, out: &mut Vec<Effect>) {
        let inviter = self.inviter_of(leg);
        let Some(reason) = self.legs[leg].state.reason() else { return };
        if !self.group && self.legs[leg].invited.is_none() {
            return;
        }
        Self::written(out);
        self.news_for(inviter, leg, News::NotJoining(reason), out);
        if inviter != 0 {
            self.news_for(0, leg, News::NotJoining(reason), out);
        }
    }

    pub(super) fn tell_missed(&self, leg: usize, out: &mut Vec<Effect>) {
        let Some(reason) = self.legs[leg].state.reason() else { return };
        out.push(Effect::Tell {
            user: self.legs[leg].user.clone(),
            target: Target::Everyone,
            notice: Box::new(Notice::Missed {
                call: self.id,
                from: self.legs[0].user.clone(),
                name: self.caller_name.clone(),
                call_type: self.call_type,
                reason,
            }),
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
        let everyone = taking_part.is_none() && self.legs[leg].side() == Role::Caller;
        for device in &mut self.legs[leg].devices {
            if everyone || taking_part.as_ref() == Some(&device.id) {
                device.alerted = true;
            }
        }
        self.close_devices(leg, acting, closing, reason, out);
    }

    /// Closes every alerted device of a leg but one, which is marked as having closed itself (or, for
    /// [`Closing::AnsweredElsewhere`], stays open).
    pub(super) fn close_devices(
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
