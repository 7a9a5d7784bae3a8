//! What a peer is told.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::ids::{CallId, ConversationId, UserId};
use crate::signal::{About, CallType, DescriptionKind, Extra, Party, Payload, Phase, Reason};

/// How a device's part in a call closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Closing {
    /// To the caller: the callee said no, is busy or is offline (the reason tells which).
    Declined,
    /// To a callee whose device rang: it stops ringing because the call is over.
    Cancelled,
    /// To a participant: the call it was in, or was making, is over.
    Ended,
    /// To a callee's other devices: one of them answered.
    AnsweredElsewhere,
    /// To a callee's other devices: one of them declined.
    DeclinedElsewhere,
}

/// An invitation as it reaches a callee's device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incoming {
    /// The call and its caller.
    pub about: About,
    /// The caller's offer, if it is there.
    pub offer: Option<Payload>,
    /// When the call was made.
    pub started_at: Timestamp,
    /// When it stops ringing: the same however often one ring is shown.
    pub rings_until: Timestamp,
    /// How long it still rings, in milliseconds.
    pub expires_in_ms: u64,
    /// In a group: everybody who takes part or rings, the receiver too, in the order they came in.
    pub participants: Vec<UserId>,
    /// Fields passed through from the caller.
    pub extra: Extra,
}

/// A message to one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// Somebody calls.
    Incoming(Incoming),
    /// To the caller's device: that many devices ring.
    Ringing {
        /// The call.
        call: CallId,
        /// The callee.
        user: UserId,
        /// How many of the callee's devices were alerted.
        devices: usize,
    },
    /// To the caller's device: a callee joined. The answer itself follows as a description.
    Answered {
        /// The call.
        call: CallId,
        /// Who joined.
        by: UserId,
    },
    /// An offer or an answer from another participant.
    Description {
        /// The call.
        about: About,
        /// Who sent it.
        from: Party,
        /// Offer or answer.
        kind: DescriptionKind,
        /// The description as sent.
        payload: Payload,
        /// Fields passed through.
        extra: Extra,
    },
    /// An ICE candidate from another participant.
    Candidate {
        /// The call.
        call: CallId,
        /// Who sent it.
        from: Party,
        /// The candidate as sent.
        payload: Payload,
        /// Fields passed through.
        extra: Extra,
    },
    /// This device's part in the call is over. Exactly one per device that rang or took part.
    Closed {
        /// The call, absent where the attempt never became one.
        call: Option<CallId>,
        /// The other side.
        peer: Party,
        /// How it closes for this device.
        closing: Closing,
        /// Why the call, or this device's part in it, ended.
        reason: Option<Reason>,
        /// Voice or video.
        call_type: CallType,
        /// How long the participants were connected, in whole seconds.
        duration_seconds: i64,
    },
    /// The other participant's device is gone; the call waits for it.
    PeerReconnecting {
        /// The call.
        call: CallId,
        /// Who is gone.
        user: UserId,
        /// How long the call waits, in milliseconds.
        grace_ms: u64,
    },
    /// The other participant is back.
    PeerResumed {
        /// The call.
        call: CallId,
        /// Who is back.
        user: UserId,
    },
    /// A further participant joined a group call.
    PeerJoined {
        /// The call.
        call: CallId,
        /// Who joined.
        user: UserId,
    },
    /// To the caller, and to who else invited them: somebody named for a group call does not join it.
    NotJoining {
        /// The call.
        call: CallId,
        /// Who does not join.
        user: Party,
        /// Voice or video.
        call_type: CallType,
        /// Why: declined, busy, offline or no answer.
        reason: Reason,
    },
    /// A participant left a group call that goes on.
    PeerLeft {
        /// The call.
        call: CallId,
        /// Who left.
        user: UserId,
        /// Why, as for a call.
        reason: Reason,
    },
    /// A call was missed without ever ringing here (busy) or rang out.
    Missed {
        /// The call.
        call: CallId,
        /// Who called.
        from: UserId,
        /// The caller's name, if known.
        name: Option<String>,
        /// Voice or video.
        call_type: CallType,
        /// Why it was missed.
        reason: Reason,
    },
}

impl Notice {
    /// The call it is about; `None` for an attempt that never became one.
    pub fn call(&self) -> Option<CallId> {
        match self {
            Self::Incoming(Incoming { about, .. }) | Self::Description { about, .. } => Some(about.call),
            Self::Closed { call, .. } => *call,
            Self::Ringing { call, .. }
            | Self::Answered { call, .. }
            | Self::Candidate { call, .. }
            | Self::PeerReconnecting { call, .. }
            | Self::PeerResumed { call, .. }
            | Self::PeerJoined { call, .. }
            | Self::NotJoining { call, .. }
            | Self::PeerLeft { call, .. }
            | Self::Missed { call, .. } => Some(*call),
        }
    }
}

/// A call as its participants may see it: the answer to a command about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallView {
    /// The call.
    pub id: CallId,
    /// Who made it.
    pub caller: UserId,
    /// Who was called.
    pub callees: Vec<UserId>,
    /// Where it stands.
    pub phase: Phase,
    /// Why it ended, once it has.
    pub reason: Option<Reason>,
    /// Voice or video.
    pub call_type: CallType,
    /// The conversation it belongs to.
    pub conversation: Option<ConversationId>,
    /// When it was made.
    pub started_at: Timestamp,
    /// Seconds between answer and end; 0 unless answered and ended.
    pub duration_seconds: i64,
}

/// A live call as one device of a participant may see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallSeen {
    /// The call.
    pub view: CallView,
    /// For how long it still rings on this device, in milliseconds; `None` where it does not.
    pub expires_in_ms: Option<u64>,
}
