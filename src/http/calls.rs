//! `/api/calls`: the records, with filters and paging, and what happened in each.

use actix_web::http::header::{self, Accept, Header as _, Quality};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Edge;
use super::auth::Caller;
use super::export::export;
use super::query::{known, limit, time, truth, user_id};
use crate::auth::{Identity, Role};
use crate::ids::{CallId, ConversationId, UserId};
use crate::signal::{CallType, Reason, Refusal};
use crate::store::queries::{self, CallFilter, CallRow, Cursor, Participant};
use crate::store::vocabulary;

/// How many calls a page has when nobody says.
const PAGE: u64 = 50;

/// How `GET /api/calls` is asked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Query {
    user: Option<String>,
    peer: Option<String>,
    status: Option<String>,
    reason: Option<String>,
    #[serde(rename = "type")]
    call_type: Option<String>,
    conversation_id: Option<String>,
    since: Option<String>,
    until: Option<String>,
    missed: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
}

/// Whether somebody may read every call.
pub(super) fn sees_all(identity: &Identity) -> bool {
    match identity.role {
        Role::Admin | Role::Service => true,
        Role::User => false,
    }
}

/// `GET /api/calls`: own calls, everybody's for admins and services; newest first. A page of them as JSON, or all as
/// CSV for who asks for that.
pub async fn list(
    request: HttpRequest,
    caller: Caller,
    edge: web::Data<Edge>,
    query: web::Query<Query>,
) -> Result<HttpResponse, Refusal> {
    if wants_csv(&request) {
        return table(caller, edge, query).await;
    }
    let filter = filter(&edge, &caller.0, query.into_inner())?;
    let (rows, next) = queries::calls(&edge.store, &filter).await?;
    let calls: Vec<Value> = rows.iter().map(|row| render(row, &caller.0)).collect();
    let next_cursor = next.map(|cursor| cursor.to_string());
    Ok(HttpResponse::Ok()
        .insert_header((header::VARY, "Accept"))
        .json(json!({ "success": true, "calls": calls, "next_cursor": next_cursor })))
}

/// `GET /api/calls.csv`: the same calls, all of them.
pub async fn table(caller: Caller, edge: web::Data<Edge>, query: web::Query<Query>) -> Result<HttpResponse, Refusal> {
    let query = query.into_inner();
    if query.limit.is_some() || query.cursor.is_some() {
        return Err(Refusal::Invalid("CSV has no pages: leave limit and cursor out".to_owned()));
    }
    let filter = filter(&edge, &caller.0, query)?;
    export(&edge, caller.0.user.clone(), filter).await
}

/// Whether CSV is the first that is named of what can be answered; for `*/*` it is JSON.
fn wants_csv(request: &HttpRequest) -> bool {
    let Ok(mut accept) = Accept::parse(request) else { return false };
    accept.retain(|kind| kind.quality > Quality::ZERO);
    let wanted = accept.ranked();
    let known = wanted.iter().find(|kind| ["text/csv", "application/json", "*/*"].contains(&kind.essence_str()));
    known.is_some_and(|kind| kind.essence_str() == "text/csv")
}

/// The user whose calls are asked for, where one is named and this reader may.
pub(super) fn readable_user(edge: &Edge, identity: &Identity, text: Option<&str>) -> Result<Option<UserId>, Refusal> {
    let user = text.map(user_id).transpose()?.map(|user| edge.directory.resolve(user));
    if user.as_ref().is_some_and(|user| !identity.may_read_of(user)) {
        return Err(Refusal::Forbidden("only admins and services see other people's calls".to_owned()));
    }
    Ok(user)
}

