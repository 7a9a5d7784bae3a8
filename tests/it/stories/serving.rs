//! How the pages are served: as files that a browser may keep and compress, fenced in by their headers, and never
//! in place of what the service itself answers.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use reqwest::header::HeaderMap;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::harness::{Service, Store};

on_sqlite!(
    a_page_that_is_known_is_not_sent_again,
    a_page_is_sent_compressed_to_who_takes_that,
    a_page_says_what_it_may_do,
    a_head_has_the_headers_alone,
    only_reading_is_done_to_a_page,
    every_address_of_the_dashboard_is_the_dashboard,
    a_page_never_stands_in_for_the_service,
    nothing_outside_the_pages_is_served,
    what_is_for_developers_is_not_served,
    a_script_without_its_comments_is_the_same_program,
);

/// Pages and what they load, one of each kind.
const PAGES: [(&str, &str); 5] = [
    ("/", "text/html; charset=utf-8"),
    ("/admin", "text/html; charset=utf-8"),
    ("/call/call.js", "text/javascript; charset=utf-8"),
    ("/sdk/switchboard.js", "text/javascript; charset=utf-8"),
    ("/shared/theme.css", "text/css; charset=utf-8"),
];

/// Asks for a page as nobody in particular; `headers` are sent along.
async fn ask(service: &Service, method: Method, path: &str, headers: &[(&'static str, &str)]) -> Response {
    let client = reqwest::Client::builder().tls_certs_only([]).no_proxy().build().expect("an HTTP client");
    let mut request = client.request(method, service.url(path));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap_or_else(|error| panic!("{path}: {error}"))
}

async fn get(service: &Service, path: &str) -> Response {
    ask(service, Method::GET, path, &[]).await
}

fn value<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).unwrap_or_else(|| panic!("no {name}: {headers:?}")).to_str().expect("a text")
}

async fn a_page_that_is_known_is_not_sent_again(store: Store) {
    let service = Service::start(&store).await;
    for (path, kind) in PAGES {
        let first = get(&service, path).await;
        assert_eq!(first.status(), 200, "{path}");
        assert_eq!(value(first.headers(), "content-type"), kind, "{path}");
        // Kept, but asked about each time: a new version shows at the next reload.
        assert_eq!(value(first.headers(), "cache-control"), "no-cache", "{path}");
        let tag = value(first.headers(), "etag").to_owned();
        for known in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()] {
            let again = ask(&service, Method::GET, path, &[("if-none-match", &known)]).await;
            assert_eq!(again.status(), 304, "{path} with {known}");
            assert_eq!(value(again.headers(), "etag"), tag, "{path}");
            assert!(again.bytes().await.expect("a body").is_empty(), "{path}: a 304 has no body");
        }
        let changed = ask(&service, Method::GET, path, &[("if-none-match", "\"other\"")]).await;
        assert_eq!(changed.status(), 200, "{path}");
    }
}

async fn a_page_is_sent_compressed_to_who_takes_that(store: Store) {
    let service = Service::start(&store).await;
    for (path, _) in PAGES {
        let plain = get(&service, path).await;
        assert!(varies(plain.headers()), "{path}: {:?}", plain.headers());
        assert!(plain.headers().get("content-encoding").is_none(), "{path}");
        let plain_tag = value(plain.headers(), "etag").to_owned();
        let plain = plain.bytes().await.expect("a body");

        let packed = ask(&service, Method::GET, path, &[("accept-encoding", "gzip, br")]).await;
        assert_eq!(value(packed.headers(), "content-encoding"), "gzip", "{path}");
        assert!(varies(packed.headers()), "{path}: {:?}", packed.headers());
        let packed_tag = value(packed.headers(), "etag").to_owned();
        assert_ne!(packed_tag, plain_tag, "{path}: other bytes, another tag");
        let packed = packed.bytes().await.expect("a body");
        assert_eq!(unpack(&packed), plain, "{path}");
        let known = [("accept-encoding", "gzip"), ("if-none-match", packed_tag.as_str())];
        assert_eq!(ask(&service, Method::GET, path, &known).await.status(), 304, "{path}");

        for refusing in ["identity", "gzip;q=0", "br"] {
            let answer = ask(&service, Method::GET, path, &[("accept-encoding", refusing)]).await;
            assert!(answer.headers().get("content-encoding").is_none(), "{path} for {refusing}");
        }
    }
}

