//! The access log, without what must not be in it.

use std::borrow::Cow;
use std::future::{Ready, ready};
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready as done};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use actix_web::http::StatusCode;
use actix_web::web::Bytes;
use actix_web::{Error, HttpRequest};
use pin_project_lite::pin_project;

use super::bodiless::as_it_may_be;
use crate::clock::{Clock, Moment};
use crate::net::{Proxies, client_address};

/// One line per request, when its answer was sent: address, method, path, status, size, time. Not the query string,
/// which may hold `?token=`, and no header, as each of them may be a credential.
#[derive(Clone, Copy)]
pub struct AccessLog {
    clock: Clock,
    /// Whether any request comes through a proxy, which names its client.
    proxied: bool,
}

impl AccessLog {
    /// Lines with the time by this clock, and with the addresses of clients behind these proxies.
    pub fn new(clock: Clock, proxies: &Proxies) -> Self {
        Self { clock, proxied: !proxies.are_none() }
    }

    fn client(self, request: &HttpRequest) -> Option<IpAddr> {
        if self.proxied { client_address(request) } else { Some(request.peer_addr()?.ip().to_canonical()) }
    }
}

impl<S> Transform<S, ServiceRequest> for AccessLog
where
    S: Service<ServiceRequest, Response = ServiceResponse, Error = Error>,
{
    type Response = ServiceResponse<Sent>;
    type Error = Error;
    type InitError = ();
    type Transform = Logging<S>;
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(Logging { service, log: *self }))
    }
}

/// The app behind the access log.
pub struct Logging<S> {
    service: S,
    log: AccessLog,
}

impl<S> Service<ServiceRequest> for Logging<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse, Error = Error>,
{
    type Response = ServiceResponse<Sent>;
    type Error = Error;
    type Future = Answering<S::Future>;

    forward_ready!(service);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let began = self.log.clock.moment();
        Answering { answer: self.service.call(request), began, log: self.log }
    }
}

pin_project! {
    /// An answer on its way.
    pub struct Answering<F> {
        #[pin]
        answer: F,
        began: Moment,
        log: AccessLog,
    }
}

impl<F: Future<Output = Result<ServiceResponse, Error>>> Future for Answering<F> {
    type Output = Result<ServiceResponse<Sent>, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        // Here, as each layer around the app costs every request.
        let response = as_it_may_be(done!(this.answer.poll(cx))?);
        let (request, status) = (response.request().clone(), response.status());
        let (began, log) = (*this.began, *this.log);
        Poll::Ready(Ok(response.map_body(|_, body| Sent { body, bytes: 0, request, status, began, log })))
    }
}

/// The body of an answer, which says what became of it when it is over.
pub struct Sent {
    body: BoxBody,
    bytes: usize,
    request: HttpRequest,
    status: StatusCode,
    began: Moment,
    log: AccessLog,
}

impl MessageBody for Sent {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let part = done!(Pin::new(&mut self.body).poll_next(cx));
        if let Some(Ok(part)) = &part {
            self.bytes += part.len();
        }
        Poll::Ready(part)
    }
}

/// A path as it may stand between quotes: most signs of an id arrive percent-encoded, and a quote need not.
fn quotable(path: &str) -> Cow<'_, str> {
    if path.contains('"') { Cow::Owned(path.replace('"', "%22")) } else { Cow::Borrowed(path) }
}

impl Drop for Sent {
    fn drop(&mut self) {
        let Self { bytes, request, status, began, log, .. } = self;
        let took = log.clock.moment() - *began;
        let (seconds, micros) = (took.as_secs(), took.subsec_micros());
        let (method, path, status) = (request.method(), quotable(request.path()), status.as_str());
        match log.client(request) {
            Some(client) => log::info!(
                target: "switchboard::access",
                "{client} \"{method} {path}\" {status} {bytes} {seconds}.{micros:06}s"
            ),
            None => log::info!(
                target: "switchboard::access",
                "- \"{method} {path}\" {status} {bytes} {seconds}.{micros:06}s"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use actix_web::{App, HttpResponse, test, web};

    use super::*;
    use crate::config::Settings;

    static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());

    struct Collect;

    impl log::Log for Collect {
        fn enabled(&self, _: &log::Metadata<'_>) -> bool {
            true
        }
        fn log(&self, record: &log::Record<'_>) {
            LINES.lock().unwrap().push(format!("{} {}", record.target(), record.args()));
        }
        fn flush(&self) {}
    }

    #[actix_web::test]
    async fn a_token_never_reaches_the_log() {
        // Another test of this binary may have set a logger first; then this one cannot look.
        log::set_logger(&Collect).expect("no other unit test sets a logger");
        log::set_max_level(log::LevelFilter::Trace);
        let app = test::init_service(
            App::new()
                .wrap(AccessLog::new(Clock::new(), &Proxies::new(&Settings::defaults().unwrap()).unwrap()))
                .route("/ws/{id}", web::get().to(HttpResponse::Ok)),
        )
        .await;
        let request = test::TestRequest::get()
            .uri("/ws/7\"?token=hush.hush.hush&device_id=a")
            .insert_header(("authorization", "Bearer hush.hush.hush"))
            .insert_header(("sec-websocket-protocol", "switchboard, bearer.hush.hush.hush"))
            .insert_header(("referer", "http://localhost/?token=hush"));
        // The line is written when the body has been sent.
        test::read_body(test::call_service(&app, request.to_request()).await).await;
        // A copy: a failure here must not hold the lock other tests log under.
        let lines = LINES.lock().unwrap().clone();
        let line = lines.iter().find(|line| line.starts_with("switchboard::access")).expect("a line was written");
        assert!(line.contains("\"GET /ws/7%22\" 200"), "{line}");
        assert!(!lines.iter().any(|line| line.contains("hush")), "{lines:?}");
    }
}
