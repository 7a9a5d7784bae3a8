//! How a "no" looks over HTTP: `{"success": false, "error": "<sentence>", "code": "<snake_case>"}`,
//! the same from handlers, extractors, unknown paths and wrong methods.

use std::time::Duration;

use actix_web::error::{JsonPayloadError, PathError, QueryPayloadError};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, ResponseError, web};
use serde_json::json;

use crate::signal::Refusal;

/// A "no" that only HTTP knows: wrong method, a body that does not come or cannot be unpacked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{sentence}")]
pub struct Problem {
    /// The status.
    pub status: StatusCode,
    /// The stable name.
    pub code: &'static str,
    /// What to tell.
    pub sentence: String,
}

impl Problem {
    /// The body did not arrive in time.
    pub fn slow_body(within: Duration) -> Self {
        let sentence = format!("the body did not arrive within {} seconds", within.as_secs_f32());
        Self { status: StatusCode::REQUEST_TIMEOUT, code: "slow_body", sentence }
    }

    /// The body is compressed in a way that is not read here.
    pub fn encoding(named: &str) -> Self {
        let sentence =
            format!("a body with Content-Encoding {named:.64} is not read here: send it as it is, or as gzip");
        Self { status: StatusCode::UNSUPPORTED_MEDIA_TYPE, code: "unsupported_encoding", sentence }
    }

    /// The path exists, the method does not.
    pub fn method(method: &str) -> Self {
        let sentence = format!("{method} is not allowed here");
        Self { status: StatusCode::METHOD_NOT_ALLOWED, code: "method_not_allowed", sentence }
    }
}

/// The body of every "no".
fn respond(status: StatusCode, body: serde_json::Value, retry_after: Option<Duration>) -> HttpResponse {
    let mut response = HttpResponse::build(status);
    if let Some(after) = retry_after {
        // Whole seconds, rounded up: a client that waits less would be refused again.
        let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
        response.insert_header((header::RETRY_AFTER, seconds.max(1)));
    }
    if status == StatusCode::UNAUTHORIZED {
        response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
    }
    response.json(body)
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let body = json!({ "success": false, "error": self.sentence, "code": self.code });
        let mut response = respond(self.status, body, None);
        if self.status == StatusCode::UNSUPPORTED_MEDIA_TYPE {
            // What would have been taken (RFC 9110, 15.5.16).
            response.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response
    }
}

impl ResponseError for Refusal {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::Invalid(_) | Self::UnknownType(_) | Self::NoRecipient | Self::SelfCall => StatusCode::BAD_REQUEST,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooManyParticipants(_) | Self::TooManyCandidates => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Unauthorized(_) => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) | Self::OriginRequired => StatusCode::FORBIDDEN,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::CallerBusy | Self::CallEnded(_) | Self::AnsweredElsewhere | Self::OutOfTurn(_) => {
                StatusCode::CONFLICT
            }
            Self::RateLimited(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Draining | Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn error_response(&self) -> HttpResponse {
        respond(self.status_code(), self.to_json(), self.retry_after())
    }
}

/// Makes actix's own extractors refuse in our form. Bodies are read by [`super::body::Body`]; the
/// JSON handler is for whoever uses `web::Json` all the same.
pub fn extractors(app: &mut web::ServiceConfig) {
    app.app_data(web::JsonConfig::default().error_handler(|error, _| match error {
        JsonPayloadError::Overflow { limit } | JsonPayloadError::OverflowKnownLength { limit, .. } => {
            Refusal::TooLarge(format!("the body may have at most {limit} bytes")).into()
        }
        other => Refusal::Invalid(format!("the body cannot be read: {other}")).into(),
    }));
    // A path whose parameter cannot be one names nothing.
    app.app_data(web::PathConfig::default().error_handler(|_: PathError, _| Refusal::NotFound("resource").into()));
    app.app_data(web::QueryConfig::default().error_handler(|error: QueryPayloadError, _| {
        Refusal::Invalid(format!("the query cannot be read: {error}")).into()
    }));
}

/// The answer for paths nobody has; for `App::default_service`.
pub async fn no_such_path() -> Result<HttpResponse, Refusal> {
    Err(Refusal::NotFound("path"))
}

/// The answer for methods a path does not have; for `Resource::default_service`. A resource without
/// it answers with an empty 405.
pub async fn no_such_method(request: HttpRequest) -> Result<HttpResponse, Problem> {
    Err(Problem::method(request.method().as_str()))
}

#[cfg(test)]
mod tests {
    use actix_web::{App, test};
    use serde_json::Value;

    use super::*;

    #[actix_web::test]
    async fn every_no_has_the_same_form() {
        let app = test::init_service(
            App::new()
                .configure(extractors)
                .service(
                    web::resource("/calls/{id}")
                        .route(web::post().to(|_: web::Path<u32>, _: web::Json<Value>| HttpResponse::Ok()))
                        .default_service(web::to(no_such_method)),
                )
                .service(web::resource("/q").route(web::get().to(|_: web::Query<(u8,)>| HttpResponse::Ok())))
                .default_service(web::to(no_such_path)),
        )
        .await;
        let post = |path: &str| test::TestRequest::post().uri(path);
        for (request, status, code) in [
            (post("/nowhere"), 404, "not_found"),
            (test::TestRequest::put().uri("/calls/1"), 405, "method_not_allowed"),
            (post("/calls/x").set_json(1), 404, "not_found"),
            (post("/calls/1").insert_header(("content-type", "application/json")).set_payload("{"), 400, "invalid"),
            (test::TestRequest::get().uri("/q?x=1"), 400, "invalid"),
        ] {
            let response = test::call_service(&app, request.to_request()).await;
            assert_eq!(response.status(), status);
            let body: Value = test::read_body_json(response).await;
            assert_eq!(body["success"], false);
            assert_eq!(body["code"], code);
            assert!(body["error"].as_str().is_some_and(|sentence| sentence.len() > 5), "{body}");
        }
    }

    #[actix_web::test]
    async fn waiting_times_are_told_in_whole_seconds_rounded_up() {
        for (refusal, status, seconds) in [
            (Refusal::RateLimited(Duration::from_millis(1200)), 429, "2"),
            (Refusal::RateLimited(Duration::from_millis(1)), 429, "1"),
            (Refusal::Draining, 503, "5"),
            (Refusal::Unavailable("the database"), 503, "2"),
        ] {
            let response = refusal.error_response();
            assert_eq!(response.status(), status);
            assert_eq!(response.headers().get(header::RETRY_AFTER).unwrap(), seconds);
        }
        assert!(Refusal::CallerBusy.error_response().headers().get(header::RETRY_AFTER).is_none());
        assert_eq!(Refusal::CallerBusy.error_response().status(), 409);
    }
}
