//! Tokens that expired during a call: what their bearers may still ask by REST, of that call alone.

use std::future::{Ready, ready};
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::{Error, FromRequest, HttpRequest, web};
use futures_util::future::{Either, LocalBoxFuture};
use tokio::sync::oneshot;

use super::auth::{Caller, ON_BEHALF_OF, Unknown, identify_rest, recall};
use super::limits::RestLimits;
use super::{ANSWER_WITHIN, Edge};
use crate::auth::{Identity, Lapsed, Rejected};
use crate::ids::CallId;
use crate::router::{Mailbox, Stay, Tie};
use crate::signal::{Command, Refusal};

/// Who makes a request that a call may need, as an argument of its handler: a [`Caller`], or somebody whose token
/// expired during their call.
#[derive(Debug)]
pub struct InCall {
    /// The caller. Nothing is to be learnt of one whose token has expired.
    pub identity: Arc<Identity>,
    /// The call they may speak of, where the token has expired.
    only: Option<Only>,
}

#[derive(Debug, Clone, Copy)]
struct Only {
    call: CallId,
    /// Whether they still have a part in it.
    live: bool,
}

impl InCall {
    /// Refuses a caller whose token has expired and whose part in the call is over.
    pub fn while_live(&self) -> Result<(), Refusal> {
        match self.only {
            None | Some(Only { live: true, .. }) => Ok(()),
            Some(Only { live: false, .. }) => Err(expired()),
        }
    }

    /// The command as one of their call, where it is about that and `allowed` there. Hanging up may be said again.
    pub fn within(&self, command: Command, allowed: bool) -> Result<Command, Refusal> {
        let Some(Only { call, .. }) = self.only else { return Ok(command) };
        if !matches!(command, Command::HangUp { .. }) {
            self.while_live()?;
        }
        Some(command).filter(|_| allowed).and_then(|command| command.within(call)).ok_or_else(expired)
    }

    /// The one call whose messages they may read; all, where it is `None`. How it ended may be read after it did.
    pub fn may_read(&self, mailbox: &Mailbox) -> Result<Option<CallId>, Refusal> {
        if !self.only.is_some_and(|only| mailbox.holds(only.call)) {
            self.while_live()?;
        }
        Ok(self.only.map(|only| only.call))
    }
}

fn expired() -> Refusal {
    Refusal::Unauthorized("the token has expired".to_owned())
}

impl From<Caller> for InCall {
    fn from(Caller(identity): Caller) -> Self {
        Self { identity, only: None }
    }
}

impl FromRequest for InCall {
    type Error = Error;
    type Future = Either<Ready<Result<Self, Error>>, LocalBoxFuture<'static, Result<Self, Error>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        if let Some(identity) = recall(request) {
            return Either::Left(ready(Caller::counted(request, identity).map(Self::from)));
        }
        let request = request.clone();
        Either::Right(Box::pin(async move {
            let why = match identify_rest(&request).await {
                Ok(identity) => return Caller::counted(&request, Ok(identity)).map(Self::from),
                Err(why) => why,
            };
            if let Unknown::Token(Rejected::Expired(lapsed)) = &why
                && let Some(only) = call_of(&request, lapsed).await?
            {
                RestLimits::count(&request, &lapsed.identity.user)?;
                // Another token may have said otherwise since.
                let identity = Identity { profiles: Vec::new(), conversations: None, ..lapsed.identity.clone() };
                return Ok(Self { identity: Arc::new(identity), only: Some(only) });
            }
            Err(why.refusal(&request).into())
        }))
    }
}

/// The call that the bearer of a token was in when it expired, if they may go on with it.
async fn call_of(request: &HttpRequest, Lapsed { identity, expired_at }: &Lapsed) -> Result<Option<Only>, Refusal> {
    // A service acts for others as long as its token holds.
    let Some(edge) = request.app_data::<web::Data<Edge>>().filter(|_| !request.headers().contains_key(&ON_BEHALF_OF))
    else {
        return Ok(None);
    };
    let (reply, tie) = oneshot::channel();
    let stay = Stay { user: identity.user.clone(), device: None, expired_at: *expired_at, reply };
    let busy = || Refusal::Unavailable("the router");
    edge.router.try_send(stay).map_err(|_| busy())?;
    match tokio::time::timeout(ANSWER_WITHIN, tie).await {
        Ok(Ok(Some(Tie::Live(call, _)))) => Ok(Some(Only { call, live: true })),
        Ok(Ok(Some(Tie::Over(call)))) => Ok(Some(Only { call, live: false })),
        // The call is gone while it was asked.
        Ok(Ok(None) | Err(_)) => Ok(None),
        Err(_) => Err(busy()),
    }
}
