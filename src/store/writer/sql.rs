//! A batch as one transaction of multi-row upserts, each keyed by the row's own key, so that repeating it after
//! an unclear commit changes nothing.

use std::collections::BTreeMap;

use entity::{call_events, call_legs, calls, profiles, user_status, users};
use sea_orm::ActiveValue::NotSet;
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, EntityTrait,
    IntoActiveModel, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Set,
};

use super::batch::{Batch, Snapshot};
use super::{SWEPT, Sweep};
use crate::call::{LegRecord, TraceEntry};
use crate::ids::{CallId, UserId};
use crate::router::messages::StatusRow;
use crate::signal::{Phase, Reason};
use crate::store::Store;
use crate::store::told::{Stand, Told};

/// Rows per statement: well under SQLite's variables, and few different statement texts to prepare.
const ROWS: usize = 80;

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
    for ids in ids.chunks(ROWS) {
        // Legs and trace go with the call.
        calls::Entity::delete_many().filter(calls::Column::Id.is_in(ids.iter().copied())).exec(db).await?;
    }
    Ok(())
}

async fn write_calls(db: &DatabaseTransaction, batch: &Batch) -> Result<(), DbErr> {
    let mut rows = Vec::new();
    let mut legs = Vec::new();
    let mut events = BTreeMap::new();
    let mut names: BTreeMap<&UserId, Option<&str>> = BTreeMap::new();
    for call in batch.calls.values() {
        rows.push(call_row(call));
        names.entry(&call.record.caller).or_default();
        if let Some(name) = call.record.caller_name.as_deref() {
            names.insert(&call.record.caller, Some(name));
        }
        for leg in &call.record.legs {
            names.entry(&leg.user).or_default();
            legs.push(leg_row(call.record.id, leg));
        }
        for entry in &call.record.trace {
            events.insert((call.record.id, entry.seq), event_row(call.record.id, entry));
        }
    }
    use calls::Column as C;
    for rows in rows.chunks(ROWS) {
        calls::Entity::insert_many(rows.to_vec())
            .on_conflict(
                OnConflict::column(C::Id)
                    // Not `reported`: that is decided when the row is made.
                    .update_columns([
                        C::CallerId,
                        C::CallerName,
                        C::CallType,
                        C::ConversationId,
                        C::Phase,
                        C::Reason,
                        C::EndedBy,
                        C::StartedAt,
                        C::AnsweredAt,
                        C::EndedAt,
                        C::DurationSeconds,
                        C::IdempotencyKey,
                        C::Live,
                    ])
                    .to_owned(),
            )
            .exec_without_returning(db)
            .await?;
    }
    use call_legs::Column as L;
    for legs in legs.chunks(ROWS) {
        call_legs::Entity::insert_many(legs.to_vec())
            .on_conflict(
                OnConflict::columns([L::CallId, L::UserId])
                    // Not `seen`: that is the callee's own.
                    .update_columns([
                        L::Position,
                        L::Role,
                        L::State,
                        L::Reason,
                        L::Device,
                        L::JoinedAt,
                        L::LeftAt,
                        L::Missed,
                    ])
                    .to_owned(),
            )
            .exec_without_returning(db)
            .await?;
    }
    let events: Vec<_> = events.into_values().collect();
    for events in events.chunks(ROWS) {
        call_events::Entity::insert_many(events.to_vec())
            .on_conflict(
                OnConflict::columns([call_events::Column::CallId, call_events::Column::Seq]).do_nothing().to_owned(),
            )
            .exec_without_returning(db)
            .await?;
    }
    write_names(db, &names).await
}

async fn write_presence(db: &DatabaseTransaction, batch: &Batch) -> Result<(), DbErr> {
    let rows: Vec<_> = batch.statuses.values().map(status_row).collect();
    use user_status::Column as S;
    for rows in rows.chunks(ROWS) {
        user_status::Entity::insert_many(rows.to_vec())
            .on_conflict(
                OnConflict::column(S::UserId).update_columns([S::Status, S::LastSeen, S::CurrentCallWith]).to_owned(),
            )
            .exec_without_returning(db)
            .await?;
    }
    let mut names: BTreeMap<&UserId, Option<&str>> = batch.statuses.keys().map(|user| (user, None)).collect();
    names.extend(batch.names.iter().map(|(user, name)| (user, Some(name.as_str()))));
    write_names(db, &names).await?;
    use profiles::Column as P;
    let rows: Vec<_> = batch
        .profiles
        .iter()
        .map(|(key, user)| profiles::ActiveModel { profile: Set(key.to_string()), user_id: Set(user.to_string()) })
        .collect();
    for rows in rows.chunks(ROWS) {
        profiles::Entity::insert_many(rows.to_vec())
            .on_conflict(OnConflict::column(P::Profile).update_column(P::UserId).to_owned())
            .exec_without_returning(db)
            .await?;
    }
    Ok(())
}