/// Whether who keeps this knows that there are two forms of it.
fn varies(headers: &HeaderMap) -> bool {
    value(headers, "vary").split(',').any(|one| one.trim().eq_ignore_ascii_case("accept-encoding"))
}

fn unpack(packed: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(packed), &mut plain).expect("gzip");
    plain
}

async fn a_page_says_what_it_may_do(store: Store) {
    let service = Service::start(&store).await;
    for (path, _) in PAGES {
        let answer = get(&service, path).await;
        let policy = value(answer.headers(), "content-security-policy");
        let rules: Vec<&str> = policy.split(';').map(str::trim).collect();
        for rule in [
            "default-src 'self'",
            "connect-src 'self'",
            "object-src 'none'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        ] {
            assert!(rules.contains(&rule), "{path}: no {rule}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        let features = value(answer.headers(), "permissions-policy");
        for feature in ["camera=(self)", "microphone=(self)", "display-capture=(self)"] {
            assert!(features.contains(feature), "{path}: no {feature}: {features}");
        }
        assert_eq!(value(answer.headers(), "x-content-type-options"), "nosniff", "{path}");
        assert_eq!(value(answer.headers(), "referrer-policy"), "no-referrer", "{path}");
    }
}

async fn a_head_has_the_headers_alone(store: Store) {
    let service = Service::start(&store).await;
    for (path, kind) in PAGES {
        let length = get(&service, path).await.bytes().await.expect("a body").len();
        let head = ask(&service, Method::HEAD, path, &[]).await;
        assert_eq!(head.status(), 200, "{path}");
        assert_eq!(value(head.headers(), "content-type"), kind, "{path}");
        assert_eq!(value(head.headers(), "content-length"), length.to_string(), "{path}");
        assert!(head.bytes().await.expect("a body").is_empty(), "{path}");
    }
}

async fn only_reading_is_done_to_a_page(store: Store) {
    let service = Service::start(&store).await;
    for (path, _) in PAGES {
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
            let answer = ask(&service, method.clone(), path, &[]).await;
            assert_eq!(answer.status(), 405, "{method} {path}");
        }
    }
}

async fn every_address_of_the_dashboard_is_the_dashboard(store: Store) {
    let service = Service::start(&store).await;
    let dashboard = get(&service, "/admin").await.bytes().await.expect("a body");
    for path in ["/admin/", "/admin/calls/41", "/admin/history?user=7&page=2", "/admin/people"] {
        let answer = get(&service, path).await;
        assert_eq!(
            (answer.status().as_u16(), answer.bytes().await.expect("a body")),
            (200, dashboard.clone()),
            "{path}"
        );
    }
    // An address with an extension was meant to be a file.
    assert_eq!(get(&service, "/admin/no-such.js").await.status(), 404);
}

async fn a_page_never_stands_in_for_the_service(store: Store) {
    let service = Service::start(&store).await;
    for path in ["/api/nope", "/api/", "/api/admin/nope", "/ws", "/ws/", "/ws/a/b/c/d", "/nope", "/index.html", "/call"]
    {
        let answer = get(&service, path).await;
        let (status, kind) = (answer.status(), answer.headers().get("content-type").cloned());
        assert!(status.is_client_error(), "{path} answered {status}");
        let html = kind.is_some_and(|kind| kind.to_str().is_ok_and(|kind| kind.contains("html")));
        assert!(!html, "{path} answered with a page");
    }
}

async fn nothing_outside_the_pages_is_served(store: Store) {
    let service = Service::start(&store).await;
    for path in [
        "/sdk/../../Cargo.toml",
        "/sdk/../../../../../../etc/passwd",
        "/sdk/%2e%2e/%2e%2e/Cargo.toml",
        "/sdk/..%2f..%2fCargo.toml",
        "/sdk/..%5c..%5cCargo.toml",
        "/sdk//etc/passwd",
        "/sdk/%2fetc%2fpasswd",
        "/sdk/switchboard.js%00.css",
        "/admin/../call/../../config/default.toml",
        "/shared/",
        "/sdk/",
    ] {
        // Written by hand: an HTTP client would tidy the path up.
        let mut socket = TcpStream::connect(service.address()).await.expect("a connection");
        let request = format!("GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", service.address());
        socket.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).await.expect("an answer");
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with("HTTP/1.1 4"), "{path} answered {answer}");
    }
}

