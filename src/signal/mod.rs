//! The canonical messages between the edges and the core.
//!
//! A [`Command`] is what a peer asks, a [`Notice`] is what a peer is told, a [`Refusal`] is a reasoned
//! "no". Dialects translate their wire form to and from these; nothing here knows a wire form.

mod capabilities;
mod command;
mod notice;
mod party;
mod payload;
mod refusal;

pub use capabilities::Capabilities;
pub use command::{Addressee, Command, Invite};
pub use notice::{CallSeen, CallView, Closing, Incoming, Notice};
pub use party::{About, Party, Profile};
pub use payload::{Extra, Payload};
pub use refusal::Refusal;

use serde::{Deserialize, Serialize};

/// What the participants mean to exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CallType {
    /// Sound only.
    #[default]
    Voice,
    /// Sound and picture.
    Video,
}

impl CallType {
    /// The name every seed uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Voice => "voice",
            Self::Video => "video",
        }
    }

    /// Reads the seeds' names; `audio` is accepted for voice.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "voice" | "audio" => Some(Self::Voice),
            "video" => Some(Self::Video),
            _ => None,
        }
    }
}

/// Which half of a WebRTC negotiation a description is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DescriptionKind {
    /// An SDP offer.
    Offer,
    /// An SDP answer.
    Answer,
}

/// Where a call stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Stored, participants reserved, nobody alerted yet.
    Initiated,
    /// At least one device of a callee has been alerted.
    Ringing,
    /// A callee has joined.
    Answered,
    /// Over. Final.
    Ended,
}

/// Why a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// A participant hung up an answered call.
    Completed,
    /// The callee said no.
    Declined,
    /// The caller gave up, or went away, before an answer.
    Cancelled,
    /// It rang until the ring timer ran out.
    NoAnswer,
    /// The callee was engaged or had said busy.
    Busy,
    /// The callee had no device that could be reached.
    Offline,
    /// A participant of an answered call was lost and did not come back in time.
    Dropped,
    /// The call could not be set up: the caller never sent its offer.
    Failed,
    /// An administrator ended it.
    Killed,
}

impl Reason {
    /// Every reason, in the order they are documented.
    pub const ALL: [Self; 9] = [
        Self::Completed,
        Self::Declined,
        Self::Cancelled,
        Self::NoAnswer,
        Self::Busy,
        Self::Offline,
        Self::Dropped,
        Self::Failed,
        Self::Killed,
    ];

    /// The name used on every wire and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Declined => "declined",
            Self::Cancelled => "cancelled",
            Self::NoAnswer => "no_answer",
            Self::Busy => "busy",
            Self::Offline => "offline",
            Self::Dropped => "dropped",
            Self::Failed => "failed",
            Self::Killed => "killed",
        }
    }

    /// The reason with that name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text)
    }
}

impl Phase {
    /// The name used in the database and in traces.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Initiated => "initiated",
            Self::Ringing => "ringing",
            Self::Answered => "answered",
            Self::Ended => "ended",
        }
    }

    /// The phase with that name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Initiated, Self::Ringing, Self::Answered, Self::Ended].into_iter().find(|phase| phase.as_str() == text)
    }
}
