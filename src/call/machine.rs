//! The machine itself: how a call starts, what each event leads to, and when it must be asked again.
//!
//! All times inside a call are distances from its start, taken from the monotonic clock, so that wall
//! clock jumps neither stretch nor shrink it and a stored call can be taken up by another process.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::{Moment, Now, Timestamp};
use crate::ids::{CallId, ConversationId, UserId};
use crate::signal::{CallType, Closing, Extra, Notice, Party, Payload, Phase, Reason, Refusal};

use super::event::{Effect, Event, Start, Target};
use super::leg::{Absence, Invited, Leg, LegState, Standing};
use super::record::{Role, TraceEntry};

/// How long things may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// How long a callee rings.
    pub ring_timeout: Duration,
    /// How long a call waits for the caller's offer while nobody can be rung without it.
    pub offer_timeout: Duration,
    /// How long an unanswered call goes on without any device of its caller.
    pub caller_grace: Duration,
    /// How long an answered call waits for a lost participant.
    pub reconnect_grace: Duration,
    /// The same after a restart of the service.
    pub restart_grace: Duration,
    /// The most participants of one call.
    pub max_participants: usize,
    /// How many messages are held for one participant.
    pub held: usize,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            ring_timeout: Duration::from_secs(30),
            offer_timeout: Duration::from_secs(15),
            caller_grace: Duration::from_secs(10),
            reconnect_grace: Duration::from_secs(30),
            restart_grace: Duration::from_secs(60),
            max_participants: 8,
            held: 64,
        }
    }
}

/// A call and everything known about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    pub(super) id: CallId,
    pub(super) caller_name: Option<String>,
    pub(super) call_type: CallType,
    pub(super) conversation: Option<ConversationId>,
    pub(super) idempotency_key: Option<String>,
    pub(super) extra: Extra,
    pub(super) group: bool,
    pub(super) phase: Phase,
    pub(super) reason: Option<Reason>,
    pub(super) ended_by: Option<UserId>,
    pub(super) started_at: Timestamp,
    /// The start on this process's monotonic axis; found again when the call is loaded.
    #[serde(skip)]
    pub(super) origin: Moment,
    /// The latest time seen, so that time never runs backwards across a restart.
    pub(super) latest: Duration,
    pub(super) answered_at: Option<Duration>,
    pub(super) ended_at: Option<Duration>,
    pub(super) offer_until: Duration,
    pub(super) offer: Option<Payload>,
    /// The caller first.
    pub(super) legs: Vec<Leg>,
    pub(super) last_seq: i32,
    /// Trace entries no record has taken yet.
    #[serde(skip)]
    pub(super) untold: Vec<TraceEntry>,
}

/// What a deadline is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    /// Nobody can be rung because the offer never came.
    NoOffer,
    /// A callee rang long enough.
    RungOut(usize),
    /// The caller went away before an answer and did not come back.
    CallerGone,
    /// A lost participant did not come back.
    GraceOver(usize),
}

impl Call {
    /// Starts a call that admission let through. It may be over at once: then its record says why.
    pub fn start(start: Start, now: Now, rules: &Rules) -> (Self, Vec<Effect>) {
        let Start { id, caller, caller_name, caller_device, caller_devices, callees, invite } = start;
        let mut caller_leg = Leg::new(caller.into(), Role::Caller, LegState::Joined, &caller_devices, Duration::ZERO);
        caller_leg.joined_at = Some(Duration::ZERO);
        if let Some(device) = caller_device {
            caller_leg.take_part_with(device);
        }
        if invite.offer.is_some() {
            caller_leg.described_to = callees.iter().map(|(party, _)| party.user.clone()).collect();
        }
        let mut legs = vec![caller_leg];
        for (party, standing) in callees {
            // Named twice is invited once.
            if legs.iter().any(|leg: &Leg| leg.user == party.user) {
                continue;
            }
            legs.push(callee_leg(party, standing, Duration::ZERO, rules));
        }
        let group = legs.len() > 2;
        let mut call = Self {
            id,
            caller_name: caller_name.or(invite.name),
            call_type: invite.call_type,
            conversation: invite.conversation,
            idempotency_key: invite.idempotency_key,
            extra: invite.extra,
            group,
            phase: Phase::Initiated,
            reason: None,
            ended_by: None,
            started_at: now.wall,
            origin: now.tick,
            latest: Duration::ZERO,
            answered_at: None,
            ended_at: None,
            offer_until: rules.offer_timeout,
            offer: invite.offer,
            legs,
            last_seq: 0,
            untold: Vec::new(),
        };
        let mut out = Vec::new();
        let caller = call.legs[0].user.clone();
        call.trace("initiated", Some(caller), None);
        out.push(Effect::Record);
        for leg in 1..call.legs.len() {
            if call.legs[leg].state.is_over() {
                call.tell_missed(leg, &mut out);
                call.tell_not_joining(leg, &mut out);
            } else {
                call.alert_all(leg, &mut out);
            }
        }
        if !call.legs.iter().skip(1).any(|leg| leg.state.is_pending()) {
            let reason = call.unanswered_reason();
            call.end(reason, None, Duration::ZERO, &mut out);
        } else if !call.legs[0].devices.iter().any(|device| device.present) {
            call.caller_gone(Duration::ZERO, rules);
        }
        (call, out)
    }

