//! Answers that have no body: those to `HEAD`, and those whose status forbids one.
//!
//! A client takes such an answer to end with its head (RFC 9112, 6.3) whatever was put behind it, and the bytes there
//! for its next answer. actix-http writes the body it is given, so none is left here. Every answer of the app passes.

use std::future::{Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::Error;
use actix_web::body::{self, BodySize, BoxBody, MessageBody};
use actix_web::dev::{ResponseHead, Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use actix_web::http::header::{self, HeaderName};
use actix_web::http::{Method, StatusCode};
use actix_web::web::Bytes;
use futures_util::TryFutureExt as _;
use futures_util::future::MapOk;

/// What describes a body, and says nothing where there can be none.
const OF_A_BODY: [HeaderName; 4] =
    [header::CONTENT_ENCODING, header::CONTENT_LENGTH, header::CONTENT_TYPE, header::TRANSFER_ENCODING];

/// Takes the body off answers that may not have one. Wrapped around an app: `.wrap(Bodiless)`.
pub struct Bodiless;

impl<S> Transform<S, ServiceRequest> for Bodiless
where
    S: Service<ServiceRequest, Response = ServiceResponse, Error = Error>,
{
    type Response = ServiceResponse;
    type Error = Error;
    type InitError = ();
    type Transform = Answering<S>;
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(Answering { service }))
    }
}

/// The app behind it.
pub struct Answering<S> {
    service: S,
}

impl<S> Service<ServiceRequest> for Answering<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse, Error = Error>,
{
    type Response = ServiceResponse;
    type Error = Error;
    type Future = MapOk<S::Future, fn(ServiceResponse) -> ServiceResponse>;

    forward_ready!(service);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        self.service.call(request).map_ok(as_it_may_be)
    }
}

fn as_it_may_be(response: ServiceResponse) -> ServiceResponse {
    if forbids_a_body(response.status()) {
        response.map_body(|head, _| {
            OF_A_BODY.iter().for_each(|name| drop(head.headers_mut().remove(name)));
            BoxBody::new(body::None::new())
        })
    } else if response.request().method() == Method::HEAD {
        response.map_body(|head, body| {
            describe(head, body.size());
            BoxBody::new(Unsent)
        })
    } else {
        response
    }
}

fn forbids_a_body(status: StatusCode) -> bool {
    status.is_informational() || [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&status)
}

/// Says how long the body would be, as far as that is known before it is made.
fn describe(head: &mut ResponseHead, size: BodySize) {
    if let BodySize::Sized(length) = size {
        head.headers_mut().insert(header::CONTENT_LENGTH, length.into());
    }
    head.no_chunking(true);
}

/// The body of an answer to `HEAD`: a stream that is over, so that its length is that of the header. A body of no
/// bytes would say so in the head. One of as many as there would be relies on actix-http to know what it answers, and
/// that takes the method of the last request it read, which may be the next.
struct Unsent;

impl MessageBody for Unsent {
    type Error = std::convert::Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Poll::Ready(None)
    }
}
