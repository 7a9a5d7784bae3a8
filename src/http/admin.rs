//! `/api/admin/*`: what goes on, for admins and services, and their last word on calls and connections.

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::{Value, json};

use super::auth::Caller;
use super::calls::sees_all;
use super::query::{time, user_id};
use super::{ANSWER_WITHIN, Edge, done};
use crate::clock::{Now, Timestamp};
use crate::ids::{CallId, ConversationId, SessionId, UserId};
use crate::router::messages::{Reply, ReplyTo};
use crate::router::{CloseSession, KillCall, ListCalls, ListSessions, LiveCall, LiveSession, Survey};
use crate::signal::{Reason, Refusal};
use crate::store::queries::{self, Period};

const AWAY: Refusal = Refusal::Unavailable("the router");

/// Lets admins and services pass, and says who it is.
fn admin(Caller(identity): Caller) -> Result<UserId, Refusal> {
    if sees_all(&identity) {
        Ok(identity.user.clone())
    } else {
        Err(Refusal::Forbidden("only admins and services may do that".to_owned()))
    }
}

/// Asks the router something it answers in one turn.
async fn ask<M>(edge: &Edge, message: M) -> Result<M::Result, Refusal>
where
    M: actix::Message + Send + 'static,
    M::Result: Send,
    crate::router::CallRouter: actix::Handler<M>,
{
    let answer = tokio::time::timeout(ANSWER_WITHIN, edge.router.send(message)).await;
    answer.map_err(|_| AWAY)?.map_err(|_| AWAY)
}

/// How `GET /api/admin/overview` is asked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OverviewQuery {
    since: Option<String>,
}

/// `GET /api/admin/overview`: how much goes on now, and what became of the calls since a time, midnight where
/// none is named.
pub async fn overview(
    caller: Caller,
    edge: web::Data<Edge>,
    query: web::Query<OverviewQuery>,
) -> Result<HttpResponse, Refusal> {
    admin(caller)?;
    let now = edge.clock.now();
    let since = match &query.since {
        Some(text) => time("since", text)?,
        None => midnight(now.wall),
    };
    let census = ask(&edge, Survey).await?;
    let period = Period { member: None, since, until: now.wall };
    let (summary, unseen) =
        tokio::try_join!(queries::summary(&edge.store, &period), queries::unseen_count(&edge.store, None))?;
    let about = &edge.about;
    Ok(HttpResponse::Ok().json(json!({
        "success": true,
        "as_of": now.wall,
        "node": {
            "id": about.node,
            "version": about.version,
            "started_at": about.started.wall,
            "uptime_seconds": (now.tick - about.started.tick).as_secs(),
            "draining": census.draining,
        },
        "users": {
            "known": census.known,
            "online": census.online,
            "in_call": census.in_call,
            "busy": census.busy,
        },
        "sessions": census.sessions,
        "devices": census.devices,
        "calls": { "initiated": census.initiated, "ringing": census.ringing, "answered": census.answered },
        "since": since,
        "period": {
            "calls": summary.tally.calls,
            "answered": summary.tally.answered,
            "missed": summary.tally.missed,
            "answer_rate": summary.tally.answer_rate(),
            "median_time_to_answer_ms": summary.median_time_to_answer_ms,
        },
        "unseen_missed": unseen,
    })))
}

/// The beginning of the day.
fn midnight(now: Timestamp) -> Timestamp {
    now.date_naive().and_time(chrono::NaiveTime::MIN).and_utc()
}

/// `GET /api/admin/calls`: the calls that live, newest first.
pub async fn calls(caller: Caller, edge: web::Data<Edge>) -> Result<HttpResponse, Refusal> {
    admin(caller)?;
    let calls: Vec<Value> = ask(&edge, ListCalls).await?.iter().map(call).collect();
    Ok(HttpResponse::Ok().json(json!({ "success": true, "as_of": edge.clock.now().wall, "calls": calls })))
}

fn call(LiveCall { detail, names }: &LiveCall) -> Value {
    let participants: Vec<Value> = detail
        .members
        .iter()
        .zip(names)
        .map(|(member, name)| {
            json!({
                "user_id": member.user.to_json(),
                "name": name,
                "role": member.role.as_str(),
                "state": member.state.as_str(),
                "device_id": member.device.as_ref().map(|device| device.as_str()),
            })
        })
        .collect();
    let view = &detail.view;
    json!({
        "id": view.id.get(),
        "status": view.phase.as_str(),
        "caller_id": view.caller.to_json(),
        "caller_name": detail.caller_name,
        "callee_ids": view.callees.iter().map(UserId::to_json).collect::<Vec<_>>(),
        "call_type": view.call_type.as_str(),
        "conversation_id": view.conversation.as_ref().map(ConversationId::to_json),
        "started_at": view.started_at,
        "answered_at": detail.answered_at,
        "participants": participants,
    })
}

