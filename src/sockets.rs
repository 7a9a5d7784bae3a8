//! Joins the socket edge to authentication: who may open a socket, by gate and token.

use actix_web::HttpRequest;
use actix_web::web::Data;
use futures_util::future::LocalBoxFuture;

use crate::auth::{Authenticator, Identity};
use crate::http::auth::{Denial, PathOwner, authenticate_socket};
use crate::ids::UserId;
use crate::signal::Refusal;
use crate::ws::channels::{ChannelsAdmission, Place};
use crate::ws::{Admission, Admitted, Denied, Freshness};

/// Judges by the tokens of `auth` and the origins of `http::gate`.
pub struct TokenAdmission {
    authenticator: Data<Authenticator>,
}

impl TokenAdmission {
    /// Judges with this authenticator.
    pub fn new(authenticator: Data<Authenticator>) -> Self {
        Self { authenticator }
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
            let Identity { user, name, expires_at, .. } = identify(req, PathOwner::User(path_user)).await?;
            Ok(Admitted { user, name, expires_at })
        })
    }

    fn refresh(&self, user: UserId, token: String) -> Freshness {
        let authenticator = self.authenticator.clone();
        Box::pin(async move {
            let identity = authenticator.verify(&token).await.map_err(|why| Refusal::Unauthorized(why.to_string()))?;
            if identity.may_act_for(&user) {
                Ok(identity.expires_at)
            } else {
                Err(Refusal::Forbidden("that token is somebody else's".to_owned()))
            }
        })
    }
}

/// Who asks for a socket; said late to whom has failed too often.
async fn identify(req: &HttpRequest, owner: PathOwner<'_>) -> Result<Identity, Denied> {
    match authenticate_socket(req, owner).await {
        Ok(identity) => Ok(identity),
        Err(denied) => {
            tokio::time::sleep(denied.delay).await;
            Err(match denied.why {
                Denial::NoToken | Denial::Expired | Denial::Bad => Denied::Unauthorized,
                Denial::NotYours => Denied::Forbidden,
            })
        }
    }
}

/// Judges who may join a conversation, for sockets whose path names no user.
pub struct Members {
    authenticator: Data<Authenticator>,
    /// Whether any authenticated user may join any conversation.
    open: bool,
}

impl Members {
    /// Judges with this authenticator.
    pub fn new(authenticator: Data<Authenticator>, open: bool) -> Self {
        Self { authenticator, open }
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
            let identity = identify(req, PathOwner::Token).await?;
            if !may_be_at(&identity, place, self.open) {
                return Err(Denied::Forbidden);
            }
            let Identity { user, name, expires_at, .. } = identity;
            Ok(Admitted { user, name, expires_at })
        })
    }

    fn refresh(&self, user: UserId, place: Place, token: String) -> Freshness {
        let (authenticator, open) = (self.authenticator.clone(), self.open);
        Box::pin(async move {
            let identity = authenticator.verify(&token).await.map_err(|why| Refusal::Unauthorized(why.to_string()))?;
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
