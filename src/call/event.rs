//! What a call experiences and what it wants done.

use crate::clock::{Moment, Timestamp};
use crate::ids::{CallId, DeviceId, UserId};
use crate::signal::{DescriptionKind, Extra, Invite, Notice, Party, Payload};

use super::leg::{Reach, Standing};

/// Everything a new call is made of, once admission let it be one.
#[derive(Debug, Clone)]
pub struct Start {
    /// Its id.
    pub id: CallId,
    /// Who calls.
    pub caller: UserId,
    /// The caller's name from the token.
    pub caller_name: Option<String>,
    /// The device the call is made from, where the dialect can tell.
    pub caller_device: Option<DeviceId>,
    /// The caller's devices that are there.
    pub caller_devices: Vec<Reach>,
    /// Whom the invitation names, each with their standing at this instant.
    pub callees: Vec<(Party, Standing)>,
    /// The invitation.
    pub invite: Invite,
}

/// Something that happens to a call.
#[derive(Debug, Clone)]
pub enum Event {
    /// A callee's device joins.
    Accept {
        /// Who.
        user: UserId,
        /// With which device, where the dialect can tell.
        device: Option<DeviceId>,
        /// Whose offer the answer is to; of consequence only in a group.
        to: Option<UserId>,
        /// The answer, where it comes along.
        answer: Option<(Payload, Extra)>,
    },
    /// A callee says no.
    Decline {
        /// Who.
        user: UserId,
        /// From which device.
        device: Option<DeviceId>,
    },
    /// A participant cancels, leaves or ends.
    HangUp {
        /// Who.
        user: UserId,
        /// From which device.
        device: Option<DeviceId>,
    },
    /// A participant sends an offer or an answer.
    Describe {
        /// Who.
        user: UserId,
        /// From which device.
        device: Option<DeviceId>,
        /// To whom; in a 1:1 call the other one if absent.
        to: Option<UserId>,
        /// Offer or answer.
        kind: DescriptionKind,
        /// The description.
        payload: Payload,
        /// Fields passed through.
        extra: Extra,
    },
    /// A participant sends an ICE candidate.
    Candidate {
        /// Who.
        user: UserId,
        /// With which device.
        device: Option<DeviceId>,
        /// To whom; in a 1:1 call the other one if absent.
        to: Option<UserId>,
        /// The candidate.
        payload: Payload,
        /// Fields passed through.
        extra: Extra,
    },
    /// The caller calls the same callee again while the call rings: a retry, or a reloaded page.
    Redial {
        /// The device it calls from now.
        device: Option<DeviceId>,
        /// Its offer, which replaces the first one if it differs.
        offer: Option<Payload>,
    },
    /// A callee calls the caller while the caller's call rings there.
    Glare {
        /// The callee.
        user: UserId,
        /// The device it calls from.
        device: Option<DeviceId>,
        /// Whether its attempt counts as answering.
        accept: bool,
    },
    /// A participant of an answered call calls its peer again from the same device: its page was
    /// reloaded and knows nothing of this call.
    Reload {
        /// Who.
        user: UserId,
        /// The device.
        device: Option<DeviceId>,
    },
    /// A participant brings others in: all of them, or none where there is no room.
    Invite {
        /// Who invites.
        by: UserId,
        /// The inviter's name.
        name: Option<String>,
        /// Who is invited, each with their standing at this instant.
        invitees: Vec<(Party, Standing)>,
        /// The inviter's offer to them.
        offer: Option<Payload>,
        /// Fields passed through.
        extra: Extra,
    },
    /// A device of a participant is there (again).
    DeviceBack {
        /// Whose.
        user: UserId,
        /// Which, and what it can do.
        reach: Reach,
    },
    /// A device of a participant is gone.
    DeviceLost {
        /// Whose.
        user: UserId,
        /// Which.
        device: DeviceId,
        /// Since when.
        since: Moment,
    },
    /// A closing message did not reach its device, which was already gone.
    Undelivered {
        /// Whose.
        user: UserId,
        /// Which.
        device: DeviceId,
    },
    /// The service restarted and the call was loaded; nobody is connected yet.
    Restarted {
        /// When each participant was last seen before that.
        seen: Vec<(UserId, Timestamp)>,
    },
    /// An administrator ends it.
    Kill {
        /// Who.
        by: UserId,
    },
    /// Time has passed.
    Deadline,
}

/// Which of a user's devices a notice is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// That one.
    Device(DeviceId),
    /// Every device that is connected.
    Everyone,
}

/// Something a call wants done, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Write the call's record. What follows may be told only when it is committed.
    Record,
    /// Tell a user's device.
    Tell {
        /// Whose.
        user: UserId,
        /// Which.
        target: Target,
        /// What. In a box, as lists of effects are made and handed on at every event.
        notice: Box<Notice>,
    },
    /// The user takes part in an answered call from now on. Takes effect at once.
    InCall {
        /// Who.
        user: UserId,
    },
    /// The user's 1:1 call is a group from now on. Takes effect at once.
    InGroup {
        /// Who.
        user: UserId,
    },
    /// The user is free again. Takes effect at once.
    Release {
        /// Who.
        user: UserId,
    },
}
