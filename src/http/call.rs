//! `/api/call/*`: calls by REST, for clients that poll.

use std::time::Duration;

use actix_web::{Error, HttpRequest, HttpResponse, web};
use serde::Deserialize;
use serde_json::{Value, json};

use super::auth::Caller;
use super::body::Text;
use super::lapsed::InCall;
use super::query::limit;
use super::under_way::UnderWay;
use super::{Edge, ask};
use crate::dialect::fields::retry_key_of;
use crate::dialect::polling::{Action, call_reply, initiate_reply, relayed_reply};
use crate::ids::{CallId, DeviceId, UserId};
use crate::router::messages::{Peer, Reply};
use crate::signal::{Command, Refusal};
use crate::store::queries;

/// How long a reader of signals may wait.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// `POST /api/call/{initiate,answer,reject,hangup,signal}`.
pub async fn act(
    request: HttpRequest,
    caller: InCall,
    edge: web::Data<Edge>,
    path: web::Path<String>,
    Text(body): Text,
) -> Result<HttpResponse, Refusal> {
    let action = Action::parse(&path).ok_or(Refusal::NotFound("path"))?;
    let command = edge.polling.parse(action, &body)?;
    let mut command = caller.within(command, matches!(action, Action::Signal | Action::Hangup))?;
    let InCall { identity, .. } = caller;
    let user = identity.user.clone();
    if let Command::Invite(invite) = &mut command {
        if let Some(key) = retry_key(&request)? {
            invite.idempotency_key = Some(key);
        }
        if let Some(key) = &invite.idempotency_key
            && let Some(known) = queries::find_by_key(&edge.store, &identity.user, key).await?
            && let Some(view) = known.ended_view()
        {
            return Ok(HttpResponse::Ok().json(initiate_reply(&view, &user)));
        }
    }
    let named = command.call();
    let peer = Peer { user: identity.user.clone(), name: identity.name.clone(), device: Some(DeviceId::http()) };
    let reply = match (ask(&edge, peer, command).await, named) {
        (Err(Refusal::NotFound("call")), Some(call)) => late(&edge, &user, call, action).await?,
        (reply, _) => reply?,
    };
    let body = match reply {
        Reply::Call(view) if action == Action::Initiate => initiate_reply(&view, &user),
        Reply::Call(view) => call_reply(&view),
        Reply::Relayed => relayed_reply(),
    };
    Ok(HttpResponse::Ok().json(body))
}

pub(super) fn retry_key(request: &HttpRequest) -> Result<Option<String>, Refusal> {
    let Some(key) = request.headers().get("idempotency-key") else { return Ok(None) };
    // Bytes that are not UTF-8 are no key, like the empty text.
    retry_key_of("Idempotency-Key", std::str::from_utf8(key.as_bytes()).unwrap_or_default()).map(Some)
}

/// The answer about a call that ended too long ago, or in another process, for the router to remember. Who
/// ended it may say so again.
async fn late(edge: &Edge, user: &UserId, call: CallId, action: Action) -> Result<Reply, Refusal> {
    let row = queries::call(&edge.store, call).await?.filter(|row| row.is_member(user));
    let row = row.ok_or(Refusal::NotFound("call"))?;
    let view = row.ended_view().ok_or(Refusal::NotFound("call"))?;
    match row.reason {
        Some(reason) if !matches!(action, Action::Hangup | Action::Reject) || row.ended_by.as_ref() != Some(user) => {
            Err(Refusal::CallEnded(reason))
        }
        Some(_) | None => Ok(Reply::Call(view)),
    }
}

/// How `GET /api/call/signals` is asked.
#[derive(Debug, Deserialize)]
pub struct Reading {
    after: Option<u64>,
    wait: Option<f64>,
}

/// `GET /api/call/signals`: what waits for this user. Reading drains; `?after=` acknowledges instead;
/// `?wait=` (seconds, up to 30) waits for something to come.
pub async fn signals(
    request: HttpRequest,
    caller: InCall,
    edge: web::Data<Edge>,
    query: web::Query<Reading>,
) -> Result<HttpResponse, Error> {
    let mailbox = edge.mailboxes.of(&caller.identity.user);
    let only = caller.may_read(&mailbox)?;
    let letters = match query.wait {
        Some(seconds) if seconds.is_nan() || seconds < 0.0 => {
            return Err(Refusal::Invalid("wait is a number of seconds from 0 to 30".to_owned()).into());
        }
        Some(seconds) => {
            UnderWay::wait(&request)?;
            mailbox.wait(query.after, only, Duration::from_secs_f64(seconds.min(30.0)).min(MAX_WAIT)).await
        }
        None => mailbox.read(query.after, only),
    };
    let items: Vec<String> =
        letters.iter().filter_map(|letter| Some(edge.polling.render(&letter.notice)?.render(letter.id))).collect();
    // The items hold payloads exactly as they were sent, so they are joined as text.
    let body = format!("{{\"success\":true,\"signals\":[{}]}}", items.join(","));
    Ok(HttpResponse::Ok().content_type("application/json").body(body))
}

/// How `GET /api/call/history/{user_id}` is asked.
#[derive(Debug, Deserialize)]
pub struct Past {
    limit: Option<String>,
}

/// `GET /api/call/history/{user_id}`: the calls between the caller and that user, newest first.
pub async fn history(
    caller: Caller,
    edge: web::Data<Edge>,
    path: web::Path<String>,
    query: web::Query<Past>,
) -> Result<HttpResponse, Refusal> {
    let Caller(identity) = caller;
    let limit = limit(query.limit.as_deref(), queries::MAX_PAGE)?;
    let other = UserId::parse(&path).map_err(|error| Refusal::Invalid(error.to_string()))?;
    let other = edge.directory.resolve(other);
    let rows = queries::history_between(&edge.store, &identity.user, &other, limit).await?;
    let history: Vec<Value> = rows
        .iter()
        .map(|row| {
            json!({
                "id": row.id.get(),
                "caller_id": row.caller_id.to_json(),
                "callee_id": row.callee_id.to_json(),
                "call_time": row.call_time,
                "call_status": row.call_status,
                "call_duration": row.call_duration,
                "answered_at": row.answered_at,
                "ended_at": row.ended_at,
                "seen_by_callee": row.seen_by_callee,
            })
        })
        .collect();
    Ok(HttpResponse::Ok().json(json!({ "success": true, "history": history })))
}
