//! `/api/calls/initiate`, `/api/calls/{id}/{accept,reject,end}`: calls by REST for pages of the channels
//! dialect, with the status codes and texts such pages know.

use actix_web::{HttpRequest, HttpResponse, web};

use super::auth::Caller;
use super::body::Text;
use super::call::retry_key;
use super::lapsed::InCall;
use super::{Edge, ask};
use crate::auth::Identity;
use crate::dialect::channels::{call_json, ended_json, rejected_json};
use crate::ids::{CallId, DeviceId, UserId};
use crate::router::messages::{Peer, Reply};
use crate::signal::{Addressee, CallView, Command, Refusal};
use crate::store::queries::{self, CallRow};

const NO_CALL: Refusal = Refusal::NotFound("Call");

/// What a path under `/api/calls/{id}/` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Accept,
    Reject,
    End,
}

impl Action {
    fn parse(segment: &str) -> Option<Self> {
        match segment {
            "accept" => Some(Self::Accept),
            "reject" => Some(Self::Reject),
            "end" => Some(Self::End),
            _ => None,
        }
    }

    fn command(self, call: CallId) -> Command {
        let to = Addressee { call: Some(call), user: None };
        match self {
            Self::Accept => Command::Accept { to, answer: None, extra: Vec::new() },
            Self::Reject => Command::Decline { to },
            Self::End => Command::HangUp { to },
        }
    }

    /// Why this user may not do it to this call, if they may not.
    fn forbids(self, row: &CallRow, user: &UserId) -> Option<Refusal> {
        let (allowed, why) = match self {
            Self::Accept | Self::Reject => {
                (row.callees().any(|callee| callee == user), "You are not the receiver of this call")
            }
            Self::End => (row.is_member(user), "You are not part of this call"),
        };
        (!allowed).then(|| Refusal::Forbidden(why.to_owned()))
    }

    fn reply(self, view: &CallView) -> HttpResponse {
        HttpResponse::Ok().json(match self {
            Self::Accept => call_json(view),
            Self::Reject => rejected_json(view),
            Self::End => ended_json(view),
        })
    }
}

/// Who acts: by the page's sockets, where they are one device. Of several, the one that goes on to send an
/// offer or an answer.
fn peer(edge: &Edge, identity: &Identity) -> Peer {
    let device = edge.directory.only(&identity.user, DeviceId::is_channels);
    Peer { user: identity.user.clone(), name: identity.channels_name().cloned(), device }
}

/// `POST /api/calls/initiate`: 201 with the call, whatever became of it.
pub async fn initiate(
    request: HttpRequest,
    caller: Caller,
    edge: web::Data<Edge>,
    Text(body): Text,
) -> Result<HttpResponse, Refusal> {
    let Caller(identity) = caller;
    let mut invite = edge.channels.initiate(&body)?;
    if let Some(key) = retry_key(&request)? {
        invite.idempotency_key = Some(key);
    }
    if let Some(key) = &invite.idempotency_key
        && let Some(known) = queries::find_by_key(&edge.store, &identity.user, key).await?
        && let Some(view) = known.ended_view()
    {
        return Ok(HttpResponse::Created().json(call_json(&view)));
    }
    for receiver in &invite.callees {
        let user = edge.directory.resolve(receiver.user.clone());
        let known = user == identity.user
            || user != receiver.user
            || edge.directory.has_seen(&user)
            || queries::is_known(&edge.store, &user).await?;
        if !known {
            return Err(Refusal::NotFound("Receiver"));
        }
    }
    match ask(&edge, peer(&edge, &identity), Command::Invite(invite)).await? {
        Reply::Call(view) => Ok(HttpResponse::Created().json(call_json(&view))),
        Reply::Relayed => Err(Refusal::Unavailable("the call")),
    }
}

/// `POST /api/calls/{id}/{accept,reject,end}`. The body says nothing that counts: how long a call lasted is
/// what the service saw.
pub async fn act(
    caller: InCall,
    edge: web::Data<Edge>,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Refusal> {
    let (id, action) = path.into_inner();
    let action = Action::parse(&action).ok_or(Refusal::NotFound("path"))?;
    let call = CallId::parse(&id).map_err(|_| NO_CALL)?;
    let command = caller.within(action.command(call), action == Action::End)?;
    let InCall { identity, .. } = caller;
    let user = identity.user.clone();
    // To the core a caller who declines gives up. While the database is away that is what happens: a call
    // must be able to end.
    if action == Action::Reject
        && let Ok(row) = queries::call(&edge.store, call).await
        && let Some(refusal) = row.map_or(Some(NO_CALL), |row| action.forbids(&row, &user))
    {
        return Err(refusal);
    }
    match ask(&edge, peer(&edge, &identity), command).await {
        Ok(Reply::Call(view)) => Ok(action.reply(&view)),
        Ok(Reply::Relayed) => Err(Refusal::Unavailable("the call")),
        Err(refusal @ (Refusal::NotFound(_) | Refusal::OutOfTurn(_) | Refusal::CallEnded(_))) => {
            late(&edge, &user, call, action, refusal).await
        }
        Err(refusal) => Err(refusal),
    }
}

/// What a refusal of the core means to this user, by the record.
async fn late(
    edge: &Edge,
    user: &UserId,
    call: CallId,
    action: Action,
    refusal: Refusal,
) -> Result<HttpResponse, Refusal> {
    let row = queries::call(&edge.store, call).await?.ok_or(NO_CALL)?;
    if let Some(refusal) = action.forbids(&row, user) {
        return Err(refusal);
    }
    match row.ended_view() {
        // The same again, after the router has forgotten.
        Some(view) if action != Action::Accept && row.ended_by.as_ref() == Some(user) => Ok(action.reply(&view)),
        Some(CallView { reason: Some(reason), .. }) => Err(Refusal::CallEnded(reason)),
        Some(_) | None => Err(refusal),
    }
}