    /// Takes an event. Either everything it leads to happens, or it is refused and nothing does.
    pub fn apply(&mut self, event: Event, now: Now, rules: &Rules) -> Result<Vec<Effect>, Refusal> {
        let before = self.latest;
        self.latest = self.latest.max(now.tick - self.origin);
        let mut out = Vec::new();
        match event {
            Event::Accept { user, device, to, answer } => self.accept(&user, device, to, answer, rules, &mut out)?,
            Event::Decline { user, device } => self.decline(&user, device, &mut out)?,
            Event::HangUp { user, device } => self.hang_up(&user, device, &mut out)?,
            Event::Describe { user, device, to, kind, payload, extra } => {
                self.describe(&user, device, to, kind, (payload, extra), rules, &mut out)?;
            }
            Event::Candidate { user, device, to, payload, extra } => {
                self.candidate(&user, device, to, (payload, extra), rules, &mut out)?;
            }
            Event::Redial { device, offer } => self.redial(device, offer, &mut out)?,
            Event::Glare { user, device, accept } => self.glare(&user, device, accept, rules, &mut out)?,
            Event::Reload { user, device } => self.reload(&user, device, &mut out)?,
            Event::Invite { by, name, invitees, offer, extra } => {
                let invited = Invited { by, name, offer, extra };
                self.bring_in(&invited, invitees, rules, &mut out)?;
            }
            Event::DeviceBack { user, reach } => self.device_back(&user, &reach, &mut out),
            Event::DeviceLost { user, device, since } => {
                let since = (since - self.origin).min(self.latest);
                self.device_lost(&user, &device, since, rules, &mut out);
            }
            Event::Undelivered { user, device } => self.undelivered(&user, &device, &mut out),
            Event::Restarted { seen } => self.restarted(&seen, before, rules, &mut out),
            Event::Kill { by } => self.kill(by, &mut out)?,
            Event::Deadline => {}
        }
        self.pass_deadlines(&mut out);
        self.forget_offer();
        Ok(out)
    }

    /// When [`Event::Deadline`] must be applied at the latest; `None` when nothing is waited for.
    pub fn deadline(&self) -> Option<Moment> {
        self.due().map(|(at, _)| self.origin + at)
    }

    fn due(&self) -> Option<(Duration, Due)> {
        if self.phase == Phase::Ended {
            return None;
        }
        let unanswered = self.phase != Phase::Answered;
        let mut next: Option<(Duration, Due)> = None;
        let mut consider = |at: Duration, due: Due| {
            if next.is_none_or(|(earliest, _)| at < earliest) {
                next = Some((at, due));
            }
        };
        if self.phase == Phase::Initiated && self.awaits_offer() {
            consider(self.offer_until, Due::NoOffer);
        }
        for (index, leg) in self.legs.iter().enumerate() {
            if leg.state.is_pending() {
                consider(leg.ring_until, Due::RungOut(index));
            }
            match leg.gone {
                Some(gone) if leg.state == LegState::Lost => consider(gone.until, Due::GraceOver(index)),
                Some(gone) if unanswered && leg.side() == Role::Caller => consider(gone.until, Due::CallerGone),
                Some(_) | None => {}
            }
        }
        next
    }

