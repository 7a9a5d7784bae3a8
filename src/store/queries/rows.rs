//! A call as it is read: the row, its participants, and the place in a list it stands at.

use std::collections::HashMap;
use std::fmt;

use entity::{call_legs, calls};
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder};

use super::KEYS;
use crate::call::Role;
use crate::clock::Timestamp;
use crate::ids::{CallId, ConversationId, UserId};
use crate::signal::{CallType, CallView, Phase, Reason};
use crate::store::{StoreError, vocabulary};

/// A call with its participants.
#[derive(Debug, Clone, PartialEq)]
pub struct CallRow {
    /// The call.
    pub id: CallId,
    /// Who made it.
    pub caller_id: UserId,
    /// Their name as the callee saw it.
    pub caller_name: Option<String>,
    /// Voice or video.
    pub call_type: CallType,
    /// The conversation it belongs to.
    pub conversation_id: Option<ConversationId>,
    /// Where it stands.
    pub phase: Phase,
    /// Why it ended.
    pub reason: Option<Reason>,
    /// How it reads in the call-log vocabulary.
    pub status: &'static str,
    /// Who ended it, where somebody did.
    pub ended_by: Option<UserId>,
    /// When the service took it on.
    pub started_at: Timestamp,
    /// When the first callee joined.
    pub answered_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Whole seconds between answer and end; 0 unless answered.
    pub duration_seconds: i64,
    /// Whether a client reported it, instead of the service having routed it.
    pub reported: bool,
    /// When a client first said that it was connected.
    pub client_connected_at: Option<Timestamp>,
    /// How long a client counted.
    pub client_duration_seconds: Option<i64>,
    /// Everybody who takes, or took, part, the caller first.
    pub participants: Vec<Participant>,
}

impl CallRow {
    /// Who was called.
    pub fn callees(&self) -> impl Iterator<Item = &UserId> {
        self.participants.iter().filter(|leg| leg.role == Role::Callee).map(|leg| &leg.user_id)
    }

    /// How it reads to this user: a call its caller cancelled is one its callee missed.
    pub fn status_for(&self, reader: &UserId) -> &'static str {
        let missed = self.participants.iter().any(|leg| leg.user_id == *reader && leg.missed);
        if missed && self.status == "cancelled" { "missed" } else { self.status }
    }

    /// The call as its participants may see it, once it has ended.
    pub fn ended_view(&self) -> Option<CallView> {
        self.reason.map(|reason| CallView {
            id: self.id,
            caller: self.caller_id.clone(),
            callees: self.callees().cloned().collect(),
            phase: self.phase,
            reason: Some(reason),
            call_type: self.call_type,
            conversation: self.conversation_id.clone(),
            started_at: self.started_at,
            duration_seconds: self.duration_seconds,
        })
    }

    /// Whether this user may see the call.
    pub fn is_member(&self, user: &UserId) -> bool {
        self.caller_id == *user || self.participants.iter().any(|leg| leg.user_id == *user)
    }
}

/// One participant's part in a call.
#[derive(Debug, Clone, PartialEq)]
pub struct Participant {
    /// Who.
    pub user_id: UserId,
    /// Caller or callee.
    pub role: Role,
    /// `invited`, `ringing`, `joined`, `lost`, `left`, `declined`, `missed` or `failed`.
    pub state: String,
    /// How it ended for this participant.
    pub reason: Option<Reason>,
    /// The device it takes, or took, part with.
    pub device: Option<String>,
    /// When it joined.
    pub joined_at: Option<Timestamp>,
    /// When its part ended.
    pub left_at: Option<Timestamp>,
    /// Whether this participant missed the call.
    pub missed: bool,
    /// Whether it has seen that it did.
    pub seen: bool,
}

/// A place in a list, newest first: after this call, and for lists by callee after this callee.
///
/// Its text is opaque to clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// The last call seen.
    pub(super) call: i64,
    /// The last callee of it seen.
    pub(super) callee: Option<String>,
    /// The lowest id there can be, where a list is read on without its place going through a client.
    pub(super) lowest: Option<i64>,
}

impl Cursor {
    /// Reads what a client gives back. `None` when it is no cursor.
    pub fn parse(text: &str) -> Option<Self> {
        let (call, callee) = match text.split_once('.') {
            Some((call, callee)) => (call, Some(UserId::recorded(callee).ok()?.to_string())),
            None => (text, None),
        };
        Some(Self { call: i64::from_str_radix(call, 36).ok().filter(|id| *id > 0)?, callee, lowest: None })
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = Vec::new();
        let mut rest = u64::try_from(self.call).unwrap_or(0);
        while rest > 0 {
            digits.push(char::from_digit((rest % 36) as u32, 36).unwrap_or('0'));
            rest /= 36;
        }
        f.write_str(&digits.into_iter().rev().collect::<String>())?;
        match &self.callee {
            Some(callee) => write!(f, ".{callee}"),
            None => Ok(()),
        }
    }
}

