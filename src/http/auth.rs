//! Where credentials stand in a request, and what follows from them.
//!
//! REST: `Authorization: Bearer`. Sockets: the same, or the subprotocol pair `switchboard,
//! bearer.<token>`, `?token=`, or the configured cookie; the first of these that is there is the one
//! that counts. A service acts for somebody with `X-On-Behalf-Of: <user>`. In dev mode `X-User-Id`
//! and `X-User-Role`, or a socket's path, are believed where there is no token.

use std::future::{Ready, ready};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderName};
use actix_web::{Error, FromRequest, HttpRequest, HttpResponse, web};
use futures_util::future::{Either, LocalBoxFuture};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Edge;
use super::body::Body;
use super::limits::RestLimits;
use crate::auth::{Authenticator, Grant, Identity, Rejected, Role};
use crate::ids::UserId;
use crate::router::learn;
use crate::signal::Refusal;

/// Who the caller is, in dev mode.
pub const USER_ID: HeaderName = HeaderName::from_static("x-user-id");
/// Their role, in dev mode.
pub const USER_ROLE: HeaderName = HeaderName::from_static("x-user-role");
/// For whom a service acts.
pub const ON_BEHALF_OF: HeaderName = HeaderName::from_static("x-on-behalf-of");

/// The subprotocol to select when a client offers it; browsers drop a socket whose offer was not
/// answered.
pub const SUBPROTOCOL: &str = "switchboard";

/// Why a socket is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denial {
    /// It has no token.
    NoToken,
    /// Its token held once.
    Expired,
    /// Its token does not hold.
    Bad,
    /// Its path is somebody else's.
    NotYours,
}

/// A socket is not let in. It is closed after its upgrade, as a browser cannot see why an upgrade
/// failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SocketDenied {
    /// Why.
    pub why: Denial,
    /// How long to wait before saying so: zero, unless its address had too many bad tokens.
    pub delay: Duration,
}

/// Whose a socket's path says it is.
#[derive(Debug, Clone, Copy)]
pub enum PathOwner<'a> {
    /// `/ws/{user_id}`
    User(&'a UserId),
    /// `/ws/{profile_id}/{role}`
    Profile {
        /// The kind, `tutor`.
        kind: &'a str,
        /// The id, `1`.
        id: &'a str,
    },
    /// The path says nothing; the token does. In dev mode without one: `?user_id=` or `X-User-Id`.
    Token,
}

fn authenticator(request: &HttpRequest) -> Result<&web::Data<Authenticator>, Refusal> {
    // Only an app that forgot to register it has none; refusing is the safe side.
    request.app_data::<web::Data<Authenticator>>().ok_or(Refusal::Unavailable("authentication"))
}

/// Notes a token that did not hold, and says how long to delay that.
fn note_failure(request: &HttpRequest, auth: &Authenticator) -> Option<Duration> {
    auth.failures.note(request.peer_addr()?.ip())
}

fn header_text<'a>(request: &'a HttpRequest, name: &HeaderName) -> Option<&'a str> {
    request.headers().get(name)?.to_str().ok()
}

fn bearer(request: &HttpRequest) -> Option<&str> {
    let credentials = std::str::from_utf8(request.headers().get(header::AUTHORIZATION)?.as_bytes()).ok()?;
    let (scheme, token) = credentials.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn query(request: &HttpRequest, name: &str) -> Option<String> {
    let pairs = web::Query::<Vec<(String, String)>>::from_query(request.query_string()).ok()?.into_inner();
    pairs.into_iter().find(|(key, _)| key == name).map(|(_, value)| value)
}

fn subprotocols(request: &HttpRequest) -> impl Iterator<Item = &str> {
    let offers = request.headers().get_all(header::SEC_WEBSOCKET_PROTOCOL);
    offers.filter_map(|offer| offer.to_str().ok()).flat_map(|offer| offer.split(',')).map(str::trim)
}

fn cookie(request: &HttpRequest, name: &str) -> Option<String> {
    let cookies = request.headers().get_all(header::COOKIE).filter_map(|cookies| cookies.to_str().ok());
    let mut pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value.trim_matches('"').to_owned())
}

