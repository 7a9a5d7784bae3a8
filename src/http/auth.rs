//! Who makes a request or opens a socket, by its [`Credential`].
//!
//! REST: `Authorization: Bearer`, or the configured cookie. Sockets: the same, or the subprotocol pair `switchboard,
//! bearer.<token>`, or `?token=`. A service acts for somebody with `X-On-Behalf-Of: <user>`. In dev mode `X-User-Id`
//! and `X-User-Role`, or a socket's path, are believed where no token is shown. Ids in headers are percent-encoded.

use std::future::{Ready, ready};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header::HeaderName;
use actix_web::{Error, FromRequest, HttpMessage, HttpRequest, web};
use futures_util::future::{Either, LocalBoxFuture};

use super::Edge;
use super::credentials::{Credential, Unvouched, query, subprotocols};
use super::limits::RestLimits;
use crate::auth::{Authenticator, Identity, Rejected, Role};
use crate::ids::{UserId, from_header};
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denial {
    /// Its token came by the cookie alone, and its page is not one that may use that. Refused before the upgrade.
    OriginRequired,
    /// It has no token, or one that does not hold; the sentence says which.
    Unauthorized(String),
    /// Whether its token holds cannot be found out now.
    Unavailable,
    /// Its path is somebody else's.
    NotYours,
}

/// The refusal of a request with such a token. Where keys are missing it is the service that is at fault.
pub fn refusal_of(why: &Rejected) -> Refusal {
    match why {
        Rejected::NoKeys => Refusal::Unavailable("the key that tokens are checked with"),
        Rejected::Expired(_) | Rejected::Claim(_) | Rejected::Bad(_) => Refusal::Unauthorized(why.to_string()),
    }
}

impl Denial {
    fn of(why: &Rejected) -> Self {
        match why {
            Rejected::NoKeys => Self::Unavailable,
            Rejected::Expired(_) | Rejected::Claim(_) | Rejected::Bad(_) => Self::Unauthorized(why.to_string()),
        }
    }
}

/// A socket is not let in. But for a missing origin it is closed after its upgrade, as a browser cannot see why an
/// upgrade failed.
#[derive(Debug, Clone, PartialEq, Eq)]
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

/// The authenticator of the app.
pub(super) fn authenticator(request: &HttpRequest) -> Result<&web::Data<Authenticator>, Refusal> {
    // Only an app that forgot to register it has none; refusing is the safe side.
    request.app_data::<web::Data<Authenticator>>().ok_or(Refusal::Unavailable("authentication"))
}

/// Logs that a token is refused, notes it where it may be a guess, and says how long to delay that.
fn refuse(request: &HttpRequest, auth: &Authenticator, why: &Rejected) -> Option<Duration> {
    auth.log_refusal(why);
    if why.is_guess() { auth.failures.note(crate::net::client_address(request)?) } else { None }
}

/// Whether the answer to an upgrade must select [`SUBPROTOCOL`].
pub fn offers_subprotocol(request: &HttpRequest) -> bool {
    subprotocols(request).any(|offer| offer == SUBPROTOCOL)
}

/// Who makes a REST request.
pub async fn authenticate_rest(request: &HttpRequest) -> Result<Arc<Identity>, Refusal> {
    identify_rest(request).await.map_err(|why| why.refusal(request))
}

/// Why it is not known who makes a REST request.
pub(super) enum Unknown {
    /// The token does not hold.
    Token(Rejected),
    /// Anything else.
    Refused(Refusal),
}

impl Unknown {
    /// The answer, which notes a token that may be a guess.
    pub(super) fn refusal(self, request: &HttpRequest) -> Refusal {
        match self {
            Self::Token(why) => {
                let delay = authenticator(request).ok().and_then(|auth| refuse(request, auth, &why));
                delay.map_or_else(|| refusal_of(&why), Refusal::RateLimited)
            }
            Self::Refused(refusal) => refusal,
        }
    }
}

/// The same, for those who take a token that has expired.
pub(super) async fn identify_rest(request: &HttpRequest) -> Result<Arc<Identity>, Unknown> {
    let auth = authenticator(request).map_err(Unknown::Refused)?;
    let identity = match rest_credential(request, auth) {
        Some(credential) => {
            credential.vouched(request).map_err(Unknown::Refused)?;
            auth.verify_and_keep(&credential.token).await.map_err(Unknown::Token)?
        }
        None if auth.is_dev() => Arc::new(believed(request).map_err(Unknown::Refused)?),
        None => {
            let why = "send a token: Authorization: Bearer <token>".to_owned();
            return Err(Unknown::Refused(Refusal::Unauthorized(why)));
        }
    };
    on_behalf(request, identity).map_err(Unknown::Refused)
}

