//! `/api/call-logs`: the records of a conversation, and what pages say of their calls, as the call-log seed
//! shows them. A path's id is a conversation's in GET and a log's in PUT, as there.

use std::time::Duration;

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Edge;
use super::auth::Caller;
use super::body::Body;
use super::calls::{readable, sees_all};
use super::query;
use crate::auth::Identity;
use crate::call::{LegRecord, Record, Role, TraceEntry};
use crate::clock::Timestamp;
use crate::ids::{CallId, ConversationId, UserId};
use crate::router::messages::TakeNumber;
use crate::signal::{CallType, Phase, Refusal};
use crate::store::queries::{self, CallRow};
use crate::store::told::{Said, Told, began};

/// A page logs its call right after it sent the invitation, on another connection: how long that may still be
/// on its way here.
const OVERTAKEN_FOR: Duration = Duration::from_millis(250);

/// How long what is here by then may take to be written.
const WRITTEN_WITHIN: Duration = Duration::from_secs(2);

/// The longest duration a page may count.
const MAX_DURATION: f64 = 1e9;

/// How `GET /api/call-logs` is asked.
#[derive(Debug, Deserialize)]
pub struct ByConversation {
    conversation_id: String,
    limit: Option<String>,
}

/// How `GET /api/call-logs/{conversation_id}` is asked.
#[derive(Debug, Deserialize)]
pub struct Past {
    limit: Option<String>,
}

/// `GET /api/call-logs?conversation_id=`: the clear spelling.
pub async fn by_query(
    caller: Caller,
    edge: web::Data<Edge>,
    query: web::Query<ByConversation>,
) -> Result<HttpResponse, Refusal> {
    list(&edge, &caller.0, &query.conversation_id, query.limit.as_deref()).await
}

/// `GET /api/call-logs/{conversation_id}`: the seed's spelling.
pub async fn by_path(
    caller: Caller,
    edge: web::Data<Edge>,
    path: web::Path<String>,
    query: web::Query<Past>,
) -> Result<HttpResponse, Refusal> {
    list(&edge, &caller.0, &path, query.limit.as_deref()).await
}

async fn list(
    edge: &Edge,
    identity: &Identity,
    conversation: &str,
    limit: Option<&str>,
) -> Result<HttpResponse, Refusal> {
    let limit = query::limit(limit, queries::MAX_PAGE)?;
    let conversation = ConversationId::parse(conversation).map_err(|error| Refusal::Invalid(error.to_string()))?;
    let member = (!sees_all(identity)).then_some(&identity.user);
    let rows = queries::call_logs(&edge.store, &conversation, member, limit).await?;
    let call_logs: Vec<Value> = rows.iter().map(|row| render(row, &identity.user)).collect();
    Ok(HttpResponse::Ok().json(json!({ "success": true, "call_logs": call_logs })))
}

fn render(row: &CallRow, reader: &UserId) -> Value {
    let is_caller = row.caller_id == *reader;
    json!({
        "id": row.id.get(),
        "conversation_id": row.conversation_id.as_ref().map(ConversationId::to_json),
        "caller_id": row.caller_id.to_json(),
        "caller_name": row.caller_name,
        "is_caller": is_caller,
        "call_type": row.call_type.as_str(),
        "status": row.status_for(reader),
        "started_at": row.started_at,
        "answered_at": row.answered_at,
        "ended_at": row.ended_at,
        "duration_seconds": row.duration_seconds,
        "connected_at": row.client_connected_at,
        "client_duration_seconds": row.client_duration_seconds,
        "reported": row.reported,
    })
}

/// What a page says of a call. Who it is and whom it calls is not read: the token says that.
#[derive(Debug, Deserialize)]
pub struct Log {
    conversation_id: Option<Value>,
    call_type: Option<String>,
    status: Option<String>,
    started_at: Option<String>,
    answered_at: Option<String>,
    ended_at: Option<String>,
    duration_seconds: Option<f64>,
}

impl Log {
    fn conversation(&self) -> Result<Option<ConversationId>, Refusal> {
        let read = |id| ConversationId::from_json(id).map_err(|error| Refusal::Invalid(error.to_string()));
        self.conversation_id.as_ref().map(read).transpose()
    }

    fn call_type(&self) -> Result<CallType, Refusal> {
        let Some(word) = &self.call_type else { return Ok(CallType::default()) };
        CallType::parse(word).ok_or_else(|| Refusal::Invalid("call_type must be voice or video".to_owned()))
    }

