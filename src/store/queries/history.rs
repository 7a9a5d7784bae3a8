//! Missed calls and the history between two users: the polling seed's lists, a row per callee.

use std::collections::HashMap;

use entity::{call_legs, calls};
use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{ColumnTrait, Condition, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, Select};

use super::MAX_PAGE;
use super::members::{self, Legs};
use super::rows::{Cursor, call_id, read, reason, user};
use super::span::{Span, span, started};
use crate::call::Role;
use crate::clock::Timestamp;
use crate::ids::{CallId, ConversationId, UserId};
use crate::signal::{CallType, Phase, Reason};
use crate::store::{Store, StoreError, vocabulary, within};

/// Missed calls, newest first, and where the next page starts, if there is more.
pub type MissedPage = (Vec<HistoryRow>, Option<Cursor>);

/// One callee's row of a call, in the call-history vocabulary.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryRow {
    /// The call.
    pub id: CallId,
    /// Who called.
    pub caller_id: UserId,
    /// Their name as it was then.
    pub caller_name: Option<String>,
    /// Who was called.
    pub callee_id: UserId,
    /// Voice or video.
    pub call_type: CallType,
    /// When it started.
    pub call_time: Timestamp,
    /// `missed`, `answered`, `rejected`, `dropped` or `ongoing`.
    pub call_status: &'static str,
    /// Why it ended.
    pub reason: Option<Reason>,
    /// Whole seconds between answer and end.
    pub call_duration: i64,
    /// When the callee joined.
    pub answered_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Whether the callee has seen that they missed it.
    pub seen_by_callee: bool,
    /// The conversation it belongs to.
    pub conversation_id: Option<ConversationId>,
}

/// The condition of the indexes of missed calls, literally.
fn missed_by(who: Option<&UserId>) -> Condition {
    Condition::all().add(Expr::cust("missed")).add_option(who.map(|who| call_legs::Column::UserId.eq(who.as_str())))
}

/// Which missed calls. What is absent does not restrict.
#[derive(Debug, Clone, Default)]
pub struct MissedFilter {
    /// Missed by this user.
    pub callee: Option<UserId>,
    /// Not seen by them yet, or seen.
    pub unseen: Option<bool>,
    /// Started at or after.
    pub since: Option<Timestamp>,
    /// Started before.
    pub until: Option<Timestamp>,
    /// After this place in the list.
    pub before: Option<Cursor>,
    /// At most this many, and never more than [`MAX_PAGE`].
    pub limit: u64,
}

/// Missed calls, a row per callee, newest first.
pub async fn missed(store: &Store, filter: &MissedFilter) -> Result<MissedPage, StoreError> {
    let limit = filter.limit.clamp(1, MAX_PAGE);
    let db = store.readers();
    let db = db.as_ref();
    let (mut legs, rows) = within(async {
        let Some(span) = span(db, filter.since, filter.until).await? else { return Ok(Default::default()) };
        let legs = page_of_missed(filter, span).all(db).await?;
        let rows =
            calls::Entity::find().filter(calls::Column::Id.is_in(legs.iter().map(|leg| leg.call_id))).all(db).await?;
        Ok((legs, rows))
    })
    .await?;
    let more = legs.len() as u64 > limit;
    legs.truncate(limit as usize);
    let next = legs.last().filter(|_| more).map(|last| Cursor {
        call: last.call_id,
        callee: Some(last.user_id.clone()),
        lowest: None,
    });
    let rows: std::collections::HashMap<i64, calls::Model> = rows.into_iter().map(|row| (row.id, row)).collect();
    let page = legs
        .into_iter()
        // A call deleted between the two queries is no longer missed.
        .filter_map(|leg| rows.get(&leg.call_id).map(|row| history_row(row, leg)))
        .collect::<Result<_, _>>()?;
    Ok((page, next))
}

/// The query behind [`missed`], for whoever wants to know how it is carried out.
pub fn page_of_missed(filter: &MissedFilter, span: Span) -> Select<call_legs::Entity> {
    use call_legs::Column as L;
    let in_time = (filter.since.is_some() || filter.until.is_some()).then(|| {
        let of = Expr::col((calls::Entity, calls::Column::Id)).equals((call_legs::Entity, L::CallId));
        let mut call = Query::select();
        call.expr(Expr::cust("1")).from(calls::Entity).and_where(of).cond_where(started(filter.since, filter.until));
        Expr::exists(call)
    });
    // Literally the condition of an index.
    let seen = filter.unseen.map(|unseen| Expr::cust(if unseen { "NOT seen" } else { "seen" }));
    let place = filter.before.as_ref().map(|cursor| {
        let older = Condition::any().add(L::CallId.lt(cursor.call));
        match &cursor.callee {
            // The other callees of the same group call come next.
            Some(callee) => {
                older.add(Condition::all().add(L::CallId.eq(cursor.call)).add(L::UserId.gt(callee.as_str())))
            }
            None => older,
        }
    });
    call_legs::Entity::find()
        .filter(missed_by(filter.callee.as_ref()))
        .filter(Condition::all().add_option(seen).add_option(place).add_option(in_time))
        .filter(L::CallId.between(span.lowest, span.highest))
        .order_by_desc(L::CallId)
        .order_by_asc(L::UserId)
        // One more than asked for tells whether there is a next page.
        .limit(filter.limit.clamp(1, MAX_PAGE) + 1)
}

