//! What a start needs: where the numbering goes on, and which calls were live.

use std::collections::HashMap;

use entity::{call_events, call_legs, calls, live_calls as machines};
use sea_orm::sea_query::Expr;
use sea_orm::{ActiveModelTrait, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect, Set};

use super::rows::{CallRow, call_row, legs_of};
use crate::call::Role;
use crate::clock::Timestamp;
use crate::ids::CallId;
use crate::signal::{Phase, Reason};
use crate::store::{Store, StoreError, within};

/// A call that was live when the service stopped.
#[derive(Debug, Clone, PartialEq)]
pub struct LiveCall {
    /// The call's number, even where the rest cannot be read.
    pub id: CallId,
    /// The call's machine as JSON, if it was stored.
    pub live: Option<String>,
    /// The row and its participants, if they can be read.
    pub row: Option<CallRow>,
}

/// The highest call id there is; 0 before the first call.
pub async fn highest_call_id(store: &Store) -> Result<i64, StoreError> {
    let db = store.readers();
    let highest: Option<i64> = within(
        calls::Entity::find()
            .select_only()
            .column(calls::Column::Id)
            .order_by_desc(calls::Column::Id)
            .into_tuple()
            .one(db.as_ref()),
    )
    .await?;
    Ok(highest.unwrap_or(0))
}

/// Every call that has not ended, oldest first. Not those a client reported: nothing of them ever lived here.
pub async fn live_calls(store: &Store) -> Result<Vec<LiveCall>, StoreError> {
    let db = store.readers();
    let db = db.as_ref();
    let (rows, mut legs, mut machines) = within(async {
        let rows = calls::Entity::find()
            // Literally the condition of the index.
            .filter(Expr::cust("phase <> 'ended'"))
            .filter(calls::Column::Reported.eq(false))
            .order_by_asc(calls::Column::Id)
            .all(db)
            .await?;
        let legs = legs_of(db, &rows).await?;
        let machines = machines::Entity::find().all(db).await?;
        let machines: HashMap<i64, String> = machines.into_iter().map(|row| (row.call_id, row.machine)).collect();
        Ok((rows, legs, machines))
    })
    .await?;
    Ok(rows
        .into_iter()
        .filter_map(|row| {
            let id = CallId::new(row.id)?;
            let live = machines.remove(&row.id);
            let legs = legs.remove(&row.id).unwrap_or_default();
            // One unreadable row must not keep the service from starting.
            let row = call_row(row, legs).inspect_err(|error| log::error!("call {id}: {error}")).ok();
            Some(LiveCall { id, live, row })
        })
        .collect())
}

/// Ends a live call whose machine is lost: `dropped` if it was answered, else `failed` and missed by its
/// callees. `false` when the call had ended already. Before the writer takes its first record, or for a call that it
/// takes none of.
pub async fn fail_orphan(store: &Store, id: CallId, at: Timestamp) -> Result<bool, StoreError> {
    within(async {
        let transaction = store.begin().await?;
        let Some(row) = calls::Entity::find_by_id(id.get()).one(&transaction).await? else { return Ok(false) };
        if row.phase == Phase::Ended.as_str() {
            return Ok(false);
        }
        let answered_at = row.answered_at;
        let reason = if answered_at.is_some() { Reason::Dropped } else { Reason::Failed };
        // A clock that was set back must not end a call before it began.
        let at = at.max(answered_at.unwrap_or(row.started_at));
        let mut row = row.into_active_model();
        row.phase = Set(Phase::Ended.as_str().to_owned());
        row.reason = Set(Some(reason.as_str().to_owned()));
        row.ended_at = Set(Some(at));
        row.duration_seconds = Set(answered_at.map_or(0, |answered| (at - answered).num_seconds()));
        row.update(&transaction).await?;
        machines::Entity::delete_by_id(id.get()).exec(&transaction).await?;
        end_legs(&transaction, id, reason, at, answered_at.is_none()).await?;
        trace_end(&transaction, id, reason, at).await?;
        transaction.commit().await?;
        Ok(true)
    })
    .await
}

/// Ends the legs that still last.
async fn end_legs(
    db: &sea_orm::DatabaseTransaction,
    id: CallId,
    reason: Reason,
    at: Timestamp,
    unanswered: bool,
) -> Result<(), sea_orm::DbErr> {
    use call_legs::Column as L;
    let legs = call_legs::Entity::find()
        .filter(L::CallId.eq(id.get()))
        .filter(L::LeftAt.is_null())
        .filter(L::Reason.is_null())
        .all(db)
        .await?;
    for leg in legs {
        let callee = leg.role == Role::Callee.as_str();
        let joined = leg.joined_at.is_some();
        let mut leg = leg.into_active_model();
        leg.state = Set(if joined { "left" } else { "failed" }.to_owned());
        leg.reason = Set(Some(reason.as_str().to_owned()));
        leg.left_at = Set(Some(at));
        if callee && unanswered {
            leg.missed = Set(true);
        }
        leg.update(db).await?;
    }
    Ok(())
}

/// Says so in the trace, after whatever it had.
async fn trace_end(
    db: &sea_orm::DatabaseTransaction,
    id: CallId,
    reason: Reason,
    at: Timestamp,
) -> Result<(), sea_orm::DbErr> {
    let last = call_events::Entity::find()
        .filter(call_events::Column::CallId.eq(id.get()))
        .order_by_desc(call_events::Column::Seq)
        .one(db)
        .await?;
    let event = call_events::ActiveModel {
        call_id: Set(id.get()),
        seq: Set(last.map_or(1, |last| last.seq.saturating_add(1))),
        at: Set(at),
        what: Set(Phase::Ended.as_str().to_owned()),
        who: Set(None),
        detail: Set(Some(reason.as_str().to_owned())),
    };
    call_events::Entity::insert(event).exec_without_returning(db).await.map(drop)
}
