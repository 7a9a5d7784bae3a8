//! Until when a socket may stay: while its token holds, and after that for the call its device is in.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::ids::CallId;

/// What lets a socket stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tenure {
    /// Its token, which expires then; for ever where there is none.
    Token(Option<Timestamp>),
    /// Its token expired then, and the router is asked whether its device is in a call.
    Asked(Timestamp),
    /// The call its device is in, until then at the most.
    Call(CallId, Timestamp),
    /// Nothing: its device's part in that call is over. What waits for its client is still told.
    Over(CallId),
}

/// What is to be done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// Nothing before that.
    Later(Option<Timestamp>),
    /// The token expired then: the router is to be asked.
    Ask(Timestamp),
    /// The socket is to be closed.
    Close,
}

impl Tenure {
    /// That of a socket which a call keeps, whose token expired then.
    pub fn of_call(call: CallId, expired_at: Timestamp, kept_for: Duration) -> Self {
        Self::Call(call, expired_at + kept_for)
    }

    /// What is to be done at this time.
    pub fn due(self, now: Timestamp) -> Due {
        match self {
            Self::Token(Some(until)) if until <= now => Due::Ask(until),
            Self::Call(_, until) if until <= now => Due::Close,
            Self::Token(until) => Due::Later(until),
            Self::Call(_, until) => Due::Later(Some(until)),
            Self::Asked(_) => Due::Later(None),
            Self::Over(_) => Due::Close,
        }
    }

    /// The call that is all its client may speak of, once the token has expired.
    pub fn call(self) -> Option<CallId> {
        match self {
            Self::Token(_) | Self::Asked(_) => None,
            Self::Call(call, _) | Self::Over(call) => Some(call),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_timestamp_micros(seconds * 1_000_000).unwrap()
    }

    #[test]
    fn a_token_lets_a_socket_stay_until_it_expires() {
        assert_eq!(Tenure::Token(None).due(at(1_000_000)), Due::Later(None));
        let brief = Tenure::Token(Some(at(10)));
        assert_eq!((brief.due(at(9)), brief.due(at(10))), (Due::Later(Some(at(10))), Due::Ask(at(10))));
        assert_eq!(brief.call(), None);
        assert_eq!(Tenure::Asked(at(10)).due(at(11)), Due::Later(None), "the answer comes, or its own deadline");
    }

    #[test]
    fn a_call_lets_it_stay_four_hours_more_and_no_longer() {
        let call = CallId::new(7).unwrap();
        let kept = Tenure::of_call(call, at(10), crate::router::KEPT_FOR);
        let end = 10 + 4 * 3600;
        assert_eq!((kept.due(at(end - 1)), kept.due(at(end))), (Due::Later(Some(at(end))), Due::Close));
        assert_eq!(kept.call(), Some(call));
        assert_eq!((Tenure::Over(call).due(at(0)), Tenure::Over(call).call()), (Due::Close, Some(call)));
    }
}
