//! A batch as one transaction of multi-row upserts, each keyed by the row's own key, so that repeating it after
//! an unclear commit changes nothing.

use entity::{call_events, call_legs, calls};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, EntityTrait,
    IntoActiveModel, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Set, Value,
};

use super::batch::{Batch, Snapshot};
use super::rows::{self, Rows, Shape};
use super::{SWEPT, Sweep};
use crate::call::{LegRecord, TraceEntry};
use crate::ids::{CallId, UserId};
use crate::router::messages::StatusRow;
use crate::signal::{Phase, Reason};
use crate::store::Store;
use crate::store::told::{Stand, Told};

/// Calls that are discarded by one statement.
const DISCARDED: usize = 80;

/// For each `told` and each `seen` of a batch, in order, whether there was such a call; for each sweep how many.
pub(super) struct Found {
    pub told: Vec<bool>,
    pub seen: Vec<bool>,
    pub swept: Vec<u64>,
}

/// Writes a batch.
///
/// `lock` is this task's own: on PostgreSQL a transaction whose commit was abandoned may still be carried out
/// when a stopped server goes on. Taking the same lock, its successor comes after it, so a call discarded
/// here cannot come to life behind its back.
pub(super) async fn write(store: &Store, batch: &Batch, lock: i32) -> Result<Found, DbErr> {
    let transaction = store.begin().await?;
    if store.inner.backend == DbBackend::Postgres {
        transaction.execute_unprepared(&format!("SELECT pg_advisory_xact_lock(5207320, {lock})")).await?;
    }
    discard(&transaction, batch).await?;
    // Before the calls of this batch: whoever missed one of those has not been told yet.
    let mut swept = Vec::with_capacity(batch.sweeps.len());
    for sweep in &batch.sweeps {
        swept.push(mark_all_seen(&transaction, sweep).await?);
    }
    write_calls(&transaction, batch).await?;
    write_presence(&transaction, batch).await?;
    let mut told = Vec::with_capacity(batch.told.len());
    for word in &batch.told {
        told.push(take_in(&transaction, word).await?);
    }
    let mut seen = Vec::with_capacity(batch.seen.len());
    for (call, callee) in &batch.seen {
        seen.push(mark_seen(&transaction, *call, callee).await?);
    }
    transaction.commit().await?;
    Ok(Found { told, seen, swept })
}

async fn discard(db: &DatabaseTransaction, batch: &Batch) -> Result<(), DbErr> {
    let ids: Vec<i64> = batch.discards.iter().map(|id| id.get()).collect();
    for ids in ids.chunks(DISCARDED) {
        // Legs and trace go with the call.
        calls::Entity::delete_many().filter(calls::Column::Id.is_in(ids.iter().copied())).exec(db).await?;
    }
    Ok(())
}

/// Replaced is only what may change: SQLite writes every index of a column that is named, whether its value changes or
/// not. Not `reported`, which is decided when the row is made, nor what clients said, which is no record's.
const CALLS: Shape = Shape {
    before: "INSERT INTO calls (id, caller_id, caller_name, call_type, conversation_id, phase, reason, ended_by, \
             started_at, answered_at, ended_at, duration_seconds, idempotency_key, reported) SELECT * FROM (",
    after: ") AS new WHERE column1 IS NOT NULL ON CONFLICT (id) DO UPDATE SET phase = excluded.phase, \
            reason = excluded.reason, ended_by = excluded.ended_by, answered_at = excluded.answered_at, \
            ended_at = excluded.ended_at, duration_seconds = excluded.duration_seconds",
    columns: 14,
    for_a_call: 1,
};

/// What a restart goes on from.
const LIVE: Shape = Shape {
    before: "INSERT INTO live_calls (call_id, machine) SELECT * FROM (",
    after: ") AS new WHERE column1 IS NOT NULL ON CONFLICT (call_id) DO UPDATE SET machine = excluded.machine",
    columns: 2,
    for_a_call: 1,
};

/// Of calls that are over.
const NOT_LIVE: Shape = Shape {
    before: "DELETE FROM live_calls WHERE call_id IN (SELECT * FROM (",
    after: ") AS over)",
    columns: 1,
    for_a_call: 1,
};

/// Not `seen`: that is the callee's own.
const LEGS: Shape = Shape {
    before: "INSERT INTO call_legs (call_id, user_id, position, role, state, reason, device, joined_at, left_at, \
             missed, seen) SELECT * FROM (",
    after: ") AS new WHERE column1 IS NOT NULL ON CONFLICT (call_id, user_id) DO UPDATE SET \
            position = excluded.position, role = excluded.role, state = excluded.state, reason = excluded.reason, \
            device = excluded.device, joined_at = excluded.joined_at, left_at = excluded.left_at, \
            missed = excluded.missed",
    columns: 11,
    for_a_call: 2,
};

