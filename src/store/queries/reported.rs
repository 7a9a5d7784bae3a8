//! Calls that clients report: whether the service has them already, and what becomes of those left open.

use chrono::Duration;
use entity::{call_legs, calls};
use sea_orm::sea_query::{Expr, Query};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::recovery::fail_orphan;
use super::rows::call_id;
use crate::clock::Timestamp;
use crate::ids::{CallId, ConversationId, UserId};
use crate::signal::Phase;
use crate::store::{Store, StoreError, within};

/// How long ago a call may have ended, without ever being answered, for its caller's page to log it still.
const LATE: Duration = Duration::seconds(10);

/// How long a reported call may stand open.
const OPEN_FOR: Duration = Duration::days(1);

/// The call of this user that a page which logs one in this conversation means: the live one, else, with
/// `over_as_well`, the user's own that ended unanswered a moment ago (busy and offline end at once). A call that
/// names no conversation may be in this one.
pub async fn logged_already(
    store: &Store,
    user: &UserId,
    conversation: Option<&ConversationId>,
    over_as_well: bool,
    now: Timestamp,
) -> Result<Option<CallId>, StoreError> {
    use calls::Column as C;
    let db = store.readers();
    let mut own = Query::select();
    own.column(call_legs::Column::CallId)
        .from(call_legs::Entity)
        .and_where(call_legs::Column::UserId.eq(user.as_str()))
        .and_where(call_legs::Column::LeftAt.is_null());
    // Literally the condition of the index.
    let live = Condition::all().add(Expr::cust("phase <> 'ended'")).add(C::Id.in_subquery(own));
    let just_ended = Condition::all()
        .add(C::CallerId.eq(user.as_str()))
        .add(C::Phase.eq(Phase::Ended.as_str()))
        .add(C::AnsweredAt.is_null())
        // Both, so that an index helps: calls ring for a minute or so.
        .add(C::StartedAt.gt(now - Duration::hours(1)))
        .add(C::EndedAt.gt(now - LATE));
    let both = if over_as_well { vec![live, just_ended] } else { vec![live] };
    for which in both {
        let there = conversation
            .map(|id| Condition::any().add(C::ConversationId.eq(id.as_str())).add(C::ConversationId.is_null()));
        let found: Option<i64> = within(
            calls::Entity::find()
                .select_only()
                .column(C::Id)
                .filter(which)
                .filter(C::Reported.eq(false))
                .filter(Condition::all().add_option(there))
                .order_by_desc(C::Id)
                .into_tuple()
                .one(db.as_ref()),
        )
        .await?;
        if let Some(id) = found {
            return call_id(id).map(Some);
        }
    }
    Ok(None)
}

/// Ends reported calls that were left open for a day: `failed`, or `dropped` at its answer where it was answered, as
/// nobody knows how long it lasted. How many.
pub async fn settle_reported(store: &Store, now: Timestamp) -> Result<usize, StoreError> {
    use calls::Column as C;
    let db = store.readers();
    let open = within(
        calls::Entity::find()
            .filter(Expr::cust("phase <> 'ended'"))
            .filter(C::Reported.eq(true))
            .filter(C::StartedAt.lt(now - OPEN_FOR))
            .all(db.as_ref()),
    )
    .await?;
    for row in &open {
        fail_orphan(store, call_id(row.id)?, row.answered_at.unwrap_or(row.started_at)).await?;
    }
    Ok(open.len())
}
