//! The call page, embedded in the binary.

use actix_web::HttpResponse;
use actix_web::http::header;

use super::refusal;
use actix_web::web::{self, ServiceConfig};

/// What a page may load and where it may connect: only here.
const POLICY: &str = "default-src 'self'; connect-src 'self'; object-src 'none'; base-uri 'none'; \
                      frame-ancestors 'none'; form-action 'self'";

/// Which powerful features a page may use.
const PERMISSIONS: &str = "camera=(self), microphone=(self), display-capture=(self), autoplay=(self)";

macro_rules! file {
    ($name:literal) => {
        include_str!(concat!("../../web/", $name))
    };
}

/// Adds the pages.
pub fn routes(config: &mut ServiceConfig) {
    for (path, kind, text) in [
        ("/", "text/html; charset=utf-8", file!("index.html")),
        ("/call.js", "text/javascript; charset=utf-8", file!("call.js")),
        ("/call.css", "text/css; charset=utf-8", file!("call.css")),
    ] {
        let resource = web::resource(path).default_service(web::to(refusal::no_such_method));
        config.service(
            resource
                .route(web::get().to(async move || page(kind, text)))
                .route(web::head().to(async move || page(kind, text))),
        );
    }
}

fn page(kind: &'static str, text: &'static str) -> HttpResponse {
    HttpResponse::Ok()
        .content_type(kind)
        .insert_header((header::CONTENT_SECURITY_POLICY, POLICY))
        .insert_header(("permissions-policy", PERMISSIONS))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .body(text)
}
