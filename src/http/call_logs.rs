//! `/api/call-logs`: the records of a conversation, as the call-log seed shows them.

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Edge;
use super::auth::Caller;
use super::calls::sees_all;
use crate::auth::Identity;
use crate::ids::{ConversationId, UserId};
use crate::signal::Refusal;
use crate::store::queries::{self, CallRow};

/// How `GET /api/call-logs` is asked.
#[derive(Debug, Deserialize)]
pub struct ByConversation {
    conversation_id: String,
}

/// `GET /api/call-logs?conversation_id=`: the clear spelling.
pub async fn by_query(
    caller: Caller,
    edge: web::Data<Edge>,
    query: web::Query<ByConversation>,
) -> Result<HttpResponse, Refusal> {
    list(&edge, &caller.0, &query.conversation_id).await
}

/// `GET /api/call-logs/{conversation_id}`: the seed's spelling.
pub async fn by_path(caller: Caller, edge: web::Data<Edge>, path: web::Path<String>) -> Result<HttpResponse, Refusal> {
    list(&edge, &caller.0, &path).await
}

async fn list(edge: &Edge, identity: &Identity, conversation: &str) -> Result<HttpResponse, Refusal> {
    let conversation = ConversationId::parse(conversation).map_err(|error| Refusal::Invalid(error.to_string()))?;
    let member = (!sees_all(identity)).then_some(&identity.user);
    let rows = queries::call_logs(&edge.store, &conversation, member).await?;
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
    })
}