    /// What it says of whichever call it is about.
    fn told(&self, by: UserId, at: Timestamp) -> Result<impl FnOnce(CallId) -> Told + use<>, Refusal> {
        let unknown = |word: &str| Refusal::Invalid(format!("status cannot be \"{word:.32}\""));
        let count = |seconds: f64| {
            let fits = (0.0..=MAX_DURATION).contains(&seconds);
            fits.then_some(seconds as i64)
                .ok_or_else(|| Refusal::Invalid("duration_seconds must be a number from 0".to_owned()))
        };
        let status = self.status.as_deref().map(|word| Said::parse(word).ok_or_else(|| unknown(word))).transpose()?;
        let answered_at = time("answered_at", self.answered_at.as_deref())?;
        let ended_at = time("ended_at", self.ended_at.as_deref())?;
        let duration_seconds = self.duration_seconds.map(count).transpose()?;
        Ok(move |call| Told { call, by, at, status, answered_at, ended_at, duration_seconds })
    }
}

fn time(name: &str, text: Option<&str>) -> Result<Option<Timestamp>, Refusal> {
    let read = |text| chrono::DateTime::parse_from_rfc3339(text).map(|at| at.to_utc());
    text.map(read).transpose().map_err(|_| Refusal::Invalid(format!("{name} must be a time like 2026-01-16T13:30:00Z")))
}

/// `POST /api/call-logs`: the log of the call that is going on, else one of a call that only its page knows.
pub async fn create(caller: Caller, edge: web::Data<Edge>, Body(log): Body<Log>) -> Result<HttpResponse, Refusal> {
    let Caller(identity) = caller;
    let now = edge.clock.now().wall;
    let (conversation, call_type) = (log.conversation()?, log.call_type()?);
    let started_at = began(time("started_at", log.started_at.as_deref())?, now);
    let told = log.told(identity.user.clone(), now)?;
    if let Some(call) = logged_already(&edge, &identity.user, conversation.as_ref()).await? {
        return Ok(HttpResponse::Ok().json(created(call, "The call is logged already")));
    }
    let number = edge.router.send(TakeNumber).await.map_err(|_| Refusal::Unavailable("the router"))??;
    let record = reported(number, &identity, conversation, call_type, started_at);
    let written = edge.writer.open_reported(record).await;
    written.ok().and_then(Result::ok).ok_or(Refusal::Unavailable("the database"))?;
    edge.writer.told(told(number)).await?;
    Ok(HttpResponse::Created().json(created(number, "Call log created")))
}

fn created(call: CallId, message: &str) -> Value {
    json!({ "success": true, "call_log_id": call.get(), "message": message })
}

/// The call a page means, where the service has it or is just about to.
async fn logged_already(
    edge: &Edge,
    user: &UserId,
    conversation: Option<&ConversationId>,
) -> Result<Option<CallId>, Refusal> {
    let now = edge.clock.now().wall;
    if let Some(call) = queries::logged_already(&edge.store, user, conversation, false, now).await? {
        return Ok(Some(call));
    }
    // Before an attempt that failed is taken for the one that is meant: that may be the next, on its way.
    tokio::time::sleep(OVERTAKEN_FOR).await;
    // On a slow disk it may be there and not yet be written; in an outage it will not be.
    if edge.writer.healthy() {
        let _ = tokio::time::timeout(WRITTEN_WITHIN, edge.writer.flush()).await;
    }
    Ok(queries::logged_already(&edge.store, user, conversation, true, now).await?)
}

/// The record of a call that only its page knows. Nobody but the caller is in it: a client's word makes no
/// entries for others.
fn reported(
    id: CallId,
    caller: &Identity,
    conversation: Option<ConversationId>,
    call_type: CallType,
    started_at: Timestamp,
) -> Record {
    let entry = TraceEntry {
        seq: 1,
        at: started_at,
        what: Phase::Initiated.as_str().to_owned(),
        who: Some(caller.user.clone()),
        detail: Some("reported".to_owned()),
    };
    let leg = LegRecord {
        user: caller.user.clone(),
        position: 0,
        role: Role::Caller,
        state: "joined",
        reason: None,
        device: None,
        joined_at: Some(started_at),
        left_at: None,
        missed: false,
    };
    Record {
        id,
        caller: caller.user.clone(),
        caller_name: caller.name.clone(),
        call_type,
        conversation,
        phase: Phase::Initiated,
        reason: None,
        ended_by: None,
        started_at,
        answered_at: None,
        ended_at: None,
        duration_seconds: 0,
        idempotency_key: None,
        live: None,
        legs: vec![leg],
        trace: vec![entry],
    }
}

/// `PUT /api/call-logs/{id}`: takes in what a page says of a call, and shows the record as it stands.
pub async fn update(
    caller: Caller,
    edge: web::Data<Edge>,
    path: web::Path<String>,
    Body(log): Body<Log>,
) -> Result<HttpResponse, Refusal> {
    let Caller(identity) = caller;
    let row = readable(&edge, &identity, &path).await?;
    let told = log.told(identity.user.clone(), edge.clock.now().wall)?;
    edge.writer.told(told(row.id)).await?;
    let row = readable(&edge, &identity, &path).await?;
    Ok(HttpResponse::Ok().json(json!({
        "success": true, "message": "Call log updated", "call_log": render(&row, &identity.user),
    })))
}
