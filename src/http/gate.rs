//! The gate before any upgrade and any handler: the path below which the service is reached is taken off, pages from
//! elsewhere stay out, requests of an address with too many under way as well. Pages that may come in are told by CORS what
//! they may do. One layer asks for all of that, since each layer around the app costs every request.

use std::future::ready;
use std::rc::Rc;

use actix_cors::Cors;
use actix_web::dev::{RequestHead, Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use actix_web::http::header::{self, HeaderValue};
use actix_web::http::{Method, Uri};
use actix_web::{Error, HttpResponse, ResponseError, web};
use futures_util::future::{Either, LocalBoxFuture};
use percent_encoding::percent_decode_str;

use super::base_path::BasePath;
use super::origins::Origins;
use super::under_way::UnderWay;
use crate::signal::Refusal;

/// Keeps requests out as [`Origins`] and [`UnderWay`] say. Wrapped around an app: `.wrap(gate)`.
#[derive(Clone)]
pub struct Gate {
    origins: web::Data<Origins>,
    under_way: web::Data<UnderWay>,
    base_path: BasePath,
}

impl Gate {
    /// A gate by these rules.
    pub fn new(origins: web::Data<Origins>, under_way: web::Data<UnderWay>, base_path: BasePath) -> Self {
        Self { origins, under_way, base_path }
    }

    /// What browsers are told about requests from other origins, by the same rules. Any header may be sent: what
    /// matters is who sends, and the names tracing and frameworks use have no end.
    fn cors(&self) -> Cors {
        let origins = self.origins.clone();
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

/// An answer that CORS does not see, as the page that asked may read it: its origin was checked. Pages of listed origins may
/// have asked with their cookies.
fn readable(mut answer: HttpResponse, head: &RequestHead, origins: &Origins) -> HttpResponse {
    if let Some(origin) = head.headers().get(header::ORIGIN) {
        let headers = answer.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        if origins.lists(origin.as_bytes()) {
            headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("retry-after"));
        headers.insert(header::VARY, HeaderValue::from_static("Origin"));
    }
    answer
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
            Ok(Gated { gate, for_pages, for_listed, service })
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

    fn call(&self, mut request: ServiceRequest) -> Self::Future {
        let Gate { origins, under_way, base_path } = &self.gate;
        let answered = base_path.take_off(&mut request).or_else(|| {
            let checked = origins.check(request.head()).map_err(Refusal::Forbidden);
            checked.and_then(|()| is_text(&request.head().uri)).err().map(|refusal| refusal.error_response())
        });
        let answered = answered.or_else(|| {
            let full = under_way.count(&request).err()?;
            Some(readable(full.error_response(), request.head(), origins))
        });
        if let Some(answer) = answered {
            return Either::Right(Box::pin(ready(Ok(request.into_response(answer)))));
        }
        if !concerns_pages(request.head()) {
            return Either::Left(self.service.call(request));
        }
        let listed = request.headers().get(header::ORIGIN).is_some_and(|origin| origins.lists(origin.as_bytes()));
        let answer = if listed { &self.for_listed } else { &self.for_pages }.call(request);
        Either::Right(Box::pin(async move { Ok(answer.await?.map_into_boxed_body()) }))
    }
}
