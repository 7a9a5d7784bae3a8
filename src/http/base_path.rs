//! The path below which the service is reached, such as `/calls`, where a proxy passes it on.
//!
//! It is taken off before anything else looks at a request, so that routes, pages and sockets know nothing of it.
//! Requests without it are served as ever: they come from proxies that take it off themselves, and from checks of health.

use std::future::{Ready, ready};
use std::rc::Rc;

use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use actix_web::http::uri::PathAndQuery;
use actix_web::http::{Uri, header};
use actix_web::{Error, HttpResponse};
use futures_util::future::Either;

use crate::config::Settings;

/// Takes the path off. Wrapped around an app: `.wrap(base_path)`.
#[derive(Debug, Clone)]
pub struct BasePath(String);

impl BasePath {
    /// As configured; empty, and nothing is taken off.
    pub fn new(settings: &Settings) -> Self {
        Self(settings.server.base_path.clone())
    }
}

impl<S> Transform<S, ServiceRequest> for BasePath
where
    S: Service<ServiceRequest, Response = ServiceResponse, Error = Error>,
{
    type Response = ServiceResponse;
    type Error = Error;
    type InitError = ();
    type Transform = Below<S>;
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(Below { service, path: self.0.as_str().into() }))
    }
}

/// The app below the path.
pub struct Below<S> {
    service: S,
    path: Rc<str>,
}

impl<S> Service<ServiceRequest> for Below<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse, Error = Error>,
{
    type Response = ServiceResponse;
    type Error = Error;
    type Future = Either<S::Future, Ready<Result<ServiceResponse, Error>>>;

    forward_ready!(service);

    fn call(&self, mut request: ServiceRequest) -> Self::Future {
        match place(&self.path, request.uri()) {
            Place::Elsewhere => {}
            Place::Below(uri) => {
                request.match_info_mut().get_mut().update(&uri);
                request.head_mut().uri = uri;
            }
            Place::Door(address) => {
                let answer = HttpResponse::TemporaryRedirect().insert_header((header::LOCATION, address)).finish();
                return Either::Right(ready(Ok(request.into_response(answer))));
            }
        }
        Either::Left(self.service.call(request))
    }
}

/// Where a request wants to.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// Somewhere below the path: what is left of its address.
    Below(Uri),
    /// To the path itself, which without a slash at its end would not be what the call page's parts are below. Leads
    /// there by an address relative to this one.
    Door(String),
    /// Not below the path.
    Elsewhere,
}

fn place(base: &str, uri: &Uri) -> Place {
    let Some(rest) = uri.path().strip_prefix(base).filter(|_| !base.is_empty()) else { return Place::Elsewhere };
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    if rest.is_empty() {
        let last = base.rsplit('/').next().unwrap_or_default();
        return Place::Door(format!("{last}/{query}"));
    }
    if !rest.starts_with('/') {
        return Place::Elsewhere;
    }
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = PathAndQuery::try_from(format!("{rest}{query}")).ok();
    // A part of an address is one, too.
    Uri::from_parts(parts).map_or(Place::Elsewhere, Place::Below)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_below_the_path_is_what_is_left_of_it() {
        let below = |to: &str| Place::Below(to.parse().unwrap());
        let door = |to: &str| Place::Door(to.to_owned());
        for (base, uri, wanted) in [
            ("/calls", "/calls/api/about", below("/api/about")),
            ("/calls", "/calls/?user=1", below("/?user=1")),
            ("/calls", "/calls/ws/a%2Fb?device_id=x", below("/ws/a%2Fb?device_id=x")),
            ("/calls", "http://host:1/calls/readyz", below("http://host:1/readyz")),
            ("/calls", "/calls//x", below("//x")),
            ("/calls", "/calls", door("calls/")),
            ("/calls", "/calls?user=1", door("calls/?user=1")),
            ("/a/b", "/a/b", door("b/")),
            ("/a/b", "/a/b/healthz", below("/healthz")),
            ("/a/b", "/a/healthz", Place::Elsewhere),
            ("/calls", "/callsigns", Place::Elsewhere),
            ("/calls", "/api/calls/", Place::Elsewhere),
            ("/calls", "/", Place::Elsewhere),
            ("", "/api/about", Place::Elsewhere),
            ("", "/", Place::Elsewhere),
        ] {
            assert_eq!(place(base, &uri.parse().unwrap()), wanted, "{base} {uri}");
        }
    }
}