/// A word of the database as one of ours.
pub(super) fn read<T>(what: &str, text: &str, parse: impl FnOnce(&str) -> Option<T>) -> Result<T, StoreError> {
    parse(text).ok_or_else(|| StoreError::Unreadable(format!("\"{text}\" is no {what}")))
}

/// A user id of the database.
pub(super) fn user(text: &str) -> Result<UserId, StoreError> {
    read("user id", text, |text| UserId::recorded(text).ok())
}

/// A call id of the database.
pub(super) fn call_id(number: i64) -> Result<CallId, StoreError> {
    CallId::new(number).ok_or_else(|| StoreError::Unreadable(format!("{number} is no call id")))
}

/// A reason of the database, where there is one.
pub(super) fn reason(text: Option<&str>) -> Result<Option<Reason>, StoreError> {
    text.map(|text| read("reason", text, Reason::parse)).transpose()
}

/// The legs of calls, by call, each in its order. One query per few hundred calls.
pub(super) async fn legs_of<C: ConnectionTrait>(
    db: &C,
    calls: &[calls::Model],
) -> Result<HashMap<i64, Vec<call_legs::Model>>, DbErr> {
    let mut legs: HashMap<i64, Vec<call_legs::Model>> = HashMap::with_capacity(calls.len());
    for calls in calls.chunks(KEYS) {
        let found = call_legs::Entity::find()
            .filter(call_legs::Column::CallId.is_in(calls.iter().map(|call| call.id)))
            .order_by_asc(call_legs::Column::CallId)
            .order_by_asc(call_legs::Column::Position)
            .all(db)
            .await?;
        for leg in found {
            legs.entry(leg.call_id).or_default().push(leg);
        }
    }
    Ok(legs)
}

/// Rows and their legs as calls.
pub(super) fn assemble(
    rows: Vec<calls::Model>,
    mut legs: HashMap<i64, Vec<call_legs::Model>>,
) -> Result<Vec<CallRow>, StoreError> {
    rows.into_iter()
        .map(|row| {
            let legs = legs.remove(&row.id).unwrap_or_default();
            call_row(row, legs)
        })
        .collect()
}

/// A row and its legs as a call.
pub(super) fn call_row(row: calls::Model, legs: Vec<call_legs::Model>) -> Result<CallRow, StoreError> {
    let phase = read("phase", &row.phase, Phase::parse)?;
    let reason = reason(row.reason.as_deref())?;
    Ok(CallRow {
        id: call_id(row.id)?,
        caller_id: user(&row.caller_id)?,
        caller_name: row.caller_name,
        call_type: read("call type", &row.call_type, CallType::parse)?,
        conversation_id: row
            .conversation_id
            .map(|text| read("conversation id", &text, |text| ConversationId::parse(text).ok()))
            .transpose()?,
        phase,
        reason,
        status: vocabulary::log_status(phase, reason, row.answered_at.is_some()),
        ended_by: row.ended_by.as_deref().map(user).transpose()?,
        started_at: row.started_at,
        answered_at: row.answered_at,
        ended_at: row.ended_at,
        duration_seconds: row.duration_seconds,
        reported: row.reported,
        client_connected_at: row.client_connected_at,
        client_duration_seconds: row.client_duration_seconds,
        participants: legs.into_iter().map(participant).collect::<Result<_, _>>()?,
    })
}

fn participant(leg: call_legs::Model) -> Result<Participant, StoreError> {
    Ok(Participant {
        user_id: user(&leg.user_id)?,
        role: if leg.role == Role::Caller.as_str() { Role::Caller } else { Role::Callee },
        reason: reason(leg.reason.as_deref())?,
        state: leg.state,
        device: leg.device,
        joined_at: leg.joined_at,
        left_at: leg.left_at,
        missed: leg.missed,
        seen: leg.seen,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_as_it_went() {
        for cursor in [
            Cursor { call: 1, callee: None, lowest: None },
            Cursor { call: (1 << 53) - 1, callee: None, lowest: None },
            Cursor { call: 36, callee: Some("a.b|ü@c".into()), lowest: None },
        ] {
            assert_eq!(Cursor::parse(&cursor.to_string()), Some(cursor));
        }
        for bad in ["", "0", "-1", "x y", "1.", "1.a b"] {
            assert_eq!(Cursor::parse(bad), None, "{bad}");
        }
    }
}