const EVENTS: Shape = Shape {
    before: "INSERT INTO call_events (call_id, seq, at, what, who, detail) SELECT * FROM (",
    after: ") AS new WHERE column1 IS NOT NULL ON CONFLICT (call_id, seq) DO NOTHING",
    columns: 6,
    for_a_call: 2,
};

/// Names that are known replace what was there; a user without one is only made known.
const USERS: Shape = Shape {
    before: "INSERT INTO users (id, name) SELECT * FROM (",
    after: ") AS new WHERE column1 IS NOT NULL ON CONFLICT (id) DO UPDATE SET name = excluded.name \
            WHERE excluded.name IS NOT NULL AND users.name IS DISTINCT FROM excluded.name",
    columns: 2,
    for_a_call: 2,
};

const STATUSES: Shape = Shape {
    before: "INSERT INTO user_status (user_id, status, last_seen, current_call_with) SELECT * FROM (",
    after: ") AS new WHERE column1 IS NOT NULL ON CONFLICT (user_id) DO UPDATE SET status = excluded.status, \
            last_seen = excluded.last_seen, current_call_with = excluded.current_call_with",
    columns: 4,
    for_a_call: 2,
};

const PROFILES: Shape = Shape {
    before: "INSERT INTO profiles (profile, user_id) SELECT * FROM (",
    after: ") AS new WHERE column1 IS NOT NULL ON CONFLICT (profile) DO UPDATE SET user_id = excluded.user_id",
    columns: 2,
    for_a_call: 2,
};

async fn write_calls(db: &DatabaseTransaction, batch: &Batch) -> Result<(), DbErr> {
    let mut calls = batch.calls.values().peekable();
    while calls.peek().is_some() {
        let (mut rows, mut legs, mut events) = (Rows::new(&CALLS), Rows::new(&LEGS), Rows::new(&EVENTS));
        let (mut live, mut over) = (Rows::new(&LIVE), Rows::new(&NOT_LIVE));
        for call in calls.by_ref().take(rows::MOST) {
            let id = call.record.id;
            rows.push(call_row(call));
            match &call.record.live {
                Some(machine) => live.push([id.get().into(), machine.as_str().into()]),
                None => over.push([id.get().into()]),
            }
            call.record.legs.iter().for_each(|leg| legs.push(leg_row(id, leg)));
            call.record.trace.iter().for_each(|entry| events.push(event_row(id, entry)));
        }
        rows::write(db, vec![rows, live, over, legs, events]).await?;
    }
    Ok(())
}

async fn write_presence(db: &DatabaseTransaction, batch: &Batch) -> Result<(), DbErr> {
    let mut statuses = Rows::new(&STATUSES);
    batch.statuses.values().for_each(|row| statuses.push(status_row(row)));
    let mut users = Rows::new(&USERS);
    batch.names.iter().for_each(|(user, name)| users.push([text(user), name.clone().into()]));
    let mut profiles = Rows::new(&PROFILES);
    batch.profiles.iter().for_each(|(key, user)| profiles.push([text(key), text(user)]));
    rows::write(db, vec![statuses, users, profiles]).await
}

/// Takes in a client's word about a call. `false` when there is no such call.
async fn take_in(db: &DatabaseTransaction, told: &Told) -> Result<bool, DbErr> {
    let found = calls::Entity::find_by_id(told.call.get()).lock_exclusive().one(db).await?;
    let Some(row) = found else { return Ok(false) };
    let Some(stand) = stand(&row) else { return Ok(true) };
    let next = stand.after(told);
    if next == stand {
        return Ok(true);
    }
    let word = |reason: Reason| reason.as_str().to_owned();
    let mut row = row.into_active_model();
    if next.client_connected_at != stand.client_connected_at {
        row.client_connected_at = Set(next.client_connected_at);
    }
    if next.client_duration_seconds != stand.client_duration_seconds {
        row.client_duration_seconds = Set(next.client_duration_seconds);
    }
    if next.phase != stand.phase {
        row.phase = Set(next.phase.as_str().to_owned());
        row.reason = Set(next.reason.map(word));
        row.answered_at = Set(next.answered_at);
        row.ended_at = Set(next.ended_at);
        row.duration_seconds = Set(next.duration_seconds);
        if next.reason.is_some() {
            row.ended_by = Set(Some(told.by.to_string()));
        }
    }
    row.update(db).await?;
    if next.phase == stand.phase {
        return Ok(true);
    }
    if let Some(reason) = next.reason {
        use call_legs::Column as L;
        call_legs::Entity::update_many()
            .col_expr(L::State, Expr::value("left"))
            .col_expr(L::Reason, Expr::value(reason.as_str()))
            .col_expr(L::LeftAt, Expr::value(next.ended_at))
            .filter(L::CallId.eq(told.call.get()))
            .filter(L::LeftAt.is_null())
            .exec(db)
            .await?;
    }
    use call_events::Column as E;
    let last: Option<i32> = call_events::Entity::find()
        .select_only()
        .column(E::Seq)
        .filter(E::CallId.eq(told.call.get()))
        .order_by_desc(E::Seq)
        .into_tuple()
        .one(db)
        .await?;
    let entry = TraceEntry {
        seq: last.unwrap_or(0).saturating_add(1),
        at: told.at,
        what: next.phase.as_str().to_owned(),
        who: Some(told.by.clone()),
        detail: Some(next.reason.map_or_else(|| "reported".to_owned(), word)),
    };
    let mut events = Rows::new(&EVENTS);
    events.push(event_row(told.call, &entry));
    rows::write(db, vec![events]).await.map(|()| true)
}

