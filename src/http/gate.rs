//! From where a request may come: the checks of `Host` and `Origin` that keep other people's web
//! pages out, before any upgrade and before any handler.
//!
//! A page's script can make a browser send anything anywhere except these two headers. In dev mode
//! anybody is believed, so only loopback names and pages pass; in jwt mode our own pages and the
//! configured ones do. A request without `Origin` is no page's doing, and passes.

use std::future::ready;
use std::net::IpAddr;
use std::rc::Rc;

use actix_cors::Cors;
use actix_web::dev::{RequestHead, Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{Error, ResponseError};
use futures_util::future::{Either, LocalBoxFuture};

use crate::config::{AuthMode, Settings};
use crate::signal::Refusal;

/// The header with which a request is made at most once.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Which hosts and origins pass. Wrapped around an app: `.wrap(gate)`.
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

    /// Whether the request may come in.
    fn check(&self, head: &RequestHead) -> Result<(), Refusal> {
        let no = |what: &str| Err(Refusal::Forbidden(what.to_owned()));
        if self.dev && (hosts_of(head).next().is_none() || !hosts_of(head).all(is_loopback)) {
            return no("in dev mode the service answers to loopback names only, such as localhost");
        }
        for origin in head.headers().get_all(header::ORIGIN) {
            if !origin.to_str().is_ok_and(|origin| self.allows(origin, head)) {
                return no("this origin is not allowed; add it to server.allowed_origins");
            }
        }
        Ok(())
    }

    /// Whether pages of `origin` may come in to the hosts a request names.
    fn allows(&self, origin: &str, head: &RequestHead) -> bool {
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
        let mut hosts = hosts_of(head).peekable();
        !host.is_empty() && hosts.peek().is_some() && hosts.all(|ours| ours.eq_ignore_ascii_case(host))
    }

    /// What browsers are told about requests from other origins, from the same list. Credentials are
    /// not among it: REST takes no cookie.
    fn cors(&self) -> Cors {
        let gate = self.clone();
        Cors::default()
            .allowed_origin_fn(move |origin: &HeaderValue, head: &RequestHead| {
                origin.to_str().is_ok_and(|origin| gate.allows(origin, head))
            })
            .allowed_methods(["GET", "POST", "PUT", "PATCH", "DELETE"])
            .allowed_headers([header::AUTHORIZATION, header::CONTENT_TYPE, IDEMPOTENCY_KEY])
            .allowed_headers([super::auth::USER_ID, super::auth::USER_ROLE, super::auth::ON_BEHALF_OF])
            .expose_headers([header::RETRY_AFTER])
            .max_age(3600)
    }
}

/// A request may name its host twice, in the request line and in the header; both count, as we cannot know which one
/// the browser's rules were applied to.
fn hosts_of(head: &RequestHead) -> impl Iterator<Item = &str> {
    let named = head.headers().get_all(header::HOST).map(|host| host.to_str().unwrap_or_default());
    named.chain(head.uri.authority().map(|authority| authority.as_str()))
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

/// Whether an answer must say what pages of other origins may do with it: where one asks, and, lest a cache give one
/// what it kept for another, where it may be kept.
fn concerns_pages(head: &RequestHead) -> bool {
    head.headers().contains_key(header::ORIGIN) || [Method::GET, Method::HEAD, Method::OPTIONS].contains(&head.method)
}

impl<S> Transform<S, ServiceRequest> for Gate
where
    S: Service<ServiceRequest, Response = ServiceResponse, Error = Error> + 'static,
    S::Future: 'static,
{
    type Response = ServiceResponse;
    type Error = Error;
    type InitError = ();
    type Transform = Gated<S>;
    type Future = LocalBoxFuture<'static, Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        let (gate, service) = (self.clone(), Rc::new(service));
        Box::pin(async move {
            let for_pages = gate.cors().new_transform(Rc::clone(&service)).await?;
            Ok(Gated { gate, for_pages, service })
        })
    }
}

/// The app behind the gate.
pub struct Gated<S: Service<ServiceRequest, Response = ServiceResponse, Error = Error> + 'static>
where
    S::Future: 'static,
{
    gate: Gate,
    for_pages: <Cors as Transform<Rc<S>, ServiceRequest>>::Transform,
    service: Rc<S>,
}

impl<S> Service<ServiceRequest> for Gated<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse, Error = Error> + 'static,
    S::Future: 'static,
{
    type Response = ServiceResponse;
    type Error = Error;
    type Future = Either<S::Future, LocalBoxFuture<'static, Result<ServiceResponse, Error>>>;

    forward_ready!(service);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        if let Err(refusal) = self.gate.check(request.head()) {
            let refused = request.into_response(refusal.error_response());
            return Either::Right(Box::pin(ready(Ok(refused))));
        }
        if !concerns_pages(request.head()) {
            return Either::Left(self.service.call(request));
        }
        let answer = self.for_pages.call(request);
        Either::Right(Box::pin(async move { Ok(answer.await?.map_into_boxed_body()) }))
    }
}