/// `POST /api/admin/calls/{id}/kill`: ends a call, whatever its participants do. One that is over stays as it is.
pub async fn kill(caller: Caller, edge: web::Data<Edge>, path: web::Path<String>) -> Result<HttpResponse, Refusal> {
    let by = admin(caller)?;
    let call = CallId::parse(&path).map_err(|error| Refusal::Invalid(error.to_string()))?;
    log::info!("call {call} is to be ended, says {by:?}");
    let (reply, answer) = ReplyTo::channel();
    edge.router.try_send(KillCall { call, by, reply }).map_err(|_| AWAY)?;
    let answer = tokio::time::timeout(ANSWER_WITHIN, answer).await.map_err(|_| AWAY)?.map_err(|_| AWAY)?;
    let reason = match answer {
        Ok(Reply::Call(view)) => view.reason,
        Ok(Reply::Relayed) => None,
        // It was over, and somebody is still to be told.
        Err(Refusal::CallEnded(reason)) => Some(reason),
        // Long ago, or by another process.
        Err(Refusal::NotFound(_)) => queries::call(&edge.store, call).await?.ok_or(Refusal::NotFound("call"))?.reason,
        Err(refusal) => return Err(refusal),
    };
    let reason = reason.ok_or(Refusal::OutOfTurn("that call was reported by a client; nothing here can end it"))?;
    Ok(HttpResponse::Ok()
        .json(json!({ "success": true, "call_id": call.get(), "status": "ended", "reason": Reason::as_str(reason) })))
}

/// How `GET /api/admin/sessions` is asked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionsQuery {
    user: Option<String>,
}

/// `GET /api/admin/sessions`: the devices that are there, everybody's or one user's.
pub async fn sessions(
    caller: Caller,
    edge: web::Data<Edge>,
    query: web::Query<SessionsQuery>,
) -> Result<HttpResponse, Refusal> {
    admin(caller)?;
    let user = query.user.as_deref().map(user_id).transpose()?.map(|user| edge.directory.resolve(user));
    let now = edge.clock.now();
    let sessions: Vec<Value> =
        ask(&edge, ListSessions { user }).await?.iter().map(|session| self::session(session, now)).collect();
    Ok(HttpResponse::Ok().json(json!({ "success": true, "as_of": now.wall, "sessions": sessions })))
}

fn session(session: &LiveSession, now: Now) -> Value {
    // All a user does by REST is one device without a connection: its name is no session's.
    let id = session.session.map_or_else(|| format!("{}:{}", session.kind, session.user), |id| id.to_string());
    json!({
        "id": id,
        "user_id": session.user.to_json(),
        "name": session.name,
        "device_id": session.device.as_str(),
        "kind": session.kind,
        "address": session.address,
        "connected_at": now.wall_at(session.connected_at),
        "last_seen": now.wall_at(session.last_seen),
        "call_id": session.call.map(CallId::get),
        "status": session.status.as_str(),
    })
}

/// `POST /api/admin/sessions/{id}/close`: closes a connection for good.
pub async fn close(caller: Caller, edge: web::Data<Edge>, path: web::Path<String>) -> Result<HttpResponse, Refusal> {
    let by = admin(caller)?;
    let session = SessionId::parse(&path).map_err(|error| Refusal::Invalid(error.to_string()))?;
    if !ask(&edge, CloseSession(session)).await? {
        return Err(Refusal::NotFound("session"));
    }
    log::info!("{session} was closed, says {by:?}");
    Ok(done())
}

/// `GET /api/admin/nodes`: the processes that serve together; alone, this one.
pub async fn nodes(caller: Caller, edge: web::Data<Edge>) -> Result<HttpResponse, Refusal> {
    admin(caller)?;
    let census = ask(&edge, Survey).await?;
    let node = json!({
        "id": edge.about.node,
        "version": edge.about.version,
        "started_at": edge.about.started.wall,
        "sessions": census.sessions,
        "users": census.online,
        "live_calls": census.initiated + census.ringing + census.answered,
        "draining": census.draining,
    });
    Ok(HttpResponse::Ok().json(json!({ "success": true, "nodes": [node] })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_day_begins_at_midnight_utc() {
        let at = |text| time("since", text).unwrap();
        assert_eq!(midnight(at("2026-11-21T23:59:59.9Z")), at("2026-11-21T00:00:00Z"));
        assert_eq!(midnight(at("2026-11-21T00:00:00Z")), at("2026-11-21T00:00:00Z"));
    }
}
