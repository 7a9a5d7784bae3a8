//! How many REST requests a user may make. Counted where the caller is made out, by
//! [`super::auth::Caller`], so no handler can forget it.

use actix_web::{HttpMessage, HttpRequest, web};

use super::credentials::Unvouched;
use crate::clock::Clock;
use crate::config::Settings;
use crate::ids::UserId;
use crate::limits::Requests;
use crate::signal::Refusal;

/// The budgets of every user. As app data `web::Data<RestLimits>`, one for all workers.
pub struct RestLimits {
    own: Requests,
    /// For requests that any page on the web may have made the user's browser send: they use up nothing of the user's own.
    unvouched: Requests,
}

/// Marks a request that was counted, as a handler may make out its caller twice.
struct Counted;

impl RestLimits {
    /// The limits as configured.
    pub fn new(settings: &Settings, clock: Clock) -> Self {
        let requests = || Requests::new(settings.limits.rest_per_second, settings.limits.rest_burst, clock);
        Self { own: requests(), unvouched: requests() }
    }

    /// Counts this request of `user`, once.
    pub fn count(request: &HttpRequest, user: &UserId) -> Result<(), Refusal> {
        let Some(limits) = request.app_data::<web::Data<Self>>() else { return Ok(()) };
        if request.extensions().contains::<Counted>() {
            return Ok(());
        }
        request.extensions_mut().insert(Counted);
        let unvouched = request.extensions().contains::<Unvouched>();
        let requests = if unvouched { &limits.unvouched } else { &limits.own };
        requests.take(user).map_err(Refusal::RateLimited)
    }
}
