//! Where an answer ends on its connection. Who reads it there, a proxy as a rule, takes what follows for the next
//! answer, which may be somebody else's.

use futures_util::future::join_all;

use crate::harness::proxy::CADDY;
use crate::harness::raw::{Raw, RawAnswer};
use crate::harness::{Proxy, Service, Store};

on_sqlite!(
    what_follows_a_304_is_the_next_answer,
    a_head_is_the_get_without_its_body,
    what_follows_a_preflight_is_the_next_answer,
    who_asks_for_a_socket_elsewhere_gets_the_same_answer,
    requests_that_were_sent_together_are_answered_one_by_one,
    a_head_drains_no_signals,
    behind_a_proxy_nobody_gets_the_answer_of_somebody_else,
);

const PAGES: [&str; 4] = ["/", "/admin", "/sdk/switchboard.js", "/sdk/widget.js"];

/// What is known of who asks, in dev mode.
const AS_ADMIN: [(&str, &str); 2] = [("x-user-id", "7"), ("x-user-role", "admin")];

/// Addresses that can be read with `GET`, but for those whose reading is an act and those whose answer has the time.
const READABLE: [&str; 24] = [
    "/",
    "/admin",
    "/admin/",
    "/sdk/switchboard.js",
    "/shared/theme.css",
    "/healthz",
    "/readyz",
    "/api/about",
    "/api/status/user/8",
    "/api/users",
    "/api/users?limit=0",
    "/api/ice-servers",
    "/api/call/missed",
    "/api/call/history/8",
    "/api/call-logs?conversation_id=1",
    "/api/call-logs/1/",
    "/api/calls",
    "/api/calls/",
    "/api/calls.csv",
    "/api/calls/41",
    "/api/calls/41/events",
    "/api/calls/stats?since=2026-11-21T00:00:00Z&until=2026-11-22T00:00:00Z",
    "/api/admin/nodes",
    "/api/nowhere",
];