/// The token of a REST request. What dev mode believes comes before the cookie, which a browser sends to every service
/// on its own machine.
fn rest_credential<'a>(request: &'a HttpRequest, auth: &Authenticator) -> Option<Credential<'a>> {
    let is_believed = || auth.is_dev() && request.headers().contains_key(&USER_ID);
    Credential::shown_in(request).or_else(|| if is_believed() { None } else { Credential::in_cookie(request, auth) })
}

/// The same, where their token was seen before.
pub(super) fn recall(request: &HttpRequest) -> Option<Result<Arc<Identity>, Refusal>> {
    let auth = authenticator(request).ok()?;
    let credential = rest_credential(request, auth)?;
    let identity = auth.recall(&credential.token)?;
    Some(credential.vouched(request).and_then(|()| on_behalf(request, identity)))
}

/// The user a header names, percent-encoded where it must be.
fn user_in(request: &HttpRequest, name: &HeaderName) -> Option<Result<UserId, Refusal>> {
    let text = from_header(request.headers().get(name)?.as_bytes());
    let user = text.map_or_else(
        || Err(Refusal::Invalid(format!("{name} is not UTF-8"))),
        |text| UserId::parse(&text).map_err(|error| Refusal::Invalid(format!("{name}: {error}"))),
    );
    Some(user)
}

/// Dev mode without a token: who they say they are.
fn believed(request: &HttpRequest) -> Result<Identity, Refusal> {
    let user = user_in(request, &USER_ID)
        .ok_or_else(|| Refusal::Unauthorized("say who you are: X-User-Id, or a token".to_owned()))??;
    let role = match request.headers().get(&USER_ROLE) {
        None => Role::User,
        Some(role) => (role.to_str().ok())
            .and_then(|role| Role::parse(role.trim()))
            .ok_or_else(|| Refusal::Invalid("X-User-Role is user, admin or service".to_owned()))?,
    };
    Ok(Identity::plain(user, role))
}

fn on_behalf(request: &HttpRequest, identity: Arc<Identity>) -> Result<Arc<Identity>, Refusal> {
    let Some(user) = user_in(request, &ON_BEHALF_OF) else { return Ok(identity) };
    if identity.role != Role::Service {
        return Err(Refusal::Forbidden("only services act on behalf of others".to_owned()));
    }
    // As that user, with nothing of the service's own: neither its name nor its view of everybody's calls.
    Ok(Arc::new(Identity { expires_at: identity.expires_at, ..Identity::plain(user?, Role::User) }))
}

/// Who opens a socket, and whether its path is theirs. The identity of a service on a user's path is
/// that user, as it acts for them. One whose `expires_at` has passed may be in a call that outlasts its token.
pub async fn authenticate_socket(request: &HttpRequest, owner: PathOwner<'_>) -> Result<Identity, SocketDenied> {
    let denied = |why| SocketDenied { why, delay: Duration::ZERO };
    let unauthorized = |why: &str| denied(Denial::Unauthorized(why.to_owned()));
    let auth = authenticator(request).map_err(|refusal| unauthorized(&refusal.to_string()))?;
    let credential = Credential::of_socket(request, auth);
    let (identity, own) = match &credential {
        Some(credential) => {
            credential.vouched(request).map_err(|_| denied(Denial::OriginRequired))?;
            let identity = match auth.verify(&credential.token).await {
                Ok(identity) => identity,
                // A service acts for others as long as its token holds.
                Err(Rejected::Expired(lapsed)) if lapsed.identity.role != Role::Service => lapsed.identity,
                Err(why) => {
                    let delay = refuse(request, auth, &why).unwrap_or_default();
                    return Err(SocketDenied { why: Denial::of(&why), delay });
                }
            };
            let own = match owner {
                PathOwner::User(user) => identity.may_act_for(user),
                PathOwner::Profile { kind, id } => identity.has_profile(kind, id),
                PathOwner::Token => true,
            };
            (identity, own)
        }
        None if auth.is_dev() => {
            let user = match owner {
                PathOwner::User(user) => Some(user.clone()),
                PathOwner::Profile { kind, id } => UserId::parse(&format!("{kind}_{id}")).ok(),
                PathOwner::Token => query(request, "user_id")
                    .and_then(|user| UserId::parse(&user).ok())
                    .or_else(|| user_in(request, &USER_ID)?.ok()),
            };
            let user = user.ok_or_else(|| unauthorized("say who you are: ?user_id=, or a token"))?;
            // Believed: the path is theirs because they say so.
            (Identity::plain(user, Role::User), true)
        }
        None => return Err(unauthorized("there is no token")),
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
    pub(super) fn counted(request: &HttpRequest, identity: Result<Arc<Identity>, Refusal>) -> Result<Self, Error> {
        let identity = identity?;
        RestLimits::count(request, &identity.user)?;
        // Any page on the web can make a browser send what nobody vouches for.
        if let Some(edge) = request.app_data::<web::Data<Edge>>()
            && !request.extensions().contains::<Unvouched>()
        {
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

#[cfg(test)]
#[path = "auth_tests.rs"]
mod tests;
