//! The reasons for a "no", each with one code and one sentence, whatever edge it leaves by.

use std::time::Duration;

use crate::signal::Reason;

/// Why a request was not carried out. A client's mistake is a value, never a panic.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The message or body cannot be read, or a field is missing or of the wrong type.
    #[error("{0}")]
    Invalid(String),
    /// The message type is not one this service knows.
    #[error("unknown message type \"{0}\"")]
    UnknownType(String),
    /// No recipient was named where one is needed.
    #[error("name the recipient: to_user_id, or to_profile_type and to_profile_id")]
    NoRecipient,
    /// Too much of something: a message, a description, a candidate, a name.
    #[error("{0}")]
    TooLarge(String),
    /// A user may not call themselves.
    #[error("you cannot call yourself")]
    SelfCall,
    /// More participants than a mesh may have.
    #[error("a call may have at most {0} participants")]
    TooManyParticipants(usize),
    /// No credentials, or none that hold.
    #[error("{0}")]
    Unauthorized(String),
    /// Known, but not allowed to do this.
    #[error("{0}")]
    Forbidden(String),
    /// The credential is one that browsers send by themselves, and the request does not say which page made it.
    #[error(
        "a request that has only the cookie must come from a page of this service, or of an origin that \
         server.allowed_origins lists without a pattern; or send the token as Authorization: Bearer"
    )]
    OriginRequired,
    /// There is no such thing, or it is not this caller's to see.
    #[error("{0} not found")]
    NotFound(&'static str),
    /// The caller is engaged in another call.
    #[error("you are in another call")]
    CallerBusy,
    /// The call is over.
    #[error("the call has ended ({})", .0.as_str())]
    CallEnded(Reason),
    /// The call was answered on another device of the same user.
    #[error("the call was answered on another device")]
    AnsweredElsewhere,
    /// The request does not fit the call's phase.
    #[error("{0}")]
    OutOfTurn(&'static str),
    /// More candidates than are held before a description.
    #[error("too many candidates before a description")]
    TooManyCandidates,
    /// Too many requests.
    #[error("too many requests; retry in {} ms", .0.as_millis())]
    RateLimited(Duration),
    /// The service is draining and takes no new calls.
    #[error("the service is shutting down; try again shortly")]
    Draining,
    /// A part the request needs is away.
    #[error("{0} is unavailable; try again shortly")]
    Unavailable(&'static str),
}

impl Refusal {
    /// The stable name clients may switch on.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "invalid",
            Self::UnknownType(_) => "unknown_type",
            Self::NoRecipient => "no_recipient",
            Self::TooLarge(_) => "too_large",
            Self::SelfCall => "self_call",
            Self::TooManyParticipants(_) => "too_many_participants",
            Self::Unauthorized(_) => "unauthorized",
            Self::Forbidden(_) => "forbidden",
            Self::OriginRequired => "origin_required",
            Self::NotFound(_) => "not_found",
            Self::CallerBusy => "caller_busy",
            Self::CallEnded(_) => "call_ended",
            Self::AnsweredElsewhere => "answered_elsewhere",
            Self::OutOfTurn(_) => "out_of_turn",
            Self::TooManyCandidates => "too_many_candidates",
            Self::RateLimited(_) => "rate_limited",
            Self::Draining => "draining",
            Self::Unavailable(_) => "unavailable",
        }
    }

    /// The body of every "no": `{success, error, code}`, and the reason where a call had ended.
    pub fn to_json(&self) -> serde_json::Value {
        let mut body = serde_json::json!({ "success": false, "error": self.to_string(), "code": self.code() });
        if let (Self::CallEnded(reason), Some(fields)) = (self, body.as_object_mut()) {
            fields.insert("reason".to_owned(), reason.as_str().into());
        }
        body
    }

    /// When it makes sense to try again, where that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited(after) => Some(*after),
            Self::Draining => Some(Duration::from_secs(5)),
            Self::Unavailable(_) => Some(Duration::from_secs(2)),
            Self::Invalid(_)
            | Self::UnknownType(_)
            | Self::NoRecipient
            | Self::TooLarge(_)
            | Self::SelfCall
            | Self::TooManyParticipants(_)
            | Self::Unauthorized(_)
            | Self::Forbidden(_)
            | Self::OriginRequired
            | Self::NotFound(_)
            | Self::CallerBusy
            | Self::CallEnded(_)
            | Self::AnsweredElsewhere
            | Self::OutOfTurn(_)
            | Self::TooManyCandidates => None,
        }
    }
}
