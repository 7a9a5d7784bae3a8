//! The pages of `web/`, embedded in the binary: the client library, the call page, the admin dashboard.
//! A debug build reads them from disk, so that an edit shows at the next reload.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher as _};
use std::sync::{Mutex, PoisonError};

use actix_web::http::header::{self, EntityTag, Header as _, HeaderValue, IfNoneMatch};
use actix_web::web::{self, Bytes, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use rust_embed::Embed;

use super::lean::{lean, tight};
use super::{reading, refusal};
use crate::signal::Refusal;

/// What a page may load and where it may connect: only here. `blob:` and `data:` pictures and sounds are
/// made by the pages themselves.
const POLICY: &str = "default-src 'self'; connect-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; \
                      object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'";

/// Which powerful features a page may use.
const PERMISSIONS: &str = "camera=(self), microphone=(self), display-capture=(self), autoplay=(self)";

/// The dashboard's address, and …
const DASHBOARD: &str = "admin";

/// … the document at each address of a page. It refers to its parts by addresses relative to its own, so that it works
/// below any path it is found at.
const DOCUMENTS: [(&str, &str); 2] = [("", "call/index.html"), (DASHBOARD, "admin/index.html")];

/// The folders that are served, at the path of their name.
const FOLDERS: &str = "sdk|call|admin|shared";

/// The client library as its users import it, …
const LIBRARY: &str = "sdk/switchboard.js";

/// … and its modules, each after those it imports.
const LIBRARY_PARTS: [&str; 7] =
    ["sdk/base.js", "sdk/connection.js", "sdk/peer.js", "sdk/people.js", "sdk/media.js", "sdk/call.js", LIBRARY];

#[derive(Embed)]
#[folder = "web/"]
struct Files;

/// A file as it is sent.
#[derive(Clone)]
struct Page {
    kind: &'static str,
    /// Of what is sent; the compressed one has another.
    tag: String,
    plain: Bytes,
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
        let plain = match kind {
            "image/svg+xml" => Files::get(name)?.data.into_owned().into(),
            _ if name == LIBRARY => Bytes::from(tight(&library()?)),
            _ if name.ends_with(".js") => tight(&lean(&text(name)?)).into(),
            _ => lean(&text(name)?).into(),
        };
        let mut hasher = DefaultHasher::new();
        hasher.write(&plain);
        let tag = format!("{:016x}", hasher.finish());
        Some(Self { kind, tag, plain, gzip: Bytes::new() })
    }

    /// A page by the name of its file. It is compressed once, as far as that goes; a debug build looks whether it is
    /// another by now.
    fn find(name: &str) -> Option<Self> {
        static KNOWN: Mutex<BTreeMap<String, Page>> = Mutex::new(BTreeMap::new());
        let known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        if !cfg!(debug_assertions) && known.is_some() {
            return known;
        }
        let mut page = Self::read(name)?;
        if let Some(known) = known.filter(|known| known.tag == page.tag) {
            return Some(known);
        }
        let mut gzip = Vec::new();
        zopfli::compress(zopfli::Options::default(), zopfli::Format::Gzip, &page.plain[..], &mut gzip).ok()?;
        page.gzip = gzip.into();
        KNOWN.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), page.clone());
        Some(page)
    }

    fn respond(self, request: &HttpRequest) -> HttpResponse {
        let compressed = takes_gzip(request);
        let tag = EntityTag::new_strong(if compressed { format!("{}-gz", self.tag) } else { self.tag });
        let known = is_known(request, &tag);
        let mut response = if known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
        response
            .insert_header(header::ETag(tag))
            .insert_header((header::CACHE_CONTROL, "no-cache"))
            .insert_header((header::VARY, "accept-encoding"))
            .insert_header((header::CONTENT_SECURITY_POLICY, POLICY))
            .insert_header(("permissions-policy", PERMISSIONS))
            .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
            .insert_header((header::REFERRER_POLICY, "no-referrer"));
        if known {
            return response.finish();
        }
        response.content_type(self.kind);
        if compressed {
            response.insert_header((header::CONTENT_ENCODING, HeaderValue::from_static("gzip"))).body(self.gzip)
        } else {
            response.body(self.plain)
        }
    }
}

/// Whether who asks has what has this tag.
fn is_known(request: &HttpRequest, tag: &EntityTag) -> bool {
    match IfNoneMatch::parse(request) {
        Ok(IfNoneMatch::Any) => true,
        Ok(IfNoneMatch::Items(known)) => known.iter().any(|one| one.weak_eq(tag)),
        Err(_) => false,
    }
}