/// The names of all files of `web/`, and where they are.
fn files() -> Vec<(String, PathBuf)> {
    let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("web");
    let (mut folders, mut files) = (vec![web.clone()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(&web).expect("below web/").to_str().expect("a name").to_owned();
                files.push((name, path));
            }
        }
    }
    files
}

async fn what_is_for_developers_is_not_served(store: Store) {
    let service = Service::start(&store).await;
    let (mut served, mut kept) = (0, 0);
    for (name, _) in files() {
        let public = ["html", "js", "css", "svg"].iter().any(|kind| name.ends_with(&format!(".{kind}")));
        let status = get(&service, &format!("/{name}")).await.status();
        assert_eq!(status, if public { 200 } else { 404 }, "/{name}");
        if public { served += 1 } else { kept += 1 }
    }
    println!("{served} files are served, {kept} are not");
    for path in ["/sdk/package.json", "/sdk/README.md", "/sdk/switchboard.d.ts", "/admin/.git", "/call/call.js.map"] {
        assert_eq!(get(&service, path).await.status(), 404, "{path}");
    }
}

async fn a_script_without_its_comments_is_the_same_program(store: Store) {
    let service = Service::start(&store).await;
    let mut pairs = serde_json::Map::new();
    for (name, path) in files().into_iter().filter(|(name, _)| name.ends_with(".js")) {
        let served = get(&service, &format!("/{name}")).await.text().await.expect("a text");
        let source = match name.as_str() {
            "sdk/switchboard.js" => joined(&path),
            _ => std::fs::read_to_string(path).expect("a source"),
        };
        pairs.insert(name, json!([source, served]));
    }
    assert_eq!(differing(&pairs).await, "");
    // What is looked for would be found: a line of a text that looks like a comment, and one like a type.
    for [one, other] in [["a = `x\n// y\n`;", "a = `x\n\n`;"], ["a = 'x /** @y */';", "a = 'x ';"]] {
        let pairs = serde_json::Map::from_iter([("broken".to_owned(), json!([one, other]))]);
        assert!(differing(&pairs).await.starts_with("broken: "), "{one}");
    }
}

/// The modules of the client library as they are sent: one after the other, without what binds them together.
fn joined(library: &Path) -> String {
    let read = |name: &str| std::fs::read_to_string(library.with_file_name(name)).expect("a source");
    let unbound = |name: &str| {
        let source = read(name);
        let lines = source.lines().filter(|line| !(line.starts_with("import ") && line.contains(" from './")));
        let line = |line: &str| match line.strip_prefix("export ") {
            Some(rest) if name != "switchboard.js" => rest.to_owned(),
            _ => line.to_owned(),
        };
        lines.map(line).collect::<Vec<_>>().join("\n")
    };
    ["base.js", "connection.js", "peer.js", "people.js", "media.js", "call.js", "switchboard.js"]
        .map(unbound)
        .join("\n")
}

/// Which of these scripts are not the programs beside them.
async fn differing(pairs: &serde_json::Map<String, Value>) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/web/same.js");
    let mut node = Command::new("node")
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("node; run ./test, which installs it");
    let mut input = node.stdin.take().expect("its input");
    input.write_all(Value::from(pairs.clone()).to_string().as_bytes()).await.expect("read");
    drop(input);
    let done = node.wait_with_output().await.expect("its answer");
    let found = String::from_utf8_lossy(&done.stdout).into_owned();
    assert_eq!(done.status.success(), found.is_empty(), "typescript is there; run ./test, which installs it");
    found
}
