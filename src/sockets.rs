//! Joins the socket edge to the rest: who may open a socket, by gate and token; what a welcome says.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use actix::Addr;
use actix_web::HttpRequest;
use actix_web::web::Data;
use futures_util::future::LocalBoxFuture;

use crate::auth::{Authenticator, Identity, Role};
use crate::clock::{Clock, Timestamp};
use crate::http::auth::{Denial, PathOwner, authenticate_socket, refusal_of};
use crate::ice::IceServers;
use crate::ids::UserId;
use crate::router::{CallRouter, Directory, Visibility, learn};
use crate::signal::{Profile, Refusal};
use crate::store::{Store, Unseen, queries};
use crate::ws::channels::{ChannelsAdmission, Place};
use crate::ws::{Admission, Admitted, Denied, Door, Facts, Freshness};

/// Judges by the tokens of `auth` and the origins of `http::gate`.
#[derive(Clone)]
pub struct TokenAdmission {
    authenticator: Data<Authenticator>,
    directory: Arc<Directory>,
    router: Addr<CallRouter>,
    visibility: Arc<Visibility>,
    clock: Clock,
}

impl TokenAdmission {
    /// Judges with this authenticator, and passes on which profiles are whose and what tokens say of
    /// conversations.
    pub fn new(
        authenticator: Data<Authenticator>,
        directory: Arc<Directory>,
        router: Addr<CallRouter>,
        visibility: Arc<Visibility>,
        clock: Clock,
    ) -> Self {
        Self { authenticator, directory, router, visibility, clock }
    }

    /// Notes whose the profiles are that a token names. Nothing is learnt from one that has expired, neither that nor
    /// its conversations: others may have said otherwise since.
    fn learn(&self, identity: &mut Identity) {
        if identity.expires_at.is_some_and(|at| at <= self.clock.wall()) {
            identity.conversations = None;
        } else {
            learn(&self.directory, &self.router, &identity.user, &identity.profiles);
        }
    }

    /// Whose the socket is. Nobody's token stands for a profile that is believed, or that a service acts for:
    /// it is the user's whose it is known to be.
    fn user(&self, identity: &Identity, door: Door<'_>) -> UserId {
        let user = identity.user.clone();
        match door {
            Door::Profile(_) if identity.expires_at.is_none() || identity.role == Role::Service => {
                self.directory.resolve(user)
            }
            Door::Profile(_) | Door::User(_) => user,
        }
    }
}

impl Admission for TokenAdmission {
    fn admit<'a>(&'a self, req: &'a HttpRequest, door: Door<'a>) -> LocalBoxFuture<'a, Result<Admitted, Denied>> {
        // A foreign origin does not get here: the gate stands before every route.
        Box::pin(async move {
            let owner = match door {
                Door::User(user) => PathOwner::User(user),
                Door::Profile(Profile { kind, id }) => PathOwner::Profile { kind, id },
            };
            let mut identity = identify(req, owner).await?;
            // Before the socket itself is announced, so that it can be called by them at once.
            self.learn(&mut identity);
            let user = self.user(&identity, door);
            Ok(admitted(identity, user))
        })
    }

    fn refresh(&self, user: UserId, profile: Option<Profile>, sees_all: bool, token: String) -> Freshness {
        let (authenticator, visibility) = (self.authenticator.clone(), Arc::clone(&self.visibility));
        Box::pin(async move {
            let identity = fresh(&authenticator, &token).await?;
            let shows = profile.is_none_or(|profile| identity.has_profile(&profile.kind, &profile.id));
            // What was told to an administrator is not told on to whoever is one no more.
            if sees_all && identity.role == Role::User {
                Err(Refusal::Forbidden("that token's role is less than this socket was opened with".to_owned()))
            } else if identity.may_act_for(&user) && shows {
                visibility.learn(&identity.user, identity.conversations.as_deref());
                Ok(identity.expires_at)
            } else {
                Err(Refusal::Forbidden("that token is somebody else's".to_owned()))
            }
        })
    }
}

