//! Answers that have no body: those to `HEAD`, and those whose status forbids one.
//!
//! A client takes such an answer to end with its head (RFC 9112, 6.3) whatever was put behind it, and the bytes there
//! for its next answer. actix-http writes the body it is given, so none is left here. Every answer of the app passes.

use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{self, BodySize, BoxBody, MessageBody};
use actix_web::dev::{ResponseHead, ServiceResponse};
use actix_web::http::header::{self, HeaderName};
use actix_web::http::{Method, StatusCode};
use actix_web::web::Bytes;

/// What describes a body, and says nothing where there can be none.
const OF_A_BODY: [HeaderName; 4] =
    [header::CONTENT_ENCODING, header::CONTENT_LENGTH, header::CONTENT_TYPE, header::TRANSFER_ENCODING];

/// The answer, without its body where it may not have one.
pub fn as_it_may_be(response: ServiceResponse) -> ServiceResponse {
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
