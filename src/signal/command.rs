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

impl Command {
    /// The call it names, if it does.
    pub fn call(&self) -> Option<CallId> {
        match self {
            Self::Invite(_) => None,
            Self::BringIn { call, .. } => Some(*call),
            Self::Accept { to, .. }
            | Self::Decline { to }
            | Self::HangUp { to }
            | Self::Describe { to, .. }
            | Self::Candidate { to, .. } => to.call,
        }
    }

    /// The command of somebody who may speak of this call alone: where it names none, this one is meant. `None` where it
    /// is about another, or would ring anybody. An invitation into the call is taken as the offer it is to a member.
    pub fn within(mut self, call: CallId) -> Option<Self> {
        if self.call().is_some_and(|named| named != call) {
            return None;
        }
        match &mut self {
            Self::Invite(_) => None,
            Self::BringIn { invite, .. } => {
                let offer = invite.offer.take()?;
                let (Some(member), true) = (invite.callees.pop(), invite.callees.is_empty()) else { return None };
                let to = Addressee { call: Some(call), user: Some(member.user) };
                let extra = std::mem::take(&mut invite.extra);
                Some(Self::Describe { to, kind: DescriptionKind::Offer, payload: offer, extra })
            }
            Self::Accept { to, .. }
            | Self::Decline { to }
            | Self::HangUp { to }
            | Self::Describe { to, .. }
            | Self::Candidate { to, .. } => {
                to.call = Some(call);
                Some(self)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(id: i64) -> CallId {
        CallId::new(id).unwrap()
    }

    fn hang_up(of: Option<i64>) -> Command {
        Command::HangUp { to: Addressee { call: of.map(call), user: None } }
    }

    fn invite(callees: &[&str], offer: bool) -> Invite {
        Invite {
            callees: callees.iter().map(|user| UserId::parse(user).unwrap().into()).collect(),
            call_type: CallType::Voice,
            conversation: None,
            offer: offer.then(|| Payload::from_json(&serde_json::json!("offer"))),
            name: None,
            glare: false,
            idempotency_key: None,
            extra: Extra::new(),
        }
    }

    #[test]
    fn within_a_call_nothing_is_said_of_another() {
        assert!(hang_up(Some(2)).within(call(1)).is_none());
        for of in [None, Some(1)] {
            assert_eq!(hang_up(of).within(call(1)).unwrap().call(), Some(call(1)));
        }
    }

    #[test]
    fn within_a_call_nobody_is_rung_and_a_member_is_sent_an_offer() {
        assert!(Command::Invite(invite(&["2"], true)).within(call(1)).is_none());
        let bring_in =
            |of, callees: &[&str], offer| Command::BringIn { call: call(of), invite: invite(callees, offer) };
        for other in [bring_in(1, &["2"], false), bring_in(1, &["2", "3"], true), bring_in(2, &["2"], true)] {
            assert!(other.within(call(1)).is_none());
        }
        let offer = bring_in(1, &["2"], true).within(call(1));
        let Some(Command::Describe { to, kind: DescriptionKind::Offer, .. }) = offer else { panic!("{offer:?}") };
        assert_eq!(to, Addressee { call: Some(call(1)), user: Some(UserId::parse("2").unwrap()) });
    }
}