fn socket_token(request: &HttpRequest, auth: &Authenticator) -> Option<String> {
    bearer(request)
        .or_else(|| subprotocols(request).find_map(|p| p.strip_prefix("bearer.")))
        .map(str::to_owned)
        .or_else(|| query(request, "token"))
        .or_else(|| cookie(request, auth.cookie.as_deref()?))
        .filter(|token| !token.is_empty())
}

/// Whether the answer to an upgrade must select [`SUBPROTOCOL`].
pub fn offers_subprotocol(request: &HttpRequest) -> bool {
    subprotocols(request).any(|offer| offer == SUBPROTOCOL)
}

/// Who makes a REST request.
pub async fn authenticate_rest(request: &HttpRequest) -> Result<Arc<Identity>, Refusal> {
    let auth = authenticator(request)?;
    let identity = match bearer(request) {
        Some(token) => auth.verify_and_keep(token).await.map_err(|why| match note_failure(request, auth) {
            Some(delay) => Refusal::RateLimited(delay),
            None => Refusal::Unauthorized(why.to_string()),
        })?,
        None if auth.is_dev() => Arc::new(believed(request)?),
        None => return Err(Refusal::Unauthorized("send a token: Authorization: Bearer <token>".to_owned())),
    };
    on_behalf(request, identity)
}

/// The same, where their token was seen before.
fn recall(request: &HttpRequest) -> Option<Result<Arc<Identity>, Refusal>> {
    let identity = authenticator(request).ok()?.recall(bearer(request)?)?;
    Some(on_behalf(request, identity))
}

/// Dev mode without a token: who they say they are.
fn believed(request: &HttpRequest) -> Result<Identity, Refusal> {
    let user = header_text(request, &USER_ID)
        .ok_or_else(|| Refusal::Unauthorized("say who you are: X-User-Id, or a token".to_owned()))?;
    let user = UserId::parse(user.trim()).map_err(|error| Refusal::Invalid(error.to_string()))?;
    let role = match header_text(request, &USER_ROLE) {
        None => Role::User,
        Some(role) => Role::parse(role.trim())
            .ok_or_else(|| Refusal::Invalid("X-User-Role is user, admin or service".to_owned()))?,
    };
    Ok(Identity::plain(user, role))
}

fn on_behalf(request: &HttpRequest, identity: Arc<Identity>) -> Result<Arc<Identity>, Refusal> {
    let Some(other) = request.headers().get(&ON_BEHALF_OF) else { return Ok(identity) };
    if identity.role != Role::Service {
        return Err(Refusal::Forbidden("only services act on behalf of others".to_owned()));
    }
    let other = other.to_str().unwrap_or_default().trim();
    let user = UserId::parse(other).map_err(|error| Refusal::Invalid(error.to_string()))?;
    // As that user, with nothing of the service's own: neither its name nor its view of everybody's calls.
    Ok(Arc::new(Identity { expires_at: identity.expires_at, ..Identity::plain(user, Role::User) }))
}

/// Who opens a socket, and whether its path is theirs. The identity of a service on a user's path is
/// that user, as it acts for them.
pub async fn authenticate_socket(request: &HttpRequest, owner: PathOwner<'_>) -> Result<Identity, SocketDenied> {
    let denied = |why| SocketDenied { why, delay: Duration::ZERO };
    let auth = authenticator(request).map_err(|_| denied(Denial::Bad))?;
    let identity = match socket_token(request, auth) {
        Some(token) => auth.verify(&token).await.map_err(|rejected| SocketDenied {
            why: match rejected {
                Rejected::Expired => Denial::Expired,
                Rejected::Bad => Denial::Bad,
            },
            delay: note_failure(request, auth).unwrap_or_default(),
        })?,
        None if auth.is_dev() => {
            let user = match owner {
                PathOwner::User(user) => Some(user.clone()),
                PathOwner::Profile { kind, id } => UserId::parse(&format!("{kind}_{id}")).ok(),
                PathOwner::Token => query(request, "user_id")
                    .or_else(|| header_text(request, &USER_ID).map(str::to_owned))
                    .and_then(|user| UserId::parse(&user).ok()),
            };
            Identity::plain(user.ok_or(denied(Denial::NoToken))?, Role::User)
        }
        None => return Err(denied(Denial::NoToken)),
    };
    let own = match owner {
        PathOwner::User(user) => identity.may_act_for(user),
        PathOwner::Profile { kind, id } => identity.has_profile(kind, id),
        PathOwner::Token => true,
    };
    if !own {
        return Err(denied(Denial::NotYours));
    }
    let stands_for = match (owner, identity.role) {
        (PathOwner::User(user), Role::Service) => Some(user.clone()),
        (PathOwner::Profile { kind, id }, Role::Service) => {
            Some(UserId::parse(&format!("{kind}_{id}")).map_err(|_| denied(Denial::NotYours))?)
        }
        _ => None,
    };
    Ok(match stands_for {
        // The service's own name and profiles are not theirs.
        Some(user) if user != identity.user => Identity { user, name: None, profiles: Vec::new(), ..identity },
        _ => identity,
    })
}

