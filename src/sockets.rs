//! Joins the socket edge to the rest: who may open a socket, by gate and token; what a welcome says.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::web::Data;
use futures_util::future::LocalBoxFuture;

use crate::auth::{Authenticator, Identity, Role};
use crate::clock::Timestamp;
use crate::http::auth::{Denial, PathOwner, authenticate_socket};
use crate::ice::IceServers;
use crate::ids::UserId;
use crate::router::Visibility;
use crate::signal::Refusal;
use crate::store::{Store, queries};
use crate::ws::{Admission, Admitted, Denied, Facts, Freshness};

/// Judges by the tokens of `auth` and the origins of `http::gate`.
pub struct TokenAdmission {
    authenticator: Data<Authenticator>,
    visibility: Arc<Visibility>,
}

impl TokenAdmission {
    /// Judges with this authenticator, and passes on what tokens say of conversations.
    pub fn new(authenticator: Data<Authenticator>, visibility: Arc<Visibility>) -> Self {
        Self { authenticator, visibility }
    }
}

impl Admission for TokenAdmission {
    fn admit<'a>(
        &'a self,
        req: &'a HttpRequest,
        path_user: &'a UserId,
    ) -> LocalBoxFuture<'a, Result<Admitted, Denied>> {
        // A foreign origin does not get here: the gate stands before every route.
        Box::pin(async move {
            match authenticate_socket(req, PathOwner::User(path_user)).await {
                Ok(Identity { user, name, expires_at, conversations, role, .. }) => {
                    Ok(Admitted { user, name, expires_at, conversations, sees_all: role != Role::User })
                }
                Err(denied) => {
                    tokio::time::sleep(denied.delay).await;
                    Err(match denied.why {
                        Denial::NoToken | Denial::Expired | Denial::Bad => Denied::Unauthorized,
                        Denial::NotYours => Denied::Forbidden,
                    })
                }
            }
        })
    }

    fn refresh(&self, user: UserId, token: String) -> Freshness {
        let (authenticator, visibility) = (self.authenticator.clone(), Arc::clone(&self.visibility));
        Box::pin(async move {
            let identity = authenticator.verify(&token).await.map_err(|why| Refusal::Unauthorized(why.to_string()))?;
            if identity.may_act_for(&user) {
                visibility.learn(&identity.user, identity.conversations.as_deref());
                Ok(identity.expires_at)
            } else {
                Err(Refusal::Forbidden("that token is somebody else's".to_owned()))
            }
        })
    }
}

/// What the settings and the database know.
pub struct StoredFacts {
    /// The database.
    pub store: Store,
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
        let store = self.store.clone();
        Box::pin(async move { queries::unseen_count(&store, Some(&user)).await.ok() })
    }

    fn last_seen(&self, users: Vec<UserId>) -> LocalBoxFuture<'static, HashMap<UserId, Timestamp>> {
        let store = self.store.clone();
        Box::pin(async move { queries::last_seen(&store, &users).await.unwrap_or_default() })
    }
}