fn text(name: &str) -> Option<String> {
    Some(String::from_utf8_lossy(&Files::get(name)?.data).into_owned())
}

/// The client library as one module: one request, and less to send than six that compress by themselves. Its modules have
/// no top-level name in common, and each `import` and `export` is a line of its own.
fn library() -> Option<String> {
    let mut joined = String::new();
    for name in LIBRARY_PARTS {
        for line in lean(&text(name)?).lines().filter(|line| !line.is_empty() && !is_import(line)) {
            joined.push_str(line.strip_prefix("export ").filter(|_| name != LIBRARY).unwrap_or(line));
            // Elsewhere the end of a line may be the end of a statement.
            if !line.ends_with(['{', ';', ',', '(']) {
                joined.push('\n');
            }
        }
    }
    Some(joined)
}

fn is_import(line: &str) -> bool {
    line.starts_with("import ") && line.contains(" from './")
}

fn takes_gzip(request: &HttpRequest) -> bool {
    header::AcceptEncoding::parse(request)
        .is_ok_and(|accepted| accepted.negotiate([header::Encoding::gzip()].iter()) == Some(header::Encoding::gzip()))
}

/// Adds the pages.
pub fn routes(config: &mut ServiceConfig) {
    let page = |path: &str| {
        let resource = web::resource(path).default_service(web::to(refusal::no_such_method));
        resource.route(reading().to(serve))
    };
    config.service(page("/")).service(page("/admin")).service(page(&format!("/{{folder:{FOLDERS}}}/{{file:.*}}")));
}

async fn serve(request: HttpRequest) -> Result<HttpResponse, Refusal> {
    if let Some(address) = entrance(request.path(), request.query_string()) {
        return Ok(HttpResponse::TemporaryRedirect().insert_header((header::LOCATION, address)).finish());
    }
    let path = request.path().trim_start_matches('/').to_owned();
    // Compressing takes a while, the first time.
    let found = web::block(move || Page::find(document(&path).unwrap_or(&path))).await;
    let page = found.map_err(|_| Refusal::Unavailable("the page"))?.ok_or(Refusal::NotFound("page"))?;
    Ok(page.respond(&request))
}

fn document(path: &str) -> Option<&'static str> {
    DOCUMENTS.iter().find(|(at, _)| *at == path).map(|(_, name)| *name)
}

/// Where an address within the dashboard leads: `/admin/calls/41` to `../../admin?path=calls/41`, which the dashboard
/// reads. Relative, as only the browser knows below which path it found us. An address with an extension was meant to be
/// a file.
fn entrance(path: &str, query: &str) -> Option<String> {
    let within = path.strip_prefix('/')?.strip_prefix(DASHBOARD)?.strip_prefix('/')?;
    if within.contains('.') {
        return None;
    }
    let mut parameters = Vec::new();
    if !within.is_empty() {
        // As it stands in the path: what is escaped there stays so, and what means something in a query does not.
        let escaped = within.replace('%', "%25").replace('&', "%26").replace('+', "%2B");
        parameters.push(format!("path={escaped}"));
    }
    parameters.extend((!query.is_empty()).then(|| query.to_owned()));
    let up = "../".repeat(path.matches('/').count() - 1);
    let sign = if parameters.is_empty() { "" } else { "?" };
    Some(format!("{up}{DASHBOARD}{sign}{}", parameters.join("&")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_within_the_dashboard_leads_to_it_from_wherever_it_was_found() {
        for (path, query, to) in [
            ("/admin/", "", Some("../admin")),
            ("/admin/missed", "", Some("../admin?path=missed")),
            ("/admin/missed/", "lang=ar", Some("../../admin?path=missed/&lang=ar")),
            ("/admin/calls/41", "user=7&path=x", Some("../../admin?path=calls/41&user=7&path=x")),
            ("/admin/of/a%2Fb+c&d=e", "", Some("../../admin?path=of/a%252Fb%2Bc%26d=e")),
            ("/admin//x", "", Some("../../admin?path=/x")),
            ("/admin", "view=missed", None),
            ("/", "", None),
            ("/admin/no-such.js", "", None),
            ("/sdk/admin/", "", None),
        ] {
            assert_eq!(entrance(path, query).as_deref(), to, "{path}");
        }
    }

    #[test]
    fn the_library_is_one_module_that_imports_nothing() {
        let joined = library().expect("its modules");
        assert!(!joined.contains("import "), "{joined}");
        assert_eq!(joined.matches("export ").count(), 2, "{joined}");
        assert!(joined.contains("export { Call, SwitchboardError };export class Switchboard extends Emitter {"));
    }
}