/// Whose a fresh token is.
async fn fresh(authenticator: &Authenticator, token: &str) -> Result<Identity, Refusal> {
    authenticator.verify(token).await.map_err(|why| {
        authenticator.log_refusal(&why);
        refusal_of(&why)
    })
}

/// What the settings and the database know.
pub struct StoredFacts {
    /// The database.
    pub store: Store,
    /// The same, about missed calls.
    pub unseen: Unseen,
    /// STUN and TURN.
    pub ice: IceServers,
    /// How often clients beat.
    pub heartbeat: Duration,
}

impl Facts for StoredFacts {
    fn ice_servers(&self, user: &UserId) -> serde_json::Value {
        self.ice.of(user)
    }

    fn heartbeat_ms(&self) -> u64 {
        u64::try_from(self.heartbeat.as_millis()).unwrap_or(u64::MAX)
    }

    fn unseen_missed(&self, user: UserId) -> LocalBoxFuture<'static, Option<u64>> {
        let unseen = self.unseen.clone();
        Box::pin(async move { unseen.count(user).await })
    }

    fn last_seen(&self, users: Vec<UserId>) -> LocalBoxFuture<'static, HashMap<UserId, Timestamp>> {
        let store = self.store.clone();
        Box::pin(async move { queries::last_seen(&store, &users).await.unwrap_or_default() })
    }
}

/// Who asks for a socket; said late to whom has failed too often.
async fn identify(req: &HttpRequest, owner: PathOwner<'_>) -> Result<Identity, Denied> {
    match authenticate_socket(req, owner).await {
        Ok(identity) => Ok(identity),
        Err(denied) => {
            tokio::time::sleep(denied.delay).await;
            Err(match denied.why {
                Denial::OriginRequired => Denied::Refused(Refusal::OriginRequired),
                Denial::Unauthorized(why) => Denied::Unauthorized(why),
                Denial::Unavailable => Denied::Overloaded,
                Denial::NotYours => Denied::Forbidden,
            })
        }
    }
}

/// What a socket is told of who opens it.
fn admitted(Identity { name, expires_at, conversations, role, .. }: Identity, user: UserId) -> Admitted {
    Admitted { user, name, expires_at, conversations, sees_all: role != Role::User }
}

/// Judges who may join a conversation, for sockets whose path names no user.
pub struct Members {
    tokens: TokenAdmission,
    /// Whether any authenticated user may join any conversation.
    open: bool,
}

impl Members {
    /// Judges by the same tokens.
    pub fn new(tokens: TokenAdmission, open: bool) -> Self {
        Self { tokens, open }
    }
}

fn may_be_at(identity: &Identity, place: &Place, open: bool) -> bool {
    match place {
        Place::Notifications => true,
        Place::Chat(conversation) => identity.may_join(conversation.as_str(), open),
    }
}

impl ChannelsAdmission for Members {
    fn admit<'a>(&'a self, req: &'a HttpRequest, place: &'a Place) -> LocalBoxFuture<'a, Result<Admitted, Denied>> {
        Box::pin(async move {
            let mut identity = identify(req, PathOwner::Token).await?;
            if !may_be_at(&identity, place, self.open) {
                return Err(Denied::Forbidden);
            }
            self.tokens.learn(&mut identity);
            self.tokens.visibility.learn(&identity.user, identity.conversations.as_deref());
            let (user, name) = (identity.user.clone(), identity.channels_name().cloned());
            Ok(Admitted { name, ..admitted(identity, user) })
        })
    }

    fn refresh(&self, user: UserId, place: Place, token: String) -> Freshness {
        let (authenticator, open) = (self.tokens.authenticator.clone(), self.open);
        Box::pin(async move {
            let identity = fresh(&authenticator, &token).await?;
            if !identity.may_act_for(&user) {
                return Err(Refusal::Forbidden("that token is somebody else's".to_owned()));
            }
            if !may_be_at(&identity, &place, open) {
                return Err(Refusal::Forbidden("that token is not for this conversation".to_owned()));
            }
            Ok(identity.expires_at)
        })
    }
}