/// Names that are known replace what was there; a user without one is only made known.
async fn write_names(db: &DatabaseTransaction, names: &BTreeMap<&UserId, Option<&str>>) -> Result<(), DbErr> {
    use users::Column as U;
    let (named, nameless): (Vec<_>, Vec<_>) = names
        .iter()
        .map(|(user, name)| users::ActiveModel { id: Set(user.to_string()), name: Set(name.map(str::to_owned)) })
        .partition(|row| matches!(&row.name, Set(Some(_))));
    for rows in named.chunks(ROWS) {
        users::Entity::insert_many(rows.to_vec())
            .on_conflict(
                OnConflict::column(U::Id)
                    .update_column(U::Name)
                    // Most calls carry the name that is there; those rows are left alone.
                    .action_and_where(Expr::cust(r#""users"."name" IS DISTINCT FROM "excluded"."name""#))
                    .to_owned(),
            )
            .exec_without_returning(db)
            .await?;
    }
    for rows in nameless.chunks(ROWS) {
        users::Entity::insert_many(rows.to_vec())
            .on_conflict(OnConflict::column(U::Id).do_nothing().to_owned())
            .exec_without_returning(db)
            .await?;
    }
    Ok(())
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
    call_events::Entity::insert(event_row(told.call, &entry)).exec_without_returning(db).await.map(|_| true)
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

fn call_row(call: &Snapshot) -> calls::ActiveModel {
    let record = &call.record;
    calls::ActiveModel {
        id: Set(record.id.get()),
        caller_id: Set(record.caller.to_string()),
        caller_name: Set(record.caller_name.clone()),
        call_type: Set(record.call_type.as_str().to_owned()),
        conversation_id: Set(record.conversation.as_ref().map(ToString::to_string)),
        phase: Set(record.phase.as_str().to_owned()),
        reason: Set(record.reason.map(|reason| reason.as_str().to_owned())),
        ended_by: Set(record.ended_by.as_ref().map(ToString::to_string)),
        started_at: Set(record.started_at),
        answered_at: Set(record.answered_at),
        ended_at: Set(record.ended_at),
        duration_seconds: Set(record.duration_seconds),
        idempotency_key: Set(record.idempotency_key.clone()),
        reported: Set(call.reported),
        live: Set(record.live.clone()),
        client_connected_at: NotSet,
        client_duration_seconds: NotSet,
    }
}

fn leg_row(call: CallId, leg: &LegRecord) -> call_legs::ActiveModel {
    call_legs::ActiveModel {
        call_id: Set(call.get()),
        user_id: Set(leg.user.to_string()),
        position: Set(leg.position),
        role: Set(leg.role.as_str().to_owned()),
        state: Set(leg.state.to_owned()),
        reason: Set(leg.reason.map(|reason| reason.as_str().to_owned())),
        device: Set(leg.device.as_ref().map(ToString::to_string)),
        joined_at: Set(leg.joined_at),
        left_at: Set(leg.left_at),
        missed: Set(leg.missed),
        seen: Set(false),
    }
}

fn event_row(call: CallId, entry: &TraceEntry) -> call_events::ActiveModel {
    call_events::ActiveModel {
        call_id: Set(call.get()),
        seq: Set(entry.seq),
        at: Set(entry.at),
        what: Set(entry.what.clone()),
        who: Set(entry.who.as_ref().map(ToString::to_string)),
        detail: Set(entry.detail.clone()),
    }
}

fn status_row(row: &StatusRow) -> user_status::ActiveModel {
    user_status::ActiveModel {
        user_id: Set(row.user.to_string()),
        status: Set(row.status.clone()),
        last_seen: Set(row.last_seen),
        current_call_with: Set(row.current_call_with.as_ref().map(ToString::to_string)),
    }
}
