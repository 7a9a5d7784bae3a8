//! Missed calls: the list of them, and that somebody has seen them.

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Edge;
use super::auth::Caller;
use super::body::Text;
use super::calls::sees_all;
use super::query::{known, limit, time, truth};
use crate::auth::Identity;
use crate::ids::{CallId, ConversationId, UserId};
use crate::router::Part;
use crate::signal::{Reason, Refusal};
use crate::store::queries::{self, Cursor, HistoryRow, MissedFilter};

/// How many missed calls a page has when nobody says.
const PAGE: u64 = 100;

/// How `GET /api/call/missed` is asked.
#[derive(Debug, Deserialize)]
pub struct Missed {
    user_id: Option<String>,
    all: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
    unseen: Option<String>,
    since: Option<String>,
    until: Option<String>,
}

/// `GET /api/call/missed`: own missed calls; admins and services see everyone's, or one user's with
/// `?user_id=`.
pub async fn missed(caller: Caller, edge: web::Data<Edge>, query: web::Query<Missed>) -> Result<HttpResponse, Refusal> {
    let Caller(identity) = caller;
    let of = whose(&identity, &query)?;
    let read = |name, text: &Option<String>| text.as_deref().map(|text| time(name, text)).transpose();
    let filter = MissedFilter {
        callee: of,
        unseen: query.unseen.as_deref().map(|text| known("unseen", text, truth)).transpose()?,
        since: read("since", &query.since)?,
        until: read("until", &query.until)?,
        before: query.cursor.as_deref().map(|text| known("cursor", text, Cursor::parse)).transpose()?,
        limit: limit(query.limit.as_deref(), PAGE)?,
    };
    let (rows, next) = queries::missed(&edge.store, &filter).await?;
    let unseen = queries::unseen_count(&edge.store, filter.callee.as_ref()).await?;
    let missed_calls: Vec<Value> = rows.iter().map(render_missed).collect();
    Ok(HttpResponse::Ok().json(json!({
        "success": true,
        "missed_calls": missed_calls,
        "unseen_count": unseen,
        "next_cursor": next.map(|cursor| cursor.to_string()),
    })))
}

/// Whose missed calls are meant; `None` is everybody's.
fn whose(identity: &Identity, query: &Missed) -> Result<Option<UserId>, Refusal> {
    let all = query.all.as_deref().is_some_and(|all| all != "false" && all != "0");
    match query.user_id.as_deref() {
        Some("all") | None if sees_all(identity) => Ok(None),
        Some(user) if user != "all" => {
            let user = UserId::parse(user).map_err(|error| Refusal::Invalid(error.to_string()))?;
            if identity.may_read_of(&user) { Ok(Some(user)) } else { Err(others_calls()) }
        }
        Some(_) => Err(others_calls()),
        None if all => Err(others_calls()),
        None => Ok(Some(identity.user.clone())),
    }
}

fn others_calls() -> Refusal {
    Refusal::Forbidden("only admins and services see other people's calls".to_owned())
}

fn render_missed(row: &HistoryRow) -> Value {
    json!({
        "id": row.id.get(),
        "caller_id": row.caller_id.to_json(),
        "caller_name": row.caller_name,
        "callee_id": row.callee_id.to_json(),
        "call_type": row.call_type.as_str(),
        "call_time": row.call_time,
        "call_status": row.call_status,
        "reason": row.reason.map(Reason::as_str),
        "ended_at": row.ended_at,
        "conversation_id": row.conversation_id.as_ref().map(ConversationId::to_json),
        "seen_by_callee": row.seen_by_callee,
    })
}

/// `POST /api/call/mark-seen/{id}`: the callee has seen a missed call. Doing it twice is fine.
pub async fn mark_seen(
    caller: Caller,
    edge: web::Data<Edge>,
    path: web::Path<String>,
) -> Result<HttpResponse, Refusal> {
    let Caller(identity) = caller;
    let call = CallId::parse(&path).map_err(|error| Refusal::Invalid(error.to_string()))?;
    let all = sees_all(&identity);
    let callees = if all {
        let row = queries::call(&edge.store, call).await?.ok_or(Refusal::NotFound("missed call"))?;
        row.participants.into_iter().filter(|leg| leg.missed).map(|leg| leg.user_id).collect()
    } else {
        vec![identity.user.clone()]
    };
    let mut known = false;
    for callee in &callees {
        known |= edge.writer.mark_seen(call, callee).await?;
    }
    if !known {
        return Err(Refusal::NotFound("missed call"));
    }
    edge.directory.stir(Part::Missed);
    let callee = (!all).then_some(&identity.user);
    let unseen = queries::unseen_count(&edge.store, callee).await?;
    Ok(HttpResponse::Ok().json(json!({ "success": true, "unseen_count": unseen })))
}

/// Whose missed calls `POST /api/call/mark-all-seen` is about.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Whose {
    user_id: Option<Value>,
}

/// `POST /api/call/mark-all-seen`: own missed calls are seen; for admins and services everybody's, or one user's.
/// Doing it twice is fine.
pub async fn mark_all_seen(caller: Caller, edge: web::Data<Edge>, Text(body): Text) -> Result<HttpResponse, Refusal> {
    let Caller(identity) = caller;
    let now = edge.clock.now().wall;
    let named = match body.trim() {
        "" => Whose::default(),
        body => {
            serde_json::from_str(body).map_err(|error| Refusal::Invalid(format!("the body cannot be read: {error}")))?
        }
    };
    let named = named.user_id.as_ref().map(UserId::from_json).transpose();
    let callee = match named.map_err(|error| Refusal::Invalid(error.to_string()))? {
        Some(user) => {
            let user = edge.directory.resolve(user);
            Some(user).filter(|user| identity.may_read_of(user)).ok_or_else(others_calls)?.into()
        }
        None if sees_all(&identity) => None,
        None => Some(identity.user.clone()),
    };
    let marked = edge.writer.mark_all_seen(callee.as_ref(), now).await?;
    if marked > 0 {
        edge.directory.stir(Part::Missed);
    }
    let unseen = queries::unseen_count(&edge.store, callee.as_ref()).await?;
    Ok(HttpResponse::Ok().json(json!({ "success": true, "marked": marked, "unseen_count": unseen })))
}
