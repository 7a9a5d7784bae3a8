//! Lists of calls, and one call: the service's own REST interface and the call-log seed's.

use entity::{call_events, call_legs, calls as table};
use migration::ENDED_AS;
use sea_orm::sea_query::{Expr, ExprTrait, Query, SelectStatement};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select};

use super::MAX_PAGE;
use super::rows::{CallRow, Cursor, assemble, legs_of, user};
use super::span::{Span, span, started};
use crate::call::TraceEntry;
use crate::clock::Timestamp;
use crate::ids::{CallId, ConversationId, UserId};
use crate::signal::{CallType, Phase, Reason};
use crate::store::{Store, StoreError, vocabulary, within};

/// Which calls. What is absent does not restrict.
#[derive(Debug, Clone, Default)]
pub struct CallFilter {
    /// Only what this user may see.
    pub member: Option<UserId>,
    /// With this participant.
    pub user: Option<UserId>,
    /// And with this one.
    pub peer: Option<UserId>,
    /// In the call-log vocabulary. An unknown word matches nothing.
    pub status: Option<String>,
    /// Why they ended.
    pub reason: Option<Reason>,
    /// Voice or video.
    pub call_type: Option<CallType>,
    /// In this conversation.
    pub conversation_id: Option<ConversationId>,
    /// Started at or after.
    pub since: Option<Timestamp>,
    /// Started before.
    pub until: Option<Timestamp>,
    /// Missed (or not) by `user`, else by `member`, else by any callee.
    pub missed: Option<bool>,
    /// After this place in the list.
    pub before: Option<Cursor>,
    /// At most this many, and never more than [`MAX_PAGE`].
    pub limit: u64,
}

/// A page of calls, newest first, and where the next page starts, if there is more.
pub async fn calls(store: &Store, filter: &CallFilter) -> Result<(Vec<CallRow>, Option<Cursor>), StoreError> {
    let limit = filter.limit.clamp(1, MAX_PAGE);
    let db = store.readers();
    let db = db.as_ref();
    let (mut rows, legs, lowest) = within(async {
        let span = match filter.before.as_ref().and_then(|before| before.lowest) {
            Some(lowest) => Span { lowest, ..Span::ALL },
            None => match span(db, filter.since, filter.until).await? {
                Some(span) => span,
                None => return Ok(Default::default()),
            },
        };
        let rows = page_of_calls(filter, span).all(db).await?;
        let legs = legs_of(db, &rows).await?;
        Ok((rows, legs, span.lowest))
    })
    .await?;
    let more = rows.len() as u64 > limit;
    rows.truncate(limit as usize);
    let next = rows.last().filter(|_| more).map(|last| Cursor { call: last.id, callee: None, lowest: Some(lowest) });
    Ok((assemble(rows, legs)?, next))
}

/// The query behind [`calls`], for whoever wants to know how it is carried out.
pub fn page_of_calls(filter: &CallFilter, span: Span) -> Select<table::Entity> {
    table::Entity::find()
        .filter(condition(filter))
        .filter(table::Column::Id.between(span.lowest, span.highest))
        .order_by_desc(table::Column::Id)
        // One more than asked for tells whether there is a next page.
        .limit(filter.limit.clamp(1, MAX_PAGE) + 1)
}

/// The calls of a conversation, newest first, for the call-log seed; with `member`, only that user's.
pub async fn call_logs(
    store: &Store,
    conversation: &ConversationId,
    member: Option<&UserId>,
) -> Result<Vec<CallRow>, StoreError> {
    let filter = CallFilter {
        member: member.cloned(),
        conversation_id: Some(conversation.clone()),
        limit: MAX_PAGE,
        ..CallFilter::default()
    };
    Ok(calls(store, &filter).await?.0)
}

/// One call.
pub async fn call(store: &Store, id: CallId) -> Result<Option<CallRow>, StoreError> {
    one(store, Condition::all().add(table::Column::Id.eq(id.get()))).await
}

/// The call this caller made with this retry key.
pub async fn find_by_key(store: &Store, caller: &UserId, key: &str) -> Result<Option<CallRow>, StoreError> {
    use table::Column as C;
    one(store, Condition::all().add(C::CallerId.eq(caller.as_str())).add(C::IdempotencyKey.eq(key))).await
}

async fn one(store: &Store, which: Condition) -> Result<Option<CallRow>, StoreError> {
    let db = store.readers();
    let db = db.as_ref();
    let (rows, legs) = within(async {
        let rows = table::Entity::find().filter(which).limit(1).all(db).await?;
        let legs = legs_of(db, &rows).await?;
        Ok((rows, legs))
    })
    .await?;
    Ok(assemble(rows, legs)?.pop())
}

/// The trace of a call, in order.
pub async fn events(store: &Store, id: CallId) -> Result<Vec<TraceEntry>, StoreError> {
    let db = store.readers();
    let found = within(
        call_events::Entity::find()
            .filter(call_events::Column::CallId.eq(id.get()))
            .order_by_asc(call_events::Column::Seq)
            .all(db.as_ref()),
    )
    .await?;
    found
        .into_iter()
        .map(|row| {
            let who = row.who.as_deref().map(user).transpose()?;
            Ok(TraceEntry { seq: row.seq, at: row.at, what: row.what, who, detail: row.detail })
        })
        .collect()
}

/// The calls a user has a leg in; with `missed`, one they missed.
pub(super) fn calls_with(who: Option<&UserId>, missed: bool) -> SelectStatement {
    let mut legs = Query::select();
    legs.column(call_legs::Column::CallId).from(call_legs::Entity);
    if let Some(who) = who {
        legs.and_where(Expr::col(call_legs::Column::UserId).eq(who.as_str()));
    }
    if missed {
        // Literally the condition of the index.
        legs.and_where(Expr::cust("missed"));
    }
    legs
}

fn condition(filter: &CallFilter) -> Condition {
    use table::Column as C;
    let mut all = Condition::all();
    for who in [&filter.member, &filter.user, &filter.peer].into_iter().flatten() {
        all = all.add(C::Id.in_subquery(calls_with(Some(who), false)));
    }
    if let Some(missed) = filter.missed {
        let by = calls_with(filter.user.as_ref().or(filter.member.as_ref()), true);
        all = all.add(if missed { C::Id.in_subquery(by) } else { C::Id.not_in_subquery(by) });
    }
    if let Some(status) = &filter.status {
        all = all.add(with_status(status));
    }
    all.add_option(filter.reason.map(|reason| C::Reason.eq(reason.as_str())))
        .add_option(filter.call_type.map(|kind| C::CallType.eq(kind.as_str())))
        .add_option(filter.conversation_id.as_ref().map(|id| C::ConversationId.eq(id.as_str())))
        .add(started(filter.since, filter.until))
        .add_option(filter.before.as_ref().map(|cursor| C::Id.lt(cursor.call)))
}

/// The rows that read as this word. Live calls are a handful among all and have an index of their own; those that
/// are over are found by how they read. Either is found from the newest on.
fn with_status(word: &str) -> Condition {
    let live = |phase: &Phase| vocabulary::log_status(*phase, None, false) == word;
    match [Phase::Initiated, Phase::Ringing, Phase::Answered].into_iter().find(live) {
        // Literally the conditions of the indexes.
        Some(phase) => {
            Condition::all().add(Expr::cust("phase <> 'ended'")).add(table::Column::Phase.eq(phase.as_str()))
        }
        None => Condition::all().add(Expr::cust("phase = 'ended'")).add(Expr::cust(ENDED_AS).eq(word)),
    }
}
