//! The pages of `web/`, embedded in the binary: the client library, the call page, the admin dashboard.
//! A debug build reads them from disk, so that an edit shows at the next reload.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Write as _;
use std::sync::LazyLock;

use actix_web::http::header::{self, EntityTag, Header as _, HeaderValue, IfNoneMatch};
use actix_web::web::{self, Bytes, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use flate2::Compression;
use flate2::write::GzEncoder;
use rust_embed::Embed;

use super::refusal;
use crate::signal::Refusal;

/// What a page may load and where it may connect: only here. `blob:` and `data:` pictures and sounds are
/// made by the pages themselves.
const POLICY: &str = "default-src 'self'; connect-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; \
                      object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'";

/// Which powerful features a page may use.
const PERMISSIONS: &str = "camera=(self), microphone=(self), display-capture=(self), autoplay=(self)";

/// The document at each address of a page; a page's own addresses (`/admin/calls/41`) are its first one's.
const DOCUMENTS: [(&str, &str); 2] = [("", "call/index.html"), ("admin", "admin/index.html")];

/// The folders that are served, at the path of their name.
const FOLDERS: &str = "sdk|call|admin|shared";

#[derive(Embed)]
#[folder = "web/"]
struct Files;

/// A file as it is sent.
#[derive(Clone)]
struct Page {
    kind: &'static str,
    /// Of the file's content; the compressed one has another.
    tag: String,
    plain: Cow<'static, [u8]>,
    gzip: Bytes,
}

impl Page {
    fn read(name: &str) -> Option<Self> {
        let kind = match name.rsplit_once('.')?.1 {
            "html" => "text/html; charset=utf-8",
            "js" => "text/javascript; charset=utf-8",
            "css" => "text/css; charset=utf-8",
            "svg" => "image/svg+xml",
            // What stands beside the pages for their developers.
            _ => return None,
        };
        let file = Files::get(name)?;
        let plain =
            if kind.starts_with("image/") { file.data } else { lean(&String::from_utf8_lossy(&file.data)).into() };
        let tag = file.metadata.sha256_hash()[..16].iter().map(|byte| format!("{byte:02x}")).collect();
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        let gzip = gzip.write_all(&plain).and_then(|()| gzip.finish()).ok()?.into();
        Some(Self { kind, tag, plain, gzip })
    }

    fn find(name: &str) -> Option<Self> {
        static EMBEDDED: LazyLock<HashMap<Cow<'static, str>, Page>> =
            LazyLock::new(|| Files::iter().filter_map(|name| Page::read(&name).map(|page| (name, page))).collect());
        if cfg!(debug_assertions) { Self::read(name) } else { EMBEDDED.get(name).cloned() }
    }

    fn respond(self, request: &HttpRequest) -> HttpResponse {
        let compressed = takes_gzip(request);
        let tag = EntityTag::new_strong(if compressed { format!("{}-gz", self.tag) } else { self.tag });
        let mut response = match IfNoneMatch::parse(request) {
            Ok(IfNoneMatch::Any) => HttpResponse::NotModified(),
            Ok(IfNoneMatch::Items(known)) if known.iter().any(|one| one.weak_eq(&tag)) => HttpResponse::NotModified(),
            Ok(IfNoneMatch::Items(_)) | Err(_) => HttpResponse::Ok(),
        };
        response
            .content_type(self.kind)
            .insert_header(header::ETag(tag))
            .insert_header((header::CACHE_CONTROL, "no-cache"))
            .insert_header((header::VARY, "accept-encoding"))
            .insert_header((header::CONTENT_SECURITY_POLICY, POLICY))
            .insert_header(("permissions-policy", PERMISSIONS))
            .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
            .insert_header((header::REFERRER_POLICY, "no-referrer"));
        if compressed {
            response.insert_header((header::CONTENT_ENCODING, HeaderValue::from_static("gzip"))).body(self.gzip)
        } else {
            response.body(self.plain.into_owned())
        }
    }
}

/// A text without what is only for who reads its source: indentation, types (`/** @type … */`), and comments on lines of
/// their own, which become empty ones, so that a browser's line numbers are the source's. Nothing within a string may look
/// like one of these.
fn lean(text: &str) -> Vec<u8> {
    let mut lean = String::with_capacity(text.len());
    let mut within = false;
    for mut line in text.lines().map(str::trim_start) {
        if !within && line.starts_with("//") {
            line = "";
        }
        loop {
            if within {
                let Some((_, rest)) = line.split_once("*/") else { break };
                line = rest.trim_start();
            }
            let opened = if line.starts_with("/*") { Some(0) } else { line.find("/** @") };
            within = opened.is_some();
            let (code, rest) = line.split_at(opened.unwrap_or(line.len()));
            lean.push_str(code);
            line = rest;
            if !within {
                break;
            }
        }
        lean.push('\n');
    }
    lean.into_bytes()
}

fn takes_gzip(request: &HttpRequest) -> bool {
    header::AcceptEncoding::parse(request)
        .is_ok_and(|accepted| accepted.negotiate([header::Encoding::gzip()].iter()) == Some(header::Encoding::gzip()))
}

/// Adds the pages.
pub fn routes(config: &mut ServiceConfig) {
    let page = |path: &str| {
        let resource = web::resource(path).default_service(web::to(refusal::no_such_method));
        resource.route(web::get().to(serve)).route(web::head().to(serve))
    };
    config.service(page("/")).service(page("/admin")).service(page(&format!("/{{folder:{FOLDERS}}}/{{file:.*}}")));
}

async fn serve(request: HttpRequest) -> Result<HttpResponse, Refusal> {
    let path = request.path().trim_start_matches('/');
    let document = || {
        let place = path.trim_end_matches('/');
        let first = place.split('/').next().unwrap_or_default();
        // An address with an extension was meant to be a file.
        DOCUMENTS.iter().find(|(at, _)| *at == first && !place.contains('.')).and_then(|(_, name)| Page::find(name))
    };
    let page = Page::find(path).or_else(document).ok_or(Refusal::NotFound("page"))?;
    Ok(page.respond(&request))
}

#[cfg(test)]
mod tests {
    use super::lean;

    fn leaned(text: &str) -> String {
        String::from_utf8(lean(text)).expect("text")
    }

    #[test]
    fn comments_and_indentation_stay_here_and_lines_keep_their_numbers() {
        let source = "// About.\n\n/**\n * @param {string} id\n */\nfunction f(id) {\n  return id; // as it is\n}\n";
        assert_eq!(leaned(source), "\n\n\n\n\nfunction f(id) {\nreturn id; // as it is\n}\n");
    }

    #[test]
    fn code_beside_a_comment_stays() {
        assert_eq!(
            leaned("  /** @type {number} */ a = 1;\nconst at = 'http://x'; /* y */\n"),
            "a = 1;\nconst at = 'http://x'; /* y */\n"
        );
    }
}
