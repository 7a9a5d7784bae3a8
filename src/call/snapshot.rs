//! What of a call leaves it: the record that is written and the view its participants get.

use crate::clock::{Moment, Timestamp};
use crate::ids::{DeviceId, UserId};
use crate::signal::{About, CallSeen, CallView, Party, Phase};

use super::leg::{Leg, LegState};
use super::machine::Call;
use super::record::{LegRecord, Record, Role};

/// How long the JSON of a participant usually is, and that of a call without them.
const USUAL_LEG: usize = 640;

/// A live call as administrators may see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallDetail {
    /// What its participants see.
    pub view: CallView,
    /// The caller's name, as the callees saw it.
    pub caller_name: Option<String>,
    /// When the first callee joined.
    pub answered_at: Option<Timestamp>,
    /// Everybody in it, the caller first.
    pub members: Vec<MemberDetail>,
}

/// One participant of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberDetail {
    /// Who.
    pub user: UserId,
    /// Which side of the invitation.
    pub role: Role,
    /// Where they stand.
    pub state: LegState,
    /// The device they take part with, once that is known.
    pub device: Option<DeviceId>,
}

impl Call {
    /// The record as of now. Takes the trace entries that no record has had yet.
    pub fn record(&mut self) -> Record {
        let live = if self.phase == Phase::Ended { None } else { self.to_json() };
        let legs = (0..self.legs.len()).map(|index| self.leg_record(index)).collect();
        Record {
            id: self.id,
            caller: self.legs[0].user.clone(),
            caller_name: self.caller_name.clone(),
            call_type: self.call_type,
            conversation: self.conversation.clone(),
            phase: self.phase,
            reason: self.reason,
            ended_by: self.ended_by.clone(),
            started_at: self.started_at,
            answered_at: self.answered_at.map(|at| self.wall(at)),
            ended_at: self.ended_at.map(|at| self.wall(at)),
            duration_seconds: self.duration_seconds(),
            idempotency_key: self.idempotency_key.clone(),
            live,
            legs,
            trace: std::mem::take(&mut self.untold),
        }
    }

    /// The machine as JSON, put together where it has room from the start.
    fn to_json(&self) -> Option<String> {
        let offer = self.offer.as_ref().map_or(0, |offer| offer.get().len());
        let mut json = Vec::with_capacity(offer + self.legs.len() * USUAL_LEG + USUAL_LEG);
        serde_json::to_writer(&mut json, self).ok()?;
        String::from_utf8(json).ok()
    }

    fn leg_record(&self, index: usize) -> LegRecord {
        let leg = &self.legs[index];
        LegRecord {
            user: leg.user.clone(),
            position: i32::try_from(index).unwrap_or(i32::MAX),
            role: leg.role,
            state: leg.state.as_str(),
            reason: leg.state.reason(),
            device: leg.device.clone(),
            joined_at: leg.joined_at.map(|at| self.wall(at)),
            left_at: leg.left_at.map(|at| self.wall(at)),
            missed: self.is_missed(index),
        }
    }

    /// The call as its participants may see it.
    pub fn view(&self) -> CallView {
        CallView {
            id: self.id,
            caller: self.legs[0].user.clone(),
            callees: self.legs.iter().skip(1).map(|leg| leg.user.clone()).collect(),
            phase: self.phase,
            reason: self.reason,
            call_type: self.call_type,
            conversation: self.conversation.clone(),
            started_at: self.started_at,
            duration_seconds: self.duration_seconds(),
        }
    }

    /// The call as administrators may see it.
    pub fn detail(&self) -> CallDetail {
        let member = |leg: &Leg| MemberDetail {
            user: leg.user.clone(),
            role: leg.role,
            state: leg.state,
            device: leg.device.clone(),
        };
        CallDetail {
            view: self.view(),
            caller_name: self.caller_name.clone(),
            answered_at: self.answered_at.map(|at| self.wall(at)),
            members: self.legs.iter().map(member).collect(),
        }
    }

    /// Whether [`Call::detail`] would say what it said then.
    pub fn looks_as(&self, then: &CallDetail) -> bool {
        let same = |(leg, member): (&Leg, &MemberDetail)| {
            leg.user == member.user && leg.state == member.state && leg.device == member.device
        };
        self.phase == then.view.phase
            && self.legs.len() == then.members.len()
            && self.legs.iter().zip(&then.members).all(same)
    }

    /// How many of its callees have a missed call to see.
    pub fn missed(&self) -> usize {
        (0..self.legs.len()).filter(|leg| self.is_missed(*leg)).count()
    }

    /// The call as one device of a participant may see it; `None` for whoever has no part in it any more.
    pub fn seen_by(&self, user: &UserId, device: &DeviceId, now: Moment) -> Option<CallSeen> {
        let leg = self.legs.iter().find(|leg| leg.user == *user && !leg.state.is_over())?;
        let rings = leg.state.is_pending()
            && leg.devices.iter().any(|known| known.id == *device && known.alerted && known.closing.is_none());
        let left = leg.ring_until.saturating_sub(now - self.origin);
        let expires_in_ms = rings.then(|| u64::try_from(left.as_millis()).unwrap_or(u64::MAX));
        Some(CallSeen { view: self.view(), expires_in_ms })
    }

    /// Whole seconds between answer and end; 0 until both are known.
    pub(super) fn duration_seconds(&self) -> i64 {
        match (self.answered_at, self.ended_at) {
            (Some(answered), Some(ended)) => i64::try_from((ended.saturating_sub(answered)).as_secs()).unwrap_or(0),
            _ => 0,
        }
    }

    /// What messages may say of the call.
    pub(super) fn about(&self) -> About {
        About {
            call: self.id,
            caller: self.legs[0].party(),
            caller_name: self.caller_name.clone(),
            call_type: self.call_type,
            conversation: self.conversation.clone(),
        }
    }

    /// A participant, as others are shown them.
    pub(super) fn party_of(&self, user: UserId) -> Party {
        self.legs.iter().find(|leg| leg.user == user).map_or_else(|| user.into(), Leg::party)
    }

    /// The other side, as this participant sees it: the caller for a callee, the (first) callee for the caller.
    /// Of a group that is over it is who ended it.
    pub(super) fn peer_of(&self, leg: usize) -> Party {
        let took_part = self.group && self.phase == Phase::Ended && self.legs[leg].joined_at.is_some();
        let ended_by = self.ended_by.as_ref().filter(|by| took_part && **by != self.legs[leg].user);
        if let Some(ended_by) = self.legs.iter().find(|leg| Some(&leg.user) == ended_by) {
            return ended_by.party();
        }
        match self.legs[leg].side() {
            Role::Callee => self.legs[self.inviter_of(leg)].party(),
            Role::Caller => self.legs.get(1).unwrap_or(&self.legs[0]).party(),
        }
    }

    /// Who invited a callee: the caller, or the participant who brought it in.
    pub(super) fn inviter_of(&self, leg: usize) -> usize {
        let by = self.legs[leg].invited.as_ref().map(|invited| &invited.by);
        by.and_then(|by| self.legs.iter().position(|leg| leg.user == *by)).unwrap_or(0)
    }

    /// What an invitation says of the call: who invites stands as its caller.
    pub(super) fn about_for(&self, leg: usize) -> About {
        let mut about = self.about();
        if let Some(invited) = &self.legs[leg].invited {
            about.caller = self.legs[self.inviter_of(leg)].party();
            about.caller_name.clone_from(&invited.name);
        }
        about
    }
}
