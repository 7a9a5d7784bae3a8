//! From where a request may come: the checks of `Host` and `Origin` that keep other people's web
//! pages out, before any upgrade and before any handler.
//!
//! A page's script can make a browser send anything anywhere except these two headers. In dev mode
//! anybody is believed, so only loopback names and pages pass; in jwt mode our own pages and the
//! configured ones do. A request without `Origin` is no page's doing, and passes.

use std::net::IpAddr;

use actix_cors::Cors;
use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{RequestHead, ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, ResponseError, web};

use crate::config::{AuthMode, Settings};
use crate::signal::Refusal;

/// The header with which a request is made at most once.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Which hosts and origins pass. As app data `web::Data<Gate>`.
#[derive(Debug, Clone)]
pub struct Gate {
    dev: bool,
    allowed: Vec<String>,
}

impl Gate {
    /// The gate as configured.
    pub fn new(settings: &Settings) -> Self {
        Self { dev: settings.auth.mode == AuthMode::Dev, allowed: settings.server.allowed_origins.clone() }
    }

    /// Whether the request may come in; used before an upgrade, and by [`guard`] for everything else.
    pub fn check(&self, head: &RequestHead) -> Result<(), Refusal> {
        let no = |what: &str| Err(Refusal::Forbidden(what.to_owned()));
        // A request may name its host twice, in the request line and in the header; both count, as
        // we cannot know which one the browser's rules were applied to.
        let hosts: Vec<&str> = head
            .headers()
            .get_all(header::HOST)
            .map(|host| host.to_str().unwrap_or_default())
            .chain(head.uri.authority().map(|authority| authority.as_str()))
            .collect();
        if self.dev && (hosts.is_empty() || !hosts.iter().all(|host| is_loopback(host))) {
            return no("in dev mode the service answers to loopback names only, such as localhost");
        }
        for origin in head.headers().get_all(header::ORIGIN) {
            if !origin.to_str().is_ok_and(|origin| self.allows(origin, &hosts)) {
                return no("this origin is not allowed; add it to server.allowed_origins");
            }
        }
        Ok(())
    }

    /// Whether pages of `origin` may come in to this host.
    fn allows(&self, origin: &str, hosts: &[&str]) -> bool {
        if self.allowed.iter().any(|allowed| allowed == origin) {
            return true;
        }
        let Some(host) = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://")) else {
            return false;
        };
        if self.dev {
            return is_loopback(host);
        }
        // The scheme is not compared: behind a proxy that ends TLS we do not know our own.
        !host.is_empty() && !hosts.is_empty() && hosts.iter().all(|ours| ours.eq_ignore_ascii_case(host))
    }

    /// What browsers are told about requests from other origins, from the same list. Credentials are
    /// not among it: REST takes no cookie.
    pub fn cors(&self) -> Cors {
        let gate = self.clone();
        Cors::default()
            .allowed_origin_fn(move |origin: &HeaderValue, head: &RequestHead| {
                origin.to_str().is_ok_and(|origin| gate.allows(origin, &hosts_of(head.headers())))
            })
            .allowed_methods(["GET", "POST", "PUT", "PATCH", "DELETE"])
            .allowed_headers([header::AUTHORIZATION, header::CONTENT_TYPE, IDEMPOTENCY_KEY])
            .allowed_headers([super::auth::USER_ID, super::auth::USER_ROLE, super::auth::ON_BEHALF_OF])
            .expose_headers([header::RETRY_AFTER])
            .max_age(3600)
    }
}

fn hosts_of(headers: &HeaderMap) -> Vec<&str> {
    headers.get_all(header::HOST).map(|host| host.to_str().unwrap_or_default()).collect()
}

/// Whether `authority`, a host with or without port, is one only this machine can mean.
fn is_loopback(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        // An address in brackets, and after them nothing or a port.
        Some(v6) => match v6.split_once(']') {
            Some((host, rest)) if is_port(rest) => host,
            _ => return false,
        },
        None => match authority.find(':') {
            Some(colon) if is_port(&authority[colon..]) => &authority[..colon],
            Some(_) => return false,
            None => authority,
        },
    };
    // A name ending in localhost may be anybody's in a hosts file; only the name itself is sure.
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn is_port(text: &str) -> bool {
    text.is_empty() || text.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok())
}

/// The gate as a middleware: `.wrap(gate.cors()).wrap(from_fn(guard))`, so that it runs before CORS.
pub async fn guard<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    // Without a gate nothing may pass: a forgotten line in the app must not open it.
    let verdict = request
        .app_data::<web::Data<Gate>>()
        .map_or_else(|| Err(Refusal::Forbidden("no gate is configured".to_owned())), |gate| gate.check(request.head()));
    match verdict {
        Ok(()) => next.call(request).await.map(ServiceResponse::map_into_left_body),
        Err(refusal) => Ok(request.into_response(refusal.error_response()).map_into_right_body()),
    }
}