/// Who makes a REST request, as an argument of its handler: authenticated, and counted against the
/// user's rate.
#[derive(Debug, Clone)]
pub struct Caller(pub Arc<Identity>);

impl Caller {
    fn counted(request: &HttpRequest, identity: Result<Arc<Identity>, Refusal>) -> Result<Self, Error> {
        let identity = identity?;
        RestLimits::count(request, &identity.user)?;
        if let Some(edge) = request.app_data::<web::Data<Edge>>() {
            learn(&edge.directory, &edge.router, &identity.user, &identity.profiles);
        }
        Ok(Self(identity))
    }
}

impl FromRequest for Caller {
    type Error = Error;
    type Future = Either<Ready<Result<Self, Error>>, LocalBoxFuture<'static, Result<Self, Error>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        // Most requests are not a client's first, and there is nothing to wait for.
        if let Some(identity) = recall(request) {
            return Either::Left(ready(Self::counted(request, identity)));
        }
        let request = request.clone();
        Either::Right(Box::pin(async move { Self::counted(&request, authenticate_rest(&request).await) }))
    }
}

/// What `POST /api/dev/token` is asked for.
#[derive(Debug, Deserialize)]
pub struct TokenRequest {
    user: Value,
    name: Option<String>,
    role: Option<String>,
    #[serde(default)]
    profiles: Vec<ProfileRequest>,
    conversations: Option<Vec<Value>>,
    ttl: Option<String>,
}

#[derive(Debug, Deserialize)]
struct ProfileRequest {
    #[serde(rename = "type")]
    kind: String,
    id: Value,
}

/// How long a token holds when nobody says.
pub const DEFAULT_TTL: Duration = Duration::from_secs(3600);

/// `POST /api/dev/token`: mints a token for anybody. In jwt mode there is no such path.
pub async fn dev_token(request: HttpRequest, Body(wanted): Body<TokenRequest>) -> Result<HttpResponse, Refusal> {
    let auth = authenticator(&request)?;
    if !auth.is_dev() {
        return Err(Refusal::NotFound("path"));
    }
    let invalid = |error: crate::ids::InvalidId| Refusal::Invalid(error.to_string());
    let text = |id: &Value| UserId::from_json(id).map(|id| id.to_string()).map_err(invalid);
    let grant = Grant {
        user: UserId::from_json(&wanted.user).map_err(invalid)?,
        name: wanted.name,
        role: wanted
            .role
            .map_or(Some(Role::User), |role| Role::parse(&role))
            .ok_or_else(|| Refusal::Invalid("role is user, admin or service".to_owned()))?,
        profiles: wanted.profiles.into_iter().map(|p| Ok((p.kind, text(&p.id)?))).collect::<Result<_, Refusal>>()?,
        conversations: wanted.conversations.map(|ids| ids.iter().map(text).collect()).transpose()?,
        ttl: match &wanted.ttl {
            None => DEFAULT_TTL,
            Some(ttl) => crate::config::duration(ttl)
                .ok_or_else(|| Refusal::Invalid("ttl is a duration such as 1h".to_owned()))?,
        },
    };
    let token = auth.mint(&grant).map_err(Refusal::Invalid)?;
    Ok(HttpResponse::Ok().json(json!({ "success": true, "token": token, "expires_in": grant.ttl.as_secs() })))
}

#[cfg(test)]
#[path = "auth_tests.rs"]
mod tests;
