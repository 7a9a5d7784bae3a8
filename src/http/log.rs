//! The access log, without what must not be in it.

use actix_web::middleware::Logger;

/// One line per request: address, method, path, status, size, time. Not the query string, which may
/// hold `?token=`, and no header, as each of them may be a credential.
pub fn access_log() -> Logger {
    Logger::new("%a \"%{METHOD}xi %{PATH}xi\" %s %b %Ts")
        .custom_request_replace("METHOD", |request| request.method().to_string())
        .custom_request_replace("PATH", |request| request.path().to_owned())
        .log_target("switchboard::access")
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use actix_web::{App, HttpResponse, test, web};

    use super::*;

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
        let app =
            test::init_service(App::new().wrap(access_log()).route("/ws/{id}", web::get().to(HttpResponse::Ok))).await;
        let request = test::TestRequest::get()
            .uri("/ws/7?token=hush.hush.hush&device_id=a")
            .insert_header(("authorization", "Bearer hush.hush.hush"))
            .insert_header(("sec-websocket-protocol", "switchboard, bearer.hush.hush.hush"))
            .insert_header(("referer", "http://localhost/?token=hush"));
        // The line is written when the body has been sent.
        test::read_body(test::call_service(&app, request.to_request()).await).await;
        // A copy: a failure here must not hold the lock other tests log under.
        let lines = LINES.lock().unwrap().clone();
        let line = lines.iter().find(|line| line.starts_with("switchboard::access")).expect("a line was written");
        assert!(line.contains("\"GET /ws/7\" 200"), "{line}");
        assert!(!lines.iter().any(|line| line.contains("hush")), "{lines:?}");
    }
}
