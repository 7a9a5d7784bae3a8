//! `/api/status/*`: heartbeats, what users say about themselves, and what is shown of others.

use std::collections::HashMap;

use actix::{Handler, Message};
use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::{Value, json};

use super::auth::Caller;
use super::body::Body;
use super::lapsed::InCall;
use super::{ANSWER_WITHIN, Edge, done};
use crate::auth::{Identity, Role};
use crate::clock::Timestamp;
use crate::ids::UserId;
use crate::presence::Status;
use crate::router::messages::{Beat, Say, Saying};
use crate::router::{CallRouter, Shown, Viewer};
use crate::signal::Refusal;
use crate::store::queries;

/// How many users one query may name.
const MAX_QUERIED: usize = 1000;

/// `POST /api/status/heartbeat`: a proof of life. Costs neither a database write nor, as a rule, a turn of
/// the router. Who was away is there when it is answered.
pub async fn heartbeat(caller: InCall, edge: web::Data<Edge>) -> Result<HttpResponse, Refusal> {
    caller.while_live()?;
    let InCall { identity, .. } = caller;
    edge.visibility.learn(&identity.user, identity.conversations.as_deref());
    if !edge.directory.beat(&identity.user, edge.clock.moment()) {
        taken(&edge, Beat { user: identity.user.clone(), name: identity.name.clone() }).await?;
    }
    Ok(done())
}

/// Hands the router what it has to know before the caller is answered.
async fn taken<M>(edge: &Edge, message: M) -> Result<(), Refusal>
where
    M: Message<Result = ()> + Send + 'static,
    CallRouter: Handler<M>,
{
    match tokio::time::timeout(ANSWER_WITHIN, edge.router.send(message)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(Refusal::Unavailable("the router")),
    }
}

/// What `POST /api/status/update` is told.
#[derive(Debug, Deserialize)]
pub struct Update {
    status: String,
}

/// `POST /api/status/update`: what a user says. Nobody can set or clear `in_call`; saying it is taken as
/// saying that one is there.
pub async fn update(
    caller: Caller,
    edge: web::Data<Edge>,
    Body(update): Body<Update>,
) -> Result<HttpResponse, Refusal> {
    let saying = match update.status.as_str() {
        "online" => Some(Saying::Online),
        "busy" => Some(Saying::Busy),
        "offline" => Some(Saying::Offline),
        "in_call" => None,
        other => {
            return Err(Refusal::Invalid(format!("status must be online, busy or offline, not \"{other:.32}\"")));
        }
    };
    let Caller(identity) = caller;
    let user = identity.user.clone();
    match saying {
        Some(saying) => {
            taken(&edge, Say { user: user.clone(), name: identity.name.clone(), saying }).await?;
        }
        None => taken(&edge, Beat { user: user.clone(), name: identity.name.clone() }).await?,
    }
    let shown = edge.directory.shown(&user);
    Ok(HttpResponse::Ok().json(json!({ "success": true, "status": shown.published.status.as_str() })))
}

/// `GET /api/status/user/{id}`: what is shown of a user. Unknown users are offline.
pub async fn user(caller: Caller, edge: web::Data<Edge>, path: web::Path<String>) -> Result<HttpResponse, Refusal> {
    let user = UserId::parse(&path).map_err(|error| Refusal::Invalid(error.to_string()))?;
    let (name, user) = resolve(&edge, user);
    let viewer = viewer(&edge, &caller.0);
    if !edge.visibility.shows(&user, &viewer) {
        let mut body = render(&edge, (&name, &user), &Shown::default(), None);
        body["success"] = true.into();
        return Ok(HttpResponse::Ok().json(body));
    }
    let shown = edge.directory.shown(&user);
    let earlier = if shown.last_seen.is_none() { earlier(&edge, std::slice::from_ref(&user)).await } else { None };
    let mut body = render(&edge, (&name, &user), &shown, earlier.as_ref());
    if let Some(fields) = body.as_object_mut() {
        fields.insert("success".to_owned(), true.into());
    }
    Ok(HttpResponse::Ok().json(body))
}

/// What `POST /api/status/query` asks.
#[derive(Debug, Deserialize)]
pub struct Query {
    user_ids: Vec<Value>,
}

/// `POST /api/status/query`: the same for up to 1,000 users, in the order they were named.
pub async fn query(caller: Caller, edge: web::Data<Edge>, Body(query): Body<Query>) -> Result<HttpResponse, Refusal> {
    if query.user_ids.len() > MAX_QUERIED {
        return Err(Refusal::TooLarge(format!("at most {MAX_QUERIED} users can be asked for at once")));
    }
    let asked: Vec<(UserId, UserId)> = query
        .user_ids
        .iter()
        .map(|id| UserId::from_json(id).map_err(|error| Refusal::Invalid(error.to_string())))
        .map(|user| user.map(|user| resolve(&edge, user)))
        .collect::<Result<_, _>>()?;
    let viewer = viewer(&edge, &caller.0);
    // Hidden ones are not looked up, and so look like those nobody knows.
    let visible: Vec<bool> = asked.iter().map(|(_, user)| edge.visibility.shows(user, &viewer)).collect();
    let shown: Vec<Shown> = asked
        .iter()
        .zip(&visible)
        .map(|((_, user), visible)| if *visible { edge.directory.shown(user) } else { Shown::default() })
        .collect();
    let unseen: Vec<UserId> = asked
        .iter()
        .zip(&shown)
        .zip(&visible)
        .filter(|((_, shown), visible)| **visible && shown.last_seen.is_none())
        .map(|(((_, user), _), _)| user.clone())
        .collect();
    let earlier = if unseen.is_empty() { None } else { earlier(&edge, &unseen).await };
    let statuses: Vec<Value> =
        asked.iter().zip(&shown).map(|((n, u), shown)| render(&edge, (n, u), shown, earlier.as_ref())).collect();
    Ok(HttpResponse::Ok().json(json!({ "success": true, "statuses": statuses })))
}

pub(super) fn viewer(edge: &Edge, identity: &Identity) -> Viewer {
    edge.visibility.learn(&identity.user, identity.conversations.as_deref());
    Viewer { user: identity.user.clone(), sees_all: identity.role != Role::User }
}

/// When users were last seen before this process; nothing while the database is away, as presence goes on
/// without it (and, where that is known, without waiting for it).
async fn earlier(edge: &Edge, users: &[UserId]) -> Option<HashMap<UserId, Timestamp>> {
    if !edge.writer.healthy() {
        return None;
    }
    queries::last_seen(&edge.store, users).await.ok()
}

/// A name as it was asked for, and whose it is: a profile is another address of a user.
fn resolve(edge: &Edge, name: UserId) -> (UserId, UserId) {
    let user = edge.directory.resolve(name.clone());
    (name, user)
}

fn render(
    edge: &Edge,
    (name, user): (&UserId, &UserId),
    shown: &Shown,
    earlier: Option<&HashMap<UserId, Timestamp>>,
) -> Value {
    let last_seen = match shown.last_seen {
        Some(at) => Some(edge.clock.now().wall_at(at)),
        None => earlier.and_then(|seen| seen.get(user)).copied(),
    };
    json!({
        "user_id": name.to_json(),
        "status": shown.published.status.as_str(),
        "online": shown.published.status != Status::Offline,
        "last_seen": last_seen,
        "current_call_with": shown.published.current_call_with.as_ref().map(UserId::to_json),
    })
}