    fn pass_deadlines(&mut self, out: &mut Vec<Effect>) {
        while let Some((at, due)) = self.due() {
            if at > self.latest {
                return;
            }
            match due {
                Due::NoOffer => self.end(Reason::Failed, None, self.latest, out),
                Due::RungOut(leg) => self.rung_out(leg, out),
                Due::CallerGone => self.end(Reason::Cancelled, None, self.latest, out),
                Due::GraceOver(leg) => self.grace_over(leg, out),
            }
        }
    }

    fn rung_out(&mut self, leg: usize, out: &mut Vec<Effect>) {
        self.legs[leg].state = LegState::Missed(Absence::NoAnswer);
        self.legs[leg].left_at = Some(self.latest);
        self.tell_not_joining(leg, out);
        if self.conclude(Reason::NoAnswer, None, self.latest, out) {
            self.tell_missed(leg, out);
        } else {
            let user = self.legs[leg].user.clone();
            self.trace("missed", Some(user), Some(Reason::NoAnswer.as_str()));
            out.push(Effect::Record);
            self.close_leg(leg, Closing::Cancelled, Reason::NoAnswer, None, out);
            self.leg_left(leg, Reason::NoAnswer, out);
        }
    }

    fn grace_over(&mut self, leg: usize, out: &mut Vec<Effect>) {
        let since = self.legs[leg].gone.map_or(self.latest, |gone| gone.since);
        self.legs[leg].state = LegState::Left(Reason::Dropped);
        self.legs[leg].left_at = Some(since);
        if !self.conclude(Reason::Dropped, None, since, out) {
            let user = self.legs[leg].user.clone();
            self.trace("dropped", Some(user), None);
            out.push(Effect::Record);
            self.close_leg(leg, Closing::Ended, Reason::Dropped, None, out);
            self.leg_left(leg, Reason::Dropped, out);
        }
    }

    /// Whether the call is about more than two. Group calls need no offer in the invitation: each
    /// pair negotiates for itself.
    pub fn is_group(&self) -> bool {
        self.group
    }

    /// Where it stands.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Its id.
    pub fn id(&self) -> CallId {
        self.id
    }

    /// Who ended it, where somebody did.
    pub fn ended_by(&self) -> Option<&UserId> {
        self.ended_by.as_ref()
    }

    /// Every participant, the caller first.
    pub fn legs(&self) -> &[Leg] {
        &self.legs
    }

    pub(super) fn leg_of(&self, user: &UserId) -> Result<usize, Refusal> {
        self.legs.iter().position(|leg| leg.user == *user).ok_or(Refusal::NotFound("call"))
    }

    pub(super) fn trace(&mut self, what: &str, who: Option<UserId>, detail: Option<&str>) {
        self.last_seq += 1;
        self.untold.push(TraceEntry {
            seq: self.last_seq,
            at: self.wall(self.latest),
            what: what.to_owned(),
            who,
            detail: detail.map(str::to_owned),
        });
    }

    pub(super) fn wall(&self, at: Duration) -> Timestamp {
        self.started_at + chrono::Duration::from_std(at).unwrap_or(chrono::Duration::MAX)
    }

    pub(super) fn tell(user: &UserId, device: &crate::ids::DeviceId, notice: Notice, out: &mut Vec<Effect>) {
        out.push(Effect::Tell { user: user.clone(), target: Target::Device(device.clone()), notice: Box::new(notice) });
    }

    /// Sees to it that what just changed is written before what follows is told. One record per event
    /// is enough: it shows the call as the event left it.
    pub(super) fn written(out: &mut Vec<Effect>) {
        if !out.contains(&Effect::Record) {
            out.push(Effect::Record);
        }
    }

    fn awaits_offer(&self) -> bool {
        !self.group && self.offer.is_none()
    }
}

/// The leg of somebody invited `at` that time into the call.
pub(super) fn callee_leg(party: Party, standing: Standing, at: Duration, rules: &Rules) -> Leg {
    let (state, reaches) = match standing {
        Standing::Free(reaches) => (LegState::Invited, reaches),
        Standing::Busy => (LegState::Missed(Absence::Busy), Vec::new()),
        Standing::Offline => (LegState::Missed(Absence::Offline), Vec::new()),
    };
    let mut leg = Leg::new(party, Role::Callee, state, &reaches, at + rules.ring_timeout);
    leg.invited_at = at;
    leg.left_at = leg.state.is_over().then_some(at);
    leg
}
