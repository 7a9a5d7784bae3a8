//! The path below which the service is reached, such as `/calls`, where a proxy passes it on.
//!
//! It is taken off before anything else looks at a request, so that routes, pages and sockets know nothing of it.
//! Requests without it are served as ever: they come from proxies that take it off themselves, and from checks of health.

use actix_web::HttpResponse;
use actix_web::dev::ServiceRequest;
use actix_web::http::uri::PathAndQuery;
use actix_web::http::{Uri, header};

use crate::config::Settings;

/// Takes the path off, for the gate.
#[derive(Debug, Clone)]
pub struct BasePath(String);

impl BasePath {
    /// As configured; empty, and nothing is taken off.
    pub fn new(settings: &Settings) -> Self {
        Self(settings.server.base_path.clone())
    }
}

impl BasePath {
    /// Takes the path off a request; the answer to one for the path itself, which leads to the page below it.
    pub fn take_off(&self, request: &mut ServiceRequest) -> Option<HttpResponse> {
        match place(&self.0, request.uri()) {
            Place::Elsewhere => None,
            Place::Below(uri) => {
                request.match_info_mut().get_mut().update(&uri);
                request.head_mut().uri = uri;
                None
            }
            Place::Door(address) => {
                Some(HttpResponse::TemporaryRedirect().insert_header((header::LOCATION, address)).finish())
            }
        }
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
