//! Lists of calls, and one call: the service's own REST interface and the call-log seed's.

use entity::{call_events, calls as table};
use migration::ENDED_AS;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select};

use super::MAX_PAGE;
use super::members::{self, Legs};
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
    use table::Column as C;
    // One more than asked for tells whether there is a next page.
    let limit = filter.limit.clamp(1, MAX_PAGE) + 1;
    let page = table::Entity::find().order_by_desc(C::Id).limit(limit);
    let before = filter.before.as_ref().map(|cursor| cursor.call);
    match found_by(filter) {
        None => {
            let older = before.map(|before| C::Id.lt(before));
            page.filter(of_calls(filter))
                .filter(members::take_part(C::Id.into_expr(), &filter.members()))
                .filter(members::missed_it(C::Id.into_expr(), filter.misser(), filter.missed))
                .filter(Condition::all().add(C::Id.between(span.lowest, span.highest)).add_option(older))
        }
        Some((legs, others)) => {
            let highest = before.map_or(span.highest, |before| Ord::min(span.highest, before - 1));
            let newest = legs.newest(Span { highest, ..span }, others, of_calls(filter), limit);
            page.filter(C::Id.in_subquery(newest))
        }
    }
}

/// The legs a page is found by, and what holds of the other legs; `None` where it is found by the calls themselves.
/// Whichever leaves the least to pass over, from the newest on.
fn found_by(filter: &CallFilter) -> Option<(Legs, Condition)> {
    let live = |word: &String| live_phase(word).is_some();
    if filter.conversation_id.is_some() || filter.status.as_ref().is_some_and(live) {
        // Of a conversation, and of those that are live, there are few.
        return None;
    }
    let members = filter.members();
    match (filter.misser(), members.first()) {
        (Some(misser), _) => {
            let others: Vec<_> = members.iter().copied().filter(|who| *who != misser).collect();
            let legs = Legs { of: Some(misser.clone()), missed: filter.missed };
            Some((legs, members::take_part(members::of_leg(), &others)))
        }
        (None, Some(peer)) => {
            let legs = Legs { of: Some((*peer).clone()), missed: None };
            Some((legs, members::missed_it(members::of_leg(), None, filter.missed)))
        }
        (None, None) => {
            let legs = Legs { of: None, missed: filter.missed };
            (filter.missed == Some(true)).then_some((legs, Condition::all()))
        }
    }
}

/// The calls of a conversation, newest first, for the call-log seed; with `member`, only that user's.
pub async fn call_logs(
    store: &Store,
    conversation: &ConversationId,
    member: Option<&UserId>,
    limit: u64,
) -> Result<Vec<CallRow>, StoreError> {
    let filter = CallFilter {
        member: member.cloned(),
        conversation_id: Some(conversation.clone()),
        limit,
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

impl CallFilter {
    /// Everybody who must take part.
    fn members(&self) -> Vec<&UserId> {
        [&self.user, &self.member, &self.peer].into_iter().flatten().collect()
    }

    /// By whom a call must have been missed, or not; any callee where that is nobody.
    fn misser(&self) -> Option<&UserId> {
        self.user.as_ref().or(self.member.as_ref())
    }
}

/// What a filter says of calls themselves; empty where that is nothing.
fn of_calls(filter: &CallFilter) -> Condition {
    use table::Column as C;
    let in_time = started(filter.since, filter.until);
    Condition::all()
        .add_option(filter.status.as_deref().map(with_status))
        .add_option(filter.reason.map(|reason| C::Reason.eq(reason.as_str())))
        .add_option(filter.call_type.map(|kind| C::CallType.eq(kind.as_str())))
        .add_option(filter.conversation_id.as_ref().map(|id| C::ConversationId.eq(id.as_str())))
        .add_option(Some(in_time).filter(|in_time| !in_time.is_empty()))
}

/// The phase of live calls that read as this word.
fn live_phase(word: &str) -> Option<Phase> {
    let live = |phase: &Phase| vocabulary::log_status(*phase, None, false) == word;
    [Phase::Initiated, Phase::Ringing, Phase::Answered].into_iter().find(live)
}

/// The rows that read as this word. Live calls are a handful among all and have an index of their own; those that
/// are over are found by how they read. Either is found from the newest on.
fn with_status(word: &str) -> Condition {
    match live_phase(word) {
        // Literally the conditions of the indexes.
        Some(phase) => {
            Condition::all().add(Expr::cust("phase <> 'ended'")).add(table::Column::Phase.eq(phase.as_str()))
        }
        None => Condition::all().add(Expr::cust("phase = 'ended'")).add(Expr::cust(ENDED_AS).eq(word)),
    }
}