/// What a client's word may touch of a row; `None` for a row that cannot be read.
fn stand(row: &calls::Model) -> Option<Stand> {
    Some(Stand {
        reported: row.reported,
        phase: Phase::parse(&row.phase)?,
        reason: row.reason.as_deref().and_then(Reason::parse),
        started_at: row.started_at,
        answered_at: row.answered_at,
        ended_at: row.ended_at,
        duration_seconds: row.duration_seconds,
        client_connected_at: row.client_connected_at,
        client_duration_seconds: row.client_duration_seconds,
    })
}

async fn mark_seen(db: &DatabaseTransaction, call: CallId, callee: &UserId) -> Result<bool, DbErr> {
    use call_legs::Column as L;
    let changed = call_legs::Entity::update_many()
        .col_expr(L::Seen, Expr::value(true))
        .filter(L::CallId.eq(call.get()))
        .filter(L::UserId.eq(callee.as_str()))
        .filter(L::Missed.eq(true))
        .exec(db)
        .await?;
    Ok(changed.rows_affected > 0)
}

/// Marks the next of what a sweep is about. How many; fewer than [`SWEPT`] when there are no more.
async fn mark_all_seen(db: &DatabaseTransaction, sweep: &Sweep) -> Result<u64, DbErr> {
    use call_legs::Column as L;
    let some = call_legs::Entity::find()
        .select_only()
        .columns([L::CallId, L::UserId])
        // Literally the condition of the index.
        .filter(Expr::cust("missed AND NOT seen"))
        .filter(Condition::all().add_option(sweep.callee.as_ref().map(|callee| L::UserId.eq(callee.as_str()))))
        .filter(L::LeftAt.lte(sweep.until))
        .limit(SWEPT)
        .into_query();
    let changed = call_legs::Entity::update_many()
        .col_expr(L::Seen, Expr::value(true))
        .filter(Expr::tuple([Expr::col(L::CallId), Expr::col(L::UserId)]).in_subquery(some))
        .exec(db)
        .await?;
    Ok(changed.rows_affected)
}

fn call_row(call: &Snapshot) -> [Value; 14] {
    let record = &call.record;
    [
        record.id.get().into(),
        text(&record.caller),
        record.caller_name.clone().into(),
        record.call_type.as_str().into(),
        record.conversation.as_ref().map(ToString::to_string).into(),
        record.phase.as_str().into(),
        record.reason.map(Reason::as_str).into(),
        record.ended_by.as_ref().map(ToString::to_string).into(),
        record.started_at.into(),
        record.answered_at.into(),
        record.ended_at.into(),
        record.duration_seconds.into(),
        record.idempotency_key.clone().into(),
        call.reported.into(),
    ]
}

fn leg_row(call: CallId, leg: &LegRecord) -> [Value; 11] {
    [
        call.get().into(),
        text(&leg.user),
        leg.position.into(),
        leg.role.as_str().into(),
        leg.state.into(),
        leg.reason.map(Reason::as_str).into(),
        leg.device.as_ref().map(ToString::to_string).into(),
        leg.joined_at.into(),
        leg.left_at.into(),
        leg.missed.into(),
        false.into(),
    ]
}

fn event_row(call: CallId, entry: &TraceEntry) -> [Value; 6] {
    [
        call.get().into(),
        entry.seq.into(),
        entry.at.into(),
        entry.what.as_str().into(),
        entry.who.as_ref().map(ToString::to_string).into(),
        entry.detail.clone().into(),
    ]
}

fn status_row(row: &StatusRow) -> [Value; 4] {
    [
        text(&row.user),
        row.status.as_str().into(),
        row.last_seen.into(),
        row.current_call_with.as_ref().map(ToString::to_string).into(),
    ]
}

fn text(name: &UserId) -> Value {
    name.as_str().into()
}
