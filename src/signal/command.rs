//! What a peer asks.

use crate::ids::{CallId, ConversationId, UserId};
use crate::signal::{CallType, DescriptionKind, Extra, Party, Payload};

/// A request to ring somebody.
#[derive(Debug, Clone)]
pub struct Invite {
    /// Who is called. One for a 1:1 call.
    pub callees: Vec<Party>,
    /// Voice or video.
    pub call_type: CallType,
    /// The conversation the call belongs to, if the client named one.
    pub conversation: Option<ConversationId>,
    /// The caller's offer, where it travels with the invitation; else it follows as a description.
    pub offer: Option<Payload>,
    /// The caller's name as the client gave it, used only where its token has none.
    pub name: Option<String>,
    /// Whether the client lets its attempt count as answering the other side's (glare).
    pub glare: bool,
    /// The client's retry key: the same key from the same caller is the same call.
    pub idempotency_key: Option<String>,
    /// Fields passed through to the callee.
    pub extra: Extra,
}

/// Whom a message within a call is for, and in which call, as far as the client said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Addressee {
    /// The call. Absent: the only live call of the sender.
    pub call: Option<CallId>,
    /// The other participant. Absent in a 1:1 call: the other one.
    pub user: Option<UserId>,
}

/// A request of a peer, after its dialect read it and the edge stamped who sent it.
#[derive(Debug, Clone)]
pub enum Command {
    /// Ring somebody.
    Invite(Invite),
    /// Ring others into a live call. For those who are in it already it is an offer within the call: who
    /// is in, only the call knows.
    BringIn {
        /// The call.
        call: CallId,
        /// Whom, and with which offer.
        invite: Invite,
    },
    /// Join the call that rings here.
    Accept {
        /// Which call.
        to: Addressee,
        /// The answer, where the dialect sends it along.
        answer: Option<Payload>,
        /// Fields passed through.
        extra: Extra,
    },
    /// Refuse the call that rings here.
    Decline {
        /// Which call.
        to: Addressee,
    },
    /// Cancel, leave or end a call, whatever it takes in its phase.
    HangUp {
        /// Which call.
        to: Addressee,
    },
    /// Pass on an offer or an answer.
    Describe {
        /// To whom.
        to: Addressee,
        /// Offer or answer.
        kind: DescriptionKind,
        /// The description, unread.
        payload: Payload,
        /// Fields passed through.
        extra: Extra,
    },
    /// Pass on an ICE candidate.
    Candidate {
        /// To whom.
        to: Addressee,
        /// The candidate, unread.
        payload: Payload,
        /// Fields passed through.
        extra: Extra,
    },
}