fn filter(edge: &Edge, identity: &Identity, query: Query) -> Result<CallFilter, Refusal> {
    // A profile is another address of a user.
    let user_id = |text| user_id(text).map(|user| edge.directory.resolve(user));
    Ok(CallFilter {
        member: (!sees_all(identity)).then(|| identity.user.clone()),
        user: readable_user(edge, identity, query.user.as_deref())?,
        peer: query.peer.as_deref().map(user_id).transpose()?,
        status: query.status.map(|text| known("status", &text, log_status)).transpose()?,
        reason: query.reason.map(|text| known("reason", &text, Reason::parse)).transpose()?,
        call_type: query.call_type.map(|text| known("type", &text, CallType::parse)).transpose()?,
        conversation_id: query
            .conversation_id
            .map(|text| ConversationId::parse(&text).map_err(|error| Refusal::Invalid(error.to_string())))
            .transpose()?,
        since: query.since.map(|text| time("since", &text)).transpose()?,
        until: query.until.map(|text| time("until", &text)).transpose()?,
        missed: query.missed.map(|text| known("missed", &text, truth)).transpose()?,
        before: query.cursor.map(|text| known("cursor", &text, Cursor::parse)).transpose()?,
        limit: limit(query.limit.as_deref(), PAGE)?,
    })
}

fn log_status(text: &str) -> Option<String> {
    vocabulary::LOG_STATUSES.contains(&text).then(|| text.to_owned())
}

/// `GET /api/calls/{id}`.
pub async fn one(caller: Caller, edge: web::Data<Edge>, path: web::Path<String>) -> Result<HttpResponse, Refusal> {
    let row = readable(&edge, &caller.0, &path).await?;
    Ok(HttpResponse::Ok().json(json!({ "success": true, "call": render(&row, &caller.0) })))
}

/// `GET /api/calls/{id}/events`: every transition, when and by whom.
pub async fn events(caller: Caller, edge: web::Data<Edge>, path: web::Path<String>) -> Result<HttpResponse, Refusal> {
    let row = readable(&edge, &caller.0, &path).await?;
    let trace = queries::events(&edge.store, row.id).await?;
    let events: Vec<Value> = trace
        .iter()
        .map(|entry| {
            json!({
                "seq": entry.seq,
                "at": entry.at,
                "what": entry.what,
                "who": entry.who.as_ref().map(UserId::to_json),
                "detail": entry.detail,
            })
        })
        .collect();
    Ok(HttpResponse::Ok().json(json!({ "success": true, "events": events })))
}

/// A call this reader may see; others are not told whether it exists.
pub(super) async fn readable(edge: &Edge, identity: &Identity, id: &str) -> Result<CallRow, Refusal> {
    let id = CallId::parse(id).map_err(|error| Refusal::Invalid(error.to_string()))?;
    let row = queries::call(&edge.store, id).await?;
    row.filter(|row| sees_all(identity) || row.is_member(&identity.user)).ok_or(Refusal::NotFound("call"))
}

fn render(row: &CallRow, reader: &Identity) -> Value {
    json!({
        "id": row.id.get(),
        "caller_id": row.caller_id.to_json(),
        "caller_name": row.caller_name,
        "callee_ids": row.callees().map(UserId::to_json).collect::<Vec<_>>(),
        "conversation_id": row.conversation_id.as_ref().map(ConversationId::to_json),
        "call_type": row.call_type.as_str(),
        "status": row.status_for(&reader.user),
        "reason": row.reason.map(Reason::as_str),
        "started_at": row.started_at,
        "answered_at": row.answered_at,
        "ended_at": row.ended_at,
        "duration_seconds": row.duration_seconds,
        "reported": row.reported,
        "participants": row.participants.iter().map(participant).collect::<Vec<_>>(),
    })
}

fn participant(leg: &Participant) -> Value {
    json!({
        "user_id": leg.user_id.to_json(),
        "role": leg.role.as_str(),
        "state": leg.state,
        "reason": leg.reason.map(Reason::as_str),
        "joined_at": leg.joined_at,
        "left_at": leg.left_at,
        "missed": leg.missed,
        "seen": leg.seen,
    })
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::wants_csv;

    #[test]
    fn csv_is_for_who_wants_it_more_than_json() {
        let wants = |accept: &str| wants_csv(&TestRequest::get().insert_header(("accept", accept)).to_http_request());
        for csv in ["text/csv", "text/csv, */*;q=0.1", "application/json;q=0, text/csv;q=0.1"] {
            assert!(wants(csv), "{csv}");
        }
        for json in ["*/*", "text/csv;q=0", "text/csv;q=0.1, application/json", "text/csv;q=nan", ",,;", ""] {
            assert!(!wants(json), "{json}");
        }
    }
}