/// How many missed calls a user, or everybody, has not seen.
pub async fn unseen_count(store: &Store, who: Option<&UserId>) -> Result<u64, StoreError> {
    let db = store.readers();
    within(all_unseen(who).count(db.as_ref())).await
}

/// The same for each of these users, of whom there are at most [`super::KEYS`]; who has seen all is absent.
pub async fn unseen_counts(store: &Store, whom: &[&UserId]) -> Result<HashMap<UserId, u64>, StoreError> {
    let db = store.readers();
    let rows: Vec<(String, i64)> = within(all_unseen_of(whom).into_tuple().all(db.as_ref())).await?;
    rows.into_iter().map(|(who, unseen)| Ok((user(&who)?, u64::try_from(unseen).unwrap_or(0)))).collect()
}

/// The query behind [`unseen_counts`].
pub fn all_unseen_of(whom: &[&UserId]) -> Select<call_legs::Entity> {
    use call_legs::Column as L;
    all_unseen(None)
        .filter(L::UserId.is_in(whom.iter().map(|who| who.as_str())))
        .select_only()
        .column(L::UserId)
        .column_as(L::CallId.count(), "unseen")
        .group_by(L::UserId)
}

/// The query behind [`unseen_count`], for whoever wants to know how it is carried out.
pub fn all_unseen(who: Option<&UserId>) -> Select<call_legs::Entity> {
    call_legs::Entity::find().filter(missed_by(who)).filter(Expr::cust("seen").not())
}

/// The calls one of two users made to the other, newest first.
pub async fn history_between(
    store: &Store,
    one: &UserId,
    other: &UserId,
    limit: u64,
) -> Result<Vec<HistoryRow>, StoreError> {
    use call_legs::Column as L;
    let pair = [one.as_str(), other.as_str()];
    let db = store.readers();
    let db = db.as_ref();
    let (legs, rows) = within(async {
        let rows = page_between(one, other, limit).all(db).await?;
        let legs = call_legs::Entity::find()
            .filter(L::CallId.is_in(rows.iter().map(|row| row.id)))
            .filter(L::UserId.is_in(pair))
            .filter(L::Role.eq(Role::Callee.as_str()))
            .order_by_desc(L::CallId)
            .all(db)
            .await?;
        Ok((legs, rows))
    })
    .await?;
    let rows: std::collections::HashMap<i64, calls::Model> = rows.into_iter().map(|row| (row.id, row)).collect();
    legs.into_iter().filter_map(|leg| rows.get(&leg.call_id).map(|row| history_row(row, leg))).collect()
}

/// The query behind [`history_between`], for whoever wants to know how it is carried out.
pub fn page_between(one: &UserId, other: &UserId, limit: u64) -> Select<calls::Entity> {
    use calls::Column as C;
    let limit = limit.clamp(1, MAX_PAGE);
    let legs = Legs { of: Some(one.clone()), missed: None };
    let by_either = Condition::all().add(C::CallerId.is_in([one.as_str(), other.as_str()]));
    let both = members::take_part(members::of_leg(), &[other]);
    let newest = legs.newest(Span::ALL, both, by_either, limit);
    calls::Entity::find().filter(C::Id.in_subquery(newest)).order_by_desc(C::Id).limit(limit)
}

fn history_row(row: &calls::Model, leg: call_legs::Model) -> Result<HistoryRow, StoreError> {
    let phase = read("phase", &row.phase, Phase::parse)?;
    let leg_reason = reason(leg.reason.as_deref())?;
    let call = (reason(row.reason.as_deref())?, row.answered_at.is_some());
    let (why, answered) = vocabulary::callee_outcome(call, leg_reason, leg.joined_at.is_some());
    Ok(HistoryRow {
        id: call_id(row.id)?,
        caller_id: user(&row.caller_id)?,
        caller_name: row.caller_name.clone(),
        callee_id: user(&leg.user_id)?,
        call_type: read("call type", &row.call_type, CallType::parse)?,
        call_time: row.started_at,
        call_status: vocabulary::history_status(phase, why, answered),
        reason: why,
        call_duration: if answered { row.duration_seconds } else { 0 },
        answered_at: leg.joined_at.or(row.answered_at).filter(|_| answered),
        ended_at: row.ended_at.or(leg.left_at),
        seen_by_callee: leg.seen,
        conversation_id: row
            .conversation_id
            .as_deref()
            .map(|text| read("conversation id", text, |text| ConversationId::parse(text).ok()))
            .transpose()?,
    })
}
