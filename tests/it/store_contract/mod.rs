//! The store's contract: the same suite on SQLite, always, and on PostgreSQL where
//! `SWITCHBOARD_TEST_POSTGRES` holds the URL of a server where databases may be made.

mod database;
mod growth;
mod outage;
mod queries;
mod records;
mod schema;
mod statistics;

use chrono::{DateTime, Duration, Utc};
use switchboard::call::{LegRecord, Record, Role, TraceEntry};
use switchboard::clock::Timestamp;
use switchboard::ids::{CallId, UserId};
use switchboard::signal::{CallType, Phase, Reason};

/// Runs each story once per database.
macro_rules! stories {
    ($($(#[$doc:meta])* async fn $name:ident($db:ident: &Db) $body:block)*) => {
        $(mod $name {
            use super::*;

            async fn story($db: &Db) $body

            #[tokio::test]
            async fn on_sqlite() {
                let db = Db::sqlite();
                story(&db).await;
            }

            #[tokio::test]
            async fn on_postgres() {
                let Some(db) = Db::postgres().await else { return };
                // Spawned, so that the database is dropped when the story fails.
                let db = std::sync::Arc::new(db);
                let told = tokio::spawn({
                    let db = std::sync::Arc::clone(&db);
                    async move { story(&db).await }
                })
                .await;
                db.remove().await;
                if let Err(failure) = told {
                    std::panic::resume_unwind(failure.into_panic());
                }
            }
        })*
    };
}
pub(crate) use stories;

/// A user.
fn user(name: &str) -> UserId {
    UserId::parse(name).unwrap()
}

/// A call id.
fn id(number: i64) -> CallId {
    CallId::new(number).unwrap()
}

/// That many milliseconds, and some microseconds, into the test's day.
fn at(millis: i64) -> Timestamp {
    DateTime::<Utc>::from_timestamp(1_795_000_000, 0).unwrap()
        + Duration::milliseconds(millis)
        + Duration::microseconds(7)
}

/// A participant who is invited.
fn leg(name: &str, position: i32) -> LegRecord {
    LegRecord {
        user: user(name),
        position,
        role: if position == 0 { Role::Caller } else { Role::Callee },
        state: if position == 0 { "joined" } else { "ringing" },
        reason: None,
        device: None,
        joined_at: None,
        left_at: None,
        missed: false,
    }
}

/// A call that rings.
fn ringing(number: i64, caller: &str, callees: &[&str]) -> Record {
    let mut legs = vec![leg(caller, 0)];
    legs.extend(callees.iter().zip(1..).map(|(callee, position)| leg(callee, position)));
    Record {
        id: id(number),
        caller: user(caller),
        caller_name: Some(format!("Name of {caller}")),
        call_type: CallType::Voice,
        conversation: None,
        phase: Phase::Ringing,
        reason: None,
        ended_by: None,
        started_at: at(number * 1000),
        answered_at: None,
        ended_at: None,
        duration_seconds: 0,
        idempotency_key: None,
        live: Some("{}".into()),
        legs,
        trace: vec![trace(1, "initiated", number), trace(2, "ringing", number)],
    }
}

fn trace(seq: i32, what: &str, number: i64) -> TraceEntry {
    TraceEntry { seq, at: at(number * 1000 + i64::from(seq)), what: what.into(), who: None, detail: None }
}

/// The same call, answered.
fn answered(mut record: Record) -> Record {
    record.phase = Phase::Answered;
    record.answered_at = Some(record.started_at + Duration::seconds(2));
    for leg in &mut record.legs {
        leg.joined_at = record.answered_at;
        leg.state = "joined";
    }
    record.trace = vec![trace(3, "answered", record.id.get())];
    record
}

/// The same call, ended.
fn ended(mut record: Record, reason: Reason) -> Record {
    let end = record.started_at + Duration::seconds(12);
    record.phase = Phase::Ended;
    record.reason = Some(reason);
    record.ended_at = Some(end);
    record.duration_seconds = record.answered_at.map_or(0, |answered| (end - answered).num_seconds());
    record.live = None;
    let unanswered = record.answered_at.is_none();
    for leg in &mut record.legs {
        leg.left_at = Some(end);
        leg.reason = Some(reason);
        leg.missed = leg.role == Role::Callee && unanswered && reason != Reason::Declined;
    }
    record.trace = vec![trace(4, "ended", record.id.get())];
    record
}
