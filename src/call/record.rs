//! What of a call is written down: the row, a row per leg, and the trace of transitions.
//!
//! A record is a whole snapshot keyed by the call's own id, and its trace entries are keyed by their
//! number within the call. Writing one twice, or a later one without an earlier one, is harmless;
//! that is what makes retries after an unclear commit safe.

use crate::clock::Timestamp;
use crate::ids::{CallId, ConversationId, DeviceId, UserId};
use crate::signal::{CallType, Phase, Reason};

/// A call as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Primary key of every table about calls.
    pub id: CallId,
    /// Who made the call.
    pub caller: UserId,
    /// The caller's name as the callee saw it.
    pub caller_name: Option<String>,
    /// Voice or video.
    pub call_type: CallType,
    /// The conversation in the embedding application.
    pub conversation: Option<ConversationId>,
    /// Where the call stands.
    pub phase: Phase,
    /// Why it ended; set exactly when `phase` is `Ended`.
    pub reason: Option<Reason>,
    /// Who ended it, where somebody did.
    pub ended_by: Option<UserId>,
    /// When the service took the call on.
    pub started_at: Timestamp,
    /// When the first callee joined.
    pub answered_at: Option<Timestamp>,
    /// When it ended; for a dropped call the moment of loss.
    pub ended_at: Option<Timestamp>,
    /// Whole seconds between answer and end; 0 unless answered.
    pub duration_seconds: i64,
    /// The caller's retry key.
    pub idempotency_key: Option<String>,
    /// The live call as JSON, from which a restarted service goes on; `None` once it has ended.
    pub live: Option<String>,
    /// Every participant, the caller first.
    pub legs: Vec<LegRecord>,
    /// The transitions since the last record of this call.
    pub trace: Vec<TraceEntry>,
}

/// One participant's part in a stored call.
#[derive(Debug, Clone, PartialEq)]
pub struct LegRecord {
    /// The participant.
    pub user: UserId,
    /// 0 for the caller, then in the order they were invited.
    pub position: i32,
    /// `caller` or `callee`.
    pub role: Role,
    /// `invited`, `ringing`, `joined`, `lost`, `left`, `declined`, `missed` or `failed`.
    pub state: &'static str,
    /// How it ended for this participant, in the vocabulary of calls; `None` while it lasts.
    pub reason: Option<Reason>,
    /// The device it takes, or took, part with.
    pub device: Option<DeviceId>,
    /// When it joined.
    pub joined_at: Option<Timestamp>,
    /// When its part ended.
    pub left_at: Option<Timestamp>,
    /// Whether this participant has a missed call to see.
    pub missed: bool,
}

/// Which side of the invitation a participant stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Made the call.
    Caller,
    /// Was called, or invited later.
    Callee,
}

impl Role {
    /// The name used in the database and in replies.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Callee => "callee",
        }
    }
}

/// One transition: when, what, who.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct TraceEntry {
    /// Its number within the call, from 1 without gaps.
    pub seq: i32,
    /// When it happened, by the call's own monotonic time.
    pub at: Timestamp,
    /// What happened, for example `initiated`, `ringing`, `answered`, `lost`, `resumed`, `ended`.
    pub what: String,
    /// Whose doing it was.
    pub who: Option<UserId>,
    /// More about it: a reason, a device.
    pub detail: Option<String>,
}