/// The next request on the connection gets its own answer, to the last byte.
async fn goes_on(raw: &mut Raw, after: &str) {
    raw.send("GET", "/healthz", &[]).await;
    let next = raw.answer("GET").await;
    assert_eq!((next.status, next.body.as_slice()), (200, br#"{"success":true,"status":"up"}"#.as_slice()), "{after}");
}

/// Ends a connection on which nothing is left.
async fn over(mut raw: Raw) {
    raw.send("GET", "/healthz", &[("connection", "close")]).await;
    raw.answer("GET").await;
    raw.ends().await;
}

async fn what_follows_a_304_is_the_next_answer(store: Store) {
    let service = Service::start(&store).await;
    let mut raw = Raw::connect(service.address()).await;
    for path in PAGES {
        for encoding in ["identity", "gzip"] {
            raw.send("GET", path, &[("accept-encoding", encoding)]).await;
            let first = raw.answer("GET").await;
            let tag = first.header("etag").expect("a tag").to_owned();
            for known in [tag.as_str(), "*"] {
                for method in ["GET", "HEAD"] {
                    let what = format!("{method} {path}, {encoding}, known by {known}");
                    raw.send(method, path, &[("accept-encoding", encoding), ("if-none-match", known)]).await;
                    let again = raw.answer(method).await;
                    assert_eq!(again.status, 304, "{what}");
                    for kept in ["etag", "cache-control", "vary", "content-security-policy"] {
                        assert_eq!(again.header(kept), first.header(kept), "{what}: {kept}");
                    }
                    // What describes a body that is not there is left out.
                    for left in ["content-length", "content-type", "content-encoding", "transfer-encoding"] {
                        assert_eq!(again.header(left), None, "{what}: {left}");
                    }
                    goes_on(&mut raw, &what).await;
                }
            }
        }
    }
    over(raw).await;
}

async fn a_head_is_the_get_without_its_body(store: Store) {
    let service = Service::start(&store).await;
    let mut raw = Raw::connect(service.address()).await;
    for path in READABLE {
        for encoding in ["identity", "gzip"] {
            let headers = [&AS_ADMIN[..], &[("accept-encoding", encoding)]].concat();
            raw.send("GET", path, &headers).await;
            let get = raw.answer("GET").await;
            assert_ne!(get.status, 405, "{path} can be read");
            raw.send("HEAD", path, &headers).await;
            let head = raw.answer("HEAD").await;
            // How the body comes is known when it is made.
            let headers = get.headers.into_iter().filter(|(name, _)| name != "transfer-encoding").collect();
            assert_eq!(head, RawAnswer { headers, body: Vec::new(), ..get }, "{path}, {encoding}");
            goes_on(&mut raw, path).await;
        }
    }
    // Nobody in particular is refused the same way, too.
    raw.send("HEAD", "/api/calls", &[]).await;
    assert_eq!(raw.answer("HEAD").await.status, 401);
    goes_on(&mut raw, "a 401").await;
    over(raw).await;
}

async fn what_follows_a_preflight_is_the_next_answer(store: Store) {
    let service = Service::start(&store).await;
    let mut raw = Raw::connect(service.address()).await;
    for path in ["/api/call/initiate", "/api/call/signals", "/", "/nowhere"] {
        let page = [("origin", "http://localhost"), ("access-control-request-method", "POST")];
        raw.send("OPTIONS", path, &page).await;
        assert_eq!((raw.answer("OPTIONS").await.status, path), (200, path));
        goes_on(&mut raw, path).await;
        // Without a question it is a method like any other.
        raw.send("OPTIONS", path, &[]).await;
        assert!([404, 405].contains(&raw.answer("OPTIONS").await.status), "{path}");
        goes_on(&mut raw, path).await;
    }
    over(raw).await;
}

/// Such a request takes another way through the server, and its connection ends.
async fn who_asks_for_a_socket_elsewhere_gets_the_same_answer(store: Store) {
    let service = Service::start(&store).await;
    let upgrade = [("connection", "upgrade"), ("upgrade", "websocket")];
    for (method, path, known, status) in
        [("GET", "/", "*", 304), ("HEAD", "/", "*", 304), ("HEAD", "/", "\"other\"", 200), ("HEAD", "/ws/7", "*", 405)]
    {
        let mut raw = Raw::connect(service.address()).await;
        raw.send(method, path, &[&upgrade[..], &[("if-none-match", known)]].concat()).await;
        assert_eq!(raw.answer(method).await.status, status, "{method} {path} {known}");
        raw.ends().await;
    }
}

async fn requests_that_were_sent_together_are_answered_one_by_one(store: Store) {
    let service = Service::start(&store).await;
    for path in ["/", "/readyz", "/api/calls", "/api/calls.csv", "/sdk/widget.js"] {
        // Not GET with HEAD behind it, which nobody sends: actix-http then takes the first for a HEAD, too.
        for (method, next) in [("GET", "GET"), ("HEAD", "GET"), ("HEAD", "HEAD")] {
            for known in [&[][..], &[("if-none-match", "*")]] {
                println!("{method} {path} {known:?}, {next} /healthz");
                let mut raw = Raw::connect(service.address()).await;
                let headers = [&AS_ADMIN[..], known].concat();
                raw.send_both((method, path, &headers), (next, "/healthz")).await;
                raw.answer(method).await;
                let next = raw.answer(next).await;
                assert_eq!((next.status, next.header("content-length")), (200, Some("30")));
                over(raw).await;
            }
        }
    }
}

async fn a_head_drains_no_signals(store: Store) {
    let service = Service::start(&store).await;
    let (anna, mut ben) = (service.rest("1"), service.rest("2"));
    ben.heartbeat().await;
    assert_eq!(anna.initiate("2").await.0, "ringing");
    anna.signal("2", crate::harness::socket::description("offer")).await;
    let mut raw = Raw::connect(service.address()).await;
    for path in [
        "/api/call/signals",
        "/api/call/signals/",
        "/api/call/signals?after=99999999999999999",
        "/api/call/signals?wait=1",
    ] {
        raw.send("HEAD", path, &[("x-user-id", "2")]).await;
        assert_eq!(raw.answer("HEAD").await.status, 405, "{path}");
        goes_on(&mut raw, path).await;
    }
    over(raw).await;
    ben.mail("incoming_call").await;
    ben.mail("offer").await;
}

/// People who reload pages they know share the proxy's connections to the service with people who call.
async fn behind_a_proxy_nobody_gets_the_answer_of_somebody_else(store: Store) {
    let settings = [("AUTH__MODE", "jwt"), ("AUTH__JWT_SECRET", "a secret of the stories, long enough for HS256")];
    let service = Service::with(&store, &settings).await;
    let caddy = Proxy::start(&store, &CADDY, |port| {
        let service = service.address();
        format!("{{\n  admin off\n  auto_https off\n}}\nhttp://127.0.0.1:{port} {{\n  reverse_proxy {service}\n}}\n")
    })
    .await;
    let token = service.token(&["--user", "7"]).await;
    let client = reqwest::Client::builder().tls_certs_only([]).no_proxy().build().expect("an HTTP client");
    let reload = async |path: &str| {
        let first = client.get(caddy.url(path)).send().await.expect("an answer");
        let tag = first.headers()["etag"].clone();
        first.bytes().await.expect("a page");
        for _ in 0..100 {
            let again = client.get(caddy.url(path)).header("if-none-match", tag.clone()).send().await;
            assert_eq!(again.expect("an answer").status(), 304, "{path}");
        }
    };
    let act = async || {
        for number in 0..200 {
            let beat = client.post(caddy.url("/api/status/heartbeat")).bearer_auth(&token).body("{}").send().await;
            assert_eq!(beat.expect("an answer").status(), 200, "heartbeat {number}");
        }
    };
    tokio::join!(join_all(PAGES.map(reload)), join_all([act(), act(), act()]));
    // Each answer that was longer than its proxy expected is one that could have become somebody else's.
    assert!(!caddy.log().contains("Unsolicited response"), "{}", caddy.log());
}
