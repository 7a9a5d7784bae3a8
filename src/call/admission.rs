//! May it ring? What an invitation leads to, given who is engaged in what at this instant.

use crate::ids::{CallId, DeviceId, UserId};
use crate::signal::{Invite, Phase, Refusal};

/// A call somebody is engaged in, as far as admission cares.
#[derive(Debug, Clone, Copy)]
pub struct Engagement<'a> {
    /// The call.
    pub call: CallId,
    /// Where it stands.
    pub phase: Phase,
    /// Who made it.
    pub caller: &'a UserId,
    /// The other participants.
    pub callees: &'a [UserId],
    /// The device this user takes part with, where known.
    pub device: Option<&'a DeviceId>,
}

/// What becomes of an invitation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// A new call, of those of its callees who are free.
    Start,
    /// The caller's call to the same callee is live: that one is meant.
    Redial(CallId),
    /// The callee is calling this caller: that call won.
    Glare(CallId),
    /// The caller's page was reloaded in the middle of a call with the same callee: that one ends.
    Reload(CallId),
    /// No call.
    Refuse(Refusal),
}

/// Decides about an invitation of `caller`, sent from `device`.
pub fn admit(
    caller: &UserId,
    device: Option<&DeviceId>,
    invite: &Invite,
    engaged: Option<Engagement<'_>>,
    max_participants: usize,
) -> Admission {
    if invite.callees.is_empty() {
        return Admission::Refuse(Refusal::NoRecipient);
    }
    if invite.callees.iter().any(|callee| callee.user == *caller) {
        return Admission::Refuse(Refusal::SelfCall);
    }
    if invite.callees.len() + 1 > max_participants {
        return Admission::Refuse(Refusal::TooManyParticipants(max_participants));
    }
    let Some(engaged) = engaged else { return Admission::Start };
    let own = engaged.caller == caller;
    let one_to_one = invite.callees.len() == 1 && engaged.callees.len() == 1;
    let same_pair = if own {
        engaged.callees.iter().all(|callee| invite.callees.iter().any(|party| party.user == *callee))
            && invite.callees.iter().all(|party| engaged.callees.contains(&party.user))
    } else {
        one_to_one && engaged.callees[0] == *caller && *engaged.caller == invite.callees[0].user
    };
    match (engaged.phase, same_pair) {
        (Phase::Initiated | Phase::Ringing, true) if own => Admission::Redial(engaged.call),
        (Phase::Initiated | Phase::Ringing, true) => Admission::Glare(engaged.call),
        (Phase::Answered, true) if device.is_some() && device == engaged.device => Admission::Reload(engaged.call),
        (Phase::Initiated | Phase::Ringing | Phase::Answered | Phase::Ended, _) => {
            Admission::Refuse(Refusal::CallerBusy)
        }
    }
}
