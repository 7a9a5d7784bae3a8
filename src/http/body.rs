//! Reading JSON bodies: at most so many bytes, also when they are unpacked, within a deadline, whatever their
//! Content-Type says (beacons sent while a page closes come as text), and not nested without end.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::{Error, FromRequest, HttpRequest};
use bytes::BytesMut;
use futures_util::StreamExt;
use serde::de::DeserializeOwned;

use super::coding::{Coding, text};
use super::refusal::Problem;
use crate::config::Settings;
use crate::signal::Refusal;

/// How deep JSON may nest; deeper is nobody's message, and each level costs stack where it is read.
const MAX_DEPTH: usize = 32;

/// What a body may be. As app data, of the app or of a resource, which wins.
#[derive(Debug, Clone, Copy)]
pub struct BodyLimits {
    bytes: usize,
    deadline: Duration,
}

impl BodyLimits {
    /// For ordinary requests.
    pub fn rest(settings: &Settings) -> Self {
        Self { bytes: settings.limits.body_bytes, deadline: settings.limits.body_deadline }
    }

    /// For requests that carry signalling.
    pub fn signal(settings: &Settings) -> Self {
        Self { bytes: settings.limits.signal_body_bytes, deadline: settings.limits.body_deadline }
    }
}

impl Default for BodyLimits {
    /// For an app that says nothing, as tests are: what the built-in settings say.
    fn default() -> Self {
        Self { bytes: 16 * 1024, deadline: Duration::from_secs(10) }
    }
}

/// A JSON body. Handlers take this and not `web::Json`, which waits for a slow body for ever.
#[derive(Debug)]
pub struct Body<T>(pub T);

impl<T: DeserializeOwned> FromRequest for Body<T> {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Error>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let read = read(request, payload);
        Box::pin(async move {
            let bytes = read.await?;
            let value = serde_json::from_str(text(&bytes)?)
                .map_err(|error| Refusal::Invalid(format!("the body cannot be read: {error}")))?;
            Ok(Self(value))
        })
    }
}

/// A JSON body as text, for dialects that read it themselves. May be empty.
#[derive(Debug)]
pub struct Text(pub String);

impl FromRequest for Text {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Error>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let read = read(request, payload);
        Box::pin(async move {
            let bytes = read.await?;
            Ok(Self(text(&bytes)?.to_owned()))
        })
    }
}

/// The body within the limits that hold for the request.
fn read(request: &HttpRequest, payload: &mut Payload) -> impl Future<Output = Result<BytesMut, Error>> + use<> {
    let limits = request.app_data::<BodyLimits>().copied().unwrap_or_default();
    let announced = request.headers().get("content-length").and_then(|l| l.to_str().ok()?.parse::<usize>().ok());
    let coding = Coding::of(request.headers());
    let payload = payload.take();
    async move {
        let coding = coding?;
        let too_large = || Refusal::TooLarge(format!("the body may have at most {} bytes", limits.bytes));
        if announced.is_some_and(|length| length > limits.bytes) {
            return Err(too_large().into());
        }
        let bytes = tokio::time::timeout(limits.deadline, collect(payload, limits.bytes))
            .await
            .map_err(|_| Problem::slow_body(limits.deadline))??
            .ok_or_else(too_large)?;
        let bytes = coding.undo(bytes, limits.bytes)?;
        if nests_deeper(&bytes, MAX_DEPTH) {
            return Err(Refusal::Invalid(format!("the body nests deeper than {MAX_DEPTH}")).into());
        }
        Ok(bytes)
    }
}

/// The whole payload; `None` when it is more than `most`.
async fn collect(mut payload: Payload, most: usize) -> Result<Option<BytesMut>, Error> {
    let mut bytes = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| Refusal::Invalid(format!("the body cannot be read: {error}")))?;
        if bytes.len() + chunk.len() > most {
            return Ok(None);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Some(bytes))
}

/// Whether a JSON text opens more than `most` arrays and objects at once.
pub fn nests_deeper(json: &[u8], most: usize) -> bool {
    let (mut depth, mut in_text, mut escaped) = (0usize, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'[' | b'{' if !in_text => {
                depth += 1;
                if depth > most {
                    return true;
                }
            }
            b']' | b'}' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use actix_web::http::StatusCode;
    use actix_web::{App, HttpResponse, test, web};
    use serde_json::Value;

    use super::*;

    async fn status_of(body: impl Into<web::Bytes>) -> StatusCode {
        let limits = BodyLimits { bytes: 100, deadline: Duration::from_secs(1) };
        let route = web::post().to(|_: Body<Value>| HttpResponse::Ok());
        let app = test::init_service(App::new().app_data(limits).route("/", route)).await;
        let request = test::TestRequest::post().insert_header(("content-type", "text/plain")).set_payload(body.into());
        test::call_service(&app, request.to_request()).await.status()
    }

    #[actix_web::test]
    async fn bodies_are_read_whatever_they_say_they_are_up_to_the_limit() {
        assert_eq!(status_of(r#"{"status":"offline"}"#).await, 200);
        assert_eq!(status_of(format!("\"{}\"", "x".repeat(98))).await, 200);
        assert_eq!(status_of(format!("\"{}\"", "x".repeat(99))).await, 413);
        assert_eq!(status_of("{").await, 400);
        assert_eq!(status_of("[".repeat(33) + &"]".repeat(33)).await, 400);
        assert_eq!(status_of("[".repeat(32) + &"]".repeat(32)).await, 200);
    }

    #[test]
    async fn brackets_in_texts_do_not_nest() {
        assert!(!nests_deeper(br#"["[[[[\"[[[[", "[["]"#, 1));
        assert!(nests_deeper(br#"["\\", [1]]"#, 1));
    }

    #[actix_web::test]
    async fn a_body_that_does_not_come_is_given_up() {
        let limits = BodyLimits { bytes: 100, deadline: Duration::from_millis(50) };
        let request = test::TestRequest::post().app_data(limits).to_http_request();
        let never = futures_util::stream::pending::<Result<web::Bytes, actix_web::error::PayloadError>>();
        let mut payload = Payload::from(Box::pin(never) as Pin<Box<dyn futures_util::Stream<Item = _>>>);
        let error = Body::<Value>::from_request(&request, &mut payload).await.unwrap_err();
        let response = error.error_response();
        assert_eq!(response.status(), 408);
        assert_eq!(response.headers().get("content-type").unwrap(), "application/json");
    }
}
