//! The gate before any upgrade and any handler: pages from elsewhere stay out, and the others are told by CORS what
//! they may do. Which pages those are says [`Origins`].

use std::future::ready;
use std::rc::Rc;

use actix_cors::Cors;
use actix_web::dev::{RequestHead, Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use actix_web::http::header::{self, HeaderValue};
use actix_web::http::{Method, Uri};
use actix_web::{Error, ResponseError, web};
use futures_util::future::{Either, LocalBoxFuture};
use percent_encoding::percent_decode_str;

use super::origins::Origins;
use crate::signal::Refusal;

/// Keeps requests out as [`Origins`] says. Wrapped around an app: `.wrap(gate)`.
#[derive(Debug, Clone)]
pub struct Gate(web::Data<Origins>);

impl Gate {
    /// A gate by these rules.
    pub fn new(origins: web::Data<Origins>) -> Self {
        Self(origins)
    }

    /// What browsers are told about requests from other origins, by the same rules. Any header may be sent: what
    /// matters is who sends, and the names tracing and frameworks use have no end.
    fn cors(&self) -> Cors {
        let origins = self.0.clone();
        Cors::default()
            .allowed_origin_fn(move |origin: &HeaderValue, head: &RequestHead| origins.allows(origin.as_bytes(), head))
            .allowed_methods(["GET", "POST", "PUT", "PATCH", "DELETE"])
            .allow_any_header()
            .expose_headers([header::RETRY_AFTER])
            .max_age(3600)
    }
}

/// Whether an answer must say what pages of other origins may do with it: where one asks, and, lest a cache give one
/// what it kept for another, where it may be kept.
fn concerns_pages(head: &RequestHead) -> bool {
    head.headers().contains_key(header::ORIGIN) || [Method::GET, Method::HEAD, Method::OPTIONS].contains(&head.method)
}

/// Whether an address is text once it is percent-decoded. What reads it further on would put a mark in the place of
/// each byte that is none, and two users' ids would be one.
fn is_text(uri: &Uri) -> Result<(), Refusal> {
    let written = uri.path_and_query().map_or("", |written| written.as_str());
    if !written.contains('%') || percent_decode_str(written).decode_utf8().is_ok() {
        return Ok(());
    }
    Err(Refusal::Invalid("the address is not UTF-8 when it is percent-decoded".to_owned()))
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
            let for_listed = gate.cors().supports_credentials().new_transform(Rc::clone(&service)).await?;
            Ok(Gated { origins: gate.0, for_pages, for_listed, service })
        })
    }
}

/// The app behind the gate.
pub struct Gated<S: Service<ServiceRequest, Response = ServiceResponse, Error = Error> + 'static>
where
    S::Future: 'static,
{
    origins: web::Data<Origins>,
    for_pages: <Cors as Transform<Rc<S>, ServiceRequest>>::Transform,
    /// The same, for origins that may use cookies.
    for_listed: <Cors as Transform<Rc<S>, ServiceRequest>>::Transform,
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
        let checked = self.origins.check(request.head()).map_err(Refusal::Forbidden);
        if let Err(refusal) = checked.and_then(|()| is_text(&request.head().uri)) {
            let refused = request.into_response(refusal.error_response());
            return Either::Right(Box::pin(ready(Ok(refused))));
        }
        if !concerns_pages(request.head()) {
            return Either::Left(self.service.call(request));
        }
        let listed = request.headers().get(header::ORIGIN).is_some_and(|origin| self.origins.lists(origin.as_bytes()));
        let answer = if listed { &self.for_listed } else { &self.for_pages }.call(request);
        Either::Right(Box::pin(async move { Ok(answer.await?.map_into_boxed_body()) }))
    }
}
