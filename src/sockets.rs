//! Joins the socket edge to authentication: who may open a socket, by gate and token.

use actix_web::HttpRequest;
use actix_web::web::Data;
use futures_util::future::LocalBoxFuture;

use crate::auth::{Authenticator, Identity};
use crate::http::auth::{Denial, PathOwner, authenticate_socket};
use crate::ids::UserId;
use crate::signal::Refusal;
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
            match authenticate_socket(req, PathOwner::User(path_user)).await {
                Ok(Identity { user, name, expires_at, .. }) => Ok(Admitted { user, name, expires_at }),
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
